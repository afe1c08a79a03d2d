//! Required copies: how many whole replicas the newest backup of a set must have. Below that nothing is deleted anywhere,
//! since what is older may be what a destination lacks.

use std::collections::{HashMap, HashSet};
use std::fmt;

use backstock_catalog::{Backup, Replica};
use backstock_vocabulary::{BackupId, StorageId};
use serde::Serialize;

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::levels::can_be_a_parent;

/// The newest backup of a set has fewer whole replicas than the set requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// That backup.
    pub backup: BackupId,
    /// Its replicas that are whole, with all that it builds on at the same storage.
    pub whole: u32,
    /// How many there must be.
    pub required: u32,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backup, whole, required } = self;
        write!(f, "the backup {} has {whole} of {required} required copies", backup.short())
    }
}

/// Whether a set lacks copies, judged by its newest backup that was made for itself: no snapshot, no imported dump, and not
/// a stranger's. None where there is no such backup.
pub(super) fn shortage_among(
    backups: &[&Backup],
    replicas: &HashMap<BackupId, Vec<Replica>>,
    strangers: &HashSet<BackupId>,
    required: u32,
) -> Option<Shortage> {
    let ordinary =
        backups.iter().filter(|backup| can_be_a_parent(backup.reason) && !strangers.contains(&backup.id));
    let newest = ordinary.max_by_key(|backup| (backup.sequence, backup.id))?;
    let whole = whole_copies(backups, replicas, newest);
    (whole < required).then_some(Shortage { backup: newest.id, whole, required })
}

/// Whether a backup that was just made lacks copies.
pub(crate) fn shortage_of(
    environment: &Environment,
    backup: BackupId,
    required: u32,
) -> Result<Option<Shortage>> {
    let act = || format!("counting the copies of the backup {}", backup.short());
    let catalog = &environment.catalog;
    let Some(record) = environment.wait(catalog.backup(backup)).doing(act())? else { return Ok(None) };
    let backups = environment.wait(catalog.list_backups(Some(record.shop))).doing(act())?;
    let backups: Vec<&Backup> = backups.iter().collect();
    let mut replicas: HashMap<BackupId, Vec<Replica>> = HashMap::new();
    for replica in environment.wait(catalog.list_replicas()).doing(act())? {
        replicas.entry(replica.backup).or_default().push(replica);
    }
    let whole = whole_copies(&backups, &replicas, &record);
    Ok((whole < required).then_some(Shortage { backup, whole, required }))
}

/// At how many storages a backup is there with all that it builds on.
fn whole_copies(backups: &[&Backup], replicas: &HashMap<BackupId, Vec<Replica>>, of: &Backup) -> u32 {
    let parents: HashMap<BackupId, Option<BackupId>> =
        backups.iter().map(|backup| (backup.id, backup.parent)).collect();
    let is_at = |backup: BackupId, storage: StorageId| {
        let is_good = |replica: &&Replica| replica.state.is_there() && replica.storage == storage;
        replicas.get(&backup).into_iter().flatten().any(|replica| is_good(&replica))
    };
    let is_whole_at = |storage: StorageId| {
        // A chain is no longer than there are backups: a circle ends there.
        let mut next = Some(of.id);
        for _ in 0..=backups.len() {
            let Some(backup) = next else { return true };
            if !is_at(backup, storage) {
                return false;
            }
            next = parents.get(&backup).copied().flatten();
        }
        false
    };
    let storages: HashSet<StorageId> =
        replicas.get(&of.id).into_iter().flatten().map(|replica| replica.storage).collect();
    let count = storages.into_iter().filter(|storage| is_whole_at(*storage)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use backstock_vocabulary::{Content, InstanceId, Level, Reason, ReplicaState, RunId, SetId, ShopId};

    use super::*;

    fn backup(sequence: u64, parent: Option<u64>, reason: Reason) -> Backup {
        let id = |number: u64| BackupId::from_parts(number, [7; 10]);
        Backup {
            id: id(sequence),
            shop: ShopId::from_parts(1, [1; 10]),
            set: SetId::from_parts(1, [1; 10]),
            run: RunId::from_parts(sequence, [1; 10]),
            instance: InstanceId::from_parts(1, [1; 10]),
            sequence,
            level: if parent.is_some() { Level::Incremental } else { Level::Full },
            reason,
            content: Content::Whole,
            started: jiff::Timestamp::UNIX_EPOCH,
            finished: jiff::Timestamp::UNIX_EPOCH,
            parent: parent.map(id),
            folder: String::new(),
            definition_hash: String::new(),
            manifest_hash: String::new(),
            stored_bytes: 0,
            exceptions: 0,
            notes: 0,
            detail: serde_json::Value::Null,
        }
    }

    fn replicas(of: &[(u64, u64, ReplicaState)]) -> HashMap<BackupId, Vec<Replica>> {
        let mut found: HashMap<BackupId, Vec<Replica>> = HashMap::new();
        for (sequence, storage, state) in of {
            let backup = BackupId::from_parts(*sequence, [7; 10]);
            let storage = StorageId::from_parts(*storage, [1; 10]);
            let (folder, proof, checked) = (String::new(), None, None);
            let replica = Replica { backup, storage, folder, state: *state, proof, checked };
            found.entry(backup).or_default().push(replica);
        }
        found
    }

    #[test]
    fn a_copy_is_whole_where_all_that_it_builds_on_is_too() {
        use ReplicaState::{Damaged, Present, Verified};
        let (full, child) = (backup(1, None, Reason::Manual), backup(2, Some(1), Reason::Scheduled));
        let snapshot = backup(3, None, Reason::PreRestore);
        let all = [&full, &child, &snapshot];
        let none = HashSet::new();
        let whole = |known: &[(u64, u64, ReplicaState)]| {
            shortage_among(&all, &replicas(known), &none, 9).map(|shortage| (shortage.backup, shortage.whole))
        };
        let at_both = [(1, 1, Verified), (2, 1, Present), (1, 2, Present), (2, 2, Present)];
        assert_eq!(whole(&at_both), Some((child.id, 2)), "a snapshot does not decide");
        assert_eq!(whole(&[(1, 1, Verified), (2, 1, Present), (2, 2, Present)]), Some((child.id, 1)));
        assert_eq!(whole(&[(1, 1, Damaged), (2, 1, Present)]), Some((child.id, 0)));
        assert_eq!(whole(&[]), Some((child.id, 0)));
        let enough = |required| shortage_among(&all, &replicas(&at_both), &none, required).is_none();
        assert!(enough(1) && enough(2) && !enough(3));
        // A stranger's decides nothing, and a circle has no end.
        let strangers = HashSet::from([child.id]);
        let of_full = shortage_among(&all, &replicas(&at_both), &strangers, 3).unwrap();
        assert_eq!((of_full.backup, of_full.whole), (full.id, 2));
        let (one, two) = (backup(1, Some(2), Reason::Manual), backup(2, Some(1), Reason::Manual));
        assert_eq!(shortage_among(&[&one, &two], &replicas(&at_both), &none, 1).unwrap().whole, 0);
    }
}
