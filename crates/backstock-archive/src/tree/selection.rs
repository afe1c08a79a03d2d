//! Which entries of an index are meant, and the folders above them.

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

/// Passes on the selected entries of an index in order, each folder above one of them first.
pub(crate) struct Chosen {
    globs: Option<GlobSet>,
    /// The folder that a glob matched and that we are below.
    below: Option<Vec<u8>>,
    /// Folders on the way here that were not passed on yet.
    above: Vec<FileEntry>,
}

impl Chosen {
    pub(crate) fn new(selection: &Selection) -> Result<Self> {
        let globs = match selection {
            Selection::Everything => None,
            Selection::Globs(globs) => {
                Some(compile_globs(globs).map_err(|(glob, source)| Error::Glob { glob, source })?)
            }
        };
        Ok(Self { globs, below: None, above: Vec::new() })
    }

    /// Takes the next entry of the index; passes on what is to be done now.
    pub(crate) fn next(
        &mut self,
        entry: FileEntry,
        pass: &mut dyn FnMut(FileEntry) -> Result<()>,
    ) -> Result<()> {
        let Some(globs) = &self.globs else { return pass(entry) };
        if self.below.as_ref().is_some_and(|folder| is_below(&entry.path, folder)) {
            return pass(entry);
        }
        self.below = None;
        while self.above.last().is_some_and(|folder| !is_below(&entry.path, &folder.path)) {
            self.above.pop();
        }
        let is_folder = entry.kind == FileKind::Folder;
        if globs.is_match(as_path(&entry.path)) {
            for folder in self.above.drain(..) {
                pass(folder)?;
            }
            if is_folder {
                self.below = Some(entry.path.clone());
            }
            return pass(entry);
        }
        if is_folder {
            self.above.push(entry);
        }
        Ok(())
    }
}

/// Walks the selected entries of an index. Entries whose path leads outside, or is not its key, go to `refused`.
pub(crate) fn for_each_chosen<R: ReadAt>(
    index: &IndexReader<R>,
    selection: &Selection,
    refused: &mut dyn FnMut(&FileEntry),
    pass: &mut dyn FnMut(FileEntry) -> Result<()>,
) -> Result<()> {
    let mut chosen = Chosen::new(selection)?;
    for line in index.entries::<FileEntry>() {
        let line = line?;
        let is_root = line.entry.path.is_empty() && line.entry.kind == FileKind::Folder;
        if line.key != line.entry.path || !is_root && !is_safe_path(&line.entry.path) {
            refused(&line.entry);
            continue;
        }
        chosen.next(line.entry, pass)?;
    }
    Ok(())
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
            chosen
                .next(entry, &mut |entry| {
                    out.push(String::from_utf8(entry.path).unwrap());
                    Ok(())
                })
                .unwrap();
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
