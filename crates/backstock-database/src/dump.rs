//! Dumping a database, as every kind of server shares it: what is asked for, where it goes, who watches, what came of it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{DatabaseFacts, DumpedObject, ServerFacts};

/// A table's name or a glob over table names: `*` and `?` match any bytes, `[ab]` one of them.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    exact: Vec<u8>,
    matcher: Option<GlobMatcher>,
    may_be_unused: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`Error::Pattern`].
    pub fn new(text: &str) -> Result<Self> {
        let error = |source| Error::Pattern { pattern: text.to_owned(), source };
        let matcher = Glob::new(text).map_err(error)?.compile_matcher();
        Ok(Self {
            text: text.to_owned(),
            exact: text.as_bytes().to_vec(),
            matcher: Some(matcher),
            may_be_unused: false,
        })
    }

    /// The pattern that this name alone fits, whatever its bytes.
    pub fn exact(name: &[u8]) -> Self {
        Self { text: readable(name), exact: name.to_vec(), matcher: None, may_be_unused: false }
    }

    /// The same pattern, of which nobody is told when it fits nothing: it stands for what some shops have.
    #[must_use]
    pub fn for_some_shops(self) -> Self {
        Self { may_be_unused: true, ..self }
    }

    /// Whether a name fits. A name that is spelled exactly like the pattern always does.
    pub fn matches(&self, name: &[u8]) -> bool {
        let path = Path::new(OsStr::from_bytes(name));
        self.exact == name || self.matcher.as_ref().is_some_and(|matcher| matcher.is_match(path))
    }

    /// The one name that fits, where it is no glob.
    pub fn name(&self) -> Option<&[u8]> {
        self.matcher.is_none().then_some(self.exact.as_slice())
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Which tables, and how much of them.
#[derive(Debug, Clone, Default)]
pub struct TableSelection {
    /// If not empty: only tables, views and sequences that fit one of these, with their triggers; no routines and
    /// no events.
    pub only: Vec<Pattern>,
    /// Of these the definition, without rows.
    pub contents_excluded: Vec<Pattern>,
    /// These not at all, nor their triggers.
    pub excluded_entirely: Vec<Pattern>,
}

impl TableSelection {
    /// Whether the table, view or sequence belongs to the dump.
    pub fn takes(&self, name: &[u8]) -> bool {
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        (self.only.is_empty() || fits(&self.only)) && !fits(&self.excluded_entirely)
    }

    /// Whether the rows of a table that belongs to the dump do so too.
    pub fn takes_contents(&self, name: &[u8]) -> bool {
        !self.contents_excluded.iter().any(|pattern| pattern.matches(name))
    }

    /// Patterns that fit none of the names, to be told to whoever wrote them.
    pub fn unused<'a>(&'a self, names: &[RawText]) -> Vec<&'a str> {
        let all = self.only.iter().chain(&self.contents_excluded).chain(&self.excluded_entirely);
        all.filter(|pattern| !pattern.may_be_unused)
            .filter(|pattern| !names.iter().any(|name| pattern.matches(name)))
            .map(Pattern::as_str)
            .collect()
    }
}

/// What to dump.
#[derive(Debug, Clone)]
pub struct DumpRequest {
    /// The database's name.
    pub database: Vec<u8>,
    /// Which tables.
    pub selection: TableSelection,
    /// How many connections may read at the same time, at least one. One more is used for control and one to watch.
    pub connections: usize,
    /// Tables that a restore's journal names as its own: left out.
    pub not_ours: Vec<Vec<u8>>,
    /// How long a transaction that reads may last where statements that wait for it cannot be seen (the account lacks
    /// PROCESS) and it holds locks until its end.
    pub unguarded_transaction: Duration,
    /// How often the dump starts anew when the database changes under it or the connection breaks, at least once.
    pub attempts: u32,
}

impl DumpRequest {
    /// Attempts that suit a shop: changes of definitions are rare and short there.
    pub const DEFAULT_ATTEMPTS: u32 = 6;

    /// The shop waits at most two seconds for a dump; some of them go by until a lock is noticed and handed over.
    pub const UNGUARDED_TRANSACTION: Duration = Duration::from_millis(1500);

    /// Everything of a database, with two connections.
    pub fn whole(database: impl Into<Vec<u8>>) -> Self {
        Self {
            database: database.into(),
            selection: TableSelection::default(),
            connections: 2,
            not_ours: Vec::new(),
            unguarded_transaction: Self::UNGUARDED_TRANSACTION,
            attempts: Self::DEFAULT_ATTEMPTS,
        }
    }
}

/// Takes the text of one attempt, frame by frame. Called from several threads.
pub trait DumpSink: Send + Sync {
    /// An empty buffer, perhaps one that was used before.
    fn buffer(&self) -> Vec<u8>;

    /// Takes one compression frame, which holds whole statements, and gives its number. Frames stand in the file in
    /// the order of their numbers, which is the order of the calls.
    fn frame(&self, text: Vec<u8>) -> io::Result<u64>;
}

/// Where a dump goes.
pub trait DumpTarget: Sync {
    /// A fresh sink for an attempt, from 1. What an earlier attempt wrote is void.
    fn begin(&self, attempt: u32) -> io::Result<Box<dyn DumpSink + '_>>;
}

/// What a dump is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpPhase {
    /// Logging in, reading rights and definitions.
    Prepare,
    /// Making one point in time for all connections.
    Snapshot,
    /// Reading rows.
    Rows,
    /// Reading views, triggers, routines, events and sequences.
    Objects,
    /// Checking that nothing changed meanwhile.
    Check,
}

/// Something that is missing from a dump, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpProblem {
    /// The object, or what kind of objects: `table orders`, `triggers`.
    pub object: String,
    /// The right that the account lacks, where that is the reason.
    pub right: Option<String>,
    /// What went wrong.
    pub reason: String,
    /// What it costs: what a restore will lack.
    pub cost: String,
}

/// What came of a dump. A dump with problems is usable, and not complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DumpReport {
    /// The server.
    pub server: ServerFacts,
    /// The database.
    pub database: DatabaseFacts,
    /// Every object that was dumped.
    pub objects: Vec<DumpedObject>,
    /// What is missing and why. Not empty means that the backup is partial.
    pub problems: Vec<DumpProblem>,
    /// Worth knowing, nothing missing.
    pub notes: Vec<String>,
    /// Rows of all tables.
    pub rows: u64,
    /// How many attempts it took.
    pub attempts: u32,
    /// Whether queries of any account that waited for us would have been seen; otherwise only those of ours.
    pub guarded: bool,
    /// Whether all rows are those of one point in time.
    pub one_point_in_time: bool,
    /// The tables whose rows are not: their engine knows no transactions, or the dump had to keep its own short.
    pub not_in_snapshot: Vec<RawText>,
}

/// One table, view or sequence, as a quick look shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: RawText,
    /// What it is.
    pub table_kind: TableKind,
    /// Its engine; empty for a view.
    pub engine: String,
    /// Rows as the server estimates them.
    pub estimated_rows: u64,
    /// Bytes of rows and keys as the server estimates them.
    pub estimated_bytes: u64,
}

/// What a name in the list of tables stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A table.
    Table,
    /// A table that keeps its history (MariaDB).
    VersionedTable,
    /// A view.
    View,
    /// A sequence (MariaDB).
    Sequence,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_bytes() {
        let pattern = Pattern::new("oc_*session").unwrap();
        assert!(pattern.matches(b"oc_session") && pattern.matches(b"oc_a/b\xffsession"));
        assert!(!pattern.matches(b"oc_sessions"));
        assert!(Pattern::new("a[b").is_err());
        assert!(Pattern::new("a[b]").unwrap().matches(b"a[b]"));
        let exact = Pattern::exact(b"a*\xff");
        assert!(exact.matches(b"a*\xff") && !exact.matches(b"ab\xff"));
    }

    #[test]
    fn a_selection_takes_and_leaves() {
        let pattern = |text: &str| vec![Pattern::new(text).unwrap()];
        let selection = TableSelection {
            only: pattern("a*"),
            contents_excluded: pattern("a_cache"),
            excluded_entirely: pattern("*_tmp"),
        };
        assert!(selection.takes(b"a_x") && !selection.takes(b"b_x") && !selection.takes(b"a_tmp"));
        assert!(!selection.takes_contents(b"a_cache"));
        assert_eq!(selection.unused(&["a_x".into(), "a_cache".into()]), ["*_tmp"]);
    }
}
