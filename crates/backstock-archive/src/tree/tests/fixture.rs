//! Builds awkward trees, archives them, and runs stock `tar` on the result.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec};
use rustix::fs::{Mode, Timespec, Timestamps, XattrFlags};

use super::super::*;
use crate::artifact::{Artifact, ArtifactOptions, ArtifactReader, ArtifactWriter, Part};
use crate::index::{IndexReader, IndexWriter};
use crate::read_at::ReadAt;

pub(in crate::tree) fn bytes_path(base: &Path, name: &[u8]) -> PathBuf {
    base.join(OsStr::from_bytes(name))
}

pub(in crate::tree) fn write(base: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = base.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

/// Bytes that look random but are the same every time.
pub(in crate::tree) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()[5]
        })
        .collect()
}

pub(in crate::tree) fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(in crate::tree) fn set_attribute(path: &Path, name: &[u8], value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

pub(in crate::tree) fn access_list() -> Vec<u8> {
    let text = "user::rw-,user:33:r--,group::r--,group:4711:rw-,mask::rw-,other::---";
    crate::tar::acl::from_text(text).unwrap()
}

fn names(root: &Path) {
    let names: [&[u8]; 14] = [
        b"-rf",
        b"new\nline",
        b"tab\tquote\"back\\slash'",
        b"not-utf8-\xff\xfe",
        "кофе и чай".as_bytes(),
        "right\u{202e}gpj.exe".as_bytes(),
        b"%2e%2e",
        b" blank ",
        b"~tilde",
        b"a:b",
        b"*?[x]",
        b"..hidden",
        b".dot",
        b"@outside-not",
    ];
    for (number, name) in names.iter().enumerate() {
        fs::write(bytes_path(&root.join("names"), name), number.to_string()).unwrap();
    }
    fs::write(root.join("names").join("n".repeat(255)), "255").unwrap();
    let folder = root.join("names").join("d".repeat(120)).join("e".repeat(120)).join("f".repeat(90));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("g".repeat(200)), "deep").unwrap();
}

/// Everything that the issue names, except paths that stock `tar` cannot reach.
pub(in crate::tree) fn torture(root: &Path) {
    for folder in ["names", "empty", "closed", "img/p/1", "links", "mode"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    names(root);
    write(root, "index.php", b"<?php echo 1;");
    write(root, "zero", b"");
    write(root, "one-block", &noise(1, 512));
    write(root, "large.log", &b"line of a log\n".repeat(900_000));
    write(root, "large.zip", &noise(2, 5 << 20));
    write(root, "whole.sql", &b"insert into t;\n".repeat(270_000));
    for number in 0..40 {
        write(root, &format!("img/p/1/{number}.jpg"), &noise(number, 60_000));
        write(root, &format!("img/p/1/{number}.php"), b"<?php");
    }
    symlink("../index.php", root.join("links/to-file")).unwrap();
    symlink("../../../../etc/passwd", root.join("links/outside")).unwrap();
    symlink("loop", root.join("links/loop")).unwrap();
    symlink("gone", root.join("links/dangling")).unwrap();
    symlink("..", root.join("links/folder")).unwrap();
    symlink("t".repeat(1500), root.join("links/long")).unwrap();
    fs::hard_link(root.join("index.php"), root.join("links/hard")).unwrap();
    fs::hard_link(root.join("large.log"), root.join("zz-hard")).unwrap();
    fs::hard_link(root.join("links/dangling"), root.join("links/same-dangling")).unwrap();
    for (name, mode) in
        [("setuid", 0o4755), ("sticky", 0o1644), ("open", 0o666), ("none", 0o000), ("run", 0o751)]
    {
        let path = write(root, &format!("mode/{name}"), name.as_bytes());
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(root.join("mode/run"), Some(33), Some(3_000_000)).unwrap();
        std::os::unix::fs::lchown(root.join("links/loop"), Some(4711), Some(33)).unwrap();
    }
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(40 << 20).unwrap();
    sparse.write_all_at(&noise(9, 10_000), 12 << 20).unwrap();
    sparse.write_all_at(b"end", (40 << 20) - 3).unwrap();
    File::create(root.join("all-hole")).unwrap().set_len(3 << 20).unwrap();
    set_attribute(&root.join("index.php"), b"user.note=%", b"\0value\n");
    set_attribute(&root.join("index.php"), b"system.posix_acl_access", &access_list());
    set_attribute(&root.join("empty"), b"system.posix_acl_default", &access_list());
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), Mode::RUSR).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    set_time(&root.join("zero"), -5, 250_000_000);
    set_time(&root.join("one-block"), 1_234_567_890, 123_456_789);
    set_time(&root.join("links/dangling"), 1_111_111_111, 1);
    set_time(&root.join("img/p"), 1_000_000_000, 7);
    fs::set_permissions(root.join("closed"), Permissions::from_mode(0o2550)).unwrap();
    set_time(&root.join("closed"), 1_000_000_001, 0);
    set_time(root, 1_500_000_000, 999_999_999);
}

/// Runs something as another user, since root may read everything.
pub(in crate::tree) fn as_nobody<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            // The user of one thread only; the file system then asks for this user's rights.
            rustix::thread::set_thread_groups(&[]).unwrap();
            let (uid, gid) = (rustix::process::Uid::from_raw(65_534), rustix::process::Gid::from_raw(65_534));
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        }
        act()
    })
}

pub(in crate::tree) struct Backup {
    pub(in crate::tree) folder: tempfile::TempDir,
    pub(in crate::tree) artifact: Artifact,
    pub(in crate::tree) index: Part,
    pub(in crate::tree) report: TreeReport,
}

pub(in crate::tree) fn request(root: &Path) -> TreeRequest {
    TreeRequest {
        roots: vec![TreeRoot { prefix: Vec::new(), path: root.to_owned() }],
        exclusions: Exclusions::default(),
        never: Vec::new(),
        started: jiff::Timestamp::UNIX_EPOCH,
        readers: 8,
    }
}

pub(in crate::tree) fn back_up(request: &TreeRequest, codec: Codec) -> Backup {
    try_back_up(request, codec, &NoMonitor).unwrap()
}

pub(in crate::tree) fn try_back_up(
    request: &TreeRequest,
    codec: Codec,
    monitor: &dyn TreeMonitor,
) -> crate::Result<Backup> {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let name = if codec == Codec::Zstd { "files.tar.zst" } else { "files.tgz" };
    let writer = ArtifactWriter::create(&host, folder.path(), name, &ArtifactOptions::of(codec, 2)).unwrap();
    let mut index = IndexWriter::create(&host, folder.path(), &"header").unwrap();
    let report = archive_tree(request, None, &writer, &mut index, monitor)?;
    let artifact = writer.finish()?;
    let index = index.finish(&artifact.frames, &report)?;
    Ok(Backup { folder, artifact, index, report })
}

impl Backup {
    pub(in crate::tree) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.artifact.name)
    }

    pub(in crate::tree) fn reader(&self) -> FilesSource<'static> {
        FilesSource::alone(self.archive())
    }

    pub(in crate::tree) fn archive(&self) -> ArtifactReader {
        let parts = self
            .artifact
            .parts
            .iter()
            .map(|part| Box::new(File::open(self.folder.path().join(&part.name)).unwrap()) as Box<dyn ReadAt>)
            .collect();
        let frames = self.index().frame_table().unwrap();
        let facts = crate::ManifestArtifact::data(ArtifactKind::Files, &self.artifact);
        ArtifactReader::open(&facts, parts, frames).unwrap()
    }

    pub(in crate::tree) fn index(&self) -> IndexReader<File> {
        IndexReader::open(File::open(self.folder.path().join(&self.index.name)).unwrap(), &self.index)
            .unwrap()
    }

    pub(in crate::tree) fn entries(&self) -> Vec<FileEntry> {
        self.index().entries::<FileEntry>().map(|line| line.unwrap().entry).collect()
    }

    /// Writes the index again with other entries.
    pub(in crate::tree) fn edit_index(&mut self, edit: impl Fn(&mut FileEntry)) {
        let (frames, report): (_, TreeReport) =
            (self.index().frame_table().unwrap(), self.index().summary().unwrap());
        let entries = self.entries();
        fs::remove_file(self.folder.path().join(&self.index.name)).unwrap();
        let mut index = IndexWriter::create(&Host::real(), self.folder.path(), &"header").unwrap();
        for mut entry in entries {
            edit(&mut entry);
            index.add(&entry.path, &entry).unwrap();
        }
        self.index = index.finish(&frames, &report).unwrap();
    }

    pub(in crate::tree) fn entry(&self, path: &[u8]) -> FileEntry {
        self.index().find(path).unwrap().unwrap()
    }

    pub(in crate::tree) fn extract(&self, target: &Path, setuid: bool) -> ExtractReport {
        let options = ExtractOptions {
            rights: Rights { setuid, ..Rights::usual() },
            workers: 3,
            own_archive_only: false,
        };
        extract(&self.reader(), &self.index(), &Selection::Everything, target, &options, &NoMonitor).unwrap()
    }

    /// Extracts with stock `tar`, as `docs/format.md` says.
    pub(in crate::tree) fn stock_extract(&self, target: &Path) {
        fs::create_dir_all(target).unwrap();
        let compression = if self.artifact.codec == Codec::Zstd { "--zstd" } else { "--gzip" };
        let output = Command::new("tar")
            .args([compression, "--xattrs", "--acls", "--numeric-owner", "--warning=no-timestamp", "-xpf"])
            .arg(self.path())
            .arg("-C")
            .arg(target)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && words.is_empty(), "{words}");
    }
}
