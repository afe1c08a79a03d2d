//! Object Lock, against moto: what is locked stays, whole and seen, until its time.

use std::sync::LazyLock;

use backstock_testbed::storages::moto::{LOCKS_BUCKET, PLAIN_BUCKET, VERSIONS_BUCKET};
use backstock_vocabulary::ErrorClass;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::super::bucket::Call;
use super::versions::{Moto, cause_of, holds, refused};
use super::*;

const MODES: [&str; 2] = ["governance", "compliance"];

/// Days from the second in which the test began.
fn in_days(days: i64) -> Timestamp {
    static BEGUN: LazyLock<i64> = LazyLock::new(|| Host::real().clock.now().as_second());
    Timestamp::from_second(*BEGUN).unwrap() + SignedDuration::from_hours(24 * days)
}

/// How many requests there were to lock something.
fn lock_requests(moto: &Moto) -> usize {
    moto.targets("PUT").iter().filter(|target| target.contains("retention=")).count()
}

#[tokio::test]
async fn it_keeps_the_contract_in_a_bucket_with_locks() {
    let Some(moto) = Moto::start() else { return };
    for mode in MODES {
        let storage = moto.open(LOCKS_BUCKET, Some(mode));
        contract::check(&Host::real(), &storage, moto.spool.path()).await.unwrap();
        assert!(storage.locks());
        let properties = storage.probe(None).await.unwrap();
        assert!(properties.locks && properties.deletes);
        assert_eq!(moto.entries(&storage).await, (0, 0), "what a test writes is not locked");
        let storage = moto.open(LOCKS_BUCKET, None);
        assert!(!storage.locks() && !storage.probe(None).await.unwrap().locks, "nobody asked for it");
    }
}

#[tokio::test]
async fn a_lock_becomes_longer_and_never_shorter() {
    let Some(moto) = Moto::start() else { return };
    for mode in MODES {
        let storage = moto.open(LOCKS_BUCKET, Some(mode));
        let object = name(mode);
        storage.put_small(&object, b"ours").await.unwrap();
        assert_eq!(storage.locked_until(&object).await.unwrap(), None);
        moto.proxy.clear();
        storage.lock(&object, in_days(3)).await.unwrap();
        assert_eq!(storage.locked_until(&object).await.unwrap(), Some(in_days(3)));
        let request = moto.proxy.requests().into_iter().find(|request| request.method == "PUT").unwrap();
        assert!(request.head.to_lowercase().contains("\r\ncontent-md5: "), "{}", request.head);
        for part in ["versionId=", "retention=", "X-Amz-SignedHeaders=content-md5%3Bhost"] {
            assert!(request.target.contains(part), "{part}: {}", request.target);
        }
        for (days, wanted, requests) in [(2, 3, 1), (3, 3, 1), (5, 5, 2), (-1, 5, 2)] {
            // To a storage that knows the version, and to one that must ask for it.
            for storage in [&storage, &moto.open(LOCKS_BUCKET, Some(mode))] {
                storage.lock(&object, in_days(days)).await.unwrap();
                assert_eq!(storage.locked_until(&object).await.unwrap(), Some(in_days(wanted)));
                assert_eq!(lock_requests(&moto), requests, "{mode}: {days} days");
            }
        }
        // Whole seconds, and none too few.
        let until = in_days(9) + SignedDuration::from_millis(1);
        storage.lock(&object, until).await.unwrap();
        let kept = storage.locked_until(&object).await.unwrap().unwrap();
        assert!(kept >= until && kept <= in_days(9) + SignedDuration::from_secs(2), "{kept}");
        let missing = storage.lock(&name("missing"), in_days(1)).await;
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
        assert_eq!(storage.locked_until(&name("missing")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_locked_is_kept_and_hidden_by_nothing() {
    let Some(moto) = Moto::start() else { return };
    for mode in MODES {
        let storage = moto.open(LOCKS_BUCKET, Some(mode));
        storage.put_small(&name(mode), b"ours").await.unwrap();
        storage.lock(&name(mode), in_days(3)).await.unwrap();
        moto.plant(&storage, mode, "planted").await;
        moto.plant_marker(&storage, mode).await;
        let fresh = moto.open(LOCKS_BUCKET, Some(mode));
        assert_eq!(
            fresh.locked_until(&name(mode)).await.unwrap(),
            Some(in_days(3)),
            "ours, not what was planted"
        );
        for _ in 0..2 {
            let error = storage.delete(&name(mode)).await.unwrap_err();
            assert!(matches!(error, Error::Refused { cause: Cause::Locked, .. }), "{error:?}");
            assert_eq!(error.class(), ErrorClass::Ask);
            let words = format!("it is locked there: {mode} until {} (AccessDenied", in_days(3));
            assert!(error.to_string().contains(&words), "{error}");
            assert_eq!(fresh.read_range(&name(mode), 0, 100).await.unwrap(), b"ours");
            assert_eq!(storage.stat(&name(mode)).await.unwrap().unwrap().size_bytes, 4);
            assert!(fresh.list(None).await.unwrap().iter().any(|facts| facts.name == name(mode)));
        }
        let spooled = moto.part(50);
        moto.proxy.clear();
        assert_eq!(cause_of(storage.replace(&name(mode), &spooled.part()).await), Cause::Locked);
        assert!(moto.targets("PUT").is_empty(), "nothing was sent for nothing");
    }
    let storage = moto.open(LOCKS_BUCKET, None);
    assert_eq!(moto.entries(&storage).await, (2, 0), "what was planted is gone");
    assert_eq!(storage.list(None).await.unwrap().len(), 2);
}

/// Whoever locks what he has planted keeps the name from being deleted, and hides nothing by it.
#[tokio::test]
async fn a_planted_version_that_is_locked_does_not_become_the_object() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(LOCKS_BUCKET, Some("governance"));
    storage.put_small(&name("x"), b"ours").await.unwrap();
    moto.plant(&storage, "x", "planted").await;
    let key = storage.bucket.key(&name("x"));
    let body = format!(
        "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
        in_days(9)
    );
    let call = Call::object(Method::PUT, &key).query("retention", "");
    moto.send(&storage, with_md5(call, &body), &body).await;
    assert_eq!(cause_of(storage.delete(&name("x")).await), Cause::Locked);
    holds(&moto, &[&storage, &moto.open(LOCKS_BUCKET, None)], "x", b"ours").await;
    let spooled = moto.part(50);
    assert_eq!(cause_of(storage.replace(&name("x"), &spooled.part()).await), Cause::Locked);
    holds(&moto, &[&storage], "x", b"ours").await;
}

fn with_md5<'a>(call: Call<'a>, body: &str) -> Call<'a> {
    use base64::Engine as _;
    use md5::Digest as _;
    call.header("content-md5", base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(body)))
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_from_a_lock_and_from_a_legal_hold() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(LOCKS_BUCKET, Some("governance"));
    storage.put_small(&name("x"), b"ours").await.unwrap();
    moto.proxy.order("DELETE", "versionId", 0, 1, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.delete(&name("x")).await), Cause::Denied);
    let key = storage.bucket.key(&name("x"));
    let hold = |status: &str| format!("<LegalHold><Status>{status}</Status></LegalHold>");
    for status in ["ON", "OFF"] {
        let call = Call::object(Method::PUT, &key).query("legal-hold", "");
        moto.send(&storage, with_md5(call, &hold(status)), &hold(status)).await;
        let deleted = storage.delete(&name("x")).await;
        if status == "ON" {
            assert!(deleted.as_ref().unwrap_err().to_string().contains("a legal hold"), "{deleted:?}");
            assert_eq!(cause_of(deleted), Cause::Locked);
            holds(&moto, &[&storage], "x", b"ours").await;
        } else {
            deleted.unwrap();
        }
    }
    assert_eq!(moto.entries(&storage).await, (0, 0));
    storage.put_small(&name("y"), b"ours").await.unwrap();
    moto.proxy.order("PUT", "retention", 0, 1, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.lock(&name("y"), in_days(1)).await), Cause::Denied, "PutObjectRetention");
    moto.proxy.order("GET", "retention", 0, 2, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.lock(&name("y"), in_days(1)).await), Cause::Denied, "GetObjectRetention");
    assert_eq!(cause_of(storage.locked_until(&name("y")).await), Cause::Denied);
}

/// A bucket that locks everything by itself is append-only until then; tests leave one name and one more object.
#[tokio::test]
async fn a_bucket_that_locks_by_default_can_be_used() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(LOCKS_BUCKET, Some("compliance"));
    let body = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                <Mode>GOVERNANCE</Mode><Days>2</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    let query = vec![("object-lock", String::new())];
    moto.send(&storage, Call { method: Method::PUT, key: None, query, headers: Vec::new() }, body).await;
    for _ in 0..3 {
        let properties = storage.probe(None).await.unwrap();
        assert!(properties.locks && !properties.deletes && !properties.replaces);
    }
    assert_eq!(storage.list(None).await.unwrap().len(), 2);
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
    let spooled = moto.part(5000);
    storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap();
    let until = storage.locked_until(&name("x")).await.unwrap().unwrap();
    assert!(until > in_days(1) && until <= in_days(3), "{until}");
    // The other mode is refused by this server, as by some others: the lock is made longer as it is.
    storage.lock(&name("x"), in_days(9)).await.unwrap();
    assert_eq!(storage.locked_until(&name("x")).await.unwrap(), Some(in_days(9)));
    assert_eq!(lock_requests(&moto), 3 + 2, "each test asks once");
    let error = storage.delete(&name("x")).await.unwrap_err().to_string();
    assert!(error.contains("governance until"), "{error}");
}

#[tokio::test]
async fn a_lock_that_is_not_kept_is_found_out() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(LOCKS_BUCKET, Some("compliance"));
    storage.put_small(&name("x"), b"ours").await.unwrap();
    moto.proxy.order("PUT", "retention", 0, 1, Trouble::status(200, ""));
    let locked = storage.lock(&name("x"), in_days(3)).await;
    assert!(matches!(locked, Err(Error::Unreliable { .. })), "{locked:?}");
    moto.proxy.order(
        "GET",
        "retention",
        0,
        1,
        Trouble::status(200, "<Retention><Mode>GOVERNANCE</Mode></Retention>"),
    );
    assert_eq!(cause_of(storage.locked_until(&name("x")).await), Cause::Garbled);
    storage.lock(&name("x"), in_days(3)).await.unwrap();
}

#[tokio::test]
async fn a_bucket_without_object_lock_is_refused_with_the_way_out() {
    let Some(moto) = Moto::start() else { return };
    for bucket in [PLAIN_BUCKET, VERSIONS_BUCKET] {
        let storage = moto.open(bucket, Some("compliance"));
        let error = storage.probe(None).await.unwrap_err();
        assert!(matches!(error, Error::Settings { .. }), "{error:?}");
        for words in ["lock: ", "has no Object Lock", "when a bucket is made", "leave lock away"] {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(moto.targets("PUT").is_empty(), "nothing was written");
        // Without the setting it is a bucket like others, and has no locks to tell of.
        let storage = moto.open(bucket, None);
        storage.put_small(&name("x"), b"ours").await.unwrap();
        assert_eq!(storage.locked_until(&name("x")).await.unwrap(), None);
        let locked = storage.lock(&name("x"), in_days(1)).await;
        assert!(matches!(locked, Err(Error::Settings { .. })), "{locked:?}");
        moto.proxy.clear();
    }
    let storage = moto.open(LOCKS_BUCKET, Some("compliance"));
    moto.proxy.order("GET", "object-lock", 0, 1, Trouble::status(501, &refused("NotImplemented")));
    assert!(matches!(storage.probe(None).await, Err(Error::Settings { .. })));
    moto.proxy.order("GET", "object-lock", 0, 1, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.probe(None).await), Cause::Denied);
    moto.proxy.order("PUT", "retention=", 0, 1, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.probe(None).await), Cause::Denied, "a key that may not lock");
    // Versions must be known where something is to be locked.
    let storage = moto.open(LOCKS_BUCKET, Some("compliance"));
    moto.proxy.order("GET", "versioning", 0, 1, Trouble::status(403, &refused("AccessDenied")));
    assert_eq!(cause_of(storage.stat(&name("x")).await), Cause::Denied);
    assert!(storage.probe(None).await.unwrap().locks);
}

#[test]
fn the_setting_takes_two_words() {
    let field = KIND.fields().into_iter().find(|field| field.name == "lock").unwrap();
    assert_eq!(
        (field.words, field.is_required),
        (vec!["governance".to_owned(), "compliance".to_owned()], false)
    );
    let mut settings = settings("127.0.0.1:1".parse().unwrap());
    settings["lock"] = json!("forever");
    let error = s3(&Host::real(), &settings).unwrap_err().to_string();
    assert!(error.contains("forever"), "{error}");
}
