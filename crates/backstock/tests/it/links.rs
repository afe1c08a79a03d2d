//! Clouds linked with their accounts by the owner's yes in a browser; links that were taken back, and made anew.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use backstock_testbed::clouds::browser::{self, Page};
use backstock_testbed::clouds::google_drive::CLIENT_ID;
use backstock_testbed::clouds::oauth::OAuth;
use backstock_testbed::clouds::onedrive::OneDriveServer;
use serde_json::Value;

use super::away::Away;
use super::harness::{Place, Run};
use super::sealed::{every_file, folder_of_files, give_key};

/// A run that has printed the address for the owner, and waits.
pub(super) struct Linking {
    child: Option<Child>,
    said: String,
    pub(super) address: String,
}

impl Linking {
    pub(super) fn begin(place: &Place, arguments: &[&str]) -> Self {
        let child = place.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut linking = Self { child: Some(child), said: String::new(), address: String::new() };
        loop {
            let mut line = Vec::new();
            let stderr = linking.child.as_mut().and_then(|child| child.stderr.as_mut()).unwrap();
            // Byte by byte: what comes after the address is read at the end.
            while !line.ends_with(b"\n") {
                let mut byte = [0];
                assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it printed no address: {}", linking.said);
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).unwrap();
            linking.said.push_str(&line);
            if line.starts_with("http") {
                line.trim_end().clone_into(&mut linking.address);
                return linking;
            }
        }
    }

    /// Opens the address, as the owner does.
    pub(super) fn open(&self) -> Page {
        browser::open(&self.address)
    }

    /// What it was told on standard input, and how it ended.
    pub(super) fn pasted(mut self, line: &str) -> Run {
        let mut stdin = self.child.as_mut().unwrap().stdin.take().unwrap();
        writeln!(stdin, "{line}").unwrap();
        drop(stdin);
        self.end()
    }

    /// Sends it a signal.
    pub(super) fn signal(&mut self, signal: rustix::process::Signal) {
        let child = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(child, signal).unwrap();
    }

    pub(super) fn end(mut self) -> Run {
        let mut run = Run::of(&self.child.take().unwrap().wait_with_output().unwrap());
        run.stderr.insert_str(0, &self.said);
        run
    }
}

impl Drop for Linking {
    /// A test that failed leaves nobody waiting.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `storage add` without a refresh token, up to the address.
fn add(place: &Place, away: &Away, more: &[&str]) -> Linking {
    let arguments = away.unlinked(place, &["storage", "add"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Linking::begin(place, &arguments)
}

/// What is in the address line behind the question mark, by name.
fn asked(address: &str, name: &str) -> String {
    let url = url::Url::parse(address).unwrap();
    url.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned()
}

fn listed(place: &Place) -> Vec<Value> {
    let run = place.run(&["storage", "list", "--json"]).expect(0).json();
    run["storages"].as_array().unwrap().clone()
}

/// The folder that a set has at every place.
fn listed_set_folder(place: &Place, root: &str) -> String {
    let shown = place.run(&["set", "show", root, "--json"]).expect(0).json();
    shown["sets"][0]["folder"].as_str().unwrap().to_owned()
}

/// The state of the link of the only cloud.
pub(super) fn link_state(place: &Place) -> Value {
    let listed = listed(place);
    let mut links = listed.iter().map(|storage| &storage["link"]).filter(|link| !link.is_null());
    links.next().map_or(Value::Null, |link| link["state"].clone())
}

/// Nothing that lets anybody in is printed, or lies in the state folder as it is.
pub(super) fn require_secret(place: &Place, run: &Run, state: &str) {
    let told = format!("{}{}", run.stdout, run.stderr.replace(&format!("state={state}"), ""));
    for word in ["code-", "refresh-", state] {
        assert!(!told.contains(word), "{word} is in {told}");
        for file in every_file(&place.state()) {
            let bytes = fs::read(&file).unwrap();
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{}", file.display());
        }
    }
}

#[test]
fn a_cloud_that_sends_the_browser_back_is_linked_while_it_is_defined() {
    for away in [Away::google_drive(), Away::onedrive()] {
        let place = Place::new();
        let linking = add(&place, &away, &["--json"]);
        let state = asked(&linking.address, "state");
        let page = linking.open();
        assert_eq!(page.status, Some(200), "{page:?}");
        assert!(page.text.contains("may close this window") && !page.text.contains("code-"), "{page:?}");
        let run = linking.end().expect(0);
        let added = run.json();
        assert_eq!((&added["link"]["state"], &added["test"]["deletes"]), (&"ok".into(), &true.into()));
        require_secret(&place, &run, &state);
        let tested = place.run(&["storage", "test", away.title]).expect(0);
        assert!(tested.stdout.contains("written, read back, listed, written over and deleted"), "{tested:?}");
        assert_eq!(link_state(&place), "ok");
    }
}

#[test]
fn a_cloud_that_shows_a_code_is_linked_by_pasting_it() {
    let away = Away::dropbox();
    let place = Place::new();
    // From a file that is there later.
    let linking = add(&place, &away, &["--code-file", "code"]);
    assert!(!linking.address.contains("redirect_uri"), "{}", linking.address);
    let state = asked(&linking.address, "state");
    let code = linking.open().text;
    fs::write(place.folder().join("code"), format!("{code}\n")).unwrap();
    let run = linking.end().expect(0);
    require_secret(&place, &run, &state);
    assert_eq!(link_state(&place), "ok");
    // A code is good once, and for who asked for it; what was there stays.
    let linking = Linking::begin(&place, &["storage", "link", "dropbox", "--code-file", "-"]);
    linking.pasted(&code).expect_error(14, &["invalid_grant"]);
    let linking = Linking::begin(&place, &["storage", "link", "dropbox", "--code-file", "-"]);
    linking.pasted("").expect_error(2, &["was not given"]);
    place.run(&["storage", "test", "dropbox"]).expect(0);
    // One that was shown too long ago.
    away.account(|account| account.set_code_lifetime(Duration::ZERO));
    let linking = Linking::begin(&place, &["storage", "link", "dropbox", "--code-file", "-"]);
    let code = linking.open().text;
    linking.pasted(&code).expect_error(14, &["expired"]);
    away.account(|account| account.set_code_lifetime(Duration::from_secs(60)));
    // With an address that is registered, to the letter.
    let redirect = ["storage", "link", "dropbox", "--redirect"];
    place.run(&redirect).expect_error(2, &["registered with the application", "--port"]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    away.account(|account| account.register(&format!("http://localhost:{port}/")));
    let linking = Linking::begin(&place, &[&redirect[..], &["--port", &port.to_string()]].concat());
    assert_eq!(linking.open().status, Some(200));
    linking.end().expect(0);
    // Nobody is there to paste.
    place.run(&["storage", "link", "dropbox"]).expect_error(2, &["nobody to paste", "--code-file"]);
}

#[test]
fn where_the_browser_is_elsewhere_its_last_address_is_pasted() {
    let away = Away::google_drive();
    let place = Place::new();
    let paste = ["--paste", "--code-file", "-"];
    let linking = add(&place, &away, &paste);
    let page = linking.open();
    assert_eq!(page.status, None, "nothing answers there: {page:?}");
    let first = page.address;
    linking.pasted(&first).expect(0);
    // The address of another try, one without its state, a code alone.
    let link = || Linking::begin(&place, &[&["storage", "link", "drive"][..], &paste].concat());
    link().pasted(&first).expect_error(2, &["does not belong to the link"]);
    let linking = link();
    let there = linking.open().address;
    linking.pasted(&there.replace("state=", "other=")).expect_error(2, &["does not belong to the link"]);
    let linking = link();
    let code = asked(&linking.open().address, "code");
    linking.pasted(&code).expect_error(2, &["all of what the browser shows"]);
    let linking = link();
    let there = linking.open().address;
    linking.pasted(&there).expect(0);
    place.run(&["storage", "test", "drive"]).expect(0);
}

/// What else finds the port ends nothing; what the owner refuses is named, and nothing is defined then.
#[test]
fn a_strange_request_ends_nothing_and_a_no_is_named() {
    let away = Away::google_drive();
    let place = Place::new();
    let linking = add(&place, &away, &[]);
    let back = asked(&linking.address, "redirect_uri");
    for (strange, status) in [("?code=x&state=y", 400), ("favicon.ico", 404), ("", 400)] {
        assert_eq!(browser::open(&format!("{back}{strange}")).status, Some(status), "{strange}");
    }
    away.account(|account| account.set_declines(true));
    let page = linking.open();
    assert!(page.text.contains("access_denied"), "{page:?}");
    linking.end().expect_error(2, &["Google says: access_denied", "nothing was changed"]);
    assert!(listed(&place).is_empty());
    away.account(|account| account.set_declines(false));
    // What is wrong with a definition is said before anybody opens a browser.
    let mut arguments = away.unlinked(&place, &["storage", "add"]);
    arguments.extend(["--set", "colour=red"].map(str::to_owned));
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.run(&words).expect_error(15, &["no setting called colour"]);
    Away::folder(&place.folder().join("disk")).typed(&place, &["storage", "add"], &[]).expect(0);
    place.run(&["storage", "link", "disk"]).expect_error(15, &["is not linked with an account"]);
    place.run(&["storage", "link", "nothing"]).expect_error(10, &["no storage called nothing"]);
    place.run(&["storage", "link", "disk", "--paste", "--redirect"]).expect(2);
}

/// F88: a link that was taken back is a state: other destinations go on, everything says so, and it clears when it is made anew.
#[test]
fn f88_a_link_that_was_taken_back_is_told_made_anew_and_caught_up() {
    let away = Away::google_drive();
    let place = Place::new();
    let root = folder_of_files(&place);
    away.add(&place, &root, &[]);
    Away::folder(&place.folder().join("disk")).add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let id = listed(&place).iter().find(|storage| storage["title"] == "drive").unwrap()["id"].clone();
    away.account(OAuth::revoke);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    let run = place.run(&["backup", &root, "--level", "incremental", "--json"]).expect(3);
    let told = run.json()["destinations"].clone();
    let of =
        |title: &str| told.as_array().unwrap().iter().find(|row| row["storage"] == title).unwrap().clone();
    assert_eq!((&of("disk")["outcome"], &of("drive")["outcome"]), (&"success".into(), &"failed".into()));
    assert_eq!((&of("drive")["link"], &of("disk")["link"]), (&"revoked".into(), &Value::Null));
    assert!(of("drive")["problem"].as_str().unwrap().contains("its link is revoked"), "{told}");
    assert!(of("drive")["hint"].as_str().unwrap().contains("backstock storage link drive"), "{told}");
    // From now on it is said by whatever has to do with it.
    assert_eq!(link_state(&place), "revoked");
    for arguments in [&["list"][..], &["replicate", &root], &["backup", &root, "--dry-run"]] {
        let run = place.run(arguments);
        assert!(run.stderr.contains("the link of the storage drive is revoked since"), "{run:?}");
    }
    let shown = place.run(&["set", "show", &root]).expect(0);
    assert!(shown.stdout.contains("drive (link revoked since"), "{}", shown.stdout);
    place.run(&["storage", "test", "drive"]).expect_error(14, &["has ended", "backstock storage link"]);
    let due = place.run(&["storage", "test", "--due"]).expect(3);
    assert!(due.stdout.contains("the link is revoked since"), "{due:?}");
    assert!(due.stderr.contains("refresh token is invalid or revoked"), "in the provider's words: {due:?}");
    // Made anew it is the same storage, which gets what it lacks.
    let linking = Linking::begin(&place, &["storage", "link", "drive", "--json"]);
    assert_eq!(linking.open().status, Some(200));
    let linked = linking.end().expect(0).json();
    assert_eq!(
        (&linked["schema"], &linked["link"]["state"]),
        (&"backstock.storage-link/1".into(), &"ok".into())
    );
    let again = listed(&place).iter().find(|storage| storage["title"] == "drive").unwrap().clone();
    assert_eq!((&again["id"], &again["replicas"]), (&id, &1.into()));
    let run = place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    assert!(!run.stderr.contains("the link of"), "{}", run.stderr);
    let shown = place.run(&["set", "show", &root, "--json"]).expect(0).json();
    let row = &shown["sets"][0]["destinations"][0];
    assert_eq!((&row["held"], &row["owed"], &row["link"]["state"]), (&3.into(), &0.into(), &"ok".into()));
}

/// Links are tried when nobody has used them for a day; those that die by themselves are told with the day.
#[test]
fn links_are_tried_daily_and_those_about_to_die_are_told() {
    let place = Place::new();
    place.run(&["storage", "test", "--due"]).expect(4);
    let away = Away::google_drive();
    away.typed(&place, &["storage", "add"], &[]).expect(0);
    place.run(&["storage", "test", "--due"]).expect(4);
    let due = place.run_at(25, &["storage", "test", "--due", "--json"]).expect(0).json();
    assert_eq!(due["schema"], "backstock.storage-test-due/1");
    assert_eq!(
        (&due["links"][0]["was_tried"], &due["links"][0]["link"]["state"]),
        (&true.into(), &"ok".into())
    );
    // As Google does while a consent screen is in "Testing": the link dies after seven days.
    away.account(|account| account.set_refresh_lifetime(Some(Duration::from_secs(7 * 86_400))));
    let linking = Linking::begin(&place, &["storage", "link", "drive"]);
    linking.open();
    let run = linking.end().expect(0);
    assert!(run.stderr.contains("warning: the link of the storage drive is expiring: ends on"), "{run:?}");
    assert_eq!(link_state(&place), "expiring");
    let run = place.run_at(50, &["storage", "test", "--due"]).expect(3);
    assert!(run.stdout.contains("expiring: ends on"), "{run:?}");
    away.account(OAuth::revoke);
    place.run_at(80, &["storage", "test", "--due"]).expect(3);
    assert_eq!(link_state(&place), "revoked");
    place.run(&["storage", "test", "drive", "--due"]).expect(2);
    place.run(&["storage", "test"]).expect(2);
}

/// What an application does not see may be there all the same: the client id is named, kept in the kit, and never "no backups" said.
#[test]
fn nothing_to_be_seen_by_a_client_is_not_nothing_there() {
    let place = Place::new();
    let empty = Away::google_drive();
    let linking = {
        let arguments = empty.unlinked(&place, &["recover"]);
        Linking::begin(&place, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    linking.open();
    let words = format!("nothing visible to client {CLIENT_ID}");
    linking.end().expect_error(10, &[&words, "recovery kit"]);

    let place = Place::new();
    let root = folder_of_files(&place);
    give_key(&place, &[]);
    let away = Away::onedrive();
    away.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let kit = place.run(&["key", "kit"]).expect(0).stdout;
    let client = backstock_testbed::clouds::onedrive::CLIENT_ID;
    let words = format!("recover <title> --kind onedrive --set client_id={client} --set folder=shops");
    assert!(kit.contains(&words) && kit.contains("Only this client id sees them"), "{kit}");
    let server: &OneDriveServer = away.cloud_server();
    place.run(&["storage", "test", "onedrive"]).expect(0);
    let other = Place::new();
    away.typed(&other, &["recover"], &[]).expect(0);
    let folder = listed_set_folder(&place, &root);
    let owner = format!("shops/{folder}/owner-1.json");
    assert!(server.account.bytes(&owner).is_some());
    server.account.remove("shops");
    let words = format!("nothing visible to client {client}");
    let tested = place.run(&["storage", "test", "onedrive"]).expect(3);
    assert!(tested.stderr.contains(&words), "{tested:?}");
    // As where another account is linked than the one that has them.
    let linking = Linking::begin(&place, &["storage", "link", "onedrive"]);
    linking.open();
    let linked = linking.end().expect(3);
    assert!(linked.stderr.contains(&words) && linked.stderr.contains("another account"), "{linked:?}");
    other.run(&["verify", "latest", "--level", "bytes"]).expect_error(14, &[&words, "recovery kit"]);
    // Nothing is begun anew there unless somebody says so.
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    let run = place.run(&["backup", &root, "--level", "full"]).expect(3);
    assert!(run.stderr.contains(&words), "{run:?}");
    assert_eq!(server.account.bytes(&owner), None);
    place.run(&["replicate", &root, "--take-over"]).expect(0);
    assert!(server.account.bytes(&owner).is_some());
}
