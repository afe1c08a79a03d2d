//! A dump from beginning to end. Data can be lost here: what is neither read nor named as missing is gone.
//!
//! One attempt reads everything inside one point in time and is thrown away as a whole when anything changed under it
//! or a connection broke: a dump is never put together from two snapshots.

mod attempt;
pub(crate) mod plan;
pub(crate) mod reader;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstock_host::Host;

use self::attempt::Attempt;
pub(crate) use self::attempt::write_code;
use self::trouble::Trouble;
use super::connection::Connection;
use super::rights::{Rights, read_rights};
use super::session::prepare_to_read;
use super::{schema, writer};
use crate::dump::{DumpPhase, DumpReport, DumpRequest, DumpTarget, TableFacts};
use crate::error::{Error, Result};
use crate::monitor::DatabaseMonitor;
use crate::raw_text::{RawText, readable};
use crate::record::{Checksum, Contents, ServerFacts, TableRecord};
use crate::settings::ServerSettings;

/// The pause before the second attempt; it doubles with each further one. A server that restarts needs some seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// What later attempts know from earlier ones.
#[derive(Debug, Default)]
struct Memory {
    /// Tables whose rows the server cannot give, and why.
    unreadable: BTreeMap<RawText, String>,
    /// Threads that still waited when nobody of ours held anything.
    ignored_waiters: BTreeSet<u64>,
}

/// Dumps a database.
///
/// # Errors
/// Only when nothing usable came of it. What is merely missing stands in [`DumpReport::problems`].
pub fn dump(
    host: &Host,
    settings: &ServerSettings,
    request: &DumpRequest,
    target: &dyn DumpTarget,
    monitor: &dyn DatabaseMonitor<DumpPhase>,
) -> Result<DumpReport> {
    let mut memory = Memory::default();
    let mut pause = FIRST_PAUSE;
    let mut number = 1;
    loop {
        let sink = target.begin(number).map_err(|source| writer::sink_error(&request.database, source))?;
        let attempt = Attempt { host, settings, request, sink: sink.as_ref(), monitor, number };
        let (reason, error) = match attempt.run(&mut memory) {
            Ok(report) => return Ok(report),
            Err(Trouble::Stop(error)) => return Err(*error),
            Err(Trouble::Again { reason, error }) => (reason, error),
        };
        drop(sink);
        if number >= request.attempts.max(1) {
            let database = readable(&request.database);
            return Err(error.map_or(Error::KeptChanging { database, reason }, |error| *error));
        }
        monitor.note(&format!("the dump starts anew: {reason}"));
        std::thread::sleep(pause);
        pause *= 2;
        number += 1;
    }
}

/// The tables, views and sequences of a database, for plans and previews: estimates, no rows are read.
///
/// # Errors
/// Those of [`Connection::open`] and of the queries; [`Error::NoDatabase`].
pub fn list_tables(settings: &ServerSettings, database: &[u8]) -> Result<Vec<TableFacts>> {
    let mut connection = open(settings, database)?;
    prepare_to_read(&mut connection)?;
    let facts = schema::database_facts(&mut connection)?.ok_or_else(|| no_database(database))?;
    let lines = schema::list(&mut connection, &facts.name)?;
    Ok(lines.into_iter().map(|line| line.facts).collect())
}

/// Logs in and tells what the account could dump.
///
/// # Errors
/// Those of [`Connection::open`] and of the queries; [`Error::NoDatabase`].
pub fn probe(settings: &ServerSettings, database: &[u8]) -> Result<(ServerFacts, Rights)> {
    let mut connection = open(settings, database)?;
    prepare_to_read(&mut connection)?;
    let facts = schema::database_facts(&mut connection)?.ok_or_else(|| no_database(database))?;
    let rights = read_rights(&mut connection, &facts.name)?;
    Ok((schema::server_facts(&mut connection)?, rights))
}

pub(crate) fn no_database(database: &[u8]) -> Error {
    Error::NoDatabase { database: readable(database) }
}

/// Opens a connection with the database as its default.
pub(crate) fn open(settings: &ServerSettings, database: &[u8]) -> Result<Connection> {
    Connection::open(settings, Some(database)).map_err(|error| match error {
        Error::LogIn { source, .. } if matches!(source.code, 1044 | 1049) => no_database(database),
        other => other,
    })
}

/// Reads a table again and computes what its record must say, with the same text for each row as the dump had.
/// `name` is the table to read in its place, for one that was loaded aside. The session must have been set up by
/// [`prepare_to_read`].
///
/// # Errors
/// Those of the query. A table whose rows were not dumped gives zero rows.
pub fn checksum_table(
    connection: &mut Connection,
    record: &TableRecord,
    name: Option<&[u8]>,
) -> Result<(u64, Checksum)> {
    if record.contents != Contents::Included {
        return Ok((0, Checksum::default()));
    }
    let mut found = reader::RowSum::new(record.checksum.row_hash());
    let source = reader::RowSource::whole(record, name.unwrap_or(&record.name));
    let row_end = reader::current_row_end(connection, record)?;
    reader::each_row(connection, &source, &row_end, &mut found)?;
    Ok((found.row_count, found.checksum))
}
