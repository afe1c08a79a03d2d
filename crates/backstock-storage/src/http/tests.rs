//! The client against a server that makes trouble: secrets stay out of errors, failures are typed, stalls are noticed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use backstock_testbed::proxy::{Proxy, Trouble};
use backstock_vocabulary::ErrorClass;

use super::*;
use crate::{Cause, ObjectName, ResumeState};

const ACT: Act<'static> = Act { verb: "try", name: "thing" };

fn http(way: Way<'_>) -> Http {
    let secrets = vec![Secret::new("hunter2".to_owned())];
    let http = Http::new(&Host::real(), way, "a place".to_owned(), secrets).unwrap();
    let short = Duration::from_millis(300);
    http.with_patience(Patience { stall: short, answer: short })
}

/// A proxy before nothing: it answers by orders only.
fn alone() -> Proxy {
    Proxy::start("127.0.0.1:1".parse().unwrap())
}

fn url(proxy: &Proxy, scheme: &str) -> Url {
    format!("{scheme}://{}/x?signature=hunter2&other=geheim", proxy.address()).parse().unwrap()
}

fn certificates() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tls").canonicalize().unwrap()
}

async fn get(http: &Http, url: Url) -> Result<Vec<u8>> {
    let answer = http.send(ACT, http.request(Method::GET, url)).await?;
    http.read(ACT, answer, 100).await
}

#[tokio::test]
async fn no_error_tells_an_address_or_a_secret() {
    let proxy = alone();
    let client = http(Way::default());
    let closed: Url = "http://127.0.0.1:1/x?signature=hunter2&other=geheim".parse().unwrap();
    let refused = get(&client, closed).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Retry, "{refused:?}");
    proxy.order("", "", 0, 1, Trouble::status(200, &"x".repeat(101)));
    let long = get(&client, url(&proxy, "http")).await.unwrap_err();
    assert!(matches!(long, Error::Refused { cause: Cause::Unexpected, .. }), "{long:?}");
    let told = client.refused(ACT, Cause::Denied, "no entry\r\nfor hunter2", Some(3));
    assert!(told.to_string().ends_with("no entry  for …"), "{told}");
    for error in [refused, long, told] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("geheim"), "{text}");
    }
}

/// F86: a connection that is cut may be tried again; one that stalls is noticed.
#[tokio::test]
async fn cuts_and_stalls_are_told_apart_and_may_be_tried_again() {
    let (server, client) = (alone(), http(Way::default()));
    server.order("", "", 0, 9, Trouble::status(200, &"x".repeat(100)));
    let proxy = Proxy::start(server.address());
    for (trouble, kind) in [
        (Trouble::ResetAnswer(50), std::io::ErrorKind::ConnectionReset),
        (Trouble::StallAnswer(50), std::io::ErrorKind::TimedOut),
    ] {
        proxy.order("", "", 0, 1, trouble);
        let error = get(&client, url(&proxy, "http")).await.unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == kind), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Retry);
    }
    assert_eq!(get(&client, url(&proxy, "http")).await.unwrap().len(), 100);
}

/// F92: a certificate of another host, or of an authority that nobody named, ends it before anything is sent.
#[tokio::test]
async fn a_certificate_that_proves_nothing_is_not_trusted() {
    let trusted = certificates().join("authority.pem");
    let trusted = Way { ca_file: trusted.to_str(), proxy: None };
    for (certificate, way, is_trusted) in
        [("loopback", trusted, true), ("elsewhere", trusted, false), ("loopback", Way::default(), false)]
    {
        let proxy = Proxy::start_tls("127.0.0.1:1".parse().unwrap(), &certificates(), certificate).unwrap();
        proxy.order("", "", 0, 1, Trouble::status(200, "yes"));
        let got = get(&http(way), url(&proxy, "https")).await;
        if is_trusted {
            assert_eq!(got.unwrap(), b"yes");
        } else {
            let error = got.unwrap_err();
            assert!(matches!(error, Error::Refused { cause: Cause::Untrusted, .. }), "{error:?}");
            assert_eq!(error.class(), ErrorClass::Ask);
            assert!(proxy.requests().is_empty());
        }
    }
}

#[derive(Debug, Default)]
struct Slow {
    pause: Duration,
    slices: AtomicU64,
}

#[async_trait]
impl Upload for Slow {
    fn resume(&self) -> Option<ResumeState> {
        None
    }

    fn reached(&self, _confirmed_bytes: u64, _state: &ResumeState) -> Result<()> {
        Ok(())
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        assert!(bytes <= 64 << 10);
        self.slices.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

async fn put(http: &Http, proxy: &Proxy, upload: &Slow, length_bytes: usize) -> Result<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    std::fs::write(&path, vec![7; length_bytes + 3]).unwrap();
    let name = ObjectName::new("part").unwrap();
    let piece = Piece { name: &name, path: &path, offset_bytes: 3, length_bytes: length_bytes as u64 };
    let request = http.request(Method::PUT, url(proxy, "http"));
    http.send_piece(ACT, request, piece, upload).await
}

#[tokio::test]
async fn a_body_is_paced_by_its_upload_and_pauses_are_no_stalls() {
    let (server, client) = (alone(), http(Way::default()));
    let proxy = Proxy::start(server.address());
    server.order("", "", 0, 9, Trouble::status(200, ""));
    let upload = Slow { pause: Duration::from_millis(350), ..Slow::default() };
    let begin = Instant::now();
    let answer = put(&client, &proxy, &upload, 150_000).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(upload.slices.load(Ordering::Relaxed), 3);
    assert!(begin.elapsed() >= Duration::from_millis(3 * 350));
    assert_eq!(proxy.requests()[0].body_bytes, 150_000);
    put(&client, &proxy, &Slow::default(), 0).await.unwrap();
    assert!(proxy.requests()[1].head.to_lowercase().contains("content-length: 0"));
}

#[tokio::test]
async fn a_body_that_is_not_taken_or_is_cut_may_be_sent_again() {
    let client = http(Way::default());
    let server = alone();
    server.order("", "", 0, 9, Trouble::status(200, ""));
    let proxy = Proxy::start(server.address());
    proxy.order("", "", 0, 1, Trouble::StallRequest(100_000));
    proxy.order("", "", 0, 1, Trouble::ResetRequest(100_000));
    for _ in 0..2 {
        let error = put(&client, &proxy, &Slow::default(), 30_000_000).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    }
    proxy.order("", "", 0, 1, Trouble::status(403, "no"));
    let answer = put(&client, &proxy, &Slow::default(), 30_000_000).await.unwrap();
    assert_eq!(answer.status(), 403);
}
