//! What goes wrong on the way to Drive, one fault after the other (F85, F86, F88, F98, F100): said as what it is, and gone on from.

use std::sync::atomic::Ordering;

use backstock_testbed::clouds::google_drive::refusal;
use backstock_testbed::clouds::server::{Fault, Response};
use backstock_vocabulary::ErrorClass;

use super::*;

const LONG_BYTES: usize = (20 << 20) + 5;

/// A put that is cut in its second piece.
async fn cut(trial: &Trial, part: &Spooled, upload: &Remembered) {
    trial.cloud.server.order("PUT", "upload_id=", 1, 1, Fault::KeepAndCut((3 << 20) + 7));
    let error = part.put(&trial.storage, "shop/long", upload).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    assert!(trial.cloud.account.named("long").is_empty(), "it is visible before it is whole");
}

/// F86: after a cut, by this process or another one, no more is sent again than the service does not have.
#[tokio::test]
async fn an_upload_that_was_cut_goes_on_where_it_stopped() {
    for restarts in [false, true] {
        let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
        cut(&trial, &part, &upload).await;
        let sent_bytes = upload.sent_bytes.swap(0, Ordering::Relaxed);
        assert!(sent_bytes >= 11 << 20);
        let other = trial.again();
        part.put(if restarts { &other } else { &trial.storage }, "shop/long", &upload).await.unwrap();
        // Of the second piece 3 MiB had come.
        assert_eq!(upload.sent_bytes.load(Ordering::Relaxed), LONG_BYTES as u64 - (11 << 20));
        assert!(trial.read("shop/long").await == Some(part.bytes));
        assert_eq!(trial.statuses("POST", "uploadType=resumable").len(), 1, "one session is enough");
    }
}

#[tokio::test]
async fn a_session_that_is_no_more_is_begun_anew() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    cut(&trial, &part, &upload).await;
    trial.cloud.account.end_sessions();
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.read("shop/long").await.as_ref() == Some(&part.bytes));
    // In the middle of an upload, too.
    for status in [404, 410] {
        trial.cloud.server.order("PUT", "upload_id=", 1, 1, Fault::Instead(Response::text(status, "Gone")));
        let name = format!("shop/other-{status}");
        part.put(&trial.storage, &name, &Remembered::default()).await.unwrap();
        assert!(trial.read(&name).await.as_ref() == Some(&part.bytes));
    }
    trial.cloud.server.order("PUT", "upload_id=", 0, 9, Fault::Instead(Response::text(404, "Gone")));
    let error = part.put(&trial.storage, "shop/never", &Remembered::default()).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
}

/// A state of other bytes, or of another service, is not believed: the token goes nowhere else.
#[tokio::test]
async fn a_state_that_is_not_of_this_upload_is_not_believed() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    cut(&trial, &part, &upload).await;
    let other = Spooled::new(LONG_BYTES);
    other.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.read("shop/long").await.as_ref() == Some(&other.bytes));
    let elsewhere = Trial::start();
    let upload = Remembered::default();
    cut(&elsewhere, &part, &upload).await;
    elsewhere.cloud.server.clear();
    let trial = Trial::start();
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.read("shop/long").await == Some(part.bytes));
    assert!(elsewhere.cloud.server.seen().is_empty(), "a token went to another service");
}

/// The answer to the last piece gets lost, and the file is deleted before the next try: that session tells of a file still.
#[tokio::test]
async fn an_answer_that_was_lost_is_not_taken_for_a_file_that_is_gone() {
    let (trial, part, upload) = (Trial::start(), Spooled::new(LONG_BYTES), Remembered::default());
    trial.cloud.server.order("PUT", "upload_id=", 2, 1, Fault::LoseAnswer);
    let error = part.put(&trial.storage, "shop/long", &upload).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    let ids = trial.cloud.account.named("long");
    assert_eq!(ids.len(), 1);
    upload.sent_bytes.store(0, Ordering::Relaxed);
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert_eq!(upload.sent_bytes.load(Ordering::Relaxed), 0, "it was there already");
    trial.cloud.account.remove(&ids[0]);
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert!(trial.read("shop/long").await == Some(part.bytes));
}

#[tokio::test]
async fn a_failure_after_the_bytes_were_stored_leaves_one_file() {
    for (size_bytes, method, contains, skip) in
        [(1000, "POST", "uploadType=multipart", 0), (LONG_BYTES, "PUT", "upload_id=", 2)]
    {
        let (trial, part, upload) = (Trial::start(), Spooled::new(size_bytes), Remembered::default());
        let failure = Response::json(500, &json!({ "error": { "code": 500, "message": "Internal Error" } }));
        trial.cloud.server.order(method, contains, skip, 1, Fault::Afterwards(failure));
        let error = part.put(&trial.storage, "shop/part", &upload).await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
        part.put(&trial.storage, "shop/part", &upload).await.unwrap();
        assert_eq!(trial.cloud.account.named("part").len(), 1);
        assert!(trial.read("shop/part").await == Some(part.bytes));
    }
}

/// A token that dies in the middle of an upload is renewed, and the upload goes on.
#[tokio::test]
async fn a_token_that_dies_on_the_way_is_renewed() {
    let (trial, part) = (Trial::start(), Spooled::new(LONG_BYTES));
    let account = trial.cloud.account.clone();
    let upload = Hook::at(9 << 20, move || account.oauth.end_access_tokens());
    part.put(&trial.storage, "shop/long", &upload).await.unwrap();
    assert_eq!(trial.cloud.account.oauth.renewals(), 2);
    // The second piece is refused; what was stored is asked for, and it is sent again.
    assert_eq!(trial.statuses("PUT", "upload_id="), [308, 401, 308, 308, 200]);
    assert!(trial.read("shop/long").await == Some(part.bytes));
    // Between two requests, too.
    trial.cloud.account.oauth.end_access_tokens();
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 1);
}

/// F100: a link that was taken back is named as such, and works again once the account is linked anew.
#[tokio::test]
async fn a_link_that_was_taken_back_is_told() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("a"), b"x").await.unwrap();
    trial.cloud.account.oauth.revoke();
    for error in [
        trial.storage.list(None).await.unwrap_err(),
        trial.storage.put_small(&name_of("b"), b"x").await.unwrap_err(),
        Spooled::new(LONG_BYTES).put(&trial.storage, "c", &InOneGo).await.unwrap_err(),
    ] {
        assert_eq!((cause(&error), error.class()), (Some(Cause::Unlinked), ErrorClass::Ask), "{error}");
        assert!(!error.to_string().contains("refresh-"), "{error}");
    }
    let mut settings = trial.settings.clone();
    settings["refresh_token"] = json!(trial.cloud.account.oauth.link());
    assert_eq!(open_at(&settings, usual_patience()).list(None).await.unwrap().len(), 1);
}

/// F85, F98: what passes is told apart from what needs a person, wherever it is met.
#[tokio::test]
async fn refusals_are_told_as_what_they_are() {
    let limited = |reason| refusal(403, reason, "User rate limit exceeded.");
    let paused = Response::text(429, "Too many requests").with("Retry-After", "7");
    for (answer, expected, pause) in [
        (limited("rateLimitExceeded"), Cause::Busy, None),
        (limited("userRateLimitExceeded"), Cause::Busy, None),
        (paused, Cause::Busy, Some(7)),
        (Response::text(429, "Too many requests"), Cause::Busy, None),
        (Response::text(503, "<html>Service unavailable</html>"), Cause::Busy, None),
        (limited("storageQuotaExceeded"), Cause::Full, None),
        (limited("insufficientFilePermissions"), Cause::Denied, None),
    ] {
        let trial = Trial::start();
        trial.storage.put_small(&name_of("shop/there"), b"x").await.unwrap();
        let (name, long) = (name_of("shop/there"), Spooled::new(LONG_BYTES));
        for (method, contains) in
            [("GET", "alt=media"), ("GET", "/files?"), ("POST", "uploadType="), ("PUT", "upload_id=")]
        {
            trial.cloud.server.order(method, contains, 0, 1, Fault::Instead(answer.clone()));
            let error = match contains {
                "alt=media" => trial.storage.read_range(&name, 0, 1).await.unwrap_err(),
                "/files?" => trial.storage.list(None).await.unwrap_err(),
                "uploadType=" => trial.storage.put_small(&name_of("shop/new"), b"x").await.unwrap_err(),
                _ => long.put(&trial.storage, "shop/long", &Remembered::default()).await.unwrap_err(),
            };
            let Error::Refused { cause, retry_after_seconds, .. } = &error else { panic!("{error:?}") };
            assert_eq!((*cause, *retry_after_seconds), (expected, pause), "{contains}: {error}");
            assert!(!error.to_string().contains("<html>"), "{error}");
        }
        assert!(trial.cloud.account.named("new").is_empty() && trial.cloud.account.named("long").is_empty());
    }
}

#[tokio::test]
async fn a_full_account_takes_nothing_and_leaves_nothing() {
    let trial = Trial::start();
    trial.cloud.account.set_quota(Some(6 << 20));
    trial.storage.put_small(&name_of("a"), &[7; 4 << 20]).await.unwrap();
    for size_bytes in [3 << 20, LONG_BYTES] {
        let put = Spooled::new(size_bytes).put(&trial.storage, "b", &Remembered::default()).await;
        let error = put.unwrap_err();
        assert!(error.is_full() && error.class() == ErrorClass::Ask, "{error}");
    }
    assert!(trial.cloud.account.named("b").is_empty());
    assert_eq!(trial.cloud.account.open_sessions(), 0);
}

#[tokio::test]
async fn a_list_that_is_not_whole_is_an_error() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/a"), b"x").await.unwrap();
    trial.cloud.account.set_searches_everything(false);
    for error in [
        trial.storage.list(None).await.unwrap_err(),
        trial.storage.stat(&name_of("shop/a")).await.unwrap_err(),
        trial.storage.put_small(&name_of("shop/b"), b"x").await.unwrap_err(),
    ] {
        assert_eq!((cause(&error), error.class()), (Some(Cause::Garbled), ErrorClass::Retry), "{error}");
    }
    trial.cloud.account.set_searches_everything(true);
    let page = |page: Value| Fault::Instead(Response::json(200, &page));
    let file = json!({ "id": "1", "name": "x", "mimeType": "a/b", "size": "1", "parents": ["nobody's"] });
    let nameless = json!({ "id": "1", "mimeType": "a/b", "size": "1" });
    for (fault, expected) in [
        (page(json!({ "files": [file] })), Cause::Unexpected),
        (page(json!({ "files": [nameless] })), Cause::Garbled),
        (page(json!({ "nextPageToken": "more" })), Cause::Garbled),
        (Fault::Instead(Response::text(200, "OK")), Cause::Garbled),
        (Fault::Shorten(20), Cause::Garbled),
    ] {
        // The folders are found; then comes the list.
        trial.cloud.server.order("GET", "pageSize=", 2, 1, fault);
        let error = trial.storage.list(None).await.unwrap_err();
        assert_eq!(cause(&error), Some(expected), "{error}");
    }
    let again = page(json!({ "files": [], "nextPageToken": "1~1" }));
    trial.cloud.server.order("GET", "pageSize=", 2, 2, again);
    let error = trial.storage.list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn ranges_that_come_short_are_noticed() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("a"), &[7; 1000]).await.unwrap();
    for fault in [Fault::Shorten(100), Fault::CutAnswer(100)] {
        trial.cloud.server.order("GET", "alt=media", 0, 1, fault);
        let error = trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{error:?}");
    }
    let whole = Fault::Instead(Response::text(200, &"x".repeat(1000)));
    trial.cloud.server.order("GET", "alt=media", 0, 1, whole);
    let error = trial.storage.read_range(&name_of("a"), 10, 900).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("a"), b"x").await.unwrap();
    let short = Duration::from_millis(400);
    let hasty = open_at(&trial.settings, Patience { stall: short, answer: short });
    trial.cloud.server.order("GET", "pageSize=", 0, 1, Fault::Delay(Duration::from_secs(20)));
    let error = hasty.list(None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::TimedOut),
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
        assert!(trial.cloud.account.named("part").is_empty());
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
    assert_eq!((trial.cloud.account.open_sessions(), trial.statuses("DELETE", "upload_id=").len()), (0, 1));
    assert!(trial.cloud.account.named("part").is_empty());
}

/// Data are exchanged in one step: a replacement that fails leaves what was there.
#[tokio::test]
async fn a_replacement_that_fails_leaves_the_old_one() {
    let trial = Trial::start();
    let (old, new) = (Spooled::new(1000), Spooled::new(LONG_BYTES));
    old.put(&trial.storage, "part", &InOneGo).await.unwrap();
    trial.cloud.server.order("PUT", "upload_id=", 1, 1, Fault::KeepAndCut(1 << 20));
    new.replace(&trial.storage, "part").await.unwrap_err();
    assert!(trial.read("part").await.as_ref() == Some(&old.bytes));
    assert_eq!(trial.cloud.account.open_sessions(), 0, "nobody goes on with it");
    assert_eq!(new.replace(&trial.storage, "part").await.unwrap(), Proof::ProviderHash);
    assert!(trial.read("part").await == Some(new.bytes));
    assert_eq!(trial.cloud.account.named("part").len(), 1);
}

#[tokio::test]
async fn an_account_that_may_not_delete_is_append_only() {
    let trial = Trial::start();
    trial.cloud.account.set_may_delete(false);
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && !properties.deletes);
    let error = trial.storage.delete(&trial.storage.list(None).await.unwrap()[0].name).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Denied), "{error}");
}
