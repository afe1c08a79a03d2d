//! The kept backups of `fixtures/backups`: this program knows, checks and restores what its first version wrote.

use std::fs;
use std::path::Path;

use backstock_testbed::{Server, ServerKind, ServerOptions, Snapshot, assert_same, kept_shop};

use super::harness::Place;

/// The name of the database that they are loaded into.
const OTHER: &str = "kept_again";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// As it is compared: who owns a file follows from who restores it, and an event waits for the restore to be accepted.
fn comparable(picture: &Snapshot) -> Snapshot {
    let is_root = rustix::process::geteuid().is_root();
    picture.without(|_, aspect| aspect == "owner" && !is_root)
}

fn a_kept_backup_is_listed_verified_and_restored(codec: &str, kind: ServerKind) {
    let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { return };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/backups/v1");
    let place = Place::new();
    copy(&kept.join(codec), &place.backups().join("kept"));
    place.run(&["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    let listed = place.list();
    assert_eq!((listed.len(), &listed[0]["content"]), (1, &serde_json::Value::from("whole")), "{listed:?}");
    let id = listed[0]["backup"].as_str().unwrap();
    let shown = place.run(&["show", id, "--contents", "--json"]).expect(0).json();
    assert!(shown.to_string().contains("a name with `marks"), "{shown}");
    place.run(&["verify", id, "--level", "decoded"]).expect(0);

    server.client("", format!("CREATE DATABASE {OTHER} CHARACTER SET utf8mb4")).unwrap();
    let (target, socket) = (place.folder().join("files"), server.socket());
    let mut arguments = vec!["restore", id, "--yes", "--to", target.to_str().unwrap(), "--database", OTHER];
    arguments.extend([
        "--database-name",
        kept_shop::DATABASE,
        "--database-user",
        "root",
        "--database-socket",
    ]);
    arguments.push(socket.to_str().unwrap());
    place.run(&arguments).expect(0);
    place.run(&["restore", "--accept"]).expect(0);
    let picture = Snapshot::load(&kept.join(format!("{codec}.picture"))).unwrap();
    assert!(picture.things.len() > 25, "{}", picture.things.len());
    let now = kept_shop::picture(&server, OTHER, &target).unwrap();
    assert_same(&comparable(&now), &comparable(&picture));
}

#[test]
fn a_kept_backup_is_listed_verified_and_restored_on_mariadb() {
    a_kept_backup_is_listed_verified_and_restored("zstd", ServerKind::MariaDb);
}

#[test]
fn a_kept_backup_is_listed_verified_and_restored_on_mysql() {
    a_kept_backup_is_listed_verified_and_restored("gzip", ServerKind::MySql);
}
