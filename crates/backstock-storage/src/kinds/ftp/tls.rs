//! TLS of an FTP storage: the usual roots and those of a file, or one pinned certificate; and what the server has shown.
//!
//! Many servers want each connection for data to resume the session of the connection for commands, to be sure that both come from
//! one client. A session of TLS 1.2 can be resumed any number of times; of TLS 1.3 we get a ticket or two, each good for once. So TLS 1.2
//! is spoken where the server speaks it, and 1.3 elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backstock_host::tls::{Fingerprint, Pin, Pinned};
use backstock_host::{Host, hex, tls};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use suppaftp::tokio::{AsyncRustlsStream, AsyncTlsConnector};
use suppaftp::{FtpError, FtpResult};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::fault::DISTRUST;
use super::{FtpSettings, fault};
use crate::Result;

/// Sessions that are remembered for one connection.
const SESSIONS: usize = 8;

/// How the certificate of a server is looked at.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    config: Arc<ClientConfig>,
    /// Where one certificate alone is trusted: it, and the one that was shown last.
    pin: Option<Arc<Pin>>,
    /// Whether the server has refused these versions of TLS.
    wants_others: Arc<AtomicBool>,
}

impl Trust {
    /// What the settings say, for TLS 1.2 alone or for all versions.
    pub(super) fn new(host: &Host, settings: &FtpSettings, is_for_all: bool) -> Result<Self> {
        let versions = if is_for_all { rustls::DEFAULT_VERSIONS } else { &[&rustls::version::TLS12] };
        let ca_file = settings.ca_file.as_deref();
        let config = tls::client_config_of(&*host.files, ca_file, versions).map_err(fault)?;
        let Some(text) = &settings.certificate else { return Ok(Self::with(config, None)) };
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let pinned = hex::decode_array(&digits)
            .map_err(|_| fault("certificate is a SHA-256 fingerprint: 64 hexadecimal digits".to_owned()))?;
        Ok(Self::pinned(config, Pinned::One(pinned)))
    }

    /// Trusts nobody, and remembers what was shown.
    pub(super) fn nobody(host: &Host) -> Result<Self> {
        Ok(Self::pinned(tls::client_config(&*host.files, None).map_err(fault)?, Pinned::None))
    }

    fn pinned(mut config: ClientConfig, pinned: Pinned) -> Self {
        let provider = Arc::clone(config.crypto_provider());
        let pin = Arc::new(Pin::new(pinned, provider));
        config.dangerous().set_certificate_verifier(Arc::clone(&pin) as _);
        Self::with(config, Some(pin))
    }

    fn with(config: ClientConfig, pin: Option<Arc<Pin>>) -> Self {
        Self { config: Arc::new(config), pin, wants_others: Arc::default() }
    }

    /// The same for one connection with its connections for data: sessions of another would not be theirs to resume.
    pub(super) fn for_connection(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// Whether the server has refused these versions of TLS.
    pub(super) fn wants_others(&self) -> bool {
        self.wants_others.load(Ordering::Relaxed)
    }

    /// The fingerprint that was shown last, where one is pinned or nobody is trusted.
    pub(super) fn seen(&self) -> Option<String> {
        self.pin.as_ref().and_then(|pin| pin.seen()).map(|seen| shown(&seen))
    }

    fn distrusted(&self, error: &std::io::Error) -> String {
        match &self.pin {
            Some(pin) if let Some(seen) = pin.seen() => {
                let pinned = match pin.pinned() {
                    Pinned::One(pinned) => shown(&pinned),
                    Pinned::None | Pinned::Any => "none".to_owned(),
                };
                format!("the SHA-256 of its certificate is {}, and {pinned} is expected", shown(&seen))
            }
            _ => format!("{error}"),
        }
    }
}

fn shown(fingerprint: &Fingerprint) -> String {
    let pairs: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[async_trait::async_trait]
impl AsyncTlsConnector for Trust {
    type Stream = AsyncRustlsStream;

    async fn connect(&self, domain: &str, stream: TcpStream) -> FtpResult<Self::Stream> {
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|error| FtpError::SecureError(error.to_string()))?;
        match TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await {
            Ok(stream) => Ok(stream.into()),
            Err(error) if is_about_versions(&error) => {
                self.wants_others.store(true, Ordering::Relaxed);
                Err(FtpError::ConnectionError(error))
            }
            Err(error) if tls::is_distrust(&error) => {
                Err(FtpError::SecureError(format!("{DISTRUST}{}", self.distrusted(&error))))
            }
            Err(error) => Err(FtpError::ConnectionError(error)),
        }
    }
}

fn is_about_versions(error: &std::io::Error) -> bool {
    use AlertDescription::{HandshakeFailure, ProtocolVersion};
    let carried = error.get_ref().and_then(|carried| carried.downcast_ref::<rustls::Error>());
    matches!(
        carried,
        Some(
            rustls::Error::AlertReceived(HandshakeFailure | ProtocolVersion)
                | rustls::Error::PeerIncompatible(_)
        )
    )
}
