//! Stored parts put together: positions count through all of them, damage is told by part and region.

use std::io;
use std::path::Path;

use backstock_host::Host;
use ring::digest::{Context, SHA256};

use super::{BLOCK_SIZE_BYTES, Part};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::ManifestArtifact;
use crate::read_at::{ReadAt, read_fully};

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
            let found = source.size_bytes().map_err(|source| Error::Read {
                part: name.clone(),
                offset: 0,
                source,
            })?;
            if found != size_bytes {
                let what = format!("it has {found} bytes, {size_bytes} were written");
                return Err(damaged(name, size_bytes, what));
            }
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
        read_fully(&*part.source, &mut buffer[..count], offset - part.begins).map_err(|source| Error::Read {
            part: part.name.clone(),
            offset: offset - part.begins,
            source,
        })
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

/// Reads a whole part and compares every block and the whole with the manifest. `progress` is told bytes as they go.
///
/// # Errors
/// [`Error::Damaged`] names the first block that is wrong.
pub fn check_part(source: &dyn ReadAt, part: &Part, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let damaged = |offset, size_bytes, what: &str| Error::Damaged {
        part: part.name.clone(),
        offset,
        size_bytes,
        what: what.to_owned(),
    };
    let unreadable = |offset, source| Error::Read { part: part.name.clone(), offset, source };
    let found = source.size_bytes().map_err(|source| unreadable(0, source))?;
    if found != part.size_bytes {
        let what = format!("it has {found} bytes, {} were written", part.size_bytes);
        return Err(damaged(0, part.size_bytes, &what));
    }
    let mut buffer = vec![0; usize::try_from(READ_SIZE_BYTES.min(part.size_bytes)).unwrap_or(0)];
    let mut whole = Context::new(&SHA256);
    let mut expected = part.block_sha256.iter();
    let mut begins = 0;
    while begins < part.size_bytes {
        let ends = part.size_bytes.min(begins + BLOCK_SIZE_BYTES);
        let mut block = Context::new(&SHA256);
        let mut offset = begins;
        while offset < ends {
            let count = usize::try_from(ends - offset).unwrap_or(usize::MAX).min(buffer.len());
            let read = read_fully(source, &mut buffer[..count], offset)
                .map_err(|error| unreadable(offset, error))?;
            if read < count {
                return Err(damaged(begins, ends - begins, "the file ends in it"));
            }
            block.update(&buffer[..count]);
            whole.update(&buffer[..count]);
            offset += count as u64;
            progress(count as u64);
        }
        if expected.next() != Some(&Sha256::from_ring(&block.finish())) {
            return Err(damaged(
                begins,
                ends - begins,
                "its bytes do not have the hash that the manifest tells",
            ));
        }
        begins = ends;
    }
    if Sha256::from_ring(&whole.finish()) != part.sha256 {
        return Err(damaged(0, part.size_bytes, "the file does not have the hash that the manifest tells"));
    }
    Ok(())
}
