//! Writing an artifact's parts: cut at frame ends, hashed on the way, synced at the end.
//!
//! Data can be lost here. A part is durable after its own sync and the sync of its folder; a sync that fails loses the
//! part for good, and with it the artifact. Nobody may read a part before the manifest that names it exists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstock_host::{Host, WriteFile, failpoint};

use super::part_hasher::Hashing;
use super::passage::Passage;
use super::{PART_LIMIT, Part};
use crate::error::{Error, Result};

struct OpenPart {
    path: PathBuf,
    name: String,
    file: Box<dyn WriteFile>,
    size_bytes: u64,
}

/// A part that is durable: its name and its length in bytes.
type EndedPart = (String, u64);

/// Writes stored frames one after the other, into as many files as the part size asks for.
pub(crate) struct PartWriter {
    host: Host,
    folder: PathBuf,
    name: String,
    part_size_bytes: u64,
    reserve_bytes: u64,
    is_long: bool,
    hashing: Hashing,
    current: Option<OpenPart>,
    finished: Vec<EndedPart>,
}

impl PartWriter {
    /// Creates the only part of something short, which must not exist, in a folder that must. It is hashed as it is
    /// written.
    pub(crate) fn short(host: &Host, folder: &Path, name: &str) -> Result<Self> {
        Self::create(host, folder, name, u64::MAX, Hashing::here(), false)
    }

    /// The same for the first part of what may be very long, for [`Self::write_frame`] alone: it goes past the page
    /// cache, and is hashed on threads of its own.
    pub(super) fn long(host: &Host, folder: &Path, name: &str, part_size_bytes: u64) -> Result<Self> {
        let hashing = Hashing::beside()
            .map_err(|source| Error::io("start a thread for", &folder.join(name), source))?;
        Self::create(host, folder, name, part_size_bytes, hashing, true)
    }

    fn create(
        host: &Host,
        folder: &Path,
        name: &str,
        part_size_bytes: u64,
        hashing: Hashing,
        is_long: bool,
    ) -> Result<Self> {
        let mut writer = Self {
            host: host.clone(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            part_size_bytes,
            reserve_bytes: 0,
            is_long,
            hashing,
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
    fn require_space(&self, part: &OpenPart, size_bytes: u64) -> std::io::Result<()> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        let needed_bytes = size_bytes + part.file.pending_bytes();
        self.host.files.require_space(&self.folder, needed_bytes, self.reserve_bytes)
    }

    /// The file name of a part, numbered from 1.
    fn numbered(&self, number: usize) -> String {
        format!("{}.{number:03}", self.name)
    }

    fn open(&self, name: String) -> Result<OpenPart> {
        let path = self.folder.join(&name);
        let file = failpoint::reach("artifact.create_part")
            .and_then(|()| match self.is_long {
                true => self.host.files.create_long(&path),
                false => self.host.files.create_new(&path),
            })
            .map_err(|source| Error::io("create", &path, source))?;
        Ok(OpenPart { path, name, file, size_bytes: 0 })
    }

    /// Writes one frame whole into one part; begins a new part first when it does not fit.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<()> {
        let size_bytes = frame.len() as u64;
        let mut part = self.part_for(size_bytes)?;
        self.hashing.bytes(frame);
        part.file.write_all(frame).map_err(|source| Error::io("write", &part.path, source))?;
        part.size_bytes += size_bytes;
        self.current = Some(part);
        Ok(())
    }

    /// The same for a frame that the hashing threads look at too.
    pub(super) fn write_frame(&mut self, frame: &Arc<Passage>) -> Result<()> {
        let size_bytes = frame.bytes.size_bytes() as u64;
        let mut part = self.part_for(size_bytes)?;
        self.hashing.frame(frame);
        let written = frame.bytes.each_piece(|piece| part.file.write_all(piece));
        written.map_err(|source| Error::io("write", &part.path, source))?;
        part.size_bytes += size_bytes;
        self.current = Some(part);
        Ok(())
    }

    /// The part that a frame of this length goes into, with room for it on the disk.
    fn part_for(&mut self, size_bytes: u64) -> Result<OpenPart> {
        let part = match self.current.take() {
            Some(part) if part.size_bytes == 0 || part.size_bytes + size_bytes <= self.part_size_bytes => {
                part
            }
            Some(full) => self.cut(full)?,
            None => self.open(self.numbered(self.finished.len() + 1))?,
        };
        failpoint::reach("artifact.write")
            .and_then(|()| self.require_space(&part, size_bytes))
            .map_err(|source| Error::io("write", &part.path, source))?;
        Ok(part)
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
        // Separately from the sync: a disk may be full only now.
        part.file.flush().map_err(|source| Error::io("write", &part.path, source))?;
        failpoint::reach("artifact.sync_part")
            .and_then(|()| part.file.sync())
            .map_err(|source| Error::sync(&part.path, source))?;
        self.hashing.end_part();
        self.finished.push((part.name, part.size_bytes));
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
        let hashes = self.hashing.finish().filter(|hashes| hashes.len() == self.finished.len());
        let hashes = hashes.ok_or(Error::FrameLost { artifact: self.name, number: 0 })?;
        let parts = self.finished.into_iter().zip(hashes);
        let part = |((name, size_bytes), (sha256, block_hashes))| Part {
            name,
            size_bytes,
            sha256,
            block_hashes,
            directory_blake3: None,
        };
        Ok(parts.map(part).collect())
    }

    /// Where the bytes written so far end, counted through all parts.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let finished: u64 = self.finished.iter().map(|(_, size_bytes)| size_bytes).sum();
        finished + self.current.as_ref().map_or(0, |part| part.size_bytes)
    }
}
