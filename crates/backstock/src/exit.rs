//! Exit codes, as `docs/exit-codes.md` lists them, and the error that a command ends with.

use std::error::Error as StdError;
use std::process::ExitCode;

use backstock_operations::{ErrorKind, OperationError};

use crate::configuration::ConfigurationError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage, declined, or a question that could not be asked.
    Declined = 2,
    /// Something usable exists, and something went wrong.
    Partial = 3,
    /// Nothing is due.
    NothingDue = 4,
    /// No such thing.
    NotFound = 10,
    /// Another run has the shop.
    Busy = 11,
    /// It is sealed, and what was given does not open it.
    WrongKey = 12,
    /// Stored bytes are damaged.
    Damaged = 13,
    /// A storage could not be reached, or refused.
    Storage = 14,
    /// Refused by a rule.
    Refused = 15,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Declined => Self::Declined,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Locked | ErrorKind::WrongKey => Self::WrongKey,
            ErrorKind::Damaged => Self::Damaged,
            ErrorKind::Storage => Self::Storage,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Interrupted => Self::Interrupted,
        }
    }
}

/// What ends a command before it is done.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// An operation failed.
    Operation(OperationError),
    /// The configuration file cannot be used.
    Configuration(ConfigurationError),
    /// The person said no, or could not be asked.
    Declined(Declined),
    /// There is no such thing.
    NotFound(Declined),
}

/// The person said no, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Declined {
    message: String,
    hint: Option<String>,
}

impl CommandError {
    pub(crate) fn declined(message: impl Into<String>) -> Self {
        Self::Declined(Declined { message: message.into(), hint: None })
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Declined(Declined { message: message.into(), hint: Some(hint.into()) })
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(Declined { message: message.into(), hint: None })
    }

    /// The same, with what to do about it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Declined(error) => Self::Declined(Declined { hint: Some(hint.into()), ..error }),
            Self::NotFound(error) => Self::NotFound(Declined { hint: Some(hint.into()), ..error }),
            other => other,
        }
    }

    /// The error itself.
    pub(crate) fn as_ref(&self) -> &(dyn StdError + 'static) {
        match self {
            Self::Operation(error) => error,
            Self::Configuration(error) => error,
            Self::Declined(error) | Self::NotFound(error) => error,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Operation(error) => error.hint(),
            Self::Configuration(_) => None,
            Self::Declined(error) | Self::NotFound(error) => error.hint.clone(),
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Operation(error) => error.kind().into(),
            Self::Configuration(_) | Self::Declined(_) => Code::Declined,
            Self::NotFound(_) => Code::NotFound,
        }
    }
}

impl From<OperationError> for CommandError {
    fn from(error: OperationError) -> Self {
        Self::Operation(error)
    }
}

impl From<ConfigurationError> for CommandError {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(error)
    }
}
