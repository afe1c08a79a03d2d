//! What can go wrong in an operation: the act and the thing, a class that decides, a kind that becomes the exit code.

use std::error::Error as StdError;
use std::io;

use backstock_vocabulary::ErrorClass;

/// The family that an error belongs to. The command line turns it into its exit code (DESIGN of the interface:
/// `docs/exit-codes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It failed; nothing more particular is known.
    Failed,
    /// The question could not be asked, or the answer was no.
    Declined,
    /// No such shop, backup, table or file.
    NotFound,
    /// Another run has the shop.
    Busy,
    /// Stored bytes are not what they should be.
    Damaged,
    /// A storage could not be reached or refused.
    Storage,
    /// A rule of Backstock forbids it.
    Refused,
    /// A signal asked to stop.
    Interrupted,
}

/// An operation failed. The text names the act and the thing; the cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Reading what a shop is.
    #[error("{act}")]
    Platform {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: Box<backstock_platform::PlatformError>,
    },
    /// Something with the database.
    #[error("{act}")]
    Database {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: Box<backstock_database::Error>,
    },
    /// Something with the bytes of a backup.
    #[error("{act}")]
    Archive {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: Box<backstock_archive::Error>,
    },
    /// Something with a storage.
    #[error("{act}")]
    Storage {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: Box<backstock_storage::Error>,
    },
    /// Something with the catalog.
    #[error("{act}")]
    Catalog {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: Box<backstock_catalog::Error>,
    },
    /// Something with this machine's files.
    #[error("{act}")]
    Machine {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A document of ours (a journal, a plan) could not be read or written as JSON.
    #[error("{act}")]
    Document {
        /// The act and the thing.
        act: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A restore stopped between its two sides.
    #[error("{message}")]
    Unfinished {
        /// What is unfinished.
        message: String,
        /// The cause.
        #[source]
        source: Box<OperationError>,
    },
    /// Anything that needs no cause: the text says it all.
    #[error("{message}")]
    Plain {
        /// The family.
        kind: ErrorKind,
        /// What cannot be done, and to what.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// What every operation returns.
pub type Result<T> = std::result::Result<T, OperationError>;

impl OperationError {
    pub(crate) fn plain(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Plain { kind, message: message.into(), hint: None }
    }

    pub(crate) fn hinted(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Plain { kind, message: message.into(), hint: Some(hint.into()) }
    }

    /// The family, which becomes the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Plain { kind, .. } => *kind,
            Self::Storage { .. } => ErrorKind::Storage,
            Self::Archive { source, .. } => match **source {
                backstock_archive::Error::NewerFormat { .. } => ErrorKind::Refused,
                backstock_archive::Error::Cancelled => ErrorKind::Interrupted,
                backstock_archive::Error::Glob { .. } => ErrorKind::Declined,
                _ if source.is_damage() => ErrorKind::Damaged,
                _ => ErrorKind::Failed,
            },
            Self::Database { source, .. } => match **source {
                backstock_database::Error::Cancelled { .. }
                | backstock_database::Error::LoadStopped { .. } => ErrorKind::Interrupted,
                backstock_database::Error::Pattern { .. } => ErrorKind::Declined,
                _ if holds_damage(source) => ErrorKind::Damaged,
                _ => ErrorKind::Failed,
            },
            Self::Platform { .. } => ErrorKind::NotFound,
            Self::Catalog { source, .. } => match **source {
                backstock_catalog::Error::NoBackups | backstock_catalog::Error::NoSuchBackup { .. } => {
                    ErrorKind::NotFound
                }
                backstock_catalog::Error::AmbiguousBackup { .. } => ErrorKind::Declined,
                backstock_catalog::Error::Newer { .. } => ErrorKind::Refused,
                _ => ErrorKind::Failed,
            },
            _ => ErrorKind::Failed,
        }
    }

    /// Whether to retry, to ask a person, or to stop.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Platform { source, .. } => source.class(),
            Self::Database { source, .. } => source.class(),
            Self::Archive { source, .. } => source.class(),
            Self::Storage { source, .. } => source.class(),
            Self::Catalog { source, .. } => source.class(),
            Self::Machine { .. } | Self::Document { .. } => ErrorClass::Stop,
            Self::Unfinished { .. } => ErrorClass::Ask,
            Self::Plain { kind: ErrorKind::Busy, .. } => ErrorClass::Retry,
            Self::Plain { kind: ErrorKind::Declined, .. } => ErrorClass::Ask,
            Self::Plain { .. } => ErrorClass::Stop,
        }
    }

    /// What a person can do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plain { hint, .. } => hint.clone(),
            Self::Unfinished { .. } => Some(
                "the shop stays closed; `backstock restore --resume` finishes it, `backstock undo` takes it back"
                    .to_owned(),
            ),
            Self::Archive { source, .. }
                if matches!(**source, backstock_archive::Error::NewerFormat { .. }) =>
            {
                Some("use the version of Backstock that made it, or a newer one".to_owned())
            }
            Self::Catalog { source, .. }
                if matches!(**source, backstock_catalog::Error::Damaged { .. }) =>
            {
                Some("`backstock catalog rebuild <folder of backups>` makes a new one; no backup is lost".to_owned())
            }
            Self::Database { source, .. } => hint_of_database(source).or_else(|| hint_of_machine(self)),
            _ => hint_of_machine(self),
        }
    }
}

/// Whether damaged bytes of a backup are what an operation of another room failed at.
fn holds_damage(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        let carried = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let archive = carried.and_then(|carried| carried.downcast_ref::<backstock_archive::Error>());
        if archive.is_some_and(backstock_archive::Error::is_damage) {
            return true;
        }
        cause = inner.source();
    }
    false
}

fn hint_of_database(error: &backstock_database::Error) -> Option<String> {
    use backstock_database::Error::{Connect, LogIn, LogInMethod, NoDatabase};
    let hint = match error {
        Connect { .. } => {
            "check that the server runs, and give --database-host, --database-port or --database-socket"
        }
        LogIn { .. } | LogInMethod { .. } => {
            "check the account, and give --database-user and --database-password-file"
        }
        NoDatabase { .. } => "check the name with --database-name, and the rights of the account",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What the machine's own answer suggests, however deep it lies.
fn hint_of_machine(error: &OperationError) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        let hint = match inner.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                "make room on that disk, or give another folder with --state or --to"
            }
            Some(io::ErrorKind::PermissionDenied) => {
                "run Backstock as the user who owns the shop, or as root"
            }
            _ => {
                cause = inner.source();
                continue;
            }
        };
        return Some(hint.to_owned());
    }
    None
}

/// Adds the act and the thing to a cause.
pub(crate) trait Doing<T> {
    /// The act and the thing, as in "reading the manifest of backup 1a2b3c4d".
    fn doing(self, act: impl Into<String>) -> Result<T>;
}

macro_rules! doing {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl<T> Doing<T> for std::result::Result<T, $source> {
            fn doing(self, act: impl Into<String>) -> Result<T> {
                self.map_err(|source| OperationError::$variant { act: act.into(), source: source.into() })
            }
        }
    )*};
}

doing! {
    backstock_platform::PlatformError => Platform,
    backstock_database::Error => Database,
    backstock_archive::Error => Archive,
    backstock_storage::Error => Storage,
    backstock_catalog::Error => Catalog,
    io::Error => Machine,
    serde_json::Error => Document,
}

/// The whole chain as one line, outermost first: for logs, the catalog and JSON. The terminal prints its own form.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
