//! What reads rows and files of sealed backups beside `restore`: a diff with rows, and a drill, each with a passphrase.

use std::fs;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::Scene;
use super::restore_shop::sql;

const PASSPHRASE: &str = "six words nobody would ever guess";

/// A demo shop whose backups are sealed, with two of them: an administrator came between, and a setting changed.
fn sealed_twice() -> Option<Scene> {
    let scene = Scene::with_demo_shop(ServerKind::MariaDb, 20)?;
    fs::write(scene.place.folder().join("passphrase"), PASSPHRASE).unwrap();
    fs::write(scene.place.folder().join("wrong"), "something else entirely").unwrap();
    scene.place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
    scene.on_shop("backup", &[]).expect(0);
    sql(
        &scene,
        &["INSERT INTO `oc_user` (username, password, email, status) VALUES \
           ('support', '$2y$10$planted', 'support@elsewhere.example', 1)"],
    );
    fs::write(scene.shop.root().join("image/thumbs.php"), "<?php").unwrap();
    scene.on_shop("backup", &["--level", "incremental"]).expect(0);
    Some(scene)
}

#[test]
fn a_diff_tells_the_rows_of_sealed_backups() {
    let Some(scene) = sealed_twice() else { return };
    let place = &scene.place;
    let ids: Vec<String> =
        place.list().iter().rev().map(|backup| backup["backup"].as_str().unwrap().to_owned()).collect();
    let diff = ["diff", &ids[0], &ids[1], "--json"];
    place.run(&diff).expect_error(12, &["--passphrase-file"]);
    place.run(&[&diff[..], &["--passphrase-file", "wrong"]].concat()).expect_error(12, &[]);
    let document = place.run(&[&diff[..], &["--passphrase-file", "passphrase"]].concat()).expect(0).json();
    let told = document.to_string();
    assert!(told.contains("support@elsewhere.example") && told.contains("image/thumbs.php"), "{told}");
    assert!(!told.contains("$2y$10$planted"), "a secret is masked: {told}");
    // Against the live shop the same key is needed, and row by row the same is told.
    sql(&scene, &["UPDATE `oc_user` SET email = 'other@elsewhere.example' WHERE username = 'support'"]);
    let live = ["diff", &ids[1], "--passphrase-file", "passphrase"];
    let text = place.run(&live).expect(0).stdout;
    assert!(text.contains("other@elsewhere.example"), "{text}");
}

#[test]
fn a_drill_proves_a_sealed_backup_with_its_key() {
    let Some(scene) = sealed_twice() else { return };
    let place = &scene.place;
    let programs = scene.server.programs().server().parent().unwrap().to_str().unwrap().to_owned();
    let drill = ["drill", "latest", "--server-programs", &programs, "--json"];
    place.run(&drill).expect_error(12, &["--passphrase-file"]);
    place.run(&[&drill[..], &["--passphrase-file", "wrong"]].concat()).expect_error(12, &[]);
    assert_eq!(place.list()[0]["drill"], Value::Null);
    let report = place.run(&[&drill[..], &["--passphrase-file", "passphrase"]].concat()).expect(0).json();
    assert_eq!(
        (&report["verdict"], &report["faults"]),
        (&"proven".into(), &serde_json::json!([])),
        "{report}"
    );
    assert!(report["database"]["rows"].as_u64().unwrap() > 100, "{report}");
    assert!(report["files"]["files"].as_u64().unwrap() > 20, "{report}");
    assert_eq!(place.list()[0]["drill"]["outcome"], "success");
}
