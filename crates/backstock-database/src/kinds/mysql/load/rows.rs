//! Sends the INSERT statements of a dump to a table of another name, within the size of packet that the server takes.

use super::super::ddl::Text;
use super::super::sql::{InsertParts, Splitter, SqlFault, Tuples, quote_name, split_insert};
use super::super::swap::warnings;
use super::{foreign, large_row};
use crate::error::{Error, Result};
use crate::load::FrameSource;
use crate::record::TableRecord;
use crate::{Connection, readable};

/// Room in a packet for its own head, bytes.
const PACKET_MARGIN_BYTES: usize = 1024;
/// What an INSERT IGNORE of an ENUM's error value warns of; the value is read back and compared.
const WARNING_TRUNCATED: &str = "(warning 1265)";

/// Where the rows of one table go.
pub(crate) struct RowTarget<'a> {
    pub(crate) connection: &'a mut Connection,
    /// The name of the table that takes them.
    pub(crate) name: &'a [u8],
    pub(crate) record: &'a TableRecord,
    /// The server's `max_allowed_packet`, bytes.
    pub(crate) packet_bytes: usize,
    pub(crate) lines: Vec<String>,
}

impl RowTarget<'_> {
    /// Loads one frame. Returns its rows' text in bytes.
    pub(crate) fn load_frame(&mut self, source: &dyn FrameSource, number: u64) -> Result<u64> {
        let frame = source.frame(number).map_err(|source| Error::Frame { frame: number, source })?;
        let mut splitter = Splitter::new(&frame);
        while let Some(statement) = splitter.next_statement().map_err(|fault| in_frame(number, fault))? {
            let parts = split_insert(statement.text).map_err(|fault| in_frame(number, fault))?;
            match parts {
                Some(parts) if parts.table == self.record.name.0 => {
                    self.send(statement.text, &parts).map_err(|error| match error {
                        SendError::Fault(fault) => in_frame(number, fault),
                        SendError::Other(error) => error,
                    })?;
                }
                _ => {
                    let fault =
                        SqlFault::new(statement.offset_bytes, "a statement is not an INSERT into this table");
                    return Err(in_frame(number, fault));
                }
            }
        }
        Ok(frame.len() as u64)
    }

    fn send(&mut self, statement: &[u8], parts: &InsertParts) -> std::result::Result<(), SendError> {
        let head = [
            &statement[..parts.table_span.start],
            &quote_name(self.name),
            &statement[parts.table_span.end..parts.head_end],
        ]
        .concat();
        let limit = self.packet_bytes.saturating_sub(PACKET_MARGIN_BYTES).max(PACKET_MARGIN_BYTES);
        if head.len() + statement.len() - parts.head_end <= limit {
            let whole = [&head, &statement[parts.head_end..]].concat();
            return Ok(self.insert(&whole, parts.ignore)?);
        }
        let mut tuples = Tuples::new(statement, parts);
        let mut text = Text::new(&head).bytes();
        let mut count = 0;
        while let Some(tuple) = tuples.next_tuple()? {
            if count > 0 && text.len() + tuple.len() + 3 > limit {
                self.insert(&text, parts.ignore)?;
                text.truncate(head.len());
                count = 0;
            }
            if head.len() + tuple.len() + 2 > limit {
                large_row::load(self, tuple, parts.ignore)?;
                continue;
            }
            text.extend_from_slice(if count == 0 { b"(" } else { b",(" });
            text.extend_from_slice(tuple);
            text.push(b')');
            count += 1;
        }
        if count > 0 {
            self.insert(&text, parts.ignore)?;
        }
        Ok(())
    }

    fn insert(&mut self, statement: &[u8], ignore: bool) -> Result<()> {
        let done = match self.connection.execute(statement) {
            Err(error) if foreign::may_bend(self.record, &error) => return self.insert_leniently(statement),
            other => other?,
        };
        if done.warnings > 0 {
            self.tell_warnings(ignore)?;
        }
        Ok(())
    }

    /// Every value that the server changes becomes a line of the report.
    fn insert_leniently(&mut self, statement: &[u8]) -> Result<()> {
        let told = foreign::leniently(self.connection, |connection| {
            connection.execute(statement)?;
            warnings(connection)
        })?;
        let table = readable(&self.record.name);
        self.lines.extend(told.into_iter().map(|warning| format!("table {table}: changed: {warning}")));
        Ok(())
    }

    /// Puts the server's warnings about the last statement into the report.
    pub(crate) fn tell_warnings(&mut self, ignore: bool) -> Result<()> {
        for warning in warnings(self.connection)? {
            if !(ignore && warning.ends_with(WARNING_TRUNCATED)) {
                self.lines.push(format!("table {}: {warning}", readable(&self.record.name)));
            }
        }
        Ok(())
    }
}

/// What sending a statement can fail with.
pub(crate) enum SendError {
    Fault(SqlFault),
    Other(Error),
}

impl From<SqlFault> for SendError {
    fn from(fault: SqlFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn in_frame(number: u64, source: SqlFault) -> Error {
    Error::Sql { object: format!("frame {number} of the dump"), source }
}
