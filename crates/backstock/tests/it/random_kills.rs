//! G1: backup, prune and restore in a loop, killed at moments that nobody chose. No backup is ever lost or half there, and
//! no lock stays behind. `BACKSTOCK_TEST_KILLS=1000` asks for so many kills instead of a few.

use std::fs;
use std::time::{Duration, Instant};

use super::io_faults::Scene;
use super::plain_shop::leftovers;

/// Kills where nothing else is asked for.
const KILLS: u64 = 24;
/// Where the sequence of delays begins: printed with every failure by its number.
const SEED: u64 = 0x2026_1122;

/// The next of a sequence of numbers that look random (xorshift, Marsaglia 2003).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn g1_killed_at_random_times_nothing_is_lost_or_half_there() {
    let asked = std::env::var("BACKSTOCK_TEST_KILLS").ok().and_then(|count| count.parse().ok());
    let scene = Scene::new(3);
    let root = scene.root.to_str().unwrap().to_owned();
    let page = scene.root.join("page-1");
    let backup = ["backup", root.as_str()];
    let restore = ["restore", "latest", "--yes", "--without-maintenance"];
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
        let before: Vec<u64> = whole(&scene, &format!("before kill {number}"));
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
            finish_restore(&scene, &case);
        }
        scene.place.run(&["backup", &root, "--no-prune"]).expect(0);
        // The copy of a restore's journal beside its snapshot is none.
        let mut left = leftovers(&scene.place);
        left.retain(|name| !name.contains("/restore-"));
        assert_eq!(left, Vec::<String>::new(), "{case}");
    }
    assert!(killed * 2 > asked.unwrap_or(KILLS), "only {killed} were killed in time");
}

/// The numbers of the backups that are there, each of which reads back.
fn whole(scene: &Scene, case: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for backup in scene.place.list().iter().filter(|backup| backup["replicas"][0]["state"] != "deleting") {
        let id = backup["backup"].as_str().unwrap();
        let run = scene.place.run(&["verify", id, "--level", "bytes"]);
        assert!(matches!(run.code, Some(0 | 3)), "{case}: {run:?}");
        found.push(backup["sequence"].as_u64().unwrap());
    }
    found.sort_unstable();
    found
}

/// An interrupted restore goes either way; then nothing is open.
fn finish_restore(scene: &Scene, case: &str) {
    let open = scene.place.state().join("journals");
    if fs::read_dir(&open).map_or(0, Iterator::count) == 0 {
        return;
    }
    let resumed = scene.place.run(&["restore", "--resume", "--yes"]);
    if fs::read_dir(&open).map_or(0, Iterator::count) > 0 {
        let accepted = scene.place.run(&["restore", "--accept"]);
        // One that had only been planned is no restore, and is swept by the next run.
        let is_over = accepted.code == Some(0) || accepted.code == Some(10) || resumed.code == Some(1);
        assert!(is_over, "{case}: {resumed:?}\n{accepted:?}");
    }
}
