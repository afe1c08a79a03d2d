//! Private servers that storages are tested against, from the programs that `ci/peers` and `ci/storages` made.

pub mod ftp;
pub mod garage;
pub mod moto;
pub mod s3;
pub mod sftp;
pub mod webdav;
pub mod wire;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::TestbedError;
use crate::programs::{cache_folder, peer_program};
use crate::spawner;

/// How long a server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A process that ends with its value.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program with its words in a log file.
    pub(crate) fn start(command: Command, log: &Path) -> Result<Self, TestbedError> {
        let mut command = command;
        let program = PathBuf::from(command.get_program());
        let file = std::fs::File::options().create(true).append(true).open(log);
        let file = file.map_err(|error| TestbedError::file("open", log, error))?;
        let errors = file.try_clone().map_err(|error| TestbedError::file("open", log, error))?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = spawner::spawn(command).map_err(|error| TestbedError::file("run", &program, error))?;
        Ok(Self(child))
    }

    /// Waits until something is so; `what` it is that is started.
    pub(crate) fn wait_until(
        &mut self,
        what: &'static str,
        log: &Path,
        is_so: impl Fn() -> bool,
    ) -> Result<(), TestbedError> {
        let until = Instant::now() + START_LIMIT;
        while !is_so() {
            if !matches!(self.0.try_wait(), Ok(None)) || Instant::now() > until {
                let why = std::fs::read_to_string(log).unwrap_or_default();
                return Err(TestbedError::ServerDidNotStart { server: what, why });
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether something listens on a port of this machine.
pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

pub(crate) fn free_port() -> Result<u16, TestbedError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| TestbedError::file("find a free port on", Path::new("127.0.0.1"), error))
}

/// A program of a server, or loud words past the capture of the test runner that it is not there.
pub(crate) fn program(package: &'static str, name: &str) -> Option<PathBuf> {
    peer_program(package, name)
}

/// The folder of a server that `ci/storages/<name>` made, or loud words that it is not there.
pub(crate) fn folder_of(name: &str) -> Option<PathBuf> {
    let folder = cache_folder().join("storages").join(name);
    if folder.join("recipe").exists() {
        return Some(folder);
    }
    not_tested(&format!("the {name} server is not there (ci/storages/{name})"));
    None
}

/// Says loudly that something cannot be tested here.
pub(crate) fn not_tested(why: &str) {
    // Not a print macro: those are swallowed for tests that pass.
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {why}");
}

/// A folder that other users of the machine may pass through.
pub(crate) fn open_folder(prefix: &str) -> Result<tempfile::TempDir, TestbedError> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new().prefix(prefix).tempdir();
    let folder =
        folder.map_err(|error| TestbedError::file("create a folder in", &std::env::temp_dir(), error))?;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode)
        .map_err(|error| TestbedError::file("open up", folder.path(), error))?;
    Ok(folder)
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), TestbedError> {
    std::fs::write(path, text).map_err(|error| TestbedError::file("write", path, error))
}
