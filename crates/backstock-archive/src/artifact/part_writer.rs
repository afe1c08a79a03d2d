//! Writing an artifact's parts: cut at frame ends, hashed on the way, synced at the end.
//!
//! Data can be lost here. A part is durable after its own sync and the sync of its folder; a sync that fails loses the
//! part for good, and with it the artifact. Nobody may read a part before the manifest that names it exists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstock_host::{Host, WriteFile, failpoint};

use super::part_hasher::{Hashing, PartEnded};
use super::passage::Passage;
use super::{PART_LIMIT, Part};
use crate::error::{Error, Result};
use crate::layout;
use crate::seal::{ArtifactSeal, PartSealer};

/// So many parts are as long as was asked for.
const EQUAL_PARTS: usize = 600;
/// After so many more each, parts become twice as long.
const PARTS_PER_DOUBLING: usize = 50;
/// Parts do not grow beyond this length, in bytes: they may have to pass through a spool.
const GROWN_LIMIT_BYTES: u64 = 1 << 30;

struct OpenPart {
    path: PathBuf,
    name: String,
    file: Box<dyn WriteFile>,
    size_bytes: u64,
    /// What of it the frames are: less than all of it where it is sealed.
    text_bytes: u64,
    sealer: Option<PartSealer>,
}

impl OpenPart {
    /// How long it would be as stored with so many more bytes of frames.
    fn size_with(&self, more_bytes: u64) -> u64 {
        self.sealer.as_ref().map_or(self.size_bytes + more_bytes, |sealer| sealer.size_with(more_bytes))
    }

    /// Takes the next bytes of frames into the seal. What is full of it goes into the file and through the hashes.
    fn seal(&mut self, sealer: &mut PartSealer, text: &[u8], hashing: &mut Hashing) -> Result<()> {
        sealer.push(text, &mut |run| self.run(run, hashing))
    }

    /// Writes a run of sealed segments, or the header in front of them.
    fn run(&mut self, run: Vec<u8>, hashing: &mut Hashing) -> Result<Vec<u8>> {
        self.file.write_all(&run).map_err(|source| Error::io("write", &self.path, source))?;
        self.size_bytes += run.len() as u64;
        Ok(hashing.run(run))
    }
}

/// Writes stored frames one after the other, into as many files as the part size asks for.
pub(crate) struct PartWriter {
    host: Host,
    folder: PathBuf,
    name: String,
    part_size_bytes: u64,
    reserve_bytes: u64,
    is_long: bool,
    seal: Option<ArtifactSeal>,
    hashing: Hashing,
    current: Option<OpenPart>,
    /// What was written into each part that has ended, without what seals it, in bytes.
    finished_bytes: Vec<u64>,
}

/// How long the next part may become after so many: as long as was asked for, until numbers become scarce; from then on twice as
/// long after every few, so that a large shop does not fail at its last part for a small part size.
fn part_limit_bytes(asked_bytes: u64, finished: usize) -> u64 {
    let beyond = (finished + 1).saturating_sub(EQUAL_PARTS);
    let doublings = (0..beyond).step_by(PARTS_PER_DOUBLING).count();
    let grown = (0..doublings).fold(asked_bytes, |bytes, _| bytes.saturating_mul(2));
    grown.min(GROWN_LIMIT_BYTES).max(asked_bytes)
}

impl PartWriter {
    /// Creates the only part of something short, which must not exist, in a folder that must. It is hashed as it is
    /// written.
    pub(crate) fn short(host: &Host, folder: &Path, name: &str, seal: Option<&ArtifactSeal>) -> Result<Self> {
        Self::create(host, folder, name, u64::MAX, Hashing::here(), false, seal)
    }

    /// The same for the first part of what may be very long, for [`Self::write_frame`] alone: it goes past the page
    /// cache, and is hashed on threads of its own.
    pub(super) fn long(
        host: &Host,
        folder: &Path,
        name: &str,
        part_size_bytes: u64,
        seal: Option<&ArtifactSeal>,
        ended: Option<PartEnded>,
    ) -> Result<Self> {
        let hashing = Hashing::beside(ended)
            .map_err(|source| Error::io("start a thread for", &folder.join(name), source))?;
        Self::create(host, folder, name, part_size_bytes, hashing, true, seal)
    }

    fn create(
        host: &Host,
        folder: &Path,
        name: &str,
        part_size_bytes: u64,
        hashing: Hashing,
        is_long: bool,
        seal: Option<&ArtifactSeal>,
    ) -> Result<Self> {
        let mut writer = Self {
            host: host.clone(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            part_size_bytes,
            reserve_bytes: 0,
            is_long,
            seal: seal.cloned(),
            hashing,
            current: None,
            finished_bytes: Vec::new(),
        };
        writer.current = Some(writer.open(writer.unnumbered())?);
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

    /// The file name of an only part.
    fn unnumbered(&self) -> String {
        layout::part_name(&self.name, None, self.seal.is_some())
    }

    /// The file name of a part, numbered from 1.
    fn numbered(&self, number: usize) -> String {
        layout::part_name(&self.name, Some(number), self.seal.is_some())
    }

    /// Creates a part, and begins its seal.
    fn open(&mut self, name: String) -> Result<OpenPart> {
        let path = self.folder.join(&name);
        let file = failpoint::reach("artifact.create_part")
            .and_then(|()| match self.is_long {
                true => self.host.files.create_long(&path),
                false => self.host.files.create_new(&path),
            })
            .map_err(|source| Error::io("create", &path, source))?;
        let mut part = OpenPart { path, name, file, size_bytes: 0, text_bytes: 0, sealer: None };
        if let Some(seal) = &self.seal {
            let number = self.finished_bytes.len() + 1;
            let (sealer, header) = PartSealer::begin(self.host.random.as_ref(), seal, number)?;
            part.run(header, &mut self.hashing)?;
            part.sealer = Some(sealer);
        }
        Ok(part)
    }

    /// Writes one frame whole into one part; begins a new part first when it does not fit.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<()> {
        let size_bytes = frame.len() as u64;
        let mut part = self.part_for(size_bytes)?;
        if let Some(mut sealer) = part.sealer.take() {
            part.seal(&mut sealer, frame, &mut self.hashing)?;
            part.sealer = Some(sealer);
        } else {
            self.hashing.bytes(frame);
            part.file.write_all(frame).map_err(|source| Error::io("write", &part.path, source))?;
            part.size_bytes += size_bytes;
        }
        part.text_bytes += size_bytes;
        self.current = Some(part);
        Ok(())
    }

    /// The same for a frame that the hashing threads look at too.
    pub(super) fn write_frame(&mut self, frame: &Arc<Passage>) -> Result<()> {
        let size_bytes = frame.bytes.size_bytes() as u64;
        let mut part = self.part_for(size_bytes)?;
        if let Some(mut sealer) = part.sealer.take() {
            frame.bytes.each_piece(|piece| part.seal(&mut sealer, piece, &mut self.hashing))?;
            part.sealer = Some(sealer);
        } else {
            self.hashing.frame(frame);
            let written = frame.bytes.each_piece(|piece| part.file.write_all(piece));
            written.map_err(|source| Error::io("write", &part.path, source))?;
            part.size_bytes += size_bytes;
        }
        part.text_bytes += size_bytes;
        self.current = Some(part);
        Ok(())
    }

    fn limit_bytes(&self) -> u64 {
        part_limit_bytes(self.part_size_bytes, self.finished_bytes.len())
    }

    /// The part that a frame of this length goes into, with room for it on the disk.
    fn part_for(&mut self, size_bytes: u64) -> Result<OpenPart> {
        let part = match self.current.take() {
            Some(part) if part.text_bytes == 0 || part.size_with(size_bytes) <= self.limit_bytes() => part,
            Some(full) => self.cut(full)?,
            None => self.open(self.numbered(self.finished_bytes.len() + 1))?,
        };
        failpoint::reach("artifact.write")
            .and_then(|()| self.require_space(&part, size_bytes))
            .map_err(|source| Error::io("write", &part.path, source))?;
        Ok(part)
    }

    /// Ends a full part and begins the next. The first part gets its number only now: an only part has none.
    fn cut(&mut self, mut full: OpenPart) -> Result<OpenPart> {
        if self.finished_bytes.len() + 1 >= PART_LIMIT {
            return Err(Error::TooManyParts { artifact: self.name.clone(), limit: PART_LIMIT });
        }
        if self.finished_bytes.is_empty() {
            full.name = self.numbered(1);
            let numbered = self.folder.join(&full.name);
            self.host
                .files
                .rename(&full.path, &numbered)
                .map_err(|source| Error::io("rename", &full.path, source))?;
            full.path = numbered;
        }
        self.end(full)?;
        self.open(self.numbered(self.finished_bytes.len() + 1))
    }

    fn end(&mut self, mut part: OpenPart) -> Result<()> {
        if let Some(sealer) = part.sealer.take() {
            failpoint::reach("seal.before_final").map_err(|source| Error::io("seal", &part.path, source))?;
            sealer.finish(&mut |run| part.run(run, &mut self.hashing))?;
        }
        // Separately from the sync: a disk may be full only now.
        part.file.flush().map_err(|source| Error::io("write", &part.path, source))?;
        failpoint::reach("artifact.sync_part")
            .and_then(|()| part.file.sync())
            .map_err(|source| Error::sync(&part.path, source))?;
        self.finished_bytes.push(part.text_bytes);
        self.hashing.end_part(part.name, part.size_bytes);
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
        let parts = self.hashing.finish().filter(|parts| parts.len() == self.finished_bytes.len());
        parts.ok_or(Error::FrameLost { artifact: self.name, number: 0 })
    }

    /// Where the frames written so far end, counted through all parts and without what seals them.
    pub(crate) fn text_bytes(&self) -> u64 {
        let finished: u64 = self.finished_bytes.iter().sum();
        finished + self.current.as_ref().map_or(0, |part| part.text_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_only_when_their_numbers_become_scarce() {
        let lengths = |asked: u64| (0..PART_LIMIT).map(move |finished| part_limit_bytes(asked, finished));
        for asked in [1 << 20, 64 << 20, 256 << 20, 1 << 30, 4_000_000_000] {
            assert!(lengths(asked).take(EQUAL_PARTS).all(|length| length == asked));
            assert!(lengths(asked).is_sorted());
            assert!(lengths(asked).all(|length| length <= GROWN_LIMIT_BYTES.max(asked)));
        }
        let at = |finished| part_limit_bytes(64 << 20, finished) >> 20;
        let wanted = [64, 128, 128, 256, 256, 512, 1024, 1024];
        assert_eq!([599, 600, 649, 650, 699, 700, 750, 998].map(at), wanted);
        // Where 64 MiB each would end at 62 GiB, and 256 MiB at 250.
        assert_eq!(lengths(64 << 20).sum::<u64>() >> 30, 330);
        assert_eq!(lengths(256 << 20).sum::<u64>() >> 30, 524);
    }
}
