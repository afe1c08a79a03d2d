//! The frame table: where each frame lies, how long its text is, and the hash of its stored bytes.

use serde::{Deserialize, Serialize};

use crate::digest::FrameHash;

/// One frame: offsets count through all parts put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Where its stored bytes begin.
    pub stored_offset: u64,
    /// How many stored bytes there are.
    pub stored_bytes: u32,
    /// How long its text is in bytes.
    pub plaintext_bytes: u32,
    /// Hash of its stored bytes.
    pub hash: FrameHash,
}

/// One frame as an index writes it: `[stored bytes, plaintext bytes, hash]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FrameRow(pub(crate) u32, pub(crate) u32, pub(crate) FrameHash);

/// All frames of an artifact in order, in about 32 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameTable {
    rows: Vec<FrameRow>,
    /// Where each frame ends, so that it begins where the one before ends.
    ends: Vec<u64>,
    plaintext_bytes: u64,
}

impl FrameTable {
    /// How many frames there are.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The frame with this number, counted from 0.
    pub fn get(&self, number: u64) -> Option<Frame> {
        let at = usize::try_from(number).ok()?;
        let FrameRow(stored_bytes, plaintext_bytes, hash) = *self.rows.get(at)?;
        let stored_offset = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(Frame { stored_offset, stored_bytes, plaintext_bytes, hash })
    }

    /// Every frame in order.
    pub fn iter(&self) -> impl Iterator<Item = Frame> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    /// Length of all stored frames in bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Length of all texts in bytes.
    pub fn plaintext_bytes(&self) -> u64 {
        self.plaintext_bytes
    }

    pub(crate) fn push(&mut self, row: FrameRow) {
        self.ends.push(self.stored_bytes() + u64::from(row.0));
        self.plaintext_bytes += u64::from(row.1);
        self.rows.push(row);
    }

    pub(crate) fn rows(&self) -> &[FrameRow] {
        &self.rows
    }

    /// Whether some frame ends exactly there; the beginning counts.
    pub(crate) fn has_end(&self, offset: u64) -> bool {
        offset == 0 || self.ends.binary_search(&offset).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other() {
        let mut table = FrameTable::default();
        for (stored, plain) in [(10, 100), (0, 0), (5, 7)] {
            table.push(FrameRow(stored, plain, FrameHash::of(b"")));
        }
        assert_eq!(table.iter().map(|frame| frame.stored_offset).collect::<Vec<_>>(), [0, 10, 10]);
        assert_eq!((table.stored_bytes(), table.plaintext_bytes(), table.len()), (15, 107, 3));
        assert!(table.has_end(0) && table.has_end(10) && table.has_end(15) && !table.has_end(11));
        assert_eq!(table.get(3), None);
    }
}
