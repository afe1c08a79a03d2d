//! The first runs of an installation: killed anywhere, many at once, with a key or a folder that cannot be used.

use std::fs;
use std::path::PathBuf;

use super::harness::{Place, Run};
use super::plain_shop::{leftovers, walk};

fn shop(place: &Place, name: &str) -> PathBuf {
    let root = place.folder().join(name);
    fs::create_dir_all(root.join("media")).unwrap();
    for number in 0..5 {
        fs::write(root.join(format!("media/{number}.txt")), format!("{name} {number}\n").repeat(50)).unwrap();
    }
    root
}

/// F01 to F05 where nothing is there yet: no key, no catalog, no owner file.
#[cfg(feature = "failpoints")]
#[test]
fn the_first_backup_of_all_may_be_killed_at_any_point() {
    let place = Place::new();
    let root = shop(&place, "shop");
    let arguments = ["backup", root.to_str().unwrap()];
    let (run, hits) = place.hits(&arguments);
    run.expect(0);
    assert!(hits.iter().any(|hit| hit.0 == "catalog.migrate.before_commit"), "{hits:?}");
    for (name, number) in hits {
        fs::remove_dir_all(place.state()).unwrap();
        let _ = fs::remove_dir_all(place.backups());
        let case = format!("{name}=kill:{number}");
        let run = place.run_with(&case, &arguments);
        if run.code.is_some() {
            run.expect(0);
            continue;
        }
        let before = walk(&place.backups()).keys().filter(|path| path.ends_with("/manifest.json")).count();
        assert!(place.list().len() <= before, "{case}");
        place.run(&arguments).expect(0);
        assert_eq!(place.list().len(), before + 1, "{case}");
        assert_eq!(leftovers(&place), Vec::<String>::new(), "{case}");
        place.run(&["verify"]).expect(0);
    }
}

/// The name of a folder is bytes; so are those in it.
#[test]
fn a_folder_whose_name_is_no_text_is_backed_up() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let root = place.folder().join(OsStr::from_bytes(b"sh\xff\xfep"));
    let file = root.join(OsStr::from_bytes(b"\xc3\x28"));
    fs::create_dir(&root).unwrap();
    fs::write(&file, "kept").unwrap();
    for _ in 0..2 {
        Run::of(&place.command(&["backup"]).arg(&root).output().unwrap()).expect(0);
    }
    assert_eq!(walk(&place.backups()).keys().filter(|name| !name.contains('/')).count(), 1, "one set");
    place.run(&["verify"]).expect(0);
    place.run(&["restore", "latest", "--yes", "--to", "elsewhere"]).expect(0);
    let restored = place.folder().join("elsewhere").join(file.file_name().unwrap());
    assert_eq!(fs::read(restored).unwrap(), b"kept");
}

/// Many first runs at once share one new state folder: one key, one catalog, every shop backed up.
#[test]
fn many_first_runs_at_once_get_on() {
    for _ in 0..3 {
        let place = Place::new();
        let roots: Vec<PathBuf> = (0..4).map(|number| shop(&place, &format!("shop-{number}"))).collect();
        let start = |root: &PathBuf| place.command(&["backup", root.to_str().unwrap()]).spawn().unwrap();
        let running: Vec<_> = roots.iter().map(start).collect();
        for child in running {
            Run::of(&child.wait_with_output().unwrap()).expect(0);
        }
        assert_eq!(place.list().len(), 4);
        // Of one shop one runs; the others say that it does, or come after it.
        let running: Vec<_> = std::iter::repeat_n(&roots[0], 4).map(start).collect();
        let ends: Vec<Run> =
            running.into_iter().map(|child| Run::of(&child.wait_with_output().unwrap())).collect();
        let done = ends.iter().filter(|run| run.code == Some(0)).count();
        assert!(done >= 1, "{ends:?}");
        for run in ends.into_iter().filter(|run| run.code != Some(0)) {
            run.expect_error(11, &["already running"]);
        }
        assert_eq!(place.list().len(), 4 + done);
        assert_eq!(leftovers(&place), Vec::<String>::new());
        for backup in place.list() {
            place.run(&["verify", backup["backup"].as_str().unwrap()]).expect(0);
        }
    }
}

/// A key that is damaged is never replaced in silence: what it signed would be a stranger's.
#[test]
fn a_damaged_key_stops_everything() {
    let place = Place::new();
    let root = shop(&place, "shop");
    let arguments = ["backup", root.to_str().unwrap()];
    place.run(&arguments).expect(0);
    let key = place.state().join("instance.key");
    let kept = fs::read(&key).unwrap();
    let mut flipped = kept.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x01;
    for damaged in [Vec::new(), kept[..kept.len() / 2].to_vec(), flipped] {
        fs::write(&key, &damaged).unwrap();
        let run = place.run(&arguments);
        assert!(matches!(run.code, Some(1 | 12 | 13 | 15)), "{} bytes: {run:?}", damaged.len());
        let code = run.code.unwrap();
        run.expect_error(code, &[]);
        assert_eq!(fs::read(&key).unwrap(), damaged);
    }
    fs::write(&key, kept).unwrap();
    place.run(&arguments).expect(0);
    assert_eq!(place.list().len(), 2);
}

#[test]
fn places_that_cannot_be_used_are_named() {
    let place = Place::new();
    let root = shop(&place, "shop");
    let file = place.folder().join("a file");
    fs::write(&file, "in the way").unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["backup", root.to_str().unwrap()];
    let with = |more: &[&str]| place.run(&[&arguments[..], more].concat());
    with(&["--state", file]).expect_error(1, &[file]);
    let run = with(&["--to", file]);
    let code = run.code.unwrap();
    assert!(matches!(code, 1 | 14), "{run:?}");
    run.expect_error(code, &[file]);
    with(&["--to", "/proc/backups"]).expect_error(14, &["/proc/backups"]);
    assert_eq!(fs::read(file).unwrap(), b"in the way");
    assert_eq!(place.list().len(), 0);
    assert_eq!(walk(&place.state().join("spool")).len(), 0);
    place.run(&arguments).expect(0);
    assert_eq!(place.list().len(), 1);
}

/// One set at two places: the chain goes on, and either place alone or both make the catalog anew.
#[test]
fn a_set_may_be_kept_at_two_places() {
    let place = Place::new();
    // Marks are a matter of the catalog alone.
    fs::write(place.configuration(), "[retention]\nafter_backup = false\n").unwrap();
    let root = shop(&place, "shop");
    let other = place.folder().join("other backups");
    let other = other.to_str().unwrap();
    let arguments = ["backup", root.to_str().unwrap()];
    place.run(&arguments).expect(0);
    place.run(&[&arguments[..], &["--to", other, "--codec", "gzip"]].concat()).expect(0);
    place.run(&arguments).expect(0);
    let before = place.list();
    let sequences: Vec<u64> = before.iter().map(|backup| backup["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [3, 2, 1]);
    place.lose_catalog();
    // One place alone cannot tell that the others are not lost.
    let run = place.run(&["catalog", "rebuild", other]).expect(3);
    assert!(run.stderr.contains("number 1 is not here") && run.stderr.contains("another place"), "{run:?}");
    assert_eq!(place.list().len(), 1);
    place.run(&["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    assert_eq!(place.list(), before);
    for backup in before {
        place.run(&["verify", backup["backup"].as_str().unwrap()]).expect(0);
    }
}
