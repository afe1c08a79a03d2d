//! Reading stored bytes at a position: from a local file, or by range reads of a storage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use backstock_host::ReadFile;

/// A stored file that can be read at any position, by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Reads bytes from `offset` on. May be short; 0 is the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Length of the file as it is stored, in bytes: of a sealed one that is read opened, it is more.
    fn stored_bytes(&self) -> io::Result<u64> {
        self.size_bytes()
    }
}

impl ReadAt for Box<dyn ReadFile> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - start);
        buffer[..count].copy_from_slice(&self[start..start + count]);
        Ok(count)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }

    fn stored_bytes(&self) -> io::Result<u64> {
        (**self).stored_bytes()
    }
}

impl ReadAt for Box<dyn ReadAt> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        (**self).size_bytes()
    }

    fn stored_bytes(&self) -> io::Result<u64> {
        (**self).stored_bytes()
    }
}

/// Fills the buffer from `offset` on; returns how many bytes there were before the end.
pub fn read_fully(source: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Every other read is interrupted, and each gives one byte.
    #[derive(Default)]
    struct Haunted(AtomicUsize);

    impl ReadAt for Haunted {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some(byte) = b"the text".get(usize::try_from(offset).unwrap()) else { return Ok(0) };
            buffer[0] = *byte;
            Ok(1)
        }

        fn size_bytes(&self) -> io::Result<u64> {
            Ok(8)
        }
    }

    #[test]
    fn an_interrupted_read_is_taken_up_again() {
        let (source, mut buffer) = (Haunted::default(), [0; 20]);
        assert_eq!(read_fully(&source, &mut buffer, 0).unwrap(), 8);
        assert_eq!(&buffer[..8], b"the text");
        assert_eq!(read_fully(&source, &mut buffer, 8).unwrap(), 0);
    }
}
