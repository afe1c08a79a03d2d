//! Which entries of an index are meant, and the folders above them.

use std::collections::VecDeque;

use globset::GlobSet;

use super::entry::{FileEntry, FileKind};
use super::order::is_below;
use super::request::{as_path, compile_globs};
use crate::index::IndexReader;
use crate::read_at::ReadAt;
use crate::tar::read::is_safe_path;
use crate::{Error, Result};

/// Which files are meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Selection {
    /// All.
    Everything,
    /// Those that a glob matches, and everything below a folder that one matches. As in
    /// [`super::Exclusions::globs`].
    Globs(Vec<String>),
}

/// An entry that is selected, or a folder above one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenEntry {
    pub(crate) entry: FileEntry,
    /// It is not selected itself, but something below it is.
    pub(crate) is_above: bool,
}

/// Says of paths, given in order, whether they are selected.
#[derive(Debug)]
pub(crate) struct Matcher {
    globs: Option<GlobSet>,
    /// The folder that a glob matched and that we are below.
    below: Option<Vec<u8>>,
}

impl Matcher {
    pub(crate) fn new(selection: &Selection) -> Result<Self> {
        let globs = match selection {
            Selection::Everything => None,
            Selection::Globs(globs) => {
                Some(compile_globs(globs).map_err(|(glob, source)| Error::Glob { glob, source })?)
            }
        };
        Ok(Self { globs, below: None })
    }

    pub(crate) fn is_selected(&mut self, path: &[u8], is_folder: bool) -> bool {
        let Some(globs) = &self.globs else { return true };
        if self.below.as_ref().is_some_and(|folder| is_below(path, folder)) {
            return true;
        }
        let matches = globs.is_match(as_path(path));
        self.below = (matches && is_folder).then(|| path.to_vec());
        matches
    }
}

/// Passes on the selected entries of an index in order, each folder above one of them first.
struct Chosen {
    matcher: Matcher,
    /// Folders on the way here that were not passed on yet.
    above: Vec<FileEntry>,
    ready: VecDeque<ChosenEntry>,
}

impl Chosen {
    fn new(selection: &Selection) -> Result<Self> {
        Ok(Self { matcher: Matcher::new(selection)?, above: Vec::new(), ready: VecDeque::new() })
    }

    fn give(&mut self, entry: FileEntry) {
        let is_folder = entry.kind == FileKind::Folder;
        while self.above.last().is_some_and(|folder| !is_below(&entry.path, &folder.path)) {
            self.above.pop();
        }
        if self.matcher.is_selected(&entry.path, is_folder) {
            let above = self.above.drain(..).map(|entry| ChosenEntry { entry, is_above: true });
            self.ready.extend(above);
            self.ready.push_back(ChosenEntry { entry, is_above: false });
        } else if is_folder {
            self.above.push(entry);
        }
    }
}

/// The selected entries of an index in order. Those whose path leads outside, or is not their key, go to `refused`.
pub(crate) fn chosen_entries<'a, R: ReadAt>(
    index: &'a IndexReader<R>,
    selection: &Selection,
    mut refused: impl FnMut(&FileEntry) + 'a,
) -> Result<impl Iterator<Item = Result<ChosenEntry>> + 'a> {
    let mut chosen = Chosen::new(selection)?;
    let mut lines = index.entries::<FileEntry>();
    Ok(std::iter::from_fn(move || {
        loop {
            if let Some(entry) = chosen.ready.pop_front() {
                return Some(Ok(entry));
            }
            let line = match lines.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let is_root = line.entry.path.is_empty() && line.entry.kind == FileKind::Folder;
            if line.key == line.entry.path && (is_root || is_safe_path(&line.entry.path)) {
                chosen.give(line.entry);
            } else {
                refused(&line.entry);
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::super::entry::FileState;
    use super::*;

    fn chosen(globs: &[&str]) -> Vec<String> {
        let selection = Selection::Globs(globs.iter().map(|glob| (*glob).to_owned()).collect());
        let mut chosen = Chosen::new(&selection).unwrap();
        let mut out = Vec::new();
        for (path, kind) in [
            ("", FileKind::Folder),
            ("a", FileKind::Folder),
            ("a/b", FileKind::Folder),
            ("a/b/x.php", FileKind::File),
            ("a/b/y.jpg", FileKind::File),
            ("a/b.php", FileKind::File),
            ("c", FileKind::Folder),
            ("c/d", FileKind::Folder),
            ("c/d/e", FileKind::File),
        ] {
            let entry = FileEntry::new(path.as_bytes().to_vec(), kind, FileState::Stored);
            chosen.give(entry);
            out.extend(chosen.ready.drain(..).map(|chosen| String::from_utf8(chosen.entry.path).unwrap()));
        }
        out
    }

    #[test]
    fn folders_above_come_along_and_everything_below() {
        assert_eq!(chosen(&["a/b/x.php"]), ["", "a", "a/b", "a/b/x.php"]);
        assert_eq!(chosen(&["c/d"]), ["", "c", "c/d", "c/d/e"]);
        assert_eq!(chosen(&["*.php"]), ["", "a", "a/b", "a/b/x.php", "a/b.php"]);
        assert_eq!(chosen(&["nothing"]), Vec::<String>::new());
    }
}
