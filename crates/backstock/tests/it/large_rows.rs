//! Rows of many MiB: a backup and a restore over several connections hold no more memory than is promised.

use std::fs;

use backstock_testbed::ServerKind;
use mysql::prelude::Queryable;

use super::part_of_backup::noise;
use super::plain_shop::PlainShop;

/// Two tables, so that connections have them one each and share one.
const TABLES: [&str; 2] = ["scans", "manuals"];

/// A shop whose tables have so many rows of this size, which cannot be compressed.
fn shop_of(rows: u32, row_bytes: usize) -> Option<PlainShop> {
    let shop = PlainShop::new(ServerKind::MariaDb)?;
    shop.server.client("", "SET GLOBAL max_allowed_packet=67108864").unwrap();
    let mut connection = shop.server.connect("plain").unwrap();
    for (number, table) in TABLES.into_iter().enumerate() {
        let create = format!("CREATE TABLE {table} (id INT PRIMARY KEY, content LONGBLOB) ENGINE=InnoDB");
        connection.query_drop(create).unwrap();
        for row in 0..rows {
            let content = noise(u64::from(row) + 100 * number as u64, row_bytes);
            connection.exec_drop(format!("INSERT INTO {table} VALUES (?, ?)"), (row, content)).unwrap();
        }
    }
    Some(shop)
}

/// Makes a backup, in no more memory than is promised.
fn back_up(shop: &PlainShop, row_bytes: usize) {
    let mut arguments = vec!["backup"];
    arguments.extend(shop.database_flags());
    shop.place.run_in_memory_with_rows(&arguments, row_bytes);
}

/// With four of these at once, each in a frame and on its way, the limit would be passed.
#[test]
fn large_rows_are_dumped_and_loaded_in_bounded_memory_in_bulk_and_by_insert() {
    const ROW_BYTES: usize = 20_000_000;
    let Some(shop) = shop_of(5, ROW_BYTES) else { return };
    let sum = || shop.server.client("plain", "CHECKSUM TABLE scans, manuals").unwrap();
    let before = sum();
    back_up(&shop, ROW_BYTES);
    for local_infile in [1, 0] {
        let ruin = "DELETE FROM scans; UPDATE manuals SET content='ruined'";
        shop.server.client("plain", format!("SET GLOBAL local_infile={local_infile}; {ruin}")).unwrap();
        let mut arguments = vec![
            "restore",
            "latest",
            "--only",
            "database",
            "--yes",
            "--without-maintenance",
            "--without-snapshot",
        ];
        arguments.extend(shop.database_flags());
        shop.place.run_in_memory_with_rows(&arguments, ROW_BYTES);
        assert_eq!(sum(), before, "local_infile={local_infile}");
        shop.place.run(&["restore", "--accept"]).expect(0);
    }
}

/// Of these, more fit into the room of a row and into the queue of frames at once.
#[test]
fn rows_of_half_that_size_are_dumped_in_bounded_memory() {
    const ROW_BYTES: usize = 10_000_000;
    let Some(shop) = shop_of(10, ROW_BYTES) else { return };
    back_up(&shop, ROW_BYTES);
}

/// Everything that is large at once: rows, photographs that are read whole, logs that are read frame by frame.
#[test]
fn a_whole_shop_of_large_rows_and_files_is_read_in_bounded_memory() {
    const ROW_BYTES: usize = 20_000_000;
    let Some(shop) = shop_of(3, ROW_BYTES) else { return };
    let usual = "CREATE TABLE usual ENGINE=InnoDB AS SELECT seq AS id, REPEAT(MD5(seq), 30) AS text FROM seq_1_to_60000";
    shop.server.client("plain", usual).unwrap();
    let hex = |seed: u64, bytes: usize| -> Vec<u8> {
        noise(seed, bytes / 2).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
    };
    for number in 0..16 {
        fs::write(shop.root().join(format!("photograph-{number}.jpg")), noise(number, 3_500_000)).unwrap();
        fs::write(shop.root().join(format!("export-{number}.csv")), hex(number, 3_900_000)).unwrap();
    }
    for number in 0..8 {
        fs::write(shop.root().join(format!("system-{number}.log")), hex(100 + number, 10_000_000)).unwrap();
    }
    for codec in ["zstd", "gzip"] {
        let arguments = shop.backup_arguments(&["--codec", codec]);
        shop.place.run_in_memory_with_rows(&arguments, ROW_BYTES);
        shop.place.run(&["verify", "latest"]).expect(0);
    }
}
