//! A private mail server: aiosmtpd, which `ci/peers` fetches. Each message that it takes becomes a file.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::error::TestbedError;
use crate::spawner::dying_with_us;
use crate::storages::{Process, answers, free_port, open_folder, program, write};

/// Who may sign in where somebody must, and with what.
pub const USER: &str = "shop";
/// The password of that user.
pub const PASSWORD: &str = "pass word/ü";

const SCRIPT: &str = include_str!("mail/start_mail.py");
const CERTIFICATE: &str = include_str!("../../../fixtures/tls/loopback.pem");
const KEY: &str = include_str!("../../../fixtures/tls/loopback.key");

/// How a server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailManner {
    /// Not at all.
    Plain,
    /// It wants its clients to turn to TLS.
    Starttls,
    /// From the first byte on.
    Tls,
}

impl MailManner {
    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Starttls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    _process: Process,
    // Last, so that the folder goes after the process.
    folder: TempDir,
}

impl MailServer {
    /// Starts one; `None`, said loudly, where its programs are not there. With `signs_in` it wants [`USER`] and [`PASSWORD`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn for_test(manner: MailManner, signs_in: bool) -> Option<Self> {
        let port = free_port().unwrap_or_else(|error| panic!("{error}"));
        Self::at(port, manner, signs_in)
    }

    /// The same on a port that was free before.
    ///
    /// # Panics
    /// When it does not start.
    pub fn at(port: u16, manner: MailManner, signs_in: bool) -> Option<Self> {
        let python = program("aiosmtpd", "python3")?;
        Some(Self::start(&python, port, manner, signs_in).unwrap_or_else(|error| panic!("{error}")))
    }

    fn start(python: &Path, port: u16, manner: MailManner, signs_in: bool) -> Result<Self, TestbedError> {
        let folder = open_folder("bk-mail-")?;
        let path = |name: &str| folder.path().join(name);
        write(&path("start_mail.py"), SCRIPT)?;
        write(&path("certificate"), CERTIFICATE)?;
        write(&path("key"), KEY)?;
        let mut command = dying_with_us(python);
        // Without the modules of whoever runs it: only those that came along.
        command.arg("-s").arg(path("start_mail.py")).arg(port.to_string()).arg(folder.path());
        command.args([manner.word(), "certificate", "key"]);
        command.args(if signs_in { [USER, PASSWORD] } else { ["", ""] });
        command.current_dir(folder.path()).env("TMPDIR", folder.path());
        let log = path("log");
        let mut process = Process::start(command, &log)?;
        process.wait_until("aiosmtpd", &log, || answers(port))?;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has taken, in order.
    ///
    /// # Panics
    /// When its folder cannot be read.
    pub fn messages(&self) -> Vec<MailMessage> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path| {
            let told: Value = serde_json::from_slice(&std::fs::read(path).expect("a message")).expect("JSON");
            let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
            let to = told["to"].as_array().into_iter().flatten();
            MailMessage {
                is_encrypted: told["is_encrypted"] == true,
                to: to.filter_map(|to| to.as_str().map(str::to_owned)).collect(),
                subject: text("subject"),
                text: text("text"),
                raw: text("raw"),
            }
        };
        paths.into_iter().map(read).collect()
    }
}

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct MailMessage {
    /// Whether the connection was encrypted.
    pub is_encrypted: bool,
    /// Whom the server was told to give it to.
    pub to: Vec<String>,
    /// Its subject, as people read it.
    pub subject: String,
    /// Its text, as people read it.
    pub text: String,
    /// Its bytes, as they came.
    pub raw: String,
}
