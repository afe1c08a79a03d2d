//! The machine is lost: with the backups come the storages, destinations, rules and pins, from any one place.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_archive::manifest::SignedManifest;
use backstock_archive::{Digest, ExportedSettings, SettingsName};
use backstock_testbed::storages::s3::SECRET_ACCESS_KEY;
use backstock_vocabulary::{BackupId, InstanceId, StorageId};
use serde_json::{Value, json};

use super::away::Away;
use super::harness::{Place, Run};
use super::sealed::{every_file, folder_of_files, give_key, with_passphrase};
use super::succession::strangers_key;

/// The exports below a folder, the oldest first.
fn exports(folder: &Path) -> Vec<PathBuf> {
    let is_export = |file: &PathBuf| file.to_str().unwrap().contains("/catalog/settings-");
    let mut found: Vec<PathBuf> = every_file(folder).into_iter().filter(is_export).collect();
    found.sort();
    found
}

fn holds(file: &Path, secret: &str) -> bool {
    fs::read(file).unwrap().windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn lose_machine(place: &Place) {
    fs::remove_dir_all(place.backups()).unwrap();
    fs::remove_dir_all(place.state()).unwrap();
}

fn another_machine(place: &Place) -> Place {
    let other = Place::new();
    fs::copy(place.folder().join("passphrase"), other.folder().join("passphrase")).ok();
    other
}

fn destinations(place: &Place, root: &str) -> Vec<Value> {
    let shown = place.run(&["set", "show", root, "--json"]).expect(0).json();
    shown["sets"][0]["destinations"].as_array().unwrap().clone()
}

fn named<'a>(rows: &'a [Value], storage: &str) -> &'a Value {
    let row = rows.iter().find(|row| row["storage"] == storage);
    row.unwrap_or_else(|| panic!("no {storage} in {rows:?}"))
}

const POLICY: &str = "[retention]\nkeep_last = 6\n[verify]\nbytes_days = 11\n";
const KEY: [&str; 2] = ["--passphrase-file", "passphrase"];

/// A shop with two destinations and what is told of it alone: a policy, a pin, copies to keep.
fn shop_with_two_destinations(is_sealed: bool) -> Option<(Place, String, Away, Away)> {
    let bucket = Away::s3()?;
    let place = Place::new();
    fs::write(place.configuration(), POLICY).unwrap();
    let root = folder_of_files(&place);
    if is_sealed {
        give_key(&place, &[]);
    }
    let disk = Away::folder(&place.folder().join("second disk"));
    bucket.add(&place, &root, &["--path", "customers/acme", "--copies", "9"]);
    disk.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    place.run(&["pin", "latest", "--note", "before the move"]).expect(0);
    fs::write(Path::new(&root).join("new page"), "new").unwrap();
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    Some((place, root, bucket, disk))
}

/// What was told of the shop is there again, and the next backup goes on to both places.
fn goes_on(other: &Place, root: &str) {
    let rows = destinations(other, root);
    let (bucket, disk) = (named(&rows, "bucket"), named(&rows, "disk"));
    assert_eq!((&bucket["path"], &bucket["copies"]), (&"customers/acme".into(), &9.into()));
    assert_eq!((&bucket["held"], &disk["held"]), (&2.into(), &2.into()), "both are on record");
    let listed = other.list();
    assert_eq!((listed.len(), &listed[1]["pin"]), (2, &"before the move".into()));
    let planned = other.run(&["prune", "--dry-run", "--json"]).expect(0).json();
    let policies: Vec<&Value> =
        planned["destinations"].as_array().unwrap().iter().map(|plan| &plan["policy"]["keep_last"]).collect();
    assert!(policies.contains(&&6.into()) && policies.contains(&&9.into()), "{planned}");
    fs::write(Path::new(root).join("newer page"), "newer").unwrap();
    other.run(&["replicate", root]).expect(4);
    let run = other.run(&["backup", root, "--take-over", "--json"]).expect(0).json();
    let copied = run["destinations"].as_array().unwrap();
    assert!(copied.len() == 2 && copied.iter().all(|one| one["outcome"] == "success"), "{run}");
    assert_eq!(run["sequence"], 3);
    // Nothing that lies there is taken for what lies elsewhere.
    let rows = destinations(other, root);
    assert!(rows.iter().all(|row| row["held"] == 3 && row["owed"] == 0), "{rows:?}");
}

#[test]
fn everything_that_was_told_of_a_sealed_shop_comes_back_from_either_place() {
    let Some((place, root, bucket, disk)) = shop_with_two_destinations(true) else { return };
    for folder in [&bucket.objects, &disk.objects, &place.backups()] {
        let found = exports(folder);
        // The pin was told after the first one.
        assert_eq!(found.len(), 2, "{found:?}");
        for file in found {
            assert!(file.to_str().unwrap().ends_with(".json.bks"), "{}", file.display());
            assert!(!holds(&file, SECRET_ACCESS_KEY) && !holds(&file, "before the move"));
        }
    }
    lose_machine(&place);
    for away in [&disk, &bucket] {
        let other = another_machine(&place);
        let run = away.typed(&other, &["recover"], &[&KEY[..], &["--json"]].concat()).expect(0).json();
        let settings = &run["settings"][0];
        assert_eq!(
            (&settings["is_vouched"], &settings["destinations"], &settings["pins"]),
            (&true.into(), &2.into(), &1.into()),
            "{run}"
        );
        assert!(settings["runs"].as_u64().unwrap() >= 1, "{run}");
        let missing =
            settings["storages"].as_array().unwrap().iter().flat_map(|one| one["missing_secrets"].as_array());
        assert_eq!(missing.flatten().count(), 0, "{run}");
        let heads = run["heads"][0]["places"].as_array().unwrap();
        for storage in ["bucket", "disk"] {
            let head = named(heads, storage);
            assert_eq!((&head["sequence"], &head["backups"]), (&2.into(), &2.into()), "{run}");
        }
        for file in every_file(&other.state()) {
            assert!(!holds(&file, SECRET_ACCESS_KEY), "{}", file.display());
        }
        if away.title == "bucket" {
            other.run(&["backup", &root, "--take-over"]).expect_error(15, &["key adopt"]);
            with_passphrase(&other, &["key", "adopt"]).expect(0);
            goes_on(&other, &root);
            with_passphrase(&other, &["verify", "latest", "--level", "decoded"]).expect(0);
        }
    }
}

#[test]
fn settings_of_an_unsealed_shop_are_asked_about_and_come_without_secrets() {
    let Some((place, root, bucket, disk)) = shop_with_two_destinations(false) else { return };
    let found = exports(&disk.objects);
    assert!(found.iter().all(|file| !holds(file, SECRET_ACCESS_KEY)), "{found:?}");
    assert!(found.last().is_some_and(|newest| holds(newest, "before the move")), "{found:?}");
    lose_machine(&place);
    let other = another_machine(&place);
    let run = disk.typed(&other, &["recover"], &[]).expect(0);
    assert!(run.stderr.contains("UNAUTHENTICATED") && run.stderr.contains("--trust-settings"), "{run:?}");
    assert!(destinations(&other, &root).is_empty());
    let run = other.run(&["recover", "disk", "--trust-settings"]).expect(0);
    assert!(run.stderr.contains("bucket comes without secret_access_key"), "{run:?}");
    assert!(run.stderr.contains("at bucket cannot be read"), "{run:?}");
    fs::write(other.folder().join("secret"), SECRET_ACCESS_KEY).unwrap();
    let give =
        |name: &str| other.run(&["storage", "secrets", "bucket", "--secret-file", &format!("{name}=secret")]);
    other.run(&["storage", "secrets", "bucket"]).expect_error(2, &["secret_access_key is needed"]);
    give("secret_access_key").expect(0);
    give("colour").expect_error(15, &["no secret called colour"]);
    // Now that it can be read, what lies there goes on record too.
    other.run(&["recover", "bucket", "--trust-settings"]).expect(0);
    goes_on(&other, &root);
    drop(bucket);
}

/// Without a key a sealed export is named; where it is not wanted it is left alone.
#[test]
fn a_sealed_export_without_its_key_is_named_and_left_alone() {
    let place = Place::new();
    let root = folder_of_files(&place);
    give_key(&place, &[]);
    let disk = Away::folder(&place.folder().join("second disk"));
    disk.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    lose_machine(&place);
    let other = another_machine(&place);
    let run = disk.typed(&other, &["recover"], &["--json"]).expect(0).json();
    assert_eq!(run["settings"].as_array().unwrap().len(), 0);
    assert!(
        run["passed_over"][0]["why"].as_str().unwrap().contains("nothing that opens it was given"),
        "{run}"
    );
    let run = with_passphrase(&other, &["recover", "disk", "--without-settings", "--json"]).expect(0).json();
    assert!(
        run["settings"].as_array().unwrap().is_empty() && run["passed_over"].as_array().unwrap().is_empty()
    );
    let run = with_passphrase(&other, &["recover", "disk", "--json"]).expect(0).json();
    assert_eq!(run["settings"][0]["is_vouched"], true);
}

/// Puts an export into a set's folder that a stranger signed.
fn plant(folder: &Path, place: &Place) -> PathBuf {
    let manifest = every_file(folder).into_iter().find(|file| file.ends_with("manifest.json")).unwrap();
    let signed = SignedManifest::parse(&fs::read(manifest).unwrap()).unwrap();
    let settings = ExportedSettings {
        format: ExportedSettings::<Value>::format(),
        signer: Digest([0; 32]),
        instance: InstanceId::from_parts(7, [7; 10]),
        machine: "elsewhere".to_owned(),
        set: signed.manifest.set,
        export: BackupId::from_parts(7, [8; 10]),
        storage: StorageId::from_parts(7, [9; 10]),
        made: jiff::Timestamp::from_second(signed.manifest.finished.as_second()).unwrap(),
        stamp: "ffffffff".to_owned(),
        is_sealed: false,
        content: content_of(&signed),
    };
    let file = folder.join(settings.name().path());
    fs::write(&file, settings.sign(&strangers_key(place)).unwrap()).unwrap();
    file
}

fn content_of(signed: &SignedManifest) -> Value {
    let (id, set, now) = (signed.manifest.shop, signed.manifest.set, signed.manifest.finished);
    let policy = json!({ "keep_last": 1, "delete_after_days": null, "daily": 0, "weekly": 0, "monthly": 0,
        "yearly": 0, "keep_snapshots": 1, "count_exceptions": true, "grace_hours": 0 });
    let schedule =
        json!({ "present_days": null, "bytes_days": null, "decoded_days": null, "read_limit_bytes": 1 });
    let evil = json!({ "id": StorageId::from_parts(7, [1; 10]), "title": "evil", "kind": "local",
        "settings": { "folder": "/srv/evil" }, "secret_names": [], "created": now });
    json!({
        "shop": { "id": id, "root": null, "platform": "x", "title": "x", "created": now },
        "set": { "id": set, "title": "default", "created": now },
        "storages": [evil], "destinations": [], "policy": policy, "schedule": schedule,
        "pins": [], "confirmed": [], "accepted": [], "runs": [],
    })
}

fn set_folder(disk: &Away) -> PathBuf {
    fs::read_dir(&disk.objects).unwrap().next().unwrap().unwrap().path()
}

/// What may be put beside the backups by whoever can write there: a stranger's export, a changed bit, an older one under a newer name.
#[test]
fn what_a_stranger_signed_or_somebody_put_back_is_not_believed() {
    let place = Place::new();
    let root = folder_of_files(&place);
    give_key(&place, &[]);
    let disk = Away::folder(&place.folder().join("second disk"));
    disk.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let folder = set_folder(&disk);
    let [own] = &exports(&folder)[..] else { panic!() };
    // An hour later the same bytes under a name of then.
    let path = format!("catalog/{}", own.file_name().unwrap().to_str().unwrap());
    let name = SettingsName::parse(&path).unwrap();
    let later = jiff::Timestamp::from_second(name.made.as_second() + 1).unwrap();
    let put_back = folder.join(SettingsName { made: later, ..name }.path());
    fs::copy(own, &put_back).unwrap();
    let planted = plant(&folder, &place);
    lose_machine(&place);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let recover = |more: &[&str]| -> (Place, Run) {
        let other = another_machine(&place);
        let run = disk.typed(&other, &["recover"], &[more, &["--json"]].concat()).expect(0);
        (other, run)
    };
    let (other, run) = recover(&[&KEY[..], &["--trust-settings"]].concat());
    let run = run.json();
    let why: Vec<&str> =
        run["passed_over"].as_array().unwrap().iter().map(|one| one["why"].as_str().unwrap()).collect();
    assert!(why.iter().any(|why| why.contains("somebody gave it another name")), "{run}");
    assert_eq!(
        (&run["settings"][0]["path"], &run["settings"][0]["is_vouched"]),
        (&path.into(), &true.into())
    );
    let storages = other.run(&["storage", "list"]).expect(0).stdout;
    assert!(storages.contains("disk") && !storages.contains("evil"), "{storages}");
    // A changed byte: nothing is left that could be used.
    let mut bytes = fs::read(own).unwrap();
    let middle = bytes.len() - 200;
    bytes[middle] ^= 1;
    fs::write(own, bytes).unwrap();
    let (other, run) = recover(&[&KEY[..], &["--trust-settings"]].concat());
    let run = run.json();
    assert_eq!(run["settings"].as_array().unwrap().len(), 0, "{run}");
    assert!(run.to_string().contains("it is signed by a key that nobody vouches for"), "{run}");
    assert!(run.to_string().contains("its seal is broken"), "{run}");
    assert!(!other.run(&["storage", "list"]).expect(0).stdout.contains("evil"));
    assert!(planted.exists());
}

/// Where two places went on apart, or one ends before the other, it is told.
#[test]
fn a_place_that_lacks_the_newest_backups_is_told() {
    let place = Place::new();
    let root = folder_of_files(&place);
    give_key(&place, &[]);
    let one = Away::folder(&place.folder().join("one"));
    let two = Away::folder(&place.folder().join("two")).called("second");
    one.add(&place, &root, &[]);
    two.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    place.run(&["set", "destination", "change", &root, "second", "--off"]).expect(0);
    for page in ["a", "b"] {
        fs::write(Path::new(&root).join(page), page).unwrap();
        place.run(&["backup", &root, "--level", "full"]).expect(0);
    }
    lose_machine(&place);
    let other = another_machine(&place);
    let run = one.typed(&other, &["recover"], &KEY).expect(0);
    let told = "second ends at number 1, disk at 3: 2 newer backups are not at second";
    assert!(run.stderr.contains(told), "{run:?}");
}

#[test]
fn an_export_is_made_once_a_day_and_three_stay() {
    let place = Place::new();
    let root = folder_of_files(&place);
    let disk = Away::folder(&place.folder().join("second disk"));
    disk.add(&place, &root, &[]);
    place.run(&["backup", &root]).expect(0);
    let first = exports(&disk.objects);
    assert_eq!(first.len(), 1);
    for hours in [1, 2] {
        place.run_at(hours, &["backup", &root]).expect(0);
        place.run_at(hours, &["replicate", &root]).expect(4);
    }
    assert_eq!(exports(&disk.objects), first, "nothing has changed within the day");
    for day in 1..5 {
        place.run_at(25 * day, &["replicate", &root]).expect(4);
        let expected = usize::try_from(day + 1).unwrap().min(3);
        assert_eq!((exports(&disk.objects).len(), exports(&place.backups()).len()), (expected, expected));
    }
    assert!(!exports(&disk.objects).contains(&first[0]));
    // Another machine's folder is left alone, and nobody's backup fails for an export.
    let catalog = set_folder(&disk).join("catalog");
    fs::remove_dir_all(&catalog).unwrap();
    fs::write(&catalog, "no folder").unwrap();
    let run = place.run_at(200, &["backup", &root]).expect(0);
    assert!(run.stderr.contains("the settings are NOT exported to disk/"), "{run:?}");
    fs::remove_file(&catalog).unwrap();
    place.run_at(201, &["backup", &root]).expect(0);
    assert_eq!(exports(&disk.objects).len(), 1, "the next run tries again");
}

/// A destination tells numbers that neither the catalog nor the first place knows; while one cannot be read nothing older goes.
#[test]
fn a_number_that_only_a_destination_tells_is_not_given_twice() {
    let place = Place::new();
    let root = folder_of_files(&place);
    fs::write(place.configuration(), "[retention]\nkeep_last = 1\ngrace_hours = 0\n").unwrap();
    let disk = Away::folder(&place.folder().join("second disk"));
    disk.add(&place, &root, &["--copies", "9"]);
    let back_up = |code: i32| place.run(&["backup", &root, "--level", "full", "--json"]).expect(code);
    let sequence = |run: &Run| run.json()["sequence"].as_u64().unwrap();
    assert_eq!(sequence(&back_up(0)), 1);
    let older = place.folder().join("older state");
    let copy = |from: &Path, to: &Path| {
        let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(copied.success());
    };
    copy(&place.folder().join("state"), &older);
    let first = place.folder().join("older backups");
    copy(&place.backups(), &first);
    assert_eq!(sequence(&back_up(0)), 2);
    assert_eq!(sequence(&back_up(0)), 3);
    // The machine is put back to an older state, its folder of backups too; the disk elsewhere has gone on.
    lose_machine(&place);
    fs::rename(&older, place.state()).unwrap();
    fs::rename(&first, place.backups()).unwrap();
    let run = back_up(0);
    assert_eq!(sequence(&run), 4, "{run:?}");
    assert!(run.json()["retention"].is_object(), "all could be read: {run:?}");
    // A disk that is away: the backup is made, and nothing goes.
    let away = place.folder().join("away");
    fs::rename(&disk.objects, &away).unwrap();
    fs::write(&disk.objects, "").unwrap();
    let run = back_up(3).json();
    assert_eq!((&run["sequence"], &run["unread_destinations"][0]["storage"]), (&5.into(), &"disk".into()));
    assert!(run["retention"].is_null(), "{run}");
    let run = place.run(&["backup", &root, "--level", "full"]).expect(3);
    let told = "no older backup goes in this run: what disk holds cannot be read";
    assert!(run.stderr.contains(told), "{run:?}");
    fs::remove_file(&disk.objects).unwrap();
    fs::rename(&away, &disk.objects).unwrap();
    let run = back_up(0).json();
    assert!(run["sequence"] == 7 && run["retention"].is_object(), "{run}");
}
