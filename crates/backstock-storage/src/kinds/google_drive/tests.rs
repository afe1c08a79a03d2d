//! The Google Drive kind against a local server that keeps Drive's rules: the contract, names that several have, uploads in pieces.

mod faults;

use std::time::Duration;

use backstock_testbed::clouds::authority;
use backstock_testbed::clouds::google_drive::{CLIENT_ID, CLIENT_SECRET, GoogleDriveServer, SHARED_DRIVE};
use backstock_vocabulary::Proof;
use reqwest::Method;
use serde_json::{Value, json};

use super::*;
use crate::http::Patience;
use crate::remote_tree::trial::{Hook, Remembered, Spooled, cause, keeps_the_contract};
use crate::{Cause, KeptNowhere};

/// A server with one account, and a storage that knows it.
struct Trial {
    cloud: GoogleDriveServer,
    settings: Value,
    storage: GoogleDrive,
}

fn open_at(settings: &Value, patience: Patience) -> GoogleDrive {
    let mut storage = google_drive(&Host::real(), settings, Arc::new(KeptNowhere)).unwrap();
    storage.drive.account.http = storage.drive.account.http.with_patience(patience);
    storage
}

fn usual_patience() -> Patience {
    Patience { stall: Duration::from_secs(5), answer: Duration::from_secs(10) }
}

impl Trial {
    fn start() -> Self {
        let cloud = GoogleDriveServer::start();
        let settings = json!({
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": cloud.account.oauth.link(),
            "folder": "Shops/it's ours",
            "endpoint": cloud.server.url(),
            "ca_file": authority(),
        });
        let storage = open_at(&settings, usual_patience());
        Self { cloud, settings, storage }
    }

    /// The same storage as a process sees it that was started anew.
    fn again(&self) -> GoogleDrive {
        open_at(&self.settings, usual_patience())
    }

    async fn read(&self, name: &str) -> Option<Vec<u8>> {
        (&self.again() as &dyn Storage).read_small(&name_of(name), 64 << 20).await.unwrap()
    }

    /// The statuses of the answers to requests of a method whose target holds a text.
    fn statuses(&self, method: &str, contains: &str) -> Vec<u16> {
        let seen = self.cloud.server.seen().into_iter();
        let meant = seen.filter(|seen| seen.method == method && seen.target.contains(contains));
        meant.map(|seen| seen.status).collect()
    }

    /// The id of the folder in which everything is kept.
    fn base(&self) -> String {
        self.cloud.account.named("it's ours").remove(0)
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
    trial.cloud.account.set_page_entries(3);
    keeps_the_contract(&trial.storage, "Google Drive").await;
    assert_eq!(trial.cloud.account.count(), 2, "the folder of the settings alone is left");
    assert_eq!(trial.cloud.account.oauth.renewals(), 1);
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && properties.deletes && properties.resumes && !properties.is_local);
    let pages = trial.cloud.server.seen().iter().filter(|seen| seen.target.contains("pageToken=")).count();
    assert!(pages > 0, "the contract is to see lists of several pages");
}

#[tokio::test]
async fn a_shared_drive_keeps_the_contract() {
    let mut trial = Trial::start();
    trial.settings["shared_drive"] = json!(SHARED_DRIVE);
    let storage = trial.again();
    keeps_the_contract(&storage, "a shared drive").await;
    assert_eq!(storage.free_bytes().await.unwrap(), None);
    assert_eq!(trial.cloud.account.folder_of(&trial.cloud.account.named("Shops")[0]).unwrap(), SHARED_DRIVE);
}

#[tokio::test]
async fn long_parts_go_in_pieces_and_are_confirmed_by_their_hash() {
    let trial = Trial::start();
    let (part, upload) = (Spooled::new((20 << 20) + 5), Remembered::default());
    assert_eq!(part.prove(&trial.storage, "a/long", &upload).await.unwrap(), Proof::ProviderHash);
    assert_eq!(trial.statuses("PUT", "upload_id="), [308, 308, 200]);
    let pieces: Vec<_> = trial.cloud.server.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
    let ranges: Vec<_> = pieces.iter().filter_map(|piece| piece.header("content-range")).collect();
    assert_eq!(
        ranges,
        ["bytes 0-8388607/20971525", "bytes 8388608-16777215/20971525", "bytes 16777216-20971524/20971525"]
    );
    assert!(trial.read("a/long").await == Some(part.bytes));
    assert_eq!(trial.cloud.account.open_sessions(), 0);
}

#[tokio::test]
async fn a_service_that_keeps_less_of_a_piece_gets_the_rest_again() {
    let trial = Trial::start();
    trial.cloud.account.set_kept_of_a_piece(Some(2 << 20));
    let part = Spooled::new((7 << 20) + 77);
    part.put(&trial.storage, "part", &Remembered::default()).await.unwrap();
    assert_eq!(trial.statuses("PUT", "upload_id="), [308, 308, 308, 200]);
    assert!(trial.read("part").await == Some(part.bytes));
    trial.cloud.account.set_kept_of_a_piece(Some(0));
    let error = Spooled::new(5 << 20).put(&trial.storage, "other", &Remembered::default()).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
}

/// F98: folders of one name are one, and writing goes into the oldest.
#[tokio::test]
async fn folders_of_one_name_are_read_as_one() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/one"), b"1").await.unwrap();
    let account = &trial.cloud.account;
    let first = account.named("shop").remove(0);
    let second = account.add_folder(Some(&trial.base()), "shop");
    account.add_file(&second, "two", b"22");
    let deep = account.add_folder(Some(&second), "deep");
    account.add_file(&deep, "three", b"333");
    for storage in [&trial.storage, &trial.again()] {
        let found = storage.list(Some(&name_of("shop"))).await.unwrap();
        let found: Vec<_> = found.iter().map(|facts| (facts.name.as_str(), facts.size_bytes)).collect();
        assert_eq!(found, [("shop/deep/three", 3), ("shop/one", 1), ("shop/two", 2)]);
        assert_eq!(storage.read_range(&name_of("shop/two"), 0, 9).await.unwrap(), b"22");
        assert_eq!(storage.read_range(&name_of("shop/deep/three"), 1, 9).await.unwrap(), b"33");
    }
    trial.again().put_small(&name_of("shop/four"), b"4").await.unwrap();
    assert_eq!(account.folder_of(&account.named("four")[0]), Some(first));
    let taken = trial.again().put_small(&name_of("shop/two"), b"other").await;
    assert!(is_conflict(&taken), "{taken:?}");
}

/// F98: of files with one name and the same bytes one counts; different bytes are a conflict that nobody settles by guessing.
#[tokio::test]
async fn files_of_one_name_count_once_or_are_a_conflict() {
    let trial = Trial::start();
    let (storage, name) = (&trial.storage, name_of("shop/twin"));
    storage.put_small(&name, b"same").await.unwrap();
    let account = &trial.cloud.account;
    let folder = account.named("shop").remove(0);
    account.add_file(&folder, "twin", b"same");
    assert_eq!(storage.list(None).await.unwrap().len(), 1);
    assert_eq!(storage.stat(&name).await.unwrap().unwrap().size_bytes, 4);
    storage.put_small(&name, b"same").await.unwrap();
    assert_eq!(account.named("twin").len(), 2);

    let other = account.add_file(&folder, "twin", b"else");
    assert!(is_conflict(&storage.stat(&name).await));
    assert!(is_conflict(&storage.list(None).await));
    assert!(is_conflict(&storage.read_range(&name, 0, 1).await));
    assert!(is_conflict(&storage.put_small(&name, b"same").await));
    account.remove(&other);
    assert!(storage.stat(&name).await.unwrap().is_some());

    account.add_file(&folder, "twin", b"else");
    let part = Spooled::new(100);
    part.replace(storage, "shop/twin").await.unwrap();
    assert!(trial.read("shop/twin").await == Some(part.bytes));
    assert_eq!(account.named("twin").len(), 1, "replacing leaves one");
    account.add_file(&folder, "twin", b"else");
    storage.delete(&name).await.unwrap();
    assert!(account.named("twin").is_empty() && account.named("shop").is_empty());
}

/// Two that put different bytes under one name at the same time never leave one of them by chance.
#[tokio::test]
async fn of_two_at_the_same_time_none_is_left_beside_the_other() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/before"), b"").await.unwrap();
    for round in 0..5 {
        let name = name_of(&format!("shop/race-{round}"));
        let (one, other) = (trial.again(), trial.again());
        let (first, second) = tokio::join!(one.put_small(&name, b"one"), other.put_small(&name, b"two"));
        let seen = trial.storage.stat(&name).await.unwrap();
        assert!(first.is_err() || second.is_err(), "both think that theirs is there");
        assert_eq!(seen.is_some(), first.is_ok() || second.is_ok());
    }
}

#[tokio::test]
async fn what_is_none_of_ours_is_passed_over() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/file"), b"x").await.unwrap();
    let account = &trial.cloud.account;
    let folder = account.named("shop").remove(0);
    // A slash is a letter to Drive; capital letters are small ones when it is asked for a name.
    account.add_file(&trial.base(), "shop/file", b"other");
    account.add_file(&folder, "FILE", b"capital");
    account.add_document(&folder, "file");
    account.trash(&account.add_file(&folder, "file", b"trashed"));
    account.trash(&account.add_folder(Some(&trial.base()), "shop"));
    let found = trial.storage.list(None).await.unwrap();
    let found: Vec<_> = found.iter().map(|facts| facts.name.as_str()).collect();
    assert_eq!(found, ["shop/FILE", "shop/file"]);
    assert_eq!(trial.read("shop/file").await.unwrap(), b"x");
    trial.storage.delete(&name_of("shop/file")).await.unwrap();
    assert_eq!(trial.read("shop/FILE").await.unwrap(), b"capital");
}

#[tokio::test]
async fn a_list_asks_about_many_folders() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("many/x"), b"").await.unwrap();
    let folder = trial.cloud.account.named("many").remove(0);
    for number in 0..120 {
        let below = trial.cloud.account.add_folder(Some(&folder), &format!("{number:03}"));
        trial.cloud.account.add_file(&below, "file", b"1");
    }
    trial.cloud.server.clear();
    assert_eq!(trial.storage.list(Some(&name_of("many"))).await.unwrap().len(), 121);
    let requests = trial.cloud.server.seen().len();
    assert!(requests < 12, "{requests} requests for 120 folders");
}

/// A folder that goes to the trash, or away, while an upload is under way is made anew; nothing is lost in the trash.
#[tokio::test]
async fn a_folder_that_went_away_is_made_anew() {
    let trial = Trial::start();
    for (is_trashed, size_bytes) in [(true, 100), (true, 5 << 20), (false, 100), (false, 5 << 20)] {
        trial.storage.put_small(&name_of("shop/before"), b"x").await.unwrap();
        let account = trial.cloud.account.clone();
        let folder = account.named("shop").pop().unwrap();
        let upload =
            Hook::at(0, move || if is_trashed { account.trash(&folder) } else { account.remove(&folder) });
        let part = Spooled::new(size_bytes);
        part.put(&trial.storage, "shop/part", &upload).await.unwrap();
        assert!(trial.read("shop/part").await == Some(part.bytes));
        trial.storage.delete(&name_of("shop/part")).await.unwrap();
        assert!(trial.storage.list(None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_folder_in_which_something_appears_is_not_removed() {
    let trial = Trial::start();
    trial.storage.put_small(&name_of("shop/deep/file"), b"x").await.unwrap();
    let account = trial.cloud.account.clone();
    let folder = account.named("deep").remove(0);
    account.add_document(&folder, "a document of somebody");
    trial.storage.delete(&name_of("shop/deep/file")).await.unwrap();
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 0);
    assert_eq!(account.named("deep"), [folder.as_str()]);
    account.remove(&account.named("a document of somebody")[0]);
    account.add_file(&folder, "backstock-probe-0123", b"of a test that died");
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 1);
    assert!(account.named("deep").is_empty());
}

#[tokio::test]
async fn what_is_said_of_a_file_is_what_proves_it() {
    let trial = Trial::start();
    for (sha256, md5, first, second) in [
        (true, false, Proof::ProviderHash, Proof::ProviderHash),
        (false, true, Proof::ProviderHash, Proof::ProviderHash),
        (false, false, Proof::Size, Proof::ReadBack),
    ] {
        trial.cloud.account.set_hashes(sha256, md5);
        for size_bytes in [1000, 5 << 20] {
            let part = Spooled::new(size_bytes);
            let name = format!("{sha256}-{md5}-{size_bytes}");
            assert_eq!(part.prove(&trial.storage, &name, &InOneGo).await.unwrap(), first);
            assert_eq!(part.prove(&trial.storage, &name, &InOneGo).await.unwrap(), second);
            let other = Spooled::new(size_bytes).put(&trial.storage, &name, &InOneGo).await;
            assert!(is_conflict(&other), "{other:?}");
        }
    }
}

#[tokio::test]
async fn the_room_is_told_where_there_is_a_limit() {
    let trial = Trial::start();
    assert_eq!(trial.storage.free_bytes().await.unwrap(), None);
    trial.cloud.account.set_quota(Some(1000));
    trial.storage.put_small(&name_of("a"), &[7; 100]).await.unwrap();
    assert_eq!(trial.storage.free_bytes().await.unwrap(), Some(900));
}

#[tokio::test]
async fn it_is_linked_with_an_account_by_the_owners_yes() {
    let trial = Trial::start();
    let link = link(&Host::real(), &trial.settings).unwrap();
    let (address, pending) = link.authorization_url(Some(&link.manner().redirect(8765))).unwrap();
    let act = Act { verb: "open", name: "the page" };
    let http = trial.storage.drive.http();
    let answer = http.send(act, http.request(Method::GET, address.parse().unwrap())).await.unwrap();
    let back: reqwest::Url = answer.header("location").unwrap().parse().unwrap();
    let asked = |name: &str| back.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
    let code = Secret::new(asked("code"));
    let linked = link.exchange(&pending, &code, Some(&asked("state"))).await.unwrap();
    let mut settings = trial.settings.clone();
    settings["refresh_token"] = json!(linked.secrets["refresh_token"].expose());
    open_at(&settings, usual_patience()).put_small(&name_of("a"), b"x").await.unwrap();
}

#[test]
fn settings_that_cannot_be_used_say_why() {
    let settings = json!({
        "client_id": "id", "client_secret": "geheim", "refresh_token": "1//hunter2", "folder": "Backups",
    });
    let open = |settings: &Value| google_drive(&Host::real(), settings, Arc::new(KeptNowhere));
    open(&settings).unwrap();
    for (key, value, problem) in [
        ("client_id", json!(""), "client_id"),
        ("client_secret", json!(""), "client_secret"),
        ("refresh_token", json!("ya29.hunter2"), "refresh_token"),
        ("folder", json!("a/../b"), "folder"),
        ("folder", json!(""), "folder"),
        ("endpoint", json!("http://example.com"), "endpoint"),
        ("ca_file", json!("/missing.pem"), "ca_file"),
        ("unknown", json!(5), "unknown"),
    ] {
        let mut settings = settings.clone();
        settings[key] = value;
        let error = open(&settings).unwrap_err().to_string();
        assert!(error.contains(problem), "{key}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("geheim"), "{error}");
    }
}
