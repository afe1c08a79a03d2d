//! What can go wrong with the contents of a backup, each error naming the act and the thing.

use std::io;
use std::path::{Path, PathBuf};

use backstock_vocabulary::ErrorClass;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the contents of a backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused an operation on a file.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The machine's answer.
        source: io::Error,
    },
    /// No room: the disk is full or a quota is used up.
    #[error("cannot {act} {}: no room is left there", path.display())]
    DiskFull {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The machine's answer.
        source: io::Error,
    },
    /// The file system or a limit of the process allows no file that long.
    #[error("cannot {act} {}: no file may be that long there", path.display())]
    FileTooLong {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The machine's answer.
        source: io::Error,
    },
    /// Bytes could not be made durable. A later sync that succeeds proves nothing, so the file counts as lost.
    #[error("cannot make {} durable: it counts as lost", path.display())]
    SyncFailed {
        /// The file or folder.
        path: PathBuf,
        /// The machine's answer.
        source: io::Error,
    },
    /// An option that no artifact can be written with.
    #[error("cannot write {artifact}: {what}")]
    Option {
        /// The artifact.
        artifact: String,
        /// What is wrong.
        what: String,
    },
    /// A frame longer than the format allows.
    #[error("a frame of {artifact} has {size_bytes} bytes, at most {limit_bytes} are allowed")]
    FrameTooLong {
        /// The artifact.
        artifact: String,
        /// Its length in bytes.
        size_bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// A frame that was announced never came, or its worker died.
    #[error("frame {number} of {artifact} was never written")]
    FrameLost {
        /// The artifact.
        artifact: String,
        /// The number of the frame.
        number: u64,
    },
    /// The compressor refused.
    #[error("cannot compress a frame of {artifact}: {what}")]
    Compress {
        /// The artifact.
        artifact: String,
        /// The compressor's words.
        what: String,
    },
    /// The artifact would have more parts than file names can be put in order.
    #[error("cannot write {artifact}: it has more than {limit} parts; choose a larger part size")]
    TooManyParts {
        /// The artifact.
        artifact: String,
        /// The largest number of parts.
        limit: usize,
    },
    /// A line came to an index out of order, or twice.
    #[error("index {index}: the line \"{key}\" does not come after \"{previous}\"")]
    KeyOrder {
        /// The index.
        index: String,
        /// The line's key.
        key: String,
        /// The key before it.
        previous: String,
    },
    /// A value could not be written as, or read from, JSON.
    #[error("cannot {act} {thing}")]
    Json {
        /// What was tried.
        act: &'static str,
        /// The value.
        thing: String,
        /// The parser's words.
        source: serde_json::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{part} is damaged at bytes {offset} to {}: {what}", offset + size_bytes)]
    Damaged {
        /// The file, relative to the backup's folder.
        part: String,
        /// Where the region begins in that file, in bytes.
        offset: u64,
        /// How long the region is, in bytes.
        size_bytes: u64,
        /// What was found.
        what: String,
    },
    /// Part of a backup cannot be read back.
    #[error("cannot read {part} at byte {offset}")]
    Read {
        /// The file, relative to the backup's folder.
        part: String,
        /// Where in that file, in bytes.
        offset: u64,
        /// The machine's or the storage's answer.
        source: io::Error,
    },
    /// A tree cannot be walked, extracted or exchanged as asked.
    #[error("cannot {act}: {what}")]
    Tree {
        /// What was asked for.
        act: &'static str,
        /// What stands against it.
        what: String,
    },
    /// A glob that cannot be understood.
    #[error("the glob \"{glob}\" cannot be understood")]
    Glob {
        /// The glob.
        glob: String,
        /// The parser's words.
        source: globset::Error,
    },
    /// What an index and an archive say about one entry does not agree, or leads outside.
    #[error("the entry {path} of {artifact} is refused: {what}")]
    Entry {
        /// The artifact.
        artifact: String,
        /// The entry, made printable.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// The caller asked to stop.
    #[error("stopped as asked")]
    Cancelled,
    /// A newer program wrote it, in a form that this one must not guess at.
    #[error("{thing} was made by a newer version of this program: {what}")]
    NewerFormat {
        /// The file.
        thing: String,
        /// What is not known here.
        what: String,
    },
    /// A passphrase that cannot be used.
    #[error("the passphrase is refused: {what}")]
    Passphrase {
        /// Why.
        what: String,
    },
    /// There is no such frame.
    #[error("{artifact} has {frames} frames, number {number} was asked for")]
    NoSuchFrame {
        /// The artifact.
        artifact: String,
        /// How many frames there are.
        frames: u64,
        /// Which was asked for, from 0.
        number: u64,
    },
}

impl Error {
    /// Names act and path of a machine's refusal, telling apart what a caller must tell apart.
    pub(crate) fn io(act: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { act, path, source },
            io::ErrorKind::FileTooLarge => Self::FileTooLong { act, path, source },
            _ => Self::Io { act, path, source },
        }
    }

    /// Names part and place of what a reader was answered with; damage that was found below is told as it is.
    pub(crate) fn reading(part: &str, offset: u64, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(found) => found,
            Err(source) => Self::Read { part: part.to_owned(), offset, source },
        }
    }

    /// A failed sync. Some file systems tell only then that there is no room.
    pub(crate) fn sync(path: &Path, source: io::Error) -> Self {
        match Self::io("make durable", path, source) {
            Self::Io { path, source, .. } => Self::SyncFailed { path, source },
            other => other,
        }
    }

    /// Takes the error of an [`ArtifactStream`](crate::ArtifactStream) out of the `io::Error` that carries it.
    ///
    /// # Errors
    /// The same `io::Error` when it came from elsewhere.
    pub fn of_stream(error: io::Error) -> Result<Self, io::Error> {
        error.downcast::<Self>()
    }

    /// Whether stored bytes are not what was written: exit code 13.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Entry { .. })
    }

    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } | Self::DiskFull { .. } | Self::SyncFailed { .. } | Self::Read { .. } => {
                ErrorClass::Retry
            }
            Self::Tree { .. } | Self::Glob { .. } | Self::Cancelled => ErrorClass::Ask,
            Self::NewerFormat { .. }
            | Self::Option { .. }
            | Self::Passphrase { .. }
            | Self::FileTooLong { .. }
            | Self::TooManyParts { .. } => ErrorClass::Ask,
            Self::FrameTooLong { .. }
            | Self::FrameLost { .. }
            | Self::Compress { .. }
            | Self::KeyOrder { .. }
            | Self::Json { .. }
            | Self::Damaged { .. }
            | Self::Entry { .. }
            | Self::NoSuchFrame { .. } => ErrorClass::Stop,
        }
    }
}
