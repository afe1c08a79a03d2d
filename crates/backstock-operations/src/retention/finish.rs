//! Deletions that were decided by whoever writes to a storage, and that it may not carry out: finished by somebody who may, with other
//! credentials or on another machine. Data is lost here.
//!
//! A server that can only add to a storage cannot destroy its own past; but what its policy lets go then stays for ever. So the
//! decision and the deed are apart: the writer puts a signed tombstone beside what is to go, and whoever holds a key that may
//! delete deletes what has one. Nothing else is looked at: no policy, no catalog, no clock. A stolen server can write tombstones
//! for everything; therefore a whole chain without any tombstone must be there, what a backup without one builds on stays, and a
//! person sees the list first.

use std::collections::{BTreeSet, HashMap};

use backstock_archive::{Owner, Tombstone};
use backstock_catalog::Storage as StorageRecord;
use backstock_vocabulary::{BackupId, Level, StorageId};
use jiff::Timestamp;
use serde::Serialize;

use crate::destination::{FoundManifest, Place, Refusal, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::keys::Signers;
use crate::monitor::Monitor;
use crate::storages::{self, LentAccess};

/// A backup with a tombstone.
#[derive(Debug, Clone, Serialize)]
pub struct Buried {
    /// The backup.
    pub backup: BackupId,
    /// Its number within the set.
    pub sequence: u64,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// When it was started.
    pub started: Timestamp,
    /// When its deletion was decided.
    pub decided: Timestamp,
    /// Length of its parts, in bytes.
    pub stored_bytes: u64,
    /// Why it stays all the same; none where it goes.
    pub stays: Option<String>,
    #[serde(skip)]
    folder: String,
}

/// A folder of a set, and what of it was let go.
#[derive(Debug, Serialize)]
pub struct BuriedInSet {
    /// The folder.
    pub set_folder: String,
    /// Whose folder it is.
    pub machine: Option<String>,
    /// Backups with a tombstone, the newest first: children before what they build on.
    pub buried: Vec<Buried>,
    /// How many backups stay that nobody has let go.
    pub kept: u64,
    /// Why nothing of it goes, where nothing may.
    pub held: Option<String>,
    #[serde(skip)]
    folder: SetFolder,
}

/// What is to be finished at a storage.
#[derive(Debug, Serialize)]
pub struct FinishPlan {
    /// The storage.
    pub storage: String,
    /// Each set there.
    pub sets: Vec<BuriedInSet>,
    #[serde(skip)]
    id: StorageId,
}

/// What was finished.
#[derive(Debug, Default, Serialize)]
pub struct FinishReport {
    /// The storage.
    pub storage: String,
    /// Deleted.
    pub deleted: Vec<BackupId>,
    /// What the storage does not let go of with these credentials either, or not yet.
    pub retained: Vec<BackupId>,
    /// Why, where it is so.
    pub refusal: Option<Refusal>,
    /// Length of what was deleted, in bytes.
    pub freed_bytes: u64,
}

impl FinishPlan {
    /// What goes.
    pub fn going(&self) -> impl Iterator<Item = &Buried> {
        let sets = self.sets.iter().filter(|set| set.held.is_none());
        sets.flat_map(|set| &set.buried).filter(|buried| buried.stays.is_none())
    }
}

/// What has a tombstone at a storage. Nothing is changed.
///
/// # Errors
/// [`ErrorKind::Storage`] where the storage cannot be reached.
pub fn plan_finish(environment: &Environment, storage: &str, access: &LentAccess) -> Result<FinishPlan> {
    let record: StorageRecord = storages::find(environment, storage)?;
    let opened = storages::open_with(environment, &record, access)?;
    let (storage, id) = (record.title.clone(), record.id);
    let place = Place { record, storage: opened };
    let mut sets = Vec::new();
    for name in place.set_folders(environment)? {
        sets.push(look(environment, SetFolder { place: place.clone(), name })?);
    }
    Ok(FinishPlan { storage, sets, id })
}

fn look(environment: &Environment, folder: SetFolder) -> Result<BuriedInSet> {
    let inventory = folder.inventory(environment)?;
    let owners = folder.owners(environment)?;
    let signers = Signers::of(environment, &folder)?;
    let mut tombstones: HashMap<BackupId, Tombstone> = HashMap::new();
    for path in &inventory.tombstones {
        // One that cannot be read decides nothing.
        if let Ok(Some(tombstone)) = folder.tombstone(environment, path)
            && is_of_a_writer(&tombstone, &owners, &signers)
        {
            tombstones.insert(tombstone.backup, tombstone);
        }
    }
    let is_decided = |found: &&FoundManifest| {
        let decided = tombstones.get(&found.signed.manifest.backup);
        decided.is_some_and(|tombstone| tombstone.manifest_sha256 == found.signed.sha256)
    };
    let (going, kept): (Vec<&FoundManifest>, Vec<&FoundManifest>) =
        inventory.manifests.iter().partition(is_decided);
    let needed = needed_by(&kept, &inventory.manifests);
    let mut buried: Vec<Buried> = going
        .iter()
        .filter_map(|found| {
            let manifest = &found.signed.manifest;
            let decided = tombstones.get(&manifest.backup)?.deleted;
            let stays = needed.get(&manifest.backup).map(|by| format!("{} builds on it", by.short()));
            Some(buried(found, decided, stays))
        })
        .collect();
    buried.reverse();
    let held = match inventory.unreadable.first() {
        Some((folder, _)) => {
            Some(format!("the manifest of {folder} cannot be read, and what it builds on is not known"))
        }
        None => lacks_floor(environment, &folder, &kept)?,
    };
    let machine = owners.last().map(|owner| owner.machine.clone());
    Ok(BuriedInSet {
        set_folder: folder.name.clone(),
        machine,
        buried,
        kept: kept.len() as u64,
        held,
        folder,
    })
}

/// Whether a tombstone is signed by somebody who writes or wrote there, as far as it can be told.
fn is_of_a_writer(tombstone: &Tombstone, owners: &[Owner], signers: &Signers) -> bool {
    signers.count(&tombstone.signer) && owners.iter().any(|owner| owner.signer == tombstone.signer)
}

fn buried(found: &FoundManifest, decided: Timestamp, stays: Option<String>) -> Buried {
    let manifest = &found.signed.manifest;
    Buried {
        backup: manifest.backup,
        sequence: manifest.sequence,
        level: manifest.level,
        started: manifest.started,
        decided,
        stored_bytes: manifest.stored_bytes(),
        stays,
        folder: found.folder.clone(),
    }
}

/// What kept backups build on, each with one that does.
fn needed_by(kept: &[&FoundManifest], all: &[FoundManifest]) -> HashMap<BackupId, BackupId> {
    let parents: HashMap<BackupId, BackupId> = all
        .iter()
        .filter_map(|found| {
            let manifest = &found.signed.manifest;
            Some((manifest.backup, manifest.parent.as_ref()?.backup))
        })
        .collect();
    let mut needed = HashMap::new();
    for found in kept {
        let child = found.signed.manifest.backup;
        let (mut next, mut seen) = (parents.get(&child), BTreeSet::from([child]));
        // A circle has no end.
        while let Some(parent) = next.filter(|parent| seen.insert(**parent)) {
            needed.entry(*parent).or_insert(child);
            next = parents.get(parent);
        }
    }
    needed
}

/// Why nothing may go: there is no backup that nobody has let go, down to its full one, with every part in its length.
fn lacks_floor(
    environment: &Environment,
    folder: &SetFolder,
    kept: &[&FoundManifest],
) -> Result<Option<String>> {
    let of = |backup: BackupId| kept.iter().find(|found| found.signed.manifest.backup == backup);
    for newest in kept.iter().rev() {
        let (mut next, mut seen) = (Some(newest), BTreeSet::new());
        let mut is_whole = true;
        while let Some(found) = next {
            let manifest = &found.signed.manifest;
            is_whole &= seen.insert(manifest.backup)
                && folder.lacking_part(environment, &found.folder, manifest)?.is_none();
            next = match (&manifest.parent, manifest.level) {
                (None, Level::Full) => None,
                (Some(parent), _) => {
                    let parent = of(parent.backup);
                    is_whole &= parent.is_some();
                    parent
                }
                (None, _) => {
                    is_whole = false;
                    None
                }
            };
            if !is_whole {
                break;
            }
        }
        if is_whole {
            return Ok(None);
        }
    }
    Ok(Some("no backup would be left that is whole with all that it builds on".to_owned()))
}

/// Deletes what goes: the manifest of each first, then its data. Killed anywhere it is safe to begin again.
///
/// # Errors
/// [`ErrorKind::Storage`] where the storage fails; what it refuses for want of a right or because of a lock stands in the report.
pub fn finish(environment: &Environment, plan: &FinishPlan, monitor: &dyn Monitor) -> Result<FinishReport> {
    let mut report = FinishReport { storage: plan.storage.clone(), ..FinishReport::default() };
    for set in plan.sets.iter().filter(|set| set.held.is_none()) {
        for buried in set.buried.iter().filter(|buried| buried.stays.is_none()) {
            if monitor.is_cancelled() {
                let message = "stopped by a signal; what was begun is finished by the next call";
                return Err(OperationError::plain(ErrorKind::Interrupted, message));
            }
            if let Err(error) = set.folder.delete_manifest(environment, &buried.folder, buried.backup) {
                let Some(refusal) = Refusal::of(&error) else { return Err(error) };
                report.retained.push(buried.backup);
                report.refusal = Some(refusal);
                continue;
            }
            backstock_host::failpoint::reach("finish.before_data").doing("finishing a deletion")?;
            set.folder.sweep(environment, &buried.folder)?;
            forget(environment, plan.id, buried.backup)?;
            report.deleted.push(buried.backup);
            report.freed_bytes += buried.stored_bytes;
            monitor.item(&buried.folder);
        }
    }
    Ok(report)
}

/// Where this machine's catalog knows the backup as one that the storage retained, it forgets it.
fn forget(environment: &Environment, storage: StorageId, backup: BackupId) -> Result<()> {
    let act = || format!("forgetting the deleted backup {}", backup.short());
    let replicas = environment.wait(environment.catalog.replicas(backup)).doing(act())?;
    if replicas.iter().any(|replica| replica.storage == storage) {
        environment.wait(environment.catalog.forget_replica(backup, storage)).doing(act())?;
    }
    Ok(())
}
