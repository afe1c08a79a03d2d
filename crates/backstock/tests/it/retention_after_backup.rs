//! What the policy lets go goes after a backup by itself: only what has been confirmed, and only when the new backup reads
//! back.

use std::fs;

use super::harness::Run;
use super::plain_shop::leftovers;
use super::retention::Kept;

/// Backs up as a schedule would.
#[track_caller]
fn backup(kept: &Kept, more: &[&str]) -> Run {
    kept.place.run(&[&["backup", kept.root.to_str().unwrap()], more].concat())
}

fn state_of(kept: &Kept, sequence: u64) -> String {
    let listed = kept.place.list();
    let found = listed.iter().find(|backup| backup["sequence"] == sequence).unwrap();
    found["replicas"][0]["state"].as_str().unwrap().to_owned()
}

#[test]
fn what_the_policy_lets_go_goes_after_a_backup_that_reads_back() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    let first = backup(&kept, &[]).expect(0);
    assert!(first.stderr.contains("from now on: keep 2 last"), "{first:?}");
    let second = backup(&kept, &[]).expect(0);
    assert!(!second.stderr.contains("from now on") && !second.stderr.contains("older backups"), "{second:?}");
    assert_eq!(state_of(&kept, 2), "present", "nothing goes, so nothing needs a proof");
    let third = backup(&kept, &["--json"]).expect(0).json();
    let pruned = &third["retention"]["destinations"][0];
    assert_eq!(pruned["deleted"].as_array().unwrap().len(), 1, "{third}");
    assert_eq!((kept.sequences(), kept.manifests()), (vec![2, 3], 2));
    assert_eq!((state_of(&kept, 2), state_of(&kept, 3)), ("present".to_owned(), "verified".to_owned()));
    let fourth = backup(&kept, &[]).expect(0);
    assert!(fourth.stderr.contains("older backups at") && fourth.stderr.contains("1 deleted"), "{fourth:?}");
    assert_eq!(kept.sequences(), [3, 4]);
    // Both ways of not wanting it.
    backup(&kept, &["--no-prune"]).expect(0);
    let text = "[retention]\nkeep_last = 2\ngrace_hours = 0\nafter_backup = false\n";
    fs::write(kept.place.configuration(), text).unwrap();
    backup(&kept, &[]).expect(0);
    assert_eq!(kept.sequences(), [3, 4, 5, 6]);
    assert_eq!(leftovers(&kept.place), Vec::<String>::new());
}

#[test]
fn marks_have_their_grace_and_more_than_usual_waits_for_a_person() {
    let kept = Kept::new("keep_last = 2\n");
    for _ in 0..4 {
        backup(&kept, &[]).expect(0);
    }
    assert_eq!(kept.sequences(), [1, 2, 3, 4], "all within their grace");
    let marked = |sequence| {
        let listed = kept.place.list();
        let found = listed.iter().find(|backup| backup["sequence"] == sequence).unwrap();
        found["replicas"][0]["marked"].is_string()
    };
    assert_eq!([1, 2, 3, 4].map(marked), [true, true, false, false]);
    // Another policy: nobody has agreed to it.
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 1\ngrace_hours = 0\n").unwrap();
    let run = backup(&kept, &[]).expect(0);
    assert!(
        run.stderr.contains("warning: no older backup goes") && run.stderr.contains("another one"),
        "{run:?}"
    );
    assert_eq!(kept.sequences(), [1, 2, 3, 4, 5]);
    kept.prune(&["--yes"]).expect(0);
    backup(&kept, &[]).expect(0);
    assert_eq!(kept.sequences(), [6]);
    // A policy that cannot be is told before anything is read.
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 0\n").unwrap();
    backup(&kept, &[]).expect_error(15, &["last 0 backups"]);
    assert_eq!(kept.sequences(), [6]);
}

/// Nobody knows what was pinned before the catalog was lost.
#[test]
fn after_a_lost_catalog_nothing_goes_by_itself() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    backup(&kept, &[]).expect(0);
    kept.place.lose_catalog();
    kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap()]).expect(0);
    for _ in 0..2 {
        let run = backup(&kept, &[]).expect(0);
        assert!(run.stderr.contains("nobody has confirmed policy and pins"), "{run:?}");
    }
    assert_eq!(kept.sequences(), [1, 2, 3]);
    kept.prune(&["--yes"]).expect(0);
}

/// The disk took the new backup and gives something else back: older ones are all that there is.
#[cfg(feature = "failpoints")]
#[test]
fn a_new_backup_that_does_not_read_back_lets_nothing_go() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    backup(&kept, &[]).expect(0);
    let arguments = ["backup", kept.root.to_str().unwrap()];
    let run = kept.place.paused("retention.before_proof", 6000, &arguments, |_| {
        let folder = kept.place.list()[0]["replicas"][0]["folder"].as_str().unwrap().to_owned();
        let part = kept.place.backups().join(folder).join("files/files.tar.zst");
        let mut bytes = fs::read(&part).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&part, &bytes).unwrap();
    });
    run.expect_error(13, &["does not read back as it was written", "nothing was deleted"]);
    assert_eq!((kept.sequences(), kept.manifests()), (vec![1, 2], 2));
    assert_eq!(state_of(&kept, 2), "damaged");
    // The next good one does.
    backup(&kept, &[]).expect(0);
    assert!(kept.sequences().ends_with(&[3]) && !kept.sequences().contains(&1));
}
