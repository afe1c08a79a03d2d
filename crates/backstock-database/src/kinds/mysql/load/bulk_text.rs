//! The rows of INSERT statements in the form that `LOAD DATA` reads, converted piece by piece on their way to the
//! server: a row of any size takes no memory of its own.
//!
//! A value ends with the byte 1A and a row with a line feed, neither of which stands unescaped in our literals. What
//! stands between the quotes of a literal is then the bulk form already, but for the few escapes that the two read
//! differently. A literal whose meaning depends on more than its bytes is refused, and its table loaded by INSERT.

use std::io::{self, BufRead, Read};

use super::super::rows::CURRENT_ROW_END;
use super::super::sql::{SqlFault, split_insert};
use crate::record::{ColumnRecord, LiteralForm};

/// Ends a value. Written as `x'1A'` in the statement.
const VALUE_END: u8 = 0x1a;
const ROW_END: u8 = b'\n';

/// How much is converted at a time, bytes.
const PIECE_BYTES: usize = 240 * 1024;

/// Why a frame cannot be loaded in bulk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It has another form than our own dumps have.
    Form(&'static str),
    /// It is no SQL.
    Fault(SqlFault),
}

impl From<SqlFault> for Unfit {
    fn from(fault: SqlFault) -> Self {
        Self::Fault(fault)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a statement.
    Statement,
    /// Before the bracket that opens a row.
    Row,
    /// Before the value of this column.
    Value(usize),
    /// Within the quotes of this column's value, which must be ASCII where its bytes depend on a character set.
    Quote(usize, bool),
    /// Behind the value of this column.
    Behind(usize),
}

/// The rows of one frame. As a reader it gives those up to the end or to the next `INSERT IGNORE`.
#[derive(Debug)]
pub(super) struct BulkText<'a> {
    frame: &'a [u8],
    at: usize,
    place: Place,
    table: &'a [u8],
    columns: &'a [ColumnRecord],
    /// What stands between the table's name and the first row.
    head: Vec<u8>,
    /// Converted bytes, of which so many are taken.
    out: Vec<u8>,
    taken: usize,
    rows: u64,
    unfit: Option<Unfit>,
    ignoring: bool,
}

impl<'a> BulkText<'a> {
    /// Starts before the first statement of a frame.
    pub(super) fn new(frame: &'a [u8], table: &'a [u8], columns: &'a [ColumnRecord]) -> Self {
        let names: Vec<Vec<u8>> =
            columns.iter().map(|column| super::super::sql::quote_name(&column.name)).collect();
        Self {
            frame,
            at: 0,
            place: Place::Statement,
            table,
            columns,
            head: [b" (".as_slice(), &names.join(&b","[..]), b") VALUES"].concat(),
            out: Vec::new(),
            taken: 0,
            rows: 0,
            unfit: None,
            ignoring: false,
        }
    }

    /// One row, given its text without brackets.
    pub(super) fn of_row(tuple: &'a [u8], columns: &'a [ColumnRecord]) -> Self {
        Self { place: Place::Value(0), ..Self::new(tuple, b"", columns) }
    }

    /// Rows that were converted since this was asked last.
    pub(super) fn take_rows(&mut self) -> u64 {
        std::mem::take(&mut self.rows)
    }

    /// What ended the conversion early.
    pub(super) fn take_unfit(&mut self) -> Option<Unfit> {
        self.unfit.take()
    }

    /// The `INSERT IGNORE` before which the rows stopped, with all that follows it in the frame.
    pub(super) fn at_ignore(&self) -> Option<&'a [u8]> {
        self.ignoring.then(|| &self.frame[self.at..])
    }

    /// Goes on behind a statement of so many bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.ignoring = false;
    }

    fn convert(&mut self) -> Result<(), Unfit> {
        while self.out.len() < PIECE_BYTES && !self.ignoring {
            match self.place {
                Place::Statement => {
                    if !self.statement()? {
                        return Ok(());
                    }
                }
                Place::Row => self.row()?,
                Place::Value(column) => self.value(column)?,
                Place::Quote(column, ascii) => self.quoted(column, ascii)?,
                Place::Behind(column) => {
                    if !self.behind(column)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while self.frame.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn fault<T>(&self, what: &str) -> Result<T, Unfit> {
        Err(SqlFault::new(self.at, what).into())
    }

    /// Reads the head of a statement. `false` at the end of the frame.
    fn statement(&mut self) -> Result<bool, Unfit> {
        self.skip_blanks();
        while self.frame.get(self.at) == Some(&b';') {
            self.at += 1;
            self.skip_blanks();
        }
        if self.at >= self.frame.len() {
            return Ok(false);
        }
        let rest = &self.frame[self.at..];
        let Some(parts) = split_insert(rest)? else { return Err(Unfit::Form("a statement is no INSERT")) };
        if parts.ignore {
            self.ignoring = true;
            return Ok(false);
        }
        if parts.table != self.table || rest[parts.table_span.end..parts.head_end] != self.head {
            return Err(Unfit::Form("an INSERT has other columns"));
        }
        self.at += parts.head_end;
        self.place = Place::Row;
        Ok(true)
    }

    fn row(&mut self) -> Result<(), Unfit> {
        self.skip_blanks();
        if self.frame.get(self.at) != Some(&b'(') {
            return self.fault("a row does not start with a bracket");
        }
        self.at += 1;
        self.place = Place::Value(0);
        Ok(())
    }

    fn value(&mut self, column: usize) -> Result<(), Unfit> {
        let Some(form) = self.columns.get(column).map(|column| column.literal) else {
            return Err(Unfit::Form("a row has more values than columns"));
        };
        let rest = &self.frame[self.at..];
        let is_bare = matches!(
            form,
            LiteralForm::Number | LiteralForm::Approximate | LiteralForm::Double | LiteralForm::Ordinal
        );
        self.place = Place::Behind(column);
        match rest.first() {
            Some(b'\'') if !is_bare && form != LiteralForm::Bytes => {
                self.at += 1;
                self.place = Place::Quote(column, form == LiteralForm::AsciiText);
            }
            Some(b'_') if !is_bare => {
                let Some(text) = rest.strip_prefix(b"_binary") else {
                    return Err(Unfit::Form("a text names a character set"));
                };
                let blanks = text.iter().take_while(|byte| **byte == b' ').count();
                if text.get(blanks) != Some(&b'\'') || is_plain(form) {
                    return Err(Unfit::Form("a value has another form than its column"));
                }
                self.at += b"_binary".len() + blanks + 1;
                self.place = Place::Quote(column, false);
            }
            Some(b'-' | b'0'..=b'9') if is_bare => {
                let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(|byte| is_number(byte)).count();
                self.out.extend_from_slice(&rest[..length]);
                self.at += length;
            }
            Some(b'N') if rest.starts_with(b"NULL") => {
                self.out.extend_from_slice(b"\\N");
                self.at += b"NULL".len();
            }
            // An empty value: no time is written so, and the statement puts the variable in its place.
            Some(b'@') if form == LiteralForm::RowEnd && rest.starts_with(CURRENT_ROW_END.as_bytes()) => {
                self.at += CURRENT_ROW_END.len();
            }
            _ => return Err(Unfit::Form("a value has another form than its column")),
        }
        Ok(())
    }

    /// Copies what stands in quotes, as much as fits.
    fn quoted(&mut self, column: usize, ascii: bool) -> Result<(), Unfit> {
        while self.out.len() < PIECE_BYTES {
            let rest = &self.frame[self.at..];
            let rest = &rest[..rest.len().min(PIECE_BYTES)];
            let plain = plain_bytes(rest);
            if ascii && !rest[..plain].is_ascii() {
                return Err(Unfit::Form("a text must be converted to the column's character set"));
            }
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            if plain == rest.len() && plain > 0 {
                continue;
            }
            // Asked of the frame again: the piece may end behind this byte.
            let next = self.frame.get(self.at + 1).copied();
            match (self.frame.get(self.at), next) {
                (Some(b'\''), Some(b'\'')) => {
                    self.out.push(b'\'');
                    self.at += 2;
                }
                (Some(b'\''), _) => {
                    self.at += 1;
                    self.place = Place::Behind(column);
                    return Ok(());
                }
                (Some(b'\\'), Some(escaped)) => {
                    put_escaped(escaped, &mut self.out);
                    self.at += 2;
                }
                (Some(b'\\') | None, _) => return self.fault("a quote does not end"),
                (Some(byte), _) => {
                    put_raw(*byte, &mut self.out);
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    /// Reads what stands behind a value. `false` at the end of a single row.
    fn behind(&mut self, column: usize) -> Result<bool, Unfit> {
        let is_last = column + 1 == self.columns.len();
        match self.frame.get(self.at) {
            Some(b',') if !is_last => {
                self.out.push(VALUE_END);
                self.at += 1;
                self.place = Place::Value(column + 1);
                return Ok(true);
            }
            Some(b')') if is_last => self.at += 1,
            None if is_last && self.table.is_empty() => {}
            _ => return Err(Unfit::Form("a row has not as many values as the table has columns")),
        }
        self.out.push(ROW_END);
        self.rows += 1;
        self.skip_blanks();
        self.place = Place::Row;
        match self.frame.get(self.at) {
            Some(b',') => self.at += 1,
            Some(b';') => {
                self.at += 1;
                self.place = Place::Statement;
            }
            None if self.table.is_empty() => {
                self.place = Place::Statement;
                return Ok(false);
            }
            _ => return self.fault("neither a comma nor an end follows a row"),
        }
        Ok(true)
    }
}

/// Forms that are text for the server, never bytes.
fn is_plain(form: LiteralForm) -> bool {
    matches!(form, LiteralForm::Quoted | LiteralForm::RowEnd)
}

/// How many bytes from the start mean themselves in both forms.
fn plain_bytes(text: &[u8]) -> usize {
    const fn is_special(byte: u8) -> bool {
        matches!(byte, b'\'' | b'\\' | VALUE_END | ROW_END | 0)
    }
    // Most chunks hold none: looked at as a whole, since that takes few instructions.
    let mut clean = 0;
    for chunk in text.chunks_exact(32) {
        if chunk.iter().fold(false, |any, byte| any | is_special(*byte)) {
            break;
        }
        clean += chunk.len();
    }
    text[clean..].iter().position(|byte| is_special(*byte)).map_or(text.len(), |at| clean + at)
}

/// A byte behind a backslash. `\%` and `\_` keep their backslash in SQL; `\N` alone would be NULL in the bulk form.
fn put_escaped(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'%' | b'_' => out.extend_from_slice(&[b'\\', b'\\', byte]),
        b'0' | b'n' | b'r' | b't' | b'b' | b'Z' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        byte => put_raw(byte, out),
    }
}

/// A byte that means itself in the literal.
fn put_raw(byte: u8, out: &mut Vec<u8>) {
    match byte {
        0 => out.extend_from_slice(b"\\0"),
        VALUE_END => out.extend_from_slice(b"\\Z"),
        ROW_END => out.extend_from_slice(b"\\n"),
        b'\\' => out.extend_from_slice(b"\\\\"),
        byte => out.push(byte),
    }
}

impl Read for BulkText<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for BulkText<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
            if let Err(unfit) = self.convert() {
                self.unfit = Some(unfit);
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the rows have no bulk form"));
            }
        }
        Ok(&self.out[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

#[cfg(test)]
mod tests;
