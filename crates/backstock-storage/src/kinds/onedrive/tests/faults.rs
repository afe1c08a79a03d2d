//! What goes wrong on the way to OneDrive, one fault after the other (F85, F86, F88, F99): said as what it is, and gone on from.

use std::sync::atomic::Ordering;

use backstock_testbed::clouds::onedrive::refusal;
use backstock_testbed::clouds::server::{Fault, Response};
use backstock_vocabulary::ErrorClass;

use super::*;

const LONG_BYTES: usize = (20 << 20) + 5;

/// A put that is cut in its second piece.
async fn cut(trial: &Trial, part: &Spooled, upload: &Remembered) {
    trial.cloud.server.order("PUT", "/up/", 1, 1, Fault::KeepAndCut((3 << 20) + 7));
    let error = part.put(&trial.storage, "shop/long", upload).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    assert!(trial.there("shop/long").is_none(), "it is visible before it is whole");
}

/// F86: after a cut, by this process or another one, the upload goes on with the piece that did not come whole.
#[tokio::test]
async fn an_upload_that_was_cut_goes_on_where_it_stopped() {
    for restarts in [false, true] {
        let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
        cut(&trial, &part, &upload).await;
        upload.sent_bytes.store(0, Ordering::Relaxed);
        let other = trial.again();
        part.put(if restarts { &other } else { &trial.storage }, "shop/long", &upload).await.unwrap();
        assert_eq!(upload.sent_bytes.load(Ordering::Relaxed), LONG_BYTES as u64 - (10 << 20));
        assert!(trial.there("shop/long") == Some(part.bytes));
        assert_eq!(trial.statuses("POST", "createUploadSession").len(), 1, "one session is enough");
    }
}

/// F99: a session that has ended is begun anew, between two tries and in the middle of one.
#[tokio::test]
async fn a_session_that_is_no_more_is_begun_anew() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    cut(&trial, &part, &upload).await;
    trial.cloud.account.end_sessions();
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.there("shop/long").as_ref() == Some(&part.bytes));
    let gone = refusal(404, "itemNotFound", "The upload session was not found");
    for (number, answer) in [gone.clone(), refusal(401, "unauthenticated", "no more")].into_iter().enumerate()
    {
        trial.cloud.server.order("PUT", "/up/", 1, 1, Fault::Instead(answer));
        let name = format!("shop/other-{number}");
        part.put(&trial.storage, &name, &Remembered::default()).await.unwrap();
        assert!(trial.there(&name).as_ref() == Some(&part.bytes));
    }
    trial.cloud.server.order("PUT", "/up/", 0, 9, Fault::Instead(gone));
    let error = part.put(&trial.storage, "shop/never", &Remembered::default()).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
}

/// F99: 416 says that a piece is there already: an answer was lost on the way, and the next piece goes.
#[tokio::test]
async fn a_piece_that_is_there_already_is_passed_over() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    trial.cloud.server.order("PUT", "/up/", 0, 1, Fault::LoseAnswer);
    part.put(&trial.storage, "shop/long", &upload).await.unwrap_err();
    upload.sent_bytes.store(0, Ordering::Relaxed);
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert_eq!(upload.sent_bytes.load(Ordering::Relaxed), LONG_BYTES as u64 - (10 << 20));
    // The service says that it expects a piece which it has.
    let told = json!({ "expirationDateTime": "2026-11-23T10:00:00Z", "nextExpectedRanges": ["0-"] });
    let behind = Fault::Afterwards(Response::json(202, &told));
    trial.cloud.server.order("PUT", "/up/", 0, 1, behind);
    part.put(&trial.storage, "shop/other", &Remembered::default()).await.unwrap();
    assert!(trial.statuses("PUT", "/up/").contains(&416));
    assert!(trial.there("shop/other") == Some(part.bytes));
}

/// A state of other bytes is not believed.
#[tokio::test]
async fn a_state_that_is_not_of_this_upload_is_not_believed() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    cut(&trial, &part, &upload).await;
    let other = Spooled::new(LONG_BYTES);
    other.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.there("shop/long") == Some(other.bytes));
}

#[tokio::test]
async fn a_failure_after_the_bytes_were_stored_does_no_harm() {
    for (size_bytes, contains, skip) in [(1000, "/content", 0), (LONG_BYTES, "/up/", 2)] {
        for fault in [Fault::Afterwards(refusal(500, "generalException", "oops")), Fault::LoseAnswer] {
            let (trial, part, upload) = (Trial::start(), Spooled::new(size_bytes), Remembered::default());
            trial.cloud.server.order("PUT", contains, skip, 1, fault);
            let error = part.put(&trial.storage, "shop/part", &upload).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Retry, "{error}");
            upload.sent_bytes.store(0, Ordering::Relaxed);
            part.put(&trial.storage, "shop/part", &upload).await.unwrap();
            assert_eq!(upload.sent_bytes.load(Ordering::Relaxed), 0, "it was there already");
            assert!(trial.there("shop/part") == Some(part.bytes));
        }
    }
}

/// A token that dies while pieces go does not matter to them; the next call gets another one.
#[tokio::test]
async fn a_token_that_dies_on_the_way_is_renewed() {
    let (trial, part) = (Trial::start(), Spooled::new(LONG_BYTES));
    let account = trial.cloud.account.clone();
    let upload = Hook::at(12 << 20, move || account.oauth.end_access_tokens());
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.there("shop/long") == Some(part.bytes));
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 1);
    assert_eq!(trial.cloud.account.oauth.renewals(), 2);
    trial.cloud.account.oauth.revoke();
    let error = trial.storage.list(None).await.unwrap_err();
    assert_eq!((cause(&error), error.class()), (Some(Cause::Unlinked), ErrorClass::Ask), "{error}");
}

/// F85: what passes is told apart from what needs a person, with the pause that the service asks for.
#[tokio::test]
async fn refusals_are_told_as_what_they_are() {
    let paused = |status, code| refusal(status, code, "later").with("Retry-After", "11");
    for (answer, expected, pause) in [
        (paused(429, "activityLimitReached"), Cause::Busy, Some(11)),
        (refusal(429, "activityLimitReached", "later"), Cause::Busy, None),
        (paused(503, "serviceNotAvailable"), Cause::Busy, Some(11)),
        (paused(509, "bandwidthLimitExceeded"), Cause::Busy, Some(11)),
        (Response::text(502, "<html>Bad gateway</html>"), Cause::Busy, None),
        (Response::text(429, "slow down"), Cause::Busy, None),
        (refusal(507, "insufficientStorage", "full"), Cause::Full, None),
        (refusal(403, "accessDenied", "no"), Cause::Denied, None),
    ] {
        let trial = Trial::start();
        trial.storage.put_small(&name_of("shop/there"), b"x").await.unwrap();
        let (name, long) = (name_of("shop/there"), Spooled::new(LONG_BYTES));
        for (method, contains) in [
            ("GET", "/content"),
            ("GET", "/download/"),
            ("GET", "/children"),
            ("PUT", "/content"),
            ("POST", "createUploadSession"),
            ("PUT", "/up/"),
        ] {
            trial.cloud.server.order(method, contains, 0, 1, Fault::Instead(answer.clone()));
            let error = match (method, contains) {
                ("GET", "/children") => trial.storage.list(None).await.unwrap_err(),
                ("GET", _) => trial.storage.read_range(&name, 0, 1).await.unwrap_err(),
                (_, "/content") => trial.storage.put_small(&name_of("shop/new"), b"x").await.unwrap_err(),
                _ => long.put(&trial.storage, "shop/long", &Remembered::default()).await.unwrap_err(),
            };
            let Error::Refused { cause, retry_after_seconds, .. } = &error else { panic!("{error:?}") };
            // An address for bytes that is refused is replaced at the next try.
            let expected =
                if contains == "/download/" && answer.status == 403 { Cause::Busy } else { expected };
            assert_eq!((*cause, *retry_after_seconds), (expected, pause), "{method} {contains}: {error}");
            assert!(!error.to_string().contains("<html>"), "{error}");
        }
        assert!(trial.there("shop/new").is_none() && trial.there("shop/long").is_none());
    }
}

#[tokio::test]
async fn a_full_account_takes_nothing_and_leaves_nothing() {
    let trial = Trial::start();
    trial.cloud.account.set_quota(6 << 20);
    trial.storage.put_small(&name_of("a"), &[7; 3 << 20]).await.unwrap();
    for size_bytes in [(3 << 20) + 1, LONG_BYTES] {
        let put = Spooled::new(size_bytes).put(&trial.storage, "b", &Remembered::default()).await;
        let error = put.unwrap_err();
        assert!(error.is_full() && error.class() == ErrorClass::Ask, "{error}");
    }
    assert!(trial.there("b").is_none());
}

/// A list that does not say what it should, or leads elsewhere, is an error and never a short list.
#[tokio::test]
async fn a_list_that_is_not_whole_is_an_error() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/a"), b"x").await.unwrap();
    let elsewhere = Trial::start();
    let page = |page: Value| Fault::Instead(Response::json(200, &page));
    let next = |link: &str| page(json!({ "value": [], "@odata.nextLink": link }));
    for (fault, expected) in [
        (page(json!({ "@odata.nextLink": "x" })), Cause::Garbled),
        (page(json!({ "value": [{ "id": "1", "folder": {} }] })), Cause::Garbled),
        (Fault::Instead(Response::text(200, "OK")), Cause::Garbled),
        (Fault::Shorten(20), Cause::Garbled),
        (next("next"), Cause::Unexpected),
        (next(&format!("{}/v1.0/me/drive/root/children", elsewhere.cloud.server.url())), Cause::Unexpected),
    ] {
        trial.cloud.server.order("GET", "/children", 0, 1, fault);
        let error = trial.storage.list(None).await.unwrap_err();
        assert_eq!(cause(&error), Some(expected), "{error}");
    }
    assert!(elsewhere.cloud.server.seen().is_empty(), "a token went to another service");
    let again = next(&format!("{}/v1.0/me/drive/items/again/children", trial.cloud.server.url()));
    trial.cloud.server.order("GET", "/children", 0, 2, again);
    let error = trial.storage.list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn reading_survives_short_ranges_and_addresses_that_died() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("a"), &[7; 1000]).await.unwrap();
    for fault in
        [Fault::Shorten(100), Fault::CutAnswer(100), Fault::Instead(Response::text(404, "Not Found"))]
    {
        trial.cloud.server.order("GET", "/download/", 0, 1, fault);
        let error = trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    }
    let whole = Fault::Instead(Response::text(200, &"x".repeat(1000)));
    trial.cloud.server.order("GET", "/download/", 0, 1, whole);
    let error = trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    let open = Response::empty(302).with("Location", "http://example.com/bytes");
    trial.cloud.server.order("GET", "/content", 0, 1, Fault::Instead(open));
    let error = trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    assert_eq!(trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap(), [7; 900]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("a"), b"x").await.unwrap();
    let short = Duration::from_millis(400);
    let hasty = open_at(&trial.settings, &trial.kept, Patience { stall: short, answer: short });
    trial.cloud.server.order("GET", "/children", 0, 1, Fault::Delay(Duration::from_secs(20)));
    let error = hasty.list(None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut),
        "{error:?}"
    );
    assert_eq!(hasty.list(None).await.unwrap().len(), 1);
}

/// What the service has stored is compared with what was sent, and is not left where it differs.
#[tokio::test]
async fn what_is_stored_wrongly_is_noticed_and_taken_away() {
    let trial = Trial::start();
    for size_bytes in [1000, LONG_BYTES] {
        let part = Spooled::new(size_bytes);
        trial.cloud.account.damage_next_upload();
        let error = part.put(&trial.storage, "part", &Remembered::default()).await.unwrap_err();
        assert_eq!((cause(&error), error.class()), (Some(Cause::Garbled), ErrorClass::Retry), "{error}");
        assert!(trial.there("part").is_none());
        part.put(&trial.storage, "part", &Remembered::default()).await.unwrap();
        trial.storage.delete(&name_of("part")).await.unwrap();
    }
}

/// A part that changed is refused before the last piece; its session ends, since no later try can come of it.
#[tokio::test]
async fn a_part_that_changed_leaves_no_session() {
    let trial = Trial::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    std::fs::write(&path, vec![7; LONG_BYTES]).unwrap();
    let part = SpooledPart {
        path: &path,
        size_bytes: LONG_BYTES as u64,
        sha256: [7; 32],
        blocks: &[],
        may_consume: false,
    };
    let put = trial.storage.put(&name_of("part"), &part, &Remembered::default()).await;
    assert!(matches!(put, Err(Error::PartChanged { .. })), "{put:?}");
    assert_eq!((trial.cloud.account.open_sessions(), trial.statuses("DELETE", "/up/")), (0, vec![204]));
    assert!(trial.there("part").is_none());
}

#[tokio::test]
async fn a_replacement_that_fails_leaves_the_old_one() {
    let trial = Trial::start();
    let (old, new) = (Spooled::new(1000), Spooled::new(LONG_BYTES));
    old.put(&trial.storage, "part", &InOneGo).await.unwrap();
    trial.cloud.server.order("PUT", "/up/", 1, 1, Fault::KeepAndCut(1 << 20));
    new.replace(&trial.storage, "part").await.unwrap_err();
    assert!(trial.there("part").as_ref() == Some(&old.bytes));
    assert_eq!(trial.cloud.account.open_sessions(), 0, "nobody goes on with it");
    assert_eq!(new.replace(&trial.storage, "part").await.unwrap(), Proof::ProviderHash);
    assert!(trial.there("part") == Some(new.bytes));
}

#[tokio::test]
async fn an_account_that_may_not_delete_is_append_only() {
    let trial = Trial::start();
    trial.cloud.account.set_may_delete(false);
    assert!(!trial.storage.probe(None).await.unwrap().deletes);
    let error = trial.storage.delete(&trial.storage.list(None).await.unwrap()[0].name).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Denied), "{error}");
}
