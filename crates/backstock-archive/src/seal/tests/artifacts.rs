//! Whole artifacts and indexes, sealed as they are written and read through the same readers as any other.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec};

use super::{Predictable, backup_id, seal_for, text_of};
use crate::artifact::{
    Artifact, ArtifactOptions, ArtifactReader, ArtifactStream, ArtifactWriter, Part, Storing, check_part,
};
use crate::index::{IndexOptions, IndexReader, IndexWriter};
use crate::manifest::ManifestArtifact;
use crate::read_at::ReadAt;
use crate::seal::{ArtifactSeal, BackupSeal, OpenedPart, SealedHeader, SegmentCache, Suite};

const FRAMES: usize = 40;
const FRAME_BYTES: usize = 300_000;

fn written(folder: &Path, seal: &Arc<BackupSeal>, part_size_bytes: u64) -> (Artifact, Vec<u8>) {
    let seal = Some(ArtifactSeal::of(seal, ArtifactKind::Files));
    let options = ArtifactOptions { part_size_bytes, seal, ..ArtifactOptions::of(Codec::Zstd, 2) };
    let writer = ArtifactWriter::create(&Host::real(), folder, "files.tar.zst", &options).unwrap();
    let text = text_of(FRAMES * FRAME_BYTES);
    for (number, frame) in text.chunks(FRAME_BYTES).enumerate() {
        let storing = if number % 3 == 0 { Storing::Compress } else { Storing::Store };
        writer.frame(frame.to_vec(), storing).unwrap();
    }
    (writer.finish().unwrap(), text)
}

fn opened(folder: &Path, parts: &[Part], seal: &BackupSeal) -> Vec<Box<dyn ReadAt>> {
    let cache = Arc::new(SegmentCache::default());
    let open = |(number, part): (usize, &Part)| {
        let stored = std::fs::read(folder.join(&part.name)).unwrap();
        let header = SealedHeader::read(&stored, &part.name).unwrap();
        let opened = OpenedPart::open(Box::new(stored), &part.name, &header, seal.key(), number, &cache);
        Box::new(opened.unwrap()) as Box<dyn ReadAt>
    };
    parts.iter().enumerate().map(open).collect()
}

#[test]
fn a_sealed_artifact_in_parts_is_read_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let part_size_bytes = 2_500_000;
    let (artifact, text) = written(folder.path(), &seal, part_size_bytes);
    assert!(artifact.parts.len() > 4, "{:?}", artifact.parts);
    let facts = ManifestArtifact::data(ArtifactKind::Files, &artifact);
    for (at, part) in artifact.parts.iter().enumerate() {
        assert_eq!(part.name, format!("files.tar.zst.{:03}.bks", at + 1));
        assert!(part.size_bytes <= part_size_bytes, "{}", part.size_bytes);
        let stored = std::fs::read(folder.path().join(&part.name)).unwrap();
        let wrong = check_part(&stored, part, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(wrong.is_empty(), "what is hashed is what is stored: {wrong:?}");
        let header = SealedHeader::read(&stored, &part.name).unwrap();
        header.require(backup_id(1), &facts, at + 1).unwrap();
        assert!(header.require(backup_id(1), &facts, at + 2).unwrap_err().is_damage());
        assert!(header.require(backup_id(2), &facts, at + 1).unwrap_err().is_damage());
    }
    let parts = opened(folder.path(), &artifact.parts, &seal);
    let reader = ArtifactReader::open(&facts, parts, artifact.frames.clone()).unwrap();
    for (number, frame) in text.chunks(FRAME_BYTES).enumerate().rev() {
        assert!(reader.read_frame(number as u64).unwrap() == frame, "{number}");
    }
    let mut stream = ArtifactStream::open(&facts, opened(folder.path(), &artifact.parts, &seal)).unwrap();
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole).unwrap();
    assert!(whole == text);
}

#[test]
fn an_only_part_has_no_number_and_no_plaintext() {
    let folder = tempfile::tempdir().unwrap();
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let (artifact, text) = written(folder.path(), &seal, u64::MAX);
    assert_eq!(artifact.parts[0].name, "files.tar.zst.bks");
    let stored = std::fs::read(folder.path().join("files.tar.zst.bks")).unwrap();
    let piece = &text[FRAME_BYTES + 50..FRAME_BYTES + 66];
    assert!(!stored.windows(16).any(|window| window == piece), "a stored frame is not sealed");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn damage_in_a_sealed_part_is_told_by_part_and_region() {
    let folder = tempfile::tempdir().unwrap();
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    let (artifact, _) = written(folder.path(), &seal, u64::MAX);
    let path = folder.path().join("files.tar.zst.bks");
    let mut stored = std::fs::read(&path).unwrap();
    stored[4096 + (3 << 20) + 99] ^= 1;
    std::fs::write(&path, stored).unwrap();
    let facts = ManifestArtifact::data(ArtifactKind::Files, &artifact);
    let parts = opened(folder.path(), &artifact.parts, &seal);
    let reader = ArtifactReader::open(&facts, parts, artifact.frames.clone()).unwrap();
    let wrong: Vec<_> = (0..FRAMES as u64).filter_map(|number| reader.read_frame(number).err()).collect();
    assert!(!wrong.is_empty() && wrong.len() < 6, "{wrong:?}");
    for error in wrong {
        let text = error.to_string();
        assert!(error.is_damage() && text.contains("files.tar.zst.bks"), "{text}");
        assert!(text.contains(&format!("bytes {}", 4096 + (3 << 20))), "{text}");
    }
}

#[test]
fn a_discarded_sealed_artifact_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::XWing, backup_id(1));
    for part_size_bytes in [u64::MAX, 400_000] {
        let seal = Some(ArtifactSeal::of(&seal, ArtifactKind::Files));
        let options = ArtifactOptions { part_size_bytes, seal, ..ArtifactOptions::of(Codec::Zstd, 1) };
        let writer = ArtifactWriter::create(&Host::real(), folder.path(), "x", &options).unwrap();
        for frame in text_of(3_000_000).chunks(FRAME_BYTES) {
            writer.frame(frame.to_vec(), Storing::Store).unwrap();
        }
        writer.discard().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{part_size_bytes}");
    }
}

#[test]
fn a_sealed_index_is_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let random = Predictable::of(1);
    let (_, seal) = seal_for(&random, Suite::X25519, backup_id(1));
    let index_seal = ArtifactSeal::of(&seal, ArtifactKind::FilesIndex);
    let options = IndexOptions { seal: Some(&index_seal), ..IndexOptions::default() };
    let mut writer = IndexWriter::create_with(&Host::real(), folder.path(), &options, &"header").unwrap();
    let entry = |number: usize| format!("{number} {:?}", &text_of(300)[number % 200..]);
    for number in 0..2000 {
        writer.add(format!("{number:06}").as_bytes(), &entry(number)).unwrap();
    }
    let part = writer.finish(&crate::FrameTable::default(), &2000).unwrap();
    assert_eq!(part.name, "index.zst.bks");
    let source = opened(folder.path(), std::slice::from_ref(&part), &seal).remove(0);
    let reader = IndexReader::open(source, &part).unwrap();
    assert_eq!(reader.header::<String>().unwrap(), "header");
    assert_eq!(reader.entry_count(), 2000);
    assert_eq!(reader.find::<String>(b"001234").unwrap().unwrap(), entry(1234));
    assert_eq!(reader.entries::<String>().filter(Result::is_ok).count(), 2000);
}
