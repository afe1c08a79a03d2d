//! One connection of a cloud's server: requests are read strictly, answered one after the other, and disturbed by order.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Fault, Request, Response, Seen, Service, Shared};

/// The longest head of a request, in bytes.
const HEAD_LIMIT_BYTES: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_LIMIT: usize = 64;
/// The longest body, in bytes: more than any of the services takes at once.
const BODY_LIMIT_BYTES: u64 = 256 << 20;
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

pub(super) fn serve(client: TcpStream, tls: Arc<ServerConfig>, shared: &Shared, service: &dyn Service) {
    let (Ok(socket), Ok(session)) = (client.try_clone(), ServerConnection::new(tls)) else { return };
    let _ = client.set_nodelay(true);
    let stream = StreamOwned::new(session, client);
    let mut connection = Connection { stream, socket, pending: Vec::new(), shared };
    // What goes wrong with a connection the client sees; the server has nobody to tell.
    while let Ok(true) = connection.exchange(service) {}
    connection.stream.conn.send_close_notify();
    let _ = connection.stream.flush();
}

struct Connection<'a> {
    stream: StreamOwned<ServerConnection, TcpStream>,
    socket: TcpStream,
    /// What was read beyond the last request.
    pending: Vec<u8>,
    shared: &'a Shared,
}

impl Connection<'_> {
    /// One request and its answer; tells whether the connection goes on.
    fn exchange(&mut self, service: &dyn Service) -> io::Result<bool> {
        let Some(mut request) = self.read_head()? else { return Ok(false) };
        let length = match length_of(&request) {
            Ok(length) => length,
            Err(refusal) => {
                self.send(&request, &refusal, None)?;
                return Ok(false);
            }
        };
        let target = if request.query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.query)
        };
        let fault = self.shared.fault_for(&request.method, &target);
        let number = self.note(&request, target);
        let limit = match fault {
            Some(Fault::CutRequest(bytes) | Fault::KeepAndCut(bytes)) => bytes.min(length),
            _ => length,
        };
        request.body = self.read_body(limit, number)?;
        let answer = match &fault {
            Some(Fault::CutRequest(_)) => return self.cut(),
            Some(Fault::Instead(answer)) => answer.clone(),
            _ => service.answer(&request),
        };
        let (answer, limit) = match fault {
            Some(Fault::LoseAnswer | Fault::KeepAndCut(_)) => return self.cut(),
            Some(Fault::Afterwards(other)) => (other, None),
            Some(Fault::CutAnswer(bytes)) => (answer, Some(bytes)),
            Some(Fault::Shorten(bytes)) => (shortened(answer, bytes), None),
            Some(Fault::Delay(pause)) => {
                self.wait(pause);
                (answer, None)
            }
            _ => (answer, None),
        };
        if let Some(seen) = self.shared.plan().seen.get_mut(number) {
            seen.status = answer.status;
        }
        self.send(&request, &answer, limit)?;
        if limit.is_some() {
            return self.cut();
        }
        Ok(!request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
    }

    fn note(&self, request: &Request, target: String) -> usize {
        let mut plan = self.shared.plan();
        let (method, headers) = (request.method.clone(), request.headers.clone());
        // A server that was told to forget goes on counting at the beginning.
        plan.seen.push(Seen { method, target, headers, body_bytes: 0, status: 0 });
        plan.seen.len() - 1
    }

    /// Reads the head of the next request; none where the client has gone.
    fn read_head(&mut self) -> io::Result<Option<Request>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
            let mut parsed = httparse::Request::new(&mut headers);
            let status = parsed.parse(&self.pending).map_err(io::Error::other)?;
            if let httparse::Status::Complete(end) = status {
                let target = parsed.path.unwrap_or_default();
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let (method, path, query) =
                    (parsed.method.unwrap_or_default().to_owned(), path.to_owned(), query.to_owned());
                let headers = parsed.headers.iter().map(|header| {
                    (header.name.to_owned(), String::from_utf8_lossy(header.value).trim().to_owned())
                });
                let headers = headers.collect();
                self.pending.drain(..end);
                return Ok(Some(Request { method, path, query, headers, body: Vec::new() }));
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            self.pending.extend_from_slice(&buffer[..count]);
            if self.pending.len() > HEAD_LIMIT_BYTES && !self.pending.windows(4).any(|end| end == b"\r\n\r\n")
            {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }

    fn read_body(&mut self, length: u64, number: usize) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(length).map_err(io::Error::other)?;
        let begun = self.pending.len().min(wanted);
        let mut body: Vec<u8> = self.pending.drain(..begun).collect();
        body.reserve_exact(wanted - begun);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            if let Some(seen) = self.shared.plan().seen.get_mut(number) {
                seen.body_bytes = body.len() as u64;
            }
            if body.len() == wanted {
                return Ok(body);
            }
            let room = buffer.len().min(wanted - body.len());
            let count = self.stream.read(&mut buffer[..room])?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            body.extend_from_slice(&buffer[..count]);
        }
    }

    /// Sends an answer, of its body no more than `limit` bytes.
    fn send(&mut self, request: &Request, answer: &Response, limit: Option<u64>) -> io::Result<()> {
        let mut head =
            format!("HTTP/1.1 {} Told\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes())?;
        if request.method != "HEAD" {
            let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            self.stream.write_all(&answer.body[..answer.body.len().min(limit)])?;
        }
        self.stream.flush()
    }

    /// Ends the connection at once, so that the client sees a reset.
    fn cut(&self) -> io::Result<bool> {
        rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO))?;
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        Err(ErrorKind::ConnectionReset.into())
    }

    /// Waits, as long as anybody may be waiting for the answer.
    fn wait(&self, pause: Duration) {
        let begin = std::time::Instant::now();
        while begin.elapsed() < pause && !self.shared.has_ended.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10).min(pause));
        }
    }
}

fn shortened(mut answer: Response, bytes: u64) -> Response {
    answer.body.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    answer
}

/// The stated length of a body; what is wrong with a request that states none, or too much.
fn length_of(request: &Request) -> Result<u64, Response> {
    if request.header("transfer-encoding").is_some() {
        return Err(Response::text(411, "state the length of the body"));
    }
    let stated: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).collect();
    match stated[..] {
        [] if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") => {
            Err(Response::text(411, "state the length of the body"))
        }
        [] => Ok(0),
        [(_, length)] => match length.parse() {
            Ok(length) if length <= BODY_LIMIT_BYTES => Ok(length),
            Ok(_) => Err(Response::text(413, "the body is too long")),
            Err(_) => Err(Response::text(400, "the length of the body is no number")),
        },
        _ => Err(Response::text(400, "the length of the body is stated twice")),
    }
}
