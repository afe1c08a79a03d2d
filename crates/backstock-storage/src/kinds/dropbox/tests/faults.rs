//! Everything that the service may answer instead, each with what it means: F85, F86, F88, F91, F96.

use backstock_testbed::clouds::oauth::Rotation;
use backstock_vocabulary::ErrorClass;

use super::*;

/// F85: too much at once, with a pause in the head, in the body, or none; F88 and others: what only the owner mends.
#[tokio::test]
async fn refusals_say_what_to_do() {
    let trial = Trial::start();
    let busy = json!({
        "error_summary": "too_many_requests/.",
        "error": { "reason": { ".tag": "too_many_requests" }, "retry_after": 23 },
    });
    let writes = |status: u16| told(status, "path/too_many_write_operations");
    for (answer, wanted, seconds, words) in [
        (Response::text(429, "").with("Retry-After", "17"), Cause::Busy, Some(17), "status 429"),
        (Response::json(429, &busy), Cause::Busy, Some(23), "too_many_requests"),
        (Response::text(429, "too many requests"), Cause::Busy, None, "too many requests"),
        (writes(409), Cause::Busy, None, "too_many_write_operations"),
        (Response::text(503, "<html>sorry</html>"), Cause::Busy, None, "status 503"),
        (told(409, "path/insufficient_space"), Cause::Full, None, "insufficient_space"),
        (told(409, "path/no_write_permission"), Cause::Denied, None, "no_write_permission"),
        (told(409, "content_hash_mismatch"), Cause::Garbled, None, "content_hash_mismatch"),
        (told(409, "path/malformed_path"), Cause::Unexpected, None, "malformed_path"),
        (told(403, "access_denied/paper_access_denied"), Cause::Denied, None, "access_denied"),
        (Response::text(400, "Error in call to API function"), Cause::Unexpected, None, "Error in call"),
        (Response::text(200, "{\"name\": \"x\", \"si"), Cause::Garbled, None, "cannot be read"),
    ] {
        trial.order("files/upload", 0, Fault::Instead(answer.clone()));
        let error = Spooled::new(1000).put(&trial.storage, "x", &InOneGo).await.unwrap_err();
        assert_eq!(cause(&error), Some(wanted), "{answer:?}: {error}");
        let Error::Refused { retry_after_seconds, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*retry_after_seconds, seconds);
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("html"), "{words}: {text}");
        assert!(trial.server.files().is_empty());
    }
}

/// F86, and answers that are lost: whatever happens, the next try makes it whole.
#[tokio::test]
async fn what_failed_on_the_way_is_whole_at_the_next_try() {
    let trial = Trial::start();
    for (number, fault) in [
        Fault::CutRequest(2_000_000),
        Fault::LoseAnswer,
        Fault::CutAnswer(9),
        Fault::Afterwards(Response::text(500, "internal error")),
        Fault::Delay(Duration::from_secs(3)),
    ]
    .into_iter()
    .enumerate()
    {
        let (name, spooled) = (format!("cut/{number}"), Spooled::new(3_000_000));
        trial.order("files/upload", 0, fault.clone());
        let error = spooled.put(&trial.storage, &name, &InOneGo).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Retry, "{fault:?}: {error:?}");
        spooled.put(&trial.storage, &name, &InOneGo).await.unwrap();
        let files = trial.server.files();
        let (_, content) = files.iter().find(|(path, _)| path.ends_with(&name)).unwrap();
        assert!(std::fs::read(content).unwrap() == spooled.bytes);
    }
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 5);
}

/// A service that says that it has something else, or gives back something else than was asked for.
#[tokio::test]
async fn lies_are_found_out() {
    let trial = Trial::start();
    let spooled = Spooled::new(10);
    let hash = "0".repeat(64);
    for told in [
        json!({ "name": "short", "rev": "015e00000001", "size": 9, "content_hash": hash }),
        json!({ "name": "short", "rev": "015e00000001", "size": 10, "content_hash": hash }),
        json!({ "name": "short", "rev": "015e00000001", "size": 10 }),
    ] {
        trial.order("files/upload", 0, Fault::Instead(Response::json(200, &told)));
        let error = spooled.put(&trial.storage, "short", &InOneGo).await.unwrap_err();
        assert!(matches!(error, Error::Unreliable { .. }), "{error}");
        assert!(trial.storage.stat(&name_of("short")).await.unwrap().is_none());
    }
    trial.storage.put_small(&name_of("whole"), b"0123456789").await.unwrap();
    let whole = name_of("whole");
    let read = || trial.storage.read_range(&whole, 2, 5);
    for (fault, class) in [
        (Fault::Shorten(3), ErrorClass::Retry),
        (Fault::CutAnswer(3), ErrorClass::Retry),
        (Fault::Delay(Duration::from_secs(3)), ErrorClass::Retry),
    ] {
        trial.order("files/download", 0, fault.clone());
        let error = read().await.unwrap_err();
        assert_eq!(error.class(), class, "{fault:?}: {error:?}");
    }
    let metadata = r#"{"name": "whole", "size": 10}"#;
    let everything = Response { status: 200, body: b"0123456789".to_vec(), ..Response::default() };
    let everything = everything.with("Dropbox-API-Result", metadata);
    trial.order("files/download", 0, Fault::Instead(everything));
    let error = read().await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
    assert_eq!(read().await.unwrap(), b"23456");
}

/// F88: the owner has taken the link back. That is a state of its own, said by every function; it clears with a new link.
#[tokio::test]
async fn a_link_that_was_taken_back_is_said_by_every_function() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("x"), b"x").await.unwrap();
    trial.server.oauth().revoke();
    let error = Spooled::new(1000).put(&trial.storage, "y", &InOneGo).await.unwrap_err();
    assert!(error.is_unlinked() && error.class() == ErrorClass::Ask, "{error:?}");
    assert!(!error.to_string().contains(&trial.keeper.token()), "{error}");
    assert!(trial.storage.list(None).await.unwrap_err().is_unlinked());
    assert!(trial.storage.read_range(&name_of("x"), 0, 1).await.unwrap_err().is_unlinked());
    assert!(trial.storage.delete(&name_of("x")).await.unwrap_err().is_unlinked());
    assert!(trial.storage.probe(None).await.unwrap_err().is_unlinked());
    let keeper = Keeper::of(&trial.server.oauth().link());
    let storage = opened(&trial.server, &trial.storage.root, &keeper);
    assert_eq!(storage.read_range(&name_of("x"), 0, 1).await.unwrap(), b"x");
}

/// Dropbox does not replace refresh tokens today. Should it begin to, nothing is lost.
#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_kept_before_anything_is_sent() {
    let mut trial = Trial::start();
    trial.server.oauth().set_rotation(Rotation::EndsOld);
    let before = trial.keeper.token();
    trial.keeper.set_failing(true);
    let error = Spooled::new(1000).put(&trial.storage, "x", &InOneGo).await.unwrap_err();
    assert!(matches!(&error, Error::Io { act: "keep the renewed link with", .. }), "{error:?}");
    assert_eq!(trial.server.server().seen().len(), 1, "the renewal alone");
    trial.keeper.set_failing(false);
    Spooled::new(1000).put(&trial.storage, "x", &InOneGo).await.unwrap();
    assert_ne!(trial.keeper.token(), before);
    trial.restart();
    assert!(trial.storage.stat(&name_of("x")).await.unwrap().is_some());
}
