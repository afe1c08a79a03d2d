//! What an index gives is what a sorted list gives.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::read_at::ReadAt;

fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let component = prop_oneof![
        4 => "[ab.]{1,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
        1 => "[a-z]{200}".prop_map(String::into_bytes),
    ];
    let key = prop::collection::vec(component, 0..4).prop_map(|parts| parts.join(&b'/'));
    prop::collection::vec(key, 0..700).prop_map(|mut keys| {
        keys.sort_by(|left, right| compare_keys(left, right));
        keys.dedup();
        keys
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streaming_finding_and_ranging_agree_with_a_list(keys in keys(), others in keys()) {
        let written = write(&keys, &frames(3));
        let reader = open(&written);
        let (header, entries, table, summary) = read_all(&reader).unwrap();
        prop_assert_eq!((header.as_str(), summary), ("what follows", keys.len()));
        prop_assert_eq!(table, frames(3));
        prop_assert_eq!(reader.entry_count(), keys.len() as u64);
        let model: Vec<_> =
            keys.iter().enumerate().map(|(n, key)| IndexEntry { key: key.clone(), entry: fact(n) }).collect();
        prop_assert!(entries == model);
        for key in keys.iter().step_by(23).chain(others.iter().step_by(11)) {
            let found = reader.find::<Fact>(key).unwrap();
            let expected = model.iter().find(|entry| entry.key == *key).map(|entry| entry.entry.clone());
            prop_assert_eq!(found, expected);
            let range: Vec<_> = reader.range::<Fact>(key).map(|entry| entry.unwrap().key).collect();
            let below: Vec<_> = keys.iter().filter(|other| is_at_or_below(other, key)).cloned().collect();
            prop_assert_eq!(range, below);
        }
    }
}

#[test]
fn keys_that_do_not_ascend_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::create(&Host::real(), folder.path(), &()).unwrap();
    writer.add(b"a/b", &1).unwrap();
    for key in [&b"a/b"[..], b"a/a", b"a", b""] {
        let error = writer.add(key, &2).unwrap_err();
        assert!(matches!(error, crate::Error::KeyOrder { .. }), "{error}");
    }
    writer.add(b"a.b", &3).unwrap();
}

#[test]
fn a_long_frame_table_comes_back() {
    let table = frames(20_000);
    let written = write(&[], &table);
    assert_eq!(open(&written).frame_table().unwrap(), table);
}

/// Stock `zstd` shows one JSON object a line, in the order of `docs/format.md`.
#[test]
fn zstd_shows_an_index_as_json_lines() {
    let keys: Vec<_> = (0..9).map(|n| vec![b'0' + n]).chain([b"\xff".to_vec()]).collect();
    let written = write(&keys, &frames(300));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.zst"), &written.bytes).unwrap();
    let output = std::process::Command::new("zstd")
        .args(["-dc", "index.zst"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines[0]["format"]["major"], 1);
    assert_eq!(lines[0]["header"], "what follows");
    assert_eq!(lines[1]["key"], "0");
    assert_eq!(lines[10]["key_base64"], "/w==");
    assert_eq!(lines[10]["entry"]["size_bytes"], 9);
    assert_eq!(lines[11]["frames"][0][0], 1);
    assert_eq!(lines[12]["frames"].as_array().unwrap().len(), 300 - 256);
    assert_eq!(lines[13]["summary"], 10);
    assert_eq!(lines[14]["page"]["kind"], "header");
    assert_eq!(lines.len(), 14 + 4);
}

/// Counts what is read.
struct Counted(Vec<u8>, AtomicU64);

impl ReadAt for Counted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.0.read_at(buffer, offset)?;
        self.1.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }
}

#[test]
fn finding_one_entry_reads_a_small_part_of_the_file() {
    let keys: Vec<_> = (0..30_000).map(|n| format!("image/{n:05}.jpg").into_bytes()).collect();
    let written = write(&keys, &frames(5));
    let size_bytes = written.bytes.len() as u64;
    let counted = Counted(written.bytes, AtomicU64::new(0));
    let reader = IndexReader::open(&counted, &written.part).unwrap();
    assert_eq!(reader.find::<Fact>(b"image/17171.jpg").unwrap(), Some(fact(17_171)));
    let read_bytes = counted.1.load(Ordering::SeqCst);
    assert!(read_bytes * 5 < size_bytes, "{read_bytes} of {size_bytes} bytes were read");
}

/// One long line (a table with a long definition) makes one long page, and no other.
#[test]
fn a_line_longer_than_a_page_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::create(&Host::real(), folder.path(), &()).unwrap();
    let long = "x".repeat(5 * PAGE_SIZE_BYTES);
    writer.add(b"a", &"short").unwrap();
    writer.add(b"b", &long).unwrap();
    writer.add(b"c", &"short").unwrap();
    let part = writer.finish(&FrameTable::default(), &()).unwrap();
    let bytes = std::fs::read(folder.path().join(INDEX_NAME)).unwrap();
    let reader = IndexReader::open(&bytes, &part).unwrap();
    assert_eq!(reader.find::<String>(b"b").unwrap(), Some(long));
    assert_eq!(reader.find::<String>(b"c").unwrap().as_deref(), Some("short"));
}

#[test]
fn a_line_longer_than_any_page_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::create(&Host::real(), folder.path(), &()).unwrap();
    let error = writer.add(b"a", &"x".repeat(PAGE_LIMIT_BYTES)).unwrap_err();
    assert!(matches!(error, crate::Error::FrameTooLong { .. }), "{error}");
}
