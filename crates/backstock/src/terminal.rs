//! What a person sees: the only file that prints. Data goes to standard output, talk to standard error.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use backstock_operations::{ListedDrill, ListedLink, ListedReplica, causes};
use backstock_vocabulary::{LinkState, Outcome, ReplicaState};
use serde::Serialize;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Terminals with fewer columns get shorter bars.
const NARROW_COLUMNS: u16 = 100;

/// How the program talks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    json: bool,
    quiet: bool,
    has_bars: bool,
    is_narrow: bool,
    can_ask: bool,
}

impl Terminal {
    /// Looks at the standard streams. With `json` nothing but one JSON document goes to standard output.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let talks_to_a_person = io::stderr().is_terminal();
        Self {
            json,
            quiet,
            has_bars: talks_to_a_person && !quiet,
            is_narrow: columns().is_some_and(|columns| columns < NARROW_COLUMNS),
            can_ask: io::stdin().is_terminal() && talks_to_a_person,
        }
    }

    /// Whether the output is to be JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether moving progress bars are wanted; otherwise plain lines.
    pub(crate) fn has_bars(&self) -> bool {
        self.has_bars
    }

    /// Whether lines of a hundred characters would be broken.
    pub(crate) fn is_narrow(&self) -> bool {
        self.is_narrow
    }

    /// Whether there is somebody who can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// A line of data.
    pub(crate) fn data(&self, line: &str) {
        // A closed pipe (`backstock list | head`) is no reason to fail.
        let _ = writeln!(io::stdout(), "{line}");
    }

    /// A document of data, whose `schema` field names its form.
    pub(crate) fn document(&self, document: &impl Serialize) {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if serde_json::to_writer_pretty(&mut out, document).is_ok() {
            let _ = writeln!(out);
        }
        let _ = out.flush();
    }

    /// A line of talk.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// A line that must be seen even when quiet.
    pub(crate) fn warn(&self, line: &str) {
        let _ = writeln!(io::stderr(), "warning: {line}");
    }

    /// A line without which a person cannot go on; seen even when quiet.
    pub(crate) fn prompt(&self, line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// One line of standard input, without its end and of so many bytes at most; none where it ends before.
    pub(crate) fn read_line(&self, limit_bytes: u64) -> Option<String> {
        let mut line = String::new();
        let read = io::stdin().lock().take(limit_bytes).read_line(&mut line).ok()?;
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        (read > 0).then_some(line)
    }

    /// An error with everything that led to it, and what to do about it.
    pub(crate) fn error(&self, error: &(dyn StdError + 'static), hint: Option<&str>) {
        let texts: Vec<String> = causes(error).iter().map(|text| printable(text)).collect();
        let mut text = format!("error: {}", texts.join("\n  because: "));
        if let Some(hint) = hint {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Asks a yes-or-no question. `None` when there is nobody to ask.
    pub(crate) fn ask(&self, question: &str) -> Option<bool> {
        if !self.can_ask {
            return None;
        }
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let _ = io::stderr().flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

impl Terminal {
    /// Asks for something that nobody may see. `None` when there is nobody to ask.
    pub(crate) fn secret<T>(&self, question: &str, typed: impl FnOnce(String) -> T) -> Option<T> {
        if !self.can_ask {
            return None;
        }
        let _ = write!(io::stderr(), "{question}");
        let _ = io::stderr().flush();
        let shown = rustix::termios::tcgetattr(io::stdin()).ok()?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Flush, &hidden).ok()?;
        // With room for any, so that no copy is left behind where it grew.
        let mut answer = String::with_capacity(4096);
        let read = io::stdin().lock().read_line(&mut answer);
        let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &shown);
        let _ = writeln!(io::stderr());
        let length = answer.trim_end_matches(['\r', '\n']).len();
        answer.truncate(length);
        let typed = typed(answer);
        read.ok().filter(|count| *count > 0).map(|_| typed)
    }
}

/// The width of the terminal that is talked to.
fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Starts the log of what is worth knowing to a developer: warnings, or whatever `BACKSTOCK_LOG` asks for.
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BACKSTOCK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .event_format(PlainLine);
    // A second start in one process would be refused; there is none.
    let _ = log.try_init();
}

/// A line of the log, in the form of everything else that is said: `warning: …`.
struct PlainLine;

impl<S, N> FormatEvent<S, N> for PlainLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let word = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "log",
            _ => "detail",
        };
        write!(writer, "{word}: ")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Text from outside (names of files and tables, messages of servers) without anything that could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        let steers = character.is_control() && character != '\n'
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A number of bytes as a person reads it: `1.4 GiB`.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A number of things as a person reads it: `1 file`, `2 files`.
pub(crate) fn count_text(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// What a backup or a restore came to: tables with their rows, files; of two parts the one that is empty is left out.
pub(crate) fn contents_text(tables: u64, rows: u64, files: u64, files_bytes: Option<u64>) -> String {
    let with = files_bytes.map(|bytes| format!(" with {}", bytes_text(bytes))).unwrap_or_default();
    let database = format!("{} with {}", count_text(tables, "table"), count_text(rows, "row"));
    let files_text = format!("{}{with}", count_text(files, "file"));
    match (tables, files) {
        (1.., 0) => database,
        (0, 1..) => files_text,
        _ => format!("{database}, {files_text}"),
    }
}

/// What the last drill of a backup came to, as a person reads it.
pub(crate) fn drill_text(drill: &ListedDrill) -> String {
    let (on, took) = (drill.finished.strftime("%Y-%m-%d %H:%M UTC"), duration_text(drill.elapsed_ms));
    match drill.outcome {
        _ if drill.is_in_part => format!("database and own files restorable on {on}, took {took}"),
        Outcome::Success => format!("proven restorable on {on}, took {took}"),
        Outcome::Partial => format!("proven restorable on {on} with exceptions, took {took}"),
        _ => format!("not restorable in the drill of {on}"),
    }
}

/// What is known of a replica, as a person reads it: where it was read back, how deep and when that was last done.
pub(crate) fn replica_text(replica: &ListedReplica) -> String {
    match replica.checks.last().filter(|_| replica.state == ReplicaState::Verified) {
        Some(check) => {
            format!("{} ({} on {})", replica.state, check.level, check.checked.strftime("%Y-%m-%d %H:%M UTC"))
        }
        None => replica.state.to_string(),
    }
}

/// How a link with an account is, as a person reads it.
pub(crate) fn link_text(link: &ListedLink) -> String {
    const MINUTE: &str = "%Y-%m-%d %H:%M UTC";
    match (link.state, link.ends) {
        (LinkState::Ok, _) => link.state.to_string(),
        (LinkState::Expiring, Some(ends)) => format!("{}: ends on {}", link.state, ends.strftime(MINUTE)),
        _ => format!("{} since {}", link.state, link.since.strftime(MINUTE)),
    }
}

/// A span of time as a person reads it: `850 ms`, `12.3 s`, `4 min 05 s`.
pub(crate) fn duration_text(elapsed_ms: u64) -> String {
    match elapsed_ms {
        0..=999 => format!("{elapsed_ms} ms"),
        1_000..=59_999 => format!("{}.{} s", elapsed_ms / 1000, elapsed_ms % 1000 / 100),
        _ => format!("{} min {:02} s", elapsed_ms / 60_000, elapsed_ms / 1000 % 60),
    }
}

/// Rows of cells as aligned columns.
pub(crate) fn table_text(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            let missing = width + 2 - cell.chars().count();
            text.extend(std::iter::repeat_n(' ', missing));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(contents_text(1, 2, 0, None), "1 table with 2 rows");
        assert_eq!(contents_text(0, 0, 1, Some(1536)), "1 file with 1.5 KiB");
        assert_eq!(contents_text(2, 1, 3, None), "2 tables with 1 row, 3 files");
        assert_eq!(bytes_text(1023), "1023 B");
        assert_eq!(bytes_text(1536), "1.5 KiB");
        assert_eq!(bytes_text(3 * 1024 * 1024 * 1024), "3.0 GiB");
        assert_eq!(duration_text(850), "850 ms");
        assert_eq!(duration_text(12_345), "12.3 s");
        assert_eq!(duration_text(245_000), "4 min 05 s");
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(printable("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(printable("Größe\n"), "Größe\n");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["a".to_owned(), "long".to_owned()], vec!["bbb".to_owned(), "c".to_owned()]];
        assert_eq!(table_text(&["x", "y"], &rows), ["x    y", "a    long", "bbb  c"]);
    }
}
