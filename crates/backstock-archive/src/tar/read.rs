//! Reading members back, strictly: only what [`super::member`] writes is accepted, everything else is refused by name.
//!
//! Data can be lost, or written to the wrong place, when a reader is lenient: nothing here repairs, rewrites or skips.

use std::io::{self, Read};

use tar::Header;

use super::sparse::{MapParser, SparseMap};
use super::{BLOCK_BYTES, Malformed, acl, dumpdir, padding_bytes, pax};

/// What a member is, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadKind {
    /// A file.
    File {
        /// Length in bytes, holes included.
        size_bytes: u64,
        /// Where its data lies when it has holes.
        sparse: Option<SparseMap>,
    },
    /// A folder.
    Folder,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A further name of another member.
    HardLink(Vec<u8>),
}

/// One member's header, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMember {
    /// Path: components joined by `/`, no leading or trailing one. Empty is the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: ReadKind,
    /// Permission bits (12).
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Time of last change of the content: seconds since the epoch, and nanoseconds that count forward.
    pub modified: (i64, u32),
    /// Extended attributes: name and value; lists in the kernel's form.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of data that follow (the map of a file with holes is already read), without padding: of a folder, the names in it.
    pub data_bytes: u64,
    /// Zero bytes after the data.
    pub padding_bytes: usize,
}

#[derive(Debug, Default)]
struct Records {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<(i64, u32)>,
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
    is_listed: bool,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads the next member's header, or `None` at the two empty blocks that end the archive.
pub fn read_member(reader: &mut dyn Read) -> io::Result<Option<ReadMember>> {
    let mut header = read_header(reader)?;
    let mut records = Records::default();
    let Some(first) = header.take() else {
        let second = read_header(reader)?;
        return if second.is_none() { Ok(None) } else { Err(refuse(Malformed("the end of an archive"))) };
    };
    let mut header = first;
    if header.as_bytes()[156] == b'x' {
        let length = header.entry_size().map_err(|_| refuse(Malformed("the length of a pax header")))?;
        if length > pax::EXTENDED_LIMIT_BYTES {
            return Err(refuse(Malformed("the length of a pax header")));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0) + padding_bytes(length)];
        reader.read_exact(&mut bytes)?;
        bytes.truncate(usize::try_from(length).unwrap_or(0));
        records = read_records(&bytes).map_err(refuse)?;
        header = read_header(reader)?.ok_or_else(|| refuse(Malformed("a pax header without its member")))?;
    }
    assemble(reader, &header, records).map(Some)
}

fn refuse(fault: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} in a tar header is not as it should be", fault.0))
}

fn read_header(reader: &mut dyn Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_ustar();
    reader.read_exact(header.as_mut_bytes())?;
    if header.as_bytes().iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum: u32 = header
        .as_bytes()
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    if header.as_ustar().is_none() || header.cksum().ok() != Some(sum) {
        return Err(refuse(Malformed("the checksum")));
    }
    Ok(Some(header))
}

fn read_records(bytes: &[u8]) -> Result<Records, Malformed> {
    let mut records = Records::default();
    let id =
        |value: &[u8]| pax::number(value).and_then(|id| u32::try_from(id).ok()).ok_or(Malformed("an owner"));
    for (keyword, value) in pax::parse(bytes)? {
        match keyword {
            b"path" => records.path = Some(value.to_vec()),
            b"linkpath" => records.link = Some(value.to_vec()),
            b"size" => records.size = Some(pax::number(value).ok_or(Malformed("a size"))?),
            b"uid" => records.uid = Some(id(value)?),
            b"gid" => records.gid = Some(id(value)?),
            b"mtime" => records.modified = Some(pax::parse_time(value)?),
            b"uname" | b"gname" => {}
            dumpdir::KEYWORD => {
                dumpdir::check(value)?;
                records.is_listed = true;
            }
            b"GNU.sparse.major" if value == b"1" => {}
            b"GNU.sparse.minor" if value == b"0" => {}
            b"GNU.sparse.name" => records.sparse_name = Some(value.to_vec()),
            b"GNU.sparse.realsize" => {
                records.sparse_size = Some(pax::number(value).ok_or(Malformed("a size"))?);
            }
            b"SCHILY.acl.access" | b"SCHILY.acl.default" => {
                let text = std::str::from_utf8(value).map_err(|_| Malformed("an access control list"))?;
                let name = if keyword.ends_with(b"access") { acl::ACCESS } else { acl::DEFAULT };
                records.attributes.push((name.to_vec(), acl::from_text(text)?));
            }
            _ => match keyword.strip_prefix(b"SCHILY.xattr.") {
                Some(name) => records.attributes.push((unescape(name), value.to_vec())),
                None => return Err(Malformed("a pax keyword")),
            },
        }
    }
    Ok(records)
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"%25") {
            out.push(b'%');
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix(b"%3D") {
            out.push(b'=');
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

fn assemble(reader: &mut dyn Read, header: &Header, records: Records) -> io::Result<ReadMember> {
    let field = |what: &'static str| move |_| refuse(Malformed(what));
    let size = match (records.size, header.entry_size().map_err(field("the size"))?) {
        // A second size is taken only where ustar's field cannot hold it: two readers must agree on every length.
        (Some(size), 0o777_7777_7777) if size > 0o777_7777_7777 => size,
        (Some(_), _) => return Err(refuse(Malformed("the size"))),
        (None, size) => size,
    };
    let link = || records.link.clone().unwrap_or_else(|| cut_at_zero(&header.as_bytes()[157..257]));
    let mut data_bytes = 0;
    let mut sparse_read = 0;
    let kind = match (header.as_bytes()[156], records.sparse_size) {
        (b'0', None) => {
            data_bytes = size;
            ReadKind::File { size_bytes: size, sparse: None }
        }
        (b'0', Some(size_bytes)) => {
            let map = read_map(reader, size, size_bytes, &mut sparse_read)?;
            data_bytes = map.data_bytes();
            ReadKind::File { size_bytes, sparse: Some(map) }
        }
        (b'5', None) if size == 0 => ReadKind::Folder,
        (dumpdir::TYPE, None) if size <= dumpdir::LIMIT_BYTES && !records.is_listed => {
            data_bytes = size;
            ReadKind::Folder
        }
        (b'2', None) if size == 0 => ReadKind::Symlink(link()),
        (b'1', None) if size == 0 => ReadKind::HardLink(link()),
        _ => return Err(refuse(Malformed("the type"))),
    };
    if sparse_read + data_bytes != size {
        return Err(refuse(Malformed("the size")));
    }
    if records.is_listed && kind != ReadKind::Folder {
        return Err(refuse(Malformed("the list of a folder")));
    }
    let own_path = records.path.unwrap_or_else(|| cut_at_zero(&header.as_bytes()[..100]));
    let path = records.sparse_name.unwrap_or(own_path);
    let path = plain_path(path, kind == ReadKind::Folder).map_err(refuse)?;
    let number = |id: u64| u32::try_from(id).map_err(|_| refuse(Malformed("an owner")));
    Ok(ReadMember {
        path,
        kind,
        mode: header.mode().map_err(field("the mode"))? & 0o7777,
        uid: match records.uid {
            Some(uid) => uid,
            None => number(header.uid().map_err(field("an owner"))?)?,
        },
        gid: match records.gid {
            Some(gid) => gid,
            None => number(header.gid().map_err(field("an owner"))?)?,
        },
        modified: match records.modified {
            Some(modified) => modified,
            None => (i64::try_from(header.mtime().map_err(field("a time"))?).unwrap_or(i64::MAX), 0),
        },
        attributes: records.attributes,
        data_bytes,
        padding_bytes: padding_bytes(data_bytes),
    })
}

fn read_map(
    reader: &mut dyn Read,
    stored_bytes: u64,
    size_bytes: u64,
    read_bytes: &mut u64,
) -> io::Result<SparseMap> {
    let mut parser = MapParser::default();
    let mut block = [0; BLOCK_BYTES];
    while *read_bytes < stored_bytes {
        reader.read_exact(&mut block)?;
        *read_bytes += BLOCK_BYTES as u64;
        if let Some(map) = parser.block(&block, size_bytes).map_err(refuse)? {
            return Ok(map);
        }
    }
    Err(refuse(Malformed("a sparse map")))
}

fn cut_at_zero(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// The path without the `/` that ends a folder's, after checking that it can only name something below the target.
fn plain_path(mut path: Vec<u8>, is_folder: bool) -> Result<Vec<u8>, Malformed> {
    if is_folder && path.pop() != Some(b'/') {
        return Err(Malformed("the path of a folder"));
    }
    if is_folder && path == b"." {
        return Ok(Vec::new());
    }
    if is_safe_path(&path) { Ok(path) } else { Err(Malformed("the path")) }
}

/// Whether a path is one that we write: not empty, not absolute, no empty, `.` or `..` component, no zero byte.
pub fn is_safe_path(path: &[u8]) -> bool {
    !path.contains(&0) && path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::super::member::{Member, MemberKind, write_end};
    use super::super::sparse::Area;
    use super::*;
    use proptest::prelude::*;

    fn member<'a>(path: &'a [u8], kind: MemberKind<'a>, attributes: &'a [(Vec<u8>, Vec<u8>)]) -> Member<'a> {
        Member {
            path,
            kind,
            mode: 0o4755,
            uid: 3_000_000,
            gid: 33,
            user_name: None,
            group_name: Some(b"www-data"),
            modified: (-5, 12),
            attributes,
        }
    }

    fn round_trip(member: &Member<'_>) -> io::Result<Option<ReadMember>> {
        let mut bytes = Vec::new();
        member.write(&mut bytes);
        read_member(&mut &bytes[..])
    }

    #[test]
    fn every_kind_comes_back() {
        let map = SparseMap { areas: vec![Area { offset: 4096, length: 10 }], size_bytes: 100_000 };
        let long = vec![b'l'; 5000];
        let kinds = [
            (MemberKind::Folder, ReadKind::Folder),
            (MemberKind::Symlink(&long), ReadKind::Symlink(long.clone())),
            (MemberKind::HardLink(b"a/b"), ReadKind::HardLink(b"a/b".to_vec())),
            (
                MemberKind::File { size_bytes: 1 << 40, sparse: None },
                ReadKind::File { size_bytes: 1 << 40, sparse: None },
            ),
            (
                MemberKind::File { size_bytes: 100_000, sparse: Some(&map) },
                ReadKind::File { size_bytes: 100_000, sparse: Some(map.clone()) },
            ),
        ];
        let attributes = [(b"user.a=b%c".to_vec(), vec![0, 10, 255])];
        for (written, expected) in kinds {
            let read = round_trip(&member(b"-x/\xff\n y", written, &attributes)).unwrap().unwrap();
            assert_eq!(read.kind, expected);
            assert_eq!(read.path, b"-x/\xff\n y");
            assert_eq!((read.mode, read.uid, read.gid, read.modified), (0o4755, 3_000_000, 33, (-5, 12)));
            assert_eq!(read.attributes, attributes);
        }
    }

    #[test]
    fn the_root_is_a_folder_with_an_empty_path_and_the_end_is_the_end() {
        let mut bytes = Vec::new();
        member(b"", MemberKind::Folder, &[]).write(&mut bytes);
        write_end(&mut bytes);
        let mut reader = &bytes[..];
        assert_eq!(read_member(&mut reader).unwrap().unwrap().path, b"");
        assert_eq!(read_member(&mut reader).unwrap(), None);
        assert!(read_member(&mut reader).is_err());
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [&b"../x"[..], b"/etc/passwd", b"a/../../x", b"a//b", b"./a", b"a/.", b""] {
            let refused = round_trip(&member(path, MemberKind::Symlink(b"t"), &[]));
            // An empty path is written as the root, which only a folder can be.
            assert!(refused.is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_smuggled_size_is_refused() {
        let mut records = Vec::new();
        pax::push(&mut records, b"size", b"5");
        assert!(read_records(&records).is_ok());
        let mut bytes = Vec::new();
        let mut header = Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(records.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&records);
        super::super::pad(&mut bytes, records.len() as u64);
        let mut plain = member(b"a", MemberKind::File { size_bytes: 0, sparse: None }, &[]);
        plain.modified = (5, 0);
        plain.uid = 0;
        plain.write(&mut bytes);
        assert!(read_member(&mut &bytes[..]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 512..2048), kind in 0usize..6, at in 0usize..512, value in any::<u8>()) {
            // Random bytes never pass the checksum, so a true header is bent in one place and its sum put right.
            let mut header = Header::new_ustar();
            header.set_entry_type(tar::EntryType::new(b"x0512L"[kind]));
            header.as_mut_bytes()[at] = value;
            header.set_size(300);
            header.set_cksum();
            bytes[..512].copy_from_slice(header.as_bytes());
            let _ = read_member(&mut &bytes[..]);
        }

        #[test]
        fn any_name_round_trips(path in prop::collection::vec(any::<u8>().prop_filter("a byte a name can hold", |byte| *byte != 0 && *byte != b'/'), 1..255)) {
            prop_assume!(is_safe_path(&path));
            let kind = MemberKind::File { size_bytes: 7, sparse: None };
            prop_assert_eq!(round_trip(&member(&path, kind, &[])).unwrap().unwrap().path, path);
        }
    }
}
