//! What can differ between two states of a shop: one value for each difference, and the counts of all of them.

use backstock_archive::tree::FileKind;
use backstock_vocabulary::{BackupId, RawText};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::lines::LineChange;
use super::rows::{NamedValue, RowName, ValueChange};

/// Which of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The one that was named first.
    Before,
    /// The one that was named second.
    After,
}

/// One thing that is not the same on both sides, or of which that cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum Difference {
    /// A path that only the later state has.
    FileAdded(OneFile),
    /// A path that only the earlier state has.
    FileRemoved(OneFile),
    /// A path that both have, otherwise.
    FileChanged {
        /// Its path in the backup.
        path: RawText,
        /// Whether it is a program in a folder for pictures or uploads that is not the one it was.
        is_misplaced_program: bool,
        /// What is otherwise.
        changes: Vec<FileChange>,
    },
    /// A path of which one side does not know what it is or holds: it could not be read.
    FileUnknown {
        /// Its path in the backup.
        path: RawText,
        /// The side that does not know.
        side: Side,
        /// Why.
        reason: String,
    },
    /// An object of the database that only the later state has.
    ObjectAdded(ObjectName),
    /// An object of the database that only the earlier state has.
    ObjectRemoved(ObjectName),
    /// An object with another definition.
    DefinitionChanged {
        /// The object.
        #[serde(flatten)]
        object: ObjectName,
        /// The lines that are not on both sides, in their order.
        lines: Vec<LineChange>,
    },
    /// A table with another number of rows.
    RowCountChanged {
        /// The table.
        table: RawText,
        /// Rows before.
        before: u64,
        /// Rows after.
        after: u64,
    },
    /// A table with as many rows, some of which hold other values.
    ValuesChanged {
        /// The table.
        table: RawText,
        /// Its rows.
        rows: u64,
    },
    /// A row of a table that matters, which only the later state has.
    RowAdded {
        /// Which row.
        #[serde(flatten)]
        row: RowName,
        /// Its values beside the key, without empty ones.
        values: Vec<NamedValue>,
    },
    /// A row of a table that matters, which only the earlier state has.
    RowRemoved {
        /// Which row.
        #[serde(flatten)]
        row: RowName,
        /// Its values beside the key, without empty ones.
        values: Vec<NamedValue>,
    },
    /// A row of a table that matters, with other values.
    RowChanged {
        /// Which row.
        #[serde(flatten)]
        row: RowName,
        /// What is otherwise.
        changes: Vec<ValueChange>,
    },
    /// An object, or a table's rows, of which one side does not know enough.
    ObjectUnknown {
        /// The object.
        #[serde(flatten)]
        object: ObjectName,
        /// Why.
        reason: String,
    },
}

impl Difference {
    /// What it is about, as a word and a name that no other thing of a shop has together.
    pub(super) fn subject(&self) -> (&str, &[u8]) {
        match self {
            Self::FileAdded(file) | Self::FileRemoved(file) => ("file", &file.path),
            Self::FileChanged { path, .. } | Self::FileUnknown { path, .. } => ("file", path),
            Self::ObjectAdded(object)
            | Self::ObjectRemoved(object)
            | Self::DefinitionChanged { object, .. }
            | Self::ObjectUnknown { object, .. } => (&object.kind, &object.name),
            Self::RowCountChanged { table, .. } | Self::ValuesChanged { table, .. } => {
                ("rows of table", table)
            }
            Self::RowAdded { row, .. } | Self::RowRemoved { row, .. } | Self::RowChanged { row, .. } => {
                ("row of table", &row.table)
            }
        }
    }
}

/// A file, folder or link that one side has alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneFile {
    /// Its path in the backup.
    pub path: RawText,
    /// What it is.
    pub kind: FileKind,
    /// Length of its content in bytes.
    pub size_bytes: u64,
    /// Whether it is a program in a folder for pictures or uploads, and new.
    pub is_misplaced_program: bool,
}

/// What an object of a database is, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectName {
    /// `table`, `view`, `trigger`, `event`, `procedure`, `function`, `package`, `package-body`, `sequence` or `database`.
    pub kind: String,
    /// Its name.
    pub name: RawText,
}

/// One way in which a file is otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum FileChange {
    /// It is something else: a link where a file was.
    Kind {
        /// What it was.
        before: FileKind,
        /// What it is.
        after: FileKind,
    },
    /// Its content.
    Content {
        /// Length before, in bytes.
        before_bytes: u64,
        /// Length after, in bytes.
        after_bytes: u64,
    },
    /// Where its holes are: its content is hashed with them, and may be the same.
    Holes,
    /// Permission bits, in octal digits.
    Mode {
        /// Before.
        #[serde(serialize_with = "octal")]
        before: u32,
        /// After.
        #[serde(serialize_with = "octal")]
        after: u32,
    },
    /// The numbers of its owner and group.
    Owner {
        /// Before.
        before: (u32, u32),
        /// After.
        after: (u32, u32),
    },
    /// Where a link points, or whose further name it is.
    Link {
        /// Before.
        before: RawText,
        /// After.
        after: RawText,
    },
    /// Extended attributes or access control lists.
    Attributes,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn octal<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

/// One of the two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffSide {
    /// The backup; none for the live shop.
    pub backup: Option<BackupId>,
    /// When the backup, or the look at the live shop, was begun.
    pub started: Timestamp,
}

/// How many files differ in which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileCounts {
    /// On the later side alone.
    pub added: u64,
    /// On the earlier side alone.
    pub removed: u64,
    /// On both, otherwise.
    pub changed: u64,
    /// Not known on one side. What lies below a folder that could not be read is counted and not named.
    pub unknown: u64,
    /// Of the added and changed: programs in folders for pictures or uploads.
    pub misplaced_programs: u64,
    /// The same on both sides.
    pub equal: u64,
    /// Of the equal files: those with another time.
    pub touched: u64,
    /// Differences in what the platform can make anew (caches, sessions …): not named.
    pub renewable: u64,
    /// On one side alone, since the other backup was told to leave them out: not named.
    pub not_asked: u64,
}

/// How many objects and tables of the database differ in which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DatabaseCounts {
    /// Objects on the later side alone.
    pub added: u64,
    /// Objects on the earlier side alone.
    pub removed: u64,
    /// Objects with another definition.
    pub definitions: u64,
    /// Rows of tables that matter, on the later side alone.
    pub rows_added: u64,
    /// Rows of tables that matter, on the earlier side alone.
    pub rows_removed: u64,
    /// Rows of tables that matter, with other values.
    pub rows_changed: u64,
    /// Tables with another number of rows, of those whose rows are not shown.
    pub row_counts: u64,
    /// Tables with as many rows and other values, of those whose rows are not shown.
    pub values: u64,
    /// Objects and tables that are not known well enough on one side.
    pub unknown: u64,
    /// Objects whose definition is the same.
    pub equal: u64,
    /// Tables with other rows that the platform lists as renewable (caches, sessions, logs …): not named.
    pub renewable: u64,
    /// Objects on one side alone, since the other backup was not asked for them: not named.
    pub not_asked: u64,
}

impl FileCounts {
    /// Whether nothing differs and everything is known.
    pub fn is_equal(&self) -> bool {
        self.added + self.removed + self.changed + self.unknown == 0
    }
}

impl DatabaseCounts {
    /// Whether nothing differs and everything is known.
    pub fn is_equal(&self) -> bool {
        let rows = self.rows_added + self.rows_removed + self.rows_changed;
        self.added + self.removed + self.definitions + rows + self.row_counts + self.values + self.unknown
            == 0
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Serialize)]
pub struct DiffSummary {
    /// The shop's name.
    pub shop: String,
    /// The earlier state.
    pub before: DiffSide,
    /// The later state.
    pub after: DiffSide,
    /// The files; absent where they were not compared.
    pub files: Option<FileCounts>,
    /// The database; absent where it was not compared.
    pub database: Option<DatabaseCounts>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Bytes of the backups that were read.
    pub read_bytes: u64,
}
