//! What can go wrong while a shop is looked at.

use std::io;
use std::path::PathBuf;

use backstock_vocabulary::ErrorClass;

use crate::layout::Unclear;

/// An act on a shop's folder that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// Nothing is there.
    #[error("the folder {} does not exist", path.display())]
    NoFolder {
        /// What was given.
        path: PathBuf,
    },

    /// Something else than a folder is there.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },

    /// The machine refused.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },

    /// A file is larger than a file of its sort can be.
    #[error("{} has {size_bytes} bytes, at most {limit_bytes} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size_bytes: u64,
        /// The limit in bytes.
        limit_bytes: u64,
    },

    /// A file or folder belongs to somebody else: a shop's configuration must not make us read it.
    #[error("{} lies outside the shop and is not its owner's", path.display())]
    NotOurs {
        /// The file or folder, links resolved.
        path: PathBuf,
    },

    /// A configuration file did not say where the database is.
    #[error("the database settings of {} are not clear: {}", root.display(), what(unclear))]
    NoDatabaseSettings {
        /// The shop's folder.
        root: PathBuf,
        /// What is not clear, and the flags that say it.
        unclear: Vec<Unclear>,
    },
}

/// A result of this crate.
pub type Result<T, E = PlatformError> = std::result::Result<T, E>;

impl PlatformError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoFolder { .. } | Self::NotAFolder { .. } | Self::TooLarge { .. } => ErrorClass::Stop,
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::Interrupted => {
                ErrorClass::Retry
            }
            Self::Unreadable { .. } | Self::NotOurs { .. } | Self::NoDatabaseSettings { .. } => {
                ErrorClass::Ask
            }
        }
    }

    /// The command-line flags that give by hand what could not be read.
    pub fn flags(&self) -> Vec<String> {
        let Self::NoDatabaseSettings { unclear, .. } = self else { return Vec::new() };
        let mut flags: Vec<String> = unclear.iter().flat_map(|item| item.flags.clone()).collect();
        flags.sort();
        flags.dedup();
        flags
    }
}

fn what(unclear: &[Unclear]) -> String {
    if unclear.is_empty() {
        return "this folder names no database".to_owned();
    }
    unclear.iter().map(|item| format!("{} ({})", item.what, item.why)).collect::<Vec<_>>().join("; ")
}
