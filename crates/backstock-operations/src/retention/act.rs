//! Acting on a plan: marks are set and taken back, and what was marked long enough is deleted. Nothing else in the
//! product deletes a backup. Data is lost here.
//!
//! Before the first deletion at a destination its owner file must say that this instance writes there, and the chain that
//! is the floor is looked at on the spot: an empty mount point, a moved folder or another machine's folder stops it.

use std::collections::BTreeSet;

use backstock_catalog::{Confirmation, Mark};
use backstock_vocabulary::{BackupId, MarkCause, RunKind, StorageId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::begun::settle_begun;
use super::brake::Brake;
use super::deletion::{Deleted, Target};
use super::facts::Wish;
use super::gather::{DestinationPlan, PrunePlan};
use super::reasons::{Decision, GoReason, KeepReason};
use crate::destination::Place;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::Monitor;
use crate::run::{RunRecord, RunSubject};

/// What a prune came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PruneReport {
    /// The shop.
    pub shop: String,
    /// Each set at each destination.
    pub destinations: Vec<Pruned>,
}

/// What came of one set at one destination.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    /// The set.
    pub set: String,
    /// The storage.
    pub storage: String,
    /// Newly marked: they go when their grace is over.
    pub marked: Vec<BackupId>,
    /// Whose mark was taken back.
    pub kept_again: Vec<BackupId>,
    /// Still marked, within their grace.
    pub waiting: Vec<BackupId>,
    /// Whose deletion had begun, and that are there again, since nothing verified is left.
    pub given_back: Vec<BackupId>,
    /// That should be gone, and that the storage does not let go of: they stay, and each prune tries again.
    pub retained: Vec<BackupId>,
    /// Deleted.
    pub deleted: Vec<BackupId>,
    /// Length of what was deleted, in bytes.
    pub freed_bytes: u64,
    /// What a person must confirm before anything goes.
    pub held_by: Vec<Brake>,
}

/// Acts on a plan. With `is_confirmed` a person has answered the brakes; with `skips_grace` what is marked goes at once.
///
/// # Errors
/// [`ErrorKind::Refused`] where another instance writes, [`ErrorKind::Storage`] and [`ErrorKind::Damaged`] where the floor is
/// not there: nothing was deleted then.
pub fn prune(
    environment: &Environment,
    mut plan: PrunePlan,
    is_confirmed: bool,
    skips_grace: bool,
    monitor: &dyn Monitor,
) -> Result<PruneReport> {
    let mut report = PruneReport { shop: plan.shop.title.clone(), destinations: Vec::new() };
    let set = plan.destinations.first().map(|destination| &destination.set);
    let subject = RunSubject {
        kind: RunKind::Prune,
        shop: plan.shop.id,
        shop_title: plan.shop.title.clone(),
        set: set.map(|set| set.id),
        set_title: set.map(|set| set.title.clone()).unwrap_or_default(),
    };
    let lock = plan.lock.take().ok_or_else(|| {
        OperationError::plain(ErrorKind::Failed, "a plan that was only looked at cannot be acted on")
    })?;
    // A run that has nothing to do leaves no line in the log.
    let has_work = plan.destinations.iter().any(|destination| destination.has_work(&plan.wish));
    let (mut run, _lock) = if has_work {
        (Some(RunRecord::start_locked(environment, &subject, serde_json::json!({}), lock)?), None)
    } else {
        (None, Some(lock))
    };
    let mut result = Ok(());
    for destination in &plan.destinations {
        let act = Act { environment, destination, wish: &plan.wish, is_confirmed, skips_grace, monitor };
        let mut pruned = Pruned {
            set: destination.set.title.clone(),
            storage: destination.storage.title.clone(),
            ..Pruned::default()
        };
        result = act.run(&mut pruned);
        report.destinations.push(pruned);
        if result.is_err() {
            break;
        }
    }
    if let Some(mut run) = run.take() {
        run.detail = serde_json::json!({ "destinations": report.destinations });
        result = run.close(environment, result);
    }
    result.map(|()| report)
}

/// Deletes what is marked at a destination, whether its grace is over or not; nothing where a brake holds.
pub(super) fn delete_marked(
    environment: &Environment,
    destination: &DestinationPlan,
    monitor: &dyn Monitor,
    pruned: &mut Pruned,
) -> Result<()> {
    let plan = &destination.plan;
    if plan.floor.is_none() || plan.shortage.is_some() || !plan.brakes.is_empty() {
        return Ok(());
    }
    let marked: Vec<_> = plan.going().filter(|verdict| verdict.mark.is_some()).collect();
    if marked.is_empty() {
        return Ok(());
    }
    let place = Place::of_record(environment, destination.storage.id)?;
    let wish = Wish::Policy;
    let act = Act { environment, destination, wish: &wish, is_confirmed: false, skips_grace: true, monitor };
    act.require_safe_ground(&place)?;
    for verdict in marked {
        let Some(copy) = destination.copies.get(&verdict.backup) else { continue };
        if Target::of(&place, copy)?.delete(environment)? == Deleted::Gone {
            pruned.deleted.push(verdict.backup);
            pruned.freed_bytes += copy.0.stored_bytes;
        }
    }
    Ok(())
}

impl DestinationPlan {
    fn has_work(&self, wish: &Wish) -> bool {
        self.plan.going().next().is_some() || (*wish == Wish::Policy && !self.marks.is_empty())
    }
}

/// One set at one destination, being pruned.
struct Act<'a> {
    environment: &'a Environment,
    destination: &'a DestinationPlan,
    wish: &'a Wish,
    is_confirmed: bool,
    skips_grace: bool,
    monitor: &'a dyn Monitor,
}

impl Act<'_> {
    fn run(&self, pruned: &mut Pruned) -> Result<()> {
        let plan = &self.destination.plan;
        if plan.floor.is_none() || plan.shortage.is_some() {
            return settle_begun(self.environment, self.destination, pruned);
        }
        if !self.is_confirmed && !plan.brakes.is_empty() {
            pruned.held_by.clone_from(&plan.brakes);
            return Ok(());
        }
        let now = self.environment.host.clock.now();
        if plan.going().next().is_some() {
            let place = Place::of_record(self.environment, self.destination.storage.id)?;
            self.require_safe_ground(&place)?;
            self.mark(now, pruned)?;
            self.delete_what_is_due(&place, now, pruned)?;
        } else {
            self.mark(now, pruned)?;
        }
        self.remember(now)
    }

    /// The owner file and the floor, seen at the place itself.
    fn require_safe_ground(&self, place: &Place) -> Result<()> {
        let mut swept: BTreeSet<String> = BTreeSet::new();
        for verdict in &self.destination.plan.backups {
            let is_floor = match &verdict.decision {
                Decision::Keep(reasons) => reasons.contains(&KeepReason::Floor),
                Decision::Go(_) => false,
            };
            let Some(copy) = self.destination.copies.get(&verdict.backup) else { continue };
            let target = Target::of(place, copy)?;
            if is_floor {
                target.set_folder().require_own(self.environment)?;
                target.require_present(self.environment)?;
            } else if !verdict.decision.is_keep() {
                target.set_folder().require_own(self.environment)?;
                // What a deletion that died or failed has not written to its end.
                if swept.insert(target.set_folder().name.clone()) {
                    target.set_folder().sweep_unfinished(self.environment)?;
                }
            }
        }
        Ok(())
    }

    /// Marks what goes, and takes back the marks of what stays.
    fn mark(&self, now: Timestamp, pruned: &mut Pruned) -> Result<()> {
        let act = "marking what goes";
        let storage = self.destination.storage.id;
        let mut marks = Vec::new();
        for verdict in self.destination.plan.going() {
            let cause = match &verdict.decision {
                Decision::Go(reasons) if reasons.contains(&GoReason::UnderWay) => continue,
                Decision::Go(reasons) if reasons.contains(&GoReason::ByHand) => MarkCause::ByHand,
                _ => MarkCause::Policy,
            };
            if verdict.mark != Some(cause) {
                marks.push(Mark { backup: verdict.backup, storage, cause, marked: now });
                pruned.marked.push(verdict.backup);
            }
        }
        // A deletion by hand says nothing about what the policy has marked.
        let stays = |verdict: &&super::plan::Verdict| verdict.decision.is_keep() && verdict.mark.is_some();
        let all = self.destination.plan.backups.iter().filter(|_| *self.wish == Wish::Policy);
        let taken_back: Vec<(BackupId, StorageId)> =
            all.filter(stays).map(|verdict| (verdict.backup, storage)).collect();
        pruned.kept_again = taken_back.iter().map(|(backup, _)| *backup).collect();
        if marks.is_empty() && taken_back.is_empty() {
            return Ok(());
        }
        backstock_host::failpoint::reach("prune.before_mark").doing(act)?;
        self.environment.wait(self.environment.catalog.change_marks(&marks, &taken_back)).doing(act)?;
        backstock_host::failpoint::reach("prune.marked").doing(act)
    }

    /// Deletes what was marked long enough, and what is being deleted already; children before what they build on.
    fn delete_what_is_due(&self, place: &Place, now: Timestamp, pruned: &mut Pruned) -> Result<()> {
        let grace = SignedDuration::from_hours(i64::from(self.destination.plan.policy.grace_hours));
        let mut refusal = None;
        for verdict in self.destination.plan.going() {
            let Some(copy) = self.destination.copies.get(&verdict.backup) else { continue };
            let since = self.destination.marks.get(&verdict.backup).map_or(now, |mark| mark.marked);
            let is_due = verdict.state.is_going()
                || (self.skips_grace && self.is_asked_now(verdict.backup))
                || since.checked_add(grace).is_ok_and(|end| end <= now);
            if !is_due {
                pruned.waiting.push(verdict.backup);
                continue;
            }
            if self.monitor.is_cancelled() {
                let message = "stopped by a signal; what was begun is finished by the next prune";
                return Err(OperationError::plain(ErrorKind::Interrupted, message));
            }
            match Target::of(place, copy)?.delete_unless_refused(self.environment, refusal)? {
                Deleted::Gone => {
                    pruned.deleted.push(verdict.backup);
                    pruned.freed_bytes += copy.0.stored_bytes;
                    self.monitor.item(&copy.0.folder);
                }
                Deleted::NotAny => pruned.kept_again.push(verdict.backup),
                Deleted::Retained(why) => {
                    refusal = Some(why);
                    pruned.retained.push(verdict.backup);
                }
            }
        }
        Ok(())
    }

    /// Whether this very call is about a backup; one that was asked for before has its grace.
    fn is_asked_now(&self, backup: BackupId) -> bool {
        match self.wish {
            Wish::Policy => true,
            Wish::ByHand(ids) => ids.contains(&backup),
        }
    }

    /// Remembers what was let through: by a person, or within what a person has confirmed before.
    fn remember(&self, now: Timestamp) -> Result<()> {
        let plan = &self.destination.plan;
        let (set, storage) = (self.destination.set.id, self.destination.storage.id);
        let act = "recording the confirmed policy";
        let known = self.environment.wait(self.environment.catalog.confirmation(set, storage)).doing(act)?;
        if *self.wish != Wish::Policy || (known.is_none() && !self.is_confirmed) {
            return Ok(());
        }
        let policy = serde_json::to_value(plan.policy).doing(act)?;
        let is_same = known.is_some_and(|known| known.policy == policy);
        if !is_same && !self.is_confirmed {
            return Ok(());
        }
        let sequence = plan.backups.last().map_or(0, |verdict| verdict.sequence);
        let machine = &self.environment.host.machine;
        let (boot_id, since_boot_ms) = (Some(machine.boot_id()), machine.since_boot_ms());
        let confirmation =
            Confirmation { set, storage, policy, sequence, acted: now, boot_id, since_boot_ms };
        self.environment.wait(self.environment.catalog.save_confirmation(&confirmation)).doing(act)
    }
}
