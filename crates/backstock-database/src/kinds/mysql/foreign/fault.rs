//! What is wrong with a file, and where.

use std::io;

use crate::error::Error;

/// A place in a file of SQL text.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) what: String,
}

/// Why a file cannot be taken.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its text.
    Text(Place),
    /// It cannot be read.
    Read { file: String, source: io::Error },
    /// The server that it is for, or the place that takes the rows.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Text(Place { file, line, what }) => Self::ForeignText { file, line, what },
            Fault::Read { file, source } => Self::ForeignRead { file, source },
            Fault::Other(error) => error,
        }
    }
}

/// The result of reading a file of others.
pub(super) type Outcome<T> = Result<T, Fault>;
