//! What `backup` writes: names, modes, the owner file, the chain of manifests; and what its flags take and leave out.

use std::fs;
use std::path::Path;
use std::process::Command;

use backstock_archive::manifest::SignedManifest;
use backstock_testbed::ServerKind;
use serde_json::Value;

use super::harness::{Place, Scene};
use super::plain_shop::{PlainShop, leftovers, walk};

/// As `sha256sum` sees a file.
fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim_start_matches('\\')[..64].to_owned()
}

fn manifest(backup: &Path) -> (Value, SignedManifest) {
    let bytes = fs::read(backup.join("manifest.json")).unwrap();
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 2, "two lines");
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap();
    (serde_json::from_slice(first).unwrap(), SignedManifest::parse(&bytes).unwrap())
}

/// Names of tables and of files in the newest backup, as `show` tells them.
fn contents(place: &Place) -> (Vec<(String, Option<u64>)>, Vec<String>) {
    let newest = place.list()[0]["backup"].as_str().unwrap().to_owned();
    let shown = place.run(&["show", &newest, "--contents", "--json"]).expect(0).json();
    let array = |name: &str| shown[name].as_array().cloned().unwrap_or_default();
    let tables = array("tables").into_iter().filter(|object| object["kind"] == "table");
    let tables = tables.map(|table| (table["name"].as_str().unwrap().to_owned(), table["rows"].as_u64()));
    let files = array("files").into_iter().map(|file| file["path"].as_str().unwrap().to_owned());
    (tables.collect(), files.collect())
}

fn sql(backup: &Path) -> String {
    let output = Command::new("zstd").arg("-dc").arg(backup.join("db/db.sql.zst")).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn backups_lie_where_the_design_says_and_follow_each_other() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let mut backups = Vec::new();
    for _ in 0..2 {
        shop.back_up();
        backups.push(shop.place.newest_backup());
    }
    let set = backups[0].parent().unwrap().to_owned();
    assert_eq!(set, backups[1].parent().unwrap());
    assert_eq!(set.parent().unwrap(), shop.place.backups());
    let set_name = set.file_name().unwrap().to_str().unwrap();
    assert!(set_name.starts_with("files-of-the-shop-"), "{set_name}");
    let mut expected = vec![set_name.to_owned(), format!("{set_name}/owner-1.json")];
    for backup in &backups {
        let folder = backup.strip_prefix(shop.place.backups()).unwrap().to_str().unwrap().to_owned();
        let names = ["", "/db", "/db/db.sql.zst", "/db/index.zst", "/files", "/files/files.tar.zst"];
        expected.extend(names.iter().map(|name| format!("{folder}{name}")));
        expected.extend(["/files/index.zst", "/manifest.json"].iter().map(|name| format!("{folder}{name}")));
    }
    expected.sort();
    for root in [shop.place.backups(), shop.place.state()] {
        for (name, mode) in walk(&root) {
            let is_folder = root.join(&name).is_dir();
            assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{} {name}", root.display());
        }
    }
    let found = walk(&shop.place.backups()).into_keys();
    let (remembered, found): (Vec<String>, Vec<String>) = found.partition(|name| name.contains("/catalog"));
    assert_eq!(found, expected);
    // Settings that stay as they are are put there once a day.
    let [folder, settings] = &remembered[..] else { panic!("{remembered:?}") };
    assert!(
        settings.starts_with(&format!("{folder}/settings-")) && settings.ends_with(".json"),
        "{settings}"
    );
    let manifests: Vec<_> = backups.iter().map(|backup| manifest(backup)).collect();
    for (number, (backup, (document, signed))) in backups.iter().zip(&manifests).enumerate() {
        assert_eq!(signed.manifest.sequence, number as u64 + 1);
        assert_eq!(document["level"], "full");
        assert_eq!((&document["sealed"], &document["parent"]), (&Value::Null, &Value::Null));
        let mut parts = 0;
        for part in
            document["artifacts"].as_array().unwrap().iter().flat_map(|a| a["parts"].as_array().unwrap())
        {
            let file = backup.join(part["name"].as_str().unwrap());
            assert_eq!(fs::metadata(&file).unwrap().len(), part["size_bytes"].as_u64().unwrap());
            assert_eq!(sha256(&file), part["sha256"].as_str().unwrap());
            parts += 1;
        }
        assert_eq!(parts, 4);
        let text = document.to_string();
        assert!(!text.contains("log_line") && !text.contains("picture.jpg"), "{text}");
    }
    assert_eq!(manifests[0].0["previous_manifest_sha256"], Value::Null);
    let previous = manifests[1].0["previous_manifest_sha256"].as_str().unwrap();
    assert_eq!(previous, sha256(&backups[0].join("manifest.json")));
    // One changed byte of the signed line is noticed.
    let mut bytes = fs::read(backups[0].join("manifest.json")).unwrap();
    let at = bytes.windows(10).position(|window| window == b"\"sequence\"").unwrap() + 11;
    bytes[at] ^= 1;
    assert!(SignedManifest::parse(&bytes).is_err());
    let index = Command::new("zstd").arg("-dc").arg(backups[0].join("files/index.zst")).output().unwrap();
    let line: Value =
        serde_json::from_slice(index.stdout.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(line["format"]["major"], 1);
    assert_eq!(line["header"]["roots"].as_array().unwrap().len(), 1);
}

#[test]
fn flags_take_and_leave_out_what_they_say() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let run = |more: &[&str]| {
        let arguments = shop.backup_arguments(more);
        shop.place.run(&arguments).expect(0);
        (contents(&shop.place), shop.place.newest_backup())
    };
    // Nothing is made by a dry run: no folder for backups, no backup.
    let planned = shop.place.run(&shop.backup_arguments(&["--dry-run", "--json"])).expect(0).json();
    assert_eq!(planned["schema"], "backstock.backup-plan/1");
    assert_eq!(walk(&shop.place.backups()).len(), 0);
    assert_eq!(shop.place.list().len(), 0);

    let ((tables, files), backup) = run(&["--only", "database"]);
    assert_eq!((tables.len(), files.len()), (3, 0));
    assert!(!backup.join("files").exists());
    let ((tables, files), backup) = run(&["--only", "files"]);
    assert!(tables.is_empty() && files.iter().any(|path| path == "picture.jpg"));
    assert!(!backup.join("db").exists());

    let ((_, files), _) =
        run(&["--exclude", "folder-1", "--exclude", "*.jpg", "--exclude", "folder-2/text-2*"]);
    let has = |name: &str| files.iter().any(|path| path.contains(name));
    assert!(!has("folder-1/text") && !has("picture.jpg") && !has("folder-2/text-22.txt"), "{files:?}");
    assert!(has("folder-2/text-18.txt") && has("folder-0/text-0.txt"), "{files:?}");

    let whole = shop.root().join("folder-3");
    let ((_, files), _) = run(&["--exclude", "./folder-0", "--exclude", whole.to_str().unwrap()]);
    let has = |name: &str| files.iter().any(|path| path.contains(name));
    assert!(!has("folder-0") && !has("folder-3") && has("folder-1/text-1.txt"), "{files:?}");

    let more = ["--exclude-table", "log_*", "--exclude-table-entirely", "cart"];
    let ((tables, _), backup) = run(&more);
    let rows = |name: &str| tables.iter().find(|table| table.0 == name).map(|table| table.1);
    assert!(rows("cart").is_none() && rows("item").unwrap() > Some(80), "{tables:?}");
    let text = sql(&backup);
    assert!(!text.contains("CREATE TABLE `cart`"));
    assert!(text.contains("CREATE TABLE `log_line`") && !text.contains("INSERT INTO `log_line`"));
    assert!(text.contains("INSERT INTO `item`"));

    let ((tables, _), backup) = run(&["--table", "log_*", "--only", "database"]);
    assert_eq!(tables.iter().map(|table| table.0.as_str()).collect::<Vec<_>>(), ["log_line"]);
    assert!(!sql(&backup).contains("CREATE TABLE `item`"));
    assert_eq!(leftovers(&shop.place), Vec::<String>::new());
    let sequences: Vec<u64> =
        shop.place.list().iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [6, 5, 4, 3, 2, 1]);
}

#[test]
fn a_plain_folder_alone_and_a_database_alone_are_backed_up() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let root = shop.root().to_str().unwrap().to_owned();
    shop.place.run(&["backup", &root]).expect(0);
    let (tables, files) = contents(&shop.place);
    assert!(tables.is_empty() && files.iter().any(|path| path == "link"), "{files:?}");

    let mut by_flags = vec!["backup"];
    by_flags.extend(shop.database_flags());
    shop.place.run(&by_flags).expect(0);
    let (tables, files) = contents(&shop.place);
    assert_eq!((tables.len(), files.len()), (3, 0));

    let password = shop.place.folder().join("password");
    let settings = format!(
        "[[set]]\ntitle = \"only rows\"\nexclude_table = [\"log_line\"]\n[set.database]\nname = \"plain\"\n\
         user = \"owner\"\nsocket = {:?}\npassword_file = {password:?}\n\
         [[set]]\ntitle = \"both\"\nshop = {root:?}\nexclude = [\"picture.jpg\"]\n[set.database]\nname = \"plain\"\n\
         user = \"owner\"\nsocket = {:?}\npassword_file = {password:?}\n",
        shop.server.socket(),
        shop.server.socket()
    );
    fs::write(shop.place.configuration(), settings).unwrap();
    shop.place.run(&["backup", "only rows"]).expect(0);
    let (tables, files) = contents(&shop.place);
    assert_eq!((tables.len(), files.len()), (3, 0));
    assert!(!sql(&shop.place.newest_backup()).contains("INSERT INTO `log_line`"));
    for name in ["both", &root] {
        shop.place.run(&["backup", name]).expect(0);
        let (tables, files) = contents(&shop.place);
        assert_eq!(tables.len(), 3);
        assert!(!files.iter().any(|path| path == "picture.jpg") && files.len() > 20, "{files:?}");
    }
    shop.place.run(&["verify", "latest"]).expect_error(2, &["may mean any of"]);
    shop.place.run(&["verify", "latest", "--shop", "both"]).expect(0);
}

/// What the platform's own list leaves out: caches, logs and the contents of session tables, but not their structure.
#[test]
fn default_exclusions_can_be_switched_off() {
    let Some(scene) = Scene::with_demo_shop(ServerKind::MariaDb, 20) else { return };
    let sessions = |more: &[&str]| {
        scene.on_shop("backup", more).expect(0);
        let (tables, files) = contents(&scene.place);
        let session = tables.iter().find(|table| table.0 == "oc_session").unwrap().1;
        let cached = files.iter().filter(|path| path.starts_with("image/cache/")).count();
        (session, cached)
    };
    let (rows, cached) = sessions(&[]);
    assert!(rows.unwrap_or(0) == 0 && cached <= 1, "{rows:?} {cached}");
    let (rows, cached) = sessions(&["--no-default-exclusions"]);
    assert!(rows > Some(0) && cached > 1, "{rows:?} {cached}");
}

#[test]
fn the_document_of_a_backup_tells_what_each_phase_did() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    let report = shop.place.run(&shop.backup_arguments(&["--json"])).expect(0).json();
    assert_eq!(report["schema"], "backstock.backup/1");
    let phases = report["phases"].as_array().unwrap();
    let number = |phase: &str, what: &str| -> u64 {
        phases
            .iter()
            .filter(|account| account["phase"] == phase)
            .filter_map(|account| account[what].as_u64())
            .sum()
    };
    assert_eq!(number("dumping", "items"), report["tables"].as_u64().unwrap());
    assert_eq!(number("archiving", "bytes"), report["content_bytes"].as_u64().unwrap());
    assert_eq!(number("putting", "bytes"), report["stored_bytes"].as_u64().unwrap());
    assert!(phases.iter().all(|account| account["elapsed_ms"].is_u64()), "{report:#}");
}
