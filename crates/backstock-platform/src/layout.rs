//! What a platform finds in a shop, as data: nothing here acts or connects.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::pattern::{TablePattern, matches};
use crate::settings::DatabaseSettings;
use crate::step::{Maintenance, ShopPath, Step};

/// The name of a kind in [`crate::KINDS`].
pub type KindName = &'static str;

/// Everything that a backup, a restore and the screens need to know about one shop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShopLayout {
    /// The kind's name, such as `opencart`.
    #[serde(deserialize_with = "known_kind")]
    pub platform: KindName,
    /// The software's name for people, such as `PrestaShop`.
    pub title: String,
    /// The software's version, from its files.
    pub version: Option<String>,
    /// What it stands on, where that is a product of its own: `WordPress 6.7.1`, `Laravel 11.2`.
    pub framework: Option<String>,
    /// The shop's folder, absolute, links resolved.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub root: PathBuf,
    /// Its database, when the files say it clearly.
    pub database: Option<DatabaseSettings>,
    /// Further databases of the same shop (Magento's split database).
    pub further_databases: Vec<DatabaseSettings>,
    /// The table prefix, often empty; `None` where it is not known. It need not end in `_`.
    pub table_prefix: Option<String>,
    /// The shop's addresses that stand in files.
    pub base_urls: Vec<String>,
    /// Where the database keeps addresses.
    pub base_url_queries: Vec<Query>,
    /// Folders of the shop that lie outside its root.
    pub outside_folders: Vec<OutsideFolder>,
    /// Single files of the shop that lie outside its root (a `wp-config.php` one level up, a linked `.env`).
    pub outside_files: Vec<OutsideFile>,
    /// What a backup leaves out of the files by default.
    pub excluded_paths: Vec<ExcludedPath>,
    /// Tables whose rows a backup leaves out by default; their structure is always kept.
    pub excluded_contents: Vec<TablePattern>,
    /// Tables that always travel complete. An exclusion that a person gives and that hits one of these is an error;
    /// the platform's own [`Self::excluded_contents`] are exempt from it.
    pub protected_tables: Vec<TablePattern>,
    /// Tables without which it is not this kind of shop: when one is missing or empty, something is wrong.
    pub important_tables: Vec<String>,
    /// How visitors are kept out.
    pub maintenance: Maintenance,
    /// What to do after a restore, in order.
    pub after_restore: Vec<Step>,
    /// What the files do not say clearly, with the flags that say it by hand.
    pub unclear: Vec<Unclear>,
    /// What a person should know, such as media on a remote storage.
    pub warnings: Vec<String>,
    /// The files that were read as configuration, the leading one first.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub config_files: Vec<PathBuf>,
}

impl ShopLayout {
    /// A layout that says nothing yet.
    pub(crate) fn empty(platform: &'static str, title: &str, root: PathBuf) -> Self {
        Self {
            platform,
            title: title.to_owned(),
            version: None,
            framework: None,
            root,
            database: None,
            further_databases: Vec::new(),
            table_prefix: None,
            base_urls: Vec::new(),
            base_url_queries: Vec::new(),
            outside_folders: Vec::new(),
            outside_files: Vec::new(),
            excluded_paths: Vec::new(),
            excluded_contents: Vec::new(),
            protected_tables: Vec::new(),
            important_tables: Vec::new(),
            maintenance: Maintenance::None { why: "no way to keep visitors out is known".to_owned() },
            after_restore: Vec::new(),
            unclear: Vec::new(),
            warnings: Vec::new(),
            config_files: Vec::new(),
        }
    }

    /// The rule by which a table must travel complete, if there is one. Names are bytes.
    pub fn protection(&self, table: &[u8]) -> Option<&TablePattern> {
        if self.exclusion(table).is_some() {
            return None;
        }
        self.protected_tables.iter().find(|pattern| pattern.matches(table))
    }

    /// The rule by which a table's rows are left out by default, if there is one.
    pub fn exclusion(&self, table: &[u8]) -> Option<&TablePattern> {
        self.excluded_contents.iter().find(|pattern| pattern.matches(table))
    }

    /// The absolute path of a place in this shop; `None` where its outside folder is not known.
    pub fn resolve(&self, path: &ShopPath) -> Option<PathBuf> {
        let base = match &path.within {
            None => &self.root,
            Some(label) => &self.outside_folders.iter().find(|folder| &folder.label == label)?.path,
        };
        Some(if path.path.is_empty() { base.clone() } else { base.join(&path.path) })
    }
}

/// Reads the name of a kind back; one that this version does not know is a plain folder.
fn known_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KindName, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(crate::kinds::kind(&name).map_or("plain", crate::Platform::name))
}

/// A folder of the shop outside its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideFolder {
    /// Short and stable, the same in every backup of this shop: letters, digits, `.`, `_` and `-`.
    pub label: String,
    /// Absolute, links resolved.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub path: PathBuf,
    /// Why it belongs to the shop.
    pub why: String,
}

/// A single file of the shop outside its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideFile {
    /// Short and stable, as for [`OutsideFolder`].
    pub label: String,
    /// Absolute, links resolved.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub path: PathBuf,
    /// Why it belongs to the shop.
    pub why: String,
}

/// A part of the files that a backup leaves out by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedPath {
    /// The outside folder's label, or `None` for the root.
    pub within: Option<String>,
    /// Path relative to that folder with `/`; `*` stands for any characters of one name (also a leading dot). It
    /// means what is there and everything below it.
    pub pattern: String,
    /// Why nothing is lost.
    pub why: String,
    /// Whether the folder itself must exist after a restore, empty.
    pub keep_folder: bool,
    /// Names directly inside the folder that are kept all the same (`index.php`, `.htaccess`).
    pub keep_names: Vec<String>,
}

impl ExcludedPath {
    /// Whether a path below the same folder is left out by this rule (names to keep are not).
    pub fn covers(&self, path: &str) -> bool {
        let mut names = path.split('/');
        for pattern in self.pattern.split('/') {
            match names.next() {
                Some(name) if matches(pattern.as_bytes(), name.as_bytes()) => {}
                _ => return false,
            }
        }
        match names.next() {
            None => !self.keep_folder,
            Some(name) => names.next().is_some() || !self.keep_names.iter().any(|kept| kept == name),
        }
    }
}

/// Where the database keeps values of interest; the caller writes the SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Table, prefix applied.
    pub table: String,
    /// Columns whose texts, joined in this order, are the value.
    pub columns: Vec<String>,
    /// Conditions, all of which hold.
    pub conditions: Vec<Condition>,
    /// Text in front of the joined columns, such as `https://`.
    pub lead: String,
    /// What the value is.
    pub why: String,
}

/// One condition of a [`Query`]: the column equals one of the texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Column.
    pub column: String,
    /// Texts.
    pub any_of: Vec<String>,
}

/// Something the files do not say clearly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclear {
    /// What is not clear, such as "the database's name".
    pub what: String,
    /// Why, with file and line where there is one. Never holds a password.
    pub why: String,
    /// What kind of obstacle it is.
    pub obstacle: Obstacle,
    /// Flags that give it by hand, such as `--database-name`.
    pub flags: Vec<String>,
}

/// The kinds of obstacles between us and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// No file states it.
    Missing,
    /// The machine refuses to let us read the file.
    Unreadable,
    /// The file is larger, deeper or longer than any honest one.
    BeyondLimits,
    /// The file is not valid PHP, YAML, JSON or `.env`.
    Malformed,
    /// The value depends on something that only the running shop knows.
    Undecidable,
    /// The value is known and cannot be used, such as another database vendor.
    Unsupported,
    /// What the file points at is not the shop owner's.
    NotOurs,
}
