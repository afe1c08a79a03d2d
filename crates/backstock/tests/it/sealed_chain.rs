//! Sealed, split and incremental at once: a chain of a whole shop, opened by the published script alone, by `open` and by
//! `restore`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use backstock_testbed::demo_shop::DATABASE;
use mysql::prelude::Queryable;

use super::harness::Scene;
use super::main_job::chain_through_stock_tools;
use super::part_of_backup::noise;
use super::parts::large_shop;
use super::restore_shop::{expect_clean, expect_same, without_events};

const PASSPHRASE: &str = "eight words that nobody would guess";
/// What was changed less than two seconds before a backup began is read again by the next.
const UNTIL_QUIET: Duration = Duration::from_millis(3_200);

/// Changes of one day: more than a part of new pictures, something deleted, something renamed, another kind under a name.
fn live_through(scene: &Scene, day: u64) {
    let root = scene.shop.root();
    let catalog = root.join("image/catalog");
    for number in 0..3 {
        fs::write(catalog.join(format!("day-{day}-{number}.jpg")), noise(day * 10 + number, 700_000))
            .unwrap();
    }
    fs::remove_file(catalog.join(format!("noise-{day}.jpg"))).unwrap();
    fs::rename(catalog.join(format!("noise-{}.jpg", day + 3)), catalog.join(format!("renamed-{day}.jpg")))
        .unwrap();
    let folder = root.join("system/of-the-day");
    if day == 1 {
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(folder.join("below/one.php"), "<?php echo 1;").unwrap();
    } else {
        fs::rename(folder.join("below"), root.join("system/elsewhere")).unwrap();
        fs::remove_dir(&folder).unwrap();
        fs::write(&folder, "a file where a folder was").unwrap();
    }
    let mut connection = scene.server.connect(DATABASE).unwrap();
    for sql in [
        format!("DELETE FROM oc_noise WHERE id = {day}"),
        format!("UPDATE oc_product SET price = price + {day}"),
        format!("CREATE TABLE oc_day_{day} (a int PRIMARY KEY) SELECT {day} AS a"),
    ] {
        connection.query_drop(sql).unwrap();
    }
}

/// The folders of all backups, the oldest first; each is sealed, and its files and database lie in parts.
fn chain_of(scene: &Scene) -> Vec<PathBuf> {
    let mut listed = scene.place.list();
    listed.reverse();
    let levels: Vec<&str> = listed.iter().map(|backup| backup["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["full", "incremental", "incremental"]);
    let folder = |backup: &serde_json::Value| {
        let folder = scene.place.backups().join(backup["replicas"][0]["folder"].as_str().unwrap());
        for part in ["db/db.sql.zst.002.bks", "files/files.tar.zst.002.bks", "files/index.zst.bks"] {
            assert!(folder.join(part).is_file(), "{part} of {}", folder.display());
        }
        folder
    };
    listed.iter().map(folder).collect()
}

/// Opens a backup by the script and the folder `keys/` alone.
fn open_by_script(scene: &Scene, python: &Path, backup: &Path, into: &Path) {
    let script = backup.parent().unwrap().join("keys/open-backup.py");
    let mut command = Command::new(python);
    command.arg(script).arg(backup).arg(into).env("BACKSTOCK_PASSPHRASE", PASSPHRASE);
    let output = command.current_dir(scene.place.folder()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_sealed_split_incremental_chain_comes_back_by_the_script_by_open_and_by_restore() {
    let Some(scene) = large_shop() else { return };
    let place = &scene.place;
    fs::write(place.folder().join("passphrase"), PASSPHRASE).unwrap();
    fs::write(place.configuration(), "part_size = \"1 MiB\"\n").unwrap();
    place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
    std::thread::sleep(UNTIL_QUIET);
    scene.on_shop("backup", &[]).expect(0);
    for day in [1, 2] {
        live_through(&scene, day);
        scene.on_shop("backup", &["--level", "incremental"]).expect(0);
    }
    let before = scene.picture();
    let chain = chain_of(&scene);

    let opened = |by: &str, number: usize| place.folder().join(format!("{by}-{number}"));
    let opened_by =
        |by: &str| -> Vec<PathBuf> { (0..chain.len()).map(|number| opened(by, number)).collect() };
    if let Some(python) = backstock_testbed::programs::peer("python3") {
        for (number, backup) in chain.iter().enumerate() {
            open_by_script(&scene, &python, backup, &opened("script", number));
        }
        let found = chain_through_stock_tools(&scene, &opened_by("script"), "zstd", "by script");
        expect_same("opened by the script", &before, &found);
    }
    for (number, backup) in place.list().iter().rev().enumerate() {
        let to = opened("open", number);
        let arguments = ["open", backup["backup"].as_str().unwrap(), "--to", to.to_str().unwrap()];
        place.run(&[&arguments[..], &["--passphrase-file", "passphrase"]].concat()).expect(0);
    }
    let found = chain_through_stock_tools(&scene, &opened_by("open"), "zstd", "by open");
    expect_same("opened", &before, &found);

    scene.shop.ruin().unwrap();
    let restore = ["restore", "latest", "--yes", "--exact", "--passphrase-file", "passphrase"];
    place.run(&restore).expect(0);
    expect_same("restored", &without_events(&before), &without_events(&scene.picture()));
    place.run(&["restore", "--accept", "--yes"]).expect(0);
    expect_same("accepted", &before, &scene.picture());
    expect_clean(&scene);
}
