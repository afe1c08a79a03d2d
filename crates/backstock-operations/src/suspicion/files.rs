//! The files of a new backup against those of the last one that counts, index against index.
//!
//! Both indexes are read from the state folder, and not at all where the walk has shown already that too little changed: an
//! unchanged run costs nothing more.

use std::cell::RefCell;
use std::collections::HashMap;

use backstock_archive::tree::{FileEntry, FileKind, FileState};
use backstock_catalog::Backup;

use super::{FEWEST_FILES, NewBackup, Suspicion, SuspicionKind, is_implausible};
use crate::backup::{BackupPlan, FilesSummary};
use crate::diff::{Difference, compare_file_indexes};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels::{open_kept, open_new};
use crate::monitor::Monitor;
use crate::stored::StoredBackup;

/// Endings of files that a shop shows and nobody edits in place.
const MEDIA_ENDINGS: [&str; 21] = [
    "jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "bmp", "tif", "tiff", "ico", "heic", "mp4", "webm",
    "mov", "avi", "mp3", "ogg", "wav", "pdf", "psd",
];

/// So many contents are remembered of either side, so that memory stays bounded (16 MiB each); a file beyond them that
/// was moved looks gone.
const CONTENTS_LIMIT: usize = 400_000;

/// What the walk of a backup has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FilesSeen {
    /// Files in it, with those that lie in the backups that it builds on.
    pub(crate) files: u64,
    /// Of them: as they were.
    pub(crate) unchanged: u64,
    /// What is not there any more, or vanished while it was read; at least as many as files are gone.
    pub(crate) missing: u64,
}

/// What two indexes told of the files that both could have.
#[derive(Debug, Default)]
struct Losses {
    /// On both sides.
    stayed: u64,
    /// On the earlier side alone.
    removed: u64,
    media: u64,
    rewritten: u64,
    /// The content at the path that was seen last, and how often each is at a path of one side alone: what is at another
    /// path now is not gone.
    last: Option<Content>,
    gone: HashMap<Content, u32>,
    come: HashMap<Content, u32>,
}

/// What tells one content from another well enough to count: the length, and the beginning of its BLAKE3.
type Content = (u64, u64);

/// What is implausible about the files of a new backup.
pub(super) fn judge(
    environment: &Environment,
    plan: &BackupPlan,
    reference: &Backup,
    new: &NewBackup<'_>,
    monitor: &dyn Monitor,
) -> Result<Vec<Suspicion>> {
    let failed = |why: String| OperationError::plain(ErrorKind::Failed, why);
    let stored = StoredBackup::open(environment, reference.clone())?;
    let before = open_kept(environment, &stored.signed.manifest).map_err(failed)?;
    let summary: FilesSummary = before.summary().doing("reading the files index of the backup before")?;
    if new.parent == Some(reference.id) && has_too_little_changed(&new.files, summary.report.files) {
        return Ok(Vec::new());
    }
    let after = open_new(environment, plan.set.id, new.backup)?;
    let losses = RefCell::new(Losses::default());
    compare_file_indexes(
        environment,
        (&before, &after),
        &mut |before, after| losses.borrow_mut().see(before, after),
        &mut |told| {
            if let Difference::FileRemoved(file) = told.difference {
                losses.borrow_mut().removed(file.kind);
            }
        },
        monitor,
    )?;
    Ok(losses.into_inner().suspicions())
}

/// Whether neither rule can be broken, whatever the indexes say: fewer than enough files were read anew, and too few are
/// missing.
fn has_too_little_changed(seen: &FilesSeen, was: u64) -> bool {
    let read = seen.files.saturating_sub(seen.unchanged);
    let is_one_kept = seen.files > 0;
    is_one_kept
        && read < FEWEST_FILES
        && (seen.missing < FEWEST_FILES || u128::from(seen.missing) * 10 <= u128::from(was) * 3)
}

impl Losses {
    /// A path, with what either index has there.
    fn see(&mut self, before: Option<&FileEntry>, after: Option<&FileEntry>) {
        let is_there = |entry: &&FileEntry| {
            is_file(entry.kind) && matches!(entry.state, FileState::Stored | FileState::Changed)
        };
        let (before, after) = (before.filter(is_there), after.filter(is_there));
        self.last = before.and_then(content_of);
        let (before, after) = match (before, after) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(after)) => return count(&mut self.come, content_of(after)),
            _ => return,
        };
        self.stayed += 1;
        if before.kind == FileKind::File && after.kind == FileKind::File && is_media(&before.path) {
            self.media += 1;
            let is_other = before.size_bytes != after.size_bytes
                || (before.sparse == after.sparse && before.blake3 != after.blake3);
            self.rewritten += u64::from(is_other);
        }
    }

    /// The path that was seen last is on the earlier side alone, and could be on the later one.
    fn removed(&mut self, kind: FileKind) {
        if is_file(kind) {
            self.removed += 1;
            let content = self.last;
            count(&mut self.gone, content);
        }
    }

    /// How many files are at another path now.
    fn moved(&self) -> u64 {
        let at_both =
            |(content, gone): (&Content, &u32)| u64::from(*gone.min(self.come.get(content).unwrap_or(&0)));
        self.gone.iter().map(at_both).sum()
    }

    fn suspicions(&self) -> Vec<Suspicion> {
        let mut found = Vec::new();
        let (was, left) = (self.stayed + self.removed, self.stayed + self.moved());
        if is_implausible(was, left, FEWEST_FILES) {
            let (kind, subject) = (SuspicionKind::FilesGone, "files".to_owned());
            found.push(Suspicion { kind, subject, was, left });
        }
        if self.rewritten * 2 > self.media && self.rewritten >= FEWEST_FILES {
            found.push(Suspicion {
                kind: SuspicionKind::MediaRewritten,
                subject: "media files".to_owned(),
                was: self.media,
                left: self.media - self.rewritten,
            });
        }
        found
    }
}

fn content_of(entry: &FileEntry) -> Option<Content> {
    let hash = entry.blake3.as_ref()?.first_chunk::<8>()?;
    Some((entry.size_bytes, u64::from_le_bytes(*hash)))
}

fn count(contents: &mut HashMap<Content, u32>, content: Option<Content>) {
    let Some(content) = content else { return };
    if contents.len() < CONTENTS_LIMIT || contents.contains_key(&content) {
        *contents.entry(content).or_default() += 1;
    }
}

fn is_file(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::HardLink | FileKind::Symlink)
}

fn is_media(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    MEDIA_ENDINGS.iter().any(|ending| name[dot + 1..].eq_ignore_ascii_case(ending.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, content: u8) -> FileEntry {
        FileEntry {
            blake3: Some([content; 32]),
            ..FileEntry::new(path.into(), FileKind::File, FileState::Stored)
        }
    }

    fn kinds(losses: &Losses) -> Vec<SuspicionKind> {
        losses.suspicions().iter().map(|suspicion| suspicion.kind).collect()
    }

    #[test]
    fn more_than_three_of_ten_files_gone_is_implausible_and_few_are_not() {
        let of = |was, removed| kinds(&Losses { stayed: was - removed, removed, ..Losses::default() });
        assert_eq!(of(100, 30), []);
        assert_eq!(of(100, 31), [SuspicionKind::FilesGone]);
        assert_eq!((of(20, 9), of(20, 10)), (vec![], vec![SuspicionKind::FilesGone]));
        // Nothing left is much, however little there was.
        assert_eq!((of(1, 1), of(2, 1)), (vec![SuspicionKind::FilesGone], vec![]));
    }

    #[test]
    fn what_is_at_another_path_is_not_gone_and_what_is_encrypted_there_is() {
        for (shift, expected) in [(0, vec![]), (100, vec![SuspicionKind::FilesGone])] {
            let mut losses = Losses::default();
            for number in 0..20_u8 {
                losses.see(Some(&entry(&format!("a/{number}"), number)), None);
                losses.removed(FileKind::File);
                losses.see(None, Some(&entry(&format!("b/{number}"), number + shift)));
            }
            assert_eq!(kinds(&losses), expected, "{shift}");
        }
    }

    #[test]
    fn more_than_half_of_the_media_rewritten_is_implausible_and_other_files_are_not_asked() {
        let mut losses = Losses::default();
        for number in 0..40_u8 {
            let path = format!("img/{number}.JPG");
            let now = entry(&path, if number < 20 { 100 } else { number });
            losses.see(Some(&entry(&path, number)), Some(&now));
            let code = format!("classes/{number}.php");
            losses.see(Some(&entry(&code, number)), Some(&entry(&code, 200)));
        }
        assert_eq!((losses.media, losses.rewritten, kinds(&losses)), (40, 20, vec![]), "half is not more");
        losses.see(Some(&entry("b.png", 1)), Some(&entry("b.png", 2)));
        assert_eq!(kinds(&losses), [SuspicionKind::MediaRewritten]);
        assert_eq!((losses.suspicions()[0].was, losses.suspicions()[0].left), (41, 20));
    }

    #[test]
    fn what_was_not_read_or_became_a_link_is_not_rewritten() {
        let mut losses = Losses::default();
        let unread = FileEntry::new(b"a.jpg".to_vec(), FileKind::File, FileState::Unreadable);
        losses.see(Some(&entry("a.jpg", 1)), Some(&unread));
        let link = FileEntry::new(b"b.jpg".to_vec(), FileKind::Symlink, FileState::Stored);
        losses.see(Some(&entry("b.jpg", 1)), Some(&link));
        losses.see(Some(&entry("c.jpg", 1)), None);
        assert_eq!((losses.stayed, losses.media, losses.rewritten), (1, 0, 0));
    }

    #[test]
    fn indexes_are_read_only_where_a_rule_could_be_broken() {
        let seen = |files, unchanged, missing| FilesSeen { files, unchanged, missing };
        assert!(has_too_little_changed(&seen(60_000, 60_000, 0), 60_000));
        assert!(has_too_little_changed(&seen(60_000, 59_991, 9), 60_000));
        assert!(has_too_little_changed(&seen(42_000, 42_000, 18_000), 60_000));
        assert!(!has_too_little_changed(&seen(41_999, 41_999, 18_001), 60_000));
        assert!(!has_too_little_changed(&seen(60_000, 59_990, 0), 60_000));
        assert!(!has_too_little_changed(&seen(0, 0, 1), 1), "nothing is left");
    }

    #[test]
    fn media_are_known_by_their_ending() {
        assert!(is_media(b"img/p/1/1.jpg") && is_media(b"a.b.WEBP"));
        assert!(!is_media(b"img.jpg/readme") && !is_media(b"jpg") && !is_media(b"index.php"));
    }
}
