//! A private S3 server that people really run: Garage, which `ci/storages/garage` builds, for `bench/faults`.
//!
//! It does otherwise than S3 in these things, which tests must not take from it: parts below 5 MiB make an object; `If-None-Match` is
//! ignored; there are no versions.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Process, answers, folder_of, free_port, open_folder, write};
use crate::error::TestbedError;
use crate::spawner::dying_with_us;

/// The id of the only access key.
pub const ACCESS_KEY_ID: &str = "GK0123456789abcdef01234567";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The only bucket.
pub const BUCKET: &str = "backups";
/// The region, without which it refuses every request.
pub const REGION: &str = "garage";

/// A running server with one empty bucket.
#[derive(Debug)]
pub struct GarageServer {
    address: SocketAddr,
    _process: Process,
    // Last, so that the folder goes after the process.
    _folder: TempDir,
}

impl GarageServer {
    /// Starts one; `None`, said loudly, where `ci/storages/garage` has not made it.
    ///
    /// # Panics
    /// When it is there and does not start.
    pub fn for_test() -> Option<Self> {
        let programs = folder_of("garage")?;
        Some(Self::start(&programs.join("bin/garage")).unwrap_or_else(|error| panic!("{error}")))
    }

    fn start(program: &Path) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-garage-")?;
        let path = |name: &str| folder.path().join(name);
        let (port, rpc) = (free_port()?, free_port()?);
        let (configuration, log) = (path("garage.toml"), path("log"));
        let text = format!(
            "metadata_dir = \"{}\"\ndata_dir = \"{}\"\ndb_engine = \"lmdb\"\nreplication_factor = 1\n\
             rpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\nrpc_secret = \"{SECRET_ACCESS_KEY}\"\n\
             [s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{port}\"\nroot_domain = \".s3.garage.localhost\"\n",
            path("meta").display(),
            path("data").display(),
        );
        write(&configuration, &text)?;
        let mut command = dying_with_us(program);
        command.arg("-c").arg(&configuration).arg("server").env("RUST_LOG", "garage=warn");
        let mut process = Process::start(command, &log)?;
        process.wait_until("garage", &log, || answers(port) && answers(rpc))?;
        let ask = |arguments: &[&str]| ask(program, &configuration, arguments);
        let node = ask(&["node", "id", "-q"])?;
        let node = node.trim().split('@').next().unwrap_or_default().to_owned();
        ask(&["layout", "assign", "-z", "here", "-c", "10G", &node])?;
        ask(&["layout", "apply", "--version", "1"])?;
        ask(&["key", "import", "--yes", "-n", "tests", ACCESS_KEY_ID, SECRET_ACCESS_KEY])?;
        ask(&["bucket", "create", BUCKET])?;
        ask(&["bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", "tests"])?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What the server's own command line answers.
fn ask(program: &Path, configuration: &PathBuf, arguments: &[&str]) -> Result<String, TestbedError> {
    let mut command = dying_with_us(program);
    command.arg("-c").arg(configuration).args(arguments).env("RUST_LOG", "error");
    let output = command.output().map_err(|error| TestbedError::file("run", program, error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(TestbedError::file("ask", program, std::io::Error::other(format!("{arguments:?}: {said}"))))
}
