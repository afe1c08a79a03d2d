//! The Dropbox kind against a server that is as strict as the contract of the service, alone and with trouble ordered.

mod faults;
mod resume;

use std::time::Duration;

use backstock_testbed::clouds::authority;
use backstock_testbed::clouds::dropbox::{CLIENT_ID, DropboxServer};
use backstock_testbed::clouds::server::{Fault, Response};
use serde_json::{Value, json};

use super::*;
use crate::http::Patience;
use crate::oauth::trial::Keeper;
use crate::remote_tree::trial::{Remembered, Spooled, cause, keeps_the_contract};
use crate::{Cause, InOneGo, KeptNowhere};

struct Trial {
    server: DropboxServer,
    storage: Dropbox,
    keeper: Arc<Keeper>,
}

impl Trial {
    fn start() -> Self {
        Self::with_folder("/Shop One/ü+ 😀/")
    }

    fn with_folder(folder: &str) -> Self {
        let server = DropboxServer::start();
        let keeper = Keeper::of(&server.oauth().link());
        let storage = opened(&server, folder, &keeper);
        Self { server, storage, keeper }
    }

    /// The same place after a restart: nothing is remembered but what the keeper keeps.
    fn restart(&mut self) {
        let folder = self.storage.root.clone();
        self.storage = opened(&self.server, &folder, &self.keeper);
    }

    fn order(&self, route: &str, skip: u32, fault: Fault) {
        self.server.server().order("POST", route, skip, 1, fault);
    }

    /// How often a function was called.
    fn calls(&self, route: &str) -> usize {
        self.server.server().seen().iter().filter(|seen| seen.target == format!("/2/files/{route}")).count()
    }

    /// The bytes of the only file.
    fn only_file(&self) -> (String, Vec<u8>) {
        let files = self.server.files();
        let [(path, content)] = &files[..] else { panic!("{files:?}") };
        (path.clone(), std::fs::read(content).unwrap())
    }
}

fn settings(server: &DropboxServer, folder: &str, refresh_token: &str) -> Value {
    json!({
        "folder": folder, "client_id": CLIENT_ID, "refresh_token": refresh_token,
        "endpoint": server.server().url(), "ca_file": authority().to_str(),
    })
}

fn opened(server: &DropboxServer, folder: &str, keeper: &Arc<Keeper>) -> Dropbox {
    let settings = settings(server, folder, &keeper.token());
    let mut storage = dropbox(&Host::real(), &settings, keeper.clone()).unwrap();
    let patience = Patience { stall: Duration::from_secs(2), answer: Duration::from_secs(2) };
    storage.account.http = storage.account.http.clone().with_patience(patience);
    storage
}

fn name_of(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

/// An error as the service words it.
fn told(status: u16, summary: &str) -> Response {
    let tag = summary.split('/').next().unwrap_or_default();
    Response::json(status, &json!({ "error_summary": format!("{summary}/.."), "error": { ".tag": tag } }))
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for folder in ["", "/Shop One/ü+ 😀/"] {
        let trial = Trial::with_folder(folder);
        // Small pages, so that each list has several.
        trial.server.set_page_entries(3);
        keeps_the_contract(&trial.storage, folder).await;
        assert!(trial.server.files().is_empty(), "{:?}", trial.server.files());
        assert!(trial.calls("list_folder/continue") > 10);
        assert_eq!(trial.server.oauth().renewals(), 1, "one token is enough");
    }
}

#[tokio::test]
async fn it_says_what_it_can_do() {
    let trial = Trial::start();
    trial.server.set_quota(5_000_000);
    assert_eq!(trial.storage.free_bytes().await.unwrap(), Some(5_000_000));
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && properties.deletes && properties.resumes && !properties.is_local);
    assert_eq!(properties.largest_object_bytes, Some(LARGEST_OBJECT_BYTES));
    Spooled::new(1_000_000).put(&trial.storage, "a", &InOneGo).await.unwrap();
    assert_eq!(trial.storage.free_bytes().await.unwrap(), Some(4_000_000));
    // An application that may not ask about the account is none that cannot store.
    trial.order("get_space_usage", 0, Fault::Instead(told(401, "missing_scope")));
    trial.order("get_space_usage", 0, Fault::Instead(told(401, "missing_scope")));
    assert_eq!(trial.storage.free_bytes().await.unwrap(), None);
    // One that may not delete: a state, and no error.
    let denied = Response::json(
        409,
        &json!({
            "error_summary": "path_write/no_write_permission/.", "error": { ".tag": "path_write" },
        }),
    );
    trial.order("delete_v2", 0, Fault::Instead(denied.clone()));
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(properties.replaces && !properties.deletes);
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 1);
    // One that may not write over what is there; what it tried with goes.
    trial.order("files/upload", 1, Fault::Instead(denied));
    let properties = trial.storage.probe(None).await.unwrap();
    assert!(!properties.replaces && properties.deletes);
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 0);
}

#[tokio::test]
async fn a_part_up_to_a_piece_is_one_request_with_its_hash() {
    let trial = Trial::start();
    let spooled = Spooled::new(9_000_000);
    spooled.put(&trial.storage, "db/naïve 😀.sql", &InOneGo).await.unwrap();
    assert_eq!(trial.only_file(), ("/Shop One/ü+ 😀/db/naïve 😀.sql".to_owned(), spooled.bytes.clone()));
    let seen = trial.server.server().seen();
    let uploads: Vec<_> = seen.iter().filter(|seen| seen.target == "/2/files/upload").collect();
    let [upload] = &uploads[..] else { panic!("{uploads:?}") };
    let arguments = upload.header("dropbox-api-arg").unwrap();
    for text in ["\"mode\":\"add\"", "\"autorename\":false", "\"content_hash\":\"", "\\ud83d"] {
        assert!(arguments.contains(text), "{text}: {arguments}");
    }
    assert_eq!(upload.header("content-length"), Some("9000000"));
    assert_eq!(trial.calls("upload_session/start"), 0);
    // The same again is known by its hash, and nothing is sent.
    spooled.put(&trial.storage, "db/naïve 😀.sql", &InOneGo).await.unwrap();
    assert_eq!(trial.calls("upload"), 1);
}

/// To Dropbox, names in small and in large letters are the same.
#[tokio::test]
async fn a_name_in_other_letters_is_taken_and_no_other_object() {
    let trial = Trial::with_folder("Backups");
    trial.storage.put_small(&name_of("Set/Owner"), b"one").await.unwrap();
    for bytes in [b"one", b"two"] {
        let error = trial.storage.put_small(&name_of("Set/owner"), bytes).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
    }
    assert!(trial.storage.stat(&name_of("Set/owner")).await.unwrap().is_none());
    let missing = trial.storage.read_range(&name_of("Set/owner"), 0, 3).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    trial.storage.delete(&name_of("Set/owner")).await.unwrap();
    let error = Spooled::new(5).replace(&trial.storage, "Set/owner").await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(trial.storage.read_range(&name_of("Set/Owner"), 0, 3).await.unwrap(), b"one");
    // Somebody was faster with a name in other letters, and with the same bytes.
    trial.server.put("/backups/set/FASTER", b"same");
    let nothing = told(409, "path/not_found");
    trial.order("get_metadata", 0, Fault::Instead(nothing));
    let error = trial.storage.put_small(&name_of("Set/faster"), b"same").await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let listed: Vec<_> =
        trial.storage.list(None).await.unwrap().into_iter().map(|facts| facts.name).collect();
    assert_eq!(listed, [name_of("Set/FASTER"), name_of("Set/Owner")]);
}

#[tokio::test]
async fn a_list_has_all_its_pages_and_names_as_they_are_spelled() {
    let trial = Trial::with_folder("Backups/One");
    let mut wanted = Vec::new();
    for number in 0..60 {
        let name = format!("Set {}/Ü {number:03}.Zst", number % 3);
        trial.server.put(&format!("/backups/one/{name}"), b"12345");
        wanted.push(name_of(&name));
    }
    // None of ours, and not below our folder.
    trial.server.put("/backups/one/Set 1/.hidden", b"x");
    trial.server.put("/backups/onemore", b"x");
    wanted.sort();
    trial.server.set_page_entries(7);
    let found = trial.storage.list(None).await.unwrap();
    assert!(found.iter().all(|facts| facts.size_bytes == 5));
    assert_eq!(found.into_iter().map(|facts| facts.name).collect::<Vec<_>>(), wanted);
    assert_eq!(trial.calls("list_folder/continue"), 9);
    // The service forgets where the list was: it is begun anew, but not for ever.
    trial.order("list_folder/continue", 4, Fault::Instead(told(409, "reset")));
    let found = trial.storage.list(Some(&name_of("Set 1"))).await.unwrap();
    assert_eq!(found.len(), 20);
    trial.server.server().clear();
    trial.order("list_folder/continue", 2, Fault::Instead(told(409, "reset")));
    assert_eq!(trial.storage.list(None).await.unwrap().len(), 60);
    assert_eq!(trial.calls("list_folder"), 2);
    trial.server.server().order("POST", "list_folder/continue", 0, 3, Fault::Instead(told(409, "reset")));
    let error = trial.storage.list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
    let page = Response::json(200, &json!({ "entries": [], "cursor": "same", "has_more": true }));
    trial.server.server().order("POST", "list_folder/continue", 0, 3, Fault::Instead(page));
    let error = trial.storage.list(None).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Unexpected), "{error}");
}

#[tokio::test]
async fn only_what_holds_nothing_is_swept() {
    let trial = Trial::with_folder("Backups");
    for name in ["gone/db/x", "kept/db/x", "kept/files/x"] {
        trial.storage.put_small(&name_of(name), b"x").await.unwrap();
    }
    trial.server.put("/Backups/foreign/.sync", b"x");
    trial.storage.put_small(&name_of("kept/backstock-probe-0011"), b"x").await.unwrap();
    for name in ["gone/db/x", "kept/files/x"] {
        trial.storage.delete(&name_of(name)).await.unwrap();
    }
    assert_eq!(trial.storage.delete_leftovers(None).await.unwrap(), 1);
    assert_eq!(trial.server.folders(), ["/Backups", "/Backups/foreign", "/Backups/kept", "/Backups/kept/db"]);
    assert_eq!(trial.server.files().len(), 2);
}

/// Between our look and the deletion somebody has put something else there: it stays.
#[tokio::test]
async fn only_what_was_seen_is_deleted() {
    let trial = Trial::with_folder("");
    trial.storage.put_small(&name_of("x"), b"one").await.unwrap();
    let stale = json!({ ".tag": "file", "name": "x", "path_lower": "/x", "rev": "5e000000000", "size": 3 });
    trial.order("get_metadata", 0, Fault::Instead(Response::json(200, &stale)));
    let error = trial.storage.delete(&name_of("x")).await.unwrap_err();
    assert_eq!(cause(&error), Some(Cause::Busy), "{error}");
    assert_eq!(trial.only_file().1, b"one");
    trial.storage.delete(&name_of("x")).await.unwrap();
    assert!(trial.server.files().is_empty());
}

#[tokio::test]
async fn settings_that_cannot_be_used_say_why() {
    let server = DropboxServer::start();
    for (key, value, problem) in [
        ("folder", json!("a/../b"), "folder: "),
        ("client_id", json!(""), "client_id: "),
        (
            "refresh_token",
            json!("sl.u.geheim"),
            "this is an access token of Dropbox, which dies within hours; link",
        ),
        ("refresh_token", json!(""), "refresh_token: it is empty"),
        ("endpoint", json!("http://dropbox.example"), "endpoint: it is not encrypted"),
        ("ca_file", json!("/missing.pem"), "ca_file"),
        ("proxy", json!("::"), "proxy"),
        ("unknown", json!(5), "unknown"),
    ] {
        let mut settings = settings(&server, "x", "good");
        settings[key] = value;
        let error = open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap_err();
        assert!(matches!(error, Error::Settings { kind: "dropbox", .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(problem) && !text.contains("geheim"), "{key}: {text}");
    }
    let fields = KIND.fields();
    let secrets: Vec<_> = fields.iter().filter(|field| field.is_secret).map(|field| &field.name).collect();
    assert_eq!(secrets, ["refresh_token", "client_secret"]);
}

/// A storage is linked by its own settings, and then works with what came of that.
#[tokio::test]
async fn it_is_linked_with_an_account_by_a_code_that_is_copied() {
    let server = DropboxServer::start();
    let mut settings = settings(&server, "x", "");
    settings.as_object_mut().unwrap().remove("refresh_token");
    let of_kind = crate::StorageSettings { kind: "dropbox".into(), settings: settings.clone() };
    let link = crate::link(&Host::real(), &of_kind).unwrap().unwrap();
    assert_eq!(link.provider(), "Dropbox");
    let (url, pending) = link.authorization_url(None).unwrap();
    assert!(url.contains("token_access_type=offline"), "{url}");
    let ca_file = authority();
    let way = Way { ca_file: ca_file.to_str(), proxy: None };
    let http = Http::new(&Host::real(), way, String::new(), Vec::new()).unwrap();
    let act = crate::http::Act { verb: "say yes at", name: "" };
    let answer = http.send(act, http.request(reqwest::Method::GET, url.parse().unwrap())).await.unwrap();
    let code = String::from_utf8(http.read(act, answer, 100).await.unwrap()).unwrap();
    let linked = link.exchange(&pending, &Secret::new(code), None).await.unwrap();
    settings["refresh_token"] = linked.secrets["refresh_token"].expose().into();
    let storage = open(&Host::real(), &settings, Arc::new(KeptNowhere)).unwrap();
    storage.probe(None).await.unwrap();
}
