//! The plan: one pure function from what is known to a verdict for every backup.

use backstock_vocabulary::{BackupId, Content, Level, MarkCause, Reason, ReplicaState};
use jiff::Timestamp;
use serde::Serialize;

use super::brake::{Brake, brakes};
use super::chains::Chains;
use super::copies::Shortage;
use super::facts::{KnownBackup, RetentionFacts, Wish};
use super::policy::RetentionPolicy;
use super::reasons::{Decision, GoReason, KeepReason};
use super::slots::places;
use super::standing::{Standing, standings};

/// How many backups that cannot be used are kept to be looked at.
const LEFTOVERS: u32 = 3;
/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 3600;

/// What stays and what goes of one set at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetentionPlan {
    /// The policy.
    pub policy: RetentionPolicy,
    /// The newest backup that is wholly verified. None: nothing goes.
    pub floor: Option<BackupId>,
    /// What copies the set lacks. Some: nothing goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortage: Option<Shortage>,
    /// Every backup, by sequence, the oldest first.
    pub backups: Vec<Verdict>,
    /// What a person must confirm first.
    pub brakes: Vec<Brake>,
}

/// What becomes of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The backup.
    pub backup: BackupId,
    /// Its number within the set.
    pub sequence: u64,
    /// When it was started.
    pub started: Timestamp,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// Why it was made.
    pub reason: Reason,
    /// What it is worth.
    pub content: Content,
    /// The state of its replica here.
    pub state: ReplicaState,
    /// Why it is marked for deletion, where it is.
    pub mark: Option<MarkCause>,
    /// Stays or goes, and why.
    #[serde(flatten)]
    pub decision: Decision,
}

impl RetentionPlan {
    /// The verdict about one backup.
    pub fn verdict(&self, backup: BackupId) -> Option<&Verdict> {
        self.backups.iter().find(|verdict| verdict.backup == backup)
    }

    /// Those that go, children before what they build on.
    pub fn going(&self) -> impl Iterator<Item = &Verdict> {
        self.backups.iter().rev().filter(|verdict| !verdict.decision.is_keep())
    }
}

/// Decides about every backup of a set at a destination.
pub fn plan_retention(facts: &RetentionFacts) -> RetentionPlan {
    let chains = Chains::of(&facts.backups);
    let standings = standings(facts, &chains);
    let newest_counted = |wanted: &dyn Fn(usize) -> bool| {
        (0..standings.len()).rev().find(|&at| standings[at] == Standing::Counted && wanted(at))
    };
    let floor = newest_counted(&|at| chains.is_verified(at));
    let mut kept: Vec<Vec<KeepReason>> = vec![Vec::new(); standings.len()];
    let mut gone: Vec<Vec<GoReason>> = vec![Vec::new(); standings.len()];
    keep_whatever_is_asked(&chains, &standings, floor, facts.shortage.is_some(), &mut kept);
    match facts.wish {
        Wish::Policy => {
            let reference = floor.map(|at| chains.backups[at].started);
            judge_by_policy(facts, &chains, &standings, reference, &mut kept, &mut gone);
        }
        Wish::ByHand(_) => {
            for at in (0..standings.len()).filter(|&at| standings[at] != Standing::ByHand) {
                kept[at].push(KeepReason::NotAsked);
            }
        }
    }
    close(&chains, &standings, &mut kept);
    let backups: Vec<Verdict> = (0..standings.len())
        .map(|at| verdict(&chains.backups[at], decision(standings[at], &kept[at], &gone[at])))
        .collect();
    let brakes = if facts.wish == Wish::Policy {
        let by_policy = |verdict: &&Verdict| {
            !verdict.decision.is_keep()
                && !verdict.state.is_going()
                && verdict.mark != Some(MarkCause::ByHand)
        };
        let newly = backups.iter().filter(by_policy).filter(|verdict| verdict.mark.is_none()).count();
        brakes(facts, &chains, &standings, newly, backups.iter().any(|verdict| by_policy(&verdict)))
    } else {
        Vec::new()
    };
    let floor = floor.map(|at| chains.backups[at].id);
    RetentionPlan { policy: facts.policy, floor, shortage: facts.shortage, backups, brakes }
}

/// What stays whatever is asked for.
fn keep_whatever_is_asked(
    chains: &Chains,
    standings: &[Standing],
    floor: Option<usize>,
    lacks_copies: bool,
    kept: &mut [Vec<KeepReason>],
) {
    let newest = (0..standings.len()).rev().find(|&at| standings[at] != Standing::UnderWay);
    for (at, backup) in chains.backups.iter().enumerate() {
        let reasons = [
            (backup.is_pinned, KeepReason::Pinned),
            (backup.is_needed, KeepReason::OpenRestore),
            (backup.is_being_read, KeepReason::BeingRead),
            (floor.is_none(), KeepReason::NothingVerified),
            (lacks_copies, KeepReason::TooFewCopies),
            (floor == Some(at), KeepReason::Floor),
            (newest == Some(at), KeepReason::Newest),
        ];
        kept[at].extend(reasons.iter().filter(|(holds, _)| *holds).map(|(_, reason)| *reason));
    }
    if let Some(floor) = floor {
        for at in chains.ancestors(floor) {
            kept[at].push(KeepReason::Floor);
        }
    }
}

/// What the policy says, by how each stands.
fn judge_by_policy(
    facts: &RetentionFacts,
    chains: &Chains,
    standings: &[Standing],
    reference: Option<Timestamp>,
    kept: &mut [Vec<KeepReason>],
    gone: &mut [Vec<GoReason>],
) {
    let suspect = standings.iter().position(|standing| *standing == Standing::Suspect);
    // Those after the first suspect follow the policy among themselves, further suspect ones as the lesser do: where nobody
    // looks for a year, they do not fill the disk.
    let first = suspect.map_or(0, |at| at + 1);
    for at in (0..suspect.unwrap_or(0)).filter(|&at| standings[at] != Standing::ByHand) {
        kept[at].push(KeepReason::BeforeSuspect);
    }
    let places = places_of(facts, chains, standings, first);
    let (mut snapshots, mut leftovers) = ([0_u32; 2], 0_u32);
    for at in (0..standings.len()).rev() {
        match standings[at] {
            Standing::UnderWay | Standing::ByHand => {}
            Standing::Undated => kept[at].push(KeepReason::Undated),
            Standing::Imported => kept[at].push(KeepReason::Imported),
            Standing::Suspect if suspect == Some(at) => kept[at].push(KeepReason::Suspect),
            Standing::Snapshot(reason) => {
                let place = &mut snapshots[usize::from(reason == Reason::PreUpgrade)];
                *place += 1;
                if *place <= facts.policy.keep_snapshots {
                    kept[at].push(KeepReason::Snapshot { place: *place });
                } else {
                    gone[at].push(GoReason::BeyondSnapshots);
                }
            }
            Standing::Unusable => {
                leftovers += 1;
                if leftovers <= LEFTOVERS {
                    kept[at].push(KeepReason::Leftover { place: leftovers });
                } else {
                    gone[at].push(GoReason::BeyondLeftovers);
                }
            }
            Standing::Suspect | Standing::Lesser | Standing::Counted => {
                match too_old(facts, &chains.backups[at], reference) {
                    Some(reason) => gone[at].push(reason),
                    None if !facts.policy.limits_the_count() => kept[at].push(KeepReason::NoLimit),
                    None => kept[at].extend(&places[at]),
                }
                gone[at].push(GoReason::NoRule);
            }
        }
    }
}

/// The places that the rules give: to those that count among themselves, and to the lesser ones as if they counted.
fn places_of(
    facts: &RetentionFacts,
    chains: &Chains,
    standings: &[Standing],
    first: usize,
) -> Vec<Vec<KeepReason>> {
    let mut found = vec![Vec::new(); standings.len()];
    let is_lesser = |standing: Standing| matches!(standing, Standing::Lesser | Standing::Suspect);
    for standing in [Standing::Counted, Standing::Lesser] {
        let is_alike = |other: Standing| is_lesser(other) == is_lesser(standing);
        let takes_part = |at: &usize| {
            let own = standings[*at];
            own == Standing::Counted || (is_lesser(own) && is_lesser(standing))
        };
        let newest_first: Vec<(usize, &KnownBackup)> =
            (first..standings.len()).rev().filter(takes_part).map(|at| (at, &chains.backups[at])).collect();
        for (at, reason) in places(&facts.policy, &newest_first) {
            if is_alike(standings[at]) {
                found[at].push(reason);
            }
        }
    }
    found
}

/// Whether a backup is older than the policy allows, counted back from the newest verified one.
fn too_old(facts: &RetentionFacts, backup: &KnownBackup, reference: Option<Timestamp>) -> Option<GoReason> {
    let limit_days = i64::from(facts.policy.delete_after_days?);
    let age_seconds = reference?.as_second().saturating_sub(backup.started.as_second());
    (age_seconds > limit_days * DAY_SECONDS)
        .then_some(GoReason::TooOld { age_days: age_seconds / DAY_SECONDS })
}

/// Keeps what kept backups build on.
fn close(chains: &Chains, standings: &[Standing], kept: &mut [Vec<KeepReason>]) {
    for at in (0..standings.len()).rev() {
        if standings[at] == Standing::UnderWay || kept[at].is_empty() {
            continue;
        }
        for ancestor in chains.ancestors(at) {
            let reasons = &mut kept[ancestor];
            if !reasons.iter().any(|reason| matches!(reason, KeepReason::NeededBy { .. })) {
                reasons.push(KeepReason::NeededBy { backup: chains.backups[at].id });
            }
        }
    }
}

fn decision(standing: Standing, kept: &[KeepReason], gone: &[GoReason]) -> Decision {
    match standing {
        Standing::UnderWay => Decision::Go(vec![GoReason::UnderWay]),
        _ if !kept.is_empty() => Decision::Keep(kept.to_vec()),
        Standing::ByHand => Decision::Go(vec![GoReason::ByHand]),
        _ => Decision::Go(gone.iter().copied().take(1).collect()),
    }
}

fn verdict(backup: &KnownBackup, decision: Decision) -> Verdict {
    Verdict {
        backup: backup.id,
        sequence: backup.sequence,
        started: backup.started,
        level: backup.level,
        reason: backup.reason,
        content: backup.content,
        state: backup.state,
        mark: backup.mark,
        decision,
    }
}
