//! A long file that is written once, from its beginning to its end, past the page cache.
//!
//! A backup is as large as the shop. Through the page cache it would push out what the shop reads, cost a copy of every
//! byte, and leave all the waiting to the sync at the end. So whole buffers go straight from memory to the disk
//! (`O_DIRECT` of `open(2)`), where the file system can do that; the rest at the end, and everything elsewhere, goes the
//! usual way.
//!
//! Data can be lost here. What is in the buffer is in no file: `flush` writes it, and `sync` begins with that. A direct
//! write that was cut short is carried on the usual way, and nothing is direct after it: positions would not fit.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::WriteFile;

/// Memory, positions and lengths of direct writes are multiples of this many bytes: enough for every common disk.
const ALIGNMENT_BYTES: usize = 4096;
/// How many bytes are written at once: measured, shorter writes wait longer for a disk that is far away.
pub(super) const BUFFER_BYTES: usize = 4 << 20;

/// How whole buffers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// None was written yet.
    Untried,
    /// Straight to the disk.
    Direct,
    /// Through the page cache.
    Cached,
}

/// A long file being written.
#[derive(Debug)]
pub(super) struct LongFile {
    file: File,
    /// Made at the first write; its aligned part begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    way: Way,
}

impl LongFile {
    /// Writes to a file that is empty and open for writing.
    pub(super) fn new(file: File) -> Self {
        Self { file, buffer: Vec::new(), start: 0, filled: 0, way: Way::Untried }
    }

    fn make_buffer(&mut self) {
        self.buffer = vec![0; BUFFER_BYTES + ALIGNMENT_BYTES];
        let to_aligned = self.buffer.as_ptr().align_offset(ALIGNMENT_BYTES);
        // Where no aligned place can be told, direct writes fail and the usual ones follow.
        self.start = if to_aligned <= ALIGNMENT_BYTES { to_aligned } else { 0 };
    }

    fn set_direct(&self, is_direct: bool) -> io::Result<()> {
        let flags = fcntl_getfl(&self.file)?;
        let wanted = if is_direct { flags | OFlags::DIRECT } else { flags - OFlags::DIRECT };
        Ok(fcntl_setfl(&self.file, wanted)?)
    }

    /// From now on the usual way.
    fn give_up_direct(&mut self) -> io::Result<()> {
        if self.way == Way::Direct {
            self.set_direct(false)?;
        }
        self.way = Way::Cached;
        Ok(())
    }

    /// Writes the full buffer.
    fn write_full(&mut self) -> io::Result<()> {
        if self.way == Way::Untried {
            self.way = if self.set_direct(true).is_ok() { Way::Direct } else { Way::Cached };
        }
        let mut written = 0;
        while self.way == Way::Direct && written < BUFFER_BYTES {
            let rest = &self.buffer[self.start + written..self.start + BUFFER_BYTES];
            match rustix::io::write(&self.file, rest) {
                Ok(count) if count > 0 && count.is_multiple_of(ALIGNMENT_BYTES) => written += count,
                Ok(count) => {
                    written += count;
                    self.give_up_direct()?;
                }
                Err(Errno::INTR) => {}
                // The file system, or this buffer, cannot do it after all.
                Err(Errno::INVAL | Errno::NOTSUP) => self.give_up_direct()?,
                Err(error) => return Err(error.into()),
            }
        }
        self.file.write_all(&self.buffer[self.start + written..self.start + BUFFER_BYTES])?;
        self.filled = 0;
        Ok(())
    }
}

impl Write for LongFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.make_buffer();
        }
        let count = bytes.len().min(BUFFER_BYTES - self.filled);
        let at = self.start + self.filled;
        self.buffer[at..at + count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        if self.filled == BUFFER_BYTES {
            self.write_full()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.give_up_direct()?;
            self.file.write_all(&self.buffer[self.start..self.start + self.filled])?;
            self.filled = 0;
        }
        self.file.flush()
    }
}

impl WriteFile for LongFile {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    fn pending_bytes(&self) -> u64 {
        self.filled as u64
    }
}
