//! Manifests that lie at a place are what proves backups: who signed them decides whether they count, and each is put on record.

use std::collections::HashMap;

use backstock_archive::manifest::{ManifestArtifact, SignedManifest};
use backstock_catalog::{Backup, Replica};
use backstock_vocabulary::{ArtifactKind, BackupId, Proof, Reason, ReplicaState};

use crate::destination::{FoundManifest, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::keys::Signers;
use crate::replicate::debts_of;

/// Which manifests of a set's folder count: by who signed them, and those that are on record as counting already.
pub(super) struct Counted {
    signers: Signers,
    on_record: HashMap<BackupId, String>,
}

impl Counted {
    pub(super) fn of(environment: &Environment, folder: &SetFolder) -> Result<Self> {
        let act = "listing the known backups";
        let known = environment.wait(environment.catalog.list_backups(None)).doing(act)?;
        let strangers = environment.wait(environment.catalog.list_strangers()).doing(act)?;
        let counts = known.into_iter().filter(|backup| !strangers.contains(&backup.id));
        Ok(Self {
            signers: Signers::of(environment, folder)?,
            on_record: counts.map(|backup| (backup.id, backup.manifest_hash)).collect(),
        })
    }

    pub(super) fn counts(&self, signed: &SignedManifest) -> bool {
        let known = self.on_record.get(&signed.manifest.backup);
        self.signers.count(&signed.manifest.signer)
            || known.is_some_and(|hash| *hash == signed.sha256.to_string())
    }
}

/// Records a backup that a manifest proves, unless it is recorded already.
pub(crate) fn adopt(
    environment: &Environment,
    folder: &SetFolder,
    found: &FoundManifest,
    is_stranger: bool,
) -> Result<()> {
    // Said before it is on record: it never counts, not even for a moment.
    let (act, backup) = ("recording who signed a backup", found.signed.manifest.backup);
    // Every manifest is seen with every backup, and next to none is a stranger's: nothing is written for the others.
    let known = environment.wait(environment.catalog.list_strangers()).doing(act)?;
    if known.contains(&backup) != is_stranger {
        environment.wait(environment.catalog.set_stranger(backup, is_stranger)).doing(act)?;
    }
    if is_stranger {
        tracing::warn!(
            folder = found.folder,
            "this backup is signed by a key that nobody vouches for; it counts for nothing"
        );
    }
    record(environment, folder, &found.folder, &found.signed)
}

/// Records what a manifest proves; with a backup that was not known before goes what its set owes to other destinations.
pub(super) fn record(
    environment: &Environment,
    folder: &SetFolder,
    name: &str,
    signed: &SignedManifest,
) -> Result<()> {
    let act = || format!("recording the backup {}", signed.manifest.backup);
    let (backup, replica) = described(folder, name, signed);
    let mut replicas = vec![replica];
    if environment.wait(environment.catalog.backup(backup.id)).doing(act())?.is_none() {
        let there = (folder.place.record.id, format!("{}/{name}", folder.last_step()));
        let new = (backup.id, backup.reason);
        replicas.extend(debts_of(environment, backup.set, new, (there.0, &there.1))?);
    }
    environment.wait(environment.catalog.record_backup(&backup, &replicas)).doing(act())?;
    Ok(())
}

/// What a manifest proves, as it goes on record.
pub(super) fn described(folder: &SetFolder, name: &str, signed: &SignedManifest) -> (Backup, Replica) {
    let manifest = &signed.manifest;
    let backup = Backup {
        id: manifest.backup,
        shop: manifest.shop,
        set: manifest.set,
        run: manifest.run,
        instance: manifest.instance,
        sequence: manifest.sequence,
        level: manifest.level,
        reason: manifest.reason,
        content: manifest.content,
        started: manifest.started,
        finished: manifest.finished,
        parent: manifest.parent.as_ref().map(|parent| parent.backup),
        folder: name.to_owned(),
        definition_hash: manifest.definition_sha256.to_string(),
        manifest_hash: signed.sha256.to_string(),
        stored_bytes: manifest.stored_bytes(),
        exceptions: manifest.exceptions.database + manifest.exceptions.files,
        notes: manifest.exceptions.notes,
        detail: serde_json::json!({
            "artifacts": manifest.artifacts.iter().map(ManifestArtifact::path).collect::<Vec<_>>(),
            "database_bytes": manifest
                .artifact(ArtifactKind::Database)
                .map(ManifestArtifact::stored_bytes),
            "is_snapshot": manifest.reason == Reason::PreRestore,
            "sealed_for": manifest.sealed.as_ref().map(|sealed| &sealed.recipients),
        }),
    };
    let replica = Replica {
        backup: manifest.backup,
        storage: folder.place.record.id,
        folder: format!("{}/{name}", folder.name),
        state: ReplicaState::Present,
        proof: Some(Proof::Size),
        checked: Some(manifest.finished),
    };
    (backup, replica)
}
