//! The frames of one table's rows. Data can be lost here: what does not come out of this in a frame is in no restore.
//!
//! The text of a row is put where it stays: at the end of the frame's buffer, behind the bracket. Only a row that turns
//! out to belong elsewhere is moved: into the next statement, or among those that need an `INSERT IGNORE`.

use backstock_host::memory::buffer_to_give_back;

use super::connection::USUAL_BYTES;
use super::rows::Oddity;
use super::sql::quote_name;
use super::writer::{FRAME_BYTES, sink_error};
use crate::dump::DumpSink;
use crate::error::Result;
use crate::record::{Checksum, ColumnRecord, FrameRecord, TableRecord};

/// A statement of rows ends before it would grow above this, bytes: the smallest limit of a packet that any server
/// has by default is 1 MiB.
const STATEMENT_BYTES: usize = 1024 * 1024 - 1024;

/// Between two rows of a statement, with the bracket of the second.
const BETWEEN_ROWS: &[u8] = b",\n(";

/// Behind the last row of a statement, without its bracket.
const STATEMENT_END: &[u8] = b";\n";

/// How much to have ready for the text of a long row that the server sent in so many bytes: few of them are escaped.
pub(crate) fn text_bytes(size_bytes: usize) -> usize {
    size_bytes + size_bytes / 64 + 4096
}

/// Writes the rows of one table, or of a range of its key.
pub(crate) struct RowWriter<'a> {
    sink: &'a dyn DumpSink,
    database: &'a [u8],
    head: Vec<u8>,
    ignore_head: Vec<u8>,
    text: Vec<u8>,
    /// Where the open statement starts in `text`.
    statement: Option<usize>,
    /// Where the text of the row that was begun starts in `text`.
    row: usize,
    frame: (u64, Checksum),
    /// Rows that need `INSERT IGNORE`: their text with brackets, their number and checksum.
    odd: (Vec<u8>, u64, Checksum),
    frames: Vec<FrameRecord>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(
        sink: &'a dyn DumpSink,
        database: &'a [u8],
        table: &[u8],
        columns: &[ColumnRecord],
    ) -> Self {
        let names: Vec<Vec<u8>> = columns.iter().map(|column| quote_name(&column.name)).collect();
        let rest = [b" INTO ".as_slice(), &quote_name(table), b" (", &names.join(&b","[..]), b") VALUES\n("]
            .concat();
        Self {
            sink,
            database,
            head: [b"INSERT", rest.as_slice()].concat(),
            ignore_head: [b"INSERT IGNORE", rest.as_slice()].concat(),
            text: Vec::new(),
            statement: None,
            row: 0,
            frame: Default::default(),
            odd: Default::default(),
            frames: Vec::new(),
        }
    }

    /// Begins a row that the server sent in so many bytes: its text, without brackets, goes to the end of what is
    /// returned.
    #[inline]
    pub(crate) fn begin_row(&mut self, size_bytes: usize) -> Result<&mut Vec<u8>> {
        if size_bytes > STATEMENT_BYTES {
            // It has a statement of its own, and most of a frame: the buffer grows once, and as little as it can, or
            // is made for a large row alone.
            self.end_statement()?;
            self.end_frame()?;
            if size_bytes > USUAL_BYTES {
                self.text = buffer_to_give_back(self.head.len() + text_bytes(size_bytes));
            }
            self.open(false);
            self.text.reserve_exact(text_bytes(size_bytes));
        } else if self.statement.is_some() {
            self.text.extend_from_slice(BETWEEN_ROWS);
        } else {
            self.open(false);
        }
        self.row = self.text.len();
        Ok(&mut self.text)
    }

    /// Ends the row. Returns how many bytes its text has.
    #[inline]
    pub(crate) fn end_row(&mut self, oddity: Oddity) -> Result<usize> {
        let size_bytes = self.text.len() - self.row;
        if oddity.enum_error {
            self.set_aside()?;
            return Ok(size_bytes);
        }
        let start = self.statement.unwrap_or_default();
        if self.text.len() + 1 - start > STATEMENT_BYTES {
            self.move_to_new_statement(start)?;
        }
        self.frame.0 += 1;
        self.frame.1.add_row(&self.text[self.row..]);
        self.text.push(b')');
        if size_bytes > STATEMENT_BYTES {
            // Handed on before the next row, which may be as long, is received.
            self.end_statement()?;
        }
        Ok(size_bytes)
    }

    /// Ends the statement before the row just written, unless the row is its only one.
    fn move_to_new_statement(&mut self, statement: usize) -> Result<()> {
        if self.row == statement + self.head.len() {
            return Ok(());
        }
        let row = self.take_row();
        self.end_statement()?;
        self.open(false);
        self.row = self.text.len();
        self.text.extend_from_slice(&row);
        Ok(())
    }

    /// Takes the row just written away again, with what stands between it and the one before.
    fn take_row(&mut self) -> Vec<u8> {
        let row = self.text.split_off(self.row);
        match self.statement {
            Some(start) if self.row == start + self.head.len() => {
                self.text.truncate(start);
                self.statement = None;
            }
            _ => self.text.truncate(self.row - BETWEEN_ROWS.len()),
        }
        row
    }

    fn set_aside(&mut self) -> Result<()> {
        let row = self.take_row();
        if !self.odd.0.is_empty() {
            if self.odd.0.len() + row.len() > STATEMENT_BYTES {
                self.flush_odd()?;
            } else {
                self.odd.0.extend_from_slice(b"),\n(");
            }
        }
        self.odd.0.extend_from_slice(&row);
        self.odd.1 += 1;
        self.odd.2.add_row(&row);
        Ok(())
    }

    fn flush_odd(&mut self) -> Result<()> {
        let (text, count, checksum) = std::mem::take(&mut self.odd);
        if count == 0 {
            return Ok(());
        }
        self.end_statement()?;
        self.open(true);
        self.text.extend_from_slice(&text);
        self.text.push(b')');
        self.frame.0 += count;
        self.frame.1.add(checksum);
        self.end_statement()
    }

    fn open(&mut self, ignore: bool) {
        if self.text.capacity() == 0 {
            self.text = self.sink.buffer();
        }
        self.statement = Some(self.text.len());
        self.text.extend_from_slice(if ignore { &self.ignore_head } else { &self.head });
    }

    fn end_statement(&mut self) -> Result<()> {
        if self.statement.take().is_some() {
            self.text.extend_from_slice(STATEMENT_END);
        }
        if self.text.len() >= FRAME_BYTES { self.end_frame() } else { Ok(()) }
    }

    fn end_frame(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let (row_count, checksum) = std::mem::take(&mut self.frame);
        let frame = self.sink.frame(text).map_err(|source| sink_error(self.database, source))?;
        self.frames.push(FrameRecord { frame, row_count, checksum });
        Ok(())
    }

    /// Ends the last statement and frame.
    pub(crate) fn finish(mut self) -> Result<Vec<FrameRecord>> {
        self.flush_odd()?;
        self.end_statement()?;
        self.end_frame()?;
        Ok(self.frames)
    }
}

/// Puts the frames of a table together, in key order.
pub(crate) fn add_frames(table: &mut TableRecord, frames: Vec<FrameRecord>) {
    for frame in frames {
        table.row_count += frame.row_count;
        table.checksum.add(frame.checksum);
        table.frames.push(frame);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::super::sql::check_rows_frame;
    use super::*;
    use crate::record::{LiteralForm, RowHash};

    #[derive(Default)]
    struct Frames(Mutex<Vec<Vec<u8>>>);

    impl DumpSink for Frames {
        fn buffer(&self) -> Vec<u8> {
            Vec::new()
        }
        fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
            let mut frames = self.0.lock().unwrap();
            frames.push(text);
            Ok(frames.len() as u64 - 1)
        }
    }

    fn column() -> ColumnRecord {
        ColumnRecord { name: "a`b".into(), literal: LiteralForm::Number, type_text: "int".into() }
    }

    /// Writes rows of digits of these lengths; those with a mark need `INSERT IGNORE`.
    fn write(sink: &Frames, rows: &[(usize, bool)]) -> Vec<FrameRecord> {
        let mut writer = RowWriter::new(sink, b"d", b"t", &[column()]);
        for (number, (length, enum_error)) in rows.iter().enumerate() {
            let mut row = number.to_string().into_bytes();
            row.resize(row.len().max(*length), b'7');
            writer.begin_row(row.len()).unwrap().extend_from_slice(&row);
            let oddity = Oddity { enum_error: *enum_error, ..Oddity::default() };
            assert_eq!(writer.end_row(oddity).unwrap(), row.len());
        }
        writer.finish().unwrap()
    }

    /// Every frame adds up to what its record says, every statement is short enough, and every row is there once.
    fn check(sink: &Frames, frames: &[FrameRecord], rows: &[(usize, bool)]) {
        let texts = sink.0.lock().unwrap();
        assert_eq!(texts.len(), frames.len());
        let mut found = Vec::new();
        for (frame, text) in frames.iter().zip(texts.iter()) {
            let facts = check_rows_frame(text, RowHash::Xxh3).unwrap();
            assert_eq!((facts.table.as_slice(), facts.row_count), (&b"t"[..], frame.row_count));
            assert_eq!(facts.checksum, frame.checksum);
            let text = std::str::from_utf8(text).unwrap();
            assert!(text.ends_with(");\n"));
            for statement in text.split_inclusive(";\n") {
                let (head, list) = statement.split_once(" VALUES\n(").unwrap();
                let list = list.strip_suffix(");\n").unwrap();
                let ignore = match head {
                    "INSERT INTO `t` (`a``b`)" => false,
                    "INSERT IGNORE INTO `t` (`a``b`)" => true,
                    other => panic!("{other}"),
                };
                let list: Vec<&str> = list.split("),\n(").collect();
                assert!(list.len() == 1 || statement.len() <= STATEMENT_BYTES + 4, "{}", statement.len());
                found.extend(list.into_iter().map(|row| (row.len(), ignore)));
            }
        }
        let mut wanted: Vec<(usize, bool)> = rows
            .iter()
            .enumerate()
            .map(|(number, (length, ignore))| (number.to_string().len().max(*length), *ignore))
            .collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert!(found == wanted);
    }

    #[test]
    fn rows_become_frames_whose_text_gives_the_same_checksum() {
        let rows: Vec<(usize, bool)> = (0..40).map(|at| (300_000 - at, at % 10 == 3)).collect();
        let sink = Frames::default();
        let frames = write(&sink, &rows);
        assert!(frames.len() >= 3);
        check(&sink, &frames, &rows);
        let texts = sink.0.lock().unwrap();
        assert!(texts.iter().all(|text| text.len() < FRAME_BYTES + STATEMENT_BYTES));
    }

    #[test]
    fn rows_that_are_longer_than_a_statement_have_one_for_themselves() {
        let long = STATEMENT_BYTES;
        for rows in [
            vec![(long + 1, false)],
            vec![(5, false), (long + 1, false), (6, false)],
            vec![(5, false), (long - 40, false), (long - 41, false), (6, false), (6, true)],
            vec![(5, true), (3 * long, true), (long - 3, true), (7, false)],
            vec![(5_000_000, false), (5_000_000, false), (1, true)],
        ] {
            let sink = Frames::default();
            let frames = write(&sink, &rows);
            check(&sink, &frames, &rows);
        }
    }

    #[test]
    fn a_table_without_rows_has_no_frame() {
        assert!(write(&Frames::default(), &[]).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_rows_come_out_once_and_add_up(rows in proptest::collection::vec(
            (prop_oneof![4 => 1_usize..2000, 1 => 200_000_usize..600_000, 1 => 1_000_000_usize..1_100_000], prop::bool::weighted(0.2)),
            0..16,
        )) {
            let sink = Frames::default();
            let frames = write(&sink, &rows);
            check(&sink, &frames, &rows);
        }
    }
}
