//! Reading a sealed part as if it were not: positions are those of the text, each segment is proven before it is given out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::backup_seal::DataKey;
use super::header::SealedHeader;
use super::stream::{Layout, SegmentCipher, StreamHeader};
use crate::error::{Error, Result};
use crate::read_at::{ReadAt, read_fully};

/// How many opened segments of an artifact are kept, each of 64 KiB: frames begin in the segment in which others end.
const KEPT_SEGMENTS: usize = 16;
/// How many segments are read at once at most, 1 MiB together: of a storage each reading is a request.
const RUN_SEGMENTS: u32 = 16;

/// Which segment of which part it is.
type Place = (usize, u32);

/// The segments of an artifact that were opened last, whatever part they are of.
#[derive(Default)]
pub struct SegmentCache(Mutex<VecDeque<(Place, Arc<Vec<u8>>)>>);

impl SegmentCache {
    fn get(&self, place: Place) -> Option<Arc<Vec<u8>>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(kept, _)| *kept == place)?;
        let found = kept.remove(at)?;
        let text = Arc::clone(&found.1);
        kept.push_back(found);
        Some(text)
    }

    fn keep(&self, place: Place, text: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|(kept, _)| *kept == place) {
            return;
        }
        if kept.len() >= KEPT_SEGMENTS {
            kept.pop_front();
        }
        kept.push_back((place, Arc::new(text.to_vec())));
    }
}

/// A sealed part, opened. Several threads may read at once.
pub struct OpenedPart {
    name: String,
    source: Box<dyn ReadAt>,
    stored_bytes: u64,
    stream_begins: u64,
    layout: Layout,
    cipher: SegmentCipher,
    number: usize,
    cache: Arc<SegmentCache>,
}

impl OpenedPart {
    /// Opens a part whose header was read and whose key is known. `number` counts the artifact's parts, which share a
    /// cache. Errors call it `name`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when no stream has its length, or it does not begin as one.
    pub fn open(
        source: Box<dyn ReadAt>,
        name: &str,
        header: &SealedHeader,
        key: &DataKey,
        number: usize,
        cache: &Arc<SegmentCache>,
    ) -> Result<Self> {
        header.require_key(key, name)?;
        let unreadable = |offset, source| Error::Read { part: name.to_owned(), offset, source };
        let stored_bytes = source.size_bytes().map_err(|error| unreadable(0, error))?;
        let stream_begins = header.bytes().len() as u64;
        let damaged = |what: &str| Error::Damaged {
            part: name.to_owned(),
            offset: stream_begins,
            size_bytes: stored_bytes.saturating_sub(stream_begins),
            what: what.to_owned(),
        };
        let layout = stored_bytes.checked_sub(stream_begins).and_then(Layout::of_stored);
        let layout = layout.ok_or_else(|| damaged("the file ends in it"))?;
        let mut stream = [0; StreamHeader::BYTES];
        let count = read_fully(&*source, &mut stream, stream_begins)
            .map_err(|error| unreadable(stream_begins, error))?;
        let stream = StreamHeader::parse(&stream).filter(|_| count == stream.len());
        let stream = stream.ok_or_else(|| damaged("its stream does not begin as one does"))?;
        let cipher = SegmentCipher::new(key, &stream, &header.associated_data())
            .ok_or_else(|| damaged("no key comes of its beginning"))?;
        let (name, cache) = (name.to_owned(), Arc::clone(cache));
        Ok(Self { name, source, stored_bytes, stream_begins, layout, cipher, number, cache })
    }

    /// Reads a segment and so many behind it at once, and gives the text of each, proven, to `give`. The last one is kept.
    fn run(&self, first: u32, more: u32, mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (begins, size_bytes) = self.layout.place(first, more);
        let offset = self.stream_begins + begins;
        let mut bytes = vec![0; size_bytes];
        let count = read_fully(&*self.source, &mut bytes, offset).map_err(|source| Error::Read {
            part: self.name.clone(),
            offset,
            source,
        })?;
        let mut rest = &mut bytes[..];
        for segment in first..=first.saturating_add(more) {
            let (begins, size_bytes) = self.layout.place(segment, 0);
            let damaged = |what: &str| Error::Damaged {
                part: self.name.clone(),
                offset: self.stream_begins + begins,
                size_bytes: size_bytes as u64,
                what: what.to_owned(),
            };
            let is_there = begins + size_bytes as u64 <= offset - self.stream_begins + count as u64;
            if !is_there || rest.len() < size_bytes {
                return Err(damaged("the file ends in it"));
            }
            let (now, later) = rest.split_at_mut(size_bytes);
            let is_last = self.layout.is_last(segment);
            let text = self.cipher.open(segment, is_last, now);
            let text = text.ok_or_else(|| {
                damaged("its seal is broken: these are not the bytes that were sealed here")
            })?;
            give(text)?;
            if later.is_empty() {
                self.cache.keep((self.number, segment), text);
                return Ok(());
            }
            rest = later;
        }
        Ok(())
    }

    /// The whole text in order, whether it is all there and proven; nothing is given out that is not.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the region.
    pub fn read_whole(&self, mut give: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for first in (0..=self.layout.last()).step_by(RUN_SEGMENTS as usize) {
            self.run(first, (RUN_SEGMENTS - 1).min(self.layout.last() - first), &mut give)?;
        }
        Ok(())
    }
}

impl ReadAt for OpenedPart {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.layout.text_bytes() || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = buffer.len() as u64;
        let (segment, within) = Layout::find(offset);
        let mut skipped = usize::try_from(within).unwrap_or(usize::MAX);
        let mut filled = 0;
        let mut take = |text: &[u8]| {
            let text = text.get(std::mem::take(&mut skipped)..).unwrap_or_default();
            let count = text.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&text[..count]);
            filled += count;
            Ok(())
        };
        if let Some(text) = self.cache.get((self.number, segment)) {
            take(&text).map_err(io::Error::other)?;
            return Ok(filled);
        }
        let (last, _) = Layout::find(offset.saturating_add(wanted - 1));
        let more = last.min(self.layout.last()).saturating_sub(segment).min(RUN_SEGMENTS - 1);
        self.run(segment, more, take).map_err(io::Error::other)?;
        Ok(filled)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.layout.text_bytes())
    }

    fn stored_bytes(&self) -> io::Result<u64> {
        Ok(self.stored_bytes)
    }
}
