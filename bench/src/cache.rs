//! Cold reads: takes a tree's contents out of the page cache, without rights over the whole machine's.

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
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            drop_tree(&entry.path())?;
        } else if kind.is_file() {
            fadvise(File::open(entry.path())?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
