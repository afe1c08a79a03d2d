//! Indexes against plain lists.

use backstock_host::Host;
use serde::{Deserialize, Serialize};

use super::*;
use crate::artifact::FrameTable;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fact {
    size_bytes: u64,
    note: String,
}

#[test]
fn entries_are_found_streamed_and_ranged() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::create(&Host::real(), folder.path(), &"files").unwrap();
    let mut keys: Vec<Vec<u8>> = (0..5_000).map(|n| format!("img/{}/{n}.jpg", n % 7).into_bytes()).collect();
    keys.push(b"img/\xff\xfe".to_vec());
    keys.sort_by(|a, b| compare_keys(a, b));
    for (n, key) in keys.iter().enumerate() {
        writer.add(key, &Fact { size_bytes: n as u64, note: "x".repeat(n % 90) }).unwrap();
    }
    let part = writer.finish(&FrameTable::default(), &42).unwrap();
    let file = std::fs::File::open(folder.path().join(INDEX_NAME)).unwrap();
    let reader = IndexReader::open(file, &part).unwrap();
    assert_eq!(reader.header::<String>().unwrap(), "files");
    assert_eq!(reader.summary::<u64>().unwrap(), 42);
    assert_eq!(reader.entry_count(), keys.len() as u64);
    let read: Vec<_> = reader.entries::<Fact>().map(|entry| entry.unwrap().key).collect();
    assert_eq!(read, keys);
    for (n, key) in keys.iter().enumerate().step_by(37) {
        assert_eq!(reader.find::<Fact>(key).unwrap().unwrap().size_bytes, n as u64);
    }
    assert_eq!(reader.find::<Fact>(b"img/3/x").unwrap(), None);
    let below = reader.range::<Fact>(b"img/3").count();
    assert_eq!(below, keys.iter().filter(|key| key.starts_with(b"img/3/")).count());
}
