//! Listens and bounds what clients may cost: how many there are, how long they may take, how much they may send.
//!
//! Each connection is good for one request, so that an end has nobody to wait for who does nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use axum::Router;

/// How many clients may be connected at once; others wait in the queue of the system.
const CONNECTIONS_LIMIT: u32 = 64;
/// How long a client may take to send the head of its request. Browsers open connections that they use later.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const HEAD_LIMIT_BYTES: usize = 16 << 10;
/// The most headers of a request.
const HEADERS_LIMIT: usize = 100;
/// How long a whole connection may last: an answer has its own limit, and taking it must end too.
const CONNECTION_LIMIT: Duration = Duration::from_secs(240);
/// How long an end waits for answers that are under way.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How long is waited where the system has no connection to give.
const PAUSE: Duration = Duration::from_millis(200);
/// Threads that answer; operations have threads of their own.
const THREADS: usize = 2;

/// A port that is listened on. Nobody is answered before [`Server::start`].
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listener: Option<TcpListener>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Listens; port 0 is any that is free.
    ///
    /// # Errors
    /// What the system says: the port is taken, or not for us.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("backstock-web")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Semaphore::new(CONNECTIONS_LIMIT as usize));
        Ok(Self { runtime, listener: Some(listener), address, accepting: None, connections })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on.
    pub fn start(&mut self, router: Router) {
        if let Some(listener) = self.listener.take() {
            let connections = self.connections.clone();
            self.accepting = Some(self.runtime.spawn(accept(listener, connections, router)));
        }
    }

    /// Takes nobody any more, lets what is under way come to an end for a moment, and ends.
    pub fn end(self) {
        if let Some(accepting) = self.accepting {
            accepting.abort();
            let _ = self.runtime.block_on(accepting);
        }
        let all = self.connections.acquire_many(CONNECTIONS_LIMIT);
        let _ = self.runtime.block_on(async { tokio::time::timeout(END_LIMIT, all).await });
        self.runtime.shutdown_timeout(PAUSE);
    }
}

async fn accept(listener: TcpListener, connections: Arc<Semaphore>, router: Router) {
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            // One that panics ends alone.
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, permit, router.clone()))),
            // One that has gone already, or no more files: others come.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer(stream: TcpStream, permit: OwnedSemaphorePermit, router: Router) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .keep_alive(false)
        .max_buf_size(HEAD_LIMIT_BYTES)
        .max_headers(HEADERS_LIMIT);
    let connection = protocol.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // What goes wrong with a connection is the client's own matter.
    let _ = tokio::time::timeout(CONNECTION_LIMIT, connection).await;
    drop(permit);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use axum::routing::get;

    use super::*;

    fn asked(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn neither_a_panic_nor_a_huge_head_ends_it() {
        let mut server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        async fn faulty() -> &'static str {
            panic!("a fault")
        }
        server.start(Router::new().route("/", get(async || "here")).route("/fault", get(faulty)));
        for _ in 0..2 {
            assert_eq!(asked(&server, "GET /fault HTTP/1.1\r\nHost: x\r\n\r\n"), "");
            let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(HEAD_LIMIT_BYTES));
            assert!(!asked(&server, &huge).contains("here"));
            let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: a\r\n".repeat(HEADERS_LIMIT));
            assert!(!asked(&server, &many).contains("here"));
            let answer = asked(&server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
            assert!(answer.contains("connection: close"), "one request each: {answer}");
        }
        server.end();
    }

    #[test]
    fn more_clients_than_the_limit_wait_and_an_end_waits_for_those_with_an_answer_under_way() {
        let mut server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let slow = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            "late"
        };
        server.start(Router::new().route("/", get(async || "here")).route("/slow", get(slow)));
        let address = server.address();
        let idle: Vec<_> = (0..CONNECTIONS_LIMIT).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut late = TcpStream::connect(address).unwrap();
        late.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        late.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        assert!(late.read(&mut [0; 16]).is_err(), "nobody is answered beyond the limit");
        drop(idle);
        late.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = String::new();
        late.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        let mut under_way = TcpStream::connect(address).unwrap();
        under_way.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        server.end();
        let mut answer = String::new();
        under_way.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("late"), "{answer}");
        assert!(TcpStream::connect(address).is_err());
    }
}
