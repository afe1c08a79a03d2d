//! What archiving or extracting a tree came to: counts, bytes, and the first names of what went otherwise.

use backstock_vocabulary::RawText;
use serde::{Deserialize, Serialize};

use super::entry::{FileEntry, FileKind, FileState};

/// How many names a list keeps; the counts are exact.
pub const NAMES_LIMIT: usize = 100;

/// A path made printable, and why it is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPath {
    /// The path; bytes that are no text or that move a cursor are shown as escapes. The exact bytes are in the index.
    pub path: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// How many, and the first names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameList {
    /// How many there were.
    pub count: u64,
    /// The first [`NAMES_LIMIT`] of them.
    pub first: Vec<NamedPath>,
}

impl NameList {
    /// Counts one more.
    pub fn add(&mut self, path: &[u8], reason: Option<&str>) {
        self.count += 1;
        if self.first.len() < NAMES_LIMIT {
            self.first.push(NamedPath { path: printable(path), reason: reason.map(str::to_owned) });
        }
    }
}

/// A path as text that can be shown: valid UTF-8 without control or direction-changing characters stays as it is, any
/// other byte or character becomes an escape.
pub fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let turns =
                matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if letter.is_control() || turns || letter == '\\' {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// What archiving a tree came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeReport {
    /// Files in the archive, further names not counted.
    pub files: u64,
    /// Folders in the archive.
    pub folders: u64,
    /// Symbolic links in the archive.
    pub symlinks: u64,
    /// Further names of files in the archive.
    pub hard_links: u64,
    /// Bytes of content, holes included.
    pub content_bytes: u64,
    /// Bytes of the tar text.
    pub archive_bytes: u64,
    /// Files and folders that exclusions left out (what lies below them is not counted).
    pub excluded: u64,
    /// Note: gone before they could be read.
    pub vanished: NameList,
    /// Note: written to while they were read.
    pub changed: NameList,
    /// Exception: could not be read. The backup is not whole.
    pub unreadable: NameList,
    /// Sockets, pipes and devices, and folders that are never taken.
    pub skipped: NameList,
    /// Of a backup that builds on others: files that are as they were, and lie in those.
    #[serde(default)]
    pub unchanged: u64,
    /// What the backup before has and is not there any more.
    #[serde(default)]
    pub removed: NameList,
    /// Exception: could not be read; the backup has it as an earlier one of its chain does.
    #[serde(default)]
    pub stale: NameList,
    /// Note: the content changed, though length and times did not. A sample showed it.
    #[serde(default)]
    pub hidden: NameList,
    /// After which path the next sample begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_to: Option<RawText>,
}

impl TreeReport {
    /// Counts one line of the index.
    pub fn count(&mut self, entry: &FileEntry) {
        let reason = entry.reason.as_deref();
        match entry.state {
            FileState::Stored => {}
            FileState::Changed => self.changed.add(&entry.path, reason),
            FileState::Vanished => self.vanished.add(&entry.path, reason),
            FileState::Unreadable => self.unreadable.add(&entry.path, reason),
            FileState::Skipped => self.skipped.add(&entry.path, reason),
        }
        if let Some(reason) = &entry.stale {
            self.stale.add(&entry.path, Some(reason));
        }
        if entry.is_stored() {
            self.count_stored(entry.kind, entry.size_bytes);
        }
    }

    /// Counts one line of an index that is carried on as it is.
    pub(crate) fn count_unchanged(&mut self, kind: FileKind, size_bytes: u64) {
        self.unchanged += u64::from(kind == FileKind::File);
        self.count_stored(kind, size_bytes);
    }

    fn count_stored(&mut self, kind: FileKind, size_bytes: u64) {
        match kind {
            FileKind::File => {
                self.files += 1;
                self.content_bytes += size_bytes;
            }
            FileKind::Folder => self.folders += 1,
            FileKind::Symlink => self.symlinks += 1,
            FileKind::HardLink => self.hard_links += 1,
            FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown => {}
        }
    }
}

/// Something about one path that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeNote {
    /// What became of it.
    pub state: FileState,
    /// The path and why.
    pub named: NamedPath,
}

/// Watches a tree being counted, archived, extracted or exchanged, and can stop it. Called from several threads.
pub trait TreeMonitor: Send + Sync {
    /// One entry is done; `bytes` is its content.
    fn file(&self, path: &[u8], bytes: u64);

    /// Something about one path that a person should know.
    fn note(&self, note: &TreeNote);

    /// So many more bytes of content were read or written, of any file, large ones as they go.
    fn bytes(&self, _count: u64) {}

    /// Whether to stop; asked often.
    fn is_cancelled(&self) -> bool;
}

/// Watches nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMonitor;

impl TreeMonitor for NoMonitor {
    fn file(&self, _path: &[u8], _bytes: u64) {}

    fn note(&self, _note: &TreeNote) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_or_is_no_text_is_escaped() {
        assert_eq!(printable("img/кофе 1.jpg".as_bytes()), "img/кофе 1.jpg");
        assert_eq!(printable(b"a\n\t\xff\\b"), "a\\n\\t\\xff\\\\b");
        assert_eq!(printable("x\u{202e}gpj".as_bytes()), "x\\u{202e}gpj");
        assert_eq!(printable(b""), ".");
    }

    #[test]
    fn a_list_keeps_the_first_names_and_counts_all() {
        let mut list = NameList::default();
        for number in 0..250 {
            list.add(format!("f{number}").as_bytes(), None);
        }
        assert_eq!((list.count, list.first.len()), (250, NAMES_LIMIT));
    }
}
