//! Sealing a part while it is written: bytes go in, whole segments come out, with one segment in memory.

use backstock_host::Random;

use super::backup_seal::ArtifactSeal;
use super::stream::{SEGMENT_BYTES, SegmentCipher, StreamHeader, TAG_BYTES, stored_bytes};
use crate::error::{Error, Result};

/// Seals one part.
pub(crate) struct PartSealer {
    cipher: SegmentCipher,
    header_bytes: u64,
    text_bytes: u64,
    next: u32,
    /// The segment that is being filled; the first begins with the stream's own header.
    segment: Vec<u8>,
    begins: usize,
}

/// How long a segment's buffer may become, in bytes.
pub(crate) const SEGMENT_BUFFER_BYTES: usize = 1 << 20;

impl PartSealer {
    /// Begins a part; `number` counts from 1. Gives the bytes of its header, which come first.
    pub(crate) fn begin(random: &dyn Random, seal: &ArtifactSeal, number: usize) -> Result<(Self, Vec<u8>)> {
        let header = seal.seal.header(seal.artifact, u32::try_from(number).unwrap_or(u32::MAX))?;
        let mut stream = StreamHeader { salt: [0; 32], prefix: [0; 7] };
        random.fill(&mut stream.salt);
        random.fill(&mut stream.prefix);
        let cipher = SegmentCipher::new(seal.seal.key(), &stream, &header.associated_data());
        let mut segment = Vec::with_capacity(SEGMENT_BUFFER_BYTES);
        segment.extend_from_slice(&stream.bytes());
        let this = Self {
            cipher: cipher.ok_or_else(refused)?,
            header_bytes: header.bytes().len() as u64,
            text_bytes: 0,
            next: 0,
            begins: segment.len(),
            segment,
        };
        Ok((this, header.bytes().to_vec()))
    }

    /// How long the part would be with so many more bytes of text.
    pub(crate) fn size_with(&self, more_bytes: u64) -> u64 {
        self.header_bytes + stored_bytes(self.text_bytes + more_bytes)
    }

    /// Takes text. Each segment that is full is given to `out`, which gives an empty buffer back.
    pub(crate) fn push(
        &mut self,
        mut text: &[u8],
        out: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let full_bytes = usize::try_from(SEGMENT_BYTES - TAG_BYTES).unwrap_or(usize::MAX);
        self.text_bytes += text.len() as u64;
        while !text.is_empty() {
            if self.segment.len() == full_bytes {
                // Only now is it known that this one is not the last.
                self.end_segment(false, out)?;
            }
            let (now, later) = text.split_at(text.len().min(full_bytes - self.segment.len()));
            self.segment.extend_from_slice(now);
            text = later;
        }
        Ok(())
    }

    /// Gives the last segment out.
    pub(crate) fn finish(mut self, out: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>>) -> Result<()> {
        self.end_segment(true, out)
    }

    fn end_segment(&mut self, is_last: bool, out: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>>) -> Result<()> {
        let mut segment = std::mem::take(&mut self.segment);
        self.cipher.seal(self.next, is_last, &mut segment, self.begins).ok_or_else(refused)?;
        self.next = self.next.checked_add(1).ok_or_else(refused)?;
        self.begins = 0;
        self.segment = out(segment)?;
        self.segment.clear();
        Ok(())
    }
}

fn refused() -> Error {
    Error::Option { artifact: "a sealed part".to_owned(), what: "it cannot be sealed".to_owned() }
}
