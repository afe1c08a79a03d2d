//! Single differences taken back: files, definitions and rows, each by its name, while everything else stays as it is.

use std::fs;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::diff_rows::{BEFORE, plant, told};
use super::harness::Scene;
use super::restore_shop::{backup, scene, sql, value};

/// The differences between a backup and the live shop.
fn live(scene: &Scene, id: &str) -> Value {
    scene.place.run(&["diff", id, "live", "--json"]).expect(0).json()
}

/// The name of the one difference whose words are these.
fn item(document: &Value, words: &str) -> String {
    let differences = document["differences"].as_array().unwrap().iter();
    let alone = |one: &&Value| told(&serde_json::json!({ "differences": [(*one).clone()] })) == [words];
    let found: Vec<&Value> = differences.filter(alone).collect();
    assert_eq!(found.len(), 1, "{words}: {document:#}");
    found[0]["item"].as_str().unwrap().to_owned()
}

/// A shop with a contractor's work in it, and the backup from before.
fn planted(kind: ServerKind) -> Option<(Scene, String)> {
    let scene = scene(kind, 5)?;
    sql(&scene, BEFORE);
    let id = backup(&scene, &["--no-default-exclusions"]);
    plant(&scene);
    Some((scene, id))
}

fn take_back(scene: &Scene, id: &str, words: &[&str]) -> Vec<String> {
    let document = live(scene, id);
    let items: Vec<String> = words.iter().map(|words| item(&document, words)).collect();
    let mut arguments = vec!["restore", id, "--yes"];
    for item in &items {
        arguments.extend(["--from-diff", item]);
    }
    scene.place.run(&arguments).expect(0);
    items
}

/// Everything that differs but these.
fn without(before: &[String], words: &[&str]) -> Vec<String> {
    before.iter().filter(|line| !words.contains(&line.as_str())).cloned().collect()
}

fn rows_are_taken_back(kind: ServerKind) {
    let Some((scene, id)) = planted(kind) else { return };
    let before = told(&live(&scene, &id));
    let numbers = "SELECT GROUP_CONCAT(setting_id, '=', value ORDER BY setting_id) FROM oc_setting WHERE `key`<>'shipping_flat_cost'";
    let settings = value(&scene, numbers);
    let words =
        ["row-changed carriers oc_setting shipping_flat_cost", "row-added administrators oc_user support"];
    take_back(&scene, &id, &words);
    assert_eq!(told(&live(&scene, &id)), without(&before, &words));
    assert_eq!(value(&scene, "SELECT value FROM oc_setting WHERE `key`='shipping_flat_cost'"), "5.00");
    assert_eq!(value(&scene, "SELECT COUNT(*) FROM oc_user WHERE username='support'"), "0");
    // Every other row is what it was, with its number and with what the shop itself wrote.
    assert_eq!(value(&scene, numbers), settings);
    scene.place.run(&["undo", "--yes"]).expect(0);
    assert_eq!(told(&live(&scene, &id)), before, "an undo brings the work back");
    scene.place.run(&["restore", "--accept"]).expect(0);
    // A row that was deleted comes back, with its number.
    sql(&scene, &["DELETE FROM oc_user_group WHERE name='Administrator'"]);
    take_back(&scene, &id, &["row-removed roles oc_user_group Administrator"]);
    assert_eq!(value(&scene, "SELECT user_group_id FROM oc_user_group WHERE name='Administrator'"), "1");
    assert_eq!(told(&live(&scene, &id)), before);
}

#[test]
fn rows_are_taken_back_by_their_names_on_mariadb() {
    rows_are_taken_back(ServerKind::MariaDb);
}

#[test]
fn rows_are_taken_back_by_their_names_on_mysql() {
    rows_are_taken_back(ServerKind::MySql);
}

fn files_and_definitions_are_taken_back(kind: ServerKind) {
    let Some((scene, id)) = planted(kind) else { return };
    // A second file of the same name, deeper, must stay as it is.
    let deeper = scene.shop.root().join("catalog/index.php");
    fs::write(&deeper, "<?php // another one").unwrap();
    let before = told(&live(&scene, &id));
    let words = [
        "file-added image/catalog/thumbs.php",
        "file-changed index.php",
        "object-added event oc_call_home",
        "object-added trigger oc_leak",
    ];
    take_back(&scene, &id, &words);
    assert_eq!(told(&live(&scene, &id)), without(&before, &words));
    assert!(deeper.exists() && !scene.shop.root().join("image/catalog/thumbs.php").exists());
    scene.place.run(&["undo", "--yes"]).expect(0);
    assert_eq!(told(&live(&scene, &id)), before, "an undo brings the work back");
    scene.place.run(&["restore", "--accept"]).expect(0);
    sql(&scene, &["DROP TRIGGER oc_customer_lower", "DROP TRIGGER oc_leak"]);
    take_back(&scene, &id, &["object-removed trigger oc_customer_lower"]);
    let now = told(&live(&scene, &id));
    assert_eq!(now, without(&before, &["object-added trigger oc_leak"]));
}

#[test]
fn files_and_definitions_are_taken_back_by_their_names_on_mariadb() {
    files_and_definitions_are_taken_back(ServerKind::MariaDb);
}

#[test]
fn files_and_definitions_are_taken_back_by_their_names_on_mysql() {
    files_and_definitions_are_taken_back(ServerKind::MySql);
}

/// The rows that are written aside outlive a kill, leave nothing behind, and go nowhere but into the database.
#[test]
#[cfg(feature = "failpoints")]
fn rows_are_taken_back_after_a_kill_too() {
    let Some((scene, id)) = planted(ServerKind::MariaDb) else { return };
    let before = told(&live(&scene, &id));
    let words = "row-changed payments oc_setting payment_cod_total";
    for point in ["restore.staging", "restore.between_parts", "restore.swapping", "restore.database.rename"] {
        let item = item(&live(&scene, &id), words);
        let arguments = ["restore", &id, "--yes", "--from-diff", &item];
        scene.place.run_with(&format!("{point}=kill:1"), &arguments).expect_killed();
        scene.place.run(&["restore", "--resume"]).expect(0);
        assert_eq!(told(&live(&scene, &id)), without(&before, &[words]), "{point}");
        let copied = super::plain_shop::walk(&scene.place.backups());
        let rows: Vec<&String> = copied.keys().filter(|name| name.contains("/rows-")).collect();
        assert!(rows.is_empty(), "{point}: {rows:?}");
        scene.place.run(&["undo", "--yes"]).expect(0);
        assert_eq!(told(&live(&scene, &id)), before, "{point}");
        scene.place.run(&["restore", "--accept"]).expect(0);
        super::restore_shop::expect_clean(&scene);
    }
}

#[test]
fn what_is_not_there_any_more_as_it_was_shown_is_refused() {
    let Some((scene, id)) = planted(ServerKind::MariaDb) else { return };
    let document = live(&scene, &id);
    let words = [
        "row-changed carriers oc_setting shipping_flat_cost",
        "file-changed index.php",
        "object-added trigger oc_leak",
    ];
    let items: Vec<String> = words.iter().map(|words| item(&document, words)).collect();
    // Noise alone does not count.
    sql(&scene, &["UPDATE oc_setting SET value='1767999999' WHERE `key`='feed_last_run'"]);
    assert_eq!(items[0], item(&live(&scene, &id), words[0]));
    sql(
        &scene,
        &[
            "UPDATE oc_setting SET value='9.91' WHERE `key`='shipping_flat_cost'",
            "DROP TRIGGER oc_leak",
            "CREATE TRIGGER `oc_leak` AFTER INSERT ON `oc_address` FOR EACH ROW SET @leaked = NEW.postcode",
        ],
    );
    fs::write(scene.shop.root().join("index.php"), "<?php // again").unwrap();
    let now = told(&live(&scene, &id));
    for item in &items {
        let arguments = ["restore", &id, "--yes", "--from-diff", item];
        scene.place.run(&arguments).expect_error(15, &[item, "the shop is not what that comparison showed"]);
    }
    scene.place.run(&["restore", &id, "--yes", "--from-diff", "none"]).expect_error(15, &["none"]);
    assert_eq!(told(&live(&scene, &id)), now, "nothing was changed");
}
