//! Chains through the command line: what is taken, what is carried on, what comes back at every point, and what makes the next
//! backup a full one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use backstock_archive::manifest::{Parent, SignedManifest};
use backstock_host::{Host, InstanceKey};
use backstock_vocabulary::Level;
use serde_json::Value;

use super::harness::{Place, Run};
use super::plain_shop::leftovers;

/// What was changed less than two seconds before a backup began is read again by the next.
const UNTIL_QUIET: Duration = Duration::from_millis(3_200);
/// Longer than a tick of the file system's clock.
const TICK: Duration = Duration::from_millis(20);

/// A plain folder, and how it was at each backup.
struct Chain {
    place: Place,
    root: PathBuf,
    backups: Vec<(String, Picture)>,
}

/// Each path with its mode, time and content or target; of folders the time too.
type Picture = BTreeMap<PathBuf, (u32, i64, Vec<u8>)>;

fn picture(root: &Path) -> Picture {
    let mut seen = Picture::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let facts = fs::symlink_metadata(&path).unwrap();
        let content = if facts.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if facts.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        let name = path.strip_prefix(root).unwrap().to_owned();
        seen.insert(name, (facts.mode(), facts.mtime_nsec(), content));
    }
    seen
}

impl Chain {
    /// A shop that nobody has touched for a while.
    fn quiet() -> Self {
        let place = Place::new();
        let root = place.folder().join("shop");
        for number in 0..40 {
            let folder = root.join(format!("folder-{}", number % 4));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number}.txt")), format!("text {number} ").repeat(200)).unwrap();
        }
        fs::write(root.join("index.php"), "<?php echo 1;").unwrap();
        fs::hard_link(root.join("index.php"), root.join("same.php")).unwrap();
        symlink("index.php", root.join("link.php")).unwrap();
        std::thread::sleep(UNTIL_QUIET);
        Self { place, root, backups: Vec::new() }
    }

    fn run(&self, more: &[&str]) -> Run {
        let mut arguments = vec!["backup", self.root.to_str().unwrap(), "--json"];
        arguments.extend_from_slice(more);
        self.place.run(&arguments)
    }

    /// Makes a backup that must succeed, and remembers the shop.
    #[track_caller]
    fn back_up(&mut self, more: &[&str]) -> Value {
        std::thread::sleep(TICK);
        let report = self.run(more).expect(0).json();
        self.backups.push((report["backup"].as_str().unwrap().to_owned(), picture(&self.root)));
        std::thread::sleep(TICK);
        report
    }

    /// The folder of a backup.
    fn folder(&self, number: usize) -> PathBuf {
        let id = &self.backups[number].0;
        let listed = self.place.list();
        let backup = listed.iter().find(|backup| backup["backup"].as_str() == Some(id)).unwrap();
        self.place.backups().join(backup["replicas"][0]["folder"].as_str().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root.join(name), text).unwrap();
    }

    /// A full backup, and two that build on it.
    fn of_three() -> Self {
        let mut chain = Self::quiet();
        chain.back_up(&[]);
        chain.write("index.php", "<?php echo 2;");
        chain.write("new.txt", "new");
        fs::remove_dir_all(chain.root.join("folder-1")).unwrap();
        chain.back_up(&["--level", "incremental"]);
        fs::rename(chain.root.join("folder-2"), chain.root.join("renamed")).unwrap();
        fs::remove_file(chain.root.join("link.php")).unwrap();
        fs::create_dir(chain.root.join("link.php")).unwrap();
        fs::set_permissions(chain.root.join("folder-3/3.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        chain.back_up(&["--level", "incremental"]);
        chain
    }
}

/// The reason for which a backup is full.
fn why_full(report: &Value) -> &str {
    assert_eq!(report["level"], "full");
    report["why_full"].as_str().unwrap_or_default()
}

#[test]
fn every_point_of_a_chain_is_listed_verified_and_restored() {
    let chain = Chain::of_three();
    let listed = chain.place.list();
    let levels: Vec<&str> = listed.iter().map(|backup| backup["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["incremental", "incremental", "full"]);
    assert_eq!(listed[0]["parent"], listed[1]["backup"]);
    assert!(listed[0]["stored_bytes"].as_u64() < listed[2]["stored_bytes"].as_u64());
    for (number, (id, frozen)) in chain.backups.iter().enumerate() {
        let report = chain.place.run(&["verify", id, "--level", "decoded", "--json"]).expect(0).json();
        assert_eq!(report["reached"], "decoded");
        let to = format!("restored-{number}");
        chain.place.run(&["restore", id, "--to", &to]).expect(0);
        assert!(picture(&chain.place.folder().join(&to)) == *frozen, "{number}");
        // One file, wherever it lies.
        let to = format!("one-{number}");
        chain.place.run(&["restore", id, "--to", &to, "--file", "folder-0/0.txt"]).expect(0);
        let one = chain.place.folder().join(&to).join("folder-0/0.txt");
        assert_eq!(fs::read(one).unwrap(), frozen[Path::new("folder-0/0.txt")].2);
        let shown = chain.place.run(&["show", id, "--contents", "--json"]).expect(0).json();
        let files = shown["files"].as_array().unwrap().len();
        assert!(files >= frozen.values().filter(|entry| entry.0 & 0o170_000 == 0o100_000).count() - 1);
    }
    let diff = chain.place.run(&["diff", &chain.backups[0].0, &chain.backups[2].0, "--all"]).expect(0);
    for name in ["new.txt", "index.php", "folder-1", "renamed"] {
        assert!(diff.stdout.contains(name), "{name}:\n{}", diff.stdout);
    }
    assert!(!diff.stdout.contains("folder-0"), "{}", diff.stdout);
    assert_eq!(leftovers(&chain.place), Vec::<String>::new());
}

#[test]
fn a_shop_is_brought_back_in_place_to_any_point() {
    let chain = Chain::of_three();
    for number in [0, 2, 1] {
        let (id, frozen) = &chain.backups[number];
        chain.place.run(&["restore", id, "--exact", "--yes", "--without-maintenance"]).expect(0);
        chain.place.run(&["restore", "--accept", "--yes"]).expect(0);
        let found = picture(&chain.root);
        let differs: Vec<_> = frozen
            .iter()
            .filter(|(path, entry)| found.get(*path).map(|one| (one.0, &one.2)) != Some((entry.0, &entry.2)))
            .map(|(path, _)| path)
            .collect();
        assert!(differs.is_empty() && found.len() == frozen.len(), "{number}: {differs:?}");
    }
}

/// The steps of `docs/format.md`: each archive of the chain, the oldest first, into an empty folder.
#[test]
fn stock_tar_follows_a_chain_into_an_empty_folder() {
    let chain = Chain::of_three();
    for (number, (_, frozen)) in chain.backups.iter().enumerate() {
        let target = chain.place.folder().join(format!("stock-{number}"));
        fs::create_dir(&target).unwrap();
        for member in 0..=number {
            let mut tar = Command::new("tar");
            tar.args(["--incremental", "--zstd", "-xpf"])
                .arg(chain.folder(member).join("files/files.tar.zst"));
            let output = tar.arg("-C").arg(&target).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(picture(&target) == *frozen, "{number}");
    }
}

#[test]
fn a_differential_builds_on_the_full_one_alone() {
    let mut chain = Chain::of_three();
    let report = chain.back_up(&["--level", "differential"]);
    assert_eq!(report["level"], "differential");
    assert_eq!(report["parent"].as_str(), Some(chain.backups[0].0.as_str()));
    let next = chain.back_up(&["--level", "incremental"]);
    assert_eq!(next["parent"].as_str(), Some(chain.backups[3].0.as_str()));
    // What neither of them builds on may be damaged.
    fs::remove_file(chain.folder(1).join("files/files.tar.zst")).unwrap();
    for (id, frozen) in &chain.backups[3..] {
        chain.place.run(&["verify", id, "--level", "decoded"]).expect(0);
        let to = format!("restored-{id}");
        chain.place.run(&["restore", id, "--to", &to]).expect(0);
        assert!(picture(&chain.place.folder().join(&to)) == *frozen);
    }
}

#[test]
fn untouched_files_are_not_taken_again() {
    let mut chain = Chain::quiet();
    let report = chain.back_up(&["--level", "incremental"]);
    assert!(why_full(&report).contains("no backup that it could build on"), "{report}");
    let report = chain.back_up(&["--level", "incremental"]);
    assert_eq!(report["level"], "incremental");
    assert_eq!((report["unchanged_files"].as_u64(), report["files"].as_u64()), (Some(41), Some(41)));
    // Without a plan a backup stands alone, and nothing is said about it.
    let report = chain.back_up(&[]);
    assert_eq!((why_full(&report), report["parent"].is_null()), ("", true));
}

/// F81 and its neighbours: what would be built on is missing, damaged or another one.
#[test]
fn what_cannot_be_built_on_makes_a_full_backup_and_is_named() {
    let mut chain = Chain::of_three();
    let index = || walkdir(&chain.place.state().join("index"));
    assert_eq!(index().len(), 2, "the newest, and the full one of its chain");
    let report = chain.back_up(&["--level", "incremental", "--exclude", "new.txt"]);
    let why = why_full(&report);
    assert!(
        why.contains("what is to be taken is not what the backup") && why.ends_with(": other exclusions"),
        "{report}"
    );
    let full = chain.backups.len() - 1;
    let next = ["--level", "incremental", "--exclude", "new.txt"];
    // The copy of its index is gone.
    fs::remove_dir_all(chain.place.state().join("index")).unwrap();
    let report = chain.back_up(&next);
    assert!(why_full(&report).contains("in the state folder is not there"), "{report}");
    // A part of the full one is shorter.
    assert_eq!(chain.back_up(&next)["level"], "incremental");
    let part = chain.folder(full + 1).join("files/files.tar.zst");
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[..bytes.len() - 1]).unwrap();
    let report = chain.back_up(&next);
    assert!(why_full(&report).contains("files/files.tar.zst"), "{report}");
    fs::write(&part, &bytes).unwrap();
    // The manifest in between is gone.
    let before = chain.backups.len() - 1;
    assert_eq!(chain.back_up(&next)["level"], "incremental");
    let manifest = chain.folder(before).join("manifest.json");
    let kept = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let report = chain.back_up(&next);
    assert!(why_full(&report).contains("is not whole"), "{report}");
    fs::write(&manifest, kept).unwrap();
}

fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walkdir(&path) } else { vec![path] }).collect()
}

#[test]
fn a_broken_chain_is_reported_by_the_name_of_its_link() {
    let chain = Chain::of_three();
    let newest = chain.backups[2].0.clone();
    let short = |number: usize| chain.backups[number].0[28..].to_owned();
    // A part of the full one: the database does not count, the files do.
    let part = chain.folder(0).join("files/files.tar.zst");
    let bytes = fs::read(&part).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    fs::write(&part, flipped).unwrap();
    let run = chain.place.run(&["verify", &newest, "--level", "bytes", "--json"]).expect(13);
    let part_name = run.json()["damage"][0]["part"].as_str().unwrap().to_owned();
    assert!(part_name.ends_with("files/files.tar.zst") && part_name.contains(&short(0)), "{part_name}");
    let states: Vec<Value> =
        chain.place.list().iter().map(|backup| backup["replicas"][0]["state"].clone()).collect();
    assert_eq!(states, ["present", "present", "damaged"]);
    chain.place.run(&["restore", &newest, "--to", "x", "--yes"]).expect(13);
    fs::write(&part, bytes).unwrap();
    chain.place.run(&["verify", &chain.backups[0].0, "--level", "bytes"]).expect(0);
    chain.place.run(&["verify", &newest, "--level", "decoded"]).expect(0);
    // The manifest of the one in between is gone, then that of another backup.
    let manifest = chain.folder(1).join("manifest.json");
    let kept = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let run = chain.place.run(&["restore", &newest, "--to", "y", "--yes"]);
    run.expect_error(13, &["the chain of the backup", &short(1), "is broken"]);
    fs::write(&manifest, fs::read(chain.folder(0).join("manifest.json")).unwrap()).unwrap();
    let run = chain.place.run(&["verify", &newest, "--json"]).expect(13);
    assert!(run.json()["damage"][0]["what"].as_str().unwrap().contains(&short(1)), "{}", run.stdout);
    fs::write(&manifest, kept).unwrap();
    chain.place.run(&["verify", &newest]).expect(0);
}

#[test]
fn a_plan_decides_and_a_chain_does_not_become_longer_than_it_may() {
    let mut chain = Chain::quiet();
    let configure = |chain: &Chain, text: &str| fs::write(chain.place.configuration(), text).unwrap();
    configure(&chain, "[levels]\nfull = \"daily\"\n");
    chain.back_up(&[]);
    // Today's full one is made already.
    assert_eq!(chain.back_up(&[])["level"], "incremental");
    configure(
        &chain,
        "[levels]\nfull = [\"sunday\", \"monthly\"]\notherwise = \"differential\"\nmax_chain_length = 3\n",
    );
    assert_eq!(chain.back_up(&[])["level"], "differential");
    assert_eq!(chain.back_up(&["--level", "incremental"])["level"], "incremental");
    let report = chain.back_up(&["--level", "incremental"]);
    assert!(why_full(&report).contains("a chain may have 3 backups"), "{report}");
    configure(&chain, "[levels]\notherwise = \"differential\"\n");
    chain.run(&[]).expect_error(15, &["`otherwise` needs the days"]);
    configure(&chain, "[levels]\nfull = \"never\"\n");
    chain.run(&[]).expect(2);
}

/// What a kept backup builds on stays; a chain that nobody needs goes whole.
#[test]
fn retention_keeps_what_kept_backups_build_on() {
    let mut chain = Chain::of_three();
    let policy = "[retention]\nkeep_last = 1\ngrace_hours = 0\nafter_backup = false\n";
    fs::write(chain.place.configuration(), policy).unwrap();
    for (id, _) in &chain.backups {
        chain.place.run(&["verify", id, "--level", "bytes"]).expect(0);
    }
    let plan = chain.place.run(&["prune", "--dry-run", "--json"]).expect(0).json();
    let backups = plan["destinations"][0]["backups"].as_array().unwrap().clone();
    let verdicts: Vec<&str> = backups.iter().map(|backup| backup["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["keep"; 3], "{plan}");
    let full = chain.backups[0].0.clone();
    chain.place.run(&["delete", &full, "--yes"]).expect_error(15, &["stays at"]);
    chain.back_up(&[]);
    chain.place.run(&["verify", "latest", "--level", "bytes"]).expect(0);
    chain.place.run(&["prune", "--yes"]).expect(0);
    assert_eq!(chain.place.list().len(), 1);
    let report = chain.back_up(&["--level", "incremental"]);
    assert_eq!(report["parent"].as_str(), Some(chain.backups[3].0.as_str()));
    chain.place.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}

/// After each backup only that one is read back, however long its chain is.
#[test]
fn letting_older_backups_go_reads_the_new_one_alone() {
    let mut chain = Chain::quiet();
    fs::write(chain.place.configuration(), "[retention]\nkeep_last = 2\ngrace_hours = 0\n").unwrap();
    for level in ["full", "full", "incremental", "full", "incremental", "incremental"] {
        chain.back_up(&["--level", level]);
    }
    let listed = chain.place.list();
    let levels: Vec<&str> = listed.iter().map(|backup| backup["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["incremental", "incremental", "full"]);
    for (id, frozen) in &chain.backups[3..] {
        let to = format!("restored-{id}");
        chain.place.run(&["restore", id, "--to", &to]).expect(0);
        assert!(picture(&chain.place.folder().join(&to)) == *frozen);
    }
}

/// F82: a chain that leads back to itself, signed as it should be, is refused by name wherever it is met.
#[test]
fn a_chain_that_leads_back_to_itself_is_refused() {
    let chain = Chain::of_three();
    let file = chain.folder(0).join("manifest.json");
    let mut full = SignedManifest::parse(&fs::read(&file).unwrap()).unwrap().manifest;
    let newest = SignedManifest::parse(&fs::read(chain.folder(2).join("manifest.json")).unwrap()).unwrap();
    full.level = Level::Incremental;
    full.parent = Some(Parent { backup: newest.manifest.backup, manifest_sha256: newest.sha256 });
    let key = InstanceKey::load_or_create(&Host::real(), &chain.place.state().join("instance.key")).unwrap();
    fs::write(&file, full.sign(&key).unwrap()).unwrap();
    // The one in between names the manifest that was there before.
    let newest = &chain.backups[2].0;
    chain.place.run(&["verify", newest]).expect(13);
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs::remove_file(chain.place.state().join(name));
    }
    chain.place.run(&["catalog", "rebuild", chain.place.backups().to_str().unwrap()]);
    for (command, more) in [("verify", &[][..]), ("restore", &["--to", "x", "--yes"])] {
        let run = chain.place.run(&[&[command, newest.as_str()], more].concat()).expect(13);
        let words = format!("{}{}", run.stdout, run.stderr);
        assert!(words.contains("is broken"), "{words}");
    }
    let run = chain.place.run(&["verify", &chain.backups[0].0]).expect(13);
    assert!(format!("{}{}", run.stdout, run.stderr).contains("is broken"), "{run:?}");
    // And nothing is built on it.
    let report = chain.run(&["--level", "incremental"]).expect(0).json();
    assert!(why_full(&report).contains("is not whole"), "{report}");
}

/// Each place has chains of its own.
#[test]
fn a_set_that_is_kept_at_two_places_has_a_chain_at_each() {
    let mut chain = Chain::quiet();
    for more in [&[][..], &["--to", "other"]] {
        assert_eq!(chain.back_up(more)["level"], "full");
    }
    for (number, more) in [(0, &[][..]), (1, &["--to", "other"]), (2, &[]), (3, &["--to", "other"])] {
        let report = chain.back_up(&[&["--level", "incremental"], more].concat());
        assert_eq!(report["parent"].as_str(), Some(chain.backups[number].0.as_str()), "{report}");
    }
    assert_eq!(walkdir(&chain.place.state().join("index")).len(), 4);
}

#[test]
fn a_plan_that_is_only_shown_tells_the_level() {
    let mut chain = Chain::quiet();
    let shown = chain.run(&["--level", "incremental", "--dry-run"]).expect(0).json();
    assert!(why_full(&shown).contains("no backup that it could build on"), "{shown}");
    let full = chain.back_up(&[]);
    let shown = chain.run(&["--level", "incremental", "--dry-run"]).expect(0).json();
    assert_eq!((&shown["level"], &shown["parent"]), (&"incremental".into(), &full["backup"]));
    assert_eq!(chain.place.list().len(), 1);
}

/// A rebuilt catalog knows the chains again, and the next backup builds on them.
#[test]
fn a_rebuilt_catalog_knows_the_chains() {
    let mut chain = Chain::of_three();
    let before: Vec<Value> = chain.place.list().iter().map(|backup| backup["parent"].clone()).collect();
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs::remove_file(chain.place.state().join(name));
    }
    let backups = chain.place.backups();
    chain.place.run(&["catalog", "rebuild", backups.to_str().unwrap()]).expect(0);
    let after: Vec<Value> = chain.place.list().iter().map(|backup| backup["parent"].clone()).collect();
    assert_eq!(before, after);
    assert_eq!(chain.back_up(&["--level", "incremental"])["level"], "incremental");
    chain.place.run(&["verify", "latest", "--level", "decoded"]).expect(0);
}
