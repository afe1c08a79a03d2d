//! A million files, half of them in one folder (F68): in bounded memory from the backup to the undo; a mount that hangs (F72).

use std::fs;
use std::path::Path;
use std::process::Command;

use super::harness::{Place, Run};

const IN_ONE_FOLDER: u32 = 500_000;
const FOLDERS: u32 = 1_000;
const IN_EACH_FOLDER: u32 = 500;
/// How many a restore brings back: more than fits into one small object beside the safety snapshot.
const DELETED: u32 = 60_000;

fn make_empty_files(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..count {
        fs::File::create(folder.join(format!("{number:06x}.jpg"))).unwrap();
    }
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn f68_a_million_files_take_bounded_memory_from_backup_to_undo() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    let one = shop.join("image/one");
    make_empty_files(&one, IN_ONE_FOLDER);
    for number in 0..FOLDERS {
        make_empty_files(&shop.join(format!("image/{number:03}")), IN_EACH_FOLDER);
    }
    let root = shop.to_str().unwrap();
    let measured = |arguments: &[&str]| place.run_in_memory(arguments);
    let run = measured(&["backup", root]);
    assert!(run.stdout.contains(" 1000000 files with 0 B"), "{}", run.stdout);
    measured(&["verify", "latest"]);
    // What follows works on a backup that builds on the first one.
    let run = measured(&["backup", root, "--level", "incremental"]);
    assert!(run.stdout.contains(" 1000000 files with 0 B"), "{}", run.stdout);
    assert!(
        run.stdout.contains("incremental on") && run.stdout.contains(" 0 things are gone"),
        "{}",
        run.stdout
    );
    measured(&["verify", "latest"]);
    for number in 0..DELETED {
        fs::remove_file(one.join(format!("{number:06x}.jpg"))).unwrap();
    }
    fs::write(one.join(format!("{:06x}.jpg", IN_ONE_FOLDER - 1)), "changed").unwrap();
    let live = measured(&["diff", "latest", "live"]);
    assert!(live.stdout.contains(" 0 added, 60000 removed, 1 changed, 0 not known, "), "{}", live.stdout);
    let itself = measured(&["diff", "latest", "latest"]);
    assert!(itself.stdout.contains("no difference"), "{}", itself.stdout);
    // A file is replaced, so that there is a safety snapshot, which keeps a copy of the long journal.
    measured(&["restore", "latest", "--yes", "--without-maintenance"]);
    assert_eq!(count(&one), IN_ONE_FOLDER as usize);
    measured(&["undo", "--yes"]);
    assert_eq!(count(&one), (IN_ONE_FOLDER - DELETED) as usize);
    measured(&["restore", "--accept"]);
}

/// Mounts a file system that never answers below the shop, in a mount table that only the command sees, and runs it.
fn run_with_a_hung_mount(place: &Place, mount_point: &Path, arguments: &[&str]) -> Run {
    let script = "exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hung \"$1\" || exit 77; \
                  shift; exec \"$@\"";
    // Whatever hangs in it after all is ended with it.
    let mut through = Command::new("timeout");
    through.args(["--signal=KILL", "240", "unshare", "-m", "sh", "-c", script, "sh"]).arg(mount_point);
    place.run_through(through, arguments)
}

#[test]
fn f72_a_mount_that_does_not_answer_is_left_out_by_name() {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_err() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"NOT TESTED: a mount that hangs needs root and /dev/fuse\n",
        );
        return;
    }
    let place = Place::new();
    let shop = place.folder().join("shop");
    let far = shop.join("image/far away");
    fs::create_dir_all(&far).unwrap();
    fs::write(shop.join("index.php"), "<?php").unwrap();
    fs::write(shop.join("image/near.jpg"), "near").unwrap();
    let run = run_with_a_hung_mount(&place, &far, &["backup", shop.to_str().unwrap(), "--json"]).expect(3);
    let report = run.json();
    assert_eq!((&report["content"], &report["files"]), (&"whole-except".into(), &2.into()), "{}", run.stdout);
    let problems = report["problems"].to_string();
    assert!(problems.contains("image/far away") && problems.contains("does not answer"), "{problems}");
    place.run(&["verify", "latest"]).expect(0);
    // With the mount gone nothing of the shop is taken for deleted or written to.
    fs::write(shop.join("index.php"), "<?php // changed").unwrap();
    let restore = ["restore", "latest", "--yes", "--without-maintenance"];
    run_with_a_hung_mount(&place, &far, &restore).expect(0);
    assert_eq!(fs::read_to_string(shop.join("index.php")).unwrap(), "<?php");
    assert!(far.is_dir());
}
