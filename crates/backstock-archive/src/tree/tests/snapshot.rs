//! A second reader of trees: std alone, nothing of the code under test, so that a mistake cannot hide in both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tree) struct Seen {
    pub(in crate::tree) kind: String,
    pub(in crate::tree) mode: u32,
    pub(in crate::tree) owner: (u32, u32),
    pub(in crate::tree) modified: (i64, i64),
    pub(in crate::tree) content: Option<blake3::Hash>,
    pub(in crate::tree) link: Option<Vec<u8>>,
    pub(in crate::tree) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// The least path that has the same inode.
    pub(in crate::tree) first_name: Vec<u8>,
    pub(in crate::tree) is_sparse: bool,
}

pub(in crate::tree) type Snapshot = BTreeMap<Vec<u8>, Seen>;

/// Reads everything below a folder, and the folder itself under the empty path. Sockets and pipes are left out.
pub(in crate::tree) fn snapshot(root: &Path) -> Snapshot {
    let mut seen = Snapshot::new();
    visit(root, root, &mut seen);
    let mut firsts: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    for (path, entry) in &mut seen {
        let metadata = fs::symlink_metadata(super::fixture::bytes_path(root, path)).unwrap();
        let first = firsts.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.clone());
        entry.first_name.clone_from(first);
    }
    seen
}

fn visit(root: &Path, path: &Path, seen: &mut Snapshot) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return;
    }
    let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
    let content = kind.is_file().then(|| blake3::hash(&fs::read(path).unwrap()));
    let entry = Seen {
        kind: format!("{kind:?}"),
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        content,
        link: kind.is_symlink().then(|| fs::read_link(path).unwrap().into_os_string().into_vec()),
        attributes: if kind.is_symlink() { Vec::new() } else { attributes(path) },
        first_name: Vec::new(),
        is_sparse: kind.is_file() && metadata.blocks() * 512 < metadata.len(),
    };
    seen.insert(relative, entry);
    if kind.is_dir() {
        for child in fs::read_dir(path).unwrap() {
            visit(root, &child.unwrap().path(), seen);
        }
    }
}

fn attributes(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 65_536];
    let length = rustix::fs::listxattr(path, &mut names[..]).unwrap();
    let mut found: Vec<_> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && !name.starts_with(b"security.selinux"))
        .map(|name| {
            let mut value = vec![0; 65_536];
            let length = rustix::fs::getxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect();
    found.sort();
    found
}

/// Compares two, naming the first paths that differ.
pub(in crate::tree) fn assert_same(left: &Snapshot, right: &Snapshot) {
    let paths: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let different: Vec<String> = paths
        .into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| format!("{}: {:?} / {:?}", path.escape_ascii(), left.get(path), right.get(path)))
        .take(5)
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}
