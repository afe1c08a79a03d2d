//! One line of the files index: what was found under one path, where its content lies, and what went wrong with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What is under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// An ordinary file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, with its target in `link`.
    Symlink,
    /// A further name of the file or symbolic link whose path is in `link`.
    HardLink,
    /// A named pipe. Never opened.
    Fifo,
    /// A socket. Never opened.
    Socket,
    /// A character or block device. Never opened.
    Device,
    /// Nothing could be learned about it.
    Unknown,
}

/// What became of it in this backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// It is in the archive as it was.
    Stored,
    /// It is in the archive, but was written to while it was read. A note.
    Changed,
    /// It was gone before it could be read. A note.
    Vanished,
    /// It could not be read; `reason` says why. An exception: the backup is not whole.
    Unreadable,
    /// It is of a kind that is not kept (socket, pipe, device).
    Skipped,
}

/// A point in time as file systems keep it: nanoseconds always count forward, also before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "(i64, u32)", into = "(i64, u32)")]
pub struct FileTime {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds after that second.
    pub nanoseconds: u32,
}

impl From<(i64, u32)> for FileTime {
    fn from((seconds, nanoseconds): (i64, u32)) -> Self {
        Self { seconds, nanoseconds }
    }
}

impl From<FileTime> for (i64, u32) {
    fn from(time: FileTime) -> Self {
        (time.seconds, time.nanoseconds)
    }
}

/// One line of the files index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FileLine", into = "FileLine")]
pub struct FileEntry {
    /// Path in the backup: bytes, components joined by `/`. Empty is the shop's root; `@outside/<label>` are roots of
    /// folders outside it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// What became of it.
    pub state: FileState,
    /// Why it could not be read.
    pub reason: Option<String>,
    /// Length of the content in bytes, holes included.
    pub size_bytes: u64,
    /// Permission bits (12).
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Owner's name, where the machine knows it.
    pub user_name: Option<String>,
    /// Group's name, where the machine knows it.
    pub group_name: Option<String>,
    /// Last change of the content.
    pub modified: FileTime,
    /// Last change of the content or of anything about it.
    pub changed: FileTime,
    /// Inode number.
    pub inode: u64,
    /// Device number.
    pub device: u64,
    /// How many names the inode had, in the backup or not.
    pub links: u64,
    /// A symbolic link's target, or the path whose further name this is.
    pub link: Option<Vec<u8>>,
    /// BLAKE3 of the content; of a file with holes, of its data areas (see [`crate::tree::content`]).
    pub blake3: Option<[u8; 32]>,
    /// The frame in which its tar header begins.
    pub frame: Option<u64>,
    /// Where in that frame's plaintext, in bytes.
    pub offset_bytes: u64,
    /// Which backup of the chain holds its member: 0 is the full one, and a backup that builds on others has the number of
    /// those that it builds on (see the header's `chain`).
    pub held_by: u32,
    /// This is not how it is now, since that could not be read, but how an earlier backup of the chain has it; and why.
    pub stale: Option<String>,
    /// Of a stale file: the frame of this backup's own archive in which what could be read of it begins. It only keeps its
    /// place there.
    pub filler_frame: Option<u64>,
    /// Of a folder: another file system is here than was before. What is missing below it may be carried on.
    pub keeps_stale: bool,
    /// Whether it is stored with a map of its holes.
    pub sparse: bool,
    /// Extended attributes, access control lists among them: name and value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl FileKind {
    /// Whether it can have further names that are kept: folders cannot.
    pub(crate) fn can_have_names(self) -> bool {
        matches!(self, Self::File | Self::Symlink)
    }
}

impl FileEntry {
    /// An entry about which nothing is known but its path.
    pub fn new(path: Vec<u8>, kind: FileKind, state: FileState) -> Self {
        Self {
            path,
            kind,
            state,
            reason: None,
            size_bytes: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            user_name: None,
            group_name: None,
            modified: FileTime::default(),
            changed: FileTime::default(),
            inode: 0,
            device: 0,
            links: 1,
            link: None,
            blake3: None,
            frame: None,
            offset_bytes: 0,
            held_by: 0,
            stale: None,
            filler_frame: None,
            keeps_stale: false,
            sparse: false,
            attributes: Vec::new(),
        }
    }

    /// Whether the content is not in the archive of the backup with this number of its chain, or may not be: of a further name
    /// of a file that is not known without its first.
    pub fn is_elsewhere(&self, own_number: u32) -> bool {
        match self.kind {
            FileKind::File => self.held_by != own_number,
            FileKind::HardLink => true,
            _ => false,
        }
    }

    /// Whether the archive holds it, so that it can be brought back.
    pub fn is_stored(&self) -> bool {
        self.frame.is_some() && matches!(self.state, FileState::Stored | FileState::Changed)
            || self.kind == FileKind::Folder && self.frame.is_some()
    }
}

/// The form in JSON: text where the bytes are UTF-8, base64 (RFC 4648 section 4) under another name where not.
#[derive(Serialize, Deserialize)]
struct FileLine {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path_base64: Option<String>,
    kind: FileKind,
    state: FileState,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "is_zero", default)]
    size_bytes: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    group: Option<String>,
    mtime: FileTime,
    ctime: FileTime,
    inode: u64,
    device: u64,
    #[serde(skip_serializing_if = "is_one", default = "one")]
    links: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    link_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    blake3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    frame: Option<u64>,
    #[serde(skip_serializing_if = "is_zero", default)]
    offset_bytes: u64,
    #[serde(skip_serializing_if = "is_held_by_full", default)]
    held_by: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    stale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    filler_frame: Option<u64>,
    #[serde(skip_serializing_if = "is_false", default)]
    keeps_stale: bool,
    #[serde(skip_serializing_if = "is_false", default)]
    sparse: bool,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    attributes_base64: Vec<(String, String)>,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_held_by_full(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Bytes as text where they are UTF-8 (first), as base64 where not (second).
fn split(bytes: Vec<u8>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
    }
}

fn join(text: Option<String>, base64: Option<String>) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err("both text and base64 are given".to_owned()),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(text)) => decode(&text).map(Some),
        (None, None) => Ok(None),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|_| "not base64".to_owned())
}

impl From<FileEntry> for FileLine {
    fn from(entry: FileEntry) -> Self {
        let (path, path_base64) = split(entry.path);
        let (link, link_base64) = entry.link.map_or((None, None), split);
        Self {
            path,
            path_base64,
            kind: entry.kind,
            state: entry.state,
            reason: entry.reason,
            size_bytes: entry.size_bytes,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user_name,
            group: entry.group_name,
            mtime: entry.modified,
            ctime: entry.changed,
            inode: entry.inode,
            device: entry.device,
            links: entry.links,
            link,
            link_base64,
            blake3: entry.blake3.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string()),
            frame: entry.frame,
            offset_bytes: entry.offset_bytes,
            held_by: entry.held_by,
            stale: entry.stale,
            filler_frame: entry.filler_frame,
            keeps_stale: entry.keeps_stale,
            sparse: entry.sparse,
            attributes_base64: entry
                .attributes
                .iter()
                .map(|(name, value)| (STANDARD.encode(name), STANDARD.encode(value)))
                .collect(),
        }
    }
}

impl TryFrom<FileLine> for FileEntry {
    type Error = String;

    fn try_from(line: FileLine) -> Result<Self, String> {
        let blake3 = match line.blake3 {
            Some(text) => Some(*blake3::Hash::from_hex(text).map_err(|_| "not a BLAKE3 hash")?.as_bytes()),
            None => None,
        };
        let attributes = line
            .attributes_base64
            .iter()
            .map(|(name, value)| Ok((decode(name)?, decode(value)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            path: join(line.path, line.path_base64)?.ok_or("no path")?,
            kind: line.kind,
            state: line.state,
            reason: line.reason,
            size_bytes: line.size_bytes,
            mode: line.mode & 0o7777,
            uid: line.uid,
            gid: line.gid,
            user_name: line.user,
            group_name: line.group,
            modified: line.mtime,
            changed: line.ctime,
            inode: line.inode,
            device: line.device,
            links: line.links,
            link: join(line.link, line.link_base64)?,
            blake3,
            frame: line.frame,
            offset_bytes: line.offset_bytes,
            held_by: line.held_by,
            stale: line.stale,
            filler_frame: line.filler_frame,
            keeps_stale: line.keeps_stale,
            sparse: line.sparse,
            attributes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_and_link_round_trip(path in prop::collection::vec(any::<u8>(), 0..40), link in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), seconds in any::<i64>()) {
            let mut entry = FileEntry::new(path, FileKind::File, FileState::Changed);
            entry.link = link;
            entry.blake3 = Some([7; 32]);
            entry.modified = FileTime { seconds, nanoseconds: 999_999_999 };
            entry.attributes = vec![(b"user.\xff".to_vec(), vec![0, 255])];
            let text = serde_json::to_string(&entry).unwrap();
            prop_assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), entry);
        }
    }

    #[test]
    fn names_that_are_not_utf_8_stand_under_another_key() {
        let entry = FileEntry::new(b"a\xff".to_vec(), FileKind::Socket, FileState::Skipped);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.contains("\"path_base64\":\"Yf8=\"") && !text.contains("\"path\":"), "{text}");
    }

    #[test]
    fn a_line_with_two_paths_or_none_is_refused() {
        let entry = FileEntry::new(b"a".to_vec(), FileKind::File, FileState::Stored);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(serde_json::from_str::<FileEntry>(&text.replacen("\"path\":\"a\",", "", 1)).is_err());
        let twice = text.replacen("\"path\":\"a\"", "\"path\":\"a\",\"path_base64\":\"Yg==\"", 1);
        assert!(serde_json::from_str::<FileEntry>(&twice).is_err());
    }
}
