//! Kernel locks: one run per shop at a time. A lock ends with its process, however that ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock that the file stands for, or tells with `None` that another process has it. The file is made when
/// it is missing and is never removed: removing it would let two processes hold "the" lock.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = open(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock, and waits for whoever has it: for locks that are held for moments only.
pub fn wait_for_lock(path: &Path) -> io::Result<Lock> {
    wait(open(path)?)
}

/// Takes the lock on a folder itself, and waits for whoever has it: nothing is made that would stay.
pub fn wait_for_folder(path: &Path) -> io::Result<Lock> {
    wait(File::open(path)?)
}

fn wait(file: File) -> io::Result<Lock> {
    loop {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.lock");
        let first = try_lock(&path).unwrap();
        assert!(first.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(first);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn one_who_waits_gets_the_lock_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.lock");
        let first = wait_for_lock(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || wait_for_lock(&path).map(drop)
        });
        assert!(try_lock(&path).unwrap().is_none());
        drop(first);
        waiting.join().unwrap().unwrap();
    }
}
