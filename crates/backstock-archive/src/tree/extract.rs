//! Bringing files back into an empty folder, entry by entry as the index says, everything below that folder only.
//!
//! Data can be lost, or land elsewhere, here. Four passes over the index: folders and files (several workers, each
//! decoding its own frames), then symbolic links, then further names, then owners, modes and times of folders, deepest
//! first. No link exists while files are written; nothing is ever opened through one.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, bounded};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::cursor::FrameCursor;
use super::entry::{FileEntry, FileKind, FileState};
use super::facts::Facts;
use super::frame_jobs::FrameJobs;
use super::inside::{Inside, LastFolder};
use super::order::{is_below, split};
use super::report::{NameList, NamedPath, TreeMonitor, TreeNote, printable};
use super::restore_file::{Rights, Shortfall, is_fatal, restore_file, restore_symlink, set_metadata};
use super::selection::{Selection, chosen_entries};
use super::source::FilesSource;
use crate::index::IndexReader;
use crate::read_at::ReadAt;
use crate::{Error, Result};

/// A job ends at so many files, if its frame does not end before.
const JOB_FILES: usize = 512;

/// How to extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractOptions {
    /// How many threads decode and write.
    pub workers: usize,
    /// What is brought back besides content.
    pub rights: Rights,
    /// Files that lie in archives of other backups, and further names of files, are passed over: there is no key for those.
    pub own_archive_only: bool,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        Self { workers: 4, rights: Rights::usual(), own_archive_only: false }
    }
}

/// What extracting came to. Only with empty `refused` and `damaged` is everything there that the backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractReport {
    /// Files written.
    pub files: u64,
    /// Folders made.
    pub folders: u64,
    /// Symbolic links made.
    pub symlinks: u64,
    /// Further names made.
    pub hard_links: u64,
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// Entries that would lead outside, or that index and archive do not agree about. Nothing of them was written.
    pub refused: NameList,
    /// Entries whose stored bytes are damaged. Nothing of them was written.
    pub damaged: NameList,
    /// Entries that the backup names but does not hold.
    pub absent: NameList,
    /// Entries whose owner, attributes, mode or times could not be brought back.
    pub incomplete: NameList,
    /// Files that did not get their setuid or setgid bits or capabilities back, since nobody agreed to it.
    pub without_setuid: NameList,
}

impl ExtractReport {
    fn shortfall(&mut self, path: &[u8], shortfall: &Shortfall) {
        if let Some(reason) = &shortfall.reason {
            self.incomplete.add(path, Some(reason));
        }
        if shortfall.lost_setuid {
            self.without_setuid.add(path, None);
        }
    }

    /// Notes an entry's fault, or gives the error back when it is not about one entry.
    fn fault(&mut self, path: &[u8], error: Error) -> Result<()> {
        if is_fatal(&error) {
            return Err(error);
        }
        let (list, reason) = match &error {
            Error::Entry { what, .. } => (&mut self.refused, what.clone()),
            _ => (&mut self.damaged, error.to_string()),
        };
        list.add(path, Some(&reason));
        Ok(())
    }
}

struct Extraction<'a, R> {
    source: &'a FilesSource<'a>,
    index: &'a IndexReader<R>,
    selection: &'a Selection,
    inside: Inside,
    options: &'a ExtractOptions,
    monitor: &'a dyn TreeMonitor,
    report: Mutex<ExtractReport>,
}

/// Brings the selected files back below `target`, which must be empty or missing.
///
/// # Errors
/// When the target is not empty or cannot be written, or when the index cannot be read. What is wrong with single
/// entries is no error: it stands in the report.
pub fn extract<R: ReadAt + Sync>(
    source: &FilesSource<'_>,
    index: &IndexReader<R>,
    selection: &Selection,
    target: &Path,
    options: &ExtractOptions,
    monitor: &dyn TreeMonitor,
) -> Result<ExtractReport> {
    prepare(target)?;
    let inside = Inside::open(target).map_err(|error| Error::io("open", target, error))?;
    let report = Mutex::default();
    let extraction = Extraction { source, index, selection, inside, options, monitor, report };
    extraction.folders_and_files()?;
    extraction.links(FileKind::Symlink)?;
    extraction.links(FileKind::HardLink)?;
    extraction.folder_metadata()?;
    Ok(extraction.report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn prepare(target: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(target) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("create", target, error)),
    }
    let mut names = std::fs::read_dir(target).map_err(|error| Error::io("list", target, error))?;
    if names.next().is_some() {
        return Err(Error::Tree {
            act: "extract the files",
            what: format!("{} is not empty", target.display()),
        });
    }
    Ok(())
}

impl<R: ReadAt + Sync> Extraction<'_, R> {
    fn with_report<T>(&self, act: impl FnOnce(&mut ExtractReport) -> T) -> T {
        act(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn each(
        &self,
        refused: &dyn Fn(&FileEntry),
        pass: &mut dyn FnMut(FileEntry) -> Result<()>,
    ) -> Result<()> {
        for chosen in chosen_entries(self.index, self.selection, refused)? {
            if self.monitor.is_cancelled() {
                return Err(Error::Cancelled);
            }
            pass(chosen?.entry)?;
        }
        Ok(())
    }

    fn folders_and_files(&self) -> Result<()> {
        let workers = self.options.workers.clamp(1, 16);
        let (sender, receiver) = bounded::<Vec<FileEntry>>(workers);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers)
                .map(|_| {
                    let jobs: Receiver<Vec<FileEntry>> = receiver.clone();
                    scope.spawn(move || self.work(&jobs))
                })
                .collect();
            drop(receiver);
            let mut batches = FrameJobs::new(JOB_FILES);
            let mut last_folder = LastFolder::new(&self.inside);
            let refuse = |entry: &FileEntry| {
                self.with_report(|report| report.refused.add(&entry.path, Some("its path leads outside")));
            };
            let planned = self.each(&refuse, &mut |entry| {
                if !entry.is_stored() {
                    self.absent(&entry);
                    return Ok(());
                }
                match entry.kind {
                    FileKind::Folder => return self.make_folder(&entry, &mut last_folder),
                    FileKind::File if self.is_passed_over(&entry) => return Ok(()),
                    FileKind::File if entry.held_by <= self.source.own_number() => {}
                    FileKind::File => {
                        return self.refuse(&entry, "it names a backup that is not in the chain");
                    }
                    _ => return Ok(()),
                }
                let ready = batches.add(entry.held_by, entry.frame, entry);
                ready.map_or(Ok(()), |batch| sender.send(batch).map_err(|_| Error::Cancelled))
            });
            if planned.is_ok() {
                // When no worker is left, one of them has the error.
                let _ = batches.rest().try_for_each(|batch| sender.send(batch));
            }
            drop(sender);
            let mut worked = Ok(());
            for thread in threads {
                let result = thread.join().unwrap_or_else(|_| {
                    Err(Error::Tree { act: "extract the files", what: "a worker died".to_owned() })
                });
                worked = worked.and(result);
            }
            worked.and(planned)
        })
    }

    fn is_passed_over(&self, entry: &FileEntry) -> bool {
        self.options.own_archive_only && entry.is_elsewhere(self.source.own_number())
    }

    fn refuse(&self, entry: &FileEntry, reason: &str) -> Result<()> {
        self.with_report(|report| report.refused.add(&entry.path, Some(reason)));
        Ok(())
    }

    fn absent(&self, entry: &FileEntry) {
        if entry.state == FileState::Unreadable || entry.state == FileState::Vanished {
            self.with_report(|report| report.absent.add(&entry.path, entry.reason.as_deref()));
        }
    }

    fn make_folder(&self, entry: &FileEntry, last: &mut LastFolder<'_>) -> Result<()> {
        self.with_report(|report| report.folders += 1);
        if entry.path.is_empty() {
            return Ok(());
        }
        let (parent, name) = split(&entry.path);
        let made = last
            .get(parent)
            .and_then(|handle| rustix::fs::mkdirat(&*handle, name, Mode::RWXU).map_err(io::Error::from));
        match made {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_outside_root(&entry.path) => {
                // `@outside` itself is no entry: it only holds the roots that lie elsewhere.
                rustix::fs::mkdirat(&**self.inside.root(), parent, Mode::RWXU)
                    .and_then(|()| {
                        rustix::fs::mkdirat(&**self.inside.root(), super::as_path(&entry.path), Mode::RWXU)
                    })
                    .map_err(|error| Error::io("create", super::as_path(&entry.path), error.into()))
            }
            Err(error) => self.refuse_or_fail(entry, error),
        }
    }

    /// A missing or unsuitable parent is the index's fault; anything else the machine's.
    fn refuse_or_fail(&self, entry: &FileEntry, error: io::Error) -> Result<()> {
        let reason = match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => "the folder it belongs in is not there",
            Some(Errno::NOTDIR | Errno::LOOP) => "what it belongs in is no folder",
            Some(Errno::EXIST) => "something is there already",
            Some(Errno::XDEV) => "its path leads outside",
            Some(Errno::NAMETOOLONG) => "its name is too long",
            _ => return Err(Error::io("create", super::as_path(&entry.path), error)),
        };
        self.with_report(|report| report.refused.add(&entry.path, Some(reason)));
        Ok(())
    }

    fn work(&self, jobs: &Receiver<Vec<FileEntry>>) -> Result<()> {
        let mut cursor = FrameCursor::new(self.source);
        let mut last = LastFolder::new(&self.inside);
        for job in jobs {
            for entry in job {
                if self.monitor.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                self.file(&entry, &mut cursor, &mut last)?;
            }
        }
        Ok(())
    }

    fn file(&self, entry: &FileEntry, cursor: &mut FrameCursor<'_>, last: &mut LastFolder<'_>) -> Result<()> {
        let (parent, name) = split(&entry.path);
        let folder = match last.get(parent) {
            Ok(folder) => folder,
            Err(error) => return self.refuse_or_fail(entry, error),
        };
        match restore_file(cursor, entry, &folder, name, self.options.rights, self.monitor) {
            Ok(shortfall) => {
                self.with_report(|report| {
                    report.files += 1;
                    report.bytes += entry.size_bytes;
                    report.shortfall(&entry.path, &shortfall);
                });
                self.monitor.file(&entry.path, entry.size_bytes);
                Ok(())
            }
            Err(error) => {
                let named = NamedPath { path: printable(&entry.path), reason: Some(error.to_string()) };
                self.monitor.note(&TreeNote { state: FileState::Unreadable, named });
                self.with_report(|report| report.fault(&entry.path, error))
            }
        }
    }

    fn links(&self, kind: FileKind) -> Result<()> {
        let mut cursor = FrameCursor::new(self.source);
        let mut last = LastFolder::new(&self.inside);
        let mut stand_ins = HashMap::new();
        self.each(&|_| {}, &mut |entry| {
            if entry.kind != kind || !entry.is_stored() || self.is_passed_over(&entry) {
                return Ok(());
            }
            let (parent, name) = split(&entry.path);
            let folder = match last.get(parent) {
                Ok(folder) => folder,
                Err(error) => return self.refuse_or_fail(&entry, error),
            };
            if kind == FileKind::HardLink {
                return self.hard_link(&entry, &folder, name, &mut cursor, &mut stand_ins);
            }
            match restore_symlink(&entry, &folder, name, self.options.rights) {
                Ok(shortfall) => self.with_report(|report| {
                    report.symlinks += 1;
                    report.shortfall(&entry.path, &shortfall);
                }),
                Err(error) => return self.with_report(|report| report.fault(&entry.path, error)),
            }
            Ok(())
        })
    }

    /// A further name. When its first is not selected, it becomes a file of its own, and the first for those after it.
    fn hard_link(
        &self,
        entry: &FileEntry,
        folder: &std::os::fd::OwnedFd,
        name: &[u8],
        cursor: &mut FrameCursor<'_>,
        stand_ins: &mut HashMap<Vec<u8>, Vec<u8>>,
    ) -> Result<()> {
        let refuse = |reason: &str| {
            self.with_report(|report| report.refused.add(&entry.path, Some(reason)));
            Ok(())
        };
        let Some(first_path) = entry.link.as_ref().filter(|path| crate::tar::read::is_safe_path(path)) else {
            return refuse("its other name leads outside");
        };
        let path = stand_ins.get(first_path).unwrap_or(first_path);
        let (parent, first_name) = split(path);
        let linked = self.inside.folder(parent).and_then(|first_folder| {
            if !Facts::of_name(&*first_folder, first_name)?.kind.can_have_names() {
                return Err(Errno::LOOP.into());
            }
            Ok(rustix::fs::linkat(&*first_folder, first_name, folder, name, AtFlags::empty())?)
        });
        let error = match linked {
            Ok(()) => {
                self.with_report(|report| report.hard_links += 1);
                return Ok(());
            }
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => return refuse("its other name is no file"),
            Some(Errno::EXIST) => return refuse("something is there already"),
            Some(Errno::NOENT) => {}
            _ => return Err(Error::io("link", super::as_path(&entry.path), error)),
        }
        let Some(first) = self.index.find::<FileEntry>(first_path)? else {
            return refuse("its other name is not in the backup");
        };
        if !first.kind.can_have_names() || !first.is_stored() || first.path != *first_path {
            return refuse("its other name is no file");
        }
        let rights = self.options.rights;
        let restored = match first.kind {
            FileKind::Symlink => restore_symlink(&first, folder, name, rights),
            _ => restore_file(cursor, &first, folder, name, rights, self.monitor),
        };
        match restored {
            Ok(shortfall) => {
                stand_ins.insert(first_path.clone(), entry.path.clone());
                self.with_report(|report| {
                    report.files += u64::from(first.kind == FileKind::File);
                    report.symlinks += u64::from(first.kind == FileKind::Symlink);
                    report.bytes += first.size_bytes;
                    report.shortfall(&entry.path, &shortfall);
                });
                Ok(())
            }
            Err(error) => self.with_report(|report| report.fault(&entry.path, error)),
        }
    }

    /// Owners, attributes, modes and times of folders, each after everything below it is done.
    fn folder_metadata(&self) -> Result<()> {
        let mut open: Vec<FileEntry> = Vec::new();
        self.each(&|_| {}, &mut |entry| {
            while open.last().is_some_and(|folder| !is_below(&entry.path, &folder.path)) {
                open.pop().map_or(Ok(()), |folder| self.finish_folder(&folder))?;
            }
            if entry.kind == FileKind::Folder && entry.is_stored() {
                open.push(entry);
            }
            Ok(())
        })?;
        while let Some(folder) = open.pop() {
            self.finish_folder(&folder)?;
        }
        Ok(())
    }

    fn finish_folder(&self, entry: &FileEntry) -> Result<()> {
        let folder = match self.inside.folder(&entry.path) {
            Ok(folder) => folder,
            // It was refused when it should have been made.
            Err(error) if is_unmade(&error) => return Ok(()),
            Err(error) => return Err(Error::io("open", super::as_path(&entry.path), error)),
        };
        let shortfall = set_metadata(&*folder, entry, self.options.rights);
        self.with_report(|report| report.shortfall(&entry.path, &shortfall));
        Ok(())
    }
}

fn is_unmade(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

fn is_outside_root(path: &[u8]) -> bool {
    let (top, _) = split(path);
    top.starts_with(super::OUTSIDE) && !top.contains(&b'/')
}
