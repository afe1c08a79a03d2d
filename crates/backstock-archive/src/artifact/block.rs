//! One block of a stored part, read and compared: what repairing a replica goes by.

use std::io;
use std::ops::ControlFlow;

use super::{BLOCK_SIZE_BYTES, Part};
use crate::error::{Error, Result};
use crate::read_at::{ReadAt, read_fully};

/// How much is read at a time, in bytes.
const READ_SIZE_BYTES: u64 = 1 << 20;

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
    let (begins, size_bytes) = part.block(number);
    block.clear();
    let mut hasher = part.block_hashes.hasher();
    while (block.len() as u64) < size_bytes {
        let at = block.len();
        let more = usize::try_from(READ_SIZE_BYTES.min(size_bytes - at as u64)).unwrap_or(0);
        block.resize(at + more, 0);
        match read_fully(source, &mut block[at..], begins + at as u64) {
            Ok(count) if count == more => {}
            Ok(_) => return Ok(Some("the file ends before its end".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Error::Cancelled),
            Err(error) => return Ok(Some(format!("it cannot be read: {error}"))),
        }
        hasher.update(&block[at..]);
        if progress(more as u64).is_break() {
            return Err(Error::Cancelled);
        }
    }
    let is_right = part.block_hashes.get(number) == Some(&hasher.finish());
    Ok((!is_right).then(|| "it does not have the hash that the manifest tells".to_owned()))
}
