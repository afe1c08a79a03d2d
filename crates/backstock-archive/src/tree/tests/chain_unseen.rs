//! What only cannot be seen is never called gone: the version before is carried on, marked as stale.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use backstock_vocabulary::{Codec, Level};

use super::super::*;
use super::chain::{Chains, Step};
use super::fixture::{Backup, as_nobody, noise, request, write};
use crate::artifact::{ArtifactOptions, ArtifactWriter};
use crate::index::{CRITICAL_HELD_BY, IndexOptions, IndexWriter};

const TICK: std::time::Duration = std::time::Duration::from_millis(12);

/// A tree of these files, each holding its own name.
fn tree(names: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = folder.path().join("shop");
    for name in names {
        write(&root, name, name.as_bytes());
    }
    std::thread::sleep(TICK);
    (folder, root)
}

fn stale(chains: &Chains, number: usize) -> Vec<String> {
    let entries = chains.backups[number].entries().into_iter();
    entries
        .filter(|entry| entry.stale.is_some())
        .map(|entry| String::from_utf8(entry.path).unwrap())
        .collect()
}

/// Extracts a backup through both ways, and gives the names of its files with their contents.
#[track_caller]
fn files(chains: &Chains, number: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (own, stock) = (folder.path().join("own"), folder.path().join("stock"));
    let report = chains.extract(number, &own);
    assert_eq!((report.refused.count, report.damaged.count), (0, 0), "{report:?}");
    chains.stock_extract(number, &stock);
    let mut found = Vec::new();
    gather(&own, &own, &mut found);
    let mut through_tar = Vec::new();
    gather(&stock, &stock, &mut through_tar);
    assert_eq!(found, through_tar);
    found
}

fn gather(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            assert_eq!(fs::read_to_string(&path).unwrap(), name);
            found.push(name);
        }
    }
}

/// F63 in a chain: a file, a folder and the contents of a folder that cannot be read any more.
#[test]
fn f63_what_cannot_be_read_any_more_is_carried_on() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, root) = tree(&["closed.php", "closed/deep/a", "gone", "listed/a", "open.php"]);
    let modes = |mode: u32| {
        for name in ["closed.php", "closed", "listed"] {
            let mode = if name == "listed" && mode == 0 { 0o444 } else { mode };
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    let (say, hear) = channel::<()>();
    let (answer, answered) = channel::<()>();
    let shop = root.clone();
    let thread = as_nobody(move || {
        let mut chains = Chains::default();
        for level in [Level::Full, Level::Incremental, Level::Incremental] {
            chains.back_up(&request(&shop), &Step::of(level));
            answer.send(()).unwrap();
            hear.recv().unwrap();
        }
        chains
    });
    answered.recv().unwrap();
    std::thread::sleep(TICK);
    fs::remove_file(root.join("gone")).unwrap();
    modes(0);
    say.send(()).unwrap();
    answered.recv().unwrap();
    modes(0o755);
    std::thread::sleep(TICK);
    say.send(()).unwrap();
    answered.recv().unwrap();
    say.send(()).unwrap();
    let chains = thread.join().unwrap();
    assert_eq!(stale(&chains, 1), ["closed/deep", "closed/deep/a", "closed.php", "listed/a"]);
    let report = &chains.backups[1].report;
    assert_eq!((report.stale.count, report.unreadable.count, report.removed.count), (4, 1, 1), "{report:?}");
    let whole = ["closed/deep/a", "closed.php", "listed/a", "open.php"];
    let mut sorted = whole.map(str::to_owned).to_vec();
    sorted.sort();
    let mut found = files(&chains, 1);
    found.sort();
    assert_eq!(found, sorted);
    // It can be read again: nothing is stale any more.
    assert_eq!(stale(&chains, 2), Vec::<String>::new());
    let mut found = files(&chains, 2);
    found.sort();
    assert_eq!(found, sorted);
}

/// F26 in a chain: a long file that cannot be read to its end any more stays as the backup before has it.
#[test]
fn f26_a_long_file_that_fails_half_way_is_carried_on() {
    let (folder, root) = tree(&["before", "z"]);
    write(&root, "long", &noise(1, 5 << 20));
    let mut chains = Chains::default();
    chains.back_up(&request(&root), &Step::of(Level::Full));
    let known = chains.backups[0].entry(b"long");
    // A handle that cannot read answers every read with an error, as a bad disk does.
    let parent = std::sync::Arc::new(
        rustix::fs::open(&root, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap(),
    );
    let facts = facts::Facts::of_name(&*parent, b"long").unwrap();
    let found = walk::Found::seen(b"long".to_vec(), parent, b"long", Some(facts));
    let mut open = read_item::ItemReader::open(&found).unwrap();
    open.file = fs::OpenOptions::new().write(true).open(root.join("long")).unwrap();
    let bad = read_item::LongItem { found, open, known: Some(Box::new(known.clone())), is_other: false };
    let owners = owners::Owners::default();
    let reader = read_item::ItemReader { owners: &owners, monitor: &NoMonitor };
    let host = backstock_host::Host::real();
    let place = folder.path().join("backup");
    fs::create_dir(&place).unwrap();
    let writer =
        ArtifactWriter::create(&host, &place, "files.tar.zst", &ArtifactOptions::of(Codec::Zstd, 1)).unwrap();
    let options = IndexOptions { critical: &[CRITICAL_HELD_BY], ..IndexOptions::default() };
    let mut index = IndexWriter::create_with(&host, &place, &options, &"header").unwrap();
    let mut assembler = assemble::Assembler::new(1, &writer, &mut index, &reader, &NoMonitor);
    assemble::stream_long(&reader, &bad, &writer, &mut |output| assembler.take(output).map(drop)).unwrap();
    let report = assembler.finish(jobs::Walked::default()).unwrap();
    assert_eq!((report.stale.count, report.unreadable.count), (1, 0), "{report:?}");
    let artifact = writer.finish().unwrap();
    let index = index.finish(&artifact.frames, &report).unwrap();
    let moved = tempfile::tempdir().unwrap();
    for name in ["files.tar.zst", "index.zst"] {
        fs::rename(place.join(name), moved.path().join(name)).unwrap();
    }
    chains.backups.push(Backup { folder: moved, artifact, index, report });
    chains.made_of.push(vec![0, 1]);
    let entry = chains.backups[1].entry(b"long");
    assert!(entry.stale.is_some() && entry.filler_frame.is_some() && entry.held_by == 0);
    assert_eq!((entry.frame, entry.blake3), (known.frame, known.blake3));
    let checked = check_archive(&chains.source(1), &chains.backups[1].index(), &NoMonitor).unwrap();
    assert_eq!((checked.files, checked.faults), (0, Vec::new()));
    let held = check_held(&chains.source(1), &chains.backups[1].index(), 0, &NoMonitor).unwrap();
    assert_eq!((held.files, held.faults), (1, Vec::new()));
    // What only keeps its place in one archive is not looked for in the next.
    let number = chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(
        (stale(&chains, number), chains.backups[number].entry(b"long").filler_frame),
        (Vec::new(), None)
    );
    let checked = check_archive(&chains.source(number), &chains.backups[number].index(), &NoMonitor).unwrap();
    assert_eq!(checked.faults, Vec::<String>::new());
}

/// A disk that is not mounted, or another one in its place: the folder is there, and is another one on another device.
#[test]
fn what_lay_on_another_file_system_is_carried_on() {
    let (_folder, root) = tree(&["keep", "media/a", "media/b", "media/deep/c", "z"]);
    let mut chains = Chains::default();
    chains.back_up(&request(&root), &Step::of(Level::Full));
    chains.backups[0].edit_index(|entry| {
        if entry.path.starts_with(b"media") {
            entry.device += 1000;
            entry.inode += 1_000_000;
        }
    });
    fs::remove_dir_all(root.join("media")).unwrap();
    fs::create_dir(root.join("media")).unwrap();
    std::thread::sleep(TICK);
    for number in [1, 2, 3] {
        if number == 3 {
            // Something that was put into the empty folder meanwhile goes again like anything else.
            write(&root, "media/new", b"media/new");
            std::thread::sleep(TICK);
        }
        assert_eq!(chains.back_up(&request(&root), &Step::of(Level::Incremental)), number);
        assert_eq!(stale(&chains, number), ["media/a", "media/b", "media/deep", "media/deep/c"]);
        assert_eq!(chains.backups[number].report.removed.count, 0);
        assert!(chains.backups[number].entry(b"media").keeps_stale);
        let mut expected = vec!["keep", "media/a", "media/b", "media/deep/c", "media/new", "z"];
        expected.retain(|name| number == 3 || *name != "media/new");
        assert_eq!(files(&chains, number), expected);
    }
    chains.back_up(&request(&root), &Step::of(Level::Full));
    assert_eq!(files(&chains, 4), ["keep", "media/new", "z"]);
}

/// Device numbers are handed out anew when a machine starts: the very folders are still there.
#[test]
fn a_file_system_under_another_number_is_the_same() {
    let (_folder, root) = tree(&["a/gone", "a/same", "same"]);
    let mut chains = Chains::default();
    chains.back_up(&request(&root), &Step::of(Level::Full));
    chains.backups[0].edit_index(|entry| entry.device += 1000);
    fs::remove_file(root.join("a/gone")).unwrap();
    std::thread::sleep(TICK);
    chains.back_up(&request(&root), &Step::of(Level::Incremental));
    let report = &chains.backups[1].report;
    assert_eq!((stale(&chains, 1), report.removed.count, report.unchanged), (Vec::new(), 1, 2));
    assert_eq!(files(&chains, 1), ["a/same", "same"]);
}

/// A mount whose folder is gone with it.
#[test]
fn a_mount_that_is_gone_with_its_folder_is_carried_on() {
    let (_folder, root) = tree(&["disk/a", "disk/deep/b", "other/c", "z"]);
    let mut chains = Chains::default();
    chains.back_up(&request(&root), &Step::of(Level::Full));
    chains.backups[0].edit_index(|entry| {
        if entry.path.starts_with(b"disk") {
            entry.device += 1000;
        }
    });
    fs::remove_dir_all(root.join("disk")).unwrap();
    fs::remove_dir_all(root.join("other")).unwrap();
    std::thread::sleep(TICK);
    chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(stale(&chains, 1), ["disk", "disk/a", "disk/deep", "disk/deep/b"]);
    assert_eq!(chains.backups[1].report.removed.count, 2);
}
