//! Comparing two states in memory: tables of cases, and a property against a naive comparison of two trees.

use std::collections::BTreeMap;

use backstock_archive::tree::{Exclusions, FileEntry, FileKind, FileState, FileTime, LeftOut};
use backstock_archive::{Error, IndexEntry};
use backstock_vocabulary::RawText;
use proptest::prelude::*;

use super::database::{BlindSpots, DatabaseDiff, DatabaseRules};
use super::difference::{DatabaseCounts, Difference, FileChange, FileCounts, ObjectName, Side};
use super::files::{FileRules, FilesDiff};
use super::item::{Namer, ToldDifference};
use super::merge::merge;
use crate::backup::ReportedProblem;
use crate::error::{Doing, ErrorKind, Result};

fn file(path: &str, content: &str) -> FileEntry {
    let mut entry = FileEntry::new(path.as_bytes().to_vec(), FileKind::File, FileState::Stored);
    entry.size_bytes = content.len() as u64;
    let mut hash = [0; 32];
    hash.iter_mut().zip(content.bytes()).for_each(|(to, from)| *to = from);
    entry.blake3 = Some(hash);
    entry.mode = 0o644;
    entry.frame = Some(0);
    entry
}

fn with(mut entry: FileEntry, change: impl FnOnce(&mut FileEntry)) -> FileEntry {
    change(&mut entry);
    entry
}

fn folder(path: &str, state: FileState) -> FileEntry {
    with(FileEntry::new(path.as_bytes().to_vec(), FileKind::Folder, state), |entry| {
        entry.reason = Some("permission denied".to_owned());
        entry.frame = Some(0);
    })
}

fn stream(entries: &[FileEntry]) -> impl Iterator<Item = Result<IndexEntry<FileEntry>>> {
    let mut sorted: BTreeMap<Vec<Vec<u8>>, FileEntry> = BTreeMap::new();
    for entry in entries {
        sorted.insert(entry.path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect(), entry.clone());
    }
    sorted.into_values().map(|entry| Ok(IndexEntry { key: entry.path.clone(), entry }))
}

fn compare(rules: &FileRules, before: &[FileEntry], after: &[FileEntry]) -> (Vec<Difference>, FileCounts) {
    let mut found = Vec::new();
    let mut sink = |told: ToldDifference| found.push(told.difference);
    let namer = Namer::for_test();
    let mut diff = FilesDiff::new(rules, &namer, &mut sink);
    merge(stream(before), stream(after), &mut |path, before, after| {
        diff.path(path, before, after);
        Ok(())
    })
    .unwrap();
    let counts = diff.counts();
    (found, counts)
}

/// Each difference in a few letters.
fn told(differences: &[Difference]) -> Vec<String> {
    let text = |difference: &Difference| match difference {
        Difference::FileAdded(one) => {
            format!("+{}{}", one.path, if one.is_misplaced_program { "!" } else { "" })
        }
        Difference::FileRemoved(one) => format!("-{}", one.path),
        Difference::FileChanged { path, is_misplaced_program, changes } => {
            let words: Vec<String> = changes.iter().map(change_word).collect();
            format!("~{path}{}:{}", if *is_misplaced_program { "!" } else { "" }, words.join(","))
        }
        Difference::FileUnknown { path, .. } => format!("?{path}"),
        other => format!("{other:?}"),
    };
    differences.iter().map(text).collect()
}

fn change_word(change: &FileChange) -> String {
    let word = match change {
        FileChange::Kind { .. } => "kind",
        FileChange::Content { .. } => "content",
        FileChange::Holes => "holes",
        FileChange::Mode { .. } => "mode",
        FileChange::Owner { .. } => "owner",
        FileChange::Link { .. } => "link",
        FileChange::Attributes => "attributes",
    };
    word.to_owned()
}

#[test]
fn what_a_file_is_told_to_differ_in() {
    let link = |target: &str| {
        with(FileEntry::new(b"a".to_vec(), FileKind::Symlink, FileState::Stored), |entry| {
            entry.link = Some(target.as_bytes().to_vec());
            entry.frame = Some(0);
        })
    };
    let plain = || file("a", "x");
    let later = FileTime { seconds: 9, nanoseconds: 1 };
    let cases: [(&str, FileEntry, FileEntry, &[&str]); 10] = [
        ("equal", plain(), plain(), &[]),
        ("another time", plain(), with(plain(), |entry| entry.modified = later), &[]),
        ("another inode", plain(), with(plain(), |entry| entry.inode = 7), &[]),
        ("content of one length", plain(), file("a", "y"), &["~a:content"]),
        ("mode", plain(), with(plain(), |entry| entry.mode = 0o755), &["~a:mode"]),
        ("owner", plain(), with(plain(), |entry| entry.gid = 33), &["~a:owner"]),
        ("holes", plain(), with(file("a", "y"), |entry| entry.sparse = true), &["~a:holes"]),
        ("kind", plain(), link("b"), &["~a:kind"]),
        ("target", link("b"), with(link("c"), |entry| entry.mode = 0o777), &["~a:link"]),
        (
            "attributes",
            plain(),
            with(plain(), |entry| entry.attributes = vec![(b"user.a".to_vec(), b"1".to_vec())]),
            &["~a:attributes"],
        ),
    ];
    for (name, before, after, expected) in cases {
        let (found, _) = compare(&FileRules::default(), &[before], &[after]);
        assert_eq!(told(&found), expected, "{name}");
    }
    let (_, counts) =
        compare(&FileRules::default(), &[plain()], &[with(plain(), |entry| entry.modified = later)]);
    assert_eq!((counts.equal, counts.touched), (1, 1));
}

#[test]
fn what_could_not_be_read_is_never_removed_or_added() {
    let below = [file("a/b", "x"), file("a/c/d", "x"), file("a!", "x")];
    for state in [FileState::Unreadable, FileState::Skipped] {
        let whole: Vec<FileEntry> = below.iter().cloned().chain([folder("a", FileState::Stored)]).collect();
        let blind = [folder("a", state), file("a!", "x")];
        for (before, after, side) in [(&whole[..], &blind[..], Side::After), (&blind, &whole, Side::Before)] {
            let (found, counts) = compare(&FileRules::default(), before, after);
            assert_eq!(told(&found), ["?a"], "{state:?}");
            assert!(matches!(&found[0], Difference::FileUnknown { side: told, .. } if *told == side));
            assert_eq!((counts.unknown, counts.equal, counts.added + counts.removed), (3, 1, 0));
        }
    }
    // A file that vanished while it was read is gone.
    let vanished = with(file("a", ""), |entry| entry.state = FileState::Vanished);
    let (found, _) = compare(&FileRules::default(), &[file("a", "x")], &[vanished]);
    assert_eq!(told(&found), ["-a"]);
}

#[test]
fn programs_among_pictures_are_called_out_even_where_noise_is_left_out() {
    let renewable = Exclusions { contents: vec![b"media/cache".to_vec()], ..Exclusions::default() };
    let rules = FileRules { renewable: Some(LeftOut::new(&renewable).unwrap()), ..FileRules::default() };
    let before = [file("media/old.php", "x"), file("media/gone.php", "x"), file("media/cache/a.jpg", "x")];
    let after = [
        file("media/old.php", "y"),
        file("media/new.PHP", "x"),
        file("media/new.jpg", "x"),
        file("media/cache/b.jpg", "x"),
        file("media/cache/c.php", "x"),
        file("app/new.php", "x"),
    ];
    let (found, counts) = compare(&rules, &before, &after);
    let expected = [
        "+app/new.php",
        "+media/cache/c.php!",
        "-media/gone.php",
        "+media/new.PHP!",
        "+media/new.jpg",
        "~media/old.php!:content",
    ];
    assert_eq!(told(&found), expected);
    assert_eq!((counts.misplaced_programs, counts.renewable), (3, 2));
}

#[test]
fn what_one_backup_was_told_to_leave_out_is_not_removed_by_it() {
    let exclusions = Exclusions { globs: vec!["var".to_owned()], ..Exclusions::default() };
    let rules = FileRules {
        before_left_out: Some(LeftOut::new(&Exclusions::default()).unwrap()),
        after_left_out: Some(LeftOut::new(&exclusions).unwrap()),
        before_roots: vec![b"@outside/old".to_vec()],
        ..FileRules::default()
    };
    let before = [file("var/a/b", "x"), file("c", "x"), file("@outside/old/d", "x")];
    let (found, counts) = compare(&rules, &before, &[]);
    assert_eq!((told(&found), counts.not_asked), (vec!["-c".to_owned()], 2));
}

#[test]
fn a_damaged_stream_ends_the_comparison_as_damage() {
    let damaged = || -> Result<IndexEntry<FileEntry>> {
        let what = "the page does not have its hash".to_owned();
        Err(Error::Damaged { part: "index.zst".to_owned(), offset: 0, size_bytes: 1, what }).doing("reading")
    };
    let good = [file("a", "x"), file("b", "x")];
    for is_after in [false, true] {
        let broken = stream(&good[..1]).chain([damaged()]);
        let mut seen = 0;
        let mut each = |_: Vec<u8>, _: Option<FileEntry>, _: Option<FileEntry>| {
            seen += 1;
            Ok(())
        };
        let result = if is_after {
            merge(stream(&good), broken, &mut each)
        } else {
            merge(broken, stream(&good), &mut each)
        };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(seen, 1);
    }
}

/// What a path may hold on one side: its state, kind, content and mode.
fn any_entry() -> impl Strategy<Value = (u8, u8, u8)> {
    (0..10_u8, 0..3_u8, 0..2_u8)
}

fn any_tree() -> impl Strategy<Value = BTreeMap<String, (u8, u8, u8)>> {
    prop::collection::btree_map("[ab.](/[ab.]){0,3}", any_entry(), 0..24)
}

fn entry_of(path: &str, (state, content, mode): (u8, u8, u8)) -> FileEntry {
    let state = match state {
        7 => FileState::Unreadable,
        8 => FileState::Vanished,
        9 => FileState::Skipped,
        _ => FileState::Stored,
    };
    with(file(path, ["x", "y", "longer"][usize::from(content)]), |entry| {
        entry.state = state;
        entry.mode = 0o600 + u32::from(mode);
        if state == FileState::Unreadable || state == FileState::Skipped {
            entry.kind = FileKind::Folder;
        }
    })
}

/// The same by looking every path up on both sides.
fn naive(before: &BTreeMap<String, FileEntry>, after: &BTreeMap<String, FileEntry>) -> Vec<String> {
    let hides = |side: &BTreeMap<String, FileEntry>, path: &str| {
        path.match_indices('/').any(|(at, _)| {
            let above = side.get(&path[..at]);
            above.is_some_and(|entry| matches!(entry.state, FileState::Unreadable | FileState::Skipped))
        })
    };
    let there = |side: &BTreeMap<String, FileEntry>, path: &str| {
        side.get(path).filter(|entry| entry.state != FileState::Vanished).cloned()
    };
    let mut found = Vec::new();
    for path in before.keys().chain(after.keys().filter(|path| !before.contains_key(*path))) {
        match (there(before, path), there(after, path)) {
            (Some(_), None) if !hides(after, path) => found.push(format!("-{path}")),
            (None, Some(_)) if !hides(before, path) => found.push(format!("+{path}")),
            (Some(one), Some(other)) => {
                let blind = |entry: &FileEntry, other: &FileEntry| {
                    entry.state == FileState::Unreadable
                        || entry.state == FileState::Skipped && other.state != FileState::Skipped
                };
                if blind(&one, &other) || blind(&other, &one) {
                    found.push(format!("?{path}"));
                } else if one.kind == FileKind::File && one.blake3 != other.blake3 || one.mode != other.mode {
                    found.push(format!("~{path}"));
                }
            }
            _ => {}
        }
    }
    found.sort();
    found
}

proptest! {
    #[test]
    fn any_two_trees_differ_as_a_naive_comparison_says(before in any_tree(), after in any_tree()) {
        let tree = |tree: BTreeMap<String, (u8, u8, u8)>| -> BTreeMap<String, FileEntry> {
            tree.into_iter().map(|(path, facts)| (path.clone(), entry_of(&path, facts))).collect()
        };
        let (before, after) = (tree(before), tree(after));
        let entries = |tree: &BTreeMap<String, FileEntry>| tree.values().cloned().collect::<Vec<_>>();
        let (found, counts) = compare(&FileRules::default(), &entries(&before), &entries(&after));
        let mut short: Vec<String> = told(&found)
            .into_iter()
            .map(|text| text.split(':').next().unwrap_or_default().to_owned())
            .collect();
        short.sort();
        prop_assert_eq!(&short, &naive(&before, &after));
        let count = |sign: char| short.iter().filter(|text| text.starts_with(sign)).count() as u64;
        prop_assert_eq!((count('+'), count('-'), count('~')), (counts.added, counts.removed, counts.changed));
        prop_assert!(counts.unknown >= count('?'));
    }
}

#[test]
fn an_object_that_an_account_may_not_see_is_not_removed() {
    let rules = DatabaseRules {
        after_blind: BlindSpots::of(&[
            ReportedProblem::exception("missing-right", "events", "the account lacks EVENT"),
            ReportedProblem::exception("not-dumped", "table odd name", "it is broken"),
            ReportedProblem::note("note", "views", "a note hides nothing"),
        ]),
        ..DatabaseRules::default()
    };
    let (found, counts) = objects(&rules, &["event/nightly", "table/odd name", "table/other", "view/v"]);
    let removed = |kind: &str, name: &str| {
        Difference::ObjectRemoved(ObjectName { kind: kind.to_owned(), name: RawText::from(name) })
    };
    assert!(matches!(&found[0], Difference::ObjectUnknown { object, .. } if object.kind == "event"));
    assert!(matches!(&found[1], Difference::ObjectUnknown { reason, .. } if reason == "it is broken"));
    assert_eq!(&found[2..], [removed("table", "other"), removed("view", "v")]);
    assert_eq!((counts.unknown, counts.removed), (2, 2));
}

/// Compares a state that has these objects with one that has none.
fn objects(rules: &DatabaseRules<'_>, keys: &[&str]) -> (Vec<Difference>, DatabaseCounts) {
    let line = r#"{"kind":"sequence","name":"s","definition":"CREATE SEQUENCE `s`","next_value":"1","cycle_count":0}"#;
    let object: backstock_database::DumpedObject = serde_json::from_str(line).unwrap();
    let mut found = Vec::new();
    let mut sink = |told: ToldDifference| found.push(told.difference);
    let namer = Namer::for_test();
    let mut diff = DatabaseDiff::new(rules, &namer, &mut sink);
    for key in keys {
        diff.object(key.as_bytes(), Some(&object), None).unwrap();
    }
    let counts = diff.counts();
    (found, counts)
}
