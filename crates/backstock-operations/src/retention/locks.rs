//! Locks by generation: until when a storage that can is to let nobody delete each backup, whatever their rights. A pure function
//! over the plan; acting on it is `lock_kept`.
//!
//! A lock that is too short leaves a backup to whoever took the server over and waits; one that is too long is paid for and cannot
//! be taken back. So each is locked for as long as its place in the policy is certain, and no longer:
//!
//! - One that has its place for good, since its day, week, month or year is over, is locked until that generation lets it go: the
//!   monthly one for its months.
//! - One whose place a newer one may still take is locked for [`MARGIN_DAYS`] from now, and anew with each run: a server that is
//!   silent for less leaves nothing open.
//! - A full one is locked for as long as the longest chain takes to grow on top of that, since others will build on it; and never
//!   shorter than what does build on it.

use std::collections::HashMap;

use backstock_vocabulary::{BackupId, Level};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::brake::clock_is_doubted;
use super::chains::Chains;
use super::facts::{KnownBackup, RetentionFacts};
use super::plan::RetentionPlan;
use super::policy::RetentionPolicy;
use super::reasons::{Decision, KeepReason, SlotRule};

/// How long a backup is locked whose place is not certain, in days.
pub(super) const MARGIN_DAYS: i64 = 7;
/// How far apart backups are where nothing shows it, in seconds.
const USUAL_INTERVAL_SECONDS: i64 = DAY_SECONDS;
/// What is taken for the distance of two backups at the least and at the most, in seconds: an hour, and 31 days.
const INTERVAL_SECONDS: std::ops::RangeInclusive<i64> = 3600..=31 * DAY_SECONDS;
/// So many distances between the newest backups tell the usual one.
const INTERVALS: usize = 15;
/// Nothing is locked for longer than this from now, in days: ten years.
pub(super) const LONGEST_DAYS: i64 = 3653;
pub(super) const DAY_SECONDS: i64 = 24 * 3600;

/// Until when each backup that stays is to be locked. None where the clock is not to be believed: a lock that it makes too long
/// could not be taken back.
pub(super) fn wanted_locks(
    facts: &RetentionFacts,
    plan: &RetentionPlan,
) -> Option<HashMap<BackupId, Timestamp>> {
    let chains = Chains::of(&facts.backups);
    if clock_is_doubted(facts, &chains) {
        return None;
    }
    let interval_seconds = interval_seconds(&chains.backups);
    let grows_seconds = interval_seconds.saturating_mul(chains.longest().saturating_sub(1) as i64);
    let newest_full = chains.backups.iter().rposition(|backup| backup.level == Level::Full);
    let mut wanted: Vec<Option<Timestamp>> = vec![None; chains.backups.len()];
    for at in (0..chains.backups.len()).rev() {
        let backup = &chains.backups[at];
        let Some(Decision::Keep(reasons)) = plan.verdict(backup.id).map(|verdict| &verdict.decision) else {
            continue;
        };
        if !backup.is_there() || reasons.contains(&KeepReason::Undated) {
            continue;
        }
        let until = reasons
            .iter()
            .map(|reason| until(facts.now, &plan.policy, backup, reason, interval_seconds))
            .fold(after(facts.now, MARGIN_DAYS * DAY_SECONDS), Timestamp::max);
        let grows = if newest_full == Some(at) { grows_seconds } else { 0 };
        let until = after(until, grows).min(after(facts.now, LONGEST_DAYS * DAY_SECONDS));
        for locked in std::iter::once(at).chain(chains.ancestors(at)) {
            wanted[locked] = wanted[locked].max(Some(until));
        }
    }
    let ids = chains.backups.iter().map(|backup| backup.id);
    Some(ids.zip(wanted).filter_map(|(id, until)| Some((id, until?))).collect())
}

/// Until when a backup certainly stays for one reason.
fn until(
    now: Timestamp,
    policy: &RetentionPolicy,
    backup: &KnownBackup,
    reason: &KeepReason,
    interval_seconds: i64,
) -> Timestamp {
    let margin = after(now, MARGIN_DAYS * DAY_SECONDS);
    let by_age = policy.delete_after_days.map(|days| after(backup.started, i64::from(days) * DAY_SECONDS));
    let until = match reason {
        KeepReason::Place { of: SlotRule::Last, place } => {
            // So many newer ones must come before it goes.
            let left = i64::from(policy.keep_last.saturating_sub(*place)) + 1;
            after(now, left.saturating_mul(interval_seconds))
        }
        KeepReason::Place { of, .. } => match period(*of, policy, backup.started) {
            Some((ends, goes)) if ends <= now => goes,
            _ => margin,
        },
        KeepReason::NoLimit => by_age.unwrap_or(margin),
        _ => margin,
    };
    // What is too old goes, whatever place it has.
    by_age.map_or(until, |by_age| until.min(by_age.max(margin)))
}

/// When the day, week, month or year of a backup ends, and when its generation lets it go.
fn period(of: SlotRule, policy: &RetentionPolicy, started: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let date = started.to_zoned(TimeZone::UTC).date();
    let (first, one, count): (Date, Span, u32) = match of {
        SlotRule::Last => return None,
        SlotRule::Daily => (date, Span::new().days(1), policy.daily),
        SlotRule::Weekly => {
            let since_monday = i64::from(date.weekday().to_monday_zero_offset());
            (date.checked_sub(Span::new().days(since_monday)).ok()?, Span::new().weeks(1), policy.weekly)
        }
        SlotRule::Monthly => (date.first_of_month(), Span::new().months(1), policy.monthly),
        SlotRule::Yearly => (date.first_of_year(), Span::new().years(1), policy.yearly),
    };
    let begin_of = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let ends = first.checked_add(one).ok()?;
    // So many younger periods must have begun, each with a backup.
    let goes = first.checked_add(one.checked_mul(i64::from(count)).ok()?).ok()?;
    Some((begin_of(ends)?, begin_of(goes)?))
}

/// How far apart the newest backups usually are, in seconds.
fn interval_seconds(backups: &[KnownBackup]) -> i64 {
    let newest = &backups[backups.len().saturating_sub(INTERVALS + 1)..];
    let mut intervals: Vec<i64> = newest
        .windows(2)
        .map(|pair| pair[1].started.as_second().saturating_sub(pair[0].started.as_second()))
        .collect();
    intervals.sort_unstable();
    let median = intervals.get(intervals.len() / 2).copied().unwrap_or(USUAL_INTERVAL_SECONDS);
    median.clamp(*INTERVAL_SECONDS.start(), *INTERVAL_SECONDS.end())
}

pub(super) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}
