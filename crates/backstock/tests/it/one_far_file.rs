//! One file out of a large backup that is far away: what the server sends for it, counted on the wire.

use std::fs;
use std::path::Path;

use backstock_testbed::storages::wire::Wire;

use super::away::Away;
use super::harness::Place;
use super::part_of_backup::noise;
use super::sealed::give_key;

const WANTED: &str = "media/42/wanted.jpg";
const WANTED_BYTES: usize = 100_000;
/// What a server may send for the one file: the shop's index, the manifests and all that the protocol adds, too.
const LIMIT_BYTES: u64 = 5 << 20;
/// What it may send for a catalog of what is there.
const RECOVER_LIMIT_BYTES: u64 = 1 << 20;

/// How many files the shop has beside the one that is wanted, and how long they are together, in MiB. `bench/faults reads` takes
/// 60,000 and 2,048.
fn shop_size() -> (usize, usize) {
    let mib = std::env::var("BACKSTOCK_TEST_FAR_MIB").ok().and_then(|text| text.parse().ok());
    mib.map_or((20_000, 48), |mib| (60_000, mib))
}

/// Files that nothing makes shorter, in folders of 300.
fn make_files(root: &Path) {
    let (files, mib) = shop_size();
    let file_bytes = (mib << 20) / files;
    for number in 0..files {
        let folder = root.join(format!("media/{}", number / 300));
        if number % 300 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("picture of product {number}.jpg")), noise(number as u64, file_bytes))
            .unwrap();
    }
    fs::write(root.join(WANTED), noise(1_000, WANTED_BYTES)).unwrap();
}

/// What came over a wire while something was done.
fn received(wire: &Wire, act: impl FnOnce()) -> u64 {
    let before = wire.received_bytes();
    act();
    wire.received_bytes() - before
}

#[test]
fn one_file_of_a_large_far_backup_costs_less_than_5_mib() {
    let shop = tempfile::tempdir().unwrap();
    make_files(shop.path());
    let root = shop.path().to_str().unwrap();
    for is_sealed in [false, true] {
        let place = Place::new();
        if is_sealed {
            give_key(&place, &[]);
        }
        let kinds: Vec<Away> = [Away::s3(), Away::sftp()].into_iter().flatten().collect();
        kinds.iter().for_each(|away| away.add(&place, root, &[]));
        place.run(&["backup", root]).expect(0);
        let shown = place.run(&["show", "latest", "--json"]).expect(0).json();
        let stored: u64 = shown["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["stored_bytes"].as_u64().unwrap())
            .sum();
        assert!(stored > 8 * LIMIT_BYTES, "{shown}");
        for away in &kinds {
            let (away, wire) = away.by_wire();
            let other = Place::new();
            fs::copy(place.folder().join("passphrase"), other.folder().join("passphrase")).ok();
            let key: &[&str] = if is_sealed { &["--passphrase-file", "passphrase"] } else { &[] };
            let more = [key, &["--without-settings"]].concat();
            let recovered = received(&wire, || drop(away.typed(&other, &["recover"], &more).expect(0)));
            let restore = ["restore", "latest", "--file", WANTED, "--to", "one"];
            let restored = received(&wire, || drop(other.run(&[&restore[..], key].concat()).expect(0)));
            assert!(fs::read(other.folder().join("one").join(WANTED)).unwrap() == noise(1_000, WANTED_BYTES));
            let told =
                format!("{}, sealed {is_sealed}: {recovered} to recover, {restored} to restore", away.title);
            assert!(restored > WANTED_BYTES as u64 && restored < LIMIT_BYTES, "{told}");
            assert!(recovered > 0 && recovered < RECOVER_LIMIT_BYTES, "{told}");
        }
    }
}
