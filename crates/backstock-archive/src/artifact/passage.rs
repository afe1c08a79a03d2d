//! A frame on its way from the compressor into the file and through the hashes, and the room that it takes meanwhile.

use std::convert::Infallible;
use std::sync::Arc;

use backstock_vocabulary::Codec;

use super::queue::Queue;
use super::store;
use crate::digest::FrameHash;

/// The stored bytes of a frame.
pub(super) enum FrameBytes {
    /// As a compressor made them.
    Encoded(Vec<u8>),
    /// Content that is compressed already, kept as it is; its framing is made where it is needed.
    Stored { codec: Codec, content: Vec<u8>, checksum: u32 },
}

impl FrameBytes {
    /// A frame around content that is compressed already.
    pub(super) fn around(codec: Codec, content: Vec<u8>) -> Self {
        let checksum = store::checksum(codec, &content);
        Self::Stored { codec, content, checksum }
    }

    /// How many bytes there are.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Stored { codec, content, .. } => store::frame_bytes(*codec, content.len()),
        }
    }

    /// Gives out all bytes in order, in pieces of any length, until the call fails.
    pub(super) fn each_piece<E>(&self, mut call: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Encoded(bytes) => call(bytes),
            Self::Stored { codec, content, checksum } => {
                store::each_piece(*codec, content, *checksum, &mut call)
            }
        }
    }

    /// The same for what cannot fail.
    pub(super) fn pieces(&self, mut call: impl FnMut(&[u8])) {
        let given = self.each_piece(|piece| {
            call(piece);
            Ok::<(), Infallible>(())
        });
        match given {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// The hash of the bytes.
    pub(super) fn hash(&self) -> FrameHash {
        match self {
            Self::Encoded(bytes) => FrameHash::of(bytes),
            Self::Stored { .. } => {
                let mut hasher = blake3::Hasher::new();
                self.pieces(|piece| {
                    hasher.update(piece);
                });
                FrameHash::from_blake3(&hasher.finalize())
            }
        }
    }
}

/// A frame on its way. Several threads look at it; when the last has let go of it, its buffer and its room come back.
pub(super) struct Passage {
    pub(super) bytes: FrameBytes,
    pub(super) plaintext_bytes: u32,
    queue: Arc<Queue>,
}

impl Passage {
    pub(super) fn new(queue: &Arc<Queue>, bytes: FrameBytes, plaintext_bytes: u32) -> Self {
        Self { bytes, plaintext_bytes, queue: Arc::clone(queue) }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.bytes, FrameBytes::Encoded(Vec::new())) {
            FrameBytes::Encoded(bytes) => self.queue.room.outputs.give_back(bytes),
            FrameBytes::Stored { content, .. } => self.queue.room.stored.give_back(content),
        }
        self.queue.leave(u64::from(self.plaintext_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Frame, decode_frame};

    /// What no compressor has touched is a frame all the same, exactly as long as foretold, at the lengths around a block.
    #[test]
    fn stored_frames_are_whole_and_as_long_as_foretold() {
        for codec in [Codec::Zstd, Codec::Gzip] {
            for length in [0, 1, 65_534, 65_535, 65_536, 131_071, 131_072, 131_073, 1 << 20] {
                let content: Vec<u8> = (0..length).map(|at: u32| (at * 31 % 253).to_le_bytes()[0]).collect();
                let frame = FrameBytes::around(codec, content.clone());
                let mut bytes = Vec::new();
                frame.pieces(|piece| bytes.extend_from_slice(piece));
                assert_eq!(bytes.len(), frame.size_bytes(), "{codec:?} {length}");
                assert_eq!(frame.hash(), FrameHash::of(&bytes));
                let row = Frame {
                    stored_offset: 0,
                    stored_bytes: u32::try_from(bytes.len()).unwrap(),
                    plaintext_bytes: length,
                    hash: FrameHash::of(&bytes),
                };
                assert!(decode_frame(codec, &bytes, &row).unwrap() == content, "{codec:?} {length}");
            }
        }
    }
}
