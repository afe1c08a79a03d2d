//! `--replica`: a backup is read at the place that a person names, and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use super::away::Away;
use super::harness::Place;
use super::sealed::every_file;
use super::verify::flip;

/// The copy of the files' part below a folder.
fn part_below(folder: &Path) -> PathBuf {
    let is_part = |file: &PathBuf| file.ends_with("files/files.tar.zst");
    every_file(folder).into_iter().find(is_part).unwrap()
}

#[test]
fn what_is_asked_for_at_one_place_is_read_there_and_nowhere_else() {
    let place = Place::new();
    let shop = place.folder().join("shop");
    fs::create_dir(&shop).unwrap();
    fs::write(shop.join("page"), "hello ".repeat(4000)).unwrap();
    let root = shop.to_str().unwrap();
    place.run(&["backup", root]).expect(0);
    let first = place.list()[0]["backup"].as_str().unwrap().to_owned();
    let disk = Away::folder(&place.folder().join("disk"));
    disk.add(&place, root, &[]);
    fs::write(shop.join("page"), "other ".repeat(4000)).unwrap();
    place.run(&["backup", root, "--level", "full"]).expect(0);
    let at_disk = |command: &[&str]| place.run(&[command, &["--replica", "disk"]].concat());

    // What only one place has is asked for there alone.
    at_disk(&["verify", &first]).expect_error(10, &["disk does not hold the backup"]);
    place.run(&["verify", "latest", "--replica", "nowhere"]).expect_error(10, &["no storage called nowhere"]);

    // The first place's copy is ruined: whoever names the other one does not see that.
    let own = part_below(&place.newest_backup());
    flip(&own, 60);
    at_disk(&["verify", "latest"]).expect(0);
    let read = place.folder().join("read");
    at_disk(&["open", "latest", "--to", read.to_str().unwrap()]).expect(0);
    let back = place.folder().join("back");
    at_disk(&["restore", "latest", "--to", back.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read(back.join("page")).unwrap(), fs::read(shop.join("page")).unwrap());
    at_disk(&["diff", "latest", "live"]).expect(0);
    at_disk(&["show", "latest", "--contents"]).expect(0);
    let drilled = at_disk(&["drill", "latest", "--json"]).expect(0);
    assert!(drilled.stdout.contains("drill"), "{drilled:?}");

    // And the other way round: the other place's copy is ruined, and is not passed by for a good one.
    flip(&own, 60);
    flip(&part_below(&place.folder().join("disk")), 60);
    place.run(&["verify", "latest"]).expect(0);
    let damaged = at_disk(&["verify", "latest", "--json"]);
    assert_eq!((damaged.code, damaged.json()["damage"].as_array().unwrap().is_empty()), (Some(13), false));
    let other = place.folder().join("other");
    let refused = at_disk(&["restore", "latest", "--to", other.to_str().unwrap()]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
}
