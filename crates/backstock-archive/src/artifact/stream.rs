//! Reading an artifact from one end to the other as a stock tool does, without its index.

use std::io::{self, BufReader, Read};

use backstock_vocabulary::Codec;
use flate2::bufread::MultiGzDecoder;

use super::parts::Parts;
use crate::error::{Error, Result};
use crate::manifest::ManifestArtifact;
use crate::read_at::ReadAt;

/// A zstd window of 128 MiB, beyond which stock tools refuse to decode too.
const WINDOW_LOG_LIMIT: u32 = 27;
const READ_SIZE_BYTES: usize = 1 << 20;

/// The stored bytes of all parts, one after the other.
struct StoredBytes {
    parts: Parts,
    offset: u64,
}

impl Read for StoredBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.offset >= self.parts.size_bytes() {
            return Ok(0);
        }
        let count = self.parts.read(buffer, self.offset).map_err(io::Error::other)?;
        if count == 0 && !buffer.is_empty() {
            let what = "the file ends before".to_owned();
            return Err(io::Error::other(self.parts.damaged(self.offset, 0, what)));
        }
        self.offset += count as u64;
        Ok(count)
    }
}

enum Decoder {
    Zstd(zstd::stream::read::Decoder<'static, BufReader<StoredBytes>>),
    Gzip(Box<MultiGzDecoder<BufReader<StoredBytes>>>),
}

/// The whole text of an artifact. Its end is told only when all of it was there: as many bytes as the manifest tells,
/// and nothing behind. Errors hold an [`Error`], which [`Error::of_stream`] takes out.
pub struct ArtifactStream {
    decoder: Decoder,
    expected_bytes: u64,
    given_bytes: u64,
}

impl ArtifactStream {
    /// Opens the parts in order. The manifest's length of the text is the limit: no bomb goes beyond it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a part is missing or has another length, or the manifest tells no length.
    pub fn open(artifact: &ManifestArtifact, parts: Vec<Box<dyn ReadAt>>) -> Result<Self> {
        let parts = Parts::open(artifact, parts)?;
        let Some(expected_bytes) = artifact.plaintext_bytes else {
            return Err(parts.damaged(0, parts.size_bytes(), "its text's length is not told".to_owned()));
        };
        let stored = BufReader::with_capacity(READ_SIZE_BYTES, StoredBytes { parts, offset: 0 });
        let decoder = match artifact.codec {
            Codec::Zstd => {
                let started = zstd::stream::read::Decoder::with_buffer(stored).and_then(|mut decoder| {
                    decoder.window_log_max(WINDOW_LOG_LIMIT)?;
                    Ok(decoder)
                });
                Decoder::Zstd(started.map_err(|error| Error::Compress {
                    artifact: artifact.path(),
                    what: format!("no decoder: {error}"),
                })?)
            }
            Codec::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(stored))),
        };
        Ok(Self { decoder, expected_bytes, given_bytes: 0 })
    }

    fn stored(&self) -> &StoredBytes {
        match &self.decoder {
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref(),
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// Names the region that was read last: the damage is in it or shortly before.
    fn damaged(&self, what: String) -> io::Error {
        let stored = self.stored();
        let begins = stored.offset.saturating_sub(READ_SIZE_BYTES as u64);
        io::Error::other(stored.parts.damaged(begins, stored.offset - begins, what))
    }
}

impl Read for ArtifactStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
        };
        let count = match read {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) if matches!(error.get_ref(), Some(inner) if inner.is::<Error>()) => return Err(error),
            Err(error) => return Err(self.damaged(error.to_string())),
        };
        self.given_bytes += count as u64;
        let is_end = count == 0 && !buffer.is_empty();
        if self.given_bytes > self.expected_bytes || is_end && self.given_bytes < self.expected_bytes {
            let what = format!("its text is not the {} bytes that the manifest tells", self.expected_bytes);
            return Err(self.damaged(what));
        }
        Ok(count)
    }
}
