//! Short transactions of a reader, where nobody would see who waits for a long one.
//!
//! A MariaDB server with a binary log keeps the metadata locks of everything that a transaction has read until it ends
//! (a rollback to a savepoint frees them elsewhere). An account without the right PROCESS does not see other accounts'
//! statements that wait for such a lock, and behind such a statement the whole shop waits. So a reader ends its
//! transaction when it has lasted a while, and begins another. Both show the same moment if the binary log has not
//! grown between them, which the server tells to everyone; otherwise what is read from then on is of a later moment,
//! and is labelled so.

use std::time::{Duration, Instant};

use super::super::connection::{Connection, Vendor};
use super::super::schema::variable;
use super::super::snapshot;
use crate::dump::DumpReport;
use crate::error::Result;
use crate::record::DumpedObject;

/// Whether a transaction's locks on definitions outlive the reading of a table.
pub(super) fn keeps_locks(connection: &mut Connection) -> Result<bool> {
    Ok(connection.vendor() == Vendor::MariaDb && variable(connection, "log_bin")?.as_deref() == Some("1"))
}

/// Where a reader stands between two tables.
pub(super) struct Turn {
    limit: Option<Duration>,
    began: Instant,
    /// Place of the snapshot in the binary log.
    point: Option<Vec<Vec<u8>>>,
    /// Whether the transaction shows a later moment than the first one.
    pub(super) is_later: bool,
}

impl Turn {
    /// For a reader whose snapshot has just begun. Without a limit it lasts until the end.
    pub(super) fn first(connection: &mut Connection, limit: Option<Duration>) -> Result<Self> {
        let point = if limit.is_some() { point(connection)? } else { None };
        Ok(Self { limit, began: Instant::now(), point, is_later: false })
    }

    /// Before another table: a new transaction, if this one has lasted too long.
    pub(super) fn renew(&mut self, connection: &mut Connection) -> Result<()> {
        if self.limit.is_none_or(|limit| self.began.elapsed() < limit) {
            return Ok(());
        }
        connection.execute(b"ROLLBACK")?;
        connection.execute(snapshot::BEGIN)?;
        self.began = Instant::now();
        // Once another moment was shown, no later one can be the first again.
        self.is_later |= self.point.is_none() || point(connection)? != self.point;
        Ok(())
    }

    /// When there are no more tables: nothing is held for the sake of other readers.
    pub(super) fn end(self, connection: &mut Connection) -> Result<()> {
        if self.limit.is_some() {
            connection.execute(b"ROLLBACK")?;
        }
        Ok(())
    }
}

/// The place of the running snapshot in the binary log; nothing where the server does not tell it.
fn point(connection: &mut Connection) -> Result<Option<Vec<Vec<u8>>>> {
    let result = connection.query(b"SHOW STATUS LIKE 'binlog\\_snapshot\\_%'")?;
    let values: Vec<Vec<u8>> = result.rows.into_iter().flatten().flatten().collect();
    Ok((values.len() >= 4).then_some(values))
}

/// What an account that does not see who waits could have missed.
pub(super) fn unguarded_note(report: &DumpReport) -> Option<String> {
    let names: Vec<String> = report
        .objects
        .iter()
        .filter_map(|object| match object {
            DumpedObject::Table(table) if table.partitioned => Some(table.name.to_string()),
            _ => None,
        })
        .collect();
    (!report.guarded && !names.is_empty()).then(|| {
        format!(
            "an exchange of a partition that began before the dump could not have been seen (the account lacks PROCESS): {}",
            names.join(", ")
        )
    })
}
