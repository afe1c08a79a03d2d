//! The floor of an unchanged incremental backup: a walk with `stat`, and one line of an index for everything that it meets.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstock_archive::tree::{FileEntry, FileKind, FileState};
use backstock_archive::{FrameTable, IndexWriter};
use backstock_host::Host;

/// Walks files and folders and writes an index of them into a folder. Tells how many lines it has.
///
/// # Errors
/// When a folder cannot be read, or the index not be written.
pub(crate) fn walk_and_index(paths: &[PathBuf], folder: &Path) -> io::Result<u64> {
    let mut index = IndexWriter::create(&Host::real(), folder, &"walk").map_err(io::Error::other)?;
    let mut lines = 0;
    let mut roots = paths.to_vec();
    roots.sort();
    for root in &roots {
        visit(root, &mut index, &mut lines)?;
    }
    index.finish(&FrameTable::default(), &lines).map_err(io::Error::other)?;
    Ok(lines)
}

fn visit(path: &Path, index: &mut IndexWriter, lines: &mut u64) -> io::Result<()> {
    let facts = fs::symlink_metadata(path)?;
    let kind = if facts.is_dir() { FileKind::Folder } else { FileKind::File };
    let mut entry = FileEntry::new(path.as_os_str().as_bytes().to_vec(), kind, FileState::Stored);
    entry.size_bytes = facts.len();
    entry.mode = facts.mode() & 0o7777;
    (entry.uid, entry.gid) = (facts.uid(), facts.gid());
    entry.modified = (facts.mtime(), u32::try_from(facts.mtime_nsec()).unwrap_or(0)).into();
    entry.changed = (facts.ctime(), u32::try_from(facts.ctime_nsec()).unwrap_or(0)).into();
    (entry.inode, entry.device, entry.links) = (facts.ino(), facts.dev(), facts.nlink());
    // As long as the hash and the place of a line in a backup.
    entry.blake3 = Some([7; 32]);
    (entry.frame, entry.offset_bytes) = (Some(facts.ino() % 1000), facts.len());
    index.add(&entry.path, &entry).map_err(io::Error::other)?;
    *lines += 1;
    if kind == FileKind::Folder {
        let names = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            visit(&path.join(name), index, lines)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_gets_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), "c").unwrap();
        fs::write(folder.path().join("a.txt"), "a").unwrap();
        let out = tempfile::tempdir().unwrap();
        assert_eq!(walk_and_index(&[folder.path().to_owned()], out.path()).unwrap(), 5);
        assert!(out.path().join("index.zst").exists());
    }
}
