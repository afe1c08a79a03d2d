//! From the catalog to a plan: what is known of each set at each destination, under the lock of the shop.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use backstock_catalog::{Backup, Confirmation, Destination, Mark, Replica, Set, Shop, Storage};
use backstock_host::lock::Lock;
use backstock_vocabulary::{BackupId, MarkCause, ReplicaState, SetId, StorageId};

use super::copies::{Shortage, shortage_among};
use super::facts::{KnownBackup, Remembered, RetentionFacts, Wish};
use super::plan::{RetentionPlan, plan_retention};
use super::policy::RetentionPolicy;
use super::reasons::Decision;
use crate::accepted::Accepted;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::lease::leased;
use crate::restore::open_restores;
use crate::run::{close_dead_runs, lock_shop};
use crate::show::shop_of;

/// What stays and what goes of a shop, at each destination of each of its sets. Holds the shop's lock, so that it is
/// still true when it is acted on; a plan that is only looked at holds none.
#[derive(Debug)]
pub struct PrunePlan {
    /// The shop.
    pub shop: Shop,
    /// Each set at each destination.
    pub destinations: Vec<DestinationPlan>,
    pub(super) wish: Wish,
    pub(super) lock: Option<Lock>,
}

/// What stays and what goes of one set at one destination.
#[derive(Debug)]
pub struct DestinationPlan {
    /// The set.
    pub set: Set,
    /// The storage.
    pub storage: Storage,
    /// The set's row for it; none for the place where the backups are made.
    pub(super) row: Option<Destination>,
    /// The verdicts.
    pub plan: RetentionPlan,
    /// Backups that a stranger signed: no rule is about them, and they go by hand.
    pub strangers: Vec<BackupId>,
    pub(super) facts: RetentionFacts,
    pub(super) copies: HashMap<BackupId, (Backup, Replica)>,
    pub(super) marks: HashMap<BackupId, Mark>,
}

/// What the policy says of a shop's backups.
pub fn plan_prune(environment: &Environment, shop: &Shop, policy: RetentionPolicy) -> Result<PrunePlan> {
    gather(environment, shop, policy, Wish::Policy)
}

/// The deletion of one backup by hand, wherever it is.
///
/// # Errors
/// [`ErrorKind::Refused`] with the reasons for which it stays: a pin, the floor, a backup that builds on it …
pub fn plan_delete(environment: &Environment, backup: &Backup, policy: RetentionPolicy) -> Result<PrunePlan> {
    let shop = shop_of(environment, backup.shop)?;
    let mut plan = gather(environment, &shop, policy, Wish::ByHand(BTreeSet::from([backup.id])))?;
    plan.destinations.retain(|destination| destination.copies.contains_key(&backup.id));
    let short = backup.id.short();
    if plan.destinations.is_empty() {
        let message = format!("no storage holds the backup {short}");
        return Err(OperationError::plain(ErrorKind::NotFound, message));
    }
    for destination in &plan.destinations {
        let verdict = destination.plan.verdict(backup.id);
        if let Some(Decision::Keep(_)) = verdict.map(|verdict| &verdict.decision) {
            let reasons = verdict.map(|verdict| verdict.decision.texts().join("; ")).unwrap_or_default();
            return Err(OperationError::hinted(
                ErrorKind::Refused,
                format!("the backup {short} stays at {}: {reasons}", destination.storage.title),
                "`backstock unpin` lets a pinned one go; after `backstock backup` and `backstock verify latest` an older \
                 one is no longer the last that can be restored",
            ));
        }
    }
    Ok(plan)
}

/// All that is on record beside the backups themselves.
struct Records {
    replicas: HashMap<BackupId, Vec<Replica>>,
    marks: Vec<Mark>,
    pinned: HashSet<BackupId>,
    needed: HashSet<BackupId>,
    strangers: HashSet<BackupId>,
    leased: HashSet<BackupId>,
    accepted: Accepted,
}

impl Records {
    fn read(environment: &Environment) -> Result<Self> {
        let act = "reading what is known of the backups";
        let catalog = &environment.catalog;
        let mut replicas: HashMap<BackupId, Vec<Replica>> = HashMap::new();
        for replica in environment.wait(catalog.list_replicas()).doing(act)? {
            replicas.entry(replica.backup).or_default().push(replica);
        }
        let pins = environment.wait(catalog.list_pins()).doing(act)?;
        let journals = open_restores(environment)?;
        Ok(Self {
            replicas,
            marks: environment.wait(catalog.list_marks()).doing(act)?,
            strangers: environment.wait(catalog.list_strangers()).doing(act)?.into_iter().collect(),
            pinned: pins.into_iter().map(|pin| pin.backup).collect(),
            needed: journals
                .iter()
                .flat_map(|journal| [Some(journal.backup), journal.snapshot])
                .flatten()
                .collect(),
            leased: leased(environment)?.into_iter().collect(),
            accepted: Accepted::read(environment)?,
        })
    }
}

fn gather(environment: &Environment, shop: &Shop, policy: RetentionPolicy, wish: Wish) -> Result<PrunePlan> {
    let lock = if environment.may_write { Some(lock_shop(environment, shop.id, &shop.title)?) } else { None };
    close_dead_runs(environment, lock.as_ref().map(|_| shop.id))?;
    let destinations = gather_within(environment, shop, policy, &wish)?;
    Ok(PrunePlan { shop: shop.clone(), destinations, wish, lock })
}

/// The same for a run that has the shop's lock already.
pub(super) fn gather_within(
    environment: &Environment,
    shop: &Shop,
    policy: RetentionPolicy,
    wish: &Wish,
) -> Result<Vec<DestinationPlan>> {
    let records = Records::read(environment)?;
    let act = || format!("listing the backups of {}", shop.title);
    let backups = environment.wait(environment.catalog.list_backups(Some(shop.id))).doing(act())?;
    let mut copies: BTreeMap<(SetId, StorageId), Vec<(Backup, Replica)>> = BTreeMap::new();
    for backup in &backups {
        for replica in
            records.replicas.get(&backup.id).into_iter().flatten().filter(|replica| is_here(replica))
        {
            let place = (backup.set, replica.storage);
            copies.entry(place).or_default().push((backup.clone(), replica.clone()));
        }
    }
    let mut destinations = Vec::new();
    for ((set, storage), copies) in copies {
        let set = environment.wait(environment.catalog.find_set(set)).doing(act())?;
        let storage = environment.wait(environment.catalog.find_storage(storage)).doing(act())?;
        let (Some(set), Some(storage)) = (set, storage) else { continue };
        let of_set: Vec<&Backup> = backups.iter().filter(|backup| backup.set == set.id).collect();
        let rows = environment.wait(environment.catalog.destinations(set.id)).doing(act())?;
        let row = rows.into_iter().find(|row| row.storage == storage.id);
        let policy = row.as_ref().map_or(policy, |row| policy_at(policy, row));
        let required = policy.required_copies;
        let shortage = shortage_among(&of_set, &records.replicas, &records.strangers, required);
        let asked = Asked { policy, wish, shortage };
        destinations.push(destination(environment, &records, (set, storage, row), copies, &asked)?);
    }
    Ok(destinations)
}

/// What the policy of a set means at a destination that says itself how many copies it keeps.
fn policy_at(policy: RetentionPolicy, row: &Destination) -> RetentionPolicy {
    match row.copies {
        None => policy,
        Some(copies) => RetentionPolicy {
            keep_last: copies,
            delete_after_days: None,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            ..policy
        },
    }
}

/// Whether something of the backup is at the destination, as far as is known.
fn is_here(replica: &Replica) -> bool {
    replica.state.is_there() || replica.state.is_going() || replica.state == ReplicaState::Damaged
}

/// What is asked for, and what stands against it at every destination of the set.
struct Asked<'a> {
    policy: RetentionPolicy,
    wish: &'a Wish,
    shortage: Option<Shortage>,
}

fn destination(
    environment: &Environment,
    records: &Records,
    (set, storage, row): (Set, Storage, Option<Destination>),
    mut copies: Vec<(Backup, Replica)>,
    asked: &Asked<'_>,
) -> Result<DestinationPlan> {
    let Asked { policy, wish, shortage } = *asked;
    let is_stranger = |backup: BackupId| {
        let is_asked = matches!(wish, Wish::ByHand(ids) if ids.contains(&backup));
        records.strangers.contains(&backup) && !is_asked
    };
    let strangers = copies.iter().map(|copy| copy.0.id).filter(|id| is_stranger(*id)).collect();
    copies.retain(|copy| !is_stranger(copy.0.id));
    let marks: HashMap<BackupId, Mark> = records
        .marks
        .iter()
        .filter(|mark| mark.storage == storage.id)
        .map(|mark| (mark.backup, mark.clone()))
        .collect();
    let confirmation = environment
        .wait(environment.catalog.confirmation(set.id, storage.id))
        .doing("looking for the confirmed policy")?;
    let remembered = confirmation.map(|confirmation| Remembered {
        policy: serde_json::from_value(confirmation.policy.clone()).ok(),
        sequence: confirmation.sequence,
        acted: confirmation.acted,
        passed_ms: passed_ms(environment, &confirmation),
    });
    let backups = copies
        .iter()
        .map(|(backup, replica)| {
            let mark = marks.get(&backup.id).map(|mark| mark.cause);
            known(environment, records, (backup, replica), mark)
        })
        .collect::<Result<_>>()?;
    let now = environment.host.clock.now();
    let facts = RetentionFacts { policy, wish: wish.clone(), shortage, backups, now, remembered };
    let copies = copies.into_iter().map(|copy| (copy.0.id, copy)).collect();
    Ok(DestinationPlan { set, storage, row, plan: plan_retention(&facts), strangers, facts, copies, marks })
}

/// How much time has passed since a confirmation, where the machine has not been started anew.
fn passed_ms(environment: &Environment, confirmation: &Confirmation) -> Option<u64> {
    let machine = &environment.host.machine;
    let boot_id = confirmation.boot_id.as_ref().filter(|boot| !boot.is_empty())?;
    if *boot_id != machine.boot_id() {
        return None;
    }
    machine.since_boot_ms()?.checked_sub(confirmation.since_boot_ms?)
}

fn known(
    environment: &Environment,
    records: &Records,
    (backup, replica): (&Backup, &Replica),
    mark: Option<MarkCause>,
) -> Result<KnownBackup> {
    Ok(KnownBackup {
        id: backup.id,
        sequence: backup.sequence,
        level: backup.level,
        parent: backup.parent,
        reason: backup.reason,
        content: backup.content,
        started: backup.started,
        state: replica.state,
        is_pinned: records.pinned.contains(&backup.id),
        is_needed: records.needed.contains(&backup.id),
        is_being_read: records.leased.contains(&backup.id),
        is_confirmed: records.accepted.is_confirmed(backup.id),
        has_open_exceptions: records.accepted.has_open_exceptions(environment, backup)?,
        mark,
    })
}
