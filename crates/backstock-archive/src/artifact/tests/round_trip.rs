//! What goes in comes out: by number, as a stream, and through stock tools.

use std::io::Read;

use proptest::prelude::*;

use super::*;

fn frames() -> impl Strategy<Value = Vec<(Vec<u8>, Storing)>> {
    let size = prop_oneof![
        6 => 0..100_usize,
        6 => 0..200_000_usize,
        2 => 0..STORED_FRAME_LIMIT_BYTES + 1,
        1 => 0..(9_usize << 20),
    ];
    let frame = (any::<u64>(), size, any::<bool>()).prop_map(|(seed, size, store)| {
        let may_store = store && size <= STORED_FRAME_LIMIT_BYTES;
        (bytes(seed, size), if may_store { Storing::Store } else { Storing::Compress })
    });
    prop::collection::vec(frame, 0..12)
}

fn options() -> impl Strategy<Value = ArtifactOptions> {
    let part_size_bytes = prop_oneof![1 => 1..300_u64, 3 => 1_000..3_000_000_u64, 2 => Just(PART_SIZE_BYTES)];
    let table_log = prop::option::of(8..20_u32);
    (prop::bool::ANY, 1..5_usize, 1..7, table_log, part_size_bytes).prop_map(
        |(gzip, workers, level, table_log, part_size_bytes)| {
            let codec = if gzip { Codec::Gzip } else { Codec::Zstd };
            ArtifactOptions { level, table_log, part_size_bytes, ..ArtifactOptions::of(codec, workers) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the plainest model: the frames one after the other.
    #[test]
    fn any_frames_come_back_everywhere(options in options(), frames in frames()) {
        let written = write(&options, &frames);
        prop_assert!(written.stock_text() == written.text);
        let reader = written.reader();
        for (number, (text, _)) in frames.iter().enumerate() {
            prop_assert!(&reader.read_frame(number as u64).unwrap() == text, "frame {}", number);
        }
        let mut streamed = Vec::new();
        ArtifactStream::open(&written.facts(), written.parts()).unwrap().read_to_end(&mut streamed).unwrap();
        prop_assert!(streamed == written.text);
        prop_assert_eq!(written.artifact.plaintext_bytes, written.text.len() as u64);
        check_parts(&written, &options)?;
    }
}

/// Every part has its hashes, ends where a frame ends, and is no longer than asked unless one frame is.
fn check_parts(written: &Written, options: &ArtifactOptions) -> Result<(), TestCaseError> {
    let artifact = &written.artifact;
    let longest = artifact.frames.iter().map(|frame| u64::from(frame.stored_bytes)).max().unwrap_or(0);
    let several = artifact.parts.len() > 1;
    for (at, part) in artifact.parts.iter().enumerate() {
        let expected =
            if several { format!("{}.{:03}", artifact.name, at + 1) } else { artifact.name.clone() };
        prop_assert_eq!(&part.name, &expected);
        prop_assert!(part.size_bytes <= options.part_size_bytes.max(longest));
        let printed = stock(written.folder.path(), &format!("sha256sum {}", part.name));
        prop_assert!(printed.starts_with(part.sha256.to_string().as_bytes()));
        let file = std::fs::File::open(written.folder.path().join(&part.name)).unwrap();
        let mut told = 0;
        let mut progress = |bytes| {
            told += bytes;
            ControlFlow::Continue(())
        };
        prop_assert!(check_part(&file, part, &mut progress).unwrap().is_empty());
        prop_assert_eq!(told, part.size_bytes);
    }
    Ok(())
}

#[test]
fn an_artifact_without_frames_is_one_that_stock_tools_take() {
    for codec in Codec::ALL {
        let written = write(&ArtifactOptions::of(*codec, 2), &[]);
        assert_eq!(written.stock_text(), b"");
        assert_eq!(written.artifact.frames.len(), 1);
    }
}

/// Blocks are hashed in the same pass as the part. Those of the first backups have SHA-256 and are checked as well.
#[test]
fn blocks_of_64_mib_have_their_own_hashes() {
    let mut frames = Vec::new();
    for seed in 0..150 {
        frames.push((bytes(seed, STORED_FRAME_LIMIT_BYTES), Storing::Store));
    }
    let written = write(&ArtifactOptions::of(Codec::Zstd, 2), &frames);
    let part = &written.artifact.parts[0];
    let stored = &written.stored()[0];
    let blocks = || stored.chunks(usize::try_from(BLOCK_SIZE_BYTES).unwrap());
    assert_eq!(blocks().count(), 3);
    let expected = blocks().map(|block| Digest(*blake3::hash(block).as_bytes())).collect();
    assert_eq!(part.block_hashes, BlockHashes::Blake3(expected));
    check_finds_two_blocks(stored, part);
    let of_the_first = BlockHashes::Sha256(blocks().map(Sha256::of).collect());
    check_finds_two_blocks(stored, &Part { block_hashes: of_the_first, ..part.clone() });
}

/// Damage in two of three blocks is told as two regions; a check that is told to stop stops.
fn check_finds_two_blocks(whole: &[u8], part: &Part) {
    let mut stored = whole.to_vec();
    let last = stored.len() - 1;
    stored[5] ^= 1;
    stored[last] ^= 1;
    let regions: Vec<_> = faults(&stored, part)
        .into_iter()
        .map(|error| match error {
            crate::Error::Damaged { offset, size_bytes, .. } => (offset, offset + size_bytes),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(regions, [(0, BLOCK_SIZE_BYTES), (2 * BLOCK_SIZE_BYTES, part.size_bytes)]);
    let stopped = check_part(&stored, part, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(crate::Error::Cancelled)));
}

#[test]
fn a_frame_longer_than_the_format_allows_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "files.tar.zst", &options).unwrap();
    let error = writer.frame(vec![0; STORED_FRAME_LIMIT_BYTES + 1], Storing::Store).unwrap_err();
    assert!(matches!(error, crate::Error::FrameTooLong { .. }), "{error}");
    // It took no number, and the artifact goes on.
    assert_eq!(writer.frame(vec![0; 5], Storing::Store).unwrap(), 0);
    assert_eq!(writer.finish().unwrap().plaintext_bytes, 5);
}

#[test]
fn impossible_options_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = ArtifactOptions::of(Codec::Gzip, 1);
    for options in [
        ArtifactOptions { level: 0, ..good.clone() },
        ArtifactOptions { level: 13, ..good.clone() },
        ArtifactOptions { codec: Codec::Zstd, level: 23, ..good.clone() },
        ArtifactOptions { part_size_bytes: 0, ..good.clone() },
    ] {
        let result = ArtifactWriter::create(&Host::real(), folder.path(), "x", &options);
        let error = result.err().unwrap();
        assert!(matches!(error, crate::Error::Option { .. }), "{error}");
        assert!(!folder.path().join("x").exists());
    }
}
