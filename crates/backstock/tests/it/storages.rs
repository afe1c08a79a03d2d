//! Storages by the command line: defined, tried, listed, forgotten; what is wrong with one is said before it is kept.

use std::fs;

use backstock_testbed::storages::sftp::{PASSWORD, SftpServer};

use super::harness::Place;
use super::sealed::every_file;

fn add(place: &Place, title: &str, folder: &str, more: &[&str]) -> super::harness::Run {
    let folder = format!("folder={}", place.folder().join(folder).display());
    let arguments = ["storage", "add", title, "--kind", "local", "--set", folder.as_str()];
    place.run(&[&arguments, more].concat())
}

fn titles(place: &Place) -> Vec<String> {
    let listed = place.run(&["storage", "list", "--json"]).expect(0).json();
    assert_eq!(listed["schema"], "backstock.storage-list/1");
    let storages = listed["storages"].as_array().unwrap();
    storages.iter().map(|storage| storage["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_storage_is_tried_before_it_is_kept_and_forgotten_when_nothing_is_there() {
    let place = Place::new();
    let added = add(&place, "second disk", "disk", &["--json"]).expect(0).json();
    assert_eq!(added["schema"], "backstock.storage-add/1");
    assert_eq!((&added["test"]["deletes"], &added["test"]["resumes"]), (&true.into(), &true.into()));
    assert!(added["test"]["free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(titles(&place), ["second disk"]);
    // The test leaves nothing behind.
    assert_eq!(fs::read_dir(place.folder().join("disk")).unwrap().count(), 0);
    let tested = place.run(&["storage", "test", "second disk"]).expect(0);
    assert!(tested.stdout.contains("written, read back, listed, written over and deleted"), "{tested:?}");
    let declined = place.run(&["storage", "remove", "second disk"]);
    declined.expect_error(2, &["there is nobody to ask"]);
    place.run(&["storage", "remove", "second disk", "--yes"]).expect(0);
    assert_eq!(titles(&place), [""; 0]);
    place.run(&["storage", "test", "second disk"]).expect_error(10, &["no storage called second disk"]);
}

#[test]
fn a_storage_that_makes_no_sense_is_refused_by_name() {
    let place = Place::new();
    add(&place, "disk", "disk", &[]).expect(0);
    add(&place, "disk", "other", &[]).expect_error(15, &["another storage has this title"]);
    add(&place, "again", "disk", &[]).expect_error(15, &["it is the storage disk once more"]);
    add(&place, " ", "blank", &[]).expect_error(15, &["a title has 1 to 64 characters"]);
    add(&place, "odd", "odd", &["--set", "colour=red"]).expect_error(15, &["no setting called colour"]);
    add(&place, "odd", "odd", &["--set", "colour"]).expect_error(2, &["NAME=VALUE"]);
    add(&place, "web", "public_html/backups", &[]).expect_error(15, &["public_html"]);
    let arguments = ["storage", "add", "tape", "--kind", "tape"];
    place.run(&arguments).expect_error(10, &["no kind of storage called tape", "known are local, s3"]);
    let relative = ["storage", "add", "here", "--kind", "local", "--set", "folder=here"];
    assert_ne!(place.run(&relative).code, Some(0));
    // A place that cannot be written to is not kept.
    fs::write(place.folder().join("file"), "").unwrap();
    let broken = add(&place, "broken", "file/below", &[]);
    assert!(matches!(broken.code, Some(1 | 14)), "{broken:?}");
    assert_eq!(titles(&place), ["disk"]);
}

#[test]
fn a_storage_with_backups_is_not_forgotten() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir(&shop).unwrap();
    fs::write(shop.join("page"), "hello").unwrap();
    place.run(&["backup", shop.to_str().unwrap()]).expect(0);
    let [title] = &titles(&place)[..] else { panic!("{:?}", titles(&place)) };
    let listed = place.run(&["storage", "list", "--json"]).expect(0).json();
    assert_eq!(listed["storages"][0]["replicas"], 1);
    let removed = place.run(&["storage", "remove", title, "--yes"]);
    removed.expect_error(15, &["holds backups"]);
    place.run(&["verify", "latest"]).expect(0);
}

#[test]
fn kinds_explain_themselves() {
    let place = Place::new();
    let kinds = place.run(&["storage", "kinds"]).expect(0);
    assert!(kinds.stdout.contains("local  Folder on this machine"), "{kinds:?}");
    assert!(kinds.stdout.contains("The folder, as an absolute path."), "{kinds:?}");
    let document = place.run(&["storage", "kinds", "local", "--json"]).expect(0).json();
    assert_eq!(document["kinds"][0]["settings"]["properties"]["folder"]["type"][0], "string");
    place.run(&["storage", "kinds", "tape"]).expect_error(10, &["known are local, s3"]);
}

/// F95: nobody signs in at a server that no one has vouched for; the password is sealed and shown nowhere.
#[test]
fn f95_a_server_is_vouched_for_before_anyone_signs_in_and_secrets_stay_sealed() {
    let Some(server) = SftpServer::for_test() else { return };
    let place = Place::new();
    fs::write(place.folder().join("password"), format!("{PASSWORD}\n")).unwrap();
    fs::write(place.folder().join("key"), server.user_key()).unwrap();
    let secret = if server.has_passwords() { "password=password" } else { "private_key=key" };
    let (port, user) = (format!("port={}", server.port()), format!("user={}", server.user()));
    let add = |title: &str, more: &[&str]| {
        let arguments =
            ["storage", "add", title, "--kind", "sftp", "--set", "host=127.0.0.1", "--set", &port];
        let settings = ["--set", &user, "--set", "folder=backups", "--secret-file", secret];
        place.run(&[&arguments[..], &settings, more].concat())
    };
    let pinned = format!("host_key={}", server.host_key());
    add("away", &[]).expect_error(2, &["nobody has vouched for", pinned.as_str()]);
    let other = "host_key=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    add("away", &["--set", other]).expect_error(14, &["cannot be trusted"]);
    assert_eq!(titles(&place), [""; 0]);
    add("away", &["--set", &pinned]).expect(0);
    let tested = place.run(&["storage", "test", "away"]).expect(0);
    let listed = place.run(&["storage", "list", "--json"]).expect(0);
    assert_eq!(listed.json()["storages"][0]["has_secrets"], true);
    let key = server.user_key();
    let line = key.lines().nth(1).unwrap();
    for run in [&tested, &listed] {
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains(PASSWORD) && !told.contains(line), "{told}");
    }
    for file in every_file(&place.state()) {
        let bytes = fs::read(&file).unwrap();
        let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds(PASSWORD) && !holds(line), "{}", file.display());
    }
    // A secret is no argument.
    let told = add("argued", &["--set", &pinned, "--set", "password=x"]);
    told.expect_error(15, &["password is a secret"]);
}
