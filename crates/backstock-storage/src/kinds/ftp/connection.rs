//! The connections of an FTP storage: two at most, since each does one thing at a time and many servers allow few; kept, signed in
//! and set to binary, and made again when they were lost.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backstock_host::{Host, answer};
use suppaftp::tokio::AsyncRustlsFtpStream;
use suppaftp::types::{FileType, Mode};
use suppaftp::{FtpResult, Status};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::fault::Failure;
use super::tls::Trust;
use super::{DataMode, Encryption, FtpSettings};
use crate::patience::Patience;
use crate::{Cause, Error, Result};

/// Connections at once.
const CONNECTIONS: usize = 2;
/// After so long without use a connection is asked whether it lives.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// What a server can do beyond the first standard.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Features {
    /// Listings made for programs (RFC 3659).
    pub(super) mlst: bool,
    /// Transfers from the middle of a file.
    pub(super) restarts: bool,
    pub(super) tells_free_space: bool,
}

/// A connection, signed in.
pub(super) struct Session {
    ftp: AsyncRustlsFtpStream,
    features: Features,
    /// The storage's folder, absolute.
    folder: String,
    is_extended: bool,
    used: Instant,
}

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) place: String,
    settings: FtpSettings,
    /// For TLS as we like it, and as others may want it; neither without encryption.
    trusts: Vec<Trust>,
    patience: Patience,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A connection in use. It goes back when it is whole.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
    is_lost: bool,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take().filter(|_| !self.is_lost) {
            session.used = Instant::now();
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}

impl Lease<'_> {
    #[expect(clippy::expect_used, reason = "a lease holds its session until it is dropped")]
    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lease holds its session until it is dropped")
    }

    /// The connection, for one command whose outcome goes to [`Self::note`]. Until then the lease counts as lost, so that
    /// one that was given up in the middle is not used again.
    pub(super) fn ftp(&mut self) -> &mut AsyncRustlsFtpStream {
        self.is_lost = true;
        &mut self.session().ftp
    }

    pub(super) fn features(&self) -> Features {
        self.session.as_ref().map(|session| session.features).unwrap_or_default()
    }

    pub(super) fn patience(&self) -> Patience {
        self.pool.patience
    }

    pub(super) fn pool_place(&self) -> String {
        self.pool.place.clone()
    }

    /// An absolute path.
    pub(super) fn path(&self, path: &str) -> String {
        let folder = self.session.as_ref().map_or("", |session| session.folder.as_str());
        match (folder, path) {
            (folder, "") => folder.to_owned(),
            ("/", path) => format!("/{path}"),
            (folder, path) => format!("{folder}/{path}"),
        }
    }

    /// Takes the outcome of a command.
    pub(super) fn note<T>(
        &mut self,
        act: &'static str,
        name: &str,
        outcome: io::Result<FtpResult<T>>,
    ) -> std::result::Result<T, Failure> {
        let place = &self.pool.place;
        let failure = match outcome {
            Ok(Ok(value)) => {
                self.is_lost = false;
                return Ok(value);
            }
            Ok(Err(error)) => Failure::new(act, name, place, error),
            Err(late) => Failure::way(act, name, place, late),
        };
        self.is_lost = !failure.is_answer();
        Err(failure)
    }

    pub(super) fn refused(&self, act: &'static str, name: &str, cause: Cause, answer: String) -> Error {
        let (name, place) = (name.to_owned(), self.pool.place.clone());
        Error::Refused { act, name, place, cause, answer, retry_after_seconds: None }
    }

    /// Asks for connections for data in the older way, where the server does not know the newer one; whether that is a change.
    pub(super) fn use_older_passive_mode(&mut self) -> bool {
        let session = self.session();
        let was_extended = std::mem::take(&mut session.is_extended);
        if was_extended {
            session.ftp.set_mode(Mode::Passive);
        }
        was_extended
    }
}

impl Pool {
    pub(super) fn new(host: &Host, settings: FtpSettings, patience: Patience) -> Result<Self> {
        let is_plain = settings.encryption == Encryption::None;
        let trusts = if is_plain {
            Vec::new()
        } else {
            vec![Trust::new(host, &settings, false)?, Trust::new(host, &settings, true)?]
        };
        let (place, idle) = (settings.place(), Mutex::default());
        Ok(Self { place, settings, trusts, patience, idle, permits: Semaphore::new(CONNECTIONS) })
    }

    /// A connection that works.
    pub(super) async fn lease(&self) -> Result<Lease<'_>> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|closed| self.failed(io::Error::other(closed)))?;
        let mut lease = Lease { pool: self, session: None, is_lost: false, _permit: permit };
        loop {
            lease.session = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(session) = &mut lease.session else { break };
            if session.used.elapsed() < IDLE_LIMIT {
                return Ok(lease);
            }
            let told = self.patience.answer(lease.ftp().noop()).await;
            if lease.note("wake", "", told).is_ok() {
                return Ok(lease);
            }
        }
        lease.is_lost = false;
        lease.session = Some(self.connect().await?);
        Ok(lease)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { act: "connect to", name: self.settings.host.clone(), place: self.place.clone(), source }
    }

    /// Takes the outcome of a step on the way to a session.
    fn step<T>(&self, act: &'static str, outcome: io::Result<FtpResult<T>>) -> Result<T> {
        let name = &self.settings.host;
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.without_password(Failure::new(act, name, &self.place, error).into())),
            Err(late) => Err(Failure::way(act, name, &self.place, late).into()),
        }
    }

    /// Servers may repeat the line that they refuse.
    fn without_password(&self, mut error: Error) -> Error {
        if let Error::Refused { answer: told, .. } = &mut error {
            *told = answer::printable(told, [self.settings.password.expose()]);
        }
        error
    }

    /// Connects, and turns to TLS.
    async fn reach(&self, trust: Option<&Trust>) -> Result<AsyncRustlsFtpStream> {
        let trust = trust.map(Trust::for_connection);
        let unknown = |error: io::Error| io::Error::new(io::ErrorKind::HostUnreachable, error);
        let (host, port) = (self.settings.host.as_str(), self.settings.port());
        let found = self.patience.connection(lookup_host((host, port))).await;
        let addresses: Vec<_> =
            found.and_then(|found| found.map_err(unknown)).map_err(|error| self.failed(error))?.collect();
        if let (Some(trust), Encryption::Implicit) = (&trust, self.settings.encryption) {
            let connected = AsyncRustlsFtpStream::connect_secure_implicit(&*addresses, trust.clone(), host);
            let mut ftp = self.step("connect to", self.patience.connection(connected).await)?;
            // What turning to TLS would say: data is encrypted too (RFC 4217, section 9).
            for command in ["PBSZ 0", "PROT P"] {
                let told = ftp.custom_command(command, &[Status::CommandOk]);
                self.step("encrypt data for", self.patience.answer(told).await)?;
            }
            return Ok(ftp);
        }
        let connected = self.patience.connection(TcpStream::connect(&*addresses)).await;
        let stream = connected.and_then(|connected| connected).map_err(|error| self.failed(error))?;
        stream.set_nodelay(true).map_err(|error| self.failed(error))?;
        let greeted = AsyncRustlsFtpStream::connect_with_stream(stream);
        let ftp = self.step("connect to", self.patience.answer(greeted).await)?;
        let Some(trust) = trust else { return Ok(ftp) };
        self.step("encrypt the connection to", self.patience.answer(ftp.into_secure(trust, host)).await)
    }

    /// Connects with TLS as we like it, else as the server wants it.
    async fn reach_somehow(&self) -> Result<AsyncRustlsFtpStream> {
        let [liked, others] = &self.trusts[..] else { return self.reach(None).await };
        match self.reach(Some(liked)).await {
            Err(_) if liked.wants_others() => self.reach(Some(others)).await,
            other => other,
        }
    }

    async fn connect(&self) -> Result<Session> {
        let mut ftp = self.reach_somehow().await?;
        let signed_in = ftp.login(self.settings.user.as_str(), self.settings.password.expose());
        self.step("sign in to", self.patience.answer(signed_in).await)?;
        self.step("set to binary", self.patience.answer(ftp.transfer_type(FileType::Binary)).await)?;
        let told = self.patience.answer(ftp.feat()).await.map_err(|late| self.failed(late))?;
        // A server that knows no FEAT has none.
        let told = told.unwrap_or_default();
        let features = Features {
            mlst: told.contains_key("MLST"),
            restarts: told.get("REST").is_some_and(|value| {
                value.as_ref().is_some_and(|value| value.to_ascii_uppercase().contains("STREAM"))
            }),
            tells_free_space: told.contains_key("AVBL"),
        };
        if told.contains_key("UTF8") {
            // It is on already in most; those that refuse the question speak it too.
            let _ =
                self.patience.answer(ftp.opts("UTF8", Some("ON"))).await.map_err(|late| self.failed(late))?;
        }
        let is_passive = self.settings.mode == DataMode::Passive;
        ftp.set_mode(if is_passive { Mode::ExtendedPassive } else { Mode::Active });
        // The address that a server behind a router tells is its own; the one that we speak to is right (F93).
        ftp.set_passive_nat_workaround(true);
        let folder = self.folder(&mut ftp).await?;
        Ok(Session { ftp, features, folder, is_extended: is_passive, used: Instant::now() })
    }

    /// The storage's folder as an absolute path.
    async fn folder(&self, ftp: &mut AsyncRustlsFtpStream) -> Result<String> {
        let wanted = self.settings.folder.trim_end_matches('/');
        if self.settings.folder.starts_with('/') {
            return Ok(if wanted.is_empty() { "/".to_owned() } else { wanted.to_owned() });
        }
        let home = self.step("ask for the login folder of", self.patience.answer(ftp.pwd()).await)?;
        Ok(match (home.trim_end_matches('/'), wanted) {
            ("", "") => "/".to_owned(),
            (home, "" | ".") => home.to_owned(),
            (home, wanted) => format!("{home}/{wanted}"),
        })
    }
}

/// The fingerprint of the server's certificate, where the usual roots and the file of the settings do not vouch for it. Nobody
/// signs in.
pub(super) async fn seen_certificate(
    host: &Host,
    settings: FtpSettings,
    patience: Patience,
) -> Result<Option<String>> {
    let ordinary = Trust::new(host, &FtpSettings { certificate: None, ..settings.clone() }, true)?;
    let pool = Pool::new(host, settings, patience)?;
    match pool.reach(Some(&ordinary)).await {
        Ok(_) => return Ok(None),
        Err(Error::Refused { cause: Cause::Untrusted, .. }) => {}
        Err(error) => return Err(error),
    }
    let nobody = Trust::nobody(host)?;
    match pool.reach(Some(&nobody)).await {
        Err(error) => nobody.seen().map(Some).ok_or(error),
        Ok(_) => Ok(None),
    }
}
