//! Reads a whole tree of files into a picture: contents, modes, owners, times, links, attributes, holes.
//!
//! Everything is reached through directory handles, so that paths longer than the kernel's limit and swapped links
//! are no matter. Shares no code with the walk that archives.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, statat};
use rustix::io::Errno;

use crate::error::TestbedError;
use crate::snapshot::Snapshot;

/// The size of a block that `stat` counts, in bytes: fixed by the interface, not by the file system.
const STAT_BLOCK_BYTES: u64 = 512;
/// The size of the blocks that are hashed, in bytes.
const BLOCK_BYTES: usize = 4096;

/// Reads everything below a folder, and the folder itself as `.`.
///
/// # Errors
/// [`TestbedError::File`]; a file that cannot be opened is no error: its content is the error's words.
pub fn read(root: &Path) -> Result<Snapshot, TestbedError> {
    let handle = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| TestbedError::file("open", root, error))?;
    let mut reader = Reader { snapshot: Snapshot::default(), links: BTreeMap::new() };
    let act = |error: Errno| TestbedError::file("read the tree", root, error);
    let stat = rustix::fs::fstat(&handle).map_err(act)?;
    reader.common(b".", &stat, handle.as_fd(), c".").map_err(act)?;
    reader.folder(&handle, b".").map_err(act)?;
    Ok(reader.finish())
}

/// Name and value of an extended attribute.
type Attribute = (Vec<u8>, Vec<u8>);

struct Reader {
    snapshot: Snapshot,
    /// Device and inode to the names of a file that has several.
    links: BTreeMap<(u64, u64), Vec<String>>,
}

fn thing(path: &[u8]) -> String {
    format!("file {}", path.escape_ascii())
}

impl Reader {
    fn note(&mut self, path: &[u8], aspect: &str, value: impl AsRef<[u8]>) {
        self.snapshot.note(&thing(path), aspect, value);
    }

    fn folder(&mut self, handle: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(handle)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        for name in names {
            let below = [path, b"/", name.to_bytes()].concat();
            self.entry(handle.as_fd(), &name, &below)?;
        }
        Ok(())
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), Errno> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        self.common(path, &stat, parent, name)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(parent, name, flags, Mode::empty()) {
                    Ok(handle) => self.folder(&handle, path)?,
                    Err(error) => self.note(path, "names", error.to_string()),
                }
            }
            FileType::RegularFile => self.file(parent, name, path, &stat),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
                self.note(path, "target", target.as_bytes());
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                self.note(path, "device", stat.st_rdev.to_string());
            }
            _ => {}
        }
        if stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            self.links.entry((stat.st_dev, stat.st_ino)).or_default().push(path.escape_ascii().to_string());
        }
        Ok(())
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &[u8], stat: &Stat) {
        let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let has_holes = u64::try_from(stat.st_blocks).unwrap_or(0) * STAT_BLOCK_BYTES < size_bytes;
        self.note(path, "size", size_bytes.to_string());
        self.note(path, "holes", if has_holes { "yes" } else { "no" });
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let content = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|handle| hash(File::from(handle)));
        self.note(path, "content", content.unwrap_or_else(|error| error.to_string()));
    }

    /// What every kind of entry has.
    fn common(&mut self, path: &[u8], stat: &Stat, parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => "folder",
            FileType::RegularFile => "file",
            FileType::Symlink => "symbolic link",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            FileType::CharacterDevice => "character device",
            FileType::BlockDevice => "block device",
            FileType::Unknown => "unknown",
        };
        self.note(path, "kind", kind);
        if kind != "symbolic link" {
            self.note(path, "mode", format!("{:04o}", stat.st_mode & 0o7777));
        }
        self.note(path, "owner", format!("{}:{}", stat.st_uid, stat.st_gid));
        self.note(path, "modified", format!("{}.{:09}", stat.st_mtime, stat.st_mtime_nsec));
        for (attribute, value) in attributes(parent, name)? {
            self.note(path, &format!("attribute {}", attribute.escape_ascii()), value);
        }
        Ok(())
    }

    /// Files with several names are compared by which names belong together: inode numbers differ in every copy.
    fn finish(mut self) -> Snapshot {
        for names in self.links.into_values().filter(|names| names.len() > 1) {
            for name in &names {
                self.snapshot.note(&format!("file {name}"), "same file as", names.join(" = "));
            }
        }
        self.snapshot
    }
}

/// The hash of a file's blocks that hold anything, each with its place. Holes are not read and zeros are not hashed, so
/// that a file of gigabytes of nothing costs nothing; whether it has holes is an aspect of its own.
fn hash(mut file: File) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BLOCK_BYTES * 256];
    let mut offset = 0;
    loop {
        match rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => offset = data / BLOCK_BYTES as u64 * BLOCK_BYTES as u64,
            // Nothing but a hole until the end.
            Err(Errno::NXIO) => return Ok(hasher.finalize().to_hex().to_string()),
            Err(error) => return Err(error.into()),
        }
        file.seek(SeekFrom::Start(offset))?;
        let length = read_full(&mut file, &mut buffer)?;
        for block in buffer[..length].chunks(BLOCK_BYTES) {
            if block.iter().any(|&byte| byte != 0) {
                hasher.update(&offset.to_le_bytes());
                hasher.update(block);
            }
            offset += block.len() as u64;
        }
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}

/// Extended attributes, access lists among them, also of links, sockets and devices, which cannot be opened.
fn attributes(parent: BorrowedFd<'_>, name: &CStr) -> Result<Vec<Attribute>, Errno> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let path = CString::new(path).map_err(|_| Errno::INVAL)?;
    let mut list = vec![0_u8; 64 * 1024];
    let length = match rustix::fs::llistxattr(&path, &mut list) {
        Ok(length) => length,
        // No such thing on this file system, or a name too long to be asked for in this way.
        Err(Errno::OPNOTSUPP | Errno::NAMETOOLONG) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for attribute in list[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 * 1024];
        let key = CString::new(attribute).map_err(|_| Errno::INVAL)?;
        let length = rustix::fs::lgetxattr(&path, &key, &mut value)?;
        value.truncate(length);
        found.push((attribute.to_vec(), value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::compare;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    fn make(root: &Path) {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/one"), "one").unwrap();
        fs::hard_link(root.join("a/one"), root.join("a/two")).unwrap();
        fs::write(root.join("a/three"), "one").unwrap();
        std::os::unix::fs::symlink("one", root.join("a/link")).unwrap();
        for path in ["a/one", "a/three", "a/b", "a", "."] {
            set_time(&root.join(path), 1_700_000_000);
        }
    }

    fn set_time(path: &Path, unix_s: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::new(unix_s, 123_456_789);
        File::open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn every_small_change_is_noticed() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 7] = [
            ("content of equal size", |root| {
                fs::write(root.join("a/three"), "two").unwrap();
                set_time(&root.join("a/three"), 1_700_000_000);
            }),
            ("mode", |root| {
                fs::set_permissions(root.join("a/b"), fs::Permissions::from_mode(0o711)).unwrap();
            }),
            ("time", |root| set_time(&root.join("a"), 1_700_000_001)),
            ("link target", |root| {
                fs::remove_file(root.join("a/link")).unwrap();
                std::os::unix::fs::symlink("two", root.join("a/link")).unwrap();
            }),
            ("a hard link that became a copy", |root| {
                fs::remove_file(root.join("a/two")).unwrap();
                fs::copy(root.join("a/one"), root.join("a/two")).unwrap();
                set_time(&root.join("a/two"), 1_700_000_000);
            }),
            ("a hole", |root| {
                let file = File::create(root.join("a/three")).unwrap();
                file.set_len(1 << 20).unwrap();
            }),
            ("an empty folder", |root| fs::remove_dir(root.join("a/b")).unwrap()),
        ];
        for (name, change) in changes {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path());
            let before = read(folder.path()).unwrap();
            assert_eq!(compare(&before, &read(folder.path()).unwrap()), []);
            change(folder.path());
            let after = read(folder.path()).unwrap();
            let without_times =
                |picture: &Snapshot| picture.without(|_, aspect| aspect == "modified" && name != "time");
            assert!(
                !compare(&without_times(&before), &without_times(&after)).is_empty(),
                "not noticed: {name}"
            );
        }
    }
}
