//! One table, or one file, out of a big backup reads only its frames and its pages of the index.

use std::fs;
use std::path::Path;

use backstock_testbed::ServerKind;
use mysql::prelude::Queryable;
use serde_json::Value;

use super::harness::Run;
use super::plain_shop::PlainShop;

/// Rows of the big table and pictures, of a MiB each that no codec makes smaller.
const BIG_ROWS: u32 = 64;
const PICTURES: u32 = 64;
const MIB: usize = 1 << 20;
/// Of the small table: a MiB in all.
const SMALL: &str = "CREATE TABLE small (id INT PRIMARY KEY, name VARCHAR(200)) ENGINE=InnoDB; \
    INSERT INTO small SELECT seq, CONCAT('the thing number ', seq, ' of all the things that are in the shop, \
    and it is called ', CRC32(seq)) FROM seq_1_to_10000;";
/// So much of the stored bytes may be read, in hundredths.
const PER_CENT: u64 = 1;

/// Bytes without any pattern (xorshift).
pub(crate) fn noise(seed: u64, length_bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length_bytes + 8);
    while bytes.len() < length_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length_bytes);
    bytes
}

fn fill(shop: &PlainShop) {
    let mut connection = shop.server.connect("plain").unwrap();
    connection.query_drop("CREATE TABLE big (id INT PRIMARY KEY, payload LONGBLOB) ENGINE=InnoDB").unwrap();
    for row in 0..BIG_ROWS {
        connection.exec_drop("INSERT INTO big VALUES (?, ?)", (row, noise(u64::from(row) + 1, MIB))).unwrap();
    }
    shop.server.client("plain", SMALL).unwrap();
    let folder = shop.root().join("media/catalog");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..PICTURES {
        fs::write(folder.join(format!("{number}.jpg")), noise(u64::from(number) + 1000, MIB)).unwrap();
        for part in 0..20 {
            fs::write(folder.join(format!("{number}-{part}.txt")), format!("{number} {part}")).unwrap();
        }
    }
}

/// Bytes of a backup's artifact and its index together.
fn stored(shown: &Value, folder: &str) -> u64 {
    let artifacts = shown["artifacts"].as_array().unwrap().iter();
    let of_folder = artifacts.filter(|one| one["path"].as_str().unwrap().starts_with(folder));
    of_folder.map(|one| one["stored_bytes"].as_u64().unwrap()).sum()
}

#[track_caller]
fn check(run: &Run, stored_bytes: u64) {
    let read_bytes = run.json()["read_bytes"].as_u64().unwrap();
    assert!(stored_bytes > 60 * MIB as u64, "{stored_bytes}");
    assert!(read_bytes > 1000, "{read_bytes}");
    assert!(read_bytes * 100 <= stored_bytes * PER_CENT, "{read_bytes} of {stored_bytes} bytes were read");
}

#[test]
fn a_table_or_a_file_reads_only_its_frames() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    fill(&shop);
    shop.back_up();
    let shown = shop.place.run(&["show", "latest", "--json"]).expect(0).json();
    let (database, files) = (stored(&shown, "db/"), stored(&shown, "files/"));
    // Another backup behind it: what is new in the code since is told, and costs no reading of it all.
    let id = shown["backup"].as_str().unwrap().to_owned();
    shop.back_up();

    let sum = || shop.server.client("plain", "CHECKSUM TABLE small, big").unwrap();
    let before = sum();
    shop.server.client("plain", "UPDATE small SET name = 'ruined' WHERE id % 3 = 0").unwrap();
    let restore = |more: &[&str]| {
        let mut arguments = vec!["restore", "latest", "--json", "--yes", "--without-maintenance"];
        arguments.extend_from_slice(more);
        arguments.extend(shop.database_flags());
        shop.place.run(&arguments).expect(0)
    };
    check(&restore(&["--table", "small"]), database);
    assert_eq!(sum(), before);
    shop.place.run(&["restore", "--accept"]).expect(0);

    let path = "media/catalog/33-7.txt";
    fs::write(shop.root().join(path), "ruined").unwrap();
    check(&restore(&["--file", path]), files);
    assert_eq!(fs::read_to_string(shop.root().join(path)).unwrap(), "33 7");
    shop.place.run(&["restore", "--accept"]).expect(0);

    let elsewhere = shop.place.folder().join("elsewhere");
    let arguments = ["restore", &id, "--json", "--file", path, "--to", elsewhere.to_str().unwrap()];
    check(&shop.place.run(&arguments).expect(0), files);
    assert_eq!(fs::read_to_string(elsewhere.join(path)).unwrap(), "33 7");
    // Neither a folder of files nor a glob fetches what it does not mean.
    for picker in ["/media/catalog/5-1.txt", "media/catalog/4-*.txt", "5-2.txt"] {
        let other = shop.place.folder().join(Path::new(picker).file_name().unwrap());
        let arguments = ["restore", &id, "--json", "--file", picker, "--to", other.to_str().unwrap()];
        check(&shop.place.run(&arguments).expect(0), files);
    }
}
