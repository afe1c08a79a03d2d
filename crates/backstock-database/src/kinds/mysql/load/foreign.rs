//! Rows that others wrote: in the time zone of their session, and by a lenient insert where the strict one refuses what
//! their own program would have loaded with a warning.

use super::session::{reset_context, set_lenient_mode, set_strict_mode};
use crate::Connection;
use crate::error::{Error, Result};
use crate::kinds::mysql::ddl::Text;
use crate::load::TablePlan;
use crate::record::TableRecord;

/// Values that a strict session refuses and a lenient one changes with a warning: out of range, truncated, wrong for
/// the type, too long, NULL where none may be, no default.
const ERRORS_OF_VALUES: [u16; 8] = [1048, 1264, 1265, 1292, 1364, 1366, 1406, 1411];

/// Sets the session up for a table's rows.
pub(super) fn enter(connection: &mut Connection, record: &TableRecord) -> Result<()> {
    let Some(foreign) = record.foreign.as_ref().filter(|foreign| foreign.has_times) else { return Ok(()) };
    let statement = match &foreign.time_zone {
        Some(zone) => Text::new("SET time_zone=").text(zone.as_bytes()).bytes(),
        None => b"SET time_zone=@@global.time_zone".to_vec(),
    };
    connection.execute(&statement).map(drop)
}

/// Makes the session that of a load again.
pub(super) fn leave(connection: &mut Connection, record: &TableRecord) -> Result<()> {
    match &record.foreign {
        Some(_) => reset_context(connection),
        None => Ok(()),
    }
}

/// Whether a lenient session may do what a strict one refused.
pub(super) fn may_bend(record: &TableRecord, error: &Error) -> bool {
    record.foreign.is_some() && error.code().is_some_and(|code| ERRORS_OF_VALUES.contains(&code))
}

/// Runs something in a lenient session.
pub(super) fn leniently<T>(
    connection: &mut Connection,
    act: impl FnOnce(&mut Connection) -> Result<T>,
) -> Result<T> {
    set_lenient_mode(connection)?;
    let outcome = act(connection);
    set_strict_mode(connection)?;
    outcome
}

/// What the report says of tables whose rows others wrote.
pub(super) fn lines(tables: &[(&TablePlan, &TableRecord)]) -> Vec<String> {
    let count = tables.iter().filter(|(_, record)| record.foreign.is_some()).count();
    if count == 0 {
        return Vec::new();
    }
    vec![format!(
        "the rows of {count} tables are from a dump made by others: they were compared by their number, not by their values"
    )]
}
