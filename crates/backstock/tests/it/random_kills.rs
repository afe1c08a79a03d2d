//! G1: backup, prune and restore in a loop, killed at moments that nobody chose. No backup is ever lost or half there, and
//! no lock stays behind. `BACKSTOCK_TEST_KILLS=1000` asks for so many kills instead of a few.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::io_faults::Scene;
use super::plain_shop::leftovers;

/// Kills where nothing else is asked for.
const KILLS: u64 = 24;
/// Where the sequence of delays begins: printed with every failure by its number.
const SEED: u64 = 0x2026_1122;
/// With more backups than this a prune comes to its end: on a busy machine each may be killed before that, and every
/// round reads back all that there is.
const MANY: usize = 20;

/// What opens a sealed backup.
const KEY: [&str; 2] = ["--identity-file", "key"];

/// The next of a sequence of numbers that look random (xorshift, Marsaglia 2003).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn g1_killed_at_random_times_nothing_is_lost_or_half_there() {
    killed_at_random_times(false);
}

#[test]
fn g1_killed_at_random_times_nothing_sealed_is_lost_or_half_there() {
    killed_at_random_times(true);
}

fn killed_at_random_times(is_sealed: bool) {
    let asked = std::env::var("BACKSTOCK_TEST_KILLS").ok().and_then(|count| count.parse().ok());
    let scene = Scene::new(3);
    let root = scene.root.to_str().unwrap().to_owned();
    let page = scene.root.join("page-1");
    let backup = ["backup", root.as_str()];
    let mut restore = vec!["restore", "latest", "--yes", "--without-maintenance"];
    if is_sealed {
        scene.place.run(&["key", "create", "--to-file", "key"]).expect(0);
        scene.place.run(&backup).expect(0);
        restore.extend(KEY);
    }
    let cases: [&[&str]; 3] = [&backup, &["prune", "--yes"], &restore];
    let usual: Vec<Duration> = cases
        .iter()
        .map(|arguments| {
            fs::write(&page, arguments[0]).unwrap();
            let begun = Instant::now();
            scene.place.run(arguments).expect(0);
            begun.elapsed()
        })
        .collect();
    scene.place.run(&["restore", "--accept"]).expect(0);
    let mut state = SEED;
    let mut killed = 0;
    for number in 0..asked.unwrap_or(KILLS) {
        let at = usize::try_from(number % 3).unwrap();
        fs::write(&page, format!("state {number}")).unwrap();
        if there(&scene).len() > MANY {
            scene.place.run(&["prune", "--yes"]).expect(0);
        }
        // Each was read back after the kill before this one, or is read back after it.
        let before = sequences(&there(&scene));
        let mut child = scene.place.command(cases[at]).spawn().unwrap();
        let most = u64::try_from(usual[at].as_micros()).unwrap() * 5 / 4;
        std::thread::sleep(Duration::from_micros(next(&mut state) % most));
        child.kill().unwrap();
        killed += u64::from(child.wait().unwrap().code().is_none());
        let case = format!("kill {number} of {:?}", cases[at]);
        let after = whole(&scene, &case);
        // Of those that were there the policy keeps the newest two.
        let kept = &before[before.len().saturating_sub(2)..];
        for sequence in kept.iter().filter(|sequence| after.iter().filter(|now| now > sequence).count() < 2) {
            assert!(after.contains(sequence), "{case}: {sequence} of {before:?} is lost, left are {after:?}");
        }
        if at == 2 {
            finish_restore(&scene, &case, is_sealed);
        }
        scene.place.run(&["backup", &root, "--no-prune"]).expect(0);
        // The copy of a restore's journal beside its snapshot is none.
        let left = || {
            let mut left = leftovers(&scene.place);
            left.retain(|name| !name.contains("/restore-"));
            left
        };
        if !left().is_empty() {
            // A deletion that had begun is finished by the next prune.
            scene.place.run(&["prune", "--yes"]).expect(0);
        }
        assert_eq!(left(), Vec::<String>::new(), "{case}");
    }
    assert!(killed * 2 > asked.unwrap_or(KILLS), "only {killed} were killed in time");
}

/// The numbers of the backups that are there, each of which reads back.
fn whole(scene: &Scene, case: &str) -> Vec<u64> {
    let found = there(scene);
    for backup in &found {
        let id = backup["backup"].as_str().unwrap();
        let run = scene.place.run(&["verify", id, "--level", "bytes"]);
        assert!(matches!(run.code, Some(0 | 3)), "{case}: {run:?}");
    }
    sequences(&found)
}

/// What is listed and not about to go.
fn there(scene: &Scene) -> Vec<Value> {
    let mut found = scene.place.list();
    found.retain(|backup| backup["replicas"][0]["state"] != "deleting");
    found
}

fn sequences(backups: &[Value]) -> Vec<u64> {
    let mut found: Vec<u64> = backups.iter().filter_map(|backup| backup["sequence"].as_u64()).collect();
    found.sort_unstable();
    found
}

/// An interrupted restore goes either way; then nothing is open.
fn finish_restore(scene: &Scene, case: &str, is_sealed: bool) {
    let open = scene.place.state().join("journals");
    if fs::read_dir(&open).map_or(0, Iterator::count) == 0 {
        return;
    }
    let key: &[&str] = if is_sealed { &KEY } else { &[] };
    let resumed = scene.place.run(&[&["restore", "--resume", "--yes"][..], key].concat());
    if fs::read_dir(&open).map_or(0, Iterator::count) > 0 {
        let accepted = scene.place.run(&["restore", "--accept"]);
        // One that had only been planned is no restore, and is swept by the next run.
        let is_over = accepted.code == Some(0) || accepted.code == Some(10) || resumed.code == Some(1);
        assert!(is_over, "{case}: {resumed:?}\n{accepted:?}");
    }
}
