//! A proxy between a client and a server of HTTP, which makes trouble where a test wants it to.
//!
//! Every connection carries one request, so that trouble meets exactly the request it is meant for: the request is read to
//! its end as its head states its length, then the answer is handed on until the server closes.

mod connection;

pub(crate) use connection::server_settings;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::TestbedError;

/// What is wrong with one request or its answer. Lengths are bytes of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server never sees the request; this is the answer: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// The connection is reset when so much of the request has been handed on.
    ResetRequest(u64),
    /// Nothing more is taken when so much of the request has been handed on.
    StallRequest(u64),
    /// The server gets the whole request and does it; the answer is lost with the connection.
    LoseAnswer,
    /// The connection is reset when so much of the answer has been handed on.
    ResetAnswer(u64),
    /// Nothing more comes when so much of the answer has been handed on.
    StallAnswer(u64),
}

impl Trouble {
    /// An answer without headers of its own.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }
}

/// One request that came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with what stands behind the question mark.
    pub target: String,
    /// The head as it was sent.
    pub head: String,
    /// Bytes of the body that came.
    pub body_bytes: u64,
}

#[derive(Debug)]
struct Rule {
    method: String,
    contains: String,
    skip: u32,
    times: u32,
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<Rule>,
    requests: Vec<Request>,
    latency: Duration,
    bytes_per_second: Option<u64>,
}

/// The state that all connections share.
#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Plan>,
    has_ended: AtomicBool,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// The trouble that is meant for a request, if any; it is used up.
    fn trouble_for(&self, method: &str, target: &str) -> Option<Trouble> {
        let mut plan = self.plan();
        let meant = |rule: &&mut Rule| {
            rule.times > 0
                && (rule.method.is_empty() || rule.method == method)
                && target.contains(&rule.contains)
        };
        let rule = plan.rules.iter_mut().find(meant)?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.trouble.clone())
    }
}

/// A running proxy. It ends with this value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Stands before a server.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(server: SocketAddr) -> Self {
        Self::listen(server, None).expect("a port of loopback is free")
    }

    /// Stands before a server and speaks TLS with clients: with the certificate and key in `<name>.pem` and `<name>.key` of a
    /// folder.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn start_tls(server: SocketAddr, folder: &Path, name: &str) -> Result<Self, TestbedError> {
        let settings = server_settings(folder, name)?;
        Self::listen(server, Some(settings))
    }

    fn listen(server: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Self, TestbedError> {
        let failed = |error| TestbedError::file("listen on", Path::new("127.0.0.1"), error);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if state.has_ended() {
                    break;
                }
                let (Ok(client), state, tls) = (client, state.clone(), tls.clone()) else { continue };
                // What goes wrong with a connection the client sees; the proxy has nobody to tell.
                std::thread::spawn(move || connection::serve(client, server, tls, &state));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes trouble for `times` requests, after `skip` that would be meant as well. An empty `method` means all; `contains`
    /// is looked for in the target.
    pub fn order(&self, method: &str, contains: &str, skip: u32, times: u32, trouble: Trouble) {
        let (method, contains) = (method.to_owned(), contains.to_owned());
        self.shared.plan().rules.push(Rule { method, contains, skip, times, trouble });
    }

    /// Forgets all orders and all requests.
    pub fn clear(&self) {
        let mut plan = self.shared.plan();
        plan.rules.clear();
        plan.requests.clear();
    }

    /// Makes every request wait before it is handed on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.plan().latency = latency;
    }

    /// Limits each connection to so many bytes per second each way; 0 takes the limit away.
    pub fn set_bandwidth(&self, bytes_per_second: u64) {
        self.shared.plan().bytes_per_second = (bytes_per_second > 0).then_some(bytes_per_second);
    }

    /// The requests that came by so far, in the order of their heads.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.plan().requests.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for clients.
        let _ = std::net::TcpStream::connect(self.address);
    }
}
