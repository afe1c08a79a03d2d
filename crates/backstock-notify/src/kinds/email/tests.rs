//! The contract with a real mail server each way, and what goes wrong with mail servers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use backstock_host::Host;
use backstock_testbed::clouds::authority;
use backstock_testbed::mail::{MailManner, MailServer, PASSWORD, USER};
use backstock_vocabulary::ErrorClass;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::contract::{self, Arrived};
use crate::{Cause, Error, Notice, Notifier, NotifierSettings, Receipt, Result, SEND_LIMIT, open, tell};

fn settings(address: SocketAddr, manner: MailManner) -> Value {
    let mut settings = json!({
        "host": "localhost",
        "port": address.port(),
        "encryption": manner.word(),
        "from": "Backstock <backstock@example.com>",
        "to": "Öwner <owner@example.com>, second@example.com",
    });
    if manner == MailManner::Plain {
        settings["host"] = "127.0.0.1".into();
    } else {
        settings["ca_file"] = authority().to_str().unwrap().into();
    }
    settings
}

fn with(mut settings: Value, more: &[(&str, &str)]) -> Value {
    for (name, value) in more {
        settings[*name] = (*value).into();
    }
    settings
}

fn signed_in(settings: Value) -> Value {
    with(settings, &[("user", USER), ("password", PASSWORD)])
}

fn opened(settings: Value) -> Result<std::sync::Arc<dyn Notifier>> {
    open(&Host::real(), &NotifierSettings { kind: "email".into(), settings })
}

async fn sent(settings: Value) -> Result<Receipt> {
    sent_within(settings, SEND_LIMIT).await
}

async fn sent_within(settings: Value, limit: Duration) -> Result<Receipt> {
    let notifier = opened(settings).unwrap();
    tell(&*notifier, &Notice::test("offsite", Timestamp::UNIX_EPOCH), limit).await
}

/// A server that says these bytes to whoever connects, then this, over and over, or nothing more.
fn odd_server(first: &'static [u8], then: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let _ = stream.write_all(first);
                while !then.is_empty() && stream.write_all(then).is_ok() {}
                // Reads and says nothing, until the other side has gone.
                while matches!(stream.read(&mut [0; 1024]), Ok(1..)) {}
            });
        }
    });
    address
}

#[tokio::test]
async fn the_contract_is_kept_each_way() {
    for manner in [MailManner::Plain, MailManner::Starttls, MailManner::Tls] {
        for signs_in in [false, true] {
            let Some(server) = MailServer::for_test(manner, signs_in) else { return };
            let plain = settings(server.address(), manner);
            let notifier = opened(if signs_in { signed_in(plain) } else { plain }).unwrap();
            let arrived = || {
                let arrived = server.messages().into_iter();
                arrived
                    .map(|message| Arrived { subject: message.subject, text: message.text, raw: message.raw })
                    .collect()
            };
            contract::check(&*notifier, &arrived).await;
            for message in server.messages() {
                assert_eq!(message.is_encrypted, manner != MailManner::Plain);
                assert_eq!(message.to, ["owner@example.com", "second@example.com"]);
                let head = message.raw.split("\r\n\r\n").next().unwrap();
                assert!(head.contains("Auto-Submitted: auto-generated") && head.contains("Message-ID: <"));
                assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_matter_for_the_owner_and_never_repeated() {
    let Some(server) = MailServer::for_test(MailManner::Tls, true) else { return };
    let plain = settings(server.address(), MailManner::Tls);
    for password in ["wrong secret", "another"] {
        let error = sent(with(plain.clone(), &[("user", USER), ("password", password)])).await.unwrap_err();
        assert!(matches!(error, Error::Refused { cause: Cause::SignIn, .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Ask);
        assert!(!format!("{error} {error:?}").contains(password), "{error}");
    }
    let error = sent(plain).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Cause::SignIn, .. }), "{error:?}");
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn who_is_refused_for_good_keeps_nobody_else_from_it() {
    let Some(server) = MailServer::for_test(MailManner::Plain, false) else { return };
    let plain = settings(server.address(), MailManner::Plain);
    let receipt = sent(with(plain.clone(), &[("to", "gone@example.com, owner@example.com")])).await.unwrap();
    assert_eq!(receipt.refused.len(), 1);
    assert!(receipt.refused[0].starts_with("gone@example.com: ") && receipt.refused[0].contains("no such"));
    assert_eq!(server.messages()[0].to, ["owner@example.com"]);
    for (name, address, cause, class) in [
        ("to", "gone@example.com", Cause::Denied, ErrorClass::Ask),
        ("to", "owner@example.com, busy@example.com", Cause::Busy, ErrorClass::Retry),
        ("from", "shut@example.com", Cause::Busy, ErrorClass::Retry),
    ] {
        let error = sent(with(plain.clone(), &[(name, address)])).await.unwrap_err();
        assert!(matches!(&error, Error::Refused { cause: found, .. } if *found == cause), "{error:?}");
        assert_eq!(error.class(), class);
    }
    assert_eq!(server.messages().len(), 1, "nobody got it before everybody can");
}

#[tokio::test]
async fn nothing_goes_to_a_server_that_does_not_encrypt_or_cannot_prove_who_it_is() {
    let Some(plain) = MailServer::for_test(MailManner::Plain, false) else { return };
    let error = sent(settings(plain.address(), MailManner::Starttls)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Cause::Unencrypted, .. }), "{error:?}");
    let Some(server) = MailServer::for_test(MailManner::Tls, false) else { return };
    let mut untrusted = settings(server.address(), MailManner::Tls);
    untrusted.as_object_mut().unwrap().remove("ca_file");
    let error = sent(untrusted).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Cause::Untrusted, .. }), "{error:?}");
    // What stands behind the answer to STARTTLS would be read as if it came encrypted.
    let address = odd_server(b"220 hello\r\n250 planted\r\n", b"");
    let error = sent(settings(address, MailManner::Starttls)).await.unwrap_err();
    assert!(error.to_string().contains("more than was asked for"), "{error}");
    assert!(plain.messages().is_empty() && server.messages().is_empty());
}

/// F141: a server that hangs, refuses or answers for ever is given up in time, and in bounded memory.
#[tokio::test]
async fn f141_a_server_that_hangs_refuses_or_answers_for_ever_is_given_up() {
    let limit = Duration::from_secs(1);
    for manner in [MailManner::Plain, MailManner::Starttls, MailManner::Tls] {
        for (first, then) in [
            (&b""[..], &b""[..]),
            (b"220 hello\r\n", b""),
            (b"220-hello\r\n", b"220-and more\r\n"),
            (b"220 ", b"one line that never ends "),
        ] {
            let begun = Instant::now();
            let address = odd_server(first, then);
            let error = sent_within(settings(address, manner), limit).await.unwrap_err();
            assert!(begun.elapsed() < limit + Duration::from_secs(1), "{manner:?} {:?}", begun.elapsed());
            let is_silent = then.is_empty() && (manner != MailManner::Tls || first.is_empty());
            assert_eq!(matches!(error, Error::Late { .. }), is_silent, "{manner:?} {error:?}");
        }
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = sent(settings(gone, MailManner::Plain)).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Retry);
}

#[test]
fn settings_that_would_give_something_away_or_cannot_work_are_refused() {
    let good = settings(SocketAddr::from(([127, 0, 0, 1], 25)), MailManner::Plain);
    opened(good.clone()).unwrap();
    for (more, word) in [
        (&[("host", "mail.example.com")][..], "without_encryption"),
        (&[("host", "a b")], "host"),
        (&[("user", "me")], "go together"),
        (&[("from", "nobody")], "from"),
        (&[("to", "")], "to"),
        (&[("to", "owner@example.com\r\nBcc: x@example.com")], "to"),
        (&[("to", "öwner@example.com")], "to"),
        (&[("ca_file", "/ca.pem")], "ca_file"),
        (&[("colour", "red")], "colour"),
    ] {
        let error = opened(with(good.clone(), more)).unwrap_err();
        assert!(matches!(error, Error::Settings { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let mut far = with(good, &[("host", "mail.example.com")]);
    far["without_encryption"] = true.into();
    opened(far).unwrap();
}
