//! Restoring with too few rights: the plan says what is missing, and nothing stops half-way.

use std::fs;

use backstock_testbed::ServerKind;
use mysql::prelude::Queryable;

#[cfg(feature = "failpoints")]
use super::harness::Scene;
use super::restore_shop::{backup, expect_clean, expect_same, restore, scene, sql};

/// An account that may not make or drop tables replaces rows, says so before, and can take it back.
fn in_place(kind: ServerKind) {
    let Some(scene) = scene(kind, 5) else { return };
    let before = scene.picture();
    let id = backup(&scene, &["--only", "database"]);
    let mut root = scene.server.connect("").unwrap();
    for statement in [
        "CREATE USER 'poor'@'%' IDENTIFIED BY 'poor'",
        "GRANT SELECT, INSERT, UPDATE, DELETE, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON demo_shop.* TO 'poor'@'%'",
    ] {
        root.query_drop(statement).unwrap();
    }
    let password = scene.place.folder().join("password");
    fs::write(&password, "poor").unwrap();
    let account = ["--database-user", "poor", "--database-password-file", password.to_str().unwrap()];
    sql(&scene, &["UPDATE `oc_product` SET price = 3", "DELETE FROM `oc_review`"]);
    let was = scene.picture();
    let plan = [&["restore", &id, "--only", "database", "--dry-run"][..], &account].concat();
    let run = scene.place.run(&plan).expect(0);
    assert!(run.stdout.contains("in place") && run.stdout.contains("CREATE"), "{}", run.stdout);
    expect_same("only planned", &was, &scene.picture());

    let tables = ["--table", "oc_product", "--table", "oc_review"];
    let arguments = [&[id.as_str()][..], &tables, &account].concat();
    let risky = [&arguments[..], &["--without-snapshot"]].concat();
    restore(&scene, &risky).expect_error(2, &["the only way back", "hint: "]);
    restore(&scene, &arguments).expect(0);
    let rows = |picture: &backstock_testbed::Snapshot| {
        picture.without(|thing, aspect| !thing.starts_with("table ") || aspect != "rows")
    };
    expect_same("rows replaced", &rows(&before), &rows(&scene.picture()));
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("rows as before", &rows(&was), &rows(&scene.picture()));
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_clean(&scene);
    #[cfg(feature = "failpoints")]
    for end in [&["restore", "--resume"][..], &["undo", "--yes"]] {
        kill_in_place(&scene, &[&["restore", "--yes"][..], &arguments].concat());
        scene.place.run(end).expect(0);
        let wanted = if end[0] == "undo" { &was } else { &before };
        expect_same(&format!("killed in place, {end:?}"), &rows(wanted), &rows(&scene.picture()));
        if end[0] == "restore" {
            scene.place.run(&["undo", "--yes"]).expect(0);
        }
        scene.place.run(&["restore", "--accept"]).expect(0);
        expect_clean(&scene);
    }
}

/// Kills a restore in place between its tables: the shop is between two states, and every command says so.
#[cfg(feature = "failpoints")]
fn kill_in_place(scene: &Scene, arguments: &[&str]) {
    scene.place.run_with("load.in_place_table=kill:2", arguments).expect_killed();
    assert!(scene.place.run(&["list"]).expect(0).stderr.contains("between two states"));
}

#[test]
fn an_account_that_may_not_make_tables_replaces_rows_and_takes_them_back() {
    in_place(ServerKind::MariaDb);
}

#[test]
fn an_account_that_may_not_make_tables_replaces_rows_and_takes_them_back_on_mysql() {
    in_place(ServerKind::MySql);
}

/// A server that writes a binary log lets no plain account make triggers (its error 1419): told before anything happens.
#[test]
fn a_binary_log_without_trust_is_told_before_anything_happens() {
    for kind in super::restore_shop::KINDS {
        let Some(mut scene) = scene(kind, 5) else { continue };
        let id = backup(&scene, &["--only", "database"]);
        sql(&scene, &["UPDATE `oc_product` SET price = 3"]);
        scene.server.restart_with(&["--log-bin=binlog"]).unwrap();
        let was = scene.picture();
        let run = restore(&scene, &[&id]);
        let run =
            run.expect_error(1, &["binary log", "log_bin_trust_function_creators", "oc_customer_lower"]);
        assert!(!run.stderr.contains("unfinished"), "{}", run.stderr);
        expect_same("refused", &was, &scene.picture());
        expect_clean(&scene);
        // Without triggers there is nothing to trust; with trust everything works.
        restore(&scene, &[&id, "--table", "oc_product_image"]).expect(0);
        scene.place.run(&["restore", "--accept"]).expect(0);
        let mut root = scene.server.connect("").unwrap();
        root.query_drop("SET GLOBAL log_bin_trust_function_creators=1").unwrap();
        restore(&scene, &[&id]).expect(0);
        scene.place.run(&["undo", "--yes"]).expect(0);
        expect_same("undone", &was, &scene.picture());
        scene.place.run(&["restore", "--accept"]).expect(0);
        expect_clean(&scene);
    }
}
