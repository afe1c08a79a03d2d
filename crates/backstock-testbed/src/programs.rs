//! Where the server programs of `ci/servers` lie, and the empty data folder that each start copies.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::TestbedError;
use crate::server::ServerKind;

/// Counts up when the way a template is made changes, so that old ones are not used.
const TEMPLATE_VERSION: u32 = 1;

/// The cache folder of `ci/servers`: `$BACKSTOCK_CACHE`, else `$XDG_CACHE_HOME`, else `~/.cache`.
pub(crate) fn cache_folder() -> PathBuf {
    let home =
        || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from).join(".cache");
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    set("BACKSTOCK_CACHE").or_else(|| set("XDG_CACHE_HOME")).unwrap_or_else(home).join("backstock")
}

/// A program that `ci/peers` unpacked, for tests of what it writes. Where it is not there this is said loudly, past the
/// capture of the test runner.
pub fn peer(name: &str) -> Option<PathBuf> {
    peer_program(name, name)
}

/// One of the programs that `ci/peers` unpacked under a name. Where it is not there this is said as loudly.
pub fn peer_program(name: &str, program: &str) -> Option<PathBuf> {
    let program = cache_folder().join("peers").join(name).join("bin").join(program);
    if program.exists() {
        return Some(program);
    }
    // Not a print macro: those are swallowed for tests that pass.
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {name} is not there (ci/peers {name})");
    None
}

/// The programs of one server.
#[derive(Debug, Clone)]
pub struct Programs {
    kind: ServerKind,
    folder: PathBuf,
    version: String,
}

impl Programs {
    /// Finds the programs that `ci/servers` made.
    ///
    /// # Errors
    /// [`TestbedError::ServerNotAvailable`] when `BACKSTOCK_TEST_WITHOUT` names the server,
    /// [`TestbedError::ServerMissing`] when nobody fetched it.
    pub fn find(kind: ServerKind) -> Result<Self, TestbedError> {
        let without = std::env::var("BACKSTOCK_TEST_WITHOUT").unwrap_or_default();
        if without.split(',').any(|name| name.trim() == kind.name()) {
            return Err(TestbedError::ServerNotAvailable { server: kind.name() });
        }
        let folder = cache_folder().join("servers").join(kind.name());
        let Ok(version) = fs::read_to_string(folder.join("version")) else {
            return Err(TestbedError::ServerMissing { server: kind.name(), folder });
        };
        Ok(Self { kind, folder, version: version.trim().to_owned() })
    }

    /// The line with which the server program names its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The path of a program: `mariadbd`, `mysqldump` and so on, under its own name.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The server program.
    pub fn server(&self) -> PathBuf {
        self.program(if self.kind.is_mysql() { "mysqld" } else { "mariadbd" })
    }

    /// The command-line client.
    pub fn client(&self) -> PathBuf {
        self.program(if self.kind.is_mysql() { "mysql" } else { "mariadb" })
    }

    /// The dump program.
    pub fn dump(&self) -> PathBuf {
        self.program(if self.kind.is_mysql() { "mysqldump" } else { "mariadb-dump" })
    }

    /// An initialised, empty data folder; made once per server version and kept in the cache. MariaDB takes any with or
    /// without folded names, MySQL refuses to start with another setting than the folder was made with.
    fn template(&self, folds_names: bool) -> Result<PathBuf, TestbedError> {
        let templates = cache_folder().join("templates");
        fs::create_dir_all(&templates).map_err(|error| TestbedError::file("create", &templates, error))?;
        let mark = blake3::hash(self.version.as_bytes()).to_hex();
        let folds_names = folds_names && self.kind.is_mysql();
        let folded = if folds_names { "-folded" } else { "" };
        let name = format!("{}-{}-{TEMPLATE_VERSION}{folded}", self.kind.name(), &mark[..8]);
        let folder = templates.join(&name);
        if folder.join("ready").exists() {
            return Ok(folder.join("data"));
        }
        let lock_path = templates.join(format!(".lock-{name}"));
        let lock =
            File::create(&lock_path).map_err(|error| TestbedError::file("create", &lock_path, error))?;
        lock.lock().map_err(|error| TestbedError::file("lock", &lock_path, error))?;
        if !folder.join("ready").exists() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| TestbedError::file("create", &folder, error))?;
            self.initialise(&folder.join("data"), folds_names)?;
            let ready = folder.join("ready");
            fs::write(&ready, "").map_err(|error| TestbedError::file("write", &ready, error))?;
        }
        Ok(folder.join("data"))
    }

    fn initialise(&self, data: &Path, folds_names: bool) -> Result<(), TestbedError> {
        let mut command = if self.kind.is_mysql() {
            let mut command = Command::new(self.server());
            command.args(["--no-defaults", "--initialize-insecure", "--innodb-redo-log-capacity=32M"]);
            command.arg(format!("--lower-case-table-names={}", u8::from(folds_names)));
            command
        } else {
            let mut command = Command::new(self.program("mariadb-install-db"));
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.arg("--innodb-log-file-size=16M");
            command
        };
        command.arg(format!("--datadir={}", data.display()));
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        run(&mut command)?;
        // Each copy is a server of its own: it must make itself a new identity.
        let _ = fs::remove_file(data.join("auto.cnf"));
        Ok(())
    }

    /// Copies the empty data folder to a place that does not exist yet.
    pub(crate) fn make_data_folder(&self, data: &Path, folds_names: bool) -> Result<(), TestbedError> {
        let template = self.template(folds_names)?;
        run(Command::new("cp").args(["-a", "--reflink=auto", "--sparse=always"]).arg(template).arg(data))
    }
}

/// Runs a program to its end; its standard error is in the error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), TestbedError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| TestbedError::file("run", Path::new(&program), error))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = errors.lines().rev().take(20).collect();
    let why = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(TestbedError::Program { program, why: format!("{}: {why}", output.status) })
}
