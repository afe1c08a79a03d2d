//! Rules with places: the last N, and generations of days, weeks, months and years.

use backstock_vocabulary::Level;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::facts::KnownBackup;
use super::policy::RetentionPolicy;
use super::reasons::{KeepReason, SlotRule};

/// The number of the period that a day lies in.
type PeriodOf = fn(Date) -> i32;

/// Generations: the rule, whether full backups are preferred, and the number of the period that a day lies in.
const GENERATIONS: [(SlotRule, bool, PeriodOf); 4] = [
    (SlotRule::Daily, false, day),
    (SlotRule::Weekly, true, week),
    (SlotRule::Monthly, true, month),
    (SlotRule::Yearly, true, year),
];

/// Which of these backups have a place, and which place. They come with their numbers, the newest first. Days, weeks
/// (Monday to Sunday), months and years are those of UTC; only periods that have a backup count.
pub(super) fn places(
    policy: &RetentionPolicy,
    newest_first: &[(usize, &KnownBackup)],
) -> Vec<(usize, KeepReason)> {
    let last = newest_first.iter().take(policy.keep_last as usize).zip(1..);
    let mut found: Vec<(usize, KeepReason)> =
        last.map(|((at, _), place)| (*at, KeepReason::Place { of: SlotRule::Last, place })).collect();
    for (of, prefers_full, period_of) in GENERATIONS {
        let count = match of {
            SlotRule::Last => 0,
            SlotRule::Daily => policy.daily,
            SlotRule::Weekly => policy.weekly,
            SlotRule::Monthly => policy.monthly,
            SlotRule::Yearly => policy.yearly,
        };
        let chosen = generation(newest_first, count, prefers_full, period_of).into_iter().zip(1..);
        found.extend(chosen.map(|(at, place)| (at, KeepReason::Place { of, place })));
    }
    found
}

/// One backup of each of the newest `count` periods that have one: the newest full one if preferred, else the newest.
fn generation(
    newest_first: &[(usize, &KnownBackup)],
    count: u32,
    prefers_full: bool,
    period_of: PeriodOf,
) -> Vec<usize> {
    struct Chosen {
        period: i32,
        at: usize,
        is_full: bool,
    }
    let mut chosen: Vec<Chosen> = Vec::new();
    for (at, backup) in newest_first {
        let (period, is_full) = (period_of(utc_date(backup.started)), backup.level == Level::Full);
        if let Some(one) = chosen.iter_mut().find(|one| one.period == period) {
            if prefers_full && is_full && !one.is_full {
                (one.at, one.is_full) = (*at, true);
            }
        } else if chosen.len() < count as usize {
            chosen.push(Chosen { period, at: *at, is_full });
        }
    }
    chosen.into_iter().map(|one| one.at).collect()
}

fn utc_date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

fn day(date: Date) -> i32 {
    // Distinct and rising is enough.
    year(date) * 1000 + i32::from(date.day_of_year())
}

fn week(date: Date) -> i32 {
    let week = date.iso_week_date();
    i32::from(week.year()) * 100 + i32::from(week.week())
}

fn month(date: Date) -> i32 {
    year(date) * 100 + i32::from(date.month())
}

fn year(date: Date) -> i32 {
    i32::from(date.year())
}
