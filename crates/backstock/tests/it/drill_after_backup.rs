//! `backup --drill`: the new backup is restored while its key is in memory, as far as anything here opens what it builds on.

use std::fs;
use std::time::Duration;

use backstock_testbed::ServerKind;

use super::drill::{expect_nothing_left, programs};
use super::harness::{Place, Scene};

const DAY: i64 = 24;

#[test]
fn a_keyless_server_drills_what_it_has_just_made() {
    let Some(scene) = Scene::with_demo_shop(ServerKind::MariaDb, 20) else { return };
    let place = &scene.place;
    fs::write(place.folder().join("passphrase"), "nine words nobody would guess").unwrap();
    place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
    let settings = format!("[drill]\nserver_programs = \"{}\"\n", programs(&scene.server));
    fs::write(place.configuration(), &settings).unwrap();
    let before = scene.picture();
    assert_eq!(scene.on_shop("backup", &["--json"]).expect(0).json()["drill"], serde_json::Value::Null);
    // What was changed less than two seconds before a backup is read again by the next.
    std::thread::sleep(Duration::from_millis(3_200));
    let full = scene.on_shop("backup", &["--drill", "--json"]).expect(0).json();
    assert_eq!(
        (&full["drill"]["verdict"], &full["drill"]["unopened_files"]),
        (&"proven".into(), &serde_json::Value::Null)
    );
    assert!(full["drill"]["files"]["files"].as_u64().unwrap() > 20, "{full}");
    let listed = place.run(&["list"]).expect(0);
    assert!(listed.stdout.contains("proven restorable on 20"), "{listed:?}");
    assert_eq!(place.list()[0]["replicas"][0]["state"], "verified");
    assert_eq!(scene.picture(), before, "the shop itself is as it was");
    // Of an incremental one the key of what it builds on is not here.
    fs::write(scene.shop.root().join("image/new.jpg"), "a new picture").unwrap();
    let part = scene.on_shop("backup", &["--level", "incremental", "--drill", "--json"]).expect(0).json();
    assert_eq!(
        (&part["level"], &part["drill"]["verdict"]),
        (&"incremental".into(), &"proven-in-part".into())
    );
    assert!(part["drill"]["database"]["rows"].as_u64().unwrap() > 100, "{part}");
    // The new file, and those that were too new to be sure of when the full one was made.
    let files = |report: &serde_json::Value| report["drill"]["files"]["files"].as_u64().unwrap();
    assert!((1..files(&full)).contains(&files(&part)), "{part}");
    assert!(part["drill"]["unopened_files"].as_u64().unwrap() > 20, "{part}");
    let newest = &place.list()[0];
    let checks = newest["replicas"][0]["checks"].as_array().unwrap();
    assert_eq!(
        (&newest["drill"]["is_in_part"], &checks.last().unwrap()["level"]),
        (&true.into(), &"decoded".into()),
        "decoded when it was made, and not proven by this drill"
    );
    let shown = place.run(&["show", "latest"]).expect(0).stdout;
    assert!(
        shown.contains("database and own files restorable on") && !shown.contains("proven restorable"),
        "{shown}"
    );
    // Where somebody gives the key, it is one like any other.
    let arguments = ["--level", "incremental", "--drill", "--json", "--passphrase-file", "passphrase"];
    let whole = scene.on_shop("backup", &arguments).expect(0).json();
    assert_eq!((&whole["level"], &whole["drill"]["verdict"]), (&"incremental".into(), &"proven".into()));
    expect_nothing_left(place);
    // Without a server there is no drill, and the backup stands.
    fs::write(place.configuration(), "[drill]\nafter_backup = true\nserver_programs = \"nowhere\"\n")
        .unwrap();
    let run = scene.on_shop("backup", &[]).expect(3);
    assert!(run.stderr.contains("the backup stands, and was not drilled"), "{run:?}");
    assert_eq!(place.list().len(), 5);
    expect_nothing_left(place);
}

#[test]
fn new_backups_are_drilled_every_so_many_days() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("page"), "hello").unwrap();
    fs::write(place.configuration(), "[drill]\nevery_days = 7\n").unwrap();
    let is_drilled = |days: i64| {
        let run =
            place.run_at(days * DAY, &["backup", root.to_str().unwrap(), "--no-prune", "--json"]).expect(0);
        !run.json()["drill"].is_null()
    };
    let found: Vec<bool> = [0, 3, 6, 7, 8, 14].into_iter().map(is_drilled).collect();
    assert_eq!(found, [true, false, false, true, false, true]);
    // A clock that was set back and goes on makes one more of it, not one each time.
    let back: Vec<bool> = [-400, 15, -399, 16].into_iter().map(is_drilled).collect();
    assert_eq!(back, [true, false, false, false]);
    fs::write(place.configuration(), "[drill]\nevery_days = 0\n").unwrap();
    place.run(&["backup", root.to_str().unwrap()]).expect_error(2, &["\"off\""]);
    expect_nothing_left(&place);
}
