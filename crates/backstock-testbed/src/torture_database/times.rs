//! Cases of dates and times: zero, partial and impossible dates, the doubled hour, ranges, fractions.

use super::{Case, Survives, Torture};
use crate::error::TestbedError;

type Outcome = Result<(), TestbedError>;

pub(super) const CASES: &[Case] = &[
    Case::new("C08", Survives::StockClient, c08_zero_dates),
    Case::new("C09", Survives::StockClient, c09_zero_date_found_as_null),
    Case::new("C10", Survives::StockClient, c10_invalid_dates),
    Case::new("C11", Survives::StockClient, c11_doubled_hour),
    Case::new("C12", Survives::StockClient, c12_after_2038),
    Case::new("C13", Survives::StockClient, c13_time_range),
    Case::new("C14", Survives::StockClient, c14_fractions),
    Case::new("C61", Survives::StockClient, c61_timestamp_defaults),
];

fn c08_zero_dates(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c08_zero (id INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00', \
         dt DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', ts TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', KEY (d), KEY (dt))",
        "INSERT INTO c08_zero (id) VALUES (1)",
        "INSERT INTO c08_zero VALUES (2, '2024-00-00', '2024-05-00 10:00:00', '2024-05-05 10:00:00'), \
         (3, '0000-01-01', '0000-00-00 00:00:00', '1970-01-01 00:00:01')",
    ])
}

fn c09_zero_date_found_as_null(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c09_null (d DATE NOT NULL, n DATE NULL, id INT, PRIMARY KEY (d, id))",
        "INSERT INTO c09_null VALUES ('0000-00-00', NULL, 1), ('0000-00-00', '0000-00-00', 2), ('2024-01-01', NULL, 3)",
    ])
}

fn c10_invalid_dates(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET sql_mode='ALLOW_INVALID_DATES'",
        "CREATE TABLE c10_invalid (id INT PRIMARY KEY, d DATE, dt DATETIME(3))",
        "INSERT INTO c10_invalid VALUES (1, '2024-02-30', '2023-02-31 12:00:00.125'), (2, '2023-04-31', NULL)",
    ])
}

fn c11_doubled_hour(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c11_hour (id INT PRIMARY KEY, ts TIMESTAMP NULL)",
        "INSERT INTO c11_hour VALUES (1, '2024-10-27 00:30:00'), (2, '2024-10-27 01:30:00'), (3, '2024-03-31 01:30:00'), \
         (4, '2024-03-31 02:30:00'), (5, '2038-01-19 03:14:07')",
    ])
}

fn c12_after_2038(t: &mut Torture<'_>) -> Outcome {
    if !t.is_newer_mariadb() {
        t.cannot_hold("TIMESTAMP ends in 2038 before MariaDB 11.5 and on MySQL");
        return Ok(());
    }
    t.run_all(&[
        "CREATE TABLE c12_late (id INT PRIMARY KEY, ts TIMESTAMP(6) NULL)",
        "INSERT INTO c12_late VALUES (1, '2100-01-01 00:00:00.5'), (2, '2106-02-07 06:28:15.999998')",
    ])
}

fn c13_time_range(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c13_time (id INT PRIMARY KEY, ti TIME(6), y YEAR)",
        "INSERT INTO c13_time VALUES (1, '-838:59:59.000000', 0), (2, '838:59:59.000000', 1901), (3, '-00:00:00.000001', 2155), \
         (4, '100:00:00.999999', NULL)",
    ])
}

fn c14_fractions(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "CREATE TABLE c14_fractions (id INT PRIMARY KEY, a DATETIME(6), b DATETIME(1), c TIMESTAMP(3) NULL, d TIME(2), e DATETIME)",
        "INSERT INTO c14_fractions VALUES (1, '9999-12-31 23:59:59.999999', '2024-01-01 00:00:00.9', '2024-01-01 00:00:00.999', \
         '00:00:00.99', '1000-01-01 00:00:00'), (2, '0001-01-01 00:00:00.000001', NULL, NULL, NULL, NULL)",
    ])
}

/// The first TIMESTAMP of a table gets hidden defaults where the server's setting is the old one.
fn c61_timestamp_defaults(t: &mut Torture<'_>) -> Outcome {
    t.run_all(&[
        "SET explicit_defaults_for_timestamp=1",
        "CREATE TABLE c61_explicit (id INT PRIMARY KEY, a TIMESTAMP, b TIMESTAMP NULL DEFAULT NULL, \
         c TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d DATETIME DEFAULT NOW())",
        "INSERT INTO c61_explicit VALUES (1, NULL, NULL, '2001-02-03 04:05:06.789', '2001-02-03 04:05:06')",
    ])
}
