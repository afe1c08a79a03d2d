//! The hash that Dropbox tells of what it holds: SHA-256 over the SHA-256 of each block of 4 MiB ("Content hash" in its
//! reference).

use backstock_host::hex;
use ring::digest::{Context, SHA256};

/// Bytes of a block.
const BLOCK_BYTES: usize = 4 << 20;

/// A hash under way.
#[derive(Clone)]
pub(super) struct ContentHash {
    blocks: Context,
    block: Context,
    block_bytes: usize,
}

impl ContentHash {
    pub(super) fn new() -> Self {
        Self { blocks: Context::new(&SHA256), block: Context::new(&SHA256), block_bytes: 0 }
    }

    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block_bytes));
            self.block.update(now);
            self.block_bytes += now.len();
            bytes = later;
            if self.block_bytes == BLOCK_BYTES {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::replace(&mut self.block, Context::new(&SHA256));
        self.blocks.update(block.finish().as_ref());
        self.block_bytes = 0;
    }

    /// The hash of all that was seen, in hexadecimal digits.
    pub(super) fn finish(mut self) -> String {
        if self.block_bytes > 0 {
            self.end_block();
        }
        hex::encode(self.blocks.finish().as_ref())
    }
}

/// The hash of a text in memory.
pub(super) fn content_hash(bytes: &[u8]) -> String {
    let mut hash = ContentHash::new();
    hash.see(bytes);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::digest::digest;

    use super::*;

    /// As the reference words it.
    fn naive(bytes: &[u8]) -> String {
        let hashes: Vec<u8> =
            bytes.chunks(BLOCK_BYTES).flat_map(|block| digest(&SHA256, block).as_ref().to_vec()).collect();
        hex::encode(digest(&SHA256, &hashes).as_ref())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn it_does_not_matter_in_which_pieces_it_is_seen(
            length in (0_usize..4, 0_usize..3).prop_map(|(blocks, more)| blocks * BLOCK_BYTES + more),
            cuts in prop::collection::vec(0_usize..(3 * BLOCK_BYTES), 0..5),
        ) {
            let bytes: Vec<u8> = (0_u8..251).cycle().take(length).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).collect();
            cuts.extend([0, length]);
            cuts.sort_unstable();
            let mut hash = ContentHash::new();
            for piece in cuts.windows(2) {
                hash.see(&bytes[piece[0]..piece[1]]);
            }
            prop_assert_eq!(hash.finish(), naive(&bytes));
        }
    }

    #[test]
    fn the_hash_of_nothing_is_that_of_no_block() {
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(content_hash(b""), nothing);
    }
}
