//! Cases of tables: engines, keys, history, partitions, foreign keys.

use super::{Case, Survives, Torture};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C36", Survives::StockClient, c36_compact_rows),
    Case::new("C41", Survives::StockClient, c41_no_key),
    Case::new("C43", Survives::StockClient, c43_history),
    Case::new("C44", Survives::StockClient, c44_declared_history_columns),
    Case::new("C45", Survives::ReportOnly, c45_history_by_transaction),
    Case::new("C46", Survives::StockClient, c46_history_partitions),
    Case::new("C50", Survives::StockClient, c50_foreign_keys),
    Case::new("C52", Survives::ReportOnly, c52_data_directory),
    Case::new("C53", Survives::ReportOnly, c53_missing_engine),
    Case::new("C54", Survives::StockClient, c54_memory),
    Case::new("C55", Survives::StockClient, c55_merge),
    Case::new("C56", Survives::ReportOnly, c56_black_hole),
    Case::new("C57", Survives::StockClient, c57_other_engines),
    Case::new("C60", Survives::StockClient, c60_partitions),
    Case::new("C62", Survives::StockClient, c62_rows_that_a_lax_load_changes),
    Case::new("C63", Survives::StockClient, c63_unique_keys),
];

fn c36_compact_rows(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c36_compact (id INT PRIMARY KEY, a VARCHAR(191) CHARACTER SET utf8mb4, KEY a (a)) ROW_FORMAT=COMPACT",
        "CREATE TABLE c36_redundant (id INT PRIMARY KEY, a TEXT) ROW_FORMAT=REDUNDANT",
        "CREATE TABLE c36_dynamic (id INT PRIMARY KEY, a VARCHAR(768) CHARACTER SET utf8mb4, KEY a (a)) ROW_FORMAT=DYNAMIC",
        "INSERT INTO c36_compact VALUES (1, 'x')",
        "INSERT INTO c36_redundant VALUES (1, REPEAT('x', 9000))",
        "INSERT INTO c36_dynamic VALUES (1, REPEAT('😀', 768))",
    ])
}

fn c41_no_key(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c41_no_key (a INT, b VARCHAR(9))",
        "INSERT INTO c41_no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (1, 'x'), (2, '')",
        "CREATE TABLE c41_empty (a INT)",
    ])
}

fn has_no_versions(t: &mut Torture<'_>) -> bool {
    if t.is_mysql() {
        t.cannot_hold("MySQL has no system versioning");
    }
    t.is_mysql()
}

fn c43_history(t: &mut Torture<'_>) -> Outcome {
    if has_no_versions(t) {
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c43_history (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
        "SET timestamp=1600000000.25",
        "INSERT INTO c43_history VALUES (1, 1), (2, 1)",
        "SET timestamp=1650000000.5",
        "UPDATE c43_history SET v = 2 WHERE id = 1",
        "SET timestamp=1660000000",
        "DELETE FROM c43_history WHERE id = 2",
        "SET timestamp=DEFAULT",
    ])
}

fn c44_declared_history_columns(t: &mut Torture<'_>) -> Outcome {
    if has_no_versions(t) {
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c44_declared (id INT, v INT, born TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
         died TIMESTAMP(6) GENERATED ALWAYS AS ROW END, w INT WITHOUT SYSTEM VERSIONING, PERIOD FOR SYSTEM_TIME (born, died)) \
         WITH SYSTEM VERSIONING",
        "SET timestamp=1600000001",
        "INSERT INTO c44_declared (id, v, w) VALUES (1, 1, 1), (2, 2, 2)",
        "SET timestamp=1600000002",
        "UPDATE c44_declared SET v = 5",
        "SET timestamp=DEFAULT",
    ])
}

/// The history of such a table cannot be inserted.
fn c45_history_by_transaction(t: &mut Torture<'_>) -> Outcome {
    if has_no_versions(t) {
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c45_transactions (id INT, v INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, \
         e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING ENGINE=InnoDB",
        "INSERT INTO c45_transactions (id, v) VALUES (1, 1)",
        "UPDATE c45_transactions SET v = 2",
    ])
}

fn c46_history_partitions(t: &mut Torture<'_>) -> Outcome {
    if has_no_versions(t) {
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c46_partitions (id INT, v INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME \
         (PARTITION p0 HISTORY, PARTITION p1 HISTORY, PARTITION pn CURRENT)",
        "SET timestamp=1600000003",
        "INSERT INTO c46_partitions VALUES (1, 1), (2, 2)",
        "SET timestamp=1600000004",
        "DELETE FROM c46_partitions WHERE id = 1",
        "SET timestamp=DEFAULT",
    ])
}

/// Cycles, self references, composite keys, long names, every action, and orphans that came while checks were off.
fn c50_foreign_keys(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET foreign_key_checks=0",
        "CREATE TABLE c50_a (id INT PRIMARY KEY, b_id INT, CONSTRAINT c50_a_to_b FOREIGN KEY (b_id) REFERENCES c50_b (id) ON DELETE SET NULL)",
        "CREATE TABLE c50_b (id INT PRIMARY KEY, a_id INT, KEY (a_id), FOREIGN KEY (a_id) REFERENCES c50_a (id) ON UPDATE CASCADE)",
        "CREATE TABLE c50_self (id INT PRIMARY KEY, parent INT, CONSTRAINT c50_self_key FOREIGN KEY (parent) REFERENCES c50_self (id))",
        "CREATE TABLE c50_pair (x INT, y INT, v INT, PRIMARY KEY (x, y))",
        "CREATE TABLE c50_child (id INT PRIMARY KEY, x INT, y INT, p INT, CONSTRAINT `c50_a_name_of_sixty_characters_that_leaves_no_room_for_prefixes` \
         FOREIGN KEY (x, y) REFERENCES c50_pair (x, y) ON DELETE CASCADE ON UPDATE RESTRICT, CONSTRAINT `odd '\"name` FOREIGN KEY (p) \
         REFERENCES c50_self (id) ON DELETE NO ACTION)",
        "INSERT INTO c50_a VALUES (1, 1), (2, NULL)",
        "INSERT INTO c50_b VALUES (1, 1), (2, 2)",
        "INSERT INTO c50_self VALUES (5, 9), (9, 5), (1, 1), (2, NULL)",
        "INSERT INTO c50_pair VALUES (1, 1, 1)",
        "INSERT INTO c50_child VALUES (1, 1, 1, 5), (2, 8, 8, 77), (3, NULL, 4, NULL)",
        "SET foreign_key_checks=1",
    ])
}

fn c52_data_directory(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL allows other directories only when the server was started with them");
        return Ok(());
    }
    let elsewhere = t.server.data_folder().with_file_name("elsewhere");
    std::fs::create_dir_all(&elsewhere).map_err(|error| TestbedError::file("create", &elsewhere, error))?;
    t.run(&format!(
        "CREATE TABLE c52_elsewhere (id INT PRIMARY KEY) ENGINE=InnoDB DATA DIRECTORY='{}'",
        elsewhere.display()
    ))?;
    t.run("INSERT INTO c52_elsewhere VALUES (1)")
}

/// A table whose engine is gone is a matter of two servers: its rows cannot be read on this one.
fn c53_missing_engine(t: &mut Torture<'_>) -> Outcome {
    t.cannot_hold("none of these servers carries a removable engine");
    Ok(())
}

fn c54_memory(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET max_heap_table_size=67108864",
        "CREATE TABLE c54_memory (id INT PRIMARY KEY, v VARCHAR(200), KEY (v) USING BTREE) ENGINE=MEMORY",
        "INSERT INTO c54_memory VALUES (1, 'x'), (2, NULL)",
    ])
}

fn c55_merge(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c55_part1 (id INT NOT NULL, v CHAR(9), KEY (id)) ENGINE=MyISAM",
        "CREATE TABLE c55_part2 (id INT NOT NULL, v CHAR(9), KEY (id)) ENGINE=MyISAM",
        "INSERT INTO c55_part1 VALUES (1, 'one')",
        "INSERT INTO c55_part2 VALUES (2, 'two'), (3, 'three')",
        "CREATE TABLE c55_all (id INT NOT NULL, v CHAR(9), KEY (id)) ENGINE=MERGE UNION=(c55_part1, c55_part2) INSERT_METHOD=LAST",
    ])
}

/// Engines that keep their rows elsewhere or nowhere.
fn c56_black_hole(t: &mut Torture<'_>) -> Outcome {
    if !t.is_mysql() {
        t.cannot_hold("Debian's MariaDB has BLACKHOLE and FEDERATED only as plugins that are off");
        return Ok(());
    }
    t.run("CREATE TABLE c56_hole (id INT) ENGINE=BLACKHOLE")
}

fn c57_other_engines(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c57_csv (id INT NOT NULL, v VARCHAR(20) NOT NULL) ENGINE=CSV",
        "INSERT INTO c57_csv VALUES (1, 'a,\"b\"'), (2, 'c\\nd')",
        "CREATE TABLE c57_myisam (a INT, b INT AUTO_INCREMENT, v TEXT, PRIMARY KEY (a, b), FULLTEXT (v)) ENGINE=MyISAM",
        "INSERT INTO c57_myisam (a, v) VALUES (1, 'x'), (1, 'y'), (2, 'z')",
    ])?;
    if t.is_mysql() {
        return t.run_all(&[
            "CREATE TABLE c57_archive (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT) ENGINE=ARCHIVE",
            "INSERT INTO c57_archive (v) VALUES ('x'), ('y')",
        ]);
    }
    t.run_all(&[
        "CREATE TABLE c57_aria (id INT PRIMARY KEY, v TEXT) ENGINE=Aria PAGE_CHECKSUM=1",
        "INSERT INTO c57_aria VALUES (1, 'x')",
    ])
}

fn c60_partitions(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c60_range (id INT, d DATE, PRIMARY KEY (id, d)) PARTITION BY RANGE (YEAR(d)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 \
         (PARTITION early VALUES LESS THAN (2000), PARTITION late VALUES LESS THAN MAXVALUE)",
        "INSERT INTO c60_range VALUES (1, '1999-12-31'), (2, '2000-01-01'), (3, '9999-12-31')",
        "CREATE TABLE c60_list (v VARCHAR(9) NOT NULL, n INT) PARTITION BY LIST COLUMNS (v) (PARTITION a VALUES IN ('x', 'it''s'), \
         PARTITION b VALUES IN ('y'))",
        "INSERT INTO c60_list VALUES ('x', 1), ('it''s', 2), ('y', 3)",
        "CREATE TABLE c60_key (id INT PRIMARY KEY) PARTITION BY KEY () PARTITIONS 3",
        "INSERT INTO c60_key VALUES (1), (2), (3), (4), (5)",
        "CREATE TABLE c60_hash (id INT PRIMARY KEY) PARTITION BY LINEAR HASH (id) PARTITIONS 4",
        "INSERT INTO c60_hash VALUES (1), (2), (3)",
    ])
}

fn c62_rows_that_a_lax_load_changes(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET sql_mode='ALLOW_INVALID_DATES'",
        "CREATE TABLE c62_lax (id INT PRIMARY KEY, d DATETIME, e ENUM('a','b') NOT NULL)",
        "INSERT IGNORE INTO c62_lax VALUES (1, '2021-02-31 01:02:03', 0), (2, '0000-00-00', 'b')",
    ])
}

fn c63_unique_keys(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c63_unique (id INT, v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, UNIQUE KEY (v), UNIQUE KEY (id))",
        "INSERT INTO c63_unique VALUES (1, 'a'), (2, 'A'), (3, 'ä'), (NULL, NULL), (NULL, NULL)",
    ])
}
