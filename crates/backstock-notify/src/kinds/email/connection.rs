//! The way to a mail server: found, connected, encrypted, and bounded in what it may say.
//!
//! STARTTLS (RFC 3207) is spoken here, and not by `lettre`: what comes in the clear behind the answer to it, as if it belonged to
//! the encrypted part (CVE-2011-0411), is refused.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use backstock_host::{Clock, Host, tls};
use jiff::Timestamp;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::settings::{EmailSettings, Encryption, fault};
use crate::{Cause, Error, Result};

/// The most bytes that a server may say in one conversation. Ordinary ones say one or two thousand. `lettre` reads a reply anew with
/// each of its lines: one of 256 KiB kept the thread busy for seconds, past every limit of time.
const SAID_LIMIT_BYTES: usize = 32 << 10;
/// The longest reply before the connection is encrypted, in bytes.
const REPLY_LIMIT_BYTES: usize = 8 << 10;

/// Where a mail server is, and how one speaks to it.
#[derive(Debug)]
pub(super) struct Door {
    host: String,
    port: u16,
    encryption: Encryption,
    trust: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    clock: Arc<dyn Clock>,
}

impl Door {
    pub(super) fn new(host: &Host, settings: &EmailSettings) -> Result<Self> {
        let trust = if settings.encryption == Encryption::None {
            None
        } else {
            let config = tls::client_config(&*host.files, settings.ca_file.as_deref()).map_err(fault)?;
            let name = ServerName::try_from(settings.host.clone());
            let name = name.map_err(|_| fault("host is no name that a certificate could bear".to_owned()))?;
            Some((Arc::new(config), name))
        };
        let EmailSettings { host: name, port, encryption, .. } = settings;
        let clock = host.clock.clone();
        Ok(Self { host: name.clone(), port: *port, encryption: *encryption, trust, clock })
    }

    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Connects, encrypted as the settings say, and greets.
    pub(super) async fn open(&self, place: &str) -> Result<AsyncSmtpConnection> {
        let act = "connect to";
        let failed = |source| Error::Io { act, place: place.to_owned(), source };
        let refused = |cause, answer| Error::Refused { act, place: place.to_owned(), cause, answer };
        let mut stream = self.connected().await.map_err(failed)?;
        let (own, peer) = (stream.local_addr().map_err(failed)?, stream.peer_addr().map_err(failed)?);
        let me = match own {
            SocketAddr::V4(own) => ClientId::Ipv4(*own.ip()),
            SocketAddr::V6(own) => ClientId::Ipv6(*own.ip()),
        };
        let mut replay = Vec::new();
        if self.encryption == Encryption::Starttls {
            replay = turn(&mut stream, &me).await.map_err(|turned| match turned {
                Turned::Broken(source) => failed(source),
                Turned::Refused(cause, answer) => refused(cause, answer),
            })?;
        }
        let stream: Box<dyn Stream> = match &self.trust {
            None => Box::new(stream),
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                let encrypted = connector.connect(name.clone(), stream).await.map_err(|error| {
                    if tls::is_distrust(&error) {
                        refused(Cause::Untrusted, error.to_string())
                    } else {
                        failed(error)
                    }
                })?;
                Box::new(encrypted)
            }
        };
        let wire = Wire { stream, replay, replayed: 0, left_bytes: SAID_LIMIT_BYTES, peer };
        AsyncSmtpConnection::connect_with_transport(Box::new(wire), &me).await.map_err(|error| {
            match (broken(&error), error.is_transient()) {
                (Some(source), _) => failed(source),
                (None, true) => refused(Cause::Busy, error.to_string()),
                (None, false) if error.is_permanent() => refused(Cause::Denied, error.to_string()),
                (None, false) => refused(Cause::Unexpected, error.to_string()),
            }
        })
    }

    /// Looks the name up on a thread of its own, which nothing waits for: a name server that hangs is left behind with it.
    async fn connected(&self) -> io::Result<TcpStream> {
        use std::net::ToSocketAddrs as _;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let asked = (self.host.clone(), self.port);
        std::thread::Builder::new().name("backstock-name".to_owned()).spawn(move || {
            let found: io::Result<Vec<SocketAddr>> = asked.to_socket_addrs().map(Iterator::collect);
            let _ = sender.send(found);
        })?;
        let addresses = receiver.await.map_err(io::Error::other)??;
        TcpStream::connect(&*addresses).await
    }
}

/// Why a connection does not turn to TLS.
enum Turned {
    Broken(io::Error),
    Refused(Cause, String),
}

impl From<io::Error> for Turned {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Has the server turn to TLS; gives its greeting, for whoever speaks to it then.
async fn turn(stream: &mut TcpStream, me: &ClientId) -> std::result::Result<Vec<u8>, Turned> {
    let greeting = reply(stream).await?;
    expect(&greeting, "220")?;
    stream.write_all(format!("EHLO {me}\r\n").as_bytes()).await?;
    let offers = reply(stream).await?;
    expect(&offers, "250")?;
    let is_offered =
        |line: &str| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"));
    if !offers.lines().any(is_offered) {
        let answer = "it offers no STARTTLS".to_owned();
        return Err(Turned::Refused(Cause::Unencrypted, answer));
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    expect(&reply(stream).await?, "220")?;
    Ok(greeting.into_bytes())
}

/// One whole reply (RFC 5321, 4.2): lines with a hyphen behind the code, and a last one without. Nothing may come behind it.
async fn reply(stream: &mut TcpStream) -> std::result::Result<String, Turned> {
    let odd = |answer: &str| Turned::Refused(Cause::Unexpected, answer.to_owned());
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.extend_from_slice(&buffer[..count]);
        let mut begin = 0;
        while let Some(length) = bytes[begin..].iter().position(|byte| *byte == b'\n') {
            let (line, end) = (&bytes[begin..begin + length], begin + length + 1);
            if line.get(3) != Some(&b'-') {
                if end < bytes.len() {
                    return Err(odd("it says more than was asked for"));
                }
                return String::from_utf8(bytes).map_err(|_| odd("its answer is no text"));
            }
            begin = end;
        }
        if bytes.len() > REPLY_LIMIT_BYTES {
            return Err(odd("its answer does not end"));
        }
    }
}

fn expect(reply: &str, code: &str) -> std::result::Result<(), Turned> {
    if reply.starts_with(code) {
        return Ok(());
    }
    let cause = match reply.bytes().next() {
        Some(b'4') => Cause::Busy,
        Some(b'5') => Cause::Denied,
        _ => Cause::Unexpected,
    };
    Err(Turned::Refused(cause, reply.to_owned()))
}

/// What broke on the way, if that is what an error is about.
pub(super) fn broken(error: &SmtpError) -> Option<io::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref::<io::Error>() {
            return Some(io::Error::new(found.kind(), found.to_string()));
        }
        cause = inner.source();
    }
    None
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Stream for T {}

/// A connection that repeats what was said already, and ends when too much is said.
#[derive(Debug)]
struct Wire {
    stream: Box<dyn Stream>,
    replay: Vec<u8>,
    replayed: usize,
    left_bytes: usize,
    peer: SocketAddr,
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let waiting = &this.replay[this.replayed..];
        if !waiting.is_empty() {
            let count = waiting.len().min(buffer.remaining());
            buffer.put_slice(&waiting[..count]);
            this.replayed += count;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        match this.left_bytes.checked_sub(buffer.filled().len() - before) {
            Some(left_bytes) => {
                this.left_bytes = left_bytes;
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "it says too much"))),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
