//! Cold and warm reads: takes a tree's contents out of the page cache, without rights over the whole machine's, or into it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

/// Drops the contents of all files below a folder from the page cache (`posix_fadvise`, `POSIX_FADV_DONTNEED`). What is
/// not yet on disk stays in the cache, so the file system must have been synced. Names and metadata stay in memory.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn drop_tree(folder: &Path) -> io::Result<()> {
    each_file(folder, &mut |file| Ok(fadvise(file, 0, None, Advice::DontNeed)?))
}

/// Reads the contents of all files below a folder into the page cache, where the last command may have dropped them.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn fill_tree(folder: &Path) -> io::Result<()> {
    each_file(folder, &mut |mut file| io::copy(&mut file, &mut io::sink()).map(|_| ()))
}

fn each_file(folder: &Path, act: &mut dyn FnMut(File) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            each_file(&entry.path(), act)?;
        } else if kind.is_file() {
            act(File::open(entry.path())?)?;
        }
    }
    Ok(())
}
