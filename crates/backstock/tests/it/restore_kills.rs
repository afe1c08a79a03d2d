//! Kills a restore, an undo and an acceptance at their failpoints and at random times (F09, F10, F11): afterwards
//! `restore --resume` reaches exactly the new shop and `undo` exactly the old one.
//!
//! Each server visits half of a sample of the hits, the other half being the other's;
//! `BACKSTOCK_TEST_EVERY_POINT=1` visits every hit of every point on each, and from each goes both ways.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backstock_testbed::{ServerKind, Snapshot};

use super::harness::Scene;
use super::restore_shop::{
    KINDS, backup, expect_clean, expect_same, leftovers, ruin, scene, scratch, stage, without_events,
    without_extras,
};

/// Hits of one point that are visited, unless all are.
const HITS_OF_A_POINT: u64 = 2;
/// Kills at random times, of each kind of server.
const RANDOM_KILLS: u64 = 6;

/// A ruined shop and what it is to become.
struct Sweep {
    scene: Scene,
    id: String,
    before: Snapshot,
    old: Snapshot,
    new: Snapshot,
}

impl Sweep {
    fn new(kind: ServerKind) -> Option<Self> {
        let scene = scene(kind, 3)?;
        let before = scene.picture();
        let id = backup(&scene, &[]);
        ruin(&scene);
        let old = scene.picture();
        Some(Self { scene, id, before, old, new: Snapshot::default() })
    }

    fn restore_arguments(&self) -> [&str; 4] {
        ["restore", &self.id, "--yes", "--without-snapshot"]
    }

    /// Restores once undisturbed, and gives the hits on the way.
    fn learn(&mut self) -> Vec<(String, u64)> {
        let (run, hits) = self.scene.place.hits(&self.restore_arguments());
        run.expect(0);
        self.new = self.scene.picture();
        let expected = without_events(&without_extras(&self.before));
        expect_same("restored", &expected, &without_events(&without_extras(&self.new)));
        sample(self.scene.server.kind(), hits)
    }

    fn restore(&self) {
        self.scene.place.run(&self.restore_arguments()).expect(0);
    }

    fn kill(&self, orders: &str, arguments: &[&str]) {
        self.scene.place.run_with(orders, arguments).expect_killed();
        self.list_warns(orders);
    }

    /// `list` works in every state, and tells of a restore that waits for somebody.
    fn list_warns(&self, after: &str) {
        let run = self.scene.place.run(&["list"]).expect(0);
        let warns = run.stderr.contains("warning: ") && run.stderr.contains("backstock");
        assert_eq!(warns, stage(&self.scene).is_some(), "{after}: {}", run.stderr);
    }

    /// From a killed restore or undo: back to the old shop, nothing left.
    fn back(&self, after: &str) {
        if stage(&self.scene).is_some() {
            self.scene.place.run(&["undo", "--yes"]).expect(0);
        }
        expect_same(&format!("undone after {after}"), &self.old, &self.scene.picture());
        if stage(&self.scene).is_some() {
            self.scene.place.run(&["restore", "--accept"]).expect(0);
            expect_same(&format!("closed after {after}"), &self.old, &self.scene.picture());
        }
        if !leftovers(&self.scene).is_empty() {
            // It died while it was planned: the next run of the shop clears that up, if it may change anything.
            let planned = self.scene.place.run(&["restore", &self.id, "--without-snapshot"]);
            planned.expect_error(2, &["there is nobody to ask"]);
        }
        expect_clean(&self.scene);
    }

    /// From a killed restore or undo: on to the new shop.
    fn on(&self, after: &str) {
        match stage(&self.scene).as_deref() {
            None => self.restore(),
            // It was killed after its last step.
            Some("restored") => {}
            Some(_) => {
                self.scene.place.run(&["restore", "--resume"]).expect(0);
            }
        }
        expect_same(&format!("resumed after {after}"), &self.new, &self.scene.picture());
    }
}

/// All of the points, and of each the first hit, the last, and as many between as are wanted; of these every second.
fn sample(kind: ServerKind, hits: Vec<(String, u64)>) -> Vec<(String, u64)> {
    if std::env::var_os("BACKSTOCK_TEST_EVERY_POINT").is_some() {
        return hits;
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, hit) in &hits {
        last.insert(name, *hit);
    }
    let takes = |name: &str, hit: u64| {
        let last = last[name];
        (0..HITS_OF_A_POINT).any(|part| hit == 1 + (last - 1) * part / (HITS_OF_A_POINT - 1))
    };
    let taken = hits.iter().filter(|(name, hit)| takes(name, *hit));
    taken.skip(usize::from(kind.is_mysql())).step_by(2).cloned().collect()
}

/// Every second point one way, the others the other way; all points both ways when every point is asked for.
fn ways(number: usize) -> &'static [bool] {
    if std::env::var_os("BACKSTOCK_TEST_EVERY_POINT").is_some() {
        &[false, true]
    } else if number.is_multiple_of(2) {
        &[false]
    } else {
        &[true]
    }
}

fn killed_restores(kind: ServerKind) {
    let Some(mut sweep) = Sweep::new(kind) else { return };
    let hits = sweep.learn();
    assert!(hits.len() > 20, "{hits:?}");
    sweep.back("nothing");
    let arguments = sweep.restore_arguments();
    for (number, (name, hit)) in hits.iter().enumerate() {
        let after = format!("{name}=kill:{hit}");
        for on in ways(number) {
            sweep.kill(&after, &arguments);
            if *on {
                sweep.on(&after);
            }
            sweep.back(&after);
        }
    }
    sweep.restore();
    sweep.scene.place.run(&["restore", "--accept"]).expect(0);
    expect_same("accepted", &without_extras(&sweep.before), &without_extras(&sweep.scene.picture()));
    expect_clean(&sweep.scene);
}

fn killed_undos(kind: ServerKind) {
    let Some(mut sweep) = Sweep::new(kind) else { return };
    sweep.learn();
    let (run, hits) = sweep.scene.place.hits(&["undo", "--yes"]);
    run.expect(0);
    expect_same("undone", &sweep.old, &sweep.scene.picture());
    let hits = sample(kind, hits);
    assert!(hits.len() > 12, "{hits:?}");
    sweep.scene.place.run(&["restore", "--resume"]).expect(0);
    for (number, (name, hit)) in hits.iter().enumerate() {
        let after = format!("undo, {name}=kill:{hit}");
        for on in ways(number) {
            sweep.kill(&format!("{name}=kill:{hit}"), &["undo", "--yes"]);
            if !*on && stage(&sweep.scene).as_deref() != Some("undone") {
                sweep.scene.place.run(&["undo", "--yes"]).expect(0);
                expect_same(&after, &sweep.old, &sweep.scene.picture());
            }
            sweep.on(&after);
        }
    }
}

fn killed_acceptances(kind: ServerKind) {
    let Some(scene) = scene(kind, 3) else { return };
    let before = scene.picture();
    let id = backup(&scene, &[]);
    scratch(&scene);
    let arguments = ["restore", &id, "--yes", "--without-snapshot"];
    scene.place.run(&arguments).expect(0);
    let (run, hits) = scene.place.hits(&["restore", "--accept"]);
    run.expect(0);
    expect_same("accepted", &before, &scene.picture());
    let hits = sample(kind, hits);
    assert!(hits.len() >= 2, "{hits:?}");
    for (name, hit) in hits {
        let after = format!("{name}=kill:{hit}");
        scratch(&scene);
        scene.place.run(&arguments).expect(0);
        scene.place.run_with(&after, &["restore", "--accept"]).expect_killed();
        if stage(&scene).is_some() {
            scene.place.run(&["undo", "--yes"]).expect_error(15, &["accepted", "hint: "]);
            scene.place.run(&["restore", "--accept"]).expect(0);
        }
        expect_same(&after, &before, &scene.picture());
        expect_clean(&scene);
    }
}

/// Kills while the safety snapshot is taken: nothing was changed, and there is nothing to resume.
fn killed_snapshots(kind: ServerKind) {
    let Some(sweep) = Sweep::new(kind) else { return };
    let points = [
        "artifact.write",
        "backup.spooled",
        "backup.before_manifest",
        "backup.after_manifest",
        "restore.after_snapshot",
    ];
    for (number, point) in points.into_iter().enumerate() {
        let after = format!("{point}=kill:1");
        sweep.kill(&after, &["restore", &sweep.id, "--yes"]);
        expect_same(&after, &sweep.old, &sweep.scene.picture());
        if number.is_multiple_of(2) {
            sweep.back(&after);
        } else {
            let run = sweep.scene.place.run(&["restore", "--resume"]).expect(1);
            assert!(run.stderr.contains("nothing was changed"), "{}", run.stderr);
            sweep.back(&after);
        }
    }
}

fn killed_at_random(kind: ServerKind, seed: u64) {
    let Some(mut sweep) = Sweep::new(kind) else { return };
    let began = Instant::now();
    sweep.learn();
    let length = began.elapsed();
    sweep.back("nothing");
    let mut state = seed;
    for number in 0..RANDOM_KILLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = (state >> 33) % 1000;
        let pause = length * u32::try_from(part).unwrap() / 1000;
        let mut child = sweep.scene.place.command(&sweep.restore_arguments()).spawn().unwrap();
        std::thread::sleep(pause.max(Duration::from_millis(1)));
        let _ = child.kill();
        let _ = child.wait_with_output();
        let after = format!("a kill after {pause:?}");
        sweep.list_warns(&after);
        if number.is_multiple_of(2) {
            sweep.on(&after);
        }
        sweep.back(&after);
    }
}

#[test]
fn a_restore_killed_at_any_point_goes_on_or_back_on_mariadb() {
    killed_restores(ServerKind::MariaDb);
}

#[test]
fn a_restore_killed_at_any_point_goes_on_or_back_on_mysql() {
    killed_restores(ServerKind::MySql);
}

#[test]
fn an_undo_killed_at_any_point_goes_back_or_on_on_mariadb() {
    killed_undos(ServerKind::MariaDb);
}

#[test]
fn an_undo_killed_at_any_point_goes_back_or_on_on_mysql() {
    killed_undos(ServerKind::MySql);
}

#[test]
fn an_acceptance_killed_at_any_point_is_finished_by_the_next() {
    for kind in KINDS {
        killed_acceptances(kind);
    }
}

#[test]
fn a_restore_killed_while_its_snapshot_is_taken_has_changed_nothing() {
    killed_snapshots(ServerKind::MariaDb);
}

#[test]
fn a_restore_killed_at_random_times_goes_on_or_back() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        killed_at_random(kind, 20_261_121 + number as u64);
    }
}
