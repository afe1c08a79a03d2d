//! The brake: what a person must confirm before anything goes.

use std::fmt;

use backstock_vocabulary::BackupId;
use serde::Serialize;

use super::chains::Chains;
use super::facts::{Remembered, RetentionFacts};
use super::standing::Standing;

/// How far the clock may be behind what it said before, in seconds: one day.
const CLOCK_BACK_SECONDS: i64 = 24 * 3600;
/// How far the clock may run ahead of the machine's own count, in seconds: one day.
const CLOCK_AHEAD_SECONDS: i64 = 24 * 3600;
/// A longer time between two backups that follow each other looks like a clock that jumped, in seconds: 31 days.
const GAP_SECONDS: i64 = 31 * 24 * 3600;

/// Why a person must confirm a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "brake", rename_all = "kebab-case")]
pub enum Brake {
    /// Policy and pins were not confirmed since this catalog was made (at first, and after a rebuild).
    NotConfirmed,
    /// The policy is not the one that was confirmed.
    PolicyChanged,
    /// The clock is behind what it said before.
    ClockWentBack,
    /// The clock is further ahead of what it said before than time has passed; or, where the machine was started anew since,
    /// than is usual.
    ClockWentForward,
    /// Between this backup and the one before it lies more time than is usual.
    DatesJump {
        /// The later one.
        backup: BackupId,
    },
    /// More goes than came, with the longest chain and a quarter on top.
    MoreThanUsual {
        /// How many would be marked.
        marked: u64,
        /// How many may be without a question.
        allowed: u64,
    },
}

/// What must be confirmed about a plan by policy that would newly mark so many backups; `goes` tells whether any goes
/// at all.
pub(super) fn brakes(
    facts: &RetentionFacts,
    chains: &Chains,
    standings: &[Standing],
    newly: usize,
    goes: bool,
) -> Vec<Brake> {
    if !goes {
        return Vec::new();
    }
    let Some(remembered) = facts.remembered else { return vec![Brake::NotConfirmed] };
    let mut brakes = Vec::new();
    if remembered.policy != Some(facts.policy) {
        brakes.push(Brake::PolicyChanged);
    }
    let back = remembered.acted.as_second().saturating_sub(facts.now.as_second());
    if back > CLOCK_BACK_SECONDS {
        brakes.push(Brake::ClockWentBack);
    }
    if has_gone_forward(facts, remembered, chains) {
        brakes.push(Brake::ClockWentForward);
    }
    let counted: Vec<usize> = (0..standings.len()).filter(|&at| standings[at] == Standing::Counted).collect();
    let jump = counted.windows(2).find(|pair| {
        let (before, after) = (&chains.backups[pair[0]], &chains.backups[pair[1]]);
        let gap = after.started.as_second().saturating_sub(before.started.as_second());
        after.sequence > remembered.sequence && gap > GAP_SECONDS
    });
    brakes.extend(jump.map(|pair| Brake::DatesJump { backup: chains.backups[pair[1]].id }));
    let came = chains.backups.iter().filter(|backup| backup.sequence > remembered.sequence).count();
    let allowed = ((came + chains.longest()) * 5).div_ceil(4);
    if newly > allowed {
        brakes.push(Brake::MoreThanUsual { marked: newly as u64, allowed: allowed as u64 });
    }
    brakes
}

/// Whether what the clock says may not be built upon: it is ahead of the time or behind it, or the newest backup was dated by
/// one that jumped.
pub(super) fn clock_is_doubted(facts: &RetentionFacts, chains: &Chains) -> bool {
    let newest: Vec<i64> =
        chains.backups.iter().rev().take(2).map(|backup| backup.started.as_second()).collect();
    let jumps = matches!(newest[..], [last, before] if last.saturating_sub(before) > GAP_SECONDS);
    let moved = facts.remembered.is_some_and(|remembered| {
        let back = remembered.acted.as_second().saturating_sub(facts.now.as_second());
        back > CLOCK_BACK_SECONDS || has_gone_forward(facts, remembered, chains)
    });
    jumps || moved
}

/// Whether the clock is ahead of the time (F105): a grace would end before it is over. By the machine's own count since its
/// start to a day; where that tells nothing, by what was seen last, to a month.
fn has_gone_forward(facts: &RetentionFacts, remembered: Remembered, chains: &Chains) -> bool {
    let now = facts.now.as_second();
    if let Some(passed_ms) = remembered.passed_ms {
        let passed = i64::try_from(passed_ms / 1000).unwrap_or(i64::MAX);
        return now.saturating_sub(remembered.acted.as_second()).saturating_sub(passed) > CLOCK_AHEAD_SECONDS;
    }
    let newest = chains.backups.iter().map(|backup| backup.started.as_second()).filter(|at| *at <= now).max();
    let seen = newest.unwrap_or(i64::MIN).max(remembered.acted.as_second());
    now.saturating_sub(seen) > GAP_SECONDS
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfirmed => f.write_str("nobody has confirmed policy and pins yet"),
            Self::PolicyChanged => f.write_str("the policy is another one than before"),
            Self::ClockWentBack => f.write_str("the clock is behind what it said before"),
            Self::ClockWentForward => {
                f.write_str("the clock is ahead of the time that has passed since the last time")
            }
            Self::DatesJump { backup } => {
                write!(f, "more than 31 days lie between backup {} and the one before it", backup.short())
            }
            Self::MoreThanUsual { marked, allowed } => {
                write!(f, "{marked} backups would go at once, {allowed} are usual")
            }
        }
    }
}
