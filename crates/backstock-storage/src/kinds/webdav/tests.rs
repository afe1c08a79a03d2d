//! The WebDAV kind against two real servers, alone and with trouble on the way (F96).

use std::path::Path;
use std::time::Duration;

use backstock_testbed::proxy::{Proxy, Trouble};
use backstock_testbed::storages::webdav::{PASSWORD, USER, WebDavKind, WebDavServer};
use backstock_vocabulary::ErrorClass;
use ring::digest::{SHA256, digest};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::http::Patience;
use crate::{InOneGo, KeptNowhere, ObjectName, SpooledPart, contract};

struct Trial {
    storage: TreeStorage<WebDav>,
    proxy: Proxy,
    server: WebDavServer,
    spool: TempDir,
}

fn settings(address: std::net::SocketAddr) -> serde_json::Value {
    json!({ "url": format!("http://{address}/dav/shop%20one/ü+"), "user": USER, "password": PASSWORD })
}

impl Trial {
    fn start(kind: WebDavKind) -> Option<Self> {
        let server = WebDavServer::for_test(kind)?;
        let proxy = Proxy::start(server.address());
        // The last folder makes itself, the others are the owner's.
        std::fs::create_dir(server.objects().join("shop one")).unwrap();
        let mut tree = web_dav(&Host::real(), &settings(proxy.address())).unwrap();
        let patience = Patience { stall: Duration::from_secs(2), answer: Duration::from_secs(5) };
        tree.http = tree.http.with_patience(patience);
        let storage = TreeStorage { host: Host::real(), tree };
        Some(Self { storage, proxy, server, spool: tempfile::tempdir().unwrap() })
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.spool.path().join("part");
        std::fs::write(&path, bytes).unwrap();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
        let part = SpooledPart {
            path: &path,
            size_bytes: bytes.len() as u64,
            sha256,
            blocks: &[],
            may_consume: false,
        };
        self.storage.put(&name_of(name), &part, &InOneGo).await.map(|_| ())
    }

    fn here(&self, name: &str) -> std::path::PathBuf {
        self.server.objects().join("shop one/ü+").join(name)
    }
}

fn name_of(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn cause_of(error: &Error) -> Option<Cause> {
    match error {
        Error::Refused { cause, .. } => Some(*cause),
        _ => None,
    }
}

async fn keeps_the_contract(kind: WebDavKind) {
    let Some(trial) = Trial::start(kind) else { return };
    contract::check(&Host::real(), &trial.storage, trial.spool.path()).await.unwrap();
    let left: Vec<_> =
        std::fs::read_dir(trial.here("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && properties.deletes && !properties.resumes && !properties.is_local);
    assert_eq!(trial.storage.free_bytes().await.unwrap(), None);
}

#[tokio::test]
async fn apache_keeps_the_contract() {
    keeps_the_contract(WebDavKind::Apache).await;
}

#[tokio::test]
async fn nginx_keeps_the_contract() {
    keeps_the_contract(WebDavKind::Nginx).await;
}

/// F85, F86: busy, cut, stalled, and the answer lost at the rename; a second try makes it whole, and nothing was ever half
/// visible.
#[tokio::test]
async fn an_upload_that_failed_is_whole_at_the_next_try() {
    let Some(trial) = Trial::start(WebDavKind::Apache) else { return };
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let pause = vec![("Retry-After".to_owned(), "9".to_owned())];
    for (number, (method, trouble)) in [
        ("PUT", Trouble::Answer(429, pause, String::new())),
        ("PUT", Trouble::ResetRequest(5_000_000)),
        ("PUT", Trouble::StallRequest(5_000_000)),
        ("MOVE", Trouble::LoseAnswer),
        ("MOVE", Trouble::status(503, "")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("cut/{number}");
        trial.proxy.order(method, "cut", 0, 1, trouble.clone());
        let error = trial.put(&name, &bytes).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{trouble:?}: {error:?}");
        if trouble != Trouble::LoseAnswer {
            assert!(trial.storage.stat(&name_of(&name)).await.unwrap().is_none());
        }
        trial.put(&name, &bytes).await.unwrap();
        assert_eq!(std::fs::read(trial.here(&name)).unwrap(), bytes);
    }
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 5);
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 0);
}

/// F88, F96: what servers refuse, each with what it means.
#[tokio::test]
async fn refusals_say_what_to_do() {
    let Some(trial) = Trial::start(WebDavKind::Apache) else { return };
    let told = "<d:error xmlns:d='DAV:' xmlns:s='http://sabredav.org/ns'><s:message>over quota</s:message></d:error>";
    let moved = vec![("Location".to_owned(), "https://other.example/dav/?token=geheim".to_owned())];
    for (trouble, cause, words) in [
        (Trouble::status(507, told), Cause::Full, "over quota"),
        (Trouble::status(401, ""), Cause::SignIn, "status 401"),
        (Trouble::status(403, "<html>no</html>"), Cause::Denied, "status 403"),
        (Trouble::status(423, ""), Cause::Busy, "status 423"),
        (Trouble::status(413, ""), Cause::Denied, "status 413"),
        (Trouble::Answer(302, moved, String::new()), Cause::NoPlace, "https://other.example/dav/"),
        // Some of what was asked for failed, in an answer that looks like a success.
        (Trouble::status(207, "<multistatus xmlns='DAV:'/>"), Cause::Unexpected, "status 207"),
    ] {
        trial.proxy.order("PUT", "", 0, 1, trouble);
        let error = trial.put("x", b"bytes").await.unwrap_err();
        assert_eq!(cause_of(&error), Some(cause), "{error}");
        assert!(error.to_string().contains(words) && !error.to_string().contains("geheim"), "{error}");
    }
    let mut wrong = settings(trial.server.address());
    wrong["password"] = json!("wrong");
    let error = open(&Host::real(), &wrong, Arc::new(KeptNowhere)).unwrap().probe(None).await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::SignIn), "{error}");
    let mut nowhere = settings(trial.server.address());
    nowhere["url"] = json!(format!("http://{}/dav/no/such/folder", trial.server.address()));
    let error = open(&Host::real(), &nowhere, Arc::new(KeptNowhere)).unwrap().probe(None).await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::NoPlace), "{error}");
}

/// A server that says it has everything and has less; one that knows no ranges.
#[tokio::test]
async fn lies_are_found_out() {
    let Some(trial) = Trial::start(WebDavKind::Apache) else { return };
    trial.proxy.order("PUT", "", 0, 1, Trouble::status(201, ""));
    let error = trial.put("short", b"bytes").await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::Garbled), "{error}");
    assert!(trial.storage.stat(&name_of("short")).await.unwrap().is_none());
    trial.put("whole", b"0123456789").await.unwrap();
    trial.proxy.order("GET", "", 0, 1, Trouble::status(200, "0123456789"));
    let error = trial.storage.read_range(&name_of("whole"), 2, 3).await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::Unexpected), "{error}");
    assert_eq!(trial.storage.read_range(&name_of("whole"), 2, 3).await.unwrap(), b"234");
}

/// WebDAV deletes folders with all that is in them: what came into an empty one in that moment must survive.
#[tokio::test]
async fn a_folder_that_is_used_meanwhile_is_not_removed() {
    let Some(trial) = Trial::start(WebDavKind::Apache) else { return };
    trial.put("set/first", b"1").await.unwrap();
    let empty = "<multistatus xmlns='DAV:'/>";
    // The look says that the folder is empty, and it is not.
    trial.proxy.order("PROPFIND", "set/", 0, 1, Trouble::status(207, empty));
    trial.storage.tree.remove_folder("set").await.unwrap_err();
    assert_eq!(trial.storage.read_range(&name_of("set/first"), 0, 9).await.unwrap(), b"1");
    trial.storage.delete(&name_of("set/first")).await.unwrap();
    assert!(!trial.here("set").exists() && trial.here("").exists());
}

#[tokio::test]
async fn the_room_is_told_where_the_server_counts_it() {
    let Some(trial) = Trial::start(WebDavKind::Apache) else { return };
    for (text, room) in [("12345", Some(12_345)), ("-3", None)] {
        let body = format!(
            "<d:multistatus xmlns:d='DAV:'><d:response><d:href>/dav/</d:href><d:propstat><d:prop>\
             <d:quota-available-bytes>{text}</d:quota-available-bytes></d:prop><d:status>HTTP/1.1 200 OK</d:status>\
             </d:propstat></d:response></d:multistatus>"
        );
        trial.proxy.order("PROPFIND", "", 0, 1, Trouble::status(207, &body));
        assert_eq!(trial.storage.free_bytes().await.unwrap(), room);
    }
}

#[tokio::test]
async fn signing_in_goes_by_password_or_token_and_encrypted() {
    let host = Host::real();
    for (settings, problem) in [
        (json!({ "url": "http://cloud.example/dav" }), "not encrypted"),
        (json!({ "url": "ftp://cloud.example/dav" }), "https://"),
        (json!({ "url": "https://me:secret@cloud.example/dav" }), "settings of their own"),
        (json!({ "url": "https://cloud.example/dav", "user": "me", "token": "t" }), "takes the place"),
        (json!({ "url": "https://cloud.example/dav", "ca_file": "/missing" }), "ca_file"),
    ] {
        let error = web_dav(&host, &settings).unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains("secret"), "{error}");
    }
    let server = Proxy::start("127.0.0.1:1".parse().unwrap());
    server.order("", "", 0, 9, Trouble::status(404, ""));
    let token = json!({ "url": format!("http://{}/dav?x=y#z", server.address()), "token": "t0ken" });
    let tree = web_dav(&host, &token).unwrap();
    assert!(!format!("{tree:?}").contains("t0ken"));
    assert!(tree.look("a b").await.unwrap().is_none());
    let request = &server.requests()[0];
    assert_eq!(request.target, "/dav/a%20b");
    assert!(request.head.to_lowercase().contains("authorization: bearer t0ken"), "{}", request.head);
    assert!(Path::new(&request.target).is_absolute());
}
