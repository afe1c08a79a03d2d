//! The end of the undo window: seven days after a restore the next backup accepts it, but only while its safety
//! snapshot decodes.

use std::fs;
use std::path::PathBuf;

use backstock_testbed::ServerKind;

use super::harness::Scene;
use super::restore_shop::{aside, backup, expect_clean, restore, ruin, scene, stage};

/// Eight days and more before any run of this test.
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

fn journal(scene: &Scene) -> PathBuf {
    let mut folders = fs::read_dir(scene.place.state().join("journals")).unwrap();
    folders.next().unwrap().unwrap().path().join("journal.json")
}

/// As if the restore had ended long ago.
fn age(scene: &Scene) {
    let path = journal(scene);
    let mut journal: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    journal["restored"] = LONG_AGO.into();
    fs::write(&path, journal.to_string()).unwrap();
}

fn snapshot_archive(scene: &Scene) -> PathBuf {
    let listed = scene.place.run(&["list", "--json"]).expect(0).json();
    let backups = listed["backups"].as_array().unwrap();
    let snapshot = backups.iter().find(|backup| backup["reason"] == "pre-restore").unwrap();
    let replica = &snapshot["replicas"][0];
    let folder =
        PathBuf::from(replica["storage"].as_str().unwrap()).join(replica["folder"].as_str().unwrap());
    folder.join("db/db.sql.zst")
}

#[test]
fn a_restore_is_accepted_when_its_undo_window_is_over_and_its_snapshot_decodes() {
    let Some(scene) = scene(ServerKind::MariaDb, 40) else { return };
    let id = backup(&scene, &[]);
    ruin(&scene);
    restore(&scene, &[&id]).expect(0);

    // Within the window a backup accepts nothing, and a dry run accepts nothing at any time.
    backup(&scene, &[]);
    assert_eq!(stage(&scene).as_deref(), Some("restored"));
    age(&scene);
    let root = scene.shop.root();
    scene.place.run(&["backup", "--dry-run", root.to_str().unwrap()]).expect(0);
    assert_eq!(stage(&scene).as_deref(), Some("restored"));

    // A damaged snapshot is all that would be left of the old side: it is kept, aloud.
    let archive = snapshot_archive(&scene);
    let whole = fs::read(&archive).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&archive, &damaged).unwrap();
    let run = scene.place.run(&["backup", root.to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains("its safety snapshot does not decode"), "{}", run.stderr);
    assert_eq!(stage(&scene).as_deref(), Some("restored"));
    assert!(!aside(&scene).is_empty());

    fs::write(&archive, &whole).unwrap();
    scene.place.run(&["verify", "--level", "decoded", &snapshot_id(&scene)]).expect(0);
    let run = scene.place.run(&["backup", root.to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains("the old side was removed"), "{}", run.stderr);
    expect_clean(&scene);
    scene.place.run(&["undo", "--yes"]).expect_error(10, &["no restore"]);
}

fn snapshot_id(scene: &Scene) -> String {
    let listed = scene.place.run(&["list", "--json"]).expect(0).json();
    let backups = listed["backups"].as_array().unwrap();
    let snapshot = backups.iter().find(|backup| backup["reason"] == "pre-restore").unwrap();
    snapshot["short"].as_str().unwrap().to_owned()
}
