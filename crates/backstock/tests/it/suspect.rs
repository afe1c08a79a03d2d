//! A backup from which implausibly much is gone is kept and does not count, and nothing older goes until somebody has
//! looked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::Run;
use super::restore_shop::{backup, newest, scene, sql};
use super::retention::Kept;

/// A folder of 20 pictures and 20 pages, and `page`.
fn shop(policy: &str) -> Kept {
    let kept = Kept::new(policy);
    fs::create_dir_all(kept.root.join("media")).unwrap();
    for number in 0..20 {
        fs::write(kept.root.join(format!("media/{number}.jpg")), format!("picture {number}")).unwrap();
        fs::write(kept.root.join(format!("page-{number}.php")), format!("page {number}")).unwrap();
    }
    kept
}

fn back_up(kept: &Kept, more: &[&str]) -> Run {
    let arguments = ["backup", kept.root.to_str().unwrap(), "--no-prune", "--json"];
    kept.place.run(&[&arguments, more].concat())
}

/// Why a report says that the backup is suspect: kind, how many there were, how many are left.
fn told(run: &Run) -> Vec<(String, u64, u64)> {
    let report = run.json();
    let suspicions = report["suspicions"].as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().unwrap();
    let one = |told: &Value| {
        (told["kind"].as_str().unwrap().to_owned(), number(&told["was"]), number(&told["left"]))
    };
    suspicions.iter().map(one).collect()
}

fn remove(root: &Path, pictures: std::ops::Range<u32>) {
    for number in pictures {
        fs::remove_file(root.join(format!("media/{number}.jpg"))).unwrap();
    }
}

#[test]
fn much_gone_is_suspect_and_protects_what_is_older_until_it_is_confirmed() {
    let kept = shop("keep_last = 1\ngrace_hours = 0\n");
    kept.back_up(2);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [2]);
    // 12 of 41 are less than 30 %: an ordinary day.
    remove(&kept.root, 0..12);
    assert_eq!(told(&back_up(&kept, &[]).expect(0)), []);
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    remove(&kept.root, 12..20);
    for name in ["page", "page-0.php", "page-1.php", "page-2.php"] {
        fs::remove_file(kept.root.join(name)).unwrap();
    }
    let run = kept.place.run(&["backup", kept.root.to_str().unwrap(), "--quiet"]).expect(3);
    assert!(run.stderr.contains("SUSPECT: files: of 29 files 17 are left"), "{}", run.stderr);
    assert!(run.stderr.contains("backstock confirm"), "{}", run.stderr);
    // The next one is held against the last that counts, not against the suspect one.
    assert_eq!(told(&back_up(&kept, &[]).expect(3)), [("files-gone".to_owned(), 29, 17)]);
    let listed = kept.place.list();
    assert_eq!((&listed[0]["content"], &listed[0]["is_confirmed"]), (&"suspect".into(), &false.into()));
    let shown = kept.place.run(&["show", &kept.id(4)]).expect(0);
    assert!(shown.stdout.contains("suspect      files: of 29 files 17 are left"), "{}", shown.stdout);
    assert!(shown.stderr.contains("is suspect: implausibly much"), "{}", shown.stderr);
    // The public manifest tells that it is suspect, and nothing more.
    let manifest = kept.place.newest_backup().join("manifest.json");
    let text = fs::read_to_string(manifest).unwrap();
    assert!(
        text.contains("\"suspect\"") && !text.contains("files-gone") && !text.contains(" left"),
        "{text}"
    );
    // Nothing goes, though one backup alone is wanted.
    kept.place.run(&["verify", &kept.id(5), "--level", "bytes"]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [2, 3, 4, 5]);
    let verdicts = kept.verdicts();
    assert_eq!(
        (&*verdicts[&2].1, &*verdicts[&4].1),
        (&["before-suspect".into()][..], &["suspect".into()][..])
    );
    assert!(verdicts[&3].1.contains(&"floor".to_owned()), "{verdicts:?}");
    confirmed(&kept);
}

/// The second half: 4 and 5 are suspect, 2 and 3 are older.
fn confirmed(kept: &Kept) {
    let (fourth, fifth) = (kept.id(4), kept.id(5));
    let run = kept.place.run(&["confirm", &fifth, "--dry-run", "--json"]).expect(0);
    let plan = run.json();
    assert_eq!((&plan["schema"], &plan["counts_then"]), (&"backstock.confirm/1".into(), &true.into()));
    assert_eq!(
        (&plan["confirms"], &plan["still_suspect"]),
        (&Value::from(vec![fifth.clone()]), &Value::from(vec![fourth]))
    );
    assert_eq!(plan["suspicions"][0], "files: of 29 files 17 are left");
    kept.place.run(&["confirm", &fifth]).expect_error(2, &["nobody to ask"]);
    assert!(!kept.verdicts()[&5].1.contains(&"floor".to_owned()));
    let run = kept.place.run(&["confirm", &fifth, "--yes"]).expect(0);
    assert!(run.stdout.contains("counts then") && run.stderr.contains("still suspect"), "{run:?}");
    assert!(kept.verdicts()[&5].1.contains(&"floor".to_owned()));
    assert!(!kept.place.run(&["show", &fifth]).expect(0).stderr.contains("is suspect"));
    // The fourth protects still what is older.
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [2, 3, 4, 5]);
    // What was confirmed is what the next one is held against.
    assert_eq!(told(&back_up(kept, &[]).expect(0)), []);
    // A catalog that was made anew knows nothing of it: all is protected again.
    kept.place.lose_catalog();
    kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap()]).expect(0);
    assert_eq!(kept.place.list()[1]["is_confirmed"], false);
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [2, 3, 4, 6], "the later of the suspect ones follows the policy");
    kept.place.run(&["confirm", &kept.id(6)]).expect(0);
    kept.place.run(&["confirm", &kept.id(4), "--yes"]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [6]);
}

#[test]
fn rewritten_media_are_suspect_and_rewritten_programs_are_not() {
    let kept = shop("keep_last = 1\n");
    back_up(&kept, &[]).expect(0);
    for number in 0..20 {
        fs::write(kept.root.join(format!("page-{number}.php")), "other").unwrap();
    }
    for number in 0..10 {
        fs::write(kept.root.join(format!("media/{number}.jpg")), "encrypted").unwrap();
    }
    assert_eq!(
        told(&back_up(&kept, &["--level", "incremental"]).expect(0)),
        [],
        "half is not more than half"
    );
    for number in 9..20 {
        fs::write(kept.root.join(format!("media/{number}.jpg")), "encrypted again").unwrap();
    }
    for level in ["incremental", "full"] {
        let run = back_up(&kept, &["--level", level]).expect(3);
        assert_eq!(told(&run), [("media-rewritten".to_owned(), 20, 9)], "{level}");
    }
    // Nothing builds on a suspect one.
    let report = back_up(&kept, &["--level", "incremental"]).expect(3).json();
    assert_eq!(report["parent"], kept.id(2));
    kept.place.run(&["confirm", "latest", "--yes"]).expect(0);
    let report = back_up(&kept, &["--level", "incremental"]).expect(0).json();
    assert_eq!(report["parent"], kept.id(5));
}

#[test]
fn what_is_left_out_by_choice_or_cannot_be_compared_is_not_suspect() {
    let kept = shop("keep_last = 1\n");
    back_up(&kept, &[]).expect(0);
    assert_eq!(told(&back_up(&kept, &["--exclude", "media"]).expect(0)), []);
    assert_eq!(told(&back_up(&kept, &[]).expect(0)), []);
    fs::remove_dir_all(kept.root.join("media")).unwrap();
    fs::remove_dir_all(kept.place.state().join("index")).unwrap();
    let run = back_up(&kept, &[]).expect(0);
    let problems = run.json()["problems"].clone();
    assert_eq!(problems[0]["kind"], "not-compared", "{problems}");
    assert!(problems[0]["message"].as_str().unwrap().contains("could not be told"), "{problems}");
    assert_eq!(kept.place.list()[0]["content"], "whole");
}

/// A shop whose orders are gone, backed up sealed: the tables are named to whoever makes the backup, and nowhere in plain text.
#[test]
fn a_core_table_that_is_empty_is_suspect_also_where_everything_is_sealed() {
    let Some(scene) = scene(ServerKind::MariaDb, 30) else { return };
    let place = &scene.place;
    fs::write(place.folder().join("passphrase"), "nine words nobody would guess\n").unwrap();
    place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
    let whole = backup(&scene, &[]);
    sql(&scene, &["SET FOREIGN_KEY_CHECKS=0", "DELETE FROM `oc_order`"]);
    let run = scene.on_shop("backup", &["--json"]).expect(3);
    let report = run.json();
    let told: Vec<&str> =
        report["suspicions"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert!(told.contains(&"table oc_order"), "{report}");
    for file in super::plain_shop::walk(&place.state()).keys().filter(|name| name.contains("/")) {
        let bytes = fs::read(place.state().join(file)).unwrap_or_default();
        assert!(!bytes.windows(8).any(|window| window == b"oc_order"), "{file} names a table");
    }
    // Left out by choice is not gone, and what was asked for alone says nothing of the rest.
    scene.on_shop("backup", &["--only", "database", "--table", "oc_product"]).expect(0);
    // The snapshot before a restore is never suspect, whatever the shop has become.
    let snapshot_of = ["--yes", "--passphrase-file", "passphrase"];
    place.run(&[&["restore", &whole], &snapshot_of[..]].concat()).expect(0);
    let listed = place.list();
    let snapshot = listed.iter().find(|one| one["backup"] == newest(&scene, "pre-restore")).unwrap();
    assert_eq!(snapshot["content"], "whole");
}

/// What cannot be read is accepted once; a new exception is asked about again.
#[test]
fn exceptions_are_accepted_one_by_one_and_new_ones_do_not_count() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let kept = shop("keep_last = 1\ngrace_hours = 0\n");
    let hide =
        |name: &str| fs::set_permissions(kept.root.join(name), fs::Permissions::from_mode(0o000)).unwrap();
    hide("page");
    hide("page-1.php");
    let run = |arguments: &[&str], code| kept.place.run_as_nobody(arguments).expect(code);
    let root = kept.root.to_str().unwrap().to_owned();
    let counts = |sequence: u64| {
        let document = run(&["prune", "--dry-run", "--json"], 0).json();
        let backups = document["destinations"][0]["backups"].as_array().unwrap().clone();
        let one = backups.iter().find(|backup| backup["sequence"] == sequence).unwrap().clone();
        one["reasons"].as_array().unwrap().iter().any(|reason| reason["rule"] == "floor")
    };
    run(&["backup", &root, "--no-prune"], 3);
    run(&["verify", "latest", "--level", "bytes"], 0);
    assert!(!counts(1));
    let listed = run(&["confirm", "latest", "--dry-run"], 0);
    assert_eq!(listed.stdout.matches("missing (new)").count(), 2, "{listed:?}");
    let missing = kept.place.run_as_nobody(&["confirm", "latest", "--exception", "page-2.php", "--yes"]);
    missing.expect_error(10, &["no exception called page-2.php"]);
    let plan = run(&["confirm", "latest", "--exception", "page", "--yes", "--json"], 0).json();
    assert_eq!((&plan["is_recorded"], &plan["counts_then"]), (&true.into(), &false.into()));
    assert!(!counts(1), "one is not accepted yet");
    run(&["confirm", "latest", "--exception", "page-1.php", "--yes"], 0);
    assert!(counts(1));
    // The same ones are the baseline.
    run(&["backup", &root, "--no-prune"], 3);
    run(&["verify", "latest", "--level", "bytes"], 0);
    assert!(counts(2));
    // A new one is not.
    hide("page-2.php");
    run(&["backup", &root, "--no-prune"], 3);
    run(&["verify", "latest", "--level", "bytes"], 0);
    assert!(counts(2) && !counts(3));
    let listed = run(&["confirm", "latest", "--dry-run"], 0);
    assert_eq!(listed.stdout.matches("missing (accepted)").count(), 2, "{listed:?}");
    run(&["confirm", "latest", "--yes"], 0);
    assert!(counts(3));
}
