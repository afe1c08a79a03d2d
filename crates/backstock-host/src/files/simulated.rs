//! Files in memory that forget at a power loss what was not synced, and that fail where a test wants them to.
//!
//! The model is stricter than any one file system: the data of a file lives only after a sync of the file, its name
//! only after a sync of the folder, and of what was not synced any part may survive, in any order. A rename is atomic.
//! After a failed sync the data counts as written for the kernel and is lost on the disk all the same (F25).

mod disk;
mod fault;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::disk::PowerLoss;
use self::disk::{Data, Disk, Node};
pub use self::fault::Fault;
use self::fault::Faults;
use super::{FileStat, Files, ReadFile, WriteFile};

/// Files in memory, with a disk behind them that can lose its power. Clones share both.
#[derive(Debug, Clone)]
pub struct SimulatedFiles {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    disk: Disk,
    faults: Faults,
}

impl SimulatedFiles {
    /// An empty disk. The seed decides what survives a power loss.
    pub fn new(seed: u64) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { disk: Disk::new(seed), faults: Faults::default() })) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many steps that change something (creations, writes, syncs, renames, removals) there were so far.
    pub fn steps(&self) -> u64 {
        self.lock().faults.steps
    }

    /// Makes one step fail, counted from now: 0 is the next one.
    pub fn fail_step(&self, step: u64, fault: Fault) {
        let mut inner = self.lock();
        let step = inner.faults.steps + step;
        inner.faults.single.insert(step, fault);
    }

    /// Makes every step from one on fail, counted from now, as after the power went: until [`Self::lose_power`].
    pub fn stop_at(&self, step: u64) {
        let mut inner = self.lock();
        inner.faults.stop_at = Some(inner.faults.steps + step);
    }

    /// Lets the power go and come back: what is there then is what the disk had, and what `loss` lets survive of the
    /// rest. Open files are void. All orders for faults are forgotten, capacity and devices are not.
    pub fn lose_power(&self, loss: PowerLoss) {
        let mut inner = self.lock();
        inner.disk.lose_power(loss);
        inner.faults.single.clear();
        inner.faults.stop_at = None;
    }

    /// Gives the disk a size: writes beyond it are cut short and then refused (ENOSPC).
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.lock().faults.capacity_bytes = Some(capacity_bytes);
    }

    /// Lets one call write so many bytes at most.
    pub fn set_largest_write(&self, largest_bytes: usize) {
        self.lock().faults.largest_write_bytes = Some(largest_bytes.max(1));
    }

    /// Makes a file unreadable (EIO) from one byte on.
    pub fn set_unreadable(&self, path: &Path, offset_bytes: u64) {
        self.lock().faults.unreadable.insert(path.to_owned(), offset_bytes);
    }

    /// Makes a folder a device of its own: nothing can be renamed into it or out of it.
    pub fn set_device(&self, folder: &Path) {
        self.lock().faults.devices.push(folder.to_owned());
    }

    /// Changes bytes of a file behind everyone's back, as a failing disk does.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.lock().disk.file(path)?.rot(change);
        Ok(())
    }
}

impl Files for SimulatedFiles {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut inner = self.lock();
        inner.faults.step()?;
        let data = inner.disk.create(path)?;
        let boot = inner.disk.boot();
        Ok(Box::new(Writing { files: self.clone(), data, boot }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let inner = self.lock();
        let data = inner.disk.file(path)?;
        Ok(Box::new(Reading { files: self.clone(), data, path: path.to_owned(), position: 0 }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if let Some(Node::Folder(_)) = self.lock().disk.find(path)? {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.create_folder(parent)?;
        }
        let mut inner = self.lock();
        inner.faults.step()?;
        inner.disk.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.faults.step()?;
        if inner.faults.device_of(from) != inner.faults.device_of(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        inner.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.faults.step()?;
        inner.disk.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.faults.step()?;
        inner.disk.remove_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileStat)>> {
        self.lock().disk.list(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        Ok(self.lock().disk.find(path)?.map(|node| node.stat()))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.faults.step()?;
        inner.disk.sync_folder(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let inner = self.lock();
        if inner.disk.find(path)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(inner.faults.free_bytes(inner.disk.used_bytes()))
    }
}

/// A file being written.
struct Writing {
    files: SimulatedFiles,
    data: Data,
    boot: u64,
}

impl Writing {
    fn check_power(&self, inner: &Inner) -> io::Result<()> {
        if inner.disk.boot() == self.boot { Ok(()) } else { Err(fault::power_is_off()) }
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.files.lock();
        self.check_power(&inner)?;
        inner.faults.step()?;
        let free_bytes = inner.faults.free_bytes(inner.disk.used_bytes());
        let mut count = bytes.len().min(usize::try_from(free_bytes).unwrap_or(usize::MAX));
        if count == 0 && !bytes.is_empty() {
            return Err(Fault::NoSpace.error());
        }
        count = count.min(inner.faults.largest_write_bytes.unwrap_or(usize::MAX));
        self.data.append(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for Writing {
    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.files.lock();
        self.check_power(&inner)?;
        let result = inner.faults.step();
        self.data.sync(result.is_ok());
        result
    }
}

/// A file being read.
struct Reading {
    files: SimulatedFiles,
    data: Data,
    path: PathBuf,
    position: u64,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl ReadFile for Reading {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let limit = self.files.lock().faults.unreadable.get(&self.path).copied().unwrap_or(u64::MAX);
        if offset >= limit && offset < self.data.len() {
            return Err(Fault::InputOutput.error());
        }
        let readable = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        Ok(self.data.read_at(&mut buffer[..readable], offset))
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.data.len())
    }
}

#[cfg(test)]
mod tests;
