//! Indexes against plain lists, against damage and against hostile bytes.

mod damage;
mod hostile;
mod model;

use backstock_host::Host;
use serde::{Deserialize, Serialize};

use super::*;
use crate::artifact::{FrameRow, FrameTable, Part};
use crate::digest::FrameHash;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fact {
    size_bytes: u64,
    note: String,
}

/// An index's bytes and what a manifest would tell of it.
struct Written {
    bytes: Vec<u8>,
    part: Part,
}

fn fact(n: usize) -> Fact {
    Fact { size_bytes: n as u64, note: format!("\"{n}\"\n\u{1F6D2}").repeat(n % 4) }
}

fn frames(count: u32) -> FrameTable {
    let mut table = FrameTable::default();
    for n in 0..count {
        table.push(FrameRow(n + 1, n * 3, FrameHash::of(&n.to_le_bytes())));
    }
    table
}

/// Entries `fact(0)`, `fact(1)` … under these keys, which must be sorted.
fn write(keys: &[Vec<u8>], frames: &FrameTable) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::create(&Host::real(), folder.path(), &"what follows").unwrap();
    for (n, key) in keys.iter().enumerate() {
        writer.add(key, &fact(n)).unwrap();
    }
    let part = writer.finish(frames, &keys.len()).unwrap();
    let bytes = std::fs::read(folder.path().join(INDEX_NAME)).unwrap();
    Written { bytes, part }
}

fn open(written: &Written) -> IndexReader<&Vec<u8>> {
    IndexReader::open(&written.bytes, &written.part).unwrap()
}

/// Everything that an index tells, or the first error.
fn read_all(
    reader: &IndexReader<&Vec<u8>>,
) -> crate::Result<(String, Vec<IndexEntry<Fact>>, FrameTable, usize)> {
    let header = reader.header()?;
    let entries = reader.entries().collect::<crate::Result<_>>()?;
    Ok((header, entries, reader.frame_table()?, reader.summary()?))
}
