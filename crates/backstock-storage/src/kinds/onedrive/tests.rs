//! The OneDrive kind against a local server that keeps Graph's rules: the contract, names, uploads in pieces, renewed links.

mod faults;

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use backstock_testbed::clouds::authority;
use backstock_testbed::clouds::onedrive::{CLIENT_ID, OneDriveServer};
use backstock_vocabulary::Proof;
use serde_json::{Value, json};

use super::*;
use crate::http::Patience;
use crate::remote_tree::trial::{Hook, Remembered, Spooled, cause, keeps_the_contract};
use crate::{Cause, KeptNowhere};

/// Where the settings of the account lie: each renewal replaces its refresh token.
#[derive(Debug)]
struct Kept(Mutex<Secret>);

impl KeepSecrets for Kept {
    fn keep(&self, name: &str, secret: &Secret) -> io::Result<()> {
        assert_eq!(name, "refresh_token");
        *self.0.lock().unwrap() = secret.clone();
        Ok(())
    }

    fn kept(&self, _name: &str) -> io::Result<Option<Secret>> {
        Ok(Some(self.0.lock().unwrap().clone()))
    }
}

/// A server with one account, and a storage that knows it.
struct Trial {
    cloud: OneDriveServer,
    settings: Value,
    kept: Arc<Kept>,
    storage: OneDrive,
}

fn open_at(settings: &Value, kept: &Arc<Kept>, patience: Patience) -> OneDrive {
    let mut settings = settings.clone();
    settings["refresh_token"] = json!(kept.0.lock().unwrap().expose());
    let mut storage = onedrive(&Host::real(), &settings, kept.clone()).unwrap();
    storage.graph.account.http = storage.graph.account.http.with_patience(patience);
    storage
}

fn usual_patience() -> Patience {
    Patience { stall: Duration::from_secs(5), answer: Duration::from_secs(10) }
}

impl Trial {
    fn start() -> Self {
        Self::with(&json!({}))
    }

    fn with(changes: &Value) -> Self {
        let cloud = OneDriveServer::start();
        let mut settings = json!({
            "client_id": CLIENT_ID,
            "folder": "Shops/it's #1 ü+%41",
            "endpoint": cloud.server.url(),
            "ca_file": authority(),
        });
        for (name, value) in changes.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let kept = Arc::new(Kept(Mutex::new(Secret::new(cloud.account.oauth.link()))));
        let storage = open_at(&settings, &kept, usual_patience());
        Self { cloud, settings, kept, storage }
    }

    /// The same storage as a process sees it that was started anew.
    fn again(&self) -> OneDrive {
        open_at(&self.settings, &self.kept, usual_patience())
    }

    /// What the account holds under a name of ours.
    fn there(&self, name: &str) -> Option<Vec<u8>> {
        self.cloud.account.bytes(&format!("Shops/it's #1 ü+%41/{name}"))
    }

    fn put_there(&self, name: &str, bytes: &[u8]) {
        self.cloud.account.put_file(&format!("Shops/it's #1 ü+%41/{name}"), bytes);
    }

    /// The statuses of the answers to requests of a method whose target holds a text.
    fn statuses(&self, method: &str, contains: &str) -> Vec<u16> {
        let seen = self.cloud.server.seen().into_iter();
        let meant = seen.filter(|seen| seen.method == method && seen.target.contains(contains));
        meant.map(|seen| seen.status).collect()
    }
}

fn name_of(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn is_conflict<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let trial = Trial::start();
    trial.cloud.account.set_page_entries(2);
    keeps_the_contract(&trial.storage, "OneDrive").await;
    assert_eq!(trial.cloud.account.count(), 2, "the folder of the settings alone is left");
    assert_eq!(trial.cloud.account.oauth.renewals(), 1);
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && properties.deletes && properties.resumes && !properties.is_local);
    let seen = trial.cloud.server.seen();
    assert!(seen.iter().any(|seen| seen.target.contains("$skiptoken=")), "lists have several pages");
    let downloads: Vec<_> = seen.iter().filter(|seen| seen.target.starts_with("/download/")).collect();
    assert!(!downloads.is_empty());
    for download in downloads {
        assert!(download.header("authorization").is_none() && download.header("range").is_some());
    }
}

#[tokio::test]
async fn the_folder_of_the_application_keeps_the_contract() {
    let trial = Trial::with(&json!({ "app_folder": true, "folder": "shop" }));
    keeps_the_contract(&trial.storage, "the folder of the application").await;
    trial.storage.put_small(&name_of("a"), b"x").await.unwrap();
    assert_eq!(trial.cloud.account.bytes("Apps/Backstock/shop/a").unwrap(), b"x");
}

#[tokio::test]
async fn long_parts_go_in_pieces_and_are_confirmed_by_their_hash() {
    let trial = Trial::start();
    let (part, upload) = (Spooled::new((20 << 20) + 5), Remembered::default());
    assert_eq!(part.prove(&trial.storage, "a/long", &upload).await.unwrap(), Proof::ProviderHash);
    let seen = trial.cloud.server.seen();
    let pieces: Vec<_> = seen.iter().filter(|seen| seen.target.starts_with("/up/")).collect();
    let told: Vec<_> =
        pieces.iter().map(|piece| (piece.header("content-range").unwrap(), piece.status)).collect();
    assert_eq!(
        told,
        [
            ("bytes 0-10485759/20971525", 202),
            ("bytes 10485760-20971519/20971525", 202),
            ("bytes 20971520-20971524/20971525", 201),
        ]
    );
    assert!(pieces.iter().all(|piece| piece.header("authorization").is_none()));
    assert!(trial.there("a/long") == Some(part.bytes));
    assert_eq!(trial.cloud.account.open_sessions(), 0);
}

/// F100: each renewal brings another refresh token, which is kept before it is used; a process that has the old one goes on
/// from the new one.
#[tokio::test]
async fn a_renewed_link_is_kept() {
    let trial = Trial::start();
    let first = trial.kept.0.lock().unwrap().clone();
    let other = trial.again();
    trial.storage.put_small(&name_of("a"), b"x").await.unwrap();
    let second = trial.kept.0.lock().unwrap().clone();
    assert_ne!(first, second);
    assert!(!trial.cloud.account.oauth.is_linked_by(first.expose()));
    assert!(trial.cloud.account.oauth.is_linked_by(second.expose()));
    assert_eq!(other.list(None).await.unwrap().len(), 1);
    assert!(trial.cloud.account.oauth.is_linked_by(trial.kept.0.lock().unwrap().expose()));
    assert_eq!(trial.again().list(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn capital_letters_are_told_from_small_ones() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/File"), b"x").await.unwrap();
    let other = name_of("shop/file");
    assert!(trial.storage.stat(&other).await.unwrap().is_none());
    assert!(matches!(trial.storage.read_range(&other, 0, 1).await, Err(Error::NotFound { .. })));
    assert!(is_conflict(&trial.storage.put_small(&other, b"x").await));
    assert!(is_conflict(&Spooled::new(9).replace(&trial.storage, "shop/file").await));
    trial.storage.delete(&other).await.unwrap();
    assert_eq!(trial.there("shop/File").unwrap(), b"x");
}

#[tokio::test]
async fn names_that_onedrive_keeps_for_itself_are_refused_before_anything_is_sent() {
    let trial = Trial::start();
    for name in ["shop/CON", "shop/~a", "shop/a_vti_b", "shop/desktop.ini", "shop/Lpt7"] {
        let error = trial.storage.put_small(&name_of(name), b"x").await.unwrap_err();
        assert_eq!(cause(&error), Some(Cause::Denied), "{error}");
        assert!(trial.storage.stat(&name_of(name)).await.unwrap().is_none());
    }
    let deep = name_of(&format!("{}/{}", "a".repeat(195), "b".repeat(195)));
    let error = trial.storage.put_small(&deep, b"x").await.unwrap_err();
    assert!(error.to_string().contains("400 characters"), "{error}");
    assert!(trial.cloud.server.seen().is_empty());
    // Names that addresses give a meaning are names like others.
    for name in ["shop/100%25 #1", "shop/a+b c", "shop/ü&=;@"] {
        trial.storage.put_small(&name_of(name), name.as_bytes()).await.unwrap();
        assert_eq!(trial.there(name).unwrap(), name.as_bytes());
        assert_eq!(trial.storage.read_range(&name_of(name), 0, 99).await.unwrap(), name.as_bytes());
    }
}

/// A name that is taken while an upload is under way is refused at its last piece: right if by these very bytes.
#[tokio::test]
async fn a_name_that_is_taken_meanwhile_is_compared() {
    for size_bytes in [1000, 5 << 20] {
        for is_same in [true, false] {
            let (trial, part) = (Trial::start(), Spooled::new(size_bytes));
            let bytes = if is_same { part.bytes.clone() } else { vec![7; size_bytes] };
            let account = trial.cloud.account.clone();
            let upload = Hook::at(0, move || account.put_file("Shops/it's #1 ü+%41/shop/part", &bytes));
            let put = part.prove(&trial.storage, "shop/part", &upload).await;
            if is_same {
                assert_eq!(put.unwrap(), Proof::ProviderHash);
            } else {
                assert!(is_conflict(&put), "{put:?}");
                assert_eq!(trial.there("shop/part").unwrap(), vec![7; size_bytes]);
            }
            assert_eq!(trial.cloud.account.open_sessions(), 0);
            let refused = if size_bytes > 4 << 20 { ("PUT", "/up/") } else { ("PUT", "/content") };
            assert_eq!(trial.statuses(refused.0, refused.1).pop(), Some(409));
        }
    }
}

#[tokio::test]
async fn a_folder_that_went_away_is_made_anew() {
    let trial = Trial::start();
    for size_bytes in [100, 5 << 20] {
        trial.storage.put_small(&name_of("shop/before"), b"x").await.unwrap();
        let account = trial.cloud.account.clone();
        let upload = Hook::at(0, move || account.remove("Shops/it's #1 ü+%41/shop"));
        let part = Spooled::new(size_bytes);
        part.put(&trial.storage, "shop/part", &upload).await.unwrap();
        assert!(trial.there("shop/part") == Some(part.bytes));
        trial.storage.delete(&name_of("shop/part")).await.unwrap();
    }
}

#[tokio::test]
async fn folders_with_something_in_them_stay() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/deep/file"), b"x").await.unwrap();
    trial.put_there("shop/deep/.somebody's", b"y");
    trial.put_there("shop/other/backstock-probe-0123", b"of a test that died");
    trial.storage.delete(&name_of("shop/deep/file")).await.unwrap();
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 1);
    assert_eq!(trial.there("shop/deep/.somebody's").unwrap(), b"y");
    let before = trial.cloud.account.count();
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 0);
    assert_eq!((before, trial.cloud.account.count()), (5, 5), "two folders, shop, deep and what is in it");
}

#[tokio::test]
async fn a_hash_that_comes_late_or_never_is_waited_for_in_vain_only_once() {
    let trial = Trial::start();
    for (looks, first, second) in
        [(Some(1), Proof::ProviderHash, Proof::ProviderHash), (None, Proof::Size, Proof::ReadBack)]
    {
        trial.cloud.account.set_hash_after(looks);
        for size_bytes in [1000, 5 << 20] {
            let (part, name) = (Spooled::new(size_bytes), format!("{size_bytes}-{}", looks.is_some()));
            assert_eq!(part.prove(&trial.storage, &name, &InOneGo).await.unwrap(), first);
            assert_eq!(part.prove(&trial.storage, &name, &InOneGo).await.unwrap(), second);
            let other = Spooled::new(size_bytes).put(&trial.storage, &name, &InOneGo).await;
            assert!(is_conflict(&other), "{other:?}");
        }
    }
}

#[tokio::test]
async fn the_room_is_told() {
    let trial = Trial::start();
    trial.cloud.account.set_quota(1000);
    trial.storage.put_small(&name_of("a"), &[7; 100]).await.unwrap();
    assert_eq!(trial.storage.free_bytes().await.unwrap(), Some(900));
}

#[test]
fn settings_that_cannot_be_used_say_why() {
    let settings = json!({ "client_id": "id", "refresh_token": "M.C5_hunter2", "folder": "Backups" });
    let open = |settings: &Value| onedrive(&Host::real(), settings, Arc::new(KeptNowhere));
    open(&settings).unwrap();
    for (key, value, problem) in [
        ("client_id", json!(" "), "client_id"),
        ("refresh_token", json!("eyJhunter2"), "refresh_token"),
        ("tenant", json!("a/../b"), "tenant"),
        ("folder", json!("a/../b"), "folder"),
        ("folder", json!("a/CON"), "folder"),
        ("endpoint", json!("http://example.com"), "endpoint"),
        ("unknown", json!(5), "unknown"),
    ] {
        let mut settings = settings.clone();
        settings[key] = value;
        let error = open(&settings).unwrap_err().to_string();
        assert!(error.contains(problem), "{key}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    for (app_folder, scope) in [(false, "Files.ReadWrite+"), (true, "Files.ReadWrite.AppFolder+")] {
        let link = link(
            &Host::real(),
            &json!({ "client_id": "id", "tenant": "consumers", "app_folder": app_folder }),
        );
        let (address, _) = link.unwrap().authorization_url(Some("http://127.0.0.1:1/back")).unwrap();
        assert!(
            address.starts_with("https://login.microsoftonline.com/consumers/oauth2/v2.0/authorize?"),
            "{address}"
        );
        assert!(address.contains(&format!("scope={scope}offline_access")), "{address}");
    }
}
