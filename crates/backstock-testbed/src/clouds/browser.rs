//! A browser for tests: it opens an address, goes where it is sent, and shows what it finds at the end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use url::Url;

use super::authority;

/// How long a page may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it lets itself be sent elsewhere.
const REDIRECTS_LIMIT: u32 = 5;

/// What the browser shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What stands in its address line.
    pub address: String,
    /// The status; none where nothing answers at that address.
    pub status: Option<u16>,
    /// The text.
    pub text: String,
}

/// Opens an address and goes where the servers send it, until there is a page, or nothing that answers.
///
/// # Panics
/// When the address is none, or it is sent around for ever.
pub fn open(address: &str) -> Page {
    let mut address = address.to_owned();
    for _ in 0..REDIRECTS_LIMIT {
        let url = Url::parse(&address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let Ok(answer) = get(&url) else { return Page { address, status: None, text: String::new() } };
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let location = head.lines().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, to)| to)
        });
        match location {
            Some(to) => address = to.to_owned(),
            None => return Page { address, status, text: text.to_owned() },
        }
    }
    panic!("{address}: it is sent around for ever");
}

fn get(url: &Url) -> io::Result<String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    // Nothing here goes further than this machine.
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request =
        format!("GET {}{query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path());
    if url.scheme() == "https" {
        exchange(secured(stream, host)?, &request)
    } else {
        exchange(stream, &request)
    }
}

fn secured(stream: TcpStream, host: String) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority()).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?;
    let settings = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::new(settings), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
