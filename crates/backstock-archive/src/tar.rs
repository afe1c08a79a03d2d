//! The form of the files artifact: POSIX.1-2001 pax members that stock `tar` extracts.
//!
//! Sources: POSIX.1-2017 `pax` (extended header and ustar interchange formats), the GNU tar manual's appendix on
//! sparse formats (PAX 1.0) and on its incremental format (dumpdir), and star's `SCHILY.*` keywords for extended attributes
//! and access control lists.

pub mod acl;
pub mod dumpdir;
pub mod member;
pub mod pax;
pub mod read;
pub mod sparse;

/// Tar counts in blocks of so many bytes.
pub const BLOCK_BYTES: usize = 512;

/// The two empty blocks that end an archive.
pub const END_BYTES: usize = 2 * BLOCK_BYTES;

/// What is wrong with bytes that should be a part of a tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// How many zero bytes follow a body of this length, so that the next member begins at a block.
pub fn padding_bytes(body_bytes: u64) -> usize {
    let block_bytes = BLOCK_BYTES as u64;
    usize::try_from((block_bytes - body_bytes % block_bytes) % block_bytes).unwrap_or(0)
}

/// Appends zero bytes up to the next block.
pub fn pad(out: &mut Vec<u8>, body_bytes: u64) {
    out.resize(out.len() + padding_bytes(body_bytes), 0);
}
