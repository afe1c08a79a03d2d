//! A sealed backup is decoded right after its parts were put, by whoever made it and cannot open it later; what does not read
//! back never counts.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::harness::Place;
use super::part_of_backup::noise;
use super::plain_shop::leftovers;

/// A shop in a few parts, and an identity of which this machine has the public half alone.
fn sealed_place(configuration: &str) -> (Place, String) {
    let place = Place::new();
    place.run(&["key", "create", "--to-file", "key"]).expect(0);
    fs::rename(place.folder().join("key"), place.folder().join("in a safe")).unwrap();
    fs::write(place.configuration(), format!("part_size = \"1 MiB\"\n{configuration}")).unwrap();
    let root = place.folder().join("shop");
    fs::create_dir(&root).unwrap();
    for number in 0..3 {
        fs::write(root.join(format!("{number}.jpg")), noise(number, 700_000)).unwrap();
    }
    let root = root.to_str().unwrap().to_owned();
    (place, root)
}

fn replica(place: &Place) -> Value {
    place.list()[0]["replicas"][0].clone()
}

/// How deep the newest backup was looked at.
fn deepest(place: &Place) -> Option<String> {
    replica(place)["checks"]
        .as_array()
        .unwrap()
        .last()
        .map(|check| check["level"].as_str().unwrap().to_owned())
}

#[test]
fn a_sealed_backup_is_decoded_when_it_is_made() {
    let (place, root) = sealed_place("");
    place.run(&["backup", &root]).expect(0);
    fs::write(place.folder().join("shop/new.jpg"), noise(9, 700_000)).unwrap();
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    for backup in place.list() {
        let replica = &backup["replicas"][0];
        let check = replica["checks"].as_array().unwrap().last().unwrap();
        assert_eq!((&replica["state"], &check["level"]), (&"verified".into(), &"decoded".into()), "{backup}");
        assert!(check["checked"].as_str() > backup["started"].as_str(), "{backup}");
    }
    assert_eq!(place.list()[0]["level"], "incremental");
    for command in [&["list"][..], &["show", "latest"]] {
        let text = place.run(command).expect(0).stdout;
        assert!(text.contains("verified (decoded on "), "{text}");
    }
    // Later nobody here can do that.
    place.run(&["verify", "latest"]).expect(3);
    place.run(&["verify", "latest", "--identity-file", "in a safe"]).expect(0);
}

/// What is read back is what lies at the destination, and not what was spooled.
#[test]
fn what_does_not_read_back_never_counts() {
    let (place, root) = sealed_place("");
    place.run(&["backup", &root]).expect(0);
    let part = |name: &str| -> PathBuf {
        let sets = fs::read_dir(place.backups()).unwrap().map(|entry| entry.unwrap().path());
        let backups = sets.flat_map(|set| fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()));
        let newest =
            backups.filter(|folder| folder.join("files").is_dir() && !folder.join("manifest.json").exists());
        newest.map(|folder| folder.join(name)).next().unwrap()
    };
    for (name, at) in [("files/files.tar.zst.002.bks", 400_000), ("files/index.zst.bks", 4_096 + 60)] {
        fs::write(place.folder().join("shop/0.jpg"), noise(100 + at as u64, 700_000)).unwrap();
        let before = place.list();
        let run = place.paused("backup.before_read_back", 1_500, &["backup", &root], |_| {
            let path = part(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 0x20;
            fs::write(path, bytes).unwrap();
        });
        run.expect_error(13, &["does not read back", name, "does not count"]);
        assert_eq!(place.list(), before, "{name}");
        assert_eq!(leftovers(&place), Vec::<String>::new(), "{name}");
    }
    place.run(&["backup", &root, "--level", "incremental"]).expect(0);
    assert_eq!((place.list().len(), deepest(&place).as_deref()), (2, Some("decoded")));
}

#[test]
fn it_can_be_left_out_and_asked_for() {
    let (place, root) = sealed_place("read_back = false\n");
    place.run(&["backup", &root]).expect(0);
    assert_eq!(replica(&place)["state"], "present");
    assert_ne!(deepest(&place).as_deref(), Some("decoded"));
    let set = format!(
        "read_back = false\n[[set]]\ntitle = \"shop\"\nshop = {root:?}\nread_back = true\nsealed = false\n"
    );
    fs::write(place.configuration(), set).unwrap();
    place.run(&["backup", "shop"]).expect(0);
    assert_eq!(place.list()[0]["sealed_for"], serde_json::json!([]));
    assert_eq!(
        (replica(&place)["state"].clone(), deepest(&place).as_deref()),
        ("verified".into(), Some("decoded"))
    );
    // Where nothing is said, what is not sealed is left for `verify`.
    fs::write(place.configuration(), "").unwrap();
    place.run(&["backup", &root, "--unsealed"]).expect(0);
    assert_ne!(deepest(&place).as_deref(), Some("decoded"));
}
