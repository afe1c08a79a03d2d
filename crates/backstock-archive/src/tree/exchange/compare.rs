//! Whether something live is as the backup has it.

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::super::content::{ContentReader, find_holes};
use super::super::entry::{FileEntry, FileKind, FileState};
use super::super::facts::{self, Facts};
use super::super::report::TreeMonitor;
use super::super::restore_file::{Rights, mode_under};
use super::super::walk::Found;

/// File systems keep times in ticks: what was written in the same tick as the backup's look may look untouched.
const RACY_SECONDS: i64 = 2;

/// How something live compares with an entry of the same kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    Metadata,
    Content,
}

pub(crate) struct Comparer<'a> {
    pub(crate) rights: Rights,
    pub(crate) backup_started: Option<Timestamp>,
    pub(crate) monitor: &'a dyn TreeMonitor,
}

impl Comparer<'_> {
    /// Compares a file, folder or link; fills in a file's attributes, which the walk does not read.
    pub(crate) fn compare(&self, entry: &FileEntry, found: &mut Found, live: &Facts) -> Difference {
        let same_content = match entry.kind {
            FileKind::File => self.same_content(entry, found, live),
            FileKind::Symlink => {
                facts::link_target(&*found.parent, &found.name).ok().as_ref() == entry.link.as_ref()
            }
            _ => true,
        };
        if !same_content {
            Difference::Content
        } else if self.same_metadata(entry, found, live) {
            Difference::None
        } else {
            Difference::Metadata
        }
    }

    /// Whether owner, mode, attributes and times are as they would be restored.
    pub(crate) fn same_metadata(&self, entry: &FileEntry, found: &Found, live: &Facts) -> bool {
        let (mode, _) = mode_under(entry, self.rights);
        let same_owner = !self.rights.owners || (entry.uid, entry.gid) == (live.uid, live.gid);
        if entry.kind == FileKind::Symlink {
            return same_owner && entry.modified == live.modified;
        }
        let wanted = entry
            .attributes
            .iter()
            .filter(|(name, _)| self.rights.setuid || name.as_slice() != b"security.capability");
        same_owner
            && mode == live.mode
            && entry.modified == live.modified
            && wanted.eq(found.attributes.iter())
    }

    fn same_content(&self, entry: &FileEntry, found: &mut Found, live: &Facts) -> bool {
        if entry.size_bytes != live.size_bytes {
            return false;
        }
        let Ok(handle) = facts::open_for_reading(&*found.parent, &found.name, OFlags::empty()) else {
            return false;
        };
        match facts::attributes(&handle) {
            Ok(attributes) => found.attributes = attributes,
            Err(_) => return false,
        }
        if self.is_untouched(entry, live) {
            return true;
        }
        let file = facts::as_file(handle);
        let Ok(opened) = Facts::of_handle(&file) else { return false };
        if opened.identity() != live.identity() {
            return false;
        }
        let Ok(map) = find_holes(&file, &opened) else { return false };
        if map.is_some() != entry.sparse {
            return false;
        }
        let mut content = ContentReader::new(&file, opened.size_bytes, map.as_ref());
        let mut buffer = Vec::with_capacity(256 << 10);
        loop {
            buffer.clear();
            match content.append(&mut buffer, 256 << 10) {
                Ok(0) => break,
                Ok(count) => self.monitor.bytes(count as u64),
                Err(_) => return false,
            }
            if self.monitor.is_cancelled() {
                return false;
            }
        }
        let same_after = Facts::of_handle(&file).is_ok_and(|after| !after.differs_in_content(&opened));
        entry.blake3 == Some(content.hash()) && same_after && !content.was_short
    }

    /// Whether it is the very file that was backed up, not touched since: then its content need not be read.
    fn is_untouched(&self, entry: &FileEntry, live: &Facts) -> bool {
        let Some(started) = self.backup_started else { return false };
        let racy_from = started.as_second() - RACY_SECONDS;
        entry.state == FileState::Stored
            && entry.inode == live.inode
            && entry.changed == live.changed
            && entry.modified == live.modified
            && live.changed.seconds < racy_from
            && live.modified.seconds < racy_from
    }
}
