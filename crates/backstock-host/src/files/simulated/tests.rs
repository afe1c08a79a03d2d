//! That the simulation loses what a real disk may lose, and keeps what it must keep.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use super::*;

const OLD: &[u8] = b"the old content";
const NEW: &[u8] = b"the new content, which is longer";

fn state() -> &'static Path {
    Path::new("/state/state.json")
}

fn with_old_state(seed: u64) -> SimulatedFiles {
    let files = SimulatedFiles::new(seed);
    files.create_folder(Path::new("/state")).unwrap();
    (&files as &dyn Files).write_durably(state(), OLD).unwrap();
    files
}

/// F12: a durable write, cut at every step, in every way, leaves the old or the new content; after it returns, the new.
#[test]
fn f12_a_durable_write_is_old_or_new_after_any_power_loss() {
    let (mut olds, mut news) = (0, 0);
    for loss in PowerLoss::ALL {
        for seed in 0..60 {
            for step in 0.. {
                let files = with_old_state(seed);
                files.stop_at(step);
                let written = (&files as &dyn Files).write_durably(state(), NEW);
                files.lose_power(*loss);
                let seen = (&files as &dyn Files).read(state(), 99).unwrap();
                assert!(seen == OLD || seen == NEW, "{loss:?} at {step}: {}", String::from_utf8_lossy(&seen));
                if written.is_ok() {
                    assert_eq!(seen, NEW, "{loss:?}");
                    break;
                }
                if seen == OLD { olds += 1 } else { news += 1 }
            }
        }
    }
    assert!(olds > 100 && news > 20, "the sweep saw {olds} old and {news} new states");
}

/// The order of [`Files::write_durably`] is needed: without either sync a power loss is seen.
#[test]
fn what_was_not_synced_gets_lost() {
    let (mut torn, mut unnamed) = (0, 0);
    for seed in 0..200 {
        let files = with_old_state(seed);
        let mut file = files.create_new(Path::new("/state/aside")).unwrap();
        file.write_all(NEW).unwrap();
        files.rename(Path::new("/state/aside"), state()).unwrap();
        files.sync_folder(Path::new("/state")).unwrap();
        files.lose_power(PowerLoss::AnyOrder);
        let seen = (&files as &dyn Files).read(state(), 99).unwrap();
        torn += usize::from(seen != NEW);

        let mut file = files.create_new(Path::new("/state/other")).unwrap();
        file.write_all(NEW).unwrap();
        file.sync().unwrap();
        files.lose_power(PowerLoss::AnyOrder);
        match files.stat(Path::new("/state/other")).unwrap() {
            None => unnamed += 1,
            Some(stat) => assert_eq!(stat.size_bytes, NEW.len() as u64),
        }
    }
    assert!(torn > 100 && unnamed > 50 && unnamed < 150, "{torn} torn, {unnamed} without a name");
}

#[test]
fn a_file_that_is_moved_to_another_folder_is_never_in_neither() {
    for seed in 0..200 {
        let files = with_old_state(seed);
        files.create_folder(Path::new("/other")).unwrap();
        files.rename(state(), Path::new("/other/moved")).unwrap();
        if seed % 2 == 0 {
            files.sync_folder(Path::new("/state")).unwrap();
        }
        files.lose_power(PowerLoss::AnyOrder);
        let (old, new) = (files.stat(state()).unwrap(), files.stat(Path::new("/other/moved")).unwrap());
        assert!(old.is_some() || new.is_some(), "seed {seed}");
        assert!(seed % 2 == 1 || (old.is_none() && new.is_some()), "seed {seed}");
    }
}

/// F25: a sync that succeeds after one that failed proves nothing.
#[test]
fn f25_after_a_failed_sync_the_data_is_lost() {
    let files = with_old_state(3);
    let path = Path::new("/state/spool");
    let mut file = files.create_new(path).unwrap();
    file.write_all(b"kept").unwrap();
    file.sync().unwrap();
    file.write_all(b"lost").unwrap();
    files.fail_step(0, Fault::InputOutput);
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    file.write_all(b"more").unwrap();
    file.sync().unwrap();
    files.sync_folder(Path::new("/state")).unwrap();
    assert_eq!((&files as &dyn Files).read(path, 99).unwrap(), b"keptlostmore");
    files.lose_power(PowerLoss::EverythingUnsynced);
    assert_eq!((&files as &dyn Files).read(path, 99).unwrap(), b"kept\0\0\0\0more");
}

#[test]
fn f17_a_full_disk_takes_what_fits_and_refuses_the_rest() {
    let files = with_old_state(3);
    files.set_capacity(OLD.len() as u64 + 10);
    let mut file = files.create_new(Path::new("/state/spool")).unwrap();
    assert_eq!(file.write(&[1; 64]).unwrap(), 10);
    assert_eq!(file.write(&[1; 64]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(files.free_bytes(Path::new("/state")).unwrap(), 0);
    assert_eq!(
        (&files as &dyn Files).write_durably(state(), NEW).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!((&files as &dyn Files).read(state(), 99).unwrap(), OLD);
    files.remove_file(Path::new("/state/spool")).unwrap();
    files.remove_file(Path::new("/state/state.json.new")).unwrap();
    assert_eq!(files.free_bytes(Path::new("/state")).unwrap(), 10);
}

#[test]
fn every_fault_is_the_kernels_and_strikes_once() {
    for (fault, kind) in [
        (Fault::NoSpace, ErrorKind::StorageFull),
        (Fault::Quota, ErrorKind::QuotaExceeded),
        (Fault::TooBig, ErrorKind::FileTooLarge),
        (Fault::ReadOnly, ErrorKind::ReadOnlyFilesystem),
        (Fault::Denied, ErrorKind::PermissionDenied),
        (Fault::Interrupted, ErrorKind::Interrupted),
    ] {
        let files = with_old_state(1);
        files.fail_step(1, fault);
        files.remove_file(Path::new("/state/none")).unwrap();
        assert_eq!(files.remove_file(state()).unwrap_err().kind(), kind);
        files.remove_file(state()).unwrap();
    }
}

/// F26, F29, F31: bytes that cannot be read, signals, and bytes that change at rest.
#[test]
fn reads_fail_where_they_are_told_to() {
    let files = with_old_state(1);
    files.set_unreadable(state(), 4);
    let mut seen = Vec::new();
    let error = files.open(state()).unwrap().read_to_end(&mut seen).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    assert_eq!(seen, &OLD[..4]);

    let files = with_old_state(1);
    files.damage(state(), |bytes| bytes[0] ^= 1).unwrap();
    assert_ne!((&files as &dyn Files).read(state(), 99).unwrap(), OLD);
    files.fail_step(1, Fault::Interrupted);
    let mut file = files.create_new(Path::new("/state/file")).unwrap();
    file.write_all(NEW).unwrap();
    assert_eq!((&files as &dyn Files).read(Path::new("/state/file"), 99).unwrap(), NEW);
}

#[test]
fn a_device_of_its_own_and_a_power_that_is_off() {
    let files = with_old_state(1);
    files.create_folder(Path::new("/mount")).unwrap();
    files.set_device(Path::new("/mount"));
    let error = files.rename(state(), Path::new("/mount/file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossesDevices);

    let mut file = files.create_new(Path::new("/state/open")).unwrap();
    files.stop_at(0);
    assert!(file.write(b"x").is_err());
    assert!(files.remove_file(state()).is_err());
    files.lose_power(PowerLoss::NothingLost);
    assert!(file.write(b"x").is_err(), "a file that was open before is void");
    assert!(files.stat(Path::new("/state/open")).unwrap().is_some());
    files.remove_file(state()).unwrap();
}
