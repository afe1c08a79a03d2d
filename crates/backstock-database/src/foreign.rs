//! Dumps made by others, as every kind of server shares them: where their text comes from, what may stand in it, and
//! what a first reading of the whole file found.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::raw_text::RawText;
use crate::record::{DatabaseFacts, DumpedObject, ServerFacts};

/// A dump made by others: one file, or several that are read one after the other. It is read twice and must not change.
pub trait ForeignSource: Sync {
    /// The names of its files in the order in which they are read, as a message shows them.
    fn files(&self) -> Vec<String>;

    /// Opens a file by its place in [`ForeignSource::files`], already decompressed.
    fn open(&self, at: usize) -> io::Result<Box<dyn Read + '_>>;
}

/// How far a dump is trusted. Statements that reach beyond the one database are run from none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignTrust {
    /// The shop's owner chose it: what is not for a shop is skipped and named; views, triggers, routines and events
    /// come along.
    #[default]
    ChosenByOwner,
    /// It came from somebody else: anything that no honest dump needs refuses the file; code is left out.
    Uploaded,
}

/// How to read a dump made by others.
#[derive(Debug, Clone, Default)]
pub struct ForeignRequest {
    /// The database that it is for: where the dump has rows and no definitions, those of this database hold.
    pub database: Vec<u8>,
    /// How far it is trusted.
    pub trust: ForeignTrust,
    /// Of a dump of several databases, the one to take.
    pub from_database: Option<Vec<u8>>,
}

/// A statement, or a kind of statements, that is not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedStatements {
    /// What they are: `SET GLOBAL`, `GRANT SELECT ON`.
    pub statement: String,
    /// Why they are not run.
    pub why: String,
    /// The file of the first one.
    pub file: String,
    /// The line of the first one.
    pub line: u64,
    /// How many.
    pub count: u64,
}

impl fmt::Display for SkippedStatements {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statement, why, file, line, count } = self;
        let times = if *count == 1 { "once, at".to_owned() } else { format!("{count} times, first at") };
        write!(formatter, "{statement} ({times} line {line} of {file}): {why}")
    }
}

/// What a first reading of a whole dump found. Nothing of it was run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignPlan {
    /// The program that made it, as far as it can be told.
    pub made_by: String,
    /// The server that it was made from, as far as the dump tells; else the one that it is for.
    pub server: ServerFacts,
    /// Whether the dump tells its server.
    pub server_is_known: bool,
    /// The database that was dumped.
    pub database: DatabaseFacts,
    /// Its tables and other objects. Tables have no frames yet.
    pub objects: Vec<DumpedObject>,
    /// Tables whose definition is that of the database now, since the dump has their rows only.
    pub from_live: Vec<RawText>,
    /// Rows in all INSERT statements.
    pub rows: u64,
    /// Statements in all files, comments and empty ones not counted.
    pub statements: u64,
    /// Bytes of all files, decompressed.
    pub text_bytes: u64,
    /// What is not run, and why.
    pub skipped: Vec<SkippedStatements>,
    /// The accounts that views, triggers, routines and events name as their definers.
    pub definers: Vec<String>,
    /// What may be wrong with it.
    pub warnings: Vec<String>,
}
