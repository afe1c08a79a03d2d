//! Buckets with versions, against moto: what others plant hides nothing, and what is deleted is gone.

use backstock_testbed::storages::moto::{MANY_BUCKET, MotoServer, PLAIN_BUCKET, VERSIONS_BUCKET};
use reqwest::Method;

use super::super::bucket::Call;
use super::*;
use crate::http::Act;

pub(super) const ACT: Act<'_> = Act { verb: "plant", name: "something" };

/// A server that knows versions, and a proxy before it.
pub(super) struct Moto {
    _server: MotoServer,
    pub(super) proxy: Proxy,
    pub(super) spool: TempDir,
}

impl Moto {
    pub(super) fn start() -> Option<Self> {
        MotoServer::for_test().map(Self::before)
    }

    fn before(server: MotoServer) -> Self {
        let proxy = Proxy::start(server.address());
        Self { _server: server, proxy, spool: tempfile::tempdir().unwrap() }
    }

    /// A storage in a bucket that remembers nothing yet.
    pub(super) fn open(&self, bucket: &str, lock: Option<&str>) -> S3 {
        let mut settings = settings(self.proxy.address());
        settings["bucket"] = json!(bucket);
        if let Some(lock) = lock {
            settings["lock"] = json!(lock);
        }
        s3(&Host::real(), &settings).unwrap()
    }

    pub(super) fn part(&self, size_bytes: usize) -> Spooled {
        Spooled::write(self.spool.path(), size_bytes)
    }

    /// Sends a request of somebody else who has the same key.
    pub(super) async fn send(&self, storage: &S3, call: Call<'_>, body: &str) -> String {
        let request = storage.bucket.signed(call).header("content-length", body.len()).body(body.to_owned());
        let answer = storage.bucket.http.send(ACT, request).await.unwrap();
        let answer = storage.bucket.sort_out(ACT, answer).await.unwrap().unwrap();
        let body = storage.bucket.http.read(ACT, answer, 1 << 20).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    pub(super) async fn plant(&self, storage: &S3, object: &str, bytes: &str) {
        let key = storage.bucket.key(&name(object));
        self.send(storage, Call::object(Method::PUT, &key), bytes).await;
    }

    pub(super) async fn plant_marker(&self, storage: &S3, object: &str) {
        let key = storage.bucket.key(&name(object));
        self.send(storage, Call::object(Method::DELETE, &key), "").await;
    }

    /// How many versions and delete markers the bucket holds.
    pub(super) async fn entries(&self, storage: &S3) -> (usize, usize) {
        let call = Call::bucket(vec![("versions", String::new())]);
        let text = self.send(storage, call, "").await;
        (text.matches("<Version>").count(), text.matches("<DeleteMarker>").count())
    }

    pub(super) async fn set_versions(&self, storage: &S3, status: &str) {
        let call = Call {
            method: Method::PUT,
            key: None,
            query: vec![("versioning", String::new())],
            headers: Vec::new(),
        };
        let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.send(storage, call, &body).await;
    }

    /// The targets of all requests of a method so far.
    pub(super) fn targets(&self, method: &str) -> Vec<String> {
        let requests = self.proxy.requests().into_iter();
        requests.filter(|request| request.method == method).map(|request| request.target).collect()
    }
}

/// That a name holds bytes of this length, by every way of looking, to a storage that knows it and to one that is new to it.
pub(super) async fn holds(moto: &Moto, storages: &[&S3], object: &str, wanted: &[u8]) {
    for storage in storages {
        let facts = ObjectFacts { name: name(object), size_bytes: wanted.len() as u64 };
        assert_eq!(storage.stat(&name(object)).await.unwrap().as_ref(), Some(&facts));
        assert_eq!(storage.list(None).await.unwrap(), [facts], "{:?}", moto.entries(storage).await);
        assert_eq!(storage.read_range(&name(object), 0, 1 << 20).await.unwrap(), wanted);
    }
}

pub(super) fn refused(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>told</Message></Error>")
}

pub(super) fn cause_of<T: std::fmt::Debug>(result: Result<T>) -> Cause {
    match result {
        Err(Error::Refused { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_keeps_the_contract_with_versions_on_suspended_and_never_on() {
    let Some(moto) = Moto::start() else { return };
    for (bucket, is_suspended) in [(PLAIN_BUCKET, false), (VERSIONS_BUCKET, false), (VERSIONS_BUCKET, true)] {
        let storage = moto.open(bucket, None);
        if is_suspended {
            moto.set_versions(&storage, "Suspended").await;
        }
        moto.proxy.clear();
        contract::check(&Host::real(), &storage, moto.spool.path()).await.unwrap();
        assert_eq!(moto.entries(&storage).await, (0, 0), "{bucket}");
        let properties = storage.probe(None).await.unwrap();
        assert!(properties.replaces && properties.deletes && properties.resumes && !properties.locks);
        assert_eq!(moto.entries(&storage).await, (0, 0), "{bucket}");
        let asked = moto.targets("GET").iter().filter(|target| target.contains("versioning")).count();
        assert_eq!(asked, 1, "it is asked once");
        let sets_markers = moto.targets("DELETE").iter().any(|target| !target.contains("versionId="));
        assert_eq!(sets_markers, bucket == PLAIN_BUCKET);
    }
}

#[tokio::test]
async fn what_is_planted_hides_nothing() {
    let Some(moto) = Moto::start() else { return };
    for planted in ["n", "m", "nm", "mn", "nnmmn"] {
        let storage = moto.open(VERSIONS_BUCKET, None);
        let spooled = moto.part(5000);
        let bytes = std::fs::read(&spooled.path).unwrap();
        storage.put(&name("a/part"), &spooled.part(), &InOneGo).await.unwrap();
        for what in planted.chars() {
            match what {
                'n' => moto.plant(&storage, "a/part", "planted").await,
                _ => moto.plant_marker(&storage, "a/part").await,
            }
        }
        let (versions, markers) = moto.entries(&storage).await;
        assert_eq!(versions + markers, 1 + planted.len());
        holds(&moto, &[&storage, &moto.open(VERSIONS_BUCKET, None)], "a/part", &bytes).await;
        let fresh = moto.open(VERSIONS_BUCKET, None);
        assert_eq!(
            fresh.read_range(&name("a/part"), 10, 20).await.unwrap(),
            bytes[10..30],
            "without a look before"
        );
        // The name is taken, by these bytes and no others.
        let receipt = storage.put(&name("a/part"), &spooled.part(), &InOneGo).await.unwrap();
        assert_eq!(receipt.proof, Proof::ProviderHash);
        let other = storage.put_small(&name("a/part"), b"planted").await;
        assert!(matches!(other, Err(Error::Conflict { .. })), "{other:?}");
        assert_eq!(moto.entries(&storage).await, (versions, markers));
        storage.delete(&name("a/part")).await.unwrap();
        assert_eq!(moto.entries(&storage).await, (0, 0));
    }
}

#[tokio::test]
async fn a_key_that_is_ours_but_for_a_blank_is_none_of_ours() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    storage.put_small(&name("manifest"), b"ours").await.unwrap();
    let key = format!("{} ", storage.bucket.key(&name("manifest")));
    moto.send(&storage, Call::object(Method::PUT, &key), "planted").await;
    assert_eq!(moto.entries(&storage).await, (2, 0));
    holds(&moto, &[&storage, &moto.open(VERSIONS_BUCKET, None)], "manifest", b"ours").await;
    storage.delete(&name("manifest")).await.unwrap();
    assert!(storage.list(None).await.unwrap().is_empty());
    assert_eq!(moto.entries(&storage).await, (1, 0));
}

#[tokio::test]
async fn the_object_goes_last_of_all_that_its_name_holds() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    // More than the first page of a look.
    storage.put_small(&name("x"), b"ours").await.unwrap();
    let ours = storage.bucket.remembered(&storage.bucket.key(&name("x"))).unwrap();
    for number in 0..30 {
        moto.plant(&storage, "x", &format!("planted {number}")).await;
    }
    moto.plant_marker(&storage, "x").await;
    // Keys that begin with this one stay.
    storage.put_small(&name("x.more"), b"another").await.unwrap();
    let fresh = moto.open(VERSIONS_BUCKET, None);
    assert_eq!(fresh.read_range(&name("x"), 0, 9).await.unwrap(), b"ours");
    moto.proxy.clear();
    storage.delete(&name("x")).await.unwrap();
    let deleted = moto.targets("DELETE");
    assert_eq!(deleted.len(), 32);
    let last = deleted.last().unwrap();
    assert!(last.contains(&format!("versionId={ours}")), "{last}");
    holds(&moto, &[&storage, &fresh], "x.more", b"another").await;
    let read = fresh.read_range(&name("x"), 0, 9).await;
    assert!(matches!(read, Err(Error::NotFound { .. })), "what is remembered is no more: {read:?}");
    storage.put_small(&name("x"), b"anew").await.unwrap();
    assert_eq!(fresh.read_range(&name("x"), 0, 9).await.unwrap(), b"anew");
}

#[tokio::test]
async fn without_the_right_to_delete_versions_nothing_is_hidden() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    storage.put_small(&name("x"), b"ours").await.unwrap();
    moto.proxy.order("DELETE", "versionId", 0, u32::MAX, Trouble::status(403, &refused("AccessDenied")));
    for _ in 0..2 {
        assert_eq!(cause_of(storage.delete(&name("x")).await), Cause::Denied);
        holds(&moto, &[&storage, &moto.open(VERSIONS_BUCKET, None)], "x", b"ours").await;
    }
    let spooled = moto.part(50);
    assert_eq!(cause_of(storage.replace(&name("x"), &spooled.part()).await), Cause::Denied);
    holds(&moto, &[&storage], "x", b"ours").await;
    // A test leaves one name, whatever it writes there.
    for _ in 0..3 {
        let properties = storage.probe(None).await.unwrap();
        assert!(!properties.deletes && !properties.replaces, "the versions keep it from that");
    }
    assert_eq!(storage.delete_leftovers(None).await.unwrap(), 0);
    assert_eq!(storage.list(None).await.unwrap().len(), 2);
    assert_eq!(moto.entries(&storage).await.1, 0, "no marker was set");
    moto.proxy.clear();
    assert!(storage.probe(None).await.unwrap().deletes);
    holds(&moto, &[&storage], "x", b"ours").await;
}

#[tokio::test]
async fn what_is_replaced_leaves_nothing_and_what_cannot_be_stays() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    let spooled = moto.part(5000);
    let bytes = std::fs::read(&spooled.path).unwrap();
    storage.put_small(&name("x"), b"old").await.unwrap();
    moto.plant(&storage, "x", "planted").await;
    moto.plant_marker(&storage, "x").await;
    moto.proxy.order("DELETE", "versionId", 2, 1, Trouble::status(503, &refused("SlowDown")));
    let replaced = storage.replace(&name("x"), &spooled.part()).await;
    assert_eq!(cause_of(replaced), Cause::Busy);
    holds(&moto, &[&storage, &moto.open(VERSIONS_BUCKET, None)], "x", b"old").await;
    assert_eq!(moto.entries(&storage).await, (1, 0), "what was to replace it went again");
    let receipt = storage.replace(&name("x"), &spooled.part()).await.unwrap();
    assert_eq!(receipt.proof, Proof::ProviderHash);
    holds(&moto, &[&storage, &moto.open(VERSIONS_BUCKET, None)], "x", &bytes).await;
    assert_eq!(moto.entries(&storage).await, (1, 0));
}

#[tokio::test]
async fn who_was_first_in_between_keeps_the_name() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    let spooled = moto.part(5000);
    let bytes = std::fs::read(&spooled.path).unwrap();
    // The first look sees nothing: the other comes right behind it.
    let look =
        Trouble::status(200, "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>");
    moto.plant(&storage, "x", "another").await;
    moto.proxy.order("GET", "versions=", 0, 1, look.clone());
    let put = storage.put(&name("x"), &spooled.part(), &InOneGo).await;
    assert!(matches!(put, Err(Error::Conflict { .. })), "{put:?}");
    holds(&moto, &[&storage], "x", b"another").await;
    assert_eq!(moto.entries(&storage).await, (1, 0));
    storage.delete(&name("x")).await.unwrap();
    // The same bytes are no conflict: a try of ours whose answer was lost.
    storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap();
    moto.proxy.order("GET", "versions=", 0, 1, look);
    storage.put(&name("x"), &spooled.part(), &InOneGo).await.unwrap();
    holds(&moto, &[&storage], "x", &bytes).await;
    assert_eq!(moto.entries(&storage).await, (1, 0));
}

#[tokio::test]
async fn a_long_part_is_its_version() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    let spooled = moto.part((101 << 20) + 77);
    storage.put(&name("long"), &spooled.part(), &InOneGo).await.unwrap();
    moto.plant(&storage, "long", "planted").await;
    let receipt = storage.put(&name("long"), &spooled.part(), &InOneGo).await.unwrap();
    assert_eq!(receipt.proof, Proof::Size, "by the hash that it carries");
    assert_eq!(moto.entries(&storage).await, (2, 0));
    storage.replace(&name("long"), &spooled.part()).await.unwrap();
    assert_eq!(moto.entries(&storage).await, (1, 0));
    let end = storage.read_range(&name("long"), 101 << 20, 1000).await.unwrap();
    assert!(std::fs::read(&spooled.path).unwrap().ends_with(&end) && end.len() == 77);
}

#[tokio::test]
async fn a_list_of_versions_has_all_its_pages() {
    let Some(server) = MotoServer::with_many(2345, 2) else { return };
    let moto = Moto::before(server);
    let mut settings = settings(moto.proxy.address());
    (settings["bucket"], settings["prefix"]) = (json!(MANY_BUCKET), json!(""));
    let storage = s3(&Host::real(), &settings).unwrap();
    let found = storage.list(None).await.unwrap();
    assert_eq!(found.len(), 2345);
    assert_eq!(found[2344].name, name("02344+ü x"));
    assert!(found.iter().all(|facts| facts.size_bytes == 5), "what was planted later is longer");
    let pages = moto.targets("GET").iter().filter(|target| target.contains("versions=")).count();
    assert_eq!(pages, 5);
    for number in [0, 499, 500, 999, 2344] {
        let read = storage.read_range(&found[number].name, 0, 100).await.unwrap();
        assert_eq!(read, b"12345");
    }
    // A list that says it goes on, and not where, or where it was before, is no list.
    for marker in ["", "<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"] {
        let list = format!("<R><IsTruncated>true</IsTruncated>{marker}</R>");
        moto.proxy.order("GET", "versions=", 0, 2, Trouble::status(200, &list));
        assert_eq!(cause_of(storage.list(None).await), Cause::Unexpected, "{marker}");
        moto.proxy.clear();
    }
}

/// Versions that are suspended: the object may be a version with an id, or the one called null.
#[tokio::test]
async fn suspended_versions_hide_nothing_that_was_there_before() {
    let Some(moto) = Moto::start() else { return };
    let storage = moto.open(VERSIONS_BUCKET, None);
    storage.put_small(&name("x"), b"ours").await.unwrap();
    moto.set_versions(&storage, "Suspended").await;
    moto.plant(&storage, "x", "planted").await;
    let storages = [&storage, &moto.open(VERSIONS_BUCKET, None)];
    holds(&moto, &storages, "x", b"ours").await;
    moto.plant_marker(&storage, "x").await;
    assert_eq!(moto.entries(&storage).await, (1, 1), "the null that was planted has given way");
    holds(&moto, &storages, "x", b"ours").await;
    storage.delete(&name("x")).await.unwrap();
    assert_eq!(moto.entries(&storage).await, (0, 0));
    storage.put_small(&name("x"), b"null").await.unwrap();
    moto.set_versions(&storage, "Enabled").await;
    moto.plant(&storage, "x", "planted").await;
    holds(&moto, &storages, "x", b"null").await;
    let spooled = moto.part(50);
    storage.replace(&name("x"), &spooled.part()).await.unwrap();
    assert_eq!(moto.entries(&storage).await, (1, 0));
}

#[tokio::test]
async fn where_versions_are_not_told_it_is_a_bucket_without() {
    let Some(moto) = Moto::start() else { return };
    for trouble in [
        Trouble::status(403, &refused("AccessDenied")),
        Trouble::status(501, &refused("NotImplemented")),
        Trouble::status(404, &refused("NoSuchKey")),
        Trouble::status(200, "what?"),
    ] {
        let storage = moto.open(VERSIONS_BUCKET, None);
        moto.proxy.clear();
        moto.proxy.order("GET", "versioning", 0, 1, trouble);
        assert!(storage.list(None).await.unwrap().is_empty());
        assert!(moto.targets("GET").last().unwrap().contains("list-type=2"));
    }
    // What may pass is no answer: the next call asks anew.
    let storage = moto.open(VERSIONS_BUCKET, None);
    moto.proxy.order("GET", "versioning", 0, 1, Trouble::status(503, &refused("SlowDown")));
    moto.proxy.order("GET", "versioning", 0, 1, Trouble::status(404, &refused("NoSuchBucket")));
    assert_eq!(cause_of(storage.list(None).await), Cause::Busy);
    assert_eq!(cause_of(storage.list(None).await), Cause::NoPlace);
    assert!(storage.list(None).await.unwrap().is_empty());
    assert!(moto.targets("GET").last().unwrap().contains("versions="));
}
