//! Retention after a backup: what the policy lets go goes without anybody asking, once the new backup has proven that it
//! can be read back. Data is lost here, by the same plan and the same act as in `prune`.

use backstock_catalog::{Confirmation, Shop};
use backstock_storage::LOCAL_KIND;
use backstock_vocabulary::{BackupId, ReplicaState, SetId, StorageId};

use super::act::{PruneReport, prune};
use super::brake::Brake;
use super::facts::RetentionFacts;
use super::gather::{DestinationPlan, PrunePlan, plan_prune};
use super::plan::plan_retention;
use super::policy::RetentionPolicy;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::Monitor;
use crate::verify::read_back_itself;

/// What retention did after a backup.
#[derive(Debug)]
pub struct AfterBackup {
    /// The policy, where this was the set's first backup and it is in force from now on.
    pub begun: Option<RetentionPolicy>,
    /// What was marked and deleted, or what holds it.
    pub report: PruneReport,
}

/// Lets go what the policy says, after a new backup of a set. Brakes hold it as they hold `prune`: nobody is asked here.
///
/// The policy is in force from the first backup that a set makes, since nothing is there that it could take away. Before
/// anything goes, what has not been read back of the new backup's chain is.
///
/// # Errors
/// As [`prune`]; [`ErrorKind::Damaged`] where the new backup is not what was written.
pub fn prune_after_backup(
    environment: &Environment,
    shop: &Shop,
    backup: BackupId,
    policy: RetentionPolicy,
    monitor: &dyn Monitor,
) -> Result<AfterBackup> {
    let mut plan = plan_of_set(environment, shop, backup, policy)?;
    let begun = begin_policy(environment, &plan, backup)?.then_some(policy);
    let foreseen: Vec<Foreseen> =
        plan.destinations.iter().map(|destination| Foreseen::of(destination, backup)).collect();
    let unproven: Vec<(BackupId, Option<StorageId>)> = foreseen
        .iter()
        .filter(|foreseen| foreseen.goes())
        .flat_map(|foreseen| foreseen.unproven.iter().map(|backup| (*backup, foreseen.local)))
        .collect();
    if !unproven.is_empty() {
        // Reading back takes long, and whoever backs up meanwhile need not wait.
        drop(plan);
        backstock_host::failpoint::reach("retention.before_proof").doing("reading back the new backup")?;
        for (backup, storage) in unproven {
            prove(environment, backup, storage, monitor)?;
        }
        plan = plan_of_set(environment, shop, backup, policy)?;
    }
    let mut report = prune(environment, plan, false, false, monitor)?;
    for (pruned, foreseen) in report.destinations.iter_mut().zip(foreseen) {
        // Without a proof nothing is held by a brake: nothing goes. Somebody has to hear of it all the same.
        if pruned.held_by.is_empty() {
            pruned.held_by = foreseen.brakes;
        }
    }
    Ok(AfterBackup { begun, report })
}

/// What would become of a destination if the new backup's chain were proven.
struct Foreseen {
    /// What of the chain nobody has read back yet, the oldest first.
    unproven: Vec<BackupId>,
    /// The storage, where it is a folder of this machine: the copy there is the one to be read.
    local: Option<StorageId>,
    /// Whether anything would be marked or deleted.
    has_going: bool,
    /// What holds it.
    brakes: Vec<Brake>,
}

impl Foreseen {
    fn of(destination: &DestinationPlan, backup: BackupId) -> Self {
        let facts = &destination.facts;
        let unproven = unproven_chain(facts, backup);
        let mut assumed = facts.clone();
        for known in assumed.backups.iter_mut().filter(|known| unproven.contains(&known.id)) {
            known.state = ReplicaState::Verified;
        }
        let plan = plan_retention(&assumed);
        let has_going = plan.going().next().is_some();
        let local = (destination.storage.kind == LOCAL_KIND).then_some(destination.storage.id);
        Self { unproven, local, has_going, brakes: plan.brakes }
    }

    fn goes(&self) -> bool {
        self.has_going && self.brakes.is_empty()
    }
}

/// The plan for the set that the backup belongs to.
fn plan_of_set(
    environment: &Environment,
    shop: &Shop,
    backup: BackupId,
    policy: RetentionPolicy,
) -> Result<PrunePlan> {
    let mut plan = plan_prune(environment, shop, policy)?;
    let set: Option<SetId> = plan
        .destinations
        .iter()
        .find(|destination| destination.copies.contains_key(&backup))
        .map(|destination| destination.set.id);
    plan.destinations.retain(|destination| Some(destination.set.id) == set);
    // A destination that lacks the new backup keeps what it has.
    plan.destinations
        .retain(|destination| destination.row.is_none() || destination.copies.contains_key(&backup));
    Ok(plan)
}

/// Puts the policy in force where the backup is the very first of its set, and where this instance began an empty folder.
fn begin_policy(environment: &Environment, plan: &PrunePlan, backup: BackupId) -> Result<bool> {
    let mut has_begun = false;
    for destination in &plan.destinations {
        let facts = &destination.facts;
        let is_first = matches!(facts.backups.as_slice(), [only] if only.id == backup && only.sequence == 1);
        let was_empty = destination.row.as_ref().is_some_and(|row| row.begun.is_some());
        if facts.remembered.is_some() || !(is_first || was_empty) {
            continue;
        }
        let act = "recording the policy that is in force";
        let confirmation = Confirmation {
            set: destination.set.id,
            storage: destination.storage.id,
            policy: serde_json::to_value(facts.policy).doing(act)?,
            sequence: facts.backups.iter().map(|known| known.sequence).max().unwrap_or(1),
            acted: facts.now,
            boot_id: Some(environment.host.machine.boot_id()),
            since_boot_ms: environment.host.machine.since_boot_ms(),
        };
        environment.wait(environment.catalog.save_confirmation(&confirmation)).doing(act)?;
        has_begun |= is_first;
    }
    Ok(has_begun)
}

fn unproven_chain(facts: &RetentionFacts, backup: BackupId) -> Vec<BackupId> {
    let known = |id: BackupId| facts.backups.iter().find(|known| known.id == id);
    let mut chain = Vec::new();
    let mut next = Some(backup);
    while let Some(id) = next.filter(|id| !chain.contains(id)) {
        chain.push(id);
        next = known(id).and_then(|known| known.parent);
    }
    chain.retain(|id| known(*id).is_some_and(|known| known.state == ReplicaState::Present));
    chain.reverse();
    chain
}

/// Reads a backup back: at that storage, else where it is nearest.
fn prove(
    environment: &Environment,
    backup: BackupId,
    storage: Option<StorageId>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let short = backup.short();
    let act = || format!("looking for the backup {short}");
    let Some(record) = environment.wait(environment.catalog.backup(backup)).doing(act())? else {
        return Ok(());
    };
    let replicas = environment.wait(environment.catalog.replicas(backup)).doing(act())?;
    let replica = replicas.into_iter().find(|replica| Some(replica.storage) == storage);
    let report = read_back_itself(environment, record, replica, monitor)?;
    match report.damage.first() {
        None => Ok(()),
        Some(damage) => Err(OperationError::hinted(
            ErrorKind::Damaged,
            format!(
                "the backup {short} does not read back as it was written: {}: {}",
                damage.part, damage.what
            ),
            "nothing was deleted; look at that disk, and make another backup",
        )),
    }
}
