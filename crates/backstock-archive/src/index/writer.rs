//! Writing an index: lines come in the order of their keys and leave as compressed pages.
//!
//! Data can be lost here: without its index an artifact is only good for stock tools. Nothing counts before
//! [`IndexWriter::finish`] has returned.

use std::path::Path;

use backstock_host::{Host, failpoint};
use backstock_vocabulary::Codec;
use serde::Serialize;

use crate::artifact::{ArtifactOptions, Encoder, FrameTable, Part, PartWriter};
use crate::digest::{Digest, FrameHash};
use crate::error::{Error, Result};
use crate::index::directory::{Page, Trailer};
use crate::index::line::{
    EntryLineOut, Format, FramesLineOut, HeaderLine, PageKind, SummaryLine, TextOrBase64,
};
use crate::index::{
    DIRECTORY_LIMIT_BYTES, INDEX_MAJOR, INDEX_NAME, PAGE_LIMIT_BYTES, PAGE_SIZE_BYTES, compare_keys,
};
use crate::seal::ArtifactSeal;

/// How many frames one line of the frame table tells.
const FRAMES_PER_LINE: usize = 256;

/// How an index is to be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct IndexOptions<'a> {
    /// Names of what a reader must know to read on.
    pub critical: &'a [&'a str],
    /// How it is sealed, if it is; then it is called `index.zst.bks`.
    pub seal: Option<&'a ArtifactSeal>,
}

/// Writes one index. It has one page in memory, and about 100 bytes for each page before.
pub struct IndexWriter {
    name: String,
    parts: PartWriter,
    encoder: Encoder,
    pages: Vec<Page>,
    kind: PageKind,
    page: Vec<u8>,
    lines: u32,
    first_key: Vec<u8>,
    last_key: Option<Vec<u8>>,
    stored: Vec<u8>,
}

impl IndexWriter {
    /// Creates `index.zst` in a folder, and writes the header that says what the entries are.
    pub fn create(host: &Host, folder: &Path, header: &impl Serialize) -> Result<Self> {
        Self::create_with(host, folder, &IndexOptions::default(), header)
    }

    /// The same with options.
    pub fn create_with(
        host: &Host,
        folder: &Path,
        options: &IndexOptions<'_>,
        header: &impl Serialize,
    ) -> Result<Self> {
        let IndexOptions { critical, seal } = *options;
        let name = folder.join(INDEX_NAME).display().to_string();
        let options = ArtifactOptions::of(Codec::Zstd, 1);
        let encoder =
            Encoder::new(&options).map_err(|what| Error::Option { artifact: name.clone(), what })?;
        // An index is always one part.
        let parts = PartWriter::short(host, folder, INDEX_NAME, seal)?;
        let mut this = Self {
            name,
            parts,
            encoder,
            pages: Vec::new(),
            kind: PageKind::Header,
            page: Vec::with_capacity(2 * PAGE_SIZE_BYTES),
            lines: 0,
            first_key: Vec::new(),
            last_key: None,
            stored: Vec::new(),
        };
        let format = Format {
            major: INDEX_MAJOR,
            minor: 0,
            critical: critical.iter().map(|name| (*name).to_owned()).collect(),
        };
        this.line(&HeaderLine { format, header })?;
        this.end_page(PageKind::Entries)?;
        Ok(this)
    }

    /// Adds an entry under a key that comes after all keys before it (see [`compare_keys`]).
    pub fn add(&mut self, key: &[u8], entry: &impl Serialize) -> Result<()> {
        self.begin_line(key)?;
        let written = TextOrBase64::of(key);
        self.line(&EntryLineOut { key: written.text, key_base64: written.base64, entry })?;
        self.end_line()
    }

    /// Adds an entry as another index of this form has it: its line to the end, key included.
    pub(crate) fn add_line(&mut self, key: &[u8], line: &[u8]) -> Result<()> {
        self.begin_line(key)?;
        self.page.extend_from_slice(line);
        self.lines += 1;
        self.end_line()
    }

    fn begin_line(&mut self, key: &[u8]) -> Result<()> {
        if let Some(last) = &mut self.last_key {
            if compare_keys(last, key).is_ge() {
                return Err(Error::KeyOrder {
                    index: self.name.clone(),
                    key: key.escape_ascii().to_string(),
                    previous: last.escape_ascii().to_string(),
                });
            }
            last.clear();
            last.extend_from_slice(key);
        } else {
            self.last_key = Some(key.to_vec());
        }
        if self.lines == 0 {
            self.first_key.clear();
            self.first_key.extend_from_slice(key);
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<()> {
        if self.page.len() >= PAGE_SIZE_BYTES { self.end_page(PageKind::Entries) } else { Ok(()) }
    }

    /// Adds the artifact's frame table and a summary, then the directory, and makes the file durable.
    pub fn finish(mut self, frames: &FrameTable, summary: &impl Serialize) -> Result<Part> {
        if self.lines > 0 {
            self.end_page(PageKind::Frames)?;
        }
        self.kind = PageKind::Frames;
        for rows in frames.rows().chunks(FRAMES_PER_LINE) {
            self.line(&FramesLineOut { frames: rows })?;
            if self.page.len() >= PAGE_SIZE_BYTES {
                self.end_page(PageKind::Frames)?;
            }
        }
        if self.lines > 0 {
            self.end_page(PageKind::Summary)?;
        }
        self.kind = PageKind::Summary;
        self.line(&SummaryLine { summary })?;
        self.end_page(PageKind::Summary)?;
        let directory_blake3 = self.write_directory()?;
        failpoint::reach("index.finish")
            .map_err(|source| Error::io("finish", Path::new(&self.name), source))?;
        let mut parts = self.parts.finish()?;
        let mut part =
            parts.pop().ok_or_else(|| Error::FrameLost { artifact: self.name.clone(), number: 0 })?;
        part.directory_blake3 = Some(directory_blake3);
        Ok(part)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let before = self.page.len();
        serde_json::to_writer(&mut self.page, line).map_err(|source| Error::Json {
            act: "write a line of",
            thing: self.name.clone(),
            source,
        })?;
        self.page.push(b'\n');
        let size_bytes = self.page.len() - before;
        if size_bytes > PAGE_LIMIT_BYTES - 2 * PAGE_SIZE_BYTES {
            let limit_bytes = (PAGE_LIMIT_BYTES - 2 * PAGE_SIZE_BYTES) as u64;
            return Err(Error::FrameTooLong {
                artifact: self.name.clone(),
                size_bytes: size_bytes as u64,
                limit_bytes,
            });
        }
        self.lines += 1;
        Ok(())
    }

    /// Compresses and writes the page; the next is of the kind `next`.
    fn end_page(&mut self, next: PageKind) -> Result<()> {
        let offset = self.parts.text_bytes();
        let (stored_bytes, plaintext_bytes) = self.write_frame()?;
        self.pages.push(Page {
            kind: self.kind,
            offset,
            stored_bytes,
            plaintext_bytes,
            lines: std::mem::take(&mut self.lines),
            hash: FrameHash::of(&self.stored),
            first_key: std::mem::take(&mut self.first_key),
        });
        self.kind = next;
        Ok(())
    }

    /// Writes the page buffer as one frame, which stays in `self.stored`, and empties the buffer.
    fn write_frame(&mut self) -> Result<(u32, u32)> {
        self.encoder
            .encode(&self.page, &mut self.stored)
            .map_err(|what| Error::Compress { artifact: self.name.clone(), what })?;
        self.parts.write(&self.stored)?;
        let too_long = |size_bytes: usize| Error::FrameTooLong {
            artifact: self.name.clone(),
            size_bytes: size_bytes as u64,
            limit_bytes: DIRECTORY_LIMIT_BYTES as u64,
        };
        let stored_bytes = u32::try_from(self.stored.len()).map_err(|_| too_long(self.stored.len()))?;
        let plaintext_bytes = u32::try_from(self.page.len()).map_err(|_| too_long(self.page.len()))?;
        self.page.clear();
        Ok((stored_bytes, plaintext_bytes))
    }

    fn write_directory(&mut self) -> Result<Digest<32>> {
        let directory_offset = self.parts.text_bytes();
        for page in &self.pages {
            page.write_line(&mut self.page).map_err(|source| Error::Json {
                act: "write the directory of",
                thing: self.name.clone(),
                source,
            })?;
        }
        if self.page.len() > DIRECTORY_LIMIT_BYTES {
            return Err(Error::FrameTooLong {
                artifact: self.name.clone(),
                size_bytes: self.page.len() as u64,
                limit_bytes: DIRECTORY_LIMIT_BYTES as u64,
            });
        }
        let (directory_stored_bytes, directory_plaintext_bytes) = self.write_frame()?;
        let directory_hash = Digest(*blake3::hash(&self.stored).as_bytes());
        let trailer =
            Trailer { directory_offset, directory_stored_bytes, directory_plaintext_bytes, directory_hash };
        self.parts.write(&trailer.to_bytes())?;
        Ok(directory_hash)
    }
}
