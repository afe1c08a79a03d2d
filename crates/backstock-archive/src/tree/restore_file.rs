//! Making one file again: content from the archive, checked against its hash, then owner, attributes, mode and times.
//!
//! Data can be lost here: a file counts as written only when the archive's member is the one that the index describes
//! and the content has the hash that was taken when it was backed up. Anything else is removed again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};

use super::content::ContentHasher;
use super::cursor::{FrameCursor, error_of};
use super::entry::{FileEntry, FileKind, FileTime};
use super::report::{TreeMonitor, printable};
use crate::tar::read::{ReadKind, ReadMember, read_member};
use crate::tar::sparse::Area;
use crate::{Error, Result};

/// The name of the artifact in errors.
pub(crate) const ARTIFACT: &str = "the files' archive";

/// What is brought back besides content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Give files back to their recorded owners (only root can).
    pub owners: bool,
    /// Give files their setuid and setgid bits and capabilities back: whoever runs them becomes someone else.
    pub setuid: bool,
}

impl Rights {
    /// Owners when we are root; never setuid.
    pub fn usual() -> Self {
        Self { owners: rustix::process::geteuid().is_root(), setuid: false }
    }
}

/// What could not be brought back as it was, though the content is.
#[derive(Debug, Default)]
pub(crate) struct Shortfall {
    pub(crate) reason: Option<String>,
    pub(crate) lost_setuid: bool,
}

impl Shortfall {
    fn add(&mut self, what: &str, error: &io::Error) {
        let text = format!("{what}: {error}");
        self.reason = Some(match self.reason.take() {
            Some(known) => format!("{known}; {text}"),
            None => text,
        });
    }
}

fn refuse(entry: &FileEntry, what: &str) -> Error {
    Error::Entry { artifact: ARTIFACT.to_owned(), path: printable(&entry.path), what: what.to_owned() }
}

/// Whether an error is the machine's, so that going on makes no sense, and not about one entry.
pub(crate) fn is_fatal(error: &Error) -> bool {
    !error.is_damage()
}

/// Reads the member that an entry's position leads to, and compares the two.
pub(crate) fn read_entry(cursor: &mut FrameCursor<'_>, entry: &FileEntry) -> Result<ReadMember> {
    let frame = entry.frame.ok_or_else(|| refuse(entry, "it is not in the archive"))?;
    cursor.seek(entry.held_by, frame, entry.offset_bytes)?;
    let member = read_member(cursor)
        .map_err(|error| error_of(error, ARTIFACT, &entry.path))?
        .ok_or_else(|| refuse(entry, "the archive ends where it should begin"))?;
    compare(entry, &member).map_err(|what| refuse(entry, what))?;
    Ok(member)
}

/// What of a member is not as the index says.
pub(crate) fn compare(entry: &FileEntry, member: &ReadMember) -> std::result::Result<(), &'static str> {
    let same_kind = match (&member.kind, entry.kind) {
        (ReadKind::File { size_bytes, sparse }, FileKind::File) => {
            *size_bytes == entry.size_bytes && sparse.is_some() == entry.sparse
        }
        (ReadKind::Folder, FileKind::Folder) => true,
        (ReadKind::Symlink(target), FileKind::Symlink) | (ReadKind::HardLink(target), FileKind::HardLink) => {
            entry.link.as_ref() == Some(target)
        }
        _ => false,
    };
    if member.path != entry.path {
        return Err("the archive has another path there");
    }
    if !same_kind {
        return Err("the archive has another kind, length or target there");
    }
    let meta = (member.mode, member.uid, member.gid, member.modified);
    if meta != (entry.mode, entry.uid, entry.gid, entry.modified.into()) {
        return Err("the archive has another mode, owner or time there");
    }
    if member.attributes.len() != entry.attributes.len()
        || !member.attributes.iter().all(|attribute| entry.attributes.contains(attribute))
    {
        return Err("the archive has other attributes there");
    }
    Ok(())
}

/// Reads and checks a file's content, giving each piece and its place to `write`.
pub(crate) fn read_content(
    cursor: &mut FrameCursor<'_>,
    entry: &FileEntry,
    member: &ReadMember,
    write: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let ReadKind::File { size_bytes, sparse } = &member.kind else {
        return Err(refuse(entry, "it is no file"));
    };
    let whole = [Area { offset: 0, length: *size_bytes }];
    let areas = sparse.as_ref().map_or(&whole[..], |map| &map.areas);
    let mut hasher = ContentHasher::new();
    for area in areas {
        if sparse.is_some() {
            hasher.area(*area);
        }
        let mut done = 0;
        while done < area.length {
            let bytes = cursor.take(area.length - done)?;
            if bytes.is_empty() {
                return Err(refuse(entry, "the archive ends in its content"));
            }
            hasher.update(bytes);
            write(area.offset + done, bytes)?;
            done += bytes.len() as u64;
        }
    }
    if entry.blake3 != Some(hasher.finish()) {
        return Err(refuse(entry, "its content does not have the hash that was taken when it was backed up"));
    }
    Ok(())
}

/// Makes a file that must not exist, with content and everything about it.
///
/// The error is [`Error::Entry`] or damage when the entry is at fault; then no file is left.
pub(crate) fn restore_file(
    cursor: &mut FrameCursor<'_>,
    entry: &FileEntry,
    folder: &OwnedFd,
    name: &[u8],
    rights: Rights,
    monitor: &dyn TreeMonitor,
) -> Result<Shortfall> {
    let fault = |act: &'static str| {
        let path = super::as_path(&entry.path).to_owned();
        move |error: io::Error| Error::io(act, &path, error)
    };
    let member = read_entry(cursor, entry)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(handle) => File::from(handle),
        Err(rustix::io::Errno::EXIST) => return Err(refuse(entry, "something is there already")),
        Err(error) => return Err(fault("create")(error.into())),
    };
    let written = (|| {
        if entry.sparse {
            file.set_len(entry.size_bytes).map_err(fault("write"))?;
        }
        read_content(cursor, entry, &member, &mut |offset, bytes| {
            monitor.bytes(bytes.len() as u64);
            file.write_all_at(bytes, offset).map_err(fault("write"))
        })
    })();
    match written {
        Ok(()) => Ok(set_metadata(&file, entry, rights)),
        Err(error) => {
            // What is not whole must not be there. If even that fails, the first error says what matters.
            let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
            Err(error)
        }
    }
}

/// The mode that an entry gets under these rights, and whether bits were taken away.
pub(crate) fn mode_under(entry: &FileEntry, rights: Rights) -> (u32, bool) {
    let is_file = matches!(entry.kind, FileKind::File | FileKind::HardLink);
    if is_file && !rights.setuid && entry.mode & 0o6000 != 0 {
        (entry.mode & 0o1777, true)
    } else {
        (entry.mode & 0o7777, false)
    }
}

/// Gives an open file or folder its owner, attributes, mode and times. In this order: a new owner takes setuid bits and
/// capabilities away, an access list changes the mode, and everything changes times.
pub(crate) fn set_metadata(file: impl AsFd, entry: &FileEntry, rights: Rights) -> Shortfall {
    let mut shortfall = Shortfall::default();
    if rights.owners
        && let Err(error) =
            rustix::fs::fchown(&file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
    {
        shortfall.add("owner", &error.into());
    }
    for (name, value) in &entry.attributes {
        if name == b"security.capability" && !rights.setuid {
            shortfall.lost_setuid = true;
            continue;
        }
        if !super::facts::is_kept_attribute(name) {
            continue;
        }
        if let Err(error) = rustix::fs::fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
            shortfall.add(&format!("attribute {}", printable(name)), &error.into());
        }
    }
    let (mode, is_less) = mode_under(entry, rights);
    shortfall.lost_setuid |= is_less;
    if let Err(error) = rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)) {
        shortfall.add("mode", &error.into());
    }
    if let Err(error) = rustix::fs::futimens(&file, &times(entry.modified)) {
        shortfall.add("time", &error.into());
    }
    shortfall
}

/// Times for the kernel: the content's, and the access time left as it is.
pub(crate) fn times(modified: FileTime) -> Timestamps {
    #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
    let modified =
        Timespec { tv_sec: modified.seconds.into(), tv_nsec: i64::from(modified.nanoseconds).into() };
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: modified,
    }
}

/// Makes a symbolic link that must not exist, with owner and times.
pub(crate) fn restore_symlink(
    entry: &FileEntry,
    folder: &OwnedFd,
    name: &[u8],
    rights: Rights,
) -> Result<Shortfall> {
    let target = entry.link.as_deref().ok_or_else(|| refuse(entry, "it has no target"))?;
    if target.is_empty() || target.contains(&0) {
        return Err(refuse(entry, "its target cannot be one"));
    }
    match rustix::fs::symlinkat(target, folder, name) {
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => return Err(refuse(entry, "something is there already")),
        Err(error) => return Err(Error::io("create", super::as_path(&entry.path), error.into())),
    }
    let mut shortfall = Shortfall::default();
    if rights.owners
        && let Err(error) = rustix::fs::chownat(
            folder,
            name,
            Some(Uid::from_raw(entry.uid)),
            Some(Gid::from_raw(entry.gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    {
        shortfall.add("owner", &error.into());
    }
    if let Err(error) = rustix::fs::utimensat(folder, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
    {
        shortfall.add("time", &error.into());
    }
    Ok(shortfall)
}
