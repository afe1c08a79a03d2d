//! A signal from a person: heard, answered, and nothing half done is left.

use std::fs;
use std::process::{Command, Stdio};

use super::harness::{Place, Run};
use super::plain_shop::leftovers;

/// Runs the executable, pauses it at a failpoint, and sends it SIGINT there.
fn interrupted(place: &Place, point: &str, arguments: &[&str]) -> Run {
    place.paused(point, 1200, arguments, |process| {
        let sent = Command::new("kill").args(["-INT", &process.to_string()]).stderr(Stdio::null()).status();
        assert!(sent.unwrap().success());
    })
}

#[test]
fn a_backup_that_is_told_to_stop_leaves_nothing() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("page"), "hello").unwrap();
    let arguments = ["backup", root.to_str().unwrap()];
    place.run(&arguments).expect(0);
    // The second part is not put any more; the first one goes again.
    for point in ["backup.spooled", "backup.before_part"] {
        let run = interrupted(&place, point, &arguments).expect_error(130, &["stopped by a signal"]);
        assert!(run.stderr.contains("stopping at the next safe point"), "{}", run.stderr);
        assert_eq!((place.list().len(), leftovers(&place)), (1, Vec::new()), "{point}");
    }
    // Whoever writes the manifest is done.
    interrupted(&place, "backup.before_manifest", &arguments).expect(0);
    assert_eq!((place.list().len(), leftovers(&place)), (2, Vec::new()));
}

#[test]
fn a_restore_is_stopped_before_the_swap_and_finished_in_it() {
    let place = Place::new();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    let page = root.join("page");
    fs::write(&page, "old").unwrap();
    place.run(&["backup", root.to_str().unwrap()]).expect(0);
    fs::write(&page, "ruined").unwrap();
    let arguments = ["restore", "latest", "--yes", "--without-maintenance"];
    for point in ["restore.after_snapshot", "restore.between_parts"] {
        interrupted(&place, point, &arguments).expect_error(130, &["stopped by a signal"]);
        assert_eq!(fs::read_to_string(&page).unwrap(), "ruined", "{point}");
        assert_eq!(fs::read_dir(place.state().join("journals")).unwrap().count(), 0, "{point}");
    }
    interrupted(&place, "restore.closed", &arguments).expect(0);
    assert_eq!(fs::read_to_string(&page).unwrap(), "old");
    interrupted(&place, "undo.between_swaps", &["undo", "--yes"]).expect(0);
    assert_eq!(fs::read_to_string(&page).unwrap(), "ruined");
}
