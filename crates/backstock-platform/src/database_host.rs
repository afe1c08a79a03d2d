//! The forms in which PHP configurations write a database's host.
//!
//! `host`, `host:port`, `localhost:/socket`, `host:port:/socket`, `:/socket`, a bare `/socket`, `[::1]`, `[::1]:3307`, a
//! bare IPv6 address, and `p:` in front of any of them (mysqli's persistent connections).

use std::net::Ipv6Addr;
use std::path::PathBuf;

use crate::folder::path_of;

/// What a host text says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DatabaseHost {
    /// Name or address, without brackets.
    pub(crate) host: Option<String>,
    /// TCP port.
    pub(crate) port: Option<u16>,
    /// Path of the Unix socket.
    pub(crate) socket: Option<PathBuf>,
}

/// Reads a host text; the error says what is wrong with it.
pub(crate) fn parse(text: &[u8]) -> Result<DatabaseHost, String> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"p:").unwrap_or(text);
    let (address, socket) = match socket_start(text) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let address = if socket.is_some() { address.strip_suffix(b":").unwrap_or(address) } else { address };
    let socket = socket.and_then(path_of);
    let address = std::str::from_utf8(address).map_err(|_| "the host is no text".to_owned())?;
    let (host, port) = split(address)?;
    let host = (!host.is_empty()).then(|| host.to_owned());
    Ok(DatabaseHost { host, port, socket })
}

/// Where the socket's path begins: at the start, or after the first `:/`.
fn socket_start(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'/') {
        return Some(0);
    }
    text.windows(2).position(|pair| pair == b":/").map(|at| at + 1)
}

fn split(address: &str) -> Result<(&str, Option<u16>), String> {
    if let Some(rest) = address.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err("a bracket of the host is not closed".to_owned());
        };
        return Ok((host, port(after.strip_prefix(':').unwrap_or(after))?));
    }
    if address.parse::<Ipv6Addr>().is_ok() {
        return Ok((address, None));
    }
    match address.split_once(':') {
        None => Ok((address, None)),
        Some((host, after)) => Ok((host, port(after)?)),
    }
}

fn port(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err("the port in the host is no port number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> (Option<String>, Option<u16>, Option<String>) {
        let parsed = parse(text.as_bytes()).unwrap();
        (parsed.host, parsed.port, parsed.socket.map(|path| path.display().to_string()))
    }

    #[test]
    fn every_form_of_a_host_is_understood() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("localhost", (some("localhost"), None, None)),
            ("127.0.0.1", (some("127.0.0.1"), None, None)),
            ("db.example:3307", (some("db.example"), Some(3307), None)),
            ("localhost:/run/x.sock", (some("localhost"), None, some("/run/x.sock"))),
            ("localhost:3307:/run/x.sock", (some("localhost"), Some(3307), some("/run/x.sock"))),
            (":/run/x.sock", (None, None, some("/run/x.sock"))),
            ("/run/x.sock", (None, None, some("/run/x.sock"))),
            ("[::1]", (some("::1"), None, None)),
            ("[::1]:3307", (some("::1"), Some(3307), None)),
            ("::1", (some("::1"), None, None)),
            ("p:localhost", (some("localhost"), None, None)),
            ("p:[::1]:3307", (some("::1"), Some(3307), None)),
            ("", (None, None, None)),
            ("host:", (some("host"), None, None)),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
        for text in ["host:port", "host:0", "host:70000", "[::1", "host:-1"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
