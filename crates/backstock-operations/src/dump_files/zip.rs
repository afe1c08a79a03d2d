//! Reads zip archives, as far as dumps need it: the list at their end, stored and deflated entries (PKWARE APPNOTE 6.3,
//! sections 4.3 and 4.5.3).

use std::io::{self, BufRead, Read, Seek, SeekFrom};

const END_MARK: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
/// A comment of 64 KiB may stand behind the end of the list.
const END_SEARCH_BYTES: u64 = 65_535 + END_BYTES as u64;
const END64_LOCATOR_MARK: [u8; 4] = *b"PK\x06\x07";
const END64_LOCATOR_BYTES: usize = 20;
const END64_MARK: [u8; 4] = *b"PK\x06\x06";
const ENTRY_MARK: [u8; 4] = *b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL_MARK: [u8; 4] = *b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const EXTRA_ZIP64: u16 = 1;
const FLAG_ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The list of an archive is at most this long, bytes.
const LIST_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    method: u16,
    flags: u16,
    crc32: u32,
    packed_bytes: u64,
    plain_bytes: u64,
    offset: u64,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged: {what}"))
}

fn number(bytes: &[u8], at: usize, length: usize) -> io::Result<u64> {
    let part = bytes.get(at..at + length).ok_or_else(|| broken("it ends too early"))?;
    Ok(part.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn short(bytes: &[u8], at: usize) -> io::Result<u16> {
    number(bytes, at, 2).map(|number| u16::try_from(number).unwrap_or(u16::MAX))
}

/// The list of files.
pub(super) fn entries(file: &mut (impl Read + Seek), limit: usize) -> io::Result<Vec<Entry>> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_start = length.saturating_sub(END_SEARCH_BYTES);
    let tail = read_at(file, tail_start, length - tail_start)?;
    let end = tail.windows(4).rposition(|window| window == END_MARK);
    let end = end.ok_or_else(|| broken("its list of files is not there"))?;
    let comment_bytes = usize::from(short(&tail, end + 20)?);
    if tail.len() < end + END_BYTES + comment_bytes {
        return Err(broken("it ends too early"));
    }
    let mut count = number(&tail, end + 10, 2)?;
    let mut list_bytes = number(&tail, end + 12, 4)?;
    let mut list_start = number(&tail, end + 16, 4)?;
    let locator =
        end.checked_sub(END64_LOCATOR_BYTES).filter(|at| tail[*at..].starts_with(&END64_LOCATOR_MARK));
    if let Some(locator) = locator {
        let place = number(&tail, locator + 8, 8)?;
        let end64 = read_at(file, place, 56)?;
        if !end64.starts_with(&END64_MARK) {
            return Err(broken("its long list is not there"));
        }
        count = number(&end64, 32, 8)?;
        list_bytes = number(&end64, 40, 8)?;
        list_start = number(&end64, 48, 8)?;
    }
    if list_bytes > LIST_LIMIT_BYTES || count > limit as u64 {
        return Err(broken("it has more files than any dump"));
    }
    let list = read_at(file, list_start, list_bytes)?;
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let (entry, next) = entry(&list, at)?;
        // A folder has no content.
        if !entry.name.ends_with('/') {
            found.push(entry);
        }
        at = next;
    }
    Ok(found)
}

fn read_at(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(broken("it ends too early")) }
}

fn entry(list: &[u8], at: usize) -> io::Result<(Entry, usize)> {
    if list.get(at..at + 4) != Some(&ENTRY_MARK) {
        return Err(broken("its list of files cannot be read"));
    }
    let name_start = at + ENTRY_BYTES;
    let extra_start = name_start + usize::from(short(list, at + 28)?);
    let extra_end = extra_start + usize::from(short(list, at + 30)?);
    let next = extra_end + usize::from(short(list, at + 32)?);
    let name = list.get(name_start..extra_start).ok_or_else(|| broken("a name ends too early"))?;
    let mut entry = Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        flags: short(list, at + 8)?,
        method: short(list, at + 10)?,
        crc32: u32::try_from(number(list, at + 16, 4)?).unwrap_or_default(),
        packed_bytes: number(list, at + 20, 4)?,
        plain_bytes: number(list, at + 24, 4)?,
        offset: number(list, at + 42, 4)?,
    };
    let extra = list.get(extra_start..extra_end).ok_or_else(|| broken("a field ends too early"))?;
    let mut field = 0;
    while field + 4 <= extra.len() {
        let length = usize::from(short(extra, field + 2)?);
        if short(extra, field)? == EXTRA_ZIP64 {
            let mut value = field + 4;
            for part in [&mut entry.plain_bytes, &mut entry.packed_bytes, &mut entry.offset] {
                if *part == u64::from(u32::MAX) {
                    *part = number(extra, value, 8)?;
                    value += 8;
                }
            }
        }
        field += 4 + length;
    }
    Ok((entry, next))
}

/// Where the content of an entry starts.
pub(super) fn data_start(file: &mut (impl Read + Seek), entry: &Entry) -> io::Result<u64> {
    let head = read_at(file, entry.offset, LOCAL_BYTES as u64)?;
    if !head.starts_with(&LOCAL_MARK) {
        return Err(broken("a file is not where the list says"));
    }
    let name = u64::from(short(&head, 26)?);
    let extra = u64::from(short(&head, 28)?);
    Ok(entry.offset + LOCAL_BYTES as u64 + name + extra)
}

/// The content of an entry, from a stream that stands at its start; checked against its length and CRC-32 at the end.
pub(super) fn reader<'a>(input: impl BufRead + 'a, entry: &Entry) -> io::Result<Box<dyn Read + 'a>> {
    if entry.flags & FLAG_ENCRYPTED != 0 {
        return Err(io::Error::other(format!("{} is encrypted", entry.name)));
    }
    let packed = input.take(entry.packed_bytes);
    let plain: Box<dyn Read + 'a> = match entry.method {
        STORED => Box::new(packed),
        DEFLATED => Box::new(flate2::bufread::DeflateDecoder::new(packed)),
        method => {
            let what = format!("{} is packed by the method {method}, which is not known here", entry.name);
            return Err(io::Error::other(what));
        }
    };
    Ok(Box::new(Checked { plain, crc: flate2::Crc::new(), bytes: 0, entry: entry.clone() }))
}

struct Checked<R> {
    plain: R,
    crc: flate2::Crc,
    bytes: u64,
    entry: Entry,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.crc.update(&buffer[..count]);
        self.bytes += count as u64;
        let is_end = count == 0 && !buffer.is_empty();
        if is_end && (self.crc.sum() != self.entry.crc32 || self.bytes != self.entry.plain_bytes) {
            return Err(broken("a file is not as long as, or not what, the list says"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    /// An archive of one file, made by hand from the description of the format.
    fn archive(name: &str, text: &[u8], deflates: bool) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(text);
        let packed = if deflates {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(text).unwrap();
            out.finish().unwrap()
        } else {
            text.to_vec()
        };
        let method: u16 = if deflates { 8 } else { 0 };
        let small = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
        let long = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let shared = [
            &[20, 0, 0, 0][..],
            &method.to_le_bytes(),
            &[0; 4],
            &crc.sum().to_le_bytes(),
            &long(packed.len()),
            &long(text.len()),
            &small(name.len()),
            &[0; 2],
        ]
        .concat();
        let mut out = [&LOCAL_MARK[..], &shared, name.as_bytes(), &packed].concat();
        let start = out.len();
        out.extend([&ENTRY_MARK[..], &[20, 0], &shared, &[0; 10], &long(0), name.as_bytes()].concat());
        let list = out.len() - start;
        out.extend(
            [&END_MARK[..], &[0; 4], &small(1), &small(1), &long(list), &long(start), &[0; 2]].concat(),
        );
        out
    }

    fn content(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = Cursor::new(bytes);
        let entry = entries(&mut file, 10)?.remove(0);
        let start = data_start(&mut file, &entry)?;
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        reader(file, &entry)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn entries_are_read_and_checked() {
        for deflates in [false, true] {
            let bytes = archive("a.sql", b"SELECT 1; SELECT 1; SELECT 1;", deflates);
            assert_eq!(content(&bytes).unwrap(), b"SELECT 1; SELECT 1; SELECT 1;");
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x40;
                // Whatever is damaged: the content, or an error; never another content.
                if let Ok(text) = content(&damaged) {
                    assert_eq!(text, b"SELECT 1; SELECT 1; SELECT 1;", "byte {at}");
                }
                assert!(content(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
