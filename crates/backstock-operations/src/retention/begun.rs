//! Deletions that have begun where nothing may be deleted any more: the last verified backup was lost, or turned out to be
//! damaged, while they were under way. What is still there may now be the best there is.
//!
//! A deletion takes the manifest before the data. Where the manifest is gone, the backup is, and its leftovers go too; where it
//! is there, nothing of the data was touched: the backup is given back, without its tombstone, and unproven.

use backstock_vocabulary::ReplicaState;

use super::act::Pruned;
use super::deletion::{Deleted, Target};
use super::gather::DestinationPlan;
use crate::destination::{Place, Refusal};
use crate::environment::Environment;
use crate::error::{Doing, Result, chain};

/// Gives back what is whole of the deletions that have begun at a destination without a floor, and ends the others.
pub(super) fn settle_begun(
    environment: &Environment,
    destination: &DestinationPlan,
    pruned: &mut Pruned,
) -> Result<()> {
    let begun = destination.plan.backups.iter().filter(|verdict| verdict.state.is_going());
    let begun: Vec<_> = begun.filter_map(|verdict| destination.copies.get(&verdict.backup)).collect();
    if begun.is_empty() {
        return Ok(());
    }
    let place = Place::of_record(environment, destination.storage.id)?;
    for copy in begun {
        let target = Target::of(&place, copy)?;
        // An empty mount point would look like a manifest that is gone.
        target.set_folder().require_own(environment)?;
        if target.has_manifest(environment)? {
            give_back(environment, &target, copy)?;
            pruned.given_back.push(copy.0.id);
        } else if target.delete(environment)? == Deleted::Gone {
            // Without a manifest there is nothing that a storage could retain as a backup.
            pruned.deleted.push(copy.0.id);
            pruned.freed_bytes += copy.0.stored_bytes;
        }
    }
    Ok(())
}

fn give_back(
    environment: &Environment,
    target: &Target<'_>,
    (backup, replica): &(backstock_catalog::Backup, backstock_catalog::Replica),
) -> Result<()> {
    let act = || format!("giving back the backup {}", backup.id.short());
    let is_whole = target.require_present(environment).is_ok();
    match target.set_folder().unbury(environment, backup) {
        // Where nothing can be deleted, its tombstone stays too, and says nothing of what is decided now.
        Err(error) if Refusal::of(&error).is_some() => {
            tracing::info!(backup = backup.id.short(), error = chain(&error), "a tombstone stays");
        }
        other => other?,
    }
    backstock_host::failpoint::reach("prune.before_give_back").doing(act())?;
    let state = if is_whole { ReplicaState::Present } else { ReplicaState::Damaged };
    let taken_back = [(backup.id, replica.storage)];
    environment.wait(environment.catalog.take_back_deletion(taken_back[0], state)).doing(act())
}
