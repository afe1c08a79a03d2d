//! What the machine refuses: a mount that is gone, no room beside the shop, files that may not be long, few open files.

use std::fs;
use std::process::Command;

use backstock_testbed::{ServerKind, tree};

use super::harness::{Place, Run};
use super::restore_shop::{backup, expect_clean, expect_same, scene, scratch};

/// Runs the executable in a shell that first does something: `ulimit -n 24`.
fn run_after(place: &Place, first: &str, arguments: &[&str]) -> Run {
    let mut through = Command::new("bash");
    through.args(["-c", &format!("{first}; exec \"$@\""), "bash"]);
    place.run_through(through, arguments)
}

fn small_shop(place: &Place) -> String {
    let shop = place.folder().join("shop");
    fs::create_dir_all(shop.join("image")).unwrap();
    for number in 0..40_u32 {
        let noise: Vec<u8> =
            (0..100_000_u32).map(|n| (n ^ number).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        fs::write(shop.join(format!("image/{number}.jpg")), noise).unwrap();
    }
    shop.to_str().unwrap().to_owned()
}

/// The disk that holds the backups is not mounted: its empty mount point is no place for backups, and nothing is
/// concluded about those that it held.
#[test]
fn f28_an_empty_mount_point_is_not_written_to() {
    let place = Place::new();
    let shop = small_shop(&place);
    place.run(&["backup", &shop]).expect(0);
    let (mounted, away) = (place.backups(), place.folder().join("unmounted"));
    fs::rename(&mounted, &away).unwrap();
    fs::create_dir(&mounted).unwrap();
    let refused =
        place.run(&["backup", &shop]).expect_error(14, &["1 of its backups", "mounted", "--take-over"]);
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    place.run(&["verify", "latest"]).expect_error(14, &["mounted"]);
    assert_eq!(
        tree::read(&mounted).unwrap().things.keys().filter(|thing| thing.contains("manifest")).count(),
        0
    );
    let states: Vec<_> = place.list().iter().map(|backup| backup["replicas"][0]["state"].clone()).collect();
    assert_eq!(states, ["present"]);
    fs::remove_dir_all(&mounted).unwrap();
    fs::rename(&away, &mounted).unwrap();
    place.run(&["backup", &shop]).expect(0);
    assert_eq!(place.list().len(), 2);
    // Whoever emptied it says so, and the numbers go on.
    fs::remove_dir_all(&mounted).unwrap();
    place.run(&["backup", &shop, "--take-over"]).expect(0);
    assert_eq!(place.list()[0]["sequence"].as_u64(), Some(3));
}

/// A limit on the length of files (F24) or on their number (F30) is an error in words, no death, and leaves nothing.
#[test]
fn f24_f30_limits_of_the_process_are_errors_and_leave_nothing() {
    let place = Place::new();
    let shop = small_shop(&place);
    place.run(&["backup", &shop, "--exclude", "image"]).expect(0);
    let long = run_after(&place, "ulimit -f 1024", &["backup", &shop]);
    let code = long.code.expect("ended by a signal");
    assert!(matches!(code, 1 | 14), "{long:?}");
    long.expect_error(code, &["File too large"]);
    let few = run_after(&place, "ulimit -n 16", &["backup", &shop]);
    let code = few.code.expect("ended by a signal");
    assert!(code != 0 || few.stdout.contains(" 40 files"), "{few:?}");
    assert!(!few.stderr.contains("panicked"), "{}", few.stderr);
    place.run(&["backup", &shop]).expect(0);
    place.run(&["verify", "latest"]).expect(0);
    assert_eq!(super::plain_shop::leftovers(&place), Vec::<String>::new());
}

/// A snapshot that cannot be taken, or that does not verify, is a restore that does not begin (F52).
#[test]
fn f52_without_a_sound_snapshot_nothing_begins() {
    let Some(scene) = scene(ServerKind::MariaDb, 5) else { return };
    let id = backup(&scene, &[]);
    scratch(&scene);
    let was = scene.picture();
    let arguments = ["restore", &id, "--yes"];
    for orders in
        ["artifact.write=full:1", "backup.before_manifest=fail:1", "storage.local.before_rename=full:1"]
    {
        let run = scene.place.run_with(orders, &arguments);
        let code = run.code.expect("ended by a signal");
        assert!(matches!(code, 1 | 14), "{orders}: {run:?}");
        run.expect_error(code, &["error: "]);
        expect_same(orders, &was, &scene.picture());
        expect_clean(&scene);
    }
}
