//! One step of an exchange, as the plan file keeps it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::super::entry::{FileEntry, FileKind, FileTime};
use super::super::facts::Facts;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Puts something where nothing is.
    Add,
    /// Puts something where something else is, which goes aside.
    Replace,
    /// Puts aside what the backup does not have.
    Quarantine,
    /// Gives owner, mode, attributes and times to what stays. Of folders: after everything in them is done.
    Metadata,
}

/// Where a step's content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// The archive.
    Archive,
    /// A further name of what another step puts there.
    LinkToStep(u64),
    /// A further name of a live file that stays: the path is in `link`.
    LinkToLive,
}

/// Owner, mode, attributes and time of something live, as it was before the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveFacts {
    pub(crate) kind: FileKind,
    pub(crate) inode: u64,
    pub(crate) size_bytes: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: FileTime,
    /// Name and value, base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<(String, String)>,
}

impl LiveFacts {
    pub(crate) fn of(facts: &Facts, attributes: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let encode = |(name, value): &(Vec<u8>, Vec<u8>)| (STANDARD.encode(name), STANDARD.encode(value));
        Self {
            kind: facts.kind,
            inode: facts.inode,
            size_bytes: facts.size_bytes,
            mode: facts.mode,
            uid: facts.uid,
            gid: facts.gid,
            modified: facts.modified,
            attributes: attributes.iter().map(encode).collect(),
        }
    }

    /// As an entry, so that the same code can give them back.
    pub(crate) fn as_entry(&self, path: &[u8]) -> FileEntry {
        let decode = |text: &String| STANDARD.decode(text).unwrap_or_default();
        let mut entry = FileEntry::new(path.to_vec(), self.kind, super::super::entry::FileState::Stored);
        entry.size_bytes = self.size_bytes;
        entry.mode = self.mode;
        entry.uid = self.uid;
        entry.gid = self.gid;
        entry.modified = self.modified;
        entry.attributes =
            self.attributes.iter().map(|(name, value)| (decode(name), decode(value))).collect();
        entry
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// Counted from 0. The slots in the staging folder have this name.
    pub(crate) number: u64,
    /// Which root.
    pub(crate) root: usize,
    pub(crate) act: Act,
    /// Path below the root, base64.
    path: String,
    /// What is to be there. Nothing for a quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<FileEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// What was there when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<LiveFacts>,
}

impl Step {
    pub(crate) fn new(number: u64, root: usize, act: Act, path: &[u8]) -> Self {
        Self { number, root, act, path: STANDARD.encode(path), entry: None, origin: None, live: None }
    }

    /// The path below the root.
    pub(crate) fn path(&self) -> Vec<u8> {
        STANDARD.decode(&self.path).unwrap_or_default()
    }

    /// Whether it puts something into the staging folder first.
    pub(crate) fn is_staged(&self) -> bool {
        matches!(self.act, Act::Add | Act::Replace)
    }

    /// The kind of what it puts there.
    pub(crate) fn kind(&self) -> Option<FileKind> {
        self.entry.as_ref().map(|entry| entry.kind)
    }
}
