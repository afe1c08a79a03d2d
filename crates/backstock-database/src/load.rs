//! Loading a dump, as every kind of server shares it: what is asked for, the plan that the restore's journal keeps,
//! and what came of it.
//!
//! Data can be lost here. The order is: plan (changes nothing) → load aside (changes nothing that the shop sees) →
//! the swap's steps, each journaled by the caller and each able to go forward and backward → accept (drops the old
//! side). Until acceptance the old side is complete.

use std::io;

use serde::{Deserialize, Serialize};

use crate::dump::{Pattern, TableKind};
use crate::raw_text::RawText;
use crate::record::{Checksum, DatabaseFacts, DumpedObject, SequenceRecord, ServerFacts, TableRecord};
use crate::transfer::{Fidelity, Transfer};

/// What to load.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The database to load into. It must exist.
    pub database: Vec<u8>,
    /// The objects of the dump.
    pub objects: Vec<DumpedObject>,
    /// The database that was dumped.
    pub source: DatabaseFacts,
    /// The server that it was dumped from.
    pub source_server: ServerFacts,
    /// Which of the objects.
    pub selection: LoadSelection,
    /// Six hexadecimal digits that no unfinished or unaccepted restore uses: part of the names of shadow tables.
    pub tag: String,
    /// Whether objects that the backup lacks go too (they are moved aside and come back with an undo).
    pub exact: bool,
    /// Whether statements may be run on the live tables.
    pub in_place: InPlace,
    /// Whether tables without a primary key may get an invisible one where the server demands one of every table.
    pub invisible_keys: bool,
    /// A maintenance flag that lives in the database.
    pub maintenance_value: Option<SettingPatch>,
}

/// Which objects of a dump are loaded.
#[derive(Debug, Clone, Default)]
pub enum LoadSelection {
    /// All of them.
    #[default]
    Everything,
    /// Tables, views and sequences that fit one of these, with the triggers of these tables; no routines and no events.
    Tables(Vec<Pattern>),
    /// Such tables and these objects of code, and nothing else. Code of these names that the dump lacks goes.
    Parts {
        /// Tables, views and sequences that fit one of these, with the triggers of these tables.
        tables: Vec<Pattern>,
        /// Routines, triggers, views and events.
        code: Vec<CodeName>,
    },
}

impl LoadSelection {
    /// Whether the selection names an object of code.
    pub(crate) fn names(&self, object: &DumpedObject) -> bool {
        match self {
            Self::Parts { code, .. } => code.iter().any(|name| name.means(object)),
            Self::Everything | Self::Tables(_) => false,
        }
    }
}

/// The name of an object of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeName {
    /// What it is: [`DumpedObject::kind_word`].
    pub kind: String,
    /// Its name.
    pub name: RawText,
}

impl CodeName {
    fn means(&self, object: &DumpedObject) -> bool {
        self.kind == object.kind_word() && self.name == *object.name()
    }
}

/// Whether live tables may be changed statement by statement instead of being replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InPlace {
    /// No: where a load aside is not possible, planning fails.
    #[default]
    Never,
    /// Where rights do not allow a load aside.
    WhenNeeded,
    /// It is asked for.
    Always,
}

/// One value of one row: `UPDATE table SET column = value WHERE key…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingPatch {
    /// The table.
    pub table: RawText,
    /// Columns and values that find the row.
    pub key: Vec<(RawText, RawText)>,
    /// The column.
    pub column: RawText,
    /// The value to set; `None` is NULL.
    pub value: Option<RawText>,
}

/// Gives the plaintext of the dump's frames. Called from several threads.
pub trait FrameSource: Sync {
    /// One frame, checked against damage by whoever reads it.
    fn frame(&self, number: u64) -> io::Result<Vec<u8>>;

    /// How long the text of a frame is, bytes; 0 where there is no such frame.
    fn frame_bytes(&self, number: u64) -> u64;
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadPhase {
    /// Making shadow tables and loading their rows and keys.
    Rows,
    /// Adding foreign keys.
    ForeignKeys,
    /// Reading everything back and comparing it.
    Check,
}

/// Everything that a load, its swap, its undo and its acceptance need to know. Made once, kept by the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The database that is loaded into, as it is now.
    pub target: DatabaseFacts,
    /// Its server.
    pub server: ServerFacts,
    /// The database that was dumped.
    pub source: DatabaseFacts,
    /// The server that it was dumped from.
    pub source_server: ServerFacts,
    /// The part of shadow names that is this restore's own.
    pub tag: String,
    /// The names that get another content: tables and sequences, and views where a table takes their name.
    pub tables: Vec<TablePlan>,
    /// Routines, triggers, views and events to make, in an order in which they can be made.
    pub new_code: Vec<DumpedObject>,
    /// Those that are there now and will go or be replaced, in an order in which they can be made again.
    pub old_code: Vec<DumpedObject>,
    /// Tables outside of the plan whose foreign keys point at tables of the plan.
    pub outside_children: Vec<OutsideChild>,
    /// Tables, views and sequences of the database that stay as they are.
    pub left_alone: Vec<RawText>,
    /// Names of constraints (in small letters) that tables which stay have: names are unique in a database, and the
    /// backup's constraints of these names get another.
    pub taken_constraints: Vec<RawText>,
    /// Tables that get an invisible primary key, since the server demands one and the owner agreed.
    #[serde(default)]
    pub added_keys: Vec<RawText>,
    /// Why the live tables are changed statement by statement, if they are.
    pub in_place: Option<String>,
    /// What becomes of each object, where the server is of another vendor or version than the one that was dumped.
    #[serde(default)]
    pub transfers: Vec<Transfer>,
    /// A maintenance flag that lives in the database.
    pub maintenance_value: Option<SettingPatch>,
    /// Whether the database's own defaults change.
    pub changes_defaults: bool,
    /// Space that the new side needs while the old side stays, as far as it is known, bytes.
    pub estimated_bytes: u64,
    /// Rights that the account lacks, each with what it costs.
    pub missing_rights: Vec<String>,
    /// What will differ or may go wrong.
    pub warnings: Vec<String>,
}

impl LoadPlan {
    fn names(&self, takes: impl Fn(&TablePlan) -> bool) -> Vec<&RawText> {
        self.tables.iter().filter(|table| takes(table)).map(|table| &table.name).collect()
    }

    /// Whether the target is of the same vendor and version, to the second number, as the server that was dumped.
    pub fn is_same_version(&self) -> bool {
        let (one, two) = (&self.server, &self.source_server);
        one.vendor == two.vendor && (one.version.0, one.version.1) == (two.version.0, two.version.1)
    }

    /// Whether the target is of the vendor of the server that was dumped.
    pub fn is_same_vendor(&self) -> bool {
        self.server.vendor == self.source_server.vendor
    }

    /// The objects that are not exactly what they were, each with its reasons.
    pub fn transfer_lines(&self) -> Vec<String> {
        let other = self.transfers.iter().filter(|transfer| transfer.fidelity != Fidelity::Exact);
        let line = |transfer: &Transfer| {
            format!("{} is {}: {}", transfer.object, transfer.fidelity, transfer.reasons.join("; "))
        };
        other.map(line).collect()
    }

    /// Names whose content is replaced.
    pub fn replaced(&self) -> Vec<&RawText> {
        self.names(|table| table.new.is_some() && table.old.is_some())
    }

    /// Names that are new.
    pub fn added(&self) -> Vec<&RawText> {
        self.names(|table| table.old.is_none())
    }

    /// Names that go, until an undo.
    pub fn removed(&self) -> Vec<&RawText> {
        self.names(|table| table.new.is_none())
    }

    /// Every name that the plan may make in the database besides the real ones: left out of dumps while the restore
    /// is not accepted.
    pub fn aside_names(&self) -> Vec<RawText> {
        self.tables.iter().flat_map(|table| [self.new_name(table), self.old_name(table)]).collect()
    }

    /// The name of a table's new side while it is not in use.
    pub fn new_name(&self, table: &TablePlan) -> RawText {
        RawText(format!("_bn{}_{}", self.tag, table.number).into_bytes())
    }

    /// The name of a table's old side while it is not in use.
    pub fn old_name(&self, table: &TablePlan) -> RawText {
        RawText(format!("_bo{}_{}", self.tag, table.number).into_bytes())
    }

    /// The tables that get rows, with their records.
    pub fn new_tables(&self) -> impl Iterator<Item = (&TablePlan, &TableRecord)> {
        self.tables.iter().filter_map(|table| match &table.new {
            Some(NewSide::Table(record)) => Some((table, record.as_ref())),
            _ => None,
        })
    }
}

/// One name, with what it stands for before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// The name.
    pub name: RawText,
    /// Its number in the names of its shadow and of its old side.
    pub number: u32,
    /// What the backup has there; `None` where the table goes.
    pub new: Option<NewSide>,
    /// What is there now; `None` where the table is new.
    pub old: Option<OldSide>,
    /// How much of its meaning the target keeps.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Whether of its rows the current ones alone are loaded, since the target keeps no history.
    #[serde(default)]
    pub current_rows_only: bool,
}

/// What the backup has under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewSide {
    /// A table.
    Table(Box<TableRecord>),
    /// A sequence.
    Sequence(SequenceRecord),
}

/// What is there now under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSide {
    /// What it is.
    pub kind: TableKind,
    /// Its definition, verbatim.
    pub definition: RawText,
}

/// A table outside of the plan whose foreign keys point into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideChild {
    /// Its schema.
    pub schema: RawText,
    /// Its name.
    pub name: RawText,
    /// Its definition, verbatim.
    pub definition: RawText,
}

/// One table that was loaded and compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedTable {
    /// Its real name.
    pub name: RawText,
    /// Rows read back.
    pub row_count: u64,
    /// Checksum of the rows read back.
    pub checksum: Checksum,
}

/// What came of a load.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// The tables, each equal to the dump.
    pub tables: Vec<LoadedTable>,
    /// Whatever the server warned of and whatever is not exactly as in the dump.
    pub lines: Vec<String>,
    /// The value that the maintenance flag had in the backup; written back at the very end with
    /// [`crate::write_setting`].
    pub former_setting: Option<SettingPatch>,
    /// Views, triggers, routines and events that the server does not read, where they were made too.
    #[serde(default)]
    pub dropped: Vec<String>,
}

/// What one step of a swap has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepReport {
    /// Lines of the report.
    pub lines: Vec<String>,
    /// Views, triggers, routines and events that are not there, since this server, which is another than the one that
    /// was dumped, does not read them.
    pub dropped: Vec<String>,
}

/// What the new side held right after the swap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SwapMarks {
    /// Every table that has rows of its own.
    pub tables: Vec<LoadedTable>,
}

/// A table whose rows are not those of the swap any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// Its name.
    pub name: RawText,
    /// Rows right after the swap.
    pub rows_then: u64,
    /// Rows now.
    pub rows_now: u64,
}

/// A small part of a swap. The variants stand in the order in which a swap does them; an undo does them in reverse.
/// Each part looks at the database and does what is missing, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapStep {
    /// Forward: the old events go, so that none runs on new tables. Backward: they come back with their status.
    OldEvents,
    /// Backward only: the database's former defaults.
    OldDefaults,
    /// Backward only: the old views.
    OldViews,
    /// Backward only: the old tables' triggers.
    OldTriggers,
    /// Backward only: the old routines.
    OldRoutines,
    /// Backward only: foreign keys of tables outside point at the old tables.
    OldChildren,
    /// Backward only: the old tables get their foreign keys and checks by their real names.
    OldNames,
    /// One RENAME TABLE: the shop sees all new, or all old.
    Rename,
    /// Forward only: the old tables give up the names of their foreign keys, checks and triggers.
    FreeNames,
    /// Forward: the new tables get their foreign keys and checks by their real names. Backward: they give them up.
    NewNames,
    /// Forward only: foreign keys of tables outside point at the new tables.
    NewChildren,
    /// Forward only: the backup's routines.
    NewRoutines,
    /// Forward: the backup's triggers. Backward: they go.
    NewTriggers,
    /// Forward: the backup's views. Backward: they go, and old ones that were broken come back.
    NewViews,
    /// Forward: the backup's events, disabled until acceptance. Backward: they go.
    NewEvents,
    /// Forward only: the backup's defaults of the database.
    NewDefaults,
}

impl SwapStep {
    /// All steps in their order.
    pub const ALL: [Self; 16] = [
        Self::OldEvents,
        Self::OldDefaults,
        Self::OldViews,
        Self::OldTriggers,
        Self::OldRoutines,
        Self::OldChildren,
        Self::OldNames,
        Self::Rename,
        Self::FreeNames,
        Self::NewNames,
        Self::NewChildren,
        Self::NewRoutines,
        Self::NewTriggers,
        Self::NewViews,
        Self::NewEvents,
        Self::NewDefaults,
    ];

    /// A word for messages, journals and failpoints (`swap.rename`).
    pub fn name(self) -> &'static str {
        match self {
            Self::OldEvents => "old_events",
            Self::OldDefaults => "old_defaults",
            Self::OldViews => "old_views",
            Self::OldTriggers => "old_triggers",
            Self::OldRoutines => "old_routines",
            Self::OldChildren => "old_children",
            Self::OldNames => "old_names",
            Self::Rename => "rename",
            Self::FreeNames => "free_names",
            Self::NewNames => "new_names",
            Self::NewChildren => "new_children",
            Self::NewRoutines => "new_routines",
            Self::NewTriggers => "new_triggers",
            Self::NewViews => "new_views",
            Self::NewEvents => "new_events",
            Self::NewDefaults => "new_defaults",
        }
    }
}
