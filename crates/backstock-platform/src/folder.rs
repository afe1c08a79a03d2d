//! Reading in a shop's folder: bounded, regular files only, and never what belongs to somebody else.
//!
//! A configuration file decides which further files and folders count as the shop's. We may run as root, so a hostile
//! one could point at a neighbour's files. Outside the root we therefore accept only what lies in the same account
//! *and* belongs to the owner of the shop.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::{PlatformError, Result};

/// Largest configuration file that is read, in bytes. Laravel's cached configuration may reach some 300 KB.
pub(crate) const CONFIG_LIMIT_BYTES: u64 = 1 << 20;
/// Largest `composer.lock` that is read, in bytes.
pub(crate) const LOCK_LIMIT_BYTES: u64 = 32 << 20;
/// Most names that are read of one folder.
pub(crate) const NAMES_LIMIT: usize = 20_000;
/// Fewest components of an account's folder: `/home/user`.
const ACCOUNT_DEPTH: usize = 2;

/// The folder of a shop.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    account: PathBuf,
    owners: Vec<u32>,
    /// Mounts below it that do not answer: whoever touched them would wait for ever.
    silent: Vec<PathBuf>,
}

impl Folder {
    /// Looks at a folder; links in its path are resolved.
    ///
    /// # Errors
    /// When it is not there, is not a folder, or cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let root = match path.canonicalize() {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PlatformError::NoFolder { path: path.to_owned() });
            }
            Err(source) => return Err(PlatformError::Unreadable { path: path.to_owned(), source }),
        };
        let metadata =
            fs::metadata(&root).map_err(|source| PlatformError::Unreadable { path: root.clone(), source })?;
        if !metadata.is_dir() {
            return Err(PlatformError::NotAFolder { path: path.to_owned() });
        }
        fs::read_dir(&root).map_err(|source| PlatformError::Unreadable { path: root.clone(), source })?;
        let silent = backstock_host::mounts::silent_below(&root);
        Ok(Self { account: account_of(&root), owners: vec![metadata.uid()], silent, root })
    }

    /// The folder, absolute, links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the account: nothing outside it is read.
    pub(crate) fn account(&self) -> &Path {
        &self.account
    }

    /// An absolute path below the root.
    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        if relative.is_empty() { self.root.clone() } else { self.root.join(relative) }
    }

    /// Whether a path may be touched: it is not on a mount that does not answer.
    pub(crate) fn answers(&self, path: &Path) -> bool {
        !self.silent.iter().any(|mount| path.starts_with(mount))
    }

    fn metadata(&self, path: &Path) -> Option<fs::Metadata> {
        self.answers(path).then(|| fs::metadata(path).ok()).flatten()
    }

    /// Whether a regular file is there, links followed.
    pub fn has_file(&self, relative: &str) -> bool {
        self.metadata(&self.at(relative)).is_some_and(|metadata| metadata.is_file())
    }

    /// Whether a folder is there, links followed.
    pub fn has_folder(&self, relative: &str) -> bool {
        self.metadata(&self.at(relative)).is_some_and(|metadata| metadata.is_dir())
    }

    /// The names of the folders directly in a folder, sorted; at most 20,000 names are looked at.
    pub(crate) fn folders_in(&self, relative: &str) -> Vec<String> {
        let folder = self.at(relative);
        if !self.answers(&folder) {
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .take(NAMES_LIMIT)
            .flatten()
            .filter(|entry| self.metadata(&entry.path()).is_some_and(|metadata| metadata.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Reads a file below the root; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is a link to somebody else's file.
    pub fn read(&self, relative: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        self.read_path(&self.at(relative), limit_bytes)
    }

    /// Reads a file anywhere in the account; `None` when there is none (or it is no regular file).
    pub(crate) fn read_path(&self, path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let unreadable = |source| PlatformError::Unreadable { path: path.to_owned(), source };
        if !self.answers(path) {
            return Err(unreadable(io::Error::other(
                "the file system that is mounted there does not answer",
            )));
        }
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(source) => return Err(unreadable(source)),
        };
        // NONBLOCK: a pipe with a configuration's name must not hold us up.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(CWD, &real, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(error) => return Err(unreadable(error.into())),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let readable_by_all = metadata.mode() & 0o004 != 0;
        if !self.accepts(&real, metadata.uid(), readable_by_all) {
            return Err(PlatformError::NotOurs { path: real });
        }
        let too_large =
            |size_bytes| PlatformError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes };
        if metadata.len() > limit_bytes {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::new();
        file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let size_bytes = bytes.len() as u64;
        if size_bytes > limit_bytes { Err(too_large(size_bytes)) } else { Ok(Some(bytes)) }
    }

    /// The folder that a configuration names as the shop's, links resolved: in the account, its owner's, and not
    /// around the root.
    pub(crate) fn accept_outside(&self, path: &Path) -> Result<PathBuf> {
        let unreadable = |source| PlatformError::Unreadable { path: path.to_owned(), source };
        let real = path.canonicalize().map_err(unreadable)?;
        let metadata = fs::metadata(&real).map_err(unreadable)?;
        if self.root.starts_with(&real) || !self.accepts(&real, metadata.uid(), false) {
            return Err(PlatformError::NotOurs { path: real });
        }
        Ok(real)
    }

    /// Whether the real path lies in the root.
    pub(crate) fn holds(&self, real: &Path) -> bool {
        real.starts_with(&self.root)
    }

    fn accepts(&self, real: &Path, owner: u32, readable_by_all: bool) -> bool {
        may_use(&self.root, &self.account, &self.owners, real, owner, readable_by_all)
    }
}

/// The rule itself. Below the root everything is the shop's; elsewhere in the account only what its owner owns or what
/// everybody may read anyway.
fn may_use(
    root: &Path,
    account: &Path,
    owners: &[u32],
    real: &Path,
    owner: u32,
    readable_by_all: bool,
) -> bool {
    real.starts_with(root) || (real.starts_with(account) && (owners.contains(&owner) || readable_by_all))
}

/// The account that a root belongs to: two levels up, but never less than `/home/user`; a root as shallow as
/// `/srv/shop` is an account of its own with its parent's other folders left out.
fn account_of(root: &Path) -> PathBuf {
    let names = root.components().filter(|part| matches!(part, Component::Normal(_))).count();
    let up = names.saturating_sub(ACCOUNT_DEPTH).min(2);
    root.ancestors().nth(up).unwrap_or(root).to_owned()
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A path from the bytes of a configuration; `None` for one with a NUL byte or an empty one.
pub(crate) fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    (!bytes.is_empty() && !bytes.contains(&0)).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_from_the_root() {
        for (root, account) in [
            ("/home/user/public_html", "/home/user"),
            ("/home/user/web/shop", "/home/user"),
            ("/var/www/app/releases/5", "/var/www/app"),
            ("/var/www/shop", "/var/www"),
            ("/srv/shop", "/srv/shop"),
            ("/shop", "/shop"),
        ] {
            assert_eq!(account_of(Path::new(root)), Path::new(account), "{root}");
        }
    }

    #[test]
    fn a_neighbours_file_is_not_ours() {
        let [root, account] = [Path::new("/var/www/a"), Path::new("/var/www")];
        let may = |path: &str, owner, readable_by_all| {
            may_use(root, account, &[1000], Path::new(path), owner, readable_by_all)
        };
        assert!(may("/var/www/a/config.php", 33, false));
        assert!(may("/var/www/secret.php", 1000, false));
        assert!(!may("/var/www/b/config.php", 1001, false));
        assert!(!may("/etc/shadow", 1000, true));
        assert!(!may("/var/www/ab", 1001, false));
        assert!(may("/var/www/shared.php", 0, true));
    }

    #[test]
    fn a_pipe_and_a_large_file_are_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Folder::open(folder.path()).unwrap();
        rustix::fs::mknodat(
            CWD,
            folder.path().join("config.php"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(shop.read("config.php", 10).unwrap().is_none());
        fs::write(folder.path().join("large.php"), [b'x'; 11]).unwrap();
        assert!(matches!(shop.read("large.php", 10), Err(PlatformError::TooLarge { .. })));
        assert!(shop.read("large.php", 11).unwrap().is_some());
        assert!(shop.read("absent.php", 10).unwrap().is_none());
    }
}
