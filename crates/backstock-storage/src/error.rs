//! What can go wrong with a storage, and what to do about it.

use std::io;

use backstock_vocabulary::ErrorClass;

use crate::object::{ObjectName, ParseNameError};

/// The result of an act on a storage.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system or the network refused an act.
    #[error("cannot {act} \"{name}\" in {place}")]
    Io {
        /// The act, as a verb.
        act: &'static str,
        /// The object, or the folder itself.
        name: String,
        /// The storage.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A server, or the way to it, refused an act or answered it with something else than was asked.
    #[error("cannot {act} \"{name}\" in {place}: {cause}: {answer}")]
    Refused {
        /// The act, as a verb.
        act: &'static str,
        /// The object, or the folder itself.
        name: String,
        /// The storage.
        place: String,
        /// What it means for us.
        cause: Cause,
        /// What the server said, or what was wrong with what it said: cut to a printable length, without secrets.
        answer: String,
        /// How long it asks us to wait before the next try, in seconds.
        retry_after_seconds: Option<u64>,
    },
    /// Whoever ordered an upload wants it to stop.
    #[error("the upload of \"{name}\" to {place} was stopped")]
    Stopped {
        /// The object.
        name: ObjectName,
        /// The storage.
        place: String,
    },
    /// A part in the spool is not what was promised.
    #[error("the spooled part for \"{name}\" is not what it was when it was written: {difference}")]
    PartChanged {
        /// The object that it was to become.
        name: ObjectName,
        /// What differs.
        difference: &'static str,
    },
    /// A name is taken by other bytes.
    #[error("\"{name}\" exists in {place} with other content, and is not replaced")]
    Conflict {
        /// The object.
        name: ObjectName,
        /// The storage.
        place: String,
    },
    /// There is no such object.
    #[error("\"{name}\" is not in {place}")]
    NotFound {
        /// The object.
        name: ObjectName,
        /// The storage.
        place: String,
    },
    /// An object is longer than whoever asked for it expects.
    #[error("\"{name}\" has {size_bytes} bytes; at most {limit_bytes} are expected")]
    TooLarge {
        /// The object.
        name: ObjectName,
        /// Its length.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// There are more objects than a listing may give.
    #[error("{place} holds more than {limit} objects")]
    TooMany {
        /// The storage.
        place: String,
        /// The limit.
        limit: usize,
    },
    /// The test of a storage read back something else than it wrote.
    #[error("{place} does not keep what it is given: {difference}")]
    Unreliable {
        /// The storage.
        place: String,
        /// What the test saw.
        difference: &'static str,
    },
    /// A text cannot name an object.
    #[error(transparent)]
    Name(#[from] ParseNameError),
    /// There is no such kind of storage.
    #[error("there is no kind of storage called \"{kind}\"; known are: {}", crate::kinds::known())]
    UnknownKind {
        /// The kind that was asked for.
        kind: String,
    },
    /// The settings do not fit the kind.
    #[error("the settings of the storage (kind {kind}) cannot be used: {problem}")]
    Settings {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// What the refusal of a server means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It is overloaded, restarting, or has had enough of us for now: the same may go well later.
    Busy,
    /// What arrived is cut off or garbled: the same may go well at the next try.
    Garbled,
    /// It does not accept who we say we are, or no more: the owner must sign in again.
    SignIn,
    /// The link with the account has ended: its owner, or the provider, took it back. The owner must link it again.
    Unlinked,
    /// It knows us and does not allow this.
    Denied,
    /// What is to be deleted or changed is locked until a time that has not come: until then nobody can, whatever their rights.
    Locked,
    /// There is no room, or the quota is used up.
    Full,
    /// It is not who it was, or cannot prove who it is: its key or certificate is another one or not to be trusted.
    Untrusted,
    /// The bucket, folder or account that the settings name is not there.
    NoPlace,
    /// The answer makes no sense to us.
    Unexpected,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Busy => "it is busy",
            Self::Garbled => "what arrived is not whole",
            Self::SignIn => "it does not accept the credentials",
            Self::Unlinked => "the link with the account has ended",
            Self::Denied => "it does not allow it",
            Self::Locked => "it is locked there",
            Self::Full => "it is full",
            Self::Untrusted => "it cannot be trusted",
            Self::NoPlace => "the place that the settings name is not there",
            Self::Unexpected => "its answer is not understood",
        })
    }
}

impl Error {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => io_class(source),
            Self::Refused { cause: Cause::Busy | Cause::Garbled, .. } => ErrorClass::Retry,
            Self::Refused { cause: Cause::Unexpected, .. } | Self::Stopped { .. } => ErrorClass::Stop,
            Self::Refused { .. } => ErrorClass::Ask,
            Self::PartChanged { .. } | Self::NotFound { .. } | Self::Name(_) | Self::TooLarge { .. } => {
                ErrorClass::Stop
            }
            Self::Conflict { .. }
            | Self::TooMany { .. }
            | Self::Unreliable { .. }
            | Self::UnknownKind { .. }
            | Self::Settings { .. } => ErrorClass::Ask,
        }
    }

    /// How long the place asks us to wait before the next try.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Refused { retry_after_seconds, .. } => {
                retry_after_seconds.map(std::time::Duration::from_secs)
            }
            _ => None,
        }
    }

    /// Whether the account is no longer linked: its owner must link it again, and until then nothing can go well.
    pub fn is_unlinked(&self) -> bool {
        matches!(self, Self::Refused { cause: Cause::Unlinked, .. })
    }

    /// Refuses to hold more of an object in memory than a limit: of a small one, or of a range.
    pub(crate) fn expect_at_most(name: &ObjectName, size_bytes: u64, limit_bytes: u64) -> Result<()> {
        if size_bytes > limit_bytes {
            return Err(Self::TooLarge { name: name.clone(), size_bytes, limit_bytes });
        }
        Ok(())
    }

    /// Whether the place is full: no space, no inodes, over quota, or over a file size limit (F17, F23, F24).
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge),
            Self::Refused { cause, .. } => *cause == Cause::Full,
            _ => false,
        }
    }
}

fn io_class(error: &io::Error) -> ErrorClass {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::Interrupted
        | ErrorKind::TimedOut
        | ErrorKind::WouldBlock
        | ErrorKind::ResourceBusy
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionRefused
        | ErrorKind::BrokenPipe
        | ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable => ErrorClass::Retry,
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::NotFound => ErrorClass::Stop,
        // Full, read-only, not permitted, a dying disk: a person must do something.
        _ => ErrorClass::Ask,
    }
}
