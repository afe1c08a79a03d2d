//! The bytes that are uploaded: a spooled part, read and hashed once on its way, or a small object in memory.

use std::io;
use std::sync::Arc;

use backstock_host::{Files, ReadFile};
use bytes::Bytes;
use ring::digest::{Context, SHA256, digest};

use crate::{Error, ObjectName, Result, SpooledPart};

/// Bytes that are read from the spool at a time.
const BLOCK_BYTES: u64 = 1 << 20;

enum Origin {
    File(Arc<dyn ReadFile>),
    Memory(Bytes),
}

/// The bytes of one object, from the first to the last.
pub(crate) struct Source {
    name: ObjectName,
    origin: Origin,
    size_bytes: u64,
    sha256: [u8; 32],
    hashed: Context,
    position: u64,
}

impl Source {
    /// Opens a spooled part.
    ///
    /// # Errors
    ///
    /// [`Error::PartChanged`] when it is missing or has another length than was promised.
    pub(crate) async fn open(
        files: Arc<dyn Files>,
        name: &ObjectName,
        part: &SpooledPart<'_>,
    ) -> Result<Self> {
        let path = part.path.to_owned();
        let opened = blocking(move || {
            let is_file = match files.stat(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => false,
                other => other?.is_some_and(|stat| stat.is_file),
            };
            if !is_file {
                return Ok(None);
            }
            let file = files.open(&path)?;
            let size_bytes = file.size_bytes()?;
            Ok(Some((file, size_bytes)))
        });
        let opened = opened.await.map_err(|error| spool_error(name, error))?;
        match opened {
            Some((file, size_bytes)) if size_bytes == part.size_bytes => Ok(Self {
                name: name.clone(),
                origin: Origin::File(Arc::from(file)),
                size_bytes,
                sha256: part.sha256,
                hashed: Context::new(&SHA256),
                position: 0,
            }),
            _ => Err(changed(name, "it is missing or has another length")),
        }
    }

    /// A small object.
    pub(crate) fn from_memory(name: &ObjectName, bytes: &[u8]) -> Self {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self {
            name: name.clone(),
            size_bytes: bytes.len() as u64,
            origin: Origin::Memory(Bytes::copy_from_slice(bytes)),
            sha256,
            hashed: Context::new(&SHA256),
            position: 0,
        }
    }

    /// How many there are.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The SHA-256 that was promised.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Where the next block begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next block, at most 1 MiB and at most `limit_bytes`; empty at the end.
    pub(crate) async fn next(&mut self, limit_bytes: u64) -> Result<Bytes> {
        let wanted = (self.size_bytes - self.position).min(BLOCK_BYTES).min(limit_bytes);
        let block = self.read_at(self.position, wanted).await?;
        if (block.len() as u64) < wanted {
            return Err(changed(&self.name, "it is shorter than it was"));
        }
        self.hashed.update(&block);
        self.position += wanted;
        Ok(block)
    }

    /// Goes to a later position. What is passed over is read and hashed too.
    pub(crate) async fn skip_to(&mut self, position: u64) -> Result<()> {
        while self.position < position {
            self.next(position - self.position).await?;
        }
        Ok(())
    }

    /// Bytes at a position, without going there; fewer only at the end.
    pub(crate) async fn read_at(&self, position: u64, length_bytes: u64) -> Result<Bytes> {
        let file = match &self.origin {
            Origin::File(file) => Arc::clone(file),
            Origin::Memory(bytes) => {
                let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                return Ok(bytes.slice(index(position)..index(position.saturating_add(length_bytes))));
            }
        };
        let read = blocking(move || {
            let mut block = vec![0; usize::try_from(length_bytes).map_err(io::Error::other)?];
            let mut filled = 0;
            while filled < block.len() {
                match file.read_at(&mut block[filled..], position + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            block.truncate(filled);
            Ok(block)
        });
        read.await.map(Bytes::from).map_err(|error| spool_error(&self.name, error))
    }

    /// After the last block: that all of it was what was promised.
    ///
    /// # Errors
    ///
    /// [`Error::PartChanged`] when it was not.
    pub(crate) fn check(self) -> Result<()> {
        if self.position == self.size_bytes && self.hashed.finish().as_ref() == self.sha256 {
            return Ok(());
        }
        Err(changed(&self.name, "its SHA-256 or length differs"))
    }
}

fn changed(name: &ObjectName, difference: &'static str) -> Error {
    Error::PartChanged { name: name.clone(), difference }
}

fn spool_error(name: &ObjectName, source: io::Error) -> Error {
    Error::Io {
        act: "read the spooled part of",
        name: name.to_string(),
        place: "the spool folder".to_owned(),
        source,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
