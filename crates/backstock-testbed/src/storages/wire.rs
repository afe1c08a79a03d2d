//! A wire between a client and a server that breaks where a test wants it to. It knows no protocol: it counts bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are handed on at a time.
const BUFFER_BYTES: usize = 16 << 10;

/// How a wire breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Both ends see the connection closed.
    Cut,
    /// Nothing more is handed on in either direction, and nobody is told.
    Stall,
}

#[derive(Debug, Default)]
struct Shared {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    order: Mutex<Option<(u64, Break)>>,
    pace: Option<Pace>,
    has_ended: AtomicBool,
}

impl Shared {
    /// How many of the next bytes still go to the server, where the wire is to be cut among them. Whoever asks cuts it.
    fn cut_within(&self, count: usize) -> Option<usize> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        let (at, _) = order.take_if(|(at, how)| *how == Break::Cut && sent + count as u64 > *at)?;
        usize::try_from(at.saturating_sub(sent)).ok()
    }
}

/// So many bytes a second to the server, over all connections together.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u64,
    /// When what was handed on so far would have arrived.
    arrives: Mutex<Instant>,
}

impl Pace {
    fn wait_for(&self, bytes: u64) {
        let mut arrives = self.arrives.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *arrives = (*arrives).max(now) + Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_per_second);
        let wait = arrives.saturating_duration_since(now);
        drop(arrives);
        std::thread::sleep(wait);
    }
}

/// A running wire. It takes no more connections when the value is dropped.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

impl Wire {
    /// Lays a wire to a port of this machine.
    ///
    /// # Panics
    /// When no port is free.
    pub fn to(server: u16) -> Self {
        Self::lay(server, Shared::default())
    }

    /// The same, taking so many bytes a second to the server.
    ///
    /// # Panics
    /// When no port is free.
    pub fn held_to(server: u16, bytes_per_second: u64) -> Self {
        let pace =
            Some(Pace { bytes_per_second: bytes_per_second.max(1), arrives: Mutex::new(Instant::now()) });
        Self::lay(server, Shared { pace, ..Shared::default() })
    }

    fn lay(server: u16, shared: Shared) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of loopback is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(shared);
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if state.has_ended.load(Ordering::Relaxed) {
                    break;
                }
                let server = SocketAddr::from(([127, 0, 0, 1], server));
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { continue };
                join(&client, &server, &state);
            }
        });
        Self { port, shared }
    }

    /// Where clients find it, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks once, when so many more bytes have gone to the server; one that is cut gets none beyond them.
    pub fn break_after(&self, bytes: u64, how: Break) {
        let at = self.sent_bytes() + bytes;
        *self.shared.order.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, how));
    }

    /// Bytes that have gone to the server so far.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that have come from the server so far.
    pub fn received_bytes(&self) -> u64 {
        self.shared.received_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for clients.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn join(client: &TcpStream, server: &TcpStream, state: &Arc<Shared>) {
    let is_stalled = Arc::new(AtomicBool::new(false));
    for is_up in [true, false] {
        let (from, to) = if is_up { (client, server) } else { (server, client) };
        // A connection that cannot be doubled is dropped, and so closed.
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let (state, is_stalled) = (Arc::clone(state), Arc::clone(&is_stalled));
        std::thread::spawn(move || hand_on(from, to, is_up, &state, &is_stalled));
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, is_up: bool, state: &Shared, is_stalled: &AtomicBool) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        while is_stalled.load(Ordering::Relaxed) && !state.has_ended.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let cut_at = if is_up { state.cut_within(count) } else { None };
        let is_handed_on = to.write_all(&buffer[..cut_at.unwrap_or(count)]).is_ok();
        if count == 0 || !is_handed_on || cut_at.is_some() {
            break;
        }
        if let Some(pace) = state.pace.as_ref().filter(|_| is_up) {
            pace.wait_for(count as u64);
        }
        if is_up {
            let sent = state.sent_bytes.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            let mut order = state.order.lock().unwrap_or_else(PoisonError::into_inner);
            if order.take_if(|(at, how)| *how == Break::Stall && sent >= *at).is_some() {
                is_stalled.store(true, Ordering::Relaxed);
            }
        } else {
            state.received_bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
