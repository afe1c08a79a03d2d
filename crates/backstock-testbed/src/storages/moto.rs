//! A private S3 server that knows versions and Object Lock: moto, which `ci/peers` fetches.
//!
//! `start_moto.py` beside this file starts it, and teaches it some of what it does otherwise than S3. What tests must not take from it:
//! it checks no signatures and no Content-MD5 of objects; parts of an upload that are out of order or too short make an object; the
//! list of unfinished uploads, and that of the parts of one, name their elements in a way of their own.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::{Process, answers, free_port, open_folder, program, write};
use crate::error::TestbedError;
use crate::spawner::dying_with_us;

/// A bucket without versions.
pub const PLAIN_BUCKET: &str = "plain";
/// A bucket with versions.
pub const VERSIONS_BUCKET: &str = "versions";
/// A bucket with versions and Object Lock.
pub const LOCKS_BUCKET: &str = "locks";
/// A bucket with versions whose objects were there from the beginning: the first versions are `12345`, later ones `planted`.
pub const MANY_BUCKET: &str = "many";

const SCRIPT: &str = include_str!("start_moto.py");

/// A running server with its buckets.
#[derive(Debug)]
pub struct MotoServer {
    address: SocketAddr,
    _process: Process,
    // Last, so that the folder goes after the process.
    _folder: TempDir,
}

impl MotoServer {
    /// Starts one; `None`, said loudly, where its programs are not there.
    ///
    /// # Panics
    /// When it does not start.
    pub fn for_test() -> Option<Self> {
        Self::with_many(0, 0)
    }

    /// As [`MotoServer::for_test`], with so many keys and versions of each in [`MANY_BUCKET`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn with_many(keys: usize, versions: usize) -> Option<Self> {
        let python = program("moto", "python3")?;
        Some(Self::start(&python, keys, versions).unwrap_or_else(|error| panic!("{error}")))
    }

    fn start(python: &Path, keys: usize, versions: usize) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-moto-")?;
        let (script, log) = (folder.path().join("start_moto.py"), folder.path().join("log"));
        write(&script, SCRIPT)?;
        let port = free_port()?;
        let mut command = dying_with_us(python);
        // Without the modules of whoever runs it: only those that came along.
        command.arg("-s").arg(&script).args([port.to_string(), keys.to_string(), versions.to_string()]);
        command.current_dir(folder.path()).env("TMPDIR", folder.path());
        // Whatever it is asked for, it makes no requests to the world.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env_remove("HTTP_PROXY").env_remove("HTTPS_PROXY");
        let mut process = Process::start(command, &log)?;
        process.wait_until("moto", &log, || answers(port))?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
