//! Faults of source files by number (F26, F58, F61 to F69), and bounded memory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use backstock_vocabulary::Codec;

use super::super::*;
use super::fixture::{as_nobody, back_up, noise, request, set_time, try_back_up, write};
use super::snapshot::{assert_same, snapshot};
use crate::artifact::ArtifactReader;

/// Does something to the shop when a path is reached, and notes what is said.
struct Meddler<F: Fn(&[u8]) + Send + Sync> {
    act: F,
}

impl<F: Fn(&[u8]) + Send + Sync> TreeMonitor for Meddler<F> {
    fn file(&self, path: &[u8], _bytes: u64) {
        (self.act)(path);
    }

    fn note(&self, _note: &TreeNote) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A tree long enough that the readers are not yet at its end when its beginning is in the archive.
fn long_tree(shop: &Path) {
    for number in 0..60 {
        write(shop, &format!("{number:03}/fill.bin"), &noise(number, 1 << 20));
    }
}

#[test]
fn f61_what_vanishes_is_a_note_and_the_archive_stays_whole() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    long_tree(&shop);
    write(&shop, "zz/gone.txt", b"gone");
    write(&shop, "zz/stays.txt", b"stays");
    let path = shop.join("zz/gone.txt");
    let meddler = Meddler {
        act: |_: &[u8]| {
            let _ = fs::remove_file(&path);
        },
    };
    // The walk is far ahead of nothing: it may or may not have seen the file, but never half.
    let backup = try_back_up(&request(&shop), Codec::Zstd, &meddler).unwrap();
    let entries = backup.entries();
    let gone = entries.iter().find(|entry| entry.path == b"zz/gone.txt");
    assert!(gone.is_none_or(|entry| entry.state == FileState::Vanished && entry.frame.is_none()), "{gone:?}");
    assert_eq!(backup.report.unreadable.count, 0);
    let target = folder.path().join("stock");
    backup.stock_extract(&target);
    assert_same(&snapshot(&shop), &snapshot(&target));
}

#[test]
fn f61_a_name_that_the_walk_saw_and_the_reader_did_not_find_is_vanished() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", b"a");
    let handle = open_folder(folder.path());
    let seen = found(&handle, b"a");
    let owners = owners::Owners::default();
    let reader = read_item::ItemReader { owners: &owners, monitor: &NoMonitor };
    for put_there in [None, Some("folder"), Some("pipe"), Some("link")] {
        let path = folder.path().join("a");
        let _ = fs::remove_file(&path);
        match put_there {
            Some("folder") => fs::create_dir(&path).unwrap(),
            Some("pipe") => {
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            }
            Some(_) => symlink("/etc/passwd", &path).unwrap(),
            None => {}
        }
        let found = walk::Found { attributes: Vec::new(), reason: None, ..seen.clone() };
        let item = read_item::Item::new(found, None);
        let mut buffer = b"before".to_vec();
        let read_item::Outcome::Done(piece) = reader.read(item, &mut buffer) else { panic!("long") };
        assert_eq!(piece.entry.state, FileState::Vanished, "{put_there:?}");
        assert_eq!(buffer, b"before");
        let _ = fs::remove_dir(&path);
    }
}

/// Items are read in the order of their inodes, and one has become long since the walk saw it: the order of the index stays.
#[test]
fn f62_a_job_is_handed_over_in_the_order_of_the_index() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["d", "c", "b", "a"] {
        write(folder.path(), name, name.as_bytes());
    }
    let parent = open_folder(folder.path());
    let item = |name: &str| read_item::Item::new(found(&parent, name.as_bytes()), None);
    let items = ["a", "b", "c", "d"].map(item).into();
    write(folder.path(), "c", &noise(1, 5 << 20));
    let host = backstock_host::Host::real();
    let options = crate::artifact::ArtifactOptions::of(Codec::Zstd, 1);
    let writer =
        crate::artifact::ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
    let owners = owners::Owners::default();
    let reader = read_item::ItemReader { owners: &owners, monitor: &NoMonitor };
    let (outputs, received) = crossbeam_channel::unbounded();
    archive::work(&reader, archive::Job { items, planned_bytes: 0, outputs }, &writer).unwrap();
    let mut names = Vec::new();
    for output in received {
        match output {
            assemble::Output::Batch { bytes, pieces } => {
                for piece in pieces {
                    // Its last block is the content: the name of the file.
                    let member = &bytes[piece.bytes.clone()];
                    assert_eq!(&member[member.len() - 512..][..1], piece.entry.path);
                    names.push(piece.entry.path);
                }
            }
            assemble::Output::LongFrame { .. } => {}
            assemble::Output::LongEnd { entry, .. } => names.push(entry.path),
        }
    }
    assert_eq!(names, [b"a", b"b", b"c", b"d"]);
    writer.discard().unwrap();
}

#[test]
fn f62_files_that_grow_and_shrink_are_notes_and_never_break_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for name in ["small.log", "large.log"] {
        write(&shop, name, &noise(1, if name == "small.log" { 300_000 } else { 12 << 20 }));
    }
    write(&shop, "zz.txt", b"after");
    let stop = AtomicBool::new(false);
    let backup = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut length = 1u64;
            while !stop.load(Ordering::Relaxed) {
                length = (length * 7 + 13) % (20 << 20);
                for (name, limit) in [("small.log", 400_000), ("large.log", 20 << 20)] {
                    let file = fs::OpenOptions::new().write(true).open(shop.join(name)).unwrap();
                    file.set_len(length % limit + limit / 4).unwrap();
                }
            }
        });
        let backups: Vec<_> = (0..6).map(|_| back_up(&request(&shop), Codec::Gzip)).collect();
        stop.store(true, Ordering::Relaxed);
        backups
    });
    let mut changed = 0;
    for (number, backup) in backup.iter().enumerate() {
        changed += backup.report.changed.count;
        assert_eq!(backup.report.unreadable.count, 0);
        for target in ["stock", "own"] {
            let target = folder.path().join(format!("{target}{number}"));
            if target.ends_with(format!("own{number}")) {
                let report = backup.extract(&target, false);
                assert_eq!((report.refused.count, report.damaged.count), (0, 0), "{report:?}");
            } else {
                backup.stock_extract(&target);
            }
            assert_eq!(fs::read(target.join("zz.txt")).unwrap(), b"after");
            for name in ["small.log", "large.log"] {
                let entry = backup.entry(name.as_bytes());
                let content = fs::read(target.join(name)).unwrap();
                assert_eq!(content.len() as u64, entry.size_bytes);
                if !entry.sparse {
                    assert_eq!(Some(*blake3::hash(&content).as_bytes()), entry.blake3);
                }
            }
        }
    }
    assert!(changed > 0, "the writer was never noticed");
}

#[test]
fn f63_unreadable_files_and_folders_are_exceptions_and_never_empty_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let shop = folder.path().join("shop");
    write(&shop, "open.php", b"open");
    write(&shop, "closed.php", b"secret");
    write(&shop, "closed/inner.php", b"secret");
    write(&shop, "listed-only/inner.php", b"secret");
    for (name, mode) in [("closed.php", 0o000), ("closed", 0o000), ("listed-only", 0o444)] {
        fs::set_permissions(shop.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let walked = shop.clone();
    let nobody = as_nobody(move || {
        let backup = back_up(&request(&walked), Codec::Zstd);
        (backup.report.clone(), backup.entries())
    });
    let (report, entries) = nobody.join().unwrap();
    let state = |path: &[u8]| {
        let entry = entries.iter().find(|entry| entry.path == path).unwrap();
        (entry.state, entry.reason.clone(), entry.frame.is_some())
    };
    let denied = Some("permission denied".to_owned());
    assert_eq!(state(b"closed.php"), (FileState::Unreadable, denied.clone(), false));
    assert_eq!(state(b"closed"), (FileState::Unreadable, denied.clone(), true));
    assert_eq!(state(b"listed-only/inner.php"), (FileState::Unreadable, denied, false));
    assert_eq!(state(b"open.php"), (FileState::Stored, None, true));
    assert_eq!((report.unreadable.count, report.files), (3, 1), "{report:?}");
    for name in ["closed", "listed-only"] {
        fs::set_permissions(shop.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn f63_an_unreadable_root_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = try_back_up(&request(&folder.path().join("missing")), Codec::Zstd, &NoMonitor).err().unwrap();
    assert!(error.to_string().contains("missing"), "{error}");
}

/// What the walk would have found under a name.
fn found(parent: &std::sync::Arc<std::os::fd::OwnedFd>, name: &[u8]) -> walk::Found {
    let facts = facts::Facts::of_name(&**parent, name).unwrap();
    walk::Found::seen(name.to_vec(), std::sync::Arc::clone(parent), name, Some(facts))
}

fn open_folder(path: &Path) -> std::sync::Arc<std::os::fd::OwnedFd> {
    let flags = rustix::fs::OFlags::DIRECTORY;
    std::sync::Arc::new(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap())
}

#[test]
fn f65_further_names_of_a_file_that_was_replaced_do_not_lead_to_the_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    write(&shop, "a", b"three names");
    fs::hard_link(shop.join("a"), shop.join("y")).unwrap();
    fs::hard_link(shop.join("a"), shop.join("z")).unwrap();
    let parent = open_folder(&shop);
    let items: Vec<read_item::Item> = [("a", None), ("y", Some(b"a".to_vec())), ("z", Some(b"a".to_vec()))]
        .into_iter()
        .map(|(name, first_name)| read_item::Item::new(found(&parent, name.as_bytes()), first_name))
        .collect();
    // After the walk, and before the reader: the first name now stands for another file.
    fs::write(shop.join("b"), b"another").unwrap();
    fs::rename(shop.join("b"), shop.join("a")).unwrap();
    let host = backstock_host::Host::real();
    let options = crate::artifact::ArtifactOptions::of(Codec::Zstd, 1);
    let writer =
        crate::artifact::ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
    let mut index = crate::index::IndexWriter::create(&host, folder.path(), &"header").unwrap();
    let owners = owners::Owners::default();
    let reader = read_item::ItemReader { owners: &owners, monitor: &NoMonitor };
    let mut assembler = assemble::Assembler::new(0, &writer, &mut index, &reader, &NoMonitor);
    for item in items {
        let mut bytes = Vec::new();
        let read_item::Outcome::Done(piece) = reader.read(item, &mut bytes) else { panic!("long") };
        assembler.take(assemble::Output::Batch { bytes, pieces: vec![*piece] }).unwrap();
    }
    let report = assembler.finish(jobs::Walked::default()).unwrap();
    assert_eq!((report.files, report.hard_links), (2, 1), "{report:?}");
    let artifact = writer.finish().unwrap();
    index.finish(&artifact.frames, &report).unwrap();
    let output = std::process::Command::new("tar")
        .args(["--zstd", "-xf"])
        .arg(folder.path().join("files.tar.zst"))
        .arg("-C")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(output.success());
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(
        (read("a"), read("y"), read("z")),
        (b"another".to_vec(), b"three names".to_vec(), b"three names".to_vec())
    );
    let inode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().ino();
    assert_eq!(inode("y"), inode("z"));
}

#[test]
fn f67_a_sparse_file_of_100_gb_is_small_fast_and_sparse_again() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    let path = write(&shop, "disk.img", b"begin");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(100 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 50 << 30).unwrap();
    let backup = back_up(&request(&shop), Codec::Zstd);
    assert!(backup.artifact.stored_bytes < 20_000, "{} bytes", backup.artifact.stored_bytes);
    assert_eq!(count_tree(&request(&shop), &NoMonitor).unwrap().bytes, 8192);
    for target in ["stock", "own"] {
        let target = folder.path().join(target);
        if target.ends_with("own") {
            drop(backup.extract(&target, false));
        } else {
            backup.stock_extract(&target);
        }
        let metadata = fs::metadata(target.join("disk.img")).unwrap();
        assert_eq!(metadata.len(), 100 << 30);
        assert!(metadata.blocks() * 512 < 100_000);
        let mut bytes = [0; 6];
        let file = fs::File::open(target.join("disk.img")).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 50 << 30).unwrap();
        assert_eq!(&bytes, b"middle");
    }
}

#[test]
fn f69_a_folder_swapped_for_a_link_never_leads_outside() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    let canary = b"the canary that must never be read";
    write(folder.path(), "outside/secret.txt", canary);
    for number in 0..300 {
        write(&shop, &format!("upload/{number:03}/secret.txt"), b"harmless");
    }
    symlink(folder.path().join("outside"), shop.join("decoy")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number = (number + 1) % 300;
                let (upload, decoy) = (shop.join(format!("upload/{number:03}")), shop.join("decoy"));
                for _ in 0..2 {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(rustix::fs::CWD, &upload, rustix::fs::CWD, &decoy, flags)
                        .unwrap();
                }
            }
        });
        for _ in 0..15 {
            let backup = back_up(&request(&shop), Codec::Zstd);
            let reader: ArtifactReader = backup.archive();
            for number in 0..reader.frames().len() {
                let text = reader.read_frame(number).unwrap();
                assert!(!text.windows(canary.len()).any(|window| window == canary));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn f58_setuid_comes_back_only_with_consent_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755), ("world", 0o666)] {
        let path = write(&shop, name, b"x");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(shop.join("shared")).unwrap();
    fs::set_permissions(shop.join("shared"), fs::Permissions::from_mode(0o2775)).unwrap();
    let backup = back_up(&request(&shop), Codec::Zstd);
    let mode = |base: &Path, name: &str| fs::metadata(base.join(name)).unwrap().mode() & 0o7777;
    for (consent, expected) in
        [(false, [0o755, 0o755, 0o666, 0o2775]), (true, [0o4755, 0o2755, 0o666, 0o2775])]
    {
        let target = folder.path().join(format!("own-{consent}"));
        let report = backup.extract(&target, consent);
        assert_eq!(["suid", "sgid", "world", "shared"].map(|name| mode(&target, name)), expected);
        assert_eq!(report.without_setuid.count, if consent { 0 } else { 2 });
    }
}

#[test]
fn a_link_or_folder_named_as_the_shops_root_is_followed_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("releases/7"), "index.php", b"7");
    symlink("releases/7", folder.path().join("current")).unwrap();
    let backup = back_up(&request(&folder.path().join("current")), Codec::Zstd);
    assert_eq!(backup.report.files, 1);
}

#[test]
fn stopping_ends_the_walk_the_readers_and_the_archive() {
    struct Stop(AtomicBool);
    impl TreeMonitor for Stop {
        fn file(&self, _path: &[u8], _bytes: u64) {
            self.0.store(true, Ordering::SeqCst);
        }

        fn note(&self, _note: &TreeNote) {}

        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    long_tree(&shop);
    let error = try_back_up(&request(&shop), Codec::Zstd, &Stop(AtomicBool::new(false))).err().unwrap();
    assert!(matches!(error, crate::Error::Cancelled), "{error}");
}

/// Readers of long files hand over frame by frame: when nobody takes them any more, they and the walker must not wait for
/// one another.
#[test]
fn stopping_in_the_middle_of_long_files_ends_everything() {
    struct StopAfter(AtomicU64);
    impl TreeMonitor for StopAfter {
        fn file(&self, _path: &[u8], _bytes: u64) {}

        fn note(&self, _note: &TreeNote) {}

        fn bytes(&self, count: u64) {
            let left = self.0.load(Ordering::SeqCst);
            self.0.store(left.saturating_sub(count), Ordering::SeqCst);
        }

        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::SeqCst) == 0
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for number in 0..60 {
        write(&shop, &format!("{number:03}.jpg"), &noise(number, 5 << 20));
    }
    for megabytes in [1, 9, 40, 90] {
        let request = request(&shop);
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let stop = StopAfter(AtomicU64::new(megabytes << 20));
            let _ = sender.send(try_back_up(&request, Codec::Zstd, &stop).err());
        });
        let error =
            ended.recv_timeout(std::time::Duration::from_secs(120)).expect("everybody waits for somebody");
        assert!(matches!(error, Some(crate::Error::Cancelled)), "{error:?}");
    }
}

#[test]
fn a_time_before_1970_and_one_after_2262_survive() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    let times = [("old", -1_000_000_000, 1), ("new", 10_000_000_000, 999_999_999)];
    for (name, seconds, nanoseconds) in times {
        set_time(&write(&shop, name, b"x"), seconds, nanoseconds);
    }
    let before = snapshot(&shop);
    let backup = back_up(&request(&shop), Codec::Zstd);
    let own: PathBuf = folder.path().join("own");
    backup.extract(&own, false);
    assert_same(&before, &snapshot(&own));
}
