//! Sealed backups from the command line: made without a passphrase, of no use without one, whole with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use backstock_testbed::ServerKind;

use super::harness::{Place, Run};
use super::restore_shop::{expect_clean, expect_same, ruin, scene, without_events, without_extras};

const PASSPHRASE: &str = "nine words nobody would guess";

/// A place with an identity, its passphrase in a file.
pub(super) fn place_with_key(arguments: &[&str]) -> Place {
    let place = Place::new();
    give_key(&place, arguments);
    place
}

pub(super) fn give_key(place: &Place, more: &[&str]) {
    fs::write(place.folder().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    fs::write(place.folder().join("wrong"), "something else entirely").unwrap();
    let mut arguments = vec!["key", "create"];
    if more.is_empty() {
        arguments.extend(["--new-passphrase-file", "passphrase"]);
    }
    arguments.extend_from_slice(more);
    let run = place.run(&arguments).expect(0);
    assert!(run.stderr.contains("has lost every backup"), "{}", run.stderr);
}

/// A folder with a few files, and its path as an argument.
pub(super) fn folder_of_files(place: &Place) -> String {
    let root = place.folder().join("shop files");
    fs::create_dir_all(root.join("media")).unwrap();
    fs::write(root.join("index.php"), "<?php echo 'a shop that nobody may read';").unwrap();
    fs::write(root.join("media/one.jpg"), vec![0xA5; 300_000]).unwrap();
    root.to_str().unwrap().to_owned()
}

pub(super) fn every_file(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(every_file(&path)) } else { found.push(path) }
    }
    found
}

/// Nothing that the shop holds can be read in the backups folder, nor a passphrase or key in the state folder.
fn expect_nothing_readable(place: &Place, secrets: &[&str]) {
    for file in [every_file(&place.backups()), every_file(&place.state())].concat() {
        let bytes = fs::read(&file).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", file.display());
        }
    }
}

pub(super) fn with_passphrase(place: &Place, arguments: &[&str]) -> Run {
    place.run(&[arguments, &["--passphrase-file", "passphrase"]].concat())
}

/// The whole way of a shop: sealed, ruined, restored with the passphrase, undone without it, accepted.
#[test]
fn a_sealed_backup_restores_a_shop_and_its_undo_needs_no_passphrase() {
    let Some(scene) = scene(ServerKind::MariaDb, 30) else { return };
    let place = &scene.place;
    give_key(place, &[]);
    let before = scene.picture();
    let run = scene.on_shop("backup", &["--dry-run"]).expect(0);
    assert!(run.stdout.contains("sealed for"), "{}", run.stdout);
    scene.on_shop("backup", &[]).expect(0);
    let backup = place.newest_backup();
    let names: Vec<_> = every_file(&backup).iter().map(|path| path.display().to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".bks")).count(), 4, "{names:?}");
    assert_eq!(names.len(), 5, "{names:?}");
    expect_nothing_readable(place, &["oc_product", "robots.txt", PASSPHRASE]);
    assert!(place.run(&["list"]).expect(0).stdout.contains("sealed"));
    assert!(place.run(&["show", "latest"]).expect(0).stdout.contains("for the identity"));

    place.run(&["verify", "--level", "bytes"]).expect(0);
    let run = place.run(&["verify"]).expect(3);
    assert!(
        run.stdout.contains("right down to bytes") && run.stderr.contains("--passphrase-file"),
        "{run:?}"
    );
    with_passphrase(place, &["verify"]).expect(0);
    place.run(&["verify", "--passphrase-file", "wrong"]).expect_error(12, &["not damaged"]);

    ruin(&scene);
    let ruined = scene.picture();
    place.run(&["restore", "latest", "--yes"]).expect_error(12, &["--passphrase-file"]);
    place.run(&["restore", "latest", "--yes", "--passphrase-file", "wrong"]).expect_error(12, &["identity"]);
    expect_same("refused", &ruined, &scene.picture());
    with_passphrase(place, &["restore", "latest", "--yes"]).expect(0);
    let restored = scene.picture();
    let comparable = |picture| without_events(&without_extras(picture));
    expect_same("restored", &comparable(&before), &comparable(&restored));
    let snapshot = place.newest_backup();
    assert!(every_file(&snapshot).iter().any(|path| path.ends_with("db/db.sql.zst.bks")));
    // Its own key lies in the state folder until the restore is accepted.
    let snapshot = place.list()[0]["short"].as_str().unwrap().to_owned();
    place.run(&["verify", &snapshot]).expect(0);
    place.run(&["undo", "--yes"]).expect(0);
    expect_same("undone", &ruined, &scene.picture());
    place.run(&["undo", "--yes"]).expect(0);
    expect_same("restored again", &restored, &scene.picture());
    place.run(&["restore", "--accept"]).expect(0);
    expect_clean(&scene);
    place.run(&["verify", &snapshot]).expect(3);
    with_passphrase(place, &["verify", &snapshot]).expect(0);
}

/// Everything of this machine is lost but the backups: the passphrase and what lies beside them are enough.
#[test]
fn a_sealed_backup_is_opened_where_only_the_backups_are_left() {
    let place = place_with_key(&[]);
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect(0);
    let keys = place.newest_backup().parent().unwrap().join("keys");
    let names: Vec<_> = every_file(&keys);
    for beginning in ["identity-", "certificate-", "format.md", "open-backup.py"] {
        let is_there = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(beginning);
        assert!(names.iter().any(is_there), "{beginning} is not in {names:?}");
    }
    fs::remove_dir_all(place.state()).unwrap();
    let backups = place.backups();
    let backups = backups.to_str().unwrap();
    place.run(&["catalog", "rebuild", backups]).expect(0);
    assert_eq!(place.list()[0]["shop"], "shop-files");
    let target = place.folder().join("elsewhere");
    let to = target.to_str().unwrap();
    place.run(&["restore", "latest", "--only", "files", "--to", to]).expect_error(12, &[]);
    with_passphrase(&place, &["restore", "latest", "--only", "files", "--to", to]).expect(0);
    assert_eq!(fs::read(target.join("media/one.jpg")).unwrap(), vec![0xA5; 300_000]);
    with_passphrase(&place, &["verify", "latest"]).expect(0);
    with_passphrase(&place, &["open", "latest", "--to", "opened"]).expect(0);
    if let Some(python) = backstock_testbed::programs::peer("python3") {
        let mut script = Command::new(python);
        script
            .arg(keys.join("open-backup.py"))
            .arg(place.newest_backup())
            .arg(place.folder().join("by script"));
        let output = script.env("BACKSTOCK_PASSPHRASE", PASSPHRASE).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = |folder: &str| fs::read(place.folder().join(folder).join("files/files.tar.zst")).unwrap();
        assert!(read("opened") == read("by script"));
    }
    // With the key at hand the catalog learns the rest.
    with_passphrase(&place, &["catalog", "rebuild", backups]).expect(0);
    assert_eq!(place.list()[0]["shop"], "shop files");
    // A set that was sealed does not go on in plain files because the new machine has no key.
    let on = ["backup", &root, "--take-over"];
    place.run(&on).expect_error(15, &["is sealed, and there is no identity here", "key adopt", "--unsealed"]);
    place.run(&["key", "adopt"]).expect_error(12, &["locked"]);
    with_passphrase(&place, &["key", "adopt"]).expect(0);
    place.run(&on).expect(0);
    let shown = place.run(&["show", "latest", "--json"]).expect(0).json();
    assert!(shown["sealed_for"].as_array().is_some_and(|ids| !ids.is_empty()), "{shown}");
    assert_eq!(shown["sequence"], 2);
}

/// A private half that is kept in a file opens plain files for stock tools, and nothing on the server opens anything.
#[test]
fn a_key_in_a_file_opens_plain_files_for_stock_tools() {
    for suite in ["x-wing", "x25519"] {
        let place = place_with_key(&["--to-file", "usb.key", "--suite", suite]);
        let root = folder_of_files(&place);
        for codec in ["zstd", "gzip"] {
            place.run(&["backup", &root, "--codec", codec]).expect(0);
        }
        place.run(&["open", "latest", "--to", "plain"]).expect_error(12, &["--identity-file"]);
        let file = place.folder().join("usb.key");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
        let plain = place.folder().join("opened");
        place.run(&["open", "latest", "--to", "opened", "--identity-file", "usb.key"]).expect(0);
        let tar =
            Command::new("tar").args(["-xzOf", "files/files.tgz", "index.php"]).current_dir(&plain).output();
        assert_eq!(tar.unwrap().stdout, fs::read(Path::new(&root).join("index.php")).unwrap());
        let again = ["open", "latest", "--to", "opened", "--identity-file", "usb.key"];
        place.run(&again).expect_error(15, &["not empty"]);
        place.run(&["verify", "--identity-file", "usb.key"]).expect(0);
        let other = place_with_key(&["--to-file", "other.key"]);
        fs::copy(other.folder().join("other.key"), place.folder().join("other.key")).unwrap();
        place.run(&["verify", "--identity-file", "other.key"]).expect_error(12, &["not damaged"]);
        place.run(&["verify", "--identity-file", "passphrase"]).expect_error(12, &["passphrase"]);
    }
}

#[test]
fn identities_are_rotated_exported_rehearsed_and_given_other_passphrases() {
    let place = place_with_key(&[]);
    let root = folder_of_files(&place);
    place.run(&["key", "create", "--to-file", "second"]).expect_error(15, &["key rotate"]);
    with_passphrase(&place, &["key", "rehearse"]).expect_error(10, &["no backup is sealed"]);
    place.run(&["backup", &root]).expect(0);
    let run = with_passphrase(&place, &["key", "rehearse"]).expect(0);
    assert!(run.stdout.contains("opens the backup"), "{}", run.stdout);
    place.run(&["key", "rehearse"]).expect_error(12, &["locked"]);
    place.run(&["key", "rehearse", "--passphrase-file", "wrong"]).expect_error(12, &["does not open"]);

    fs::write(place.folder().join("next"), "the next passphrase of all").unwrap();
    let change = ["key", "passphrase", "--new-passphrase-file", "next"];
    place.run(&[&change[..], &["--passphrase-file", "wrong"]].concat()).expect_error(12, &[]);
    let run = with_passphrase(&place, &change).expect(0);
    assert!(run.stderr.contains("leaked") && run.stderr.contains("rotate"), "{}", run.stderr);
    with_passphrase(&place, &["key", "rehearse"]).expect_error(12, &[]);
    place.run(&["key", "rehearse", "--passphrase-file", "next"]).expect(0);
    place.run(&["key", "export", "--to", "exported", "--passphrase-file", "next"]).expect(0);
    place.run(&["key", "rehearse", "--identity-file", "exported"]).expect(0);

    let first = place.list()[0]["sealed_for"][0].clone();
    place.run(&["key", "rotate", "--to-file", "rotated"]).expect(0);
    place.run(&["backup", &root]).expect(0);
    let listed = place.list();
    assert_ne!(listed[0]["sealed_for"][0], first);
    assert_eq!(listed[1]["sealed_for"][0], first);
    let older = listed[1]["short"].as_str().unwrap();
    place.run(&["verify", older, "--identity-file", "rotated"]).expect_error(12, &[]);
    place.run(&["verify", older, "--identity-file", "exported"]).expect(0);
    place.run(&["verify", "--identity-file", "rotated"]).expect(0);
    let kit = place.run(&["key", "kit"]).expect(0).stdout;
    let shown = place.run(&["key", "show", "--json"]).expect(0).json();
    for words in [
        shown["fingerprint"].as_str().unwrap(),
        "catalog rebuild",
        "open-backup.py",
        "shop files",
        "lost every",
    ] {
        assert!(kit.contains(words), "{words:?} is not in:\n{kit}");
    }
    place.run(&["key", "kit", "--html", "kit.html"]).expect(0);
    assert!(
        fs::read_to_string(place.folder().join("kit.html"))
            .unwrap()
            .contains(shown["fingerprint"].as_str().unwrap())
    );
    place.run(&["key", "kit", "--html", "kit.html"]).expect_error(2, &["kit.html"]);
    let keys = place.run(&["key", "list", "--json"]).expect(0).json();
    assert_eq!(keys["identities"].as_array().unwrap().len(), 2);
    place.run(&["backup", &root, "--unsealed"]).expect(0);
    place.run(&["verify"]).expect(0);
}

/// The server cannot open what it sealed, and still knows what changed since. Another key makes the next backup a full one.
#[test]
fn incremental_backups_are_sealed_too_and_another_identity_makes_a_full_one() {
    let place = place_with_key(&["--to-file", "key"]);
    let root = folder_of_files(&place);
    // What was changed less than two seconds before a backup is read again by the next.
    std::thread::sleep(std::time::Duration::from_millis(3_200));
    place.run(&["backup", &root]).expect(0);
    fs::write(Path::new(&root).join("media/two.jpg"), vec![0x5A; 70_000]).unwrap();
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    assert_eq!(place.list()[0]["level"], "incremental");
    let files = place.newest_backup().join("files/files.tar.zst.bks");
    assert!(fs::metadata(&files).unwrap().len() < 200_000, "what did not change is not in it");
    place.run(&["verify", "--identity-file", "key"]).expect(0);
    let to = ["restore", "latest", "--only", "files", "--to", "elsewhere"];
    place.run(&to).expect_error(12, &["--identity-file"]);
    place.run(&[&to[..], &["--identity-file", "key"]].concat()).expect(0);
    let restored = place.folder().join("elsewhere/media");
    assert_eq!(fs::read(restored.join("one.jpg")).unwrap(), vec![0xA5; 300_000]);
    assert_eq!(fs::read(restored.join("two.jpg")).unwrap(), vec![0x5A; 70_000]);
    follow_with_the_script(&place, &root);
    place.run(&["key", "rotate", "--to-file", "next key"]).expect(0);
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    assert_eq!(place.list()[0]["level"], "full");
    place.run(&["verify", "--identity-file", "next key"]).expect(0);
}

/// The published script opens each backup of the chain, and stock tar extracts them one after the other.
fn follow_with_the_script(place: &Place, root: &str) {
    let Some(python) = backstock_testbed::programs::peer("python3") else { return };
    fs::remove_file(Path::new(root).join("media/one.jpg")).unwrap();
    place.run(&["backup", root, "--level", "incremental"]).expect(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/open-backup.py");
    let followed = place.folder().join("followed");
    fs::create_dir(&followed).unwrap();
    for (number, listed) in place.list().iter().rev().enumerate() {
        let folder = place.backups().join(listed["replicas"][0]["folder"].as_str().unwrap());
        let opened = place.folder().join(format!("opened {number}"));
        let mut open = Command::new(&python);
        open.arg(&script)
            .args(["--identity-file", "key"])
            .arg(folder)
            .arg(&opened)
            .current_dir(place.folder());
        let output = open.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut tar = Command::new("tar");
        tar.args(["--incremental", "--zstd", "-xpf"]).arg(opened.join("files/files.tar.zst"));
        assert!(tar.arg("-C").arg(&followed).status().unwrap().success());
    }
    let names = |folder: &Path| {
        let mut names: Vec<_> = every_file(folder)
            .into_iter()
            .map(|path| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap()))
            .collect();
        names.sort();
        names
    };
    assert!(names(&followed) == names(Path::new(root)));
}

/// F76, F77: no key is called damage, and damage is never called a wrong key.
#[test]
fn f76_damage_and_a_wrong_key_are_told_apart() {
    let place = place_with_key(&["--to-file", "key"]);
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect(0);
    let part = place.newest_backup().join("files/files.tar.zst.bks");
    let whole = fs::read(&part).unwrap();
    for at in [0, 9, 40, 4000, 4095, 4096, 4100, 5000, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&part, &bytes).unwrap();
        let folder = format!("opened-{at}");
        let run = place.run(&["open", "latest", "--to", &folder, "--identity-file", "key"]).expect(13);
        assert!(run.stderr.contains("files.tar.zst.bks"), "{at}: {}", run.stderr);
        assert!(!place.folder().join(folder).join("files/files.tar.zst").exists());
    }
    fs::write(&part, &whole).unwrap();
    place.run(&["open", "latest", "--to", "opened", "--identity-file", "key"]).expect(0);
}

#[test]
fn f77_a_bad_passphrase_makes_no_identity() {
    let place = Place::new();
    for bad in ["", " ", "\n", "short"] {
        fs::write(place.folder().join("bad"), bad).unwrap();
        place
            .run(&["key", "create", "--new-passphrase-file", "bad"])
            .expect_error(2, &["passphrase is refused"]);
    }
    place.run(&["key", "create"]).expect_error(2, &["nobody to type"]);
    place.run(&["key", "rotate", "--to-file", "x"]).expect_error(10, &["key create"]);
    assert!(
        place.run(&["key", "list", "--json"]).expect(0).json()["identities"].as_array().unwrap().is_empty()
    );
    fs::write(place.configuration(), "sealed = true\n").unwrap();
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect_error(15, &["no identity", "key create"]);
    fs::write(place.configuration(), "sealed = false\n").unwrap();
    give_key(&place, &["--to-file", "key"]);
    place.run(&["backup", &root]).expect(0);
    place.run(&["verify"]).expect(0);
}
