//! `verify --repair`: F31 damage at rest is mended block by block from whoever has it good, and never half.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_archive::manifest::SignedManifest;
use backstock_host::{Host, InstanceKey};
use serde_json::Value;

use super::harness::{Place, Run};
use super::plain_shop::leftovers;
use super::retention::copy_folder;
use super::verify::flip;

const BLOCK: u64 = 64 << 20;
const PART: &str = "files/files.tar.zst";

/// A backup of a folder, and another copy of all backups.
struct Damaged {
    place: Place,
    copy: PathBuf,
    part: String,
}

impl Damaged {
    fn new(bytes: usize, is_sealed: bool) -> Self {
        let place = Place::new();
        if is_sealed {
            fs::write(place.folder().join("passphrase"), "nine words nobody would guess").unwrap();
            place.run(&["key", "create", "--new-passphrase-file", "passphrase"]).expect(0);
        }
        let root = place.folder().join("shop");
        fs::create_dir(&root).unwrap();
        let mut state = 88_172_645_463_325_252_u64;
        let noise = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let noise: Vec<u8> = (0..bytes / 8).flat_map(noise).collect();
        fs::write(root.join("film.jpg"), noise).unwrap();
        fs::write(root.join("page"), "hello").unwrap();
        place.run(&["backup", root.to_str().unwrap()]).expect(0);
        let copy = place.folder().join("other disk");
        copy_folder(&place.backups(), &copy);
        let part = if is_sealed { format!("{PART}.bks") } else { PART.to_owned() };
        Self { place, copy, part }
    }

    fn here(&self, name: &str) -> PathBuf {
        self.place.newest_backup().join(name)
    }

    /// The same object of the other copy.
    fn there(&self, name: &str) -> PathBuf {
        let here = self.here(name);
        self.copy.join(here.strip_prefix(self.place.backups()).unwrap())
    }

    fn repair(&self, more: &[&str]) -> Run {
        self.place.run(&[&["verify", "latest", "--repair"], more].concat())
    }

    fn repair_from_copy(&self) -> Value {
        let run = self.repair(&["--from", self.copy.to_str().unwrap(), "--json"]).expect(0);
        assert_eq!(run.json()["schema"], "backstock.repair/1");
        run.json()["replicas"][0].clone()
    }

    fn state(&self) -> String {
        self.place.list()[0]["replicas"][0]["state"].as_str().unwrap().to_owned()
    }

    fn find_damage(&self) {
        self.place.run(&["verify", "latest", "--level", "bytes"]).expect(13);
        assert_eq!(self.state(), "damaged");
        let shown = self.place.run(&["show", "latest"]);
        assert!(shown.stderr.contains("was found damaged"), "{shown:?}");
    }

    #[track_caller]
    fn expect_whole(&self) {
        for name in ["manifest.json", &self.part] {
            assert!(fs::read(self.here(name)).unwrap() == fs::read(self.there(name)).unwrap(), "{name}");
        }
        assert_eq!(self.state(), "verified");
        let left: Vec<_> =
            leftovers(&self.place).into_iter().filter(|name| !name.contains("/keys")).collect();
        assert_eq!(left, Vec::<String>::new());
        self.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    }
}

fn cut(file: &Path, length: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn f31_only_blocks_that_differ_are_taken_sealed_or_not() {
    for is_sealed in [false, true] {
        let damaged = Damaged::new(66 << 20, is_sealed);
        let part = damaged.here(&damaged.part);
        let length = fs::metadata(&part).unwrap().len();
        assert!(length > BLOCK);
        flip(&part, 1_000);
        flip(&part, BLOCK + 5);
        damaged.find_damage();
        let dry = ["--from", damaged.copy.to_str().unwrap(), "--dry-run", "--json"];
        let plan = damaged.repair(&dry).expect(0).json();
        assert_eq!(plan["schema"], "backstock.repair-plan/1");
        let blocks = plan["replicas"][0]["parts"][0]["blocks"].as_array().unwrap().clone();
        let begins: Vec<_> = blocks.iter().map(|block| block["offset_bytes"].as_u64().unwrap()).collect();
        assert_eq!((begins, damaged.state()), (vec![0, BLOCK], "damaged".to_owned()));
        // Nobody else has it: that is told, and nothing is touched.
        let alone = damaged.repair(&[]).expect(13);
        assert!(alone.stdout.contains("stays damaged"), "{alone:?}");
        let report = damaged.repair_from_copy();
        assert_eq!(report["fetched_bytes"].as_u64(), Some(length));
        assert_eq!(report["mended"][0]["blocks"][1]["source"], damaged.copy.to_str().unwrap());
        damaged.expect_whole();
        // A truncated part: what is there is not taken again.
        cut(&part, BLOCK + 9);
        damaged.find_damage();
        assert_eq!(damaged.repair_from_copy()["fetched_bytes"].as_u64(), Some(length - BLOCK));
        damaged.expect_whole();
        // One that is too long has all of its blocks.
        cut(&part, length + 3);
        damaged.find_damage();
        assert_eq!(damaged.repair_from_copy()["fetched_bytes"].as_u64(), Some(0));
        damaged.expect_whole();
        // Two copies that are damaged in different places mend each other.
        flip(&part, 77);
        fs::remove_file(damaged.here("manifest.json")).unwrap();
        flip(&damaged.there(&damaged.part), BLOCK + 77);
        fs::remove_file(damaged.there("files").join(if is_sealed { "index.zst.bks" } else { "index.zst" }))
            .unwrap();
        damaged.find_damage();
        let report = damaged.repair_from_copy();
        assert_eq!(
            (&report["is_manifest_mended"], report["fetched_bytes"].as_u64()),
            (&true.into(), Some(BLOCK))
        );
        flip(&damaged.there(&damaged.part), BLOCK + 77);
        damaged.expect_whole();
    }
}

#[test]
fn a_missing_part_comes_back_and_what_is_no_copy_is_refused_by_name() {
    let damaged = Damaged::new(400_000, false);
    let (part, there) = (damaged.here(PART), damaged.there("manifest.json"));
    fs::remove_file(&part).unwrap();
    let text = |run: &Run| format!("{}{}", run.stdout, run.stderr);
    let nowhere = damaged.place.folder().join("nowhere");
    damaged
        .repair(&["--from", nowhere.to_str().unwrap()])
        .expect_error(10, &["no copy of the backup", "nowhere"]);
    // A manifest that somebody else has signed, and that of another backup.
    let kept = fs::read(&there).unwrap();
    let key =
        InstanceKey::load_or_create(&Host::real(), &damaged.place.folder().join("stranger.key")).unwrap();
    let mut manifest = SignedManifest::parse(&kept).unwrap().manifest;
    fs::write(&there, manifest.sign(&key).unwrap()).unwrap();
    let from = ["--from", damaged.copy.to_str().unwrap()];
    let forged = damaged.repair(&from).expect(13);
    assert!(text(&forged).contains("not the one on record"), "{forged:?}");
    manifest.backup = serde_json::from_value("01a1f6e5-933b-753c-b6d7-6cec99e07585".into()).unwrap();
    fs::write(&there, manifest.sign(&key).unwrap()).unwrap();
    let other = damaged.repair(&from).expect(13);
    assert!(text(&other).contains("it is the backup"), "{other:?}");
    assert!(!part.exists() && damaged.state() == "damaged");
    // Damaged in that block.
    fs::write(&there, &kept).unwrap();
    flip(&damaged.there(PART), 1_000);
    let bad = damaged.repair(&from).expect(13);
    assert!(text(&bad).contains("files/files.tar.zst from byte 0 on not taken"), "{bad:?}");
    flip(&damaged.there(PART), 1_000);
    // A person is told, and the three kinds of folders will do.
    for from in [
        damaged.copy.clone(),
        there.parent().unwrap().parent().unwrap().to_owned(),
        there.parent().unwrap().to_owned(),
    ] {
        let _ = fs::remove_file(&part);
        let told = damaged.repair(&["--from", from.to_str().unwrap()]).expect(0);
        assert!(told.stdout.contains("is whole again"), "{told:?}");
        damaged.expect_whole();
    }
    let whole = damaged.repair(&[]).expect(0);
    assert!(whole.stdout.contains("nothing is to be mended"), "{whole:?}");
    // The folder of somebody else's backup is not written to.
    let own = fs::read(damaged.here("manifest.json")).unwrap();
    fs::write(damaged.here("manifest.json"), manifest.sign(&key).unwrap()).unwrap();
    damaged.repair(&from).expect_error(15, &["it is the backup"]);
    fs::write(damaged.here("manifest.json"), own).unwrap();
    damaged.place.run(&["verify"]).expect(0);
}

#[test]
fn a_death_at_any_step_leaves_the_old_part_or_the_whole_one() {
    let damaged = Damaged::new(400_000, false);
    let (part, manifest) = (damaged.here(PART), damaged.here("manifest.json"));
    let good = fs::read(&part).unwrap();
    let from = damaged.copy.to_str().unwrap();
    let arguments = ["verify", "latest", "--repair", "--from", from];
    let damage = || {
        fs::write(&part, &good).unwrap();
        flip(&part, 1_000);
        let _ = fs::remove_file(&manifest);
        damaged.find_damage();
        fs::read(&part).unwrap()
    };
    damage();
    let (_, hits) = damaged.place.hits(&arguments);
    let points: Vec<_> =
        hits.iter().filter(|(name, _)| name.contains("repair") || name.contains("storage")).collect();
    let named = |name: &str| points.iter().any(|(point, _)| point == name);
    for name in
        ["repair.block", "repair.before_replace", "storage.local.before_replace", "repair.before_manifest"]
    {
        assert!(named(name), "{name}: {points:?}");
    }
    for (name, hit) in points {
        let bad = damage();
        damaged.place.run_with(&format!("{name}=kill:{hit}"), &arguments).expect_killed();
        let left = fs::read(&part).unwrap();
        assert!(left == bad || left == good, "{name}");
        if manifest.exists() {
            assert!(left == good, "{name}: the manifest goes last");
        }
        damaged.place.run(&arguments).expect(0);
        damaged.expect_whole();
    }
}

/// F17, F18, F25: a full disk, or one that fails, at any call.
#[test]
fn f18_no_room_at_any_step_leaves_the_old_part_or_the_whole_one() {
    let damaged = Damaged::new(400_000, false);
    let part = damaged.here(PART);
    let good = fs::read(&part).unwrap();
    let arguments = ["verify", "latest", "--repair", "--from", damaged.copy.to_str().unwrap()];
    let log = damaged.place.folder().join("calls.log");
    let run = |name: &str, value: &str| {
        Run::of(&damaged.place.command(&arguments).env(name, value).output().unwrap())
    };
    let damage = || {
        fs::write(&part, &good).unwrap();
        flip(&part, 1_000);
        fs::read(&part).unwrap()
    };
    damage();
    run("BACKSTOCK_IO_LOG", log.to_str().unwrap()).expect(0);
    let calls = fs::read_to_string(&log).unwrap().lines().count();
    assert!(calls > 20, "{calls}");
    let mut failed = 0;
    for call in (1..=calls).step_by(3) {
        for fault in ["enospc", "eio"] {
            let bad = damage();
            let ended = run("BACKSTOCK_IO_FAULT", &format!("{fault}:{call}:ever"));
            assert!(matches!(ended.code, Some(0 | 1 | 13 | 14)), "{fault} at {call}: {ended:?}");
            failed += usize::from(ended.code != Some(0));
            let left = fs::read(&part).unwrap();
            assert!(left == bad || left == good, "{fault} at {call}");
            damaged.place.run(&arguments).expect(0);
            assert!(fs::read(&part).unwrap() == good);
        }
    }
    assert!(failed > 10, "{failed}");
    damaged.expect_whole();
}

/// What an incremental backup builds on is mended with it.
#[test]
fn the_chain_of_a_backup_is_mended_with_it() {
    let damaged = Damaged::new(400_000, false);
    let full = damaged.here(PART);
    fs::write(damaged.place.folder().join("shop/new"), "since").unwrap();
    let root = damaged.place.folder().join("shop");
    damaged.place.run(&["backup", root.to_str().unwrap(), "--level", "incremental"]).expect(0);
    copy_folder(&damaged.place.backups(), &damaged.copy);
    flip(&full, 1_000);
    flip(&damaged.here(PART), 10);
    damaged.place.run(&["verify", "latest"]).expect(13);
    let run = damaged.repair(&["--from", damaged.copy.to_str().unwrap(), "--json"]).expect(0);
    assert_eq!(run.json()["replicas"].as_array().unwrap().len(), 2);
    damaged.place.run(&["verify", "latest"]).expect(0);
}
