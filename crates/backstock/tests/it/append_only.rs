//! Storages that let nothing be deleted: what should go stays, named, whole and out of the way of everything else; whoever may
//! delete there finishes it.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_testbed::proxy::{Proxy, Trouble};
use serde_json::Value;

use super::away::Away;
use super::destinations::destinations;
use super::harness::Place;
use super::sealed::{every_file, folder_of_files};

/// What a bucket says to a key that may not delete.
const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>not with this key</Message></Error>";

/// A shop with a bucket in which its server may not delete anything, and the bucket itself.
struct Scene {
    place: Place,
    root: String,
    bucket: Away,
    restricted: Away,
    proxy: Proxy,
}

impl Scene {
    fn start() -> Option<Self> {
        let place = Place::new();
        let root = folder_of_files(&place);
        let bucket = Away::s3()?;
        let proxy = Proxy::start(bucket.bucket_address());
        proxy.order("DELETE", "", 0, u32::MAX, Trouble::status(403, DENIED));
        let restricted = bucket.behind(proxy.address(), "offsite");
        fs::write(place.configuration(), "[retention]\nkeep_last = 2\ngrace_hours = 0\n").unwrap();
        restricted.add(&place, &root, &[]);
        Some(Self { place, root, bucket, restricted, proxy })
    }

    fn backup(&self, level: &str) -> Value {
        let page = Path::new(&self.root).join("page");
        let number = fs::read_to_string(&page).map_or(0, |text| text.len());
        fs::write(page, "x".repeat(number + 1)).unwrap();
        let run = self.place.run(&["backup", &self.root, "--level", level, "--json"]).expect(0);
        assert_eq!(destinations(&run)[0]["outcome"], "success");
        run.json()
    }

    /// The numbers of backups that are on record at the bucket in a state.
    fn in_state(&self, state: &str) -> Vec<u64> {
        let is_there = |replica: &Value| replica["storage"] == "offsite" && replica["state"] == state;
        let mut found: Vec<u64> = self
            .place
            .list()
            .iter()
            .filter(|backup| backup["replicas"].as_array().unwrap().iter().any(is_there))
            .map(|backup| backup["sequence"].as_u64().unwrap())
            .collect();
        found.sort_unstable();
        found
    }

    fn manifests(&self) -> Vec<PathBuf> {
        let mut files = every_file(&self.bucket.objects);
        files.retain(|file| file.file_name().unwrap() == "manifest.json");
        files.sort_by_key(|file| {
            // A manifest is a line with its signature behind it.
            let text = fs::read_to_string(file).unwrap_or_default();
            let line: Value =
                serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default();
            line["sequence"].as_u64()
        });
        files
    }
}

#[test]
fn f88_what_a_storage_does_not_let_go_of_is_retained_and_finished_by_whoever_may() {
    let Some(scene) = Scene::start() else { return };
    let tested = scene.place.run(&["storage", "test", "offsite", "--json"]).expect(0);
    assert_eq!(tested.json()["deletes"], false);
    // Nothing of this bucket keeps such a key from that, and it is said.
    assert_eq!(tested.json()["replaces"], true);
    let told = scene.place.run(&["storage", "test", "offsite"]).expect(0);
    assert!(told.stdout.contains("which may still write over what is there"), "{told:?}");
    for _ in 0..3 {
        scene.backup("full");
    }
    scene.backup("incremental");
    // 1 and 2 are beyond the two that are kept; 3 is what 4 builds on.
    let report = scene.place.run(&["prune", &scene.root, "--yes", "--json"]).expect(0).json();
    assert_eq!(report["shops"][0]["destinations"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!((scene.in_state("retained-by-storage"), scene.manifests().len()), (vec![1, 2], 4));
    let deletions = || scene.proxy.requests().iter().filter(|request| request.method == "DELETE").count();
    let before = deletions();
    scene.backup("incremental");
    assert_eq!(scene.in_state("retained-by-storage"), [1, 2]);
    assert!(deletions() - before < 10, "each is not asked for anew: {}", deletions() - before);
    let told = scene.place.run(&["prune", &scene.root, "--yes"]).expect(0);
    assert!(told.stdout.contains("2 retained by the storage"), "{told:?}");
    // It is whole, and can be restored while it is there.
    let oldest = scene.place.list().iter().find(|backup| backup["sequence"] == 1).unwrap()["backup"].clone();
    let oldest = oldest.as_str().unwrap();
    scene.place.run(&["verify", oldest]).expect(0);
    let whither = scene.place.folder().join("first state");
    scene.place.run(&["restore", oldest, "--only", "files", "--to", whither.to_str().unwrap()]).expect(0);
    assert_eq!(fs::read_to_string(whither.join("page")).unwrap(), "x");
    assert_eq!(scene.in_state("retained-by-storage"), [1, 2]);

    // On another machine, whose key may delete there.
    let other = Place::new();
    scene.bucket.typed(&other, &["storage", "add"], &[]).expect(0);
    let looked = other.run(&["prune", "--finish", "bucket", "--dry-run", "--json"]).expect(0).json();
    let sets = &looked["plan"]["sets"];
    let numbers: Vec<_> = sets[0]["buried"].as_array().unwrap().iter().map(|one| &one["sequence"]).collect();
    assert_eq!(
        (numbers, &sets[0]["kept"], &sets[0]["held"]),
        (vec![&2.into(), &1.into()], &3.into(), &Value::Null)
    );
    assert_eq!(scene.manifests().len(), 5);
    other.run(&["prune", "--finish", "bucket"]).expect_error(2, &["--yes"]);
    let done = other.run(&["prune", "--finish", "bucket", "--yes"]).expect(0);
    assert!(done.stdout.contains("2 backups deleted at bucket"), "{done:?}");
    assert_eq!(scene.manifests().len(), 3);
    other.run(&["prune", "--finish", "bucket", "--yes"]).expect(0);
    // The shop's own server sees that they are gone, and goes on.
    scene.place.run(&["prune", &scene.root, "--yes"]).expect(0);
    assert_eq!((scene.in_state("retained-by-storage"), scene.in_state("verified").len()), (vec![], 3));
    scene.backup("incremental");
    scene.place.run(&["verify", "latest"]).expect(0);
    assert_eq!(
        other.run(&["recover", "bucket", "--json"]).expect(0).json()["irregularities"],
        serde_json::json!([])
    );
}

/// What a killed upload has left cannot be swept there. It is no backup, and holds nothing up.
#[test]
fn leftovers_that_nobody_may_sweep_hold_nothing_up() {
    let Some(scene) = Scene::start() else { return };
    let (place, root) = (&scene.place, scene.root.as_str());
    place.run_with("replicate.before_manifest=kill:1", &["backup", root, "--level", "full"]).expect_killed();
    place.run(&["set", "destination", "remove", root, "offsite"]).expect(0);
    place.run(&["set", "destination", "add", root, "offsite"]).expect(0);
    for made in 1..=2 {
        scene.backup("full");
        assert_eq!(scene.manifests().len(), made);
    }
    let other = Place::new();
    let run = scene.bucket.typed(&other, &["recover"], &["--without-settings", "--json"]).expect(0).json();
    assert_eq!((&run["backups"], run["without_manifest"].as_array().unwrap().len()), (&2.into(), 1), "{run}");
}

#[test]
fn other_credentials_may_be_lent_for_what_the_server_may_not_do() {
    let Some(scene) = Scene::start() else { return };
    for _ in 0..4 {
        scene.backup("full");
    }
    scene.place.run(&["prune", &scene.root, "--yes"]).expect(0);
    assert_eq!(scene.in_state("retained-by-storage"), [1, 2]);
    let own = scene.place.run(&["prune", "--finish", "offsite", "--yes"]).expect(3);
    assert!(own.stderr.contains("these credentials may not delete there"), "{own:?}");
    let secret = scene.place.folder().join("offsite secret_access_key");
    let endpoint = format!("endpoint=http://{}", scene.bucket.bucket_address());
    let secret = format!("secret_access_key={}", secret.display());
    let lent = ["prune", "--finish", "offsite", "--yes", "--set", &endpoint, "--secret-file", &secret];
    scene.place.run(&lent).expect(0);
    assert_eq!((scene.in_state("retained-by-storage"), scene.manifests().len()), (vec![], 2));
    // Nothing of that is kept.
    let listed = scene.place.run(&["storage", "list", "--json"]).expect(0).json().to_string();
    assert!(!listed.contains(&endpoint[9..]), "{listed}");
    for (wrong, told) in [("bukket=x", "bukket"), ("secret_access_key=x", "no such setting")] {
        let run = scene.place.run(&["prune", "--finish", "offsite", "--set", wrong]);
        run.expect_error(15, &[told]);
    }
    scene.restricted.typed(&scene.place, &["storage", "add"], &[]).expect_error(15, &["offsite"]);
}

/// A server that was taken over can let everything go that it likes: what is needed stays all the same.
#[test]
fn what_is_let_go_stays_where_nothing_whole_would_be_left_or_a_kept_one_builds_on_it() {
    let Some(scene) = Scene::start() else { return };
    for _ in 0..4 {
        scene.backup("full");
    }
    scene.place.run(&["prune", &scene.root, "--yes"]).expect(0);
    let manifests = scene.manifests();
    assert_eq!((scene.in_state("retained-by-storage"), manifests.len()), (vec![1, 2], 4));
    let other = Place::new();
    scene.bucket.typed(&other, &["storage", "add"], &[]).expect(0);
    let finish = ["prune", "--finish", "bucket", "--yes"];
    // A manifest that cannot be read may build on anything.
    let third = fs::read(&manifests[2]).unwrap();
    fs::write(&manifests[2], "{}").unwrap();
    let run = other.run(&finish).expect(0);
    assert!(run.stderr.contains("cannot be read") && scene.manifests().len() == 4, "{run:?}");
    // Of the two that are kept each lacks something.
    fs::remove_file(&manifests[2]).unwrap();
    let folder = manifests[3].parent().unwrap();
    let part =
        every_file(folder).into_iter().find(|file| file.to_str().unwrap().contains("files.tar")).unwrap();
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[1..]).unwrap();
    let run = other.run(&finish).expect(0);
    assert!(run.stderr.contains("no backup would be left") && scene.manifests().len() == 3, "{run:?}");
    // A tombstone that cannot be read, and one that a stranger might have written, decides nothing.
    fs::write(&part, bytes).unwrap();
    fs::write(&manifests[2], third).unwrap();
    let tombstones = every_file(&scene.bucket.objects)
        .into_iter()
        .filter(|file| file.to_str().unwrap().contains("tombstone-"));
    for tombstone in tombstones {
        let text = fs::read(&tombstone).unwrap();
        let damaged: Vec<u8> = text.iter().map(|byte| if *byte == b'"' { b'\'' } else { *byte }).collect();
        fs::write(&tombstone, damaged).unwrap();
    }
    let run = other.run(&finish).expect(0);
    assert!(run.stdout.contains("0 let go, 4 kept") && scene.manifests().len() == 4, "{run:?}");
}
