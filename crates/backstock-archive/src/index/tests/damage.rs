//! Damage of an index at rest (F73, F74, F75): every byte is covered by some hash or check.

use super::*;
use crate::Error;

fn small() -> Written {
    let keys: Vec<_> = (0..40).map(|n| format!("catalog/{n:02}").into_bytes()).collect();
    write(&keys, &frames(4))
}

/// Opens and reads everything, with the manifest's words and without them.
fn read(written: &Written, bytes: &Vec<u8>) -> [crate::Result<()>; 2] {
    let told = IndexReader::open(bytes, &written.part);
    let untold = IndexReader::open_unsigned(bytes, "files/index.zst");
    [told, untold].map(|reader| reader.and_then(|reader| read_all(&reader).map(|_| ())))
}

#[test]
fn f73_any_flipped_bit_is_found_and_located() {
    let written = small();
    let mut bytes = written.bytes.clone();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            for result in read(&written, &bytes) {
                match result.unwrap_err() {
                    Error::Damaged { part, offset, size_bytes, .. } => {
                        assert!(part.ends_with("index.zst"));
                        let region = offset..offset + size_bytes;
                        // Where the trailer's hash is hit, the directory is what does not fit.
                        let is_trailer = at + directory::TRAILER_BYTES >= bytes.len();
                        assert!(is_trailer || region.contains(&(at as u64)), "byte {at}: {region:?}");
                    }
                    Error::NewerFormat { .. } => assert!(at + directory::TRAILER_BYTES >= bytes.len()),
                    other => panic!("byte {at}: {other}"),
                }
            }
            bytes[at] ^= 1 << bit;
        }
    }
    assert!(read(&written, &bytes).iter().all(Result::is_ok));
}

#[test]
fn f74_any_other_length_is_refused() {
    let written = small();
    for length in (0..written.bytes.len()).chain([written.bytes.len() + 1, written.bytes.len() + 4_096]) {
        let mut bytes = written.bytes.clone();
        bytes.resize(length, 0);
        for result in read(&written, &bytes) {
            assert!(result.unwrap_err().is_damage(), "length {length}");
        }
    }
}

/// A whole index of the same length from elsewhere is valid by itself, and not what the manifest tells.
#[test]
fn f75_another_index_is_refused() {
    let written = small();
    let keys: Vec<_> = (0..40).map(|n| format!("cataloh/{n:02}").into_bytes()).collect();
    let other = write(&keys, &frames(4));
    let mut part = written.part.clone();
    part.size_bytes = other.bytes.len() as u64;
    assert!(IndexReader::open_unsigned(&other.bytes, "files/index.zst").is_ok());
    assert!(IndexReader::open(&other.bytes, &part).unwrap_err().is_damage());
}

#[test]
fn a_page_that_cannot_be_read_ends_the_stream_with_its_error() {
    let keys: Vec<_> = (0..5_000).map(|n| format!("{n:05}").into_bytes()).collect();
    let mut written = write(&keys, &frames(1));
    let middle = written.bytes.len() / 2;
    written.bytes[middle] ^= 1;
    let reader = open(&written);
    let read: Vec<_> = reader.entries::<Fact>().collect();
    let (last, before) = read.split_last().unwrap();
    assert!(last.is_err() && before.iter().all(Result::is_ok) && before.len() < 5_000);
}
