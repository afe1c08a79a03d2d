//! Opening and making things below one folder and nowhere else.
//!
//! A path is followed by handles: the kernel is told to refuse every link and every way out (`openat2`, Linux 5.6);
//! where it does not know that call, or for paths longer than it takes, each component is opened by itself and a link
//! refused at each.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::tar::read::is_safe_path;

/// The kernel takes paths up to 4096 bytes, the zero at the end included.
const PATH_LIMIT_BYTES: usize = 4000;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that nothing done through it can leave.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    root: Arc<OwnedFd>,
}

impl Inside {
    /// Opens the folder itself, following links: its own path comes from its owner.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: Arc::new(rustix::fs::open(path, flags, Mode::empty())?) })
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// Opens a folder below. The empty path is the folder itself.
    pub(crate) fn folder(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if !is_safe_path(path) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads outside"));
        }
        if path.len() <= PATH_LIMIT_BYTES {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(&self.root, path, FOLDER, Mode::empty(), resolve) {
                Ok(handle) => return Ok(Arc::new(handle)),
                // An old kernel, or a filter of system calls that does not know this one.
                Err(Errno::NOSYS | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.folder_by_steps(path)
    }

    /// The same without `openat2`.
    fn folder_by_steps(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        let mut folder: Option<OwnedFd> = None;
        for component in path.split(|byte| *byte == b'/') {
            let parent = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let next = rustix::fs::openat(parent, component, FOLDER, Mode::empty())?;
            folder = Some(next);
        }
        folder.map(Arc::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// The last folder that was asked for, kept open: neighbours come one after another.
#[derive(Debug)]
pub(crate) struct LastFolder<'a> {
    inside: &'a Inside,
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

impl<'a> LastFolder<'a> {
    pub(crate) fn new(inside: &'a Inside) -> Self {
        Self { inside, last: None }
    }

    pub(crate) fn get(&mut self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if let Some((known, handle)) = &self.last
            && known == path
        {
            return Ok(Arc::clone(handle));
        }
        let handle = self.inside.folder(path)?;
        self.last = Some((path.to_vec(), Arc::clone(&handle)));
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_ways_out_are_refused_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("root/a/b")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", folder.path().join("root/link")).unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("root/a/inner")).unwrap();
        let inside = Inside::open(&folder.path().join("root")).unwrap();
        assert!(inside.folder(b"a/b").is_ok() && inside.folder_by_steps(b"a/b").is_ok());
        for path in [&b"link"[..], b"a/inner", b"link/x"] {
            assert!(inside.folder(path).is_err() && inside.folder_by_steps(path).is_err(), "{path:?}");
        }
        for path in [&b".."[..], b"a/../..", b"/etc", b"a/../../outside"] {
            assert!(inside.folder(path).is_err(), "{path:?}");
        }
    }
}
