//! Cases of numbers: floats, bits, decimals, enumerations, JSON, geometry, vectors.

use super::{Case, Survives, Torture, noise};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C01", Survives::StockClient, c01_float_bits),
    Case::new("C02", Survives::StockClient, c02_negative_zero),
    Case::new("C03", Survives::StockClient, c03_floats_with_digits),
    Case::new("C04", Survives::StockClient, c04_double_extremes),
    Case::new("C05", Survives::ReportOnly, c05_not_a_number),
    Case::new("C06", Survives::StockClient, c06_bits),
    Case::new("C07", Survives::StockClient, c07_decimals),
    Case::new("C15", Survives::StockClient, c15_enum_zero),
    Case::new("C16", Survives::StockClient, c16_json_text),
    Case::new("C17", Survives::ReportOnly, c17_json_typed_scalars),
    Case::new("C18", Survives::StockClient, c18_json_invalid),
    Case::new("C32", Survives::StockClient, c32_geometry),
    Case::new("C33", Survives::StockClient, c33_vector),
    Case::new("C59", Survives::StockClient, c59_column_srid),
];

fn c01_float_bits(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c01_float (id INT PRIMARY KEY, f FLOAT)",
        "INSERT INTO c01_float VALUES (1, 3.4028234663852886e38), (2, 16777215), (3, 1e0/3), (4, 1.1754944e-38), \
         (5, 1.4e-45), (6, -3.4028234663852886e38), (7, NULL), (8, 0.1), (9, 123456.789)",
    ])
}

/// MariaDB 10.11 stores plain zero; the others keep the sign.
fn c02_negative_zero(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c02_zero (id INT PRIMARY KEY, f FLOAT, d DOUBLE)",
        "INSERT INTO c02_zero VALUES (1, -0e0, -0e0), (2, 0e0, 0e0)",
    ])
}

fn c03_floats_with_digits(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c03_digits (id INT PRIMARY KEY, f FLOAT(7,4), d DOUBLE(30,10))",
        "INSERT INTO c03_digits VALUES (1, 123.45678, 12345678901234567890.01), (2, -999.9999, 0.1), (3, NULL, NULL)",
    ])
}

fn c04_double_extremes(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c04_double (id INT PRIMARY KEY, d DOUBLE)",
        "INSERT INTO c04_double VALUES (1, 5e-324), (2, 1.7976931348623157e308), (3, 0.1), (4, -2.2250738585072014e-308), \
         (5, 9007199254740993), (6, 1e0/3)",
    ])
}

/// No SQL stores NaN or infinity, and no sound table file holds them: the dump's own unit tests feed it such a row.
fn c05_not_a_number(t: &mut Torture<'_>) -> Outcome {
    t.cannot_hold("NaN and infinity cannot be stored by SQL");
    Ok(())
}

fn c06_bits(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c06_bits (id INT PRIMARY KEY, a BIT(64), b BIT(1), c BIT(9) DEFAULT b'101')",
        "INSERT INTO c06_bits VALUES (1, x'275C005C27001A0D', b'1', b'100000001'), (2, x'FFFFFFFFFFFFFFFF', b'0', DEFAULT), \
         (3, x'2727272727272727', NULL, NULL)",
    ])
}

fn c07_decimals(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c07_decimal (id INT(8) UNSIGNED ZEROFILL PRIMARY KEY, d DECIMAL(65,30), u BIGINT UNSIGNED, s BIGINT, y YEAR)",
        "INSERT INTO c07_decimal VALUES \
         (1, 99999999999999999999999999999999999.999999999999999999999999999999, 18446744073709551615, -9223372036854775808, 1901), \
         (2, -0.000000000000000000000000000001, 0, 9223372036854775807, 2155), (3, NULL, NULL, NULL, 0)",
    ])
}

/// Index 0 is the error value; it prints as the empty member does.
fn c15_enum_zero(t: &mut Torture<'_>) -> Outcome {
    let members: Vec<String> = (0..64).map(|number| format!("'m{number}'")).collect();
    t.run_all(&[
        "CREATE TABLE c15_enum (id INT PRIMARY KEY, e ENUM('1','','0') NOT NULL, n ENUM('0','1'), s SET('1','2','') NOT NULL)",
        "INSERT INTO c15_enum VALUES (1, '1', '1', '1,2'), (2, '', '0', 3), (3, 3, NULL, 0), (4, 2, 1, 7)",
        "INSERT IGNORE INTO c15_enum VALUES (5, 'nothing', 'nothing', ''), (6, 0, 0, 4)",
        &format!("CREATE TABLE c15_set (id INT PRIMARY KEY, s SET({}))", members.join(",")),
        "INSERT INTO c15_set VALUES (1, 18446744073709551615), (2, 9223372036854775809), (3, 0), (4, NULL)",
    ])
}

/// MariaDB keeps the text byte for byte, MySQL what it normalised at insert.
fn c16_json_text(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c16_json (id INT PRIMARY KEY, j JSON)",
        r#"INSERT INTO c16_json VALUES (1, '{"b" : 1,  "a": [1, 2.50, 1e2], "b": 2}'), (2, '123456789012345678901234567890'),
         (3, '"\\u00e4\\n\\"quoted\\"\\u0000"'), (4, 'null'), (5, NULL), (6, '{"\\ud83d\\ude00": "😀"}'), (7, '[]')"#,
    ])
}

/// Typed scalars print as strings or doubles, and become that when loaded.
fn c17_json_typed_scalars(t: &mut Torture<'_>) -> Outcome {
    if !t.is_mysql() {
        t.cannot_hold("JSON is text on MariaDB: it has no typed scalars");
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c17_typed (id INT PRIMARY KEY, j JSON)",
        "INSERT INTO c17_typed VALUES (1, CAST(CAST('2024-02-03' AS DATE) AS JSON)), (2, CAST(1.50 AS JSON)), \
         (3, CAST(x'00FF' AS JSON))",
    ])
}

fn c18_json_invalid(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.cannot_hold("MySQL parses JSON at insert: invalid text cannot be stored");
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c18_json (id INT PRIMARY KEY, j JSON)",
        "SET check_constraint_checks=0",
        "INSERT INTO c18_json VALUES (1, '{broken'), (2, '')",
        "SET check_constraint_checks=1",
    ])
}

fn c32_geometry(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c32_geometry (id INT PRIMARY KEY, g GEOMETRY, p POINT NOT NULL, SPATIAL KEY (p)) ENGINE=InnoDB",
        "INSERT INTO c32_geometry VALUES (1, ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))'), \
         ST_GeomFromText('POINT(1.5 -2.5)')), (2, NULL, ST_GeomFromText('POINT(0 0)')), \
         (3, ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,39 92))', 4326), ST_GeomFromText('POINT(39 92)'))",
    ])
}

fn c33_vector(t: &mut Torture<'_>) -> Outcome {
    if t.is_mysql() {
        t.run("CREATE TABLE c33_vector (id INT PRIMARY KEY, v VECTOR(3))")?;
        t.run("INSERT INTO c33_vector VALUES (1, TO_VECTOR('[1,2,3]')), (2, TO_VECTOR('[-0,1e-30,3.4e38]')), (3, NULL)")
    } else if t.is_newer_mariadb() {
        t.run("CREATE TABLE c33_vector (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, VECTOR INDEX (v))")?;
        t.run("INSERT INTO c33_vector VALUES (1, Vec_FromText('[1,2,3]')), (2, x'270000005C0000000D0A0000')")
    } else {
        t.cannot_hold("VECTOR exists from MariaDB 11.7 on");
        Ok(())
    }
}

fn c59_column_srid(t: &mut Torture<'_>) -> Outcome {
    let srid = if t.is_mysql() { "NOT NULL SRID 4326" } else { "REF_SYSTEM_ID=4326 NOT NULL" };
    t.run(&format!("CREATE TABLE c59_srid (id INT PRIMARY KEY, p POINT {srid})"))?;
    t.run("INSERT INTO c59_srid VALUES (1, ST_GeomFromText('POINT(48.2 16.37)', 4326))")?;
    // Raw bytes of a geometry among noise, as binary columns beside it have them.
    t.run("CREATE TABLE c59_raw (id INT PRIMARY KEY AUTO_INCREMENT, b BLOB)")?;
    t.insert_bytes("INSERT INTO c59_raw (b) VALUES (?)", &noise(59, 5000))
}
