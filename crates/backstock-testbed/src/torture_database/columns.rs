//! Cases of columns and indexes: generated, invisible, counters, checks, defaults, periods, comments.

use super::{Case, Survives, Torture};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    // Before the tables whose defaults use it.
    Case::new("C48", Survives::StockClient, c48_default_from_a_sequence),
    Case::new("C35", Survives::StockClient, c35_generated),
    Case::new("C37", Survives::StockClient, c37_invisible),
    Case::new("C38", Survives::StockClient, c38_counter_zero_and_negative),
    Case::new("C39", Survives::StockClient, c39_counter_ahead_of_rows),
    Case::new("C40", Survives::StockClient, c40_generated_invisible_key),
    Case::new("C42", Survives::StockClient, c42_violated_check),
    Case::new("C47", Survives::StockClient, c47_application_time),
    Case::new("C49", Survives::StockClient, c49_expression_defaults),
    Case::new("C51", Survives::StockClient, c51_compressed),
    Case::new("C58", Survives::StockClient, c58_indexes),
    Case::new("C64", Survives::StockClient, c64_collations),
    Case::new("C65", Survives::StockClient, c65_quotes_in_comments_and_defaults),
    Case::new("C97", Survives::StockClient, c97_binary_default),
];

fn c35_generated(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c35_generated (a INT, v INT GENERATED ALWAYS AS (a * 2) VIRTUAL, s VARCHAR(20) AS (CONCAT('<', a, '>')) STORED, \
         z INT NOT NULL, KEY (v), KEY (s))",
        "INSERT INTO c35_generated (a, z) VALUES (1, 10), (NULL, 20), (-7, 30)",
        "CREATE TABLE c35_only (v INT AS (1 + 1) VIRTUAL, w INT AS (3) STORED)",
        "INSERT INTO c35_only () VALUES (), ()",
    ])
}

fn c37_invisible(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c37_invisible (id INT PRIMARY KEY, hidden INT INVISIBLE DEFAULT 3, shown INT)",
        "INSERT INTO c37_invisible (id, hidden, shown) VALUES (1, 9, 1), (2, NULL, 2)",
    ])
}

fn c38_counter_zero_and_negative(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET sql_mode='NO_AUTO_VALUE_ON_ZERO'",
        "CREATE TABLE c38_zero (id INT AUTO_INCREMENT PRIMARY KEY, v INT, KEY (v))",
        "INSERT INTO c38_zero VALUES (0, 1), (-5, 2), (7, 3)",
    ])
}

fn c39_counter_ahead_of_rows(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c39_counter (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 1000",
        "INSERT INTO c39_counter VALUES (NULL), (NULL), (NULL)",
        "DELETE FROM c39_counter WHERE id > 1000",
        "CREATE TABLE c39_full (id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO c39_full VALUES (255)",
    ])
}

fn c40_generated_invisible_key(t: &mut Torture<'_>) -> Outcome {
    if !t.is_mysql() {
        t.cannot_hold("MariaDB makes no invisible primary keys by itself");
        return Ok(());
    }
    t.run_all(&[
        "SET sql_generate_invisible_primary_key=1",
        "CREATE TABLE c40_hidden_key (v VARCHAR(9))",
        "INSERT INTO c40_hidden_key VALUES ('a'), ('b'), ('c')",
        "DELETE FROM c40_hidden_key WHERE v = 'b'",
        "SET sql_generate_invisible_primary_key=0",
    ])
}

fn c42_violated_check(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        // An enforced check with rows against it cannot come to be; one that is not enforced can.
        return t.run_all(&[
            "CREATE TABLE c42_check (id INT PRIMARY KEY, v INT, CONSTRAINT c42_positive CHECK (v > 0) NOT ENFORCED, \
             CONSTRAINT c42_small CHECK (v < 100))",
            "INSERT INTO c42_check VALUES (1, 1), (2, -1)",
        ]);
    }
    t.run_all(&[
        "CREATE TABLE c42_check (id INT PRIMARY KEY, v INT CHECK (v <> 13), CONSTRAINT c42_positive CHECK (v > 0))",
        "SET check_constraint_checks=0",
        "INSERT INTO c42_check VALUES (1, 1), (2, -1), (3, 13)",
        "SET check_constraint_checks=1",
    ])
}

fn c47_application_time(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL has no periods");
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c47_period (id INT, s DATE, e DATE, PERIOD FOR valid (s, e), UNIQUE (id, valid WITHOUT OVERLAPS))",
        "INSERT INTO c47_period VALUES (1, '2024-01-01', '2024-02-01'), (1, '2024-02-01', '2024-03-01')",
    ])
}

fn c48_default_from_a_sequence(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL has no sequences");
        return Ok(());
    }
    // The table's name sorts before that of the sequence it needs.
    t.run_all(&[
        "CREATE SEQUENCE c48_z_numbers START WITH 500 INCREMENT BY 5",
        "CREATE TABLE c48_a_table (id INT PRIMARY KEY DEFAULT NEXTVAL(c48_z_numbers), v INT)",
        "INSERT INTO c48_a_table (v) VALUES (1), (2)",
    ])
}

fn c49_expression_defaults(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c49_defaults (id INT PRIMARY KEY, u VARCHAR(36) DEFAULT (UUID()), j JSON DEFAULT (JSON_OBJECT('a', 'it''s')), \
         x TEXT DEFAULT ('a;b'), n INT DEFAULT (1 + 2 * 3), b BLOB DEFAULT (x'00FF'))",
        "INSERT INTO c49_defaults VALUES (1, 'fixed', '{}', 't', 1, x'27')",
        "INSERT INTO c49_defaults (id) VALUES (2)",
    ])
}

fn c51_compressed(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c51_rows (id INT PRIMARY KEY, v TEXT) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4")?;
    t.run("INSERT INTO c51_rows VALUES (1, REPEAT('abc', 10000))")?;
    if t.is_mysql() {
        t.run("CREATE TABLE c51_pages (id INT PRIMARY KEY, v TEXT) COMPRESSION='zlib'")?;
    } else {
        t.run("CREATE TABLE c51_pages (id INT PRIMARY KEY, v TEXT COMPRESSED, w VARCHAR(500) COMPRESSED) PAGE_COMPRESSED=1")?;
    }
    t.run("INSERT INTO c51_pages (id, v) VALUES (1, REPEAT('abc', 10000)), (2, NULL)")
}

fn c58_indexes(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c58_common (id INT, a VARCHAR(200), b INT, PRIMARY KEY (id DESC), KEY pre (a(10)), KEY mixed (a(5), b DESC), \
         UNIQUE KEY u (b, id), FULLTEXT KEY ft (a)) ENGINE=InnoDB",
        "INSERT INTO c58_common VALUES (1, 'some words here', 3), (2, NULL, NULL), (3, 'more words', 1)",
    ])?;
    if t.is_mysql() {
        t.run_all(&[
            "CREATE TABLE c58_mysql (id INT PRIMARY KEY, a VARCHAR(20), j JSON, KEY fn ((UPPER(a))), KEY hidden (a) INVISIBLE, \
             KEY multi ((CAST(j->'$.tags' AS UNSIGNED ARRAY))), KEY both_ways (a, (LENGTH(a)) DESC))",
            r#"INSERT INTO c58_mysql VALUES (1, 'x', '{"tags": [1, 2, 3]}'), (2, NULL, NULL)"#,
        ])
    } else {
        t.run_all(&[
            "CREATE TABLE c58_mariadb (id INT PRIMARY KEY, a VARCHAR(20), l TEXT, KEY skipped (a) IGNORED, UNIQUE KEY long_one (l) USING HASH)",
            "INSERT INTO c58_mariadb VALUES (1, 'x', REPEAT('y', 5000)), (2, NULL, NULL)",
        ])
    }
}

/// Text columns whose definition prints no collation although theirs is not the database's default.
fn c64_collations(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c64_default (a VARCHAR(9), b VARCHAR(9) COLLATE latin1_bin, c VARCHAR(9) CHARACTER SET utf8mb4) \
         DEFAULT CHARSET=latin1",
        "CREATE TABLE c64_utf8 (a VARCHAR(9) COLLATE utf8mb4_bin, b VARCHAR(9) CHARACTER SET utf8mb3) DEFAULT CHARSET=utf8mb4",
        "CREATE TABLE c64_inherited (a VARCHAR(9) PRIMARY KEY)",
        "INSERT INTO c64_default VALUES ('ä', 'ß', '😀')",
        "INSERT INTO c64_utf8 VALUES ('😀', 'ä')",
        "INSERT INTO c64_inherited VALUES ('ü'), ('u')",
    ])
}

fn c65_quotes_in_comments_and_defaults(t: &mut Torture<'_>) -> Outcome {
    t.run(
        r#"CREATE TABLE c65_quotes (id INT PRIMARY KEY COMMENT 'it''s \\ a ""comment"" -- /* */ \n;', v VARCHAR(40) DEFAULT 'it''s \\ x',
          w VARCHAR(9) DEFAULT '\0\n\r', `) AUTO_INCREMENT=5` INT DEFAULT '7', e ENUM('a''b','c\\d','e,f') DEFAULT 'a''b')
          COMMENT='DEFAULT CHARSET=x; ENGINE=''y'''"#,
    )?;
    t.run("INSERT INTO c65_quotes (id) VALUES (1)")
}

/// MariaDB 10.11 prints the raw byte: the definition is not valid UTF-8.
fn c97_binary_default(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c97_default (id INT PRIMARY KEY, v VARBINARY(4) DEFAULT x'00FF', b BINARY(3) DEFAULT x'E9275C')",
        "INSERT INTO c97_default (id) VALUES (1)",
    ])
}
