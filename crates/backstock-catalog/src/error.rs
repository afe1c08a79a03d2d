//! What can go wrong with the catalog, and what to do about it.

use std::io;

use backstock_vocabulary::{BackupId, ErrorClass, Outcome, RunId, ShopId};

use crate::Backup;

/// The result of an act on the catalog.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with the catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The catalog's file or folder cannot be made or read.
    #[error("cannot {act} the catalog {path}")]
    File {
        /// The act, as a verb.
        act: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a catalog, or its bytes are damaged.
    #[error("the catalog {path} is damaged")]
    Damaged {
        /// The file.
        path: String,
        /// What the database said.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// A newer version of the program has written it.
    #[error(
        "the catalog {path} has schema {found}; this version of Backstock knows {known} and does not touch it"
    )]
    Newer {
        /// The file.
        path: String,
        /// The schema in the file.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The disk that the catalog lies on is full.
    #[error("cannot {act}: the disk of the catalog {path} is full")]
    Full {
        /// The act.
        act: &'static str,
        /// The file.
        path: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// Another process has been writing for too long.
    #[error("cannot {act}: another process keeps the catalog {path} locked")]
    Busy {
        /// The act.
        act: &'static str,
        /// The file.
        path: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused a statement.
    #[error("cannot {act} in the catalog {path}")]
    Statement {
        /// The act.
        act: &'static str,
        /// The file.
        path: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A column holds what this version does not understand.
    #[error("the catalog holds \"{text}\" as {column}, which this version of Backstock does not understand")]
    Value {
        /// The column.
        column: &'static str,
        /// What it holds, cut to a printable length.
        text: String,
    },
    /// Another shop is recorded with this folder.
    #[error("the folder {root} belongs to another shop ({owner})")]
    RootTaken {
        /// The folder.
        root: String,
        /// The shop that has it.
        owner: ShopId,
    },
    /// There is no backup at all (of this shop).
    #[error("there is no backup yet")]
    NoBackups,
    /// No backup has this identifier.
    #[error("there is no backup \"{text}\"")]
    NoSuchBackup {
        /// What was asked for.
        text: String,
    },
    /// Several backups have it.
    #[error("\"{text}\" may mean any of {} backups: {}", candidates.len(), names(candidates))]
    AmbiguousBackup {
        /// What was asked for.
        text: String,
        /// The backups that it may mean.
        candidates: Vec<Backup>,
    },
    /// The same identifier stands for two different backups: a fork, or a forged manifest.
    #[error("backup {id} is recorded with another manifest (hash {recorded}, now {given})")]
    DifferentBackup {
        /// The backup.
        id: BackupId,
        /// The manifest hash on record.
        recorded: String,
        /// The manifest hash that was given.
        given: String,
    },
    /// The run is not on record.
    #[error("run {id} is not in the catalog")]
    NoSuchRun {
        /// The run.
        id: RunId,
    },
    /// The run has been closed by someone else, for instance as interrupted.
    #[error("run {id} is already closed as {outcome}")]
    RunOver {
        /// The run.
        id: RunId,
        /// Its recorded outcome.
        outcome: Outcome,
    },
}

fn names(candidates: &[Backup]) -> String {
    candidates.iter().map(|backup| backup.folder.as_str()).collect::<Vec<_>>().join(", ")
}

/// SQLite's primary result codes (sqlite.org/rescode.html); an extended code holds them in its low byte.
mod sqlite {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const NOT_A_DATABASE: u32 = 26;
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Busy { .. } => ErrorClass::Retry,
            Self::Statement { .. }
            | Self::Value { .. }
            | Self::NoSuchRun { .. }
            | Self::RunOver { .. }
            | Self::DifferentBackup { .. } => ErrorClass::Stop,
            _ => ErrorClass::Ask,
        }
    }

    /// Sorts what the database said.
    pub(crate) fn from_database(act: &'static str, path: &str, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        let code = source
            .as_database_error()
            .and_then(|error| error.code()?.parse::<u32>().ok())
            .map(|code| code & 0xff);
        match code {
            Some(sqlite::CORRUPT | sqlite::NOT_A_DATABASE) => Self::Damaged { path, source: Some(source) },
            Some(sqlite::FULL) => Self::Full { act, path, source },
            Some(sqlite::BUSY | sqlite::LOCKED) => Self::Busy { act, path, source },
            _ if matches!(source, sqlx::Error::PoolTimedOut) => Self::Busy { act, path, source },
            _ => Self::Statement { act, path, source },
        }
    }
}
