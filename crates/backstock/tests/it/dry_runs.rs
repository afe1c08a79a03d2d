//! What is only shown writes nothing: no row of the catalog, no folder, no file. What is refused has made nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::harness::Place;
use super::plain_shop::walk;

fn shop(place: &Place, name: &str) -> PathBuf {
    let root = place.folder().join(name);
    fs::create_dir(&root).unwrap();
    fs::write(root.join("index.html"), "hello").unwrap();
    root
}

/// Every file and folder below a place but the program's own locks: its content, or the time of its last change.
fn picture(root: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64)> {
    let names = walk(root).into_keys();
    let look = |name: String| {
        let path = root.join(&name);
        let facts = fs::symlink_metadata(&path).unwrap();
        let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        // Beside the catalog and the journals something comes and goes while they are read.
        let comes_and_goes =
            facts.is_dir() && (name.is_empty() || name == "state" || name == "state/journals");
        let time = if comes_and_goes { (0, 0) } else { (facts.mtime(), facts.mtime_nsec()) };
        (name, (content, time.0, time.1))
    };
    names.map(look).collect()
}

#[test]
fn the_first_dry_run_of_all_leaves_no_state_and_no_backups() {
    let place = Place::new();
    let root = shop(&place, "shop");
    let run = place.run(&["backup", root.to_str().unwrap(), "--dry-run"]).expect(0);
    assert!(run.stdout.contains("would back up files of shop"), "{}", run.stdout);
    place.run(&["restore", "latest", "--dry-run"]).expect_error(10, &[]);
    place.run(&["undo", "--dry-run"]).expect_error(10, &[]);
    assert!(!place.state().exists() && !place.backups().exists());
}

#[test]
fn a_dry_run_changes_nothing_that_is_there() {
    let place = Place::new();
    let (root, other) = (shop(&place, "shop"), shop(&place, "another shop"));
    let text = root.to_str().unwrap();
    place.run(&["backup", text]).expect(0);
    fs::write(root.join("index.html"), "ruined").unwrap();
    let elsewhere = place.folder().join("elsewhere");
    let show = |arguments: &[&str], word: &str| {
        let before = picture(place.folder());
        let run = place.run(arguments).expect(0);
        assert!(run.stdout.contains(word), "{run:?}");
        let after = picture(place.folder());
        let changed: Vec<_> = before.keys().chain(after.keys()).collect();
        let changed: Vec<_> =
            changed.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
        assert!(changed.is_empty(), "{arguments:?} changed {changed:?}");
    };
    show(&["backup", text, "--dry-run"], "would back up");
    show(&["backup", other.to_str().unwrap(), "--dry-run"], "would back up");
    show(&["backup", text, "--dry-run", "--to", elsewhere.to_str().unwrap()], "elsewhere");
    show(&["backup", text, "--dry-run", "--json"], "backstock.backup-plan/1");
    show(&["prune", "--dry-run"], "(the default)");
    show(&["prune", "--dry-run", "--json"], "backstock.prune-plan/1");
    let away = ["restore", "latest", "--dry-run", "--to", elsewhere.to_str().unwrap()];
    show(&away, "would write 1 file with 5 B into ");
    show(&[&away[..], &["--json"]].concat(), "backstock.restore-files-plan/1");
    place.run(&[&away[..], &["--file", "no such file"]].concat()).expect_error(10, &["no such file"]);
    place.run(&["restore", "latest", "--dry-run", "--to", text]).expect_error(2, &["is not empty"]);
    // Also what would need consent is shown, with what is missing.
    show(&["restore", "latest", "--dry-run"], "--without-maintenance");
    show(&["restore", "latest", "--dry-run", "--json", "--without-maintenance"], "backstock.restore-plan/1");
    place.run(&["restore", "latest", "--yes", "--without-maintenance"]).expect(0);
    fs::write(root.join("index.html"), "edited since").unwrap();
    show(&["undo", "--dry-run"], "would take the restore back");
}

#[test]
fn a_state_folder_that_is_refused_was_not_made() {
    let place = Place::new();
    let root = shop(&place, "shop");
    std::os::unix::fs::symlink(&root, place.folder().join("innocent")).unwrap();
    fs::create_dir(place.folder().join("public_html")).unwrap();
    for state in ["shop/state", "innocent/deep/state", "public_html/state"] {
        let state = place.folder().join(state);
        let arguments = ["backup", root.to_str().unwrap(), "--state", state.to_str().unwrap()];
        place.run(&arguments).expect_error(15, &["state may not be kept there", "--state"]);
        assert!(!state.exists(), "{}", state.display());
    }
    let published = place.folder().join("public_html/state");
    place.run(&["list", "--state", published.to_str().unwrap()]).expect_error(15, &["hint: "]);
    assert_eq!(walk(&place.folder().join("public_html")).len(), 0);
    assert_eq!(walk(&root).into_keys().collect::<Vec<_>>(), ["index.html"]);
    // A shop of the catalog leads to the same answer, however it is named.
    place.run(&["backup", root.to_str().unwrap()]).expect(0);
    let moved = root.join("state");
    fs::rename(place.state(), &moved).unwrap();
    let arguments = ["backup", "shop", "--state", moved.to_str().unwrap()];
    place.run(&arguments).expect_error(15, &["state may not be kept there"]);
}
