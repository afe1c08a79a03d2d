//! What was done to a shop between two backups: all of it is told, nothing else is, and the archives stay closed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::{Place, Run};
use super::plain_shop::PlainShop;
use super::restore_shop::{backup, scene, sql};

/// What must be there before the first backup for the edits to change something.
const BEFORE: &str = "CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT) ENGINE=InnoDB; \
    CREATE TABLE quiet (id INT PRIMARY KEY, name TEXT) ENGINE=InnoDB; INSERT INTO quiet VALUES (1, 'a'); \
    CREATE TABLE gone (id INT PRIMARY KEY) ENGINE=InnoDB; \
    CREATE DEFINER=owner PROCEDURE tidy_up() DELETE FROM log_line WHERE text = '';";

/// The edits in the database. The counter of `counted` moves and its rows stay as they were.
const EDITS: &str = "ALTER TABLE item ADD COLUMN price INT NOT NULL DEFAULT 0; \
    INSERT INTO log_line VALUES (NOW(6), 'more'); ALTER TABLE log_line ADD INDEX at_index (at); \
    UPDATE cart SET item = 1 WHERE id = 2; DROP TABLE gone; CREATE TABLE `new\u{1b}[2J table` (id INT PRIMARY KEY); \
    DROP VIEW named; DROP PROCEDURE tidy_up; CREATE DEFINER=owner PROCEDURE tidy_up() DELETE FROM log_line; \
    CREATE TRIGGER leak AFTER INSERT ON cart FOR EACH ROW SET @leaked = NEW.item; \
    INSERT INTO counted VALUES (NULL), (NULL); DELETE FROM counted;";

fn edit_files(root: &Path) {
    let folder = root.join("folder-0");
    fs::write(root.join("media/shell.php"), "<?php system($_GET['c']);").unwrap();
    fs::write(root.join("folder-1/index.php"), "<?php").unwrap();
    fs::remove_file(folder.join("text-0.txt")).unwrap();
    fs::write(folder.join("text-4.txt"), "a line of tixt\n".repeat(40)).unwrap();
    fs::set_permissions(folder.join("text-8.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(root.join("picture-twice.jpg")).unwrap();
    fs::write(root.join("picture-twice.jpg"), "another picture").unwrap();
    fs::remove_file(root.join("link")).unwrap();
    symlink("picture.jpg", root.join("link")).unwrap();
    fs::write(root.join("evil\u{1b}[2J\n\u{202e}.txt"), "").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    let touched = fs::File::options().append(true).open(folder.join("text-12.txt")).unwrap();
    touched.set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// Each difference as one word for what it is and the name it is about.
fn told(document: &Value) -> Vec<String> {
    let name = |difference: &Value| {
        let kind = difference["kind"].as_str().map(|kind| format!("{kind} ")).unwrap_or_default();
        let names = ["path", "name", "table"];
        let name = names.iter().map(|name| &difference[*name]).find(|name| !name.is_null()).unwrap();
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        format!("{} {kind}{name}", difference["difference"].as_str().unwrap())
    };
    let mut told: Vec<String> = document["differences"].as_array().unwrap().iter().map(name).collect();
    told.sort();
    told
}

/// The identifiers of the backups, the oldest first.
fn ids(place: &Place) -> Vec<String> {
    place.list().iter().rev().map(|backup| backup["backup"].as_str().unwrap().to_owned()).collect()
}

fn artifacts(place: &Place, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for set in fs::read_dir(place.backups()).unwrap() {
        for backup in fs::read_dir(set.unwrap().path()).unwrap() {
            let artifact = backup.unwrap().path().join(name);
            if artifact.exists() {
                found.push(artifact);
            }
        }
    }
    found.sort();
    found
}

/// The newest backup against the live shop.
fn live(shop: &PlainShop) -> Value {
    let mut arguments = vec!["diff", "latest", "live", "--json"];
    arguments.extend(shop.database_flags());
    shop.place.run(&arguments).expect(0).json()
}

fn shop_with_two_backups(kind: ServerKind) -> Option<PlainShop> {
    let shop = PlainShop::new(kind)?;
    let root = shop.root();
    fs::create_dir(root.join("media")).unwrap();
    fs::hard_link(root.join("picture.jpg"), root.join("picture-twice.jpg")).unwrap();
    fs::hard_link(root.join("bytes.bin"), root.join("bytes-twice.bin")).unwrap();
    shop.server.client("plain", BEFORE).unwrap();
    shop.back_up();
    assert_eq!(told(&live(&shop)), Vec::<String>::new(), "nothing was done yet");
    edit_files(&root);
    shop.server.client("plain", EDITS).unwrap();
    let document = live(&shop);
    // A live table's rows are counted and not read.
    let is_counted = |text: &&&str| !matches!(**text, "values-changed cart" | "object-unknown table item");
    let expected: Vec<&str> = EXPECTED.iter().filter(is_counted).copied().collect();
    assert_eq!(told(&document), expected);
    assert_eq!(document["summary"]["files"]["misplaced_programs"], 1);
    assert!(document["summary"]["after"]["backup"].is_null(), "{document}");
    shop.back_up();
    assert_eq!(told(&live(&shop)), Vec::<String>::new(), "it was all backed up");
    Some(shop)
}

/// All that `edit_files` and `EDITS` come to, and nothing else.
const EXPECTED: [&str; 19] = [
    "definition-changed procedure tidy_up",
    "definition-changed table item",
    "definition-changed table log_line",
    "file-added file evil\u{1b}[2J\n\u{202e}.txt",
    "file-added file folder-1/index.php",
    "file-added file media/shell.php",
    "file-added file {\"base64\":\"Y2Fm6Q==\"}",
    "file-changed folder-0/text-4.txt",
    "file-changed folder-0/text-8.txt",
    "file-changed link",
    "file-changed picture-twice.jpg",
    "file-removed file folder-0/text-0.txt",
    "object-added table new\u{1b}[2J table",
    "object-added trigger leak",
    "object-removed table gone",
    "object-removed view named",
    "object-unknown table item",
    "row-count-changed log_line",
    "values-changed cart",
];

fn planted_edits_are_told(kind: ServerKind) {
    let Some(shop) = shop_with_two_backups(kind) else { return };
    let ids = ids(&shop.place);
    let compare = |more: &[&str]| {
        let mut arguments = vec!["diff", ids[0].as_str(), "latest"];
        arguments.extend_from_slice(more);
        shop.place.run(&arguments).expect(0)
    };
    let document = compare(&["--json"]).json();
    assert_eq!(document["schema"], "backstock.diff/1");
    assert_eq!(told(&document), EXPECTED);
    let summary = &document["summary"];
    assert_eq!(
        (&summary["files"]["touched"], &summary["files"]["misplaced_programs"]),
        (&1.into(), &1.into())
    );
    let item = document["differences"].as_array().unwrap().iter().find(|one| one["name"] == "item").unwrap();
    let lines = item["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0]["added"].as_str().unwrap().contains("`price` int"), "{lines:?}");
    // Nothing in a name steers the terminal, in either form.
    for run in [compare(&[]), compare(&["--all"])] {
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{}", run.stdout);
        let words = [
            "evil\\u{1b}[2J\\n\\u{202e}.txt",
            "caf\\xe9",
            "! media/shell.php",
            "cart: 84 rows, with other values",
        ];
        for word in words {
            assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
        }
    }
    archives_stay_closed(&shop, &ids, &document);
    the_other_way_round(&shop, &ids);
}

/// The same is told when the archives are gone, and no more was read than indexes and manifests.
fn archives_stay_closed(shop: &PlainShop, ids: &[String], document: &Value) {
    let place = &shop.place;
    let length = |name: &str| -> u64 {
        artifacts(place, name).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
    };
    let indexes = length("db/index.zst") + length("files/index.zst") + length("manifest.json");
    let read_bytes = document["summary"]["read_bytes"].as_u64().unwrap();
    assert!(
        read_bytes > 1000 && read_bytes <= 2 * indexes,
        "{read_bytes} bytes were read, indexes: {indexes}"
    );
    for artifact in artifacts(place, "db/db.sql.zst").iter().chain(&artifacts(place, "files/files.tar.zst")) {
        fs::remove_file(artifact).unwrap();
    }
    let again = place.run(&["diff", &ids[0], &ids[1], "--json"]).expect(0).json();
    assert_eq!(again["differences"], document["differences"]);
}

fn the_other_way_round(shop: &PlainShop, ids: &[String]) {
    let backward = shop.place.run(&["diff", &ids[1], &ids[0], "--json"]).expect(0).json();
    let mut expected: Vec<String> = EXPECTED
        .iter()
        .map(|text| match text.split_once("-added") {
            Some((what, rest)) => format!("{what}-removed{rest}"),
            None => text.replace("-removed", "-added"),
        })
        .collect();
    expected.sort();
    assert_eq!(told(&backward), expected);
    let itself = shop.place.run(&["diff", &ids[0], &ids[0]]).expect(0);
    assert!(!itself.stderr.contains("note:"), "{}", itself.stderr);
    assert!(itself.stdout.contains(": no difference between "), "{}", itself.stdout);
}

#[test]
fn planted_edits_are_told_and_nothing_else_on_mariadb() {
    planted_edits_are_told(ServerKind::MariaDb);
}

#[test]
fn planted_edits_are_told_and_nothing_else_on_mysql() {
    planted_edits_are_told(ServerKind::MySql);
}

/// An account that sees no triggers, no code and no text of views knows nothing of them.
fn what_an_account_may_not_see_is_not_removed(kind: ServerKind) {
    let Some(shop) = PlainShop::new(kind) else { return };
    shop.server.client("plain", BEFORE).unwrap();
    shop.back_up();
    shop.server
        .client("", "CREATE USER reader IDENTIFIED BY 'x'; GRANT SELECT ON plain.* TO reader")
        .unwrap();
    fs::write(shop.place.folder().join("reader-password"), "x").unwrap();
    let socket = shop.server.socket();
    let flags = [
        "--database-name",
        "plain",
        "--database-user",
        "reader",
        "--database-password-file",
        "reader-password",
    ];
    let mut arguments =
        vec!["diff", "latest", "live", "--json", "--database-socket", socket.to_str().unwrap()];
    arguments.extend(flags);
    let document = shop.place.run(&arguments).expect(0).json();
    let expected = [
        "object-unknown procedure tidy_up",
        "object-unknown trigger item_named",
        "object-unknown view named",
    ];
    assert_eq!(told(&document), expected);
}

#[test]
fn what_an_account_may_not_see_is_not_removed_on_mariadb() {
    what_an_account_may_not_see_is_not_removed(ServerKind::MariaDb);
}

#[test]
fn what_an_account_may_not_see_is_not_removed_on_mysql() {
    what_an_account_may_not_see_is_not_removed(ServerKind::MySql);
}

/// What a backup was not asked for it does not lack.
#[test]
fn tables_that_one_backup_was_not_asked_for_are_counted_and_not_called_removed() {
    let Some(scene) = scene(ServerKind::MariaDb, 5) else { return };
    let whole = backup(&scene, &["--only", "database"]);
    let part = backup(
        &scene,
        &["--only", "database", "--table", "oc_product*", "--exclude-table-entirely", "oc_product_viewed"],
    );
    let compare = |one: &str, other: &str| {
        let document = scene.place.run(&["diff", one, other, "--json"]).expect(0).json();
        assert_eq!(told(&document), Vec::<String>::new(), "{one} {other}");
        document["summary"]["database"]["not_asked"].as_u64().unwrap()
    };
    let count = compare(&whole, &part);
    assert!(count > 40, "{count}");
    assert_eq!(compare(&part, &whole), count);
    assert_eq!(compare(&part, "live"), count);
}

#[test]
fn caches_and_sessions_are_counted_and_not_named() {
    let Some(scene) = scene(ServerKind::MariaDb, 5) else { return };
    let first = backup(&scene, &["--no-default-exclusions"]);
    let (image, cache) = (scene.shop.root().join("image/cache"), scene.shop.storage().join("cache"));
    fs::create_dir_all(&image).unwrap();
    fs::write(image.join("thumb.jpg"), "made again").unwrap();
    fs::write(image.join("back.php"), "<?php").unwrap();
    fs::write(cache.join("cache.product.1"), "made again").unwrap();
    sql(
        &scene,
        &["INSERT INTO oc_session VALUES ('fresh', 'x', NOW())", "UPDATE oc_product SET price = price + 1"],
    );
    let second = backup(&scene, &["--no-default-exclusions"]);
    let document = scene.place.run(&["diff", &first, &second, "--json"]).expect(0).json();
    assert_eq!(told(&document), ["file-added file image/cache/back.php", "values-changed oc_product"]);
    let summary = &document["summary"];
    let counts = (&summary["files"]["renewable"], &summary["database"]["renewable"]);
    assert_eq!(counts, (&2.into(), &1.into()));
}

/// A folder without a database, twice.
fn folder_with_two_backups() -> (Place, PathBuf) {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir_all(shop.join("var/export")).unwrap();
    fs::write(shop.join("index.php"), "<?php").unwrap();
    fs::write(shop.join("var/export/a.csv"), "1").unwrap();
    place.run(&["backup", shop.to_str().unwrap()]).expect(0);
    place.run(&["backup", shop.to_str().unwrap(), "--exclude", "var/export"]).expect(0);
    (place, shop)
}

#[test]
fn what_one_backup_was_told_to_leave_out_is_counted_and_not_called_removed() {
    let (place, _) = folder_with_two_backups();
    let ids = ids(&place);
    let document = place.run(&["diff", &ids[0], &ids[1], "--json"]).expect(0).json();
    assert_eq!(told(&document), Vec::<String>::new());
    assert_eq!(document["summary"]["files"]["not_asked"], 2);
}

#[test]
fn what_is_not_there_or_damaged_has_its_exit_code() {
    let (place, shop) = folder_with_two_backups();
    let ids = ids(&place);
    place.run(&["diff", "latest", "ffffffff"]).expect_error(10, &["ffffffff"]);
    place.run(&["diff", "ffffffff", "latest"]).expect_error(10, &["ffffffff"]);
    let other = shop.with_file_name("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a"), "a").unwrap();
    place.run(&["backup", other.to_str().unwrap()]).expect(0);
    let others = place.list()[0]["backup"].as_str().unwrap().to_owned();
    place.run(&["diff", &ids[0], &others]).expect_error(2, &["backups of two shops"]);
    // The newest backup is then that of the first one's shop.
    place.run(&["diff", &ids[0], "latest"]).expect(0);
    for index in artifacts(&place, "files/index.zst") {
        let mut bytes = fs::read(&index).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        fs::write(&index, bytes).unwrap();
    }
    let damaged = |run: Run| run.expect_error(13, &["index.zst"]);
    damaged(place.run(&["diff", &ids[0], &ids[1]]));
    let document = damaged(place.run(&["diff", &ids[0], &ids[1], "--json"])).json();
    assert!(document["summary"].is_null() && document["error"].as_str().is_some(), "{document}");
}
