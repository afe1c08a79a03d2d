//! Doing all steps of an exchange, forward or backward, from any position, again and again until it is done.

use std::io;
use std::sync::Arc;

use backstock_host::Host;
use rustix::fs::{AtFlags, OFlags};
use serde::{Deserialize, Serialize};

use super::super::entry::{FileEntry, FileKind};
use super::super::facts::{self, Facts};
use super::super::inside::Inside;
use super::super::order::split;
use super::super::report::{NameList, TreeMonitor};
use super::super::restore_file::{self, Rights};
use super::plan_file::{Staged, StepReader, Surprises};
use super::request::ExchangePlan;
use super::slots::{Moved, Place, SLOTS, Sides, Slots, look, slot_name};
use super::stage::open_staging;
use super::step::{Act, Step};
use crate::{Error, Result};

/// The journal hears of the position after so many steps.
const JOURNAL_STEPS: u64 = 256;
/// A live file that is replaced more often than this, each time while we look, is not exchanged.
const SURPRISES_LIMIT: usize = 10;

/// What an exchange, or taking it back, came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeReport {
    /// Steps gone through.
    pub steps: u64,
    /// Entries that had been changed between plan and exchange. What was there went aside like everything else.
    pub surprises: NameList,
    /// Entries that were left, since something was put there after the exchange.
    pub kept: NameList,
    /// Entries whose owner, attributes, mode or times could not be set.
    pub incomplete: NameList,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

struct Runner<'a> {
    host: &'a Host,
    plan: &'a ExchangePlan,
    monitor: &'a dyn TreeMonitor,
    staged: Staged,
    surprises: Surprises,
    roots: Vec<Inside>,
    slots: Vec<Slots>,
    last: Option<(usize, Vec<u8>, Arc<std::os::fd::OwnedFd>)>,
    report: ExchangeReport,
}

/// Does the steps from a position on (0 is always right). `journal` hears, from time to time and at the end, up to where
/// all steps are done.
///
/// # Errors
/// When the machine refuses something, the monitor or the journal says so. It can then be run again, or taken back.
pub fn exchange_forward(
    host: &Host,
    plan: &ExchangePlan,
    from: u64,
    journal: &mut dyn FnMut(u64) -> Result<()>,
    monitor: &dyn TreeMonitor,
) -> Result<ExchangeReport> {
    let mut runner = Runner::new(host, plan, monitor)?;
    StepReader::open(host, plan)?.forward(&mut |step| {
        if step.number < from {
            return Ok(());
        }
        runner.check_cancelled()?;
        runner.forward(&step)?;
        runner.tell(&step);
        if (step.number + 1) % JOURNAL_STEPS == 0 { journal(step.number + 1) } else { Ok(()) }
    })?;
    runner.sync()?;
    journal(plan.summary.steps)?;
    Ok(runner.report)
}

/// Takes the exchange back: all steps, the last one first, whether or not they were done. What somebody put there after
/// the exchange is never deleted: it stays, or is found in the folder `later` of the staging folder.
///
/// # Errors
/// As [`exchange_forward`].
pub fn exchange_backward(
    host: &Host,
    plan: &ExchangePlan,
    monitor: &dyn TreeMonitor,
) -> Result<ExchangeReport> {
    let mut runner = Runner::new(host, plan, monitor)?;
    StepReader::open(host, plan)?.backward(&mut |step| {
        runner.check_cancelled()?;
        runner.backward(&step)?;
        runner.tell(&step);
        Ok(())
    })?;
    // Taking names back has changed the times of folders: those come last.
    StepReader::open(host, plan)?.backward(&mut |step| {
        let is_folder = step.live.as_ref().is_some_and(|live| live.kind == FileKind::Folder);
        if step.act == Act::Metadata && is_folder { runner.metadata_backward(&step, false) } else { Ok(()) }
    })?;
    runner.sync()?;
    Ok(runner.report)
}

impl<'a> Runner<'a> {
    fn new(host: &'a Host, plan: &'a ExchangePlan, monitor: &'a dyn TreeMonitor) -> Result<Self> {
        let staged = Staged::read(host, plan)?;
        let mut roots = Vec::new();
        let mut slots = Vec::new();
        for (root, inode) in plan.roots.iter().zip(&staged.folders) {
            let folder = open_staging(&root.staging)?;
            let fault = |error| Error::io("open", &root.staging, error);
            if Facts::of_handle(&folder).map_err(fault)?.inode != *inode {
                return Err(Error::Tree {
                    act: "exchange the files",
                    what: format!("{} is not the folder that was staged", root.staging.display()),
                });
            }
            let open = |slot: &str| facts::open_folder(&folder, slot.as_bytes()).map_err(fault);
            slots.push(Slots { new: open(SLOTS[0])?, old: open(SLOTS[1])?, later: open(SLOTS[2])? });
            let live = Inside::open(&root.path).map_err(|error| Error::io("open", &root.path, error))?;
            let is_same = Facts::of_handle(&**live.root())
                .is_ok_and(|facts| (facts.device, facts.inode) == (root.device, root.inode));
            if !is_same {
                return Err(Error::Tree {
                    act: "exchange the files",
                    what: format!("{} is not the folder that the plan was made for", root.path.display()),
                });
            }
            roots.push(live);
        }
        let surprises = Surprises::read(host, plan)?;
        let report = ExchangeReport::default();
        Ok(Self { host, plan, monitor, staged, surprises, roots, slots, last: None, report })
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.monitor.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn tell(&self, step: &Step) {
        self.monitor.file(&step.path(), step.entry.as_ref().map_or(0, |entry| entry.size_bytes));
    }

    fn sync(&self) -> Result<()> {
        for (root, handle) in self.plan.roots.iter().zip(&self.roots) {
            rustix::fs::syncfs(&**handle.root()).map_err(|error| Error::sync(&root.path, error.into()))?;
        }
        Ok(())
    }

    fn sides(&self, step: &Step) -> Sides {
        let number = usize::try_from(step.number).unwrap_or(usize::MAX);
        Sides {
            new_inode: self.staged.inodes.get(number).copied().unwrap_or(0),
            old_inode: self.surprises.get(step.number).or(step.live.as_ref().map(|live| live.inode)),
            is_folder: step.kind() == Some(FileKind::Folder),
            new_content: step
                .entry
                .as_ref()
                .filter(|entry| entry.kind == FileKind::File)
                .map(|entry| (entry.size_bytes, entry.modified)),
        }
    }

    /// The folder that a path lies in. The last one is kept open, unless folders are being moved.
    fn folder(&mut self, step: &Step, parent: &[u8]) -> io::Result<Arc<std::os::fd::OwnedFd>> {
        if let Some((root, path, handle)) = &self.last
            && *root == step.root
            && path == parent
        {
            return Ok(Arc::clone(handle));
        }
        let handle = self.roots[step.root].folder(parent)?;
        self.last = Some((step.root, parent.to_vec(), Arc::clone(&handle)));
        Ok(handle)
    }

    fn forget_folder(&mut self, step: &Step) {
        let is_folder = |kind: Option<FileKind>| kind == Some(FileKind::Folder);
        if is_folder(step.kind()) || is_folder(step.live.as_ref().map(|live| live.kind)) {
            self.last = None;
        }
    }

    fn fault(step: &Step, error: io::Error) -> Error {
        Error::io("exchange", super::super::as_path(&step.path()), error)
    }

    fn moved(&mut self, step: &Step, direction: Direction) -> Result<Option<Moved>> {
        let path = step.path();
        let (parent, name) = split(&path);
        let folder = match self.folder(step, parent) {
            Ok(folder) => folder,
            // Whoever took the folder away took this along.
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(Self::fault(step, error)),
        };
        let slot = slot_name(step.number);
        let place = Place { slots: &self.slots[step.root], folder, name, slot: &slot, reach: &reach };
        let sides = self.sides(step);
        let moved = match direction {
            Direction::Forward => place.forward(&sides),
            Direction::Backward => place.backward(&sides),
        }
        .map_err(|error| Self::fault(step, error));
        self.forget_folder(step);
        moved.map(Some)
    }

    fn forward(&mut self, step: &Step) -> Result<()> {
        self.report.steps += 1;
        reach("exchange.forward").map_err(|error| Self::fault(step, error))?;
        if step.act == Act::Metadata {
            return self.metadata_forward(step);
        }
        let gone = "its folder is gone";
        match self.repeat(step, Direction::Forward)? {
            Some(Moved::Kept(reason)) => self.report.kept.add(&step.path(), Some(reason)),
            None => self.report.kept.add(&step.path(), Some(gone)),
            Some(_) => {}
        }
        Ok(())
    }

    /// Does a step; whenever it meets what was not planned, that is recorded before anything is touched, since the way
    /// back must know it.
    fn repeat(&mut self, step: &Step, direction: Direction) -> Result<Option<Moved>> {
        for _ in 0..SURPRISES_LIMIT {
            match self.moved(step, direction)? {
                Some(Moved::Surprise(inode)) => {
                    self.report.surprises.add(&step.path(), None);
                    self.surprises.add(self.host, self.plan, step.number, inode)?;
                }
                other => return Ok(other),
            }
        }
        Err(Self::fault(step, io::Error::other("it is replaced again and again")))
    }

    fn backward(&mut self, step: &Step) -> Result<()> {
        self.report.steps += 1;
        reach("exchange.backward").map_err(|error| Self::fault(step, error))?;
        if step.act == Act::Metadata {
            return self.metadata_backward(step, true);
        }
        match self.repeat(step, Direction::Backward)? {
            Some(Moved::Kept(reason)) => self.report.kept.add(&step.path(), Some(reason)),
            None if step.act != Act::Add => {
                self.report.kept.add(&step.path(), Some("its folder is gone; the old side stays aside"));
            }
            _ => {}
        }
        Ok(())
    }

    fn metadata_forward(&mut self, step: &Step) -> Result<()> {
        let Some(entry) = &step.entry else { return Ok(()) };
        let rights = self.plan.rights();
        self.set_metadata(step, entry, rights, true)
    }

    fn metadata_backward(&mut self, step: &Step, with_report: bool) -> Result<()> {
        let Some(live) = &step.live else { return Ok(()) };
        let old = live.as_entry(&step.path());
        // The old side had its bits before: giving them back needs no consent.
        let rights = Rights { owners: self.plan.owners, setuid: true };
        self.set_metadata(step, &old, rights, with_report)
    }

    /// Sets what is live to what the entry says, if it still is what it was.
    fn set_metadata(
        &mut self,
        step: &Step,
        entry: &FileEntry,
        rights: Rights,
        with_report: bool,
    ) -> Result<()> {
        let path = step.path();
        let (parent, name) = split(&path);
        let fault = |error| Self::fault(step, error);
        let handle = if path.is_empty() {
            Arc::clone(self.roots[step.root].root())
        } else {
            match self.folder(step, parent) {
                Ok(folder) => folder,
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(fault(error)),
            }
        };
        let name = if path.is_empty() { &b"."[..] } else { name };
        let Some(found) = look(&*handle, name).map_err(fault)? else { return Ok(()) };
        let is_other = step.live.as_ref().is_some_and(|live| live.inode != found.inode);
        if found.kind != entry.kind || is_other {
            return Ok(());
        }
        let shortfall = if found.kind == FileKind::Symlink {
            symlink_metadata(&handle, name, entry, rights)
        } else {
            let mut entry = entry.clone();
            if found.kind == FileKind::File && found.size_bytes != entry.size_bytes {
                // Written to since: its time is its own.
                entry.modified = found.modified;
            }
            match facts::open_for_reading(&*handle, name, OFlags::empty()) {
                Ok(file) => {
                    drop_attributes(&file, &entry);
                    restore_file::set_metadata(&file, &entry, rights).reason
                }
                Err(error) if is_gone(&error) => None,
                Err(error) => Some(error.to_string()),
            }
        };
        if let (Some(reason), true) = (shortfall, with_report) {
            self.report.incomplete.add(&path, Some(&reason));
        }
        reach("exchange.metadata").map_err(fault)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Takes away attributes that are not to be there. What cannot be taken away shows when the file is compared again.
fn drop_attributes(file: &std::os::fd::OwnedFd, entry: &FileEntry) {
    for (name, _) in facts::attributes(file).unwrap_or_default() {
        if !entry.attributes.iter().any(|(wanted, _)| *wanted == name) {
            let _ = rustix::fs::fremovexattr(file, name.as_slice());
        }
    }
}

fn symlink_metadata(
    folder: &std::os::fd::OwnedFd,
    name: &[u8],
    entry: &FileEntry,
    rights: Rights,
) -> Option<String> {
    use rustix::fs::{Gid, Uid};
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let mut reason = None;
    if rights.owners {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        if let Err(error) = rustix::fs::chownat(folder, name, Some(uid), Some(gid), flags) {
            reason = Some(format!("owner: {error}"));
        }
    }
    if let Err(error) = rustix::fs::utimensat(folder, name, &restore_file::times(entry.modified), flags) {
        reason = Some(format!("time: {error}"));
    }
    reason
}

/// A point at which a test stops the exchange.
fn reach(point: &str) -> io::Result<()> {
    #[cfg(test)]
    super::tests::reach()?;
    backstock_host::failpoint::reach(point)
}
