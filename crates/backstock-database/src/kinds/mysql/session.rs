//! The session of a dump: every variable that a read depends on is set here, since a server's defaults, a host's
//! `init_connect` and a pooling proxy may have set it to something else.

use super::connection::Connection;
use crate::error::{Error, Result};

/// A variable that the server does not know, which is normal: each vendor and version has its own.
pub(crate) const ERROR_UNKNOWN_VARIABLE: u16 = 1193;

/// The statements, and whether the dump would be wrong without one.
const SETTINGS: &[(&str, bool)] = &[
    ("SET NAMES utf8mb4", true),
    // Rows come as raw column bytes.
    ("SET character_set_results=NULL", true),
    ("SET sql_mode=''", true),
    ("SET time_zone='+00:00'", true),
    // DEFAULT would be the global value, which silently cuts every result off.
    ("SET sql_select_limit=18446744073709551615", true),
    ("SET autocommit=1", true),
    ("SET completion_type=0", false),
    ("SET sql_auto_is_null=0", false),
    ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", true),
    ("SET sql_quote_show_create=1", true),
    ("SET max_join_size=18446744073709551615", false),
    ("SET sql_big_selects=1", false),
    ("SET sql_safe_updates=0", false),
    ("SET net_write_timeout=28800", false),
    ("SET net_read_timeout=28800", false),
    ("SET wait_timeout=28800", false),
    ("SET interactive_timeout=28800", false),
    ("SET max_statement_time=0", false),
    ("SET max_execution_time=0", false),
    ("SET idle_transaction_timeout=0", false),
    ("SET idle_readonly_transaction_timeout=0", false),
    ("SET lock_wait_timeout=10", false),
    ("SET innodb_lock_wait_timeout=10", false),
    ("SET information_schema_stats_expiry=0", false),
    ("SET show_gipk_in_create_table_and_information_schema=1", false),
    ("SET show_create_table_skip_secondary_engine=1", false),
    ("SET use_secondary_engine=OFF", false),
    ("SET system_versioning_asof=DEFAULT", false),
    ("SET old_mode=''", false),
    ("SET timestamp=DEFAULT", false),
];

/// What must be read back as it was set: proof that no proxy dropped or redirected a statement.
const WITNESSES: &str = "SELECT @@sql_mode, @@time_zone, @@sql_select_limit, @@character_set_client, \
                         @@character_set_results, CONNECTION_ID(), @backstock";

/// Sets up a session for reading. Returns what could not be set, for the report.
///
/// # Errors
/// When a setting without which the dump would be wrong is refused or does not hold.
pub fn prepare_to_read(connection: &mut Connection) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (statement, needed) in SETTINGS {
        match connection.execute(statement.as_bytes()) {
            Ok(_) => {}
            Err(error) if error.code() == Some(ERROR_UNKNOWN_VARIABLE) && !needed => {}
            Err(error @ Error::Statement { .. }) if !needed => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                notes.push(format!("the session setting \"{statement}\" was refused: {why}"));
            }
            Err(error) => return Err(error),
        }
    }
    let mark = format!("SET @backstock='{}'", connection.connection_id());
    connection.execute(mark.as_bytes())?;
    check_session(connection)?;
    Ok(notes)
}

/// Checks that the session is still the one that was set up.
///
/// # Errors
/// [`Error::Protocol`] when something between us and the server changed it.
pub(crate) fn check_session(connection: &mut Connection) -> Result<()> {
    let id = connection.connection_id().to_string();
    let result = connection.query(WITNESSES.as_bytes())?;
    let row = result.rows.first().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<Option<&[u8]>> = row.iter().map(Option::as_deref).collect();
    let [Some(b""), Some(b"+00:00"), Some(b"18446744073709551615"), Some(b"utf8mb4"), None, own, mark] =
        texts[..]
    else {
        return Err(changed("a session setting did not hold"));
    };
    if own != mark || (own != Some(id.as_bytes()) && id.parse() != Ok(u64::from(u32::MAX))) {
        return Err(changed("statements reach different sessions: a pooling proxy stands in between"));
    }
    Ok(())
}

fn changed(what: &str) -> Error {
    Error::Protocol { statement: WITNESSES.chars().take(40).collect(), what: what.to_owned() }
}
