//! Rows as they came: a stream of them, or a small result in memory.

use super::Connection;
use super::answer::{Column, Done};
use super::wire::Fields;
use crate::error::{Error, Result, readable_statement};

/// The largest result that is kept in memory, bytes.
const RESULT_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// A row, or the end of the rows.
#[derive(Debug)]
pub enum Fetched<'a> {
    /// One row.
    Row(Row<'a>),
    /// No more rows.
    End(Done),
}

/// One row of the text protocol: a sequence of values, each raw bytes or NULL.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The values from left to right.
    pub fn values(&self) -> Values<'a> {
        Values(Fields(self.0))
    }

    /// The row's length in bytes, as sent.
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }
}

/// The values of a row, from left to right.
#[derive(Debug)]
pub struct Values<'a>(Fields<'a>);

impl<'a> Values<'a> {
    /// The next value: `None` where the row is damaged or has no more, `Some(None)` for NULL.
    #[inline]
    pub fn take(&mut self) -> Option<Option<&'a [u8]>> {
        self.0.value().ok()
    }

    /// Whether the whole row was taken.
    pub fn is_at_end(&self) -> bool {
        self.0.0.is_empty()
    }
}

/// The rows of a query under way.
#[derive(Debug)]
pub struct RowStream<'a> {
    connection: &'a mut Connection,
    statement: Vec<u8>,
    columns: Vec<Column>,
    end: Option<Done>,
}

impl<'a> RowStream<'a> {
    pub(crate) fn new(connection: &'a mut Connection, sql: &[u8], columns: Vec<Column>) -> Self {
        let end = columns.is_empty().then(Done::default);
        // Only messages need the statement, and they show its start only.
        let statement = sql[..sql.len().min(256)].to_vec();
        Self { connection, statement, columns, end }
    }

    /// The columns of the result.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How many warnings the server counted; known at the end.
    pub fn warnings(&self) -> u16 {
        self.end.map_or(0, |done| done.warnings)
    }

    /// The next row, or `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows from the stream, which an iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        if self.end.is_some() {
            return Ok(None);
        }
        match self.connection.receive_row(&self.statement) {
            Ok(Fetched::Row(row)) => Ok(Some(row)),
            Ok(Fetched::End(done)) => {
                self.end = Some(done);
                Ok(None)
            }
            Err(error) => {
                self.end = Some(Done::default());
                Err(error)
            }
        }
    }

    /// The error for a row whose lengths do not fit.
    pub fn damaged_row(&self) -> Error {
        let what = "a row's lengths do not fit".to_owned();
        Error::Protocol { statement: readable_statement(&self.statement), what }
    }
}

impl Drop for RowStream<'_> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.connection.broken = true;
        }
    }
}

/// A small result in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultSet {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each as long as `columns`.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    /// How many warnings the server counted.
    pub warnings: u16,
}

impl ResultSet {
    pub(crate) fn collect(stream: &mut RowStream<'_>) -> Result<Self> {
        let columns = stream.columns().to_vec();
        let mut rows = Vec::new();
        let mut size_bytes = 0;
        while let Some(row) = stream.next()? {
            size_bytes += row.size_bytes();
            let mut values = row.values();
            let row: Option<Vec<_>> =
                columns.iter().map(|_| values.take().map(|value| value.map(<[u8]>::to_vec))).collect();
            let complete = row.filter(|_| values.is_at_end() && size_bytes <= RESULT_LIMIT_BYTES);
            rows.push(complete.ok_or_else(|| stream.damaged_row())?);
        }
        Ok(Self { columns, rows, warnings: stream.warnings() })
    }

    /// The position of a column, by its name in the result (letters in either case).
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The value of a named column in a row; `None` if there is no such column, or NULL.
    pub fn get(&self, row: usize, name: &str) -> Option<&[u8]> {
        self.rows.get(row)?.get(self.position(name)?)?.as_deref()
    }

    /// The only value of a result with one row.
    pub fn single(&self) -> Option<&[u8]> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// Appends a value as a server sends it, for tests.
#[cfg(test)]
pub(crate) fn put_value(message: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => message.push(0xfb),
        Some(value) => {
            super::wire::put_length(message, value.len());
            message.extend_from_slice(value);
        }
    }
}
