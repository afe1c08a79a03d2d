//! What else finds the port is answered, or let go, and ends nothing; the browser gets through all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use backstock_operations::StorageSecret;

use super::*;

/// How long a test waits for what should come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes what has this state, as a link does.
fn read(query: &str) -> Returned {
    match query {
        "code=secret-code&state=ours" => {
            let code = StorageSecret::new("secret-code".to_owned());
            Returned::Code { code, state: "ours".to_owned() }
        }
        "error=access_denied&state=ours" => Returned::Declined("access_denied".to_owned()),
        _ => Returned::Strange,
    }
}

fn waiting() -> (u16, JoinHandle<Option<Returned>>) {
    let listener = Listener { limit: PATIENCE, ..Listener::bind(0).unwrap() };
    let port = listener.port().unwrap();
    (port, spawn(move || listener.wait(&read, &|| false).unwrap()))
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

fn ask(port: u16, request: &str) -> String {
    let mut stream = connect(port);
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream)
}

const GOOD: &str = "GET /?code=secret-code&state=ours HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn what_is_none_of_ours_is_refused_and_the_wait_goes_on() {
    let (port, waiting) = waiting();
    for (request, status) in [
        ("GET /?code=secret-code&state=other HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ("GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("GET /other?code=secret-code&state=ours HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("POST /?code=secret-code&state=ours HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
        ("HEAD /?code=secret-code&state=ours HTTP/1.1\r\n\r\n", "405"),
        ("OPTIONS * RTSP/1.0\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", "400"),
        ("GET /\u{7f}\r\n\r\n", "400"),
        ("\r\n\r\nquit\r\n\r\n", "400"),
    ] {
        let told = ask(port, request);
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {told}");
        assert!(!told.contains("secret-code") && !told.contains("ours"), "{request:?}: {told}");
    }
    // More than any request: the answer, or the end of the connection.
    let long = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(2 * HEAD_LIMIT_BYTES));
    let mut stream = connect(port);
    let _ = stream.write_all(long.as_bytes());
    let told = answer(stream);
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431 "), "{told}");
    assert!(!waiting.is_finished());
    let told = ask(port, GOOD);
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.contains("may close this window"), "{told}");
    assert!(
        told.contains("no-referrer") && !told.contains("secret-code") && !told.contains("state"),
        "{told}"
    );
    assert_eq!(waiting.join().unwrap(), Some(read("code=secret-code&state=ours")));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it takes one, and no more");
}

#[test]
fn a_no_of_the_owner_is_named() {
    let (port, waiting) = waiting();
    let told = ask(port, "GET /?error=access_denied&state=ours HTTP/1.1\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("access_denied"), "{told}");
    assert_eq!(waiting.join().unwrap(), Some(Returned::Declined("access_denied".to_owned())));
}

/// More clients than there may be, all of them silent or slow: the browser is taken, byte by byte.
#[test]
fn slow_and_silent_clients_hold_nobody_up() {
    let (port, waiting) = waiting();
    let silent: Vec<TcpStream> = (0..3 * CLIENTS_LIMIT).map(|_| connect(port)).collect();
    let mut slow = connect(port);
    slow.write_all(b"GET /?code=").unwrap();
    let mut browser = connect(port);
    for byte in GOOD.as_bytes() {
        browser.write_all(&[*byte]).unwrap();
        browser.flush().unwrap();
    }
    assert!(answer(browser).starts_with("HTTP/1.1 200 "));
    assert!(matches!(waiting.join().unwrap(), Some(Returned::Code { .. })));
    drop((silent, slow));
}

#[test]
fn it_waits_no_longer_than_it_may_and_stops_when_somebody_wants() {
    let limit = Duration::from_millis(50);
    let listener = Listener { limit, ..Listener::bind(0).unwrap() };
    assert_eq!(listener.wait(&read, &|| false).unwrap(), None);
    let stops = AtomicBool::new(false);
    let begun = Instant::now();
    let listener = Listener { limit: PATIENCE, ..Listener::bind(0).unwrap() };
    let heard = listener.wait(&read, &|| stops.swap(true, Ordering::Relaxed)).unwrap();
    assert_eq!(heard, None);
    assert!(begun.elapsed() < PATIENCE / 2);
}
