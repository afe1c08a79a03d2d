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

impl Error {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => io_class(source),
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

    /// Whether the place is full: no space, no inodes, over quota, or over a file size limit (F17, F23, F24).
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
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
