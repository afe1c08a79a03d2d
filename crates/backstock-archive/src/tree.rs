//! A shop's files: walking, archiving, extracting, and exchanging them for those of a backup.

mod archive;
mod assemble;
mod check;
pub mod content;
mod cursor;
mod entry;
mod exchange;
mod extract;
mod facts;
mod frame_jobs;
mod inside;
mod jobs;
mod left_out;
pub mod order;
mod owners;
mod read_item;
mod ready;
mod report;
mod request;
mod restore_file;
mod selection;
mod since;
mod source;
mod walk;

pub use archive::{TreeCount, archive_tree, count_tree};
pub use check::{CheckReport, check_archive, check_held};
pub use entry::{FileEntry, FileKind, FileState, FileTime};
pub use exchange::{
    ExchangePlan, ExchangeReport, ExchangeRequest, ExchangeSummary, FileChange, LiveSink, PlannedRoot,
    StageReport, changed_paths, changed_since, compare_with_live, discard, exchange_backward,
    exchange_forward, plan_exchange, replaced_paths, stage,
};
pub use extract::{ExtractOptions, ExtractReport, extract};
pub use left_out::LeftOut;
pub use report::{NAMES_LIMIT, NameList, NamedPath, NoMonitor, TreeMonitor, TreeNote, TreeReport, printable};
pub use request::{
    DEFAULT_READERS, Exclusions, OUTSIDE, Renewable, TreeRequest, TreeRoot, as_path, compile_globs,
};
pub use restore_file::Rights;
pub use selection::{Selection, selected_entries};
pub use since::{Baseline, Rehash};
pub use source::FilesSource;

#[cfg(test)]
mod tests;
