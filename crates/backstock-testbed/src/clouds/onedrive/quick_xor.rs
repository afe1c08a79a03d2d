//! QuickXorHash, byte by byte as Microsoft describes it ("Code snippets: QuickXorHash Algorithm"): slow, and not the client's code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The hash of these bytes, in base64.
pub(super) fn quick_xor(bytes: &[u8]) -> String {
    let mut ring = [0_u8; 20];
    let mut begin = 0;
    for byte in bytes {
        // A byte that does not begin where one of the ring does touches two of them.
        ring[begin / 8] ^= byte << (begin % 8);
        if begin % 8 > 0 {
            ring[(begin / 8 + 1) % 20] ^= byte >> (8 - begin % 8);
        }
        begin = (begin + 11) % 160;
    }
    for (place, byte) in ring[12..].iter_mut().zip((bytes.len() as u64).to_le_bytes()) {
        *place ^= byte;
    }
    STANDARD.encode(ring)
}
