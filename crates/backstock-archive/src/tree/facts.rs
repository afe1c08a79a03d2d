//! What the file system says about one inode, and how to ask it without following links.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::entry::{FileKind, FileTime};

/// Attributes of one inode in all may take so many bytes; the kernel allows 64 KiB for names and for each value.
const ATTRIBUTES_LIMIT_BYTES: usize = 512 << 10;

/// What the file system says about one inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: FileKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size_bytes: u64,
    pub(crate) allocated_bytes: u64,
    pub(crate) modified: FileTime,
    pub(crate) changed: FileTime,
    pub(crate) inode: u64,
    pub(crate) device: u64,
    pub(crate) links: u64,
}

impl Facts {
    pub(crate) fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice | FileType::BlockDevice => FileKind::Device,
            FileType::Unknown => FileKind::Unknown,
        };
        let time = |seconds: i64, nanoseconds: u64| FileTime {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or(0).min(999_999_999),
        };
        #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            allocated_bytes: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            modified: time(i64::from(stat.st_mtime), u64::from(stat.st_mtime_nsec)),
            changed: time(i64::from(stat.st_ctime), u64::from(stat.st_ctime_nsec)),
            inode: stat.st_ino,
            device: stat.st_dev,
            links: u64::from(stat.st_nlink),
        }
    }

    /// Looks at an open file or folder.
    pub(crate) fn of_handle(handle: impl AsFd) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(handle)?))
    }

    /// Looks at a name in a folder, without following a link.
    pub(crate) fn of_name(folder: impl AsFd, name: &[u8]) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// What tells one inode from every other while it exists.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether the content, or anything else, may differ from another look at the same file.
    pub(crate) fn differs_in_content(&self, other: &Self) -> bool {
        (self.size_bytes, self.modified, self.changed, self.inode)
            != (other.size_bytes, other.modified, other.changed, other.inode)
    }
}

/// Opens a name in a folder for reading, never through a link, never waiting for a pipe's writer, and without changing
/// its access time where we may.
pub(crate) fn open_for_reading(folder: impl AsFd, name: &[u8], extra: OFlags) -> io::Result<OwnedFd> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | extra;
    match rustix::fs::openat(&folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only the owner and root may leave the access time alone.
        Err(Errno::PERM) => Ok(rustix::fs::openat(&folder, name, flags, Mode::empty())?),
        other => Ok(other?),
    }
}

/// Opens a folder in a folder for listing, never through a link.
pub(crate) fn open_folder(folder: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    open_for_reading(folder, name, OFlags::DIRECTORY)
}

/// The extended attributes that belong to the shop: `user.*`, `trusted.*`, capabilities and access control lists, sorted
/// by name. Labels that only mean something on this machine (SELinux, IMA) are left out.
pub(crate) fn attributes(file: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = Vec::new();
    match read_growing(&mut names, |buffer| rustix::fs::flistxattr(&file, buffer)) {
        Ok(()) => {}
        // A file system without attributes.
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let mut found = Vec::new();
    let mut total_bytes = 0;
    for name in names.split(|byte| *byte == 0).filter(|name| is_kept_attribute(name)) {
        let mut value = Vec::new();
        match read_growing(&mut value, |buffer| rustix::fs::fgetxattr(&file, name, buffer)) {
            Ok(()) => {}
            // It went away in between, or only root may read it.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::ACCESS | Errno::PERM) => continue,
            Err(error) => return Err(error.into()),
        }
        total_bytes += name.len() + value.len();
        if total_bytes > ATTRIBUTES_LIMIT_BYTES {
            return Err(io::Error::other("it has more than 512 KiB of extended attributes"));
        }
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}

/// Whether an attribute is one that backups keep.
pub(crate) fn is_kept_attribute(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || name == b"security.capability"
        || name == crate::tar::acl::ACCESS
        || name == crate::tar::acl::DEFAULT
}

fn read_growing(
    bytes: &mut Vec<u8>,
    mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<()> {
    let mut capacity = 256;
    loop {
        bytes.resize(capacity, 0);
        match read(bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(());
            }
            Err(Errno::RANGE) if capacity < 128 << 10 => capacity *= 8,
            Err(error) => {
                bytes.clear();
                return Err(error);
            }
        }
    }
}

/// Where a symbolic link points: its bytes.
pub(crate) fn link_target(folder: impl AsFd, name: &[u8]) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
}

/// An owned handle as a file.
pub(crate) fn as_file(handle: OwnedFd) -> File {
    File::from(handle)
}
