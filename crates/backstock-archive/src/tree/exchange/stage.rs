//! Writing everything that an exchange needs into folders beside the roots: checked against its hash, with owner, mode,
//! attributes and times, and durable before the first visible step.

use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use backstock_host::Host;
use crossbeam_channel::{Receiver, bounded};
use rustix::fs::{AtFlags, Mode};
use serde::{Deserialize, Serialize};

use super::super::cursor::FrameCursor;
use super::super::entry::{FileEntry, FileKind};
use super::super::facts::Facts;
use super::super::frame_jobs::FrameJobs;
use super::super::inside::Inside;
use super::super::order::split;
use super::super::report::{NameList, TreeMonitor};
use super::super::restore_file::{restore_file, restore_symlink};
use super::super::source::FilesSource;
use super::discard::empty_folder;
use super::plan_file::{Staged, StepReader};
use super::request::{ExchangePlan, PlannedRoot};
use super::roots::tree_roots;
use super::slots::{SLOTS, slot_name};
use super::step::{Origin, Step};
use crate::{Error, Result};

const JOB_STEPS: usize = 128;

/// What staging came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// How many steps have their new side ready.
    pub staged: u64,
    /// Bytes of content written.
    pub bytes: u64,
    /// Entries whose owner, attributes, mode or times could not be brought back.
    pub incomplete: NameList,
}

struct Staging<'a> {
    plan: &'a ExchangePlan,
    source: &'a FilesSource<'a>,
    monitor: &'a dyn TreeMonitor,
    new_folders: Vec<Arc<OwnedFd>>,
    state: Mutex<(StageReport, Vec<u64>)>,
}

/// Writes the new side of every step aside. May be run again; what an earlier run left is removed first. It must not be
/// run once [`super::exchange_forward`] has begun.
///
/// # Errors
/// When something cannot be written; or when an entry is damaged or not as the index says. Nothing live is touched.
pub fn stage(
    host: &Host,
    plan: &ExchangePlan,
    source: &FilesSource<'_>,
    workers: usize,
    monitor: &dyn TreeMonitor,
) -> Result<StageReport> {
    let mut new_folders = Vec::new();
    let mut staged = Staged::default();
    for root in &plan.roots {
        let (folder, new) = prepare(root)?;
        let facts = Facts::of_handle(&folder).map_err(|error| Error::io("open", &root.staging, error))?;
        staged.folders.push(facts.inode);
        new_folders.push(Arc::new(new));
    }
    let steps = usize::try_from(plan.summary.steps).unwrap_or(0);
    let state = Mutex::new((StageReport::default(), vec![0; steps]));
    let staging = Staging { plan, source, monitor, new_folders, state };
    staging.all_but_links(host, workers.clamp(1, 16))?;
    staging.links(host)?;
    for (root, folder) in plan.roots.iter().zip(&staging.new_folders) {
        rustix::fs::syncfs(&**folder).map_err(|error| Error::sync(&root.staging, error.into()))?;
    }
    let (report, inodes) = staging.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    staged.inodes = inodes;
    staged.write(host, plan)?;
    Ok(report)
}

fn prepare(root: &PlannedRoot) -> Result<(OwnedFd, OwnedFd)> {
    let path = &root.staging;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", path, error));
        }
        _ => {}
    }
    let folder = open_staging(path)?;
    let fault = |error: rustix::io::Errno| Error::io("prepare", path, error.into());
    // What another user put there is not ours to fill or to empty.
    let stat = rustix::fs::fstat(&folder).map_err(fault)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        return Err(Error::Tree {
            act: "stage the files",
            what: format!("{} belongs to somebody else or is open to others", path.display()),
        });
    }
    empty_folder(&folder, path)?;
    for slot in SLOTS {
        rustix::fs::mkdirat(&folder, slot, Mode::RWXU).map_err(fault)?;
    }
    let new = super::super::facts::open_folder(&folder, SLOTS[0].as_bytes())
        .map_err(|error| Error::io("open", path, error))?;
    Ok((folder, new))
}

/// Opens a staging folder, never through a link.
pub(crate) fn open_staging(path: &Path) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let inside = Inside::open(parent).map_err(|error| Error::io("open", parent, error))?;
    let name = path.file_name().unwrap_or_default().as_bytes();
    super::super::facts::open_folder(&**inside.root(), name).map_err(|error| Error::io("open", path, error))
}

impl Staging<'_> {
    fn staged(&self, step: &Step, bytes: u64, shortfall: Option<&str>) -> Result<()> {
        let name = slot_name(step.number);
        let facts = Facts::of_name(&*self.new_folders[step.root], name.as_bytes())
            .map_err(|error| Error::io("look at", super::super::as_path(&step.path()), error))?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (report, inodes) = &mut *state;
        report.staged += 1;
        report.bytes += bytes;
        if let Some(reason) = shortfall {
            report.incomplete.add(&step.path(), Some(reason));
        }
        if let Some(slot) = usize::try_from(step.number).ok().and_then(|number| inodes.get_mut(number)) {
            *slot = facts.inode;
        }
        Ok(())
    }

    /// Everything but further names.
    fn all_but_links(&self, host: &Host, workers: usize) -> Result<()> {
        let (sender, receiver) = bounded::<Vec<Step>>(workers);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers)
                .map(|_| {
                    let jobs: Receiver<Vec<Step>> = receiver.clone();
                    scope.spawn(move || self.work(&jobs))
                })
                .collect();
            drop(receiver);
            let mut batches = FrameJobs::new(JOB_STEPS);
            let read = StepReader::open(host, self.plan)?.forward(&mut |step| {
                if self.monitor.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                if !step.is_staged() || step.origin != Some(Origin::Archive) {
                    return Ok(());
                }
                let entry = step.entry.as_ref();
                let (archive, frame) = entry.map_or((0, None), |entry| (entry.held_by, entry.frame));
                self.source.has(archive)?;
                let ready = batches.add(archive, frame, step);
                ready.map_or(Ok(()), |batch| sender.send(batch).map_err(|_| Error::Cancelled))
            });
            if read.is_ok() {
                let _ = batches.rest().try_for_each(|batch| sender.send(batch));
            }
            drop(sender);
            let mut worked = Ok(());
            for thread in threads {
                let died = || Err(Error::Tree { act: "stage the files", what: "a worker died".to_owned() });
                worked = worked.and(thread.join().unwrap_or_else(|_| died()));
            }
            worked.and(read)
        })
    }

    fn work(&self, jobs: &Receiver<Vec<Step>>) -> Result<()> {
        let mut cursor = FrameCursor::new(self.source);
        for step in jobs.iter().flatten() {
            if self.monitor.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let Some(entry) = &step.entry else { continue };
            self.new_side(&step, entry, &mut cursor)?;
        }
        Ok(())
    }

    fn new_side(&self, step: &Step, entry: &FileEntry, cursor: &mut FrameCursor<'_>) -> Result<()> {
        let folder = &*self.new_folders[step.root];
        let name = slot_name(step.number);
        let rights = self.plan.rights();
        let shortfall = match entry.kind {
            FileKind::File => restore_file(cursor, entry, folder, name.as_bytes(), rights, self.monitor)?,
            FileKind::Symlink => restore_symlink(entry, folder, name.as_bytes(), rights)?,
            FileKind::Folder => {
                // It gets its own mode after everything in it is done.
                rustix::fs::mkdirat(folder, name.as_str(), Mode::RWXU)
                    .map_err(|error| Error::io("create", super::super::as_path(&entry.path), error.into()))?;
                return self.staged(step, 0, None);
            }
            _ => return Ok(()),
        };
        self.staged(step, entry.size_bytes, shortfall.reason.as_deref())?;
        self.monitor.file(&entry.path, entry.size_bytes);
        Ok(())
    }

    /// Further names, of what was just staged or of live files that stay.
    fn links(&self, host: &Host) -> Result<()> {
        let places = tree_roots(self.plan);
        let mut root_of_step = std::collections::HashMap::new();
        StepReader::open(host, self.plan)?.forward(&mut |step| {
            let Some(entry) = &step.entry else { return Ok(()) };
            if step.origin == Some(Origin::Archive) && entry.links > 1 {
                root_of_step.insert(step.number, step.root);
            }
            let name = slot_name(step.number);
            let to = &*self.new_folders[step.root];
            let linked = match step.origin {
                Some(Origin::LinkToStep(number)) => {
                    let root = root_of_step.get(&number).copied().unwrap_or(step.root);
                    let first = slot_name(number);
                    rustix::fs::linkat(
                        &*self.new_folders[root],
                        first.as_str(),
                        to,
                        name.as_str(),
                        AtFlags::empty(),
                    )
                    .map_err(std::io::Error::from)
                }
                Some(Origin::LinkToLive) => {
                    let first = entry.link.as_deref().unwrap_or_default();
                    link_live(&places, first, to, &name)
                }
                _ => return Ok(()),
            };
            linked.map_err(|error| Error::io("link", super::super::as_path(&entry.path), error))?;
            self.staged(&step, 0, None)
        })
    }
}

fn link_live(
    places: &[super::super::TreeRoot],
    path: &[u8],
    to: &OwnedFd,
    name: &str,
) -> std::io::Result<()> {
    let holds = |place: &&super::super::TreeRoot| super::super::order::is_below(path, &place.prefix);
    let root = places.iter().filter(holds).max_by_key(|place| place.prefix.len());
    let root = root.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
    let below = path.strip_prefix(root.prefix.as_slice()).unwrap_or(path);
    let (parent, first) = split(below.strip_prefix(b"/").unwrap_or(below));
    let folder = Inside::open(&root.path)?.folder(parent)?;
    if !Facts::of_name(&*folder, first)?.kind.can_have_names() {
        return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
    }
    Ok(rustix::fs::linkat(&*folder, first, to, name, AtFlags::empty())?)
}
