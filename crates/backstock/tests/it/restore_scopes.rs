//! Restoring a part: database or files alone, some tables, some files, into another place; the rest stays untouched.

use std::fs;

use backstock_testbed::demo_shop::DATABASE;
use backstock_testbed::{ServerKind, Snapshot, database};
use mysql::prelude::Queryable;

use super::harness::Scene;
use super::restore_shop::{
    USER, aside, backup, expect_clean, expect_same, identity, newest, restore, ruin, scene, scratch, sql,
    value, without_events,
};

fn is_file(thing: &str) -> bool {
    thing.starts_with("shop file ") || thing.starts_with("storage file ")
}

fn files(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, _| !is_file(thing))
}

fn tables(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, _| is_file(thing))
}

/// Takes the open restore back and lets it go: the shop must be what it was.
fn take_back(scene: &Scene, was: &Snapshot, what: &str) {
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same(&format!("undone: {what}"), was, &scene.picture());
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same(&format!("closed: {what}"), was, &scene.picture());
    expect_clean(scene);
}

fn asks_first(scene: &Scene, id: &str, was: &Snapshot) {
    let run = scene.place.run(&["restore", id, "--dry-run"]).expect(0);
    for words in
        ["tables replaced", "tables added", "tables left alone", "files", "room needed", "snapshot first"]
    {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let plan = scene.place.run(&["restore", id, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(plan["schema"], "backstock.restore-plan/1");
    scene.place.run(&["restore", id]).expect_error(2, &["nobody to ask", "hint: give --yes"]);
    expect_same("only planned", was, &scene.picture());
    expect_clean(scene);
}

fn halves(scene: &Scene, id: &str, before: &Snapshot, was: &Snapshot) {
    restore(scene, &[id, "--only", "files"]).expect(0);
    let now = scene.picture();
    expect_same("files are not tables", &tables(was), &tables(&now));
    let without = |picture: &Snapshot| {
        files(picture).without(|thing, aspect| {
            thing.contains("uploaded later")
                || thing.contains("extension/new")
                || (aspect == "modified" && (thing.ends_with("./image") || thing.ends_with("./extension")))
        })
    };
    expect_same("files alone", &without(before), &without(&now));
    take_back(scene, was, "files alone");
    restore(scene, &[id, "--only", "database"]).expect(0);
    let now = scene.picture();
    expect_same("tables are not files", &files(was), &files(&now));
    let shown = |picture: &Snapshot| {
        without_events(&tables(picture))
            .without(|thing, _| thing.contains("oc_extra") || thing.contains("oc_v_late"))
    };
    expect_same("database alone", &shown(before), &shown(&now));
    take_back(scene, was, "database alone");
}

fn some_tables(scene: &Scene, id: &str, before: &Snapshot) {
    let change = "UPDATE `oc_stock_place` SET name = CONCAT('x', name)";
    sql(scene, &[change, "UPDATE `oc_product` SET price = 2", "UPDATE `oc_customer` SET firstname = 'x'"]);
    let was = scene.picture();
    for (pattern, changed) in [("oc_stock_place", "table oc_stock_place"), ("oc_produc?", "table oc_product")]
    {
        restore(scene, &[id, "--table", pattern]).expect(0);
        let mut expected = was.clone();
        expected.things.insert(changed.to_owned(), before.things[changed].clone());
        expect_same(pattern, &expected, &scene.picture());
        // Tables outside point at the new table, not at the one that was put aside.
        let orphan = scene.server.client(DATABASE, "UPDATE oc_warranty SET place_id = 99999;");
        assert!(orphan.unwrap_err().to_string().contains("foreign key"), "{pattern}");
        take_back(scene, &was, pattern);
        let orphan = scene.server.client(DATABASE, "UPDATE oc_warranty SET place_id = 99999;");
        assert!(orphan.unwrap_err().to_string().contains("foreign key"), "{pattern}");
    }
    restore(scene, &[id, "--table", "oc_product", "--table", "no_such_*"])
        .expect_error(10, &["no table like no_such_*"]);
    expect_same("no such table", &was, &scene.picture());
    expect_clean(scene);
}

fn some_files(scene: &Scene, id: &str) {
    scratch(scene);
    let root = scene.shop.root();
    fs::write(root.join("system/library/log.php"), "other").unwrap();
    let was = scene.picture();
    let untouched = identity(&root.join("system/library/loader.php"));
    let folder = identity(&root.join("image/catalog/maker-2.png"));
    restore(scene, &[id, "--file", "system/library/*.php"]).expect(0);
    assert!(root.join("system/library/cache.php").exists());
    assert!(fs::read_to_string(root.join("system/library/log.php")).unwrap().contains("library log"));
    assert!(fs::read_to_string(root.join("robots.txt")).unwrap().ends_with("Disallow: /\n"));
    assert_eq!(untouched, identity(&root.join("system/library/loader.php")), "an unchanged file was written");
    assert_eq!(folder, identity(&root.join("image/catalog/maker-2.png")));
    // The safety snapshot holds what was replaced, and not everything around it.
    let snapshot = newest(scene, "pre-restore");
    let shown = scene.place.run(&["show", &snapshot, "--contents"]).expect(0).stdout;
    assert!(shown.contains("library/log.php") && !shown.contains("library/loader.php"), "{shown}");
    take_back(scene, &was, "some files");
    restore(scene, &[id, "--file", "no/such/file"]).expect_error(10, &["no file like"]);
    expect_clean(scene);
    // Everything again, so that the next case begins with a sound shop.
    restore(scene, &[id]).expect(0);
    assert_eq!(untouched, identity(&root.join("system/library/loader.php")));
    scene.place.run(&["restore", "--accept"]).expect(0);
}

fn exactly(scene: &Scene, id: &str, before: &Snapshot) {
    ruin(scene);
    let was = scene.picture();
    restore(scene, &[id, "--exact"]).expect(0);
    expect_same("exactly", &without_events(before), &without_events(&scene.picture()));
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("extras are back", &was, &scene.picture());
    scene.place.run(&["undo", "--yes"]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("exactly, for good", before, &scene.picture());
    expect_clean(scene);
}

fn elsewhere(scene: &Scene, id: &str) {
    let was = scene.picture();
    let target = scene.place.folder().join("elsewhere");
    let text = target.to_str().unwrap().to_owned();
    scene.place.run(&["restore", id, "--to", &text]).expect(0);
    let copy = backstock_testbed::tree::read(&target).unwrap();
    let index = copy.things.iter().find(|(thing, _)| thing.ends_with("./index.php")).unwrap();
    assert_eq!(index.1["content"], was.things["shop file ./index.php"]["content"]);
    scene.place.run(&["restore", id, "--to", &text]).expect_error(2, &[]).stdout.clear();
    // A link in the place of the folder leads nowhere that was not named.
    let (outside, link) = (scene.place.folder().join("outside"), scene.place.folder().join("link"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "1").unwrap();
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let run = scene.place.run(&["restore", id, "--to", link.to_str().unwrap()]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    expect_same("elsewhere", &was, &scene.picture());
}

fn other_database(scene: &Scene, id: &str) {
    let was = scene.picture();
    let mut root = scene.server.connect("").unwrap();
    for statement in [
        "CREATE DATABASE other_shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci".to_owned(),
        format!("GRANT ALL ON other_shop.* TO '{USER}'@'%'"),
    ] {
        root.query_drop(statement).unwrap();
    }
    let read = |name: &str| {
        let picture = database::read(&mut scene.server.connect("").unwrap(), name).unwrap();
        // A view that works nowhere cannot be made in another database (C71).
        without_events(&picture)
            .without(|thing, _| database::is_set_aside(thing) || thing.contains("always_broken"))
    };
    let transient =
        |picture: Snapshot| picture.without(|_, aspect| matches!(aspect, "rows" | "auto_increment"));
    restore(scene, &[id, "--database", "other_shop"]).expect(0);
    expect_same("another database", &transient(read(DATABASE)), &transient(read("other_shop")));
    scene.place.run(&["restore", "--accept"]).expect(0);
    scene.server.client("other_shop", "UPDATE oc_product SET price = 5; CREATE TABLE mine (a int);").unwrap();
    let changed = read("other_shop");
    restore(scene, &[id, "--database", "other_shop"]).expect(0);
    let price = "SELECT COUNT(*) FROM other_shop.oc_product WHERE price <> 5";
    assert_ne!(value(scene, price), "0");
    assert_eq!(value(scene, "SELECT COUNT(*) FROM other_shop.mine"), "0");
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("another database, undone", &changed, &read("other_shop"));
    scene.place.run(&["restore", "--accept"]).expect(0);
    // The snapshot is of that database: it must not land in the shop's own.
    let snapshot = newest(scene, "pre-restore");
    restore(scene, &[&snapshot]).expect_error(2, &["other_shop", "hint: give --database other_shop"]);
    restore(scene, &[&snapshot, "--database", "other_shop"]).expect(0);
    expect_same("another database, from its snapshot", &changed, &read("other_shop"));
    scene.place.run(&["restore", "--accept"]).expect(0);
    restore(scene, &[id, "--database", "no_such"]).expect_error(1, &["no_such"]);
    restore(scene, &[id, "--database", DATABASE]).expect_error(2, &["own database"]);
    expect_same("the shop's own database", &was, &scene.picture());
    assert_eq!(aside(scene), Vec::<String>::new());
}

fn scopes(kind: ServerKind) {
    let Some(scene) = scene(kind, 10) else { return };
    let before = scene.picture();
    let id = backup(&scene, &[]);
    elsewhere(&scene, &id);
    other_database(&scene, &id);
    some_tables(&scene, &id, &before);
    restore(&scene, &[&id]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("sound again", &before, &scene.picture());
    some_files(&scene, &id);
    ruin(&scene);
    let was = scene.picture();
    asks_first(&scene, &id, &was);
    halves(&scene, &id, &before, &was);
    restore(&scene, &[&id, "--exact"]).expect(0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    exactly(&scene, &id, &before);
}

#[test]
fn a_part_is_restored_and_the_rest_stays_on_mariadb() {
    scopes(ServerKind::MariaDb);
}

#[test]
fn a_part_is_restored_and_the_rest_stays_on_mysql() {
    scopes(ServerKind::MySql);
}
