//! After the exchange: what was changed since, and removing what lies aside.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use backstock_host::Host;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::entry::FileKind;
use super::super::facts::{self, Facts};
use super::super::inside::Inside;
use super::super::order::split;
use super::super::report::{NameList, TreeMonitor};
use super::plan_file::{Staged, StepReader};
use super::request::ExchangePlan;
use super::slots::{SLOTS, look};
use super::stage::open_staging;
use super::step::{Act, Step};
use crate::{Error, Result};

/// What happened since the exchange to what it put there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Written to.
    pub modified: NameList,
    /// Replaced by something else.
    pub replaced: NameList,
    /// Removed.
    pub removed: NameList,
    /// Put where the exchange had taken something away.
    pub added: NameList,
}

impl FileChange {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.modified.count + self.replaced.count + self.removed.count + self.added.count == 0
    }
}

/// Looks for files that were changed since the exchange: undo asks about them. New files elsewhere are not looked for,
/// since undo leaves them.
///
/// # Errors
/// When the plan or a root cannot be read.
pub fn changed_since(host: &Host, plan: &ExchangePlan, monitor: &dyn TreeMonitor) -> Result<FileChange> {
    let mut change = FileChange::default();
    visit_live(host, plan, monitor, &mut |step, live, new_inode| {
        compare(step, live, new_inode, &mut change);
    })?;
    Ok(change)
}

/// Gives each step, what lies at its path now, and the inode that the exchange put there.
pub(super) fn visit_live(
    host: &Host,
    plan: &ExchangePlan,
    monitor: &dyn TreeMonitor,
    act: &mut dyn FnMut(&Step, Option<&Facts>, u64),
) -> Result<()> {
    let staged = Staged::read(host, plan)?;
    let mut roots = Vec::new();
    for root in &plan.roots {
        roots.push(Inside::open(&root.path).map_err(|error| Error::io("open", &root.path, error))?);
    }
    StepReader::open(host, plan)?.forward(&mut |step| {
        if monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let path = step.path();
        let (parent, name) = split(&path);
        let live = roots[step.root].folder(parent).and_then(|folder| look(&*folder, name)).unwrap_or(None);
        let number = usize::try_from(step.number).unwrap_or(usize::MAX);
        act(&step, live.as_ref(), staged.inodes.get(number).copied().unwrap_or(0));
        Ok(())
    })
}

pub(super) fn compare(step: &Step, live: Option<&Facts>, new_inode: u64, change: &mut FileChange) {
    let path = step.path();
    match (step.act, &step.entry, live) {
        (Act::Quarantine, _, Some(_)) => change.added.add(&path, None),
        (Act::Add | Act::Replace, Some(entry), Some(live)) => {
            if entry.kind == FileKind::Folder {
                if live.kind != FileKind::Folder {
                    change.replaced.add(&path, None);
                }
            } else if live.inode != new_inode {
                change.replaced.add(&path, None);
            } else if entry.kind == FileKind::File
                && (live.size_bytes, live.modified) != (entry.size_bytes, entry.modified)
            {
                change.modified.add(&path, None);
            }
        }
        (Act::Add | Act::Replace, Some(_), None) => change.removed.add(&path, None),
        _ => {}
    }
}

/// Removes what lies aside: at acceptance the old side, after an undo the new one. What somebody put there after the
/// exchange (`later`) is left, and its folder is named in the answer. May be run again.
///
/// # Errors
/// When something cannot be removed.
pub fn discard(host: &Host, plan: &ExchangePlan) -> Result<Vec<std::path::PathBuf>> {
    let mut left = Vec::new();
    for root in &plan.roots {
        let path = &root.staging;
        let fault = |error: Errno| Error::io("remove", path, error.into());
        let folder = match open_staging(path) {
            Ok(folder) => folder,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for slot in SLOTS {
            if slot != SLOTS[2] {
                match facts::open_folder(&folder, slot.as_bytes()) {
                    Ok(handle) => empty_folder(&handle, path)?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(Error::io("open", path, error)),
                }
            }
            match rustix::fs::unlinkat(&folder, slot, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST) => left.push(path.join(slot)),
                Err(error) => return Err(fault(error)),
            }
        }
        match std::fs::remove_dir(path) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty
                ) => {}
            Err(error) => return Err(Error::io("remove", path, error)),
        }
    }
    for path in [plan.staged_path(), plan.surprises_path(), plan.steps_path()] {
        host.files.remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(left)
}

/// Removes everything in a folder, through handles, never through a link and never into another file system.
pub(crate) fn empty_folder(folder: &OwnedFd, path: &Path) -> Result<()> {
    let fault = |error: std::io::Error| Error::io("remove", path, error);
    let device = Facts::of_handle(folder).map_err(fault)?.device;
    empty(folder, device).map_err(fault)
}

fn empty(folder: &OwnedFd, device: u64) -> std::io::Result<()> {
    // Depth by depth with a list of handles, since a tree may be deeper than a thread's stack.
    let mut stack: Vec<(OwnedFd, Vec<u8>)> = Vec::new();
    loop {
        let current = stack.last().map_or(folder.as_fd(), |(handle, _)| handle.as_fd());
        match first_folder(current, device)? {
            Some((handle, name)) => stack.push((handle, name)),
            None => {
                let Some((_, name)) = stack.pop() else { return Ok(()) };
                let parent = stack.last().map_or(folder.as_fd(), |(handle, _)| handle.as_fd());
                rustix::fs::unlinkat(parent, name.as_slice(), AtFlags::REMOVEDIR)?;
            }
        }
    }
}

/// Removes the files in a folder and opens the first folder in it that is not empty.
fn first_folder(
    folder: std::os::fd::BorrowedFd<'_>,
    device: u64,
) -> std::io::Result<Option<(OwnedFd, Vec<u8>)>> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let handle = open_to_empty(folder, name)?;
        if Facts::of_handle(&handle)?.device != device {
            return Err(std::io::Error::other("another file system is mounted in it"));
        }
        return Ok(Some((handle, name.to_vec())));
    }
    Ok(None)
}

/// Opens a folder for emptying it; an owner may have taken the right to do so from themselves.
fn open_to_empty(folder: impl AsFd, name: &[u8]) -> std::io::Result<OwnedFd> {
    let handle = facts::open_folder(&folder, name);
    match &handle {
        Ok(open) => {
            let _ = rustix::fs::fchmod(open, rustix::fs::Mode::RWXU);
            handle
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(&folder, name, rustix::fs::Mode::RWXU, AtFlags::empty())?;
            facts::open_folder(&folder, name)
        }
        Err(_) => handle,
    }
}
