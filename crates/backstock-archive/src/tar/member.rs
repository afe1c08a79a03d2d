//! Writing one member's header: a pax extended header where ustar's fields do not suffice, then the ustar block.

use tar::{EntryType, Header};

use super::sparse::SparseMap;
use super::{BLOCK_BYTES, acl, dumpdir, pad, pax};

const USTAR_NAME_BYTES: usize = 100;
const USTAR_OWNER_BYTES: usize = 31;
const OCTAL_7_LIMIT: u64 = 0o777_7777;
const OCTAL_11_LIMIT: u64 = 0o777_7777_7777;

/// What a member is.
#[derive(Debug, Clone, Copy)]
pub enum MemberKind<'a> {
    /// A file, with as many bytes of content following the header.
    File {
        /// Length of the content in bytes, holes included.
        size_bytes: u64,
        /// Where its data lies when it has holes. The map then follows the header, and the data without holes.
        sparse: Option<&'a SparseMap>,
    },
    /// A folder.
    Folder,
    /// A folder of a backup that builds on another, with the names in it as [`super::dumpdir`] writes them: GNU tar removes what
    /// is not among them.
    ListedFolder(&'a [u8]),
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
    /// A further name of the member with this path.
    HardLink(&'a [u8]),
}

/// Everything that a member's header says.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Path in the archive: components joined by `/`, no leading or trailing one. Empty is the root.
    pub path: &'a [u8],
    /// What it is.
    pub kind: MemberKind<'a>,
    /// Permission bits (12).
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Owner's name, where the machine knows it.
    pub user_name: Option<&'a [u8]>,
    /// Group's name, where the machine knows it.
    pub group_name: Option<&'a [u8]>,
    /// Time of last change of the content: seconds since the epoch, and nanoseconds that count forward.
    pub modified: (i64, u32),
    /// Extended attributes: name and value.
    pub attributes: &'a [(Vec<u8>, Vec<u8>)],
}

impl Member<'_> {
    /// Bytes that follow the header, before padding.
    pub fn body_bytes(&self) -> u64 {
        match self.kind {
            MemberKind::File { sparse: Some(map), .. } => map.encode().len() as u64 + map.data_bytes(),
            MemberKind::File { size_bytes, sparse: None } => size_bytes,
            MemberKind::ListedFolder(names) if !dumpdir::fits_into_records(names) => names.len() as u64,
            _ => 0,
        }
    }

    /// The path as it stands in the archive: folders end in `/`, and the root is `./`.
    fn archive_path(&self) -> Vec<u8> {
        let mut path = if self.path.is_empty() { b".".to_vec() } else { self.path.to_vec() };
        if matches!(self.kind, MemberKind::Folder | MemberKind::ListedFolder(_)) {
            path.push(b'/');
        }
        path
    }

    /// Appends the whole header; the map of a file with holes, and a folder's names where they are too long for the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let path = self.archive_path();
        let body_bytes = self.body_bytes();
        let records = self.records(&path, body_bytes);
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            set_name(&mut extended, &[b"PaxHeaders/", last_component(&path)].concat());
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(records.len() as u64);
            extended.set_cksum();
            out.extend_from_slice(extended.as_bytes());
            let length = records.len() as u64;
            out.extend_from_slice(&records);
            pad(out, length);
        }
        out.extend_from_slice(self.ustar(&path, body_bytes).as_bytes());
        if let MemberKind::File { sparse: Some(map), .. } = self.kind {
            out.extend_from_slice(&map.encode());
        }
        if let MemberKind::ListedFolder(names) = self.kind
            && body_bytes > 0
        {
            out.extend_from_slice(names);
            pad(out, body_bytes);
        }
    }

    fn records(&self, path: &[u8], body_bytes: u64) -> Vec<u8> {
        let mut records = Vec::new();
        match self.kind {
            MemberKind::File { size_bytes, sparse: Some(_) } => {
                pax::push(&mut records, b"GNU.sparse.major", b"1");
                pax::push(&mut records, b"GNU.sparse.minor", b"0");
                pax::push(&mut records, b"GNU.sparse.name", path);
                pax::push(&mut records, b"GNU.sparse.realsize", size_bytes.to_string().as_bytes());
            }
            _ if path.len() > USTAR_NAME_BYTES || !path.is_ascii() => {
                pax::push(&mut records, b"path", path);
            }
            _ => {}
        }
        if let MemberKind::Symlink(target) | MemberKind::HardLink(target) = self.kind
            && (target.len() > USTAR_NAME_BYTES || !target.is_ascii())
        {
            pax::push(&mut records, b"linkpath", target);
        }
        if body_bytes > OCTAL_11_LIMIT {
            pax::push(&mut records, b"size", body_bytes.to_string().as_bytes());
        }
        for (keyword, id) in [(&b"uid"[..], self.uid), (b"gid", self.gid)] {
            if u64::from(id) > OCTAL_7_LIMIT {
                pax::push(&mut records, keyword, id.to_string().as_bytes());
            }
        }
        for (keyword, name) in [(&b"uname"[..], self.user_name), (b"gname", self.group_name)] {
            if let Some(name) = name
                && (name.len() > USTAR_OWNER_BYTES || !name.is_ascii())
            {
                pax::push(&mut records, keyword, name);
            }
        }
        let (seconds, nanoseconds) = self.modified;
        if nanoseconds != 0 || u64::try_from(seconds).map_or(true, |seconds| seconds > OCTAL_11_LIMIT) {
            pax::push(&mut records, b"mtime", pax::time_text(seconds, nanoseconds).as_bytes());
        }
        if let MemberKind::ListedFolder(names) = self.kind
            && body_bytes == 0
        {
            pax::push(&mut records, dumpdir::KEYWORD, names);
        }
        self.attribute_records(&mut records);
        records
    }

    fn attribute_records(&self, records: &mut Vec<u8>) {
        for (name, value) in self.attributes {
            let list = match name.as_slice() {
                acl::ACCESS => Some(&b"SCHILY.acl.access"[..]),
                acl::DEFAULT => Some(&b"SCHILY.acl.default"[..]),
                _ => None,
            };
            match (list, acl::to_text(value)) {
                (Some(keyword), Ok(text)) => pax::push(records, keyword, text.as_bytes()),
                _ => {
                    let mut keyword = b"SCHILY.xattr.".to_vec();
                    // GNU tar's escape: a keyword ends at the first equals sign.
                    for byte in name {
                        match byte {
                            b'%' => keyword.extend_from_slice(b"%25"),
                            b'=' => keyword.extend_from_slice(b"%3D"),
                            other => keyword.push(*other),
                        }
                    }
                    pax::push(records, &keyword, value);
                }
            }
        }
    }

    fn ustar(&self, path: &[u8], body_bytes: u64) -> Header {
        let mut header = Header::new_ustar();
        if matches!(self.kind, MemberKind::File { sparse: Some(_), .. }) {
            // What a reader that knows no holes would make: a name that says what it is.
            set_name(&mut header, &[b"GNUSparseFile.0/", last_component(path)].concat());
        } else {
            set_name(&mut header, path);
        }
        header.set_mode(self.mode & 0o7777);
        header.set_uid(u64::from(self.uid).min(OCTAL_7_LIMIT));
        header.set_gid(u64::from(self.gid).min(OCTAL_7_LIMIT));
        header.set_mtime(u64::try_from(self.modified.0).unwrap_or(0).min(OCTAL_11_LIMIT));
        header.set_size(body_bytes.min(OCTAL_11_LIMIT));
        header.set_entry_type(match self.kind {
            MemberKind::File { .. } => EntryType::Regular,
            MemberKind::ListedFolder(_) if body_bytes > 0 => EntryType::new(dumpdir::TYPE),
            MemberKind::Folder | MemberKind::ListedFolder(_) => EntryType::Directory,
            MemberKind::Symlink(_) => EntryType::Symlink,
            MemberKind::HardLink(_) => EntryType::Link,
        });
        if let Some(ustar) = header.as_ustar_mut() {
            if let MemberKind::Symlink(target) | MemberKind::HardLink(target) = self.kind {
                copy_cut(&mut ustar.linkname, target, USTAR_NAME_BYTES);
            }
            copy_cut(&mut ustar.uname, self.user_name.unwrap_or_default(), USTAR_OWNER_BYTES);
            copy_cut(&mut ustar.gname, self.group_name.unwrap_or_default(), USTAR_OWNER_BYTES);
        }
        header.set_cksum();
        header
    }
}

/// The two empty blocks after the last member.
pub fn write_end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK_BYTES, 0);
}

fn set_name(header: &mut Header, name: &[u8]) {
    if let Some(ustar) = header.as_ustar_mut() {
        copy_cut(&mut ustar.name, name, USTAR_NAME_BYTES);
    }
}

fn copy_cut(field: &mut [u8], bytes: &[u8], limit: usize) {
    let length = bytes.len().min(limit).min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

fn last_component(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
