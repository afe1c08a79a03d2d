//! What is due: against a naive model, and over months in which the clock jumps.

use backstock_vocabulary::{BackupId, StorageId, VerifyLevel};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Every, KnownReplica, VerifySchedule, VerifySettings, plan_verify};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn begin() -> Timestamp {
    "2026-11-01T03:00:00Z".parse().unwrap()
}

fn replica(number: u8, finished: Timestamp, stored_bytes: u64) -> KnownReplica {
    KnownReplica {
        backup: BackupId::from_parts(u64::from(number), [number; 10]),
        storage: StorageId::from_parts(1, [1; 10]),
        finished,
        stored_bytes,
        decoded_bytes: None,
        checks: Vec::new(),
    }
}

fn schedule(read_limit_bytes: u64) -> VerifySchedule {
    VerifySchedule { present_days: Some(7), bytes_days: Some(30), decoded_days: None, read_limit_bytes }
}

/// Plans at a time and does it all; gives how many readings there were, and of how many bytes.
fn run(schedule: VerifySchedule, replicas: &mut [KnownReplica], now: Timestamp) -> (usize, u64) {
    let plan = plan_verify(schedule, replicas, now);
    let mut read = (0, 0);
    for check in &plan.checks {
        let found = replicas.iter_mut().find(|replica| replica.backup == check.backup).unwrap();
        for level in VerifyLevel::ALL.iter().filter(|level| **level <= check.level) {
            found.checks.retain(|(done, _)| done != level);
            found.checks.push((*level, now));
        }
        if check.level > VerifyLevel::Present {
            read = (read.0 + 1, read.1 + check.read_bytes);
        }
    }
    read
}

#[test]
fn settings_are_days_or_off_and_zero_is_refused() {
    let usual = VerifySettings::default().schedule().unwrap();
    assert_eq!((usual.present_days, usual.bytes_days, usual.decoded_days), (Some(7), Some(30), None));
    assert_eq!(usual.read_limit_bytes, 20 << 30);
    let off =
        VerifySettings { present_days: Some(Every::Off), bytes_days: Some(Every::Off), ..Default::default() };
    assert!(off.schedule().unwrap().is_off() && !usual.is_off());
    let every = |text: &str| serde_json::from_str::<Every>(text).map_err(|error| error.to_string());
    assert_eq!((every("3"), every("\"off\"")), (Ok(Every::Days(3)), Ok(Every::Off)));
    for wrong in ["0", "-1", "4000", "\"never\"", "true"] {
        let error = every(wrong).unwrap_err();
        assert!(error.contains("\"off\""), "{wrong}: {error}");
    }
    let nothing = VerifySettings { read_limit_gib: Some(0), ..Default::default() };
    assert!(nothing.schedule().unwrap_err().to_string().contains("0 GiB"));
}

#[test]
fn the_parts_are_looked_for_weekly_and_read_monthly() {
    let mut one = [replica(1, begin(), 100)];
    let mut done = Vec::new();
    for day in 0..70 {
        let now = begin() + DAY * day;
        let plan = plan_verify(schedule(1_000), &one, now);
        done.extend(plan.checks.iter().map(|check| (day, check.level)));
        run(schedule(1_000), &mut one, now);
    }
    use VerifyLevel::{Bytes, Present};
    let days = [(7, Present), (14, Present), (21, Present), (28, Present), (30, Bytes), (37, Present)];
    assert_eq!(done[..6], days);
    assert_eq!(done[6..], [(44, Present), (51, Present), (58, Present), (60, Bytes), (67, Present)]);
}

#[test]
fn a_run_reads_no_more_than_it_may_the_oldest_first_and_never_nothing() {
    let mut many: Vec<_> = (0..10).map(|n| replica(n, begin() + DAY * i32::from(n), 40)).collect();
    many[3].stored_bytes = 1_000;
    let now = begin() + DAY * 100;
    let plan = plan_verify(schedule(100), &many, now);
    let read: Vec<_> =
        plan.checks.iter().filter(|check| check.read_bytes > 0).map(|check| check.backup).collect();
    assert_eq!(read, [many[0].backup, many[1].backup]);
    assert_eq!(plan.waiting.len(), 8);
    assert!(plan.checks[0].why(now).contains("not done in the"), "{}", plan.checks[0].why(now));
    // Those that wait are looked for all the same.
    assert_eq!(plan.checks.len(), 10);
    let mut runs = Vec::new();
    for hour in 0..8 {
        runs.push(run(schedule(100), &mut many, now + SignedDuration::from_hours(hour)));
    }
    assert_eq!(runs, [(2, 80), (1, 40), (1, 1_000), (2, 80), (2, 80), (2, 80), (0, 0), (0, 0)]);
}

#[test]
fn a_clock_that_jumps_back_makes_one_thing_due_at_most_and_a_wrong_time_is_forgotten() {
    let mut many: Vec<_> = (0..20).map(|n| replica(n, begin(), 10)).collect();
    assert_eq!(run(schedule(1_000), &mut many, begin() + DAY * 31), (20, 200));
    // Years back, and to and fro: what was checked just now is not checked again and again.
    let mut read = 0;
    for day in 0..10 {
        let (back, now) = (begin() - DAY * 9_000 + DAY * day, begin() + DAY * 31 + DAY * day);
        let (first, second) = (run(schedule(1_000), &mut many, back), run(schedule(1_000), &mut many, now));
        assert!(first.0 <= 1 && second.0 <= 1, "day {day}: {first:?}, {second:?}");
        read += first.0 + second.0;
    }
    assert!(read <= 20, "{read}");
    // Once in 2099: all of it is then ahead of the right time, and comes back to it one by one.
    let wrong: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(run(schedule(1_000), &mut many, wrong).0, 20);
    let right = begin() + DAY * 50;
    let each: Vec<_> = (0..20)
        .map(|hour| run(schedule(1_000), &mut many, right + SignedDuration::from_mins(hour)).0)
        .collect();
    assert_eq!(each, [1; 20]);
    assert_eq!(run(schedule(1_000), &mut many, right + DAY).0, 0);
    assert_eq!(run(schedule(1_000), &mut many, right + DAY * 31).0, 20);
}

#[test]
fn what_can_be_decoded_is_where_that_is_wanted_and_says_what_else_is_due() {
    let mut one = replica(1, begin(), 10);
    let deep = VerifySchedule { decoded_days: Some(90), ..schedule(100) };
    let now = begin() + DAY * 91;
    assert_eq!(
        plan_verify(deep, &[one.clone()], now).checks[0].level,
        VerifyLevel::Bytes,
        "nothing opens it"
    );
    one.decoded_bytes = Some(30);
    let plan = plan_verify(deep, &[one.clone()], now);
    let check = &plan.checks[0];
    assert_eq!(
        (check.level, check.otherwise, check.read_bytes),
        (VerifyLevel::Decoded, Some(VerifyLevel::Bytes), 30)
    );
    run(deep, std::slice::from_mut(&mut one), now);
    assert_eq!(plan_verify(deep, &[one.clone()], now + DAY * 6).checks, []);
    assert_eq!(plan_verify(deep, &[one], now + DAY * 30).checks[0].level, VerifyLevel::Bytes);
}

proptest! {
    /// What is due by the naive rule is checked or waits, nothing else is, and no run reads more than it may.
    #[test]
    fn what_is_due_is_due(
        known in prop::collection::vec((0_i32..200, 1_u64..100, prop::option::of(0_i32..120), prop::option::of(0_i32..120)), 0..12),
        limit in 1_u64..300,
    ) {
        let now = begin() + DAY * 300;
        let replicas: Vec<_> = (0_u8..).zip(&known).map(|(number, (age, size, present, bytes))| {
            let mut replica = replica(number, now - DAY * *age, *size);
            replica.checks.extend(present.map(|age| (VerifyLevel::Present, now - DAY * age)));
            replica.checks.extend(bytes.map(|age| (VerifyLevel::Bytes, now - DAY * age)));
            replica
        }).collect();
        let plan = plan_verify(schedule(limit), &replicas, now);
        for (replica, (age, _, present, bytes)) in replicas.iter().zip(&known) {
            let is_bytes_due = bytes.unwrap_or(*age) >= 30;
            let looked = [*present, *bytes].into_iter().flatten().min().unwrap_or(*age);
            let of = |list: &[super::DueCheck]| {
                list.iter().filter(|check| check.backup == replica.backup).map(|check| check.level).collect::<Vec<_>>()
            };
            let (now, later) = (of(&plan.checks), of(&plan.waiting));
            if is_bytes_due {
                prop_assert_eq!(now.contains(&VerifyLevel::Bytes) as u8 + later.contains(&VerifyLevel::Bytes) as u8, 1);
            } else {
                prop_assert!(later.is_empty() && !now.contains(&VerifyLevel::Bytes));
            }
            let is_looked_at = !now.is_empty();
            prop_assert_eq!(is_looked_at, looked >= 7 || now.contains(&VerifyLevel::Bytes));
        }
        let read: Vec<u64> = plan.checks.iter().map(|check| check.read_bytes).filter(|bytes| *bytes > 0).collect();
        prop_assert!(read.len() <= 1 || read.iter().sum::<u64>() <= limit);
        prop_assert!(plan.waiting.is_empty() || !read.is_empty());
    }
}
