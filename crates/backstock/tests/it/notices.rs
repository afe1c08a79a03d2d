//! People are told: once when something begins, once when it is over, never what was told; and no work waits for a mail server.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use backstock_testbed::clouds::oauth::OAuth;
use backstock_testbed::mail::{MailManner, MailServer, PASSWORD, USER};

use super::away::Away;
use super::harness::{Place, Run};
use super::links::Linking;
use super::sealed::folder_of_files;

/// The configuration file that names a mail server, with its password in a file.
fn write(place: &Place, port: u16, encryption: &str) {
    let password = place.folder().join("mail-password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tls/authority.pem");
    let ca_file = if encryption == "none" { String::new() } else { format!("ca_file = \"{authority}\"\n") };
    let text = format!(
        "[[notifier]]\ntitle = \"owner\"\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\nencryption = \"{encryption}\"\n\
         {ca_file}user = \"{USER}\"\npassword_file = \"{}\"\nfrom = \"backstock@shop.example\"\nto = \"owner@shop.example\"\n",
        password.display()
    );
    fs::write(place.configuration(), text).unwrap();
}

/// F88, F100: a link that was taken back is told once, with what to do; its end too.
#[test]
fn a_link_that_was_taken_back_is_told_once_and_its_end_too() {
    let Some(mail) = MailServer::for_test(MailManner::Tls, true) else { return };
    let (away, place) = (Away::google_drive(), Place::new());
    let root = folder_of_files(&place);
    away.add(&place, &root, &[]);
    Away::folder(&place.folder().join("disk")).add(&place, &root, &[]);
    write(&place, mail.address().port(), "tls");
    place.run(&["notifier", "test"]).expect(0);
    place.run(&["backup", &root]).expect(0);
    assert_eq!(mail.messages().len(), 1, "the test alone: nothing is wrong");
    away.account(OAuth::revoke);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    let run = place.run(&["backup", &root]).expect(3);
    assert!(run.stderr.contains("owner was told"), "{run:?}");
    let messages = mail.messages();
    assert_eq!(messages.len(), 2, "one message of all of it: {messages:?}");
    let told = &messages[1];
    assert!(told.is_encrypted && told.to == ["owner@shop.example"], "{told:?}");
    for words in ["the link of the storage drive was taken back", "backstock storage link drive", "drive: "] {
        assert!(told.text.contains(words), "{words}: {told:?}");
    }
    assert!(!told.raw.contains(PASSWORD), "{told:?}");
    // What was told is not told again: neither by a further run nor by the command for it, but after a week.
    place.run(&["replicate", &root]);
    place.run(&["notifier", "due"]).expect(4);
    place.run(&["storage", "test", "--due"]).expect(3);
    assert_eq!(mail.messages().len(), 2);
    let listed = place.run(&["notifier", "list", "--json"]).expect(0).json();
    assert_eq!(listed["notifiers"][0]["told"].as_array().unwrap().len(), 2, "{listed}");
    let due = place.run_at(8 * 24, &["notifier", "due", "--json"]).expect(0).json();
    assert!(due["told"][0]["subjects"][0].as_str().unwrap().starts_with("still: the link"), "{due}");
    // Made anew, and caught up by the next backup.
    let linking = Linking::begin(&place, &["storage", "link", "drive", "--json"]);
    assert_eq!(linking.open().status, Some(200));
    linking.end().expect(0);
    let messages = mail.messages();
    assert!(messages.last().unwrap().text.contains("over: the link of the storage drive"), "{messages:?}");
    place.run(&["backup", &root]).expect(0);
    let messages = mail.messages();
    assert!(messages.last().unwrap().subject.contains("over: the last backup of"), "{messages:?}");
    let count = messages.len();
    place.run(&["notifier", "due"]).expect(4);
    assert_eq!(mail.messages().len(), count);
    let listed = place.run(&["notifier", "list", "--json"]).expect(0).json();
    assert_eq!(listed["notifiers"][0]["told"].as_array().unwrap().len(), 0, "{listed}");
}

/// F141: a mail server that says nothing keeps no backup back; what did not go out goes out later.
#[test]
fn f141_a_mail_server_that_hangs_fails_no_backup_and_is_told_later() {
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let root = folder_of_files(&place);
    write(&place, silent.local_addr().unwrap().port(), "none");
    let missing = place.folder().join("no shop");
    fs::create_dir(&missing).unwrap();
    Away::folder(&place.folder().join("disk")).add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let disk = place.folder().join("disk");
    fs::remove_dir_all(&disk).unwrap();
    fs::write(&disk, "a file in its place").unwrap();
    let run = place.run(&["backup", &root]).expect(3);
    assert!(run.stderr.contains("owner was NOT told, and will be later"), "{run:?}");
    let listed = place.run(&["notifier", "list", "--json"]).expect(0).json();
    assert!(listed["notifiers"][0]["problem"].as_str().unwrap().contains("10 seconds"), "{listed}");
    let Some(mail) = MailServer::for_test(MailManner::Plain, true) else { return };
    write(&place, mail.address().port(), "none");
    let due = place.run_at(1, &["notifier", "due"]).expect(0);
    assert!(due.stderr.contains("owner was told"), "{due:?}");
    assert!(mail.messages()[0].subject.contains("the last backup of"), "{:?}", mail.messages());
    place.run_at(1, &["notifier", "due"]).expect(4);
    place.run(&["notifier", "test", "nobody"]).expect_error(10, &["no notifier called nobody"]);
}

/// Of two that are about to tell the same, one does.
#[test]
fn what_one_process_tells_no_other_tells_too() {
    let Some(mail) = MailServer::for_test(MailManner::Plain, true) else { return };
    let place = Place::new();
    let root = folder_of_files(&place);
    let disk = place.folder().join("disk");
    Away::folder(&disk).add(&place, &root, &[]);
    fs::remove_dir_all(&disk).unwrap();
    fs::write(&disk, "a file in its place").unwrap();
    place.run(&["backup", &root]).expect(3);
    write(&place, mail.address().port(), "none");
    let mut other = None;
    let due = ["notifier", "due"];
    let run = place.paused("notices.planned", 2_000, &due, |_| {
        other = Some(place.command(&due).spawn().unwrap());
    });
    run.expect(0);
    Run::of(&other.unwrap().wait_with_output().unwrap()).expect(4);
    assert_eq!(mail.messages().len(), 1, "{:?}", mail.messages());
}
