//! A made-up shop in the shape of OpenCart 4, of any size: database, files, an outside storage folder, and its ruin.
//!
//! Everything follows from the seed, so that two runs make the same shop; all text and pictures are our own.

use std::path::{Path, PathBuf};

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::error::TestbedError;
use crate::snapshot::Snapshot;

mod files;
mod growth;
mod pictures;
mod rows;
mod ruin;
mod schema;
mod words;

pub use growth::{Growth, size_of};

/// Name of the shop's database.
pub const DATABASE: &str = "demo_shop";
/// Prefix of its tables.
pub const PREFIX: &str = "oc_";
const USER: &str = "demo_shop_user";
const PASSWORD: &str = r"it's a demo\shop";

/// What is to be made.
#[derive(Debug, Clone)]
pub struct DemoShop {
    /// The folder that holds everything: the shop in `www`, its storage beside it.
    pub folder: PathBuf,
    /// Number of products; customers, orders, pictures and sessions follow from it.
    pub products: u32,
    /// What the choices follow from.
    pub seed: u64,
    /// Socket of the database server, for the account that may create databases.
    pub socket: PathBuf,
    /// Loopback port of the database server, for the shop's configuration.
    pub port: u16,
}

/// Small, fast, repeatable choices (SplitMix64); nothing secret depends on them.
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or(0)
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(u32::try_from(from.len()).unwrap_or(1)) as usize]
    }
}

impl DemoShop {
    /// The document root.
    pub fn root(&self) -> PathBuf {
        self.folder.join("www/shop")
    }

    /// The storage folder outside the document root.
    pub fn storage(&self) -> PathBuf {
        self.folder.join("shop-storage")
    }

    fn connect_as_root(&self) -> Result<Conn, TestbedError> {
        let options = mysql::OptsBuilder::new()
            .socket(Some(self.socket.to_string_lossy().into_owned()))
            .prefer_socket(true)
            .user(Some("root"));
        Conn::new(options).map_err(|error| TestbedError::database("connect to the demo server", error))
    }

    /// As the shop's own user, so that views, triggers, routines and events are its own.
    fn connect_as_shop(&self) -> Result<Conn, TestbedError> {
        let options = mysql::OptsBuilder::new()
            .socket(Some(self.socket.to_string_lossy().into_owned()))
            .prefer_socket(true)
            .user(Some(USER))
            .pass(Some(PASSWORD))
            .db_name(Some(DATABASE));
        Conn::new(options).map_err(|error| TestbedError::database("connect as the shop's user", error))
    }

    /// Makes database, account and files.
    ///
    /// # Errors
    /// [`TestbedError`] of the database or the file system.
    pub fn make(&self) -> Result<(), TestbedError> {
        let mut connection = self.connect_as_root()?;
        let password = PASSWORD.replace('\\', "\\\\").replace('\'', "''");
        // One account whichever way it comes in: what it creates through the socket is its own over TCP too.
        for statement in [
            format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"),
            format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{password}'"),
            format!("GRANT ALL ON {DATABASE}.* TO '{USER}'@'%'"),
        ] {
            query(&mut connection, &statement)?;
        }
        let mut connection = self.connect_as_shop()?;
        schema::create(&mut connection)?;
        rows::fill(&mut connection, self.products, &mut Choices(self.seed))?;
        schema::create_programs(&mut connection)?;
        files::make(self, &mut Choices(self.seed ^ 1))
    }

    /// Ruins the shop: drops and empties tables, alters rows and definitions, deletes, truncates and rewrites files.
    /// Gives one line for each kind of damage.
    ///
    /// # Errors
    /// [`TestbedError`] of the database or the file system.
    pub fn ruin(&self) -> Result<Vec<String>, TestbedError> {
        let mut lines = ruin::database(&mut self.connect_as_shop()?)?;
        lines.extend(ruin::files(self)?);
        Ok(lines)
    }

    /// A picture of the whole shop without what a shop makes again by itself: rows of sessions and the like, caches, logs.
    ///
    /// # Errors
    /// [`TestbedError`] of the database or the file system.
    pub fn picture(&self) -> Result<Snapshot, TestbedError> {
        let database = crate::database::read(&mut self.connect_as_root()?, DATABASE)?;
        let is_transient = |table: &str| {
            let name = table.trim_start_matches("table ").trim_start_matches(PREFIX);
            TRANSIENT_TABLES.contains(&name)
        };
        let database = database.without(|thing, _| crate::database::is_set_aside(thing));
        let mut picture = database
            .without(|thing, aspect| is_transient(thing) && matches!(aspect, "rows" | "auto_increment"));
        let trees: [(&str, PathBuf, &[&str]); 2] = [
            ("shop", self.root(), &["./image/cache"]),
            ("storage", self.storage(), &["./cache", "./logs", "./session", "./backup"]),
        ];
        for (name, root, transient) in trees {
            let tree = crate::tree::read(&root)?;
            for (thing, aspects) in tree.things {
                let path = thing.trim_start_matches("file ");
                let is_inside = transient.iter().any(|folder| path.starts_with(&format!("{folder}/")));
                if is_inside {
                    continue;
                }
                let mut aspects = aspects;
                if transient.contains(&path) {
                    // Emptying a folder changes its time.
                    aspects.remove("modified");
                }
                picture.things.insert(format!("{name} {thing}"), aspects);
            }
        }
        Ok(picture)
    }
}

/// Tables whose contents a shop makes again by itself (without prefix).
pub const TRANSIENT_TABLES: &[&str] = &[
    "session",
    "api_session",
    "api_history",
    "customer_activity",
    "customer_login",
    "customer_online",
    "customer_search",
    "customer_token",
    "download_report",
    "marketing_report",
    "notification",
    "product_report",
    "product_viewed",
    "statistics",
    "user_login",
    "user_token",
];

pub(crate) fn query(connection: &mut Conn, sql: &str) -> Result<(), TestbedError> {
    connection.query_drop(sql).map_err(|error| {
        let shown: String = sql.chars().take(200).collect();
        TestbedError::database(format!("run {shown}"), error)
    })
}

/// Counts of what a picture holds, for one line of an account.
pub fn count(picture: &Snapshot) -> String {
    let tables = picture.things.keys().filter(|thing| thing.starts_with("table ")).count();
    let rows: u64 = picture
        .things
        .values()
        .filter_map(|aspects| aspects.get("rows"))
        .filter_map(|rows| rows.split(' ').next().and_then(|number| number.parse::<u64>().ok()))
        .sum();
    let files = picture.things.values().filter(|aspects| aspects.contains_key("content")).count();
    format!("{tables} tables, {rows} rows, {files} files")
}

/// Writes a file, its folders before it.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), TestbedError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| TestbedError::file("create", parent, error))?;
    }
    std::fs::write(path, content).map_err(|error| TestbedError::file("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Server, ServerKind, ServerOptions};
    use crate::snapshot::compare;

    #[test]
    fn the_shop_is_the_same_twice_and_its_ruin_shows() {
        for kind in [ServerKind::MariaDb, ServerKind::MySql] {
            let options = ServerOptions { tcp: true, binary_log: false, ..ServerOptions::default() };
            let Some(first) = Server::for_test(kind, &options) else { continue };
            let Some(second) = Server::for_test(kind, &options) else { continue };
            let folder = tempfile::tempdir().unwrap();
            let shop = |server: &Server, name: &str| DemoShop {
                folder: folder.path().join(name),
                products: 40,
                seed: 5,
                socket: server.socket(),
                port: server.port().unwrap(),
            };
            let (one, two) = (shop(&first, "one"), shop(&second, "two"));
            one.make().unwrap();
            two.make().unwrap();
            // Folders, ports and the times at which they were made are all that differs.
            let even = |shop: &DemoShop| {
                shop.picture().unwrap().without(|thing, aspect| {
                    aspect == "modified"
                        || (thing.ends_with("config.php") && matches!(aspect, "content" | "size"))
                })
            };
            assert_eq!(compare(&even(&one), &even(&two)), [], "{kind:?}");
            let before = one.picture().unwrap();
            assert!(!one.ruin().unwrap().is_empty());
            let differences = compare(&before, &one.picture().unwrap());
            assert!(differences.len() > 20, "{kind:?}: {} differences", differences.len());
            assert!(differences.iter().any(|difference| difference.thing == "table oc_order"));
            assert!(differences.iter().any(|difference| difference.thing.starts_with("shop file")));
            assert!(differences.iter().any(|difference| difference.thing.starts_with("storage file")));
        }
    }
}
