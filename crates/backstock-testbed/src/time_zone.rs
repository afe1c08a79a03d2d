//! The time zone of Berlin in a server's own tables, so that tests need no zone files of the machine.

use mysql::prelude::Queryable;

use crate::error::TestbedError;
use crate::server::Server;

/// The years whose changes of the clock are entered.
const YEARS: std::ops::RangeInclusive<i64> = 1996..=2037;
const SECONDS_PER_DAY: i64 = 86_400;
/// The number of the zone in the server's tables: none of those that a server brings along.
const ZONE: u32 = 9_001;

/// Enters `Europe/Berlin`: one or two hours ahead, changing at 01:00 UTC of the last Sundays of March and October
/// (Directive 2000/84/EC, articles 2 and 3).
///
/// # Errors
/// [`TestbedError::Database`].
pub fn add_berlin(server: &Server) -> Result<(), TestbedError> {
    let mut statements = vec![
        format!("REPLACE INTO mysql.time_zone VALUES ({ZONE}, 'N')"),
        format!("REPLACE INTO mysql.time_zone_name VALUES ('Europe/Berlin', {ZONE})"),
        format!(
            "REPLACE INTO mysql.time_zone_transition_type VALUES ({ZONE}, 0, 3600, 0, 'CET'), ({ZONE}, 1, 7200, 1, 'CEST')"
        ),
    ];
    for year in YEARS {
        let (spring, autumn) = (change(year, 3), change(year, 10));
        statements.push(format!(
            "REPLACE INTO mysql.time_zone_transition VALUES ({ZONE}, {spring}, 1), ({ZONE}, {autumn}, 0)"
        ));
    }
    let mut connection = server.connect("")?;
    for statement in statements {
        connection
            .query_drop(&statement)
            .map_err(|error| TestbedError::database(format!("run {statement}"), error))?;
    }
    Ok(())
}

/// Seconds since 1970 of 01:00 UTC on the last Sunday of a month of 31 days.
fn change(year: i64, month: i64) -> i64 {
    let last = days_since_1970(year, month, 31);
    // The first of January 1970 was a Thursday.
    let weekday = (last + 4).rem_euclid(7);
    (last - weekday) * SECONDS_PER_DAY + 3600
}

/// Days since 1970 of a date after it: years of 365 days, leap days of the Gregorian calendar, months from March on.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month < 3 { year - 1 } else { year };
    let leap_days = shifted / 4 - shifted / 100 + shifted / 400;
    let months = (153 * ((month + 9) % 12) + 2) / 5;
    365 * shifted + leap_days + months + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{ServerKind, ServerOptions};

    #[test]
    fn known_changes_are_right() {
        assert_eq!(days_since_1970(1970, 1, 1), 0);
        assert_eq!(days_since_1970(2024, 2, 29), 19_782);
        assert_eq!(change(2024, 3), 1_711_846_800, "2024-03-31 01:00:00 UTC");
        assert_eq!(change(2024, 10), 1_729_990_800, "2024-10-27 01:00:00 UTC");
    }

    #[test]
    fn the_doubled_hour_is_doubled_on_every_server() {
        for kind in ServerKind::KINDS {
            let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
            add_berlin(&server).unwrap();
            let sql =
                "SET time_zone='Europe/Berlin'; SELECT FROM_UNIXTIME(1729989000), FROM_UNIXTIME(1729992600);";
            let printed = String::from_utf8(server.client("", sql).unwrap()).unwrap();
            assert!(printed.contains("2024-10-27 02:30:00\t2024-10-27 02:30:00"), "{kind:?}: {printed}");
        }
    }
}
