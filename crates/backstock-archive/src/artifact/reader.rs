//! Reading an artifact back: one frame by its number, checked against its hash before anything decodes it.

use backstock_host::memory::GIVEN_BACK_BYTES;
use backstock_vocabulary::Codec;
use libdeflater::Decompressor;
use zstd::zstd_safe::{DCtx, get_error_name};

use super::parts::Parts;
use super::{FRAME_LIMIT_BYTES, Frame, FrameTable, LARGE_FRAME_BYTES};
use crate::digest::FrameHash;
use crate::error::{Error, Result};
use crate::manifest::ManifestArtifact;
use crate::read_at::ReadAt;

/// Deflate cannot make text more than this many times shorter (RFC 1951: 258 bytes by two bits, rounded up).
const GZIP_EXPANSION_LIMIT: u64 = 1_040;
/// A zstd block of 128 KiB takes at least four bytes.
const ZSTD_EXPANSION_LIMIT: u64 = 32_768 + 1;

/// Reads one artifact. Several threads may read at once.
pub struct ArtifactReader {
    name: String,
    codec: Codec,
    parts: Parts,
    frames: FrameTable,
}

impl ArtifactReader {
    /// Opens an artifact from its parts in order. `frames` comes from the artifact's index.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a part has another length, or when parts and frames do not fit together.
    pub fn open(
        artifact: &ManifestArtifact,
        parts: Vec<Box<dyn ReadAt>>,
        frames: FrameTable,
    ) -> Result<Self> {
        let name = artifact.path();
        let parts = Parts::open(artifact, parts)?;
        let end = parts.size_bytes();
        if !parts.begins().all(|begins| frames.has_end(begins)) || frames.stored_bytes() != end {
            return Err(Error::Damaged {
                part: name,
                offset: 0,
                size_bytes: end,
                what: format!("its index tells of other frames, {} bytes in all", frames.stored_bytes()),
            });
        }
        Ok(Self { name, codec: artifact.codec, parts, frames })
    }

    /// Where each frame lies.
    pub fn frames(&self) -> &FrameTable {
        &self.frames
    }

    /// The text of one frame, counted from 0.
    ///
    /// # Errors
    /// [`Error::Damaged`] names part and byte region; no byte of a damaged frame is given out.
    pub fn read_frame(&self, number: u64) -> Result<Vec<u8>> {
        let frame = self.frames.get(number).ok_or_else(|| Error::NoSuchFrame {
            artifact: self.name.clone(),
            frames: self.frames.len(),
            number,
        })?;
        let mut stored = Vec::with_capacity(capacity_for(frame.stored_bytes));
        stored.resize(frame.stored_bytes as usize, 0);
        let count = self.parts.read(&mut stored, frame.stored_offset)?;
        let damaged = |what: String| {
            let what = format!("frame {number}: {what}");
            self.parts.damaged(frame.stored_offset, u64::from(frame.stored_bytes), what)
        };
        if count < stored.len() {
            return Err(damaged("the file ends in it".to_owned()));
        }
        if FrameHash::of(&stored) != frame.hash {
            return Err(damaged("its bytes do not have the hash that the index tells".to_owned()));
        }
        decode_frame(self.codec, &stored, &frame).map_err(damaged)
    }
}

/// What a buffer for so many bytes should have room for: several threads read frames, and what a large one took must not
/// stay with each of them.
fn capacity_for(size_bytes: u32) -> usize {
    let size_bytes = size_bytes as usize;
    if size_bytes > LARGE_FRAME_BYTES { size_bytes.max(GIVEN_BACK_BYTES) } else { size_bytes }
}

/// The text of one stored frame. What the table claims is believed only as far as the codec can reach.
///
/// # Errors
/// What is wrong, in words.
pub fn decode_frame(codec: Codec, stored: &[u8], frame: &Frame) -> Result<Vec<u8>, String> {
    let expansion = match codec {
        Codec::Zstd => ZSTD_EXPANSION_LIMIT,
        Codec::Gzip => GZIP_EXPANSION_LIMIT,
    };
    let size_bytes = u64::from(frame.plaintext_bytes);
    if size_bytes > FRAME_LIMIT_BYTES || size_bytes > stored.len() as u64 * expansion {
        return Err(format!("the index tells an impossible length of {size_bytes} bytes"));
    }
    let mut plaintext = Vec::new();
    plaintext
        .try_reserve_exact(capacity_for(frame.plaintext_bytes))
        .map_err(|_| format!("there is no memory for {size_bytes} bytes"))?;
    let count = match codec {
        Codec::Zstd => {
            let mut context = DCtx::try_create().ok_or("there is no memory for a decoder")?;
            context.decompress(&mut plaintext, stored).map_err(get_error_name)?
        }
        Codec::Gzip => {
            plaintext.resize(frame.plaintext_bytes as usize, 0);
            Decompressor::new().gzip_decompress(stored, &mut plaintext).map_err(|error| error.to_string())?
        }
    };
    if count as u64 != size_bytes {
        return Err(format!("it holds {count} bytes, the index tells {size_bytes}"));
    }
    Ok(plaintext)
}
