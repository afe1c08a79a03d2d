//! Locks: as long as a place is certain, a week where it is not, and never shorter than what builds on it.

use backstock_vocabulary::Level;
use proptest::prelude::*;

use super::sample::{backup, backups, day, facts, id, keep_last};
use crate::retention::locks::{DAY_SECONDS, LONGEST_DAYS, MARGIN_DAYS, after, wanted_locks};
use crate::retention::{Remembered, RetentionFacts, RetentionPolicy, plan_retention};

/// In whole days from the day of the question, rounded down.
fn days(facts: &RetentionFacts) -> Vec<(u64, i64)> {
    let wanted = wanted_locks(facts, &plan_retention(facts)).unwrap();
    let mut found: Vec<(u64, i64)> = facts
        .backups
        .iter()
        .filter_map(|backup| {
            let until = wanted.get(&backup.id)?;
            Some((backup.sequence, (until.as_second() - facts.now.as_second()) / DAY_SECONDS))
        })
        .collect();
    found.sort_unstable();
    found
}

#[test]
fn the_last_ones_are_locked_until_enough_newer_ones_will_be_there() {
    // The eighth day: of ten, one a day, each goes when ten newer ones are there.
    assert_eq!(days(&facts(keep_last(10), backups(3))), [(1, 8), (2, 9), (3, 10)]);
    // A week at the least.
    assert_eq!(days(&facts(keep_last(2), backups(4))), [(3, 7), (4, 7)]);
}

#[test]
fn a_generation_whose_time_is_over_is_locked_until_it_goes() {
    // Monday, 2026-03-02, is day 0; fulls each day for 60 days, asked on Saturday, 2026-05-02.
    let policy = RetentionPolicy { daily: 3, weekly: 2, monthly: 6, ..keep_last(0) };
    let facts = facts(policy, backups(60));
    assert_eq!(facts.now.to_string(), "2026-05-02T03:00:00Z");
    let found = days(&facts);
    let of = |sequence| found.iter().find(|(number, _)| *number == sequence).map(|(_, days)| *days);
    // March's last one (the 31st) has a place among six months until September begins: 121 days and 21 hours on.
    assert_eq!(of(29), Some(121));
    // April's last one (the 30th): until October.
    assert_eq!(of(59), Some(151));
    // The newest may be followed by another one on this day, and in this week and month.
    assert_eq!(of(60), Some(7));
    // Of the week before this one: its Sunday.
    assert!(of(55).unwrap() >= 7, "{found:?}");
}

#[test]
fn a_full_one_is_locked_for_the_chain_that_will_grow_on_it_and_for_what_builds_on_it() {
    let mut all = backups(14);
    for at in (0..14).filter(|at| at % 7 != 0) {
        (all[at].level, all[at].parent) = (Level::Incremental, Some(id(at as u64)));
    }
    let known = facts(keep_last(30), all.clone());
    let found = days(&known);
    // 14 has 30 newer ones to wait for, and all that it builds on waits with it.
    assert_eq!((found[13], found[7], found[8]), ((14, 30), (8, 30), (9, 30)));
    // When 8 was new, six more were to come on it.
    assert_eq!(days(&facts(keep_last(30), all[..8].to_vec()))[7], (8, 36));
    // The chain that is complete: as long as its last one.
    assert_eq!((found[0], found[6]), ((1, 23), (7, 23)));
    // Fulls alone have no chain.
    assert_eq!(days(&facts(keep_last(30), backups(14)))[13], (14, 30));
}

#[test]
fn what_is_too_old_soon_is_locked_no_longer_and_what_goes_is_not_locked() {
    let policy = RetentionPolicy { delete_after_days: Some(20), ..keep_last(0) };
    let found = days(&facts(policy, backups(15)));
    assert_eq!((found[0], found[4], found[14]), ((1, 7), (5, 9), (15, 19)));
    let mut all = backups(6);
    all[5].state = backstock_vocabulary::ReplicaState::Uploading;
    assert!(days(&facts(keep_last(2), all)).iter().all(|(sequence, _)| [4, 5].contains(sequence)));
}

/// F105 and its like: nothing is locked for years because the clock says that years have passed.
#[test]
fn a_clock_that_jumped_locks_nothing() {
    let mut known = facts(keep_last(5), backups(5));
    known.now = day(400);
    assert_eq!(wanted_locks(&known, &plan_retention(&known)), None, "it is far ahead of all that was seen");
    let mut jumped = backups(6);
    jumped[5].started = day(400);
    let mut known = facts(keep_last(5), jumped);
    known.now = day(400);
    known.remembered = None;
    assert_eq!(wanted_locks(&known, &plan_retention(&known)), None, "the newest was dated by it");
    let mut known = facts(keep_last(5), backups(5));
    known.now = day(-30);
    known.remembered = known.remembered.map(|remembered| Remembered { acted: day(6), ..remembered });
    assert_eq!(wanted_locks(&known, &plan_retention(&known)), None, "it is behind what it said");
}

proptest! {
    /// Nothing that stays is without a lock, nothing that goes has one, and what others build on is locked as long as they are.
    #[test]
    fn closure_and_bounds_hold(
        count in 1_u64..40,
        shapes in prop::collection::vec((0_u8..3, 1_i64..5), 40),
        last in 0_u32..6, daily in 0_u32..5, monthly in 0_u32..4, age in prop::option::of(1_u32..60),
    ) {
        let mut at = 0;
        let mut all = Vec::new();
        for number in 1..=count {
            let (shape, gap) = shapes[usize::try_from(number - 1).unwrap()];
            at += gap;
            let mut one = backup(number);
            one.started = day(at);
            if shape > 0 && number > 1 {
                (one.level, one.parent) = (Level::Incremental, Some(id(number - 1)));
            }
            all.push(one);
        }
        let policy = RetentionPolicy { daily, monthly, delete_after_days: age, ..keep_last(last) };
        let mut known = facts(policy, all.clone());
        known.now = day(at + 1);
        let plan = plan_retention(&known);
        let wanted = wanted_locks(&known, &plan).unwrap();
        for backup in &all {
            let until = wanted.get(&backup.id);
            let stays = plan.verdict(backup.id).unwrap().decision.is_keep();
            prop_assert_eq!(stays, until.is_some());
            let Some(until) = until else { continue };
            prop_assert!(*until >= after(known.now, MARGIN_DAYS * DAY_SECONDS));
            prop_assert!(*until <= after(known.now, LONGEST_DAYS * DAY_SECONDS));
            if let Some(parent) = backup.parent {
                prop_assert!(wanted[&parent] >= *until);
            }
        }
    }
}
