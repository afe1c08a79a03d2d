//! A private server, a small demo shop on it, and the executable itself run against them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use backstock_testbed::demo_shop::DemoShop;
use backstock_testbed::{Server, ServerKind, ServerOptions, Snapshot};
use tempfile::TempDir;

/// What any operation may hold at most.
const MEMORY_LIMIT_KIB: u64 = 128 * 1024;

/// What every run's environment must not inherit from whoever runs the tests.
const OURS: [&str; 13] = [
    "BACKSTOCK_STATE",
    "BACKSTOCK_BACKUPS",
    "BACKSTOCK_CONFIG",
    "BACKSTOCK_DATABASE_PASSWORD",
    "BACKSTOCK_MACHINE_ID",
    "BACKSTOCK_PASSPHRASE",
    "BACKSTOCK_NEW_PASSPHRASE",
    "BACKSTOCK_IDENTITY_FILE",
    "BACKSTOCK_INSTANCE_KEY",
    "CREDENTIALS_DIRECTORY",
    "BACKSTOCK_FAILPOINT",
    "BACKSTOCK_FAILPOINT_LOG",
    "BACKSTOCK_CLOCK_HOURS",
];

/// How one run of the executable ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Stops the test unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Stops the test unless a signal ended it.
    #[track_caller]
    pub(crate) fn expect_killed(self) -> Self {
        assert_eq!(self.code, None, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }

    /// Stops the test unless the error stands in the documented form and holds all these words.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32, words: &[&str]) -> Self {
        let run = self.expect(code);
        assert!(run.stderr.lines().any(|line| line.starts_with("error: ")), "no error line:\n{}", run.stderr);
        assert!(!run.stderr.contains("panicked at"), "{}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{word:?} is not in:\n{}", run.stderr);
        }
        run
    }
}

/// How long is waited for the beginning of a pause.
const PAUSE_WAIT: Duration = Duration::from_secs(60);

/// A place with a state folder, a backups folder and an empty configuration, in which the executable is run.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("bk-it-").tempdir().unwrap();
        fs::write(folder.path().join("backstock.toml"), "").unwrap();
        Self { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Removes the catalog, as a machine does that died: everything else stays.
    pub(crate) fn lose_catalog(&self) {
        for entry in fs::read_dir(self.state()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with("catalog.sqlite") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.folder.path().join("backups")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("backstock.toml")
    }

    /// A command that runs the executable here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstock"));
        for name in OURS {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("BACKSTOCK_STATE", self.state())
            .env("BACKSTOCK_BACKUPS", self.backups())
            .env("BACKSTOCK_CONFIG", self.configuration())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the executable here and waits for its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// Runs it through another program, which is given the executable and its arguments as its last ones.
    pub(crate) fn run_through(&self, through: Command, arguments: &[&str]) -> Run {
        self.run_program_through(through, Path::new(env!("CARGO_BIN_EXE_backstock")), arguments)
    }

    /// Runs it as nobody, to whom everything here belongs from then on. Root reads everything; others are nobody enough.
    pub(crate) fn run_as_nobody(&self, arguments: &[&str]) -> Run {
        if !rustix::process::geteuid().is_root() {
            return self.run(arguments);
        }
        // Neither may nobody look into the folders on the way to the program.
        let program = self.folder().join("backstock");
        if !program.exists() {
            fs::copy(env!("CARGO_BIN_EXE_backstock"), &program).unwrap();
        }
        let chown = Command::new("chown").args(["-R", "65534:65534"]).arg(self.folder()).status().unwrap();
        assert!(chown.success());
        let mut through = Command::new("setpriv");
        through.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        self.run_program_through(through, &program, arguments)
    }

    fn run_program_through(&self, mut through: Command, program: &Path, arguments: &[&str]) -> Run {
        let inner = self.command(arguments);
        through.arg(program).args(inner.get_args()).current_dir(self.folder());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => through.env(name, value),
                None => through.env_remove(name),
            };
        }
        Run::of(&through.output().unwrap())
    }

    /// Runs it to a good end, in no more memory than is promised.
    pub(crate) fn run_in_memory(&self, arguments: &[&str]) -> Run {
        self.run_in_memory_with_rows(arguments, 0)
    }

    /// The same where rows are large: the memory of one comes to what is promised.
    pub(crate) fn run_in_memory_with_rows(&self, arguments: &[&str], row_bytes: usize) -> Run {
        let mut child = self.command(arguments).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak_kib = 0;
        while child.try_wait().unwrap().is_none() {
            // Linux keeps the high-water mark; only what happens after the last look is missed.
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let held = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak_kib = peak_kib.max(held.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        let run = Run::of(&child.wait_with_output().unwrap()).expect(0);
        assert!(peak_kib > 1024, "nothing was measured");
        let limit_kib = MEMORY_LIMIT_KIB + row_bytes as u64 / 1024;
        assert!(peak_kib < limit_kib, "{arguments:?} held {peak_kib} KiB");
        run
    }

    /// Runs it at another time: so many hours from now, or back from it.
    #[cfg(feature = "failpoints")]
    pub(crate) fn run_at(&self, hours: i64, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        Run::of(&command.env("BACKSTOCK_CLOCK_HOURS", hours.to_string()).output().unwrap())
    }

    /// Runs it with orders to failpoints, as in `backup.frame=kill:2`.
    pub(crate) fn run_with(&self, orders: &str, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).env("BACKSTOCK_FAILPOINT", orders).output().unwrap())
    }

    /// Runs it and gives every failpoint hit in order, as name and number of the hit.
    pub(crate) fn hits(&self, arguments: &[&str]) -> (Run, Vec<(String, u64)>) {
        let log = self.folder.path().join("failpoints.log");
        let _ = fs::remove_file(&log);
        let output = self.command(arguments).env("BACKSTOCK_FAILPOINT_LOG", &log).output().unwrap();
        let text = fs::read_to_string(&log).unwrap_or_default();
        let mut counts = std::collections::BTreeMap::<String, u64>::new();
        let mut hits = Vec::new();
        for name in text.lines() {
            let count = counts.entry(name.to_owned()).or_default();
            *count += 1;
            hits.push((name.to_owned(), *count));
        }
        (Run::of(&output), hits)
    }

    /// Runs the executable with a pause at a failpoint, and does something with its process id while it pauses.
    pub(crate) fn paused(
        &self,
        point: &str,
        pause_ms: u64,
        arguments: &[&str],
        meanwhile: impl FnOnce(u32),
    ) -> Run {
        let log = self.folder().join("pause.log");
        let _ = fs::remove_file(&log);
        let child = self
            .command(arguments)
            .env("BACKSTOCK_FAILPOINT", format!("{point}=sleep:1:{pause_ms}"))
            .env("BACKSTOCK_FAILPOINT_LOG", &log)
            .spawn()
            .unwrap();
        let until = Instant::now() + PAUSE_WAIT;
        while !fs::read_to_string(&log).unwrap_or_default().lines().any(|line| line == point) {
            assert!(Instant::now() < until, "{point} was not reached");
            std::thread::sleep(Duration::from_millis(5));
        }
        meanwhile(child.id());
        Run::of(&child.wait_with_output().unwrap())
    }

    /// `list --json`, the newest first.
    #[track_caller]
    pub(crate) fn list(&self) -> Vec<serde_json::Value> {
        let listed = self.run(&["list", "--json"]).expect(0).json();
        listed["backups"].as_array().unwrap().clone()
    }

    /// The folder of the newest backup.
    #[track_caller]
    pub(crate) fn newest_backup(&self) -> PathBuf {
        let listed = self.list();
        let folder = listed[0]["replicas"][0]["folder"].as_str().unwrap().to_owned();
        let direct = self.backups().join(&folder);
        if direct.is_dir() {
            return direct;
        }
        let sets = fs::read_dir(self.backups()).unwrap().map(|entry| entry.unwrap().path());
        sets.map(|set| set.join(&folder)).find(|path| path.is_dir()).unwrap()
    }
}

/// A server with a demo shop on it, and a place to run the executable in.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) shop: DemoShop,
    pub(crate) place: Place,
}

impl Scene {
    /// `None` where the server cannot be had, which was said loudly then.
    pub(crate) fn with_demo_shop(kind: ServerKind, products: u32) -> Option<Self> {
        // MySQL with a binary log takes no statement that fills a transactional table and another at once.
        let options = ServerOptions { tcp: true, binary_log: false, ..ServerOptions::default() };
        let server = Server::for_test(kind, &options)?;
        let place = Place::new();
        let shop = DemoShop {
            folder: place.folder().join("demo"),
            products,
            seed: 7,
            socket: server.socket(),
            port: server.port().unwrap(),
        };
        shop.make().unwrap();
        Some(Self { server, shop, place })
    }

    /// The shop's folder, as an argument.
    pub(crate) fn root(&self) -> String {
        self.shop.root().to_str().unwrap().to_owned()
    }

    /// Runs a command on the shop's folder: `scene.on_shop("backup", &["--only", "files"])`.
    pub(crate) fn on_shop(&self, command: &str, more: &[&str]) -> Run {
        let root = self.root();
        let mut arguments = vec![command, root.as_str()];
        arguments.extend_from_slice(more);
        self.place.run(&arguments)
    }

    /// The shop as the oracle sees it.
    pub(crate) fn picture(&self) -> Snapshot {
        self.shop.picture().unwrap()
    }
}
