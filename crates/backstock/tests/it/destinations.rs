//! Further destinations: what is copied there, what is owed, and everything recovered from any one of them alone.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::away::{Away, every_kind};
use super::harness::{Place, Run};
use super::sealed::{folder_of_files, give_key};

pub(super) fn destinations(run: &Run) -> Vec<Value> {
    run.json()["destinations"].as_array().unwrap().clone()
}

pub(super) fn sets(place: &Place, root: &str) -> Vec<Value> {
    let shown = place.run(&["set", "show", root, "--json"]).expect(0).json();
    assert_eq!(shown["schema"], "backstock.sets/1");
    shown["sets"][0]["destinations"].as_array().unwrap().clone()
}

/// A full backup and an incremental one, at every kind of storage at once; from each of them alone everything is recovered, on a
/// machine that knows nothing.
fn recovered_from_each(is_sealed: bool) {
    let place = Place::new();
    let root = folder_of_files(&place);
    if is_sealed {
        give_key(&place, &[]);
    }
    let kinds = every_kind(&place);
    for (number, away) in kinds.iter().enumerate() {
        // One at the top, one in a folder of folders.
        let path = if number % 2 == 0 { "" } else { "customers/acme" };
        away.add(&place, &root, &["--path", path]);
    }
    place.run(&["backup", &root, "--level", "full"]).expect(0);
    fs::write(Path::new(&root).join("media/two.jpg"), vec![0x5A; 70_000]).unwrap();
    let run = place.run(&["backup", &root, "--level", "incremental", "--json"]).expect(0);
    let told = destinations(&run);
    assert_eq!(told.len(), kinds.len());
    for (away, destination) in kinds.iter().zip(&told) {
        assert_eq!(
            (&destination["outcome"], &destination["storage"]),
            (&"success".into(), &away.title.into())
        );
        assert_ne!(destination["copied"][0]["proof"], "size", "{destination}");
    }
    assert!(sets(&place, &root).iter().all(|row| row["held"] == 2 && row["owed"] == 0));
    // The machine is lost, with its disk.
    fs::remove_dir_all(place.backups()).unwrap();
    fs::remove_dir_all(place.state()).unwrap();
    for away in &kinds {
        let other = Place::new();
        fs::copy(place.folder().join("passphrase"), other.folder().join("passphrase")).ok();
        let key: &[&str] = if is_sealed { &["--passphrase-file", "passphrase"] } else { &[] };
        // Its settings name the other places, and nothing is to be read from those.
        let more = [key, &["--without-settings", "--json"]].concat();
        let run = away.typed(&other, &["recover"], &more).expect(0);
        assert_eq!(
            (&run.json()["schema"], &run.json()["backups"]),
            (&"backstock.recover/1".into(), &2.into())
        );
        let listed = other.list();
        assert_eq!(listed.len(), 2, "{}", away.title);
        assert_eq!(listed[0]["replicas"][0]["storage"], away.title);
        let latest = |command: &str, more: &[&str]| other.run(&[&[command, "latest"], more, key].concat());
        latest("verify", &["--level", "decoded"]).expect(0);
        let target = other.folder().join("elsewhere");
        latest("restore", &["--only", "files", "--to", target.to_str().unwrap()]).expect(0);
        same_folders(Path::new(&root), &target);
        latest("open", &["--to", "opened"]).expect(0);
        assert!(other.folder().join("opened").read_dir().unwrap().count() > 0);
        if is_sealed {
            other.run(&["open", "latest", "--to", "without a key"]).expect(12);
        }
    }
}

pub(super) fn same_folders(one: &Path, other: &Path) {
    let read = |root: &Path| {
        let files = super::sealed::every_file(root);
        let mut files: Vec<_> = files
            .iter()
            .map(|file| (file.strip_prefix(root).unwrap().to_owned(), fs::read(file).unwrap()))
            .collect();
        files.sort();
        files
    };
    assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
}

#[test]
fn a_shop_at_every_kind_of_storage_is_recovered_from_each_alone() {
    recovered_from_each(false);
}

#[test]
fn a_sealed_chain_at_every_kind_of_storage_is_recovered_from_each_alone() {
    recovered_from_each(true);
}

/// One destination that is away makes the run partial and holds no other up; it gets what it lacks later, parents first.
#[test]
fn a_destination_that_failed_is_caught_up_parents_first() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let (disk, second) = (place.folder().join("disk"), place.folder().join("second"));
    let [one, two] = [Away::folder(&disk), Away::folder(&second).called("second")];
    one.add(&place, &root, &[]);
    two.add(&place, &root, &[]);
    place.run(&["replicate", &root]).expect(4);
    let away = place.folder().join("away");
    fs::rename(&disk, &away).unwrap();
    // A file where the folder was: nothing can be stored there.
    fs::write(&disk, "").unwrap();
    let run = place.run(&["backup", &root, "--level", "full"]).expect(3);
    assert!(run.stderr.contains("1 backup NOT at disk"), "{}", run.stderr);
    assert!(run.stdout.contains("1 backup") && run.stdout.contains("copied to second/"), "{}", run.stdout);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    let run = place.run(&["backup", &root, "--level", "incremental", "--json"]).expect(3);
    assert_eq!(
        run.json()["level"],
        "incremental",
        "a copy that is proven better is no reason for a full one"
    );
    let rows = sets(&place, &root);
    assert_eq!((&rows[0]["held"], &rows[0]["owed"], &rows[1]["held"]), (&0.into(), &2.into(), &2.into()));
    assert_eq!(place.run(&["replicate", &root]).code, Some(3), "it is still away");
    fs::remove_file(&disk).unwrap();
    fs::rename(&away, &disk).unwrap();
    let run = place.run(&["replicate", &root, "--json"]).expect(0).json();
    let copied = run["sets"][0]["destinations"][0]["copied"].as_array().unwrap();
    let ids: Vec<&Value> = copied.iter().map(|copied| &copied["backup"]).collect();
    let listed = place.list();
    assert_eq!(ids, [&listed[1]["backup"], &listed[0]["backup"]], "the full one first");
    place.run(&["replicate", &root]).expect(4);
    // From what was caught up alone.
    let other = Place::new();
    one.typed(&other, &["recover"], &[]).expect(0);
    other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// What only a far storage holds any more is copied from there to one that lacks it, with what it builds on.
#[test]
fn what_no_folder_here_holds_any_more_is_copied_from_another_storage() {
    let Some(bucket) = Away::s3() else { return };
    let place = Place::new();
    let root = folder_of_files(&place);
    bucket.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let late = Away::folder(&place.folder().join("late"));
    late.add(&place, &root, &["--hours", &hours_from_now(3, 6)]);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    place.run(&["backup", &root, "--level", "incremental"]).expect(3);
    assert_eq!((&sets(&place, &root)[0]["held"], &sets(&place, &root)[1]["owed"]), (&2.into(), &1.into()));
    fs::remove_dir_all(place.backups()).unwrap();
    // It is read from there, without being asked to.
    let run = place.run(&["verify", "latest", "--level", "decoded"]).expect(0);
    assert!(run.stderr.contains("it is read from bucket instead"), "{}", run.stderr);
    place.run(&["set", "destination", "change", &root, "disk", "--hours", "none"]).expect(0);
    let run = place.run(&["replicate", &root]).expect(0);
    assert!(run.stdout.contains("2 backups"), "{}", run.stdout);
    assert!(run.stderr.contains("could not be taken from one of its places"), "{}", run.stderr);
    let other = Place::new();
    late.typed(&other, &["recover"], &[]).expect(0);
    other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// Hours of this day, or the next, from so many hours from now on.
pub(super) fn hours_from_now(from: i64, to: i64) -> String {
    let at = |hours: i64| {
        let now = backstock_host::Host::real().clock.now().to_zoned(jiff::tz::TimeZone::system());
        let then = now.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
        format!("{:02}:{:02}", then.hour(), then.minute())
    };
    format!("{}-{}", at(from), at(to))
}

/// Nothing goes to a destination that is off, and nothing is owed to it.
#[test]
fn a_destination_that_is_off_is_owed_nothing() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &[]);
    place.run(&["set", "destination", "change", &root, "disk", "--off"]).expect(0);
    place.run(&["backup", &root]).expect(0);
    assert_eq!((&sets(&place, &root)[0]["owed"], &sets(&place, &root)[0]["held"]), (&0.into(), &0.into()));
    place.run(&["set", "destination", "change", &root, "disk", "--on"]).expect(0);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    assert_eq!(sets(&place, &root)[0]["held"], 2, "with what it builds on");
}

#[test]
fn a_row_that_makes_no_sense_is_refused_and_one_can_be_changed_and_removed() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let add = |more: &[&str]| place.run(&[&["set", "destination", "add", &root], more].concat());
    add(&["nowhere"]).expect_error(10, &["no storage called nowhere"]);
    let disk = Away::folder(&place.folder().join("disk"));
    disk.typed(&place, &["storage", "add"], &[]).expect(0);
    add(&["disk", "--path", "a/../b"]).expect_error(15, &["not made a destination"]);
    add(&["disk", "--copies", "0"]).expect_error(15, &["0 copies"]);
    assert_eq!(add(&["disk", "--limit", "1 B"]).code, Some(2));
    assert_eq!(add(&["disk", "--hours", "25:00-26:00"]).code, Some(2));
    add(&["disk", "--path", "/shops/", "--copies", "3", "--limit", "5 MB", "--hours", "22:00-06:00"])
        .expect(0);
    add(&["disk"]).expect_error(15, &["already"]);
    place.run(&["storage", "remove", "disk", "--yes"]).expect_error(15, &["destination of a set"]);
    let row = &sets(&place, &root)[0];
    assert_eq!((&row["path"], &row["copies"], &row["is_on"]), (&"shops".into(), &3.into(), &true.into()));
    assert_eq!(
        (&row["limits"]["hours"], &row["limits"]["bytes_per_second"]),
        (&"22:00-06:00".into(), &5_000_000.into())
    );
    let change =
        |more: &[&str]| place.run(&[&["set", "destination", "change", &root, "disk"], more].concat());
    change(&["--off", "--copies", "none", "--hours", "none", "--limit", "none"]).expect(0);
    let row = &sets(&place, &root)[0];
    assert_eq!(
        (&row["is_on"], &row["copies"], &row["limits"]),
        (&false.into(), &Value::Null, &serde_json::json!({}))
    );
    place.run(&["backup", &root]).expect(0);
    assert_eq!(fs::read_dir(&disk.objects).map_or(0, Iterator::count), 0, "it is off");
    place.run(&["set", "destination", "remove", &root, "disk"]).expect(0);
    assert!(sets(&place, &root).is_empty());
    place.run(&["set", "list"]).expect(0);
    place.run(&["storage", "remove", "disk", "--yes"]).expect(0);
}

/// Outside its hours nothing is sent; what is owed goes there within them.
#[test]
fn outside_its_hours_a_destination_waits() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &["--hours", &hours_from_now(3, 6)]);
    let run = place.run(&["backup", &root]).expect(3);
    assert!(run.stderr.contains("it may be sent to at"), "{}", run.stderr);
    assert_eq!(sets(&place, &root)[0]["owed"], 1);
    place.run_at(4, &["replicate", &root]).expect(0);
    assert_eq!(sets(&place, &root)[0]["held"], 1);
}

fn manifests(folder: &Path) -> usize {
    let files = super::sealed::every_file(folder);
    files.iter().filter(|file| file.file_name().unwrap() == "manifest.json").count()
}

/// A destination that says how many copies it keeps keeps those, while the first place keeps what the policy says.
#[test]
fn a_destination_keeps_as_many_copies_as_it_says() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let policy = format!(
        "[[set]]\ntitle = \"shop\"\nshop = \"{root}\"\n[set.retention]\nkeep_last = 5\ngrace_hours = 0\n"
    );
    fs::write(place.configuration(), policy).unwrap();
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &["--copies", "2"]);
    for number in 0..5 {
        fs::write(Path::new(&root).join("page"), format!("{number}")).unwrap();
        place.run(&["backup", &root, "--level", "full"]).expect(0);
    }
    assert_eq!((manifests(&place.backups()), manifests(&disk.objects)), (5, 2));
    place.run(&["replicate", &root]).expect(4);
    assert_eq!(manifests(&disk.objects), 2, "what was let go is not brought back");
}

/// Each place is proven by its own copy: one on a second disk, which was read back as it was made, proves nothing of the first.
#[test]
fn the_first_place_lets_go_though_a_second_disk_is_better_proven() {
    let place = Place::new();
    let root = folder_of_files(&place);
    fs::write(place.configuration(), "[retention]\nkeep_last = 1\ngrace_hours = 0\n").unwrap();
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &["--copies", "9"]);
    for number in 0..3 {
        fs::write(Path::new(&root).join("page"), format!("{number}")).unwrap();
        place.run(&["backup", &root, "--level", "full"]).expect(0);
    }
    assert_eq!((manifests(&place.backups()), manifests(&disk.objects)), (1, 3));
}

/// Two servers with a shop in a folder of the same name send to one storage: both are found there.
#[test]
fn shops_that_lay_in_folders_of_one_name_are_both_recovered() {
    let (one, two, other) = (Place::new(), Place::new(), Place::new());
    let root = folder_of_files(&one);
    let disk = Away::folder(&one.folder().join("disk"));
    for place in [&one, &two] {
        disk.add(place, &root, &[]);
        place.run(&["backup", &root]).expect(0);
    }
    let run = disk.typed(&other, &["recover"], &["--without-settings", "--json"]).expect(0).json();
    assert_eq!((&run["backups"], &run["unreadable"]), (&2.into(), &serde_json::json!([])));
    let backups = other.list();
    assert_eq!(backups.len(), 2);
    for backup in &backups {
        let id = backup["backup"].as_str().unwrap();
        other.run(&["verify", id]).expect(0);
        let whither = other.folder().join(id);
        other.run(&["restore", id, "--only", "files", "--to", whither.to_str().unwrap()]).expect(0);
        same_folders(Path::new(&root), &whither);
    }
}

/// With the required copies of two, a run whose copy failed is failed, and one that has it is not.
#[test]
fn a_copy_elsewhere_counts_as_a_required_one() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let set = format!("[[set]]\ntitle = \"shop\"\nshop = \"{root}\"\nrequired_copies = 2\n");
    fs::write(place.configuration(), set).unwrap();
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let broken = place.run_with("replicate.before_part=fail:1", &["backup", &root]);
    broken.expect_error(1, &["1 of 2 required copies", "backstock replicate"]);
    place.run(&["replicate", &root]).expect(0);
    place.run(&["prune", &root, "--yes"]).expect(0);
}

/// A destination that began later, was off for a day, and never gets safety snapshots or what was deleted meanwhile: recovered from it
/// alone, none of these is a gap; what was removed there by somebody is.
#[test]
fn numbers_that_are_not_to_be_expected_are_no_gaps() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let back_up = |code| place.run(&["backup", &root, "--level", "full", "--no-prune"]).expect(code);
    back_up(0);
    back_up(0);
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, &root, &[]);
    back_up(0);
    place.run(&["set", "destination", "change", &root, "disk", "--off"]).expect(0);
    back_up(0);
    fs::write(Path::new(&root).join("index.php"), "defaced").unwrap();
    place.run(&["restore", "latest", "--shop", &root, "--yes", "--without-maintenance"]).expect(0);
    place.run(&["restore", "--accept"]).expect(0);
    back_up(0);
    let listed = place.list();
    let gone = listed.iter().find(|backup| backup["sequence"] == 4).unwrap()["short"].as_str().unwrap();
    place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    place.run(&["delete", gone, "--yes", "--now"]).expect(0);
    place.run(&["set", "destination", "change", &root, "disk", "--on"]).expect(0);
    back_up(0);
    let recovered = || {
        let other = Place::new();
        let run = disk.typed(&other, &["recover"], &["--json"]);
        let sequences: Vec<u64> =
            other.list().iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
        (run, sequences)
    };
    let (run, sequences) = recovered();
    assert_eq!((run.code, sequences.as_slice()), (Some(0), &[7, 3][..]), "{run:?}");
    let third = listed.iter().find(|backup| backup["sequence"] == 3).unwrap();
    let replicas = third["replicas"].as_array().unwrap();
    let there = replicas.iter().find(|replica| replica["storage"] == "disk").unwrap();
    fs::remove_dir_all(disk.objects.join(there["folder"].as_str().unwrap())).unwrap();
    let (run, sequences) = recovered();
    assert_eq!((run.code, sequences.as_slice()), (Some(3), &[7][..]));
    assert_eq!(run.json()["irregularities"][0]["irregularity"], "gap", "{run:?}");
}

/// Parts are short while one of the destinations would have to begin a cut upload anew.
#[test]
fn parts_are_as_long_as_the_least_able_destination_can_live_with() {
    let place = Place::new();
    let root = folder_of_files(&place);
    fs::write(place.folder().join("password"), "secret").unwrap();
    let settings = ["--set", "url=http://127.0.0.1:9/dav/shops", "--set", "user=somebody", "--no-test"];
    let add = ["storage", "add", "dav", "--kind", "webdav", "--secret-file", "password=password"];
    place.run(&[&add[..], &settings].concat()).expect(0);
    let planned = |more: &[&str]| {
        let plan = place.run(&[&["backup", &root, "--dry-run", "--json"], more].concat()).expect(0).json();
        plan["part_size_bytes"].as_u64().unwrap()
    };
    assert_eq!(planned(&[]), 4_000_000_000);
    place.run(&["set", "destination", "add", &root, "dav"]).expect(0);
    assert_eq!((planned(&[]), planned(&["--part-size", "32 MiB"])), (64 << 20, 32 << 20));
    place.run(&["set", "destination", "change", &root, "dav", "--off"]).expect(0);
    assert_eq!(planned(&[]), 4_000_000_000);
}
