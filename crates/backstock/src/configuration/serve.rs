//! `[serve]`: where the daemon listens, and how browsers reach it.

use std::net::SocketAddr;

use serde::Deserialize;

/// `[serve]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeTable {
    /// Where it listens [default: 127.0.0.1:8086].
    pub(crate) listen: Option<SocketAddr>,
    /// The address by which browsers reach it, behind a reverse proxy [default: this machine alone].
    pub(crate) address: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_port_may_be_given() {
        let text = "listen = \"127.0.0.1:9000\"\naddress = \"https://backup.example.com\"";
        let table: ServeTable = toml::from_str(text).unwrap();
        assert_eq!(table.listen.unwrap().port(), 9000);
        assert_eq!(table.address.as_deref(), Some("https://backup.example.com"));
        assert!(toml::from_str::<ServeTable>("listen = \"9000\"").is_err());
        assert!(toml::from_str::<ServeTable>("adress = \"x\"").is_err());
    }
}
