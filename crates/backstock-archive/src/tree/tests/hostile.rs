//! Hostile and damaged archives and indexes (F73, F132, law L8): refused and counted, and nothing outside is touched.

use std::fs;
use std::path::Path;

use backstock_host::Host;
use backstock_vocabulary::Codec;

use super::super::*;
use super::fixture::{Backup, back_up, noise, request, write};
use super::snapshot::{assert_same, snapshot};
use crate::artifact::{ArtifactOptions, ArtifactWriter, Storing};
use crate::index::IndexWriter;
use crate::tar::member::{Member, MemberKind, write_end};

/// An entry of a hostile backup: what the index says, and what the archive says under it.
struct Lie {
    entry: FileEntry,
    member_path: Vec<u8>,
    content: Vec<u8>,
}

fn lie(path: &[u8], kind: FileKind, link: Option<&[u8]>) -> Lie {
    let content = if kind == FileKind::File { b"hostile".to_vec() } else { Vec::new() };
    let mut entry = FileEntry::new(path.to_vec(), kind, FileState::Stored);
    entry.mode = 0o777;
    entry.link = link.map(<[u8]>::to_vec);
    entry.size_bytes = content.len() as u64;
    entry.blake3 = Some(*blake3::hash(&content).as_bytes());
    Lie { entry, member_path: path.to_vec(), content }
}

/// Writes such a backup: everything in one frame, in the order of the index.
fn forge(mut lies: Vec<Lie>) -> Backup {
    lies.sort_by(|left, right| order::compare_paths(&left.entry.path, &right.entry.path));
    let folder = tempfile::tempdir().unwrap();
    let host = Host::real();
    let options = ArtifactOptions::of(Codec::Zstd, 1);
    let writer = ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
    let mut index = IndexWriter::create(&host, folder.path(), &"header").unwrap();
    let mut text = Vec::new();
    for lie in &mut lies {
        lie.entry.frame = Some(0);
        lie.entry.offset_bytes = text.len() as u64;
        let link = lie.entry.link.clone().unwrap_or_default();
        let kind = match lie.entry.kind {
            FileKind::Folder => MemberKind::Folder,
            FileKind::Symlink => MemberKind::Symlink(&link),
            FileKind::HardLink => MemberKind::HardLink(&link),
            _ => MemberKind::File { size_bytes: lie.content.len() as u64, sparse: None },
        };
        Member {
            path: &lie.member_path,
            kind,
            mode: lie.entry.mode,
            uid: 0,
            gid: 0,
            user_name: None,
            group_name: None,
            modified: (0, 0),
            attributes: &[],
        }
        .write(&mut text);
        text.extend_from_slice(&lie.content);
        crate::tar::pad(&mut text, lie.content.len() as u64);
        let key = lie.entry.path.clone();
        index.add(&key, &lie.entry).unwrap();
    }
    write_end(&mut text);
    writer.frame(text, Storing::Compress).unwrap();
    let artifact = writer.finish().unwrap();
    let report = TreeReport::default();
    let index = index.finish(&artifact.frames, &report).unwrap();
    Backup { folder, artifact, index, report }
}

/// Extracts a forged backup beside a canary; gives the names refused.
fn refused(lies: Vec<Lie>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "outside/canary", b"canary");
    let outside = snapshot(&folder.path().join("outside"));
    let backup = forge(lies);
    let target = folder.path().join("target");
    let report = backup.extract(&target, false);
    assert_same(&outside, &snapshot(&folder.path().join("outside")));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "something was put beside the target");
    assert_eq!(report.damaged.count, 0, "{report:?}");
    assert_eq!(report.refused.count, report.refused.first.len() as u64);
    report.refused.first.into_iter().map(|named| named.path).collect()
}

fn root() -> Lie {
    lie(b"", FileKind::Folder, None)
}

#[test]
fn f132_paths_that_lead_outside_are_refused() {
    for path in [&b"../outside/x"[..], b"/outside/x", b"a/../../outside/x", b"..", b"a//b", b"a/./b"] {
        let names = refused(vec![root(), lie(path, FileKind::File, None)]);
        assert_eq!(names.len(), 1, "{}", path.escape_ascii());
    }
}

#[test]
fn f132_nothing_is_written_through_a_link() {
    let through = vec![
        root(),
        lie(b"way", FileKind::Symlink, Some(b"../outside")),
        lie(b"way/canary", FileKind::File, None),
        lie(b"way/new", FileKind::Folder, None),
        lie(b"way/soft", FileKind::Symlink, Some(b"x")),
        lie(b"way/hard", FileKind::HardLink, Some(b"way/canary")),
    ];
    assert_eq!(refused(through), ["way/new", "way/canary", "way/soft", "way/hard"]);
}

#[test]
fn f132_further_names_lead_to_files_of_the_backup_only() {
    let hard = |link: &'static [u8]| {
        vec![
            root(),
            lie(b"soft", FileKind::Symlink, Some(b"../outside/canary")),
            lie(b"taken", FileKind::HardLink, Some(link)),
        ]
    };
    // A further name of the link itself is one.
    assert!(refused(hard(b"soft")).is_empty());
    for link in [&b"../outside/canary"[..], b"/etc/passwd", b"", b"missing", b"taken"] {
        assert_eq!(refused(hard(link)), ["taken"], "{}", link.escape_ascii());
    }
}

#[test]
fn f132_index_and_archive_must_agree() {
    let mut other_path = lie(b"named", FileKind::File, None);
    other_path.member_path = b"../outside/canary".to_vec();
    assert_eq!(refused(vec![root(), other_path]), ["named"]);
    let mut other_size = lie(b"long", FileKind::File, None);
    other_size.entry.size_bytes = 1 << 40;
    assert_eq!(refused(vec![root(), other_size]), ["long"]);
    let mut other_content = lie(b"changed", FileKind::File, None);
    other_content.content = b"hostilE".to_vec();
    assert_eq!(refused(vec![root(), other_content]), ["changed"]);
    let mut other_kind = lie(b"kind", FileKind::File, None);
    other_kind.entry.sparse = true;
    assert_eq!(refused(vec![root(), other_kind]), ["kind"]);
    let file_as_folder = vec![root(), lie(b"x", FileKind::File, None), lie(b"x/y", FileKind::File, None)];
    assert_eq!(refused(file_as_folder), ["x/y"]);
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "target/mine", b"mine");
    let before = snapshot(folder.path());
    let backup = forge(vec![root(), lie(b"mine", FileKind::File, None)]);
    let result = extract(
        &backup.reader(),
        &backup.index(),
        &Selection::Everything,
        &folder.path().join("target"),
        &ExtractOptions::default(),
        &NoMonitor,
    );
    assert!(result.unwrap_err().to_string().contains("not empty"));
    assert_same(&before, &snapshot(folder.path()));
}

#[test]
fn f73_damage_is_named_and_the_rest_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let shop = folder.path().join("shop");
    for number in 0..12 {
        write(&shop, &format!("{number:02}.jpg"), &noise(number, 700_000));
    }
    let backup = back_up(&request(&shop), Codec::Zstd);
    let path = backup.path();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, &bytes).unwrap();
    let target = folder.path().join("own");
    let report = backup.extract(&target, false);
    assert!(report.damaged.count >= 1 && report.damaged.count <= 2, "{report:?}");
    assert_eq!(report.files + report.damaged.count, 12);
    assert!(report.damaged.first[0].reason.as_ref().unwrap().contains("files.tar.zst"), "{report:?}");
    for named in &report.damaged.first {
        assert!(!target.join(&named.path).exists());
    }
    assert_complete(&shop, &target, report.files);
}

fn assert_complete(shop: &Path, target: &Path, files: u64) {
    let (wanted, seen) = (snapshot(shop), snapshot(target));
    let same = seen.iter().filter(|(path, seen)| !path.is_empty() && wanted[*path].content == seen.content);
    assert_eq!(same.count() as u64, files);
}
