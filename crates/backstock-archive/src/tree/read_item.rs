//! Turning one thing that the walk found into tar members: header, content, padding, and its line for the index.
//!
//! Data can be lost here. The size in a header is the one of the open file, and exactly so many bytes follow, whatever
//! happens to the file meanwhile; a second look tells whether it was written to. A file that cannot be read is taken
//! out again and named, never replaced by an empty one.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::OFlags;

use super::content::{ContentReader, find_holes, is_compressed_name};
use super::entry::{FileEntry, FileKind, FileState};
use super::facts::{self, Facts};
use super::owners::Owners;
use super::report::TreeMonitor;
use super::walk::{Found, reason_of, state_of};
use crate::artifact::Storing;
use crate::tar::member::{Member, MemberKind};
use crate::tar::sparse::SparseMap;
use crate::tar::{BLOCK_BYTES, pad, padding_bytes};

/// Content up to this length is read whole, so that it can be read again when it changed meanwhile.
pub(crate) const WHOLE_LIMIT_BYTES: u64 = 4 << 20;

/// Files of compressed kinds from this length on are stored; for smaller ones the compressed headers gain more.
pub(crate) const STORE_FROM_BYTES: u64 = 32 << 10;

/// One thing to put into the archive.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) found: Found,
    /// The path under which the same inode was found before.
    pub(crate) first_name: Option<Vec<u8>>,
    /// How the backup before has it, where that holds it.
    pub(crate) known: Option<Box<FileEntry>>,
    /// It looks untouched, and it is its turn to be read all the same: only other content makes it a changed one.
    pub(crate) is_sample: bool,
}

impl Item {
    /// Something that no earlier backup is known to have.
    pub(crate) fn new(found: Found, first_name: Option<Vec<u8>>) -> Self {
        Self { found, first_name, known: None, is_sample: false }
    }
}

/// A file that is open, with everything its header needs.
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) facts: Facts,
    pub(crate) map: Option<SparseMap>,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl OpenFile {
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.map.as_ref().map_or(self.facts.size_bytes, SparseMap::data_bytes)
    }
}

/// How the bytes of an entry want to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaning {
    /// Compressing them pays.
    Compress,
    /// Too few to matter, and compressed already.
    Either,
    /// Compressed already.
    Store,
}

/// One line of the index, and how its bytes want to be kept.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) entry: FileEntry,
    /// Its bytes in the batch; none when nothing is in the archive.
    pub(crate) bytes: Range<usize>,
    pub(crate) leaning: Leaning,
    /// Another file than the walk saw stood there: further names of what the walk saw must not lead to it.
    pub(crate) was_replaced: bool,
    /// Kept for a further name, in case that its first could not be read.
    pub(crate) item: Option<Box<Item>>,
    /// How the backup before has it, where that holds it.
    pub(crate) known: Option<Box<FileEntry>>,
    /// What the sample showed: that it is as it is known, or another content behind the same length and times.
    pub(crate) sampled: Option<Sampled>,
}

/// What reading an untouched file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampled {
    /// The content that is known.
    Same,
    /// Another one.
    Other,
}

/// What became of an item: either its bytes are in the buffer, or it is a long file that is to be streamed.
pub(crate) enum Outcome {
    Done(Box<Piece>),
    Long(Box<LongItem>),
}

/// A file that is too long to be read whole.
pub(crate) struct LongItem {
    pub(crate) found: Found,
    pub(crate) open: OpenFile,
    /// How the backup before has it, where that holds it.
    pub(crate) known: Option<Box<FileEntry>>,
    /// The sample showed another content.
    pub(crate) is_other: bool,
}

/// What became of a file.
enum Content {
    Whole(Box<Piece>),
    TooLong(OpenFile),
}

/// Puts items into buffers.
pub(crate) struct ItemReader<'a> {
    pub(crate) owners: &'a Owners,
    pub(crate) monitor: &'a dyn TreeMonitor,
}

impl ItemReader<'_> {
    /// Appends an item's bytes to the buffer, unless it is a long file.
    pub(crate) fn read(&self, mut item: Item, buffer: &mut Vec<u8>) -> Outcome {
        let start = buffer.len();
        let known = item.known.take();
        let is_link = item.first_name.is_some();
        let kind = item.found.facts.map_or(FileKind::Unknown, |facts| facts.kind);
        let mut piece = match kind {
            FileKind::File if item.found.state == FileState::Stored && !is_link => {
                match self.read_file(&item.found, buffer) {
                    Ok(Content::Whole(piece)) => Self::judged(*piece, item.is_sample, known.as_deref()),
                    Ok(Content::TooLong(open)) if item.is_sample => {
                        match self.sample_long(&item.found, &open, known.as_deref()) {
                            Ok(piece) => piece,
                            Err(long) => return Outcome::Long(Box::new(LongItem { known, ..*long })),
                        }
                    }
                    Ok(Content::TooLong(open)) => {
                        let long = LongItem { found: item.found, open, known, is_other: false };
                        return Outcome::Long(Box::new(long));
                    }
                    Err(error) => {
                        buffer.truncate(start);
                        self.failed(&item.found, &error)
                    }
                }
            }
            _ => self.read_other(&item, buffer),
        };
        if piece.sampled == Some(Sampled::Same) {
            buffer.truncate(start);
        }
        piece.known = known;
        piece.bytes = start..buffer.len();
        if is_link {
            item.known.clone_from(&piece.known);
            piece.item = Some(Box::new(item));
        }
        Outcome::Done(Box::new(piece))
    }

    fn piece(entry: FileEntry, leaning: Leaning) -> Piece {
        Piece { entry, bytes: 0..0, leaning, was_replaced: false, item: None, known: None, sampled: None }
    }

    /// What a file that was read as a sample showed.
    fn judged(mut piece: Piece, is_sample: bool, known: Option<&FileEntry>) -> Piece {
        if is_sample && let Some(known) = known {
            let is_same = piece.entry.state == FileState::Stored && has_content_of(&piece.entry, known);
            piece.sampled = Some(if is_same { Sampled::Same } else { Sampled::Other });
        }
        piece
    }

    /// Reads a long file without keeping it. What does not have the content that is known is to be streamed.
    fn sample_long(
        &self,
        found: &Found,
        open: &OpenFile,
        known: Option<&FileEntry>,
    ) -> Result<Piece, Box<LongItem>> {
        let mut entry = self.file_entry(found, open);
        let mut content = ContentReader::new(&open.file, open.facts.size_bytes, open.map.as_ref());
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            match content.append(&mut buffer, 1 << 20) {
                Ok(0) => break,
                Ok(count) => self.monitor.bytes(count as u64),
                Err(_) => break,
            }
            if self.monitor.is_cancelled() {
                break;
            }
        }
        entry.blake3 = Some(content.hash());
        let is_whole = content.read_bytes == open.stored_bytes() && !content.was_short;
        if is_whole && known.is_some_and(|known| has_content_of(&entry, known)) {
            let piece = Self::piece(entry, Leaning::Compress);
            return Ok(Piece { sampled: Some(Sampled::Same), ..piece });
        }
        // From its beginning again; only what could be read whole is known to be another one.
        match Self::open(found) {
            Ok(open) => {
                let is_other = is_whole && known.is_some();
                Err(Box::new(LongItem { found: found.clone(), open, known: None, is_other }))
            }
            Err(error) => Ok(self.failed(found, &error)),
        }
    }

    fn failed(&self, found: &Found, error: &io::Error) -> Piece {
        let mut entry = self.entry(found, found.facts.as_ref());
        entry.state = state_of(error);
        entry.reason = Some(reason_of(error));
        let mut piece = Self::piece(entry, Leaning::Compress);
        piece.was_replaced = true;
        piece
    }

    /// The line of the index, as far as the facts go.
    pub(crate) fn entry(&self, found: &Found, facts: Option<&Facts>) -> FileEntry {
        let kind = facts.map_or(FileKind::Unknown, |facts| facts.kind);
        let mut entry = FileEntry::new(found.path.clone(), kind, found.state);
        entry.reason.clone_from(&found.reason);
        entry.attributes.clone_from(&found.attributes);
        entry.keeps_stale = found.keeps_stale;
        if let Some(facts) = facts {
            entry.size_bytes = if kind == FileKind::File { facts.size_bytes } else { 0 };
            entry.mode = facts.mode;
            entry.uid = facts.uid;
            entry.gid = facts.gid;
            entry.user_name = self.owners.user(facts.uid).cloned();
            entry.group_name = self.owners.group(facts.gid).cloned();
            entry.modified = facts.modified;
            entry.changed = facts.changed;
            entry.inode = facts.inode;
            entry.device = facts.device;
            entry.links = if kind.can_have_names() { facts.links } else { 1 };
        }
        entry
    }

    /// Appends a member's header.
    pub(crate) fn write_header(entry: &FileEntry, kind: MemberKind<'_>, buffer: &mut Vec<u8>) {
        Member {
            path: &entry.path,
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user_name: entry.user_name.as_deref().map(str::as_bytes),
            group_name: entry.group_name.as_deref().map(str::as_bytes),
            modified: entry.modified.into(),
            attributes: &entry.attributes,
        }
        .write(buffer);
    }

    /// Folders, links, and what only has a line in the index.
    pub(crate) fn read_other(&self, item: &Item, buffer: &mut Vec<u8>) -> Piece {
        let found = &item.found;
        let mut entry = self.entry(found, found.facts.as_ref());
        let is_gone = matches!(entry.state, FileState::Vanished | FileState::Skipped);
        match (entry.kind, &item.first_name) {
            (FileKind::Folder, _) if !is_gone => {
                let kind = found.listing.as_deref().map_or(MemberKind::Folder, MemberKind::ListedFolder);
                Self::write_header(&entry, kind, buffer);
            }
            (FileKind::File | FileKind::Symlink, Some(first)) if entry.state == FileState::Stored => {
                entry.kind = FileKind::HardLink;
                entry.size_bytes = 0;
                entry.link = Some(first.clone());
                Self::write_header(&entry, MemberKind::HardLink(first), buffer);
            }
            (FileKind::Symlink, _) if entry.state == FileState::Stored => {
                match facts::link_target(&*found.parent, &found.name) {
                    Ok(target) => {
                        Self::write_header(&entry, MemberKind::Symlink(&target), buffer);
                        entry.link = Some(target);
                    }
                    Err(error) => return self.failed(found, &error),
                }
            }
            _ => {}
        }
        Self::piece(entry, Leaning::Compress)
    }

    /// Opens a file and learns what its header needs.
    pub(crate) fn open(found: &Found) -> io::Result<OpenFile> {
        let handle = facts::open_for_reading(&*found.parent, &found.name, OFlags::empty())?;
        let facts = Facts::of_handle(&handle)?;
        if facts.kind != FileKind::File {
            // Something else was put there since the walk looked.
            return Err(io::Error::from(rustix::io::Errno::NOENT));
        }
        let attributes = facts::attributes(&handle)?;
        let file = facts::as_file(handle);
        let map = find_holes(&file, &facts)?;
        Ok(OpenFile { file, facts, map, attributes })
    }

    /// How a file's content wants to be kept.
    fn leaning(found: &Found, bytes: u64) -> Leaning {
        match is_compressed_name(&found.name) {
            true if bytes >= STORE_FROM_BYTES => Leaning::Store,
            true => Leaning::Either,
            false => Leaning::Compress,
        }
    }

    /// How the frames of a long file are kept.
    pub(crate) fn storing(found: &Found, bytes: u64) -> Storing {
        if Self::leaning(found, bytes) == Leaning::Store { Storing::Store } else { Storing::Compress }
    }

    /// The line of an open file.
    pub(crate) fn file_entry(&self, found: &Found, open: &OpenFile) -> FileEntry {
        let mut entry = self.entry(found, Some(&open.facts));
        entry.attributes.clone_from(&open.attributes);
        entry.sparse = open.map.is_some();
        entry
    }

    fn read_file(&self, found: &Found, buffer: &mut Vec<u8>) -> io::Result<Content> {
        let start = buffer.len();
        let mut is_second_try = false;
        loop {
            buffer.truncate(start);
            let open = Self::open(found)?;
            let stored_bytes = open.stored_bytes();
            if stored_bytes > WHOLE_LIMIT_BYTES {
                return Ok(Content::TooLong(open));
            }
            let mut entry = self.file_entry(found, &open);
            let size_bytes = open.facts.size_bytes;
            Self::write_header(&entry, MemberKind::File { size_bytes, sparse: open.map.as_ref() }, buffer);
            // At once, so that the buffer is not moved again and again while it grows.
            buffer.reserve(usize::try_from(stored_bytes).unwrap_or(0) + BLOCK_BYTES);
            let mut content = ContentReader::new(&open.file, size_bytes, open.map.as_ref());
            while content.append(buffer, 1 << 20).map_err(|error| at_offset(&error, content.read_bytes))? > 0
            {
            }
            pad(buffer, stored_bytes);
            entry.blake3 = Some(content.hash());
            let after = Facts::of_handle(&open.file)?;
            let has_changed = content.was_short || after.differs_in_content(&open.facts);
            if has_changed && !is_second_try {
                is_second_try = true;
                continue;
            }
            if has_changed {
                entry.state = FileState::Changed;
                entry.reason = Some(change_between(&open.facts, &after));
            }
            self.monitor.bytes(stored_bytes);
            let mut piece = Self::piece(entry, Self::leaning(found, stored_bytes));
            piece.was_replaced = found.facts.is_some_and(|seen| seen.identity() != open.facts.identity());
            return Ok(Content::Whole(Box::new(piece)));
        }
    }
}

/// A long file being streamed, frame by frame.
pub(crate) struct LongFile<'a> {
    open: &'a OpenFile,
    content: ContentReader<'a>,
    pub(crate) entry: FileEntry,
    left_bytes: u64,
    padding_bytes: usize,
}

impl<'a> LongFile<'a> {
    pub(crate) fn new(reader: &ItemReader<'_>, found: &Found, open: &'a OpenFile) -> Self {
        let stored_bytes = open.stored_bytes();
        Self {
            open,
            content: ContentReader::new(&open.file, open.facts.size_bytes, open.map.as_ref()),
            entry: reader.file_entry(found, open),
            left_bytes: stored_bytes,
            padding_bytes: padding_bytes(stored_bytes),
        }
    }

    pub(crate) fn header(&self, buffer: &mut Vec<u8>) {
        let kind =
            MemberKind::File { size_bytes: self.open.facts.size_bytes, sparse: self.open.map.as_ref() };
        ItemReader::write_header(&self.entry, kind, buffer);
    }

    /// Fills the buffer up to `limit`; the header is in the first one. False when everything was given.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>, limit: usize) -> bool {
        while self.left_bytes > 0 && buffer.len() < limit {
            let want = (limit - buffer.len()).min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
            let start = buffer.len();
            if self.entry.state == FileState::Unreadable {
                // The header is out: the archive's frame is kept by filling up. The index says that this is no file.
                buffer.resize(start + want, 0);
            } else if let Err(error) = self.content.append(buffer, want) {
                let error = at_offset(&error, self.content.read_bytes);
                self.entry.state = FileState::Unreadable;
                self.entry.reason = Some(reason_of(&error));
                buffer.resize(start + want, 0);
            }
            self.left_bytes -= want as u64;
        }
        if self.left_bytes == 0 {
            buffer.resize(buffer.len() + self.padding_bytes, 0);
        }
        self.left_bytes > 0
    }

    /// The line of the index, after a second look at the file.
    pub(crate) fn finish(mut self) -> FileEntry {
        if self.entry.state == FileState::Unreadable {
            return self.entry;
        }
        self.entry.blake3 = Some(self.content.hash());
        match Facts::of_handle(&self.open.file) {
            Ok(after) if self.content.was_short || after.differs_in_content(&self.open.facts) => {
                self.entry.state = FileState::Changed;
                self.entry.reason = Some(change_between(&self.open.facts, &after));
            }
            Ok(_) => {}
            Err(error) => {
                self.entry.state = FileState::Changed;
                self.entry.reason = Some(reason_of(&error));
            }
        }
        self.entry
    }
}

/// Whether a file that was just read has the content of another entry.
fn has_content_of(entry: &FileEntry, known: &FileEntry) -> bool {
    (entry.blake3, entry.size_bytes, entry.sparse) == (known.blake3, known.size_bytes, known.sparse)
}

fn at_offset(error: &io::Error, offset: u64) -> io::Error {
    let reason = reason_of(error);
    io::Error::new(error.kind(), format!("{reason} at byte {offset}"))
}

fn change_between(before: &Facts, after: &Facts) -> String {
    if after.size_bytes == before.size_bytes {
        "written to while it was read".to_owned()
    } else {
        format!("{} bytes before it was read, {} after", before.size_bytes, after.size_bytes)
    }
}
