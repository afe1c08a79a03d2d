//! Room on a full destination: what is marked already goes before its grace is over, so that a new backup can be written.
//! Data is lost here, by the same plan and the same act as in `prune`: never the floor, nothing that is not marked, and
//! nothing that a brake would ask about.

use backstock_catalog::{Set, Shop};
use backstock_vocabulary::{BackupId, StorageId};
use serde::Serialize;

use super::act::{Pruned, delete_marked};
use super::facts::Wish;
use super::gather::gather_within;
use super::policy::RetentionPolicy;
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::monitor::Monitor;

/// What went before its grace was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraceCut {
    /// The backups.
    pub deleted: Vec<BackupId>,
    /// Their length in bytes.
    pub freed_bytes: u64,
}

/// Deletes what is marked of a set at a storage, grace or not. The caller has the lock of the shop. The policy is the one
/// that was let through last: where there is none, nothing goes.
pub(crate) fn cut_grace(
    environment: &Environment,
    shop: &Shop,
    set: &Set,
    storage: StorageId,
    monitor: &dyn Monitor,
) -> Result<Option<GraceCut>> {
    let act = "looking for the policy that is in force";
    let known = environment.wait(environment.catalog.confirmation(set.id, storage)).doing(act)?;
    let policy = known.and_then(|known| serde_json::from_value::<RetentionPolicy>(known.policy).ok());
    let Some(policy) = policy else { return Ok(None) };
    let mut pruned = Pruned::default();
    for destination in gather_within(environment, shop, policy, &Wish::Policy)? {
        if destination.set.id == set.id && destination.storage.id == storage {
            delete_marked(environment, &destination, monitor, &mut pruned)?;
        }
    }
    let Pruned { deleted, freed_bytes, .. } = pruned;
    Ok((!deleted.is_empty()).then_some(GraceCut { deleted, freed_bytes }))
}
