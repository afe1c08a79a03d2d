//! Checks on a schedule: due when their days have passed, spread by what a run may read, never again and again by a clock.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::harness::{Place, Run};

const DAY: i64 = 24;

/// A place with a folder that is backed up.
struct Checked {
    place: Place,
    root: PathBuf,
}

impl Checked {
    fn new(configuration: &str) -> Self {
        let place = Place::new();
        let root = place.folder().join("shop");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("page"), "hello").unwrap();
        fs::write(place.configuration(), configuration).unwrap();
        Self { place, root }
    }

    #[track_caller]
    fn back_up(&self, hours: i64, code: i32) -> Run {
        let arguments = ["backup", self.root.to_str().unwrap(), "--no-prune", "--json"];
        self.place.run_at(hours, &arguments).expect(code)
    }

    #[track_caller]
    fn due(&self, hours: i64, code: i32) -> Value {
        let document = self.place.run_at(hours, &["verify", "--due", "--json"]).expect(code).json();
        assert_eq!(document["schema"], "backstock.verify-due/1");
        document["shops"][0].clone()
    }

    /// Backup and level of each check that a dry run tells.
    #[track_caller]
    fn planned(&self, hours: i64, code: i32) -> Vec<(String, String)> {
        let run = self.place.run_at(hours, &["verify", "--due", "--dry-run", "--json"]).expect(code);
        let document = run.json();
        assert_eq!(document["schema"], "backstock.verify-plan/1");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let checks = document["shops"][0]["checks"].as_array().unwrap().clone();
        checks.iter().map(|check| (text(&check["backup"]), text(&check["level"]))).collect()
    }

    fn state_of(&self, at: usize) -> String {
        self.place.list()[at]["replicas"][0]["state"].as_str().unwrap().to_owned()
    }

    fn id(&self, at: usize) -> String {
        self.place.list()[at]["backup"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_scheduler_is_told_what_is_due_and_when_nothing_is() {
    let checked = Checked::new("");
    assert_eq!(checked.place.run(&["verify", "--due"]).expect(4).stdout, "", "no shop is known yet");
    checked.back_up(0, 0);
    checked.due(0, 4);
    assert_eq!(checked.planned(6 * DAY, 4), []);
    let id = checked.id(0);
    assert_eq!(checked.planned(7 * DAY, 0), [(id.clone(), "present".to_owned())]);
    assert_eq!(checked.state_of(0), "present");
    let first = checked.due(7 * DAY, 0);
    assert_eq!(first["checks"][0]["reached"], "present");
    checked.due(7 * DAY, 4);
    let plain =
        checked.place.run_at(30 * DAY, &["verify", "--due", "--dry-run", checked.root.to_str().unwrap()]);
    let plain = plain.expect(0).stdout;
    assert!(plain.contains("down to bytes") && plain.contains("not done in the 30 days"), "{plain}");
    let second = checked.due(30 * DAY, 0);
    assert_eq!((&second["checks"][0]["reached"], &second["waiting"]), (&"bytes".into(), &0.into()));
    assert_eq!(checked.state_of(0), "verified");
    checked.due(30 * DAY, 4);
    // A check by hand counts too.
    checked.place.run_at(59 * DAY, &["verify", &id]).expect(0);
    checked.due(61 * DAY, 4);
    checked.place.run(&["verify", "--due", "no such shop"]).expect_error(10, &["no such shop"]);
    checked.place.run(&["verify", "--dry-run"]).expect(2);
    checked.place.run(&["verify", "--due", "--level", "bytes"]).expect(2);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_due_again_and_again() {
    let checked = Checked::new("");
    for _ in 0..3 {
        checked.back_up(0, 0);
    }
    assert_eq!(checked.due(31 * DAY, 0)["checks"].as_array().unwrap().len(), 3);
    for hour in 0..3 {
        assert!(checked.planned(hour - 400 * DAY, 0).len() <= 1);
        checked.due(hour - 400 * DAY, 0);
    }
    // What was looked at in the wrong year is looked at once more, and the rest was not touched.
    assert!(checked.planned(32 * DAY, 0).len() <= 3);
    checked.due(32 * DAY, 0);
    checked.due(32 * DAY, 4);
}

#[test]
fn damage_is_found_by_the_next_check_after_a_backup_and_is_no_copy_any_more() {
    let checked = Checked::new("[verify]\nbytes_days = 14\n");
    checked.back_up(0, 0);
    let part = checked.place.newest_backup().join("files/files.tar.zst");
    let mut bytes = fs::read(&part).unwrap();
    bytes[40] ^= 1;
    fs::write(&part, bytes).unwrap();
    assert!(
        checked.back_up(13 * DAY, 0).json()["checks"]["checks"][0]["damage"].as_array().unwrap().is_empty()
    );
    let run = checked.back_up(15 * DAY, 13);
    assert_eq!(run.json()["content"], "whole", "the backup itself is made");
    assert_eq!(run.json()["checks"]["checks"][0]["damage"][0]["part"], "files/files.tar.zst");
    assert_eq!(checked.place.list().len(), 3);
    assert_eq!(checked.state_of(2), "damaged");
    // It is told again when it is due again, not at each run.
    checked.due(15 * DAY, 4);
    assert_eq!(checked.due(30 * DAY, 13)["checks"].as_array().unwrap().len(), 3);
    let text = checked.place.run_at(60 * DAY, &["verify", "--due"]).expect(13);
    assert!(text.stdout.contains("damaged: ") && text.stderr.contains("no copy any more"), "{text:?}");
}

#[test]
fn what_a_configuration_turns_off_is_off_and_what_makes_no_sense_is_refused() {
    let checked = Checked::new("[verify]\nafter_backup = false\n");
    checked.back_up(0, 0);
    assert_eq!(checked.back_up(40 * DAY, 0).json()["checks"], Value::Null);
    assert_eq!(checked.planned(40 * DAY, 0).len(), 1);
    fs::write(checked.place.configuration(), "[verify]\npresent_days = \"off\"\nbytes_days = \"off\"\n")
        .unwrap();
    let run = checked.place.run_at(400 * DAY, &["verify", "--due"]).expect(4);
    assert!(run.stderr.contains("the schedule is off"), "{}", run.stderr);
    for (wrong, code) in [("present_days = 0", 2), ("bytes_days = \"often\"", 2), ("read_limit_gib = 0", 15)]
    {
        fs::write(checked.place.configuration(), format!("[verify]\n{wrong}\n")).unwrap();
        checked.place.run(&["verify", "--due"]).expect_error(code, &["\"off\""]);
        checked.place.run(&["backup", checked.root.to_str().unwrap()]).expect_error(code, &["\"off\""]);
    }
    assert_eq!(checked.place.list().len(), 2);
}

/// Sealed backups are decoded on a schedule where a key is given, and read without one.
#[test]
fn sealed_backups_are_decoded_where_a_key_is_given() {
    let checked = Checked::new("[verify]\ndecoded_days = 20\n");
    for (name, text) in
        [("passphrase", "nine words nobody would guess"), ("wrong", "something else entirely")]
    {
        fs::write(checked.place.folder().join(name), text).unwrap();
    }
    checked.place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
    checked.back_up(0, 0);
    let levels = |hours, arguments: &[&str]| {
        let run = checked.place.run_at(hours, &[&["verify", "--due", "--json"], arguments].concat());
        let reached = run.json()["shops"][0]["checks"][0]["reached"].clone();
        (run.code.unwrap(), reached)
    };
    assert_eq!(levels(21 * DAY, &[]), (0, "present".into()));
    // With a key that does not open it, what else is due is checked, once.
    let wrong = ["--passphrase-file", "wrong"];
    assert_eq!(levels(31 * DAY, &wrong), (3, "bytes".into()));
    assert_eq!(levels(31 * DAY, &wrong), (12, Value::Null));
    assert_eq!(levels(31 * DAY, &["--passphrase-file", "passphrase"]), (0, "decoded".into()));
    assert_eq!(levels(31 * DAY, &["--passphrase-file", "passphrase"]).0, 4);
}

/// A death between two checks keeps what was done; the next run goes on with the rest.
#[test]
fn a_killed_run_goes_on_where_it_stopped() {
    let checked = Checked::new("[verify]\nafter_backup = false\n");
    for _ in 0..3 {
        checked.back_up(0, 0);
    }
    let mut command = checked.place.command(&["verify", "--due"]);
    command.env("BACKSTOCK_CLOCK_HOURS", (31 * DAY).to_string());
    command.env("BACKSTOCK_FAILPOINT", "verify.before_due_check=kill:3");
    Run::of(&command.output().unwrap()).expect_killed();
    assert_eq!(checked.due(31 * DAY, 0)["checks"].as_array().unwrap().len(), 1);
    checked.due(31 * DAY, 4);
}
