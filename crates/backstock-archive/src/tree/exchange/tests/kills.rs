//! Stopped at every single point, in both directions, again and again: forward then reaches exactly the new tree, and
//! backward exactly the old one. And against a naive model with random trees.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::super::tests::fixture::write;
use super::super::super::tests::snapshot::{Snapshot, assert_same, snapshot};
use super::fixture::{Bench, Exchange};
use super::stop_at;

fn make(shop: &Path) {
    write(shop, "changed", b"new");
    write(shop, "folder/missing", b"new");
    write(shop, "becomes-folder/inner", b"new");
    write(shop, "becomes-file", b"new");
    write(shop, "mode", b"same");
    fs::hard_link(shop.join("changed"), shop.join("changed-name")).unwrap();
}

fn change(shop: &Path) {
    write(shop, "changed", b"old");
    fs::remove_dir_all(shop.join("folder")).unwrap();
    fs::remove_dir_all(shop.join("becomes-folder")).unwrap();
    write(shop, "becomes-folder", b"old");
    fs::remove_file(shop.join("becomes-file")).unwrap();
    write(shop, "becomes-file/inner", b"old");
    write(shop, "extra/inner", b"old");
    super::super::super::tests::fixture::set_time(&shop.join("mode"), 5, 0);
}

/// Runs something stopped at its n-th point; tells whether it was stopped.
fn stopped(points: u64, act: impl FnOnce() -> bool) -> bool {
    stop_at(Some(points));
    let is_done = act();
    stop_at(None);
    !is_done
}

fn trees(bench: &Bench) -> (Snapshot, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    bench.backup.extract(&own, true);
    (bench.see(), snapshot(&own))
}

#[test]
fn from_every_point_forward_reaches_new_and_backward_old() {
    let bench = Bench::new(make, change);
    let (old, new) = trees(&bench);
    let exchange = bench.staged(true);
    let mut points = 0;
    loop {
        let was_stopped = stopped(points, || exchange.forward().is_ok());
        exchange.backward().unwrap();
        assert_same(&old, &bench.see());
        if !was_stopped {
            break;
        }
        stopped(points, || exchange.forward().is_ok());
        exchange.forward().unwrap();
        assert_same(&new, &bench.see());
        // The way back is stopped at this point too, and taken up in both directions.
        stopped(points, || exchange.backward().is_ok());
        exchange.forward().unwrap();
        assert_same(&new, &bench.see());
        stopped(points, || exchange.backward().is_ok());
        exchange.backward().unwrap();
        assert_same(&old, &bench.see());
        points += 1;
    }
    assert!(points > 25, "{points} points are too few to be all");
}

/// Goes from tree to tree as told, stopped wherever it is told, and ends in both trees whole.
fn wander(exchange: &Exchange<'_>, turns: &[(bool, u64)], old: &Snapshot, new: &Snapshot) {
    for (is_forward, points) in turns {
        stopped(
            *points,
            || {
                if *is_forward { exchange.forward().is_ok() } else { exchange.backward().is_ok() }
            },
        );
    }
    exchange.forward().unwrap();
    assert_same(new, &exchange.bench.see());
    exchange.backward().unwrap();
    assert_same(old, &exchange.bench.see());
}

type Model = BTreeMap<String, Option<u8>>;

/// A small tree: names with a file's content, or `None` for a folder. Parents are folders, whatever the model says.
fn build(shop: &Path, model: &Model) {
    for (path, content) in model {
        let full = shop.join(path);
        let is_under_a_file = full.ancestors().skip(1).any(Path::is_file);
        if is_under_a_file || full.exists() {
            continue;
        }
        match content {
            Some(byte) => {
                write(shop, path, &vec![*byte; usize::from(*byte) * 3]);
            }
            None => fs::create_dir_all(full).unwrap(),
        }
    }
}

fn clear(shop: &Path) {
    for child in fs::read_dir(shop).unwrap() {
        let path = child.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

fn model() -> impl Strategy<Value = Model> {
    prop::collection::btree_map("[ab](/[ab]){0,3}", prop::option::of(any::<u8>()), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_trees_are_exchanged_and_back_through_any_stops(before in model(), after in model(), turns in prop::collection::vec((any::<bool>(), 0u64..40), 0..6)) {
        let bench = Bench::new(|shop| build(shop, &before), |shop| { clear(shop); build(shop, &after); });
        let (old, new) = trees(&bench);
        let exchange = bench.staged(true);
        wander(&exchange, &turns, &old, &new);
    }
}
