//! The numbers of a set's backups: what was deleted on purpose leaves a tombstone, what was lost, put back or forked is told.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_archive::BackupFolder;
use backstock_archive::manifest::{Manifest, SignedManifest};
use backstock_host::{Host, InstanceKey};
use backstock_vocabulary::BackupId;
use serde_json::Value;

use super::harness::{Place, Run};
use super::plain_shop::walk;
use super::retention::{Kept, copy_folder};

/// The folder of the backup with a number.
#[track_caller]
fn folder(kept: &Kept, sequence: u64) -> PathBuf {
    let listed = kept.place.list();
    let found = listed.iter().find(|backup| backup["sequence"] == sequence).unwrap();
    kept.place.backups().join(found["replicas"][0]["folder"].as_str().unwrap())
}

fn tombstones(kept: &Kept) -> Vec<String> {
    walk(&kept.place.backups()).into_keys().filter(|name| name.contains("/tombstone-")).collect()
}

/// Loses the catalog and makes it anew from the folder.
fn rebuild(kept: &Kept) -> Run {
    kept.place.lose_catalog();
    kept.place.run(&["catalog", "rebuild", kept.place.backups().to_str().unwrap(), "--json"])
}

/// The irregularities that a document tells: word and number.
fn told(run: &Run) -> Vec<(String, Option<u64>)> {
    let document = run.json();
    let told = |found: &Value| {
        (
            found["irregularity"].as_str().unwrap().to_owned(),
            found["sequence"].as_u64().or(found["from"].as_u64()),
        )
    };
    document["irregularities"].as_array().unwrap().iter().map(told).collect()
}

fn verify(kept: &Kept) -> Run {
    kept.place.run(&["verify", "latest", "--level", "present", "--json"])
}

#[test]
fn what_prune_deletes_leaves_a_tombstone_and_no_gap() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(5);
    kept.prune(&["--yes"]).expect(0);
    assert_eq!((kept.sequences(), tombstones(&kept).len()), (vec![4, 5], 3));
    assert_eq!(told(&verify(&kept).expect(0)), []);
    assert_eq!(told(&rebuild(&kept).expect(0)), []);
    kept.back_up(1);
    assert_eq!(kept.sequences(), [4, 5, 6]);
    // Somebody removes a tombstone, or changes one.
    let name = kept.place.backups().join(&tombstones(&kept)[1]);
    let bytes = fs::read(&name).unwrap();
    fs::write(&name, &bytes[..bytes.len() - 2]).unwrap();
    let words = |run: &Run| told(run).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
    assert_eq!(words(&verify(&kept).expect(3)), ["gap", "unreadable"]);
    fs::remove_file(&name).unwrap();
    assert_eq!(told(&verify(&kept).expect(3)), [("gap".to_owned(), Some(2))]);
    let shown = kept.place.run(&["verify", "latest"]).expect(3);
    assert!(shown.stderr.contains("the backup number 2 is not here and was not deleted"), "{shown:?}");
    fs::write(&name, &bytes).unwrap();
    // One that cannot be read does not stop the deletion.
    let other = name.with_file_name(format!("tombstone-000000004-{}.json", &kept.id(4)[28..]));
    fs::write(&other, "no tombstone\n").unwrap();
    kept.prune(&["--yes"]).expect(0);
    assert_eq!((kept.sequences(), tombstones(&kept).len()), (vec![5, 6], 4));
    assert_eq!(told(&verify(&kept).expect(0)), []);
}

#[test]
fn a_backup_that_somebody_removed_is_told_with_and_without_the_catalog() {
    let kept = Kept::new("");
    kept.back_up(3);
    fs::remove_dir_all(folder(&kept, 2)).unwrap();
    assert_eq!(told(&verify(&kept).expect(3)), [("lost".to_owned(), Some(2))]);
    assert_eq!(told(&rebuild(&kept).expect(3)), [("gap".to_owned(), Some(2))]);
    kept.place.run(&["backup", kept.root.to_str().unwrap()]).expect(0);
    assert_eq!(kept.sequences(), [1, 3, 4], "the numbers go on");
}

/// F119: the folder is put back from an older copy, and another machine writes on from there.
#[test]
fn a_folder_that_was_put_back_and_a_fork_are_told() {
    let kept = Kept::new("");
    kept.back_up(2);
    let (backups, aside) = (kept.place.backups(), kept.place.folder().join("aside"));
    copy_folder(&backups, &aside);
    kept.back_up(1);
    let third = folder(&kept, 3);
    let kept_aside = kept.place.folder().join("third");
    copy_folder(&third, &kept_aside);
    copy_folder(&aside, &backups);
    let run = kept.place.run(&["verify", &kept.id(2), "--level", "present", "--json"]).expect(3);
    assert_eq!(told(&run), [("lost".to_owned(), Some(3))]);
    // Without the catalog nobody can know; what is written then has the same number.
    assert_eq!(told(&rebuild(&kept).expect(0)), []);
    kept.back_up(1);
    assert_eq!(kept.sequences(), [1, 2, 3]);
    copy_folder(&kept_aside, &third);
    assert_eq!(told(&rebuild(&kept).expect(3)), [("fork".to_owned(), Some(3))]);
    // Manifests of two backups change places.
    fs::remove_dir_all(&third).unwrap();
    let run = rebuild(&kept);
    assert_eq!(told(&run.expect(0)), []);
    fs::copy(folder(&kept, 1).join("manifest.json"), folder(&kept, 2).join("manifest.json")).unwrap();
    let swapped = kept.place.run(&["verify", &kept.id(2)]).expect(13);
    assert!(swapped.stdout.contains("is not the one that was recorded"), "{swapped:?}");
    let words: Vec<_> = told(&verify(&kept).expect(3));
    assert_eq!(words[0], ("lost".to_owned(), Some(2)));
}

/// A number that was used once is never used again, though nothing but the tombstone remembers it.
#[test]
fn the_number_of_a_deleted_backup_is_not_given_again() {
    let kept = Kept::new("keep_last = 1\ngrace_hours = 0\n");
    kept.back_up(3);
    let (state, backups) = (kept.place.state(), kept.place.backups());
    let aside = kept.place.folder().join("aside");
    copy_folder(&state, &aside.join("state"));
    copy_folder(&backups, &aside.join("backups"));
    kept.back_up(1);
    kept.prune(&["--yes"]).expect(0);
    let name = tombstones(&kept).into_iter().find(|name| name.contains("tombstone-000000003")).unwrap();
    let bytes = fs::read(backups.join(&name)).unwrap();
    copy_folder(&aside.join("state"), &state);
    copy_folder(&aside.join("backups"), &backups);
    fs::remove_dir_all(folder(&kept, 3)).unwrap();
    fs::create_dir_all(backups.join(&name).parent().unwrap()).unwrap();
    fs::write(backups.join(&name), bytes).unwrap();
    assert_eq!(told(&rebuild(&kept).expect(0)), []);
    kept.back_up(1);
    assert_eq!(kept.sequences(), [1, 2, 4]);
    assert_eq!(told(&verify(&kept).expect(0)), []);
}

/// A whole backup, under the next number and dated an hour from now, that somebody else signed.
pub(super) fn plant(newest: &Path, key: &InstanceKey) -> String {
    let signed = SignedManifest::parse(&fs::read(newest.join("manifest.json")).unwrap()).unwrap();
    let backup = Host::real().new_id(BackupId::from_parts);
    let planted = Manifest {
        backup,
        sequence: signed.manifest.sequence + 1,
        previous_manifest_sha256: Some(signed.sha256),
        started: signed.manifest.started.checked_add(std::time::Duration::from_secs(3600)).unwrap(),
        ..signed.manifest
    };
    let target = newest.with_file_name(BackupFolder::of(planted.started, backup).to_string());
    copy_folder(newest, &target);
    fs::write(target.join("manifest.json"), planted.sign(key).unwrap()).unwrap();
    backup.to_string()
}

/// A key of somebody who has none of ours.
pub(super) fn strangers_key(place: &Place) -> InstanceKey {
    InstanceKey::load_or_create(&Host::real(), &place.folder().join("stranger.key")).unwrap()
}

/// A manifest by a stranger, with a date in the future: it is named, it is not the latest, it takes nobody's place and
/// nothing goes because of it.
#[test]
fn a_planted_backup_counts_for_nothing() {
    let kept = Kept::new("keep_last = 2\ngrace_hours = 0\n");
    kept.back_up(2);
    let (own, planted) = (kept.id(2), plant(&folder(&kept, 2), &strangers_key(&kept.place)));
    for run in [
        kept.place
            .run(&["backup", kept.root.to_str().unwrap(), "--level", "incremental", "--no-prune"])
            .expect(0),
        rebuild(&kept),
    ] {
        assert!(run.stderr.contains("nobody vouches for"), "{run:?}");
        let listed = kept.place.list();
        let is_strangers: Vec<(u64, bool)> = listed
            .iter()
            .map(|backup| (backup["sequence"].as_u64().unwrap(), backup["is_strangers"].as_bool().unwrap()))
            .collect();
        assert_eq!(is_strangers.iter().filter(|(_, is)| *is).collect::<Vec<_>>(), [&(3, true)]);
    }
    let latest = kept.place.run(&["show", "latest", "--json"]).expect(0).json();
    assert_eq!(latest["sequence"], 4, "not the planted one, whatever its date");
    assert_eq!(latest["parent"], own.as_str(), "nothing is built on a stranger's");
    for id in [own.as_str(), "latest"] {
        kept.place.run(&["verify", id, "--level", "bytes"]).expect(0);
    }
    let run = kept.prune(&["--yes"]).expect(0);
    assert!(run.stderr.contains("goes by hand"), "{run:?}");
    let left: Vec<String> =
        kept.place.list().iter().map(|backup| backup["backup"].as_str().unwrap().to_owned()).collect();
    assert!(left.contains(&own) && left.contains(&planted), "the last two are those of this instance");
    assert!(kept.place.run(&["verify", &planted]).stderr.contains("nobody vouches for"));
    kept.place.run(&["delete", &planted, "--yes", "--now"]).expect(0);
    assert_eq!(kept.sequences(), [2, 4]);
}
