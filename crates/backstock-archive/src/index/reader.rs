//! Reading an index: the directory at opening, then only the pages that are asked for, each checked before it is used.

use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use backstock_vocabulary::Codec;

use crate::artifact::{Frame, FrameTable, Part, decode_frame};
use crate::digest::{Digest, FrameHash};
use crate::error::{Error, Result};
use crate::index::directory::{self, Page, TRAILER_BYTES, Trailer, TrailerError};
use crate::index::line::{
    EntryLine, FormatLine, FramesLine, HeaderLine, PageKind, SummaryLine, TextOrBase64,
};
use crate::index::{INDEX_MAJOR, KNOWN_CRITICAL, compare_keys, is_at_or_below};
use crate::read_at::{ReadAt, read_fully};

/// One entry of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry<E> {
    /// Its key.
    pub key: Vec<u8>,
    /// What was written under it.
    pub entry: E,
}

/// Receives the key of a line, its entry, and where it stands in its page's text.
type EachLine<'a, E> = dyn FnMut(&[u8], E, Range<usize>) + 'a;

/// Reads one index, in the memory of its directory and one page.
#[derive(Debug)]
pub struct IndexReader<R> {
    name: String,
    source: R,
    /// Asked for once: of a storage it may be a request.
    file_bytes: u64,
    pages: Vec<Page>,
    directory_hash: Digest<32>,
}

impl<R: ReadAt> IndexReader<R> {
    /// Opens an index. `facts` are the manifest's words about it; its name is what errors call it.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the region; [`Error::NewerFormat`] when a newer program wrote it.
    pub fn open(source: R, facts: &Part) -> Result<Self> {
        Self::open_with(source, &facts.name, Some(facts))
    }

    /// Opens an index that no manifest speaks of: one that is only as good as its own hashes.
    pub fn open_unsigned(source: R, name: &str) -> Result<Self> {
        Self::open_with(source, name, None)
    }

    fn open_with(source: R, name: &str, facts: Option<&Part>) -> Result<Self> {
        let unreadable = |error| Error::reading(name, 0, error);
        let file_bytes = source.size_bytes().map_err(unreadable)?;
        let stored_bytes = source.stored_bytes().map_err(unreadable)?;
        let mut this = Self {
            name: name.to_owned(),
            source,
            file_bytes,
            pages: Vec::new(),
            directory_hash: Digest([0; 32]),
        };
        if let Some(facts) = facts
            && facts.size_bytes != stored_bytes
        {
            let what = format!("it has {stored_bytes} bytes, {} were written", facts.size_bytes);
            return Err(this.damaged(0, stored_bytes, what));
        }
        let trailer_offset = file_bytes.saturating_sub(TRAILER_BYTES as u64);
        let trailer =
            this.read(trailer_offset, TRAILER_BYTES.min(usize::try_from(file_bytes).unwrap_or(0)))?;
        let trailer = Trailer::parse(&trailer, file_bytes).map_err(|error| match error {
            TrailerError::Damaged(what) => this.damaged(trailer_offset, TRAILER_BYTES as u64, what),
            TrailerError::Newer(major) => Error::NewerFormat {
                thing: name.to_owned(),
                what: format!("version {major}, this program reads {INDEX_MAJOR}"),
            },
        })?;
        if let Some(told) = facts.and_then(|facts| facts.directory_blake3)
            && told != trailer.directory_hash
        {
            let what = "its directory is not the one that the manifest tells".to_owned();
            return Err(this.damaged(trailer_offset, TRAILER_BYTES as u64, what));
        }
        this.directory_hash = trailer.directory_hash;
        this.pages = this.read_directory(&trailer)?;
        let format = this.page_lines::<FormatLine>(PageKind::Header)?.format;
        let is_known = |name: &String| KNOWN_CRITICAL.contains(&name.as_str());
        if format.major != INDEX_MAJOR || !format.critical.iter().all(is_known) {
            return Err(Error::NewerFormat {
                thing: name.to_owned(),
                what: format!("version {}, critical: {}", format.major, format.critical.join(", ")),
            });
        }
        Ok(this)
    }

    fn read_directory(&self, trailer: &Trailer) -> Result<Vec<Page>> {
        let (offset, size) = (trailer.directory_offset, trailer.directory_stored_bytes);
        let damaged = |what: String| self.damaged(offset, u64::from(size), what);
        let stored = self.read(offset, size as usize)?;
        if Digest(*blake3::hash(&stored).as_bytes()) != trailer.directory_hash {
            return Err(damaged("the directory does not have its hash".to_owned()));
        }
        let text = decode_page(&stored, trailer.directory_plaintext_bytes).map_err(damaged)?;
        let pages = directory::parse(&text).map_err(damaged)?;
        let end = pages.last().map_or(0, |page| page.offset + u64::from(page.stored_bytes));
        if end != offset {
            return Err(damaged(format!("its pages end at byte {end}")));
        }
        Ok(pages)
    }

    /// The header that its writer gave.
    pub fn header<H: DeserializeOwned>(&self) -> Result<H> {
        Ok(self.page_lines::<HeaderLine<H>>(PageKind::Header)?.header)
    }

    /// The summary that its writer gave.
    pub fn summary<S: DeserializeOwned>(&self) -> Result<S> {
        Ok(self.page_lines::<SummaryLine<S>>(PageKind::Summary)?.summary)
    }

    /// BLAKE3 of its directory as stored, and through it of every page: what the manifest calls `directory_blake3`.
    pub fn directory_blake3(&self) -> Digest<32> {
        self.directory_hash
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> u64 {
        self.pages_of(PageKind::Entries).map(|page| u64::from(page.lines)).sum()
    }

    /// The frame table of the artifact.
    pub fn frame_table(&self) -> Result<FrameTable> {
        let mut table = FrameTable::default();
        for page in self.pages_of(PageKind::Frames) {
            let text = self.page(page)?;
            for line in lines(&text) {
                let FramesLine { frames } = self.parse(page, line)?;
                frames.into_iter().for_each(|row| table.push(row));
            }
        }
        Ok(table)
    }

    /// Every entry in the order of keys, with one page in memory at a time.
    pub fn entries<E: DeserializeOwned>(&self) -> impl Iterator<Item = Result<IndexEntry<E>>> {
        self.range(b"")
    }

    /// The entry with this key and everything below it: `a`, `a/b`, `a/b/c`, but not `ab`.
    pub fn range<'s, E: DeserializeOwned>(
        &'s self,
        key: &[u8],
    ) -> impl Iterator<Item = Result<IndexEntry<E>>> + use<'s, E, R> {
        let key = key.to_vec();
        let first = self.page_with(&key).unwrap_or(0);
        let mut pages = self.pages[first..].iter().filter(|page| page.kind == PageKind::Entries);
        let mut current: Vec<IndexEntry<E>> = Vec::new();
        let mut is_over = false;
        let mut next = move || -> Result<Option<IndexEntry<E>>> {
            loop {
                if let Some(entry) = current.pop() {
                    if is_at_or_below(&entry.key, &key) {
                        return Ok(Some(entry));
                    }
                    if compare_keys(&entry.key, &key).is_ge() {
                        return Ok(None);
                    }
                    continue;
                }
                let Some(page) = pages.next() else { return Ok(None) };
                current = self.page_entries(page)?;
                current.reverse();
            }
        };
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let item = next().transpose();
            is_over = !matches!(item, Some(Ok(_)));
            item
        })
    }

    /// Gives each line of a page of entries, the first page being 0: its key, its entry, and where it stands in the page's text.
    /// Returns that text; `None` when there are no more pages.
    pub(crate) fn each_line<E: DeserializeOwned>(
        &self,
        number: usize,
        each: &mut EachLine<'_, E>,
    ) -> Result<Option<Vec<u8>>> {
        let Some(page) = self.pages_of(PageKind::Entries).nth(number) else { return Ok(None) };
        let text = self.page(page)?;
        let (mut start, mut last): (usize, Option<Vec<u8>>) = (0, None);
        for line in lines(&text) {
            let EntryLine { key, key_base64, entry } = self.parse::<EntryLine<'_, E>>(page, line)?;
            let decoded;
            let key = match (&key, key_base64) {
                (Some(text), None) => text.as_bytes(),
                (_, base64) => {
                    decoded = self.key(page, key, base64)?;
                    &decoded
                }
            };
            follow(&mut last, key, page).map_err(|what| self.damaged_page(page, what))?;
            each(key, entry, start..start + line.len());
            start += line.len();
        }
        Ok(Some(text))
    }

    /// The entry with exactly this key, from the one page that can hold it.
    pub fn find<E: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<E>> {
        let Some(at) = self.page_with(key) else { return Ok(None) };
        let page = &self.pages[at];
        let text = self.page(page)?;
        for line in lines(&text) {
            let head: EntryLine<'_, IgnoredAny> = self.parse(page, line)?;
            if self.key(page, head.key, head.key_base64)? == key {
                let EntryLine { entry, .. } = self.parse::<EntryLine<'_, E>>(page, line)?;
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn pages_of(&self, kind: PageKind) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.kind == kind)
    }

    /// The only page of entries that can hold this key, by its position among all pages.
    fn page_with(&self, key: &[u8]) -> Option<usize> {
        let is_before = |page: &Page| match page.kind {
            PageKind::Header => true,
            PageKind::Entries => compare_keys(&page.first_key, key).is_le(),
            PageKind::Frames | PageKind::Summary => false,
        };
        let at = self.pages.partition_point(is_before).checked_sub(1)?;
        (self.pages[at].kind == PageKind::Entries).then_some(at)
    }

    /// The entries of a page, which must come in order and begin with the directory's key.
    fn page_entries<E: DeserializeOwned>(&self, page: &Page) -> Result<Vec<IndexEntry<E>>> {
        let text = self.page(page)?;
        let mut entries: Vec<IndexEntry<E>> = Vec::with_capacity(page.lines.min(4096) as usize);
        for line in lines(&text) {
            let EntryLine { key, key_base64, entry } = self.parse::<EntryLine<'_, E>>(page, line)?;
            let key = self.key(page, key, key_base64)?;
            let is_in_order = match entries.last() {
                Some(before) => compare_keys(&before.key, &key).is_lt(),
                None => key == page.first_key,
            };
            if !is_in_order {
                return Err(self.damaged_page(page, "its keys are not in order".to_owned()));
            }
            entries.push(IndexEntry { key, entry });
        }
        Ok(entries)
    }

    fn key(
        &self,
        page: &Page,
        text: Option<std::borrow::Cow<'_, str>>,
        base64: Option<String>,
    ) -> Result<Vec<u8>> {
        TextOrBase64 { text, base64 }.bytes().map_err(|what| self.damaged_page(page, what))
    }

    /// The only line of the only page of a kind.
    fn page_lines<T: DeserializeOwned>(&self, kind: PageKind) -> Result<T> {
        let page = self
            .pages_of(kind)
            .next()
            .ok_or_else(|| self.damaged(0, 0, "it has no header or no summary".to_owned()))?;
        let text = self.page(page)?;
        self.parse(page, &text)
    }

    /// The text of a page, checked against its hash.
    fn page(&self, page: &Page) -> Result<Vec<u8>> {
        let stored = self.read(page.offset, page.stored_bytes as usize)?;
        if FrameHash::of(&stored) != page.hash {
            return Err(self.damaged_page(page, "the page does not have its hash".to_owned()));
        }
        decode_page(&stored, page.plaintext_bytes).map_err(|what| self.damaged_page(page, what))
    }

    fn parse<'a, T: Deserialize<'a>>(&self, page: &Page, line: &'a [u8]) -> Result<T> {
        serde_json::from_slice(line).map_err(|error| self.damaged_page(page, format!("a line: {error}")))
    }

    fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        if offset.saturating_add(count as u64) > self.file_bytes {
            return Err(self.damaged(offset, count as u64, "the file ends before".to_owned()));
        }
        let mut bytes = vec![0; count];
        let read =
            read_fully(&self.source, &mut bytes, offset).map_err(|source| self.unreadable(offset, source))?;
        if read < count {
            return Err(self.damaged(offset, count as u64, "the file ends in it".to_owned()));
        }
        Ok(bytes)
    }

    fn damaged_page(&self, page: &Page, what: String) -> Error {
        self.damaged(page.offset, u64::from(page.stored_bytes), what)
    }

    fn damaged(&self, offset: u64, size_bytes: u64, what: String) -> Error {
        Error::Damaged { part: self.name.clone(), offset, size_bytes, what }
    }

    fn unreadable(&self, offset: u64, source: std::io::Error) -> Error {
        Error::reading(&self.name, offset, source)
    }
}

/// Checks that a key comes after the one before, or is that with which its page begins.
fn follow(last: &mut Option<Vec<u8>>, key: &[u8], page: &Page) -> Result<(), String> {
    let is_in_order = match last.as_deref() {
        Some(before) => compare_keys(before, key).is_lt(),
        None => key == page.first_key,
    };
    if !is_in_order {
        return Err("its keys are not in order".to_owned());
    }
    let last = last.get_or_insert_default();
    last.clear();
    last.extend_from_slice(key);
    Ok(())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn decode_page(stored: &[u8], plaintext_bytes: u32) -> Result<Vec<u8>, String> {
    let stored_bytes = u32::try_from(stored.len()).unwrap_or(u32::MAX);
    let frame = Frame { stored_offset: 0, stored_bytes, plaintext_bytes, hash: FrameHash::of(b"") };
    decode_frame(Codec::Zstd, stored, &frame)
}
