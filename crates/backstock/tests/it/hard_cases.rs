//! The hard cases of restore, undo and acceptance: maintenance mode, unfinished and unaccepted restores, orders that
//! arrive meanwhile, damaged backups, full disks, lost connections, wrecked shops.

use std::fs;
use std::path::Path;

use backstock_testbed::{ServerKind, Snapshot};
use mysql::prelude::Queryable;

use super::harness::{Run, Scene};
use super::restore_shop::{
    KINDS, USER, backup, expect_clean, expect_same, restore, scene, scratch, sql, value,
};

const MAINTENANCE: &str = "SELECT value FROM oc_setting WHERE `key`='config_maintenance'";
/// How long a pause at a failpoint lasts, in milliseconds.
const PAUSE_MS: u64 = 1500;

/// Runs the executable with a pause at a failpoint, and does something while it pauses.
fn paused(scene: &Scene, point: &str, arguments: &[&str], meanwhile: impl FnOnce()) -> Run {
    scene.place.paused(point, PAUSE_MS, arguments, |_| meanwhile())
}

/// Visitors are kept out while the sides change places, and let in again as they were.
fn maintenance(scene: &Scene, id: &str) {
    for former in ["0", "1"] {
        let set = format!("UPDATE oc_setting SET value='{former}' WHERE `key`='config_maintenance'");
        sql(scene, &[&set]);
        assert_eq!(value(scene, MAINTENANCE), former, "the demo shop has no such setting");
        scratch(scene);
        let arguments = ["restore", id, "--yes", "--without-snapshot"];
        for (point, arguments) in
            [("restore.between_swaps", &arguments[..]), ("undo.between_swaps", &["undo", "--yes"][..])]
        {
            paused(scene, point, arguments, || assert_eq!(value(scene, MAINTENANCE), "1", "{point}"))
                .expect(0);
            assert_eq!(value(scene, MAINTENANCE), former, "after {point}");
        }
        scene.place.run(&["restore", "--accept"]).expect(0);
    }
    sql(scene, &["UPDATE oc_setting SET value='0' WHERE `key`='config_maintenance'"]);
    restore(scene, &[id]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
}

/// Between its two sides a shop cannot be backed up, restored or accepted; before acceptance not restored again.
fn unfinished(scene: &Scene, id: &str, before: &Snapshot) {
    scratch(scene);
    let was = scene.picture();
    let orders = "restore.database.new_views=kill:1";
    scene.place.run_with(orders, &["restore", id, "--yes"]).expect_killed();
    let run = scene.on_shop("backup", &[]).expect(3);
    assert!((run.stdout + &run.stderr).contains("unusable"));
    let unusable = scene.place.list()[0].clone();
    assert_eq!(unusable["content"], "unusable", "{unusable}");
    scene.place.run(&["restore", id, "--yes"]).expect_error(15, &["unfinished", "hint: "]);
    scene.place.run(&["restore", "--accept"]).expect_error(15, &["cannot be accepted"]);
    scene.place.run(&["restore", "--resume"]).expect(0);
    scene.place.run(&["restore", id, "--yes"]).expect_error(15, &["not accepted yet", "--accept"]);
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("undone", &was, &scene.picture());
    scene.place.run(&["restore", id, "--yes"]).expect_error(15, &["undone"]);
    scene.place.run(&["restore", "--resume"]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("accepted", before, &scene.picture());
    let unusable = unusable["backup"].as_str().unwrap();
    scene.place.run(&["restore", unusable, "--yes"]).expect_error(15, &["unusable"]);
    expect_clean(scene);
}

/// What the shop did since a restore is counted, shown, exported; uploads stay.
fn changed_since(scene: &Scene, id: &str) {
    scratch(scene);
    let was = scene.picture();
    restore(scene, &[id]).expect(0);
    let nothing = scene.place.run(&["undo", "--dry-run"]).expect(0);
    assert!(!nothing.stderr.contains("changed since"), "{}", nothing.stderr);
    sql(scene, &["INSERT INTO oc_order (firstname, total) VALUES ('Late', 12.5)"]);
    let upload = scene.shop.root().join("system/library/upload.php");
    fs::write(&upload, "uploaded").unwrap();
    fs::write(scene.shop.root().join("robots.txt"), "edited\n").unwrap();
    let run = scene.place.run(&["undo", "--dry-run"]).expect(0);
    assert!(run.stderr.contains("table oc_order") && run.stderr.contains("robots.txt"), "{}", run.stderr);
    let folder = scene.place.folder().join("export");
    let text = folder.to_str().unwrap();
    scene.place.run(&["undo", "--yes", "--export", text]).expect(0);
    let program = scene.server.client_program();
    assert!(program.exists() && folder.join("changed.sql.zst").metadata().unwrap().len() > 0);
    assert!(holds(&folder.join("files"), "edited\n"), "the edited file was not exported");
    assert_eq!(fs::read_to_string(&upload).unwrap(), "uploaded");
    fs::remove_file(&upload).unwrap();
    let folder = |thing: &str, aspect: &str| aspect == "modified" && thing.ends_with("system/library");
    expect_same("undone", &was.without(folder), &scene.picture().without(folder));
    scene.place.run(&["undo", "--yes"]).expect(0);
    assert_eq!(value(scene, "SELECT COUNT(*) FROM oc_order WHERE firstname='Late'"), "1");
    scene.place.run(&["restore", "--accept"]).expect(0);
    sql(scene, &["DELETE FROM oc_order WHERE firstname='Late'"]);
    restore(scene, &[id]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    fs::remove_dir_all(scene.place.folder().join("export")).unwrap();
}

fn holds(folder: &Path, content: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() { holds(&path, content) } else { fs::read(&path).unwrap() == content.as_bytes() }
    })
}

/// Whatever goes wrong before the first visible step leaves the old shop and nothing else (F22, F50, F51).
fn trouble_before(scene: &Scene, id: &str) {
    scratch(scene);
    let was = scene.picture();
    for orders in ["load.table=full:1", "restore.between_parts=full:1", "load.foreign_keys=fail:1"] {
        scene
            .place
            .run_with(orders, &["restore", id, "--yes", "--without-snapshot"])
            .expect_error(1, &["error: "]);
        expect_same(orders, &was, &scene.picture());
        expect_clean(scene);
    }
    let run = paused(scene, "load.table", &["restore", id, "--yes", "--without-snapshot"], || {
        let mut root = scene.server.connect("").unwrap();
        let threads: Vec<u64> =
            root.query(format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER='{USER}'")).unwrap();
        assert!(!threads.is_empty());
        for thread in threads {
            let _ = root.query_drop(format!("KILL {thread}"));
        }
    });
    run.expect_error(1, &["error: "]);
    expect_same("connections killed", &was, &scene.picture());
    expect_clean(scene);
    let folder = scene.place.backups().join(found_folder(scene, id));
    let part = folder.join("db/db.sql.zst");
    let sound = fs::read(&part).unwrap();
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 1;
    fs::write(&part, damaged).unwrap();
    restore(scene, &[id, "--without-snapshot"]).expect_error(13, &["error: "]);
    fs::write(&part, sound).unwrap();
    expect_same("damaged", &was, &scene.picture());
    expect_clean(scene);
}

/// The folder of a backup below the folder of backups.
fn found_folder(scene: &Scene, id: &str) -> std::path::PathBuf {
    let short = id[id.len() - 8..].to_owned();
    let sets = fs::read_dir(scene.place.backups()).unwrap().map(|entry| entry.unwrap().path());
    sets.flat_map(|set| fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()))
        .find(|path| path.to_string_lossy().ends_with(&short))
        .unwrap()
}

/// A shop without its settings, its tables, its folders comes back with what the backup and the state folder remember.
fn wrecked(scene: &Scene, id: &str, before: &Snapshot) {
    for name in ["config.php", "admin/config.php"] {
        fs::remove_file(scene.shop.root().join(name)).unwrap();
    }
    let database = backstock_testbed::demo_shop::DATABASE;
    let drop_all =
        "SET FOREIGN_KEY_CHECKS=0; DROP TABLE oc_setting, oc_product, oc_order, oc_stock_place, oc_customer;";
    scene.server.client(database, drop_all).unwrap();
    // It looks like a plain folder now: its files alone would not be the whole shop.
    let root = scene.shop.root();
    scene.place.run(&["backup", root.to_str().unwrap()]).expect_error(2, &["--only files"]);
    let was = scene.picture();
    restore(scene, &[id]).expect(0);
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("wrecked again", &was, &scene.picture());
    scene.place.run(&["undo", "--yes"]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("wrecked", before, &scene.picture());
    fs::remove_dir_all(scene.shop.root()).unwrap();
    fs::remove_dir_all(scene.shop.storage()).unwrap();
    scene.place.run(&["restore", id, "--dry-run"]).expect(0);
    assert!(!scene.shop.root().exists() && !scene.shop.storage().exists(), "a plan made a folder");
    restore(scene, &[id]).expect(0);
    scene.place.run(&["undo", "--yes"]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    assert!(!scene.shop.root().exists() && !scene.shop.storage().exists(), "an undo left a folder");
    restore(scene, &[id]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    // What the shop makes again by itself is not in the backup.
    let kept = |picture: &Snapshot| picture.without(|thing, _| thing.contains("image/cache"));
    expect_same("folders gone", &kept(before), &kept(&scene.picture()));
    expect_clean(scene);
}

fn hard_cases(kind: ServerKind, cases: fn(&Scene, &str, &Snapshot)) {
    let Some(scene) = scene(kind, 5) else { return };
    // The broken view aside, whose server differs in what it shows of it.
    let before = scene.picture();
    let id = backup(&scene, &[]);
    cases(&scene, &id, &before);
}

#[test]
fn visitors_are_kept_out_while_the_sides_change() {
    for kind in KINDS {
        hard_cases(kind, |scene, id, _| maintenance(scene, id));
    }
}

#[test]
fn an_unfinished_or_unaccepted_restore_stops_what_it_must() {
    for kind in KINDS {
        hard_cases(kind, unfinished);
    }
}

#[test]
fn what_changed_since_a_restore_is_counted_exported_and_kept() {
    for kind in KINDS {
        hard_cases(kind, |scene, id, _| changed_since(scene, id));
    }
}

#[test]
fn trouble_before_the_swap_leaves_the_old_shop() {
    for kind in KINDS {
        hard_cases(kind, |scene, id, _| trouble_before(scene, id));
    }
}

#[test]
fn a_wrecked_shop_comes_back() {
    hard_cases(ServerKind::MariaDb, wrecked);
}
