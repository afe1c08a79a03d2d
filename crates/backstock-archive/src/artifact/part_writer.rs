//! Writing an artifact's parts: cut at frame ends, hashed on the way, synced at the end.
//!
//! Data can be lost here. A part is durable after its own sync and the sync of its folder; a sync that fails loses the
//! part for good, and with it the artifact. Nobody may read a part before the manifest that names it exists.

use std::path::{Path, PathBuf};

use backstock_host::{Host, WriteFile, failpoint};
use ring::digest::{Context, SHA256};

use super::{BLOCK_SIZE_BYTES, PART_LIMIT, Part};
use crate::digest::Sha256;
use crate::error::{Error, Result};

/// Hashes a part as a whole and by blocks. The first block costs nothing: until its end both hashes are one.
struct PartHasher {
    whole: Context,
    /// The block begun, unless it is the first.
    block: Option<Context>,
    block_filled_bytes: u64,
    blocks: Vec<Sha256>,
}

impl PartHasher {
    fn new() -> Self {
        Self { whole: Context::new(&SHA256), block: None, block_filled_bytes: 0, blocks: Vec::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_SIZE_BYTES - self.block_filled_bytes;
            let count = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(count);
            self.whole.update(now);
            if let Some(block) = &mut self.block {
                block.update(now);
            }
            self.block_filled_bytes += count as u64;
            if self.block_filled_bytes == BLOCK_SIZE_BYTES {
                self.end_block();
            }
            bytes = later;
        }
    }

    fn end_block(&mut self) {
        let block = self.block.replace(Context::new(&SHA256)).unwrap_or_else(|| self.whole.clone());
        self.blocks.push(Sha256::from_ring(&block.finish()));
        self.block_filled_bytes = 0;
    }

    fn finish(mut self) -> (Sha256, Vec<Sha256>) {
        if self.block_filled_bytes > 0 {
            self.end_block();
        }
        (Sha256::from_ring(&self.whole.finish()), self.blocks)
    }
}

struct OpenPart {
    path: PathBuf,
    name: String,
    file: Box<dyn WriteFile>,
    hasher: PartHasher,
    size_bytes: u64,
}

/// Writes stored frames one after the other, into as many files as the part size asks for.
pub(crate) struct PartWriter {
    host: Host,
    folder: PathBuf,
    name: String,
    part_size_bytes: u64,
    reserve_bytes: u64,
    current: Option<OpenPart>,
    finished: Vec<Part>,
}

impl PartWriter {
    /// Creates the first part's file, which must not exist, in a folder that must.
    pub(crate) fn create(host: &Host, folder: &Path, name: &str, part_size_bytes: u64) -> Result<Self> {
        let mut writer = Self {
            host: host.clone(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            part_size_bytes,
            reserve_bytes: 0,
            current: None,
            finished: Vec::new(),
        };
        writer.current = Some(writer.open(name.to_owned())?);
        Ok(writer)
    }

    /// The same, leaving so many bytes of the disk free.
    pub(crate) fn with_reserve(self, reserve_bytes: u64) -> Self {
        Self { reserve_bytes, ..self }
    }

    /// Asks before every frame: others write to the disk too.
    fn require_space(&self, size_bytes: u64) -> std::io::Result<()> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        self.host.files.require_space(&self.folder, size_bytes, self.reserve_bytes)
    }

    /// The file name of a part, numbered from 1.
    fn numbered(&self, number: usize) -> String {
        format!("{}.{number:03}", self.name)
    }

    fn open(&self, name: String) -> Result<OpenPart> {
        let path = self.folder.join(&name);
        let file = failpoint::reach("artifact.create_part")
            .and_then(|()| self.host.files.create_new(&path))
            .map_err(|source| Error::io("create", &path, source))?;
        Ok(OpenPart { path, name, file, hasher: PartHasher::new(), size_bytes: 0 })
    }

    /// Writes one frame whole into one part; begins a new part first when it does not fit.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<()> {
        let size_bytes = frame.len() as u64;
        let mut part = match self.current.take() {
            Some(part) if part.size_bytes == 0 || part.size_bytes + size_bytes <= self.part_size_bytes => {
                part
            }
            Some(full) => self.cut(full)?,
            None => self.open(self.numbered(self.finished.len() + 1))?,
        };
        failpoint::reach("artifact.write")
            .and_then(|()| self.require_space(size_bytes))
            .and_then(|()| part.file.write_all(frame))
            .map_err(|source| Error::io("write", &part.path, source))?;
        part.hasher.update(frame);
        part.size_bytes += size_bytes;
        self.current = Some(part);
        Ok(())
    }

    /// Ends a full part and begins the next. The first part gets its number only now: an only part has none.
    fn cut(&mut self, mut full: OpenPart) -> Result<OpenPart> {
        if self.finished.len() + 1 >= PART_LIMIT {
            return Err(Error::TooManyParts { artifact: self.name.clone(), limit: PART_LIMIT });
        }
        if self.finished.is_empty() {
            full.name = self.numbered(1);
            let numbered = self.folder.join(&full.name);
            self.host
                .files
                .rename(&full.path, &numbered)
                .map_err(|source| Error::io("rename", &full.path, source))?;
            full.path = numbered;
        }
        self.end(full)?;
        self.open(self.numbered(self.finished.len() + 1))
    }

    fn end(&mut self, mut part: OpenPart) -> Result<()> {
        failpoint::reach("artifact.sync_part")
            .and_then(|()| part.file.sync())
            .map_err(|source| Error::sync(&part.path, source))?;
        let (sha256, block_sha256) = part.hasher.finish();
        let OpenPart { name, size_bytes, .. } = part;
        self.finished.push(Part { name, size_bytes, sha256, block_sha256, directory_blake3: None });
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) fn finish(mut self) -> Result<Vec<Part>> {
        if let Some(part) = self.current.take() {
            self.end(part)?;
        }
        failpoint::reach("artifact.sync_folder")
            .and_then(|()| self.host.files.sync_folder(&self.folder))
            .map_err(|source| Error::sync(&self.folder, source))?;
        Ok(self.finished)
    }

    /// Where the bytes written so far end, counted through all parts.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let finished: u64 = self.finished.iter().map(|part| part.size_bytes).sum();
        finished + self.current.as_ref().map_or(0, |part| part.size_bytes)
    }
}
