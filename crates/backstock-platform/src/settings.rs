//! How a shop reaches its database, and how sure we are of it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A password. It is never printed and never serialised; it may hold any byte and may be empty.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes the bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the log-in and for nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// How a value became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The files state it.
    Stated,
    /// It follows from the files if these sentences hold, such as "the environment variable X is not set".
    Assumed(Vec<String>),
}

/// Where one database is and how to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSettings {
    /// Host name or address without brackets; `None` for a socket, or where only the driver's default socket is meant
    /// (`localhost` without a port stays `localhost`: for PHP it means the driver's default socket).
    pub host: Option<String>,
    /// TCP port, where one is given.
    pub port: Option<u16>,
    /// Path of the Unix socket, where one is given; it beats host and port.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub socket: Option<PathBuf>,
    /// Name of the database, as bytes.
    #[serde(serialize_with = "lossy", deserialize_with = "text_bytes")]
    pub name: Vec<u8>,
    /// Account, as bytes.
    #[serde(serialize_with = "lossy", deserialize_with = "text_bytes")]
    pub user: Vec<u8>,
    /// Password.
    #[serde(skip)]
    pub password: Password,
    /// The file that states them.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub source: PathBuf,
    /// How sure the values are.
    pub certainty: Certainty,
}

impl DatabaseSettings {
    /// Whether the driver's default Unix socket is meant: `localhost` without port and socket, or no host at all.
    pub fn means_default_socket(&self) -> bool {
        self.socket.is_none()
            && self.port.is_none()
            && self.host.as_deref().is_none_or(|host| host.eq_ignore_ascii_case("localhost"))
    }
}

fn text_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    String::deserialize(deserializer).map(String::into_bytes)
}

fn lossy<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_shows_neither_in_debug_nor_in_json() {
        let settings = DatabaseSettings {
            host: Some("localhost".to_owned()),
            port: None,
            socket: None,
            name: b"shop".to_vec(),
            user: b"shop".to_vec(),
            password: Password::new(*b"s3cret-word"),
            source: PathBuf::from("/shop/config.php"),
            certainty: Certainty::Stated,
        };
        assert!(!format!("{settings:?}").contains("s3cret-word"));
        assert!(!serde_json::to_string(&settings).unwrap().contains("s3cret-word"));
        assert_eq!(settings.password.expose(), b"s3cret-word");
        assert!(settings.means_default_socket());
    }
}
