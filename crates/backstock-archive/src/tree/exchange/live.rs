//! A backup's files and the live ones side by side, for whoever only wants to know how they differ. Changes nothing.

use rustix::fs::OFlags;

use super::super::archive::compile;
use super::super::content::find_holes;
use super::super::entry::{FileEntry, FileKind, FileState};
use super::super::facts::{self, Facts};
use super::super::report::{NamedPath, TreeMonitor, TreeNote, printable};
use super::super::request::TreeRequest;
use super::super::restore_file::Rights;
use super::super::selection::{Selection, chosen_entries};
use super::super::walk::{Found, Walk, reason_of, state_of};
use super::compare::{Comparer, Difference};
use super::merge::{Pair, Side, SideSink, merge};
use crate::Result;
use crate::index::IndexReader;
use crate::read_at::ReadAt;

/// Receives each path with what the backup and the live tree have there.
pub type LiveSink<'a> = dyn FnMut(Vec<u8>, Option<FileEntry>, Option<FileEntry>) -> Result<()> + 'a;

/// Walks the live folders of `walked` and the index side by side, in the order of paths. A live file whose content is
/// that of the backup has its hash; where it is another, it has none. A further name of a file is given as the file, on both sides.
///
/// # Errors
/// When a root or the index cannot be read; those of the sink.
pub fn compare_with_live<R: ReadAt>(
    index: &IndexReader<R>,
    walked: &TreeRequest,
    monitor: &dyn TreeMonitor,
    each: &mut LiveSink<'_>,
) -> Result<()> {
    let excluder = compile(walked)?;
    let refused = |entry: &FileEntry| {
        let reason = Some("its path leads outside".to_owned());
        let named = NamedPath { path: printable(&entry.path), reason };
        monitor.note(&TreeNote { state: FileState::Unreadable, named });
    };
    let entries = chosen_entries(index, &Selection::Everything, refused)?;
    let comparer = Comparer { rights: Rights::usual(), backup_started: Some(walked.started), monitor };
    let find = |path: &[u8]| index.find::<FileEntry>(path);
    let mut sink = Looker { comparer: &comparer, find: &find, each };
    merge(Walk::new(walked, &excluder)?, entries, &comparer, &mut sink)
}

struct Looker<'a, 'b> {
    comparer: &'a Comparer<'a>,
    find: &'a dyn Fn(&[u8]) -> Result<Option<FileEntry>>,
    each: &'a mut LiveSink<'b>,
}

impl SideSink for Looker<'_, '_> {
    fn side(&mut self, side: Side) -> Result<()> {
        match side {
            Side::Backup(chosen) => {
                let entry = chosen.entry;
                (self.each)(entry.path.clone(), Some(entry), None)
            }
            Side::Live(found) => {
                let live = live_entry(&found, None, None);
                (self.each)(found.path, None, Some(live))
            }
            Side::Both(pair) => self.both(*pair),
        }
    }
}

impl Looker<'_, '_> {
    fn both(&mut self, pair: Pair) -> Result<()> {
        let Pair { chosen, mut found, mut difference } = pair;
        let mut entry = chosen.entry;
        let is_live_file = found.facts.is_some_and(|facts| facts.kind == FileKind::File);
        if entry.kind == FileKind::HardLink
            && let Some(first) = (self.find)(entry.link.as_deref().unwrap_or_default())?
        {
            entry = FileEntry { path: entry.path, ..first };
            if let Some(facts) = found.facts.filter(|_| is_live_file && entry.kind == FileKind::File) {
                difference = Some(self.comparer.compare(&entry, &mut found, &facts));
            }
        }
        let live = live_entry(&found, Some(&entry), difference.as_ref());
        (self.each)(found.path, Some(entry), Some(live))
    }
}

/// What is live, in the words of an index.
fn live_entry(found: &Found, backup: Option<&FileEntry>, difference: Option<&Difference>) -> FileEntry {
    let kind = found.facts.map_or(FileKind::Unknown, |facts| facts.kind);
    let mut live = FileEntry::new(found.path.clone(), kind, found.state);
    live.reason.clone_from(&found.reason);
    live.attributes.clone_from(&found.attributes);
    let Some(facts) = &found.facts else { return live };
    fill(&mut live, facts);
    match (kind, backup) {
        (FileKind::Symlink, _) => {
            live.link = facts::link_target(&*found.parent, &found.name).ok();
            // Attributes of links are not looked at.
            live.attributes = backup.map(|entry| entry.attributes.clone()).unwrap_or_default();
        }
        (FileKind::File, Some(entry)) if entry.kind == FileKind::File => {
            live.sparse = entry.sparse;
            if matches!(difference, Some(Difference::None | Difference::Metadata)) {
                live.blake3 = entry.blake3;
            } else {
                look_again(&mut live, found, facts);
            }
        }
        _ => {}
    }
    live
}

fn fill(live: &mut FileEntry, facts: &Facts) {
    live.size_bytes = if facts.kind == FileKind::File { facts.size_bytes } else { 0 };
    (live.mode, live.uid, live.gid) = (facts.mode, facts.uid, facts.gid);
    (live.modified, live.changed) = (facts.modified, facts.changed);
    (live.inode, live.device, live.links) = (facts.inode, facts.device, facts.links);
}

/// The comparison takes what it cannot read, and what has other holes, for changed, and looks no further where the length
/// is another one.
fn look_again(live: &mut FileEntry, found: &Found, facts: &Facts) {
    let opened = facts::open_for_reading(&*found.parent, &found.name, OFlags::empty());
    let seen = opened.and_then(|handle| {
        let attributes = facts::attributes(&handle)?;
        Ok((attributes, find_holes(&facts::as_file(handle), facts)?.is_some()))
    });
    match seen {
        Ok((attributes, has_holes)) => (live.attributes, live.sparse) = (attributes, has_holes),
        Err(error) => {
            live.state = state_of(&error);
            live.reason = Some(reason_of(&error));
        }
    }
}
