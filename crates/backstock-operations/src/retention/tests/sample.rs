//! Backups to decide about: one a day, whole and verified, unless a test says otherwise.

use backstock_vocabulary::{BackupId, Content, Level, Reason, ReplicaState};
use jiff::{SignedDuration, Timestamp};

use crate::retention::{
    KnownBackup, Remembered, RetentionFacts, RetentionPlan, RetentionPolicy, Wish, plan_retention,
};

/// A Monday, at three in the morning.
pub(super) const FIRST_DAY: &str = "2026-03-02T03:00:00Z";

pub(super) fn id(sequence: u64) -> BackupId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&sequence.to_be_bytes());
    BackupId::from_parts(sequence, random)
}

pub(super) fn day(number: i64) -> Timestamp {
    let first: Timestamp = FIRST_DAY.parse().unwrap();
    first.checked_add(SignedDuration::from_hours(24 * number)).unwrap()
}

/// The backup of day `sequence`.
pub(super) fn backup(sequence: u64) -> KnownBackup {
    KnownBackup {
        id: id(sequence),
        sequence,
        level: Level::Full,
        parent: None,
        reason: Reason::Scheduled,
        content: Content::Whole,
        started: day(i64::try_from(sequence).unwrap()),
        state: ReplicaState::Verified,
        is_pinned: false,
        is_needed: false,
        is_being_read: false,
        is_confirmed: false,
        has_open_exceptions: false,
        mark: None,
    }
}

/// Backups of the days 1 to `count`.
pub(super) fn backups(count: u64) -> Vec<KnownBackup> {
    (1..=count).map(backup).collect()
}

/// A policy that keeps the last so many and nothing else.
pub(super) fn keep_last(count: u32) -> RetentionPolicy {
    RetentionPolicy {
        keep_last: count,
        daily: 0,
        weekly: 0,
        monthly: 0,
        yearly: 0,
        ..RetentionPolicy::default()
    }
}

/// What is asked on the day after the last backup, by a policy that was confirmed when there was none.
pub(super) fn facts(policy: RetentionPolicy, backups: Vec<KnownBackup>) -> RetentionFacts {
    let last = backups.iter().map(|backup| backup.sequence).max().unwrap_or(0);
    let now = day(i64::try_from(last).unwrap() + 1);
    let remembered = Some(Remembered { policy: Some(policy), sequence: 0, acted: day(0), passed_ms: None });
    RetentionFacts { policy, wish: Wish::Policy, shortage: None, backups, now, remembered }
}

/// The sequence numbers of what stays.
pub(super) fn kept(facts: &RetentionFacts) -> Vec<u64> {
    kept_by(&plan_retention(facts))
}

pub(super) fn kept_by(plan: &RetentionPlan) -> Vec<u64> {
    plan.backups.iter().filter(|verdict| verdict.decision.is_keep()).map(|verdict| verdict.sequence).collect()
}
