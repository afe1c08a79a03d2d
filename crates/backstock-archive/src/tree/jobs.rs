//! Receives what the walk finds and makes jobs of it: what is to be read goes to the readers, what is known goes past them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use backstock_host::memory::Room;
use crossbeam_channel::{Sender, bounded};

use super::archive::{BATCH_BYTES, BATCH_ENTRIES, BATCH_FOLDERS, Job, Promised, READ_AHEAD_BYTES};
use super::entry::{FileEntry, FileKind, FileState};
use super::read_item::{Item, ItemReader, WHOLE_LIMIT_BYTES};
use super::ready::{Ready, ReadyBatch};
use super::report::{NameList, TreeMonitor};
use super::since::{Known, Missing, Since};
use super::walk::{Found, WalkSink};
use crate::{Error, Result};

/// The name under which an inode was found first.
struct FirstName {
    path: Vec<u8>,
    /// The number of names still to come.
    left: u64,
    /// It is carried on from the backup before.
    is_carried: bool,
}

/// What the walk came to, besides what it found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) excluded: u64,
    pub(super) removed: NameList,
    pub(super) sampled_to: Option<backstock_vocabulary::RawText>,
}

/// What the backup before says of something that was found.
#[derive(Default)]
struct Standing {
    known: Option<Box<FileEntry>>,
    is_sample: bool,
    /// Its line is carried on already.
    is_done: bool,
}

/// Makes jobs of what is found.
pub(super) struct Planner<'a> {
    reader: &'a ItemReader<'a>,
    jobs: Sender<Job>,
    order: Sender<Promised>,
    room: Arc<Room>,
    monitor: &'a dyn TreeMonitor,
    since: Option<Since<'a>>,
    items: Vec<Item>,
    ready: ReadyBatch,
    planned_bytes: u64,
    folders: HashSet<usize>,
    /// First names of inodes that have more than one.
    names: HashMap<(u64, u64), FirstName>,
    excluded: u64,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        reader: &'a ItemReader<'a>,
        jobs: Sender<Job>,
        order: Sender<Promised>,
        since: Option<Since<'a>>,
    ) -> Self {
        Self {
            reader,
            jobs,
            order,
            room: Arc::new(Room::new(READ_AHEAD_BYTES)),
            monitor: reader.monitor,
            since,
            items: Vec::new(),
            ready: ReadyBatch::default(),
            planned_bytes: 0,
            folders: HashSet::new(),
            names: HashMap::new(),
            excluded: 0,
        }
    }

    /// Ends the walk: what is left of the index before is not there.
    pub(super) fn finish(mut self) -> Result<Walked> {
        self.pass_missing(None)?;
        self.flush()?;
        self.flush_ready()?;
        let (removed, sampled_to) =
            self.since.map_or_else(Default::default, |since| (since.removed.clone(), since.sampled_to()));
        Ok(Walked { excluded: self.excluded, removed, sampled_to })
    }

    fn flush_ready(&mut self) -> Result<()> {
        if self.ready.things.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.ready);
        self.order.send(Promised::Ready(batch)).map_err(|_| Error::Cancelled)
    }

    /// Makes room for one more thing that needs no reader, behind everything that does.
    fn begin_ready(&mut self) -> Result<()> {
        if self.ready.is_full() {
            self.flush_ready()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.items.is_empty() {
            return Ok(());
        }
        let items = std::mem::take(&mut self.items);
        // A long file is handed over frame by frame, so that eight of them do not fill the memory.
        let planned_bytes = std::mem::take(&mut self.planned_bytes);
        let is_long = planned_bytes > WHOLE_LIMIT_BYTES;
        let taken = self.room.take_shared(planned_bytes.min(WHOLE_LIMIT_BYTES));
        self.folders.clear();
        let (sender, receiver) = bounded(usize::from(!is_long));
        self.order.send(Promised::Job(receiver, taken)).map_err(|_| Error::Cancelled)?;
        self.jobs.send(Job { items, planned_bytes, outputs: sender }).map_err(|_| Error::Cancelled)
    }

    /// Judges the lines of the index before up to a path, or all that are left: nothing was found at them.
    fn pass_missing(&mut self, path: Option<&[u8]>) -> Result<()> {
        loop {
            let Some(since) = &mut self.since else { return Ok(()) };
            since.fill()?;
            if since.peek().is_none() || path.is_some_and(|path| since.next_against(path).is_ge()) {
                return Ok(());
            }
            if let Missing::Unseen(reason) = since.missing()
                && let Some(known) = since.peek()
            {
                let mut entry = known.decoded()?;
                entry.stale = Some(reason);
                self.begin_ready()?;
                self.ready.things.push(Ready::Entry(entry));
            }
            if let Some(since) = &mut self.since {
                since.advance();
            }
        }
    }

    /// What the backup before says of this; a folder is given its marks.
    fn standing(&mut self, found: &mut Found, first_name: Option<&[u8]>) -> Result<Standing> {
        self.pass_missing(Some(&found.path))?;
        let Some(since) = &mut self.since else { return Ok(Standing::default()) };
        if since.meet(found) {
            found.listing = None;
            found.keeps_stale = true;
        }
        if since.next_against(&found.path).is_ne() {
            return Ok(Standing::default());
        }
        let mut standing = Standing::default();
        let is_untouched = found.state == FileState::Stored
            && found.facts.is_some_and(|facts| facts.kind != FileKind::Folder && since.is_untouched(&facts));
        if is_untouched && self.is_name_kept(found, first_name)? {
            standing = self.carry(found, first_name.is_some())?;
        } else if let Some(since) = &self.since
            && let Some(known) = since.peek().filter(Known::is_held)
            && found.facts.is_none_or(|facts| facts.kind != FileKind::Folder)
        {
            standing.known = Some(known.decoded()?);
        }
        if let Some(since) = &mut self.since {
            since.advance();
        }
        Ok(standing)
    }

    /// Whether an untouched inode has this name as it had it: a first one as a first one, a further one of the same first that
    /// is itself carried on.
    fn is_name_kept(&self, found: &Found, first_name: Option<&[u8]>) -> Result<bool> {
        let Some(known) = self.since.as_ref().and_then(Since::peek) else { return Ok(false) };
        let Some(first) = first_name else { return Ok(known.kind() != FileKind::HardLink) };
        let identity = found.facts.map(|facts| facts.identity()).unwrap_or_default();
        let is_carried = self.names.get(&identity).is_some_and(|name| name.is_carried);
        let is_further = known.kind() == FileKind::HardLink;
        Ok(is_further && is_carried && known.decoded()?.link.as_deref() == Some(first))
    }

    /// Carries an untouched entry on, unless it is its turn to be read all the same.
    fn carry(&mut self, found: &Found, is_further: bool) -> Result<Standing> {
        let Some(since) = &mut self.since else { return Ok(Standing::default()) };
        if let Some(facts) = found.facts.filter(|_| !is_further)
            && since.is_in_sample(&found.path, &facts)
            && let Some(known) = since.peek()
        {
            let mut known = known.decoded()?;
            known.stale = None;
            return Ok(Standing { known: Some(known), is_sample: true, is_done: false });
        }
        self.begin_ready()?;
        if let Some(known) = self.since.as_ref().and_then(Since::peek) {
            if known.is_stale() {
                let mut entry = known.decoded()?;
                entry.stale = None;
                self.ready.things.push(Ready::Entry(entry));
            } else {
                self.ready.line(known.key, known.line, known.kind(), known.size_bytes());
            }
        }
        if let Some(facts) = &found.facts
            && let Some(name) = self.names.get_mut(&facts.identity())
        {
            name.is_carried = true;
        }
        Ok(Standing { is_done: true, ..Standing::default() })
    }

    /// The name under which this inode was found before, if it was.
    fn first_name(&mut self, found: &Found) -> Option<Vec<u8>> {
        let facts = found.facts.as_ref()?;
        if !facts.kind.can_have_names() || facts.links < 2 || found.state != FileState::Stored {
            return None;
        }
        match self.names.get_mut(&facts.identity()) {
            Some(first) => {
                first.left = first.left.saturating_sub(1);
                Some(first.path.clone())
            }
            None => {
                let name = FirstName { path: found.path.clone(), left: facts.links - 1, is_carried: false };
                self.names.insert(facts.identity(), name);
                None
            }
        }
    }

    /// Forgets an inode when all its names were found.
    fn forget_name(&mut self, identity: (u64, u64)) {
        if self.names.get(&identity).is_some_and(|name| name.left == 0) {
            self.names.remove(&identity);
        }
    }

    /// Adds something to the next job.
    fn add(&mut self, item: Item) -> Result<()> {
        let bytes = match &item.found.facts {
            Some(facts) if facts.kind == FileKind::File && item.first_name.is_none() => {
                // The larger of the two would make a job of its own of every file with holes.
                facts.size_bytes.min(facts.allocated_bytes.max(512))
            }
            _ => 0,
        };
        if self.planned_bytes + bytes > BATCH_BYTES {
            self.flush()?;
        }
        self.flush_ready()?;
        self.planned_bytes += bytes;
        self.folders.insert(Arc::as_ptr(&item.found.parent).addr());
        self.items.push(item);
        let is_full = self.planned_bytes >= BATCH_BYTES
            || self.items.len() >= BATCH_ENTRIES
            || self.folders.len() >= BATCH_FOLDERS;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Writes a folder's member on the spot: it has no content to read.
    fn add_folder(&mut self, item: &Item) -> Result<()> {
        self.begin_ready()?;
        let start = self.ready.bytes.len();
        let mut piece = self.reader.read_other(item, &mut self.ready.bytes);
        piece.bytes = start..self.ready.bytes.len();
        self.ready.things.push(Ready::Piece(Box::new(piece)));
        Ok(())
    }
}

impl WalkSink for Planner<'_> {
    fn found(&mut self, mut found: Found) -> Result<()> {
        if self.monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let first_name = self.first_name(&found);
        let standing = self.standing(&mut found, first_name.as_deref())?;
        if first_name.is_some()
            && let Some(facts) = &found.facts
        {
            self.forget_name(facts.identity());
        }
        let Standing { known, is_sample, is_done } = standing;
        if is_done {
            return Ok(());
        }
        let is_folder = found.facts.is_some_and(|facts| facts.kind == FileKind::Folder);
        let item = Item { known, is_sample, ..Item::new(found, first_name) };
        if is_folder && self.since.is_some() { self.add_folder(&item) } else { self.add(item) }
    }

    fn excluded(&mut self) {
        self.excluded += 1;
    }
}
