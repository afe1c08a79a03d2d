//! Faults of reliability on the way to a bucket: F85 to F92, F102.

use backstock_vocabulary::ErrorClass;

use super::*;

fn refused(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>for {SECRET_ACCESS_KEY}</Message></Error>"
    )
}

fn cause_of(error: &Error) -> Option<Cause> {
    match error {
        Error::Refused { cause, .. } => Some(*cause),
        _ => None,
    }
}

/// F85: busy, with and without a word on how long, then well.
#[tokio::test]
async fn busy_then_well() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(200_000);
    let pause = vec![("Retry-After".to_owned(), "17".to_owned())];
    for (trouble, seconds) in [
        (Trouble::Answer(503, pause, refused("SlowDown")), Some(17)),
        (Trouble::status(500, &refused("InternalError")), None),
        (Trouble::status(429, ""), None),
    ] {
        trial.proxy.order("PUT", "part", 0, 1, trouble);
        let error = trial.storage.put(&name("part"), &spooled.part(), &InOneGo).await.unwrap_err();
        assert_eq!((cause_of(&error), error.class()), (Some(Cause::Busy), ErrorClass::Retry), "{error}");
        assert!(!error.to_string().contains(SECRET_ACCESS_KEY), "{error}");
        assert!(
            matches!(error, Error::Refused { retry_after_seconds, .. } if retry_after_seconds == seconds),
            "{error:?}"
        );
        assert!(trial.storage.stat(&name("part")).await.unwrap().is_none());
    }
    trial.storage.put(&name("part"), &spooled.part(), &InOneGo).await.unwrap();
}

/// F86: cut, stalled and lost at every place of a small upload; a second try makes it whole.
#[tokio::test]
async fn a_small_upload_that_is_cut_is_whole_at_the_next_try() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(2_000_000);
    for (number, trouble) in [
        Trouble::ResetRequest(1_000_000),
        Trouble::LoseAnswer,
        Trouble::ResetAnswer(0),
        Trouble::StallRequest(10),
    ]
    .into_iter()
    .enumerate()
    {
        let part = name(&format!("cut/{number}"));
        trial.proxy.order("PUT", "cut", 0, 1, trouble.clone());
        match trial.storage.put(&part, &spooled.part(), &InOneGo).await {
            // An answer without a body is whole when its head is.
            Ok(_) => assert_eq!(trouble, Trouble::ResetAnswer(0)),
            Err(error) => assert_eq!(error.class(), ErrorClass::Retry, "{trouble:?}: {error:?}"),
        }
        trial.storage.put(&part, &spooled.part(), &InOneGo).await.unwrap();
        let there = std::fs::read(trial.server.objects().join("shop one/ü+").join(part.as_str())).unwrap();
        assert_eq!(digest(&ring::digest::SHA256, &there).as_ref(), spooled.sha256);
    }
}

/// F88, F92: who we are, what we may, where it is.
#[tokio::test]
async fn refusals_say_what_to_do() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(1000);
    for (trouble, cause, words) in [
        (Trouble::status(403, &refused("InvalidAccessKeyId")), Cause::SignIn, "InvalidAccessKeyId"),
        (Trouble::status(400, &refused("ExpiredToken")), Cause::SignIn, "ExpiredToken"),
        (Trouble::status(403, &refused("AccessDenied")), Cause::Denied, "AccessDenied"),
        (Trouble::status(404, &refused("NoSuchBucket")), Cause::NoPlace, "NoSuchBucket"),
        (Trouble::status(507, ""), Cause::Full, "status 507"),
        (Trouble::status(400, &refused("BadDigest")), Cause::Garbled, "BadDigest"),
        (
            Trouble::Answer(301, vec![("x-amz-bucket-region".into(), "eu-west-3".into())], String::new()),
            Cause::NoPlace,
            "the server names region eu-west-3",
        ),
    ] {
        trial.proxy.order("PUT", "", 0, 1, trouble);
        let error = trial.storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap_err();
        assert_eq!(cause_of(&error), Some(cause), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A HEAD has no body to say why: it is asked for.
#[tokio::test]
async fn a_missing_bucket_is_no_missing_object() {
    let Some(trial) = Trial::start() else { return };
    trial.proxy.order("HEAD", "", 0, 1, Trouble::status(404, ""));
    trial.proxy.order("GET", "/x?", 0, 1, Trouble::status(404, &refused("NoSuchBucket")));
    let error = trial.storage.stat(&name("x")).await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::NoPlace), "{error}");
    trial.proxy.order("HEAD", "", 0, 1, Trouble::status(403, ""));
    trial.proxy.order("GET", "/x?", 0, 1, Trouble::status(403, &refused("ExpiredToken")));
    let error = trial.storage.stat(&name("x")).await.unwrap_err();
    assert_eq!(cause_of(&error), Some(Cause::SignIn), "{error}");
    assert!(trial.storage.stat(&name("x")).await.unwrap().is_none());
}

#[tokio::test]
async fn wrong_keys_do_not_sign_in() {
    let Some(trial) = Trial::start() else { return };
    for key in ["access_key_id", "secret_access_key"] {
        let mut settings = settings(trial.server.address());
        settings[key] = json!("another");
        let error = s3(&Host::real(), &settings).unwrap().probe(None).await.unwrap_err();
        assert_eq!(cause_of(&error), Some(Cause::SignIn), "{key}: {error}");
    }
}

/// F102 at the moment of the upload: a place that states another length is not believed.
#[tokio::test]
async fn a_length_that_is_a_lie_is_found_out() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(1000);
    let lie = Trouble::Answer(200, vec![("Content-Length".to_owned(), "999".to_owned())], String::new());
    trial.proxy.order("HEAD", "lie", 1, 1, lie);
    let error = trial.storage.put(&name("lie"), &spooled.part(), &InOneGo).await.unwrap_err();
    assert!(matches!(error, Error::Unreliable { .. }), "{error:?}");
    assert!(trial.storage.stat(&name("lie")).await.unwrap().is_none());
}

#[tokio::test]
async fn ranges_that_are_not_kept_are_found_out() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(1000);
    trial.storage.put(&name("r"), &spooled.part(), &InOneGo).await.unwrap();
    let range = |text: &str| vec![("Content-Range".to_owned(), text.to_owned())];
    for (trouble, cause) in [
        (Trouble::status(200, &"x".repeat(1000)), Cause::Unexpected),
        (Trouble::Answer(206, range("bytes 0-9/1000"), "0123456789".into()), Cause::Unexpected),
        (Trouble::Answer(206, range("bytes 10-19/1000"), "01234".into()), Cause::Garbled),
        (Trouble::Answer(206, Vec::new(), "0123456789".into()), Cause::Unexpected),
    ] {
        trial.proxy.order("GET", "/r?", 0, 1, trouble.clone());
        let error = trial.storage.read_range(&name("r"), 10, 10).await.unwrap_err();
        assert_eq!(cause_of(&error), Some(cause), "{trouble:?}: {error}");
    }
    assert_eq!(trial.storage.read_range(&name("r"), 10, 10).await.unwrap().len(), 10);
}

/// F88: a key that cannot delete is a state; the tests that it does leave one object, however many there are.
#[tokio::test]
async fn a_key_that_cannot_delete_makes_the_place_append_only() {
    let Some(trial) = Trial::start() else { return };
    trial.proxy.order("DELETE", "", 0, 99, Trouble::status(403, &refused("AccessDenied")));
    for _ in 0..3 {
        let properties = trial.storage.probe(Some(&name("set"))).await.unwrap();
        assert!(!properties.deletes && properties.replaces, "nothing keeps it from that");
    }
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 1);
    assert_eq!(trial.storage.delete_leftovers(Some(&name("set"))).await.unwrap(), 0);
    trial.proxy.clear();
    assert!(trial.storage.probe(Some(&name("set"))).await.unwrap().deletes);
    assert!(trial.storage.list(None).await.unwrap().is_empty());
    // A server that refuses only what is there: one more object stays, and no more than that.
    trial.proxy.order("DELETE", "", 1, 1, Trouble::status(403, &refused("AccessDenied")));
    assert!(!trial.storage.probe(None).await.unwrap().deletes);
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 2);
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 2);
}

/// F91: whoever put other bytes there by other means, they stay.
#[tokio::test]
async fn bytes_without_a_hash_beside_them_are_read() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(1000);
    let folder = trial.server.objects().join("shop one/ü+");
    std::fs::create_dir_all(&folder).unwrap();
    let bytes = std::fs::read(&spooled.path).unwrap();
    std::fs::write(folder.join("same"), &bytes).unwrap();
    std::fs::write(folder.join("other"), vec![0; 1000]).unwrap();
    // This server makes etags of what it was sent only: here it has none, or one that is no MD5.
    let receipt = trial.storage.put(&name("same"), &spooled.part(), &InOneGo).await.unwrap();
    assert!(matches!(receipt.proof, Proof::ReadBack | Proof::ProviderHash));
    let error = trial.storage.put(&name("other"), &spooled.part(), &InOneGo).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
}

/// The machine's clock, off by so many seconds.
#[derive(Debug)]
struct WrongClock(i64);

impl backstock_host::Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Host::real().clock.now() + jiff::SignedDuration::from_secs(self.0)
    }
}

/// F87: a clock that is hours off is told from a wrong key, and the server's time is taken for the signature.
#[tokio::test]
async fn f87_with_a_wrong_clock_requests_are_signed_by_the_servers_time() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(200_000);
    for hours in [-3, 3] {
        let clock = Arc::new(WrongClock(hours * 3600));
        let host = Host { clock, ..Host::real() };
        let storage = s3(&host, &settings(trial.proxy.address())).unwrap();
        let before = trial.proxy.requests().len();
        let part = name(&format!("clock/{hours}"));
        assert!(storage.stat(&part).await.unwrap().is_none(), "{hours}");
        let asked = trial.proxy.requests().len() - before;
        storage.put(&part, &spooled.part(), &InOneGo).await.unwrap();
        assert_eq!(storage.stat(&part).await.unwrap().unwrap().size_bytes, 200_000, "{hours}");
        if hours < 0 {
            assert!(asked > 1, "the server refuses what has expired: {asked}");
        }
        // A wrong key is a wrong key, whatever the clock says, and is asked for twice at most.
        let mut wrong = settings(trial.proxy.address());
        wrong["secret_access_key"] = "wrong".into();
        let error = s3(&host, &wrong).unwrap().stat(&part).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Ask, "{error}");
    }
}

/// F87: an upload that is refused for the clock may be tried again, by the server's time; where that does not help, the owner is
/// asked.
#[tokio::test]
async fn f87_what_is_refused_for_the_clock_again_and_again_is_told() {
    let Some(trial) = Trial::start() else { return };
    let spooled = trial.part(1000);
    let late = vec![("Date".to_owned(), "Sun, 22 Nov 2020 10:00:00 GMT".to_owned())];
    let skewed = || Trouble::Answer(403, late.clone(), refused("RequestTimeTooSkewed"));
    trial.proxy.order("PUT", "", 0, 1, skewed());
    let error = trial.storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap_err();
    assert_eq!((cause_of(&error), error.class()), (Some(Cause::Busy), ErrorClass::Retry), "{error}");
    assert!(error.to_string().contains("the clock of this machine"), "{error}");
    // It tells the right time now, and refuses what is signed by the wrong one.
    trial.storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap();
    for method in ["HEAD", "GET"] {
        trial.proxy.order(method, "/y?", 0, 2, skewed());
    }
    let error = trial.storage.stat(&name("y")).await.unwrap_err();
    assert_eq!((cause_of(&error), error.class()), (Some(Cause::SignIn), ErrorClass::Ask), "{error}");
    assert!(error.to_string().contains("the clock of this machine"), "{error}");
}
