//! HTTP/1.1 over TLS on loopback for the servers of clouds, with faults where a test orders them.
//!
//! Connections stay open as clients want them. A body has a stated length; what has none is refused.

mod connection;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use url::form_urlencoded;

use super::certificates;
use crate::error::TestbedError;
use crate::proxy::server_settings;

/// A request, read to its end.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path as it was sent, without what stands behind the question mark.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// Headers in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// One value of the query.
    pub fn asked(&self, name: &str) -> Option<String> {
        value_of(self.query.as_bytes(), name)
    }

    /// One value of a body that is a form.
    pub fn form(&self, name: &str) -> Option<String> {
        value_of(&self.body, name)
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The token that it carries.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// Where clients find this server: `https://…` without a slash at its end.
    pub fn base_url(&self) -> String {
        format!("https://{}", self.header("host").unwrap_or_default())
    }
}

fn value_of(pairs: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(pairs).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers; the length of the body is added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A plain text.
    pub fn text(status: u16, text: &str) -> Self {
        let answer = Self { status, body: text.as_bytes().to_vec(), ..Self::default() };
        answer.with("Content-Type", "text/plain; charset=utf-8")
    }

    /// A document.
    pub fn json(status: u16, document: &Value) -> Self {
        let answer = Self { status, body: document.to_string().into_bytes(), ..Self::default() };
        answer.with("Content-Type", "application/json")
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What answers requests. Several may come at once.
pub trait Service: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, request: &Request) -> Response;
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The service never sees the request, which is read to its end; this is the answer.
    Instead(Response),
    /// The service does it, and this is the answer all the same.
    Afterwards(Response),
    /// The connection is cut when so many bytes of the body have come; the service never sees the request.
    CutRequest(u64),
    /// The service gets no more of the body than so many bytes, and the connection is cut.
    KeepAndCut(u64),
    /// The service does it, and the connection is cut before the answer.
    LoseAnswer,
    /// The connection is cut when so many bytes of the answer's body were sent.
    CutAnswer(u64),
    /// The answer has no more than so many bytes, and says that this is all.
    Shorten(u64),
    /// The service does it, and the answer comes so much later.
    Delay(Duration),
}

/// What came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path with what stands behind the question mark.
    pub target: String,
    /// Headers in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that came.
    pub body_bytes: u64,
    /// The status of the answer; 0 where none was sent.
    pub status: u16,
}

impl Seen {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Order {
    method: String,
    contains: String,
    skip: u32,
    times: u32,
    fault: Fault,
}

#[derive(Debug, Default)]
struct Plan {
    orders: Vec<Order>,
    seen: Vec<Seen>,
    connections: Vec<TcpStream>,
}

#[derive(Debug, Default)]
struct Shared {
    plan: Mutex<Plan>,
    has_ended: AtomicBool,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that is meant for a request, if any; it is used up.
    fn fault_for(&self, method: &str, target: &str) -> Option<Fault> {
        let mut plan = self.plan();
        let is_meant = |order: &&mut Order| {
            order.times > 0
                && (order.method.is_empty() || order.method == method)
                && target.contains(&order.contains)
        };
        let order = plan.orders.iter_mut().find(is_meant)?;
        if order.skip > 0 {
            order.skip -= 1;
            return None;
        }
        order.times -= 1;
        Some(order.fault.clone())
    }
}

/// A running server. It ends with this value.
#[derive(Debug)]
pub struct CloudServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl CloudServer {
    /// Starts a server with a service.
    ///
    /// # Panics
    /// When no port is free or the certificate cannot be used.
    pub fn start(service: Arc<dyn Service>) -> Self {
        Self::listen(service).unwrap_or_else(|error| panic!("{error}"))
    }

    fn listen(service: Arc<dyn Service>) -> Result<Self, TestbedError> {
        let tls = server_settings(&certificates(), "loopback")?;
        let failed = |error| TestbedError::file("listen on", Path::new("127.0.0.1"), error);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if state.has_ended.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(client) = client else { continue };
                if let Ok(copy) = client.try_clone() {
                    state.plan().connections.push(copy);
                }
                let (state, tls, service) = (Arc::clone(&state), Arc::clone(&tls), Arc::clone(&service));
                std::thread::spawn(move || connection::serve(client, tls, &state, &*service));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients find it: `https://…` without a slash at its end.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Makes trouble for `times` requests, after `skip` that would be meant as well. An empty `method` means all; `contains` is
    /// looked for in path and query.
    pub fn order(&self, method: &str, contains: &str, skip: u32, times: u32, fault: Fault) {
        let (method, contains) = (method.to_owned(), contains.to_owned());
        self.shared.plan().orders.push(Order { method, contains, skip, times, fault });
    }

    /// Forgets all orders and all that came by.
    pub fn clear(&self) {
        let mut plan = self.shared.plan();
        plan.orders.clear();
        plan.seen.clear();
    }

    /// What came by so far, in the order in which it began.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.plan().seen.clone()
    }

    /// Bytes of all bodies that came.
    pub fn received_bytes(&self) -> u64 {
        self.shared.plan().seen.iter().map(|seen| seen.body_bytes).sum()
    }
}

impl Drop for CloudServer {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for clients, and those that wait for requests.
        let _ = TcpStream::connect(self.address);
        for connection in &self.shared.plan().connections {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}
