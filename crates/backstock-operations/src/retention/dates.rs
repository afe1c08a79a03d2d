//! Which backups have a date that can be right. Clocks jump: only what fits the order of the sequence numbers is believed.

use jiff::Timestamp;

use super::facts::KnownBackup;

/// How far behind a backup's date the clock may be, in seconds: one day.
const AHEAD_LIMIT_SECONDS: i64 = 24 * 3600;
/// A clock that is set right by less steps back without a date becoming wrong, in seconds.
const STEP_BACK_SECONDS: i64 = 3600;
/// Nothing was backed up before (2025-01-01, UTC): a clock that has lost its battery says so.
const EARLIEST_SECONDS: i64 = 1_735_689_600;

/// Of backups in the order of their sequence, which are undated: dated in the future, before there was a Backstock, or
/// not on *every* longest row of dates that rise with the sequence. Where two contradict each other and nothing tells
/// which is right, both are undated.
pub(super) fn undated(backups: &[KnownBackup], now: Timestamp) -> Vec<bool> {
    let seconds: Vec<i64> = backups.iter().map(|backup| backup.started.as_second()).collect();
    let limit = now.as_second().saturating_add(AHEAD_LIMIT_SECONDS);
    let plausible: Vec<usize> =
        (0..seconds.len()).filter(|&at| (EARLIEST_SECONDS..=limit).contains(&seconds[at])).collect();
    let rising: Vec<i64> = plausible.iter().map(|&at| seconds[at]).collect();
    let falling: Vec<i64> = rising.iter().rev().map(|value| -value).collect();
    // How long the longest row is that ends at each, and that begins at each.
    let ending = longest_rows(&rising);
    let beginning: Vec<usize> = longest_rows(&falling).into_iter().rev().collect();
    let longest = ending.iter().copied().max().unwrap_or(0);
    let is_on_a_longest = |at: usize| ending[at] + beginning[at] == longest + 1;
    let mut places = vec![0_usize; longest + 1];
    for at in (0..plausible.len()).filter(|&at| is_on_a_longest(at)) {
        places[ending[at]] += 1;
    }
    let mut undated = vec![true; backups.len()];
    for (at, &backup) in plausible.iter().enumerate() {
        undated[backup] = !(is_on_a_longest(at) && places[ending[at]] == 1);
    }
    undated
}

/// For each value the length of the longest row that ends there, in which no value is below the one before it by more
/// than a step back.
fn longest_rows(values: &[i64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    // A Fenwick tree of maxima over the sorted values.
    let mut tree = vec![0_usize; sorted.len() + 1];
    let mut lengths = Vec::with_capacity(values.len());
    for &value in values {
        let mut reach = sorted.partition_point(|other| *other <= value.saturating_add(STEP_BACK_SECONDS));
        let mut length = 1;
        while reach > 0 {
            length = length.max(tree[reach] + 1);
            reach &= reach - 1;
        }
        lengths.push(length);
        let mut at = sorted.partition_point(|other| *other < value) + 1;
        while at < tree.len() {
            tree[at] = tree[at].max(length);
            at += at & at.wrapping_neg();
        }
    }
    lengths
}
