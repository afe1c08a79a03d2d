//! How to reach a database server: address, account, encryption. A password here cannot be printed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The port that MySQL and MariaDB listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 3306;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over the network.
    Tcp {
        /// Name or IP address.
        host: String,
        /// Port, mostly [`DEFAULT_PORT`].
        port: u16,
    },
    /// A Unix socket on this machine.
    Socket(PathBuf),
}

impl Address {
    /// Whether nothing that is sent there can leave this machine. A name counts only as `localhost`.
    pub fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Something that must not be printed, logged or written down: it implements neither `Display` nor `Serialize`,
/// and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps it.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for the one place that sends them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether the connection is encrypted. A Unix socket never needs it and never uses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Clear text. Right for this machine; elsewhere only where the network itself is trusted.
    Off,
    /// Encrypted where the server offers it, without a check of who the server is. Keeps out listeners, not an
    /// impostor: over such a connection to another machine no password is sent in clear. What came of it stands
    /// in [`crate::ServerFacts::transport`].
    #[default]
    IfOffered,
    /// Encrypted, with this proof of the server's identity, or no connection at all.
    Require(ServerIdentity),
}

/// How the server proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerIdentity {
    /// A certificate for its host name, signed by an authority in this PEM file.
    CertificateAuthority(PathBuf),
    /// Exactly the certificate with this SHA-256 (of its DER form): for self-signed ones.
    CertificateSha256([u8; 32]),
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where it listens.
    pub address: Address,
    /// The account's name.
    pub user: String,
    /// Its password; empty for an account without one or one that the operating system vouches for.
    pub password: Secret,
    /// Whether to encrypt.
    pub tls: Tls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let settings = ServerSettings {
            address: Address::Socket("/run/server.sock".into()),
            user: "shop".into(),
            password: Secret::new("hunter2"),
            tls: Tls::Off,
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.password.expose(), b"hunter2");
    }

    #[test]
    fn this_machine_is_told_from_others() {
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: DEFAULT_PORT }.is_on_this_machine();
        assert!(tcp("127.0.0.1") && tcp("::1") && tcp("localhost"));
        assert!(!tcp("10.0.0.1") && !tcp("db.example"));
    }
}
