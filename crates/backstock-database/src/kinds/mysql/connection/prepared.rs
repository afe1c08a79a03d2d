//! Statements that the server prepares, whose rows then come in binary form (MySQL Internals, "Prepared Statements"
//! and "Binary Protocol Resultset"): numbers and times cost the server a third of what their text costs.

use super::answer::{Column, is_eof, parse_column};
use super::result::RowStream;
use super::wire::{Fields, Malformed};
use super::{Answer, COLUMNS_LIMIT, Connection};
use crate::error::{Error, Result};

const COMMAND_PREPARE: u8 = 0x16;
const COMMAND_EXECUTE: u8 = 0x17;
const COMMAND_CLOSE: u8 = 0x19;

/// The server has no room for more statements, or prepares none of this kind, or knows no such command.
const NOT_PREPARED: [u16; 4] = [1047, 1295, 1461, 4031];

/// A statement without parameters that the server has prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    number: u32,
    /// The columns that its rows will have.
    pub(crate) columns: Vec<Column>,
}

impl Connection {
    /// Lets the server prepare a query; nothing where it does not do that.
    pub(crate) fn prepare(&mut self, sql: &[u8]) -> Result<Option<Prepared>> {
        self.send_command(COMMAND_PREPARE, sql, sql)?;
        let message = self.receive(sql)?;
        match message.first() {
            Some(0x00) => {}
            Some(0xff) => {
                return match self.refused(sql, &message) {
                    Error::Statement { source, .. } if NOT_PREPARED.contains(&source.code) => Ok(None),
                    error => Err(error),
                };
            }
            _ => return Err(self.protocol(sql, "neither prepared nor refused")),
        }
        let Ok((number, columns, parameters)) = parse_prepared(&message) else {
            return Err(self.protocol(sql, "the answer to its preparation is damaged"));
        };
        for _ in 0..parameters {
            self.receive(sql)?;
        }
        if parameters > 0 && !is_eof(&self.receive(sql)?) {
            return Err(self.protocol(sql, "its parameters do not end"));
        }
        let mut found = Vec::new();
        for _ in 0..u64::from(columns).min(COLUMNS_LIMIT) {
            let message = self.receive(sql)?;
            let column = parse_column(&message);
            found.push(column.map_err(|_| self.protocol(sql, "a column's description is damaged"))?);
        }
        if columns > 0 && !is_eof(&self.receive(sql)?) {
            return Err(self.protocol(sql, "the columns do not end"));
        }
        Ok(Some(Prepared { number, columns: found }))
    }

    /// Runs a prepared query and hands out its rows one by one, in binary form.
    pub(crate) fn execute_prepared(&mut self, sql: &[u8], prepared: Prepared) -> Result<RowStream<'_>> {
        let mut content = prepared.number.to_le_bytes().to_vec();
        // No cursor; once.
        content.push(0);
        content.extend_from_slice(&1_u32.to_le_bytes());
        self.send_command(COMMAND_EXECUTE, sql, &content)?;
        let columns = match self.receive_answer(sql) {
            Ok(Answer::Done(_)) => Vec::new(),
            Ok(Answer::Columns(columns)) => columns,
            Err(error) => {
                self.close_prepared(&prepared);
                return Err(error);
            }
        };
        Ok(RowStream::new(self, sql, columns).of_prepared(prepared))
    }

    /// Tells the server to forget a statement, which it does not answer.
    pub(crate) fn close_prepared(&mut self, prepared: &Prepared) {
        // A connection that breaks here is noticed by the next statement.
        let _ = self.send_command(COMMAND_CLOSE, b"close", &prepared.number.to_le_bytes());
    }
}

/// The statement's number and how many columns and parameters it has ("COM_STMT_PREPARE_OK").
fn parse_prepared(message: &[u8]) -> std::result::Result<(u32, u16, u16), Malformed> {
    let mut fields = Fields(message);
    fields.byte()?;
    let number = u32::try_from(fields.integer(4)?).map_err(|_| Malformed)?;
    Ok((number, fields.short()?, fields.short()?))
}
