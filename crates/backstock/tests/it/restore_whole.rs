//! Restoring a ruined shop, taking it back, bringing it again, keeping it: each compared down to every row and byte.

use backstock_testbed::ServerKind;

use super::harness::Scene;
use super::restore_shop::{
    aside, backup, expect_clean, expect_same, newest, restore, ruin, scene, sql, sql_as_root, stage, value,
    without_events, without_extras,
};

fn there_and_back(kind: ServerKind) {
    let Some(scene) = scene(kind, 40) else { return };
    let before = scene.picture();
    let id = backup(&scene, &[]);
    ruin(&scene);
    let ruined = scene.picture();
    assert!(backstock_testbed::compare(&before, &ruined).len() > 30);

    let run = restore(&scene, &[&id]).expect(0);
    assert!(
        run.stderr.contains("snapshot first") && run.stderr.contains("restore --accept"),
        "{}",
        run.stderr
    );
    let restored = scene.picture();
    expect_same(
        "restored",
        &without_events(&without_extras(&before)),
        &without_events(&without_extras(&restored)),
    );
    // The view that the backup lacks works again: its table is back.
    assert_ne!(value(&scene, "SELECT COUNT(*) FROM oc_v_late"), "0");
    assert_eq!(event_status(&scene), "DISABLED");
    assert_eq!(stage(&scene).as_deref(), Some("restored"));

    snapshot_is_a_backup(&scene, &id);
    let run = scene.place.run(&["undo", "--yes"]).expect(0);
    assert!(!run.stdout.contains("report:"), "{}", run.stdout);
    expect_same("undone", &ruined, &scene.picture());
    assert_eq!(stage(&scene).as_deref(), Some("undone"));

    let run = scene.place.run(&["undo", "--yes"]).expect(0);
    assert!(run.stdout.contains("the restored state is live again"), "{}", run.stdout);
    expect_same("undo undone", &restored, &scene.picture());
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("undone again", &ruined, &scene.picture());
    scene.place.run(&["restore", "--resume"]).expect(0);
    expect_same("resumed", &restored, &scene.picture());

    assert!(!aside(&scene).is_empty());
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("accepted", &without_extras(&before), &without_extras(&scene.picture()));
    assert_eq!(event_status(&scene), "ENABLED");
    expect_clean(&scene);
    scene.place.run(&["undo", "--yes"]).expect_error(10, &["no restore"]);
    snapshot_restores(&scene, &ruined);
}

fn event_status(scene: &Scene) -> String {
    value(scene, "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME='oc_hourly'")
}

/// The safety snapshot is listed as what it is, verified, and never meant by `latest`.
fn snapshot_is_a_backup(scene: &Scene, id: &str) {
    let snapshot = newest(scene, "pre-restore");
    let shown = scene.place.run(&["show", "latest", "--json"]).expect(0).json();
    assert!(shown.to_string().contains(id), "latest is not the backup: {shown}");
    scene.place.run(&["verify", &snapshot, "--level", "decoded"]).expect(0);
    // The journal lies beside it.
    let folder = scene.place.newest_backup();
    let copies = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let copies: Vec<String> = copies.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(copies.iter().any(|name| name.starts_with("restore-")), "{copies:?}");
}

/// Restoring the snapshot brings back what the restore had replaced.
fn snapshot_restores(scene: &Scene, ruined: &backstock_testbed::Snapshot) {
    let snapshot = newest(scene, "pre-restore");
    restore(scene, &[&snapshot]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    // What the restore had added stays: the snapshot holds what it replaced.
    let now = scene.picture();
    for thing in ["table oc_customer", "table oc_address", "table oc_setting", "shop file ./index.php"] {
        let alone = |picture: &backstock_testbed::Snapshot| picture.without(|other, _| other != thing);
        expect_same(thing, &alone(ruined), &alone(&now));
    }
    expect_clean(scene);
}

#[test]
fn a_ruined_shop_is_restored_undone_and_accepted_on_mariadb() {
    there_and_back(ServerKind::MariaDb);
}

#[test]
fn a_ruined_shop_is_restored_undone_and_accepted_on_mariadb_11_8() {
    there_and_back(ServerKind::MariaDb118);
}

#[test]
fn a_ruined_shop_is_restored_undone_and_accepted_on_mysql() {
    there_and_back(ServerKind::MySql);
}

/// A view whose tables neither side has cannot be made again: an undo says so instead of losing it silently (C71).
#[test]
fn an_undo_tells_of_a_view_that_no_server_could_make() {
    let Some(scene) = scene(ServerKind::MariaDb, 5) else { return };
    let id = backup(&scene, &["--only", "database"]);
    sql(
        &scene,
        &[
            "CREATE TABLE `oc_other` (b int)",
            "CREATE OR REPLACE VIEW `oc_v_totals` AS SELECT b FROM `oc_other`",
            "DROP TABLE `oc_other`",
        ],
    );
    restore(&scene, &[&id]).expect(0);
    let run = scene.place.run(&["undo", "--yes"]).expect(0);
    assert!(run.stdout.contains("oc_v_totals could not be made"), "{}", run.stdout);
}

/// On MySQL an account may not drop what an account with more rights defined: such objects stay, and nothing stops
/// half-way because of them.
#[test]
fn objects_of_a_more_powerful_account_stay_and_are_told() {
    let Some(scene) = scene(ServerKind::MySql, 5) else { return };
    sql_as_root(
        &scene,
        &[
            "CREATE EVENT `oc_of_root` ON SCHEDULE EVERY 1 HOUR STARTS '2035-01-01 00:00:00' DO SET @a = 1",
            "CREATE VIEW `oc_v_of_root` AS SELECT product_id FROM `oc_product`",
            "CREATE TRIGGER `oc_trigger_of_root` BEFORE INSERT ON `oc_product` FOR EACH ROW SET NEW.points = 1",
        ],
    );
    let id = backup(&scene, &["--only", "database"]);
    sql_as_root(
        &scene,
        &[
            "ALTER EVENT `oc_of_root` COMMENT 'changed'",
            "CREATE OR REPLACE VIEW `oc_v_of_root` AS SELECT product_id, price FROM `oc_product`",
        ],
    );
    let changed = scene.picture();
    let run = restore(&scene, &[&id]).expect(0);
    assert!(run.stdout.contains("oc_of_root belongs to an account with more rights"), "{}", run.stdout);
    let comment = "SELECT EVENT_COMMENT FROM information_schema.EVENTS WHERE EVENT_NAME='oc_of_root'";
    assert_eq!(value(&scene, comment), "changed");
    assert!(
        run.stderr.contains("objects of other accounts become this account's: `root`@"),
        "{}",
        run.stderr
    );
    let run = scene.place.run(&["undo", "--yes"]).expect(0);
    // Nobody but root can make a trigger of root's again, and no trigger follows its table under another name.
    assert!(run.stdout.contains("report: trigger oc_trigger_of_root"), "{}", run.stdout);
    let others =
        |picture: &backstock_testbed::Snapshot| picture.without(|thing, _| thing.contains("trigger_of_root"));
    expect_same("undone", &others(&changed), &others(&scene.picture()));
}
