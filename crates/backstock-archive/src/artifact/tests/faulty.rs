//! The machine's files with one fault: full at some byte, no sync, only short writes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backstock_host::files::{FileStat, RealFiles};
use backstock_host::{Files, Host, ReadFile, WriteFile};

/// Linux error numbers (errno(3)).
pub(super) const EIO: i32 = 5;
pub(super) const EFBIG: i32 = 27;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EDQUOT: i32 = 122;

#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Writes fail with this error once so many bytes are written.
    FullAt(u64, i32),
    /// The first sync of a file fails; every later one succeeds, as kernels do it.
    FirstSync,
    /// Folders cannot be synced.
    FolderSync,
    /// Each write takes one byte, or is interrupted.
    ShortWrites,
}

#[derive(Debug)]
struct FaultyFiles {
    fault: Fault,
    written: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
}

struct FaultyFile {
    file: Box<dyn WriteFile>,
    fault: Fault,
    written: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
}

/// The machine with that fault.
pub(super) fn host(fault: Fault) -> Host {
    let files = FaultyFiles { fault, written: Arc::default(), syncs: Arc::default() };
    Host { files: Arc::new(files), ..Host::real() }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.written.load(Ordering::SeqCst);
        let count = match self.fault {
            Fault::FullAt(limit, code) if before >= limit => return Err(io::Error::from_raw_os_error(code)),
            Fault::FullAt(limit, _) => bytes.len().min(usize::try_from(limit - before).unwrap()),
            Fault::ShortWrites if before.is_multiple_of(3) => {
                self.written.fetch_add(1, Ordering::SeqCst);
                return Err(io::ErrorKind::Interrupted.into());
            }
            Fault::ShortWrites => bytes.len().min(1),
            Fault::FirstSync | Fault::FolderSync => bytes.len(),
        };
        let count = self.file.write(&bytes[..count])?;
        self.written.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        if matches!(self.fault, Fault::FirstSync) && self.syncs.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.file.sync()
    }
}

impl Files for FaultyFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = RealFiles.create_new(path)?;
        let (written, syncs) = (Arc::clone(&self.written), Arc::clone(&self.syncs));
        Ok(Box::new(FaultyFile { file, fault: self.fault, written, syncs }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        RealFiles.open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        RealFiles.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(std::path::PathBuf, FileStat)>> {
        RealFiles.list(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        RealFiles.stat(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        match self.fault {
            Fault::FolderSync => Err(io::Error::from_raw_os_error(EIO)),
            _ => RealFiles.sync_folder(path),
        }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealFiles.free_bytes(path)
    }
}
