//! F03, F19: a sealed set whose backups die or meet a full disk, at every point that they pass: what is listed opens and is
//! whole (L1), what was whole stays (L2, L3: the backups beside it), errors have their class (L4), nothing is left over (L5).

use std::collections::BTreeSet;
use std::fs;

use backstock_testbed::ServerKind;

use super::backup_kills::check_after_death_with;
use super::harness::{Place, Run};
use super::part_of_backup::noise;
use super::plain_shop::{PlainShop, leftovers, walk};
use super::retention::copy_folder;

const KEY: [&str; 2] = ["--identity-file", "key"];
/// Incremental, and in parts; retention, which seals nothing, has its own sweeps.
const MORE: [&str; 5] = ["--level", "incremental", "--part-size", "1MiB", "--no-prune"];
/// Points of sealing, each of which must be passed.
const POINTS: [&str; 4] =
    ["backup.after_keys", "seal.before_final", "backup.before_read_back", "backup.before_manifest"];

/// A shop with more than a part of pictures, and an identity of which this machine has the public half alone.
fn sealed_shop() -> Option<PlainShop> {
    let shop = PlainShop::new(ServerKind::MariaDb)?;
    for number in 0..2 {
        fs::write(shop.root().join(format!("large-{number}.jpg")), noise(number, 800_000)).unwrap();
    }
    shop.place.run(&["key", "create", "--to-file", "key"]).expect(0);
    Some(shop)
}

/// Nothing lies at the destination that is neither sealed nor meant for everybody, and no manifest without what opens it.
#[track_caller]
fn expect_sealed(place: &Place, case: &str) {
    let found = walk(&place.backups());
    for name in found.keys() {
        let is_part = name.contains("/db/") || name.contains("/files/");
        let last = name.rsplit('/').next().unwrap();
        let is_hidden = last.starts_with('.');
        assert!(!is_part || is_hidden || last.ends_with(".bks"), "{case}: {name} is not sealed");
    }
    if found.keys().any(|name| name.ends_with("/manifest.json")) {
        assert!(found.keys().any(|name| name.contains("/keys/identity-")), "{case}: nothing opens it");
    }
}

/// The newest backup that is listed opens, and is whole with all that it builds on.
#[track_caller]
fn expect_whole(place: &Place, case: &str) {
    if let Some(backup) = place.list().first() {
        let id = backup["backup"].as_str().unwrap();
        let run = place.run(&[&["verify", id][..], &KEY].concat());
        assert_eq!(run.code, Some(0), "{case}: {run:?}");
    }
}

/// Of each point the first hit and the last; with `BACKSTOCK_TEST_EVERY_POINT=1` all.
fn sample_of(hits: &[(String, u64)]) -> Vec<(String, u64)> {
    let is_every = std::env::var_os("BACKSTOCK_TEST_EVERY_POINT").is_some();
    let is_last = |name: &str, number: u64| !hits.iter().any(|hit| hit.0 == name && hit.1 > number);
    let taken = |hit: &&(String, u64)| is_every || hit.1 == 1 || is_last(&hit.0, hit.1);
    hits.iter().filter(taken).cloned().collect()
}

#[test]
fn f03_a_sealed_backup_killed_at_any_point_is_never_half_there() {
    let Some(shop) = sealed_shop() else { return };
    let place = &shop.place;
    let state = place.folder().join("state as it began");
    copy_folder(&place.state(), &state);
    let arguments = shop.backup_arguments(&MORE);
    place.run(&arguments).expect(0);
    let (run, hits) = place.hits(&arguments);
    run.expect(0);
    let names: BTreeSet<&str> = hits.iter().map(|hit| hit.0.as_str()).collect();
    assert!(POINTS.iter().all(|point| names.contains(point)), "{names:?}");
    let hits = sample_of(&hits);
    let (mut dead, mut killed_at) = (0, BTreeSet::new());
    for (name, number) in &hits {
        let case = format!("{name}=kill:{number}");
        // The first orders kill before there is anything at the destination.
        if dead < 3 {
            fs::remove_dir_all(place.backups()).unwrap();
            copy_folder(&state, &place.state());
        }
        fs::write(shop.root().join("changing.txt"), case.repeat(20)).unwrap();
        let before = listed(place);
        let run = place.run_with(&case, &arguments);
        if run.code.is_some() {
            run.expect(0);
            continue;
        }
        dead += 1;
        killed_at.insert(name.as_str());
        expect_sealed(place, &case);
        assert!(listed(place).is_superset(&before), "{case}: what was there is lost");
        expect_whole(place, &case);
        check_after_death_with(&shop, &MORE, &case);
        expect_sealed(place, &case);
    }
    // How often a point is passed is not the same in every run: an order for its last time may come to nothing.
    assert!(POINTS.iter().all(|point| killed_at.contains(point)), "{killed_at:?}");
    assert!(dead * 10 >= hits.len() * 6, "{dead} of {} orders killed", hits.len());
    expect_whole(place, "in the end");
    place.run(&[&["restore", "latest", "--only", "files", "--to", "back"][..], &KEY].concat()).expect(0);
    let changing = fs::read(place.folder().join("back/changing.txt")).unwrap();
    assert_eq!(changing, fs::read(shop.root().join("changing.txt")).unwrap());
}

fn listed(place: &Place) -> BTreeSet<String> {
    place.list().iter().map(|backup| backup["backup"].as_str().unwrap().to_owned()).collect()
}

/// F19: the disk is full, or fails, where a part is sealed: no backup comes of it, and the next one is whole.
#[test]
fn f19_a_full_disk_while_sealing_leaves_nothing_behind() {
    let Some(shop) = sealed_shop() else { return };
    let place = &shop.place;
    let arguments = shop.backup_arguments(&MORE);
    place.run(&arguments).expect(0);
    for point in ["backup.after_keys", "seal.before_final", "artifact.write", "artifact.sync_part"] {
        for act in ["full:1", "fail:1", "fail:2"] {
            let case = format!("{point}={act}");
            let before = listed(place);
            let run: Run = place.run_with(&case, &arguments);
            let code = run.code;
            // A point that is passed once has no second time.
            if code == Some(0) {
                assert_eq!((point, act), ("backup.after_keys", "fail:2"));
                continue;
            }
            assert!(matches!(code, Some(1 | 14)), "{case}: {run:?}");
            run.expect_error(code.unwrap(), &["because: "]);
            assert_eq!(listed(place), before, "{case}");
            expect_sealed(place, &case);
            assert_eq!(walk(&place.state().join("spool")).len(), 0, "{case}");
        }
    }
    place.run(&arguments).expect(0);
    assert_eq!(leftovers(place), Vec::<String>::new());
    expect_whole(place, "in the end");
}

/// An identity is one only once it is written down whole: killed before that, its file opens nothing and the next one counts.
#[test]
fn f03_an_identity_killed_before_it_counts_is_none() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("index.php"), "<?php").unwrap();
    let root = root.to_str().unwrap();
    place.run_with("key.before_recipients=kill:1", &["key", "create", "--to-file", "lost"]).expect_killed();
    place.run(&["backup", root]).expect(0);
    assert_eq!(place.list()[0]["sealed_for"], serde_json::json!([]));
    place.run(&["key", "create", "--to-file", "key"]).expect(0);
    place.run(&["backup", root]).expect(0);
    place.run(&["verify", "latest", "--identity-file", "lost"]).expect_error(12, &["not damaged"]);
    place.run(&[&["verify", "latest"][..], &KEY].concat()).expect(0);
    // While the identity is exchanged for another, backups go on being sealed for the one before.
    place.run_with("key.before_recipients=kill:1", &["key", "rotate", "--to-file", "half"]).expect_killed();
    place.run(&["backup", root]).expect(0);
    place.run(&[&["verify", "latest"][..], &KEY].concat()).expect(0);
}
