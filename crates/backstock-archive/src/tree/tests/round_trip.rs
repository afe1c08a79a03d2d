//! Archive, then stock `tar` and our own extraction: the same tree as a second reader sees it.

use backstock_vocabulary::Codec;

use super::super::*;
use super::fixture::{back_up, noise, request, torture, write};
use super::snapshot::{assert_same, snapshot};

#[test]
fn the_torture_tree_survives_stock_tar_and_extract() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let shop = folder.path().join("shop");
        torture(&shop);
        let before = snapshot(&shop);
        let backup = back_up(&request(&shop), codec);
        assert_eq!(backup.report.unreadable.count, 0, "{:?}", backup.report);
        assert_eq!(backup.report.skipped.count, 2);
        assert_eq!(backup.report.hard_links, 3);
        let stock = folder.path().join("stock");
        backup.stock_extract(&stock);
        assert_same(&before, &snapshot(&stock));
        let own = folder.path().join("own");
        let report = backup.extract(&own, true);
        assert_eq!(
            (report.refused.count, report.damaged.count, report.incomplete.count),
            (0, 0, 0),
            "{report:?}"
        );
        assert_same(&before, &snapshot(&own));
        assert!(before[&b"sparse"[..]].is_sparse && before[&b"all-hole"[..]].is_sparse);
        assert_eq!(report.files, backup.report.files);
        assert_eq!(report.bytes, backup.report.content_bytes);
    }
}

#[test]
fn frames_are_long_whatever_lies_beside_what() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for number in 0..400 {
        write(&shop, &format!("mixed/{number:03}a.php"), &b"<?php echo 1;\n".repeat(400));
        write(
            &shop,
            &format!("mixed/{number:03}b.jpg"),
            &noise(number, if number % 5 == 0 { 40_000 } else { 9_000 }),
        );
        write(&shop, &format!("photos/{number:03}/1.jpg"), &noise(number, 50_000));
        write(&shop, &format!("photos/{number:03}/2.jpg"), &noise(number, 12_000));
        write(&shop, &format!("photos/{number:03}/index.php"), b"<?php");
    }
    let backup = back_up(&request(&shop), Codec::Zstd);
    let plaintext = backup.artifact.plaintext_bytes;
    let frames = backup.artifact.frames.len();
    assert!(frames <= plaintext / (1 << 20) + 6, "{frames} frames for {plaintext} bytes");
    // Photographs are stored: their frames are not longer than stored ones may be.
    let first = backup.entry(b"photos/100/1.jpg").frame.unwrap();
    let last = backup.entry(b"photos/300/1.jpg").frame.unwrap();
    assert!(last - first >= 12, "{first} to {last}");
}

/// A batch of photographs becomes a frame as it is, with the strays among them; in between are further names, a text that
/// is too long for a stray, and photographs that are read out of order.
#[test]
fn photographs_are_stored_in_the_order_of_the_index_wherever_they_were_read() {
    for codec in [Codec::Zstd, Codec::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let shop = folder.path().join("shop");
        for number in (0..60_u64).rev() {
            let place = format!("photos/{}", number / 10);
            let length = 90_000 + 9_000 * usize::try_from(number).unwrap();
            write(&shop, &format!("{place}/{number:02}.jpg"), &noise(number, length));
            write(&shop, &format!("{place}/{number:02}.txt"), b"a stray");
        }
        write(&shop, "photos/3/35.log", &b"0123456789abcdef".repeat(3000));
        std::fs::hard_link(shop.join("photos/0/05.jpg"), shop.join("photos/4/45-again.jpg")).unwrap();
        let before = snapshot(&shop);
        let backup = back_up(&request(&shop), codec);
        let entries: Vec<_> = backup.entries().into_iter().filter(|entry| entry.frame.is_some()).collect();
        assert!(entries.is_sorted_by_key(|entry| (entry.frame, entry.offset_bytes)));
        let frames = backup.artifact.frames.len();
        let plaintext_bytes = backup.artifact.plaintext_bytes;
        assert!(frames <= 2 * plaintext_bytes / (1 << 20), "{frames} frames for {plaintext_bytes} bytes");
        let (stock, own) = (folder.path().join("stock"), folder.path().join("own"));
        backup.stock_extract(&stock);
        assert_same(&before, &snapshot(&stock));
        backup.extract(&own, true);
        assert_same(&before, &snapshot(&own));
    }
}

#[test]
fn the_testbeds_torture_tree_comes_back_as_its_own_reader_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    backstock_testbed::torture_tree::build(&shop).unwrap();
    let before = backstock_testbed::tree::read(&shop).unwrap();
    let backup = back_up(&request(&shop), Codec::Zstd);
    assert_eq!(backup.report.unreadable.count, 0, "{:?}", backup.report.unreadable);
    let skipped: std::collections::HashSet<String> =
        backup.report.skipped.first.iter().map(|named| named.path.clone()).collect();
    assert!(!skipped.is_empty());
    let own = folder.path().join("own");
    let report = backup.extract(&own, true);
    assert_eq!((report.refused.count, report.damaged.count), (0, 0), "{report:?}");
    let differences = backstock_testbed::compare(&before, &backstock_testbed::tree::read(&own).unwrap());
    // Sockets, pipes and devices are named as skipped, and nothing else may differ.
    let others: Vec<_> = differences
        .iter()
        .filter(|difference| !skipped.iter().any(|path| difference.thing == format!("file ./{path}")))
        .take(5)
        .collect();
    assert!(others.is_empty(), "{others:?}");
    for tree in [&shop, &own] {
        backstock_testbed::torture_tree::remove(tree).unwrap();
    }
}

#[test]
fn a_shop_with_the_outside_name_itself_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    write(&shop, "@outside/mine", b"mine");
    write(&folder.path().join("storage"), "theirs", b"theirs");
    let mut request = request(&shop);
    request
        .roots
        .push(TreeRoot { prefix: b"@outside-2/storage".to_vec(), path: folder.path().join("storage") });
    let backup = back_up(&request, Codec::Zstd);
    let own = folder.path().join("own");
    let report = backup.extract(&own, false);
    assert_eq!(report.refused.count, 0, "{report:?}");
    assert_eq!(std::fs::read(own.join("@outside/mine")).unwrap(), b"mine");
    assert_eq!(std::fs::read(own.join("@outside-2/storage/theirs")).unwrap(), b"theirs");
    // Under the taken name the shop's own folder is named as not saved.
    request.roots[1].prefix = b"@outside/storage".to_vec();
    let backup = back_up(&request, Codec::Zstd);
    assert_eq!(backup.report.unreadable.count, 1);
    assert_eq!(backup.report.unreadable.first[0].path, "@outside");
    request.roots[1].prefix = b"elsewhere/storage".to_vec();
    assert!(super::fixture::try_back_up(&request, Codec::Zstd, &NoMonitor).is_err());
}

#[test]
fn entries_come_in_index_order_and_stored_kinds_are_not_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    torture(&shop);
    let backup = back_up(&request(&shop), Codec::Zstd);
    let entries = backup.entries();
    assert!(entries.windows(2).all(|pair| order::compare_paths(&pair[0].path, &pair[1].path).is_lt()));
    assert!(entries.iter().all(|entry| entry.frame.is_some() || entry.state == FileState::Skipped));
    // Little files of images stay in one stored frame with the images around them.
    let first = backup.entry(b"img/p/1/0.jpg").frame.unwrap();
    let last = backup.entry(b"img/p/1/9.php").frame.unwrap();
    assert!(last - first <= 4, "{first} to {last}");
}

#[test]
fn roots_outside_have_their_place_and_exclusions_hold() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    let storage = folder.path().join("storage");
    for name in ["0", "a", "cache/x/y", "Z", "core", "media/a.tmp", "media/b.jpg", "-dash", "@outside-x/b"] {
        write(&shop, name, name.as_bytes());
    }
    write(&storage, "session/s1", b"s");
    write(&storage, "upload/u1", b"u");
    let mut request = request(&shop);
    request.roots.insert(0, TreeRoot { prefix: b"@outside/storage".to_vec(), path: storage });
    request.exclusions = Exclusions {
        contents: vec![b"cache".to_vec(), b"@outside/storage/session".to_vec()],
        entirely: vec![b"core".to_vec()],
        globs: vec!["*.tmp".to_owned()],
        ..Exclusions::default()
    };
    let backup = back_up(&request, Codec::Zstd);
    let paths: Vec<String> =
        backup.entries().into_iter().map(|entry| String::from_utf8(entry.path).unwrap()).collect();
    let expected = [
        "",
        "-dash",
        "0",
        "@outside/storage",
        "@outside/storage/session",
        "@outside/storage/upload",
        "@outside/storage/upload/u1",
        "@outside-x",
        "@outside-x/b",
        "Z",
        "a",
        "cache",
        "media",
        "media/b.jpg",
    ];
    assert_eq!(paths, expected);
    assert_eq!(backup.report.excluded, 2);
    let counted = count_tree(&request, &NoMonitor).unwrap();
    assert_eq!((counted.entries, counted.files), (14, 7));
    let own = folder.path().join("own");
    let report = backup.extract(&own, false);
    assert_eq!(report.refused.count, 0, "{report:?}");
    assert_eq!(std::fs::read(own.join("@outside/storage/upload/u1")).unwrap(), b"u");
    let stock = folder.path().join("stock");
    backup.stock_extract(&stock);
    assert_eq!(std::fs::read(stock.join("@outside/storage/upload/u1")).unwrap(), b"u");
}

#[test]
fn a_selection_brings_its_folders_and_the_content_of_further_names() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    write(&shop, "a/first.txt", &noise(3, 9_000_000));
    write(&shop, "b/other.txt", b"o");
    for name in ["b/name.txt", "b/name2.txt"] {
        std::fs::hard_link(shop.join("a/first.txt"), shop.join(name)).unwrap();
    }
    let backup = back_up(&request(&shop), Codec::Gzip);
    let target = folder.path().join("target");
    let selection = Selection::Globs(vec!["b/name*.txt".to_owned()]);
    let report = extract(
        &backup.reader(),
        &backup.index(),
        &selection,
        &target,
        &ExtractOptions::default(),
        &NoMonitor,
    )
    .unwrap();
    assert_eq!((report.files, report.hard_links, report.refused.count), (1, 1, 0), "{report:?}");
    let seen = snapshot(&target);
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&b""[..], b"b", b"b/name.txt", b"b/name2.txt"]);
    assert_eq!(seen[&b"b/name2.txt"[..]].first_name, b"b/name.txt");
    assert_eq!(seen[&b"b/name.txt"[..]].content, Some(blake3::hash(&noise(3, 9_000_000))));
    assert_eq!(seen[&b"b"[..]].modified, snapshot(&shop)[&b"b"[..]].modified);
}

#[test]
fn f66_paths_longer_than_the_kernel_takes_go_through_handles() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    std::fs::create_dir(&shop).unwrap();
    let name = "d".repeat(100);
    let mut handle =
        rustix::fs::open(&shop, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..120 {
        rustix::fs::mkdirat(&handle, &name, rustix::fs::Mode::RWXU).unwrap();
        handle = facts::open_folder(&handle, name.as_bytes()).unwrap();
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let file = rustix::fs::openat(&handle, "file", flags, rustix::fs::Mode::RWXU).unwrap();
    rustix::io::write(&file, b"deep").unwrap();
    // Names after the deep one make the walk come back up through handles that it had let go.
    write(&shop, &format!("{name}/{name}/z"), b"z");
    let backup = back_up(&request(&shop), Codec::Zstd);
    assert_eq!((backup.report.files, backup.report.folders), (2, 121), "{:?}", backup.report);
    let target = folder.path().join("target");
    let report = backup.extract(&target, false);
    assert_eq!((report.files, report.folders, report.refused.count), (2, 121, 0), "{report:?}");
    let mut handle =
        rustix::fs::open(&target, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..120 {
        handle = facts::open_folder(&handle, name.as_bytes()).unwrap();
    }
    let mut content = [0; 10];
    let file =
        rustix::fs::openat(&handle, "file", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    assert_eq!(rustix::io::read(&file, &mut content).unwrap(), 4);
    for base in [&shop, &target] {
        std::process::Command::new("rm").arg("-rf").arg(base).status().unwrap();
    }
}
