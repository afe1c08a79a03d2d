//! Tables held against tables: what is gone, what is empty, and what only looks so.

use backstock_database::{Pattern, TableSelection};

use super::table_counts::{TableCount, TableCounts};
use super::tables::compare;
use super::{Suspicion, SuspicionKind, is_implausible};
use crate::backup::AskedTables;

fn counts(tables: &[(&str, u64)]) -> TableCounts {
    let count = |(name, rows): &(&str, u64)| TableCount {
        name: (*name).into(),
        rows: Some(*rows),
        is_core: name.starts_with("core"),
        is_noise: name.starts_with("log"),
    };
    TableCounts { tables: tables.iter().map(count).collect(), ..TableCounts::default() }
}

fn all() -> TableSelection {
    TableSelection { only: Vec::new(), contents_excluded: Vec::new(), excluded_entirely: Vec::new() }
}

fn kinds(found: &[Suspicion]) -> Vec<SuspicionKind> {
    found.iter().map(|suspicion| suspicion.kind).collect()
}

fn judged(before: &[(&str, u64)], after: &[(&str, u64)]) -> Vec<SuspicionKind> {
    kinds(&compare(&counts(before), &counts(after), &all()))
}

#[test]
fn a_core_table_gone_or_empty_is_suspect_and_one_that_was_empty_is_not() {
    use SuspicionKind::{TableEmpty, TableGone};
    let before = [("core_order", 3), ("core_return", 0), ("page", 5_000)];
    assert_eq!(judged(&before, &[("core_order", 0), ("core_return", 0), ("page", 5_000)]), [TableEmpty]);
    assert_eq!(judged(&before, &[("page", 5_000)]), [TableGone]);
    assert_eq!(judged(&before, &[("core_order", 1), ("page", 5_000)]), []);
    let told = &compare(&counts(&before), &counts(&[("page", 5_000)]), &all())[0];
    assert_eq!(
        (told.subject.as_str(), told.message().as_str()),
        ("table core_order", "it had 3 rows and is gone")
    );
}

#[test]
fn rows_are_counted_all_together() {
    let rows_gone = [SuspicionKind::RowsGone];
    assert_eq!(judged(&[("a", 500), ("b", 500)], &[("a", 200), ("b", 500)]), []);
    assert_eq!(judged(&[("a", 500), ("b", 500)], &[("a", 199), ("b", 500)]), rows_gone);
    assert_eq!(judged(&[("a", 500), ("b", 500)], &[("b", 500)]), rows_gone);
    // Another name, or cut in two: the rows are there.
    assert_eq!(judged(&[("a", 1_000)], &[("a_new", 400), ("a_old", 600)]), []);
    // What comes and goes by itself says nothing, on either side.
    assert_eq!(judged(&[("a", 500), ("log", 9_000)], &[("a", 500), ("log", 0)]), []);
    assert_eq!(judged(&[("a", 500)], &[("log", 9_000), ("a", 10)]), rows_gone);
}

#[test]
fn few_rows_mean_nothing_unless_none_is_left() {
    assert!(!is_implausible(99, 1, 100) && is_implausible(99, 0, 100) && !is_implausible(0, 0, 100));
    assert!(!is_implausible(1_000, 700, 100) && is_implausible(1_000, 699, 100));
    assert!(is_implausible(u64::MAX, 1, 100) && !is_implausible(5, 9, 1));
}

#[test]
fn what_one_of_the_two_was_told_to_leave_out_or_could_not_read_is_not_gone() {
    let before = counts(&[("core_order", 900), ("page", 1_000)]);
    let after = counts(&[("page", 1_000)]);
    let pattern = || vec![Pattern::new("core_*").unwrap()];
    for selection in [
        TableSelection { excluded_entirely: pattern(), ..all() },
        TableSelection { contents_excluded: pattern(), ..all() },
        TableSelection { only: vec![Pattern::new("page").unwrap()], ..all() },
    ] {
        assert_eq!(compare(&before, &after, &selection), [], "{selection:?}");
    }
    let mut without_rows = counts(&[("core_order", 0), ("page", 1_000)]);
    without_rows.tables[0].rows = None;
    assert_eq!(compare(&before, &without_rows, &all()), []);
    for subject in ["table core_order", "tables"] {
        let unread = TableCounts { not_dumped: vec![subject.to_owned()], ..after.clone() };
        assert_eq!(compare(&before, &unread, &all()), []);
    }
    let asked = AskedTables::of(&TableSelection { only: vec![Pattern::new("core_*").unwrap()], ..all() });
    // What the earlier one was not asked for makes up for nothing.
    let before = TableCounts { asked, ..counts(&[("core_order", 900)]) };
    let after = counts(&[("core_order", 300), ("page", 5_000)]);
    assert_eq!(kinds(&compare(&before, &after, &all())), [SuspicionKind::RowsGone]);
}

#[test]
fn counts_are_the_same_after_they_were_kept() {
    let mut kept = counts(&[("core_order", 900), ("log", 3), ("page", 1_000)]);
    kept.tables.push(TableCount {
        name: b"odd\xff".to_vec().into(),
        rows: None,
        is_core: false,
        is_noise: false,
    });
    let text = serde_json::to_vec(&kept).unwrap();
    assert_eq!(serde_json::from_slice::<TableCounts>(&text).unwrap(), kept);
}
