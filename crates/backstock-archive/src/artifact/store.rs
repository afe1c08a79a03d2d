//! Stored frames: content that is compressed already, in a valid zstd frame or gzip member without compressing it. The
//! content is not copied for that: it is given out in pieces, with what belongs before, between and behind them.

use backstock_vocabulary::Codec;

use super::xxh64::xxh64;

/// RFC 8878 section 3.1.1.1.1: a content size of four bytes, a window byte, a checksum.
const ZSTD_FRAME_HEADER: [u8; 6] = [0x28, 0xB5, 0x2F, 0xFD, 0b1000_0100, ZSTD_WINDOW];
/// A window of 128 KiB (exponent 7, mantissa 0), which is also the longest block.
const ZSTD_WINDOW: u8 = 7 << 3;
const ZSTD_BLOCK_BYTES: usize = 128 << 10;
/// Section 3.1.1.2: how long the header of a block is.
const ZSTD_BLOCK_HEADER_BYTES: usize = 3;

/// RFC 1952 section 2.3: deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
/// RFC 1951 section 3.2.4: a stored block's length has 16 bits.
const DEFLATE_BLOCK_BYTES: usize = 65_535;
/// The same section: type and end in one byte, the length twice.
const DEFLATE_BLOCK_HEADER_BYTES: usize = 5;

/// The checksum of the content that stands at the end of its frame.
pub(super) fn checksum(codec: Codec, content: &[u8]) -> u32 {
    match codec {
        // Section 3.1.1: the lower half.
        Codec::Zstd => u32::try_from(xxh64(content) & u64::from(u32::MAX)).unwrap_or(0),
        Codec::Gzip => libdeflater::crc32(content),
    }
}

/// How long the frame of so many bytes of content is.
pub(super) fn frame_bytes(codec: Codec, content_bytes: usize) -> usize {
    let (around, block_bytes, header_bytes) = match codec {
        Codec::Zstd => (ZSTD_FRAME_HEADER.len() + 4 + 4, ZSTD_BLOCK_BYTES, ZSTD_BLOCK_HEADER_BYTES),
        Codec::Gzip => (GZIP_HEADER.len() + 4 + 4, DEFLATE_BLOCK_BYTES, DEFLATE_BLOCK_HEADER_BYTES),
    };
    around + content_bytes.div_ceil(block_bytes).max(1) * header_bytes + content_bytes
}

/// Gives out the pieces of a frame in order. The content is at most 4 GiB - 1 long.
pub(super) fn each_piece<E>(
    codec: Codec,
    content: &[u8],
    checksum: u32,
    call: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    // The length has four bytes in both forms (RFC 1952 section 2.3.1: modulo 2^32).
    let mut size = [0; 4];
    size.copy_from_slice(&content.len().to_le_bytes()[..4]);
    match codec {
        Codec::Zstd => {
            call(&ZSTD_FRAME_HEADER)?;
            call(&size)?;
            each_block(content, ZSTD_BLOCK_BYTES, |block, last| {
                // Section 3.1.1.2: last block in bit 0, type 0 (raw) in bits 1-2, size above.
                let header = (block.len() << 3) | usize::from(last);
                call(&header.to_le_bytes()[..ZSTD_BLOCK_HEADER_BYTES])?;
                call(block)
            })?;
            call(&checksum.to_le_bytes())
        }
        Codec::Gzip => {
            call(&GZIP_HEADER)?;
            each_block(content, DEFLATE_BLOCK_BYTES, |block, last| {
                let [low, high] = u16::try_from(block.len()).unwrap_or(u16::MAX).to_le_bytes();
                call(&[u8::from(last), low, high, !low, !high])?;
                call(block)
            })?;
            call(&checksum.to_le_bytes())?;
            call(&size)
        }
    }
}

/// Calls for each block, the last one marked; once with nothing for empty content.
fn each_block<E>(
    content: &[u8],
    block_bytes: usize,
    mut call: impl FnMut(&[u8], bool) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = content;
    while rest.len() > block_bytes {
        let (block, after) = rest.split_at(block_bytes);
        call(block, false)?;
        rest = after;
    }
    call(rest, true)
}
