//! The local kind: the contract on both kinds of files, and every fault of a disk at every step.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use backstock_host::files::{Fault, PowerLoss};
use backstock_host::{Host, SimulatedHost};
use backstock_vocabulary::{ErrorClass, Proof};

use crate::{Error, InOneGo, KeptNowhere, ObjectName, SpooledPart, Storage, StorageSettings, contract};

const FOLDER: &str = "/backups";
const BYTES: &[u8] = b"the stored bytes of one part";

fn name() -> ObjectName {
    ObjectName::new("shop/2026-11-20T03.00.00Z-0a1b2c3d/db/db.sql.zst").unwrap()
}

fn spool(host: &Host, path: &Path) {
    host.files.create_folder(path.parent().unwrap()).unwrap();
    host.files.write_durably(path, BYTES).unwrap();
}

fn part(path: &Path, may_consume: bool) -> SpooledPart<'_> {
    let sha256 = ring::digest::digest(&ring::digest::SHA256, BYTES).as_ref().try_into().unwrap();
    SpooledPart { path, size_bytes: BYTES.len() as u64, sha256, blocks: &[], may_consume }
}

fn open(host: &Host, folder: &Path) -> Arc<dyn Storage> {
    crate::open(host, &StorageSettings::local(folder), Arc::new(KeptNowhere)).unwrap()
}

/// A simulated machine with a spooled part, and a storage on it.
fn simulated(seed: u64) -> (SimulatedHost, Arc<dyn Storage>) {
    let machine = SimulatedHost::new(seed);
    spool(&machine.host, Path::new("/spool/part"));
    let storage = open(&machine.host, Path::new(FOLDER));
    (machine, storage)
}

#[tokio::test]
async fn it_keeps_the_contract_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let spool = folder.path().join("spool");
    host.files.create_folder(&spool).unwrap();
    let storage = open(&host, &folder.path().join("deep/backups"));
    contract::check(&host, &*storage, &spool).await.unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path().join("deep/backups")).unwrap().count(),
        0,
        "something was left"
    );
}

#[tokio::test]
async fn it_keeps_the_contract_on_a_simulated_disk_with_short_writes_and_another_device() {
    let machine = SimulatedHost::new(5);
    machine.host.files.create_folder(Path::new("/spool")).unwrap();
    machine.files.set_device(Path::new("/spool"));
    machine.files.set_largest_write(65_537);
    let storage = open(&machine.host, Path::new(FOLDER));
    contract::check(&machine.host, &*storage, Path::new("/spool")).await.unwrap();
}

/// F04, F12: cut at every step, copied or taken, in every way that a power loss has: never a part of a part, no
/// spooled part lost without its object, after `Ok` it is there, and a second try converges (L6).
#[tokio::test]
async fn f04_f12_a_put_is_whole_or_absent_after_any_power_loss() {
    let (mut absent, mut present) = (0, 0);
    for (loss, seed) in PowerLoss::ALL.iter().flat_map(|loss| (0..25).map(move |seed| (loss, seed))) {
        for may_consume in [false, true] {
            for step in 0.. {
                let (machine, storage) = simulated(seed);
                machine.files.stop_at(step);
                let spooled = Path::new("/spool/part");
                let put = storage.put(&name(), &part(spooled, may_consume), &InOneGo).await;
                machine.files.lose_power(*loss);
                let seen = storage.read_small(&name(), 999).await.unwrap();
                let at = format!("{loss:?}, seed {seed}, step {step}, consume {may_consume}");
                assert!(seen.as_deref().is_none_or(|bytes| bytes == BYTES), "{at}");
                assert_eq!(storage.list(None).await.unwrap().len(), usize::from(seen.is_some()), "{at}");
                if put.is_ok() {
                    assert!(seen.is_some(), "{at}");
                    break;
                }
                *if seen.is_some() { &mut present } else { &mut absent } += 1;
                let still_spooled = machine.host.files.stat(spooled).unwrap().is_some();
                assert!(seen.is_some() || still_spooled, "lost: {at}");
                spool(&machine.host, spooled);
                let again = storage.put(&name(), &part(spooled, may_consume), &InOneGo).await.unwrap();
                assert_eq!(again.proof == Proof::ReadBack, seen.is_some(), "{at}");
                storage.delete_leftovers(None).await.unwrap();
                machine.files.lose_power(PowerLoss::EverythingUnsynced);
                assert_eq!(storage.read_small(&name(), 999).await.unwrap().as_deref(), Some(BYTES), "{at}");
            }
        }
    }
    assert!(absent > 100 && present > 10, "the sweep saw {absent} absent and {present} present");
}

/// F17, F18, F23, F24, F25, F27: each fault at each step of a put gives a typed error or no harm; nothing is visible
/// after an error, nothing is left, the spooled part is still there, and the next try succeeds.
#[tokio::test]
async fn f17_f25_a_fault_at_any_step_leaves_nothing_behind() {
    let faults =
        [Fault::NoSpace, Fault::Quota, Fault::TooBig, Fault::InputOutput, Fault::ReadOnly, Fault::Denied];
    for (fault, may_consume) in faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
        let mut failures = 0;
        for step in 0.. {
            let (machine, storage) = simulated(1);
            let before = machine.files.steps();
            machine.files.fail_step(step, fault);
            let spooled = Path::new("/spool/part");
            let put = storage.put(&name(), &part(spooled, may_consume), &InOneGo).await;
            if machine.files.steps() <= before + step {
                put.unwrap();
                break;
            }
            let error = put.unwrap_err();
            failures += 1;
            assert_eq!(error.class(), ErrorClass::Ask, "{error}");
            let is_full = matches!(fault, Fault::NoSpace | Fault::Quota | Fault::TooBig);
            assert_eq!(error.is_full(), is_full, "{error}");
            assert_eq!(storage.stat(&name()).await.unwrap(), None, "{fault:?} at {step}");
            assert!(machine.host.files.stat(spooled).unwrap().is_some(), "{fault:?} at {step}");
            assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0, "{fault:?} at {step}");
            storage.put(&name(), &part(spooled, may_consume), &InOneGo).await.unwrap();
        }
        assert!(failures >= if may_consume { 5 } else { 8 }, "{fault:?}: {failures} steps");
    }
}

/// F26: a spooled part that cannot be read is an error, not a part with zeros.
#[tokio::test]
async fn f26_a_spooled_part_that_cannot_be_read_is_an_error() {
    let (machine, storage) = simulated(1);
    machine.files.set_unreadable(Path::new("/spool/part"), 9);
    let error = storage.put(&name(), &part(Path::new("/spool/part"), false), &InOneGo).await.unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(storage.stat(&name()).await.unwrap(), None);
}

/// F31: a repeated put does not take a damaged object for the one that was put.
#[tokio::test]
async fn f31_a_damaged_object_is_not_taken_for_the_right_one() {
    let (machine, storage) = simulated(1);
    let spooled = Path::new("/spool/part");
    storage.put(&name(), &part(spooled, false), &InOneGo).await.unwrap();
    machine.files.damage(&storage.local_path(&name()).unwrap(), |bytes| bytes[3] ^= 1).unwrap();
    let error = storage.put(&name(), &part(spooled, false), &InOneGo).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

/// F109: of several writers that race for one name one wins; the same bytes are right for all.
#[tokio::test]
async fn f109_a_race_for_a_name_has_one_winner() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let storage = open(&host, &folder.path().join("backups"));
    for round in 0..20_u8 {
        let name = ObjectName::new(&format!("race-{round}")).unwrap();
        let race: Vec<_> = (0..8_u8)
            .map(|writer| {
                let (storage, name) = (storage.clone(), name.clone());
                // Half of the rounds everyone has the same bytes.
                let bytes = vec![if round % 2 == 0 { writer } else { 0 }; 70_000];
                tokio::spawn(async move { (storage.put_small(&name, &bytes).await, bytes) })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in race {
            match writer.await.unwrap() {
                (Ok(()), bytes) => winners.push(bytes),
                (Err(error), _) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
            }
        }
        assert_eq!(winners.len(), if round % 2 == 0 { 1 } else { 8 });
        assert_eq!(storage.read_small(&name, 70_000).await.unwrap().as_ref(), Some(&winners[0]));
    }
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
}

#[tokio::test]
async fn objects_are_private_and_a_part_is_taken_without_a_copy() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let spooled = folder.path().join("spool/part");
    spool(&host, &spooled);
    let inode = std::fs::metadata(&spooled).unwrap().ino();
    let storage = open(&host, &folder.path().join("backups"));
    let receipt = storage.put(&name(), &part(&spooled, true), &InOneGo).await.unwrap();
    assert_eq!(receipt.proof, Proof::Size);
    let path = storage.local_path(&name()).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((std::fs::metadata(&path).unwrap().ino(), mode(&path)), (inode, 0o600));
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&folder.path().join("backups")), 0o700);
    assert!(!spooled.exists());
    assert!(storage.free_bytes().await.unwrap().unwrap() > 0);
}

#[tokio::test]
async fn what_is_no_object_is_not_listed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, backups) = (folder.path().join("outside"), folder.path().join("backups"));
    std::fs::create_dir_all(outside.join("inner")).unwrap();
    std::fs::create_dir_all(&backups).unwrap();
    std::fs::write(outside.join("inner/secret"), "x").unwrap();
    symlink(&outside, backups.join("link")).unwrap();
    symlink(outside.join("inner/secret"), backups.join("file-link")).unwrap();
    std::fs::write(backups.join(".hidden"), "x").unwrap();
    std::fs::write(backups.join("a:b"), "x").unwrap();
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff");
    std::fs::write(backups.join(odd), "x").unwrap();
    std::fs::write(backups.join("object"), "x").unwrap();
    let storage = open(&Host::real(), &backups);
    let names: Vec<_> =
        storage.list(None).await.unwrap().iter().map(|facts| facts.name.to_string()).collect();
    assert_eq!(names, ["object"]);
    assert_eq!(storage.stat(&ObjectName::new("file-link").unwrap()).await.unwrap(), None);
    storage.delete(&ObjectName::new("file-link").unwrap()).await.unwrap();
    assert!(outside.join("inner/secret").exists() && backups.join("file-link").symlink_metadata().is_ok());
}

#[tokio::test]
async fn leftovers_of_a_run_that_died_are_swept_and_never_listed() {
    let (machine, storage) = simulated(1);
    let aside = Path::new(FOLDER).join("shop/x/.db.sql.zst.0a1b2c3d.uploading");
    machine.host.files.create_folder(aside.parent().unwrap()).unwrap();
    machine.host.files.create_new(&aside).unwrap().write_all(b"half").unwrap();
    machine.host.files.create_folder(&Path::new(FOLDER).join("shop/y/db")).unwrap();
    let probe = Path::new(FOLDER).join("backstock-probe-00");
    machine.host.files.create_new(&probe).unwrap();
    assert_eq!(storage.list(Some(&ObjectName::new("shop").unwrap())).await.unwrap(), []);
    assert_eq!(storage.delete_leftovers(Some(&ObjectName::new("shop").unwrap())).await.unwrap(), 1);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 1);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
    assert_eq!(machine.host.files.list(Path::new(FOLDER)).unwrap(), []);
}

/// Whichever call of a deletion fails, once it and the sweep are done again nothing of the backup's folder is left.
#[tokio::test]
async fn a_folder_whose_removal_failed_goes_with_the_next_sweep() {
    let folder = ObjectName::new("shop/2026-11-20T03.00.00Z-0a1b2c3d").unwrap();
    let mut failed = 0;
    for step in 0..7 {
        let (machine, storage) = simulated(1);
        storage.put_small(&name(), BYTES).await.unwrap();
        machine.files.fail_step(step, Fault::InputOutput);
        failed += usize::from(storage.delete(&name()).await.is_err());
        storage.delete(&name()).await.unwrap();
        storage.delete_leftovers(Some(&folder)).await.unwrap();
        let left = machine.host.files.list(&Path::new(FOLDER).join("shop")).unwrap_or_default();
        assert_eq!(left, [], "step {step}");
    }
    assert!(failed >= 4, "a failing disk is told: {failed}");
}

#[tokio::test]
async fn settings_go_both_ways_and_odd_ones_are_refused() {
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/backups/\xff");
    for folder in [Path::new("/backups"), Path::new(odd)] {
        let settings = StorageSettings::local(folder);
        let text = serde_json::to_string(&settings).unwrap();
        let storage =
            crate::open(&Host::real(), &serde_json::from_str(&text).unwrap(), Arc::new(KeptNowhere)).unwrap();
        let name = ObjectName::new("x").unwrap();
        assert_eq!(storage.local_path(&name).unwrap(), folder.join("x"));
    }
    for settings in [
        serde_json::json!({}),
        serde_json::json!({"folder": "relative"}),
        serde_json::json!({"folder": "/a", "folder_hex": "2f61"}),
        serde_json::json!({"folder_hex": "2"}),
        serde_json::json!({"folder": "/a", "bucket": "b"}),
        serde_json::json!(7),
    ] {
        let settings = StorageSettings { kind: "local".into(), settings };
        let error = crate::open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap_err();
        assert!(matches!(error, Error::Settings { kind: "local", .. }), "{error}");
    }
}
