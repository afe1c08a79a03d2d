//! Leases: what somebody reads is not deleted meanwhile, and a reader that has died holds nothing.

use std::fs;

use super::harness::Run;
use super::plain_shop::walk;
use super::retention::Kept;

/// How long a reader pauses with its lease; a prune takes far less.
const PAUSE_MS: u64 = 6000;

/// Three backups of which the policy keeps the last one, and a plan that a person has let through.
fn three() -> Kept {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    kept.back_up(3);
    kept
}

/// Reads backups while `prune` runs, and gives what came of the reading.
#[track_caller]
fn read_while_pruned(kept: &Kept, command: &[&str], stay: &[u64]) -> Run {
    kept.place.paused("lease.taken", PAUSE_MS, command, |_| {
        let verdicts = kept.verdicts();
        for sequence in stay {
            let (verdict, reasons) = &verdicts[sequence];
            assert_eq!((verdict.as_str(), reasons.as_slice()), ("keep", &["being-read".to_owned()][..]));
        }
        kept.prune(&["--yes"]).expect(0);
        let left: Vec<u64> = stay.iter().copied().chain([3]).collect();
        assert_eq!(kept.sequences(), left, "{command:?}");
    })
}

#[track_caller]
fn expect_no_lease(kept: &Kept) {
    assert_eq!(walk(&kept.place.state().join("leases")).len(), 0);
}

#[test]
fn what_is_being_read_is_not_deleted() {
    let to = |kept: &Kept| kept.place.folder().join("brought").to_str().unwrap().to_owned();
    for (name, more) in [("verify", &[][..]), ("show", &["--contents"][..]), ("restore", &["--to"][..])] {
        let kept = three();
        let (id, folder) = (kept.id(1), to(&kept));
        let mut command = vec![name, id.as_str()];
        command.extend(more);
        if name == "restore" {
            command.push(&folder);
        }
        read_while_pruned(&kept, &command, &[1]).expect(0);
        if name == "restore" {
            assert_eq!(fs::read_to_string(kept.place.folder().join("brought/page")).unwrap(), "hello");
        }
        expect_no_lease(&kept);
        kept.prune(&["--yes"]).expect(0);
        assert_eq!(kept.sequences(), [3], "{name}: with its reader the lease has gone");
    }
    // Of a comparison the first backup is leased before the second is looked for.
    let kept = three();
    let (one, other) = (kept.id(2), kept.id(3));
    read_while_pruned(&kept, &["diff", &one, &other], &[2]).expect(0);
    expect_no_lease(&kept);
}

#[test]
fn a_reader_that_has_died_holds_nothing() {
    let kept = three();
    kept.place.run_with("lease.taken=kill:1", &["verify", &kept.id(1)]).expect_killed();
    assert_eq!(walk(&kept.place.state().join("leases")).len(), 1);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [3]);
    expect_no_lease(&kept);
}

/// The deletion comes to its point of no return while somebody begins to read: one of the two gives way.
#[test]
fn a_deletion_that_has_begun_is_not_read_and_one_that_has_not_gives_way() {
    let kept = three();
    let id = kept.id(1);
    let run = kept.place.paused("prune.before_begin", PAUSE_MS, &["prune", "--yes"], |_| {
        kept.place.paused("lease.taken", 2 * PAUSE_MS, &["verify", &id], |_| {}).expect(0);
    });
    assert!(run.expect(0).stdout.contains("1 kept again"), "the lease came first");
    assert_eq!(kept.sequences(), [1, 3]);
    kept.place
        .paused("prune.before_manifest", PAUSE_MS, &["prune", "--yes"], |_| {
            kept.place.run(&["verify", &id]).expect_error(10, &["no storage holds the backup"]);
        })
        .expect(0);
    assert_eq!(kept.sequences(), [3], "and no check has brought it back");
}
