//! Whose backups they are: on a machine that knows nothing, only what did not come from the storage can tell.

use std::fs;
use std::path::{Path, PathBuf};

use backstock_archive::Digest;
use backstock_archive::manifest::SignedManifest;
use backstock_archive::owner::Owner;
use backstock_host::InstanceKey;
use backstock_vocabulary::InstanceId;
use serde_json::Value;

use super::harness::{Place, Run};
use super::sealed::{every_file, folder_of_files, give_key, place_with_key, with_passphrase};
use super::succession::{plant, strangers_key};

/// A place with one sealed backup, and its shop.
fn sealed_place() -> (Place, String) {
    let place = place_with_key(&[]);
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect(0);
    (place, root)
}

fn set_folder(place: &Place) -> PathBuf {
    place.newest_backup().parent().unwrap().to_owned()
}

/// Another machine: nothing is left but the backups.
fn lose_machine(place: &Place) {
    fs::remove_dir_all(place.state()).unwrap();
}

fn rebuild(place: &Place, more: &[&str]) -> Run {
    let backups = place.backups();
    place.run(&[&["catalog", "rebuild", backups.to_str().unwrap()], more].concat())
}

fn fingerprint(place: &Place) -> String {
    place.run(&["key", "show", "--json"]).expect(0).json()["fingerprint"].as_str().unwrap().to_owned()
}

/// Somebody who may write into the storage plants a backup and an owner file of the next generation that vouches for it.
fn plant_with_owner(place: &Place) -> (PathBuf, String) {
    let (newest, key) = (place.newest_backup(), strangers_key(place));
    let planted = plant(&newest, &key);
    own(&newest, &key);
    (newest, planted)
}

fn own(newest: &Path, key: &InstanceKey) {
    let signed = SignedManifest::parse(&fs::read(newest.join("manifest.json")).unwrap()).unwrap();
    let owner = Owner {
        format: Owner::format(),
        signer: Digest([0; 32]),
        instance: InstanceId::from_parts(7, [7; 10]),
        machine: "elsewhere".to_owned(),
        set: signed.manifest.set,
        generation: 9,
        head: None,
        copies_from: None,
        written: signed.manifest.finished,
    };
    let folder = newest.parent().unwrap();
    fs::write(folder.join(owner.name()), owner.sign(key).unwrap()).unwrap();
}

fn strangers(place: &Place) -> Vec<String> {
    let listed = place.list();
    let planted = listed.iter().filter(|backup| backup["is_strangers"] == true);
    planted.map(|backup| backup["backup"].as_str().unwrap().to_owned()).collect()
}

fn latest(place: &Place) -> Value {
    place.run(&["show", "latest", "--json"]).expect(0).json()
}

#[test]
fn the_passphrase_or_the_fingerprint_tells_planted_backups_from_ones_own() {
    let (place, root) = sealed_place();
    // Sealed parts tell which backup they belong to; whoever plants a backup has plain ones.
    place.run(&["backup", &root, "--unsealed"]).expect(0);
    let (fingerprint, own) = (fingerprint(&place), latest(&place)["backup"].clone());
    let (_, planted) = plant_with_owner(&place);

    lose_machine(&place);
    let run = rebuild(&place, &[]).expect(0);
    assert!(run.stderr.contains("whose backups these are was not shown"), "{run:?}");
    assert_eq!(latest(&place)["backup"], planted.as_str(), "nothing tells them apart without a key");

    let given: [&[&str]; 2] = [&["--passphrase-file", "passphrase"], &["--fingerprint", &fingerprint]];
    for how in given {
        lose_machine(&place);
        let run = rebuild(&place, how).expect(0);
        assert!(
            run.stdout.contains("vouches for who signed") && run.stderr.contains("1 backup signed by"),
            "{run:?}"
        );
        assert_eq!((strangers(&place), &latest(&place)["backup"]), (vec![planted.clone()], &own), "{how:?}");
        with_passphrase(&place, &["verify", "latest"]).expect(0);
    }
    // What was vouched for once stays so, without a key, and when the certificates and owner files beside the backups are gone.
    for file in every_file(&set_folder(&place)) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.starts_with("certificate-") || name == "owner-1.json" {
            fs::remove_file(&file).unwrap();
        }
    }
    rebuild(&place, &[]).expect(0);
    assert_eq!((strangers(&place), &latest(&place)["backup"]), (vec![planted], &own));
}

/// Somebody put an identity of his own in the place of ours, whole and signed.
#[test]
fn an_identity_that_somebody_planted_is_not_taken_over() {
    let (place, _) = sealed_place();
    let fingerprint = fingerprint(&place);
    let keys = set_folder(&place).join("keys");
    let other = place_with_key(&["--to-file", "other.key"]);
    let other_root = folder_of_files(&other);
    other.run(&["backup", &other_root]).expect(0);
    for file in every_file(&keys) {
        fs::remove_file(file).unwrap();
    }
    for file in every_file(&set_folder(&other).join("keys")) {
        fs::copy(&file, keys.join(file.file_name().unwrap())).unwrap();
    }

    lose_machine(&place);
    rebuild(&place, &["--fingerprint", &fingerprint]).expect_error(12, &["no identity has that fingerprint"]);
    assert_eq!(place.list().len(), 0, "nothing was recorded");
    rebuild(&place, &["--fingerprint", "abc"]).expect_error(2, &["64 digits"]);
    rebuild(&place, &[]).expect(0);
    with_passphrase(&place, &["key", "adopt"]).expect_error(10, &["no identity is known here"]);
    let identities = place.run(&["key", "list", "--json"]).expect(0).json();
    assert_eq!(identities["identities"].as_array().unwrap().len(), 0);
}

/// F76: a wrong key is said to be one, and nothing is recorded that nobody vouched for.
#[test]
fn f76_a_rebuild_with_the_wrong_key_says_so_and_records_nothing() {
    let (place, _) = sealed_place();
    let keys = set_folder(&place).join("keys");
    lose_machine(&place);
    rebuild(&place, &["--passphrase-file", "wrong"])
        .expect_error(12, &["opens no identity", "can be made all the same"]);
    assert_eq!(place.list().len(), 0);
    let damaged = every_file(&keys);
    let damaged = damaged.iter().find(|file| file.to_str().unwrap().contains("/identity-")).unwrap();
    let mut bytes = fs::read(damaged).unwrap();
    bytes[100] ^= 1;
    fs::write(damaged, bytes).unwrap();
    let run = with_passphrase(&place, &["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    assert!(run.stderr.contains("an identity cannot be read"), "{run:?}");
}

/// A new machine goes on with the set and its identity; a third knows both machines by the fingerprint alone.
#[test]
fn a_new_machine_takes_the_identity_over_and_both_machines_count() {
    let (place, root) = sealed_place();
    let fingerprint = fingerprint(&place);
    let first = latest(&place)["sealed_for"].clone();
    lose_machine(&place);
    with_passphrase(&place, &["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    place.run(&["backup", &root, "--take-over"]).expect_error(15, &["key adopt"]);
    place.run(&["key", "adopt", "--passphrase-file", "wrong"]).expect_error(12, &["does not open"]);
    let adopted = with_passphrase(&place, &["key", "adopt", "--json"]).expect(0).json();
    assert_eq!(
        (&adopted["fingerprint"], &adopted["is_recipient"]),
        (&fingerprint.as_str().into(), &true.into())
    );
    with_passphrase(&place, &["key", "adopt"]).expect_error(15, &["already"]);
    place.run(&["backup", &root, "--take-over"]).expect(0);
    assert_eq!((&latest(&place)["sequence"], &latest(&place)["sealed_for"]), (&2.into(), &first));

    lose_machine(&place);
    rebuild(&place, &["--fingerprint", &fingerprint.to_uppercase()]).expect(0);
    assert_eq!((place.list().len(), strangers(&place)), (2, Vec::new()));
    // The fingerprint tells whose backups they are, and not which shop they are of.
    let run = with_passphrase(&place, &["key", "adopt"]).expect(0);
    assert!(run.stderr.contains("once more with the key"), "{run:?}");
    with_passphrase(&place, &["verify", "latest"]).expect(0);
}

/// Who counted before there was an identity counts on: the first identity certifies the writers on record, another one those before it.
#[test]
fn a_first_identity_certifies_those_that_counted_before() {
    let place = Place::new();
    let root = folder_of_files(&place);
    place.run(&["backup", &root]).expect(0);
    lose_machine(&place);
    rebuild(&place, &[]).expect(0);
    place.run(&["backup", &root, "--take-over"]).expect(0);
    give_key(&place, &[]);
    place.run(&["backup", &root]).expect(0);
    let fingerprint_before = fingerprint(&place);
    with_passphrase(&place, &["key", "rotate", "--to-file", "rotated"]).expect(0);
    place.run(&["backup", &root]).expect(0);
    assert_eq!((place.list().len(), strangers(&place)), (4, Vec::new()));
    for by in [fingerprint_before, fingerprint(&place)] {
        lose_machine(&place);
        rebuild(&place, &["--fingerprint", &by]).expect(0);
        assert_eq!((place.list().len(), strangers(&place)), (4, Vec::new()), "{by}");
    }
}

/// Without the key a sealed shop has no place: what may be that shop is not backed up unsealed as if it were another.
#[test]
fn a_shop_that_may_be_a_sealed_one_is_not_begun_anew_in_plain_files() {
    let (place, root) = sealed_place();
    lose_machine(&place);
    rebuild(&place, &[]).expect(0);
    let on = ["backup", &root, "--take-over"];
    place.run(&on).expect_error(15, &["only the name of its folder is known", "with its key", "--unsealed"]);
    with_passphrase(&place, &["catalog", "rebuild", place.backups().to_str().unwrap()]).expect(0);
    place.run(&on).expect_error(15, &["key adopt"]);
    place.run(&["backup", &root, "--take-over", "--unsealed"]).expect(0);
    assert_eq!(latest(&place)["sequence"], 2, "the same set goes on");
}
