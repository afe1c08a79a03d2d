//! Sends the rows of a dump's frames to a table of another name: in bulk where that is allowed and exact, else by the
//! INSERT statements of the frame, within the size of packet that the server takes.

use super::super::ddl::Text;
use super::super::sql::{InsertParts, Splitter, SqlFault, Tuples, insert_end, quote_name, split_insert};
use super::super::swap::warnings;
use super::bulk_text::BulkText;
use super::{bulk, foreign, large_row};
use crate::error::{Error, Result};
use crate::load::FrameSource;
use crate::record::TableRecord;
use crate::{Connection, readable};

/// Room in a packet for its own head, bytes.
const PACKET_MARGIN_BYTES: usize = 1024;
/// A frame above this is one transaction, bytes: each commit waits for the disk once.
const TRANSACTION_BYTES: usize = 1024 * 1024;
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
    /// Whether rows may go in by `LOAD DATA LOCAL`. Set to `false` by the first frame that it does not take exactly.
    pub(crate) in_bulk: bool,
    pub(crate) lines: Vec<String>,
}

impl RowTarget<'_> {
    /// Loads one frame. Returns its rows' text in bytes.
    pub(crate) fn load_frame(&mut self, source: &dyn FrameSource, number: u64) -> Result<u64> {
        let frame = source.frame(number).map_err(|source| Error::Frame { frame: number, source })?;
        if self.in_bulk {
            self.in_bulk = self.bulk_frame(&frame, number)?;
            if self.in_bulk {
                return Ok(frame.len() as u64);
            }
        }
        let whole = frame.len() > TRANSACTION_BYTES;
        if whole {
            self.connection.execute(b"START TRANSACTION")?;
        }
        let inserted = self.insert_frame(&frame, number);
        if whole {
            let ended = self.connection.execute(if inserted.is_ok() { &b"COMMIT"[..] } else { b"ROLLBACK" });
            inserted.and(ended.map(drop))?;
        } else {
            inserted?;
        }
        Ok(frame.len() as u64)
    }

    /// Loads a frame in one transaction. `false` where the server did not take it as it is: then nothing of it is
    /// there.
    fn bulk_frame(&mut self, frame: &[u8], number: u64) -> Result<bool> {
        self.connection.execute(b"START TRANSACTION")?;
        let told = self.lines.len();
        let exact = match self.send_in_bulk(frame, number) {
            // What the server refuses, and what has no bulk form, an INSERT may explain better.
            Err(Error::Statement { .. } | Error::LocalRows { .. }) => false,
            other => other?,
        };
        if !exact {
            self.lines.truncate(told);
        }
        self.connection.execute(if exact { &b"COMMIT"[..] } else { b"ROLLBACK" })?;
        Ok(exact)
    }

    fn send_in_bulk(&mut self, frame: &[u8], number: u64) -> Result<bool> {
        let token = bulk::token(self.connection, frame.len());
        let sql = bulk::statement(&self.record.columns, self.name, &token, false);
        let mut rows = BulkText::new(frame, &self.record.name, &self.record.columns);
        loop {
            let done = self.connection.execute_with_local_infile(&sql, token.as_bytes(), &mut rows)?;
            if done.warnings > 0 || done.affected_rows != rows.take_rows() {
                return Ok(false);
            }
            let Some(rest) = rows.at_ignore() else { return Ok(true) };
            let mut splitter = Splitter::new(rest);
            let statement = splitter.next_statement().map_err(|fault| in_frame(number, fault))?;
            let Some(statement) = statement else { return Ok(true) };
            self.insert_statement(statement.text, number)?;
            rows.skip(statement.offset_bytes + statement.text.len());
        }
    }

    fn insert_frame(&mut self, frame: &[u8], number: u64) -> Result<()> {
        let mut rest = frame;
        loop {
            let start = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            rest = &rest[start..];
            // Our own statements end where their rows do, which is found sooner than tokens are cut.
            let end = match split_insert(rest) {
                Ok(Some(parts)) => insert_end(rest, parts.head_end),
                _ => None,
            };
            let (text, behind) = match end {
                Some(end) => (&rest[..end], end + 1),
                None => {
                    let next = Splitter::new(rest).next_statement();
                    let Some(next) = next.map_err(|fault| in_frame(number, fault))? else { return Ok(()) };
                    (next.text, next.offset_bytes + next.text.len())
                }
            };
            self.insert_statement(text, number)?;
            rest = &rest[behind..];
        }
    }

    fn insert_statement(&mut self, statement: &[u8], number: u64) -> Result<()> {
        let parts = split_insert(statement).map_err(|fault| in_frame(number, fault))?;
        let Some(parts) = parts.filter(|parts| parts.table == self.record.name.0) else {
            return Err(in_frame(number, SqlFault::new(0, "a statement is not an INSERT into this table")));
        };
        self.send(statement, &parts).map_err(|error| match error {
            SendError::Fault(fault) => in_frame(number, fault),
            SendError::Other(error) => error,
        })
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
        // No transaction takes back the rows before the one that a strict session refuses.
        if self.record.foreign.is_some() && !self.record.is_transactional() {
            return self.insert_leniently(statement);
        }
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
