//! The bytes that are uploaded: a spooled part, read and hashed once on its way, or a small object in memory.
//!
//! A part is read and hashed on a thread of its own, a little ahead of what is sent.

use std::io;
use std::sync::Arc;

use backstock_host::{Files, ReadFile};
use bytes::Bytes;
use ring::digest::{SHA256, digest};

use self::ahead::Ahead;
use crate::check::Check;
use crate::{Error, ObjectName, Result, SpooledPart};

mod ahead;

pub(crate) use self::ahead::fill;

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
    blocks: Vec<[u8; 32]>,
    position: u64,
    /// Who reads, since the first byte was asked for.
    ahead: Option<Ahead>,
    /// What was read and not taken yet.
    rest: Bytes,
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
                blocks: part.blocks.to_vec(),
                position: 0,
                ahead: None,
                rest: Bytes::new(),
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
            blocks: Vec::new(),
            position: 0,
            ahead: None,
            rest: Bytes::new(),
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

    /// The next bytes, at most 1 MiB and at most `limit_bytes`; empty at the end.
    pub(crate) async fn next(&mut self, limit_bytes: u64) -> Result<Bytes> {
        let limit_bytes = limit_bytes.min(self.size_bytes - self.position);
        if limit_bytes == 0 {
            return Ok(Bytes::new());
        }
        if let Origin::Memory(bytes) = &self.origin {
            let end = self.position + limit_bytes.min(ahead::READ_BYTES);
            let block = bytes.slice(index(self.position)..index(end));
            self.position = end;
            return Ok(block);
        }
        if self.rest.is_empty() {
            if self.ahead.is_none() {
                self.begin(0)?;
            }
            let next = match &mut self.ahead {
                Some(ahead) => ahead.next().await,
                None => Ok(None),
            };
            self.rest = match next {
                Ok(Some(block)) => block,
                Ok(None) => return Err(changed(&self.name, "it is shorter than it was")),
                Err(error) => return Err(spool_error(&self.name, error)),
            };
        }
        let block = self.rest.split_to(self.rest.len().min(index(limit_bytes)));
        self.position += block.len() as u64;
        Ok(block)
    }

    /// Begins to read, where everything from a position on is checked.
    fn begin(&mut self, position: u64) -> Result<()> {
        let Origin::File(file) = &self.origin else { return Ok(()) };
        let mut check = Check::new(self.sha256, &self.blocks);
        self.position = check.begin_before(position);
        let begun = Ahead::begin(Arc::clone(file), self.position..self.size_bytes, check);
        self.ahead = Some(begun.map_err(|error| spool_error(&self.name, error))?);
        Ok(())
    }

    /// Goes to a later position. What is passed over is read and hashed too, as far as the check of what follows needs it.
    pub(crate) async fn skip_to(&mut self, position: u64) -> Result<()> {
        if self.ahead.is_none() && matches!(self.origin, Origin::File(_)) {
            self.begin(position)?;
        }
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
                let index = |at: u64| index(at).min(bytes.len());
                return Ok(bytes.slice(index(position)..index(position.saturating_add(length_bytes))));
            }
        };
        let read = blocking(move || {
            let mut block = vec![0; usize::try_from(length_bytes).map_err(io::Error::other)?];
            let filled = fill(&*file, &mut block, position)?;
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
    pub(crate) async fn check(mut self) -> Result<()> {
        let is_right = self.position == self.size_bytes
            && match &mut self.ahead {
                Some(ahead) => ahead.is_right().await,
                // What is in memory was hashed when it was taken, and nothing is nothing.
                None => {
                    matches!(self.origin, Origin::Memory(_))
                        || (self.size_bytes == 0 && digest(&SHA256, b"").as_ref() == self.sha256)
                }
            };
        if is_right { Ok(()) } else { Err(changed(&self.name, "its hash or length differs")) }
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
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
