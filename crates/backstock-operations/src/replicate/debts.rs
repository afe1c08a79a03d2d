//! What a new backup owes to the destinations of its set.

use backstock_catalog::{Destination, Replica};
use backstock_vocabulary::{BackupId, Reason, ReplicaState, SetId, StorageId};

use super::plan::set_folder_at;
use crate::environment::Environment;
use crate::error::{Doing, Result};

/// The replicas that are to be made of a backup that lies in `folder` (the set's folder and its own) at the storage `there`. They
/// go on record together with it.
pub(crate) fn debts_of(
    environment: &Environment,
    set: SetId,
    (backup, reason): (BackupId, Reason),
    (there, folder): (StorageId, &str),
) -> Result<Vec<Replica>> {
    if reason == Reason::PreRestore {
        return Ok(Vec::new());
    }
    let destinations =
        environment.wait(environment.catalog.destinations(set)).doing("listing the destinations")?;
    let is_owed = |destination: &&Destination| destination.is_on && destination.storage != there;
    Ok(destinations.iter().filter(is_owed).map(|destination| debt(destination, backup, folder)).collect())
}

/// One replica that is still to be made.
pub(super) fn debt(destination: &Destination, backup: BackupId, folder: &str) -> Replica {
    Replica {
        backup,
        storage: destination.storage,
        folder: set_folder_at(destination, folder),
        state: ReplicaState::Absent,
        proof: None,
        checked: None,
    }
}
