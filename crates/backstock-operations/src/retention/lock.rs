//! Locking what stays at storages that can: after each backup and each prune, what is not locked for long enough.

use std::collections::HashMap;

use backstock_archive::layout::MANIFEST_NAME;
use backstock_catalog::{Backup, Replica, ReplicaLock, Shop};
use backstock_storage::LOCAL_KIND;
use backstock_vocabulary::{BackupId, StorageId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::facts::Wish;
use super::gather::{DestinationPlan, gather_within};
use super::locks::wanted_locks;
use super::policy::RetentionPolicy;
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// A lock is made longer when it falls short by more than this, in hours: not with every run.
const SHORT_HOURS: i64 = 24;

/// What was locked of one set at one storage.
#[derive(Debug, Clone, Serialize)]
pub struct LockReport {
    /// The set.
    pub set: String,
    /// The storage.
    pub storage: String,
    /// Backups that are locked from now on, or for longer.
    pub locked: Vec<BackupId>,
    /// Until when the one that is locked for longest is.
    pub until: Option<Timestamp>,
    /// Why not all that should be locked is.
    pub problem: Option<String>,
}

/// Locks what stays of a shop at each storage whose settings ask for that. What a storage does not lock is told in the report.
///
/// # Errors
/// The catalog cannot be read.
pub fn lock_kept(environment: &Environment, shop: &Shop, policy: RetentionPolicy) -> Result<Vec<LockReport>> {
    let mut reports = Vec::new();
    let vaults = vaults(environment)?;
    if vaults.is_empty() {
        // Next to no storage locks, and a plan costs a look at every backup.
        return Ok(reports);
    }
    for destination in gather_within(environment, shop, policy, &Wish::Policy)? {
        let Some(place) = vaults.get(&destination.storage.id) else { continue };
        let mut report = LockReport {
            set: destination.set.title.clone(),
            storage: destination.storage.title.clone(),
            locked: Vec::new(),
            until: None,
            problem: None,
        };
        if let Err(error) = lock_at(environment, &destination, place, &mut report) {
            report.problem = Some(chain(&error));
        }
        reports.push(report);
    }
    Ok(reports)
}

/// The storages that lock. What cannot be opened was told of when it was to be written to.
fn vaults(environment: &Environment) -> Result<HashMap<StorageId, Place>> {
    let records = environment.wait(environment.catalog.list_storages()).doing("looking for what can lock")?;
    let places = records.iter().filter(|record| record.kind != LOCAL_KIND);
    let opened = places.filter_map(|record| Place::of_record(environment, record.id).ok());
    Ok(opened.filter(|place| place.storage.locks()).map(|place| (place.record.id, place)).collect())
}

fn lock_at(
    environment: &Environment,
    destination: &DestinationPlan,
    place: &Place,
    report: &mut LockReport,
) -> Result<()> {
    let known = locks_on_record(environment, destination)?;
    report.until = known.values().max().copied();
    let Some(wanted) = wanted_locks(&destination.facts, &destination.plan) else {
        let message = "the clock may be wrong, and a lock that is too long cannot be taken back: nothing is locked before \
                       somebody has looked at it and run `backstock prune`";
        return Err(OperationError::plain(ErrorKind::Refused, message));
    };
    let is_short = |backup: &BackupId, until: Timestamp| {
        let short = SignedDuration::from_hours(SHORT_HOURS);
        known.get(backup).is_none_or(|known| known.checked_add(short).is_ok_and(|enough| enough < until))
    };
    let mut short: Vec<(Timestamp, &(Backup, Replica))> = wanted
        .into_iter()
        .filter(|(backup, until)| is_short(backup, *until))
        .filter_map(|(backup, until)| Some((until, destination.copies.get(&backup)?)))
        .collect();
    // What others build on comes first.
    short.sort_by_key(|(_, (backup, _))| backup.sequence);
    for (until, copy) in short {
        lock_backup(environment, place, copy, until)?;
        report.locked.push(copy.0.id);
        report.until = report.until.max(Some(until));
    }
    if let (Some(until), Some((_, replica))) = (report.until, destination.copies.values().next())
        && !report.locked.is_empty()
    {
        lock_keys(environment, &SetFolder::of_replica(place, replica)?.0, until)?;
    }
    Ok(())
}

/// Locks every object of a backup; its manifest last, so that what is locked for less than it is never without it.
fn lock_backup(
    environment: &Environment,
    place: &Place,
    (backup, replica): &(Backup, Replica),
    until: Timestamp,
) -> Result<()> {
    let act = || format!("locking the backup {} at {}", backup.id.short(), place.record.title);
    let (set_folder, folder) = SetFolder::of_replica(place, replica)?;
    let signed = set_folder.manifest(environment, folder)?;
    let parts = signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts);
    let names = parts.map(|part| part.name.as_str()).chain([MANIFEST_NAME]);
    for name in names {
        let name = set_folder.object(&format!("{folder}/{name}"))?;
        backstock_host::failpoint::reach("lock.before_object").doing(act())?;
        environment.wait(place.storage.lock(&name, until)).doing(act())?;
    }
    let lock = ReplicaLock { backup: backup.id, storage: place.record.id, until };
    environment.wait(environment.catalog.save_lock(&lock)).doing(act())
}

/// What opens sealed backups must be there as long as they are.
fn lock_keys(environment: &Environment, folder: &SetFolder, until: Timestamp) -> Result<()> {
    for name in folder.key_objects(environment)? {
        let act = format!("locking {name} at {}", folder.place.record.title);
        environment.wait(folder.place.storage.lock(&name, until)).doing(act)?;
    }
    Ok(())
}

fn locks_on_record(
    environment: &Environment,
    destination: &DestinationPlan,
) -> Result<HashMap<BackupId, Timestamp>> {
    let locks = environment.wait(environment.catalog.list_locks()).doing("reading what is locked")?;
    let here = locks.into_iter().filter(|lock| lock.storage == destination.storage.id);
    Ok(here.map(|lock| (lock.backup, lock.until)).collect())
}
