//! The text of an archive from one position on, frame by frame.

use std::io::{self, Read};

use super::source::FilesSource;
use crate::{Error, Result};

/// Reads the text of a chain's archives from any position. Holds one frame.
pub(crate) struct FrameCursor<'a> {
    source: &'a FilesSource<'a>,
    /// The archive that is being read.
    archive: u32,
    number: Option<u64>,
    frame: Vec<u8>,
    position: usize,
}

impl<'a> FrameCursor<'a> {
    /// At the beginning of the newest archive.
    pub(crate) fn new(source: &'a FilesSource<'a>) -> Self {
        Self { source, archive: source.own_number(), number: None, frame: Vec::new(), position: 0 }
    }

    /// Goes to a position in the text of a frame. The frame is read again only when it is another one.
    pub(crate) fn seek(&mut self, archive: u32, number: u64, offset_bytes: u64) -> Result<()> {
        if self.archive != archive || self.number != Some(number) {
            self.number = None;
            self.archive = archive;
            self.load(number)?;
        }
        self.position = usize::try_from(offset_bytes).unwrap_or(usize::MAX).min(self.frame.len());
        Ok(())
    }

    fn load(&mut self, number: u64) -> Result<()> {
        self.number = None;
        self.frame.clear();
        self.frame = self.source.archive(self.archive)?.read_frame(number)?;
        self.number = Some(number);
        self.position = 0;
        Ok(())
    }

    /// Where the next byte is: the number of its frame, and its position there. `None` at the end of the text.
    pub(crate) fn position(&mut self) -> Result<Option<(u64, u64)>> {
        if self.take(1)?.is_empty() {
            return Ok(None);
        }
        self.position -= 1;
        Ok(self.number.map(|number| (number, self.position as u64)))
    }

    /// Up to `limit` of the bytes that come next; none at the end of the text.
    pub(crate) fn take(&mut self, limit: u64) -> Result<&[u8]> {
        while self.position == self.frame.len() {
            let next = self.number.map_or(0, |number| number + 1);
            if next >= self.source.archive(self.archive)?.frames().len() {
                return Ok(&[]);
            }
            self.load(next)?;
        }
        let count = usize::try_from(limit).unwrap_or(usize::MAX).min(self.frame.len() - self.position);
        let start = self.position;
        self.position += count;
        Ok(&self.frame[start..start + count])
    }
}

impl Read for FrameCursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.take(buffer.len() as u64).map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// The error of this crate that a reader passed on, or what the tar reader says, as damage of the entry.
pub(crate) fn error_of(error: io::Error, artifact: &str, path: &[u8]) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Entry {
            artifact: artifact.to_owned(),
            path: super::printable(path),
            what: error.to_string(),
        },
    }
}
