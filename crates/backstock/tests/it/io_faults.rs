//! G4: one call after the other fails (EIO, ENOSPC), is interrupted or does only a part of its work, once or from then on.
//! Whatever happens: what is listed is whole, what was whole stays, the error is told with its class, and the next run
//! leaves nothing over.
//!
//! By default a part of the calls is visited; with `BACKSTOCK_TEST_EVERY_POINT=1` each of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::harness::{Place, Run};
use super::plain_shop::{leftovers, walk};
use super::retention::copy_folder;

/// How many calls are passed over between two that are visited.
const STEP: usize = 9;
/// Exit codes of a run that a failing disk has met: done all the same, failed, partial, damaged, storage.
pub(super) const CLASSES: &[i32] = &[0, 1, 3, 13, 14];

/// A folder with backups, and a copy of everything, to begin each case from.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) root: PathBuf,
    aside: PathBuf,
}

impl Scene {
    pub(super) fn new(backups: usize) -> Self {
        let place = Place::new();
        let root = place.folder().join("shop");
        fs::create_dir(&root).unwrap();
        for number in 0..5 {
            fs::write(root.join(format!("page-{number}")), format!("hello {number}").repeat(300)).unwrap();
        }
        fs::write(place.configuration(), "[retention]\nkeep_last = 2\ngrace_hours = 0\n").unwrap();
        for _ in 0..backups {
            place.run(&["backup", root.to_str().unwrap(), "--no-prune"]).expect(0);
        }
        place.run(&["verify", "latest"]).expect(0);
        place.run(&["prune", "--yes"]).expect(0);
        let aside = place.folder().join("aside");
        let scene = Self { place, root, aside };
        for (from, to) in scene.pairs() {
            copy_folder(&from, &to);
        }
        scene
    }

    fn pairs(&self) -> [(PathBuf, PathBuf); 3] {
        [
            (self.place.state(), self.aside.join("state")),
            (self.place.backups(), self.aside.join("backups")),
            (self.root.clone(), self.aside.join("root")),
        ]
    }

    fn again(&self) {
        for (from, to) in self.pairs() {
            copy_folder(&to, &from);
        }
    }

    fn run(&self, name: &str, value: &str, arguments: &[&str]) -> Run {
        Run::of(&self.place.command(arguments).env(name, value).output().unwrap())
    }

    /// The calls of a run without faults, in order.
    fn calls(&self, arguments: &[&str]) -> Vec<String> {
        let log = self.place.folder().join("calls.log");
        self.run("BACKSTOCK_IO_LOG", log.to_str().unwrap(), arguments).expect(0);
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs with one fault after the other, and looks at each end.
    fn sweep(&self, arguments: &[&str], prepare: impl Fn(), check: impl Fn(&str, &Run)) {
        self.again();
        prepare();
        let calls = self.calls(arguments);
        let kinds: BTreeSet<&String> = calls.iter().collect();
        assert!(calls.len() > 40 && kinds.len() > 8, "{} calls of {kinds:?}", calls.len());
        let step = if std::env::var_os("BACKSTOCK_TEST_EVERY_POINT").is_some() { 1 } else { STEP };
        let mut failed = 0;
        for (count, number) in (1..=calls.len()).step_by(step).enumerate() {
            let faults = ["eio", "enospc", "eintr", "short", "eio:ever", "enospc:ever"];
            let few = [faults[count % faults.len()]];
            for fault in if step == 1 { &faults[..] } else { &few[..] } {
                let (fault, how_long) = fault.split_once(':').unwrap_or((fault, "once"));
                let case = format!("{fault}:{number}:{how_long}");
                self.again();
                prepare();
                let run = self.run("BACKSTOCK_IO_FAULT", &case, arguments);
                let code = run.code.unwrap_or_else(|| panic!("{case}: ended by a signal\n{}", run.stderr));
                let told = format!("{case} ({}), exit {code}\n{}", calls[number - 1], run.stderr);
                assert!(CLASSES.contains(&code) && !run.stderr.contains("panicked"), "{told}");
                let is_harmless = matches!(fault, "eintr" | "short");
                assert!(code == 0 || !is_harmless, "{told}");
                assert!(code == 0 || code == 3 || run.stderr.contains("error: "), "{told}");
                failed += usize::from(code != 0);
                check(&told, &run);
            }
        }
        assert!(failed * 4 > calls.len() / step, "only {failed} runs met the fault");
    }

    /// L1 and L2: everything that is listed is whole, and those that were there are.
    fn check_backups(&self, told: &str, at_least: &[u64]) {
        let mut sequences = Vec::new();
        for backup in self.place.list() {
            let is_going = backup["replicas"][0]["state"] == "deleting";
            let id = backup["backup"].as_str().unwrap().to_owned();
            if !is_going {
                sequences.push(backup["sequence"].as_u64().unwrap());
                let run = self.place.run(&["verify", &id, "--level", "bytes"]);
                assert!(matches!(run.code, Some(0 | 3)), "{told}\n{run:?}");
            }
        }
        for sequence in at_least {
            assert!(sequences.contains(sequence), "{told}\nleft are {sequences:?}");
        }
    }
}

#[test]
fn g4_a_backup_survives_the_failure_of_any_call() {
    let scene = Scene::new(3);
    let root = scene.root.to_str().unwrap().to_owned();
    let arguments = ["backup", root.as_str(), "--no-prune"];
    scene.sweep(
        &arguments,
        || {},
        |told, run| {
            scene.check_backups(told, &[2, 3]);
            if run.code == Some(0) {
                assert!(scene.place.list().len() >= 3, "{told}");
            }
            scene.place.run(&arguments).expect(0);
            assert_eq!(leftovers(&scene.place), Vec::<String>::new(), "{told}");
            assert_eq!(walk(&scene.place.state().join("spool")).len(), 0, "{told}");
        },
    );
}

#[test]
fn g4_a_prune_survives_the_failure_of_any_call() {
    let scene = Scene::new(3);
    let root = scene.root.to_str().unwrap().to_owned();
    let prepare = || {
        scene.place.run(&["backup", &root, "--no-prune"]).expect(0);
        scene.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    };
    scene.sweep(&["prune", "--yes"], prepare, |told, _| {
        scene.check_backups(told, &[3, 4]);
        scene.place.run(&["prune", "--yes"]).expect(0);
        let listed = scene.place.list();
        assert_eq!(listed.len(), 2, "{told}");
        assert_eq!(leftovers(&scene.place), Vec::<String>::new(), "{told}");
        scene.place.run(&["verify", "latest", "--level", "present"]).expect(0);
    });
}

/// L3: after a restore that failed the shop is the old one or the new one, or `--resume` and `undo` lead to either.
#[test]
fn g4_a_restore_survives_the_failure_of_any_call() {
    let scene = Scene::new(3);
    let page = scene.root.join("page-1");
    let new = fs::read(&page).unwrap();
    let prepare = || {
        fs::write(&page, "ruined").unwrap();
        fs::write(scene.root.join("added"), "added").unwrap();
    };
    let arguments = ["restore", "latest", "--yes", "--without-maintenance"];
    scene.sweep(&arguments, prepare, |told, run| {
        scene.check_backups(told, &[2, 3]);
        let now = fs::read(&page).unwrap();
        if run.code == Some(0) {
            assert_eq!(now, new, "{told}");
            return;
        }
        let open = scene.place.run(&["restore", "--resume", "--yes"]);
        match open.code {
            Some(0) => assert_eq!(fs::read(&page).unwrap(), new, "{told}\n{open:?}"),
            // Nothing is open: it ended before the first visible step, or right after the last.
            _ => assert!(now == new || now == b"ruined", "{told}\n{open:?}"),
        }
        if fs::read(&page).unwrap() != new {
            let run = scene.place.run(&arguments);
            assert_eq!(run.code, Some(0), "{told}\nresumed: {open:?}\nthen: {run:?}");
        }
        assert_eq!(fs::read(&page).unwrap(), new, "{told}");
    });
}
