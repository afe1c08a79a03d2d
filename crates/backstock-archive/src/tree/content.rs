//! Reading a file's content: exactly as many bytes as were announced, hashed on the way, holes left out.
//!
//! The hash of a file is BLAKE3 of its content. Of a file with holes it is BLAKE3 of its data areas, each preceded by
//! its offset and its length (two 64-bit little-endian numbers): hashing a hole of 100 GB would take minutes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use rustix::io::Errno;

use super::facts::Facts;
use crate::tar::sparse::{AREAS_LIMIT, Area, SparseMap};

/// Hashes content in the form that the index keeps.
#[derive(Debug, Default)]
pub struct ContentHasher {
    hasher: blake3::Hasher,
}

impl ContentHasher {
    /// A new one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An area of a file with holes begins.
    pub fn area(&mut self, area: Area) {
        self.hasher.update(&area.offset.to_le_bytes());
        self.hasher.update(&area.length.to_le_bytes());
    }

    /// So much content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The hash.
    pub fn finish(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

/// Where a file holds data, if it has holes.
pub(crate) fn find_holes(file: &File, facts: &Facts) -> io::Result<Option<SparseMap>> {
    let size_bytes = facts.size_bytes;
    if size_bytes == 0 || facts.allocated_bytes >= size_bytes {
        return Ok(None);
    }
    let mut areas: Vec<Area> = Vec::new();
    let mut position = 0;
    while position < size_bytes {
        let start = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(position)) {
            Ok(start) => start.min(size_bytes),
            Err(Errno::NXIO) => size_bytes,
            // A file system that tells nothing about holes.
            Err(Errno::INVAL | Errno::NOTSUP) => return rewound(file).map(|()| None),
            Err(error) => return Err(error.into()),
        };
        if start == size_bytes {
            break;
        }
        let end = match rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(start)) {
            Ok(end) => end.min(size_bytes),
            Err(Errno::NXIO) => size_bytes,
            Err(error) => return Err(error.into()),
        };
        if end <= start || areas.len() >= AREAS_LIMIT {
            return rewound(file).map(|()| None);
        }
        areas.push(Area { offset: start, length: end - start });
        position = end;
    }
    rewound(file)?;
    let map = SparseMap { areas, size_bytes };
    Ok(if map.data_bytes() < size_bytes { Some(map) } else { None })
}

fn rewound(mut file: &File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0)).map(|_| ())
}

/// Reads a file area by area.
pub(crate) struct ContentReader<'a> {
    file: &'a File,
    areas: Vec<Area>,
    is_sparse: bool,
    next: usize,
    left_in_area: u64,
    pub(crate) read_bytes: u64,
    /// The file ended early: the rest was filled with zero bytes.
    pub(crate) was_short: bool,
    hasher: ContentHasher,
}

impl<'a> ContentReader<'a> {
    pub(crate) fn new(file: &'a File, size_bytes: u64, map: Option<&SparseMap>) -> Self {
        let areas = match map {
            Some(map) => map.areas.clone(),
            None if size_bytes == 0 => Vec::new(),
            None => vec![Area { offset: 0, length: size_bytes }],
        };
        Self {
            file,
            areas,
            is_sparse: map.is_some(),
            next: 0,
            left_in_area: 0,
            read_bytes: 0,
            was_short: false,
            hasher: ContentHasher::new(),
        }
    }

    /// Appends up to `limit` bytes. Nothing appended means that all areas are read.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let mut appended = 0;
        while appended < limit {
            if self.left_in_area == 0 {
                let Some(area) = self.areas.get(self.next).copied() else { break };
                self.next += 1;
                self.left_in_area = area.length;
                if self.is_sparse {
                    self.file.seek(SeekFrom::Start(area.offset))?;
                    self.hasher.area(area);
                }
            }
            let want = self.left_in_area.min((limit - appended) as u64);
            let start = out.len();
            let got = if self.was_short { 0 } else { self.file.take(want).read_to_end(out)? as u64 };
            if got < want {
                self.was_short = true;
                out.resize(start + usize::try_from(want).unwrap_or(0), 0);
            }
            self.hasher.update(&out[start..]);
            self.left_in_area -= want;
            self.read_bytes += want;
            appended += out.len() - start;
        }
        Ok(appended)
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hasher.finish()
    }
}

/// Whether a name says that its content is compressed already, so that it is stored as it is.
pub(crate) fn is_compressed_name(name: &[u8]) -> bool {
    const ENDINGS: &[&str] = &[
        "jpg", "jpeg", "jpe", "png", "gif", "webp", "avif", "heic", "heif", "jxl", "mp4", "m4v", "mov",
        "webm", "mkv", "mp3", "m4a", "aac", "ogg", "oga", "ogv", "opus", "flac", "zip", "gz", "tgz", "bz2",
        "tbz2", "xz", "txz", "zst", "tzst", "lz4", "br", "7z", "rar", "woff", "woff2", "phar", "jar", "apk",
        "docx", "xlsx", "pptx", "odt", "ods", "bks", "gpg",
    ];
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return false };
    let ending = &name[dot + 1..];
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_file_that_shrank_is_filled_up_and_says_so() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.rewind().unwrap();
        let mut reader = ContentReader::new(&file, 15, None);
        let mut out = Vec::new();
        while reader.append(&mut out, 4).unwrap() > 0 {}
        assert_eq!(out, b"0123456789\0\0\0\0\0");
        assert!(reader.was_short);
    }

    #[test]
    fn holes_are_found_and_left_out() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        let facts = Facts::of_handle(&file).unwrap();
        let map = find_holes(&file, &facts).unwrap().unwrap();
        assert_eq!(map.size_bytes, 10 << 20);
        assert!(map.data_bytes() < 100_000);
        let mut reader = ContentReader::new(&file, facts.size_bytes, Some(&map));
        let mut out = Vec::new();
        while reader.append(&mut out, 1000).unwrap() > 0 {}
        assert_eq!(out.len() as u64, map.data_bytes());
        assert_eq!(out.iter().filter(|byte| **byte == 7).count(), 5000);
    }

    #[test]
    fn endings_are_compared_without_case() {
        assert!(is_compressed_name(b"A.JPG") && is_compressed_name(b"x.tar.gz"));
        assert!(!is_compressed_name(b"jpg") && !is_compressed_name(b"a.php"));
    }
}
