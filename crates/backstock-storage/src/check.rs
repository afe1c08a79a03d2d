//! What a part is checked by on its way: the BLAKE3 of its blocks where they are known, else the SHA-256 of all of it.

use ring::digest::{Context, SHA256};

use crate::part::BLOCK_BYTES;

/// A check that is going on.
pub(crate) enum Check {
    /// Of all of it, from its first byte on.
    Whole { hashed: Box<Context>, sha256: [u8; 32] },
    /// Of its blocks, from the beginning of any of them on.
    Blocks { hashed: Box<blake3::Hasher>, filled: u64, blocks: Vec<[u8; 32]>, next: usize, is_right: bool },
}

impl Check {
    pub(crate) fn new(sha256: [u8; 32], blocks: &[[u8; 32]]) -> Self {
        if blocks.is_empty() {
            return Self::Whole { hashed: Box::new(Context::new(&SHA256)), sha256 };
        }
        let (hashed, blocks) = (Box::new(blake3::Hasher::new()), blocks.to_vec());
        Self::Blocks { hashed, filled: 0, blocks, next: 0, is_right: true }
    }

    /// Where to begin so that what follows a position is checked: there, or somewhat before.
    pub(crate) fn begin_before(&mut self, position: u64) -> u64 {
        match self {
            Self::Whole { .. } => 0,
            Self::Blocks { next, .. } => {
                *next = usize::try_from(position / BLOCK_BYTES).unwrap_or(usize::MAX);
                position - position % BLOCK_BYTES
            }
        }
    }

    /// The next bytes.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) {
        match self {
            Self::Whole { hashed, .. } => hashed.update(bytes),
            Self::Blocks { hashed, filled, .. } => {
                while !bytes.is_empty() {
                    let room = usize::try_from(BLOCK_BYTES - *filled).unwrap_or(usize::MAX);
                    let (piece, rest) = bytes.split_at(bytes.len().min(room));
                    hashed.update(piece);
                    *filled += piece.len() as u64;
                    bytes = rest;
                    if *filled == BLOCK_BYTES {
                        return self.end_block_and(bytes);
                    }
                }
            }
        }
    }

    fn end_block_and(&mut self, rest: &[u8]) {
        self.end_block();
        self.see(rest);
    }

    fn end_block(&mut self) {
        if let Self::Blocks { hashed, filled, blocks, next, is_right } = self {
            *is_right &= blocks.get(*next) == Some(hashed.finalize().as_bytes());
            hashed.reset();
            (*filled, *next) = (0, *next + 1);
        }
    }

    /// Whether everything that was seen, up to the end of the part, is what was promised.
    pub(crate) fn end(mut self) -> bool {
        if let Self::Blocks { filled: 1.., .. } = self {
            self.end_block();
        }
        match self {
            Self::Whole { hashed, sha256 } => hashed.finish().as_ref() == sha256,
            Self::Blocks { blocks, next, is_right, .. } => is_right && next == blocks.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_a_lacking_byte_and_a_byte_too_many_are_found_by_either_check() {
        let block = usize::try_from(BLOCK_BYTES).unwrap();
        let bytes: Vec<u8> = (0..block + 70_001).map(|at| (at >> 7).to_le_bytes()[0]).collect();
        let blocks: Vec<[u8; 32]> =
            bytes.chunks(block).map(|block| *blake3::hash(block).as_bytes()).collect();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(ring::digest::digest(&SHA256, &bytes).as_ref());
        let check = |bytes: &[u8], blocks: &[[u8; 32]], from: usize| {
            let mut check = Check::new(sha256, blocks);
            let from = usize::try_from(check.begin_before(from as u64)).unwrap();
            bytes[from..].chunks(1 << 20).for_each(|piece| check.see(piece));
            check.end()
        };
        for known in [&[][..], &blocks] {
            assert!(check(&bytes, known, 0));
            assert!(!check(&bytes[..bytes.len() - 1], known, 0));
            assert!(!check(&[&bytes[..], b"x"].concat(), known, 0));
            for at in [0, block - 1, block, bytes.len() - 1] {
                let mut other = bytes.clone();
                other[at] ^= 0x10;
                assert!(!check(&other, known, 0), "byte {at}");
            }
        }
        assert!(check(&bytes, &blocks, block + 1000), "from the second block on");
        let mut other = bytes.clone();
        other[block - 1] ^= 1;
        assert!(check(&other, &blocks, block + 1000) && !check(&other, &[], block + 1000));
        assert!(!check(&bytes[..block], &blocks, 0), "a block that is lacking");
    }
}
