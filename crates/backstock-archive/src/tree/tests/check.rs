//! Decoding a whole archive against its index, and files that could not be read to their end (F26).

use std::fs;

use backstock_vocabulary::{ArtifactKind, Codec};

use super::super::*;
use super::fixture::{back_up, noise, request, torture, write};
use crate::artifact::{ArtifactOptions, ArtifactReader, ArtifactWriter, FrameTable, Storing};
use crate::index::{IndexReader, IndexWriter};
use crate::read_at::ReadAt;

#[test]
fn every_member_of_the_torture_tree_is_found_and_counted() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let shop = folder.path().join("shop");
        torture(&shop);
        let backup = back_up(&request(&shop), codec);
        let report = check_archive(&backup.reader(), &backup.index(), &NoMonitor).unwrap();
        assert_eq!(report.faults, Vec::<String>::new());
        assert_eq!(report.files, backup.report.files);
        let members = backup.entries().iter().filter(|entry| entry.frame.is_some()).count();
        assert_eq!(report.members, members as u64);
    }
}

/// Writes the same archive again with other lines in its index, or another text.
fn altered(text: impl Fn(&mut Vec<u8>), lines: impl Fn(&mut Vec<FileEntry>)) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for name in ["a", "b", "c"] {
        write(&shop, name, &noise(7, 1000));
    }
    let backup = back_up(&request(&shop), Codec::Zstd);
    assert_eq!(backup.artifact.frames.len(), 1);
    let mut frame = backup.archive().read_frame(0).unwrap();
    let mut entries = backup.entries();
    text(&mut frame);
    lines(&mut entries);
    let host = backstock_host::Host::real();
    let again = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let writer = ArtifactWriter::create(&host, again.path(), "files.tar.zst", &options).unwrap();
    writer.frame(frame, Storing::Compress).unwrap();
    let artifact = writer.finish().unwrap();
    let mut index = IndexWriter::create(&host, again.path(), &"header").unwrap();
    for entry in &entries {
        index.add(&entry.path, entry).unwrap();
    }
    let part = index.finish(&artifact.frames, &"summary").unwrap();
    let index = IndexReader::open(fs::File::open(again.path().join(&part.name)).unwrap(), &part).unwrap();
    let file: Box<dyn ReadAt> = Box::new(fs::File::open(again.path().join("files.tar.zst")).unwrap());
    let frames: FrameTable = index.frame_table().unwrap();
    let facts = crate::ManifestArtifact::data(ArtifactKind::Files, &artifact);
    let reader = ArtifactReader::open(&facts, vec![file], frames).unwrap();
    check_archive(&FilesSource::alone(reader), &index, &NoMonitor).unwrap()
}

#[test]
fn what_is_missing_moved_added_or_changed_is_a_fault() {
    assert_eq!(altered(|_| {}, |_| {}).faults, Vec::<String>::new());
    let faults = [
        altered(|_| {}, |lines| drop(lines.pop())),
        altered(|_| {}, |lines| drop(lines.remove(1))),
        altered(|_| {}, |lines| lines[2].offset_bytes += 512),
        altered(|_| {}, |lines| lines[2].mode ^= 0o111),
        altered(|_| {}, |lines| lines[2].modified.nanoseconds ^= 1),
        altered(|_| {}, |lines| lines[2].size_bytes += 1),
        altered(|_| {}, |lines| lines[2].blake3 = Some([0; 32])),
        altered(|text| text.truncate(text.len() - 1024), |_| {}),
        altered(|text| text.extend_from_slice(&[0; 512]), |_| {}),
        altered(|text| text.extend_from_slice(b"more"), |_| {}),
        altered(|text| text[1800] ^= 1, |_| {}),
    ];
    for (number, report) in faults.iter().enumerate() {
        assert_eq!(report.faults.len(), 1, "case {number}: {report:?}");
    }
}

#[test]
fn f26_a_long_file_that_cannot_be_read_to_its_end_is_named_and_never_taken_for_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    let path = write(&shop, "bad", &noise(3, 9 << 20));
    write(&shop, "good", b"good");
    let handle = std::sync::Arc::new(
        rustix::fs::open(&shop, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap(),
    );
    let seen = |name: &str| {
        let facts = facts::Facts::of_name(&*handle, name.as_bytes()).unwrap();
        walk::Found::seen(name.into(), std::sync::Arc::clone(&handle), name.as_bytes(), Some(facts))
    };
    let host = backstock_host::Host::real();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let writer = ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
    let mut index = IndexWriter::create(&host, folder.path(), &"header").unwrap();
    let owners = owners::Owners::default();
    let reader = read_item::ItemReader { owners: &owners, monitor: &NoMonitor };
    let mut assembler = assemble::Assembler::new(0, &writer, &mut index, &reader, &NoMonitor);
    let bad = seen("bad");
    let mut open = read_item::ItemReader::open(&bad).unwrap();
    // A handle that cannot read answers every read with an error, as a bad disk does.
    open.file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let bad = read_item::LongItem { found: bad, open, known: None, is_other: false };
    assemble::stream_long(&reader, &bad, &writer, &mut |output| assembler.take(output).map(drop)).unwrap();
    let mut bytes = Vec::new();
    let item = read_item::Item::new(seen("good"), None);
    let read_item::Outcome::Done(piece) = reader.read(item, &mut bytes) else { panic!("long") };
    assembler.take(assemble::Output::Batch { bytes, pieces: vec![*piece] }).unwrap();
    let report = assembler.finish(jobs::Walked::default()).unwrap();
    assert_eq!((report.files, report.unreadable.count), (1, 1), "{report:?}");
    let artifact = writer.finish().unwrap();
    let index = index.finish(&artifact.frames, &report).unwrap();
    let backup = super::fixture::Backup { folder, artifact, index, report };
    let entry = backup.entry(b"bad");
    assert!(entry.reason.as_ref().unwrap().ends_with("at byte 0"), "{:?}", entry.reason);
    let target = tempfile::tempdir().unwrap();
    let extracted = backup.extract(&target.path().join("own"), false);
    assert_eq!((extracted.files, extracted.absent.count), (1, 1), "{extracted:?}");
    assert!(!target.path().join("own/bad").exists());
    let checked = check_archive(&backup.reader(), &backup.index(), &NoMonitor).unwrap();
    assert_eq!((checked.files, checked.faults.len()), (1, 0), "{checked:?}");
    // Stock tar keeps its place in the archive and goes on.
    backup.stock_extract(&target.path().join("stock"));
    assert_eq!(fs::read(target.path().join("stock/good")).unwrap(), b"good");
}
