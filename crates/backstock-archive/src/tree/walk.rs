//! The sorted walk of a shop's tree through folder handles.
//!
//! Every look and every open is relative to a handle of the folder it is in and never follows a link, so that a folder
//! which hostile code swaps for a link while we walk leads nowhere (fault F69). Only the names of the folders on the
//! way down are in memory, and only the deepest handles are open.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::entry::{FileKind, FileState};
use super::facts::{self, Facts};
use super::order;
use super::request::{Excluder, OUTSIDE, TreeRequest, TreeRoot, Verdict};
use crate::tar::dumpdir;
use crate::{Error, Result};

/// So many of the deepest folders on the way down keep their handle; others are opened again on the way back.
const OPEN_LEVELS: usize = 32;

const LISTING_BUFFER_BYTES: usize = 32 << 10;

/// Something that the walk came by.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: Vec<u8>,
    /// The folder it is in, and its name there. A root is found in itself, under the name `.`.
    pub(crate) parent: Arc<OwnedFd>,
    pub(crate) name: Vec<u8>,
    /// What it is, as far as could be learned.
    pub(crate) facts: Option<Facts>,
    /// A folder's extended attributes (others are read when they are opened).
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// A folder's names as tar lists them, where the request wants that and all of them could be read.
    pub(crate) listing: Option<Vec<u8>>,
    /// Stored so far, or what stands against it.
    pub(crate) state: FileState,
    pub(crate) reason: Option<String>,
    /// The rest of its folder is not visited: nothing can be said of it.
    pub(crate) ends_folder: bool,
    /// Of a folder: another file system is here than before, and what is missing below it cannot be called gone.
    pub(crate) keeps_stale: bool,
}

impl Found {
    /// Something against which nothing stands.
    pub(crate) fn seen(path: Vec<u8>, parent: Arc<OwnedFd>, name: &[u8], facts: Option<Facts>) -> Self {
        Self {
            path,
            parent,
            name: name.to_vec(),
            facts,
            attributes: Vec::new(),
            listing: None,
            state: FileState::Stored,
            reason: None,
            ends_folder: false,
            keeps_stale: false,
        }
    }
}

/// Receives what the walk comes by, in the order of the index. An error ends the walk.
pub(crate) trait WalkSink {
    fn found(&mut self, found: Found) -> Result<()>;

    fn excluded(&mut self);
}

/// The names in a folder, sorted, in one piece of memory.
#[derive(Debug, Default)]
struct Names {
    bytes: Vec<u8>,
    spans: Vec<Name>,
}

/// One name of a folder: eight bytes, since folders hold half a million of them.
#[derive(Debug, Clone, Copy)]
struct Name {
    start: u32,
    length: u8,
    kind: NameKind,
    /// What the exclusions say, where that was asked already.
    verdict: Option<Verdict>,
}

/// What a listing says a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameKind {
    Folder,
    /// A file or a link.
    Kept,
    /// A socket, a pipe, a device.
    NotKept,
    /// The file system does not tell.
    Unknown,
}

impl Names {
    fn get(&self, at: usize) -> Option<(&[u8], Option<Verdict>)> {
        let name = self.spans.get(at)?;
        Some((name.of(&self.bytes), name.verdict))
    }

    fn add(&mut self, name: &[u8], kind: NameKind) -> io::Result<()> {
        let too_many = || io::Error::other("it holds too many names");
        let start = u32::try_from(self.bytes.len()).map_err(|_| too_many())?;
        let length = u8::try_from(name.len()).map_err(|_| too_many())?;
        self.bytes.extend_from_slice(name);
        self.spans.push(Name { start, length, kind, verdict: None });
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_unstable_by(|left, right| left.of(bytes).cmp(right.of(bytes)));
    }
}

impl Name {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.start as usize + usize::from(self.length)]
    }
}

struct Level {
    path: Vec<u8>,
    name: Vec<u8>,
    handle: Option<Arc<OwnedFd>>,
    identity: (u64, u64),
    names: Names,
    next: usize,
    is_root: bool,
}

/// A walk under way.
pub(crate) struct Walk<'a> {
    excluder: &'a Excluder,
    never: HashSet<(u64, u64)>,
    pending: VecDeque<TreeRoot>,
    /// The first component of the places of folders outside the shop's root: `@outside`, if there are any.
    outside: Option<Vec<u8>>,
    /// Mounts that do not answer: never touched.
    silent: Vec<Vec<u8>>,
    /// Whether folders are found with the list of their names.
    lists: bool,
    stack: Vec<Level>,
}

/// Checks the roots of a request and sorts them.
fn sorted_roots(request: &TreeRequest) -> Result<VecDeque<TreeRoot>> {
    let fault = |what: String| Error::Tree { act: "walk the shop's folders", what };
    let mut roots = request.roots.clone();
    roots.sort_by(|left, right| order::compare_paths(&left.prefix, &right.prefix));
    for root in roots.iter().filter(|root| !root.prefix.is_empty()) {
        let (top, label) = order::split(&root.prefix);
        let is_one = |name: &[u8]| crate::tar::read::is_safe_path(name) && !name.contains(&b'/');
        if !top.starts_with(OUTSIDE) || !is_one(top) || !is_one(label) {
            return Err(fault(format!("\"{}\" cannot be a root's place", root.prefix.escape_ascii())));
        }
    }
    let mut tops = roots.iter().map(|root| order::split(&root.prefix).0).filter(|top| !top.is_empty());
    let top = tops.next();
    if tops.any(|other| Some(other) != top) {
        return Err(fault("folders outside the shop's root have their places in two folders".to_owned()));
    }
    if let Some(pair) = roots.windows(2).find(|pair| pair[0].prefix == pair[1].prefix) {
        return Err(fault(format!("two roots have the place \"{}\"", pair[0].prefix.escape_ascii())));
    }
    Ok(roots.into())
}

impl<'a> Walk<'a> {
    /// Prepares a walk of all roots.
    pub(crate) fn new(request: &TreeRequest, excluder: &'a Excluder) -> Result<Self> {
        let never = request.never.iter().filter_map(|path| identity_of(path)).collect();
        let pending = sorted_roots(request)?;
        let outside = pending.back().map(|root| order::split(&root.prefix).0.to_vec());
        let outside = outside.filter(|top| !top.is_empty());
        let silent = request.roots.iter().flat_map(silent_below).collect();
        Ok(Self { excluder, never, pending, outside, silent, lists: false, stack: Vec::new() })
    }

    /// The same walk, on which folders are found with the list of their names.
    pub(crate) fn with_lists(self) -> Self {
        Self { lists: true, ..self }
    }

    /// Walks everything.
    pub(crate) fn run(mut self, sink: &mut dyn WalkSink) -> Result<()> {
        loop {
            // Folders outside the shop's root have their place among its names: `@outside`.
            let is_their_turn = match self.stack.as_slice() {
                [] => true,
                [root] => {
                    let place = self.outside.as_deref().unwrap_or(OUTSIDE);
                    root.path.is_empty() && root.names.get(root.next).is_none_or(|(name, _)| name > place)
                }
                _ => false,
            };
            if is_their_turn && let Some(root) = self.pending.pop_front() {
                self.enter_root(&root, sink)?;
                continue;
            }
            let Some(level) = self.stack.last_mut() else { return Ok(()) };
            match level.names.get(level.next) {
                Some((name, verdict)) => {
                    let name = name.to_vec();
                    level.next += 1;
                    self.visit(&name, verdict, sink)?;
                }
                None => {
                    self.stack.pop();
                }
            }
        }
    }

    fn enter_root(&mut self, root: &TreeRoot, sink: &mut dyn WalkSink) -> Result<()> {
        let fault = |source: io::Error| Error::Io { act: "read", path: root.path.clone(), source };
        // A root may itself be a link (`current` -> `releases/7`): it was named by the owner.
        let handle =
            rustix::fs::open(&root.path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| fault(error.into()))?;
        let facts = Facts::of_handle(&handle).map_err(fault)?;
        let attributes = facts::attributes(&handle).map_err(fault)?;
        let mut names = list(&handle).map_err(fault)?;
        let listing = self.listing(&root.prefix, &handle, &mut names);
        let handle = Arc::new(handle);
        let seen = Found::seen(root.prefix.clone(), Arc::clone(&handle), b".", Some(facts));
        sink.found(Found { attributes, listing, ..seen })?;
        self.stack.push(Level {
            path: root.prefix.clone(),
            name: Vec::new(),
            handle: Some(handle),
            identity: facts.identity(),
            names,
            next: 0,
            is_root: true,
        });
        Ok(())
    }

    /// The names of a folder that are taken, as tar lists them; what the exclusions say of each is kept with it.
    fn listing(&self, path: &[u8], folder: &OwnedFd, names: &mut Names) -> Option<Vec<u8>> {
        if !self.lists {
            return None;
        }
        let Names { bytes, spans } = names;
        let mut list = Vec::with_capacity(bytes.len() + 2 * spans.len() + 1);
        let mut below = order::join(path, b"");
        let begin = below.len();
        // In its place among the others: GNU tar searches the list by halves, and deletes what it does not find.
        let mut top = self.outside.as_ref().filter(|_| path.is_empty());
        for span in spans {
            let name = span.of(bytes);
            if let Some(top) = top.take_if(|top| top.as_slice() < name) {
                dumpdir::push(&mut list, top, true);
            }
            below.truncate(begin);
            below.extend_from_slice(name);
            let verdict = self.excluder.verdict(&below);
            span.verdict = Some(verdict);
            let kind = match span.kind {
                NameKind::Unknown => {
                    Facts::of_name(folder, name).map_or(NameKind::NotKept, |facts| facts.kind.into())
                }
                kind => kind,
            };
            if verdict != Verdict::Leave && kind != NameKind::NotKept {
                dumpdir::push(&mut list, name, kind == NameKind::Folder);
            }
        }
        if let Some(top) = top {
            dumpdir::push(&mut list, top, true);
        }
        dumpdir::end(&mut list);
        Some(list)
    }

    fn visit(&mut self, name: &[u8], verdict: Option<Verdict>, sink: &mut dyn WalkSink) -> Result<()> {
        let Some(level) = self.stack.last() else { return Ok(()) };
        let path = order::join(&level.path, name);
        let verdict = verdict.unwrap_or_else(|| self.excluder.verdict(&path));
        if verdict == Verdict::Leave {
            sink.excluded();
            return Ok(());
        }
        let parent = match self.handle_of_last() {
            Ok(parent) => parent,
            Err(error) => {
                // The folder was moved or removed while we were below it: what is left of it is gone.
                let Some(level) = self.stack.last_mut() else { return Ok(()) };
                level.next = level.names.spans.len();
                let Some(root) = self.root_handle() else { return Ok(()) };
                let found = trouble(path, root, name, None, &error);
                return sink.found(Found { ends_folder: true, ..found });
            }
        };
        if self.outside.as_ref() == Some(&path) {
            let reason = io::Error::other("this name is kept for folders outside the shop's root");
            return sink.found(trouble(path, parent, name, None, &reason));
        }
        if self.silent.contains(&path) {
            let reason = io::Error::other("a file system is mounted here that does not answer");
            return sink.found(trouble(path, parent, name, None, &reason));
        }
        let facts = match Facts::of_name(&parent, name) {
            Ok(facts) => facts,
            Err(error) => return sink.found(trouble(path, parent, name, None, &error)),
        };
        if facts.kind == FileKind::Folder {
            return self.visit_folder(path, parent, name, &facts, verdict, sink);
        }
        let (state, reason) = match facts.kind {
            FileKind::Fifo => (FileState::Skipped, Some("a named pipe")),
            FileKind::Socket => (FileState::Skipped, Some("a socket")),
            FileKind::Device => (FileState::Skipped, Some("a device")),
            FileKind::Unknown => (FileState::Skipped, Some("of a kind that is not known")),
            _ => (FileState::Stored, None),
        };
        let seen = Found::seen(path, parent, name, Some(facts));
        sink.found(Found { state, reason: reason.map(str::to_owned), ..seen })
    }

    fn visit_folder(
        &mut self,
        path: Vec<u8>,
        parent: Arc<OwnedFd>,
        name: &[u8],
        seen: &Facts,
        verdict: Verdict,
        sink: &mut dyn WalkSink,
    ) -> Result<()> {
        let opened = facts::open_folder(&parent, name).and_then(|handle| {
            let facts = Facts::of_handle(&handle)?;
            let attributes = facts::attributes(&handle)?;
            Ok((handle, facts, attributes))
        });
        let (handle, facts, attributes) = match opened {
            Ok(opened) => opened,
            Err(error) => return sink.found(trouble(path, parent, name, Some(*seen), &error)),
        };
        let seen = Found::seen(path.clone(), parent, name, Some(facts));
        let mut found = Found { attributes, ..seen };
        if self.never.contains(&facts.identity()) {
            found.state = FileState::Skipped;
            found.reason = Some("backups or state are kept here".to_owned());
            return sink.found(found);
        }
        let names = match if verdict == Verdict::TakeEmpty { Ok(Names::default()) } else { list(&handle) } {
            Ok(mut names) => {
                found.listing = self.listing(&found.path, &handle, &mut names);
                names
            }
            Err(error) => {
                found.state = state_of(&error);
                found.reason = Some(reason_of(&error));
                Names::default()
            }
        };
        sink.found(found)?;
        self.stack.push(Level {
            path,
            name: name.to_vec(),
            handle: Some(Arc::new(handle)),
            identity: facts.identity(),
            names,
            next: 0,
            is_root: false,
        });
        if let Some(far) = self.stack.len().checked_sub(OPEN_LEVELS)
            && !self.stack[far].is_root
        {
            self.stack[far].handle = None;
        }
        Ok(())
    }

    fn root_handle(&self) -> Option<Arc<OwnedFd>> {
        self.stack.iter().rev().find(|level| level.is_root)?.handle.clone()
    }

    /// The handle of the folder we are in; opened again, step by step, when it was let go on the way down.
    fn handle_of_last(&mut self) -> io::Result<Arc<OwnedFd>> {
        let last = self.stack.len() - 1;
        let Some(open) = (0..=last).rev().find(|at| self.stack[*at].handle.is_some()) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        for at in open..last {
            let handle = match &self.stack[at].handle {
                Some(handle) => Arc::clone(handle),
                None => return Err(io::Error::from(io::ErrorKind::NotFound)),
            };
            let below = &mut self.stack[at + 1];
            let reopened = facts::open_folder(&handle, &below.name)?;
            if Facts::of_handle(&reopened)?.identity() != below.identity {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            below.handle = Some(Arc::new(reopened));
            // Those on the way are only needed for this step, unless they are near the end.
            if at > open && last - at > OPEN_LEVELS {
                self.stack[at].handle = None;
            }
        }
        self.stack[last].handle.clone().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// The paths in the backup of mounts below a root that do not answer.
fn silent_below(root: &TreeRoot) -> Vec<Vec<u8>> {
    let Ok(folder) = root.path.canonicalize() else { return Vec::new() };
    let silent = backstock_host::mounts::silent_below(&folder);
    let below = silent.iter().filter_map(|mount| mount.strip_prefix(&folder).ok());
    below.map(|path| order::join(&root.prefix, path.as_os_str().as_bytes())).collect()
}

impl From<FileType> for NameKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::Directory => Self::Folder,
            FileType::RegularFile | FileType::Symlink => Self::Kept,
            FileType::Unknown => Self::Unknown,
            _ => Self::NotKept,
        }
    }
}

impl From<FileKind> for NameKind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Folder => Self::Folder,
            FileKind::File | FileKind::Symlink | FileKind::HardLink => Self::Kept,
            FileKind::Fifo | FileKind::Socket | FileKind::Device | FileKind::Unknown => Self::NotKept,
        }
    }
}

fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::stat(path).ok()?;
    Some(Facts::of(&stat).identity())
}

fn list(folder: &OwnedFd) -> io::Result<Names> {
    let mut buffer = vec![MaybeUninit::uninit(); LISTING_BUFFER_BYTES];
    let mut listing = RawDir::new(folder, &mut buffer);
    let mut names = Names::default();
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.add(name, entry.file_type().into())?;
        }
    }
    names.sort();
    Ok(names)
}

/// What it means that something could not be opened or looked at.
pub(crate) fn state_of(error: &io::Error) -> FileState {
    match Errno::from_io_error(error) {
        // Gone; or a link, a file or a folder now stands where another kind was: that which was listed is gone.
        Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::STALE | Errno::NXIO) => FileState::Vanished,
        _ if error.kind() == io::ErrorKind::NotFound => FileState::Vanished,
        _ => FileState::Unreadable,
    }
}

/// The reason as the index keeps it.
pub(crate) fn reason_of(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => "permission denied".to_owned(),
        Some(Errno::IO) => "input/output error".to_owned(),
        Some(Errno::LOOP | Errno::NOTDIR) => "replaced by something else".to_owned(),
        Some(Errno::NOENT) => "gone".to_owned(),
        _ => error.to_string(),
    }
}

fn trouble(
    path: Vec<u8>,
    parent: Arc<OwnedFd>,
    name: &[u8],
    facts: Option<Facts>,
    error: &io::Error,
) -> Found {
    let seen = Found::seen(path, parent, name, facts);
    Found { state: state_of(error), reason: Some(reason_of(error)), ..seen }
}
