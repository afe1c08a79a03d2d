//! A demo shop with what restores find hard, its ruins, and questions about what a restore left behind.

use std::fs;
use std::path::Path;

use backstock_testbed::demo_shop::DATABASE;
use backstock_testbed::{ServerKind, Snapshot, compare};
use mysql::prelude::Queryable;

use super::harness::{Run, Scene};

/// Kinds that every restore is tested on.
pub(crate) const KINDS: [ServerKind; 2] = [ServerKind::MariaDb, ServerKind::MySql];

/// The shop's own account.
pub(crate) const USER: &str = "demo_shop_user";
/// Its password.
pub(crate) const PASSWORD: &str = r"it's a demo\shop";

/// What the demo shop lacks: an enabled event, named checks, foreign keys across tables, views upon views.
const MORE: &[&str] = &[
    "CREATE TABLE `oc_warranty` (warranty_id int NOT NULL AUTO_INCREMENT, place_id int NULL, months int NOT NULL, \
     PRIMARY KEY (warranty_id), CONSTRAINT warranty_months CHECK (months > 0), \
     CONSTRAINT warranty_place FOREIGN KEY (place_id) REFERENCES oc_stock_place (place_id) ON DELETE SET NULL) ENGINE=InnoDB",
    "INSERT INTO `oc_warranty` (place_id, months) SELECT place_id, 24 FROM `oc_stock_place` LIMIT 5",
    "CREATE EVENT `oc_hourly` ON SCHEDULE EVERY 1 HOUR STARTS '2035-01-01 00:00:00' ENABLE \
     DO DELETE FROM `oc_cart` WHERE date_added < '2000-01-01'",
    "CREATE VIEW `oc_v_totals` AS SELECT order_id, SUM(value) AS total FROM `oc_order_total` GROUP BY order_id",
    "CREATE VIEW `oc_v_changed` AS SELECT order_id FROM `oc_order_history`",
    "CREATE VIEW `oc_v_chain` AS SELECT order_id FROM `oc_v_changed`",
    "CREATE TABLE `oc_soon_gone` (a int)",
    "CREATE VIEW `oc_v_always_broken` AS SELECT a FROM `oc_soon_gone`",
    "DROP TABLE `oc_soon_gone`",
];

/// Leaves views broken: one as it was, one that was redefined, one over that one, one that the backup lacks.
const BREAK_VIEWS: &[&str] = &[
    "CREATE VIEW `oc_v_late` AS SELECT value FROM `oc_order_total`",
    "CREATE OR REPLACE VIEW `oc_v_changed` AS SELECT order_id, comment FROM `oc_order_history`",
    "CREATE OR REPLACE VIEW `oc_v_chain` AS SELECT order_id, comment FROM `oc_v_changed`",
    "DROP TABLE `oc_order_total`, `oc_order_history`",
];

/// What a bad night does to the additions.
const RUIN_MORE: &[&str] = &[
    "ALTER EVENT `oc_hourly` COMMENT 'touched'",
    "CREATE TABLE `oc_extra` (a int)",
    "INSERT INTO `oc_extra` VALUES (1), (2)",
];

/// A scene with the shop and the additions.
pub(crate) fn scene(kind: ServerKind, products: u32) -> Option<Scene> {
    let scene = Scene::with_demo_shop(kind, products)?;
    sql(&scene, MORE);
    Some(scene)
}

/// Runs statements in the shop's database as root.
#[track_caller]
pub(crate) fn sql_as_root(scene: &Scene, statements: &[&str]) {
    run_all(scene.server.connect(DATABASE).unwrap(), statements);
}

/// Runs statements as the shop itself does.
#[track_caller]
pub(crate) fn sql(scene: &Scene, statements: &[&str]) {
    run_all(scene.server.connect_as(DATABASE, USER, PASSWORD).unwrap(), statements);
}

#[track_caller]
fn run_all(mut connection: mysql::Conn, statements: &[&str]) {
    connection.query_drop("SET time_zone='+00:00'").unwrap();
    for statement in statements {
        connection.query_drop(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The first value that a query gives, as text.
#[track_caller]
pub(crate) fn value(scene: &Scene, query: &str) -> String {
    let mut connection = scene.server.connect(DATABASE).unwrap();
    connection.query_first::<String, _>(query).unwrap().unwrap_or_default()
}

/// Ruins database and files, leaves views broken, adds a table and files.
#[track_caller]
pub(crate) fn ruin(scene: &Scene) {
    // The testbed's own ruin first: it drops what would be broken otherwise.
    scene.shop.ruin().unwrap();
    sql(scene, BREAK_VIEWS);
    sql(scene, RUIN_MORE);
    fs::write(scene.shop.root().join("image/uploaded later.jpg"), "a new picture").unwrap();
    fs::create_dir_all(scene.shop.root().join("extension/new")).unwrap();
    fs::write(scene.shop.root().join("extension/new/install.json"), "{}").unwrap();
}

/// Damages one table and one file, for cases that are about something else.
#[track_caller]
pub(crate) fn scratch(scene: &Scene) {
    sql(scene, &["UPDATE `oc_product` SET price = price + 1", "DELETE FROM `oc_stock_move` LIMIT 2"]);
    fs::write(scene.shop.root().join("robots.txt"), "User-agent: *\nDisallow: /\n").unwrap();
    let _ = fs::remove_file(scene.shop.root().join("system/library/cache.php"));
}

/// What a restore keeps aside: tables by name, folders by path.
pub(crate) fn aside(scene: &Scene) -> Vec<String> {
    let mut connection = scene.server.connect(DATABASE).unwrap();
    let mut names: Vec<String> = connection
        .query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA=DATABASE()")
        .unwrap();
    names.retain(|name: &String| name.starts_with("_bn") || name.starts_with("_bo"));
    for folder in [scene.shop.folder.clone(), scene.shop.folder.join("www")] {
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            if name.starts_with(".backstock") {
                names.push(name);
            }
        }
    }
    names
}

/// The journals and spools in the state folder.
pub(crate) fn leftovers(scene: &Scene) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["journals", "spool"] {
        for entry in fs::read_dir(scene.place.state().join(folder)).unwrap() {
            found.push(format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()));
        }
    }
    found
}

/// Stops the test unless nothing is left of any restore.
#[track_caller]
pub(crate) fn expect_clean(scene: &Scene) {
    assert_eq!(aside(scene), Vec::<String>::new());
    assert_eq!(leftovers(scene), Vec::<String>::new());
}

/// A picture without the events: they stay disabled until a restore is accepted.
pub(crate) fn without_events(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, _| thing.starts_with("event "))
}

/// A picture without what no restore touches by itself: tables and files that the backup lacks, and the times of the
/// folders that hold them.
pub(crate) fn without_extras(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, aspect| {
        let is_extra = ["oc_extra", "oc_v_late", "image/uploaded later.jpg", "extension/new"];
        is_extra.iter().any(|name| thing.contains(name))
            || (aspect == "modified" && matches!(thing, "shop file ./image" | "shop file ./extension"))
    })
}

/// Stops the test with the differences.
#[track_caller]
pub(crate) fn expect_same(what: &str, left: &Snapshot, right: &Snapshot) {
    let differences = compare(left, right);
    let text: Vec<String> = differences.iter().take(20).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{what}: {} differences:\n{}", differences.len(), text.join("\n"));
}

/// Stops the test unless a restore stands open at a stage of its journal; `None` is that none is open.
#[track_caller]
pub(crate) fn stage(scene: &Scene) -> Option<String> {
    let mut stages = Vec::new();
    for entry in fs::read_dir(scene.place.state().join("journals")).unwrap() {
        if let Ok(bytes) = fs::read(entry.unwrap().path().join("journal.json")) {
            let journal: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            stages.push(journal["stage"].as_str().unwrap().to_owned());
        }
    }
    assert!(stages.len() <= 1, "{stages:?}");
    stages.pop()
}

/// Backs the shop up and gives the backup's id.
#[track_caller]
pub(crate) fn backup(scene: &Scene, more: &[&str]) -> String {
    scene.on_shop("backup", more).expect(0);
    newest(scene, "manual")
}

/// The id of the newest backup that was made for a reason.
#[track_caller]
pub(crate) fn newest(scene: &Scene, reason: &str) -> String {
    let listed = scene.place.list();
    let found = listed.iter().find(|backup| backup["reason"] == reason);
    found.unwrap_or_else(|| panic!("no {reason} in {listed:#?}"))["backup"].as_str().unwrap().to_owned()
}

/// Runs `restore` with `--yes`.
pub(crate) fn restore(scene: &Scene, more: &[&str]) -> Run {
    let mut arguments = vec!["restore", "--yes"];
    arguments.extend_from_slice(more);
    scene.place.run(&arguments)
}

/// Inode and time of change: equal before and after for a file that was not written.
pub(crate) fn identity(path: &Path) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}
