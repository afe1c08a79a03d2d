//! QuickXorHash: the hash that OneDrive tells of every file, 160 bits wide.
//!
//! Source: Microsoft, "Code snippets: QuickXorHash Algorithm" (OneDrive documentation). Each byte is XORed into a ring of 160
//! bits, 11 bits further than the one before it; at last the length is XORed into the last 64 bits. Since 11 × 160 is a multiple
//! of 160, every 160th byte meets the same place: bytes are first XORed with those, and shifted once at the end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::content::ServiceHash;

/// Bits from one byte to the next.
const SHIFT_BITS: usize = 11;
/// Bytes of the ring.
const RING_BYTES: usize = 20;
/// After so many bytes the places repeat.
const PERIOD_BYTES: usize = 8 * RING_BYTES;

/// The hash, as far as it got.
#[derive(Debug, Clone)]
pub(super) struct QuickXor {
    columns: [u8; PERIOD_BYTES],
    size_bytes: u64,
    /// Where the next byte goes.
    column: usize,
}

impl Default for QuickXor {
    fn default() -> Self {
        Self { columns: [0; PERIOD_BYTES], size_bytes: 0, column: 0 }
    }
}

impl ServiceHash for QuickXor {
    fn see(&mut self, bytes: &[u8]) {
        let begun = (PERIOD_BYTES - self.column).min(bytes.len());
        let (first, rest) = bytes.split_at(begun);
        xor(&mut self.columns[self.column..], first);
        for period in rest.chunks(PERIOD_BYTES) {
            xor(&mut self.columns, period);
        }
        self.column = (self.column + bytes.len()) % PERIOD_BYTES;
        self.size_bytes += bytes.len() as u64;
    }
}

fn xor(columns: &mut [u8], bytes: &[u8]) {
    for (column, byte) in columns.iter_mut().zip(bytes) {
        *column ^= byte;
    }
}

impl QuickXor {
    /// The hash as OneDrive writes it: in base64.
    pub(super) fn finish(&self) -> String {
        let mut ring = [0; RING_BYTES];
        for (number, byte) in self.columns.iter().enumerate() {
            let bit = number * SHIFT_BITS % PERIOD_BYTES;
            let [low, high] = (u16::from(*byte) << (bit % 8)).to_le_bytes();
            ring[bit / 8] ^= low;
            ring[(bit / 8 + 1) % RING_BYTES] ^= high;
        }
        xor(&mut ring[RING_BYTES - 8..], &self.size_bytes.to_le_bytes());
        STANDARD.encode(ring)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(bytes: &[u8]) -> String {
        let mut hash = QuickXor::default();
        hash.see(bytes);
        hash.finish()
    }

    /// Vectors that other implementations are tested with.
    #[test]
    fn it_is_the_hash_of_others() {
        for (bytes, expected) in [
            ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
            ("tbQ=", "taAFAAAAAAAAAAAAAgAAAAAAAAA="),
            ("jRRDVA==", "jaDAEKgAAAAAAAAABAAAAAAAAAA="),
            ("/aNzzCFPS/A=", "/RjFHJgRgicsAR4ACAAAAAAAAAA="),
            ("2fuxhBJXtpWFe8dOfdGeHw==", "O9tHLAghgSvYohKFyMMxnNCHaHg="),
            ("T6LYJIfDh81JrAK309H2JMJTXis=", "zBTHrspn3mEcohlJdIUAbjGNaNg="),
            (
                "ikwCorI7PKWz17EI50jZCGbV9JU2E8bXVfxNMg5zdmqSZ2NlsQPp0kqYIPjzwTg1MBtfWPg53k0h\
                 0P2naJNEVgrqpoHTfV2b3pJ4m0zYPTJmUX4Bg/lOxcnCxAYKU29Y5F0U8Quz7ZXFBEweftXxJ7RS\
                 4r6N7BzJrPsLhY7hgck=",
                "imAoFvCWlDn4yVw3/oq1PDbbm6U=",
            ),
        ] {
            assert_eq!(hash(&STANDARD.decode(bytes).unwrap()), expected, "{bytes}");
        }
    }

    /// The same, bit by bit, as its description says.
    fn plainly(bytes: &[u8]) -> String {
        let mut ring = [0_u8; RING_BYTES];
        for (number, byte) in bytes.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let place = (number * SHIFT_BITS + bit) % (8 * RING_BYTES);
                ring[place / 8] ^= 1 << (place % 8);
            }
        }
        for (place, byte) in ring[12..].iter_mut().zip((bytes.len() as u64).to_le_bytes()) {
            *place ^= byte;
        }
        STANDARD.encode(ring)
    }

    proptest! {
        #[test]
        fn however_the_bytes_come_the_hash_is_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
        ) {
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            places.sort_unstable();
            let (mut hash, mut done) = (QuickXor::default(), 0);
            for place in places.into_iter().chain([bytes.len()]) {
                hash.see(&bytes[done..place]);
                done = place;
            }
            prop_assert_eq!(hash.finish(), plainly(&bytes));
        }
    }
}
