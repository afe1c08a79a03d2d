//! How a database is dumped and loaded: bytes, not text; everything dumped or named as not dumped.

pub mod dump;
pub mod error;
pub mod kinds;
pub mod load;
pub mod raw_text;
pub mod record;
pub mod settings;

pub use dump::{
    DumpMonitor, DumpPhase, DumpProblem, DumpReport, DumpRequest, DumpSink, DumpTarget, Pattern, TableFacts,
    TableKind, TableSelection, Unwatched,
};
pub use error::{Error, Result, ServerError};
pub use kinds::KINDS;
pub use kinds::mysql::connection::{
    Breaker, Column, Connection, Done, ResultSet, Row, RowStream, Values, Vendor, Version,
};
pub use kinds::mysql::ddl::Span;
pub use kinds::mysql::dump::{checksum_table, dump, list_tables, probe};
pub use kinds::mysql::rights::Rights;
pub use kinds::mysql::session::prepare_to_read;
pub use kinds::mysql::writer::{END_MARK, HEAD_MARK};
pub use load::{
    FrameSource, InPlace, LoadMonitor, LoadPhase, LoadPlan, LoadReport, LoadRequest, LoadSelection,
    LoadedTable, NewSide, OldSide, OutsideChild, SettingPatch, SwapMarks, SwapStep, TableChange, TablePlan,
};
pub use raw_text::{RawText, readable};
pub use record::{
    Checksum, ColumnRecord, Contents, DatabaseFacts, DefinitionSpans, DumpedObject, EventRecord, FrameRecord,
    LiteralForm, RoutineKind, RoutineRecord, SequenceRecord, ServerFacts, SessionContext, TableRecord,
    TriggerRecord, Versioning, ViewRecord,
};
pub use settings::{Address, DEFAULT_PORT, Secret, ServerIdentity, ServerSettings, Tls};
