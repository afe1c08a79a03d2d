//! What is stored under a name, for kinds that send it in pieces: a spooled part, or a small object in memory.
//!
//! A piece is hashed before it is sent, and the last one goes only when all of them together are what was promised: the
//! service then never completes an object of other bytes.

use std::path::Path;

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_LENGTH;
use ring::digest::{Context, SHA256, digest};

use crate::http::{Act, Answer, Http, Piece, read_piece};
use crate::{Error, ObjectName, RANGE_LIMIT_BYTES, Result, SMALL_LIMIT_BYTES, SpooledPart, Storage, Upload};

/// Bytes that an upload is asked for at once.
const SLICE_BYTES: u64 = 64 << 10;
/// Bytes that are read back at once.
const READ_BACK_BYTES: u64 = 8 << 20;
const _: () = assert!(READ_BACK_BYTES <= RANGE_LIMIT_BYTES);

/// Bytes that are to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) name: &'a ObjectName,
    pub(crate) size_bytes: u64,
    /// The promised SHA-256.
    pub(crate) sha256: [u8; 32],
    origin: Origin<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Origin<'a> {
    Part(&'a Path),
    Memory(&'a [u8]),
}

/// A hash that a service computes of what it stores.
pub(crate) trait ServiceHash: Default + Send + 'static {
    /// Takes the next bytes up.
    fn see(&mut self, bytes: &[u8]);
}

/// How far a content is hashed.
pub(crate) struct Hashed<H> {
    sha256: Context,
    pub(crate) service: H,
    done_bytes: u64,
}

impl<H: ServiceHash> Default for Hashed<H> {
    fn default() -> Self {
        Self { sha256: Context::new(&SHA256), service: H::default(), done_bytes: 0 }
    }
}

impl<H: ServiceHash> Hashed<H> {
    fn see(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.service.see(bytes);
        self.done_bytes += bytes.len() as u64;
    }
}

impl<'a> Content<'a> {
    /// A spooled part.
    ///
    /// # Errors
    ///
    /// [`Error::PartChanged`] when it is missing or has another length than was promised.
    pub(crate) async fn of_part(http: &Http, name: &'a ObjectName, part: &SpooledPart<'a>) -> Result<Self> {
        let (files, path) = (http.files().clone(), part.path.to_owned());
        let stat = tokio::task::spawn_blocking(move || files.stat(&path)).await;
        let stat = stat.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let act = Act { verb: "look at the spooled part of", name: name.as_str() };
        let stat = stat.map_err(|error| http.io(act, error))?;
        if stat.filter(|stat| stat.is_file).map(|stat| stat.size_bytes) != Some(part.size_bytes) {
            let difference = "it is missing or has another length";
            return Err(Error::PartChanged { name: name.clone(), difference });
        }
        let origin = Origin::Part(part.path);
        Ok(Self { name, size_bytes: part.size_bytes, sha256: part.sha256, origin })
    }

    /// A small object.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when it is none.
    pub(crate) fn of_memory(name: &'a ObjectName, bytes: &'a [u8]) -> Result<Self> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Ok(Self { name, size_bytes, sha256, origin: Origin::Memory(bytes) })
    }

    /// Hashes on as far as `end_bytes`, if it is not hashed so far already.
    ///
    /// # Errors
    ///
    /// [`Error::PartChanged`] when the end is reached and the whole is not what was promised.
    pub(crate) async fn hash_to<H: ServiceHash>(
        &self,
        http: &Http,
        mut hashed: Hashed<H>,
        end_bytes: u64,
    ) -> Result<Hashed<H>> {
        let (offset_bytes, end_bytes) = (hashed.done_bytes, end_bytes.min(self.size_bytes));
        if offset_bytes < end_bytes {
            let length_bytes = end_bytes - offset_bytes;
            hashed = match self.origin {
                Origin::Part(path) => {
                    let piece = Piece { name: self.name, path, offset_bytes, length_bytes };
                    read_piece(http, piece, hashed, Hashed::see).await?
                }
                Origin::Memory(bytes) => {
                    hashed.see(slice(bytes, offset_bytes, length_bytes));
                    hashed
                }
            };
        }
        let is_whole = hashed.done_bytes == self.size_bytes;
        if is_whole && hashed.sha256.clone().finish().as_ref() != self.sha256 {
            return Err(Error::PartChanged { name: self.name.clone(), difference: "its SHA-256 differs" });
        }
        Ok(hashed)
    }

    /// Sends a request whose body is a piece, asking `upload` before each slice, and waits for the head of the answer.
    pub(crate) async fn send_piece(
        &self,
        http: &Http,
        act: Act<'_>,
        request: RequestBuilder,
        (offset_bytes, length_bytes): (u64, u64),
        upload: &dyn Upload,
    ) -> Result<Answer> {
        match self.origin {
            Origin::Part(path) => {
                let piece = Piece { name: self.name, path, offset_bytes, length_bytes };
                http.send_piece(act, request, piece, upload).await
            }
            Origin::Memory(bytes) => {
                let body = slice(bytes, offset_bytes, length_bytes).to_vec();
                let request = request.header(CONTENT_LENGTH, body.len()).body(body);
                http.send_patiently(act, request).await
            }
        }
    }

    /// All of it in memory, when `upload` lets it be sent: for what is short enough. It is read once, so that what is hashed is
    /// what is sent.
    ///
    /// # Errors
    ///
    /// [`Error::PartChanged`] when it is not what was promised.
    pub(crate) async fn whole(&self, http: &Http, upload: &dyn Upload) -> Result<Vec<u8>> {
        let bytes = match self.origin {
            Origin::Part(path) => {
                let piece = Piece { name: self.name, path, offset_bytes: 0, length_bytes: self.size_bytes };
                read_piece(http, piece, Vec::new(), Vec::extend_from_slice).await?
            }
            Origin::Memory(bytes) => bytes.to_vec(),
        };
        if digest(&SHA256, &bytes).as_ref() != self.sha256 {
            return Err(Error::PartChanged { name: self.name.clone(), difference: "its SHA-256 differs" });
        }
        let mut left = self.size_bytes;
        while left > 0 {
            upload.before_sending(left.min(SLICE_BYTES)).await?;
            left -= left.min(SLICE_BYTES);
        }
        Ok(bytes)
    }

    /// Whether an object that has its length holds these very bytes: all of them are read back.
    pub(crate) async fn is_in(&self, storage: &dyn Storage) -> Result<bool> {
        let (mut context, mut offset) = (Context::new(&SHA256), 0);
        while offset < self.size_bytes {
            let length = (self.size_bytes - offset).min(READ_BACK_BYTES);
            let bytes = storage.read_range(self.name, offset, length).await?;
            if bytes.is_empty() {
                return Ok(false);
            }
            context.update(&bytes);
            offset += bytes.len() as u64;
        }
        Ok(context.finish().as_ref() == self.sha256)
    }
}

fn slice(bytes: &[u8], offset_bytes: u64, length_bytes: u64) -> &[u8] {
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[index(offset_bytes)..index(offset_bytes.saturating_add(length_bytes))]
}
