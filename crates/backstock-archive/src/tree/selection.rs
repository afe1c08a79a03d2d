//! Which entries of an index are meant, and the folders above them.

use std::collections::VecDeque;

use globset::GlobSet;

use super::entry::{FileEntry, FileKind};
use super::order::{compare_paths, is_below};
use super::request::{as_path, compile_globs};
use crate::index::{IndexEntry, IndexReader};
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
    let mut lines = lines_of(index, selection);
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

/// The selected entries of an index in order, without the folders above them.
///
/// # Errors
/// When a glob cannot be understood; each item when the index cannot be read.
pub fn selected_entries<'a, R: ReadAt>(
    index: &'a IndexReader<R>,
    selection: &Selection,
) -> Result<impl Iterator<Item = Result<FileEntry>> + 'a> {
    let chosen = chosen_entries(index, selection, |_| {})?;
    Ok(chosen.filter_map(|chosen| match chosen {
        Ok(chosen) => (!chosen.is_above).then_some(Ok(chosen.entry)),
        Err(error) => Some(Err(error)),
    }))
}

type Line = Result<IndexEntry<FileEntry>>;

/// The lines of an index that a selection can mean, in order: all of them, or those at and below plain paths and the
/// folders above these, for which only their own pages are read.
fn lines_of<'a, R: ReadAt>(
    index: &'a IndexReader<R>,
    selection: &Selection,
) -> Box<dyn Iterator<Item = Line> + 'a> {
    let Some(paths) = plain_paths(selection) else { return Box::new(index.entries()) };
    let mut visited: Vec<Vec<u8>> = Vec::new();
    let mut pieces: Vec<Box<dyn Iterator<Item = Line> + 'a>> = Vec::new();
    for path in paths {
        for above in folders_above(&path) {
            if !visited.contains(&above) {
                visited.push(above.clone());
                let found = std::iter::once_with(move || {
                    Ok(index.find(&above)?.map(|entry| IndexEntry { key: above, entry }))
                });
                pieces.push(Box::new(found.filter_map(Result::transpose)));
            }
        }
        pieces.push(Box::new(index.range(&path)));
    }
    Box::new(pieces.into_iter().flatten())
}

/// The root and each folder on the way to a path.
fn folders_above(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    std::iter::once(0).chain(ends).map(|end| path[..end].to_vec())
}

/// The paths that are selected, sorted and none below another, where every glob is a plain path from the root.
fn plain_paths(selection: &Selection) -> Option<Vec<Vec<u8>>> {
    let Selection::Globs(globs) = selection else { return None };
    let is_special = |byte: u8| b"*?[]{}!\\".contains(&byte);
    let mut paths = Vec::new();
    for glob in globs {
        // One name alone may stand in any folder.
        let is_from_the_root = glob.trim_end_matches('/').contains('/');
        if !is_from_the_root || glob.bytes().any(is_special) {
            return None;
        }
        paths.push(glob.trim_start_matches('/').trim_end_matches('/').as_bytes().to_vec());
    }
    paths.sort_by(|left, right| compare_paths(left, right));
    paths.dedup_by(|path, before| path == before || is_below(path, before));
    Some(paths)
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

    #[test]
    fn plain_paths_are_sorted_and_stand_for_what_is_below() {
        let paths = |globs: &[&str]| {
            let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
            plain_paths(&Selection::Globs(globs)).map(|paths| {
                paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect::<Vec<_>>()
            })
        };
        assert_eq!(
            paths(&["/b/", "a/x", "a/x/y", "a.b/c"]),
            Some(["a/x", "a.b/c", "b"].map(str::to_owned).to_vec())
        );
        for glob in ["name", "name/", "a/*", "a/[b]", "a\\/b", "a/{b,c}", "a/?"] {
            assert_eq!(paths(&[glob]), None, "{glob}");
        }
        assert_eq!(plain_paths(&Selection::Everything), None);
        let above: Vec<Vec<u8>> = folders_above(b"a/b/c").collect();
        assert_eq!(above, [&b""[..], b"a", b"a/b"]);
    }
}
