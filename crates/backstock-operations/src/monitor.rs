//! Who watches an operation: progress, notes, problems, and the wish to stop.

use std::fmt;

use serde::Serialize;

/// What an operation is busy with. Documents name it in the words of its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Looking at the shop and the destinations.
    Preparing,
    /// Reading the database.
    Dumping,
    /// Reading the files.
    Archiving,
    /// Putting the parts where they are kept.
    Putting,
    /// Copying to further destinations.
    Replicating,
    /// Reading back and checking.
    Checking,
    /// Taking the safety snapshot.
    Snapshot,
    /// Loading the tables aside.
    Loading,
    /// Writing the files aside.
    Staging,
    /// Comparing the live files with those of a backup.
    Comparing,
    /// Exchanging the old side and the new side.
    Swapping,
    /// Exchanging files of the two sides.
    Exchanging,
    /// Clearing caches and the like.
    Finishing,
}

impl Phase {
    /// The phase as a person reads it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Dumping => "database",
            Self::Archiving => "files",
            Self::Putting => "storing",
            Self::Replicating => "copying",
            Self::Checking => "checking",
            Self::Snapshot => "safety snapshot",
            Self::Loading => "loading tables aside",
            Self::Staging => "writing files aside",
            Self::Comparing => "comparing files",
            Self::Swapping => "swapping",
            Self::Exchanging => "exchanging files",
            Self::Finishing => "finishing",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How much a phase will do, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Bytes to go through.
    pub bytes: Option<u64>,
    /// Tables or files to go through.
    pub items: Option<u64>,
}

/// Watches an operation. Every method may be called from several threads, and often: implementations are quick.
pub trait Monitor: Send + Sync {
    /// A phase begins.
    fn phase(&self, phase: Phase, expected: Expected);

    /// So many more bytes went by.
    fn bytes(&self, count: u64);

    /// A table is being read or written; so many more of its rows went by.
    fn table(&self, name: &str, more_rows: u64);

    /// A table or a file is done.
    fn item(&self, name: &str);

    /// Something worth a line, which makes nothing worse.
    fn note(&self, text: &str);

    /// Something that makes the result less than whole.
    fn problem(&self, text: &str);

    /// Whether it is worth counting first, so that the time left can be shown.
    fn wants_totals(&self) -> bool {
        false
    }

    /// Who watches a part of the operation that runs beside others, with phases of its own. The phase before ends.
    fn beside(&self) -> Box<dyn Monitor + '_>;

    /// Whether the operation should stop at the next safe point.
    fn is_cancelled(&self) -> bool;
}

/// Watches nothing and never asks to stop.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Monitor for Unwatched {
    fn phase(&self, _phase: Phase, _expected: Expected) {}
    fn bytes(&self, _count: u64) {}
    fn table(&self, _name: &str, _more_rows: u64) {}
    fn item(&self, _name: &str) {}
    fn note(&self, _text: &str) {}
    fn problem(&self, _text: &str) {}
    fn beside(&self) -> Box<dyn Monitor + '_> {
        Box::new(Self)
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A phase of a dump or a load, as whoever watches the operation sees it.
pub(crate) trait ShownPhase {
    /// The phase that begins now; `None` where it begins only when it is known how much there is to do.
    fn shown(self) -> Option<Phase>;
}

impl ShownPhase for backstock_database::DumpPhase {
    fn shown(self) -> Option<Phase> {
        None
    }
}

impl ShownPhase for backstock_database::LoadPhase {
    fn shown(self) -> Option<Phase> {
        match self {
            Self::Rows => None,
            Self::ForeignKeys => Some(Phase::Loading),
            Self::Check => Some(Phase::Checking),
        }
    }
}

/// Hands what a dump or a load tells on to whoever watches the operation.
pub(crate) struct DatabaseWatch<'a> {
    pub(crate) monitor: &'a dyn Monitor,
    /// The phase in which rows go by.
    pub(crate) phase: Phase,
}

impl<P: ShownPhase> backstock_database::DatabaseMonitor<P> for DatabaseWatch<'_> {
    fn phase(&self, phase: P) {
        if let Some(phase) = phase.shown() {
            self.monitor.phase(phase, Expected::default());
        }
    }

    fn expected(&self, tables: u64, _rows: u64, bytes: u64) {
        self.monitor.phase(self.phase, Expected { bytes: Some(bytes), items: Some(tables) });
    }

    fn table_started(&self, name: &backstock_database::RawText, _rows: u64) {
        self.monitor.table(&name.to_string(), 0);
    }

    fn rows(&self, name: &backstock_database::RawText, rows: u64, text_bytes: u64) {
        self.monitor.bytes(text_bytes);
        self.monitor.table(&name.to_string(), rows);
    }

    fn table_finished(&self, name: &backstock_database::RawText, rows: u64) {
        self.monitor.item(&format!("{name} ({rows} rows)"));
    }

    fn note(&self, text: &str) {
        self.monitor.note(text);
    }

    fn is_cancelled(&self) -> bool {
        self.monitor.is_cancelled()
    }
}

/// Hands what a walk through files tells on to whoever watches the operation.
pub(crate) struct TreeWatch<'a>(pub(crate) &'a dyn Monitor);

impl backstock_archive::tree::TreeMonitor for TreeWatch<'_> {
    fn file(&self, path: &[u8], _bytes: u64) {
        self.0.item(&backstock_archive::tree::printable(path));
    }

    fn note(&self, note: &backstock_archive::tree::TreeNote) {
        let reason = note.named.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        self.0.note(&format!("{} {:?}{reason}", note.named.path, note.state).to_lowercase());
    }

    fn bytes(&self, count: u64) {
        self.0.bytes(count);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The same for what must not be left in the middle: between its two sides a shop is nobody's, so a wish to stop waits.
pub(crate) struct UnstoppableTreeWatch<'a>(pub(crate) &'a dyn Monitor);

impl backstock_archive::tree::TreeMonitor for UnstoppableTreeWatch<'_> {
    fn file(&self, path: &[u8], bytes: u64) {
        TreeWatch(self.0).file(path, bytes);
    }

    fn note(&self, note: &backstock_archive::tree::TreeNote) {
        TreeWatch(self.0).note(note);
    }

    fn bytes(&self, count: u64) {
        self.0.bytes(count);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}
