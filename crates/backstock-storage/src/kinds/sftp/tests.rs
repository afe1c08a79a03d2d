//! The SFTP kind against a private OpenSSH server: the contract, every way to sign in, and what it refuses.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backstock_host::Host;
use backstock_testbed::storages::sftp::{PASSWORD, SftpServer};
use backstock_testbed::storages::wire::{Break, Wire};
use backstock_vocabulary::ErrorClass;
use russh_sftp::protocol::OpenFlags;
use serde_json::{Value, json};

use super::*;
use crate::remote_tree::trial::{Remembered, Spooled, cause, keeps_the_contract};
use crate::{KeptNowhere, ObjectName, StorageSettings, seen_identity};

fn settings(server: &SftpServer) -> Value {
    json!({
        "host": "127.0.0.1",
        "port": server.port(),
        "user": server.user(),
        "private_key": server.user_key(),
        "folder": "backups/deep",
        "host_key": server.host_key(),
    })
}

/// The same settings with some set otherwise; null takes one away.
fn with(server: &SftpServer, changes: &Value) -> Value {
    let mut settings = settings(server);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            settings.as_object_mut().unwrap().remove(name);
        } else {
            settings[name] = value.clone();
        }
    }
    settings
}

fn open_with(settings: &Value) -> Arc<dyn Storage> {
    let settings = StorageSettings { kind: "sftp".into(), settings: settings.clone() };
    crate::open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract_on_openssh() {
    let Some(server) = SftpServer::for_test() else { return };
    keeps_the_contract(&*open_with(&settings(&server)), "openssh").await;
    let left = std::fs::read_dir(server.home().join("backups/deep")).unwrap().count();
    assert_eq!(left, 0, "something was left");
    let absolute = server.home().join("backups/absolute");
    let storage = open_with(&with(&server, &json!({ "folder": absolute })));
    storage.put_small(&ObjectName::new("a/b").unwrap(), b"x").await.unwrap();
    assert!(absolute.join("a/b").exists());
    let free = storage.free_bytes().await.unwrap().unwrap();
    assert!(free > 0);
}

#[tokio::test]
async fn every_way_to_sign_in_works_and_a_wrong_one_is_the_owners_matter() {
    let Some(server) = SftpServer::for_test() else { return };
    let locked = server.user_key_with_passphrase("open sesame");
    let mut ways = vec![json!({ "private_key": locked, "passphrase": "open sesame" })];
    if server.has_passwords() {
        ways.push(json!({ "private_key": null, "password": PASSWORD }));
        ways.push(json!({ "private_key": server.other_key(), "password": PASSWORD }));
    }
    for way in ways {
        open_with(&with(&server, &way)).stat(&ObjectName::new("a").unwrap()).await.unwrap();
    }
    for way in [
        json!({ "private_key": server.other_key() }),
        json!({ "private_key": null, "password": "wrong" }),
        json!({ "user": "nobody-here" }),
    ] {
        let error = open_with(&with(&server, &way)).list(None).await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::SignIn), "{error}");
        assert_eq!(error.class(), ErrorClass::Ask);
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    let wrong = open_with(&with(&server, &json!({ "private_key": locked, "passphrase": "no" })));
    let error = wrong.list(None).await.unwrap_err();
    assert!(matches!(error, Error::Settings { .. }), "{error}");
}

#[tokio::test]
async fn the_agent_signs_in() {
    let Some(server) = SftpServer::for_test() else { return };
    let Some(agent) = server.agent() else { return };
    let settings = with(&server, &json!({ "private_key": null, "agent": true }));
    let mut tree = Sftp::new(&settings, Patience::default()).unwrap();
    tree.connection.agent_socket = Some(agent.socket.clone());
    assert!(tree.look("").await.unwrap().is_none());
    let mut tree = Sftp::new(&settings, Patience::default()).unwrap();
    tree.connection.agent_socket = None;
    assert_eq!(cause(&tree.look("").await.unwrap_err()), Some(Cause::SignIn));
}

/// F95: nothing is sent to a server whose key is not the pinned one, or where none is pinned; the owner is shown both.
#[tokio::test]
async fn f95_another_host_key_is_never_trusted() {
    let Some(server) = SftpServer::for_test() else { return };
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (pinned, named) in [(json!(other), Some(other)), (Value::Null, None)] {
        let settings = with(&server, &json!({ "host_key": pinned }));
        let error = open_with(&settings).list(None).await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::Untrusted), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&server.host_key()) && named.is_none_or(|named| text.contains(named)),
            "{text}"
        );
        let seen = seen_identity(&Host::real(), &StorageSettings { kind: "sftp".into(), settings }).await;
        let seen = seen.unwrap().unwrap();
        assert_eq!((seen.setting, seen.fingerprint), ("host_key", server.host_key()));
    }
}

/// F95: a folder without rights, a full disk, a server that is not there.
#[tokio::test]
async fn f95_refusals_say_what_they_mean() {
    let Some(server) = SftpServer::for_test() else { return };
    let name = ObjectName::new("shop/part").unwrap();
    if server.has_passwords() {
        let storage = open_with(&with(&server, &json!({ "folder": "/proc/backups" })));
        let error = storage.put_small(&name, b"x").await.unwrap_err();
        assert!(matches!(cause(&error), Some(Cause::Denied | Cause::NoPlace)), "{error}");
        let denied = server.home().parent().unwrap().join("backups");
        let storage = open_with(&with(&server, &json!({ "folder": denied })));
        let error = storage.put_small(&name, b"x").await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::Denied), "{error}");
        let small = open_with(&with(&server, &json!({ "folder": "small" })));
        let error = small.put_small(&name, &vec![7; 6 << 20]).await.unwrap_err();
        assert!(error.is_full() && error.class() == ErrorClass::Ask, "{error}");
        assert!(small.list(None).await.unwrap().is_empty());
        assert_eq!(small.delete_leftovers(None).await.unwrap(), 0, "what did not fit is removed");
        small.put_small(&name, &vec![7; 1 << 20]).await.unwrap();
    }
    let (settings, _) = (settings(&server), drop(server));
    let error = open_with(&settings).list(None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    assert_eq!(error.class(), ErrorClass::Retry);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = json!({ "host": "h", "user": "u", "password": "p" });
    assert!(open(&Host::real(), &good, Arc::new(KeptNowhere)).is_ok());
    for (name, value) in [
        ("host", json!("")),
        ("user", json!("a\nb")),
        ("password", Value::Null),
        ("host_key", json!("0a:1b")),
        ("port", json!(70_000)),
        ("fodler", json!("x")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let error = open(&Host::real(), &bad, Arc::new(KeptNowhere)).unwrap_err();
        assert!(matches!(error, Error::Settings { kind: "sftp", .. }), "{name}: {error}");
    }
}

#[test]
fn a_path_lies_below_the_folder() {
    for (folder, wanted) in [("", "a/b"), (".", "a/b"), ("/", "/a/b"), ("x/", "x/a/b"), ("/x/y", "/x/y/a/b")]
    {
        let settings = json!({ "host": "h", "user": "u", "folder": folder });
        let tree = Sftp::new(&settings, Patience::default()).unwrap();
        assert_eq!(tree.path("a/b"), wanted);
        assert!(Path::new(&tree.path("a/b")).starts_with(tree.path("").trim_start_matches('.')));
    }
}

/// Length of a part that a cut falls into.
const PART_BYTES: usize = (20 << 20) + 4321;

/// F86, F95: the line is cut in the middle; the upload goes on at the first byte that is missing.
#[tokio::test]
async fn f86_an_upload_that_was_cut_goes_on_where_it_stopped() {
    let Some(server) = SftpServer::for_test() else { return };
    let wire = Wire::to(server.port());
    let storage = open_with(&with(&server, &json!({ "port": wire.port() })));
    let (part, upload) = (Spooled::new(PART_BYTES), Remembered::default());
    storage.stat(&ObjectName::new("shop/part").unwrap()).await.unwrap();
    wire.break_after(12 << 20, Break::Cut);
    let error = part.put(&*storage, "shop/part", &upload).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error}");
    assert!(storage.list(None).await.unwrap().is_empty(), "nothing is visible");
    assert!(upload.confirmed_bytes.load(Ordering::Relaxed) >= 8 << 20);
    let (first, before) = (upload.sent_bytes.load(Ordering::Relaxed), wire.sent_bytes());
    part.put(&*storage, "shop/part", &upload).await.unwrap();
    let again = upload.sent_bytes.load(Ordering::Relaxed) - (PART_BYTES as u64);
    assert!(again <= 2 * transfer::IN_FLIGHT_BYTES, "{again} bytes were sent twice, {first} at first");
    assert!(wire.sent_bytes() - before < 12 << 20, "{} bytes the second time", wire.sent_bytes() - before);
    assert_eq!(std::fs::read(server.home().join("backups/deep/shop/part")).unwrap(), part.bytes);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
}

/// What was left behind is another content, shorter than was confirmed, or garbled: what is missing or differs is sent again.
#[tokio::test]
async fn what_was_left_is_compared_before_an_upload_goes_on() {
    let Some(server) = SftpServer::for_test() else { return };
    let wire = Wire::to(server.port());
    let storage = open_with(&with(&server, &json!({ "port": wire.port() })));
    let folder = server.home().join("backups/deep");
    for (name, damage) in [("garbled", 0), ("shorter", 1), ("gone", 2), ("other", 3)] {
        let (part, upload) = (Spooled::new(PART_BYTES), Remembered::default());
        storage.stat(&ObjectName::new(name).unwrap()).await.unwrap();
        wire.break_after(12 << 20, Break::Cut);
        part.put(&*storage, name, &upload).await.unwrap_err();
        let left = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let left = left.into_iter().find(|path| path.to_string_lossy().ends_with(".uploading")).unwrap();
        let bytes = std::fs::read(&left).unwrap();
        let (part, upload) = match damage {
            0 => {
                let mut garbled = bytes;
                garbled[100_000] ^= 1;
                std::fs::write(&left, garbled).unwrap();
                (part, upload)
            }
            1 => {
                std::fs::write(&left, &bytes[..1 << 20]).unwrap();
                (part, upload)
            }
            2 => {
                std::fs::remove_file(&left).unwrap();
                (part, upload)
            }
            _ => (Spooled::new(PART_BYTES), upload),
        };
        part.put(&*storage, name, &upload).await.unwrap();
        assert!(std::fs::read(folder.join(name)).unwrap() == part.bytes, "{name}");
    }
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 1, "the one of the other content");
}

/// F86: a line that says nothing more is given up, and the next call makes a new one.
#[tokio::test]
async fn f86_a_stalled_line_is_given_up() {
    let Some(server) = SftpServer::for_test() else { return };
    let wire = Wire::to(server.port());
    let patience = Patience { stall: Duration::from_millis(1500), ..Patience::default() };
    let tree = Sftp::new(&with(&server, &json!({ "port": wire.port() })), patience).unwrap();
    let storage = TreeStorage { host: Host::real(), tree };
    let (part, upload) = (Spooled::new(PART_BYTES), Remembered::default());
    storage.stat(&ObjectName::new("part").unwrap()).await.unwrap();
    wire.break_after(10 << 20, Break::Stall);
    let error = part.put(&storage, "part", &upload).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
        "{error}"
    );
    part.put(&storage, "part", &upload).await.unwrap();
    let range = storage.read_range(&ObjectName::new("part").unwrap(), 1 << 20, 9 << 20).await.unwrap();
    assert!(range == part.bytes[1 << 20..10 << 20]);
}

/// A storage of which one connection is lost while nobody uses it works on.
#[tokio::test]
async fn a_connection_that_was_lost_is_made_again() {
    let Some(server) = SftpServer::for_test() else { return };
    let wire = Wire::to(server.port());
    let storage = open_with(&with(&server, &json!({ "port": wire.port() })));
    let name = ObjectName::new("a").unwrap();
    storage.put_small(&name, b"x").await.unwrap();
    // What is sent behind the last answer shall not be what is cut.
    let mut sent_bytes = None;
    while sent_bytes != Some(wire.sent_bytes()) {
        sent_bytes = Some(wire.sent_bytes());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    wire.break_after(0, Break::Cut);
    let lost = storage.stat(&name).await;
    assert!(lost.as_ref().is_err_and(|error| error.class() == ErrorClass::Retry), "{lost:?}");
    assert!(storage.stat(&name).await.unwrap().is_some());
}

/// A server that opens no file a second time makes what was written durable over the first channel.
#[tokio::test]
async fn what_opens_no_second_time_is_made_durable_where_it_is_written() {
    let Some(server) = SftpServer::for_test() else { return };
    let tree = Sftp::new(&settings(&server), Patience::default()).unwrap();
    let session = tree.connection.session().await.unwrap();
    assert!(session.extensions.fsync && session.beside().await.is_some());
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let handle = session.sftp.open("once", flags, FileAttributes::empty()).await.unwrap().handle;
    session.sftp.write(&handle, 0, b"12345".to_vec()).await.unwrap();
    std::fs::rename(server.home().join("once"), server.home().join("moved")).unwrap();
    assert_eq!(transfer::sync_beside(&session, &handle, "once", 5).await.unwrap(), 5);
    session.sftp.close(&handle).await.unwrap();
    assert!(
        transfer::sync_beside(&session, &handle, "once", 5).await.is_err(),
        "it was asked over the first"
    );
}
