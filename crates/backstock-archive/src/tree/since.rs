//! The files since another backup: its index is read beside the walk, a page at a time, and says of everything that is found
//! whether it is as it was, and of everything that is missing whether it is gone or only cannot be seen.
//!
//! Data can be lost here. What is taken for untouched is not read, so that has to be sure: same path, kind, length, inode and
//! times, and none of the times so near to the backup before that a later change could have the same. What is taken for gone
//! is not carried on: a folder that cannot be read, another file system in the place of one, or none, prove nothing.

use std::collections::HashMap;
use std::ops::Range;

use backstock_vocabulary::RawText;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::entry::{FileEntry, FileKind, FileState, FileTime};
use super::facts::Facts;
use super::order::{is_below, split};
use super::report::NameList;
use super::walk::Found;
use crate::index::{IndexReader, compare_keys};
use crate::read_at::ReadAt;
use crate::{Error, Result};

/// File systems keep times in ticks: what was written in the same tick as the backup's look may look untouched.
const RACY_SECONDS: i64 = 2;

/// Which untouched files are read all the same, so that a change that hides behind an unchanged length and times is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehash {
    /// How many bytes may be read; 0 for none. The first file is read however long it is, so that each gets its turn.
    pub budget_bytes: u64,
    /// The sample begins after this path: where the one before ended.
    pub after: Option<Vec<u8>>,
}

/// The backup that another one builds on.
pub struct Baseline<'a> {
    pages: Box<dyn FnMut() -> Result<Option<KnownPage>> + Send + 'a>,
    pub(super) own_number: u32,
    racy_from: i64,
    rehash: Rehash,
}

impl<'a> Baseline<'a> {
    /// A backup by its index and the time at which it began. `own_number` is the place that the new backup has in the chain.
    pub fn new<R: ReadAt>(
        index: &'a IndexReader<R>,
        own_number: u32,
        started: Timestamp,
        rehash: Rehash,
    ) -> Self {
        let mut number = 0;
        let pages = move || {
            let page = KnownPage::read(index, number)?;
            number += 1;
            Ok(page)
        };
        let racy_from = started.as_second() - RACY_SECONDS;
        Self { pages: Box::new(pages), own_number, racy_from, rehash }
    }
}

/// What of a line decides.
#[derive(Debug, Deserialize)]
struct KnownEntry {
    kind: FileKind,
    state: FileState,
    #[serde(default)]
    size_bytes: u64,
    mtime: FileTime,
    ctime: FileTime,
    inode: u64,
    device: u64,
    #[serde(default)]
    frame: Option<u64>,
    #[serde(default)]
    stale: Option<IgnoredAny>,
    #[serde(default)]
    keeps_stale: bool,
}

impl KnownEntry {
    fn is_held(&self) -> bool {
        let has_content = matches!(self.state, FileState::Stored | FileState::Changed);
        self.frame.is_some() && (has_content || self.kind == FileKind::Folder)
    }
}

#[derive(Debug)]
struct KnownLine {
    key: Range<usize>,
    line: Range<usize>,
    entry: KnownEntry,
}

/// A page of the index before.
#[derive(Debug, Default)]
struct KnownPage {
    text: Vec<u8>,
    keys: Vec<u8>,
    lines: Vec<KnownLine>,
}

impl KnownPage {
    fn read<R: ReadAt>(index: &IndexReader<R>, number: usize) -> Result<Option<Self>> {
        let mut page = Self::default();
        let text = index.each_line::<KnownEntry>(number, &mut |key, entry, line| {
            let start = page.keys.len();
            page.keys.extend_from_slice(key);
            page.lines.push(KnownLine { key: start..page.keys.len(), line, entry });
        })?;
        Ok(text.map(|text| Self { text, ..page }))
    }
}

/// A line that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Known<'p> {
    pub(super) key: &'p [u8],
    pub(super) line: &'p [u8],
    entry: &'p KnownEntry,
}

impl Known<'_> {
    /// All that the line says, but for what only concerns the archive of the backup before.
    pub(super) fn decoded(&self) -> Result<Box<FileEntry>> {
        #[derive(Deserialize)]
        struct Line {
            entry: FileEntry,
        }
        let entry = |Line { entry }| Box::new(FileEntry { filler_frame: None, ..entry });
        serde_json::from_slice(self.line).map(entry).map_err(|source| Error::Json {
            act: "read a line of",
            thing: "the index of the backup before".to_owned(),
            source,
        })
    }

    pub(super) fn size_bytes(&self) -> u64 {
        if self.entry.kind == FileKind::File { self.entry.size_bytes } else { 0 }
    }

    pub(super) fn kind(&self) -> FileKind {
        self.entry.kind
    }

    pub(super) fn is_stale(&self) -> bool {
        self.entry.stale.is_some()
    }

    /// Whether the chain holds it.
    pub(super) fn is_held(&self) -> bool {
        self.entry.is_held()
    }
}

/// A folder on the way down.
struct Level {
    path: Vec<u8>,
    /// The device that it was on, where the index before has it.
    known_device: Option<u64>,
    /// What is missing in it cannot be called gone.
    is_foreign: bool,
}

/// What a missing line means.
pub(super) enum Missing {
    /// It never was in the backup, or is gone.
    Dropped,
    /// It cannot be seen, for this reason.
    Unseen(String),
}

/// The index before, and what the walk has taught so far.
pub(super) struct Since<'a> {
    baseline: Baseline<'a>,
    page: KnownPage,
    next: usize,
    is_over: bool,
    levels: Vec<Level>,
    /// Nothing below this path could be seen, and why.
    unseen: Option<(Vec<u8>, String)>,
    /// The numbers that devices had, and have now.
    same_devices: HashMap<u64, u64>,
    now: i64,
    sample_left_bytes: u64,
    sampled_to: Option<Vec<u8>>,
    pub(super) removed: NameList,
}

impl<'a> Since<'a> {
    pub(super) fn new(baseline: Baseline<'a>, started: Timestamp) -> Self {
        let sample_left_bytes = baseline.rehash.budget_bytes;
        Self {
            baseline,
            page: KnownPage::default(),
            next: 0,
            is_over: false,
            levels: Vec::new(),
            unseen: None,
            same_devices: HashMap::new(),
            now: started.as_second() + RACY_SECONDS,
            sample_left_bytes,
            sampled_to: None,
            removed: NameList::default(),
        }
    }

    /// Where the next sample begins: after the last that was read, or from the beginning when there were no more.
    pub(super) fn sampled_to(&self) -> Option<RawText> {
        match self.baseline.rehash.budget_bytes {
            0 => self.baseline.rehash.after.clone().map(RawText),
            _ if self.sample_left_bytes > 0 => None,
            _ => self.sampled_to.clone().map(RawText),
        }
    }

    /// Makes sure that the next line, if there is one, is in memory.
    pub(super) fn fill(&mut self) -> Result<()> {
        while self.next >= self.page.lines.len() && !self.is_over {
            match (self.baseline.pages)()? {
                Some(page) => (self.page, self.next) = (page, 0),
                None => self.is_over = true,
            }
        }
        Ok(())
    }

    /// The next line; [`Self::fill`] comes before.
    pub(super) fn peek(&self) -> Option<Known<'_>> {
        let line = self.page.lines.get(self.next)?;
        Some(Known {
            key: &self.page.keys[line.key.clone()],
            line: &self.page.text[line.line.clone()],
            entry: &line.entry,
        })
    }

    /// Whether the next line stands before a path, at it, or behind; behind at the end.
    pub(super) fn next_against(&self, path: &[u8]) -> std::cmp::Ordering {
        self.peek().map_or(std::cmp::Ordering::Greater, |known| compare_keys(known.key, path))
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Judges the next line, whose path the walk has passed by.
    pub(super) fn missing(&mut self) -> Missing {
        let Some(line) = self.page.lines.get(self.next) else { return Missing::Dropped };
        let key = &self.page.keys[line.key.clone()];
        let entry = &line.entry;
        if !entry.is_held() {
            return Missing::Dropped;
        }
        if let Some((path, reason)) = &self.unseen
            && is_below(key, path)
        {
            return Missing::Unseen(reason.clone());
        }
        while self.levels.last().is_some_and(|level| !is_below(key, &level.path)) {
            self.levels.pop();
        }
        let folder = self.levels.last();
        let reason = "another file system is there than before, or none";
        if folder.is_some_and(|folder| folder.is_foreign) {
            return Missing::Unseen(reason.to_owned());
        }
        let was_mount = entry.kind == FileKind::Folder
            && folder.and_then(|folder| folder.known_device).is_some_and(|device| device != entry.device);
        if was_mount {
            self.unseen = Some((key.to_vec(), reason.to_owned()));
            return Missing::Unseen(reason.to_owned());
        }
        self.removed.add(key, None);
        Missing::Dropped
    }

    /// Learns from something that was found; the next line is that of its path, or behind it. Tells whether what is missing in
    /// a folder must not be called gone.
    pub(super) fn meet(&mut self, found: &Found) -> bool {
        let path = &found.path;
        while self.levels.last().is_some_and(|level| !is_below(path, &level.path)) {
            self.levels.pop();
        }
        if self.unseen.as_ref().is_some_and(|(above, _)| !is_below(path, above)) {
            self.unseen = None;
        }
        if found.state == FileState::Unreadable && self.unseen.is_none() {
            let folder = if found.ends_folder { split(path).0 } else { path };
            let reason = found.reason.clone().unwrap_or_else(|| "it could not be read".to_owned());
            self.unseen = Some((folder.to_vec(), reason));
        }
        let Some(facts) = found.facts.filter(|facts| facts.kind == FileKind::Folder) else { return false };
        let is_known = self.next_against(path).is_eq();
        let known = self.page.lines.get(self.next).filter(|_| is_known).map(|line| &line.entry);
        let known = known.filter(|entry| entry.kind == FileKind::Folder);
        let known_device = known.map(|entry| entry.device);
        let is_foreign = match known {
            Some(entry) if entry.keeps_stale => true,
            Some(entry) if entry.device == facts.device => false,
            Some(entry) if is_same_inode(entry, &facts) => {
                // The very folder: its file system got another number.
                self.same_devices.insert(entry.device, facts.device);
                false
            }
            Some(entry) => self.same_devices.get(&entry.device) != Some(&facts.device),
            None => false,
        };
        self.levels.push(Level { path: path.clone(), known_device, is_foreign });
        is_foreign
    }

    /// Whether the next line, which is that of its path, says that this file or link is as it was.
    pub(super) fn is_untouched(&self, facts: &Facts) -> bool {
        let Some(line) = self.page.lines.get(self.next) else { return false };
        let entry = &line.entry;
        let same_kind = match entry.kind {
            FileKind::File => facts.kind == FileKind::File && entry.size_bytes == facts.size_bytes,
            FileKind::HardLink => facts.kind.can_have_names(),
            kind => kind == facts.kind,
        };
        let is_racy = |time: FileTime| time.seconds >= self.baseline.racy_from;
        // A time in the future was set by hand and tells nothing; the other one cannot be set.
        let is_near = is_racy(entry.ctime) || is_racy(entry.mtime) && entry.mtime.seconds <= self.now;
        same_kind
            && entry.state == FileState::Stored
            && entry.frame.is_some()
            && !is_near
            && is_same_inode(entry, facts)
    }

    /// Whether it is the turn of an untouched file to be read all the same.
    pub(super) fn is_in_sample(&mut self, path: &[u8], facts: &Facts) -> bool {
        let bytes = facts.size_bytes.min(facts.allocated_bytes.max(512));
        let is_due =
            self.baseline.rehash.after.as_ref().is_none_or(|after| compare_keys(path, after).is_gt());
        if bytes == 0 || self.sample_left_bytes == 0 || !is_due || facts.kind != FileKind::File {
            return false;
        }
        self.sample_left_bytes = self.sample_left_bytes.saturating_sub(bytes);
        let to = self.sampled_to.get_or_insert_default();
        to.clear();
        to.extend_from_slice(path);
        true
    }
}

fn is_same_inode(entry: &KnownEntry, facts: &Facts) -> bool {
    (entry.inode, entry.mtime, entry.ctime) == (facts.inode, facts.modified, facts.changed)
}
