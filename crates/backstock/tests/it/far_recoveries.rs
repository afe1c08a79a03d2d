//! A sealed shop with a database at every kind of storage at once: its machine is lost, and each of them alone brings it back.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_testbed::{Server, ServerKind, ServerOptions, Snapshot, assert_same, kept_shop};

use super::away::{Away, every_kind};
use super::destinations::{destinations, sets};
use super::harness::Place;
use super::sealed::give_key;

/// The schema that it is loaded into again.
const AGAIN: &str = "kept_again";

/// What changes between the full backup and the one that builds on it: rows, definitions, a file that is new and one that goes.
const CHANGES: &str = "UPDATE product SET price = 9.75, name = 'Teapot, large' WHERE product_id = 1; \
    DELETE FROM product WHERE product_id = 3; INSERT INTO place VALUES (8, 'loft'); \
    CREATE TABLE later (id INT PRIMARY KEY, line TEXT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4; \
    INSERT INTO later VALUES (1, 'written after the full backup');";

/// A shop of every form of literal, every kind of object and awkward files, and the words that lead to its database.
struct Shop {
    server: Server,
    place: Place,
    root: PathBuf,
}

impl Shop {
    fn new() -> Option<Self> {
        let server = Server::for_test(ServerKind::MariaDb, &ServerOptions::default())?;
        let place = Place::new();
        let root = place.folder().join("shop");
        kept_shop::make(&server, &root).unwrap();
        give_key(&place, &[]);
        Some(Self { server, place, root })
    }

    /// The words that lead to its database.
    fn database(&self) -> Vec<String> {
        let socket = self.server.socket().display().to_string();
        let words =
            ["--database-name", kept_shop::DATABASE, "--database-user", "root", "--database-socket", &socket];
        words.map(str::to_owned).to_vec()
    }

    /// Backs it up and gives what is told of the destinations.
    fn back_up(&self, level: &str) -> Vec<serde_json::Value> {
        let database = self.database();
        let mut arguments = vec!["backup", self.root.to_str().unwrap(), "--level", level, "--json"];
        arguments.extend(database.iter().map(String::as_str));
        let run = self.place.run(&arguments).expect(0);
        assert_eq!(run.json()["level"], level);
        destinations(&run)
    }

    /// A day of it: what the second backup has and the first one lacks.
    fn live_through_a_day(&self) {
        self.server.client(kept_shop::DATABASE, CHANGES).unwrap();
        fs::write(self.root.join("new picture.jpg"), vec![0x5A; 70_000]).unwrap();
        let gone = fs::read_dir(&self.root).unwrap().map(|entry| entry.unwrap().path());
        let mut gone: Vec<_> = gone.filter(|path| path.is_file() && !path.is_symlink()).collect();
        gone.sort();
        fs::remove_file(&gone[0]).unwrap();
    }

    /// All of its machine is gone: backups, state, files and the database.
    fn lose(&self) {
        for folder in [self.place.backups(), self.place.state(), self.root.clone()] {
            fs::remove_dir_all(&folder).unwrap();
        }
        self.server.client("", format!("DROP DATABASE {}", kept_shop::DATABASE)).unwrap();
    }

    /// Brings it back on a machine that knows nothing, from one storage alone, and compares it row by row and file by file.
    fn recover_from(&self, away: &Away, was: &Snapshot) {
        let other = Place::new();
        fs::copy(self.place.folder().join("passphrase"), other.folder().join("passphrase")).unwrap();
        let key = ["--passphrase-file", "passphrase"];
        // Its settings name the other storages, and nothing is to be read from those.
        let run = away.typed(&other, &["recover"], &[&key[..], &["--without-settings", "--json"]].concat());
        assert_eq!(run.expect(0).json()["backups"], 2, "{}", away.title);
        for backup in other.list() {
            let replicas = backup["replicas"].as_array().unwrap();
            assert_eq!((replicas.len(), &replicas[0]["storage"]), (1, &away.title.into()));
        }
        self.server.client("", format!("CREATE DATABASE {AGAIN} CHARACTER SET utf8mb4")).unwrap();
        let (files, database) = (other.folder().join("files"), self.database());
        let mut restore =
            vec!["restore", "latest", "--yes", "--to", files.to_str().unwrap(), "--database", AGAIN];
        restore.extend(database.iter().map(String::as_str));
        // Without the key nothing comes back.
        other.run(&restore).expect(12);
        assert!(!files.exists() || fs::read_dir(&files).unwrap().next().is_none());
        restore.extend(key);
        other.run(&restore).expect(0);
        other.run(&["restore", "--accept"]).expect(0);
        assert_same(&of_nobody(&picture(&self.server, AGAIN, &files)), was);
        self.server.client("", format!("DROP DATABASE {AGAIN}")).unwrap();
    }
}

fn picture(server: &Server, database: &str, files: &Path) -> Snapshot {
    kept_shop::picture(server, database, files).unwrap()
}

/// Who owns a file follows from who restores it.
fn of_nobody(picture: &Snapshot) -> Snapshot {
    let is_root = rustix::process::geteuid().is_root();
    picture.without(|_, aspect| aspect == "owner" && !is_root)
}

#[test]
fn a_sealed_shop_with_a_database_is_recovered_from_each_kind_of_storage_alone() {
    let Some(shop) = Shop::new() else { return };
    let kinds = every_kind(&shop.place);
    for away in &kinds {
        away.add(&shop.place, shop.root.to_str().unwrap(), &[]);
    }
    shop.back_up("full");
    shop.live_through_a_day();
    let was = of_nobody(&picture(&shop.server, kept_shop::DATABASE, &shop.root));
    assert!(was.things.len() > 25, "{}", was.things.len());
    let told = shop.back_up("incremental");
    assert_eq!(told.len(), kinds.len());
    assert!(told.iter().all(|destination| destination["outcome"] == "success"), "{told:?}");
    let rows = sets(&shop.place, shop.root.to_str().unwrap());
    assert!(rows.iter().all(|row| row["held"] == 2 && row["owed"] == 0), "{rows:?}");
    shop.lose();
    // A second disk outlives its machine, too.
    for away in &kinds {
        shop.recover_from(away, &was);
    }
}
