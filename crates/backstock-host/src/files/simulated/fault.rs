//! What a test wants to go wrong, and when.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Free space of a disk that was given no size, in bytes.
const ROOMY_BYTES: u64 = 1 << 50;

/// A way for a step to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// ENOSPC: no space or no inodes.
    NoSpace,
    /// EDQUOT: over quota.
    Quota,
    /// EFBIG: over the limit of a file's size.
    TooBig,
    /// EIO: the device fails.
    InputOutput,
    /// EROFS: the file system has become read-only.
    ReadOnly,
    /// EACCES: not allowed.
    Denied,
    /// EINTR: a signal came; the same call succeeds when it is repeated.
    Interrupted,
}

impl Fault {
    /// The error as the kernel gives it.
    pub fn error(self) -> io::Error {
        let number = match self {
            Self::NoSpace => Errno::NOSPC,
            Self::Quota => Errno::DQUOT,
            Self::TooBig => Errno::FBIG,
            Self::InputOutput => Errno::IO,
            Self::ReadOnly => Errno::ROFS,
            Self::Denied => Errno::ACCESS,
            Self::Interrupted => Errno::INTR,
        };
        number.into()
    }
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

/// The orders that are in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) steps: u64,
    pub(super) single: HashMap<u64, Fault>,
    pub(super) stop_at: Option<u64>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) largest_write_bytes: Option<usize>,
    pub(super) unreadable: HashMap<PathBuf, u64>,
    pub(super) devices: Vec<PathBuf>,
}

impl Faults {
    /// Counts a step, and fails it if that was asked for.
    pub(super) fn step(&mut self) -> io::Result<()> {
        let step = self.steps;
        self.steps += 1;
        if self.stop_at.is_some_and(|stop| step >= stop) {
            return Err(power_is_off());
        }
        self.single.remove(&step).map_or(Ok(()), |fault| Err(fault.error()))
    }

    pub(super) fn free_bytes(&self, used_bytes: u64) -> u64 {
        self.capacity_bytes.map_or(ROOMY_BYTES, |capacity| capacity.saturating_sub(used_bytes))
    }

    pub(super) fn device_of(&self, path: &Path) -> Option<&PathBuf> {
        let holding = self.devices.iter().filter(|folder| path.starts_with(folder));
        holding.max_by_key(|folder| folder.components().count())
    }
}
