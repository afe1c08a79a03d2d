//! The page directory and the trailer that finds it.

use std::borrow::Cow;

use crate::digest::{Digest, FrameHash};
use crate::index::compare_keys;
use crate::index::line::{PageFacts, PageKind, PageLine, TextOrBase64};
use crate::index::{DIRECTORY_LIMIT_BYTES, INDEX_MAJOR, PAGE_LIMIT_BYTES};

/// Skippable frame number 0 (RFC 8878 section 3.1.2), little-endian.
const SKIPPABLE_MAGIC: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
const TRAILER_MAGIC: &[u8; 8] = b"BKSINDEX";
const TRAILER_CONTENT_BYTES: usize = 64;
/// Length of the whole trailer in bytes.
pub(super) const TRAILER_BYTES: usize = 8 + TRAILER_CONTENT_BYTES;

/// Where one page lies and what it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) kind: PageKind,
    pub(super) offset: u64,
    pub(super) stored_bytes: u32,
    pub(super) plaintext_bytes: u32,
    pub(super) lines: u32,
    pub(super) hash: FrameHash,
    /// Empty unless the page holds entries.
    pub(super) first_key: Vec<u8>,
}

impl Page {
    /// Its line in the directory.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let key = match self.kind {
            PageKind::Entries => TextOrBase64::of(&self.first_key),
            _ => TextOrBase64::default(),
        };
        let page = PageFacts {
            kind: self.kind,
            stored_bytes: self.stored_bytes,
            plaintext_bytes: self.plaintext_bytes,
            lines: self.lines,
            blake3: self.hash,
            key: key.text,
            key_base64: key.base64,
        };
        serde_json::to_writer(&mut *out, &PageLine { page })?;
        out.push(b'\n');
        Ok(())
    }
}

/// Reads the directory's lines and checks that the pages can be an index.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Page>, String> {
    let mut pages: Vec<Page> = Vec::new();
    let mut offset = 0_u64;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let PageLine { page } =
            serde_json::from_slice(line).map_err(|error| format!("a line of the directory: {error}"))?;
        let PageFacts { kind, stored_bytes, plaintext_bytes, lines, blake3, key, key_base64 } = page;
        if plaintext_bytes as usize > PAGE_LIMIT_BYTES || stored_bytes as usize > 2 * PAGE_LIMIT_BYTES {
            return Err(format!("a page of {plaintext_bytes} bytes is not possible"));
        }
        let first_key = match kind {
            PageKind::Entries => {
                TextOrBase64 { text: key.map(|key| Cow::Owned(key.into_owned())), base64: key_base64 }
                    .bytes()?
            }
            _ => Vec::new(),
        };
        if let Some(before) = pages.last() {
            let both_entries = before.kind == PageKind::Entries && kind == PageKind::Entries;
            if kind < before.kind || both_entries && compare_keys(&before.first_key, &first_key).is_ge() {
                return Err("the pages are not in order".to_owned());
            }
        }
        pages.push(Page { kind, offset, stored_bytes, plaintext_bytes, lines, hash: blake3, first_key });
        offset += u64::from(stored_bytes);
    }
    let count = |kind| pages.iter().filter(|page| page.kind == kind).count();
    if count(PageKind::Header) != 1 || count(PageKind::Summary) != 1 {
        return Err("it has no header or no summary".to_owned());
    }
    Ok(pages)
}

/// Where the directory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) directory_offset: u64,
    pub(super) directory_stored_bytes: u32,
    pub(super) directory_plaintext_bytes: u32,
    pub(super) directory_hash: Digest<32>,
}

impl Trailer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend_from_slice(&SKIPPABLE_MAGIC);
        bytes.extend_from_slice(&64_u32.to_le_bytes());
        bytes.extend_from_slice(TRAILER_MAGIC);
        bytes.extend_from_slice(&INDEX_MAJOR.to_le_bytes());
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&self.directory_offset.to_le_bytes());
        bytes.extend_from_slice(&self.directory_stored_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.directory_plaintext_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.directory_hash.0);
        bytes
    }

    /// Reads the trailer at the end of a file of this many bytes. `Err(None)`: it is of another version.
    pub(super) fn parse(bytes: &[u8], file_bytes: u64) -> Result<Self, TrailerError> {
        let damaged = |what: &str| TrailerError::Damaged(what.to_owned());
        if bytes.len() != TRAILER_BYTES || bytes[..4] != SKIPPABLE_MAGIC || &bytes[8..16] != TRAILER_MAGIC {
            return Err(damaged("there is no index's trailer at its end"));
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if number(16) != INDEX_MAJOR {
            return Err(TrailerError::Newer(number(16)));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[40..72]);
        let trailer = Self {
            directory_offset: u64::from(number(24)) | u64::from(number(28)) << 32,
            directory_stored_bytes: number(32),
            directory_plaintext_bytes: number(36),
            directory_hash: Digest(hash),
        };
        let end = trailer
            .directory_offset
            .checked_add(u64::from(trailer.directory_stored_bytes))
            .and_then(|end| end.checked_add(TRAILER_BYTES as u64));
        if number(4) != 64 || number(20) != 0 || end != Some(file_bytes) {
            return Err(damaged("its trailer does not fit its length"));
        }
        if trailer.directory_plaintext_bytes as usize > DIRECTORY_LIMIT_BYTES {
            return Err(damaged("its directory is too long"));
        }
        Ok(trailer)
    }
}

/// Why there is no trailer to use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TrailerError {
    Damaged(String),
    /// Another major version.
    Newer(u32),
}
