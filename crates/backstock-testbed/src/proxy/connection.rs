//! One connection through the proxy: a request is read and handed on, then its answer comes back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Request, Shared, Trouble};
use crate::error::TestbedError;

/// The longest head of a request, in bytes.
const HEAD_LIMIT_BYTES: usize = 64 << 10;
/// Bytes that are handed on at once.
const BUFFER_BYTES: usize = 16 << 10;

/// The settings of the TLS side: certificate and key in `<name>.pem` and `<name>.key` of a folder.
pub(crate) fn server_settings(folder: &Path, name: &str) -> Result<Arc<ServerConfig>, TestbedError> {
    let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let failed = |error: &dyn std::error::Error| {
        TestbedError::file("use the certificate", &chain, io::Error::other(error.to_string()))
    };
    let certificate = CertificateDer::from_pem_file(&chain).map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| failed(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(&error))?.with_no_client_auth();
    builder.with_single_cert(vec![certificate], key).map(Arc::new).map_err(|error| failed(&error))
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(super) fn serve(client: TcpStream, server: SocketAddr, tls: Option<Arc<ServerConfig>>, shared: &Shared) {
    let Ok(socket) = client.try_clone() else { return };
    let _ = client.set_nodelay(true);
    let served = match tls {
        None => Exchange { shared, socket: &socket }.run(&mut { client }, server),
        Some(settings) => match ServerConnection::new(settings) {
            Ok(session) => {
                let mut stream = StreamOwned::new(session, client);
                let served = Exchange { shared, socket: &socket }.run(&mut stream, server);
                stream.conn.send_close_notify();
                let _ = stream.flush();
                served
            }
            Err(_) => return,
        },
    };
    // A client that has gone is no matter of ours.
    let _ = served;
}

struct Exchange<'a> {
    shared: &'a Shared,
    socket: &'a TcpStream,
}

impl Exchange<'_> {
    fn run(&self, client: &mut dyn Stream, server: SocketAddr) -> io::Result<()> {
        let (head, begun) = read_head(client)?;
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let number = self.note(method, target, &head);
        let trouble = self.shared.trouble_for(method, target);
        if let Some(Trouble::Answer(status, headers, body)) = trouble {
            return self.answer(client, method, status, &headers, &body);
        }
        std::thread::sleep(self.shared.plan().latency);
        let mut upstream = TcpStream::connect(server)?;
        upstream.set_nodelay(true)?;
        // The server closes when it has answered: that is how the end of the answer is known.
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        upstream.write_all(format!("{first}\r\nConnection: close\r\n{rest}").as_bytes())?;
        let limit = match trouble {
            Some(Trouble::ResetRequest(bytes) | Trouble::StallRequest(bytes)) => Some(bytes),
            _ => None,
        };
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let sent = self.send_body(client, &mut upstream, &begun, length, limit, number);
        match trouble {
            Some(Trouble::ResetRequest(_)) => return self.reset(),
            Some(Trouble::StallRequest(_)) => return self.wait_for_the_end(),
            // The server may have answered before it had everything, and that answer counts.
            _ => sent?,
        }
        self.hand_back(client, &mut upstream, trouble.as_ref())
    }

    fn note(&self, method: &str, target: &str, head: &str) -> usize {
        let mut plan = self.shared.plan();
        let (method, target, head) = (method.to_owned(), target.to_owned(), head.to_owned());
        plan.requests.push(Request { method, target, head, body_bytes: 0 });
        plan.requests.len() - 1
    }

    /// Hands the body on, as far as the limit and the server let it.
    fn send_body(
        &self,
        client: &mut dyn Stream,
        upstream: &mut TcpStream,
        begun: &[u8],
        length: u64,
        limit: Option<u64>,
        number: usize,
    ) -> io::Result<()> {
        let (mut done, mut buffer) = (0, vec![0; BUFFER_BYTES]);
        let mut pending = begun;
        while done < length {
            if limit.is_some_and(|limit| done >= limit) {
                return Ok(());
            }
            let count =
                if pending.is_empty() { client.read(&mut buffer)? } else { pending.read(&mut buffer)? };
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            done += count as u64;
            if let Some(request) = self.shared.plan().requests.get_mut(number) {
                request.body_bytes = done;
            }
            if upstream.write_all(&buffer[..count]).is_err() {
                return Ok(());
            }
            self.take_time(count);
        }
        Ok(())
    }

    fn hand_back(
        &self,
        client: &mut dyn Stream,
        upstream: &mut TcpStream,
        trouble: Option<&Trouble>,
    ) -> io::Result<()> {
        let limit = match trouble {
            Some(Trouble::LoseAnswer) => {
                // Its first byte says that the work is done.
                let _ = upstream.read(&mut [0])?;
                return self.reset();
            }
            Some(Trouble::ResetAnswer(bytes) | Trouble::StallAnswer(bytes)) => Some(*bytes),
            _ => None,
        };
        let Some(limit) = limit else {
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let count = upstream.read(&mut buffer)?;
                if count == 0 {
                    return client.flush();
                }
                client.write_all(&buffer[..count])?;
                self.take_time(count);
            }
        };
        let (head, begun) = read_head(upstream)?;
        client.write_all(head.as_bytes())?;
        let body = begun.chain(upstream.take(limit));
        io::copy(&mut body.take(limit), client)?;
        client.flush()?;
        match trouble {
            Some(Trouble::StallAnswer(_)) => self.wait_for_the_end(),
            _ => self.reset(),
        }
    }

    fn answer(
        &self,
        client: &mut dyn Stream,
        method: &str,
        status: u16,
        headers: &[(String, String)],
        body: &str,
    ) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        if method != "HEAD" {
            head.push_str(body);
        }
        client.write_all(head.as_bytes())?;
        client.flush()?;
        // Whatever of the request is still on its way is taken, or the answer would be lost by a reset.
        self.socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        let _ = io::copy(&mut client.take(64 << 20), &mut io::sink());
        Ok(())
    }

    /// Holds a connection to the rate that is set.
    fn take_time(&self, bytes: usize) {
        let rate = self.shared.plan().bytes_per_second;
        if let Some(rate) = rate {
            std::thread::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64));
        }
    }

    /// Ends the connection at once, so that the client sees a reset.
    fn reset(&self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(self.socket, Some(Duration::ZERO))?;
        Err(ErrorKind::ConnectionReset.into())
    }

    /// Holds the connection open and does nothing, until the client has gone or the test is over.
    fn wait_for_the_end(&self) -> io::Result<()> {
        let begin = Instant::now();
        while !self.shared.has_ended() && begin.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Reads the head of a message, as far as the empty line, and what came after it.
fn read_head<S: Read + ?Sized>(stream: &mut S) -> io::Result<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 || bytes.len() > HEAD_LIMIT_BYTES {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

/// The value of a header.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}
