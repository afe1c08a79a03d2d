//! The FTP kind against private servers of several makes: the contract in every manner, whom it trusts, and what it refuses.

use std::io::{BufRead, BufReader, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use backstock_host::Host;
use backstock_testbed::storages::ftp::{FtpManner, FtpServer, FtpServerKind};
use backstock_vocabulary::ErrorClass;
use serde_json::{Value, json};

use super::*;
use crate::remote_tree::trial::{Remembered, Spooled, cause, keeps_the_contract};
use crate::{KeptNowhere, ObjectName, StorageSettings};

fn authority() -> String {
    format!("{}/../../fixtures/tls/authority.pem", env!("CARGO_MANIFEST_DIR"))
}

fn settings(server: &FtpServer, manner: FtpManner) -> Value {
    let (encryption, ca_file) = match manner {
        FtpManner::Explicit | FtpManner::NewestTls => ("explicit", Some(authority())),
        FtpManner::Implicit => ("implicit", Some(authority())),
        _ => ("none", None),
    };
    json!({
        "host": "127.0.0.1",
        "port": server.port(),
        "encryption": encryption,
        "ca_file": ca_file,
        "user": server.user(),
        "password": server.password(),
        "folder": "backups/deep folder",
    })
}

/// The same settings with one set otherwise.
fn with(server: &FtpServer, manner: FtpManner, name: &str, value: &Value) -> Value {
    let mut settings = settings(server, manner);
    settings[name] = value.clone();
    settings
}

fn open_with(settings: &Value) -> Arc<dyn Storage> {
    let settings = StorageSettings { kind: "ftp".into(), settings: settings.clone() };
    crate::open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap()
}

async fn check(kind: FtpServerKind, manner: FtpManner, mode: &str) {
    let Some(server) = FtpServer::for_test(kind, manner) else { return };
    let storage = open_with(&with(&server, manner, "mode", &json!(mode)));
    keeps_the_contract(&*storage, &format!("{kind:?} {manner:?} {mode}: {}", server.log())).await;
    let left = std::fs::read_dir(server.home().join("backups/deep folder")).unwrap().count();
    assert_eq!(left, 0, "something was left");
}

#[tokio::test]
async fn it_keeps_the_contract_on_vsftpd_by_tls() {
    check(FtpServerKind::Vsftpd, FtpManner::Explicit, "passive").await;
}

#[tokio::test]
async fn it_keeps_the_contract_on_vsftpd_by_implicit_tls_and_active_mode() {
    check(FtpServerKind::Vsftpd, FtpManner::Implicit, "active").await;
}

#[tokio::test]
async fn it_keeps_the_contract_on_proftpd_by_tls() {
    check(FtpServerKind::ProFtpd, FtpManner::Explicit, "passive").await;
}

#[tokio::test]
async fn it_keeps_the_contract_on_proftpd_by_implicit_tls_and_active_mode() {
    check(FtpServerKind::ProFtpd, FtpManner::Implicit, "active").await;
}

#[tokio::test]
async fn it_keeps_the_contract_on_pyftpdlib_by_tls() {
    check(FtpServerKind::Pyftpdlib, FtpManner::Explicit, "passive").await;
}

#[tokio::test]
async fn it_keeps_the_contract_without_encryption() {
    for kind in FtpServerKind::KINDS {
        check(kind, FtpManner::Plain, "passive").await;
    }
}

/// F92: a certificate that nobody vouches for, and one that is not the pinned one; the pinned one is enough.
#[tokio::test]
async fn f92_a_certificate_is_vouched_for_or_pinned() {
    let manner = FtpManner::Explicit;
    let Some(server) = FtpServer::for_test(FtpServerKind::ProFtpd, manner) else { return };
    let unknown = with(&server, manner, "ca_file", &Value::Null);
    let error = open_with(&unknown).list(None).await.unwrap_err();
    assert_eq!((cause(&error), error.class()), (Some(Cause::Untrusted), ErrorClass::Ask), "{error}");
    let seen = seen_identity(&Host::real(), &unknown).await.unwrap().unwrap();
    assert_eq!(seen.setting, "certificate");
    let mut pinned = unknown.clone();
    pinned["certificate"] = json!(seen.fingerprint);
    assert!(open_with(&pinned).list(None).await.unwrap().is_empty());
    pinned["certificate"] = json!("00".repeat(32));
    let error = open_with(&pinned).list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Untrusted), "{error}");
    assert!(error.to_string().contains(&seen.fingerprint) && error.to_string().contains("00:00"), "{error}");
    assert_eq!(seen_identity(&Host::real(), &settings(&server, manner)).await.unwrap(), None);
}

/// F93: the server says that it has stored a file and has stored less.
#[tokio::test]
async fn f93_a_file_that_is_shorter_than_was_said_is_never_shown() {
    let manner = FtpManner::Short;
    let Some(server) = FtpServer::for_test(FtpServerKind::Pyftpdlib, manner) else { return };
    let storage = open_with(&settings(&server, manner));
    let error = storage.put_small(&ObjectName::new("shop/part").unwrap(), b"bytes").await.unwrap_err();
    assert_eq!((cause(&error), error.class()), (Some(Cause::Garbled), ErrorClass::Retry), "{error}");
    assert!(storage.list(None).await.unwrap().is_empty());
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0, "what is wrong is removed");
}

/// F93: the server cuts both connections in the middle; the upload goes on at the first byte that is missing.
#[tokio::test]
async fn f93_an_upload_that_was_cut_goes_on_where_it_stopped() {
    const PART_BYTES: usize = (8 << 20) + 4321;
    let manner = FtpManner::Cut;
    let Some(server) = FtpServer::for_test(FtpServerKind::Pyftpdlib, manner) else { return };
    let storage = open_with(&settings(&server, manner));
    let (part, upload) = (Spooled::new(PART_BYTES), Remembered::default());
    let error = part.put(&*storage, "shop/part", &upload).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    assert!(storage.list(None).await.unwrap().is_empty(), "nothing is visible");
    let first = upload.sent_bytes.load(Ordering::Relaxed);
    part.put(&*storage, "shop/part", &upload).await.unwrap();
    let second = upload.sent_bytes.load(Ordering::Relaxed) - first;
    assert!(second < 6 << 20, "{second} bytes the second time, {first} at first");
    let stored = std::fs::read(server.home().join("backups/deep folder/shop/part")).unwrap();
    assert!(stored == part.bytes);
}

/// F86: nothing more is heard of the server in the middle of an upload: it is given up, and goes on when the server is back.
#[tokio::test]
async fn f86_a_stalled_server_is_given_up() {
    const PART_BYTES: usize = (16 << 20) + 4321;
    let manner = FtpManner::Stall;
    let Some(server) = FtpServer::for_test(FtpServerKind::Pyftpdlib, manner) else { return };
    let patience = Patience { stall: Duration::from_millis(1500), ..Patience::default() };
    let storage = open_patiently(&Host::real(), &settings(&server, manner), patience).unwrap();
    let (part, upload) = (Spooled::new(PART_BYTES), Remembered::default());
    let error = part.put(&*storage, "shop/part", &upload).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
    assert_eq!(error.class(), ErrorClass::Retry);
    tokio::time::sleep(Duration::from_secs(6)).await;
    part.put(&*storage, "shop/part", &upload).await.unwrap();
    let stored = std::fs::read(server.home().join("backups/deep folder/shop/part")).unwrap();
    assert!(stored == part.bytes);
}

/// A server that speaks TLS 1.3 alone, and one that knows lists for people alone.
#[tokio::test]
async fn it_keeps_the_contract_with_the_newest_and_with_the_oldest() {
    check(FtpServerKind::Pyftpdlib, FtpManner::NewestTls, "passive").await;
    check(FtpServerKind::Pyftpdlib, FtpManner::Old, "passive").await;
}

/// A full disk, a wrong password, a folder without rights, a server that is not there.
#[tokio::test]
async fn refusals_say_what_they_mean() {
    let name = ObjectName::new("part").unwrap();
    let manner = FtpManner::Full;
    let Some(server) = FtpServer::for_test(FtpServerKind::Pyftpdlib, manner) else { return };
    let error = open_with(&settings(&server, manner)).put_small(&name, &vec![7; 4 << 20]).await.unwrap_err();
    assert!(error.is_full() && error.class() == ErrorClass::Ask, "{error}");
    let (gone, _) = (settings(&server, manner), drop(server));
    let error = open_with(&gone).list(None).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    let manner = FtpManner::Explicit;
    let Some(server) = FtpServer::for_test(FtpServerKind::ProFtpd, manner) else { return };
    let error =
        open_with(&with(&server, manner, "password", &json!("hunter2"))).list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::SignIn), "{error}");
    assert!(!error.to_string().contains("hunter2"));
    let elsewhere = with(&server, manner, "folder", &json!("/proc/backups"));
    let error = open_with(&elsewhere).put_small(&name, b"x").await.unwrap_err();
    assert!(matches!(cause(&error), Some(Cause::Denied | Cause::NoPlace)), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = json!({ "host": "h", "user": "u", "password": "p" });
    assert!(open(&Host::real(), &good, Arc::new(KeptNowhere)).is_ok());
    for (name, value) in [
        ("host", json!("")),
        ("user", json!("a\r\nDELE x")),
        ("password", json!("p\r\nDELE x")),
        ("folder", json!("a\nb")),
        ("encryption", json!("perhaps")),
        ("certificate", json!("0a:1b")),
        ("ca_file", json!("relative.pem")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let error = open(&Host::real(), &bad, Arc::new(KeptNowhere)).unwrap_err();
        assert!(matches!(error, Error::Settings { kind: "ftp", .. }), "{name}: {error}");
        assert!(!error.to_string().contains("DELE"), "{error}");
    }
}

/// A server that repeats the line it refuses.
#[tokio::test]
async fn a_password_that_a_server_repeats_is_struck_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut tell = &stream;
        tell.write_all(b"220 here\r\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "USER shop");
        tell.write_all(b"331 go on\r\n").unwrap();
        let line = lines.next().unwrap().unwrap();
        tell.write_all(format!("530 not understood: {line}\r\n").as_bytes()).unwrap();
    });
    let settings = json!({
        "host": "127.0.0.1", "port": port, "encryption": "none", "user": "shop", "password": "hunter2", "folder": "backups",
    });
    let error = open_with(&settings).list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::SignIn), "{error}");
    assert!(
        error.to_string().contains("not understood: PASS …") && !format!("{error:?}").contains("hunter2")
    );
    server.join().unwrap();
}
