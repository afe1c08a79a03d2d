//! Parts that are missing, doubled, cut off or of another backup (F84), sealed and unsealed: refused by name before anything is
//! touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::harness::Place;
use super::part_of_backup::noise;
use super::plain_shop::leftovers;

/// The part that is replaced.
const SECOND: &str = "files/files.tar.zst.002";

/// Two backups in parts of the same lengths with other contents, the older one of which becomes wrong.
struct Scene {
    place: Place,
    root: PathBuf,
    is_sealed: bool,
    older: (String, PathBuf),
    newer: PathBuf,
}

impl Scene {
    fn new(is_sealed: bool) -> Self {
        let place = Place::new();
        if is_sealed {
            place.run(&["key", "create", "--to-file", "key"]).expect(0);
        }
        let root = place.folder().join("shop");
        fs::create_dir(&root).unwrap();
        let back_up = |seed: u64| {
            for number in 0..4 {
                fs::write(root.join(format!("{number}.jpg")), noise(seed + number, 900_000)).unwrap();
            }
            place.run(&["backup", root.to_str().unwrap(), "--part-size", "1MiB"]).expect(0);
            (place.list()[0]["backup"].as_str().unwrap().to_owned(), place.newest_backup())
        };
        let older = back_up(1);
        let (_, newer) = back_up(100);
        Self { place, root, is_sealed, older, newer }
    }

    fn part(&self, folder: &Path, name: &str) -> PathBuf {
        folder.join(if self.is_sealed { format!("{name}.bks") } else { name.to_owned() })
    }

    /// Runs a command on the older backup.
    fn on_older(&self, command: &str, more: &[&str]) -> super::harness::Run {
        let mut arguments = vec![command, &self.older.0];
        arguments.extend_from_slice(more);
        if self.is_sealed {
            arguments.extend(["--identity-file", "key"]);
        }
        self.place.run(&arguments)
    }

    fn picture(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
        fs::read_dir(&self.root).unwrap().map(|entry| read(entry.unwrap().path())).collect()
    }

    /// What is wrong is named by every command, and nothing is touched.
    #[track_caller]
    fn expect_refused(&self, what: &str) {
        let before = self.picture();
        let verified = self.on_older("verify", &["--json"]).expect(13).json();
        let damage = verified["damage"].to_string();
        assert!(damage.contains(SECOND), "{what}: {damage}");
        self.on_older("restore", &["--yes", "--without-maintenance"]).expect_error(13, &[SECOND]);
        assert!(self.picture() == before, "{what}");
        self.on_older("open", &["--to", "opened"]).expect_error(13, &[SECOND]);
        assert!(!self.place.folder().join("opened").exists(), "{what}");
        let elsewhere = self.place.folder().join("elsewhere");
        let run = self.on_older("restore", &["--to", "elsewhere"]).expect(13);
        assert!(format!("{}{}", run.stdout, run.stderr).contains(SECOND), "{what}: {run:?}");
        // What is written beside is right: a picture that was in the wrong part is not there.
        for (number, wanted) in (0..4).map(|number| (number, noise(1 + number, 900_000))) {
            let path = elsewhere.join(format!("{number}.jpg"));
            assert!(!path.exists() || fs::read(path).unwrap() == wanted, "{what}: {number}");
        }
        assert!(!elsewhere.join("1.jpg").exists(), "{what}");
        let _ = fs::remove_dir_all(elsewhere);
        if let Some(output) = self.by_script() {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(13), "{what}: {errors}");
            assert!(errors.contains("error: ") && errors.contains(SECOND), "{what}: {errors}");
            assert!(!self.place.folder().join("by script").exists(), "{what}");
        }
    }

    /// The published script, for what is sealed.
    fn by_script(&self) -> Option<Output> {
        let python = backstock_testbed::programs::peer("python3").filter(|_| self.is_sealed)?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/open-backup.py");
        let mut command = Command::new(python);
        command.arg(script).args(["--identity-file", "key"]).arg(&self.older.1).arg("by script");
        Some(command.current_dir(self.place.folder()).output().unwrap())
    }
}

fn wrong_parts_are_refused(is_sealed: bool) {
    let scene = Scene::new(is_sealed);
    let (first, second) =
        (scene.part(&scene.older.1, "files/files.tar.zst.001"), scene.part(&scene.older.1, SECOND));
    let whole = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    scene.expect_refused("missing");
    fs::copy(&first, &second).unwrap();
    scene.expect_refused("the first part twice");
    let third = scene.part(&scene.older.1, "files/files.tar.zst.003");
    assert_eq!(fs::metadata(&third).unwrap().len(), whole.len() as u64);
    fs::copy(&third, &second).unwrap();
    scene.expect_refused("the third part twice, which is as long");
    for length in [whole.len() - 1, 100, 0] {
        fs::write(&second, &whole[..length]).unwrap();
        scene.expect_refused(&format!("cut off after {length} bytes"));
    }
    let foreign = fs::read(scene.part(&scene.newer, SECOND)).unwrap();
    assert!(foreign.len() == whole.len() && foreign != whole);
    fs::write(&second, foreign).unwrap();
    scene.expect_refused("that of another backup");
    fs::write(&second, &whole).unwrap();
    scene.on_older("verify", &[]).expect(0);
    scene.on_older("open", &["--to", "opened"]).expect(0);
    assert!(scene.by_script().is_none_or(|output| output.status.success()));
    assert_eq!(leftovers(&scene.place), Vec::<String>::new());
    scene.on_older("restore", &["--yes", "--without-maintenance"]).expect(0);
    assert!(fs::read(scene.root.join("1.jpg")).unwrap() == noise(2, 900_000));
    scene.place.run(&["restore", "--accept", "--yes"]).expect(0);
}

#[test]
fn f84_wrong_parts_are_refused_before_anything_is_touched() {
    wrong_parts_are_refused(false);
}

#[test]
fn f84_wrong_sealed_parts_are_refused_before_anything_is_touched() {
    wrong_parts_are_refused(true);
}
