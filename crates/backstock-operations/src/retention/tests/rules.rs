//! A case or two for each rule, named after it.

use std::collections::BTreeSet;

use backstock_vocabulary::{Content, Level, MarkCause, Reason, ReplicaState};

use super::sample::{backup, backups, day, facts, id, keep_last, kept, kept_by};
use crate::retention::{
    Brake, Decision, GoReason, KeepReason, KnownBackup, RetentionFacts, RetentionPolicy, Shortage, SlotRule,
    Wish, plan_retention,
};

/// A full one and so many that each build on the one before.
fn chain(first: u64, length: u64) -> Vec<KnownBackup> {
    (first..first + length)
        .map(|sequence| {
            let is_full = sequence == first;
            let level = if is_full { Level::Full } else { Level::Incremental };
            KnownBackup { level, parent: (!is_full).then(|| id(sequence - 1)), ..backup(sequence) }
        })
        .collect()
}

fn reasons(facts: &RetentionFacts, sequence: u64) -> Vec<KeepReason> {
    match &plan_retention(facts).verdict(id(sequence)).unwrap().decision {
        Decision::Keep(reasons) => reasons.clone(),
        Decision::Go(reasons) => panic!("{sequence} goes: {reasons:?}"),
    }
}

#[test]
fn keep_last_counts_restore_points() {
    assert_eq!(kept(&facts(keep_last(3), backups(10))), [8, 9, 10]);
    assert_eq!(kept(&facts(keep_last(30), backups(10))).len(), 10);
    // The order is that of the sequence, whatever else is older.
    let mut shuffled = backups(10);
    shuffled.reverse();
    shuffled.swap(2, 7);
    assert_eq!(kept(&facts(keep_last(3), shuffled)), [8, 9, 10]);
}

#[test]
fn delete_after_days_holds_whatever_the_count_is() {
    let policy = RetentionPolicy { delete_after_days: Some(4), ..keep_last(8) };
    let given = facts(policy, backups(10));
    assert_eq!(kept(&given), [6, 7, 8, 9, 10], "exactly four days old is not older than that");
    let plan = plan_retention(&given);
    assert_eq!(plan.verdict(id(5)).unwrap().decision, Decision::Go(vec![GoReason::TooOld { age_days: 5 }]));
    assert_eq!(plan.verdict(id(1)).unwrap().decision, Decision::Go(vec![GoReason::TooOld { age_days: 9 }]));
    // Both rules delete: the count holds for what is young enough.
    let policy = RetentionPolicy { delete_after_days: Some(4), ..keep_last(2) };
    assert_eq!(kept(&facts(policy, backups(10))), [9, 10]);
    // Age alone keeps everything that is young enough.
    let policy = RetentionPolicy { delete_after_days: Some(4), ..keep_last(0) };
    let given = facts(policy, backups(10));
    assert_eq!(kept(&given), [6, 7, 8, 9, 10]);
    assert_eq!(reasons(&given, 7), [KeepReason::NoLimit]);
}

#[test]
fn age_counts_back_from_the_newest_verified_and_not_from_the_clock() {
    let policy = RetentionPolicy { delete_after_days: Some(4), ..keep_last(0) };
    // Nothing was backed up for a year: nothing ages meanwhile.
    let mut given = facts(policy, backups(5));
    given.now = day(400);
    assert_eq!(kept(&given), [1, 2, 3, 4, 5]);
    // The newest ones are not verified: age counts from day 5.
    let mut given = facts(policy, backups(12));
    for backup in &mut given.backups[5..] {
        backup.state = ReplicaState::Present;
    }
    assert_eq!(kept(&given).len(), 12);
}

#[test]
fn generations_keep_one_of_each_day_week_month_and_year() {
    let policy = RetentionPolicy::default();
    // 400 days from 2026-03-03 on, twice a day.
    let mut many = Vec::new();
    for number in 1..=400_u64 {
        let started = day(i64::try_from(number).unwrap());
        many.push(KnownBackup { started, ..backup(2 * number - 1) });
        let later = started.checked_add(jiff::SignedDuration::from_hours(12)).unwrap();
        many.push(KnownBackup { started: later, ..backup(2 * number) });
    }
    let given = RetentionFacts { now: day(401), ..facts(policy, many) };
    let plan = plan_retention(&given);
    let place = |of| {
        let mut dates = Vec::new();
        for verdict in plan.backups.iter().rev() {
            if let Decision::Keep(reasons) = &verdict.decision
                && reasons
                    .iter()
                    .any(|reason| matches!(reason, KeepReason::Place { of: rule, .. } if *rule == of))
            {
                dates.push(verdict.started.to_string()[..13].to_owned());
            }
        }
        dates
    };
    // Day 400 is Tuesday, 2027-04-06.
    let daily: Vec<String> =
        (0..7).map(|back| day(400 - back).to_string()[..10].to_owned() + "T15").collect();
    assert_eq!(place(SlotRule::Daily), daily);
    assert_eq!(place(SlotRule::Weekly), ["2027-04-06T15", "2027-04-04T15", "2027-03-28T15", "2027-03-21T15"]);
    let months = place(SlotRule::Monthly);
    assert_eq!(months[..3], ["2027-04-06T15", "2027-03-31T15", "2027-02-28T15"]);
    assert_eq!((months.len(), months[11].as_str()), (12, "2026-05-31T15"));
    assert_eq!(place(SlotRule::Yearly), ["2027-04-06T15"]);
    assert_eq!(
        kept_by(&plan).len(),
        7 + 2 + 10,
        "each backup has its place by the first rules that reach it"
    );
}

#[test]
fn weeks_are_those_of_the_calendar_over_the_end_of_a_year() {
    let policy = RetentionPolicy { weekly: 2, ..keep_last(0) };
    let at = |sequence, time: &str| KnownBackup { started: time.parse().unwrap(), ..backup(sequence) };
    // 2026-12-28 to 2027-01-03 is one week.
    let three = vec![
        at(1, "2026-12-27T12:00:00Z"),
        at(2, "2026-12-28T12:00:00Z"),
        at(3, "2027-01-03T12:00:00Z"),
        at(4, "2027-01-04T12:00:00Z"),
    ];
    let given = RetentionFacts { now: "2027-01-05T00:00:00Z".parse().unwrap(), ..facts(policy, three) };
    assert_eq!(kept(&given), [3, 4]);
}

#[test]
fn generations_beyond_daily_prefer_fulls() {
    let policy = RetentionPolicy { weekly: 1, ..keep_last(0) };
    // Tuesday to Sunday of one week: a full one, and such as build on it alone.
    let mut week = backups(6);
    for backup in &mut week[1..] {
        (backup.level, backup.parent) = (Level::Differential, Some(id(1)));
    }
    let given = facts(policy, week);
    assert_eq!(kept(&given), [1, 6], "6 is the newest and the floor");
    assert!(reasons(&given, 1).contains(&KeepReason::Place { of: SlotRule::Weekly, place: 1 }));
    let given = RetentionFacts { policy: RetentionPolicy { daily: 1, ..keep_last(0) }, ..given };
    assert!(reasons(&given, 6).contains(&KeepReason::Place { of: SlotRule::Daily, place: 1 }));
}

#[test]
fn pins_are_kept_and_take_nobodys_place() {
    let mut given = facts(keep_last(2), backups(6));
    given.backups[1].is_pinned = true;
    assert_eq!(kept(&given), [2, 5, 6]);
    assert_eq!(reasons(&given, 2), [KeepReason::Pinned]);
}

#[test]
fn f115_what_a_kept_backup_builds_on_is_kept() {
    let mut all = chain(1, 4);
    all.extend(chain(5, 4));
    let mut given = facts(keep_last(2), all);
    assert_eq!(kept(&given), [5, 6, 7, 8]);
    assert!(reasons(&given, 5).contains(&KeepReason::NeededBy { backup: id(8) }));
    given.backups[2].is_pinned = true;
    assert_eq!(kept(&given), [1, 2, 3, 5, 6, 7, 8]);
    // A differential builds on the full alone.
    let differential = KnownBackup { level: Level::Differential, parent: Some(id(5)), ..backup(9) };
    given.backups.push(differential);
    given.backups[2].is_pinned = false;
    let given = RetentionFacts { policy: keep_last(1), ..given };
    assert_eq!(kept(&given), [5, 9]);
    // Children go before what they build on.
    let order: Vec<u64> = plan_retention(&given).going().map(|verdict| verdict.sequence).collect();
    assert_eq!(order, [8, 7, 6, 4, 3, 2, 1]);
}

#[test]
fn a_broken_or_circular_chain_counts_for_nothing() {
    let mut given = facts(keep_last(1), chain(1, 3));
    given.backups[0].state = ReplicaState::Damaged;
    // The chain is broken at its root, and there is no other: nothing goes.
    assert_eq!(kept(&given), [1, 2, 3]);
    let mut circle = backups(3);
    (circle[1].level, circle[1].parent) = (Level::Incremental, Some(id(3)));
    (circle[2].level, circle[2].parent) = (Level::Incremental, Some(id(2)));
    let plan = plan_retention(&facts(keep_last(1), circle));
    assert_eq!(plan.floor, Some(id(1)));
    assert!(plan.verdict(id(1)).unwrap().decision.is_keep());
}

#[test]
fn f116_the_last_verified_chain_stays_however_old_it_is() {
    let policy = RetentionPolicy { delete_after_days: Some(2), ..keep_last(2) };
    let mut given = facts(policy, chain(1, 2));
    given
        .backups
        .extend((3..=9).map(|sequence| KnownBackup { state: ReplicaState::Present, ..backup(sequence) }));
    given.now = day(10);
    assert_eq!(kept(&given), [1, 2, 8, 9]);
    assert_eq!(reasons(&given, 2), [KeepReason::Floor]);
    for (content, state) in [
        (Content::Whole, ReplicaState::Damaged),
        (Content::WholeExcept, ReplicaState::Verified),
        (Content::Unusable, ReplicaState::Verified),
    ] {
        for backup in &mut given.backups[2..] {
            (backup.content, backup.state) = (content, state);
            backup.has_open_exceptions = content == Content::WholeExcept;
        }
        let kept = kept(&given);
        assert_eq!(plan_retention(&given).floor, Some(id(2)));
        assert!(kept.starts_with(&[1, 2]), "{content} {state}: {kept:?}");
    }
}

#[test]
fn nothing_goes_while_nothing_is_verified() {
    let mut given = facts(keep_last(1), backups(5));
    for backup in &mut given.backups {
        backup.state = ReplicaState::Present;
    }
    assert_eq!(kept(&given), [1, 2, 3, 4, 5]);
    assert_eq!(plan_retention(&given).floor, None);
    given.wish = Wish::ByHand(BTreeSet::from([id(2)]));
    assert_eq!(kept(&given).len(), 5, "not even by hand");
}

#[test]
fn nothing_goes_while_the_newest_backup_lacks_required_copies() {
    let mut given = facts(keep_last(1), backups(5));
    assert_eq!(kept(&given), [5]);
    given.shortage = Some(Shortage { backup: id(5), whole: 1, required: 2 });
    assert_eq!(kept(&given), [1, 2, 3, 4, 5]);
    assert!(reasons(&given, 2).contains(&KeepReason::TooFewCopies));
    given.wish = Wish::ByHand(BTreeSet::from([id(2)]));
    assert_eq!(kept(&given).len(), 5, "not even by hand");
}

#[test]
fn what_lacks_something_takes_nobodys_place() {
    let mut given = facts(keep_last(2), backups(8));
    for sequence in [5, 6, 8] {
        given.backups[sequence - 1].content = Content::WholeExcept;
        given.backups[sequence - 1].has_open_exceptions = true;
    }
    // 4 and 7 are the last two that are whole; 8 would be among the last two of all, 6 and 5 would not.
    assert_eq!(kept(&given), [4, 7, 8]);
    given.policy.count_exceptions = true;
    assert_eq!(kept(&given), [7, 8]);
    // Or what they lack was accepted, of each by itself.
    given.policy.count_exceptions = false;
    given.backups[7].has_open_exceptions = false;
    assert_eq!(kept(&given), [7, 8]);
    assert!(reasons(&given, 8).contains(&KeepReason::Floor));
}

#[test]
fn f105_the_implausibly_dated_are_undated_kept_and_count_for_nothing() {
    let policy = RetentionPolicy { delete_after_days: Some(3), ..keep_last(2) };
    for (odd, name) in [
        ("2042-01-01T00:00:00Z", "in the future"),
        ("1970-01-01T00:01:00Z", "before there was a Backstock"),
        ("2025-06-01T00:00:00Z", "before its predecessors"),
    ] {
        let mut given = facts(policy, backups(8));
        given.backups[3].started = odd.parse().unwrap();
        assert_eq!(kept(&given), [4, 7, 8], "{name}");
        assert_eq!(reasons(&given, 4), [KeepReason::Undated], "{name}");
    }
    // Two that contradict each other, and nothing tells which is right.
    let mut given = facts(policy, backups(2));
    given.backups[1].started = day(-100);
    assert_eq!(kept(&given), [1, 2]);
    assert_eq!(plan_retention(&given).floor, None);
    // A clock that was put right by some minutes is no jump.
    let mut given = facts(policy, backups(8));
    given.backups[3].started = day(3).checked_sub(jiff::SignedDuration::from_mins(20)).unwrap();
    assert_eq!(kept(&given), [7, 8]);
}

#[test]
fn a_suspect_backup_protects_itself_and_all_before_it() {
    let mut given = facts(keep_last(2), backups(9));
    given.backups[3].content = Content::Suspect;
    given.backups[6].content = Content::Suspect;
    assert_eq!(kept(&given), [1, 2, 3, 4, 8, 9]);
    assert_eq!(reasons(&given, 2), [KeepReason::BeforeSuspect]);
    assert_eq!(reasons(&given, 4), [KeepReason::Suspect]);
    // The later ones follow the policy among themselves: 7 takes nobody's place, and has one as if it counted.
    let mut given = RetentionFacts { policy: keep_last(3), ..given };
    assert_eq!(kept(&given), [1, 2, 3, 4, 6, 7, 8, 9]);
    // Somebody has looked at the first: the second is the first now. At both: all is as usual.
    given.backups[3].is_confirmed = true;
    assert_eq!(kept(&given), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    given.backups[6].is_confirmed = true;
    assert_eq!(kept(&given), [7, 8, 9]);
}

#[test]
fn suspect_backups_that_nobody_looks_at_do_not_fill_the_disk() {
    let mut given = facts(keep_last(2), backups(30));
    for backup in &mut given.backups[3..] {
        backup.content = Content::Suspect;
    }
    // The last good ones and the first suspect stay, of the others as many as the policy wants.
    assert_eq!(kept(&given), [1, 2, 3, 4, 29, 30]);
    assert_eq!(plan_retention(&given).floor, Some(id(3)));
    // A confirmed one counts only where nothing that it lacks is new.
    given.backups[29].is_confirmed = true;
    given.backups[29].has_open_exceptions = true;
    assert_eq!(plan_retention(&given).floor, Some(id(3)));
    given.backups[29].has_open_exceptions = false;
    assert_eq!(plan_retention(&given).floor, Some(id(30)));
}

#[test]
fn snapshots_have_their_own_number() {
    let mut given = facts(keep_last(2), backups(10));
    for sequence in [1, 2, 3, 5, 6] {
        given.backups[sequence - 1].reason = Reason::PreRestore;
    }
    given.backups[3].reason = Reason::PreUpgrade;
    given.policy.keep_snapshots = 2;
    assert_eq!(kept(&given), [4, 5, 6, 9, 10]);
    // Pinned until the restore is accepted.
    given.backups[0].is_needed = true;
    assert_eq!(kept(&given), [1, 4, 5, 6, 9, 10]);
    assert_eq!(reasons(&given, 1), [KeepReason::OpenRestore]);
    given.backups[1].is_being_read = true;
    assert_eq!(kept(&given), [1, 2, 4, 5, 6, 9, 10]);
    assert_eq!(reasons(&given, 2), [KeepReason::BeingRead]);
    // A verified snapshot is no floor.
    for backup in &mut given.backups[6..] {
        backup.state = ReplicaState::Present;
    }
    assert_eq!(plan_retention(&given).floor, None);
}

#[test]
fn leftovers_have_a_small_quota_and_imported_dumps_go_by_hand() {
    let mut given = facts(keep_last(2), backups(10));
    for sequence in [1, 2, 3, 4, 5] {
        given.backups[sequence - 1].content = Content::Unusable;
    }
    given.backups[5].reason = Reason::Imported;
    assert_eq!(kept(&given), [3, 4, 5, 6, 9, 10]);
    assert_eq!(reasons(&given, 6), [KeepReason::Imported]);
}

#[test]
fn the_newest_stays_since_the_next_follows_its_number() {
    let mut given = facts(keep_last(1), backups(4));
    given.wish = Wish::ByHand(BTreeSet::from([id(4), id(2)]));
    assert_eq!(kept(&given), [1, 3, 4]);
    assert!(reasons(&given, 4).contains(&KeepReason::Newest));
}

#[test]
fn a_deletion_by_hand_is_bound_by_floor_closure_and_pins() {
    let mut given = facts(keep_last(1), chain(1, 3));
    given.backups.push(KnownBackup { state: ReplicaState::Present, ..backup(4) });
    for sequence in 1..=3 {
        given.wish = Wish::ByHand(BTreeSet::from([id(sequence)]));
        // 3 may go: 2 is verified as well.
        assert_eq!(kept(&given).contains(&sequence), sequence != 3, "{sequence}");
    }
    given.backups[2].is_pinned = true;
    assert!(kept(&given).contains(&3));
    given.backups[2].is_pinned = false;
    given.wish = Wish::ByHand((1..=3).map(id).collect());
    assert_eq!(kept(&given), [1, 2, 3, 4], "all that is verified at once");
}

#[test]
fn what_is_being_deleted_is_finished_and_nothing_rests_on_it() {
    let mut given = facts(keep_last(2), backups(5));
    given.backups[4].state = ReplicaState::Deleting;
    assert_eq!(kept(&given), [3, 4]);
    let plan = plan_retention(&given);
    assert_eq!(plan.verdict(id(5)).unwrap().decision, Decision::Go(vec![GoReason::UnderWay]));
    assert_eq!(plan.floor, Some(id(4)));
}

#[test]
fn a_mark_by_hand_outlives_the_policy_and_one_by_policy_does_not() {
    let mut given = facts(keep_last(3), backups(5));
    given.backups[2].mark = Some(MarkCause::ByHand);
    given.backups[1].mark = Some(MarkCause::Policy);
    // 3 goes all the same and takes no place: 2 is among the last three again.
    assert_eq!(kept(&given), [2, 4, 5]);
}

#[test]
fn f121_the_brake_asks_before_more_than_usual_goes() {
    let brakes = |given: &RetentionFacts| plan_retention(given).brakes;
    let mut given = facts(keep_last(10), backups(20));
    let mut remembered = given.remembered.unwrap();
    // Ten came since, ten go: usual.
    remembered.sequence = 10;
    given.remembered = Some(remembered);
    assert_eq!(brakes(&given), []);
    remembered.sequence = 19;
    given.remembered = Some(remembered);
    assert_eq!(brakes(&given), [Brake::MoreThanUsual { marked: 10, allowed: 3 }]);
    // What is marked was let through before.
    for backup in &mut given.backups[..8] {
        backup.mark = Some(MarkCause::Policy);
    }
    assert_eq!(brakes(&given), []);
}

#[test]
fn f105_the_brake_asks_after_another_policy_a_rebuild_or_a_clock_that_jumped() {
    let usual = facts(keep_last(3), backups(4));
    assert_eq!(plan_retention(&usual).brakes, []);
    let with = |change: &dyn Fn(&mut RetentionFacts)| {
        let mut given = usual.clone();
        change(&mut given);
        plan_retention(&given).brakes
    };
    assert_eq!(with(&|given| given.remembered = None), [Brake::NotConfirmed]);
    assert_eq!(with(&|given| given.policy.keep_snapshots += 1), [Brake::PolicyChanged]);
    let ahead = |given: &mut RetentionFacts| given.remembered.as_mut().unwrap().acted = day(7);
    assert_eq!(with(&ahead), [Brake::ClockWentBack]);
    let jump = |given: &mut RetentionFacts| {
        given.backups[3].started = day(300);
        given.now = day(301);
    };
    assert_eq!(with(&jump), [Brake::DatesJump { backup: id(4) }]);
    // Nothing was made since, and the clock is a month on: nobody knows how long it was.
    let later = |given: &mut RetentionFacts| given.now = day(36);
    assert_eq!(with(&later), [Brake::ClockWentForward]);
    assert_eq!(with(&|given: &mut RetentionFacts| given.now = day(34)), []);
    // The machine has counted on by itself.
    let counted = |days: u64, now: i64| {
        with(&|given: &mut RetentionFacts| {
            given.now = day(now);
            given.remembered.as_mut().unwrap().passed_ms = Some(days * 24 * 3_600_000);
        })
    };
    assert_eq!((counted(5, 6), counted(400, 400)), (vec![], vec![]));
    assert_eq!(counted(3, 5), [Brake::ClockWentForward]);
    assert_eq!(counted(u64::MAX / 86_400_000, 5), []);
    // Nothing goes: nothing is asked.
    assert_eq!(with(&|given| (given.policy, given.remembered) = (keep_last(4), None)), []);
}
