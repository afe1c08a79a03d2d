//! The files of two states: added, removed, changed, or not known, path by path.
//!
//! Absence is never proof: what lies below a folder that one side could not read or did not enter, and what one side was
//! told to leave out, is not called added or removed. A changed time alone is no difference; it is counted.

use backstock_archive::tree::order::is_below;
use backstock_archive::tree::{FileEntry, FileKind, FileState, LeftOut};
use backstock_vocabulary::RawText;

use super::difference::{Difference, FileChange, FileCounts, OneFile, Side};
use super::item::{Namer, ToldDifference};
use crate::restore::is_program_among_media;

/// What the reports of the two sides need to be read rightly.
#[derive(Debug, Default)]
pub(super) struct FileRules {
    /// What the platform can make anew.
    pub(super) renewable: Option<LeftOut>,
    /// What the earlier side was told to leave out, where the sides were told different things.
    pub(super) before_left_out: Option<LeftOut>,
    /// The same of the later side.
    pub(super) after_left_out: Option<LeftOut>,
    /// Roots of the earlier side that the later one does not have, and the other way round.
    pub(super) before_roots: Vec<Vec<u8>>,
    pub(super) after_roots: Vec<Vec<u8>>,
}

impl FileRules {
    fn is_renewable(&self, path: &[u8]) -> bool {
        self.renewable.as_ref().is_some_and(|places| places.holds(path))
    }

    /// Whether the side that lacks a path was not asked for it.
    fn was_not_asked(&self, lacking: Side, path: &[u8]) -> bool {
        let (left_out, foreign_roots) = match lacking {
            Side::Before => (&self.before_left_out, &self.after_roots),
            Side::After => (&self.after_left_out, &self.before_roots),
        };
        left_out.as_ref().is_some_and(|places| places.holds(path))
            || foreign_roots.iter().any(|root| path == root || is_below(path, root))
    }
}

/// Compares the files, path by path in their order.
pub(super) struct FilesDiff<'a> {
    rules: &'a FileRules,
    namer: &'a Namer,
    sink: &'a mut dyn FnMut(ToldDifference),
    counts: FileCounts,
    /// The folder that the earlier side knows nothing below of, and the later one.
    before_gap: Option<Vec<u8>>,
    after_gap: Option<Vec<u8>>,
}

impl<'a> FilesDiff<'a> {
    pub(super) fn new(
        rules: &'a FileRules,
        namer: &'a Namer,
        sink: &'a mut dyn FnMut(ToldDifference),
    ) -> Self {
        Self { rules, namer, sink, counts: FileCounts::default(), before_gap: None, after_gap: None }
    }

    pub(super) fn counts(self) -> FileCounts {
        self.counts
    }

    /// One path, with what each side has there.
    pub(super) fn path(&mut self, path: Vec<u8>, before: Option<FileEntry>, after: Option<FileEntry>) {
        for (gap, entry) in [(&mut self.before_gap, &before), (&mut self.after_gap, &after)] {
            if gap.as_deref().is_some_and(|folder| !is_below(&path, folder)) {
                *gap = None;
            }
            if gap.is_none() && entry.as_ref().is_some_and(hides_what_is_below) {
                *gap = Some(path.clone());
            }
        }
        // What was gone before it could be read is not there.
        let is_there = |entry: &FileEntry| entry.state != FileState::Vanished;
        match (before.filter(is_there), after.filter(is_there)) {
            (None, None) => {}
            (Some(entry), None) => self.alone(path, &entry, Side::After),
            (None, Some(entry)) => self.alone(path, &entry, Side::Before),
            (Some(before), Some(after)) => self.both(path, &before, &after),
        }
    }

    /// What the other side alone has.
    fn alone(&mut self, path: Vec<u8>, entry: &FileEntry, lacking: Side) {
        let gap = match lacking {
            Side::Before => &self.before_gap,
            Side::After => &self.after_gap,
        };
        let is_new_program =
            lacking == Side::Before && entry.kind != FileKind::Folder && is_program_among_media(&path);
        if gap.as_deref().is_some_and(|folder| is_below(&path, folder)) {
            self.counts.unknown += 1;
        } else if self.rules.was_not_asked(lacking, &path) {
            self.counts.not_asked += 1;
        } else if !is_new_program && self.rules.is_renewable(&path) {
            self.counts.renewable += 1;
        } else {
            self.counts.misplaced_programs += u64::from(is_new_program);
            let state = state_of(entry);
            let item = self.namer.name(&match lacking {
                Side::Before => [path.as_slice(), b"", &state],
                Side::After => [path.as_slice(), &state, b""],
            });
            let file = OneFile {
                path: RawText(path),
                kind: entry.kind,
                size_bytes: entry.size_bytes,
                is_misplaced_program: is_new_program,
            };
            if lacking == Side::Before {
                self.counts.added += 1;
                (self.sink)(ToldDifference::new(item, Difference::FileAdded(file)));
            } else {
                self.counts.removed += 1;
                (self.sink)(ToldDifference::new(item, Difference::FileRemoved(file)));
            }
        }
    }

    fn both(&mut self, path: Vec<u8>, before: &FileEntry, after: &FileEntry) {
        let namer = self.namer;
        let item = |path: &[u8]| namer.name(&[path, &state_of(before), &state_of(after)]);
        let unknown = [(Side::After, after, before), (Side::Before, before, after)];
        if let Some((side, entry, _)) = unknown.into_iter().find(|(_, one, other)| is_unknown(one, other)) {
            self.counts.unknown += 1;
            let reason = entry.stale.as_ref().or(entry.reason.as_ref());
            let reason = reason.cloned().unwrap_or_else(|| "it could not be read".to_owned());
            let item = item(&path);
            let difference = Difference::FileUnknown { path: RawText(path), side, reason };
            (self.sink)(ToldDifference::new(item, difference));
            return;
        }
        let changes = changes(before, after);
        if changes.is_empty() {
            self.counts.equal += 1;
            let is_touched = after.kind == FileKind::File && before.modified != after.modified;
            self.counts.touched += u64::from(is_touched);
            return;
        }
        let is_other_program = after.kind != FileKind::Folder
            && is_program_among_media(&path)
            && changes.iter().any(FileChange::is_of_content);
        if !is_other_program && self.rules.is_renewable(&path) {
            self.counts.renewable += 1;
            return;
        }
        self.counts.changed += 1;
        self.counts.misplaced_programs += u64::from(is_other_program);
        let is_misplaced_program = is_other_program;
        let item = item(&path);
        let difference = Difference::FileChanged { path: RawText(path), is_misplaced_program, changes };
        (self.sink)(ToldDifference::new(item, difference));
    }
}

/// What tells one state of a file from another without reading it, as a later backup would. A link is its target.
fn state_of(entry: &FileEntry) -> Vec<u8> {
    let mut state = format!("{:?} {} {}:{}", entry.kind, entry.mode, entry.uid, entry.gid);
    if entry.kind == FileKind::File {
        let (modified, changed) = (&entry.modified, &entry.changed);
        state.push_str(&format!(
            " {} {} {}.{} {}.{}",
            entry.size_bytes,
            entry.inode,
            modified.seconds,
            modified.nanoseconds,
            changed.seconds,
            changed.nanoseconds
        ));
    }
    let mut state = state.into_bytes();
    state.push(b' ');
    state.extend_from_slice(entry.link.as_deref().unwrap_or_default());
    state
}

/// Whether a side that has this entry knows nothing of what lies below it.
fn hides_what_is_below(entry: &FileEntry) -> bool {
    matches!(entry.state, FileState::Unreadable | FileState::Skipped)
}

/// Whether the first of the two cannot be held against the second.
fn is_unknown(one: &FileEntry, other: &FileEntry) -> bool {
    match one.state {
        // How it was then could not be seen either: an earlier version stands for it.
        _ if one.stale.is_some() => true,
        FileState::Unreadable => true,
        // A folder that was passed over, where backups are kept; a socket or pipe is all that it is.
        FileState::Skipped => one.kind == FileKind::Folder && other.state != FileState::Skipped,
        _ => false,
    }
}

impl FileChange {
    /// Whether it decides what a file does when it is run.
    fn is_of_content(&self) -> bool {
        matches!(self, Self::Kind { .. } | Self::Content { .. } | Self::Holes | Self::Link { .. })
    }
}

fn changes(before: &FileEntry, after: &FileEntry) -> Vec<FileChange> {
    let mut found = Vec::new();
    if before.kind != after.kind {
        found.push(FileChange::Kind { before: before.kind, after: after.kind });
    } else if before.kind == FileKind::File {
        let (before_bytes, after_bytes) = (before.size_bytes, after.size_bytes);
        if before_bytes == after_bytes && before.sparse != after.sparse {
            found.push(FileChange::Holes);
        } else if before_bytes != after_bytes || before.blake3 != after.blake3 {
            found.push(FileChange::Content { before_bytes, after_bytes });
        }
    }
    if before.kind == after.kind && before.link != after.link {
        let text = |link: &Option<Vec<u8>>| RawText(link.clone().unwrap_or_default());
        found.push(FileChange::Link { before: text(&before.link), after: text(&after.link) });
    }
    // A link has no permissions of its own.
    if before.mode != after.mode && after.kind != FileKind::Symlink && before.kind != FileKind::Symlink {
        found.push(FileChange::Mode { before: before.mode, after: after.mode });
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let owner = |entry: &FileEntry| (entry.uid, entry.gid);
        found.push(FileChange::Owner { before: owner(before), after: owner(after) });
    }
    if before.attributes != after.attributes {
        found.push(FileChange::Attributes);
    }
    found
}
