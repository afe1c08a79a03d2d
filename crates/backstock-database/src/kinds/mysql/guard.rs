//! The waiter guard: looks four times a second whether a statement waits behind our locks on definitions, and if so
//! breaks the readers off, so that nobody waits for a backup. That attempt is then void.
//!
//! An account without the right PROCESS sees its own threads only. The shop mostly uses the same account.

use std::collections::BTreeSet;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::connection::{Breaker, Connection};
use crate::error::Result;
use crate::raw_text::readable;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// A thread that was seen waiting so often in a row waits for us, or for someone like us.
const LOOKS: u32 = 3;

/// What the guard found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Waiter {
    /// The server's number of the thread that waited.
    pub(crate) thread: u64,
    /// The start of its statement, readable.
    pub(crate) statement: String,
}

/// Watches until `stop` is closed, or someone waits: then the readers are broken off and the waiter is returned.
/// Threads in `ignored` were waiting already when nobody of ours held anything.
pub(crate) fn watch(
    connection: &mut Connection,
    database: &[u8],
    readers: &[Breaker],
    ignored: &BTreeSet<u64>,
    stop: &Receiver<()>,
) -> Result<Option<Waiter>> {
    let mut seen: Vec<(u64, u32)> = Vec::new();
    loop {
        match stop.recv_timeout(INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
        let waiting: Vec<Waiter> = waiters(connection, database)?
            .into_iter()
            .filter(|waiter| !ignored.contains(&waiter.thread))
            .collect();
        let count =
            |thread| seen.iter().find(|(known, _)| *known == thread).map_or(1, |(_, count)| count + 1);
        let next: Vec<(u64, u32)> =
            waiting.iter().map(|waiter| (waiter.thread, count(waiter.thread))).collect();
        let over = next.iter().position(|(_, count)| *count >= LOOKS);
        if let Some(waiter) = over.and_then(|at| waiting.get(at)) {
            readers.iter().for_each(Breaker::break_off);
            return Ok(Some(waiter.clone()));
        }
        seen = next;
    }
}

/// The threads that wait for a lock on a definition in this database.
pub(crate) fn waiters(connection: &mut Connection, database: &[u8]) -> Result<Vec<Waiter>> {
    let result = connection.query(b"SHOW FULL PROCESSLIST")?;
    let mut found = Vec::new();
    for row in 0..result.rows.len() {
        let state = result.get(row, "State").map(readable).unwrap_or_default();
        let waits = state.contains("metadata lock") || state.contains("table flush");
        if waits && result.get(row, "db") == Some(database) {
            let thread = result.get(row, "Id").map(readable).and_then(|id| id.parse().ok()).unwrap_or(0);
            let statement = result.get(row, "Info").map(readable).unwrap_or_default();
            found.push(Waiter { thread, statement: statement.chars().take(80).collect() });
        }
    }
    Ok(found)
}
