//! One block of a stored part, read and compared: what repairing a replica goes by.

use std::io;
use std::ops::ControlFlow;

use super::{BLOCK_SIZE_BYTES, Part};
use crate::error::{Error, Result};
use crate::read_at::{ReadAt, read_fully};

/// How much is read at a time, in bytes.
const READ_SIZE_BYTES: u64 = 1 << 20;
/// The same from a place that is far away.
const FAR_READ_SIZE_BYTES: u64 = 4 << 20;

impl Part {
    /// How many blocks it has.
    pub fn block_count(&self) -> usize {
        self.block_hashes.count()
    }

    /// Where a block begins and how long it is, in bytes.
    pub fn block(&self, number: usize) -> (u64, u64) {
        let begins = BLOCK_SIZE_BYTES.saturating_mul(number as u64).min(self.size_bytes);
        (begins, BLOCK_SIZE_BYTES.min(self.size_bytes - begins))
    }
}

/// Reads a block of a part into `block`, whose content is replaced, and compares it with the hash that the part tells.
/// Gives what is wrong with it, if anything: a block that cannot be read is wrong too. `progress` is told bytes as they go,
/// and may say to stop.
///
/// # Errors
/// [`Error::Cancelled`] when told to stop.
pub fn read_block(
    source: &dyn ReadAt,
    part: &Part,
    number: usize,
    block: &mut Vec<u8>,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<String>> {
    block.clear();
    let mut keep = |piece: &[u8]| block.extend_from_slice(piece);
    each_piece(source, part, number, READ_SIZE_BYTES, &mut keep, progress)
}

/// The same without keeping it, in longer pieces: for a place that is asked for each of them.
///
/// # Errors
/// [`Error::Cancelled`] when told to stop.
pub fn check_block(
    source: &dyn ReadAt,
    part: &Part,
    number: usize,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<String>> {
    each_piece(source, part, number, FAR_READ_SIZE_BYTES, &mut |_| (), progress)
}

/// Reads a block piece by piece, and compares its hash.
fn each_piece(
    source: &dyn ReadAt,
    part: &Part,
    number: usize,
    read_size_bytes: u64,
    see: &mut dyn FnMut(&[u8]),
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Option<String>> {
    let (begins, size_bytes) = part.block(number);
    let mut hasher = part.block_hashes.hasher();
    let mut piece = Vec::new();
    let mut done = 0;
    while done < size_bytes {
        let more = read_size_bytes.min(size_bytes - done);
        piece.resize(usize::try_from(more).unwrap_or(0), 0);
        match read_fully(source, &mut piece, begins + done) {
            Ok(count) if count == piece.len() => {}
            Ok(_) => return Ok(Some("the file ends before its end".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Error::Cancelled),
            Err(error) => return Ok(Some(format!("it cannot be read: {error}"))),
        }
        hasher.update(&piece);
        see(&piece);
        done += more;
        if progress(more).is_break() {
            return Err(Error::Cancelled);
        }
    }
    let is_right = part.block_hashes.get(number) == Some(&hasher.finish());
    Ok((!is_right).then(|| "it does not have the hash that the manifest tells".to_owned()))
}
