//! The hashes of a part's blocks: they tell which 64 MiB of a replica are damaged, and need no whole read to be checked.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::BLOCK_SIZE_BYTES;
use crate::digest::{Digest, Sha256};

/// The hash of each block of [`BLOCK_SIZE_BYTES`]; the last block is what remains. The name in a manifest tells the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockHashes {
    /// BLAKE3: what is written now.
    #[serde(rename = "block_blake3")]
    Blake3(Vec<Digest<32>>),
    /// SHA-256, of the first backups.
    #[serde(rename = "block_sha256")]
    Sha256(Vec<Sha256>),
}

impl BlockHashes {
    /// How many blocks there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Blake3(hashes) => hashes.len(),
            Self::Sha256(hashes) => hashes.len(),
        }
    }

    /// The hash of a block, whatever kind it is of.
    pub(super) fn get(&self, at: usize) -> Option<&[u8; 32]> {
        match self {
            Self::Blake3(hashes) => hashes.get(at).map(|hash| &hash.0),
            Self::Sha256(hashes) => hashes.get(at).map(|hash| &hash.0),
        }
    }

    /// Hashes a block as these were.
    pub(super) fn hasher(&self) -> BlockHasher {
        match self {
            Self::Blake3(_) => BlockHasher::Blake3(Box::default()),
            Self::Sha256(_) => BlockHasher::Sha256(Box::new(Context::new(&SHA256))),
        }
    }
}

/// Hashes one block.
pub(super) enum BlockHasher {
    Blake3(Box<blake3::Hasher>),
    Sha256(Box<Context>),
}

impl BlockHasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(context) => context.update(bytes),
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        match self {
            Self::Blake3(hasher) => *hasher.finalize().as_bytes(),
            Self::Sha256(context) => Sha256::from_ring(&context.finish()).0,
        }
    }
}

/// Hashes blocks one after the other.
#[derive(Default)]
pub(super) struct BlocksHasher {
    hasher: blake3::Hasher,
    in_block_bytes: u64,
    blocks: Vec<Digest<32>>,
}

impl BlocksHasher {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK_SIZE_BYTES - self.in_block_bytes).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            self.in_block_bytes += now.len() as u64;
            if self.in_block_bytes == BLOCK_SIZE_BYTES {
                self.end_block();
            }
            bytes = later;
        }
    }

    fn end_block(&mut self) {
        self.blocks.push(Digest(*self.hasher.finalize().as_bytes()));
        self.hasher.reset();
        self.in_block_bytes = 0;
    }

    /// The hashes of all blocks; nothing is left of them here.
    pub(super) fn finish(&mut self) -> BlockHashes {
        if self.in_block_bytes > 0 {
            self.end_block();
        }
        BlockHashes::Blake3(std::mem::take(&mut self.blocks))
    }
}
