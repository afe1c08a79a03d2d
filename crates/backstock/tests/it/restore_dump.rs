//! Dumps made by others come back: real ones of the servers' own programs, and files in the exact form of phpMyAdmin,
//! Adminer, HeidiSQL, OpenCart and mydumper. The oracle is the server's own client, which loads the same file into
//! another database.

mod forms;
mod older;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstock_testbed::demo_shop::DATABASE;
use backstock_testbed::{ServerKind, Snapshot, database};

use super::harness::{Run, Scene};
use super::restore_shop::{
    KINDS, expect_clean, expect_same, newest, sql, sql_as_root, value, without_events,
};

/// Where the client loads what we restore.
const ORACLE: &str = "oracle";

/// A shop whose views all work: the servers' own programs stop at one that does not.
fn scene(kind: ServerKind) -> Option<Scene> {
    let scene = super::restore_shop::scene(kind, 3)?;
    sql(&scene, &["DROP VIEW `oc_v_always_broken`"]);
    sql_as_root(
        &scene,
        &[&format!("CREATE DATABASE {ORACLE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")],
    );
    Some(scene)
}

/// The database alone, without events, which stay disabled until acceptance.
fn picture(scene: &Scene) -> Snapshot {
    let found = database::read(&mut scene.server.connect(DATABASE).unwrap(), DATABASE).unwrap();
    without_events(&found.without(|thing, _| database::is_set_aside(thing)))
}

/// Of a picture, the tables of these names.
fn tables(picture: &Snapshot, names: &[&str]) -> Snapshot {
    picture.without(|thing, _| !names.iter().any(|name| thing == format!("table {name}")))
}

fn oracle(scene: &Scene) -> Snapshot {
    database::read(&mut scene.server.connect(ORACLE).unwrap(), ORACLE).unwrap()
}

/// A dump of the shop by the server's own program.
pub(crate) fn dump(scene: &Scene, more: &[&str]) -> PathBuf {
    let path = scene.place.folder().join("dump.sql");
    let mut command = Command::new(scene.server.programs().dump());
    command
        .args(["--no-defaults", "--user=root", "--single-transaction", "--routines", "--events"])
        .arg(format!("--socket={}", scene.server.socket().display()))
        .args(more)
        .arg(DATABASE)
        .stdout(fs::File::create(&path).unwrap())
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

fn restore(scene: &Scene, path: &Path, more: &[&str]) -> Run {
    let root = scene.root();
    let path = path.to_str().unwrap();
    let arguments = [&["restore", "--dump", path, root.as_str(), "--yes"][..], more].concat();
    scene.place.run(&arguments)
}

fn damage(scene: &Scene) {
    sql(
        scene,
        &[
            "UPDATE `oc_product` SET price = price + 1",
            "DELETE FROM `oc_stock_move` LIMIT 2",
            "ALTER TABLE `oc_warranty` ADD COLUMN note text",
            "DROP VIEW `oc_v_chain`",
        ],
    );
}

fn own_dumps_come_back(kind: ServerKind) {
    let Some(scene) = scene(kind) else { return };
    let before = picture(&scene);
    let path = dump(&scene, &[]);
    damage(&scene);
    let old = picture(&scene);
    let planned = restore(&scene, &path, &["--dry-run", "--json"]).expect(0).json();
    assert_eq!(planned["schema"], "backstock.restore-dump-plan/1");
    assert!(planned["rows"].as_u64().unwrap() > 100, "{planned}");
    let program = if kind.is_mysql() { "mysqldump" } else { "mariadb-dump" };
    assert_eq!(planned["made_by"], program);
    let is_sandboxed = fs::read(&path).unwrap().starts_with(b"/*M!999999\\- enable the sandbox mode */");
    assert_eq!(is_sandboxed, !kind.is_mysql());
    expect_same("a dry run", &old, &picture(&scene));
    assert_eq!(scene.place.list().len(), 0);

    let run = restore(&scene, &path, &[]).expect(0);
    assert!(run.stdout.contains("compared by their number"), "{}", run.stdout);
    expect_same("restored", &before, &picture(&scene));
    scene.place.run(&["undo", "--yes"]).expect(0);
    expect_same("undone", &old, &picture(&scene));
    scene.place.run(&["restore", "--resume"]).expect(0);
    expect_same("done again", &before, &picture(&scene));
    scene.place.run(&["restore", "--accept"]).expect(0);
    expect_clean(&scene);
    let status = value(&scene, "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME='oc_hourly'");
    assert_eq!(status, "ENABLED");
    // The imported dump is a backup like any other, and never the latest one.
    let listed = scene.place.list();
    let imported = listed.iter().find(|backup| backup["reason"] == "imported").unwrap();
    let id = imported["short"].as_str().unwrap();
    scene.place.run(&["verify", id]).expect(0);
    scene.place.run(&["show", "latest"]).expect_error(10, &[]);
}

#[test]
fn dumps_of_the_servers_own_program_come_back_on_mariadb() {
    own_dumps_come_back(ServerKind::MariaDb);
}

#[test]
fn dumps_of_the_servers_own_program_come_back_on_the_newer_mariadb() {
    own_dumps_come_back(ServerKind::MariaDb118);
}

#[test]
fn dumps_of_the_servers_own_program_come_back_on_mysql() {
    own_dumps_come_back(ServerKind::MySql);
}

/// The text within an artifact of our own, packed as it is, when nothing else of the backup is left.
#[test]
fn an_artifact_of_our_own_is_a_dump_too() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let before = picture(&scene);
        super::restore_shop::backup(&scene, &["--only", "database", "--no-default-exclusions"]);
        let path = scene.place.folder().join("db.sql.zst");
        fs::copy(scene.place.newest_backup().join("db/db.sql.zst"), &path).unwrap();
        damage(&scene);
        let planned = restore(&scene, &path, &["--dry-run", "--json"]).expect(0).json();
        assert_eq!(planned["made_by"], "Backstock");
        restore(&scene, &path, &[]).expect(0);
        expect_same(&format!("{kind:?}"), &before, &picture(&scene));
        scene.place.run(&["restore", "--accept"]).expect(0);
        expect_clean(&scene);
    }
}

/// In bulk a value would be what its bytes are; what others wrote is what an INSERT makes of it.
#[test]
fn rows_by_others_never_go_in_bulk() {
    let Some(scene) = scene(ServerKind::MariaDb) else { return };
    let path = scene.place.folder().join("dump.sql");
    let text = "CREATE TABLE `oc_x` (`id` int(11) NOT NULL, `t` varchar(9) DEFAULT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB;\n\
        INSERT INTO `oc_x` (`id`,`t`) VALUES (1,'a'),(2,NULL);\n";
    fs::write(&path, text).unwrap();
    let loads = || {
        let query =
            "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='COM_LOAD'";
        value(&scene, query).parse::<u64>().unwrap()
    };
    restore(&scene, &path, &[]).expect(0);
    assert_eq!(loads(), 0);
    scene.place.run(&["restore", "--accept"]).expect(0);
    // The same rows from a backup of our own do.
    super::restore_shop::backup(&scene, &["--only", "database"]);
    sql(&scene, &["DELETE FROM `oc_x`"]);
    super::restore_shop::restore(&scene, &["latest", "--table", "oc_x"]).expect(0);
    assert!(loads() > 0);
    assert_eq!(value(&scene, "SELECT COUNT(*) FROM oc_x"), "2");
}

/// What is not run is told before and afterwards, with its place.
#[test]
fn what_was_skipped_is_in_the_report() {
    let Some(scene) = scene(ServerKind::MariaDb) else { return };
    let path = scene.place.folder().join("dump.sql");
    let text = "CREATE TABLE `oc_x` (`a` int);\nINSERT INTO `oc_x` VALUES (1);\nSET GLOBAL general_log=1;\n\
        GRANT ALL ON *.* TO x;\nSET GLOBAL general_log=0;\nCALL p();\n";
    fs::write(&path, text).unwrap();
    let place = path.display();
    let told = [
        format!(
            "SET GLOBAL general_log (2 times, first at line 3 of {place}): it reaches beyond the session"
        ),
        format!("GRANT ALL ON (once, at line 4 of {place}): it reaches beyond the database"),
        format!("CALL p (once, at line 6 of {place}): it is no part of a restore"),
    ];
    let planned = restore(&scene, &path, &["--dry-run"]).expect(0).stdout;
    let report = restore(&scene, &path, &["--json"]).expect(0).json();
    for line in told {
        assert!(planned.contains(&line), "{planned}");
        let line = format!("not run: {line}");
        assert!(report["lines"].as_array().unwrap().iter().any(|told| *told == *line), "{report}");
    }
    scene.place.run(&["show", newest(&scene, "imported").as_str()]).expect(0);
}

#[test]
fn packed_dumps_and_odd_options_come_back() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let before = picture(&scene);
        let options: [&[&str]; 3] = [
            &["--skip-extended-insert", "--complete-insert", "--hex-blob", "--skip-tz-utc"],
            &["--compact", "--skip-opt", "--create-options", "--add-locks"],
            &["--insert-ignore", "--add-drop-trigger", "--default-character-set=utf8mb4"],
        ];
        for (number, more) in options.iter().enumerate() {
            let path = dump(&scene, more);
            let text = fs::read(&path).unwrap();
            let packed = match number {
                0 => [&b"\xef\xbb\xbf"[..], &text].concat(),
                1 => stored_zip("folder/dump.sql", &text),
                _ => gzip(&path),
            };
            fs::write(&path, packed).unwrap();
            damage(&scene);
            restore(&scene, &path, &[]).expect(0);
            expect_same(&format!("{kind:?} {more:?}"), &before, &picture(&scene));
            scene.place.run(&["restore", "--accept"]).expect(0);
        }
        expect_clean(&scene);
    }
}

fn gzip(path: &Path) -> Vec<u8> {
    Command::new("gzip").arg("-c").arg(path).output().unwrap().stdout
}

/// A zip archive of one file that is not compressed.
fn stored_zip(name: &str, text: &[u8]) -> Vec<u8> {
    let crc = crc32(text).to_le_bytes();
    let long = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let shared = [
        &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &crc,
        &long(text.len()),
        &long(text.len()),
        &short(name.len()),
        &[0; 2],
    ]
    .concat();
    let mut out = [&b"PK\x03\x04"[..], &shared, name.as_bytes(), text].concat();
    let start = out.len();
    out.extend([&b"PK\x01\x02"[..], &[20, 0], &shared, &[0; 10], &long(0), name.as_bytes()].concat());
    let list = out.len() - start;
    out.extend(
        [&b"PK\x05\x06"[..], &[0; 4], &short(1), &short(1), &long(list), &long(start), &[0; 2]].concat(),
    );
    out
}

/// The slow way, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// A restore that dies leaves the old shop or can go either way.
#[test]
#[cfg(feature = "failpoints")]
fn kills_leave_the_old_shop() {
    for kind in KINDS {
        let Some(scene) = scene(kind) else { continue };
        let before = picture(&scene);
        let path = dump(&scene, &[]);
        damage(&scene);
        let old = picture(&scene);
        let root = scene.root();
        let arguments =
            ["restore", "--dump", path.to_str().unwrap(), root.as_str(), "--yes", "--without-snapshot"];
        for (orders, is_visible) in [
            ("backup.frame=kill:2", false),
            ("backup.before_manifest=kill:1", false),
            ("load.table=kill:9", false),
            ("restore.database.rename=kill:1", true),
            ("restore.database.new_triggers=kill:1", true),
        ] {
            scene.place.run_with(orders, &arguments).expect_killed();
            if !is_visible {
                expect_same(orders, &tables_of(&old), &tables_of(&picture(&scene)));
            }
            if super::restore_shop::stage(&scene).is_some() {
                scene.place.run(&["undo", "--yes"]).expect(0);
            }
            expect_same(&format!("undone after {orders}"), &old, &picture(&scene));
            if super::restore_shop::stage(&scene).is_some() {
                scene.place.run(&["restore", "--accept"]).expect(0);
            }
        }
        scene.place.run_with("load.table=kill:9", &arguments).expect_killed();
        // The file is not needed any more.
        fs::remove_file(&path).unwrap();
        scene.place.run(&["restore", "--resume"]).expect(0);
        expect_same("resumed", &before, &picture(&scene));
        scene.place.run(&["restore", "--accept"]).expect(0);
        expect_clean(&scene);
    }
}

/// What visitors see while other things are between two states.
#[cfg(feature = "failpoints")]
fn tables_of(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, _| !thing.starts_with("table "))
}

/// Hostile and broken files are refused with their line before anything happens.
#[test]
fn hostile_files_are_refused_with_their_line() {
    let Some(scene) = scene(ServerKind::MariaDb) else { return };
    let old = picture(&scene);
    let path = scene.place.folder().join("dump.sql");
    let whole = fs::read(dump(&scene, &[])).unwrap();
    let lines = whole.iter().filter(|byte| **byte == b'\n').count();
    for (tail, more, words) in [
        ("GRANT ALL ON *.* TO x;\n", &["--untrusted"][..], &["GRANT ALL ON is not run"][..]),
        ("SET GLOBAL general_log=1;\n", &["--untrusted"], &["GLOBAL general_log", "beyond the session"]),
        ("UPDATE oc_user SET password='x';\n", &[], &["UPDATE oc_user SET is not run"]),
        ("INSERT INTO `oc_user` SELECT * FROM mysql.user;\n", &[], &["SELECT stands where VALUES"]),
        ("\\! touch /tmp/x\n", &[], &["outside of quotes"]),
        ("INSERT INTO oc_cart VALUES (1", &[], &["cut off"]),
    ] {
        // What a file of strangers may not have at all would come before the line under test otherwise.
        let start = if more.is_empty() { &whole[..] } else { b"CREATE TABLE `oc_x` (`a` int);\n" };
        fs::write(&path, [start, tail.as_bytes()].concat()).unwrap();
        let line = if more.is_empty() { lines + 1 } else { 2 };
        let line = format!("line {line}:");
        let words = [words, &[line.as_str()]].concat();
        restore(&scene, &path, more).expect_error(1, &words);
        assert_eq!(scene.place.list().len(), 0);
    }
    expect_same("refused", &old, &picture(&scene));
    expect_clean(&scene);
}
