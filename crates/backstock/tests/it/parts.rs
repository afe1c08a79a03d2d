//! Backups in parts, through the command line: what the part size does, and what comes back across parts.

use std::fs;
use std::path::Path;

use backstock_testbed::ServerKind;
use backstock_testbed::demo_shop::DATABASE;
use mysql::prelude::Queryable;

use super::harness::{Place, Scene};
use super::main_job::through_stock_tools;
use super::part_of_backup::noise;
use super::restore_shop::{expect_clean, expect_same, scratch, without_events};

/// The smallest part that may be asked for.
const SMALL: [&str; 2] = ["--part-size", "1MiB"];
const SMALL_BYTES: u64 = 1 << 20;

/// A demo shop with more than its parts hold: pictures, and a table of large values.
pub(crate) fn large_shop() -> Option<Scene> {
    let scene = Scene::with_demo_shop(ServerKind::MariaDb, 10)?;
    for number in 0..6 {
        let path = scene.shop.root().join(format!("image/catalog/noise-{number}.jpg"));
        fs::write(path, noise(number, 700_000)).unwrap();
    }
    let mut connection = scene.server.connect(DATABASE).unwrap();
    connection
        .query_drop("CREATE TABLE oc_noise (id int PRIMARY KEY, content mediumblob) ENGINE=InnoDB")
        .unwrap();
    for id in 0..90 {
        let content = noise(1_000 + id, 100_000);
        connection.exec_drop("INSERT INTO oc_noise VALUES (?, ?)", (id, content)).unwrap();
    }
    Some(scene)
}

/// Makes sure that an artifact lies in numbered parts, and gives their lengths.
#[track_caller]
fn parts_of(backup: &Path, artifact: &str) -> Vec<u64> {
    assert!(!backup.join(artifact).exists(), "{artifact} has no number");
    let numbered = |number: &usize| backup.join(format!("{artifact}.{number:03}"));
    let sizes = (1..).map(|number| numbered(&number)).take_while(|path| path.exists());
    let sizes: Vec<u64> = sizes.map(|path| fs::metadata(path).unwrap().len()).collect();
    assert!(sizes.len() > 2, "{artifact}: {sizes:?}");
    sizes
}

#[test]
fn a_shop_in_parts_comes_back_through_stock_tools_and_through_restore() {
    let Some(scene) = large_shop() else { return };
    let before = scene.picture();
    let picture = fs::read(scene.shop.root().join("image/catalog/noise-4.jpg")).unwrap();
    for (codec, database, files) in
        [("zstd", "db/db.sql.zst", "files/files.tar.zst"), ("gzip", "db/db.sql.gz", "files/files.tgz")]
    {
        let plan = scene.on_shop("backup", &[&SMALL[..], &["--dry-run", "--json"]].concat()).expect(0).json();
        assert_eq!(plan["part_size_bytes"], SMALL_BYTES);
        scene.on_shop("backup", &[&SMALL[..], &["--codec", codec]].concat()).expect(0);
        let backup = scene.place.newest_backup();
        let sizes = parts_of(&backup, files);
        assert!(sizes.iter().all(|size| *size <= SMALL_BYTES), "{sizes:?}");
        // Of the database a frame alone is longer.
        parts_of(&backup, database);
        let verified = scene.place.run(&["verify", "--json"]).expect(0).json();
        assert_eq!(verified["reached"], "decoded");
        let shown = scene.place.run(&["show", "latest", "--contents", "--json"]).expect(0).json();
        let has = |path: &str| shown["files"].as_array().unwrap().iter().any(|file| file["path"] == path);
        assert!(has("image/catalog/noise-4.jpg") && has("index.php"), "{shown}");
        let to = format!("one-{codec}");
        scene.place.run(&["restore", "latest", "--file", "image/catalog/noise-4.jpg", "--to", &to]).expect(0);
        let one = scene.place.folder().join(to).join("image/catalog/noise-4.jpg");
        assert!(fs::read(one).unwrap() == picture);
        expect_same(codec, &before, &through_stock_tools(&scene, &backup, codec));
        scene.shop.ruin().unwrap();
        scene.place.run(&["restore", "latest", "--yes", "--exact"]).expect(0);
        expect_same(codec, &without_events(&before), &without_events(&scene.picture()));
        scene.place.run(&["restore", "--accept", "--yes"]).expect(0);
        expect_clean(&scene);
    }
}

/// The set's part size is that of everything that is kept of the shop.
#[test]
fn safety_snapshots_and_imported_dumps_have_the_parts_of_the_set() {
    let Some(scene) = large_shop() else { return };
    let set = format!(
        "part_size = \"5 GB\"\n[[set]]\ntitle = \"demo\"\nshop = {:?}\npart_size = \"1 MiB\"\n",
        scene.root()
    );
    fs::write(scene.place.configuration(), set).unwrap();
    scene.on_shop("backup", &[]).expect(0);
    parts_of(&scene.place.newest_backup(), "db/db.sql.zst");
    let mut connection = scene.server.connect(DATABASE).unwrap();
    connection.query_drop("UPDATE oc_noise SET id = id + 1000 ORDER BY id DESC").unwrap();
    for number in 0..6 {
        let path = scene.shop.root().join(format!("image/catalog/noise-{number}.jpg"));
        fs::write(path, noise(50 + number, 700_000)).unwrap();
    }
    let ruined = scene.picture();
    scene.place.run(&["restore", "latest", "--yes"]).expect(0);
    let snapshot = scene.place.newest_backup();
    parts_of(&snapshot, "db/db.sql.zst");
    parts_of(&snapshot, "files/files.tar.zst");
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("undone", &ruined, &scene.picture());
    scene.place.run(&["restore", "--accept", "--yes"]).expect(0);
    let dump = super::restore_dump::dump(&scene, &[]);
    let root = scene.root();
    scene.place.run(&["restore", "--dump", dump.to_str().unwrap(), &root, "--yes"]).expect(0);
    let listed = scene.place.list();
    let imported = listed.iter().find(|backup| backup["reason"] == "imported").unwrap();
    let folder = scene.place.backups().join(imported["replicas"][0]["folder"].as_str().unwrap());
    parts_of(&folder, "db/db.sql.zst");
    scratch(&scene);
    scene.place.run(&["restore", "--accept", "--yes"]).expect(0);
}

/// A part size is part of what a backup is asked for: what comes after another one stands alone, and says why.
#[test]
fn another_part_size_makes_a_full_backup_and_is_named() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("index.php"), "<?php").unwrap();
    let run = |more: &[&str]| {
        let arguments =
            [&["backup", root.to_str().unwrap(), "--level", "incremental", "--json"][..], more].concat();
        place.run(&arguments).expect(0).json()
    };
    run(&[]);
    assert_eq!(run(&["--part-size", "4000000 kB"])["level"], "incremental");
    let report = run(&SMALL);
    assert_eq!(report["level"], "full");
    assert!(report["why_full"].as_str().unwrap().ends_with(": other part size bytes"), "{report}");
    fs::write(place.configuration(), "part_size = \"1 MiB\"\n").unwrap();
    assert_eq!(run(&[])["level"], "incremental");
    assert_eq!(run(&["--part-size", "4GB"])["level"], "full");
}

#[test]
fn an_impossible_part_size_is_refused_by_name() {
    let place = Place::new();
    let shop = place.folder().to_str().unwrap().to_owned();
    for (size, words) in
        [("5kB", "5kB is too small"), ("1MB", "1 MiB or more"), ("64", "is no part size"), ("64M", "64M")]
    {
        place.run(&["backup", &shop, "--part-size", size]).expect_error(2, &[words]);
    }
    fs::write(place.configuration(), "part_size = \"12 potatoes\"\n").unwrap();
    place.run(&["backup", &shop]).expect_error(2, &["12 potatoes", "is no part size"]);
    assert!(!place.state().exists() && !place.backups().exists());
}
