//! The session of a load: strict, and yet permissive about dates, since rows were stored under other modes.

use super::super::rows::CURRENT_ROW_END;
use super::super::session::prepare_to_read;
use super::super::writer::CURRENT_ROW_END_OF_SERVER;
use crate::error::{Error, Result};
use crate::{Connection, Vendor};

/// Under this mode every value that a server can hold loads without a warning, and no other value does.
const SQL_MODE: &str = "SET sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,\
                        STRICT_TRANS_TABLES,STRICT_ALL_TABLES'";

/// How long a statement waits for a lock, seconds. The shop is closed when statements wait for locks at all.
const LOCK_WAIT: &str = "SET lock_wait_timeout=20";

/// What MySQL sorts the entries of a new key in, bytes: with its 1 MiB they are merged in many passes. Each connection
/// that adds keys takes as much of the server's memory.
const DDL_BUFFER: &str = "SET innodb_ddl_buffer_size=16777216";

/// What a load sets beyond the session of a dump. Without those marked, rows or definitions would change silently.
const SETTINGS: &[(&str, bool)] = &[
    (SQL_MODE, true),
    ("SET foreign_key_checks=0", true),
    ("SET unique_checks=1", true),
    ("SET auto_increment_increment=1", false),
    ("SET auto_increment_offset=1", false),
    ("SET check_constraint_checks=0", false),
    ("SET system_versioning_insert_history=1", false),
    ("SET system_versioning_alter_history=KEEP", false),
    ("SET explicit_defaults_for_timestamp=1", false),
    ("SET innodb_strict_mode=1", false),
    ("SET sql_require_primary_key=0", false),
    ("SET sql_generate_invisible_primary_key=0", false),
    ("SET restrict_fk_on_non_standard_key=0", false),
    ("SET character_set_collations=''", false),
    // Again, since the collation of the session was chosen before.
    ("SET NAMES utf8mb4", true),
    ("SET character_set_results=NULL", true),
    ("SET default_storage_engine=InnoDB", false),
    ("SET max_heap_table_size=1073741824", false),
    // Keys are added where the table lies, not by copying it row by row.
    ("SET alter_algorithm='DEFAULT'", false),
    ("SET old_alter_table=0", false),
    (DDL_BUFFER, false),
    (LOCK_WAIT, false),
];

/// Sets a session up for loading and for changing definitions.
///
/// # Errors
/// When a setting is refused without which the load would be wrong.
pub(crate) fn prepare_to_load(connection: &mut Connection) -> Result<()> {
    // Its notes concern reads that may be cut short, which a load's comparison would show.
    prepare_to_read(connection)?;
    for (statement, needed) in SETTINGS {
        match connection.execute(statement.as_bytes()) {
            Err(error @ Error::Statement { .. }) if *needed => return Err(error),
            Err(Error::Statement { .. }) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The lock wait of a load again, after a statement that needed another.
pub(crate) fn set_lock_wait(connection: &mut Connection) -> Result<()> {
    connection.execute(LOCK_WAIT.as_bytes()).map(drop)
}

/// Character sets, modes and time zone again, after an object that needed others.
pub(crate) fn reset_context(connection: &mut Connection) -> Result<()> {
    for statement in
        ["SET NAMES utf8mb4", "SET character_set_results=NULL", SQL_MODE, "SET time_zone='+00:00'"]
    {
        connection.execute(statement.as_bytes())?;
    }
    Ok(())
}

/// Sets the variable that current rows of system-versioned tables name as the end of their time (MariaDB).
pub(crate) fn set_row_end(connection: &mut Connection) -> Result<()> {
    if connection.vendor() == Vendor::MySql {
        return Ok(());
    }
    connection.execute(format!("SET {CURRENT_ROW_END}={CURRENT_ROW_END_OF_SERVER}").as_bytes()).map(drop)
}

/// The mode of a load again.
pub(crate) fn set_strict_mode(connection: &mut Connection) -> Result<()> {
    connection.execute(SQL_MODE.as_bytes()).map(drop)
}

/// The mode of a load, but not strict: for one statement whose warning is known and harmless.
pub(crate) fn set_lenient_mode(connection: &mut Connection) -> Result<()> {
    let mode = b"SET sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'";
    connection.execute(mode).map(drop)
}
