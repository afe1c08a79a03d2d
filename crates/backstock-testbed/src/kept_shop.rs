//! The small shop whose backups are kept in `fixtures/backups`: every form of literal, every kind of object, awkward files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::demo_shop::write_file;
use crate::error::TestbedError;
use crate::server::Server;
use crate::snapshot::Snapshot;

/// Name of its database.
pub const DATABASE: &str = "kept_shop";

/// 2026-11-20T03:00:00Z, in seconds.
const MODIFIED_S: u64 = 1_795_143_600;
const SPARSE_BYTES: u64 = 300_000;
const ROWS_OF_A_LOG: u32 = 400;

const TABLES: &str = r"
CREATE TABLE place (place_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL, UNIQUE KEY name (name))
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMMENT='where things are';
CREATE TABLE product (
  product_id INT NOT NULL AUTO_INCREMENT, tiny TINYINT, big BIGINT UNSIGNED, price DECIMAL(15,4), weight FLOAT, factor DOUBLE,
  flags BIT(9), born DATE, changed DATETIME(6), opened TIME(3), season YEAR, name VARCHAR(80), old_name VARCHAR(80) CHARACTER SET latin1,
  description TEXT, hash VARBINARY(20), picture BLOB, size ENUM('small','large','it''s') , marks SET('new','sale','last'), extra JSON,
  position POINT, double_price DECIMAL(16,4) AS (price * 2) VIRTUAL, place_id INT UNSIGNED,
  PRIMARY KEY (product_id), KEY named (name), FULLTEXT KEY described (description),
  CONSTRAINT lies_at FOREIGN KEY (place_id) REFERENCES place (place_id) ON DELETE SET NULL,
  CONSTRAINT not_free CHECK (price >= 0)
) ENGINE=InnoDB AUTO_INCREMENT=40 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE log_line (log_id INT NOT NULL, at DATETIME NOT NULL, line VARCHAR(200), PRIMARY KEY (log_id)) ENGINE=InnoDB
  DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci PARTITION BY HASH (log_id) PARTITIONS 3;
CREATE TABLE `a name with ``marks` (`select` INT, no_key TEXT) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE nothing (id INT PRIMARY KEY) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
";

const ROWS: &str = r#"
SET sql_mode='NO_AUTO_VALUE_ON_ZERO';
INSERT INTO place VALUES (0, 'nowhere'), (1, 'shelf'), (7, 'Lager Süd');
INSERT INTO product (product_id, tiny, big, price, weight, factor, flags, born, changed, opened, season, name, old_name, description,
  hash, picture, size, marks, extra, position, place_id) VALUES
  (1, -128, 18446744073709551615, 4.5000, 0.1, 2.2250738585072014e-308, b'101010101', '2026-11-20', '2026-11-20 03:00:00.123456',
   '-12:30:00.500', 2026, 'Teapot', 'Caf\xe9', 'line one\r\nline two\Ztab\tnul\0 back\\slash ''quoted'' "double" `tick`',
   0x00FF27220A0D1A5C, 0xFFD8FFE000, 'it''s', 'new,last', '{"a": [1, 2.5, null, "\u00fc"]}', ST_GeomFromText('POINT(1.5 -2)'), 7),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 0, 0, 0, 0, 0, b'0', '0000-00-00', '2026-02-00 00:00:00', '838:59:59', 0, '', '', '', '', '', 'small', '', '{}',
   ST_GeomFromText('POINT(0 0)'), 0),
  (4, 127, 9007199254740993, 99999999999.9999, 3.4028234e38, -0.0, b'111111111', '9999-12-31', '9999-12-31 23:59:59.999999',
   '00:00:00.001', 2155, '茶碗 🍵', 'plain', REPEAT('long text; -- not a comment /* nor this */ ', 300), REPEAT('h', 20),
   REPEAT(0x00FF, 2000), 'large', 'new,sale,last', '[true]', NULL, 1);
INSERT INTO `a name with ``marks` VALUES (1, 'no key'), (1, 'no key'), (NULL, NULL);
"#;

const PROGRAMS: &str = "
CREATE VIEW v_named AS SELECT product_id, name FROM product WHERE name IS NOT NULL;
CREATE VIEW v_over AS SELECT COUNT(*) AS number FROM v_named;
DELIMITER //
CREATE TRIGGER product_first BEFORE INSERT ON product FOR EACH ROW BEGIN SET NEW.tiny = COALESCE(NEW.tiny, 1); END//
CREATE TRIGGER product_second BEFORE INSERT ON product FOR EACH ROW SET NEW.name = TRIM(NEW.name)//
CREATE PROCEDURE raise_prices(IN percent INT) MODIFIES SQL DATA
BEGIN
  -- a comment; with a semicolon
  UPDATE product SET price = price * (100 + percent) / 100;
END//
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN n * 2//
CREATE EVENT tidy_up ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DISABLE DO DELETE FROM log_line WHERE log_id < 0//
DELIMITER ;
";

/// Makes the shop: its database on the server, its files in a folder that does not exist yet.
///
/// # Errors
/// [`TestbedError`] of the client program or the file system.
pub fn make(server: &Server, root: &Path) -> Result<(), TestbedError> {
    server
        .client("", format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"))?;
    let lines: Vec<String> =
        (0..ROWS_OF_A_LOG).map(|n| format!("({n},'2026-11-20 03:00:00','line {}')", n % 7)).collect();
    let mut sql = format!("SET NAMES utf8mb4; SET time_zone='+00:00';{TABLES}{ROWS}");
    sql.push_str(&format!("INSERT INTO log_line VALUES {};\n{PROGRAMS}", lines.join(",")));
    if !server.kind().is_mysql() {
        sql.push_str("CREATE SEQUENCE numbers START WITH 100 INCREMENT BY 5; SELECT NEXTVAL(numbers);\n");
    }
    server.client(DATABASE, sql)?;
    files(root)
}

fn files(root: &Path) -> Result<(), TestbedError> {
    let at = |name: &str| root.join(name);
    write_file(&at("index.php"), "<?php\nrequire 'config.php';\n")?;
    write_file(&at("config.php"), "<?php\ndefine('DB_PREFIX', '');\n")?;
    write_file(&at("image/cup.jpg"), noise(20_000))?;
    write_file(&at("image/overview.svg"), "<svg/>\n".repeat(3000))?;
    write_file(&at("überall.txt"), "a name beyond ASCII\n")?;
    write_file(&root.join(OsStr::from_bytes(b"latin1-\xfc.txt")), "a name that is not UTF-8\n")?;
    write_file(&at(&format!("deep/{}/end.txt", "d".repeat(200))), "deep\n")?;
    write_file(&at("empty.txt"), "")?;
    let act = |name: &'static str, error| TestbedError::file(name, root, error);
    std::fs::create_dir_all(at("cache")).map_err(|error| act("make a folder in", error))?;
    symlink("config.php", at("link")).map_err(|error| act("make a link in", error))?;
    symlink("nowhere", at("dangling")).map_err(|error| act("make a link in", error))?;
    std::fs::hard_link(at("image/cup.jpg"), at("image/same cup.jpg"))
        .map_err(|error| act("make a hard link in", error))?;
    let sparse = std::fs::File::create(at("sparse.bin")).map_err(|error| act("make a file in", error))?;
    sparse
        .set_len(SPARSE_BYTES)
        .and_then(|()| sparse.write_all_at(b"in the middle", SPARSE_BYTES / 2))
        .map_err(|error| act("write a file in", error))?;
    std::fs::set_permissions(at("index.php"), std::fs::Permissions::from_mode(0o640))
        .map_err(|error| act("set a mode in", error))?;
    let modified = SystemTime::UNIX_EPOCH + Duration::new(MODIFIED_S, 123_456_789);
    for name in ["index.php", "image/cup.jpg", "image", "cache", "."] {
        std::fs::File::open(at(name))
            .and_then(|file| file.set_modified(modified))
            .map_err(|error| act("set a time in", error))?;
    }
    Ok(())
}

/// Bytes that do not compress.
fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// What a kept backup must bring back: the database under the name it has now, and the files.
///
/// # Errors
/// [`TestbedError`] of the database or the file system.
pub fn picture(server: &Server, database: &str, root: &Path) -> Result<Snapshot, TestbedError> {
    let mut picture = crate::database::read(&mut server.connect("")?, database)?;
    picture.merge(crate::tree::read(root)?);
    Ok(picture)
}
