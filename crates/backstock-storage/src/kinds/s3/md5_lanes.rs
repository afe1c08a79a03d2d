//! MD5 of eight streams of one length at once, by the vector instructions of the processor. One stream alone leaves most of it idle:
//! every step waits for the one before.
//!
//! S3 wants the MD5 of every piece that is sent to it ("Content-MD5"). It guards against bytes that get lost or garbled, not
//! against people. Algorithm: RFC 1321, 3.1 to 3.5.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u32x8};

/// How many streams are hashed at once.
pub(super) const LANES: usize = 8;
/// What is given at a time is a multiple of this many bytes.
pub(super) const BLOCK_BYTES: usize = 64;

/// One word of each stream.
type Words = [u32; LANES];
/// What a round works on: one vector each for the words A, B, C and D (3.3).
type Registers<S> = [u32x8<S>; 4];

/// The words A, B, C and D at the beginning (3.3).
const BEGINNING: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// 2^32 times the sine of 1, 2, 3 …, without its sign and its fraction (3.4), a row for each round.
const SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

/// Eight streams that are being hashed.
#[derive(Debug)]
pub(super) struct Md5Lanes {
    state: [Words; 4],
    length_bytes: u64,
    level: Level,
}

impl Md5Lanes {
    pub(super) fn new() -> Self {
        Self { state: BEGINNING.map(|word| [word; LANES]), length_bytes: 0, level: Level::new() }
    }

    /// The next bytes of each stream: equally many of each, a multiple of [`BLOCK_BYTES`].
    ///
    /// # Panics
    ///
    /// Where they are not.
    pub(super) fn update(&mut self, lanes: [&[u8]; LANES]) {
        let length = lanes[0].len();
        assert!(length.is_multiple_of(BLOCK_BYTES) && lanes.iter().all(|lane| lane.len() == length));
        let state = &mut self.state;
        dispatch!(self.level, simd => compress(simd, state, &lanes));
        self.length_bytes += length as u64;
    }

    /// The hash of each stream.
    pub(super) fn finish(mut self) -> [[u8; 16]; LANES] {
        let mut end = [0; BLOCK_BYTES];
        end[0] = 0x80;
        end[BLOCK_BYTES - 8..].copy_from_slice(&(self.length_bytes * 8).to_le_bytes());
        self.update([&end; LANES]);
        std::array::from_fn(|lane| {
            let mut hash = [0; 16];
            for (bytes, words) in hash.as_chunks_mut().0.iter_mut().zip(&self.state) {
                *bytes = words[lane].to_le_bytes();
            }
            hash
        })
    }
}

/// All blocks of all streams (3.4).
#[inline(always)]
fn compress<S: Simd>(simd: S, state: &mut [Words; 4], lanes: &[&[u8]; LANES]) {
    let lanes = lanes.map(|lane| lane.as_chunks::<BLOCK_BYTES>().0);
    let mut registers: Registers<S> = state.map(|words| words.simd_into(simd));
    for at in 0..lanes[0].len() {
        let mut words = [[0; LANES]; 16];
        for (lane, blocks) in lanes.iter().enumerate() {
            for (word, bytes) in words.iter_mut().zip(blocks[at].as_chunks().0) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
        }
        let mixed = Round { simd, words: &words, sines: &SINES[0], first: 0, step: 1 }
            .act::<7, 12, 17, 22>(registers, |b, c, d| d ^ (b & (c ^ d)));
        let mixed = Round { simd, words: &words, sines: &SINES[1], first: 1, step: 5 }
            .act::<5, 9, 14, 20>(mixed, |b, c, d| c ^ (d & (b ^ c)));
        let mixed = Round { simd, words: &words, sines: &SINES[2], first: 5, step: 3 }
            .act::<4, 11, 16, 23>(mixed, |b, c, d| b ^ c ^ d);
        let mixed = Round { simd, words: &words, sines: &SINES[3], first: 0, step: 7 }
            .act::<6, 10, 15, 21>(mixed, |b, c, d| c ^ (b | !d));
        for (register, mixed) in registers.iter_mut().zip(mixed) {
            *register += mixed;
        }
    }
    *state = registers.map(Into::into);
}

/// One of the four rounds of a block: which words it takes, the first and so many further each time, and what is added to them.
struct Round<'a, S> {
    simd: S,
    words: &'a [Words; 16],
    sines: &'a [u32; 16],
    first: usize,
    step: usize,
}

impl<S: Simd> Round<'_, S> {
    /// Sixteen operations, whose shifts repeat after four.
    #[inline(always)]
    fn act<const S1: u32, const S2: u32, const S3: u32, const S4: u32>(
        &self,
        [mut a, mut b, mut c, mut d]: Registers<S>,
        mix: impl Fn(u32x8<S>, u32x8<S>, u32x8<S>) -> u32x8<S>,
    ) -> Registers<S> {
        for at in (0..16).step_by(4) {
            a = b + rotated::<S, S1>(a + self.added(at) + mix(b, c, d));
            d = a + rotated::<S, S2>(d + self.added(at + 1) + mix(a, b, c));
            c = d + rotated::<S, S3>(c + self.added(at + 2) + mix(d, a, b));
            b = c + rotated::<S, S4>(b + self.added(at + 3) + mix(c, d, a));
        }
        [a, b, c, d]
    }

    #[inline(always)]
    fn added(&self, at: usize) -> u32x8<S> {
        let word: u32x8<S> = self.words[(self.first + self.step * at) % 16].simd_into(self.simd);
        word + u32x8::splat(self.simd, self.sines[at])
    }
}

#[inline(always)]
fn rotated<S: Simd, const BY: u32>(word: u32x8<S>) -> u32x8<S> {
    (word << BY) | (word >> (32 - BY))
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sines_are_those_of_the_standard() {
        for (number, sine) in (1_u32..).zip(SINES.as_flattened()) {
            let exact = (f64::from(number).sin().abs() * 4_294_967_296.0).floor();
            assert!((f64::from(*sine) - exact).abs() < 0.5, "{number}");
        }
    }

    proptest! {
        /// Against another implementation, with every instruction set that this processor has.
        #[test]
        fn every_stream_has_the_hash_of_its_own_bytes(
            seed in any::<u64>(), blocks in 0_usize..70, cut in 0_usize..70, plain in any::<bool>(),
        ) {
            let length = blocks * BLOCK_BYTES;
            let streams: [Vec<u8>; LANES] = std::array::from_fn(|lane| {
                (0..length as u64).map(|at| {
                    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed.rotate_left(7).wrapping_mul(lane as u64 + 1)) >> 23).to_le_bytes()[0]
                }).collect()
            });
            let cut = cut.min(blocks) * BLOCK_BYTES;
            let mut hashes = Md5Lanes::new();
            if plain {
                hashes.level = Level::baseline();
            }
            hashes.update(std::array::from_fn(|lane| &streams[lane][..cut]));
            hashes.update(std::array::from_fn(|lane| &streams[lane][cut..]));
            let wanted: [[u8; 16]; LANES] = std::array::from_fn(|lane| Md5::digest(&streams[lane]).into());
            prop_assert_eq!(hashes.finish(), wanted);
        }
    }
}
