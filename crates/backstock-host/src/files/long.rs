//! A long file that is written once, from its beginning to its end, past the page cache.
//!
//! A backup is as large as the shop. Through the page cache it would push out what the shop reads, cost a copy of every
//! byte, and leave all the waiting to the sync at the end. So whole buffers go straight from memory to the disk
//! (`O_DIRECT` of `open(2)`), where the file system can do that; the rest at the end, and everything elsewhere, goes the
//! usual way.
//!
//! A full buffer is written by a thread of its own while the next one is filled: whoever seals on the way to the disk would keep it
//! waiting otherwise. An error of such a write is that of the next call.
//!
//! Data can be lost here. What is in the buffer is in no file: `flush` writes it, and `sync` begins with that. A direct
//! write that was cut short is carried on the usual way, and nothing is direct after it: positions would not fit.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

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

/// A buffer whose aligned part begins at `start`.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    start: usize,
}

impl Block {
    fn new() -> Self {
        let bytes = vec![0; BUFFER_BYTES + ALIGNMENT_BYTES];
        let to_aligned = bytes.as_ptr().align_offset(ALIGNMENT_BYTES);
        // Where no aligned place can be told, direct writes fail and the usual ones follow.
        let start = if to_aligned <= ALIGNMENT_BYTES { to_aligned } else { 0 };
        Self { bytes, start }
    }

    fn filled(&self, length: usize) -> &[u8] {
        &self.bytes[self.start..self.start + length]
    }
}

/// The file itself, and how whole buffers go into it.
#[derive(Debug)]
struct Output {
    file: File,
    way: Way,
}

impl Output {
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

    /// Writes a full buffer.
    fn write_full(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.way == Way::Untried {
            self.way = if self.set_direct(true).is_ok() { Way::Direct } else { Way::Cached };
        }
        let mut written = 0;
        while self.way == Way::Direct && written < bytes.len() {
            match rustix::io::write(&self.file, &bytes[written..]) {
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
        self.file.write_all(&bytes[written..])
    }
}

/// What the writing thread gives back: the file, the buffer, and how the write went.
type Written = (Output, Block, io::Result<()>);

/// Who writes a full buffer while the next one is being filled.
#[derive(Debug)]
struct Beside {
    give: Option<Sender<(Output, Block)>>,
    take: Receiver<Written>,
    thread: Option<JoinHandle<()>>,
}

impl Beside {
    fn start() -> io::Result<Self> {
        let (give, given) = channel::<(Output, Block)>();
        let (gives_back, take) = channel();
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || {
            for (mut output, block) in given {
                let result = output.write_full(block.filled(BUFFER_BYTES));
                if gives_back.send((output, block, result)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { give: Some(give), take, thread: Some(thread) })
    }
}

impl Drop for Beside {
    /// Nothing is written any more once the file is dropped.
    fn drop(&mut self) {
        drop(self.give.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A long file being written.
#[derive(Debug)]
pub(super) struct LongFile {
    /// Not here while a full buffer is being written.
    output: Option<Output>,
    /// Made at the first write.
    filling: Option<Block>,
    filled: usize,
    /// The other buffer, between two writes.
    spare: Option<Block>,
    beside: Option<Beside>,
}

impl LongFile {
    /// Writes to a file that is empty and open for writing.
    pub(super) fn new(file: File) -> Self {
        let output = Some(Output { file, way: Way::Untried });
        Self { output, filling: None, filled: 0, spare: None, beside: None }
    }

    /// Hands the full buffer over, once the one before it is written.
    fn hand_over(&mut self, full: Block) -> io::Result<()> {
        self.settle()?;
        let next = self.spare.take().unwrap_or_else(Block::new);
        let output = self.output.take().ok_or_else(lost)?;
        let beside = match &self.beside {
            Some(beside) => beside,
            None => self.beside.insert(Beside::start()?),
        };
        let give = beside.give.as_ref().ok_or_else(lost)?;
        give.send((output, full)).map_err(|_| lost())?;
        (self.filling, self.filled) = (Some(next), 0);
        Ok(())
    }

    /// Waits for the buffer that is being written, if one is.
    fn settle(&mut self) -> io::Result<()> {
        let Some(beside) = self.beside.as_ref().filter(|_| self.output.is_none()) else { return Ok(()) };
        let (output, block, result) = beside.take.recv().map_err(|_| lost())?;
        self.spare = Some(block);
        match result {
            Ok(()) => self.output = Some(output),
            // Whoever passes over this error gets another one with every later call.
            Err(error) => {
                self.beside = None;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The thread that writes has died, or an earlier error was passed over.
fn lost() -> io::Error {
    io::Error::other("the thread that writes is gone")
}

impl Write for LongFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut block = self.filling.take().unwrap_or_else(Block::new);
        let count = bytes.len().min(BUFFER_BYTES - self.filled);
        let at = block.start + self.filled;
        block.bytes[at..at + count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        if self.filled == BUFFER_BYTES {
            self.hand_over(block)?;
        } else {
            self.filling = Some(block);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()?;
        let output = self.output.as_mut().ok_or_else(lost)?;
        if let Some(block) = self.filling.as_ref().filter(|_| self.filled > 0) {
            output.give_up_direct()?;
            output.file.write_all(block.filled(self.filled))?;
            self.filled = 0;
        }
        output.file.flush()
    }
}

impl WriteFile for LongFile {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.output.as_ref().ok_or_else(lost)?.file.sync_all()
    }

    fn pending_bytes(&self) -> u64 {
        let under_way = if self.output.is_none() { BUFFER_BYTES } else { 0 };
        (self.filled + under_way) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F17: the write that fails is on another thread; whoever passes over its error hears of it again, and never that all is well.
    #[test]
    fn f17_a_write_that_failed_beside_is_never_forgotten() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut file = LongFile::new(full);
        let piece = vec![7; BUFFER_BYTES];
        file.write_all(&piece).unwrap();
        let error = file.write_all(&piece).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(file.flush().is_err());
        assert!(file.sync().is_err());
        assert!(file.write_all(&piece).is_err());
        // The last of all that fails is told at the end.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut file = LongFile::new(full);
        file.write_all(&piece).unwrap();
        assert_eq!(file.sync().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
