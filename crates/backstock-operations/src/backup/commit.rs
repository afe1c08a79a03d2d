//! The commit of a backup: parts, then the manifest, then the catalog; and the adoption of manifests that the catalog
//! does not know, whatever became of the process that wrote them.
//!
//! Data can be lost here. The manifest is the only thing that makes a backup visible; it is written when every part is
//! durable at the destination and its size was seen there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use backstock_archive::layout::BackupFolder;
use backstock_archive::manifest::{Manifest, Parent, Sealed, SignedManifest};
use backstock_archive::owner::{Head, Owner};
use backstock_archive::seal::BackupSeal;
use backstock_archive::{Digest, Sha256, layout};
use backstock_catalog::{Problem, Replica, RunArtifact};
use backstock_vocabulary::{BackupId, Outcome, ReplicaState};

use super::adoption::{Counted, adopt, described, record};
use super::numbers::{UnreadDestination, told_elsewhere};
use super::plan::BackupPlan;
use super::report::BackupReport;
use super::spool::{RESERVE_BYTES, Spooled};
use crate::destination::{Claim, Inventory, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::keys::put_keys;
use crate::levels::ChosenLevel;
use crate::monitor::Monitor;
use crate::replicate::Uploads;
use crate::run::RunRecord;
use crate::stored::StoredBackup;
use crate::verify::{record_decoded, require_decoded};

/// A backup on its way to its destination.
pub(super) struct Commit<'a> {
    plan: &'a BackupPlan,
    folder: SetFolder,
    backup: BackupId,
    started: jiff::Timestamp,
    name: String,
    head: Option<Head>,
    sequence: u64,
    unread: Vec<UnreadDestination>,
}

impl<'a> Commit<'a> {
    /// Looks at the destination, adopts what the catalog does not know, sweeps what dead runs left, claims the folder.
    pub(super) fn prepare(environment: &Environment, plan: &'a BackupPlan) -> Result<Self> {
        check_room(environment, environment.state.root())?;
        let folder = SetFolder { place: plan.place.clone(), name: plan.folder_at_place() };
        folder.probe(environment)?;
        let inventory = folder.inventory(environment)?;
        if let Some((name, _)) = inventory.unreadable.first() {
            // A sequence number is one more than the highest; a manifest that cannot be read may hold the highest.
            tracing::warn!(
                folder = name,
                "a manifest cannot be read; the catalog's sequence numbers are used as well"
            );
        }
        if !plan.take_over {
            refuse_an_empty_place(environment, &folder)?;
        }
        let machine = environment.machine_id();
        reconcile(environment, &folder, &inventory, &machine)?;
        let head = head_of(environment, plan, &folder, &inventory)?;
        let told = told_elsewhere(environment, plan, head.as_ref().map_or(0, |head| head.sequence))?;
        let head = told.head.or(head);
        if inventory.manifests.is_empty() && has_replicas_here(environment, plan)? {
            tracing::warn!(
                "none of the backups that were put to {} are there any more: is the right disk mounted?",
                plan.place.record.title
            );
        }
        let last = head.as_ref().map_or(0, |head| head.sequence);
        let sequence = last.checked_add(1).ok_or_else(|| {
            let message = format!("a manifest in {} has the highest sequence number that there is", folder.name);
            let hint = "no backup of this set can have it: somebody else put it there; look at it, then move it away";
            OperationError::hinted(ErrorKind::Refused, message, hint)
        })?;
        let (set, take_over) = (plan.set.id, plan.take_over);
        // A destination may have become the first place only now: what came before was never to be there.
        let copies_from = plan.home.as_ref().map(|_| sequence);
        folder.claim(environment, Claim { set, head: head.clone(), copies_from, take_over })?;
        let backup = environment.host.new_id(BackupId::from_parts);
        let started = environment.host.clock.now();
        let name = BackupFolder::of(started, backup).to_string();
        Ok(Self { plan, folder, backup, started, name, head, sequence, unread: told.unread })
    }

    /// The set's folder at the place that it is made at.
    pub(super) fn set_folder(&self) -> &SetFolder {
        &self.folder
    }

    /// Its folder in that of its set.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number that it gets.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The backup that is being made.
    pub(super) fn backup(&self) -> BackupId {
        self.backup
    }

    /// How the backup is sealed, if it is. What opens it is durable at the destination before anything is sealed.
    pub(super) fn seal(&self, environment: &Environment) -> Result<Option<Arc<BackupSeal>>> {
        if self.plan.recipients.is_empty() {
            return Ok(None);
        }
        put_keys(environment, &self.folder)?;
        backstock_host::failpoint::reach("backup.after_keys").doing("making the key of the backup")?;
        let random = environment.host.random.as_ref();
        let seal = BackupSeal::new(random, self.backup, &self.plan.recipients)
            .doing(format!("making the key of the backup {}", self.backup))?;
        environment.keys.remember(&seal);
        Ok(Some(Arc::new(seal)))
    }

    /// Puts every part.
    pub(super) fn put_all(
        &mut self,
        environment: &Environment,
        spooled: &Spooled,
        uploads: &Uploads<'_>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let goes_by_lane = self.plan.home.is_some();
        if goes_by_lane {
            uploads.wait_for_home(monitor)?;
        } else {
            self.require_room(environment, spooled)?;
        }
        for artifact in &spooled.gathered.artifacts {
            for part in &artifact.parts {
                if monitor.is_cancelled() {
                    return Err(super::interrupted());
                }
                backstock_host::failpoint::reach("backup.before_part").doing("storing a part")?;
                if !goes_by_lane {
                    self.folder.put(environment, &self.name, part, &spooled.path(&part.name))?;
                }
                let seen = self.folder.part_size(environment, &self.name, part)?;
                if seen != Some(part.size_bytes) {
                    let message = format!(
                        "{} was stored, but {seen:?} bytes of {} are there",
                        part.name, part.size_bytes
                    );
                    return Err(OperationError::plain(ErrorKind::Storage, message));
                }
                if !goes_by_lane {
                    monitor.bytes(part.size_bytes);
                }
                monitor.item(&part.name);
            }
        }
        Ok(())
    }

    /// Removes what was put, while there is no manifest. What cannot be removed now is swept by the next run.
    pub(super) fn abandon(&self, environment: &Environment) {
        if let Err(error) = self.folder.sweep(environment, &self.name) {
            tracing::warn!("what was stored of the backup is left for the next run: {}", chain(&error));
        }
    }

    /// The reserve stays free at the destination too. On the spool's own device the parts are there already.
    fn require_room(&self, environment: &Environment, spooled: &Spooled) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let place = &self.folder.place;
        let act = || format!("measuring the free space at {}", place.record.title);
        let device = |path: &Path| std::fs::metadata(path).map(|facts| facts.dev()).doing(act());
        if let Ok(folder) = place.folder()
            && device(&folder)? == device(&spooled.folder)?
        {
            return Ok(());
        }
        let free_bytes = environment.wait(place.storage.free_bytes()).doing(act())?;
        let needed_bytes = spooled.stored_bytes();
        if free_bytes.is_none_or(|free_bytes| free_bytes >= needed_bytes + RESERVE_BYTES) {
            return Ok(());
        }
        let numbers = format!(
            "the backup has {needed_bytes} bytes, {} are free and {RESERVE_BYTES} of them stay in reserve",
            free_bytes.unwrap_or(0)
        );
        let full = io::Error::new(io::ErrorKind::StorageFull, numbers);
        Err(full).doing(format!("storing the backup at {}", place.record.title))
    }

    /// Signs the manifest of what was put. Nobody can see it yet.
    pub(super) fn sign(
        &self,
        environment: &Environment,
        run: &RunRecord,
        spooled: &Spooled,
        chosen: &ChosenLevel,
    ) -> Result<(Vec<u8>, StoredBackup)> {
        let manifest = self.manifest(environment, run, spooled, chosen);
        let bytes = manifest.sign(&environment.key).doing("signing the manifest")?;
        let signed = SignedManifest::parse(&bytes).doing("reading back the signed manifest")?;
        let on_record = described(&self.folder, &self.name, &signed);
        Ok((bytes, StoredBackup::unseen(on_record, self.folder.clone(), signed)))
    }

    /// Decodes what was put, where that is wanted, while the key of it is in memory.
    pub(super) fn read_back(
        &self,
        environment: &Environment,
        stored: &StoredBackup,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        if !self.plan.read_back {
            return Ok(());
        }
        backstock_host::failpoint::reach("backup.before_read_back").doing("reading the backup back")?;
        require_decoded(environment, stored, monitor)
    }

    /// Writes the manifest: from here on the backup exists. Then tells the catalog.
    pub(super) fn write_manifest(
        &self,
        environment: &Environment,
        run: &mut RunRecord,
        spooled: &Spooled,
        chosen: &ChosenLevel,
        (bytes, stored): &(Vec<u8>, StoredBackup),
    ) -> Result<BackupReport> {
        backstock_host::failpoint::reach("backup.before_manifest").doing("storing the manifest")?;
        self.folder.put_small(environment, &self.name, layout::MANIFEST_NAME, bytes)?;
        backstock_host::failpoint::reach("backup.after_manifest").doing("recording the backup")?;
        let manifest = &stored.signed.manifest;
        record(environment, &self.folder, &self.name, &stored.signed)?;
        if self.plan.read_back {
            record_decoded(environment, stored)?;
        }
        let problems: Vec<Problem> = spooled
            .gathered
            .problems
            .iter()
            .map(|problem| Problem {
                run: run.id,
                backup: Some(self.backup),
                kind: problem.kind.clone(),
                severity: problem.severity(),
                subject: problem.subject.clone().into_bytes(),
                message: problem.message.clone(),
            })
            .collect();
        environment
            .wait(environment.catalog.record_problems(run.id, &problems))
            .doing("recording what is missing from the backup")?;
        run.artifacts = manifest.artifacts.iter().map(artifact_record).collect();
        // The others are copied to once it is here.
        if let Some(destination) = run.destinations.first_mut() {
            destination.status = Outcome::Success;
            destination.message = format!("{}/{}", self.folder.name, self.name);
        }
        let why_full = chosen.why_full.clone();
        Ok(BackupReport { why_full, ..self.report(manifest, run, spooled) })
    }

    fn manifest(
        &self,
        environment: &Environment,
        run: &RunRecord,
        spooled: &Spooled,
        chosen: &ChosenLevel,
    ) -> Manifest {
        Manifest {
            format: Manifest::format(),
            signer: Digest([0; 32]),
            instance: environment.instance,
            shop: self.plan.shop.id,
            set: self.plan.set.id,
            backup: self.backup,
            run: run.id,
            sequence: self.sequence,
            previous_manifest_sha256: self.head.as_ref().map(|head| head.manifest_sha256),
            level: chosen.level,
            parent: chosen.parent.as_ref().map(|parent| Parent {
                backup: parent.stored.record.id,
                manifest_sha256: parent.stored.signed.sha256,
            }),
            definition_sha256: Digest(self.plan.definition.sha256),
            started: self.started,
            finished: environment.host.clock.now(),
            content: spooled.gathered.content(self.plan),
            reason: self.plan.reason,
            exceptions: spooled.gathered.exceptions.clone(),
            sealed: self.sealed(),
            artifacts: spooled.gathered.artifacts.clone(),
        }
    }

    fn sealed(&self) -> Option<Sealed> {
        let recipients: Vec<_> = self.plan.recipients.iter().map(|recipient| recipient.identity).collect();
        (!recipients.is_empty()).then_some(Sealed { recipients })
    }

    fn report(&self, manifest: &Manifest, run: &RunRecord, spooled: &Spooled) -> BackupReport {
        BackupReport {
            backup: self.backup,
            shop: self.plan.shop.title.clone(),
            sequence: manifest.sequence,
            storage: self.folder.place.record.title.clone(),
            folder: format!("{}/{}", self.folder.name, self.name),
            level: manifest.level,
            parent: manifest.parent.as_ref().map(|parent| parent.backup),
            why_full: None,
            shortage: None,
            unread_destinations: self.unread.clone(),
            grace_cut: None,
            destinations: Vec::new(),
            content: manifest.content,
            stored_bytes: manifest.stored_bytes(),
            unchanged_files: spooled.gathered.unchanged_files,
            removed_files: spooled.gathered.removed_files,
            tables: spooled.gathered.tables,
            rows: spooled.gathered.rows,
            files: spooled.gathered.files,
            content_bytes: spooled.gathered.content_bytes,
            elapsed_ms: run.elapsed_ms(),
            suspicions: spooled.gathered.suspicions.clone(),
            problems: spooled.gathered.problems.clone(),
        }
    }
}

fn check_room(environment: &Environment, folder: &Path) -> Result<()> {
    let act = || format!("measuring the free space at {}", folder.display());
    let free_bytes = environment.host.files.free_bytes(folder).doing(act())?;
    if free_bytes < RESERVE_BYTES {
        let numbers = format!("{free_bytes} bytes are free; {RESERVE_BYTES} are kept as a reserve");
        let full = io::Error::new(io::ErrorKind::StorageFull, numbers);
        return Err(full).doing(format!("using the state folder {}", folder.display()));
    }
    Ok(())
}

fn artifact_record(artifact: &backstock_archive::ManifestArtifact) -> RunArtifact {
    RunArtifact {
        kind: artifact.kind,
        name: artifact.path(),
        size_bytes: artifact.stored_bytes(),
        parts: artifact.parts.len() as u64,
    }
}

/// Whether the catalog has a backup of this set at this place.
fn has_replicas_here(environment: &Environment, plan: &BackupPlan) -> Result<bool> {
    let known = environment
        .wait(environment.catalog.last_backup_of_set(plan.set.id))
        .doing("looking for the last backup of the set")?;
    let Some(last) = known else { return Ok(false) };
    let replicas =
        environment.wait(environment.catalog.replicas(last.id)).doing("looking for its replicas")?;
    Ok(replicas.iter().any(|replica| replica.storage == plan.place.record.id))
}

/// The newest manifest that is known anywhere, or was: what the next one follows.
fn head_of(
    environment: &Environment,
    plan: &BackupPlan,
    folder: &SetFolder,
    inventory: &Inventory,
) -> Result<Option<Head>> {
    let found = inventory
        .manifests
        .last()
        .map(|found| Head { sequence: found.signed.manifest.sequence, manifest_sha256: found.signed.sha256 });
    let known = environment
        .wait(environment.catalog.last_backup_of_set(plan.set.id))
        .doing("looking for the last backup of the set")?;
    let known = known.and_then(|backup| {
        let manifest_sha256: Sha256 = backup.manifest_hash.parse().ok()?;
        Some(Head { sequence: backup.sequence, manifest_sha256 })
    });
    let highest = [known, found].into_iter().flatten().max_by_key(|head| head.sequence);
    // What was deleted keeps its number.
    let buried = folder.buried(environment, inventory, highest.as_ref().map_or(0, |head| head.sequence))?;
    let buried = buried
        .map(|tombstone| Head { sequence: tombstone.sequence, manifest_sha256: tombstone.manifest_sha256 });
    Ok(buried.or(highest))
}

/// A place without an owner file, where backups are known to lie, is another one: an empty mount point, most likely (F28).
fn refuse_an_empty_place(environment: &Environment, folder: &SetFolder) -> Result<()> {
    if folder.owner(environment)?.is_some() {
        return Ok(());
    }
    let begin = format!("{}/", folder.name);
    let known = environment.wait(environment.catalog.list_replicas()).doing("listing the known replicas")?;
    let count = known
        .iter()
        .filter(|replica| replica.storage == folder.place.record.id && replica.folder.starts_with(&begin))
        .filter(|replica| replica.state.is_there())
        .count();
    if count == 0 {
        return Ok(());
    }
    Err(OperationError::hinted(
        ErrorKind::Storage,
        format!(
            "nothing of the set {} is at {}, where {count} of its backups were",
            folder.name, folder.place.record.title
        ),
        "check that the disk is mounted; if the folder was emptied on purpose, run the same command again with --take-over",
    ))
}

/// Adopts every manifest that the catalog does not know, and sweeps the folders that dead runs of this instance left.
/// The caller holds the shop's lock, so no run of this instance is writing here; one of its copy on another machine
/// might. A folder that the catalog knows held a backup: its manifest was lost, and its data may yet be of use.
fn reconcile(
    environment: &Environment,
    folder: &SetFolder,
    inventory: &Inventory,
    machine: &str,
) -> Result<()> {
    let counted = Counted::of(environment, folder)?;
    for found in &inventory.manifests {
        adopt(environment, folder, found, !counted.counts(&found.signed))?;
    }
    let owner = folder.owner(environment)?;
    let is_ours = |owner: &Owner| owner.signer.0 == environment.key.public() && owner.machine == machine;
    if !owner.as_ref().is_none_or(is_ours) {
        return Ok(());
    }
    // Before there is an owner, the first run died at the latest while it wrote the owner file.
    folder.sweep_unfinished(environment)?;
    if owner.is_none() || inventory.without_manifest.is_empty() {
        return Ok(());
    }
    let known =
        environment.wait(environment.catalog.list_backups(None)).doing("listing the known backups")?;
    let replicas =
        environment.wait(environment.catalog.list_replicas()).doing("listing the known replicas")?;
    for leftover in &inventory.without_manifest {
        if let Some(backup) = known.iter().find(|backup| backup.folder == *leftover) {
            let is_going =
                |replica: &&Replica| replica.backup == backup.id && replica.state == ReplicaState::Deleting;
            if replicas.iter().any(|replica| is_going(&replica)) {
                // The next prune finishes it.
                continue;
            }
            tracing::warn!(folder = leftover, "the manifest of a backup is gone; its data is left alone");
            continue;
        }
        folder.sweep(environment, leftover)?;
    }
    Ok(())
}
