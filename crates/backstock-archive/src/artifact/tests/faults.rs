//! Disks that are full, limited, broken or without power, by the numbers of the fault catalogue.

use backstock_host::files::{Fault, PowerLoss};
use backstock_host::simulated::SimulatedHost;
use backstock_vocabulary::ErrorClass;

use super::*;
use crate::Error;
use crate::index::{INDEX_NAME, IndexReader, IndexWriter};

const FOLDER: &str = "/spool";
const FRAMES: u64 = 12;

/// A machine with an empty folder.
fn machine() -> SimulatedHost {
    let machine = SimulatedHost::new(7);
    machine.host.files.create_folder(Path::new(FOLDER)).unwrap();
    machine
}

/// Writes an artifact of several parts and its index. All writes are made by one thread, so their order is always the
/// same.
fn write_both(machine: &SimulatedHost) -> Result<(Artifact, Part), Error> {
    let folder = Path::new(FOLDER);
    let options = ArtifactOptions { part_size_bytes: 100_000, ..ArtifactOptions::of(Codec::Zstd, 2) };
    let writer = ArtifactWriter::create(&machine.host, folder, "db.sql.zst", &options)?;
    for seed in 0..FRAMES {
        writer.frame(bytes(seed, 40_000), Storing::Compress)?;
    }
    let artifact = writer.finish()?;
    let mut index = IndexWriter::create(&machine.host, folder, &"header")?;
    index.add(b"table", &1)?;
    let part = index.finish(&artifact.frames, &"summary")?;
    Ok((artifact, part))
}

/// Reads everything back from the machine's files.
fn assert_whole(machine: &SimulatedHost, artifact: &Artifact, index: &Part) {
    let open = |name: &str| {
        Box::new(machine.host.files.open(&Path::new(FOLDER).join(name)).unwrap()) as Box<dyn ReadAt>
    };
    let reader = IndexReader::open(open(INDEX_NAME), index).unwrap();
    let parts = artifact.parts.iter().map(|part| open(&part.name)).collect();
    let facts = ManifestArtifact::data(ArtifactKind::Database, artifact);
    let reader = ArtifactReader::open(&facts, parts, reader.frame_table().unwrap()).unwrap();
    for number in 0..FRAMES {
        assert!(reader.read_frame(number).unwrap() == bytes(number, 40_000), "frame {number}");
    }
}

/// Every step that changes something fails once, in every way. Each is told by its type, and nothing is called done.
#[test]
fn f17_f18_f24_f25_any_failing_step_fails_the_artifact_by_its_type() {
    let counted = machine();
    let before = counted.files.steps();
    let (artifact, index) = write_both(&counted).unwrap();
    assert_whole(&counted, &artifact, &index);
    assert!(artifact.parts.len() > 2);
    for step in 0..counted.files.steps() - before {
        for fault in [Fault::NoSpace, Fault::Quota, Fault::TooBig, Fault::InputOutput, Fault::ReadOnly] {
            let machine = machine();
            machine.files.fail_step(step, fault);
            let error = write_both(&machine).unwrap_err();
            let is_right = match fault {
                Fault::NoSpace | Fault::Quota => matches!(error, Error::DiskFull { .. }),
                Fault::TooBig => matches!(error, Error::FileTooLong { .. }),
                _ => matches!(error, Error::Io { .. } | Error::SyncFailed { .. }),
            };
            assert!(is_right, "step {step}, {fault:?}: {error:?}");
            assert_eq!(error.class() == ErrorClass::Ask, fault == Fault::TooBig);
            assert!(error.to_string().contains(FOLDER), "{error}");
        }
    }
}

/// A disk of any size: either everything is there, or it is full and says so.
#[test]
fn f17_f18_a_full_disk_is_told_as_such_wherever_it_happens() {
    for capacity_bytes in (0..480_000).step_by(7_001) {
        let machine = machine();
        machine.files.set_capacity(capacity_bytes);
        match write_both(&machine) {
            Ok((artifact, index)) => assert_whole(&machine, &artifact, &index),
            Err(error) => assert!(matches!(error, Error::DiskFull { .. }), "{capacity_bytes}: {error:?}"),
        }
    }
}

/// After a failed sync the file is lost, although every later sync succeeds: each later call says so.
#[test]
fn f25_a_failed_sync_is_never_tried_again() {
    let machine = machine();
    let options = ArtifactOptions { part_size_bytes: 1, ..ArtifactOptions::of(Codec::Zstd, 1) };
    let folder = Path::new(FOLDER);
    let writer = ArtifactWriter::create(&machine.host, folder, "db.sql.zst", &options).unwrap();
    writer.frame(bytes(1, 10), Storing::Compress).unwrap();
    // The second frame begins a part: rename, then sync, of which the latter fails.
    while machine.host.files.stat(&folder.join("db.sql.zst")).unwrap().is_none_or(|stat| stat.size_bytes == 0)
    {
        std::thread::yield_now();
    }
    machine.files.fail_step(1, Fault::InputOutput);
    let told = (0..1_000).find_map(|seed| writer.frame(bytes(seed, 10), Storing::Compress).err());
    assert!(matches!(told, Some(Error::SyncFailed { .. })), "{told:?}");
    assert!(matches!(writer.frame(Vec::new(), Storing::Compress), Err(Error::SyncFailed { .. })));
    assert!(matches!(writer.finish(), Err(Error::SyncFailed { .. })));
}

#[test]
fn f29_short_and_interrupted_writes_lose_nothing() {
    let machine = machine();
    machine.files.set_largest_write(3);
    for step in (3..3_000).step_by(17) {
        machine.files.fail_step(step, Fault::Interrupted);
    }
    let (artifact, index) = write_both(&machine).unwrap();
    assert_whole(&machine, &artifact, &index);
}

/// What `finish` has returned for survives any power loss; what it has not is nobody's promise.
#[test]
fn f12_a_finished_artifact_survives_a_power_loss() {
    for loss in PowerLoss::ALL {
        for seed in 0..8 {
            let machine = SimulatedHost::new(seed);
            machine.host.files.create_folder(Path::new(FOLDER)).unwrap();
            let (artifact, index) = write_both(&machine).unwrap();
            machine.files.lose_power(*loss);
            assert_whole(&machine, &artifact, &index);
        }
    }
}

#[test]
fn an_artifact_given_up_leaves_nothing() {
    for capacity_bytes in [1 << 30, 150_000] {
        let machine = machine();
        machine.files.set_capacity(capacity_bytes);
        let options = ArtifactOptions { part_size_bytes: 50_000, ..ArtifactOptions::of(Codec::Zstd, 2) };
        let folder = Path::new(FOLDER);
        let writer = ArtifactWriter::create(&machine.host, folder, "db.sql.zst", &options).unwrap();
        for seed in 0..30 {
            let _ = writer.frame(bytes(seed, 50_000), Storing::Compress);
        }
        writer.discard().unwrap();
        assert_eq!(machine.host.files.list(folder).unwrap(), []);
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
    let machine = machine();
    let options = ArtifactOptions { part_size_bytes: 1, ..ArtifactOptions::of(Codec::Zstd, 1) };
    let writer = ArtifactWriter::create(&machine.host, Path::new(FOLDER), "x", &options).unwrap();
    let refused = (0..5_000).find_map(|_| writer.frame(vec![1], Storing::Compress).err());
    let finished = writer.finish().err();
    for error in [refused, finished] {
        assert!(matches!(error, Some(Error::TooManyParts { .. })), "{error:?}");
    }
}
