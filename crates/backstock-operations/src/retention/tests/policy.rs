//! What may be written as a policy, and what is refused (F117).

use crate::error::ErrorKind;
use crate::retention::{RetentionPolicy, RetentionSettings};

#[test]
fn without_a_rule_it_is_seven_four_twelve_one() {
    let policy = RetentionSettings::default().policy().unwrap();
    assert_eq!(policy, RetentionPolicy::default());
    assert_eq!((policy.daily, policy.weekly, policy.monthly, policy.yearly), (7, 4, 12, 1));
    assert!(policy.to_string().starts_with("keep 7 daily, 4 weekly, 12 monthly, 1 yearly;"), "{policy}");
    // Grace alone is no rule.
    let settings = RetentionSettings { grace_hours: Some(0), ..RetentionSettings::default() };
    assert_eq!(settings.policy().unwrap(), RetentionPolicy { grace_hours: 0, ..RetentionPolicy::default() });
}

#[test]
fn with_one_rule_the_others_are_off() {
    let settings = RetentionSettings { keep_last: Some(5), ..RetentionSettings::default() };
    let policy = settings.policy().unwrap();
    assert_eq!(
        (policy.keep_last, policy.daily, policy.weekly, policy.monthly, policy.yearly),
        (5, 0, 0, 0, 0)
    );
    let settings = RetentionSettings { delete_after_days: Some(30), ..RetentionSettings::default() };
    let policy = settings.policy().unwrap();
    assert!(!policy.limits_the_count() && policy.delete_after_days == Some(30));
}

#[test]
fn f117_zero_copies_and_contradictions_are_refused() {
    let usual = RetentionSettings::default();
    let refused = [
        (RetentionSettings { keep_last: Some(0), ..usual }, "last 0"),
        (RetentionSettings { keep_last: Some(0), daily: Some(7), ..usual }, "last 0"),
        (RetentionSettings { delete_after_days: Some(0), ..usual }, "0 days"),
        (RetentionSettings { keep_snapshots: Some(0), ..usual }, "0 snapshots"),
        (RetentionSettings { required_copies: Some(0), ..usual }, "0 copies"),
        (RetentionSettings { daily: Some(0), weekly: Some(0), ..usual }, "no backup at all"),
        (RetentionSettings { monthly: Some(12), delete_after_days: Some(30), ..usual }, "12 monthly"),
        (RetentionSettings { daily: Some(9), delete_after_days: Some(7), ..usual }, "9 daily"),
        (RetentionSettings { yearly: Some(u32::MAX), delete_after_days: Some(u32::MAX), ..usual }, "yearly"),
    ];
    for (settings, word) in refused {
        let error = settings.policy().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(word), "{error}");
    }
    let fits = RetentionSettings { daily: Some(8), delete_after_days: Some(7), ..usual };
    assert!(fits.policy().is_ok());
    let large = RetentionSettings { keep_last: Some(u32::MAX), delete_after_days: Some(u32::MAX), ..usual };
    assert!(large.policy().is_ok());
}

/// A policy that was brought back is the one that it was, and gives way to what is written down.
#[test]
fn a_policy_of_before_holds_where_nothing_is_written() {
    let written =
        RetentionSettings { weekly: Some(3), required_copies: Some(2), ..RetentionSettings::default() };
    for settings in
        [RetentionSettings::default(), written, RetentionSettings { keep_last: Some(4), ..written }]
    {
        let policy = settings.policy().unwrap();
        let recovered = RetentionSettings::default().or_recovered(Some(policy));
        assert_eq!(recovered.policy().unwrap(), policy);
    }
    let before = written.policy().unwrap();
    let other = RetentionSettings { daily: Some(9), ..RetentionSettings::default() };
    assert_eq!(other.or_recovered(Some(before)), other);
    let copies = RetentionSettings { required_copies: Some(3), ..RetentionSettings::default() };
    let policy = copies.or_recovered(Some(before)).policy().unwrap();
    assert_eq!((policy.weekly, policy.daily, policy.required_copies), (3, 0, 3));
    assert_eq!(copies.or_recovered(None), copies);
}
