//! Required copies, room made on a full disk, and deletions that had begun when the last verified backup was lost.

use std::fs;
use std::process::Command;

use super::harness::Run;
use super::retention::{Kept, copy_folder};

/// Overwrites a byte in the middle of the files' archive of a backup.
fn damage(kept: &Kept, sequence: u64) {
    let listed = kept.place.list();
    let backup = listed.iter().find(|backup| backup["sequence"] == sequence).unwrap();
    let folder = backup["replicas"][0]["folder"].as_str().unwrap();
    let part = kept.place.backups().join(folder).join("files/files.tar.zst");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(part, bytes).unwrap();
}

#[test]
fn below_the_required_copies_a_run_is_failed_and_nothing_goes_anywhere() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    kept.back_up(2);
    let root = kept.root.to_str().unwrap();
    let configure = |copies: u32| {
        let set = format!("[[set]]\ntitle = \"shop\"\nshop = \"{root}\"\nrequired_copies = {copies}\n");
        let policy = "[set.retention]\nkeep_last = 1\ngrace_hours = 0\n";
        fs::write(kept.place.configuration(), set + policy).unwrap();
    };
    configure(0);
    kept.place.run(&["backup", root]).expect_error(15, &["0 copies", "hint: "]);
    kept.prune(&["--yes"]).expect_error(15, &["0 copies"]);
    configure(2);
    let run = kept.place.run(&["backup", root, "--json"]).expect_error(1, &["1 of 2 required copies"]);
    let report = run.json();
    assert_eq!((&report["content"], &report["shortage"]["whole"]), (&"whole".into(), &1.into()));
    // It is there and can be restored; what is older stays, by policy and by hand.
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    let run = kept.prune(&["--yes"]).expect(0);
    assert!(run.stderr.contains("nothing goes: the backup"), "{run:?}");
    assert!(kept.verdicts()[&1].1.contains(&"too-few-copies".to_owned()));
    kept.place.run(&["delete", &kept.id(1), "--yes"]).expect_error(15, &["lacks required copies"]);
    assert_eq!(kept.sequences(), [1, 2, 3]);
    // A second copy of the folder of the set, made known: the newest has two whole copies now.
    let other = kept.place.folder().join("other");
    copy_folder(&kept.place.backups(), &other);
    kept.place.run(&["catalog", "rebuild", other.to_str().unwrap()]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.manifests(), 1);
    // A damaged copy is none.
    damage(&kept, 3);
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(13);
    assert!(kept.verdicts()[&3].1.contains(&"too-few-copies".to_owned()));
}

/// The reserve of 64 MiB, three backups of 40 MB and a fourth one do not fit on 180 MiB: what is marked goes early, and the
/// fourth is made. A mount of its own needs root.
#[test]
fn on_a_full_disk_marked_backups_go_before_their_grace_is_over_and_the_floor_never() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let kept = Kept::new("keep_last = 1\ngrace_hours = 1000\n");
    let noise = Command::new("sh")
        .args(["-c", "head -c 40000000 /dev/urandom > \"$1\"/noise.jpg", "sh"])
        .arg(&kept.root)
        .status()
        .unwrap();
    assert!(noise.success());
    let script = "mkdir -p \"$MOUNTED\" && mount -t tmpfs -o size=180m none \"$MOUNTED\" || exit 99; \
                  for number in 1 2 3 4; do \"$@\" || exit $?; ls -d \"$MOUNTED\"/*/20* | wc -l; done; \
                  \"$1\" list --json";
    let mut through = Command::new("unshare");
    through.args(["-m", "sh", "-c", script, "sh"]).env("MOUNTED", kept.place.backups());
    let run = kept.place.run_through(through, &["backup", kept.root.to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains("was full: 2 marked backups"), "{}", run.stderr);
    let counts: Vec<&str> =
        run.stdout.lines().filter(|line| line.len() == 1 && *line != "{" && *line != "}").collect();
    assert_eq!(counts, ["1", "2", "3", "2"], "{}", run.stdout);
    let listed: serde_json::Value =
        serde_json::from_str(&run.stdout[run.stdout.find('{').unwrap()..]).unwrap();
    let sequences: Vec<u64> =
        listed["backups"].as_array().unwrap().iter().map(|one| one["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [4, 3], "the newest, and the one before it that is marked since");
}

/// A failing call in the middle of a backup: the marked one goes and the backup is made; without a marked one it fails.
#[cfg(feature = "failpoints")]
#[test]
fn f17_a_write_without_room_makes_room_once() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 1000\n");
    let root = kept.root.to_str().unwrap();
    let order = |arguments: &[&str], call: u64, ever: &str| {
        let mut command = kept.place.command(arguments);
        command.env("BACKSTOCK_IO_FAULT", format!("enospc:{call}{ever}"));
        Run::of(&command.output().unwrap())
    };
    kept.place.run(&["backup", root]).expect(0);
    kept.place.run(&["backup", root, "--no-prune"]).expect(0);
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert!(kept.place.list()[1]["replicas"][0]["marked"].is_string());
    let aside = kept.place.folder().join("aside");
    copy_folder(&kept.place.state(), &aside.join("state"));
    copy_folder(&kept.place.backups(), &aside.join("backups"));
    // Which of the calls of such a backup write into an artifact.
    let log = kept.place.folder().join("calls");
    let mut command = kept.place.command(&["backup", root, "--no-prune"]);
    Run::of(&command.env("BACKSTOCK_IO_LOG", &log).output().unwrap()).expect(0);
    let calls = fs::read_to_string(&log).unwrap();
    let writes: Vec<u64> =
        (1..).zip(calls.lines()).filter(|(_, call)| *call == "write").map(|(at, _)| at).collect();
    let middle = writes[writes.len() / 2];
    let again = || {
        copy_folder(&aside.join("state"), &kept.place.state());
        copy_folder(&aside.join("backups"), &kept.place.backups());
    };
    again();
    let run = order(&["backup", root, "--no-prune", "--json"], middle, "").expect(0);
    let report = run.json();
    assert_eq!(report["grace_cut"]["deleted"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(kept.sequences(), [2, 3], "the floor stays");
    kept.place.run(&["verify", "latest"]).expect(0);
    // With a disk that stays full nothing is made, and the floor stays too.
    again();
    let run = order(&["backup", root, "--no-prune"], middle, ":ever");
    assert!(run.stderr.contains("hint: make room"), "{run:?}");
    kept.place.run(&["verify", &kept.id(2)]).expect(0);
    // Where nothing is marked, nothing goes.
    again();
    kept.place.run(&["pin", &kept.id(1)]).expect(0);
    let run = order(&["backup", root, "--no-prune"], middle, ":ever");
    assert!(run.stderr.contains("hint: make room") && kept.manifests() == 2, "{run:?}");
}

/// F08: a deletion that had begun when the last verified backup turned out to be damaged: what is whole is given back, what
/// has lost its manifest is gone.
#[cfg(feature = "failpoints")]
#[test]
fn f08_a_deletion_that_has_begun_is_given_back_or_finished_when_the_floor_is_lost() {
    for (point, left) in [
        ("prune.before_tombstone", vec![1, 2, 3]),
        ("prune.before_manifest", vec![1, 2, 3]),
        ("prune.before_data", vec![1, 3]),
    ] {
        let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
        kept.back_up(3);
        kept.place.run_with(&format!("{point}=kill:1"), &["prune", "--yes"]).expect_killed();
        assert_eq!(kept.place.list()[1]["replicas"][0]["state"], "deleting");
        damage(&kept, 3);
        kept.place.run(&["verify", &kept.id(3), "--level", "bytes"]).expect(13);
        let killed = kept.place.run_with("prune.before_give_back=kill:1", &["prune", "--yes"]);
        assert_eq!(killed.code.is_none(), left.len() == 3, "{point}");
        let run = kept.prune(&["--yes"]).expect(0);
        assert_eq!(kept.sequences(), left, "{point}: {run:?}");
        if left.len() == 3 {
            assert!(run.stdout.contains("1 given back"), "{run:?}");
            // It is what can be restored now: once it is verified, it is the floor.
            kept.place.run(&["verify", &kept.id(2)]).expect(0);
            assert!(kept.verdicts()[&2].1.contains(&"floor".to_owned()), "{point}");
        }
        // Its number is told neither as missing nor as doubled.
        let rebuilt =
            kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap(), "--json"]);
        assert_eq!(rebuilt.json()["irregularities"].as_array().unwrap().len(), 0, "{point}");
    }
}
