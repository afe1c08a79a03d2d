//! The plan of a replication: what each destination lacks, in the order in which it may arrive. A value; nothing is done.

use std::collections::{BTreeMap, HashMap, HashSet};

use backstock_catalog::{Backup, Destination, Replica, Set, Shop, Storage};
use backstock_storage::LOCAL_KIND;
use backstock_vocabulary::{BackupId, ReplicaState, StorageId};

use crate::environment::Environment;
use crate::error::{Doing, Result};

/// What is to be copied where.
#[derive(Debug, Clone)]
pub(crate) struct ReplicationPlan {
    /// Each destination that is on.
    pub(crate) destinations: Vec<DestinationPlan>,
    /// Whether to become the writer of folders that another instance wrote to.
    pub(crate) take_over: bool,
}

/// What one destination lacks.
#[derive(Debug, Clone)]
pub(crate) struct DestinationPlan {
    pub(crate) destination: Destination,
    pub(crate) storage: Storage,
    /// Backups that it lacks, parents first.
    pub(crate) lacking: Vec<LackingBackup>,
    /// Backups of the set that are not there and do not go there.
    pub(crate) elsewhere: Vec<Backup>,
}

/// One backup that a destination lacks.
#[derive(Debug, Clone)]
pub(crate) struct LackingBackup {
    pub(crate) backup: Backup,
    /// Whether it is owed itself, and not only what that builds on.
    pub(crate) is_owed: bool,
    /// The set's folder and its own at the destination.
    pub(crate) folder: String,
    /// Where it can be read, the nearest first. Empty: no storage holds it any more.
    pub(crate) sources: Vec<Replica>,
}

impl ReplicationPlan {
    /// Length of all copies, in bytes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let lacking = self.destinations.iter().flat_map(|destination| &destination.lacking);
        lacking.map(|lacking| lacking.backup.stored_bytes).sum()
    }
}

/// The folder of a set, or one below it, at a destination.
pub(crate) fn set_folder_at(destination: &Destination, folder: &str) -> String {
    match destination.path.as_str() {
        "" => folder.to_owned(),
        path => format!("{path}/{folder}"),
    }
}

/// Plans what the destinations of a set lack: what is owed to them, and whatever that builds on.
pub(crate) fn plan_replication(
    environment: &Environment,
    shop: &Shop,
    set: &Set,
    take_over: bool,
) -> Result<ReplicationPlan> {
    let act = || format!("looking what the destinations of {} lack", shop.title);
    let catalog = &environment.catalog;
    let rows = environment.wait(catalog.destinations(set.id)).doing(act())?;
    let known = Known {
        backups: environment
            .wait(catalog.list_backups(Some(shop.id)))
            .doing(act())?
            .into_iter()
            .filter(|backup| backup.set == set.id)
            .map(|backup| (backup.id, backup))
            .collect(),
        replicas: by_backup(environment.wait(catalog.list_replicas()).doing(act())?),
        local: environment
            .wait(catalog.list_storages())
            .doing(act())?
            .iter()
            .filter(|storage| storage.kind == LOCAL_KIND)
            .map(|storage| storage.id)
            .collect(),
    };
    let mut destinations = Vec::new();
    for destination in rows.into_iter().filter(|destination| destination.is_on) {
        let Some(storage) = environment.wait(catalog.find_storage(destination.storage)).doing(act())? else {
            continue;
        };
        let lacking = known.lacking(&destination);
        let elsewhere = known.elsewhere(&destination, &lacking);
        destinations.push(DestinationPlan { destination, storage, lacking, elsewhere });
    }
    Ok(ReplicationPlan { destinations, take_over })
}

fn by_backup(replicas: Vec<Replica>) -> HashMap<BackupId, Vec<Replica>> {
    let mut of: HashMap<BackupId, Vec<Replica>> = HashMap::new();
    for replica in replicas {
        of.entry(replica.backup).or_default().push(replica);
    }
    of
}

/// What the catalog knows of a set.
struct Known {
    backups: HashMap<BackupId, Backup>,
    replicas: HashMap<BackupId, Vec<Replica>>,
    local: HashSet<StorageId>,
}

impl Known {
    fn lacking(&self, destination: &Destination) -> Vec<LackingBackup> {
        let mut lacking: BTreeMap<(u64, BackupId), LackingBackup> = BTreeMap::new();
        let owed = self.backups.values().filter(|backup| {
            self.replica(backup.id, destination.storage).is_some_and(|replica| is_owed(replica.state))
        });
        for backup in owed {
            let mut next = Some(backup);
            while let Some(of) = next {
                let is_there =
                    self.replica(of.id, destination.storage).is_some_and(|replica| !is_owed(replica.state));
                if is_there || lacking.contains_key(&(of.sequence, of.id)) {
                    break;
                }
                lacking.insert((of.sequence, of.id), self.lacking_backup(destination, of));
                next = of.parent.and_then(|parent| self.backups.get(&parent));
            }
        }
        lacking.into_values().collect()
    }

    fn elsewhere(&self, destination: &Destination, lacking: &[LackingBackup]) -> Vec<Backup> {
        let goes_there = |id: BackupId| lacking.iter().any(|lacking| lacking.backup.id == id);
        let is_there = |id: BackupId| {
            self.replica(id, destination.storage).is_some_and(|replica| !is_owed(replica.state))
        };
        let backups = self.backups.values();
        backups.filter(|backup| !goes_there(backup.id) && !is_there(backup.id)).cloned().collect()
    }

    fn replica(&self, backup: BackupId, storage: StorageId) -> Option<&Replica> {
        self.replicas.get(&backup).into_iter().flatten().find(|replica| replica.storage == storage)
    }

    fn lacking_backup(&self, destination: &Destination, backup: &Backup) -> LackingBackup {
        let mut sources: Vec<Replica> = self
            .replicas
            .get(&backup.id)
            .into_iter()
            .flatten()
            .filter(|replica| replica.state.is_there())
            .filter(|replica| replica.storage != destination.storage)
            .cloned()
            .collect();
        sources.sort_by_key(|replica| {
            (!self.local.contains(&replica.storage), replica.state != ReplicaState::Verified)
        });
        let known = self.replica(backup.id, destination.storage);
        let set_folder = sources.first().and_then(|source| source.folder.rsplit('/').nth(1));
        let folder = known.map_or_else(
            || set_folder_at(destination, &format!("{}/{}", set_folder.unwrap_or_default(), backup.folder)),
            |known| known.folder.clone(),
        );
        LackingBackup { backup: backup.clone(), is_owed: known.is_some(), folder, sources }
    }
}

/// Whether a replica is still to be made.
pub(crate) fn is_owed(state: ReplicaState) -> bool {
    use ReplicaState::{Absent, Lost, Uploading, WaitingForParent};
    matches!(state, Absent | Uploading | WaitingForParent | Lost)
}
