//! Disks that are full, limited or broken, by the numbers of the fault catalogue.

use super::faulty::{EDQUOT, EFBIG, ENOSPC, Fault, host};
use super::*;
use crate::Error;

/// Writes frames until told that it failed, and finishes; the error of both.
fn write_until_failure(fault: Fault, folder: &Path) -> (Option<Error>, Option<Error>) {
    let options = ArtifactOptions { part_size_bytes: 200_000, ..ArtifactOptions::of(Codec::Zstd, 2) };
    let writer = ArtifactWriter::create(&host(fault), folder, "db.sql.zst", &options).unwrap();
    let mut failure = None;
    for seed in 0..60 {
        if let Err(error) = writer.frame(bytes(seed, 50_000), Storing::Compress) {
            failure = Some(error);
            break;
        }
    }
    (failure, writer.finish().err())
}

fn assert_full(error: &Error) {
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    assert_eq!(error.class(), backstock_vocabulary::ErrorClass::Retry);
}

#[test]
fn f17_f18_a_full_disk_is_told_as_such_wherever_it_happens() {
    for limit in [0, 1, 5_000, 199_999, 200_000, 230_000, 700_000] {
        let folder = tempfile::tempdir().unwrap();
        let (failure, finished) = write_until_failure(Fault::FullAt(limit, ENOSPC), folder.path());
        failure.iter().for_each(assert_full);
        assert_full(&finished.unwrap());
    }
}

#[test]
fn f24_quota_and_the_longest_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, error) = write_until_failure(Fault::FullAt(100, EDQUOT), folder.path());
    assert_full(&error.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (_, error) = write_until_failure(Fault::FullAt(100, EFBIG), folder.path());
    assert!(matches!(error, Some(Error::FileTooLong { .. })), "{error:?}");
}

/// After a failed sync the file is lost, although the next sync would succeed.
#[test]
fn f25_a_failed_sync_loses_the_artifact() {
    for fault in [Fault::FirstSync, Fault::FolderSync] {
        let folder = tempfile::tempdir().unwrap();
        let (failure, finished) = write_until_failure(fault, folder.path());
        assert!(matches!(finished, Some(Error::SyncFailed { .. })), "{fault:?}: {finished:?}");
        assert!(failure.is_none_or(|error| matches!(error, Error::SyncFailed { .. })));
    }
}

#[test]
fn f29_short_and_interrupted_writes_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 2);
    let writer =
        ArtifactWriter::create(&host(Fault::ShortWrites), folder.path(), "db.sql.zst", &options).unwrap();
    let mut text = Vec::new();
    for seed in 0..5 {
        text.extend(bytes(seed, 2_000));
        writer.frame(bytes(seed, 2_000), Storing::Store).unwrap();
    }
    let artifact = writer.finish().unwrap();
    let written = Written { folder, artifact, text };
    assert!(written.stock_text() == written.text);
}

#[test]
fn an_artifact_given_up_leaves_nothing() {
    for fault in [Fault::FullAt(u64::MAX, ENOSPC), Fault::FullAt(450_000, ENOSPC)] {
        let folder = tempfile::tempdir().unwrap();
        let options = ArtifactOptions { part_size_bytes: 100_000, ..ArtifactOptions::of(Codec::Zstd, 2) };
        let writer = ArtifactWriter::create(&host(fault), folder.path(), "db.sql.zst", &options).unwrap();
        for seed in 0..30 {
            let _ = writer.frame(bytes(seed, 50_000), Storing::Compress);
        }
        writer.discard().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{fault:?}");
    }
}

#[test]
fn an_existing_file_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("db.sql.zst"), b"kept").unwrap();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    assert!(ArtifactWriter::create(&Host::real(), folder.path(), "db.sql.zst", &options).is_err());
    assert_eq!(std::fs::read(folder.path().join("db.sql.zst")).unwrap(), b"kept");
}

#[test]
fn more_parts_than_names_in_order_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let options = ArtifactOptions { part_size_bytes: 1, ..ArtifactOptions::of(Codec::Zstd, 1) };
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "x", &options).unwrap();
    let refused = (0..5_000).find_map(|_| writer.frame(vec![1], Storing::Compress).err());
    let finished = writer.finish().err();
    for error in [refused, finished] {
        assert!(matches!(error, Some(Error::TooManyParts { .. })), "{error:?}");
    }
}
