//! Files that must survive a crash: state, spool, journals and local storage.
//!
//! Data can be lost here. The order that makes a new file durable is: write it under a name that nobody reads, sync
//! it, rename it, sync the folder (`write_durably`). After a failed sync the file counts as lost; a second
//! sync that succeeds proves nothing.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[cfg(test)]
mod contract;
#[cfg(feature = "failpoints")]
pub(crate) mod faulty;
mod long;
mod real;
mod simulated;

pub use real::RealFiles;
pub use simulated::{Fault, PowerLoss, SimulatedFiles};

/// What a folder listing or a look at one name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether it is a regular file. A symbolic link is neither a file nor a folder.
    pub is_file: bool,
}

/// A file being written.
pub trait WriteFile: Write + Send {
    /// Makes everything written so far durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Bytes that were taken and have no room on the disk yet.
    fn pending_bytes(&self) -> u64 {
        0
    }
}

/// A file being read.
pub trait ReadFile: Read + Send + Sync {
    /// Reads at a position, without moving the one that `read` uses. May be short; 0 is the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;
}

/// The operations on durable files. Paths are absolute. Errors are plain `io::Error`s; callers name act and thing.
pub trait Files: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist, readable by its owner only (0600).
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// As [`Self::create_new`], for a file that may be very long and is written from its beginning to its end. It does
    /// not crowd the memory that others read from; what is written is seen after `flush` or `sync`.
    fn create_long(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.create_new(path)
    }

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Creates a folder and its missing parents, accessible by its owner only (0700), and makes them durable.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Renames, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames, unless something is there: then it is an `AlreadyExists` error.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.stat(to)? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => self.rename(from, to),
        }
    }

    /// Removes a file. One that is not there is no error.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder. One that is not there is no error.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileStat)>>;

    /// What is under a name, if anything.
    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Bytes that an ordinary user may still write where `path` lies.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

impl dyn Files + '_ {
    /// Reads a whole file of at most `limit_bytes`; a longer one is an `InvalidData` error.
    pub fn read(&self, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = self.open(path)?;
        let size_bytes = file.size_bytes()?;
        if size_bytes > limit_bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{size_bytes} bytes, at most {limit_bytes} are expected"),
            ));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a whole file so that after a crash there is the old one or the new one. Replaces what is there. One
    /// writer at a time: callers hold the lock of what they write.
    pub fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let aside = folder.join(name);
        self.remove_file(&aside)?;
        let mut file = self.create_new(&aside)?;
        file.write_all(bytes)?;
        file.sync()?;
        drop(file);
        self.rename(&aside, path)?;
        self.sync_folder(folder)
    }

    /// Bytes that may be written where `path` lies without touching the reserve.
    pub fn spare_bytes(&self, path: &Path, reserve_bytes: u64) -> io::Result<u64> {
        Ok(self.free_bytes(path)?.saturating_sub(reserve_bytes))
    }

    /// A `StorageFull` error that tells the numbers, unless so many bytes fit beside the reserve.
    pub fn require_space(&self, path: &Path, needed_bytes: u64, reserve_bytes: u64) -> io::Result<()> {
        let free_bytes = self.free_bytes(path)?;
        if free_bytes.saturating_sub(reserve_bytes) >= needed_bytes {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!(
                "{needed_bytes} bytes are needed and {reserve_bytes} bytes stay in reserve, but only {free_bytes} \
                 bytes are free in {}",
                path.display()
            ),
        ))
    }

    /// Removes a folder with everything in it. One that is not there is no error.
    pub fn remove_tree(&self, path: &Path) -> io::Result<()> {
        if self.stat(path)?.is_none() {
            return Ok(());
        }
        for (entry, stat) in self.list(path)? {
            if stat.is_folder {
                self.remove_tree(&entry)?;
            } else {
                self.remove_file(&entry)?;
            }
        }
        self.remove_folder(path)
    }
}
