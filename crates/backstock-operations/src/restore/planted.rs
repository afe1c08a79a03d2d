//! What code a backup would bring that the whole backup before it had not: a trigger, an event, a program among pictures.
//!
//! A backup of a shop that was broken into carries what was planted (fault F60). Nothing is refused because of it: the
//! plan says what is new, and a person judges.

use std::cmp::Ordering;

use backstock_archive::IndexEntry;
use backstock_archive::tree::order::compare_paths;
use backstock_archive::tree::{FileEntry, FileKind, Selection, printable, selected_entries};
use backstock_catalog::Backup;
use backstock_database::{DumpedObject, RawText};
use backstock_vocabulary::{ArtifactKind, Content, Reason, Scope};

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::stored::StoredBackup;

/// Names that a warning shows of each sort.
const SHOWN_NAMES: usize = 8;

/// Names of folders for pictures and uploads: programs do not belong below them.
const MEDIA_FOLDERS: [&str; 12] = [
    "download",
    "downloads",
    "files",
    "gallery",
    "image",
    "images",
    "img",
    "media",
    "pictures",
    "upload",
    "uploads",
    "videos",
];

/// Endings of files that a web server may execute, or that tell it what to execute.
const PROGRAM_ENDINGS: [&str; 15] = [
    ".cgi",
    ".htaccess",
    ".inc",
    ".phar",
    ".php",
    ".php3",
    ".php4",
    ".php5",
    ".php7",
    ".php8",
    ".phps",
    ".phtml",
    ".pl",
    ".sh",
    ".user.ini",
];

/// Says what a backup has that the whole one before it had not; nothing where there is none before it.
pub(super) fn warnings(
    environment: &Environment,
    stored: &StoredBackup,
    scope: Scope,
    picked: &[String],
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if scope.has_database()
        && let Some(before) = before(environment, stored, ArtifactKind::Database)?
    {
        found.extend(code(environment, stored, &before).unwrap_or_else(|error| unknown(&before, &error)));
    }
    if scope.has_files()
        && let Some(before) = before(environment, stored, ArtifactKind::Files)?
    {
        let programs = if picked.is_empty() {
            programs(environment, stored, &before)
        } else {
            picked_programs(environment, stored, &before, picked)
        };
        found.extend(programs.unwrap_or_else(|error| unknown(&before, &error)));
    }
    Ok(found)
}

/// A backup before it that cannot be read stops no restore.
fn unknown(before: &Backup, error: &dyn std::error::Error) -> Vec<String> {
    let id = before.id.short();
    vec![format!("which code is new since the backup {id} is not known: it cannot be read ({error})")]
}

/// The newest whole backup of the shop that is older and has such an artifact.
fn before(environment: &Environment, stored: &StoredBackup, kind: ArtifactKind) -> Result<Option<Backup>> {
    let record = &stored.record;
    let all = environment
        .wait(environment.catalog.list_backups(Some(record.shop)))
        .doing("looking for the backup before it")?;
    let older = all.into_iter().filter(|other| {
        other.id != record.id
            && (other.started, other.sequence) < (record.started, record.sequence)
            && other.content == Content::Whole
            && !matches!(other.reason, Reason::PreRestore | Reason::Imported)
    });
    for other in older {
        if StoredBackup::open(environment, other.clone()).is_ok_and(|other| other.has(kind)) {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// A trigger, an event or a routine: what it is and its name, and its text.
fn program_of(object: &DumpedObject) -> Option<(&'static str, &RawText, &RawText)> {
    match object {
        DumpedObject::Trigger(record) => Some(("trigger", &record.name, &record.definition)),
        DumpedObject::Event(record) => Some(("event", &record.name, &record.definition)),
        DumpedObject::Routine(record) => Some(("routine", &record.name, &record.definition)),
        DumpedObject::Table(_) | DumpedObject::Sequence(_) | DumpedObject::View(_) => None,
    }
}

fn code(environment: &Environment, stored: &StoredBackup, before: &Backup) -> Result<Vec<String>> {
    let (now, _) = stored.database(environment)?;
    let (then, _) = StoredBackup::open(environment, before.clone())?.database(environment)?;
    let (mut new, mut changed) = (Names::default(), Names::default());
    for (kind, name, definition) in now.iter().filter_map(program_of) {
        let same = |object: &&DumpedObject| {
            program_of(object).is_some_and(|(other, its_name, _)| other == kind && its_name == name)
        };
        match then.iter().find(same).and_then(program_of) {
            None => new.add(format!("{kind} {name}")),
            Some((.., then)) if then != definition => changed.add(format!("{kind} {name}")),
            Some(_) => {}
        }
    }
    let new = new.line("new code in the database", before);
    Ok(new.into_iter().chain(changed.line("changed code in the database", before)).collect())
}

fn programs(environment: &Environment, stored: &StoredBackup, before: &Backup) -> Result<Vec<String>> {
    let act = || format!("comparing the files with those of the backup {}", before.id.short());
    let index = stored.index(environment, ArtifactKind::FilesIndex)?;
    let earlier =
        StoredBackup::open(environment, before.clone())?.index(environment, ArtifactKind::FilesIndex)?;
    let is_program =
        |entry: &FileEntry| is_program_among_media(&entry.path) && entry.kind != FileKind::Folder;
    let (mut new, mut changed) = (Names::default(), Names::default());
    // Both indexes have the same order: one pass over each, and nothing kept but the names that are shown.
    let mut then = earlier.entries::<FileEntry>().peekable();
    for line in index.entries::<FileEntry>() {
        let IndexEntry { key, entry, .. } = line.doing(act())?;
        if !is_program(&entry) {
            continue;
        }
        let mut twin = None;
        while let Some(next) = then.next_if(|next| {
            next.as_ref().map_or(true, |next| compare_paths(&next.key, &key) != Ordering::Greater)
        }) {
            let next = next.doing(act())?;
            if next.key == key {
                twin = Some(next.entry);
            }
        }
        judge(&entry, twin.as_ref(), &mut new, &mut changed);
    }
    Ok(told(&new, &changed, before))
}

/// The same of some files alone: the index is asked for these, and not read as a whole.
fn picked_programs(
    environment: &Environment,
    stored: &StoredBackup,
    before: &Backup,
    picked: &[String],
) -> Result<Vec<String>> {
    let act = || format!("comparing the files with those of the backup {}", before.id.short());
    let index = stored.index(environment, ArtifactKind::FilesIndex)?;
    let selection = Selection::Globs(picked.to_vec());
    let (mut new, mut changed) = (Names::default(), Names::default());
    let mut earlier = None;
    for entry in selected_entries(&index, &selection).doing(act())? {
        let entry = entry.doing(act())?;
        if !is_program_among_media(&entry.path) || entry.kind == FileKind::Folder {
            continue;
        }
        if earlier.is_none() {
            let before = StoredBackup::open(environment, before.clone())?;
            earlier = Some(before.index(environment, ArtifactKind::FilesIndex)?);
        }
        let twin = match &earlier {
            Some(earlier) => earlier.find::<FileEntry>(&entry.path).doing(act())?,
            None => None,
        };
        judge(&entry, twin.as_ref(), &mut new, &mut changed);
    }
    Ok(told(&new, &changed, before))
}

fn judge(entry: &FileEntry, twin: Option<&FileEntry>, new: &mut Names, changed: &mut Names) {
    match twin {
        None => new.add(printable(&entry.path)),
        Some(twin) if twin.blake3 != entry.blake3 || twin.kind != entry.kind => {
            changed.add(printable(&entry.path));
        }
        Some(_) => {}
    }
}

fn told(new: &Names, changed: &Names, before: &Backup) -> Vec<String> {
    let new = new.line("new programs among pictures and uploads", before);
    let changed = changed.line("changed programs among pictures and uploads", before);
    new.into_iter().chain(changed).collect()
}

/// Whether a path is that of a program below a folder for pictures or uploads.
pub(crate) fn is_program_among_media(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    let mut names = path.rsplit(|byte| *byte == b'/');
    let is_program = names
        .next()
        .is_some_and(|name| PROGRAM_ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes())));
    is_program && names.any(|name| MEDIA_FOLDERS.iter().any(|folder| folder.as_bytes() == name))
}

/// The first names and how many there are.
#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.first.len() < SHOWN_NAMES {
            self.first.push(name);
        }
    }

    fn line(&self, what: &str, before: &Backup) -> Option<String> {
        let more = self.count - self.first.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (self.count > 0).then(|| {
            let id = before.id.short();
            format!("{what} since the backup {id} of {:.0}: {}{more}", before.started, self.first.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_among_pictures_are_told_from_programs_in_their_place() {
        for path in [
            "image/catalog/x.php",
            "img/p/1/Shell.PHTML",
            "pub/media/.htaccess",
            "wp-content/uploads/a/b.phar",
        ] {
            assert!(is_program_among_media(path.as_bytes()), "{path}");
        }
        for path in [
            "index.php",
            "system/library/image.php",
            "image/a.jpg",
            "image",
            "images.php/a.txt",
            "myimage/x.php",
        ] {
            assert!(!is_program_among_media(path.as_bytes()), "{path}");
        }
    }
}
