//! What the index of a dump holds: one record for each object, enough to load it again and to prove that it is equal.

use serde::{Deserialize, Serialize};

pub use crate::checksum::{Checksum, RowHash};
use crate::kinds::mysql::ddl::Span;
use crate::raw_text::RawText;
use crate::{Vendor, Version};

/// One object of a database, one line in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DumpedObject {
    /// A table.
    Table(TableRecord),
    /// A sequence (MariaDB).
    Sequence(SequenceRecord),
    /// A procedure, function, package or package body.
    Routine(RoutineRecord),
    /// A trigger.
    Trigger(TriggerRecord),
    /// A view.
    View(ViewRecord),
    /// An event.
    Event(EventRecord),
}

impl DumpedObject {
    /// What it is, in one word.
    pub fn kind_word(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::Sequence(_) => "sequence",
            Self::Routine(routine) => match routine.routine_kind {
                RoutineKind::Procedure => "procedure",
                RoutineKind::Function => "function",
                RoutineKind::Package => "package",
                RoutineKind::PackageBody => "package-body",
            },
            Self::Trigger(_) => "trigger",
            Self::View(_) => "view",
            Self::Event(_) => "event",
        }
    }

    /// The statement that makes it and what it was made under, where it is code: no table, no sequence.
    pub(crate) fn code(&self) -> Option<(&RawText, &SessionContext)> {
        match self {
            Self::Routine(record) => Some((&record.definition, &record.context)),
            Self::Trigger(record) => Some((&record.definition, &record.context)),
            Self::View(record) => Some((&record.definition, &record.context)),
            Self::Event(record) => Some((&record.definition, &record.context)),
            Self::Table(_) | Self::Sequence(_) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &RawText {
        match self {
            Self::Table(record) => &record.name,
            Self::Sequence(record) => &record.name,
            Self::Routine(record) => &record.name,
            Self::Trigger(record) => &record.name,
            Self::View(record) => &record.name,
            Self::Event(record) => &record.name,
        }
    }
}

/// How the values of a column are written in an INSERT, and read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiteralForm {
    /// Integers, DECIMAL, YEAR: the server's text, bare.
    Number,
    /// FLOAT, and DOUBLE with a fixed number of digits: read as `f*1e0`, whose text is exact; bare.
    Approximate,
    /// DOUBLE: the server's text is exact; bare.
    Double,
    /// ENUM and SET: read as their number; bare.
    Ordinal,
    /// DATE, TIME, DATETIME, TIMESTAMP, UUID, INET4, INET6, JSON of MySQL: `'…'`.
    Quoted,
    /// Text in utf8mb4: `'…'` where the value is valid UTF-8, else as [`LiteralForm::Bytes`].
    Text,
    /// Text in utf8mb3: `'…'` where the value is valid UTF-8 of at most three bytes a character, else as `Bytes`.
    NarrowText,
    /// Text in a character set that agrees with ASCII: `'…'` where the value is ASCII, else as `Bytes`.
    AsciiText,
    /// Everything else (BLOB, BIT, geometry, VECTOR, text in other character sets): `_binary'…'`, raw bytes.
    Bytes,
    /// The end of a row's time in a system-versioned table: `'…'`, or the variable `@backstock_row_end` for rows
    /// that are current, since servers differ in the time that stands for "no end".
    RowEnd,
}

/// A column whose values stand in the INSERTs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRecord {
    /// Its name.
    pub name: RawText,
    /// How its values are written.
    pub literal: LiteralForm,
    /// Its type as the server prints it, without attributes that follow.
    pub type_text: RawText,
}

/// Why a table's rows are there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// The rows were dumped.
    Included,
    /// The selection leaves them out; the definition is there.
    Excluded,
    /// The engine keeps no rows of its own: they are elsewhere, or nowhere.
    NotKeptByEngine,
    /// They could not be read; the dump's problems say why.
    Unreadable,
}

/// Where, in a table's definition, the parts stand that a load adds later. Each span covers one item of the list in
/// brackets, without the comma.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DefinitionSpans {
    /// Keys other than the primary key.
    pub secondary_keys: Vec<Span>,
    /// Foreign keys.
    pub foreign_keys: Vec<Span>,
    /// CHECK constraints of the table (those of a column stand within the column).
    pub checks: Vec<Span>,
}

/// The rows of one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRecord {
    /// The frame's number in the artifact.
    pub frame: u64,
    /// Rows in it.
    pub row_count: u64,
    /// Their checksum.
    pub checksum: Checksum,
}

/// How a system-versioned table keeps its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioning {
    /// Column that holds the start of a row's time.
    pub row_start: RawText,
    /// Column that holds its end.
    pub row_end: RawText,
    /// Whether the INSERTs hold these two columns, and so the history. Otherwise there are the current rows only.
    pub with_history: bool,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Its name.
    pub name: RawText,
    /// Its definition: `SHOW CREATE TABLE`, with the collations added that the server leaves out.
    pub definition: RawText,
    /// Where the deferrable parts stand in `definition`.
    pub spans: DefinitionSpans,
    /// Its storage engine as the server names it.
    pub engine: String,
    /// Its default collation.
    pub collation: String,
    /// The columns of the INSERTs, in their order. Generated columns are not among them.
    pub columns: Vec<ColumnRecord>,
    /// Whether the rows are there.
    pub contents: Contents,
    /// Rows dumped.
    pub row_count: u64,
    /// Checksum of the rows dumped.
    pub checksum: Checksum,
    /// The frames that hold them, in key order where the table was read in key order.
    pub frames: Vec<FrameRecord>,
    /// Whether the rows are those of the one point in time of the dump.
    pub in_snapshot: bool,
    /// Whether the table is partitioned.
    pub partitioned: bool,
    /// The next AUTO_INCREMENT value, read after the rows; at least that of the definition.
    pub auto_increment: Option<u64>,
    /// History, for a system-versioned table (MariaDB).
    pub versioning: Option<Versioning>,
    /// Size of the rows as the server estimates it, bytes.
    pub estimated_bytes: u64,
    /// Set where the rows are from a dump made by others: their literals are those that others wrote, and the checksum
    /// is of that text, so that what a server holds can be compared by its number of rows alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<ForeignRows>,
}

#[cfg(test)]
impl TableRecord {
    /// A table without columns and rows.
    pub(crate) fn empty(name: &str, engine: &str) -> Self {
        Self {
            name: name.into(),
            definition: "".into(),
            spans: DefinitionSpans::default(),
            engine: engine.to_owned(),
            collation: String::new(),
            columns: Vec::new(),
            contents: Contents::Included,
            row_count: 0,
            checksum: Checksum::default(),
            frames: Vec::new(),
            in_snapshot: true,
            partitioned: false,
            auto_increment: None,
            versioning: None,
            estimated_bytes: 0,
            foreign: None,
        }
    }
}

impl TableRecord {
    /// Whether a transaction covers its rows.
    pub(crate) fn is_transactional(&self) -> bool {
        self.engine.eq_ignore_ascii_case("InnoDB")
    }
}

/// What the literals of a dump made by others depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignRows {
    /// The time zone of the session; `None` where the dump names none, and the server's own holds.
    pub time_zone: Option<String>,
    /// Whether the table has columns whose values depend on it.
    pub has_times: bool,
}

/// The session in which the definition of a view, trigger, routine or event must be run again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionContext {
    /// `sql_mode`; `None` for views, which do not keep one.
    pub sql_mode: Option<String>,
    /// `character_set_client`. The definition's bytes are in this character set.
    pub character_set_client: String,
    /// `collation_connection`.
    pub collation_connection: String,
    /// The default collation that the database had then (decides the character set of undeclared parameters).
    pub database_collation: Option<String>,
    /// `time_zone`, of events.
    pub time_zone: Option<String>,
    /// The account whose rights it runs with, as the definition gives it: `` `user`@`host` ``.
    pub definer: Option<RawText>,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRecord {
    /// Its name.
    pub name: RawText,
    /// `SHOW CREATE VIEW`, verbatim.
    pub definition: RawText,
    /// The session for it.
    pub context: SessionContext,
    /// Names of tables, views and functions of this database that its definition uses.
    pub references: Vec<RawText>,
    /// Whether the server says that it does not work.
    pub broken: bool,
}

/// A trigger. Triggers stand in the order in which they must be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRecord {
    /// Its name.
    pub name: RawText,
    /// The table that it watches.
    pub table: RawText,
    /// `SHOW CREATE TRIGGER`, verbatim.
    pub definition: RawText,
    /// The session for it.
    pub context: SessionContext,
    /// Its place among the triggers of the same table, time and event, from 1.
    pub action_order: u64,
    /// `BEFORE` or `AFTER`.
    pub timing: String,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
}

/// What a routine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutineKind {
    /// A procedure.
    Procedure,
    /// A function.
    Function,
    /// The head of a package (MariaDB).
    Package,
    /// The body of a package (MariaDB).
    PackageBody,
}

impl RoutineKind {
    /// Its name in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Procedure => "PROCEDURE",
            Self::Function => "FUNCTION",
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
        }
    }
}

/// A procedure, function, package or package body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutineRecord {
    /// Its name.
    pub name: RawText,
    /// What it is.
    pub routine_kind: RoutineKind,
    /// `SHOW CREATE …`, verbatim.
    pub definition: RawText,
    /// The session for it.
    pub context: SessionContext,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its name.
    pub name: RawText,
    /// `SHOW CREATE EVENT`, verbatim, with the status that it has.
    pub definition: RawText,
    /// The session for it.
    pub context: SessionContext,
    /// `ENABLED`, `DISABLED` or `SLAVESIDE_DISABLED` (newer servers: `REPLICA_SIDE_DISABLED`).
    pub status: String,
}

/// A sequence (MariaDB).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRecord {
    /// Its name.
    pub name: RawText,
    /// `SHOW CREATE SEQUENCE`, verbatim.
    pub definition: RawText,
    /// The value that it gives out next, in decimal digits, read after all rows.
    pub next_value: String,
    /// How often it has started anew.
    pub cycle_count: u64,
}

/// The server that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Whose it is.
    pub vendor: Vendor,
    /// Its version as numbers.
    pub version: Version,
    /// Its version as it says it.
    pub version_text: String,
    /// What tells it from other servers: its UUID, or its name and port where it has none.
    pub identity: String,
    /// `lower_case_table_names`: 0 where the case of a table's name matters.
    pub lower_case_table_names: u64,
    /// How the bytes travelled: `unix socket`, `clear text`, or which encryption.
    pub transport: String,
}

/// The database itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: RawText,
    /// Its default character set.
    pub character_set: String,
    /// Its default collation.
    pub collation: String,
    /// Its comment (MariaDB).
    pub comment: RawText,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_one_line_of_json() {
        let object = DumpedObject::Sequence(SequenceRecord {
            name: "s".into(),
            definition: "CREATE SEQUENCE `s`\n".into(),
            next_value: "7".to_owned(),
            cycle_count: 0,
        });
        let line = serde_json::to_string(&object).unwrap();
        assert!(line.starts_with("{\"kind\":\"sequence\"") && !line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<DumpedObject>(&line).unwrap(), object);
    }
}
