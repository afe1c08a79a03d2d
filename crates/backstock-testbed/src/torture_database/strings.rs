//! Cases of text and bytes: character sets, invalid bytes, padding, large values, line ends.

use mysql::prelude::Queryable;

use super::{Case, Survives, Torture, noise};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

/// More than `max_allowed_packet` of a MariaDB server by default (16 MiB).
const LARGE_VALUE_BYTES: usize = 40 * 1000 * 1000;

pub(super) const CASES: &[Case] = &[
    Case::new("C19", Survives::OwnRestore, c19_value_above_the_packet),
    Case::new("C20", Survives::OwnRestore, c20_value_that_hex_turns_into_null),
    Case::new("C21", Survives::OwnRestore, c21_row_above_the_packet),
    Case::new("C22", Survives::StockClient, c22_blob_of_nine_megabytes),
    Case::new("C23", Survives::StockClient, c23_bytes_lost_through_unicode),
    Case::new("C24", Survives::StockClient, c24_every_character_set),
    Case::new("C25", Survives::StockClient, c25_mojibake),
    Case::new("C26", Survives::ReportOnly, c26_invalid_bytes),
    Case::new("C27", Survives::StockClient, c27_ascii_with_high_bytes),
    Case::new("C28", Survives::StockClient, c28_wide_characters),
    Case::new("C29", Survives::StockClient, c29_backslash_as_second_byte),
    Case::new("C30", Survives::StockClient, c30_padding),
    Case::new("C31", Survives::StockClient, c31_empty_and_null),
    Case::new("C34", Survives::StockClient, c34_binary_tails),
    Case::new("C98", Survives::StockClient, c98_line_ends),
];

/// Loads one large value through `LOAD DATA LOCAL`, the only way past the packet limit.
fn load_large(t: &mut Torture<'_>, table: &str, id: u32, bytes: &[u8]) -> Outcome {
    let mut escaped = Vec::with_capacity(bytes.len() * 102 / 100);
    for &byte in bytes {
        match byte {
            b'\\' | b'\t' | b'\n' => escaped.extend_from_slice(&[b'\\', byte]),
            0 => escaped.extend_from_slice(b"\\0"),
            other => escaped.push(other),
        }
    }
    t.connection.set_local_infile_handler(Some(mysql::LocalInfileHandler::new(move |_, stream| {
        std::io::Write::write_all(stream, &escaped)
    })));
    let loaded = t.run(&format!(
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE {table} CHARACTER SET binary (b) SET id = {id}"
    ));
    t.connection.set_local_infile_handler(None);
    loaded
}

fn c19_value_above_the_packet(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c19_large (id INT PRIMARY KEY, b LONGBLOB)")?;
    load_large(t, "c19_large", 1, &noise(19, LARGE_VALUE_BYTES))
}

/// `HEX()` of it is larger than the packet limit, the value itself is not.
fn c20_value_that_hex_turns_into_null(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c20_hex (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)")?;
    t.run("INSERT INTO c20_hex (b) VALUES (REPEAT(x'00275C', 3 * 1024 * 1024))")
}

fn c21_row_above_the_packet(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c21_row (id INT PRIMARY KEY, b LONGBLOB, c LONGBLOB)")?;
    load_large(t, "c21_row", 1, &noise(21, LARGE_VALUE_BYTES))?;
    t.run("INSERT INTO c21_row SELECT 2, b, b FROM c21_row")
}

fn c22_blob_of_nine_megabytes(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c22_blob (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)")?;
    t.insert_bytes("INSERT INTO c22_blob (b) VALUES (?)", &noise(22, 9 * 1000 * 1000))?;
    t.run("INSERT INTO c22_blob (b) VALUES (''), (NULL), (x'00')")
}

fn c23_bytes_lost_through_unicode(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c23_bytes (id INT PRIMARY KEY, s VARCHAR(9) CHARACTER SET sjis, g VARCHAR(9) CHARACTER SET gbk, \
         c VARCHAR(9) CHARACTER SET cp1251)",
        "INSERT INTO c23_bytes VALUES (1, x'5C', x'A140', x'98'), (2, x'835C', x'815C', x'8898')",
    ])
}

/// Every character set of the server, with every single byte and many pairs that it accepts.
fn c24_every_character_set(t: &mut Torture<'_>) -> Outcome {
    let sets: Vec<(String, u32)> = t
        .connection
        .query("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS ORDER BY 1")
        .map_err(|error| TestbedError::database("list character sets", error))?;
    for (set, longest_bytes) in sets {
        t.run(&format!(
            "CREATE TABLE c24_{set} (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(8) CHARACTER SET {set}, KEY (v))"
        ))?;
        let mut values: Vec<String> = (0..=255_u32).map(|byte| format!("(x'{byte:02X}')")).collect();
        if longest_bytes > 1 {
            values.extend((0x80..=0xFF_u32).flat_map(|lead| {
                [0x40, 0x5C, 0x7C, 0x80, 0xA1, 0xFC].map(|trail| format!("(x'{lead:02X}{trail:02X}')"))
            }));
        }
        // Outside strict mode: what the set does not accept is stored as the server sees fit.
        t.run(&format!("INSERT IGNORE INTO c24_{set} (v) VALUES {}", values.join(",")))?;
    }
    Ok(())
}

fn c25_mojibake(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c25_latin1 (id INT PRIMARY KEY, v VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci)",
        "INSERT INTO c25_latin1 VALUES (1, x'C3A4C3B6C3BC'), (2, x'818D8F909D'), (3, x'E282AC'), (4, x'FF00FE')",
    ])
}

/// No SQL stores invalid bytes: the file of a table with binary columns is put in place of one with text.
fn c26_invalid_bytes(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL 8 and later know each table file by its definition: files cannot be swapped");
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c26_made (id INT NOT NULL, v VARBINARY(20) NOT NULL) ENGINE=MyISAM",
        "INSERT INTO c26_made VALUES (1, x'61C32862'), (2, x'E9E9'), (3, 'sound'), (4, x'F09F98')",
        "CREATE TABLE c26_invalid (id INT NOT NULL, v VARCHAR(5) CHARACTER SET utf8mb4 NOT NULL) ENGINE=MyISAM",
        "FLUSH TABLES c26_made, c26_invalid",
    ])?;
    let folder = t.server.data_folder().join(t.database);
    for ending in ["MYD", "MYI"] {
        let (from, to) =
            (folder.join(format!("c26_made.{ending}")), folder.join(format!("c26_invalid.{ending}")));
        std::fs::copy(&from, &to).map_err(|error| TestbedError::file("copy", &from, error))?;
    }
    t.run_all(&["FLUSH TABLES c26_invalid", "DROP TABLE c26_made"])
}

fn c27_ascii_with_high_bytes(t: &mut Torture<'_>) -> Outcome {
    t.run("CREATE TABLE c27_ascii (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET ascii)")?;
    t.run("INSERT INTO c27_ascii VALUES (1, 'plain')")?;
    if t.is_mysql() {
        t.cannot_hold("MySQL refuses high bytes in an ascii column (1366)");
        return Ok(());
    }
    t.run("INSERT INTO c27_ascii VALUES (2, _binary x'61E9FF80')")
}

fn c28_wide_characters(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c28_wide (id INT PRIMARY KEY, u VARCHAR(9) CHARACTER SET ucs2, w VARCHAR(9) CHARACTER SET utf16, \
         l VARCHAR(9) CHARACTER SET utf16le, q VARCHAR(9) CHARACTER SET utf32, t TEXT CHARACTER SET utf16)",
        "INSERT INTO c28_wide VALUES (1, x'0027', x'D83DDE00', x'2700', x'0001F600', x'005C0027'), (2, x'27', '', 'ä', 'ä', 'ä')",
    ])
}

fn c29_backslash_as_second_byte(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c29_trail (id INT PRIMARY KEY, g VARCHAR(20) CHARACTER SET gbk, b VARCHAR(20) CHARACTER SET big5, \
         s TEXT CHARACTER SET sjis)",
        "INSERT INTO c29_trail VALUES (1, x'D55C27', x'A55C27', x'955C27'), (2, x'D55C5C', x'A55C5C', x'955C5C')",
    ])
}

fn c30_padding(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c30_padding (id INT PRIMARY KEY, c CHAR(4), v VARCHAR(6), n CHAR(4) CHARACTER SET utf8mb4)",
        "INSERT INTO c30_padding VALUES (1, 'x', 'x  ', 'ä'), (2, '', '   ', ''), (3, 'xxxx', ' x', 'ä😀')",
    ])
}

fn c31_empty_and_null(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c31_empty (id INT PRIMARY KEY, v VARCHAR(4), w VARCHAR(4) NOT NULL DEFAULT '', b BLOB)",
        "INSERT INTO c31_empty VALUES (1, '', '', ''), (2, NULL, 'NULL', NULL), (3, 'NULL', '\\\\N', '\\\\N')",
    ])
}

fn c34_binary_tails(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c34_tails (id VARBINARY(16) PRIMARY KEY, b BINARY(8), v VARBINARY(8), e TINYBLOB, u BINARY(16))",
        "INSERT INTO c34_tails VALUES (x'00', x'61', x'6120', '', x'00112233445566778899AABBCCDDEEFF'), ('', '', '', NULL, NULL), \
         (x'FF00', x'6100000000000020', x'20', x'275C0A0D001A', x'5C275C275C275C275C275C275C275C27')",
    ])?;
    if t.is_mysql() {
        return Ok(());
    }
    // Types that only MariaDB has, and that refuse any binary literal.
    t.run_all(&[
        "CREATE TABLE c34_uuid (id UUID PRIMARY KEY, four INET4, six INET6)",
        "INSERT INTO c34_uuid VALUES ('123e4567-e89b-12d3-a456-426655440000', '192.0.2.1', '2001:db8::ff00:42:8329'), \
         ('00000000-0000-0000-0000-000000000000', NULL, '::ffff:192.0.2.1')",
    ])
}

fn c98_line_ends(t: &mut Torture<'_>) -> Outcome {
    t.run(
        "CREATE TABLE c98_lines (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT CHARACTER SET utf8mb4, b BLOB)",
    )?;
    let every: Vec<u8> = (0..=255).collect();
    t.insert_bytes("INSERT INTO c98_lines (b) VALUES (?)", &every)?;
    for text in [
        "a\r\nb",
        "\r",
        "\n",
        "\u{1a}",
        "\0",
        "';\n-- no comment\nDELIMITER ;;\n\\. file",
        "\\q\\u shop\n/* */",
    ] {
        t.insert_bytes("INSERT INTO c98_lines (v) VALUES (?)", text.as_bytes())?;
    }
    Ok(())
}
