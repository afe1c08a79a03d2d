//! Named cases: what a plan says, what the exchange does, what undo does and leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::super::super::tests::fixture::{noise, set_time, torture, write};
use super::super::super::tests::snapshot::assert_same;
use super::super::super::*;
use super::fixture::Bench;

fn small(shop: &Path) {
    write(shop, "index.php", b"<?php v1;");
    write(shop, "config.php", b"<?php config;");
    write(shop, "same.php", b"<?php same;");
    write(shop, "img/a.jpg", &noise(1, 40_000));
    write(shop, "img/b.jpg", &noise(2, 40_000));
    write(shop, "gone/deep/file.txt", b"deep");
    write(shop, "was-folder/inner.txt", b"inner");
    write(shop, "was-file", b"file");
    symlink("index.php", shop.join("link")).unwrap();
    fs::hard_link(shop.join("index.php"), shop.join("second-name.php")).unwrap();
    set_time(&shop.join("img"), 1_000_000_000, 5);
}

fn change(shop: &Path) {
    fs::write(shop.join("index.php"), b"<?php hacked;").unwrap();
    fs::set_permissions(shop.join("config.php"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(shop.join("img/b.jpg")).unwrap();
    fs::remove_dir_all(shop.join("gone")).unwrap();
    fs::remove_dir_all(shop.join("was-folder")).unwrap();
    write(shop, "was-folder", b"now a file");
    fs::remove_file(shop.join("was-file")).unwrap();
    write(shop, "was-file/now/a-folder.txt", b"x");
    fs::remove_file(shop.join("link")).unwrap();
    symlink("config.php", shop.join("link")).unwrap();
    write(shop, "img/shell.php", b"<?php system();");
    write(shop, "extra/many/files.txt", b"e");
}

#[test]
fn f57_the_plan_names_what_is_replaced_added_extra_and_what_changes_its_kind() {
    let bench = Bench::new(small, change);
    let summary = bench.plan(&bench.request(false)).plan.summary;
    let names = |list: &NameList| list.first.iter().map(|named| named.path.clone()).collect::<Vec<_>>();
    // Both names of index.php still are one inode, but its content is another.
    assert_eq!(names(&summary.replaced), ["index.php", "link", "second-name.php", "was-file", "was-folder"]);
    assert_eq!(
        names(&summary.added),
        ["gone", "gone/deep", "gone/deep/file.txt", "img/b.jpg", "was-folder/inner.txt"]
    );
    assert_eq!(names(&summary.kind_changed), ["was-file", "was-folder"]);
    assert!(names(&summary.metadata).contains(&"config.php".to_owned()), "{:?}", summary.metadata);
    assert!(names(&summary.extra).contains(&"img/shell.php".to_owned()), "{:?}", summary.extra);
    assert_eq!((summary.blocked.count, summary.absent.count), (0, 0), "{summary:?}");
    assert!(summary.needed_bytes >= 40_960 && summary.needed_bytes < 100_000, "{}", summary.needed_bytes);
}

#[test]
fn an_exact_exchange_makes_the_backups_tree_and_undo_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(small, change);
    let own = folder.path().join("own");
    bench.backup.extract(&own, true);
    let wanted = tests::snapshot::snapshot(&own);
    let before = bench.see();
    let same_inode = fs::metadata(bench.shop().join("same.php")).unwrap().ino();
    let config_inode = fs::metadata(bench.shop().join("config.php")).unwrap().ino();
    let exchange = bench.staged(true);
    assert_same(&before, &bench.see());
    let report = exchange.forward().unwrap();
    assert_eq!((report.surprises.count, report.kept.count, report.incomplete.count), (0, 0, 0), "{report:?}");
    assert_same(&wanted, &bench.see());
    // What is as it was is not written again.
    assert_eq!(fs::metadata(bench.shop().join("same.php")).unwrap().ino(), same_inode);
    assert_eq!(fs::metadata(bench.shop().join("config.php")).unwrap().ino(), config_inode);
    assert!(exchange.changed().is_empty(), "{:?}", exchange.changed());
    exchange.backward().unwrap();
    assert_same(&before, &bench.see());
    exchange.forward().unwrap();
    assert_same(&wanted, &bench.see());
    assert_eq!(exchange.discard(), Vec::<std::path::PathBuf>::new());
    assert_same(&wanted, &bench.see());
    let left: Vec<_> =
        fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    exchange.discard();
}

#[test]
fn extra_files_are_left_alone_by_default() {
    let bench = Bench::new(small, change);
    let exchange = bench.staged(false);
    exchange.forward().unwrap();
    assert_eq!(fs::read(bench.shop().join("img/shell.php")).unwrap(), b"<?php system();");
    assert_eq!(fs::read(bench.shop().join("index.php")).unwrap(), b"<?php v1;");
    assert_eq!(fs::read(bench.shop().join("was-file")).unwrap(), b"file");
}

#[test]
fn the_torture_tree_comes_back_exactly_from_nothing_and_from_itself() {
    let bench = Bench::new(torture, |_| {});
    let wanted = bench.see();
    let summary = bench.plan(&bench.request(true)).plan.summary;
    assert_eq!(
        (summary.replaced.count, summary.added.count, summary.metadata.count),
        (0, 0, 0),
        "{summary:?}"
    );
    // The backup names the socket and the pipe, so they are not extra, and it does not hold them.
    assert_eq!((summary.extra.count, summary.absent.count), (0, 0), "{summary:?}");
    let root = bench.shop();
    for child in fs::read_dir(&root).unwrap() {
        let path = child.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    let exchange = bench.staged(true);
    let report = exchange.forward().unwrap();
    assert_eq!(report.incomplete.count, 0, "{report:?}");
    assert_same(&wanted, &bench.see());
    exchange.backward().unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn later_uploads_are_never_deleted_by_undo() {
    let bench = Bench::new(small, change);
    let exchange = bench.staged(true);
    exchange.forward().unwrap();
    let shop = bench.shop();
    // Uploaded into a folder that the exchange made, beside others, over a restored file, and in the place of an extra.
    write(&shop, "gone/deep/upload.txt", b"upload");
    write(&shop, "img/new.jpg", b"new");
    fs::remove_file(shop.join("index.php")).unwrap();
    write(&shop, "index.php", b"<?php v2;");
    write(&shop, "img/shell.php", b"other shell");
    fs::write(shop.join("gone/deep/file.txt"), b"changed after").unwrap();
    let changed = exchange.changed();
    let counts = (changed.modified.count, changed.replaced.count, changed.added.count, changed.removed.count);
    assert_eq!(counts, (1, 1, 1, 0), "{changed:?}");
    let report = exchange.backward().unwrap();
    assert_eq!(report.kept.count, 2, "two folders that are not empty: {:?}", report.kept);
    let read = |name: &str| fs::read(shop.join(name)).unwrap();
    assert_eq!(read("gone/deep/upload.txt"), b"upload");
    assert_eq!(read("img/new.jpg"), b"new");
    assert_eq!(read("index.php"), b"<?php hacked;");
    assert_eq!(read("img/shell.php"), b"<?php system();");
    assert!(!shop.join("gone/deep/file.txt").exists());
    // Undo is undone: what was later comes back too.
    exchange.forward().unwrap();
    assert_eq!(read("index.php"), b"<?php v2;");
    assert_eq!(read("gone/deep/file.txt"), b"changed after");
    exchange.backward().unwrap();
    let left = exchange.discard();
    assert_eq!(left.len(), 1);
    let kept: Vec<Vec<u8>> =
        fs::read_dir(&left[0]).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    for content in [&b"<?php v2;"[..], b"other shell", b"changed after"] {
        assert!(kept.iter().any(|kept| kept == content), "{:?}", String::from_utf8_lossy(content));
    }
}

#[test]
fn what_changes_between_plan_and_exchange_goes_aside_and_comes_back() {
    let bench = Bench::new(small, change);
    let exchange = bench.staged(true);
    let shop = bench.shop();
    fs::remove_file(shop.join("index.php")).unwrap();
    write(&shop, "index.php", b"<?php hacked twice;");
    write(&shop, "img/b.jpg", b"came back by itself");
    let before = bench.see();
    let report = exchange.forward().unwrap();
    assert_eq!(report.surprises.count, 2, "{report:?}");
    assert_eq!(fs::read(shop.join("index.php")).unwrap(), b"<?php v1;");
    assert_eq!(fs::read(shop.join("img/b.jpg")).unwrap(), noise(2, 40_000));
    exchange.backward().unwrap();
    let after = bench.see();
    assert_eq!(before[&b"index.php"[..]], after[&b"index.php"[..]]);
    assert_eq!(before[&b"img/b.jpg"[..]], after[&b"img/b.jpg"[..]]);
}

#[test]
fn f71_backups_inside_the_shop_are_neither_saved_nor_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    write(&shop, "index.php", b"<?php");
    write(&shop, "var/backups/old.zst", b"backup");
    // Named by another way to it: what counts is the inode.
    symlink(shop.join("var/backups"), folder.path().join("by-link")).unwrap();
    let mut request = tests::fixture::request(&shop);
    request.never = vec![folder.path().join("by-link")];
    let backup = tests::fixture::back_up(&request, backstock_vocabulary::Codec::Zstd);
    assert_eq!(backup.report.skipped.count, 1);
    assert!(backup.entries().iter().all(|entry| !entry.path.starts_with(b"var/backups/")));
    write(&shop, "tools/backups/older.zst", b"backup");
    let bench = Bench { folder, host: backstock_host::Host::real(), backup };
    fs::create_dir(bench.folder.path().join("state")).unwrap();
    let mut request = bench.request(true);
    request.never = vec![shop.join("var/backups"), shop.join("tools/backups")];
    let exchange = bench.plan(&request);
    exchange.stage();
    exchange.forward().unwrap();
    assert!(shop.join("var/backups/old.zst").exists() && shop.join("tools/backups/older.zst").exists());
}

#[test]
fn damage_stops_staging_before_anything_is_touched() {
    let bench = Bench::new(small, change);
    let path = bench.backup.path();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = bench.see();
    let exchange = bench.plan(&bench.request(true));
    let error = stage(&bench.host, &exchange.plan, &bench.backup.reader(), 2, &NoMonitor).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert_same(&before, &bench.see());
    exchange.discard();
}

/// An intruder gives a changed file its length and its time back (F70): the time of change, the inode and, where both are
/// too fresh to tell, the content show it.
#[test]
fn f70_a_change_that_keeps_length_and_time_is_found() {
    let change = |shop: &Path| {
        let path = shop.join("config.php");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, b"<?php hacked;").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        // Another file altogether, put in the place of the first, with its length and its time.
        let other = write(shop, "other.php", b"<?php SAME;");
        let modified = fs::metadata(shop.join("same.php")).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, shop.join("same.php")).unwrap();
    };
    for years in [0, 50] {
        let bench = Bench::new(small, change);
        // Once the backup is as fresh as the files, and once they were old when it was made.
        let started =
            bench.host.clock.now().checked_add(jiff::SignedDuration::from_hours(years * 8766)).unwrap();
        let request = ExchangeRequest { backup_started: Some(started), ..bench.request(false) };
        let summary = bench.plan(&request).plan.summary;
        let names: Vec<&str> = summary.replaced.first.iter().map(|named| named.path.as_str()).collect();
        assert_eq!(names, ["config.php", "same.php"], "{years}");
    }
}
