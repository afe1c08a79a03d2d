//! Laws over random cases, and agreement with the naive model. `BACKSTOCK_TEST_RETENTION_CASES=1000000` tries many more.

use std::collections::BTreeSet;

use backstock_vocabulary::{Content, Level, MarkCause, Reason, ReplicaState};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

use super::naive::Naive;
use super::sample::{backup, day, id, kept_by};
use crate::retention::{
    KnownBackup, Remembered, RetentionFacts, RetentionPlan, RetentionPolicy, Shortage, Wish, plan_retention,
};

/// How many cases the checks try: a few seconds.
const CASES: u32 = 4_000;

fn config() -> ProptestConfig {
    let asked = std::env::var("BACKSTOCK_TEST_RETENTION_CASES").ok();
    let cases = asked.map_or(CASES, |text| text.parse().unwrap());
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        12 => Just(Content::Whole),
        2 => Just(Content::WholeExcept),
        1 => Just(Content::Suspect),
        2 => Just(Content::Unusable),
    ]
}

fn state() -> impl Strategy<Value = ReplicaState> {
    prop_oneof![
        8 => Just(ReplicaState::Verified),
        5 => Just(ReplicaState::Present),
        1 => Just(ReplicaState::Damaged),
        1 => Just(ReplicaState::Deleting),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![10 => Just(Reason::Scheduled), 6 => select(Reason::ALL)]
}

/// A backup of a sequence number, made about so many times 15 hours after the first.
fn known(sequence: u64) -> impl Strategy<Value = KnownBackup> {
    let level =
        prop_oneof![3 => Just(Level::Full), 2 => Just(Level::Incremental), 1 => Just(Level::Differential)];
    let flags = (
        prop::bool::weighted(0.06),
        prop::bool::weighted(0.04),
        prop::bool::weighted(0.04),
        prop::bool::weighted(0.4),
        prop::bool::weighted(0.6),
    );
    let mark = prop_oneof![
        8 => Just(None),
        1 => Just(Some(MarkCause::Policy)),
        1 => Just(Some(MarkCause::ByHand)),
    ];
    let minutes = prop_oneof![12 => -600_i64..600, 1 => -60_000_i64..60_000, 1 => Just(9_000_000), 1 => Just(-29_000_000)];
    (level, any::<Index>(), reason(), content(), state(), flags, mark, minutes).prop_map(
        move |(
            level,
            parent,
            reason,
            content,
            state,
            (is_pinned, is_needed, is_being_read, is_confirmed, lacks),
            mark,
            minutes,
        )| {
            let hours = i64::try_from(sequence).unwrap() * 15;
            let started = day(0).checked_add(SignedDuration::from_mins(hours * 60 + minutes)).unwrap();
            // Mostly the one before it; seldom any, itself and later ones among them.
            let parents = [sequence - 1, sequence - 1, sequence - 1, sequence - 1, parent.index(16) as u64];
            let parent = (level != Level::Full).then(|| id(parents[parent.index(5)]));
            KnownBackup {
                level,
                parent,
                reason,
                content,
                started,
                state,
                is_pinned,
                is_needed,
                is_being_read,
                is_confirmed,
                has_open_exceptions: content != Content::Whole && lacks,
                mark,
                ..backup(sequence)
            }
        },
    )
}

fn policy() -> impl Strategy<Value = RetentionPolicy> {
    let counts = (0..4_u32, 0..5_u32, 0..3_u32, 0..3_u32, 0..2_u32, 1..3_u32);
    (counts, prop::option::weighted(0.3, 1..9_u32), prop::bool::weighted(0.2)).prop_map(
        |(
            (keep_last, daily, weekly, monthly, yearly, keep_snapshots),
            delete_after_days,
            count_exceptions,
        )| {
            RetentionPolicy {
                keep_last,
                delete_after_days,
                daily,
                weekly,
                monthly,
                yearly,
                keep_snapshots,
                count_exceptions,
                grace_hours: 24,
                required_copies: 1,
            }
        },
    )
}

fn cases() -> impl Strategy<Value = RetentionFacts> {
    let backups = (1..15_u64).prop_flat_map(|count| (1..=count).map(known).collect::<Vec<_>>());
    let by_hand = prop::collection::btree_set((1..15_u64).prop_map(id), 1..3);
    let wish = prop_oneof![4 => Just(Wish::Policy), 1 => by_hand.prop_map(Wish::ByHand)];
    let remembered = prop::option::weighted(0.8, (0..15_u64, -20..20_i64));
    let shortage = prop::bool::weighted(0.05);
    (policy(), wish, backups, -30..30_i64, remembered, shortage).prop_map(
        |(policy, wish, backups, days, remembered, lacks_copies)| {
            let now = day(backups.len() as i64 * 15 / 24 + days);
            let remembered = remembered.map(|(sequence, days)| Remembered {
                policy: Some(policy),
                sequence,
                acted: day(days),
                passed_ms: None,
            });
            let shortage = lacks_copies.then(|| Shortage { backup: id(1), whole: 1, required: 2 });
            RetentionFacts { policy, wish, shortage, backups, now, remembered }
        },
    )
}

fn kept_ids(plan: &RetentionPlan) -> BTreeSet<backstock_vocabulary::BackupId> {
    plan.backups.iter().filter(|verdict| verdict.decision.is_keep()).map(|verdict| verdict.backup).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_plan_agrees_with_the_naive_model(facts in cases()) {
        let plan = plan_retention(&facts);
        let naive = Naive(&facts);
        prop_assert_eq!(plan.floor, naive.floor().map(|floor| floor.id));
        prop_assert_eq!(kept_ids(&plan), naive.kept());
    }

    #[test]
    fn floor_closure_pins_and_the_undated_hold(facts in cases()) {
        let plan = plan_retention(&facts);
        let (naive, kept) = (Naive(&facts), kept_ids(&plan));
        prop_assert_eq!(plan.backups.len(), facts.backups.len());
        for (known, verdict) in facts.backups.iter().zip(&plan.backups) {
            prop_assert_eq!(known.id, verdict.backup);
            let is_kept = kept.contains(&known.id);
            if known.state == ReplicaState::Deleting {
                prop_assert!(!is_kept);
                continue;
            }
            prop_assert!(is_kept || !(known.is_pinned || known.is_needed || known.is_being_read));
            prop_assert!(is_kept || plan.floor.is_some(), "nothing goes without a floor");
            let is_asked = matches!(&facts.wish, Wish::ByHand(ids) if ids.contains(&known.id));
            let is_by_hand = is_asked || known.mark == Some(MarkCause::ByHand);
            prop_assert!(is_kept || is_by_hand || !naive.is_undated(known), "the undated do not age");
            for ancestor in &facts.backups {
                if is_kept && naive.builds_on(known, ancestor.id) && ancestor.state != ReplicaState::Deleting {
                    prop_assert!(kept.contains(&ancestor.id), "{} builds on {}", known.sequence, ancestor.sequence);
                }
            }
        }
        if let Some(floor) = plan.floor {
            prop_assert!(kept.contains(&floor));
        }
        // Somebody who may be restored from is left wherever there was one.
        let could = facts.backups.iter().any(|known| naive.counts(known));
        let can = facts.backups.iter().any(|known| naive.counts(known) && kept.contains(&known.id));
        prop_assert_eq!(could, can);
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(facts in cases(), swaps in prop::collection::vec((any::<Index>(), any::<Index>()), 0..12)) {
        let mut other = facts.clone();
        let count = other.backups.len();
        for (one, two) in swaps {
            other.backups.swap(one.index(count), two.index(count));
        }
        prop_assert_eq!(plan_retention(&facts), plan_retention(&other));
    }

    #[test]
    fn a_more_generous_policy_keeps_no_less(facts in cases(), more in (0..3_u32, 0..3_u32, 0..3_u32, 0..3_u32, 0..2_u32)) {
        let mut generous = facts.clone();
        let (policy, before) = (&mut generous.policy, facts.policy);
        // A rule more where there was none is a limit more.
        let add = |count: &mut u32, more: u32| *count += if *count > 0 { more } else { 0 };
        add(&mut policy.keep_last, more.0);
        add(&mut policy.daily, more.1);
        add(&mut policy.weekly, more.2);
        add(&mut policy.monthly, more.3);
        policy.keep_snapshots += more.4;
        policy.delete_after_days = before.delete_after_days.map(|days| days + more.4);
        let (kept, more_kept) = (plan_retention(&facts), plan_retention(&generous));
        prop_assert!(kept_ids(&kept).is_subset(&kept_ids(&more_kept)), "{:?} of {:?}", kept_by(&kept), kept_by(&more_kept));
    }

    #[test]
    fn the_clock_ages_nothing(facts in cases(), days in 0..4_000_i64) {
        // A clock that runs ahead shows no further date as wrong, and makes nothing older.
        let mut later = facts.clone();
        later.backups.retain(|known| known.started <= facts.now);
        let earlier = RetentionFacts { now: facts.now, ..later.clone() };
        later.now = later.now.checked_add(SignedDuration::from_hours(24 * days)).unwrap();
        prop_assert_eq!(kept_ids(&plan_retention(&earlier)), kept_ids(&plan_retention(&later)));
    }

    #[test]
    fn what_went_changes_nothing_for_the_rest(facts in cases()) {
        // A second plan, once everything that goes is gone, lets nothing more go. Without odd dates: what contradicted
        // them may be gone.
        let mut facts = RetentionFacts { wish: Wish::Policy, now: day(30), ..facts };
        for known in &mut facts.backups {
            known.mark = None;
            known.started = day(0).checked_add(SignedDuration::from_hours(known.sequence as i64 * 15)).unwrap();
            if known.state == ReplicaState::Deleting {
                known.state = ReplicaState::Damaged;
            }
        }
        let kept = kept_ids(&plan_retention(&facts));
        let mut rest = facts.clone();
        rest.backups.retain(|known| kept.contains(&known.id));
        prop_assert_eq!(kept_ids(&plan_retention(&rest)), kept);
    }
}
