//! A thread that copies and ends by a fault in the program: nobody waits for it, and what it had to do is told or done again.

use std::fs;
use std::path::Path;

use super::away::Away;
use super::destinations::{destinations, sets};
use super::harness::{Place, Run};
use super::sealed::{every_file, folder_of_files};

const FULL: [&str; 4] = ["--level", "full", "--part-size", "1 MiB"];

/// A shop of some parts with two destinations; and what lies there.
fn with_two_destinations() -> (Place, String, [Away; 2]) {
    let place = Place::new();
    let root = folder_of_files(&place);
    fs::write(Path::new(&root).join("media/noise.jpg"), super::part_of_backup::noise(3, 5 << 20)).unwrap();
    let folder = |name: &str| place.folder().join(name);
    let both = [Away::folder(&folder("disk")), Away::folder(&folder("second")).called("second")];
    both.iter().for_each(|away| away.add(&place, &root, &[]));
    (place, root, both)
}

fn manifests(away: &Away) -> usize {
    let files = every_file(&away.objects);
    files.iter().filter(|file| file.file_name().unwrap() == "manifest.json").count()
}

fn recovered(away: &Away, backups: usize) {
    let other = Place::new();
    away.typed(&other, &["recover"], &["--without-settings"]).expect(0);
    assert_eq!(other.list().len(), backups);
    other.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// Backs up until the second destination's lane has come to its second part and broken there: on a busy machine a backup of a few
/// parts may be whole before. Tells how many were made.
fn until_a_lane_breaks(place: &Place, arguments: &[&str], check: impl Fn(&Run)) -> usize {
    for made in 1..=20 {
        let run = place.run_with("replicate.part_of_lane_1=panic:2", arguments).expect(0);
        check(&run);
        if run.stderr.contains("failpoint replicate.part_of_lane_1") {
            return made;
        }
    }
    panic!("no lane has come to its second part while a backup was made");
}

/// While the backup is made: the copy is made afterwards, in the same run.
#[test]
fn a_copy_that_breaks_while_the_backup_is_made_is_made_afterwards() {
    let (place, root, both) = with_two_destinations();
    let arguments = [&["backup", &root, "--json"], &FULL[..]].concat();
    let made = until_a_lane_breaks(&place, &arguments, |run| {
        assert!(destinations(run).iter().all(|told| told["outcome"] == "success"), "{}", run.stdout);
    });
    for away in &both {
        assert_eq!(manifests(away), made);
        recovered(away, made);
    }
}

/// After it: the other destinations have it, the run is partial, and the next one goes on.
#[test]
fn a_copy_that_breaks_afterwards_makes_the_run_partial() {
    let (place, root, both) = with_two_destinations();
    let arguments = [&["backup", &root, "--json"], &FULL[..]].concat();
    let run = place.run_with("replicate.before_manifest=panic:1", &arguments).expect(3);
    let told = destinations(&run);
    let broken: Vec<_> = told.iter().filter(|told| told["outcome"] == "failed").collect();
    assert_eq!((told.len(), broken.len()), (2, 1), "{}", run.stdout);
    let problem = broken[0]["problem"].as_str().unwrap();
    assert!(
        problem.contains("ended by a fault in the program: failpoint replicate.before_manifest"),
        "{problem}"
    );
    assert_eq!(broken[0]["left"].as_array().unwrap().len(), 1);
    assert_eq!(sets(&place, &root).iter().filter(|row| row["owed"] == 1).count(), 1);
    place.run(&["replicate", &root]).expect(0);
    both.iter().for_each(|away| recovered(away, 1));
}

/// Of a set that keeps nothing here: the backup itself fails where it is made, and a copy does not hold it up.
#[test]
fn what_breaks_on_the_way_through_the_spool_holds_nothing_up() {
    let (place, root, both) = with_two_destinations();
    place.run(&["set", "local", &root, "--off"]).expect(0);
    let arguments = [&["backup", &root], &FULL[..]].concat();
    let spool = || fs::read_dir(place.state().join("spool")).unwrap().count();
    for hit in [1, 3] {
        let run = place.run_with(&format!("replicate.part_of_lane_0=panic:{hit}"), &arguments);
        let run = run.expect(1);
        assert!(
            run.stderr.contains("error: storing the backup at its first place ended by a fault"),
            "{run:?}"
        );
        assert_eq!((place.list().len(), manifests(&both[0]), spool()), (0, 0, 0), "none by halves");
    }
    let made = until_a_lane_breaks(&place, &arguments, |_| {});
    assert_eq!((manifests(&both[0]), manifests(&both[1]), spool()), (made, made, 0));
    place.run(&arguments).expect(0);
    both.iter().for_each(|away| recovered(away, made + 1));
}
