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
    /// It is sealed, and nothing that could open it was given.
    Locked,
    /// It is sealed, and what was given does not open it.
    WrongKey,
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

    /// An act that ended by a panic of its thread: a fault in the program.
    pub(crate) fn panicked(act: &str, panic: &(dyn std::any::Any + Send)) -> Self {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said no more");
        Self::plain(ErrorKind::Failed, format!("{act} ended by a fault in the program: {words}"))
    }

    /// The family, which becomes the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Plain { kind, .. } => *kind,
            Self::Storage { .. } => ErrorKind::Storage,
            Self::Archive { source, .. } => match **source {
                backstock_archive::Error::NewerFormat { .. } => ErrorKind::Refused,
                backstock_archive::Error::Cancelled => ErrorKind::Interrupted,
                backstock_archive::Error::Glob { .. } | backstock_archive::Error::Passphrase { .. } => {
                    ErrorKind::Declined
                }
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
            Self::Platform { source, .. } if is_refused_by_the_machine(&**source) => ErrorKind::Failed,
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

    /// Whether the link with an account has ended.
    pub(crate) fn is_unlinked(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.is_unlinked())
    }

    /// Whether a disk was full, or a quota used up, however deep that lies.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(self);
        while let Some(inner) = cause {
            let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
                return true;
            }
            cause = inner.source();
        }
        false
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
            Self::Catalog { source, .. } => hint_of_catalog(source).or_else(|| hint_of_machine(self)),
            Self::Database { source, .. } => hint_of_database(source).or_else(|| hint_of_machine(self)),
            Self::Storage { source, .. } if source.is_unlinked() => {
                Some(
                    "link the storage with the account again, with `backstock storage link <title>`: what it holds stays \
                     where it is"
                        .to_owned(),
                )
            }
            Self::Storage { .. } => hint_of_machine(self).or_else(|| {
                Some("check that the disk is mounted and may be written to, or give another folder with --to".to_owned())
            }),
            Self::Archive { .. } if self.kind() == ErrorKind::Damaged => Some(
                "`backstock verify` names everything that is damaged; `backstock list` shows other backups, and --table \
                 and --file take what is whole out of this one"
                    .to_owned(),
            ),
            _ => hint_of_machine(self),
        }
    }
}

fn is_refused_by_the_machine(error: &(dyn StdError + 'static)) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
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

fn hint_of_catalog(error: &backstock_catalog::Error) -> Option<String> {
    use backstock_catalog::Error::{NoBackups, NoSuchBackup};
    let hint = match error {
        NoBackups => {
            "`backstock backup <folder>` makes the first; `backstock catalog rebuild <folder of backups>` finds older ones"
        }
        NoSuchBackup { .. } => "`backstock list` shows what there is",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn hint_of_database(error: &backstock_database::Error) -> Option<String> {
    use backstock_database::Error::{Connect, LogIn, LogInMethod, NoDatabase, NoPrograms, PrivateServer};
    let hint = match error {
        Connect { .. } => {
            "check that the server runs, and give --database-host, --database-port or --database-socket"
        }
        LogIn { .. } | LogInMethod { .. } => {
            "check the account, and give --database-user and --database-password-file"
        }
        NoPrograms { .. } => {
            "install mariadb-server or mysql-server, or give the folder of its programs with --server-programs, or a server \
             with --server-socket or --server-host"
        }
        PrivateServer { .. } => {
            "give other programs with --server-programs, another place with --scratch (a security profile may keep the \
             server in its usual folders), or a server with --server-socket or --server-host"
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
    causes(error).join(": ")
}

/// The texts of an error and its causes, outermost first; a cause that the text before it says already is left out.
pub fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        cause = inner.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the database said: it is full")]
    struct Wrapper(#[source] io::Error);

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let error = Wrapper(io::Error::other("it is full"));
        assert_eq!(causes(&error), ["the database said: it is full"]);
        let error: OperationError =
            Err::<(), _>(io::Error::other("it is full")).doing("writing the page").unwrap_err();
        assert_eq!(chain(&error), "writing the page: it is full");
    }

    #[test]
    fn a_link_that_has_ended_is_to_be_made_again() {
        let of = |cause| {
            let source = backstock_storage::Error::Refused {
                act: "sign in to",
                name: "Dropbox".to_owned(),
                place: "Dropbox:/".to_owned(),
                cause,
                answer: "invalid_grant".to_owned(),
                retry_after_seconds: None,
            };
            let error: OperationError =
                Err::<(), _>(source).doing("testing the storage offsite").unwrap_err();
            assert_eq!(error.class(), ErrorClass::Ask);
            error.hint().unwrap()
        };
        assert!(of(backstock_storage::Cause::Unlinked).contains("link the storage with the account again"));
        assert!(!of(backstock_storage::Cause::SignIn).contains("link the storage"));
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_not_one_that_is_not_there() {
        let of = |kind: io::ErrorKind| {
            let source = backstock_platform::PlatformError::Unreadable {
                path: "/srv/shop".into(),
                source: io::Error::from(kind),
            };
            Err::<(), _>(source).doing("looking at the folder /srv/shop").unwrap_err()
        };
        assert_eq!(of(io::ErrorKind::PermissionDenied).kind(), ErrorKind::Failed);
        assert!(of(io::ErrorKind::PermissionDenied).hint().is_some());
        assert_eq!(of(io::ErrorKind::NotFound).kind(), ErrorKind::NotFound);
    }
}
