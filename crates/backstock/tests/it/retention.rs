//! `prune`, `delete`, `pin`: every backup has a verdict, what goes goes in the safe order, and a death at any step loses
//! nothing that is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::harness::{Place, Run};
use super::plain_shop::{leftovers, walk};

/// A place with a folder that is backed up, and a policy that keeps the last two without grace.
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) root: PathBuf,
}

impl Kept {
    pub(super) fn new(policy: &str) -> Self {
        let place = Place::new();
        let root = place.folder().join("shop");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("page"), "hello").unwrap();
        fs::write(place.configuration(), format!("[retention]\n{policy}")).unwrap();
        Self { place, root }
    }

    /// Makes backups that let no older one go, and verifies the newest of them.
    #[track_caller]
    pub(super) fn back_up(&self, count: usize) {
        for _ in 0..count {
            self.place.run(&["backup", self.root.to_str().unwrap(), "--no-prune"]).expect(0);
        }
        self.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    }

    #[track_caller]
    pub(super) fn prune(&self, more: &[&str]) -> Run {
        self.place.run(&[&["prune"], more].concat())
    }

    /// The sequence numbers that `list` tells, oldest first.
    #[track_caller]
    pub(super) fn sequences(&self) -> Vec<u64> {
        let mut found: Vec<u64> =
            self.place.list().iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
        found.sort_unstable();
        found
    }

    /// The identifier of the backup with a sequence number.
    #[track_caller]
    pub(super) fn id(&self, sequence: u64) -> String {
        let listed = self.place.list();
        let found = listed.iter().find(|backup| backup["sequence"] == sequence).unwrap();
        found["backup"].as_str().unwrap().to_owned()
    }

    /// Sequence number → verdict and rules, by `prune --dry-run --json`.
    #[track_caller]
    pub(crate) fn verdicts(&self) -> BTreeMap<u64, (String, Vec<String>)> {
        let document = self.prune(&["--dry-run", "--json"]).expect(0).json();
        assert_eq!(document["schema"], "backstock.prune-plan/1");
        let backups = document["destinations"][0]["backups"].as_array().unwrap().clone();
        let told = |backup: &Value| {
            let rules = backup["reasons"].as_array().unwrap().iter();
            let rules = rules.map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect();
            let verdict = backup["verdict"].as_str().unwrap().to_owned();
            (backup["sequence"].as_u64().unwrap(), (verdict, rules))
        };
        backups.iter().map(told).collect()
    }

    pub(super) fn manifests(&self) -> usize {
        walk(&self.place.backups()).keys().filter(|name| name.ends_with("/manifest.json")).count()
    }

    /// The first plan is confirmed by a person, the later ones are usual.
    #[track_caller]
    fn confirm(&self) {
        self.prune(&["--yes"]).expect(0);
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for (name, _) in walk(from) {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

#[test]
fn prune_shows_every_backup_and_deletes_what_no_rule_keeps() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(5);
    let verdicts = kept.verdicts();
    let go = ("go".to_owned(), vec!["no-rule".to_owned()]);
    assert_eq!((verdicts.len(), &verdicts[&1], &verdicts[&3]), (5, &go, &go));
    assert_eq!(verdicts[&4], ("keep".to_owned(), vec!["place".to_owned()]));
    assert_eq!(verdicts[&5].1, ["floor", "newest", "place"]);
    let shown = kept.prune(&["--dry-run"]).expect(0);
    assert_eq!(shown.stdout.lines().filter(|line| line.contains("no rule keeps it")).count(), 3, "{shown:?}");
    assert!(shown.stderr.contains("nobody has confirmed"), "{shown:?}");
    assert_eq!((kept.sequences().len(), kept.manifests()), (5, 5), "nothing was done");
    // The first time somebody must say yes.
    kept.prune(&[]).expect_error(2, &["nobody to ask", "--yes"]);
    assert_eq!(kept.manifests(), 5);
    let report = kept.prune(&["--yes", "--json"]).expect(0).json();
    assert_eq!(report["schema"], "backstock.prune/1");
    assert_eq!(report["shops"][0]["destinations"][0]["deleted"].as_array().unwrap().len(), 3);
    assert_eq!((kept.sequences(), kept.manifests()), (vec![4, 5], 2));
    assert_eq!(leftovers(&kept.place), Vec::<String>::new());
    // From then on what is usual goes without a question, and the numbers go on.
    kept.back_up(1);
    let run = kept.prune(&[]).expect(0);
    assert!(run.stdout.contains("1 deleted"), "{run:?}");
    assert_eq!(kept.sequences(), [5, 6]);
    kept.place.run(&["verify", "latest"]).expect(0);
    // Another policy is asked about again.
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 1\ngrace_hours = 0\n").unwrap();
    let run = kept.prune(&[]).expect_error(2, &["nobody to ask"]);
    assert!(run.stderr.contains("the policy is another one"), "{run:?}");
    assert_eq!(kept.sequences(), [5, 6]);
}

#[test]
fn without_a_policy_it_is_the_default_and_zero_copies_are_refused() {
    let kept = Kept::new("");
    kept.back_up(2);
    let shown = kept.prune(&["--dry-run"]).expect(0);
    let policy = "keep 7 daily, 4 weekly, 12 monthly, 1 yearly; 3 snapshots of each reason; 24 hours of grace (the default)";
    assert!(shown.stdout.contains(policy), "{}", shown.stdout);
    assert_eq!(kept.verdicts()[&2].1, ["floor", "newest", "place", "place", "place", "place"]);
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 0\n").unwrap();
    kept.prune(&["--dry-run"]).expect_error(15, &["last 0 backups", "hint: "]);
    fs::write(kept.place.configuration(), "[retention]\nmonthly = 12\ndelete_after_days = 30\n").unwrap();
    kept.prune(&["--yes"]).expect_error(15, &["12 monthly"]);
    assert_eq!(kept.manifests(), 2);
}

#[test]
fn nothing_goes_while_nothing_is_verified_or_the_floor_is_not_there() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    for _ in 0..3 {
        kept.place.run(&["backup", kept.root.to_str().unwrap(), "--no-prune"]).expect(0);
    }
    let run = kept.prune(&["--yes"]).expect(0);
    assert!(run.stderr.contains("no backup here is wholly verified"), "{run:?}");
    assert_eq!(kept.manifests(), 3);
    kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    // What was verified stays so when the next backup finds it again.
    kept.place.run(&["backup", kept.root.to_str().unwrap(), "--no-prune"]).expect(0);
    assert_eq!(kept.verdicts()[&3].1[0], "floor");
    // The parts of the floor are gone: whatever the catalog says, nothing is deleted.
    let folder = kept.place.list()[1]["replicas"][0]["folder"].as_str().unwrap().to_owned();
    let part = kept.place.backups().join(folder).join("files/files.tar.zst");
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[1..]).unwrap();
    kept.prune(&["--yes"]).expect_error(13, &["on which the rest is deleted", "files.tar.zst"]);
    assert_eq!(kept.manifests(), 4);
    // F28: the place is an empty folder.
    let away = kept.place.folder().join("away");
    fs::rename(kept.place.backups(), &away).unwrap();
    fs::create_dir(kept.place.backups()).unwrap();
    kept.prune(&["--yes"]).expect_error(14, &["nothing of the set"]);
    fs::remove_dir(kept.place.backups()).unwrap();
    fs::rename(&away, kept.place.backups()).unwrap();
    fs::write(&part, &bytes).unwrap();
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [3, 4], "the floor and the last");
}

#[test]
fn a_marked_backup_is_not_used_and_can_be_had_back() {
    let kept = Kept::new("keep_last = 2\n");
    kept.back_up(4);
    let run = kept.prune(&["--yes"]).expect(0);
    assert!(run.stdout.contains("2 marked, 2 within their grace"), "{run:?}");
    assert_eq!(kept.sequences(), [1, 2, 3, 4], "nothing goes before its grace is over");
    let listed = kept.place.list();
    assert!(listed[3]["replicas"][0]["marked"].is_string() && listed[0]["replicas"][0]["marked"].is_null());
    kept.place.run(&["pin", &kept.id(1), "--note", "the last one before the move"]).expect(0);
    assert_eq!(kept.verdicts()[&1], ("keep".to_owned(), vec!["pinned".to_owned()]));
    let listed = kept.place.run(&["list"]).expect(0);
    assert!(listed.stdout.contains("pinned: the last one before the move"), "{listed:?}");
    // A larger policy takes marks back, too.
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 3\n").unwrap();
    let run = kept.prune(&["--yes"]).expect(0);
    assert!(run.stdout.contains("1 kept again"), "{run:?}");
    fs::write(kept.place.configuration(), "[retention]\nkeep_last = 2\n").unwrap();
    kept.prune(&["--yes", "--now"]).expect(0);
    assert_eq!(kept.sequences(), [1, 3, 4]);
    kept.place.run(&["delete", &kept.id(3), "--yes"]).expect(0);
    kept.place.run(&["unpin", &kept.id(1)]).expect(0);
    assert!(kept.place.list()[1]["replicas"][0]["marked"].is_string());
    // A mark by hand outlives a policy that would keep it.
    assert_eq!(kept.verdicts()[&3], ("go".to_owned(), vec!["by-hand".to_owned()]));
}

#[test]
fn delete_is_bound_by_the_floor_pins_and_the_newest() {
    let kept = Kept::new("keep_last = 1\n");
    kept.back_up(1);
    kept.place.run(&["backup", kept.root.to_str().unwrap(), "--no-prune"]).expect(0);
    let (first, second) = (kept.id(1), kept.id(2));
    // 1 is the only one that is verified; 2 is the newest.
    kept.place
        .run(&["delete", &first, "--yes"])
        .expect_error(15, &["no backup here is wholly verified", "hint: "]);
    kept.place.run(&["delete", &second, "--yes"]).expect_error(15, &["newest of the set"]);
    kept.place.run(&["delete", "00000000", "--yes"]).expect(10);
    kept.back_up(1);
    kept.place.run(&["delete", &first]).expect_error(2, &["nobody to ask", "--yes"]);
    kept.place.run(&["delete", &first, "--dry-run"]).expect(0);
    kept.place.run(&["pin", &first]).expect(0);
    kept.place.run(&["delete", &first, "--yes", "--now"]).expect_error(15, &["pinned"]);
    kept.place.run(&["unpin", &first]).expect(0);
    assert_eq!(kept.manifests(), 3);
    let report = kept.place.run(&["delete", &first, "--yes", "--now", "--json"]).expect(0).json();
    assert_eq!(report["destinations"][0]["deleted"][0], first.as_str());
    assert_eq!((kept.sequences(), kept.manifests()), (vec![2, 3], 2));
    assert_eq!(leftovers(&kept.place), Vec::<String>::new());
    kept.place.run(&["show", &first]).expect(10);
    kept.back_up(1);
    assert_eq!(kept.sequences(), [2, 3, 4]);
}

#[test]
fn what_an_open_restore_needs_stays_until_it_is_accepted() {
    let kept = Kept::new("keep_last = 1\nkeep_snapshots = 1\ngrace_hours = 0\n");
    kept.back_up(1);
    fs::write(kept.root.join("page"), "ruined").unwrap();
    kept.place.run(&["restore", "latest", "--yes", "--without-maintenance"]).expect(0);
    kept.back_up(2);
    let open = |more: &[&str]| {
        let rules = ["open-restore"].iter().chain(more).map(|rule| (*rule).to_owned()).collect::<Vec<_>>();
        ("keep".to_owned(), rules)
    };
    let verdicts = kept.verdicts();
    assert_eq!((&verdicts[&1], &verdicts[&2]), (&open(&[]), &open(&["snapshot"])));
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [1, 2, 4]);
    kept.place.run(&["restore", "--accept"]).expect(0);
    kept.prune(&[]).expect(0);
    assert_eq!(kept.sequences(), [2, 4], "the snapshot has its own number");
    // A newer snapshot takes its place, and it goes with the journal that lies beside it.
    let folders = |place: &Place| {
        walk(&place.backups())
            .into_keys()
            .filter(|name| name.ends_with("/db") || name.ends_with("/files"))
            .count()
    };
    assert_eq!(folders(&kept.place), 2);
    fs::write(kept.root.join("page"), "ruined once more").unwrap();
    kept.place.run(&["restore", "latest", "--yes", "--without-maintenance"]).expect(0);
    kept.place.run(&["restore", "--accept"]).expect(0);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!((kept.sequences(), folders(&kept.place)), (vec![4, 5], 2));
    let journals = walk(&kept.place.backups()).into_keys().filter(|name| name.ends_with("/journal.json"));
    assert_eq!(journals.count(), 1, "that of the newer one");
}

/// After a catalog was made anew nobody knows the pins: a person must say yes first.
#[test]
fn after_a_rebuild_everything_waits_for_a_person() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(2);
    kept.confirm();
    kept.back_up(1);
    for _ in 0..2 {
        kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap()]).expect(0);
        kept.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
        let run = kept.prune(&[]).expect_error(2, &["nobody to ask"]);
        assert!(run.stderr.contains("nobody has confirmed"), "{run:?}");
        assert_eq!(kept.manifests(), 3);
        kept.place.lose_catalog();
    }
    kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap()]).expect(0);
    kept.back_up(1);
    kept.prune(&[]).expect_error(2, &["nobody to ask"]);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.sequences(), [3, 4]);
}

/// A folder that another machine took over is not pruned from here.
#[test]
fn another_machines_folder_is_not_pruned() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    kept.back_up(3);
    let other = ["--machine-id", "another-machine"];
    kept.prune(&[&["--yes"], &other[..]].concat()).expect_error(15, &["copy of this instance"]);
    assert_eq!(kept.manifests(), 3);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!(kept.manifests(), 1);
}

/// While backups are being deleted no other run of the shop begins, and what stays can be looked at.
#[cfg(feature = "failpoints")]
#[test]
fn a_prune_has_the_shop_for_itself() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(3);
    let run = kept.place.paused("prune.before_data", 3000, &["prune", "--yes"], |_| {
        kept.place.run(&["backup", kept.root.to_str().unwrap()]).expect_error(11, &["hint: "]);
        kept.prune(&["--yes"]).expect(11);
        kept.place.run(&["verify", "latest"]).expect(0);
        assert_eq!(kept.verdicts()[&1].1, ["under-way"]);
    });
    run.expect(0);
    assert_eq!(kept.sequences(), [2, 3]);
}

/// F08: killed at every step of a deletion. What is kept stays untouched, what goes is gone after the next prune, with the
/// catalog as it is and with the catalog lost.
#[cfg(feature = "failpoints")]
#[test]
fn f08_a_prune_killed_at_any_step_loses_nothing_and_is_finished_by_the_next() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(5);
    let (state, backups) = (kept.place.state(), kept.place.backups());
    let aside = kept.place.folder().join("aside");
    copy_folder(&state, &aside.join("state"));
    copy_folder(&backups, &aside.join("backups"));
    let again = || {
        copy_folder(&aside.join("state"), &state);
        copy_folder(&aside.join("backups"), &backups);
    };
    let (run, hits) = kept.place.hits(&["prune", "--yes"]);
    run.expect(0);
    let names: std::collections::BTreeSet<&str> = hits.iter().map(|hit| hit.0.as_str()).collect();
    for point in ["prune.before_mark", "prune.marked", "prune.before_begin", "prune.before_manifest"] {
        assert!(names.contains(point), "{point} is not passed: {names:?}");
    }
    for point in ["prune.before_data", "destination.before_sweep", "prune.before_forget"] {
        assert!(names.contains(point), "{point} is not passed: {names:?}");
    }
    let is_ours = |hit: &&(String, u64)| hit.0.starts_with("prune.") || hit.0.starts_with("destination.");
    let mut dead = 0;
    for (name, number) in hits.iter().filter(is_ours) {
        let case = format!("{name}=kill:{number}");
        again();
        kept.place.run_with(&case, &["prune", "--yes"]).expect_killed();
        dead += 1;
        kept.place.run(&["verify", "latest"]).expect(0);
        assert!(kept.sequences().ends_with(&[4, 5]), "{case}");
        // A half-deleted one is never told to be whole.
        for backup in kept.place.list() {
            let folder = backups.join(backup["replicas"][0]["folder"].as_str().unwrap());
            let is_going = backup["replicas"][0]["state"] == "deleting";
            assert!(is_going || folder.join("manifest.json").exists(), "{case}: {backup}");
        }
        let is_lost = dead % 2 == 0;
        if is_lost {
            kept.place.lose_catalog();
            let whole = kept.manifests();
            kept.place.run(&["catalog", "rebuild", backups.to_str().unwrap()]).expect(0);
            kept.back_up(1);
            assert_eq!(kept.sequences().len(), whole + 1, "{case}: what has a manifest is kept");
        }
        kept.prune(&["--yes"]).expect(0);
        assert_eq!(kept.sequences(), if is_lost { [5, 6] } else { [4, 5] }, "{case}");
        assert_eq!((kept.manifests(), leftovers(&kept.place)), (2, Vec::new()), "{case}");
        kept.place.run(&["verify", "latest"]).expect(0);
    }
    assert!(dead >= 12, "only {dead} orders killed");
    // F06, F07: a step that fails says so, and the next prune goes on.
    for name in names.iter().filter(|name| name.starts_with("prune.") || name.starts_with("destination.")) {
        again();
        kept.place.run_with(&format!("{name}=fail:1"), &["prune", "--yes"]).expect_error(1, &["because: "]);
        kept.prune(&["--yes"]).expect(0);
        assert_eq!((kept.sequences(), leftovers(&kept.place)), (vec![4, 5], Vec::new()), "{name}");
    }
}
