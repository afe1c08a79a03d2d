//! Rows as they came: a stream of them, or a small result in memory.

use super::Connection;
use super::answer::{Column, Done};
use super::prepared::Prepared;
use super::wire::Fields;
use crate::error::{Error, Result, readable_statement};
use crate::kinds::mysql::literals::Value;

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

/// One row: of the text protocol a sequence of values, each raw bytes or NULL.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The row, and what stands behind it in the buffer.
    padded: &'a [u8],
    size_bytes: usize,
}

impl<'a> Row<'a> {
    /// The first `size_bytes` of `padded`, which has at least as many.
    #[inline]
    pub(crate) fn new((padded, size_bytes): (&'a [u8], usize)) -> Self {
        Self { padded, size_bytes }
    }

    /// The values from left to right.
    #[inline]
    pub fn values(&self) -> Values<'a> {
        Values { padded: self.padded, left: self.size_bytes }
    }

    /// The row's length in bytes, as sent.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The row as sent: each value behind its length.
    pub fn bytes(&self) -> &'a [u8] {
        &self.padded[..self.size_bytes]
    }
}

/// The values of a row, from left to right.
#[derive(Debug)]
pub struct Values<'a> {
    /// The values that were not taken yet, and what stands behind the row.
    padded: &'a [u8],
    /// How many bytes of it belong to the row.
    left: usize,
}

impl<'a> Values<'a> {
    /// The next value: `None` where the row is damaged or has no more, `Some(None)` for NULL.
    #[inline]
    pub fn take(&mut self) -> Option<Option<&'a [u8]>> {
        self.take_padded().map(|value| value.map(|value| value.bytes()))
    }

    /// The next value with what stands behind it.
    #[inline]
    pub(crate) fn take_padded(&mut self) -> Option<Option<Value<'a>>> {
        // Most values are shorter than the lengths that need more than a byte.
        let first = *self.padded.first().filter(|_| self.left > 0)?;
        let (length, behind, left) = if first < 0xfb {
            (usize::from(first), &self.padded[1..], self.left - 1)
        } else {
            let mut fields = Fields(&self.padded[..self.left]);
            let Some(length) = fields.length().ok()? else {
                self.padded = &self.padded[1..];
                self.left -= 1;
                return Some(None);
            };
            let left = fields.0.len();
            (usize::try_from(length).ok()?, &self.padded[self.left - left..], left)
        };
        if length > left {
            return None;
        }
        self.padded = &behind[length..];
        self.left = left - length;
        Some(Some(Value::new(behind, length)))
    }

    /// The next bytes, as many as a value of fixed width has; `None` where the row ends before.
    #[inline]
    pub(crate) fn take_fixed<const WIDTH: usize>(&mut self) -> Option<[u8; WIDTH]> {
        let bytes = *self.padded.first_chunk::<WIDTH>().filter(|_| self.left >= WIDTH)?;
        self.padded = &self.padded[WIDTH..];
        self.left -= WIDTH;
        Some(bytes)
    }

    /// The next `count` bytes; `None` where the row ends before.
    #[inline]
    pub(crate) fn take_bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        if count > self.left {
            return None;
        }
        let (bytes, behind) = self.padded.split_at(count);
        self.padded = behind;
        self.left -= count;
        Some(bytes)
    }

    /// Whether the whole row was taken.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.left == 0
    }
}

/// The rows of a query under way.
#[derive(Debug)]
pub struct RowStream<'a> {
    connection: &'a mut Connection,
    statement: Vec<u8>,
    columns: Vec<Column>,
    end: Option<Done>,
    /// A statement that the server prepared for these rows alone, and that is closed behind them.
    prepared: Option<Prepared>,
}

impl<'a> RowStream<'a> {
    pub(crate) fn new(connection: &'a mut Connection, sql: &[u8], columns: Vec<Column>) -> Self {
        let end = columns.is_empty().then(Done::default);
        // Only messages need the statement, and they show its start only.
        let statement = sql[..sql.len().min(256)].to_vec();
        Self { connection, statement, columns, end, prepared: None }
    }

    /// The same rows; the statement is closed behind them.
    pub(super) fn of_prepared(mut self, prepared: Prepared) -> Self {
        self.prepared = Some(prepared);
        self
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

    /// Gives the memory of a large row back, which is not needed any more.
    #[inline]
    pub(crate) fn forget_row(&mut self) {
        self.connection.wire.forget_last();
    }

    /// The error for a row whose lengths do not fit.
    pub fn damaged_row(&self) -> Error {
        let what = "a row's lengths do not fit".to_owned();
        Error::Protocol { statement: readable_statement(&self.statement), what }
    }
}

impl Drop for RowStream<'_> {
    fn drop(&mut self) {
        self.connection.wire.leave_large();
        if self.end.is_none() {
            self.connection.broken = true;
        } else if let Some(prepared) = self.prepared.take() {
            self.connection.close_prepared(&prepared);
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
