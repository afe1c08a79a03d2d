//! What a platform wants done, as data: maintenance mode and the steps after a restore.

use serde::{Deserialize, Serialize};

/// A place in the shop, relative so that it holds for a restore into another folder too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopPath {
    /// The outside folder's label, or `None` for the root.
    pub within: Option<String>,
    /// Path below that folder, with `/`.
    pub path: String,
}

impl ShopPath {
    /// A place below the root.
    pub fn root(path: impl Into<String>) -> Self {
        Self { within: None, path: path.into() }
    }
}

/// How visitors are kept out while data changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum Maintenance {
    /// The shop is closed while a file exists.
    File {
        /// The file.
        path: ShopPath,
        /// What it must hold.
        content: String,
        /// Files that must go as well when the shop opens.
        also_remove: Vec<ShopPath>,
    },
    /// The shop is closed by a value in its database.
    Setting {
        /// Table, prefix applied.
        table: String,
        /// Which rows: every row with these column values.
        matching: Vec<(String, String)>,
        /// The column that holds the switch.
        column: String,
        /// Its value while the shop is closed.
        on: String,
        /// Its value while the shop is open.
        off: String,
        /// The whole row to insert when none matches; empty where one always exists.
        insert: Vec<(String, String)>,
    },
    /// There is no switch.
    None {
        /// Why, and what can be done instead.
        why: String,
    },
}

/// One act after a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", content = "with", rename_all = "snake_case")]
pub enum Step {
    /// Empty a folder, keeping some names directly inside it. A folder that is not there is no error.
    ClearFolder {
        /// The folder; `*` stands for any characters of one name.
        path: ShopPath,
        /// Names that stay.
        keep: Vec<String>,
        /// Why.
        why: String,
    },
    /// Remove a file. One that is not there is no error.
    RemoveFile {
        /// The file; `*` stands for any characters of one name.
        path: ShopPath,
        /// Why.
        why: String,
    },
    /// Run a program of the shop, as the shop's owner; where it cannot be run, it is told instead.
    Run {
        /// The program, such as `php`.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// The folder it runs in.
        folder: ShopPath,
        /// Why.
        why: String,
    },
    /// One SQL statement on the restored database.
    Sql {
        /// The statement, names quoted.
        statement: String,
        /// Why.
        why: String,
    },
    /// Something for a person to do or to know.
    Tell(String),
}
