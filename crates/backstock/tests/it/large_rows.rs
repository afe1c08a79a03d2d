//! Rows of many MiB: a restore over several connections holds no more memory than is promised.

use backstock_testbed::ServerKind;
use mysql::prelude::Queryable;

use super::part_of_backup::noise;
use super::plain_shop::PlainShop;

/// Two tables, so that connections have them one each and share one.
const TABLES: [&str; 2] = ["scans", "manuals"];
const ROWS: u32 = 5;
/// With four of these at once, each in a frame and on its way, the limit would be passed.
const ROW_BYTES: usize = 20_000_000;

#[test]
fn large_rows_are_loaded_in_bounded_memory_in_bulk_and_by_insert() {
    let Some(shop) = PlainShop::new(ServerKind::MariaDb) else { return };
    shop.server.client("", "SET GLOBAL max_allowed_packet=67108864").unwrap();
    let mut connection = shop.server.connect("plain").unwrap();
    for (number, table) in TABLES.into_iter().enumerate() {
        let create = format!("CREATE TABLE {table} (id INT PRIMARY KEY, content LONGBLOB) ENGINE=InnoDB");
        connection.query_drop(create).unwrap();
        for row in 0..ROWS {
            let content = noise(u64::from(row) + 100 * number as u64, ROW_BYTES);
            connection.exec_drop(format!("INSERT INTO {table} VALUES (?, ?)"), (row, content)).unwrap();
        }
    }
    let sum = || shop.server.client("plain", "CHECKSUM TABLE scans, manuals").unwrap();
    let before = sum();
    shop.back_up();
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
