//! Watching a dump or a load while it runs.

use crate::raw_text::RawText;

/// Watches a dump ([`crate::DumpPhase`]) or a load ([`crate::LoadPhase`]). Called from several threads; must return
/// quickly.
pub trait DatabaseMonitor<Phase>: Send + Sync {
    /// A new phase began. A dump that starts anew begins with its first phase again.
    fn phase(&self, phase: Phase);
    /// How much there is to do: of a dump, as the server estimates it.
    fn expected(&self, tables: u64, rows: u64, bytes: u64);
    /// A table is being read or loaded; its rows as far as they are known.
    fn table_started(&self, name: &RawText, rows: u64);
    /// More rows went by, with the bytes of their SQL text.
    fn rows(&self, name: &RawText, rows: u64, text_bytes: u64);
    /// A table has been read, or loaded and compared.
    fn table_finished(&self, name: &RawText, rows: u64);
    /// Something worth knowing.
    fn note(&self, text: &str);
    /// Whether to stop as soon as possible.
    fn is_cancelled(&self) -> bool;
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl<Phase> DatabaseMonitor<Phase> for Unwatched {
    fn phase(&self, _: Phase) {}
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, _: &RawText, _: u64) {}
    fn rows(&self, _: &RawText, _: u64, _: u64) {}
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}
