//! The address by which browsers reach the daemon: what redirects, cookies and the check of `Host` are made from.

use std::net::SocketAddr;

use url::Url;

/// Where providers send browsers back to, below the address.
pub(crate) const RETURNED_PATH: &str = "/link/returned";

/// The address by which browsers reach the daemon: scheme, host and port, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicAddress {
    origin: String,
    authority: String,
    is_secure: bool,
}

/// A text is no address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no address for browsers: {problem}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
}

impl PublicAddress {
    /// Reads an address, such as `https://backup.example.com`.
    ///
    /// # Errors
    /// One with anything behind host and port, and one without encryption that is not of this machine.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let fault = |problem| AddressError { text: text.to_owned(), problem };
        let url = Url::parse(text.trim()).map_err(|_| fault("it begins with https:// and a host"))?;
        let host = url.host_str().ok_or_else(|| fault("it names no host"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(fault("nothing may stand behind host and port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("it names a user"));
        }
        let is_secure = match url.scheme() {
            "https" => true,
            "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => false,
            "http" => return Err(fault("codes would come there without encryption; use https://")),
            _ => return Err(fault("it begins with https://")),
        };
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { origin: format!("{}://{authority}", url.scheme()), authority, is_secure })
    }

    /// The address of this machine alone, as browsers on it know it.
    pub fn of_this_machine(port: u16) -> Self {
        let authority = format!("localhost:{port}");
        Self { origin: format!("http://{authority}"), authority, is_secure: false }
    }

    /// The address as it is written, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where providers send browsers back to: the address to register with an application.
    pub fn returned(&self) -> String {
        format!("{}{RETURNED_PATH}", self.origin)
    }

    /// Whether it is reached over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// What requests may name as `Host`, where `listen` is listened on: the address itself, and this machine.
    pub(crate) fn hosts(&self, listen: SocketAddr) -> Vec<String> {
        let port = listen.port();
        let own = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}"));
        let usual = if self.is_secure { ":443" } else { ":80" };
        [self.authority.clone(), format!("{}{usual}", self.authority)].into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_an_encrypted_host_or_of_this_machine() {
        let returned = |text| PublicAddress::parse(text).map(|address| address.returned()).ok();
        for (text, wanted) in [
            ("https://backup.example.com", Some("https://backup.example.com/link/returned")),
            ("https://Backup.Example.com:443/", Some("https://backup.example.com/link/returned")),
            ("https://backup.example.com:8443", Some("https://backup.example.com:8443/link/returned")),
            ("http://localhost:8086", Some("http://localhost:8086/link/returned")),
            ("http://[::1]:8086", Some("http://[::1]:8086/link/returned")),
            ("http://backup.example.com", None),
            ("https://backup.example.com/backstock", None),
            ("https://ann:secret@backup.example.com", None),
            ("https://backup.example.com/?x", None),
            ("backup.example.com", None),
            ("ftp://backup.example.com", None),
        ] {
            assert_eq!(returned(text).as_deref(), wanted, "{text}");
        }
    }
}
