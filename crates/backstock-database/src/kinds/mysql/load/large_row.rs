//! A row that is larger than a packet of the server: sent as the content of a `LOAD DATA LOCAL`, which has no such limit.

use super::bulk;
use super::bulk_text::{BulkText, Unfit};
use super::rows::{RowTarget, SendError};
use crate::error::Error;
use crate::readable;

/// Loads one row, given its text without brackets.
pub(super) fn load(target: &mut RowTarget<'_>, tuple: &[u8], ignore: bool) -> Result<(), SendError> {
    let token = bulk::token(target.connection, tuple.len());
    let statement = bulk::statement(&target.record.columns, target.name, &token, ignore);
    let mut row = BulkText::of_row(tuple, &target.record.columns);
    let sent = target.connection.execute_with_local_infile(&statement, token.as_bytes(), &mut row);
    let done = match row.take_unfit() {
        Some(Unfit::Fault(fault)) => return Err(fault.into()),
        Some(Unfit::Form(what)) => {
            return Err(not_sent(target, &format!("{what}, and its packets are too small")));
        }
        None => sent.map_err(|error| explained(target, error))?,
    };
    if done.warnings > 0 {
        target.tell_warnings(ignore)?;
    }
    Ok(())
}

/// `local_infile` is off on the server, in the words of either vendor.
fn explained(target: &RowTarget<'_>, error: Error) -> SendError {
    match error.code() {
        Some(1148 | 3948 | 4166) => {
            not_sent(target, "raise max_allowed_packet or allow local_infile on the server")
        }
        _ => SendError::Other(error),
    }
}

fn not_sent(target: &RowTarget<'_>, what: &str) -> SendError {
    let what = format!("one of its rows is larger than max_allowed_packet: {what}");
    SendError::Other(Error::NotEqual { table: readable(&target.record.name), what })
}
