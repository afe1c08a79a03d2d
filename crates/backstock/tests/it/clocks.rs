//! F104, F105, F107: clocks that jump, through the executable. Nothing is lost, nothing is aged, and a person is asked.

use std::fs;

use super::harness::Run;
use super::retention::Kept;

/// In hours.
const DAY: i64 = 24;
const YEAR: i64 = 365 * DAY;

fn back_up_at(kept: &Kept, offset: i64) -> Run {
    kept.place.run_at(offset, &["backup", kept.root.to_str().unwrap(), "--json"]).expect(0)
}

/// F105: the clock jumps between a mark and its grace: what is marked stays, until somebody says that it is right.
#[test]
fn f105_a_clock_that_jumps_forward_shortens_no_grace() {
    for (offset, is_asked) in [(YEAR, true), (5 * DAY, true), (20, false)] {
        let kept = Kept::new("keep_last = 2\ngrace_hours = 24\n");
        kept.back_up(4);
        kept.prune(&["--yes"]).expect(0);
        assert_eq!(kept.sequences(), [1, 2, 3, 4], "marked, within their grace");
        let run = kept.place.run_at(offset, &["prune"]);
        assert_eq!(
            (run.code, kept.manifests()),
            (Some(if is_asked { 2 } else { 0 }), 4),
            "{offset}: {run:?}"
        );
        assert_eq!(run.stderr.contains("the clock is ahead"), is_asked, "{offset}: {run:?}");
        // By itself nothing goes either, and the new backup says why.
        let report = back_up_at(&kept, offset).json();
        let held = report["retention"]["destinations"][0]["held_by"].as_array().unwrap();
        assert_eq!((held.is_empty(), kept.manifests()), (!is_asked, 5), "{offset}: {report}");
        // Back at the right time everything is there, verified, and goes on.
        kept.place.run(&["verify", "latest"]).expect(0);
        back_up_at(&kept, 0);
        assert_eq!(kept.sequences(), [1, 2, 3, 4, 5, 6], "{offset}");
        if offset > 31 * DAY {
            // The one from the future is kept, is not aged, and takes nobody's place.
            assert!(kept.verdicts()[&5].1.contains(&"undated".to_owned()));
            assert_eq!(kept.verdicts()[&6].0, "keep");
        }
    }
}

/// F104: a year back. Sequence numbers go on, and nothing that was made is older or younger for it.
#[test]
fn f104_a_clock_that_jumps_back_loses_nothing() {
    let kept = Kept::new("keep_last = 1\ndelete_after_days = 30\ngrace_hours = 0\n");
    kept.back_up(3);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [3]);
    kept.back_up(1);
    // All of it is dated in the future now: nothing goes.
    kept.place.run_at(-YEAR, &["prune"]).expect(0);
    assert_eq!(kept.sequences(), [3, 4]);
    fs::write(kept.root.join("page"), "a year ago").unwrap();
    let report = kept
        .place
        .run_at(-YEAR, &["backup", kept.root.to_str().unwrap(), "--level", "incremental", "--json"]);
    assert_eq!(report.expect(0).json()["sequence"], 5);
    kept.place.run_at(-YEAR, &["verify", "latest"]).expect(0);
    assert_eq!(kept.sequences(), [3, 4, 5]);
    // At the right time again: the number is the next, and the one with the wrong date stays.
    let report = back_up_at(&kept, 0).json();
    assert_eq!(report["sequence"], 6);
    kept.place.run(&["verify", "latest"]).expect(0);
    kept.place.run(&["verify", &kept.id(5)]).expect(0);
    assert!(kept.sequences().ends_with(&[5, 6]), "{:?}", kept.sequences());
}

/// F107: off for a year, with `delete_after_days` long over: nothing is aged by that.
#[test]
fn f107_a_machine_that_was_off_for_a_year_ages_nothing() {
    let kept = Kept::new("delete_after_days = 30\ngrace_hours = 0\n");
    kept.back_up(3);
    kept.prune(&["--yes"]).expect(0);
    kept.place.run_at(YEAR, &["prune"]).expect(0);
    assert_eq!(kept.sequences(), [1, 2, 3]);
    // A backup from then makes the others old at once: somebody is asked.
    let report = back_up_at(&kept, YEAR).json();
    let held = report["retention"]["destinations"][0]["held_by"].to_string();
    assert!(held.contains("dates-jump") || held.contains("clock-went-forward"), "{report}");
    assert_eq!(kept.manifests(), 4);
}
