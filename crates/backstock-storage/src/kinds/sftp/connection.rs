//! The one connection of an SFTP storage: made at first use, checked against the pinned host key, made again when it was lost.

mod sign_in;
mod slices;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backstock_host::answer;
use russh::client::{Config, Handle, Handler};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Preferred, cipher};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};
use tokio::net::{TcpStream, lookup_host};

use self::slices::Slices;
use super::SftpSettings;
use super::fault::Failure;
use crate::patience::Patience;
use crate::{Cause, Error, Result};

/// What the connection is encrypted by, the best first: processors have instructions for AES, and every byte goes through it.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
/// How often a connection without traffic is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The limit of the library on one request, in seconds. The limit that counts is ours, on silence: many requests are under way
/// at once, and on a slow line the last of them waits for all others.
const REQUEST_LIMIT_SECONDS: u64 = 24 * 60 * 60;

/// What a server can do beyond version 3 of the protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extensions {
    pub(super) fsync: bool,
    pub(super) posix_rename: bool,
    statvfs: bool,
}

/// A connection, signed in.
pub(super) struct Session {
    pub(super) sftp: RawSftpSession,
    pub(super) extensions: Extensions,
    pub(super) slices: Slices,
    pub(super) patience: Patience,
    place: String,
    ssh: Handle<Checker>,
    /// A second channel; nothing where the server allows one only.
    beside: tokio::sync::OnceCell<Option<RawSftpSession>>,
    is_broken: AtomicBool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Session {
    /// Waits for the answer to a request.
    pub(super) async fn ask<T>(
        &self,
        act: &'static str,
        name: &str,
        request: impl Future<Output = std::result::Result<T, SftpError>>,
    ) -> std::result::Result<T, Failure> {
        let failure = match self.patience.answer(request).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::new(act, name, &self.place, error),
            Err(late) => Failure::way(act, name, &self.place, late),
        };
        if failure.is_of_the_way() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        Err(failure)
    }

    /// Closes a file. That this fails tells nothing that matters: what was written was confirmed or synced before.
    pub(super) async fn close(&self, handle: &str) {
        if !self.is_broken.load(Ordering::Relaxed) {
            let _ = self.ask("close", "", self.sftp.close(handle)).await;
        }
    }

    /// A second channel of this connection, made at first use. A server works off the requests of one channel one by one: what
    /// takes long goes beside.
    pub(super) async fn beside(&self) -> Option<&RawSftpSession> {
        let opened = self.beside.get_or_init(|| async {
            let opened = self.patience.answer(open_channel(&self.ssh)).await.ok()?.ok()?;
            let begun = self.patience.answer(opened.init()).await.ok()?;
            begun.ok().map(|_| opened)
        });
        opened.await.as_ref()
    }

    /// Free space at a path, where the server tells.
    pub(super) async fn free_bytes(&self, path: &str) -> std::result::Result<Option<u64>, Failure> {
        if !self.extensions.statvfs {
            return Ok(None);
        }
        let told = self.ask("ask for the free space of", path, self.sftp.statvfs(path)).await?;
        Ok(Some(told.blocks_avail.saturating_mul(told.fragment_size)))
    }

    fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed) && !self.ssh.is_closed()
    }
}

/// Compares the host key with the pinned one.
struct Checker {
    pinned: Option<String>,
    seen: Arc<Mutex<Option<String>>>,
}

impl Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> std::result::Result<bool, Self::Error> {
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let is_pinned = self.pinned.as_ref() == Some(&fingerprint);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
        Ok(is_pinned)
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) settings: SftpSettings,
    pub(super) place: String,
    patience: Patience,
    pub(super) agent_socket: Option<PathBuf>,
    /// Locked while it is made, so that several tasks make one together.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
}

impl Connection {
    pub(super) fn new(settings: SftpSettings, patience: Patience, agent_socket: Option<PathBuf>) -> Self {
        let place = settings.place();
        Self { settings, place, patience, agent_socket, session: tokio::sync::Mutex::default() }
    }

    /// The connection, made now if there is none that works.
    pub(super) async fn session(&self) -> Result<Arc<Session>> {
        let mut slot = self.session.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| session.is_usable()) {
            return Ok(Arc::clone(session));
        }
        *slot = None;
        let session = Arc::new(self.connect().await?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { act: "connect to", name: self.settings.host.clone(), place: self.place.clone(), source }
    }

    fn refused(&self, act: &'static str, cause: Cause, answer: &str) -> Error {
        let answer = answer::printable(answer, []);
        let (name, place) = (self.settings.host.clone(), self.place.clone());
        Error::Refused { act, name, place, cause, answer, retry_after_seconds: None }
    }

    /// A failure of the connection as such, in the words of the seam.
    fn lost(&self, error: russh::Error) -> Error {
        use io::ErrorKind::{ConnectionReset, TimedOut};
        match error {
            russh::Error::IO(source) => self.failed(source),
            russh::Error::ConnectionTimeout
            | russh::Error::KeepaliveTimeout
            | russh::Error::InactivityTimeout => self.failed(io::Error::new(TimedOut, error)),
            russh::Error::HUP
            | russh::Error::Disconnect
            | russh::Error::SendError
            | russh::Error::RecvError => self.failed(io::Error::new(ConnectionReset, error)),
            other => self.refused("connect to", Cause::Unexpected, &other.to_string()),
        }
    }

    async fn stream(&self) -> io::Result<TcpStream> {
        let unknown = |error: io::Error| io::Error::new(io::ErrorKind::HostUnreachable, error);
        let (host, port) = (self.settings.host.as_str(), self.settings.port);
        let connected = self.patience.connection(async {
            let addresses: Vec<_> = lookup_host((host, port)).await.map_err(unknown)?.collect();
            TcpStream::connect(&*addresses).await
        });
        let stream = connected.await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects, and ends there unless the host key is the pinned one. Tells the key too that was seen.
    async fn shake_hands(
        &self,
    ) -> Result<(std::result::Result<Handle<Checker>, russh::Error>, Option<String>)> {
        let stream = self.stream().await.map_err(|error| self.failed(error))?;
        let config = Config {
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            // Larger than what is under way at once in a read.
            window_size: 8 << 20,
            preferred: Preferred { cipher: Cow::Borrowed(CIPHERS), ..Preferred::DEFAULT },
            ..Config::default()
        };
        let seen = Arc::new(Mutex::new(None));
        let checker = Checker { pinned: self.settings.host_key.clone(), seen: Arc::clone(&seen) };
        let shaken =
            self.patience.connection(russh::client::connect_stream(Arc::new(config), stream, checker));
        let shaken = shaken.await.map_err(|late| self.failed(late))?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((shaken, seen))
    }

    /// The fingerprint of the server's host key. Nothing is sent.
    pub(super) async fn seen_host_key(&self) -> Result<String> {
        let (shaken, seen) = self.shake_hands().await?;
        match (seen, shaken) {
            (Some(seen), _) => Ok(seen),
            (None, Err(error)) => Err(self.lost(error)),
            (None, Ok(_)) => Err(self.refused("connect to", Cause::Unexpected, "it showed no host key")),
        }
    }

    async fn connect(&self) -> Result<Session> {
        // The library makes several buffers for every request.
        backstock_host::memory::keep_freed_buffers();
        let (shaken, seen) = self.shake_hands().await?;
        let mut ssh = match (shaken, seen) {
            (Ok(ssh), _) => ssh,
            (Err(russh::Error::UnknownKey), Some(seen)) => return Err(self.untrusted(&seen)),
            (Err(error), _) => return Err(self.lost(error)),
        };
        self.sign_in(&mut ssh).await?;
        self.open_sftp(ssh).await
    }

    fn untrusted(&self, seen: &str) -> Error {
        let answer = match &self.settings.host_key {
            Some(pinned) => format!("its host key is {seen}, and {pinned} is expected"),
            None => format!("its host key is {seen}, and no host_key is set to compare it with"),
        };
        self.refused("connect to", Cause::Untrusted, &answer)
    }

    async fn open_sftp(&self, ssh: Handle<Checker>) -> Result<Session> {
        let opened = self.patience.answer(open_channel(&ssh)).await.map_err(|late| self.failed(late))?;
        let sftp = opened.map_err(|error| self.lost(error))?;
        let begun = self.patience.answer(sftp.init()).await.map_err(|late| self.failed(late))?;
        let version = begun.map_err(|error| {
            let answer = format!("it does not offer SFTP to this user: {error}");
            self.refused("connect to", Cause::Unexpected, &answer)
        })?;
        let offers = |name: &str| version.extensions.contains_key(name);
        let extensions = Extensions {
            fsync: offers("fsync@openssh.com"),
            posix_rename: offers("posix-rename@openssh.com"),
            statvfs: offers("statvfs@openssh.com"),
        };
        let slices = match offers("limits@openssh.com") {
            true => self.told_slices(&sftp).await?,
            false => Slices::of_every_server(),
        };
        let (place, patience) = (self.place.clone(), self.patience);
        let (beside, is_broken) = (tokio::sync::OnceCell::new(), AtomicBool::new(false));
        Ok(Session { sftp, extensions, slices, patience, place, ssh, beside, is_broken })
    }

    /// The lengths of requests that the server tells. One that offers to tell and then does not is no worse than one that never
    /// offered.
    async fn told_slices(&self, sftp: &RawSftpSession) -> Result<Slices> {
        let told = self.patience.answer(sftp.limits()).await.map_err(|late| self.failed(late))?;
        Ok(told.map_or_else(|_| Slices::of_every_server(), |limits| Slices::within(&limits)))
    }
}

/// Opens a channel on which the protocol can begin.
async fn open_channel(ssh: &Handle<Checker>) -> std::result::Result<RawSftpSession, russh::Error> {
    let channel = ssh.channel_open_session().await?;
    channel.request_subsystem(true, "sftp").await?;
    let config = SftpConfig { request_timeout_secs: REQUEST_LIMIT_SECONDS, ..SftpConfig::default() };
    Ok(RawSftpSession::new_with_config(channel.into_stream(), config))
}
