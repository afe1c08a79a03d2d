//! Several restores that nobody has accepted yet, and shops that have no maintenance switch.

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::Place;

/// Three folders with one file each: they need no server, and have no switch.
struct Shops {
    place: Place,
}

impl Shops {
    fn new() -> Self {
        let shops = Self { place: Place::new() };
        for name in ["anna", "bert", "cleo"] {
            fs::create_dir(shops.place.folder().join(name)).unwrap();
            shops.write(name, "old");
            shops.place.run(&["backup", shops.root(name).to_str().unwrap()]).expect(0);
            shops.write(name, "ruined");
        }
        shops
    }

    fn root(&self, name: &str) -> PathBuf {
        self.place.folder().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.root(name).join("page"), content).unwrap();
    }

    fn pages(&self) -> [String; 3] {
        ["anna", "bert", "cleo"].map(|name| fs::read_to_string(self.root(name).join("page")).unwrap())
    }

    fn restore(&self, name: &str, code: i32) -> super::harness::Run {
        let arguments = ["restore", "latest", "--shop", name, "--yes", "--without-maintenance"];
        self.place.run(&arguments).expect(code)
    }

    fn journals(&self) -> usize {
        fs::read_dir(self.place.state().join("journals")).unwrap().count()
    }

    /// What lies beside the shops and is kept for an undo.
    fn aside(&self) -> usize {
        let entries = fs::read_dir(self.place.folder()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
    }
}

#[test]
fn open_restores_of_several_shops_do_not_touch_each_other() {
    let shops = Shops::new();
    for name in ["anna", "bert", "cleo"] {
        shops.restore(name, 0);
    }
    assert_eq!(
        (shops.pages(), shops.journals(), shops.aside()),
        (["old", "old", "old"].map(str::to_owned), 3, 3)
    );
    let run = |arguments: &[&str], code: i32| shops.place.run(arguments).expect(code);
    // Which one is meant must be said.
    for arguments in [&["undo", "--yes"][..], &["restore", "--accept"], &["restore", "--resume"]] {
        run(arguments, 2).expect_error(2, &["anna, bert, cleo", "hint: "]);
    }
    // A second restore needs the acceptance of the first, or its undoing and acceptance.
    shops.restore("anna", 15).expect_error(15, &["not accepted yet", "--accept"]);
    run(&["restore", "--resume", "--shop", "anna"], 2).expect_error(2, &["is finished", "--accept", "undo"]);
    // All of them are told of, and none is in the way of a backup.
    let told = run(&["backup", shops.root("bert").to_str().unwrap()], 0);
    for name in ["anna", "bert", "cleo"] {
        assert!(told.stderr.contains(&format!("the restore of {name} waits")), "{}", told.stderr);
    }
    // Undone in another order than they were made; the others stay as they are.
    run(&["undo", "bert", "--yes"], 0);
    assert_eq!(shops.pages(), ["old", "ruined", "old"]);
    run(&["undo", "anna", "--yes"], 0);
    assert_eq!(shops.pages(), ["ruined", "ruined", "old"]);
    run(&["restore", "--accept", "--shop", "cleo"], 0);
    assert_eq!((shops.pages(), shops.journals()), (["ruined", "ruined", "old"].map(str::to_owned), 2));
    shops.restore("bert", 15).expect_error(15, &["was undone", "--accept"]);
    run(&["undo", "bert", "--yes"], 0);
    run(&["restore", "--accept", "--shop", "bert"], 0);
    assert_eq!(shops.pages(), ["ruined", "old", "old"]);
    // The last one needs no name, and whoever deals with it is not told that it waits, and after it there is room for the next.
    let run_of_last = run(&["restore", "--accept"], 0);
    assert!(run_of_last.stdout.contains("what it had brought is removed"), "{run_of_last:?}");
    assert!(!run_of_last.stderr.contains("warning"), "{run_of_last:?}");
    assert_eq!((shops.journals(), shops.aside()), (0, 0));
    shops.restore("anna", 0);
    run(&["undo", "--yes"], 0);
    run(&["restore", "--accept"], 0);
    assert_eq!(
        (shops.pages(), shops.journals(), shops.aside()),
        (["ruined", "old", "old"].map(str::to_owned), 0, 0)
    );
}

#[test]
fn a_shop_without_a_switch_is_restored_with_consent_only() {
    let shops = Shops::new();
    let arguments = ["restore", "latest", "--shop", "anna", "--yes"];
    shops
        .place
        .run(&arguments)
        .expect_error(2, &["no maintenance switch", "hint: ", "--without-maintenance"]);
    assert_eq!(
        (shops.pages(), shops.journals(), shops.aside()),
        (["ruined", "ruined", "ruined"].map(str::to_owned), 0, 0)
    );
    let snapshots =
        |shops: &Shops| shops.place.list().iter().filter(|one| one["reason"] == "pre-restore").count();
    assert_eq!(snapshots(&shops), 0);
    // What replaces nothing needs no consent: nobody can lose an order by it.
    fs::remove_file(shops.root("bert").join("page")).unwrap();
    shops.place.run(&["restore", "latest", "--shop", "bert", "--yes"]).expect(0);
    assert_eq!(shops.pages(), ["ruined", "old", "ruined"]);
    assert_eq!(snapshots(&shops), 0, "what is only put there needs no snapshot");
    let run = shops.restore("anna", 0);
    assert!(run.stderr.contains("there is no switch"), "{}", run.stderr);
    assert_eq!((shops.pages(), snapshots(&shops)), (["old", "old", "ruined"].map(str::to_owned), 1));
}

#[test]
fn a_shop_that_is_as_the_backup_has_it_is_left_alone() {
    let shops = Shops::new();
    shops.place.run(&["backup", shops.root("anna").to_str().unwrap()]).expect(0);
    let run = shops.place.run(&["restore", "latest", "--shop", "anna"]).expect(0);
    assert!(run.stdout.contains("nothing to restore"), "{run:?}");
    assert_eq!((shops.journals(), shops.aside()), (0, 0));
    let contradiction = ["restore", "latest", "--shop", "anna", "--only", "database", "--file", "page"];
    shops.place.run(&contradiction).expect_error(2, &["--file and --only database", "hint: "]);
}

/// Every backup of a set is gone from its folder, which says whose it is: whoever backs up into it hears so.
#[test]
fn a_place_that_has_lost_all_backups_is_told_of() {
    let shops = Shops::new();
    let root = shops.root("anna");
    let arguments = ["backup", root.to_str().unwrap()];
    assert!(!shops.place.run(&arguments).expect(0).stderr.contains("mounted"));
    let sets = folders(&shops.place.backups());
    let set =
        sets.iter().find(|set| set.file_name().unwrap().as_encoded_bytes().starts_with(b"anna")).unwrap();
    for backup in folders(set) {
        fs::remove_dir_all(backup).unwrap();
    }
    let verified = shops.place.run(&["verify", "latest", "--shop", "anna"]).expect(13);
    assert!(verified.stdout.contains("is not there"), "{verified:?}");
    let run = shops.place.run(&arguments).expect(0);
    assert!(run.stderr.contains("is the right disk mounted?"), "{}", run.stderr);
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}
