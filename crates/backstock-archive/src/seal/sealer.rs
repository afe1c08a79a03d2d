//! Sealing a part while it is written: bytes go in, runs of whole segments come out, with one run in memory.

use backstock_host::Random;

use super::backup_seal::ArtifactSeal;
use super::stream::{SEGMENT, SegmentCipher, StreamHeader, TAG, stored_bytes};
use crate::error::{Error, Result};

/// How much text a segment holds, in bytes; of the first the stream's own header takes some.
const SEGMENT_TEXT_BYTES: usize = SEGMENT - TAG;

/// Seals one part.
pub(crate) struct PartSealer {
    cipher: SegmentCipher,
    header_bytes: u64,
    text_bytes: u64,
    next: u32,
    /// Sealed segments, and the one that is being filled; the first run begins with the stream's own header.
    run: Vec<u8>,
    /// Where the text of the segment begins that is being filled.
    begins: usize,
    /// How much text it may still take, in bytes.
    room: usize,
}

/// How long a run of segments is that is written at once, in bytes: a write of 64 KiB at a time costs more.
const RUN_BYTES: usize = 16 * SEGMENT;

impl PartSealer {
    /// Begins a part; `number` counts from 1. Gives the bytes of its header, which come first.
    pub(crate) fn begin(random: &dyn Random, seal: &ArtifactSeal, number: usize) -> Result<(Self, Vec<u8>)> {
        let header = seal.seal.header(seal.artifact, u32::try_from(number).unwrap_or(u32::MAX))?;
        let mut stream = StreamHeader { salt: [0; 32], prefix: [0; 7] };
        random.fill(&mut stream.salt);
        random.fill(&mut stream.prefix);
        let cipher = SegmentCipher::new(seal.seal.key(), &stream, &header.associated_data());
        let mut run = Vec::with_capacity(RUN_BYTES);
        run.extend_from_slice(&stream.bytes());
        let this = Self {
            cipher: cipher.ok_or_else(refused)?,
            header_bytes: header.bytes().len() as u64,
            text_bytes: 0,
            next: 0,
            begins: run.len(),
            room: SEGMENT_TEXT_BYTES - run.len(),
            run,
        };
        Ok((this, header.bytes().to_vec()))
    }

    /// How long the part would be with so many more bytes of text.
    pub(crate) fn size_with(&self, more_bytes: u64) -> u64 {
        self.header_bytes + stored_bytes(self.text_bytes + more_bytes)
    }

    /// Takes text. Each run of segments that is full is given to `out`, which gives a buffer back.
    pub(crate) fn push(
        &mut self,
        mut text: &[u8],
        out: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>>,
    ) -> Result<()> {
        self.text_bytes += text.len() as u64;
        while !text.is_empty() {
            if self.room == 0 {
                // Only now is it known that this one is not the last.
                self.end_segment(false)?;
                if self.run.len() >= RUN_BYTES {
                    self.run = out(std::mem::take(&mut self.run))?;
                    self.run.clear();
                    self.begins = 0;
                }
            }
            let (now, later) = text.split_at(text.len().min(self.room));
            self.run.extend_from_slice(now);
            self.room -= now.len();
            text = later;
        }
        Ok(())
    }

    /// Gives the last segments out.
    pub(crate) fn finish(mut self, out: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>>) -> Result<()> {
        self.end_segment(true)?;
        out(self.run).map(drop)
    }

    fn end_segment(&mut self, is_last: bool) -> Result<()> {
        self.cipher.seal(self.next, is_last, &mut self.run, self.begins).ok_or_else(refused)?;
        self.next = self.next.checked_add(1).ok_or_else(refused)?;
        (self.begins, self.room) = (self.run.len(), SEGMENT_TEXT_BYTES);
        Ok(())
    }
}

fn refused() -> Error {
    Error::Option { artifact: "a sealed part".to_owned(), what: "it cannot be sealed".to_owned() }
}
