//! What goes from the walk to the index without a reader: lines of the index before, and members that have no content.

use std::ops::Range;

use super::entry::{FileEntry, FileKind};
use super::read_item::Piece;

/// A batch ends at so many things …
const BATCH_THINGS: usize = 1024;
/// … or so many bytes.
const BATCH_BYTES: usize = 512 << 10;

/// Things in the order of the index. Their bytes lie in two buffers, so that a line costs no memory of its own.
#[derive(Debug, Default)]
pub(super) struct ReadyBatch {
    /// Lines, and the bytes of members.
    pub(super) bytes: Vec<u8>,
    pub(super) keys: Vec<u8>,
    pub(super) things: Vec<Ready>,
}

/// One of them.
#[derive(Debug)]
pub(super) enum Ready {
    /// A line of the index before, to be carried on as it is.
    Line { key: Range<usize>, line: Range<usize>, kind: FileKind, size_bytes: u64 },
    /// An entry of the index before with something new about it.
    Entry(Box<FileEntry>),
    /// A member without content.
    Piece(Box<Piece>),
}

impl ReadyBatch {
    pub(super) fn is_full(&self) -> bool {
        self.things.len() >= BATCH_THINGS || self.bytes.len() >= BATCH_BYTES
    }

    /// Adds a line.
    pub(super) fn line(&mut self, key: &[u8], line: &[u8], kind: FileKind, size_bytes: u64) {
        let (key_start, line_start) = (self.keys.len(), self.bytes.len());
        self.keys.extend_from_slice(key);
        self.bytes.extend_from_slice(line);
        let (key, line) = (key_start..self.keys.len(), line_start..self.bytes.len());
        self.things.push(Ready::Line { key, line, kind, size_bytes });
    }
}
