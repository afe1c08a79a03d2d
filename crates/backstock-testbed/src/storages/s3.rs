//! A private S3 server: s3s-fs, which `ci/storages/s3` builds.
//!
//! It checks signatures, expiry and Content-MD5 as S3 does. It does otherwise than S3 in these things, which tests must not
//! take from it: a PUT into a bucket that is not there succeeds; parts below 5 MiB and wrong etags complete an upload; an
//! unknown upload answers 400, not 404; a list of parts has no etags; unfinished uploads cannot be listed; a key that
//! is a folder of its disk is an internal error, not a missing object;
//! a list that is asked for keys written for addresses says that they are, and they are not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Process, answers, folder_of, free_port, open_folder};
use crate::error::TestbedError;
use crate::spawner::dying_with_us;

/// The id of the only access key.
pub const ACCESS_KEY_ID: &str = "AKTESTBED";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "testbed-secret-4711";
/// The only bucket.
pub const BUCKET: &str = "backups";

/// A running server with one empty bucket.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    _process: Process,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

impl S3Server {
    /// Starts one; `None`, said loudly, where `ci/storages/s3` has not made it.
    ///
    /// # Panics
    /// When it is there and does not start.
    pub fn for_test() -> Option<Self> {
        let programs = folder_of("s3")?;
        Some(Self::start(&programs).unwrap_or_else(|error| panic!("{error}")))
    }

    fn start(programs: &Path) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-s3-")?;
        let bucket = folder.path().join("data").join(BUCKET);
        std::fs::create_dir_all(&bucket).map_err(|error| TestbedError::file("create", &bucket, error))?;
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = dying_with_us(&programs.join("bin/s3s-fs"));
        command
            .args(["--host", "127.0.0.1", "--access-key", ACCESS_KEY_ID, "--secret-key", SECRET_ACCESS_KEY])
            .arg("--port")
            .arg(port.to_string())
            .arg(folder.path().join("data"));
        let log = folder.path().join("log");
        let mut process = Process::start(command, &log)?;
        process.wait_until("s3s-fs", &log, || answers(port))?;
        Ok(Self { address, _process: process, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder in which the objects of the bucket lie as files.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("data").join(BUCKET)
    }
}
