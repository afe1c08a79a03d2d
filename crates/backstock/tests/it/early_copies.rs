//! Parts on their way to destinations: while the backup is made, after a death in the middle, and of a set that keeps nothing here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::away::{Away, every_kind};
use super::destinations::{destinations, hours_from_now, sets};
use super::harness::Place;
use super::sealed::{every_file, folder_of_files};

/// A folder of files with so many MiB that nothing makes shorter.
fn folder_of_noise(place: &Place, mib: usize) -> String {
    let root = folder_of_files(place);
    let mut file = fs::File::create(Path::new(&root).join("media/noise.jpg")).unwrap();
    let mut state: u64 = 7;
    let mut noise = vec![0; 1 << 20];
    for _ in 0..mib {
        for word in noise.chunks_exact_mut(4) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&((state >> 32) as u32).to_le_bytes());
        }
        file.write_all(&noise).unwrap();
    }
    root
}

fn manifests_in(objects: &Path) -> usize {
    let files = every_file(objects);
    files.iter().filter(|file| file.file_name().unwrap() == "manifest.json").count()
}

/// Parts go as soon as they are whole, and are no backup yet. What a killed run left of one is removed by the next.
#[test]
fn parts_go_to_a_destination_while_the_backup_is_still_being_made() {
    let Some(ssh) = Away::sftp() else { return };
    let place = Place::new();
    let root = folder_of_noise(&place, 24);
    ssh.add(&place, &root, &[]);
    let parts = || {
        let files = every_file(&ssh.objects);
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        files.iter().filter(|file| name(file).starts_with("files.tar.zst.0")).count()
    };
    let arguments = ["backup", &root, "--part-size", "4 MiB", "--level", "full"];
    let run = place.paused("backup.spooled", 600_000, &arguments, |process| {
        let until = Instant::now() + Duration::from_secs(60);
        while parts() < 6 {
            assert!(Instant::now() < until, "{} parts are there", parts());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(manifests_in(&ssh.objects), 0);
        assert!(every_file(&place.backups()).iter().all(|file| !file.ends_with("files.tar.zst.001")));
        let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    });
    run.expect_killed();
    assert_eq!(place.list().len(), 0);
    let run = place.run(&[&arguments[..], &["--json"]].concat()).expect(0);
    let [told] = &destinations(&run)[..] else { panic!("{}", run.stdout) };
    assert_eq!(told["outcome"], "success");
    let (sent, stored) =
        (told["sent_bytes"].as_u64().unwrap(), told["copied"][0]["stored_bytes"].as_u64().unwrap());
    assert!(sent >= stored && sent < stored + (2 << 20), "each part is sent once: {sent} of {stored}");
    let folder = place.newest_backup();
    let here = every_file(&folder).len();
    let there = every_file(&ssh.objects);
    let is_of_it =
        |file: &&PathBuf| file.to_str().unwrap().contains(folder.file_name().unwrap().to_str().unwrap());
    assert_eq!(there.iter().filter(is_of_it).count(), here);
    assert_eq!(parts(), here - 2, "what the killed run had sent is removed: {there:?}");
    let other = Place::new();
    ssh.typed(&other, &["recover"], &[]).expect(0);
    other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// Several kinds open the part anew for each piece. It is moved to its first place meanwhile, and the upload goes on there.
#[test]
fn a_part_that_is_moved_to_its_place_in_the_midst_of_uploads_arrives() {
    let place = Place::new();
    let root = folder_of_noise(&place, 112);
    let kinds = [Away::s3(), Some(Away::dropbox()), Some(Away::google_drive()), Some(Away::onedrive())];
    let kinds: Vec<Away> = kinds.into_iter().flatten().collect();
    kinds.iter().for_each(|away| away.add(&place, &root, &[]));
    let run = place.run(&["backup", &root, "--json"]).expect(0);
    let stored: u64 = run.json()["stored_bytes"].as_u64().unwrap();
    for told in destinations(&run) {
        let sent = told["sent_bytes"].as_u64().unwrap();
        // Pieces that were on their way are sent again; four of them are, where the most are.
        assert!(told["outcome"] == "success" && sent < stored + (48 << 20), "{told}: {stored}");
    }
    for away in &kinds {
        let other = Place::new();
        away.typed(&other, &["recover"], &["--without-settings"]).expect(0);
        other.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    }
}

/// F85, F100: killed in the midst of an upload, or between the last part and the manifest, a backup is not there by halves, and the
/// next run goes on.
#[test]
fn f85_an_upload_that_is_killed_goes_on_with_the_next_run() {
    let Some(ssh) = Away::sftp() else { return };
    let place = Place::new();
    let root = folder_of_noise(&place, 24);
    ssh.add(&place, &root, &["--hours", &hours_from_now(2, 3)]);
    place.run(&["backup", &root]).expect(3);
    place.run(&["set", "destination", "change", &root, "ssh", "--hours", "none"]).expect(0);
    place.run_with("replicate.piece_confirmed=kill:4", &["replicate", &root]).expect_killed();
    assert_eq!(place.list().len(), 1, "it is here");
    let manifests = || manifests_in(&ssh.objects);
    assert_eq!(manifests(), 0);
    place.run_with("replicate.before_manifest=kill:1", &["replicate", &root]).expect_killed();
    assert_eq!(manifests(), 0);
    assert_eq!(sets(&place, &root)[0]["owed"], 1);
    let run = place.run(&["replicate", &root, "--json"]).expect(0).json();
    let sent = run["sets"][0]["destinations"][0]["sent_bytes"].as_u64().unwrap();
    assert!(sent < 1 << 20, "what is there is not sent again: {sent}");
    place.run_with("replicate.after_manifest=kill:1", &["backup", &root, "--level", "full"]).expect_killed();
    assert_eq!(manifests(), 2);
    place.run(&["replicate", &root]).expect(0);
    let uploads = every_file(&place.state().join("uploads"));
    assert!(uploads.is_empty(), "{uploads:?}");
    let other = Place::new();
    ssh.typed(&other, &["recover"], &[]).expect(0);
    assert_eq!(other.list().len(), 2);
    other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// How long the upload is that is killed at every kind, in MiB. `bench/faults uploads` takes 1,024.
fn upload_mib() -> usize {
    std::env::var("BACKSTOCK_TEST_UPLOAD_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(128)
}

/// F85: killed at nine tenths, an upload goes on at every kind with the piece that was not confirmed. Where the protocol knows no way,
/// parts are 64 MiB, and those that are there are not sent again.
#[test]
fn f85_an_upload_that_is_killed_late_goes_on_at_every_kind() {
    let mib = upload_mib();
    let shop = Place::new();
    let root = folder_of_noise(&shop, mib);
    let closed = hours_from_now(2, 3);
    for away in every_kind(&shop).iter().filter(|away| away.title != "disk") {
        let place = Place::new();
        away.add(&place, &root, &["--hours", &closed]);
        place.run(&["backup", &root, "--level", "full"]).expect(3);
        place.run(&["set", "destination", "change", &root, away.title, "--hours", "none"]).expect(0);
        let (point, piece_mib) = match away.title {
            "bucket" | "onedrive" => ("replicate.piece_confirmed", 10),
            "ssh" | "drive" => ("replicate.piece_confirmed", 8),
            "dropbox" => ("replicate.piece_confirmed", 32),
            "ftp server" => ("replicate.piece_confirmed", 64),
            _ => ("replicate.before_part", 64),
        };
        let pieces = (mib * 9 / 10 / piece_mib).max(1);
        // It is told that an upload has begun, too; and a part is reached before it is sent.
        let order = format!("{point}=kill:{}", pieces + 1);
        place.run_with(&order, &["replicate", &root]).expect_killed();
        let run = place.run(&["replicate", &root, "--json"]).expect(0).json();
        let sent = run["sets"][0]["destinations"][0]["sent_bytes"].as_u64().unwrap();
        // What is left, the index, and at the most the piece whose confirmation was not written down any more.
        let most = ((mib - pieces * piece_mib + 2 + piece_mib) << 20) as u64;
        assert!(
            sent <= most,
            "{}: {sent} bytes were sent after {pieces} pieces of {piece_mib} MiB",
            away.title
        );
    }
}

/// A set that keeps nothing on this machine: parts pass through the spool, and the first destination that answers is where it is made.
#[test]
fn a_set_may_keep_nothing_on_this_machine() {
    let Some(ssh) = Away::sftp() else { return };
    let place = Place::new();
    let root = folder_of_noise(&place, 24);
    let disk_folder = place.folder().join("disk");
    let disk = Away::folder(&disk_folder);
    let refused = place.run(&["set", "local", &root, "--off"]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    ssh.add(&place, &root, &["--path", "customers/acme"]);
    disk.add(&place, &root, &[]);
    let shown = place.run(&["set", "local", &root, "--off"]).expect(0);
    assert!(shown.stdout.contains("not kept on this machine"), "{}", shown.stdout);
    let run = place.run(&["backup", &root, "--level", "full", "--part-size", "4 MiB", "--json"]).expect(0);
    assert_eq!((&run.json()["storage"], destinations(&run).len()), (&"ssh".into(), 1), "{}", run.stdout);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    let incremental = ["backup", &root, "--level", "incremental", "--part-size", "4 MiB", "--json"];
    let run = place.run(&incremental).expect(0);
    assert_eq!(
        (&run.json()["level"], &run.json()["storage"]),
        (&"incremental".into(), &"ssh".into()),
        "{}",
        run.stdout
    );
    assert!(!place.backups().exists());
    assert_eq!(fs::read_dir(place.state().join("spool")).unwrap().count(), 0);
    assert_eq!((manifests_in(&ssh.objects), manifests_in(&disk_folder)), (2, 2));
    place.run(&["verify", "latest", "--level", "decoded"]).expect(0);
    // What a killed run left is removed by the next.
    let full = ["backup", &root, "--level", "full", "--part-size", "4 MiB"];
    place.run_with("backup.before_manifest=kill:1", &full).expect_killed();
    place.run(&full).expect(0);
    assert_eq!((manifests_in(&ssh.objects), manifests_in(&disk_folder)), (3, 3));
    // The first destination is away: the next is where it is made, and the first gets it later.
    let away = ssh.objects.with_file_name("away");
    fs::rename(&ssh.objects, &away).unwrap();
    fs::write(&ssh.objects, "").unwrap();
    let run = place.run(&["backup", &root, "--json"]).expect(3);
    assert_eq!((&run.json()["storage"], manifests_in(&disk_folder)), (&"disk".into(), 4));
    fs::remove_file(&ssh.objects).unwrap();
    fs::rename(&away, &ssh.objects).unwrap();
    place.run(&["replicate", &root]).expect(0);
    assert_eq!(manifests_in(&ssh.objects), 4);
    // A restore is protected on this machine all the same.
    fs::write(Path::new(&root).join("index.php"), "defaced").unwrap();
    place.run(&["restore", "latest", "--shop", &root, "--yes", "--without-maintenance"]).expect(0);
    assert_eq!(manifests_in(&disk_folder), 5, "beside what is restored, where that is on this machine");
    assert_ne!(fs::read_to_string(Path::new(&root).join("index.php")).unwrap(), "defaced");
    for one in [&ssh, &disk] {
        let other = Place::new();
        one.typed(&other, &["recover"], &[]).expect(0);
        other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
    }
}
