//! How a database is dumped and loaded: bytes, not text; everything dumped or named as not dumped.

pub mod checksum;
pub mod comparable;
pub mod dump;
pub mod error;
pub mod foreign;
pub mod kinds;
pub mod load;
pub mod monitor;
pub mod record;
pub mod settings;
pub mod transfer;

pub use backstock_vocabulary::raw_text::{self, RawText, readable};
pub use checksum::{Checksum, RowHash};
pub use comparable::RowsCompared;
pub use dump::{
    DumpPhase, DumpProblem, DumpReport, DumpRequest, DumpSink, DumpTarget, Pattern, TableFacts, TableKind,
    TableSelection,
};
pub use error::{Error, Result, ServerError};
pub use foreign::{ForeignPlan, ForeignRequest, ForeignSource, ForeignTrust, SkippedStatements};
pub use kinds::KINDS;
pub use kinds::mysql::connection::{
    Breaker, Column, Connection, Done, ResultSet, Row, RowStream, Values, Vendor, Version,
};
pub use kinds::mysql::ddl::Span;
pub use kinds::mysql::dump::{checksum_table, dump, list_tables, probe};
pub use kinds::mysql::foreign::{dump_foreign, scan_foreign, scan_foreign_offline};
pub use kinds::mysql::live::{LiveDatabase, LiveReader, RowEdit, look_at_database};
pub use kinds::mysql::load::{load_aside, load_in_place, plan_load};
pub use kinds::mysql::private_server::{PrivateServer, ServerPrograms, end_servers_of};
pub use kinds::mysql::rights::Rights;
pub use kinds::mysql::row_values::{RowValues, each_row_of_frame, literals_of_row};
pub use kinds::mysql::session::prepare_to_read;
pub use kinds::mysql::sql::{RowsFacts, SqlFault, StatementFacts, check_rows_frame, check_statements};
pub use kinds::mysql::sql::{quote_name, quote_text};
pub use kinds::mysql::swap::{
    accept, changed_since_swap, discard_aside, mark_swap, step_backward, step_forward, swap_steps,
    write_setting,
};
pub use kinds::mysql::transfer::transfer_object;
pub use kinds::mysql::writer::{END_MARK, HEAD_MARK};
pub use load::{
    CodeName, FrameSource, InPlace, LoadPhase, LoadPlan, LoadReport, LoadRequest, LoadSelection, LoadedTable,
    NewSide, OldSide, OutsideChild, SettingPatch, StepReport, SwapMarks, SwapStep, TableChange, TablePlan,
};
pub use monitor::{DatabaseMonitor, Unwatched};
pub use record::{
    ColumnRecord, Contents, DatabaseFacts, DefinitionSpans, DumpedObject, EventRecord, ForeignRows,
    FrameRecord, LiteralForm, RoutineKind, RoutineRecord, SequenceRecord, ServerFacts, SessionContext,
    TableRecord, TriggerRecord, Versioning, ViewRecord,
};
pub use settings::{Address, DEFAULT_PORT, Secret, ServerIdentity, ServerSettings, Tls};
pub use transfer::{Fidelity, Target, Transfer};
