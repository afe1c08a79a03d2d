//! A plain folder and a small database beside it: enough of a shop for what is tried many times.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use backstock_archive::SettingsName;
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::harness::{Place, Run};

/// The password of the account that owns the database; it must never be seen anywhere.
pub(crate) const PASSWORD: &str = "S3cret-&-unseen";

/// Three tables, one of them larger than one insert statement, a view and a trigger.
pub(crate) const DATABASE: &str = "CREATE DATABASE plain; CREATE USER owner IDENTIFIED BY 'S3cret-&-unseen'; \
    GRANT ALL ON plain.* TO owner; USE plain; \
    CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200), payload BLOB) ENGINE=InnoDB; \
    CREATE TABLE cart (id INT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES item (id)) ENGINE=InnoDB; \
    CREATE TABLE log_line (at DATETIME(6), text TEXT) ENGINE=InnoDB; \
    INSERT INTO item (name, payload) VALUES ('one', REPEAT('x', 3000)), ('two', 'y'), ('three', NULL); \
    INSERT INTO item (name, payload) SELECT CONCAT(a.name, b.name, c.name), REPEAT(c.name, 500) \
        FROM item a, item b, item c, item d; \
    INSERT INTO cart SELECT id, id FROM item; INSERT INTO log_line VALUES (NOW(6), 'started'); \
    CREATE VIEW named AS SELECT id, name FROM item; \
    CREATE TRIGGER item_named BEFORE INSERT ON item FOR EACH ROW SET NEW.name = TRIM(NEW.name);";

/// A server with the database on it, and a place with the folder in it.
pub(crate) struct PlainShop {
    pub(crate) server: Server,
    pub(crate) place: Place,
    socket: String,
    root: String,
}

impl PlainShop {
    /// `None` where the server cannot be had, which was said loudly then.
    pub(crate) fn new(kind: ServerKind) -> Option<Self> {
        let server =
            Server::for_test(kind, &ServerOptions { binary_log: false, ..ServerOptions::default() })?;
        server.client("", DATABASE).unwrap();
        let place = Place::new();
        fs::write(place.folder().join("password"), PASSWORD).unwrap();
        let root = place.folder().join("files of the shop");
        make_files(&root);
        let socket = server.socket().to_str().unwrap().to_owned();
        Some(Self { server, place, socket, root: root.to_str().unwrap().to_owned() })
    }

    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(&self.root)
    }

    /// The arguments of a backup of everything, and more.
    pub(crate) fn backup_arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["backup", self.root.as_str()];
        arguments.extend(self.database_flags());
        arguments.extend_from_slice(more);
        arguments
    }

    /// The flags that lead to the database.
    pub(crate) fn database_flags(&self) -> [&str; 8] {
        [
            "--database-name",
            "plain",
            "--database-user",
            "owner",
            "--database-socket",
            &self.socket,
            "--database-password-file",
            "password",
        ]
    }

    /// Makes a backup that must succeed.
    #[track_caller]
    pub(crate) fn back_up(&self) -> Run {
        self.place.run(&self.backup_arguments(&[])).expect(0)
    }
}

/// Some folders, texts and bytes that do not compress.
fn make_files(root: &Path) {
    for number in 0..24_u32 {
        let folder = root.join(format!("folder-{}", number % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("text-{number}.txt")), "a line of text\n".repeat(40)).unwrap();
    }
    let mut state = 0x1234_5678_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(300_000)
    .collect();
    fs::write(root.join("picture.jpg"), &noise).unwrap();
    fs::write(root.join("bytes.bin"), &noise[..200_000]).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    std::os::unix::fs::symlink("bytes.bin", root.join("link")).unwrap();
}

/// Every file and folder below a folder, relative, with its mode.
pub(crate) fn walk(root: &Path) -> BTreeMap<String, u32> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let facts = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, facts.permissions().mode() & 0o7777);
            if facts.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

/// What a run may not leave: spools, unfinished parts, folders of backups without a manifest.
pub(crate) fn leftovers(place: &Place) -> Vec<String> {
    let mut left: Vec<String> =
        walk(&place.state().join("spool")).into_keys().map(|name| format!("spool/{name}")).collect();
    let found = walk(&place.backups());
    for name in found.keys() {
        let steps: Vec<&str> = name.split('/').collect();
        let is_owner = steps.len() == 2 && steps[1].starts_with("owner-");
        let is_remembered = steps.len() > 1 && steps[1] == "catalog";
        let is_settings = is_remembered && SettingsName::parse(&steps[1..].join("/")).is_some();
        if is_remembered && (steps.len() == 2 || steps[2].starts_with("tombstone-") || is_settings) {
            continue;
        }
        let of_keys = ["identity-", "certificate-", "format.md", "open-backup.py"];
        let is_of_keys = steps.len() > 1 && steps[1] == "keys";
        if is_of_keys && (steps.len() == 2 || of_keys.iter().any(|begin| steps[2].starts_with(begin))) {
            continue;
        }
        if steps.len() == 2 && !is_owner && !found.contains_key(&format!("{name}/manifest.json")) {
            left.push(format!("{name} has no manifest"));
        }
        let last = steps[steps.len() - 1];
        let known = ["db.sql.", "index.zst", "files.t", "manifest.json", "owner-"];
        let is_folder = place.backups().join(name).is_dir();
        if !is_folder && !known.iter().any(|begin| last.starts_with(begin)) {
            left.push(name.clone());
        }
    }
    left
}
