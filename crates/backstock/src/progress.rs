//! Live progress: bars with bytes, rate and time left on a terminal, plain lines otherwise.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backstock_operations::{Expected, Monitor, Phase};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::terminal::{Terminal, bytes_text, printable};

/// How often a bar is redrawn, in milliseconds.
const REDRAW_MS: u64 = 120;
const WITH_TOTAL: &str =
    "{prefix:>20} [{bar:24}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {wide_msg}";
/// The same where there is little room: 20 + 11 + 21 + 13 + 4 characters and what is between them stay below 80.
const WITH_TOTAL_NARROW: &str = "{prefix:>20} [{bar:8}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
const WITH_ITEMS: &str = "{prefix:>20} [{bar:24}] {human_pos}/{human_len} {eta} {wide_msg}";
const WITHOUT_TOTAL: &str = "{prefix:>20} {spinner} {bytes} {binary_bytes_per_sec} {elapsed} {wide_msg}";

/// What one phase did, for whoever reads a command's document. A phase that came twice is there twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PhaseAccount {
    /// Which phase.
    phase: Phase,
    /// How long it took, in milliseconds.
    elapsed_ms: u64,
    /// Bytes that went by: of rows as SQL, of files as they are, of parts as they are stored.
    bytes: u64,
    /// Tables or files that were done.
    items: u64,
}

/// What all that runs side by side has in common.
struct Shared {
    terminal: Terminal,
    bars: MultiProgress,
    /// What each phase did, and when it began.
    accounts: Mutex<Vec<(Instant, PhaseAccount)>>,
    interrupted: Arc<AtomicBool>,
    /// Whether the wish to stop was answered.
    is_answered: AtomicBool,
}

/// Watches an operation, or a part of it that runs beside others, for a person.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    bar: Mutex<Option<ProgressBar>>,
    items: AtomicU64,
    bytes: AtomicU64,
    /// Whether the bar counts items instead of bytes.
    counts_items: AtomicBool,
    /// The table that is being read or written, and its rows so far.
    table: Mutex<(String, u64)>,
    /// The phase that runs, and since when.
    phase: Mutex<Option<(Phase, Instant)>>,
    started: Instant,
    /// When a name was shown last, in milliseconds since `started`.
    shown_ms: AtomicU64,
}

impl Progress {
    /// Watches for this terminal; `interrupted` is set by a signal.
    pub(crate) fn new(terminal: Terminal, interrupted: Arc<AtomicBool>) -> Self {
        Self::of(Arc::new(Shared {
            terminal,
            bars: MultiProgress::new(),
            accounts: Mutex::default(),
            interrupted,
            is_answered: AtomicBool::new(false),
        }))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            bar: Mutex::default(),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            counts_items: AtomicBool::new(false),
            table: Mutex::default(),
            phase: Mutex::default(),
            started: Instant::now(),
            shown_ms: AtomicU64::new(0),
        }
    }

    /// Ends the last phase, so that nothing is drawn over what is printed next. Gives what each phase did, in the order in
    /// which they began.
    pub(crate) fn close(&self) -> Vec<PhaseAccount> {
        self.end_phase();
        let accounts = &self.shared.accounts;
        let mut accounts = std::mem::take(&mut *accounts.lock().unwrap_or_else(PoisonError::into_inner));
        accounts.sort_by_key(|(began, _)| *began);
        accounts.into_iter().map(|(_, account)| account).collect()
    }

    fn end_phase(&self) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take();
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner).take();
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        let items = self.items.swap(0, Ordering::Relaxed);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.shared.bars.remove(&bar);
        }
        let Some((phase, since)) = phase else { return };
        let elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let account = PhaseAccount { phase, elapsed_ms, bytes, items };
        self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner).push((since, account));
        if bytes > 0 || items > 0 {
            let items = (items > 0).then(|| format!("{items} done"));
            let bytes = (bytes > 0).then(|| bytes_text(bytes));
            let told: Vec<String> = items.into_iter().chain(bytes).collect();
            self.line(&format!("  {phase}: {}", told.join(", ")));
        }
    }

    fn with_total(&self) -> ProgressStyle {
        style(if self.shared.terminal.is_narrow() { WITH_TOTAL_NARROW } else { WITH_TOTAL })
    }

    fn new_bar(&self, phase: Phase, expected: Expected) -> ProgressBar {
        let bar = match (expected.bytes.unwrap_or(0), expected.items.unwrap_or(0)) {
            (bytes @ 1.., _) => ProgressBar::new(bytes).with_style(self.with_total()),
            (0, items @ 1..) => ProgressBar::new(items).with_style(style(WITH_ITEMS)),
            _ => ProgressBar::new_spinner().with_style(style(WITHOUT_TOTAL)),
        };
        let bar = self.shared.bars.add(bar);
        bar.set_prefix(phase.text());
        bar.enable_steady_tick(Duration::from_millis(REDRAW_MS));
        bar
    }

    fn with_bar(&self, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            act(bar);
        }
    }

    /// Names go by far faster than anyone reads: one in a while is shown.
    fn is_worth_showing(&self) -> bool {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shown_ms = self.shown_ms.load(Ordering::Relaxed);
        let is_due = now_ms >= shown_ms + REDRAW_MS;
        is_due
            && self.shown_ms.compare_exchange(shown_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whoever asks to stop hears that it was heard: the next safe point may be a while away.
    fn answer_interrupt(&self) {
        let Shared { interrupted, is_answered, .. } = &*self.shared;
        if interrupted.load(Ordering::Relaxed) && !is_answered.swap(true, Ordering::Relaxed) {
            self.line("stopping at the next safe point; a swap that has begun is finished first");
        }
    }

    /// Bars that others draw meanwhile make way for it.
    fn line(&self, line: &str) {
        let Shared { terminal, bars, .. } = &*self.shared;
        if terminal.has_bars() {
            bars.suspend(|| terminal.say(line));
        } else {
            terminal.say(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end_phase();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Monitor for Progress {
    fn phase(&self, phase: Phase, expected: Expected) {
        let present = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if present.is_some_and(|(present, _)| present == phase) {
            // The same phase, of which more is known now.
            if let Some(bytes) = expected.bytes.filter(|bytes| *bytes > 0) {
                self.with_bar(|bar| {
                    bar.set_style(self.with_total());
                    bar.set_length(bytes);
                });
            }
            return;
        }
        self.end_phase();
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some((phase, Instant::now()));
        let counts_items = expected.bytes.unwrap_or(0) == 0 && expected.items.unwrap_or(0) > 0;
        self.counts_items.store(counts_items, Ordering::Relaxed);
        if self.shared.terminal.has_bars() {
            *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.new_bar(phase, expected));
        } else {
            self.line(&format!("{phase} …"));
        }
    }

    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
        if !self.counts_items.load(Ordering::Relaxed) {
            self.with_bar(|bar| bar.inc(count));
        }
    }

    fn table(&self, name: &str, more_rows: u64) {
        let rows = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            if table.0 != name {
                *table = (name.to_owned(), 0);
            }
            table.1 += more_rows;
            table.1
        };
        self.with_bar(|bar| bar.set_message(format!("{} {rows} rows", printable(name))));
    }

    fn item(&self, name: &str) {
        self.answer_interrupt();
        let items = self.items.fetch_add(1, Ordering::Relaxed) + 1;
        if self.counts_items.load(Ordering::Relaxed) {
            self.with_bar(|bar| bar.inc(1));
        }
        if !self.is_worth_showing() {
            return;
        }
        self.with_bar(|bar| bar.set_message(format!("{items}: {}", printable(name))));
    }

    fn note(&self, text: &str) {
        self.line(&format!("  note: {}", printable(text)));
    }

    fn problem(&self, text: &str) {
        self.line(&format!("  problem: {}", printable(text)));
    }

    fn wants_totals(&self) -> bool {
        self.shared.terminal.has_bars()
    }

    fn beside(&self) -> Box<dyn Monitor + '_> {
        self.end_phase();
        Box::new(Self::of(Arc::clone(&self.shared)))
    }

    fn is_cancelled(&self) -> bool {
        self.answer_interrupt();
        self.shared.interrupted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came before is not shown, nor counted, while the parts run.
    #[test]
    fn a_phase_ends_when_parts_begin_beside_each_other() {
        let progress = Progress::new(Terminal::new(false, true), Arc::default());
        progress.phase(Phase::Preparing, Expected::default());
        let parts = [Phase::Dumping, Phase::Archiving].map(|phase| {
            let part = progress.beside();
            part.phase(phase, Expected::default());
            part
        });
        assert!(progress.phase.lock().unwrap().is_none());
        parts[1].bytes(5);
        parts[0].item("a table");
        // The order is that of their beginnings, whichever ends first.
        parts.into_iter().rev().for_each(drop);
        let told: Vec<_> =
            progress.close().iter().map(|account| (account.phase, account.bytes, account.items)).collect();
        assert_eq!(told, [(Phase::Preparing, 0, 0), (Phase::Dumping, 0, 1), (Phase::Archiving, 5, 0)]);
    }
}
