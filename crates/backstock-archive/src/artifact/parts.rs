//! Stored parts put together: positions count through all of them, damage is told by part and region.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use backstock_host::Host;
use ring::digest::{Context, SHA256};

use super::{BLOCK_SIZE_BYTES, Part};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::ManifestArtifact;
use crate::read_at::{ReadAt, read_fully};

/// What is wrong with a block.
const WRONG_HASH: &str = "it does not have the hash that the manifest tells";
/// How much is read at a time while a part is hashed, in bytes.
const READ_SIZE_BYTES: u64 = 1 << 20;

struct StoredPart {
    name: String,
    size_bytes: u64,
    /// Where it begins, counted through all parts.
    begins: u64,
    source: Box<dyn ReadAt>,
}

/// The parts of one artifact in order.
pub(super) struct Parts(Vec<StoredPart>);

impl Parts {
    /// Checks that all parts are there with their sizes (F84).
    pub(super) fn open(artifact: &ManifestArtifact, sources: Vec<Box<dyn ReadAt>>) -> Result<Self> {
        let damaged = |part: String, size_bytes, what| Error::Damaged { part, offset: 0, size_bytes, what };
        let facts = &artifact.parts;
        if facts.len() != sources.len() || facts.is_empty() {
            let what = format!("{} parts are there, {} belong to it", sources.len(), facts.len());
            return Err(damaged(artifact.path(), artifact.stored_bytes(), what));
        }
        let mut begins = 0;
        let mut parts = Vec::with_capacity(sources.len());
        for (facts, source) in facts.iter().zip(sources) {
            let (name, size_bytes) = (facts.name.clone(), facts.size_bytes);
            let found = source.stored_bytes().map_err(|error| Error::reading(&name, 0, error))?;
            if found != size_bytes {
                let what = format!("it has {found} bytes, {size_bytes} were written");
                return Err(damaged(name, size_bytes, what));
            }
            // From here on positions are those of the text, where the part is sealed.
            let size_bytes = source.size_bytes().map_err(|error| Error::reading(&name, 0, error))?;
            parts.push(StoredPart { name, size_bytes, begins, source });
            begins += size_bytes;
        }
        Ok(Self(parts))
    }

    /// Length of all parts in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.0.last().map_or(0, |part| part.begins + part.size_bytes)
    }

    /// Where each part begins.
    pub(super) fn begins(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|part| part.begins)
    }

    fn at(&self, offset: u64) -> &StoredPart {
        let after = self.0.partition_point(|part| part.begins <= offset);
        &self.0[after.saturating_sub(1)]
    }

    /// Reads from one part; may be short, and is 0 only behind the last.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let part = self.at(offset);
        let room = (part.begins + part.size_bytes).saturating_sub(offset);
        let count = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        let within = offset - part.begins;
        read_fully(&*part.source, &mut buffer[..count], within)
            .map_err(|error| Error::reading(&part.name, within, error))
    }

    /// Names a region by its part.
    pub(super) fn damaged(&self, offset: u64, size_bytes: u64, what: String) -> Error {
        let part = self.at(offset);
        Error::Damaged { part: part.name.clone(), offset: offset - part.begins, size_bytes, what }
    }
}

/// Opens an artifact's parts below a backup's folder on this machine.
pub fn open_parts(
    host: &Host,
    backup_folder: &Path,
    artifact: &ManifestArtifact,
) -> Result<Vec<Box<dyn ReadAt>>> {
    let open = |part: &Part| {
        let path = backup_folder.join(&part.name);
        match host.files.open(&path) {
            Ok(file) => Ok(Box::new(file) as Box<dyn ReadAt>),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Err(Error::Damaged {
                part: part.name.clone(),
                offset: 0,
                size_bytes: part.size_bytes,
                what: "the file is not there".to_owned(),
            }),
            Err(source) => Err(Error::io("open", &path, source)),
        }
    };
    artifact.parts.iter().map(open).collect()
}

/// Reads a whole part and compares every block and the whole with the manifest. Gives one [`Error::Damaged`] for each
/// block that is wrong, or none. `progress` is told bytes as they go, and may say to stop.
///
/// # Errors
/// [`Error::Read`] when it cannot be read; [`Error::Cancelled`] when told to stop.
pub fn check_part(
    source: &dyn ReadAt,
    part: &Part,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Vec<Error>> {
    let damaged = |begins, ends: u64, what: String| Error::Damaged {
        part: part.name.clone(),
        offset: begins,
        size_bytes: ends - begins,
        what,
    };
    let unreadable = |offset, source| Error::Read { part: part.name.clone(), offset, source };
    let found = source.size_bytes().map_err(|error| unreadable(0, error))?;
    if found != part.size_bytes {
        let what = format!("it has {found} bytes, {} were written", part.size_bytes);
        return Ok(vec![damaged(0, part.size_bytes, what)]);
    }
    let mut faults = Vec::new();
    let mut buffer = vec![0; usize::try_from(READ_SIZE_BYTES.min(part.size_bytes)).unwrap_or(0)];
    let mut whole = Context::new(&SHA256);
    let mut blocks = 0;
    let mut begins = 0;
    while begins < part.size_bytes {
        let ends = part.size_bytes.min(begins + BLOCK_SIZE_BYTES);
        let mut block = part.block_hashes.hasher();
        let mut offset = begins;
        while offset < ends {
            let count = usize::try_from(ends - offset).unwrap_or(usize::MAX).min(buffer.len());
            let read = read_fully(source, &mut buffer[..count], offset)
                .map_err(|error| unreadable(offset, error))?;
            if read < count {
                faults.push(damaged(begins, ends, "the file ends in it".to_owned()));
                return Ok(faults);
            }
            block.update(&buffer[..count]);
            whole.update(&buffer[..count]);
            offset += count as u64;
            if progress(count as u64).is_break() {
                return Err(Error::Cancelled);
            }
        }
        if part.block_hashes.get(blocks) != Some(&block.finish()) {
            faults.push(damaged(begins, ends, WRONG_HASH.to_owned()));
        }
        blocks += 1;
        begins = ends;
    }
    if faults.is_empty() && Sha256::from_ring(&whole.finish()) != part.sha256 {
        faults.push(damaged(0, part.size_bytes, WRONG_HASH.to_owned()));
    }
    Ok(faults)
}
