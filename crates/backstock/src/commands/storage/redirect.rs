//! Waits on loopback for the owner's browser: one GET that belongs to the link ends it, everything else is answered and forgotten.
//!
//! Protocol: RFC 8252, 7.3. Whoever else finds the port (a scanner, another page of the browser, a request for an icon) has no
//! state that is ours, gets an error, and ends nothing; a client that is slow is not waited for by others.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use backstock_operations::{BegunLink, Returned};

/// The longest head of a request, in bytes. Codes of Microsoft are a thousand or two long.
const HEAD_LIMIT_BYTES: usize = 16 << 10;
/// The most headers of a request.
const HEADERS_LIMIT: usize = 100;
/// How long a client may take to send its request. Browsers open connections that they use later.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long a client may take to take the answer, which fits into what the system buffers.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How many clients may be connected at once; of more, the oldest is let go.
const CLIENTS_LIMIT: usize = 16;
/// How often is looked for clients and what they have sent.
const LOOK: Duration = Duration::from_millis(20);

/// A port on which a browser is waited for.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    limit: Duration,
}

/// Somebody who has connected.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    head: Vec<u8>,
    until: Instant,
}

/// What became of a client.
enum Seen {
    /// It has not sent everything yet.
    Waiting(Client),
    /// It was answered, or has gone.
    Done,
    /// It brought what was waited for, and was told so.
    Returned(Returned),
}

impl Listener {
    /// Listens on a port of the loopback address; 0 is any that is free.
    pub(super) fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, limit: BegunLink::LIMIT })
    }

    /// The port.
    pub(super) fn port(&self) -> io::Result<u16> {
        self.listener.local_addr().map(|address| address.port())
    }

    /// What the browser brings, as `read` understands the query of its request; nothing where nobody comes in time, or
    /// somebody wants to stop.
    pub(super) fn wait(
        self,
        read: &dyn Fn(&str) -> Returned,
        is_cancelled: &dyn Fn() -> bool,
    ) -> io::Result<Option<Returned>> {
        let until = Instant::now() + self.limit;
        let mut clients: VecDeque<Client> = VecDeque::new();
        while Instant::now() < until && !is_cancelled() {
            self.accept(&mut clients)?;
            for _ in 0..clients.len() {
                let Some(client) = clients.pop_front() else { break };
                match client.look(read) {
                    Seen::Waiting(client) => clients.push_back(client),
                    Seen::Done => {}
                    Seen::Returned(returned) => return Ok(Some(returned)),
                }
            }
            std::thread::sleep(LOOK);
        }
        Ok(None)
    }

    fn accept(&self, clients: &mut VecDeque<Client>) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if clients.len() == CLIENTS_LIMIT {
                        clients.pop_front();
                    }
                    if stream.set_nonblocking(true).is_ok() {
                        let until = Instant::now() + REQUEST_LIMIT;
                        clients.push_back(Client { stream, head: Vec::new(), until });
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    // One that has gone before it was seen.
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl Client {
    /// Reads what has come; answers when that is a request, or cannot become one.
    fn look(mut self, read: &dyn Fn(&str) -> Returned) -> Seen {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Seen::Done,
                Ok(count) => self.head.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Seen::Done,
            }
            if self.head.len() > HEAD_LIMIT_BYTES {
                return self.answer("431 Request Header Fields Too Large", STRANGE);
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&self.head) {
            Ok(httparse::Status::Partial) if Instant::now() < self.until => return Seen::Waiting(self),
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) | Err(_) => return self.answer("400 Bad Request", STRANGE),
        }
        let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if method != "GET" {
            return self.answer("405 Method Not Allowed\r\nAllow: GET", STRANGE);
        }
        if path != "/" {
            return self.answer("404 Not Found", STRANGE);
        }
        let returned = read(query);
        match &returned {
            Returned::Code { .. } => drop(self.answer("200 OK", TAKEN)),
            // A word of plain letters: it cannot be markup.
            Returned::Declined(word) => {
                drop(self.answer("200 OK", &format!("The answer was: {word}. Nothing was linked; {CLOSE}")));
            }
            Returned::Strange => return self.answer("400 Bad Request", STRANGE),
        }
        Seen::Returned(returned)
    }

    /// Sends a short page and lets the client go. What goes wrong with that is the client's own matter.
    fn answer(mut self, status: &str, words: &str) -> Seen {
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Backstock</title><p>{words}</p></html>\n"
        );
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\r\n",
            page.len()
        );
        let _ = self.stream.set_nonblocking(false);
        let _ = self.stream.set_write_timeout(Some(ANSWER_LIMIT));
        let _ = self.stream.write_all(format!("{head}{page}").as_bytes());
        let _ = self.stream.shutdown(Shutdown::Write);
        Seen::Done
    }
}

const CLOSE: &str = "you may close this window.";
const TAKEN: &str =
    "Backstock has got the answer; what came of it stands in its terminal. You may close this window.";
const STRANGE: &str = "This does not belong to the link that Backstock waits for.";

#[cfg(test)]
mod tests;
