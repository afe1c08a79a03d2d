//! One file out of a long chain that is sealed and split: what is read of the storage for it.

use std::fs;

use super::harness::Place;
use super::part_of_backup::noise;

/// How many backups the chain has.
const BACKUPS: u64 = 30;
/// How many small files the shop has, with names that no codec makes shorter: an index is longer than what may be read.
const FILES: u64 = 8_000;
const NAME_BYTES: usize = 110;
/// The file that is wanted, made so many backups before the last.
const WANTED: &str = "media/wanted.jpg";
const WANTED_BYTES: usize = 100_000;
const WANTED_ON: u64 = 14;
/// What may be read in all: the goal is so much beside the frame of the file and the index pages that are needed to find it.
const LIMIT_BYTES: u64 = 1 << 20;

/// A shop on one more day: several parts of pictures.
fn live_through(root: &std::path::Path, day: u64) {
    for number in 0..3 {
        let name = root.join(format!("media/{day}-{number}.jpg"));
        fs::write(name, noise(day * 10 + number, 500_000)).unwrap();
    }
    if day == WANTED_ON {
        fs::write(root.join(WANTED), noise(1_000, WANTED_BYTES)).unwrap();
    }
}

#[test]
fn one_file_of_a_sealed_split_chain_of_thirty_reads_less_than_a_mib_beside_its_own() {
    let place = Place::new();
    place.run(&["key", "create", "--to-file", "key"]).expect(0);
    fs::write(place.configuration(), "part_size = \"1 MiB\"\n").unwrap();
    let root = place.folder().join("shop");
    fs::create_dir_all(root.join("media")).unwrap();
    for number in 0..FILES {
        let folder = root.join(format!("folder-{}", number % 80));
        fs::create_dir_all(&folder).unwrap();
        let name: String = noise(number, NAME_BYTES).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(folder.join(name), format!("the file {number}")).unwrap();
    }
    for day in 0..BACKUPS {
        live_through(&root, day);
        place.run(&["backup", root.to_str().unwrap(), "--level", "incremental", "--no-prune"]).expect(0);
    }
    let listed = place.list();
    assert_eq!(listed.len() as u64, BACKUPS);
    assert_eq!(listed.iter().filter(|backup| backup["level"] == "incremental").count() as u64, BACKUPS - 1);
    let arguments =
        ["restore", "latest", "--file", WANTED, "--to", "one", "--identity-file", "key", "--json"];
    let report = place.run(&arguments).expect(0).json();
    assert!(fs::read(place.folder().join("one").join(WANTED)).unwrap() == noise(1_000, WANTED_BYTES));
    let shown = place.run(&["show", "latest", "--json"]).expect(0).json();
    for artifact in shown["artifacts"].as_array().unwrap() {
        assert!(artifact["stored_bytes"].as_u64().unwrap() > LIMIT_BYTES, "{artifact}");
    }
    assert!(shown["artifacts"][0]["parts"].as_u64().unwrap() > 1, "{shown}");
    let read_bytes = report["read_bytes"].as_u64().unwrap();
    assert!(read_bytes > WANTED_BYTES as u64 && read_bytes < LIMIT_BYTES, "{read_bytes} bytes were read");
}
