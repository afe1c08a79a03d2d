//! A private server for a scratch database: an own data folder, an own socket, no port; gone when the value is dropped.
//!
//! It dies with this process, however that ends, where the machine has `setpriv`; elsewhere [`end_servers_of`] finds it by
//! the data folder in its arguments. Durability is switched off: the data is thrown away.

mod known;
mod programs;

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use backstock_host::child;
use rustix::process::{Pid, Signal};

pub use programs::ServerPrograms;

use super::connection::{Connection, Vendor};
use crate::error::{Error, Result};
use crate::record::DumpedObject;
use crate::settings::{Address, Secret, ServerSettings, Tls};

/// How long making an empty data folder may take; a slow disk takes a minute.
const MAKE_LIMIT: Duration = Duration::from_secs(300);
/// How long a server may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often is looked whether it answers, or has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// A Unix socket's path has room for so many bytes (sun_path in unix(7), less its end).
const SOCKET_PATH_LIMIT_BYTES: usize = 107;
/// Lines of the server's log that an error tells.
const LOG_LINES: usize = 8;
/// Of a log no more than its end is read, bytes.
const LOG_TAIL_BYTES: u64 = 16 << 10;

/// A running private server.
#[derive(Debug)]
pub struct PrivateServer {
    programs: ServerPrograms,
    folder: PathBuf,
    socket: PathBuf,
    child: Option<Child>,
}

impl PrivateServer {
    /// Makes an empty data folder below `folder`, which must not exist yet, and starts a server on it. `socket_folder`
    /// (which must be the owner's alone) takes the socket where the folder's own path is too long for one.
    ///
    /// # Errors
    /// [`Error::PrivateServer`] with what the program said; [`Error::Cancelled`]. Nothing runs then; the folder is left.
    pub fn start(
        programs: ServerPrograms,
        folder: &Path,
        socket_folder: &Path,
        lower_case_table_names: u64,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let own = folder.join("s");
        let socket = if Self::has_room_for_its_socket(folder) { own } else { socket_folder.join("s") };
        let mut server = Self { programs, folder: folder.to_owned(), socket, child: None };
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
        made.map_err(|source| server.failed("make the folder of", &source))?;
        server.make_data(lower_case_table_names, is_cancelled)?;
        server.run(lower_case_table_names, is_cancelled)?;
        Ok(server)
    }

    /// Whether a server in this folder has its socket there: the path of one is short.
    pub fn has_room_for_its_socket(folder: &Path) -> bool {
        folder.join("s").as_os_str().len() <= SOCKET_PATH_LIMIT_BYTES
    }

    /// How to reach it: as its administrator, over its socket.
    pub fn settings(&self) -> ServerSettings {
        ServerSettings {
            address: Address::Socket(self.socket.clone()),
            user: "root".to_owned(),
            password: Secret::default(),
            tls: Tls::Off,
        }
    }

    /// Makes known what a dump's code names, so that it can be made and works: accounts that define it (with all rights;
    /// nobody can log in here), and time zones (as UTC: no event ever runs here).
    ///
    /// # Errors
    /// The server's.
    pub fn make_known(&self, objects: &[DumpedObject]) -> Result<()> {
        let mut connection = Connection::open(&self.settings(), None)?;
        known::accounts(&mut connection, objects)?;
        known::time_zones(&mut connection, objects)
    }

    /// The programs that it was made with.
    pub fn programs(&self) -> &ServerPrograms {
        &self.programs
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn failed(&self, act: &'static str, what: &impl ToString) -> Error {
        Error::PrivateServer { act, program: self.programs.server.clone(), what: what.to_string() }
    }

    fn make_data(&self, lower_case_table_names: u64, is_cancelled: &dyn Fn() -> bool) -> Result<()> {
        let act = "make the data folder of";
        let mut command = match (&self.programs.install, self.programs.vendor) {
            (Some(install), Vendor::MariaDb) => {
                let mut command = child::dying_with_us(install);
                command.args([
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--innodb-log-file-size=32M",
                ]);
                command
            }
            (None, Vendor::MariaDb) => {
                return Err(self.failed(act, &"mariadb-install-db is not there beside it"));
            }
            (_, Vendor::MySql) => {
                let mut command = child::dying_with_us(&self.programs.server);
                command.args([
                    "--no-defaults",
                    "--initialize-insecure",
                    "--innodb-redo-log-capacity=64M",
                    "--secure-file-priv=NULL",
                ]);
                command.arg(format!("--lower-case-table-names={lower_case_table_names}"));
                command
            }
        };
        command.arg(option("--datadir=", &self.data()));
        let mut running = self.spawn(command, act)?;
        let status = self.wait(&mut running, act, is_cancelled)?;
        if status.success() { Ok(()) } else { Err(self.failed(act, &self.said(&status.to_string()))) }
    }

    /// Starts a program in a process group of its own: a Ctrl-C is for us alone. What it says goes to the log.
    fn spawn(&self, mut command: Command, act: &'static str) -> Result<Child> {
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        let log = File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.map_err(|source| self.failed(act, &source))?;
        let errors = log.try_clone().map_err(|source| self.failed(act, &source))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command.current_dir(&self.folder).process_group(0);
        child::spawn(command).map_err(|source| self.failed(act, &source))
    }

    fn wait(
        &self,
        running: &mut Child,
        act: &'static str,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<ExitStatus> {
        let until = Instant::now() + MAKE_LIMIT;
        loop {
            match running.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(source) => return Err(self.failed(act, &source)),
            }
            let is_late = Instant::now() > until;
            if is_late || is_cancelled() {
                end(running);
                // What it has started dies with it, but not at the same moment.
                let _ = end_servers_of(&self.folder);
                return Err(if is_late {
                    self.failed(act, &self.said("it took too long"))
                } else {
                    cancelled()
                });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn run(&mut self, lower_case_table_names: u64, is_cancelled: &dyn Fn() -> bool) -> Result<()> {
        let act = "start";
        let mut command = child::dying_with_us(&self.programs.server);
        command.args(OPTIONS).arg(option("--datadir=", &self.data()));
        command.arg(option("--socket=", &self.socket));
        command.arg(option("--pid-file=", &self.folder.join("pid")));
        command.arg(option("--log-error=", &self.folder.join("log")));
        command.arg(option("--tmpdir=", &self.folder));
        command.arg(format!("--lower-case-table-names={lower_case_table_names}"));
        if self.programs.vendor == Vendor::MySql {
            command.args(["--mysqlx=off", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=64M"]);
        }
        self.child = Some(self.spawn(command, act)?);
        let until = Instant::now() + START_LIMIT;
        loop {
            if self.socket.exists() && Connection::open(&self.settings(), None).is_ok() {
                return Ok(());
            }
            let has_ended = match self.child.as_mut() {
                Some(child) => !matches!(child.try_wait(), Ok(None)),
                None => true,
            };
            if has_ended || Instant::now() > until {
                return Err(self.failed(act, &self.said("it does not answer")));
            }
            if is_cancelled() {
                return Err(cancelled());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The end of its log, or what is to be said where it wrote nothing.
    fn said(&self, otherwise: &str) -> String {
        let text = tail(&self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return otherwise.to_owned();
        }
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for PrivateServer {
    /// The data is thrown away: there is nothing to be orderly about.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
        // The folder may be another's to remove; the socket need not lie in it.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(self.socket.with_file_name("s.lock"));
    }
}

/// Options of every private server. Nothing of the machine's own configuration is read, and no event ever runs.
const OPTIONS: [&str; 13] = [
    "--no-defaults",
    "--skip-networking",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--local-infile=1",
    "--max-allowed-packet=1G",
    "--performance-schema=off",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-fast-shutdown=2",
    "--server-id=1",
];

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

fn cancelled() -> Error {
    Error::LoadStopped { database: "of a private server".to_owned() }
}

/// Kills a program with whatever it has started: both are in its process group.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn tail(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::FileExt;
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let from = size_bytes.saturating_sub(LOG_TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(size_bytes - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills every server that has its data below this folder, as its own arguments say, and waits until they are gone. For
/// folders of a dead process: nobody else may use them.
///
/// # Errors
/// Those of the operating system; one that does not go is an error too.
pub fn end_servers_of(folder: &Path) -> io::Result<()> {
    let wanted = option("--datadir=", &folder.join("data"));
    let until = Instant::now() + KILL_LIMIT;
    loop {
        let mut found = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(entry) = entry else { continue };
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let Some(process) = number.and_then(Pid::from_raw) else { continue };
            // One that is ending has no arguments any more.
            let Ok(arguments) = fs::read(entry.path().join("cmdline")) else { continue };
            if arguments.split(|byte| *byte == 0).any(|argument| argument == wanted.as_bytes()) {
                found += 1;
                let _ = rustix::process::kill_process(process, Signal::KILL);
            }
        }
        if found == 0 {
            return Ok(());
        }
        if Instant::now() > until {
            let message = format!("a server on {} does not end", folder.display());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests;
