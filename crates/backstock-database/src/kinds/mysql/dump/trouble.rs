//! Why an attempt failed: for good, or so that another one may succeed.

use crate::error::{Error, ServerError};
use crate::raw_text::readable;

/// How an attempt ends that brought nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another attempt may succeed.
    Again {
        /// What happened, in words.
        reason: String,
        /// The error behind it, if there was one.
        error: Option<Box<Error>>,
    },
    /// No attempt can.
    Stop(Box<Error>),
}

impl Trouble {
    pub(crate) fn again(reason: impl Into<String>) -> Self {
        Self::Again { reason: reason.into(), error: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let reason = match &error {
            // What the server says of a change is the reason, not the error: a dump that meets it each time has kept
            // changing.
            Error::Definition { object, .. } => return Self::again(format!("{object} is being changed")),
            Error::Statement { source, .. } if is_change(source) => {
                return Self::again(readable(source.to_string().as_bytes()));
            }
            // Whoever changes a table without a pause may hold it each time that we come.
            Error::Statement { source, .. } if source.code == LOCK_WAIT_TIMEOUT => {
                let text = readable(source.to_string().as_bytes());
                return Self::again(format!("another session changes a table, or keeps it locked: {text}"));
            }
            Error::Lost { .. } => "the connection broke".to_owned(),
            Error::Connect { .. } => "the server could not be reached".to_owned(),
            Error::Statement { source, .. } | Error::LogIn { source, .. } if passes(source) => {
                readable(source.to_string().as_bytes())
            }
            _ => return Self::Stop(Box::new(error)),
        };
        Self::Again { reason, error: Some(Box::new(error)) }
    }
}

/// `ER_LOCK_WAIT_TIMEOUT`: a lock was not to be had in the time that we allow ourselves.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Errors of a database that changes or of a server that ends a connection: a table's definition has changed, is not
/// there, a column is not there; a lock was not to be had; too many connections; killed; shutting down.
pub(crate) fn passes(error: &ServerError) -> bool {
    matches!(
        error.code,
        1040 | 1053
            | 1054
            | 1146
            | 1203
            | 1205
            | 1213
            | 1226
            | 1317
            | 1412
            | 1615
            | 1684
            | 1927
            | 3024
            | 1969
            | 4031
    )
}

/// Errors that a definition causes which changes while it is read: a column or a table is not there, or another one.
fn is_change(error: &ServerError) -> bool {
    matches!(error.code, 1054 | 1146 | 1412 | 1684)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crashed_table_is_no_reason_to_try_forever() {
        let passes = |code| passes(&ServerError { code, sqlstate: String::new(), message: String::new() });
        assert!(!passes(1194) && !passes(1033) && !passes(1142));
        assert!(passes(1412) && passes(1317));
    }

    /// Met at every attempt, it is still the database that kept changing, and no error of a statement that nobody knows.
    #[test]
    fn a_lock_that_is_not_to_be_had_is_a_change() {
        let source = ServerError {
            code: LOCK_WAIT_TIMEOUT,
            sqlstate: "HY000".to_owned(),
            message: "Lock wait timeout exceeded".to_owned(),
        };
        let error = Error::Statement { statement: "SELECT 1 FROM `a` LIMIT 0".to_owned(), source };
        let Trouble::Again { reason, error: None } = Trouble::from(error) else { panic!("not a change") };
        assert!(reason.starts_with("another session changes a table"), "{reason}");
    }
}
