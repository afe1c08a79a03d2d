//! The torture tree: every kind of file, name, link, time and attribute that archives are known to lose.

use std::ffi::CString;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};

use crate::error::TestbedError;
use crate::torture_database::noise;

/// Depth of the folder whose path is longer than the kernel accepts in one call (4,096 bytes).
const DEEP_FOLDERS: usize = 20;
/// Length of each name on the way down, in bytes: the most that a file system takes.
const LONGEST_NAME_BYTES: usize = 255;

/// What could not be made here, with the reason: devices need root, some file systems have no attributes.
pub type NotMade = Vec<(&'static str, String)>;

/// A part of the tree that not every machine or account can make.
type Part = fn(&Path) -> std::io::Result<()>;

/// Makes the tree in a folder that does not exist yet.
///
/// # Errors
/// [`TestbedError::File`]; what this machine or account cannot make is in the result instead.
pub fn build(root: &Path) -> Result<NotMade, TestbedError> {
    let mut not_made = NotMade::new();
    let attempt =
        |act: std::io::Result<()>| act.map_err(|error| TestbedError::file("build the tree", root, error));
    attempt(fs::create_dir_all(root))?;
    attempt(contents(root))?;
    attempt(names(root))?;
    attempt(links(root))?;
    attempt(holes(root))?;
    attempt(deep(root))?;
    let parts: [(&'static str, Part); 4] =
        [("sockets and fifos", pipes), ("devices", devices), ("owners", owners), ("attributes", attributes)];
    for (name, part) in parts {
        if let Err(error) = part(root) {
            not_made.push((name, error.to_string()));
        }
    }
    if let Err(error) = access_lists(root) {
        not_made.push(("access lists", error.to_string()));
    }
    // Modes and times last: writing into a folder changes both.
    attempt(modes(root))?;
    attempt(times(root))?;
    Ok(not_made)
}

fn put(root: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> std::io::Result<PathBuf> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, content)?;
    Ok(path)
}

/// Sizes around the blocks of tar, the frames of the compressor and the parts of the reader.
fn contents(root: &Path) -> std::io::Result<()> {
    for length in [0, 1, 511, 512, 513, 10_239, 10_240, 65_536, 1 << 20, (1 << 20) + 1, 5_000_000] {
        put(root, format!("contents/noise-{length}"), noise(length as u64, length))?;
        put(root, format!("contents/zeros-{length}"), vec![0; length])?;
    }
    put(root, "contents/photo.jpg", noise(9, 300_000))?;
    put(root, "contents/archive.tar", b"././@LongLink\0not a tar")?;
    put(root, "contents/text.txt", "line\r\nline\n\0line")?;
    fs::create_dir_all(root.join("empty/inside/empty"))
}

fn names(root: &Path) -> std::io::Result<()> {
    let folder = root.join("names");
    fs::create_dir_all(&folder)?;
    let mut names: Vec<Vec<u8>> = [
        "-rf",
        "--checkpoint-action=exec=x",
        " leading",
        "trailing ",
        "new\nline",
        "tab\tname",
        "quote'\"",
        "back\\slash",
        "*",
        "?",
        "[a]",
        "$(touch x)",
        "`x`",
        "~",
        "#x",
        "x;y",
        "x|y",
        "ä",
        "a\u{308}",
        "漢字",
        "😀",
        ".hidden",
        "...",
        "..x",
        "a:b",
        "C:",
        "con",
        "%00",
        "@x",
        "Case",
        "case",
        "pax_global_header",
        "././@PaxHeader",
        "30 mtime=1",
        "=",
        "end\r",
    ]
    .iter()
    .map(|name| name.replace('/', "_").into_bytes())
    .collect();
    names.extend([
        vec![0xFF, 0xFE],
        b"latin1-\xe4\xf6".to_vec(),
        vec![0x01, 0x1B, b'['],
        vec![0x7F],
        vec![0x80; 100],
    ]);
    for length in [99, 100, 101, 155, 156, LONGEST_NAME_BYTES] {
        names.push(vec![b'n'; length]);
    }
    for name in names {
        let path = folder.join(std::ffi::OsStr::from_bytes(&name));
        fs::write(path, &name)?;
    }
    // Longer in sum than a plain tar header holds, in each of its ways to split a path.
    put(root, format!("names/{}/{}", "p".repeat(155), "q".repeat(100)), "split")?;
    put(root, format!("names/{}/{}", "p".repeat(156), "q".repeat(101)), "too long to split")?;
    fs::create_dir_all(folder.join(std::ffi::OsStr::from_bytes(b"folder\xff\n")))
}

fn links(root: &Path) -> std::io::Result<()> {
    let folder = root.join("links");
    fs::create_dir_all(folder.join("other"))?;
    for (name, target) in [
        ("relative", "../contents/text.txt"),
        ("absolute", "/etc/hostname"),
        ("dangling", "no/such/file"),
        ("loop", "loop"),
        ("up", ".."),
        ("to-folder", "../names"),
        ("trailing", "other/"),
        ("new\nline", "a\nb"),
        ("dot", "."),
    ] {
        symlink(target, folder.join(name))?;
    }
    symlink(std::ffi::OsStr::from_bytes(b"\xff\xfe"), folder.join("not-utf8"))?;
    symlink("t".repeat(100), folder.join("target-100"))?;
    symlink("t".repeat(101), folder.join("target-101"))?;
    symlink("t/".repeat(2000), folder.join("target-4000"))?;
    let first = put(root, "links/first", "three names")?;
    fs::hard_link(&first, folder.join("second"))?;
    // The last name sorts before the folder of the first one.
    fs::hard_link(&first, root.join("a-third-name"))?;
    let empty = put(root, "links/empty-one", "")?;
    fs::hard_link(empty, folder.join("other/empty-two"))?;
    fs::hard_link(folder.join("dangling"), folder.join("dangling-twice"))
}

fn holes(root: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root.join("holes"))?;
    let spans: [(&str, u64, &[u64]); 5] = [
        ("only-a-hole", 3 << 20, &[]),
        ("data-first", 2 << 20, &[0]),
        ("data-last", 2 << 20, &[(2 << 20) - 4096]),
        ("many", 64 << 20, &[4096, 1 << 20, 5 << 20, 33 << 20, 60 << 20]),
        ("large", 3 << 30, &[1 << 31]),
    ];
    for (name, size_bytes, data) in spans {
        let mut file = fs::File::create(root.join("holes").join(name))?;
        file.set_len(size_bytes)?;
        for &offset in data {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&noise(offset, 4096))?;
        }
    }
    Ok(())
}

/// Folders whose full path no single call can name: each is made inside the handle of the one above.
fn deep(root: &Path) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::create_dir_all(root.join("deep"))?;
    let mut handle: OwnedFd = rustix::fs::open(root.join("deep"), flags, Mode::empty())?;
    for level in 0..DEEP_FOLDERS {
        let name = format!("{level:02}{}", "d".repeat(LONGEST_NAME_BYTES - 2));
        rustix::fs::mkdirat(&handle, &*name, Mode::from_raw_mode(0o755))?;
        handle = rustix::fs::openat(&handle, &*name, flags, Mode::empty())?;
    }
    let file = rustix::fs::openat(
        &handle,
        "at the bottom",
        OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o640),
    )?;
    fs::File::from(file).write_all(b"found")?;
    rustix::fs::symlinkat("at the bottom", &handle, "link")?;
    Ok(())
}

fn pipes(root: &Path) -> std::io::Result<()> {
    let folder = root.join("pipes");
    fs::create_dir_all(&folder)?;
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("fifo"), FileType::Fifo, mode, 0)?;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("socket"), FileType::Socket, mode, 0)?;
    Ok(())
}

fn devices(root: &Path) -> std::io::Result<()> {
    let folder = root.join("devices");
    fs::create_dir_all(&folder)?;
    let (mode, null) = (Mode::from_raw_mode(0o600), rustix::fs::makedev(1, 3));
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("null"), FileType::CharacterDevice, mode, null)?;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("disk"),
        FileType::BlockDevice,
        mode,
        rustix::fs::makedev(7, 99),
    )?;
    Ok(())
}

fn owners(root: &Path) -> std::io::Result<()> {
    for (name, owner, group) in [
        ("www", 33, 33),
        ("nobody", 65_534, 65_534),
        ("unknown", 123_456, 1),
        ("large", 2_097_152, 3_000_000_000),
    ] {
        let path = put(root, format!("owners/{name}"), name)?;
        std::os::unix::fs::chown(path, Some(owner), Some(group))?;
    }
    symlink("www", root.join("owners/link"))?;
    std::os::unix::fs::lchown(root.join("owners/link"), Some(33), Some(34))
}

fn attributes(root: &Path) -> std::io::Result<()> {
    let path = put(root, "attributes/file", "x")?;
    let folder = root.join("attributes/folder");
    fs::create_dir_all(&folder)?;
    for (name, value) in [
        ("user.plain", b"value".to_vec()),
        ("user.bytes", vec![0, 10, 61, 255]),
        ("user.empty", vec![]),
        ("user.long", noise(3, 2000)),
    ] {
        rustix::fs::setxattr(&path, name, &value, XattrFlags::empty())?;
        rustix::fs::setxattr(&folder, name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Access lists in the kernel's form: version 2, then tag, rights and id of each entry, little-endian
/// (`include/uapi/linux/posix_acl_xattr.h`).
fn access_lists(root: &Path) -> std::io::Result<()> {
    const ANY: u32 = u32::MAX;
    let list = |entries: &[(u16, u16, u32)]| {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&rights.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    };
    // Owner, user 33, group, group 100, mask, others.
    let entries =
        [(0x01, 6, ANY), (0x02, 4, 33), (0x04, 4, ANY), (0x08, 6, 100), (0x10, 6, ANY), (0x20, 0, ANY)];
    let path = put(root, "access/file", "x")?;
    let folder = root.join("access/folder");
    fs::create_dir_all(&folder)?;
    rustix::fs::setxattr(&path, "system.posix_acl_access", &list(&entries), XattrFlags::empty())?;
    rustix::fs::setxattr(&folder, "system.posix_acl_default", &list(&entries), XattrFlags::empty())?;
    Ok(())
}

fn modes(root: &Path) -> std::io::Result<()> {
    for mode in [0o000, 0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644] {
        let path = put(root, format!("modes/file-{mode:04o}"), "x")?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    for mode in [0o500, 0o700, 0o711, 0o1777, 0o2775, 0o3770] {
        let path = root.join(format!("modes/folder-{mode:04o}"));
        fs::create_dir_all(&path)?;
        fs::write(path.join("inside"), "x")?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Times before 1970, far ahead, with nanoseconds, of links and of folders with something in them.
fn times(root: &Path) -> std::io::Result<()> {
    let set = |path: &str, seconds: i64, nanoseconds: i64| -> std::io::Result<()> {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let both = Timestamps { last_access: time, last_modification: time };
        let path = CString::new(root.join(path).as_os_str().as_bytes())?;
        Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &both, AtFlags::SYMLINK_NOFOLLOW)?)
    };
    for (name, seconds, nanoseconds) in [
        ("sub-second", 1_700_000_000, 123_456_789),
        ("nano", 1_700_000_000, 1),
        ("before-1970", -86_400, 500_000_000),
        ("zero", 0, 0),
        ("last-of-32-bits", 2_147_483_647, 999_999_999),
        ("after-2038", 4_102_444_800, 5),
        ("octal-limit", 8_589_934_592, 0),
    ] {
        put(root, format!("times/{name}"), name)?;
        set(&format!("times/{name}"), seconds, nanoseconds)?;
    }
    set("links/relative", 1_234_567_890, 987_654_321)?;
    set("empty/inside", 1_111_111_111, 222_222_222)?;
    set("times", 1_000_000_000, 1)
}

/// Removes the tree, the folders below the kernel's path limit included.
///
/// # Errors
/// [`TestbedError::Program`].
pub fn remove(root: &Path) -> Result<(), TestbedError> {
    // Folders without rights for their owner, where the owner is not root.
    let _ = crate::programs::run(std::process::Command::new("chmod").args(["-R", "u+rwX"]).arg(root));
    crate::programs::run(std::process::Command::new("rm").args(["-rf", "--"]).arg(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_built_whole_and_reads_the_same_twice() {
        let folder = tempfile::tempdir().unwrap();
        let not_made = build(&folder.path().join("tree")).unwrap();
        for (what, why) in &not_made {
            assert!(!rustix::process::geteuid().is_root() || *what == "devices", "{what}: {why}");
        }
        let picture = crate::tree::read(&folder.path().join("tree")).unwrap();
        assert!(picture.things.len() > 150, "{}", picture.things.len());
        let bottom = picture.things.iter().find(|(name, _)| name.ends_with("/at the bottom")).unwrap();
        assert!(bottom.0.len() > 4096 && bottom.1["size"] == "5");
        let count = |aspect: &str, value: &str| {
            picture
                .things
                .values()
                .filter(|aspects| aspects.get(aspect).is_some_and(|found| found == value))
                .count()
        };
        assert!(count("holes", "yes") >= 4);
        assert_eq!(count("kind", "fifo"), 1);
        assert!(picture.things.values().filter(|aspects| aspects.contains_key("same file as")).count() >= 5);
        assert_eq!(picture, crate::tree::read(&folder.path().join("tree")).unwrap());
        remove(&folder.path().join("tree")).unwrap();
        assert!(!folder.path().join("tree").exists());
    }
}
