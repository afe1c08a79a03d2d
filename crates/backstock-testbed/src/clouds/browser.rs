//! A browser for tests: it opens an address, goes where it is sent, and shows what it finds at the end.

use std::collections::BTreeMap;
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
    /// The head of the answer.
    pub head: String,
    /// The text.
    pub text: String,
}

/// Opens an address and goes where the servers send it, until there is a page, or nothing that answers.
///
/// # Panics
/// When the address is none, or it is sent around for ever.
pub fn open(address: &str) -> Page {
    Browser::default().open(address)
}

/// A browser that keeps cookies, each for the host and port that gave it.
#[derive(Debug, Default)]
pub struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    /// Opens an address and goes where the servers send it, as [`open`] does.
    ///
    /// # Panics
    /// When the address is none, or it is sent around for ever.
    pub fn open(&mut self, address: &str) -> Page {
        let page = self.step("GET", address);
        self.follow(page)
    }

    /// Presses the one button of the page at an address, and goes where that leads.
    ///
    /// # Panics
    /// When the address is none, or it is sent around for ever.
    pub fn press(&mut self, address: &str) -> Page {
        let page = self.step("POST", address);
        self.follow(page)
    }

    /// Presses the button, and stays there: where it is sent is in the head of the page.
    ///
    /// # Panics
    /// When the address is none.
    pub fn press_only(&mut self, address: &str) -> Page {
        self.step("POST", address)
    }

    /// Opens an address, and goes on as long as it is sent to another host than the one that `stop` begins with.
    ///
    /// # Panics
    /// When the address is none, or it is sent around for ever.
    pub fn open_until(&mut self, address: &str, stop: &str) -> String {
        let mut page = self.step("GET", address);
        for _ in 0..REDIRECTS_LIMIT {
            let to = page.header("location").unwrap_or_else(|| panic!("{address}: {page:?}")).to_owned();
            if to.starts_with(stop) {
                return to;
            }
            page = self.step("GET", &to);
        }
        panic!("{address}: it is sent around for ever");
    }

    fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..REDIRECTS_LIMIT {
            let Some(to) = page.header("location").map(str::to_owned) else { return page };
            page = self.step("GET", &to);
        }
        panic!("{}: it is sent around for ever", page.address);
    }

    fn step(&mut self, method: &str, address: &str) -> Page {
        let url = Url::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        );
        let held = self.cookies.iter().filter(|((of, _), _)| *of == host);
        let held: Vec<String> = held.map(|((_, name), value)| format!("{name}={value}")).collect();
        let address = address.to_owned();
        let Ok(answer) = ask(method, &url, &held.join("; ")) else {
            return Page { address, status: None, head: String::new(), text: String::new() };
        };
        let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let page = Page { address, status, head: head.to_owned(), text: text.to_owned() };
        let set = page.header("set-cookie").and_then(|set| set.split_once(';'));
        let set = set.and_then(|(cookie, attributes)| Some((cookie.split_once('=')?, attributes)));
        if let Some(((name, value), attributes)) = set {
            let key = (host, name.to_owned());
            match attributes.contains("Max-Age=0") {
                true => drop(self.cookies.remove(&key)),
                false => drop(self.cookies.insert(key, value.to_owned())),
            }
        }
        page
    }
}

impl Page {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

fn ask(method: &str, url: &Url, cookies: &str) -> io::Result<String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    // Nothing here goes further than this machine.
    let port = url.port_or_known_default().unwrap_or_default();
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = format!("{method} {}{query} HTTP/1.1\r\nHost: {host}:{port}\r\n", url.path());
    if !cookies.is_empty() {
        request.push_str(&format!("Cookie: {cookies}\r\n"));
    }
    if method == "POST" {
        request.push_str("Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n");
    }
    request.push_str("Connection: close\r\n\r\n");
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
