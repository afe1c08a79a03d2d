//! One row of the table: medians of ours divided by medians of the peer's, and whether that meets the goal.

use serde::Serialize;

use crate::measure::Measured;
use crate::work::Pair;

/// More than this no operation may take, in bytes.
const PEAK_MEMORY_LIMIT_BYTES: u64 = 128 << 20;

/// The largest ratio that is good enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// Of wall time.
    Wall(f64),
    /// Of the client's processor time.
    Cpu(f64),
    /// Of the bytes that are compared.
    Size(f64),
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::Wall(limit) => format!("wall <= {limit:.2}"),
            Self::Cpu(limit) => format!("cpu <= {limit:.2}"),
            Self::Size(limit) => format!("size <= {limit:.2}"),
        }
    }
}

/// One row, as `--json` prints it; times in seconds. Ratios are absent where there is nothing to compare.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) peer: String,
    pub(crate) wall_ratio: Option<f64>,
    pub(crate) cpu_ratio: Option<f64>,
    pub(crate) size_ratio: Option<f64>,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) goal: String,
    pub(crate) met: Option<bool>,
    pub(crate) wall_s: f64,
    pub(crate) peer_wall_s: f64,
    pub(crate) client_cpu_s: f64,
    pub(crate) peer_client_cpu_s: f64,
    pub(crate) server_cpu_s: f64,
    pub(crate) peer_server_cpu_s: f64,
    pub(crate) size_bytes: u64,
    pub(crate) peer_size_bytes: u64,
    pub(crate) peer_peak_memory_bytes: u64,
    /// Why there are no figures.
    pub(crate) missing: Option<String>,
}

impl Row {
    /// The medians of both sides.
    pub(crate) fn of(pair: &Pair, ours: &[Measured], theirs: &[Measured]) -> Self {
        let middle = |of: &[Measured], value: fn(&Measured) -> f64| median(of.iter().map(value));
        let largest = |of: &[Measured], value: fn(&Measured) -> u64| of.iter().map(value).max().unwrap_or(0);
        let (size_bytes, peer_size_bytes) =
            (largest(ours, |measured| measured.bytes), largest(theirs, |measured| measured.bytes));
        let mut row = Self {
            work: pair.work.clone(),
            peer: pair.peer.clone(),
            peak_memory_bytes: largest(ours, |measured| measured.peak_memory_bytes),
            peer_peak_memory_bytes: largest(theirs, |measured| measured.peak_memory_bytes),
            wall_s: middle(ours, |measured| measured.wall_s),
            peer_wall_s: middle(theirs, |measured| measured.wall_s),
            client_cpu_s: middle(ours, |measured| measured.cpu_s),
            peer_client_cpu_s: middle(theirs, |measured| measured.cpu_s),
            server_cpu_s: middle(ours, |measured| measured.server_cpu_s),
            peer_server_cpu_s: middle(theirs, |measured| measured.server_cpu_s),
            size_bytes,
            peer_size_bytes,
            ..Self::default()
        };
        row.wall_ratio = ratio(row.wall_s, row.peer_wall_s);
        row.cpu_ratio = ratio(row.client_cpu_s, row.peer_client_cpu_s);
        #[expect(clippy::cast_precision_loss, reason = "a ratio of sizes is shown with two digits")]
        let sizes = (size_bytes as f64, peer_size_bytes as f64);
        row.size_ratio = ratio(sizes.0, sizes.1);
        row.goal = goal_text(&pair.goals);
        row.met = row.meets(&pair.goals);
        row
    }

    /// A row whose peer cannot be had here.
    pub(crate) fn missing(pair: &Pair, reason: &str) -> Self {
        Self {
            work: pair.work.clone(),
            peer: pair.peer.clone(),
            goal: goal_text(&pair.goals),
            missing: Some(reason.to_owned()),
            ..Self::default()
        }
    }

    /// `None` without a goal; a goal whose ratio is unknown is not met.
    fn meets(&self, goals: &[Goal]) -> Option<bool> {
        let is_met = |goal: &Goal| {
            let (ratio, limit) = match *goal {
                Goal::Wall(limit) => (self.wall_ratio, limit),
                Goal::Cpu(limit) => (self.cpu_ratio, limit),
                Goal::Size(limit) => (self.size_ratio, limit),
            };
            ratio.is_some_and(|ratio| ratio <= limit)
        };
        (!goals.is_empty()).then(|| goals.iter().all(is_met))
    }
}

/// The largest memory of all rows against what is promised; nothing when no row has figures.
pub(crate) fn peak_memory_row(rows: &[Row]) -> Option<Row> {
    let largest = rows.iter().filter(|row| row.missing.is_none()).max_by_key(|row| row.peak_memory_bytes)?;
    Some(Row {
        work: "peak memory".to_owned(),
        peer: format!("limit; the most took {}", largest.work),
        peak_memory_bytes: largest.peak_memory_bytes,
        goal: format!("<= {} MiB", PEAK_MEMORY_LIMIT_BYTES >> 20),
        met: Some(largest.peak_memory_bytes <= PEAK_MEMORY_LIMIT_BYTES),
        ..Row::default()
    })
}

fn goal_text(goals: &[Goal]) -> String {
    goals.iter().map(|goal| goal.text()).collect::<Vec<_>>().join(", ")
}

/// Ours divided by the peer's, where the peer's is more than nothing.
fn ratio(ours: f64, peers: f64) -> Option<f64> {
    (peers > 0.0).then(|| ours / peers)
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{Peer, Side};

    fn is(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1e-9)
    }

    fn pair(goals: &[Goal]) -> Pair {
        let side = || Side::new(String::new());
        Pair { goals: goals.to_vec(), ..Pair::new("work", "peer", side(), Peer::Side(side())) }
    }

    fn measured(wall_s: f64, cpu_s: f64, bytes: u64) -> Measured {
        Measured { wall_s, cpu_s, bytes, peak_memory_bytes: bytes, ..Measured::default() }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!(is(Some(median([3.0, 1.0, 2.0].into_iter())), 2.0));
        assert!(is(Some(median([4.0, 1.0, 2.0, 9.0].into_iter())), 3.0));
        assert!(is(Some(median(std::iter::empty())), 0.0));
    }

    #[test]
    fn ratios_are_those_of_medians_and_memory_is_the_largest() {
        let ours = [measured(1.0, 4.0, 90), measured(2.0, 1.0, 95), measured(50.0, 2.0, 90)];
        let theirs = [measured(4.0, 4.0, 100), measured(1.0, 8.0, 100), measured(9.0, 4.0, 100)];
        let row = Row::of(&pair(&[]), &ours, &theirs);
        assert!(is(row.wall_ratio, 0.5) && is(row.cpu_ratio, 0.5) && is(row.size_ratio, 0.95), "{row:?}");
        assert_eq!((row.peak_memory_bytes, row.met), (95, None));
    }

    #[test]
    fn a_goal_is_met_when_every_part_of_it_is() {
        let (ours, theirs) = ([measured(1.0, 3.0, 110)], [measured(2.0, 4.0, 100)]);
        for (goals, met) in [
            (vec![Goal::Wall(0.5), Goal::Size(1.1)], true),
            (vec![Goal::Wall(0.5), Goal::Cpu(0.7)], false),
            (vec![Goal::Wall(0.49)], false),
        ] {
            assert_eq!(Row::of(&pair(&goals), &ours, &theirs).met, Some(met), "{goals:?}");
        }
        let nothing = Row::of(&pair(&[Goal::Size(1.0)]), &ours, &[Measured::default()]);
        assert_eq!((nothing.size_ratio, nothing.met), (None, Some(false)));
    }

    #[test]
    fn a_missing_peer_is_said_and_counts_for_nothing() {
        let missing = Row::missing(&pair(&[Goal::Wall(0.5)]), "not here");
        assert_eq!((missing.met, missing.goal.as_str()), (None, "wall <= 0.50"));
        assert!(peak_memory_row(&[missing]).is_none());
    }

    #[test]
    fn the_row_of_memory_is_that_of_the_largest() {
        let row = |bytes| Row { peak_memory_bytes: bytes, ..Row::default() };
        assert_eq!(peak_memory_row(&[row(5), row(PEAK_MEMORY_LIMIT_BYTES)]).unwrap().met, Some(true));
        assert_eq!(peak_memory_row(&[row(PEAK_MEMORY_LIMIT_BYTES + 1), row(5)]).unwrap().met, Some(false));
    }
}
