//! A private database server: own data folder, own socket, gone when the value is dropped.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::error::TestbedError;
use crate::programs::Programs;
use crate::spawner;

/// How long a server may take to answer after its start; a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to end when asked, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The servers that we test against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerKind {
    /// MariaDB 10.11, of Debian 12.
    MariaDb,
    /// MariaDB 11.8, of Debian 13.
    MariaDb118,
    /// MySQL 9.7, of Debian unstable.
    MySql,
}

impl ServerKind {
    /// All of them.
    pub const KINDS: [Self; 3] = [Self::MariaDb, Self::MariaDb118, Self::MySql];

    /// The name that `ci/servers` and `BACKSTOCK_TEST_WITHOUT` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb-10.11",
            Self::MariaDb118 => "mariadb-11.8",
            Self::MySql => "mysql-9.7",
        }
    }

    /// Whether it is MySQL; otherwise it is MariaDB.
    pub fn is_mysql(self) -> bool {
        self == Self::MySql
    }
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Listen on loopback TCP too, on a free port.
    pub tcp: bool,
    /// Write a binary log, as most hosts do.
    pub binary_log: bool,
    /// Allow `LOAD DATA LOCAL`.
    pub local_infile: bool,
    /// Keep the names of tables in small letters: `lower_case_table_names=1`, with which MySQL must make its data folder.
    pub folds_names: bool,
    /// More options of the server program, such as `--sql-mode=ANSI`; they win over ours.
    pub extra: Vec<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { tcp: false, binary_log: true, local_infile: true, folds_names: false, extra: Vec::new() }
    }
}

impl ServerOptions {
    /// The defaults plus options of the server program.
    pub fn with(extra: &[&str]) -> Self {
        Self { extra: extra.iter().map(|&option| option.to_owned()).collect(), ..Self::default() }
    }
}

/// A running private server with user `root`, no password, reachable by [`Server::socket`].
#[derive(Debug)]
pub struct Server {
    kind: ServerKind,
    programs: Programs,
    options: ServerOptions,
    port: Option<u16>,
    child: Mutex<Option<Child>>,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

impl Server {
    /// Starts a server with an empty data folder and waits until it answers.
    ///
    /// # Errors
    /// [`TestbedError::ServerNotAvailable`] when `./check` found that this server cannot be had here; other errors
    /// say what is missing or what the server wrote to its log.
    pub fn start(kind: ServerKind, options: &ServerOptions) -> Result<Self, TestbedError> {
        let programs = Programs::find(kind)?;
        // The path of a socket is limited to 107 bytes, so the folder's is short.
        let folder = tempfile::Builder::new()
            .prefix("bk-db-")
            .tempdir()
            .map_err(|error| TestbedError::file("create a folder in", &std::env::temp_dir(), error))?;
        programs.make_data_folder(&folder.path().join("data"), options.folds_names)?;
        let port = if options.tcp { Some(free_port()?) } else { None };
        let server = Self { kind, programs, options: options.clone(), port, child: Mutex::new(None), folder };
        server.run()?;
        Ok(server)
    }

    /// [`Server::start`] for tests: says loudly, past the capture of the test runner, that the test cannot run where
    /// `./check` found that the server cannot be had, and gives `None` then.
    ///
    /// # Panics
    /// When the server is missing for any other reason.
    pub fn for_test(kind: ServerKind, options: &ServerOptions) -> Option<Self> {
        match Self::start(kind, options) {
            Ok(server) => Some(server),
            Err(error @ TestbedError::ServerNotAvailable { .. }) => {
                // Not a print macro: those are swallowed for tests that pass.
                let _ = writeln!(std::io::stderr(), "NOT TESTED: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Which server this is.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// The programs of this server's version.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The loopback port, when [`ServerOptions::tcp`] asked for one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The data folder, for tests that look at or damage the server's own files.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The command-line client of this server's version.
    pub fn client_program(&self) -> PathBuf {
        self.programs.client()
    }

    /// The process id of the running server.
    pub fn process_id(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Everything the server has logged so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the server as a power cut would.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends the server in an orderly way.
    pub fn stop(&self) {
        let Some(mut child) = self.child().take() else { return };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Ends the server if it runs and starts it again on the same data.
    ///
    /// # Errors
    /// [`TestbedError::ServerDidNotStart`].
    pub fn restart(&self) -> Result<(), TestbedError> {
        self.stop();
        self.run()
    }

    /// Ends the server if it runs and starts it again on the same data with other options of the server program.
    ///
    /// # Errors
    /// [`TestbedError::ServerDidNotStart`].
    pub fn restart_with(&mut self, extra: &[&str]) -> Result<(), TestbedError> {
        self.stop();
        self.options.extra = extra.iter().map(|&option| option.to_owned()).collect();
        self.run()
    }

    /// Connects as root through the client library of the oracle; an empty name selects no database.
    ///
    /// # Errors
    /// [`TestbedError::Database`].
    pub fn connect(&self, database: &str) -> Result<mysql::Conn, TestbedError> {
        self.connect_as(database, "root", "")
    }

    /// Connects as another user.
    ///
    /// # Errors
    /// [`TestbedError::Database`].
    pub fn connect_as(
        &self,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<mysql::Conn, TestbedError> {
        let options = mysql::OptsBuilder::new()
            .socket(Some(self.socket().to_string_lossy().into_owned()))
            .prefer_socket(true)
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some(database).filter(|name| !name.is_empty()))
            .max_allowed_packet(Some(1 << 30));
        mysql::Conn::new(options)
            .map_err(|error| TestbedError::database(format!("connect to `{database}`"), error))
    }

    /// A command that runs the stock client as the restore instructions say: `--comments --binary-mode`, as root.
    pub fn client_command(&self, database: &str) -> Command {
        let mut command = Command::new(self.client_program());
        command.args(["--no-defaults", "--comments", "--binary-mode", "--user=root"]);
        command.arg(format!("--socket={}", self.socket().display()));
        if !database.is_empty() {
            command.arg(format!("--database={database}"));
        }
        command
    }

    /// Runs SQL through the stock client and gives what it printed.
    ///
    /// # Errors
    /// [`TestbedError::Program`] with the client's own words.
    pub fn client(&self, database: &str, sql: impl AsRef<[u8]>) -> Result<Vec<u8>, TestbedError> {
        self.client_from(database, sql.as_ref())
    }

    /// Runs SQL from a stream through the stock client and gives what it printed.
    ///
    /// # Errors
    /// [`TestbedError::Program`] with the client's own words.
    pub fn client_from(&self, database: &str, mut sql: impl Read) -> Result<Vec<u8>, TestbedError> {
        let program = self.client_program();
        let mut command = self.client_command(database);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| TestbedError::file("run", &program, error))?;
        let (mut input, mut errors) = (child.stdin.take(), child.stderr.take());
        let mut output = child.stdout.take();
        let (stdout, stderr, fed) = thread::scope(|scope| {
            let stdout = scope.spawn(move || read_all(&mut output));
            let stderr = scope.spawn(move || read_all(&mut errors));
            // The client stops reading at the first error; its own words say more than the broken pipe.
            let fed = input.as_mut().map(|input| std::io::copy(&mut sql, input));
            drop(input);
            (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default(), fed)
        });
        let status = child.wait().map_err(|error| TestbedError::file("wait for", &program, error))?;
        let why = String::from_utf8_lossy(&stderr).trim().to_owned();
        if !status.success() {
            return Err(TestbedError::Program { program: program.display().to_string(), why });
        }
        match fed {
            Some(Err(error)) => Err(TestbedError::file("write to", &program, error)),
            _ => Ok(stdout),
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        // A panic while the lock was held leaves a child that can still be ended.
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        let mut arguments = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={folder}/data"),
            format!("--socket={folder}/s"),
            format!("--pid-file={folder}/pid"),
            format!("--log-error={folder}/log"),
            // A server that starts removes others' temporary tables from a folder that they share.
            format!("--tmpdir={folder}"),
            "--server-id=1".into(),
            "--skip-name-resolve".into(),
            "--performance-schema=off".into(),
            "--innodb-buffer-pool-size=64M".into(),
            "--innodb-flush-log-at-trx-commit=2".into(),
            "--innodb-fast-shutdown=2".into(),
            "--sync-binlog=0".into(),
            format!("--local-infile={}", u8::from(self.options.local_infile)),
            format!("--lower-case-table-names={}", u8::from(self.options.folds_names)),
        ];
        arguments.push(match self.port {
            Some(port) => format!("--port={port}"),
            None => "--skip-networking".into(),
        });
        if self.port.is_some() {
            arguments.push("--bind-address=127.0.0.1".into());
        }
        arguments.push(if self.options.binary_log {
            "--log-bin=binlog".into()
        } else {
            "--skip-log-bin".into()
        });
        if self.kind.is_mysql() {
            arguments.extend([
                "--mysqlx=off".into(),
                "--secure-file-priv=".into(),
                "--innodb-redo-log-capacity=32M".into(),
            ]);
        }
        if rustix::process::geteuid().is_root() {
            arguments.push("--user=root".into());
        }
        arguments.extend(self.options.extra.iter().cloned());
        arguments
    }

    fn run(&self) -> Result<(), TestbedError> {
        let program = self.programs.server();
        let mut command = spawner::dying_with_us(&program);
        command.args(self.arguments()).stdin(Stdio::null()).current_dir(self.folder.path());
        // What it says before its log is open, or from its loader.
        let log_path = self.folder.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| TestbedError::file("open", &log_path, error))?;
        command.stdout(Stdio::null()).stderr(log);
        let child = spawner::spawn(command).map_err(|error| TestbedError::file("run", &program, error))?;
        *self.child() = Some(child);
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&self) -> Result<(), TestbedError> {
        let until = Instant::now() + START_LIMIT;
        loop {
            if Path::new(&self.socket()).exists() && self.connect("").is_ok() {
                return Ok(());
            }
            let ended = match self.child().as_mut() {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => true,
            };
            if ended || Instant::now() > until {
                let log = self.log();
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                let why = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                self.kill9();
                return Err(TestbedError::ServerDidNotStart { server: self.kind.name(), why });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The data is thrown away with the folder: there is nothing to be orderly about.
        self.kill9();
    }
}

fn read_all(stream: &mut Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.read_to_end(&mut bytes);
    }
    bytes
}

fn free_port() -> Result<u16, TestbedError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| TestbedError::file("find a free port on", Path::new("127.0.0.1"), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::prelude::Queryable;

    #[test]
    fn every_kind_starts_answers_and_survives_a_kill() {
        for kind in ServerKind::KINDS {
            let options = ServerOptions { tcp: true, ..ServerOptions::with(&["--sql-mode=ANSI"]) };
            let Some(server) = Server::for_test(kind, &options) else { continue };
            server
                .client(
                    "",
                    "CREATE DATABASE shop; CREATE TABLE shop.t (a INT); INSERT INTO shop.t VALUES (7);",
                )
                .unwrap();
            server.kill9();
            server.restart().unwrap();
            let mut connection = server.connect("shop").unwrap();
            let row: Option<(i32, String)> = connection.query_first("SELECT a, @@sql_mode FROM t").unwrap();
            let (number, mode) = row.unwrap();
            assert_eq!(number, 7);
            assert!(mode.contains("ANSI_QUOTES"), "{mode}");
            let failed = server.client("shop", "SELECT nonsense FROM t;").unwrap_err();
            assert!(failed.to_string().contains("nonsense"), "{failed}");
            assert!(std::net::TcpStream::connect(("127.0.0.1", server.port().unwrap())).is_ok());
        }
    }

    #[test]
    fn a_dropped_server_leaves_no_process_and_no_folder() {
        let Some(server) = Server::for_test(ServerKind::MariaDb, &ServerOptions::default()) else { return };
        let (process, folder) = (server.process_id().unwrap(), server.data_folder());
        drop(server);
        assert!(!Path::new(&format!("/proc/{process}")).exists());
        assert!(!folder.exists());
    }
}
