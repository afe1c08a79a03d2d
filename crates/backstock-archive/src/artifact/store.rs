//! Stored frames: content that is compressed already, in a valid zstd frame or gzip member without compressing it.

use super::xxh64::xxh64;

/// RFC 8878 section 3.1.1.1.1: a content size of four bytes, a window byte, a checksum.
const ZSTD_FRAME_HEADER: [u8; 6] = [0x28, 0xB5, 0x2F, 0xFD, 0b1000_0100, ZSTD_WINDOW];
/// A window of 128 KiB (exponent 7, mantissa 0), which is also the longest block.
const ZSTD_WINDOW: u8 = 7 << 3;
const ZSTD_BLOCK_BYTES: usize = 128 << 10;

/// RFC 1952 section 2.3: deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
/// RFC 1951 section 3.2.4: a stored block's length has 16 bits.
const DEFLATE_BLOCK_BYTES: usize = 65_535;

/// Appends a zstd frame of raw blocks. The content is at most 4 GiB - 1 long.
pub(super) fn zstd_frame(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&ZSTD_FRAME_HEADER);
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_le_bytes());
    for_each_block(content, ZSTD_BLOCK_BYTES, |block, last| {
        // Section 3.1.1.2: last block in bit 0, type 0 (raw) in bits 1-2, size above.
        let header = (block.len() << 3) | usize::from(last);
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.extend_from_slice(block);
    });
    out.extend_from_slice(&xxh64(content).to_le_bytes()[..4]);
}

/// Appends a gzip member of stored blocks.
pub(super) fn gzip_member(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&GZIP_HEADER);
    for_each_block(content, DEFLATE_BLOCK_BYTES, |block, last| {
        let size = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(last));
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        out.extend_from_slice(block);
    });
    out.extend_from_slice(&libdeflater::crc32(content).to_le_bytes());
    // Section 2.3.1: the length modulo 2^32.
    out.extend_from_slice(&content.len().to_le_bytes()[..4]);
}

/// Calls for each block, the last one marked; once with nothing for empty content.
fn for_each_block(content: &[u8], block_bytes: usize, mut call: impl FnMut(&[u8], bool)) {
    let mut rest = content;
    while rest.len() > block_bytes {
        let (block, after) = rest.split_at(block_bytes);
        call(block, false);
        rest = after;
    }
    call(rest, true);
}
