//! The daemon, and clouds linked at its page by a browser: to the end, by one browser alone, and never with somebody else's code.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use backstock_testbed::clouds::browser::Browser;
use backstock_testbed::clouds::oauth::OAuth;
use rustix::process::{Pid, Signal, kill_process};

use super::away::Away;
use super::harness::{Place, Run};
use super::links::{Linking, link_state, require_secret};
use super::sealed::{every_file, folder_of_files};

/// A daemon on a free port of this machine.
struct Served {
    child: Option<Child>,
    address: String,
}

impl Served {
    fn start(place: &Place) -> Self {
        Self::start_at(place, 0)
    }

    /// With a clock that is so many hours ahead.
    fn start_at(place: &Place, hours: i64) -> Self {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.env("BACKSTOCK_CLOCK_HOURS", hours.to_string());
        Self::started(command)
    }

    fn started(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut served = Self { child: Some(child), address: String::new() };
        let ready: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(ready["schema"], "backstock.serve/1");
        ready["address"].as_str().unwrap().clone_into(&mut served.address);
        served
    }

    /// Where providers send browsers back to.
    fn returned(&self) -> String {
        format!("{}/link/returned", self.address)
    }

    /// Ends it by a signal, as a service manager does.
    fn end(mut self) -> Run {
        let child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        Run::of(&child.wait_with_output().unwrap()).expect(0)
    }

    fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A storage that has a link, a daemon beside it, and its address registered with the application.
fn linked(away: &Away) -> (Place, Served) {
    let place = Place::new();
    away.typed(&place, &["storage", "add"], &[]).expect(0);
    let served = Served::start(&place);
    away.account(|account| account.register(&served.returned()));
    (place, served)
}

fn by_page(place: &Place, away: &Away) -> Linking {
    Linking::begin(place, &["storage", "link", away.title, "--page", "--json"])
}

#[test]
fn each_cloud_is_linked_by_the_page() {
    for away in [Away::dropbox(), Away::google_drive(), Away::onedrive()] {
        let (place, served) = linked(&away);
        away.account(OAuth::revoke);
        place.run(&["storage", "test", away.title]).expect_error(14, &["has ended"]);
        let linking = by_page(&place, &away);
        let address = linking.address.clone();
        assert!(address.starts_with(&format!("{}/link/", served.address)), "{address}");
        let mut browser = Browser::default();
        // A look uses nothing up.
        for _ in 0..2 {
            let page = browser.open(&address);
            assert_eq!(page.status, Some(200), "{page:?}");
            assert!(page.text.contains(away.title) && page.text.contains(&served.returned()), "{page:?}");
        }
        let page = browser.press(&address);
        assert_eq!(page.status, Some(200), "{page:?}");
        assert!(page.text.contains("is linked with an account"), "{page:?}");
        assert!(page.text.contains("written, read back, listed, written over and deleted"), "{page:?}");
        assert!(!page.text.contains("code-"), "{page:?}");
        let run = linking.end().expect(0);
        let told = run.json();
        assert_eq!((&told["link"]["state"], &told["test"]["deletes"]), (&"ok".into(), &true.into()));
        require_secret(&place, &run, "state-is-not-told");
        assert_eq!(link_state(&place), "ok");
        place.run(&["storage", "test", away.title]).expect(0);
        assert_eq!(browser.open(&address).status, Some(410), "it is used up");
        let ended = served.end();
        let token = address.rsplit('/').next().unwrap();
        for file in every_file(&place.state()) {
            let bytes = std::fs::read(&file).unwrap();
            let is_there = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!is_there, "only its hash is kept: {}", file.display());
        }
        for word in ["code-", "refresh-", token] {
            assert!(!ended.stderr.contains(word), "{ended:?}");
        }
    }
}

#[test]
fn only_the_first_browser_takes_a_link() {
    let away = Away::google_drive();
    let (place, served) = linked(&away);
    let linking = by_page(&place, &away);
    let (mut first, mut second) = (Browser::default(), Browser::default());
    let sent = first.press_only(&linking.address);
    assert_eq!(sent.status, Some(303), "{sent:?}");
    assert_eq!(second.press(&linking.address).status, Some(410));
    let there = sent.header("location").unwrap().to_owned();
    // The second one cannot bring the answer of the first either, and uses it up for nobody.
    let back = second.open_until(&there, &served.address);
    let page = second.open(&back);
    assert!(page.text.contains("Nothing was linked here"), "{page:?}");
    let page = first.open(&back);
    assert!(page.text.contains("is linked with an account"), "{page:?}");
    linking.end().expect(0);
    served.end();
}

/// Login CSRF: an attacker's code in the owner's browser links nothing. It is shown for copying, and was not exchanged.
#[test]
fn a_code_of_somebody_else_links_nothing_and_is_shown_for_copying() {
    for away in [Away::dropbox(), Away::google_drive(), Away::onedrive()] {
        let (place, served) = linked(&away);
        let elsewhere = Place::new();
        away.typed(&elsewhere, &["storage", "add"], &[]).expect(0);
        let returned = served.returned();
        let words =
            ["storage", "link", away.title, "--paste", "--redirect-to", &returned, "--code-file", "-"];
        let pasting = Linking::begin(&elsewhere, &words);
        let foreign = Browser::default().open_until(&pasting.address, &served.address);
        let linking = by_page(&place, &away);
        let mut browser = Browser::default();
        let sent = browser.press_only(&linking.address);
        let page = browser.open(&foreign);
        assert!(page.text.contains("Nothing was linked here"), "{page:?}");
        assert!(page.text.contains(&foreign.replace('&', "&#38;")), "the address for copying: {page:?}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        // What it was shown for.
        pasting.pasted(&foreign).expect(0);
        // The owner's own link goes on.
        let page = browser.open(sent.header("location").unwrap());
        assert!(page.text.contains("is linked with an account"), "{page:?}");
        linking.end().expect(0);
        served.end();
    }
}

#[test]
fn a_no_and_a_refused_code_are_told_on_the_page_and_in_the_terminal() {
    let away = Away::google_drive();
    let (place, served) = linked(&away);
    away.account(|account| account.set_declines(true));
    let linking = by_page(&place, &away);
    let page = Browser::default().press(&linking.address);
    assert!(page.text.contains("Google says: access_denied"), "{page:?}");
    linking.end().expect_error(2, &["Google says: access_denied", "nothing was changed"]);
    away.account(|account| account.set_declines(false));
    away.account(|account| account.set_code_lifetime(Duration::ZERO));
    let linking = by_page(&place, &away);
    let page = Browser::default().press(&linking.address);
    assert_eq!(page.status, Some(502), "{page:?}");
    assert!(page.text.contains("expired"), "{page:?}");
    linking.end().expect_error(14, &["expired"]);
    // What was there stays.
    place.run(&["storage", "test", away.title]).expect(0);
    served.end();
}

#[test]
fn there_is_one_daemon_and_it_ends_in_order_in_the_midst() {
    let away = Away::google_drive();
    let (place, served) = linked(&away);
    place.run(&["serve", "--listen", "127.0.0.1:0"]).expect_error(11, &["a daemon runs on the state folder"]);
    let linking = by_page(&place, &away);
    let mut browser = Browser::default();
    let sent = browser.press_only(&linking.address);
    served.end();
    linking.end().expect_error(14, &["the daemon ended before the browser came back"]);
    let page = ["storage", "link", away.title, "--page"];
    place.run(&page).expect_error(10, &["no daemon runs", "backstock serve"]);
    // A browser that comes back to another daemon finds what it can copy.
    let again = Served::start(&place);
    let back = browser.open_until(sent.header("location").unwrap(), "http://localhost");
    let query = back.split_once('?').unwrap().1;
    let shown = browser.open(&format!("{}?{query}", again.returned()));
    assert!(shown.text.contains("Nothing was linked here"), "{shown:?}");
    // One that is killed leaves its address behind, and nobody takes it for alive.
    let linking = by_page(&place, &away);
    browser.press_only(&linking.address);
    again.kill();
    place.run(&page).expect_error(10, &["no daemon runs"]);
    let third = Served::start(&place);
    linking.end().expect_error(14, &["the daemon ended before the browser came back"]);
    third.end();
}

/// What it would write into the catalog that was set aside would be lost.
#[test]
fn a_damaged_catalog_is_not_made_anew_under_a_daemon() {
    let place = Place::new();
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect(0);
    let served = Served::start(&place);
    let catalog = place.state().join("catalog.sqlite");
    std::fs::write(&catalog, vec![0x5a; 64 << 10]).unwrap();
    let backups = place.backups();
    let rebuild = ["catalog", "rebuild", backups.to_str().unwrap()];
    place.run(&rebuild).expect_error(11, &["a daemon runs on the state folder", "stop it while"]);
    assert_eq!(std::fs::read(&catalog).unwrap(), vec![0x5a; 64 << 10], "nothing was set aside");
    served.kill();
    place.run(&rebuild).expect(0);
    assert_eq!(place.list().len(), 1);
}

#[test]
fn a_round_finds_a_link_that_was_taken_back() {
    let away = Away::google_drive();
    let place = Place::new();
    away.typed(&place, &["storage", "add"], &[]).expect(0);
    away.account(OAuth::revoke);
    assert_eq!(link_state(&place), "ok");
    let served = Served::start_at(&place, 25);
    for _ in 0..100 {
        if link_state(&place) == "revoked" {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(link_state(&place), "revoked");
    let ended = served.end();
    assert!(ended.stderr.contains("the link of the storage drive is revoked since"), "{ended:?}");
}

#[test]
fn the_one_who_waits_may_go() {
    let away = Away::google_drive();
    let (place, served) = linked(&away);
    let mut linking = by_page(&place, &away);
    linking.signal(Signal::INT);
    let address = linking.address.clone();
    linking.end().expect_error(130, &["stopped by a signal"]);
    assert_eq!(Browser::default().press(&address).status, Some(410));
    served.end();
    let run = place.command(&["serve", "--listen", "0.0.0.0:0"]).stdin(Stdio::null()).output().unwrap();
    Run::of(&run).expect_error(2, &["by which address"]);
}

/// Behind a reverse proxy: the address is that of the configuration file, and systemd learns when it is ready and when it ends.
#[test]
fn a_service_is_configured_by_the_file_and_tells_systemd() {
    let place = Place::new();
    let settings = "[serve]\nlisten = \"127.0.0.1:0\"\naddress = \"https://backup.example.com\"\n";
    std::fs::write(place.configuration(), settings).unwrap();
    let socket = place.folder().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut words = [0; 64];
        let length = manager.recv(&mut words).unwrap();
        String::from_utf8_lossy(&words[..length]).trim().to_owned()
    };
    let mut command = place.command(&["serve", "--json"]);
    command.env("NOTIFY_SOCKET", &socket);
    let served = Served::started(command);
    assert_eq!(served.address, "https://backup.example.com");
    assert_eq!(told(), "READY=1");
    let away = Away::google_drive();
    away.typed(&place, &["storage", "add"], &[]).expect(0);
    let mut linking = by_page(&place, &away);
    assert!(linking.address.starts_with("https://backup.example.com/link/"), "{}", linking.address);
    linking.signal(Signal::TERM);
    linking.end().expect(130);
    served.end();
    assert_eq!(told(), "STOPPING=1");
    for (settings, word) in [
        ("[serve]\nlisten = \"8086\"", "listen"),
        ("[serve]\naddress = \"http://backup.example.com\"", "without encryption"),
    ] {
        std::fs::write(place.configuration(), settings).unwrap();
        place.run(&["serve"]).expect_error(2, &[word]);
    }
}
