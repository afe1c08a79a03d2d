//! Reads the rows of tables, row by row from the socket into frames: no table is ever in memory.

use backstock_host::memory::buffer_to_give_back;

use super::super::binary_rows::{self, BinaryCoder};
use super::super::connection::{Connection, Row, RowStream, USUAL_BYTES};
use super::super::row_writer::text_bytes;
use super::super::rows::{Oddity, RowCoder, select_expression};
use super::super::sql::quote_name;
use super::super::writer::CURRENT_ROW_END_OF_SERVER;
use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{Checksum, ColumnRecord, RowHash, TableRecord};

/// A range of the key, each bound as the server wrote it. The lower one is not part of it, the upper one is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Range {
    pub(crate) column: RawText,
    pub(crate) above: Option<String>,
    pub(crate) up_to: Option<String>,
}

/// Which rows of which table, in which order.
#[derive(Debug, Clone)]
pub(crate) struct RowSource<'a> {
    pub(crate) table: &'a [u8],
    pub(crate) columns: &'a [ColumnRecord],
    /// The primary key, for its order; columns with `true` run downwards.
    pub(crate) key: &'a [(RawText, bool)],
    pub(crate) with_history: bool,
    /// Let the server set the rows aside, so that a table without transactions is free again sooner.
    pub(crate) buffered: bool,
    /// Read tables of numbers in the binary form of the protocol. What checks a dump does not: it would repeat a
    /// mistake of that form.
    pub(crate) in_binary_form: bool,
    pub(crate) range: Option<Range>,
}

impl<'a> RowSource<'a> {
    /// All rows in any order.
    pub(crate) fn whole(record: &'a TableRecord, table: &'a [u8]) -> Self {
        let with_history = record.versioning.as_ref().is_some_and(|versioning| versioning.with_history);
        Self {
            table,
            columns: &record.columns,
            key: &[],
            with_history,
            buffered: false,
            in_binary_form: false,
            range: None,
        }
    }

    fn sql(&self) -> Vec<u8> {
        let mut expressions: Vec<Vec<u8>> = self.columns.iter().map(select_expression).collect();
        if expressions.is_empty() {
            // A table of generated columns only: its rows count, though they have no value to write.
            expressions.push(b"1".to_vec());
        }
        let mut sql = b"SELECT /*!40001 SQL_NO_CACHE */ ".to_vec();
        if self.buffered {
            sql.extend_from_slice(b"SQL_BUFFER_RESULT ");
        }
        sql.extend_from_slice(&expressions.join(&b","[..]));
        sql.extend_from_slice(&[b" FROM ".as_slice(), &quote_name(self.table)].concat());
        if self.with_history {
            sql.extend_from_slice(b" FOR SYSTEM_TIME ALL");
        } else if !self.key.is_empty() {
            sql.extend_from_slice(b" FORCE INDEX (PRIMARY)");
        }
        if let Some(range) = &self.range {
            let column = quote_name(&range.column);
            let mut word = b" WHERE ".as_slice();
            for (bound, sign) in [(&range.above, ">"), (&range.up_to, "<=")] {
                if let Some(bound) = bound {
                    sql.extend_from_slice(&[word, &column, sign.as_bytes(), bound.as_bytes()].concat());
                    word = b" AND ";
                }
            }
        }
        if !self.key.is_empty() && !self.with_history {
            let order: Vec<Vec<u8>> = self
                .key
                .iter()
                .map(|(name, down)| {
                    [quote_name(name).as_slice(), if *down { b" DESC" } else { b"" }].concat()
                })
                .collect();
            sql.extend_from_slice(&[b" ORDER BY ".as_slice(), &order.join(&b","[..])].concat());
        }
        sql
    }
}

/// The time that the server writes for "no end" in a versioned table.
pub(crate) fn current_row_end(connection: &mut Connection, record: &TableRecord) -> Result<Vec<u8>> {
    if record.versioning.is_none() {
        return Ok(Vec::new());
    }
    let result = connection.query(format!("SELECT {CURRENT_ROW_END_OF_SERVER}").as_bytes())?;
    Ok(result.single().unwrap_or_default().to_vec())
}

/// Takes the rows of a table one by one.
pub(crate) trait RowTaker {
    /// A row begins that the server sent in so many bytes. Its text goes to the end of what is returned.
    fn begin(&mut self, size_bytes: usize) -> Result<&mut Vec<u8>>;

    /// The row's text is written.
    fn end(&mut self, oddity: Oddity) -> Result<()>;
}

/// Hands over the text of each row, without brackets.
pub(crate) fn each_row(
    connection: &mut Connection,
    source: &RowSource<'_>,
    current_row_end: &[u8],
    taker: &mut impl RowTaker,
) -> Result<()> {
    let sql = source.sql();
    if source.in_binary_form
        && binary_rows::pays(source.columns)
        && let Some(prepared) = connection.prepare(&sql)?
    {
        if BinaryCoder::new(source.columns, &prepared.columns).is_none() {
            connection.close_prepared(&prepared);
        } else {
            let rows = connection.execute_prepared(&sql, prepared)?;
            let coder = BinaryCoder::new(source.columns, rows.columns()).ok_or_else(|| changed(source))?;
            return hand_over(rows, |row, text| coder.encode(row, text), taker);
        }
    }
    let rows = connection.query_streaming(&sql)?;
    if rows.columns().len() != source.columns.len().max(1) {
        return Err(changed(source));
    }
    if source.columns.is_empty() {
        return hand_over(rows, |_, _| Some(Oddity::default()), taker);
    }
    let coder = RowCoder::new(source.columns, current_row_end);
    hand_over(rows, |row, text| coder.encode(row, text), taker)
}

fn changed(source: &RowSource<'_>) -> Error {
    let (object, what) = (format!("table {}", readable(source.table)), "its columns changed".to_owned());
    Error::Definition { object, what }
}

/// Lets every row be written and taken.
fn hand_over(
    mut rows: RowStream<'_>,
    encode: impl Fn(Row<'_>, &mut Vec<u8>) -> Option<Oddity>,
    taker: &mut impl RowTaker,
) -> Result<()> {
    loop {
        let Some(row) = rows.next()? else { return Ok(()) };
        let text = taker.begin(row.size_bytes())?;
        let Some(oddity) = encode(row, text) else { return Err(rows.damaged_row()) };
        rows.forget_row();
        taker.end(oddity)?;
    }
}

/// Adds rows up and keeps none.
#[derive(Debug)]
pub(crate) struct RowSum {
    text: Vec<u8>,
    /// How many rows there were.
    pub(crate) row_count: u64,
    /// Their checksum.
    pub(crate) checksum: Checksum,
}

impl RowSum {
    /// Of no row yet.
    pub(crate) fn new(row_hash: RowHash) -> Self {
        Self { text: Vec::new(), row_count: 0, checksum: Checksum::of_none(row_hash) }
    }
}

impl RowTaker for RowSum {
    #[inline]
    fn begin(&mut self, size_bytes: usize) -> Result<&mut Vec<u8>> {
        self.text.clear();
        if size_bytes > USUAL_BYTES {
            if self.text.capacity() < text_bytes(size_bytes) {
                self.text = Vec::new();
                self.text = buffer_to_give_back(text_bytes(size_bytes));
            }
        } else if self.text.capacity() > USUAL_BYTES {
            self.text = Vec::new();
        }
        Ok(&mut self.text)
    }

    #[inline]
    fn end(&mut self, _oddity: Oddity) -> Result<()> {
        self.row_count += 1;
        self.checksum.add_row(&self.text);
        Ok(())
    }
}

/// Bounds that cut a table into ranges of about `rows` rows each, found by stepping through the first column of its key
/// inside the snapshot. Gaps in the numbers make no empty ranges; rows with the same number stay together.
pub(crate) fn ranges(
    connection: &mut Connection,
    table: &[u8],
    column: &RawText,
    rows: u64,
) -> Result<Vec<Range>> {
    let name = quote_name(column);
    let mut ranges = Vec::new();
    let mut above: Option<String> = None;
    loop {
        let condition =
            above.as_ref().map(|bound| [b" WHERE ".as_slice(), &name, b">", bound.as_bytes()].concat());
        let sql = [
            b"SELECT ".as_slice(),
            &name,
            b" FROM ",
            &quote_name(table),
            b" FORCE INDEX (PRIMARY)",
            condition.as_deref().unwrap_or_default(),
            b" ORDER BY ",
            &name,
            format!(" LIMIT {},1", rows.max(1) - 1).as_bytes(),
        ]
        .concat();
        let bound = connection.query(&sql)?.single().map(readable);
        let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let up_to = bound.filter(is_number);
        let last = up_to.is_none();
        ranges.push(Range { column: column.clone(), above: above.take(), up_to: up_to.clone() });
        if last {
            return Ok(ranges);
        }
        above = up_to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LiteralForm;

    #[test]
    fn a_query_has_its_parts() {
        let columns = [
            ColumnRecord { name: "a".into(), literal: LiteralForm::Number, type_text: "int".into() },
            ColumnRecord { name: "f`".into(), literal: LiteralForm::Approximate, type_text: "float".into() },
            ColumnRecord { name: "e".into(), literal: LiteralForm::Ordinal, type_text: "enum('x')".into() },
        ];
        let key = [(RawText::from("a"), true)];
        let range = Range { column: "a".into(), above: Some("-5".to_owned()), up_to: Some("9".to_owned()) };
        let source = RowSource {
            table: b"t",
            columns: &columns,
            key: &key,
            with_history: false,
            buffered: false,
            in_binary_form: false,
            range: Some(range),
        };
        assert_eq!(
            String::from_utf8(source.sql()).unwrap(),
            "SELECT /*!40001 SQL_NO_CACHE */ `a`,`f```*1e0,CAST(`e` AS UNSIGNED) FROM `t` FORCE INDEX (PRIMARY) \
             WHERE `a`>-5 AND `a`<=9 ORDER BY `a` DESC"
        );
    }
}
