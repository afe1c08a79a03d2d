//! Putting members into frames in the order of the index, and writing their lines.
//!
//! Frames are cut between entries where possible, and not at every change between what compresses and what does not:
//! shops keep an `index.php` in every folder of images, and photographs among their texts. A few strays stay with the
//! others, since short frames cost more than they spare (measured: a fifth of the size on a mixed tree).

use std::collections::HashMap;

use super::entry::{FileEntry, FileKind, FileState};
use super::jobs::Walked;
use super::read_item::{ItemReader, Leaning, LongItem, Outcome, Piece, Sampled};
use super::ready::{Ready, ReadyBatch};
use super::report::{NamedPath, TreeMonitor, TreeNote, TreeReport, printable};
use crate::artifact::{ArtifactWriter, FRAME_SIZE_BYTES, STORED_FRAME_LIMIT_BYTES, Storing};
use crate::index::IndexWriter;
use crate::{Error, Result};

/// A compressible entry up to this length may stay in a stored frame …
const STRAY_LIMIT_BYTES: usize = 16 << 10;
/// … as long as not more than this of them follow one another.
const STRAYS_LIMIT_BYTES: usize = 64 << 10;
/// Compressed content leaves a compressed frame when so much of it follows one another, …
const STORE_RUN_BYTES: usize = 256 << 10;
/// … where each byte of other content takes so many of it back.
const STORE_RUN_RETREAT: usize = 8;

/// What a reader hands over, in the order of the index.
pub(crate) enum Output {
    /// Entries in the order of the index; their bytes lie in the buffer in any order.
    Batch { bytes: Vec<u8>, pieces: Vec<Piece> },
    /// The next frame of a long file, whole.
    LongFrame { bytes: Vec<u8>, storing: Storing, is_first: bool },
    /// The last frame of a long file, and its line.
    LongEnd {
        bytes: Vec<u8>,
        storing: Storing,
        is_first: bool,
        entry: Box<FileEntry>,
        was_replaced: bool,
        known: Option<Box<FileEntry>>,
        is_other: bool,
    },
}

/// Builds frames.
pub(crate) struct Assembler<'a> {
    artifact: &'a ArtifactWriter,
    index: &'a mut IndexWriter,
    reader: &'a ItemReader<'a>,
    monitor: &'a dyn TreeMonitor,
    frame: Vec<u8>,
    storing: Storing,
    /// In a stored frame: bytes since the last that belong there. In another: how far compressed content prevails.
    run_bytes: usize,
    /// The number of this backup within its chain.
    own_number: u32,
    next_frame: u64,
    long_frame: u64,
    /// First names that are not in the archive as the walk saw them, and the name that stands in for each.
    lost_names: HashMap<Vec<u8>, Option<Vec<u8>>>,
    pub(crate) report: TreeReport,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(
        own_number: u32,
        artifact: &'a ArtifactWriter,
        index: &'a mut IndexWriter,
        reader: &'a ItemReader<'a>,
        monitor: &'a dyn TreeMonitor,
    ) -> Self {
        Self {
            artifact,
            index,
            reader,
            monitor,
            frame: Vec::new(),
            storing: Storing::Compress,
            run_bytes: 0,
            own_number,
            next_frame: 0,
            long_frame: 0,
            lost_names: HashMap::new(),
            report: TreeReport::default(),
        }
    }

    /// Takes what a reader hands over.
    pub(crate) fn take(&mut self, output: Output) -> Result<()> {
        match output {
            Output::Batch { bytes, pieces } if is_stored_frame(&bytes, &pieces) => {
                self.stored_frame(bytes, pieces)
            }
            Output::Batch { bytes, pieces } => {
                for piece in pieces {
                    let content = &bytes[piece.bytes.clone()];
                    self.piece(piece, content)?;
                }
                self.artifact.give_back(bytes);
                Ok(())
            }
            Output::LongFrame { bytes, storing, is_first } => self.long_bytes(bytes, storing, is_first),
            Output::LongEnd { bytes, storing, is_first, mut entry, was_replaced, known, is_other } => {
                self.long_bytes(bytes, storing, is_first)?;
                // Also of one that could not be read to its end: a filler stands there, which nobody takes for it.
                entry.frame = Some(self.long_frame);
                entry.held_by = self.own_number;
                if was_replaced || entry.state == FileState::Unreadable {
                    self.lost_names.insert(entry.path.clone(), None);
                }
                if entry.state == FileState::Unreadable
                    && let Some(mut known) = known
                {
                    known.stale = Some(entry.reason.unwrap_or_default());
                    known.filler_frame = entry.frame;
                    return self.carried(&known);
                }
                if is_other {
                    self.hidden_change(&entry);
                }
                self.line(&entry)
            }
        }
    }

    /// Takes what needs no reader: lines as they are known, and members without content.
    pub(crate) fn take_ready(&mut self, batch: ReadyBatch) -> Result<()> {
        let ReadyBatch { bytes, keys, things } = batch;
        for thing in things {
            match thing {
                Ready::Line { key, line, kind, size_bytes } => {
                    let key = &keys[key];
                    self.report.count_unchanged(kind, size_bytes);
                    self.monitor.file(key, size_bytes);
                    self.index.add_line(key, &bytes[line])?;
                }
                Ready::Entry(entry) => self.carried(&entry)?,
                Ready::Piece(piece) => {
                    let content = &bytes[piece.bytes.clone()];
                    self.piece(*piece, content)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the line of what another backup of the chain holds.
    fn carried(&mut self, entry: &FileEntry) -> Result<()> {
        self.report.unchanged += u64::from(entry.kind == FileKind::File && entry.stale.is_none());
        self.line(entry)
    }

    fn hidden_change(&mut self, entry: &FileEntry) {
        let reason = "its content is another one, though length and times are as they were";
        self.report.hidden.add(&entry.path, Some(reason));
        let named = NamedPath { path: printable(&entry.path), reason: Some(reason.to_owned()) };
        self.monitor.note(&TreeNote { state: FileState::Changed, named });
    }

    /// A batch whose buffer becomes a frame as it is.
    fn stored_frame(&mut self, bytes: Vec<u8>, pieces: Vec<Piece>) -> Result<()> {
        self.cut()?;
        self.storing = Storing::Store;
        self.run_bytes = 0;
        for piece in pieces {
            let Piece { mut entry, was_replaced, bytes, .. } = piece;
            if was_replaced {
                self.lost_names.insert(entry.path.clone(), None);
            }
            if !bytes.is_empty() {
                entry.frame = Some(self.next_frame);
                entry.held_by = self.own_number;
                entry.offset_bytes = bytes.start as u64;
            }
            self.line(&entry)?;
        }
        self.report.archive_bytes += bytes.len() as u64;
        self.submit(bytes, Storing::Store)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self, walked: Walked) -> Result<TreeReport> {
        let mut end = Vec::new();
        crate::tar::member::write_end(&mut end);
        self.append(&end)?;
        self.cut()?;
        let Walked { excluded, removed, sampled_to } = walked;
        self.report.excluded = excluded;
        self.report.removed = removed;
        self.report.sampled_to = sampled_to;
        Ok(self.report)
    }

    fn piece(&mut self, piece: Piece, bytes: &[u8]) -> Result<()> {
        let Piece { mut entry, leaning, was_replaced, item, known, sampled, .. } = piece;
        if entry.kind == FileKind::HardLink
            && let Some(first) = &entry.link
            && let Some(stand_in) = self.lost_names.get(first)
        {
            let (first, stand_in) = (first.clone(), stand_in.clone());
            return match item {
                Some(item) => self.read_again(*item, first, stand_in),
                None => Ok(()),
            };
        }
        match (known, sampled) {
            (Some(known), Some(Sampled::Same)) => return self.carried(&known),
            (Some(mut known), _) if entry.state == FileState::Unreadable && bytes.is_empty() => {
                known.stale = Some(entry.reason.unwrap_or_else(|| "it could not be read".to_owned()));
                return self.carried(&known);
            }
            (_, Some(Sampled::Other)) => self.hidden_change(&entry),
            _ => {}
        }
        if was_replaced {
            self.lost_names.insert(entry.path.clone(), None);
        }
        if !bytes.is_empty() {
            self.make_room(leaning, bytes.len())?;
            entry.frame = Some(self.next_frame);
            entry.held_by = self.own_number;
            entry.offset_bytes = self.frame.len() as u64;
            self.append(bytes)?;
        }
        self.line(&entry)
    }

    /// A further name whose first is not in the archive: it becomes the first itself, or a name of one that did.
    fn read_again(
        &mut self,
        mut item: super::read_item::Item,
        first: Vec<u8>,
        stand_in: Option<Vec<u8>>,
    ) -> Result<()> {
        let path = item.found.path.clone();
        let becomes_first = stand_in.is_none();
        item.first_name = stand_in;
        let mut bytes = Vec::new();
        let seen = item.found.facts.map(|facts| facts.identity());
        match self.reader.read(item, &mut bytes) {
            Outcome::Done(mut piece) => {
                piece.item = None;
                if becomes_first && !piece.bytes.is_empty() && !piece.was_replaced {
                    self.lost_names.insert(first, Some(path));
                }
                self.piece(*piece, &bytes)
            }
            Outcome::Long(long) => {
                let was_replaced = seen != Some(long.open.facts.identity());
                stream_long(self.reader, &long, self.artifact, &mut |output| self.take(output))?;
                if !was_replaced && !self.lost_names.contains_key(&path) {
                    self.lost_names.insert(first, Some(path));
                }
                Ok(())
            }
        }
    }

    fn limit(storing: Storing) -> usize {
        match storing {
            Storing::Compress => FRAME_SIZE_BYTES,
            Storing::Store => STORED_FRAME_LIMIT_BYTES,
        }
    }

    /// Cuts the frame when an entry of this leaning and length should begin a new one.
    fn make_room(&mut self, leaning: Leaning, length: usize) -> Result<()> {
        let belongs = match (self.storing, leaning) {
            (Storing::Store, Leaning::Either) => true,
            (Storing::Compress, Leaning::Either) => {
                self.run_bytes += length;
                true
            }
            (Storing::Store, Leaning::Store) => {
                self.run_bytes = 0;
                true
            }
            (Storing::Store, Leaning::Compress) => {
                self.run_bytes += length;
                length <= STRAY_LIMIT_BYTES && self.run_bytes <= STRAYS_LIMIT_BYTES
            }
            (Storing::Compress, Leaning::Compress) => {
                self.run_bytes = self.run_bytes.saturating_sub(length * STORE_RUN_RETREAT);
                true
            }
            (Storing::Compress, Leaning::Store) => {
                self.run_bytes += length;
                self.run_bytes <= STORE_RUN_BYTES
            }
        };
        if !belongs {
            self.cut()?;
            self.storing = if leaning == Leaning::Store { Storing::Store } else { Storing::Compress };
            self.run_bytes = 0;
        } else if self.frame.len() + length > Self::limit(self.storing) {
            self.cut()?;
        }
        Ok(())
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.report.archive_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = Self::limit(self.storing).saturating_sub(self.frame.len());
            if room == 0 {
                self.cut()?;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if self.frame.capacity() == 0 {
                self.frame = buffer_for(self.artifact, self.storing);
            }
            self.frame.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let frame = std::mem::take(&mut self.frame);
        self.submit(frame, self.storing)
    }

    fn submit(&mut self, frame: Vec<u8>, storing: Storing) -> Result<()> {
        let number = self.artifact.frame(frame, storing)?;
        if number != self.next_frame {
            return Err(Error::Tree {
                act: "archive the files",
                what: format!("frame {number} came where {} was expected", self.next_frame),
            });
        }
        self.next_frame += 1;
        Ok(())
    }

    fn long_bytes(&mut self, bytes: Vec<u8>, storing: Storing, is_first: bool) -> Result<()> {
        if is_first {
            self.cut()?;
            self.long_frame = self.next_frame;
        }
        self.report.archive_bytes += bytes.len() as u64;
        self.submit(bytes, storing)
    }

    fn line(&mut self, entry: &FileEntry) -> Result<()> {
        self.report.count(entry);
        if entry.state != FileState::Stored || entry.stale.is_some() {
            let state = if entry.stale.is_some() { FileState::Unreadable } else { entry.state };
            let reason = entry.stale.clone().or_else(|| entry.reason.clone());
            self.monitor.note(&TreeNote { state, named: NamedPath { path: printable(&entry.path), reason } });
        }
        self.monitor.file(&entry.path, entry.size_bytes);
        self.index.add(&entry.path, entry)
    }
}

/// Whether a batch may be a stored frame as it is, which spares a copy of it: so much of it is compressed already that it
/// would leave any other frame, it lies in the order of the index, and only strays are among it.
fn is_stored_frame(bytes: &[u8], pieces: &[Piece]) -> bool {
    let (mut ends, mut stored_bytes, mut strays_bytes) = (0, 0, 0);
    for piece in pieces {
        let length = piece.bytes.len();
        // A further name may have to become a first one.
        let is_judged = piece.known.is_some();
        if is_judged || piece.item.is_some() || length > 0 && piece.bytes.start != ends {
            return false;
        }
        ends += length;
        match piece.leaning {
            Leaning::Compress if length > STRAY_LIMIT_BYTES => return false,
            Leaning::Compress => strays_bytes += length,
            Leaning::Either => {}
            Leaning::Store => stored_bytes += length,
        }
    }
    let is_mostly_stored = stored_bytes > STORE_RUN_BYTES && strays_bytes <= STRAYS_LIMIT_BYTES;
    is_mostly_stored && ends == bytes.len() && ends <= STORED_FRAME_LIMIT_BYTES
}

fn buffer_for(artifact: &ArtifactWriter, storing: Storing) -> Vec<u8> {
    match storing {
        Storing::Compress => artifact.buffer(),
        Storing::Store => artifact.stored_buffer(),
    }
}

/// Streams a long file as frames of its own.
pub(crate) fn stream_long(
    reader: &ItemReader<'_>,
    LongItem { found, open, known, is_other }: &LongItem,
    artifact: &ArtifactWriter,
    send: &mut dyn FnMut(Output) -> Result<()>,
) -> Result<()> {
    // A map of holes may be longer than a stored frame.
    let storing =
        if open.map.is_some() { Storing::Compress } else { ItemReader::storing(found, open.stored_bytes()) };
    let was_replaced = found.facts.is_some_and(|seen| seen.identity() != open.facts.identity());
    let mut long = super::read_item::LongFile::new(reader, found, open);
    let mut is_first = true;
    loop {
        let mut bytes = buffer_for(artifact, storing);
        if is_first {
            long.header(&mut bytes);
        }
        let before = bytes.len();
        // Room for the padding at the end: a stored frame must not exceed its limit.
        let has_more = long.fill(&mut bytes, Assembler::limit(storing) - crate::tar::BLOCK_BYTES);
        reader.monitor.bytes((bytes.len() - before) as u64);
        if !has_more {
            let entry = Box::new(long.finish());
            let (known, is_other) = (known.clone(), *is_other);
            return send(Output::LongEnd { bytes, storing, is_first, entry, was_replaced, known, is_other });
        }
        send(Output::LongFrame { bytes, storing, is_first })?;
        is_first = false;
        if reader.monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
}
