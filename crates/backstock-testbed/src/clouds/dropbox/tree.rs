//! Files and folders of the account: names that are the same in small and in large letters, revisions, room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::Refused;

/// Bytes of a block of the content hash.
const BLOCK_BYTES: usize = 4 << 20;

#[derive(Debug)]
enum Kind {
    Folder,
    File { rev: String, content: PathBuf, size_bytes: u64, hash: String },
}

#[derive(Debug)]
struct Entry {
    name: String,
    kind: Kind,
}

/// The tree of an account, by paths in small letters.
#[derive(Debug)]
pub(super) struct Tree {
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
    revisions: u64,
    pub(super) quota_bytes: u64,
}

/// The hash that Dropbox tells of a content.
pub(super) fn content_hash(bytes: &[u8]) -> String {
    let hashes: Vec<u8> =
        bytes.chunks(BLOCK_BYTES).flat_map(|block| digest(&SHA256, block).as_ref().to_vec()).collect();
    digest(&SHA256, &hashes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tree {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), entries: BTreeMap::new(), revisions: 0, quota_bytes: 2 << 30 }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.entries.values().map(Entry::size_bytes).sum()
    }

    /// The path as its steps are spelled.
    fn spelled(&self, path: &str) -> String {
        let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
        let steps = ends.map(|end| self.entries.get(&path[..end]).map_or("?", |entry| entry.name.as_str()));
        steps.map(|step| format!("/{step}")).collect()
    }

    pub(super) fn files(&self) -> Vec<(String, PathBuf)> {
        let files = self.entries.iter().filter_map(|(path, entry)| match &entry.kind {
            Kind::File { content, .. } => Some((self.spelled(path), content.clone())),
            Kind::Folder => None,
        });
        files.collect()
    }

    pub(super) fn folders(&self) -> Vec<String> {
        let folders = self.entries.iter().filter(|(_, entry)| matches!(entry.kind, Kind::Folder));
        folders.map(|(path, _)| self.spelled(path)).collect()
    }

    pub(super) fn metadata(&self, path: &str) -> Option<Value> {
        let path = path.to_lowercase();
        self.entries.get(&path).map(|entry| entry.metadata(&path))
    }

    pub(super) fn content(&self, path: &str) -> Option<&Path> {
        match &self.entries.get(&path.to_lowercase())?.kind {
            Kind::File { content, .. } => Some(content),
            Kind::Folder => None,
        }
    }

    /// What lies below a folder behind a path; with everything below, the folder itself too.
    pub(super) fn below(&self, top: &str, is_recursive: bool, after: &str) -> Vec<(String, Value)> {
        let below = format!("{top}/");
        let is_meant = |path: &str| match path.strip_prefix(&below) {
            Some(rest) => is_recursive || !rest.contains('/'),
            None => is_recursive && path == top,
        };
        let meant = self.entries.iter().filter(|(path, _)| is_meant(path) && path.as_str() > after);
        meant.map(|(path, entry)| (path.clone(), entry.metadata(path))).collect()
    }

    /// Makes a file of a content, which is taken.
    pub(super) fn write(&mut self, path: &str, mode: &str, content: &Path) -> Result<Value, Refused> {
        let lower = path.to_lowercase();
        let bytes = std::fs::read(content).unwrap_or_default();
        let (size_bytes, hash) = (bytes.len() as u64, content_hash(&bytes));
        let above: Vec<usize> = path.match_indices('/').skip(1).map(|(at, _)| at).collect();
        for end in &above {
            let above = self.entries.get(&path[..*end].to_lowercase());
            if above.is_some_and(|above| matches!(above.kind, Kind::File { .. })) {
                return Err(Refused::words(&["path", "conflict", "file_ancestor"]));
            }
        }
        let mut freed_bytes = 0;
        if let Some(there) = self.entries.get(&lower) {
            match &there.kind {
                Kind::Folder => return Err(Refused::words(&["path", "conflict", "folder"])),
                Kind::File { hash: known, .. } if *known == hash => return Ok(there.metadata(&lower)),
                Kind::File { .. } if mode == "add" => {
                    return Err(Refused::words(&["path", "conflict", "file"]));
                }
                Kind::File { size_bytes, .. } => freed_bytes = *size_bytes,
            }
        }
        if self.used_bytes() - freed_bytes + size_bytes > self.quota_bytes {
            return Err(Refused::words(&["path", "insufficient_space"]));
        }
        for end in above {
            let (path, name) = (path[..end].to_lowercase(), last_step(&path[..end]).to_owned());
            self.entries.entry(path).or_insert(Entry { name, kind: Kind::Folder });
        }
        self.revisions += 1;
        let rev = format!("{:015x}", 0x5e0_0000_0000_u64 + self.revisions);
        let kept = self.folder.join(format!("content-{rev}"));
        let moved = std::fs::rename(content, &kept);
        moved.unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
        let kind = Kind::File { rev, content: kept, size_bytes, hash };
        // A file that is exchanged keeps the spelling that it has.
        match self.entries.get_mut(&lower) {
            Some(there) => there.kind = kind,
            None => {
                let name = last_step(path).to_owned();
                self.entries.insert(lower.clone(), Entry { name, kind });
            }
        }
        Ok(self.metadata(&lower).unwrap_or_default())
    }

    /// Deletes a file, of that revision if one is given, or a folder with all that is in it.
    pub(super) fn delete(&mut self, path: &str, rev: Option<&str>) -> Result<Value, Refused> {
        let lower = path.to_lowercase();
        let Some(there) = self.entries.get(&lower) else {
            return Err(Refused::words(&["path_lookup", "not_found"]));
        };
        match (&there.kind, rev) {
            (_, None) => {}
            (Kind::File { rev: present, .. }, Some(rev)) if present == rev => {}
            (Kind::File { .. }, Some(_)) => return Err(Refused::words(&["path_write", "conflict", "file"])),
            (Kind::Folder, Some(_)) => return Err(Refused::words(&["path_lookup", "not_file"])),
        }
        let deleted = there.metadata(&lower);
        let below = format!("{lower}/");
        self.entries.retain(|path, _| *path != lower && !path.starts_with(&below));
        Ok(deleted)
    }
}

impl Entry {
    fn size_bytes(&self) -> u64 {
        match self.kind {
            Kind::File { size_bytes, .. } => size_bytes,
            Kind::Folder => 0,
        }
    }

    fn metadata(&self, path: &str) -> Value {
        let mut told = json!({
            "name": self.name,
            "path_lower": path,
            // Only its last step need be spelled as it is.
            "path_display": format!("{}/{}", path.rsplit_once('/').map_or("", |(above, _)| above), self.name),
            "id": format!("id:{}", &content_hash(path.as_bytes())[..22]),
        });
        match &self.kind {
            Kind::Folder => told[".tag"] = "folder".into(),
            Kind::File { rev, size_bytes, hash, .. } => {
                told[".tag"] = "file".into();
                told["rev"] = rev.as_str().into();
                told["size"] = (*size_bytes).into();
                told["content_hash"] = hash.as_str().into();
                told["client_modified"] = "2026-11-22T10:00:00Z".into();
                told["server_modified"] = "2026-11-22T10:00:00Z".into();
                told["is_downloadable"] = true.into();
            }
        }
        told
    }
}

fn last_step(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
