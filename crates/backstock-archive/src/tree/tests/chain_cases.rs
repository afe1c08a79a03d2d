//! What a backup that builds on another takes, carries on, and calls gone.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use backstock_vocabulary::Level;
use jiff::SignedDuration;

use super::super::*;
use super::chain::{Chains, Step};
use super::fixture::{noise, request, torture, write};
use super::snapshot::snapshot;

const TICK: std::time::Duration = std::time::Duration::from_millis(12);

/// A tree with a full backup of it.
fn with_full(make: impl FnOnce(&Path)) -> (tempfile::TempDir, std::path::PathBuf, Chains) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    fs::create_dir(&root).unwrap();
    make(&root);
    std::thread::sleep(TICK);
    let mut chains = Chains::default();
    chains.back_up(&request(&root), &Step::of(Level::Full));
    std::thread::sleep(TICK);
    (folder, root, chains)
}

/// How many files a backup holds itself.
fn own_files(chains: &Chains, number: usize) -> Vec<String> {
    let own = u32::try_from(chains.made_of[number].len() - 1).unwrap();
    let entries = chains.backups[number].entries().into_iter();
    let held =
        entries.filter(|entry| entry.kind != FileKind::Folder && entry.is_stored() && entry.held_by == own);
    held.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn the_torture_tree_is_carried_on_and_comes_back() {
    let (_folder, root, mut chains) = with_full(torture);
    let frozen = snapshot(&root);
    for level in [Level::Incremental, Level::Differential, Level::Incremental] {
        let number = chains.back_up(&request(&root), &Step::of(level));
        assert_eq!(own_files(&chains, number), Vec::<String>::new());
        let (report, full) = (&chains.backups[number].report, &chains.backups[0].report);
        assert_eq!(
            (report.files, report.content_bytes, report.symlinks, report.hard_links),
            (full.files, full.content_bytes, full.symlinks, full.hard_links)
        );
        assert_eq!((report.unchanged, report.removed.count), (full.files, 0));
        chains.check(number, &frozen);
    }
    assert_eq!(chains.made_of[3], [0, 2, 3]);
}

/// F70: an edit that leaves length and times as they were is found when the sample comes by, and not before.
#[test]
fn a_change_behind_the_same_length_and_times_is_found_by_the_sample() {
    let (_folder, root, mut chains) = with_full(|root| {
        for number in 0..6 {
            write(root, &format!("file-{number}"), &noise(number, 10_000));
        }
        write(root, "long", &noise(9, 5 << 20));
    });
    let mut after = None;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let rehash = Rehash { budget_bytes: 25_000, after: after.take() };
        let number = chains.back_up(&request(&root), &Step { rehash, ..Step::of(Level::Incremental) });
        after = chains.backups[number].report.sampled_to.clone().map(|path| path.0);
        seen.push(after.clone().map(|path| String::from_utf8(path).unwrap()));
        assert_eq!(own_files(&chains, number), Vec::<String>::new());
    }
    let expected = [Some("file-2"), Some("file-5"), Some("long"), None, Some("file-2")];
    assert_eq!(seen, expected.map(|path| path.map(str::to_owned)));
}

#[test]
fn what_the_sample_finds_is_taken_anew_with_all_its_names() {
    let (_folder, root, mut chains) = with_full(|root| {
        write(root, "a", &noise(1, 3_000));
        write(root, "long", &noise(2, 5 << 20));
        write(root, "z", &noise(3, 3_000));
        fs::hard_link(root.join("a"), root.join("b")).unwrap();
    });
    write(&root, "a", &noise(4, 3_000));
    write(&root, "long", &noise(5, 5 << 20));
    // Nobody can set the time of the last change; so the index is told that it was then already.
    chains.backups[0].edit_index(|entry| {
        let facts = fs::symlink_metadata(root.join(as_path(&entry.path))).unwrap();
        entry.modified = (facts.mtime(), u32::try_from(facts.mtime_nsec()).unwrap()).into();
        entry.changed = (facts.ctime(), u32::try_from(facts.ctime_nsec()).unwrap()).into();
    });
    let number = chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(own_files(&chains, number), Vec::<String>::new(), "nothing shows it");
    let rehash = Rehash { budget_bytes: 1 << 30, after: None };
    let number = chains.back_up(&request(&root), &Step { rehash, ..Step::of(Level::Incremental) });
    let report = &chains.backups[number].report;
    let hidden: Vec<&str> = report.hidden.first.iter().map(|named| named.path.as_str()).collect();
    assert_eq!((hidden, report.sampled_to.clone()), (vec!["a", "long"], None));
    assert_eq!(own_files(&chains, number), ["a", "b", "long"]);
    chains.check(number, &snapshot(&root));
}

/// A list that is too long for a header is the body of a member of its own.
#[test]
fn a_folder_with_very_many_names_is_followed_too() {
    let name = |number: u32| format!("many/{number:05}-{}", "n".repeat(200));
    let (_folder, root, mut chains) = with_full(|root| {
        for number in 0..2_700 {
            write(root, &name(number), b"x");
        }
    });
    fs::remove_file(root.join(name(7))).unwrap();
    write(&root, &name(8), b"another");
    std::thread::sleep(TICK);
    let number = chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(own_files(&chains, number), [name(8)]);
    assert_eq!(chains.backups[number].report.removed.count, 1);
    chains.check_own(number, &snapshot(&root));
    // The exception of docs/format.md: GNU tar 1.34 passes over a list in this form, and what is gone stays there.
    let folder = tempfile::tempdir().unwrap();
    let stock = folder.path().join("stock");
    chains.stock_extract(number, &stock);
    assert_eq!(fs::read(stock.join(name(8))).unwrap(), b"another");
    assert!(stock.join(name(7)).exists(), "the exception is one no more: say so in docs/format.md");
}

/// What was written so near to the backup before that a later change could have the same times is read again.
#[test]
fn what_is_too_near_to_the_backup_before_is_read_again() {
    let (_folder, root, mut chains) = with_full(|root| {
        write(root, "a", b"one");
        write(root, "b", b"two");
    });
    let near = Step { parent_began: SignedDuration::from_millis(0), ..Step::of(Level::Incremental) };
    let number = chains.back_up(&request(&root), &near);
    assert_eq!(own_files(&chains, number), ["a", "b"]);
    let number = chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(own_files(&chains, number), Vec::<String>::new());
}

#[test]
fn only_what_changed_is_taken_and_what_is_gone_is_told() {
    let (_folder, root, mut chains) = with_full(|root| {
        for name in ["same", "changed", "gone", "folder/a", "folder/b", "moved/a"] {
            write(root, name, name.as_bytes());
        }
    });
    write(&root, "changed", b"CHANGED");
    write(&root, "new", b"new");
    fs::remove_file(root.join("gone")).unwrap();
    fs::remove_dir_all(root.join("folder")).unwrap();
    write(&root, "folder", b"a file now");
    fs::rename(root.join("moved"), root.join("renamed")).unwrap();
    let inode = fs::metadata(root.join("same")).unwrap().ino();
    let number = chains.back_up(&request(&root), &Step::of(Level::Incremental));
    assert_eq!(own_files(&chains, number), ["changed", "folder", "new", "renamed/a"]);
    let report = &chains.backups[number].report;
    let removed: Vec<&str> = report.removed.first.iter().map(|named| named.path.as_str()).collect();
    assert_eq!(removed, ["folder/a", "folder/b", "gone", "moved", "moved/a"]);
    assert_eq!(chains.backups[number].entry(b"same").inode, inode);
    chains.check(number, &snapshot(&root));
    chains.check(number, &snapshot(&root));
}

/// GNU tar searches a folder's list by halves: a name out of its order is one that it does not find, and it deletes what it
/// does not find.
#[test]
fn stock_tar_follows_a_chain_with_a_folder_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (folder.path().join("shop"), folder.path().join("storage"));
    for name in ["+before", "admin", "catalog", "image", "system"] {
        write(&root, &format!("{name}/one.php"), name.as_bytes());
    }
    write(&elsewhere, "logs/error.log", b"nothing");
    let roots = vec![
        TreeRoot { prefix: Vec::new(), path: root.clone() },
        TreeRoot { prefix: b"@outside/storage".to_vec(), path: elsewhere.clone() },
    ];
    let request = TreeRequest { roots, ..request(&root) };
    let mut chains = Chains::default();
    chains.back_up(&request, &Step::of(Level::Full));
    std::thread::sleep(TICK);
    fs::remove_file(root.join("image/one.php")).unwrap();
    let number = chains.back_up(&request, &Step::of(Level::Incremental));
    let target = folder.path().join("stock");
    chains.stock_extract(number, &target);
    for name in ["+before", "admin", "catalog", "system"] {
        assert_eq!(fs::read_to_string(target.join(name).join("one.php")).unwrap(), name);
    }
    assert!(target.join("image").is_dir() && !target.join("image/one.php").exists());
    assert!(target.join("@outside/storage/logs/error.log").is_file());
}
