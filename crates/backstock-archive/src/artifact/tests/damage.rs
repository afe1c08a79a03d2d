//! Damage at rest (F31, F73, F74, F75, F84): told with part and region, and never given out as text.

use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::Error;

fn small(codec: Codec) -> Written {
    let frames: Vec<_> = (0..8_u64)
        .map(|seed| {
            let storing = if seed % 2 == 0 { Storing::Store } else { Storing::Compress };
            (bytes(seed, 100 + usize::try_from(seed).unwrap() * 40), storing)
        })
        .collect();
    let written = write(&ArtifactOptions { part_size_bytes: 700, ..ArtifactOptions::of(codec, 2) }, &frames);
    assert!(written.artifact.parts.len() > 1);
    written
}

fn boxed(stored: &[Vec<u8>]) -> Vec<Box<dyn ReadAt>> {
    stored.iter().map(|bytes| Box::new(bytes.clone()) as Box<dyn ReadAt>).collect()
}

/// Reads the stream to its end; an error must be of this crate.
fn stream(facts: &ManifestArtifact, stored: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    match ArtifactStream::open(facts, boxed(stored))?.read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::of_stream(error).unwrap()),
    }
}

/// Every bit of every part. The frame that holds it is refused by name and region; all others still read.
#[test]
fn f73_any_flipped_bit_is_found_and_located() {
    for codec in Codec::ALL {
        let written = small(*codec);
        let (facts, frames) = (written.facts(), &written.artifact.frames);
        let mut stored = written.stored();
        for part in 0..stored.len() {
            for at in 0..stored[part].len() {
                for bit in 0..8 {
                    stored[part][at] ^= 1 << bit;
                    // One bit of each byte through the slower checks; all bits through the hash of one frame.
                    if bit == at % 8 {
                        check_flip(&written, &facts, &stored, part, at);
                    }
                    let reader = ArtifactReader::open(&facts, boxed(&stored), frames.clone()).unwrap();
                    let begins: u64 = facts.parts[..part].iter().map(|part| part.size_bytes).sum();
                    let hit = frames
                        .iter()
                        .position(|frame| {
                            let offset = begins + at as u64;
                            (frame.stored_offset..frame.stored_offset + u64::from(frame.stored_bytes))
                                .contains(&offset)
                        })
                        .unwrap();
                    assert_located(&reader.read_frame(hit as u64).unwrap_err(), &facts.parts[part], at);
                    stored[part][at] ^= 1 << bit;
                }
            }
        }
    }
}

fn assert_located(error: &Error, part: &Part, at: usize) {
    match error {
        Error::Damaged { part: name, offset, size_bytes, .. } => {
            assert_eq!(name, &part.name);
            assert!((*offset..offset + size_bytes).contains(&(at as u64)), "{error}");
            assert!(error.is_damage());
        }
        other => panic!("{other}"),
    }
}

fn check_flip(written: &Written, facts: &ManifestArtifact, stored: &[Vec<u8>], part: usize, at: usize) {
    let found = faults(&stored[part], &facts.parts[part]);
    assert_eq!(found.len(), 1);
    assert_located(&found[0], &facts.parts[part], at);
    // A few bits mean nothing to a decoder (a time, an operating system); all others it must refuse.
    if let Ok(text) = stream(facts, stored) {
        assert!(text == written.text, "part {part}, byte {at}: a wrong text was given out");
    }
    let reader = ArtifactReader::open(facts, boxed(stored), written.artifact.frames.clone()).unwrap();
    let whole = (0..reader.frames().len()).filter(|number| reader.read_frame(*number).is_ok()).count();
    assert_eq!(whole as u64, reader.frames().len() - 1);
}

#[test]
fn f74_a_shorter_or_longer_part_is_refused_by_name() {
    for codec in Codec::ALL {
        let written = small(*codec);
        let facts = written.facts();
        for part in 0..facts.parts.len() {
            let whole = written.stored();
            for length in (0..whole[part].len()).chain([whole[part].len() + 1]) {
                let mut stored = whole.clone();
                stored[part].resize(length, 0);
                let opened = ArtifactReader::open(&facts, boxed(&stored), written.artifact.frames.clone());
                for error in [opened.err(), stream(&facts, &stored).err()] {
                    let error = error.unwrap();
                    assert!(
                        error.is_damage() && error.to_string().contains(&facts.parts[part].name),
                        "{error}"
                    );
                }
                assert!(faults(&stored[part], &facts.parts[part])[0].is_damage());
            }
        }
    }
}

/// Even where the sizes told are those of the shortened file, a text without its end is never taken for whole.
#[test]
fn f74_a_stream_that_ends_early_is_no_text() {
    for codec in Codec::ALL {
        let written = small(*codec);
        let whole = written.stored().concat();
        let mut facts = written.facts();
        facts.parts.truncate(1);
        for length in 0..whole.len() {
            facts.parts[0].size_bytes = length as u64;
            let error = stream(&facts, &[whole[..length].to_vec()]).unwrap_err();
            assert!(error.is_damage(), "{length}: {error}");
        }
        for extra in [vec![0], b"garbage behind the end".to_vec(), whole.clone()] {
            let longer = [whole.clone(), extra].concat();
            facts.parts[0].size_bytes = longer.len() as u64;
            let error = stream(&facts, &[longer]).unwrap_err();
            assert!(error.is_damage(), "{error}");
        }
    }
}

#[test]
fn f75_frames_of_equal_length_in_each_others_place_are_refused() {
    let frames: Vec<_> = (0..2).map(|seed| (bytes(seed, 500), Storing::Store)).collect();
    let written = write(&ArtifactOptions::of(Codec::Zstd, 1), &frames);
    let mut stored = written.stored();
    let half = stored[0].len() / 2;
    stored[0].rotate_left(half);
    let reader =
        ArtifactReader::open(&written.facts(), boxed(&stored), written.artifact.frames.clone()).unwrap();
    assert!(reader.read_frame(0).unwrap_err().is_damage());
    assert!(reader.read_frame(1).unwrap_err().is_damage());
}

#[test]
fn f84_a_missing_doubled_or_foreign_part_is_refused() {
    let written = small(Codec::Zstd);
    let facts = written.facts();
    let whole = written.stored();
    let open = |stored: &[Vec<u8>]| {
        ArtifactReader::open(&facts, boxed(stored), written.artifact.frames.clone()).err()
    };
    assert!(open(&whole).is_none());
    let mut missing = whole.clone();
    missing.pop();
    let mut doubled = whole.clone();
    doubled.push(whole[0].clone());
    for stored in [missing, doubled] {
        assert!(open(&stored).unwrap().is_damage());
    }
    // A part of another artifact has another length, or hashes that no frame has.
    let mut foreign = whole.clone();
    foreign[0] = bytes(99, whole[0].len());
    let reader = ArtifactReader::open(&facts, boxed(&foreign), written.artifact.frames.clone()).unwrap();
    assert!(reader.read_frame(0).unwrap_err().is_damage());
}

/// An index that tells other frames than there are (lost, invented, longer than possible) is refused before a read.
#[test]
fn a_table_of_other_frames_is_refused() {
    let written = small(Codec::Zstd);
    let facts = written.facts();
    let mut fewer = FrameTable::default();
    let mut moved = FrameTable::default();
    for row in written.artifact.frames.rows() {
        moved.push(*row);
    }
    for row in &written.artifact.frames.rows()[1..] {
        fewer.push(*row);
    }
    moved.push(FrameRow(1, 1, crate::digest::FrameHash::of(b"")));
    for table in [fewer, moved, FrameTable::default()] {
        let error = ArtifactReader::open(&facts, written.parts(), table).err().unwrap();
        assert!(error.is_damage(), "{error}");
    }
}

#[test]
fn an_impossible_length_is_refused_without_memory_for_it() {
    let written = write(&ArtifactOptions::of(Codec::Zstd, 1), &[(b"short".to_vec(), Storing::Compress)]);
    let FrameRow(stored_bytes, _, hash) = written.artifact.frames.rows()[0];
    for claimed in [u32::MAX, 4, 6, 3 << 30] {
        let mut table = FrameTable::default();
        table.push(FrameRow(stored_bytes, claimed, hash));
        let reader = ArtifactReader::open(&written.facts(), written.parts(), table).unwrap();
        assert!(reader.read_frame(0).unwrap_err().is_damage(), "{claimed}");
    }
}

/// A table with one frame of these stored bytes, whose hash is right: what a decoder gets from a hostile index.
fn one_frame(codec: Codec, stored: Vec<u8>, plaintext_bytes: u32) -> ArtifactReader {
    let mut frames = FrameTable::default();
    let hash = crate::digest::FrameHash::of(&stored);
    frames.push(FrameRow(u32::try_from(stored.len()).unwrap(), plaintext_bytes, hash));
    ArtifactReader::open(&one_part(codec, &stored, u64::from(plaintext_bytes)), boxed(&[stored]), frames)
        .unwrap()
}

/// What a manifest tells of an artifact of these stored bytes.
fn one_part(codec: Codec, stored: &[u8], plaintext_bytes: u64) -> ManifestArtifact {
    let part = Part {
        name: crate::layout::artifact_path(ArtifactKind::Database, codec),
        size_bytes: stored.len() as u64,
        sha256: Sha256::of(stored),
        block_hashes: BlockHashes::Sha256(vec![Sha256::of(stored)]),
        directory_blake3: None,
    };
    ManifestArtifact {
        kind: ArtifactKind::Database,
        codec,
        plaintext_bytes: Some(plaintext_bytes),
        parts: vec![part],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Decoders get any bytes, and frames with a few bytes changed: they refuse, or give the length that was told.
    #[test]
    fn any_stored_bytes_are_decoded_or_refused(
        gzip in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        claimed in 0..3_000_u32,
        is_frame in any::<bool>(),
    ) {
        let codec = if gzip { Codec::Gzip } else { Codec::Zstd };
        let mut stored = noise.clone();
        if is_frame {
            stored.clear();
            let mut encoder = Encoder::new(&ArtifactOptions::of(codec, 1)).unwrap();
            encoder.encode(&noise.repeat(3), &mut stored).unwrap();
        }
        for (at, byte) in changes {
            if !stored.is_empty() {
                let at = at.index(stored.len());
                stored[at] = byte;
            }
        }
        let told = if is_frame { u32::try_from(noise.len() * 3).unwrap() } else { claimed };
        match one_frame(codec, stored.clone(), told).read_frame(0) {
            Ok(text) => prop_assert_eq!(text.len(), told as usize),
            Err(error) => prop_assert!(error.is_damage(), "{}", error),
        }
        match stream(&one_part(codec, &stored, u64::from(told)), &[stored]) {
            Ok(text) => prop_assert_eq!(text.len(), told as usize),
            Err(error) => prop_assert!(error.is_damage(), "{}", error),
        }
    }
}

/// 64 MiB of zeros behind a manifest that tells 1 MiB: the stream ends soon after the first MiB.
#[test]
fn f134_a_bomb_ends_at_the_told_length() {
    for codec in Codec::ALL {
        let mut stored = Vec::new();
        let mut encoder = Encoder::new(&ArtifactOptions::of(*codec, 1)).unwrap();
        encoder.encode(&vec![0; 64 << 20], &mut stored).unwrap();
        let mut opened = ArtifactStream::open(&one_part(*codec, &stored, 1 << 20), boxed(&[stored])).unwrap();
        let mut buffer = vec![0; 256 << 10];
        let mut given = 0;
        let error = loop {
            match opened.read(&mut buffer) {
                Ok(count) => given += count,
                Err(error) => break Error::of_stream(error).unwrap(),
            }
        };
        assert!(given <= 1 << 20 && error.is_damage(), "{given}: {error}");
    }
}

/// A window of 2 GiB (RFC 8878 section 3.1.1.1.2: exponent 21) would have to be kept in memory.
#[test]
fn f134_a_huge_window_is_refused() {
    let block = [0x09, 0, 0, b'x'];
    let stored = [&[0x28, 0xB5, 0x2F, 0xFD, 0, 21 << 3][..], &block].concat();
    let error = stream(&one_part(Codec::Zstd, &stored, 1), &[stored]).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("memory"), "{error}");
}
