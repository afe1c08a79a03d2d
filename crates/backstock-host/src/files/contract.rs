//! What every kind of [`Files`] promises, checked on the machine's own and on the simulated ones.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use super::long::BUFFER_BYTES;
use super::{Files, PowerLoss, RealFiles, SimulatedFiles};

fn write(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = files.create_new(path)?;
    file.write_all(bytes)?;
    file.sync()
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("this should have failed").kind()
}

fn check_files(files: &dyn Files, root: &Path) {
    let (one, two) = (root.join("one"), root.join("two"));
    write(files, &one, b"first").unwrap();
    assert_eq!(kind(files.create_new(&one).map(drop)), ErrorKind::AlreadyExists);
    assert_eq!(kind(files.create_new(&root.join("no/file")).map(drop)), ErrorKind::NotFound);
    assert_eq!(files.stat(&one).unwrap().unwrap().size_bytes, 5);
    assert_eq!(files.stat(&two).unwrap(), None);
    assert_eq!(kind(files.open(&two).map(drop)), ErrorKind::NotFound);

    let mut file = files.open(&one).unwrap();
    let mut buffer = [0; 3];
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 2);
    assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 500).unwrap(), 0);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), file.size_bytes().unwrap()), ("first", 5));

    write(files, &two, b"second").unwrap();
    files.rename(&two, &one).unwrap();
    assert_eq!(files.read(&one, 6).unwrap(), b"second");
    assert_eq!(kind(files.read(&one, 5)), ErrorKind::InvalidData);
    assert_eq!(kind(files.rename(&two, &one)), ErrorKind::NotFound);
    write(files, &two, b"third").unwrap();
    assert_eq!(kind(files.rename_new(&two, &one)), ErrorKind::AlreadyExists);
    assert_eq!(files.read(&one, 6).unwrap(), b"second");
    files.rename_new(&two, &root.join("three")).unwrap();
    assert_eq!(
        (files.stat(&two).unwrap(), files.read(&root.join("three"), 9).unwrap()),
        (None, b"third".to_vec())
    );
    assert_eq!(kind(files.rename_new(&two, &root.join("four"))), ErrorKind::NotFound);
    // The file that was replaced can still be read by whoever has it open.
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 3);
    files.remove_file(&one).unwrap();
    files.remove_file(&one).unwrap();
    assert_eq!(files.stat(&one).unwrap(), None);
}

/// Whatever the lengths of the pieces, and wherever a buffer ends, the file holds what was written.
fn check_long_files(files: &dyn Files, root: &Path) {
    let path = root.join("long");
    for length in [0, 1, 4095, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1, 2 * BUFFER_BYTES + 4097] {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
        let mut file = files.create_long(&path).unwrap();
        assert_eq!(kind(files.create_long(&path).map(drop)), ErrorKind::AlreadyExists);
        let (first, second) = bytes.split_at(length / 3 * 2);
        for piece in first.chunks(100_003) {
            file.write_all(piece).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(file.pending_bytes(), 0);
        assert_eq!(files.read(&path, length as u64).unwrap(), first, "{length}");
        // What comes after a flush no longer lies at a multiple of anything.
        file.write_all(second).unwrap();
        file.sync().unwrap();
        drop(file);
        assert!(files.read(&path, length as u64).unwrap() == bytes, "{length}");
        files.remove_file(&path).unwrap();
        let mut file = files.create_long(&path).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync().unwrap();
        assert!(files.read(&path, length as u64).unwrap() == bytes, "{length} at once");
        files.remove_file(&path).unwrap();
    }
}

fn check_folders(files: &dyn Files, root: &Path) {
    let (outer, inner) = (root.join("outer"), root.join("outer/inner"));
    files.create_folder(&inner).unwrap();
    files.create_folder(&inner).unwrap();
    assert!(files.stat(&inner).unwrap().is_some_and(|stat| stat.is_folder && !stat.is_file));
    write(files, &inner.join("b"), b"").unwrap();
    write(files, &outer.join("a"), b"a").unwrap();
    let names: Vec<_> =
        files.list(&outer).unwrap().into_iter().map(|(path, stat)| (path, stat.is_file)).collect();
    assert_eq!(names, [(outer.join("a"), true), (inner.clone(), false)]);
    assert_eq!(kind(files.list(&root.join("none"))), ErrorKind::NotFound);
    assert_eq!(kind(files.list(&outer.join("a"))), ErrorKind::NotADirectory);
    assert_eq!(kind(files.stat(&outer.join("a/b"))), ErrorKind::NotADirectory);
    assert_eq!(kind(files.remove_folder(&inner)), ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(files.remove_folder(&outer.join("a"))), ErrorKind::NotADirectory);
    assert_eq!(kind(files.remove_file(&inner)), ErrorKind::IsADirectory);
    assert_eq!(kind(files.rename(&outer.join("a"), &inner)), ErrorKind::IsADirectory);
    assert!(files.create_folder(&outer.join("a/b")).is_err());

    let moved = root.join("moved");
    files.rename(&outer, &moved).unwrap();
    assert_eq!(files.read(&moved.join("a"), 9).unwrap(), b"a");
    assert!(files.stat(&moved.join("inner/b")).unwrap().is_some());
    files.remove_tree(&moved).unwrap();
    files.remove_tree(&moved).unwrap();
    assert_eq!(files.stat(&moved).unwrap(), None);
    files.remove_folder(&moved).unwrap();
}

fn check_durable_writes(files: &dyn Files, root: &Path) {
    let path = root.join("state.json");
    files.write_durably(&path, b"old").unwrap();
    // What a run that died has left aside is no obstacle.
    write(files, &root.join("state.json.new"), b"half").unwrap();
    files.write_durably(&path, b"new").unwrap();
    assert_eq!(files.read(&path, 9).unwrap(), b"new");
    assert_eq!(files.list(root).unwrap().len(), 1);
}

fn check_space(files: &dyn Files, root: &Path) {
    let free_bytes = files.free_bytes(root).unwrap();
    assert!(free_bytes > 0);
    assert_eq!(files.spare_bytes(root, u64::MAX).unwrap(), 0);
    files.require_space(root, 1, 0).unwrap();
    let error = files.require_space(root, 77, u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(error.to_string().contains("77 bytes are needed"), "{error}");
}

fn check(files: &dyn Files, root: &Path) {
    for (check, name) in [
        (check_files as fn(&dyn Files, &Path), "files"),
        (check_folders, "folders"),
        (check_durable_writes, "durable"),
        (check_space, "space"),
    ] {
        let folder = root.join(name);
        files.create_folder(&folder).unwrap();
        check(files, &folder);
    }
}

#[test]
fn the_machines_own_files_keep_the_contract() {
    let root = tempfile::tempdir().unwrap();
    check(&RealFiles, root.path());
}

#[test]
fn simulated_files_keep_the_contract() {
    check(&SimulatedFiles::new(1), Path::new("/simulated/root"));
}

#[test]
fn long_files_hold_what_was_written() {
    let root = tempfile::tempdir().unwrap();
    check_long_files(&RealFiles, root.path());
    let files = SimulatedFiles::new(1);
    files.create_folder(Path::new("/root")).unwrap();
    check_long_files(&files, Path::new("/root"));
}

#[test]
fn short_writes_change_nothing() {
    let files = SimulatedFiles::new(1);
    files.set_largest_write(1);
    check(&files, Path::new("/root"));
}

#[test]
fn simulated_files_keep_the_contract_after_a_power_loss() {
    for loss in PowerLoss::ALL {
        let files = SimulatedFiles::new(2);
        check(&files, Path::new("/before"));
        files.lose_power(*loss);
        check(&files, Path::new("/after"));
    }
}

#[test]
fn files_and_folders_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("outer");
    RealFiles.create_folder(&root.join("inner")).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    write(&RealFiles, &root.join("file"), b"").unwrap();
    assert_eq!((mode(&root), mode(&root.join("inner")), mode(&root.join("file"))), (0o700, 0o700, 0o600));
}
