//! XXH64 with seed 0: the checksum at the end of a zstd frame (RFC 8878 section 3.1.1), for frames written by hand.

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// Four lanes of eight bytes are mixed at a time.
const STRIPE_BYTES: usize = 32;

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

fn merge(hash: u64, lane: u64) -> u64 {
    (hash ^ round(0, lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(word)
}

/// The XXH64 of these bytes with seed 0.
pub(super) fn xxh64(bytes: &[u8]) -> u64 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0_u64.wrapping_sub(PRIME_1)];
    let mut stripes = bytes.chunks_exact(STRIPE_BYTES);
    for stripe in &mut stripes {
        for (lane, input) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
            *lane = round(*lane, word(input));
        }
    }
    let mut hash = if bytes.len() >= STRIPE_BYTES {
        let [a, b, c, d] = lanes;
        let sum = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        lanes.into_iter().fold(sum, merge)
    } else {
        PRIME_5
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    finish(hash, stripes.remainder())
}

fn finish(mut hash: u64, rest: &[u8]) -> u64 {
    let mut words = rest.chunks_exact(8);
    for input in &mut words {
        hash = (hash ^ round(0, word(input))).rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
    }
    let mut rest = words.remainder();
    if rest.len() >= 4 {
        let half = u64::from(u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]));
        hash =
            (hash ^ half.wrapping_mul(PRIME_1)).rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
        rest = &rest[4..];
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(PRIME_5)).rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The empty input's value is published; the others are what the zstd library puts behind such content.
    #[test]
    fn agrees_with_the_zstd_library_at_every_short_length() {
        assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
        let content: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(151)).collect();
        for length in 0..content.len() {
            let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
            compressor.include_checksum(true).unwrap();
            let frame = compressor.compress(&content[..length]).unwrap();
            let expected = &frame[frame.len() - 4..];
            assert_eq!(&xxh64(&content[..length]).to_le_bytes()[..4], expected, "length {length}");
        }
    }
}
