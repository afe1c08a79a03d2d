//! The rows of a table with history for a server that keeps none: the current ones, without their times.
//!
//! Data could be lost here if a current row were taken for one of the past: a row is current if and only if it ends in the
//! variable that the dump wrote for "no end".

use std::collections::BTreeMap;
use std::io;

use super::super::rows::CURRENT_ROW_END;
use super::super::sql::{Splitter, SqlFault, Tuples, quote_name, split_insert};
use crate::load::{FrameSource, LoadPlan};
use crate::record::TableRecord;

/// Gives frames as another source does, but of some tables the current rows alone.
pub(crate) struct CurrentRows<'a> {
    source: &'a dyn FrameSource,
    tables: BTreeMap<u64, &'a TableRecord>,
}

impl<'a> CurrentRows<'a> {
    pub(crate) fn new(plan: &'a LoadPlan, source: &'a dyn FrameSource) -> Self {
        let of_frames =
            |record: &'a TableRecord| record.frames.iter().map(move |frame| (frame.frame, record));
        let tables = plan
            .new_tables()
            .filter(|(table, _)| table.current_rows_only)
            .flat_map(|(_, record)| of_frames(record))
            .collect();
        Self { source, tables }
    }
}

impl FrameSource for CurrentRows<'_> {
    fn frame(&self, number: u64) -> io::Result<Vec<u8>> {
        let frame = self.source.frame(number)?;
        match self.tables.get(&number) {
            None => Ok(frame),
            Some(record) => current(&frame, record).map_err(io::Error::other),
        }
    }

    fn frame_bytes(&self, number: u64) -> u64 {
        self.source.frame_bytes(number)
    }
}

/// The statements of a frame with their current rows. `record` names the columns without the times.
fn current(frame: &[u8], record: &TableRecord) -> Result<Vec<u8>, SqlFault> {
    let names: Vec<Vec<u8>> = record.columns.iter().map(|column| quote_name(&column.name)).collect();
    let head = [&quote_name(&record.name), b" (".as_slice(), &names.join(&b","[..]), b") VALUES\n"].concat();
    let ending = format!(",{CURRENT_ROW_END}").into_bytes();
    let mut out = Vec::with_capacity(frame.len());
    let mut splitter = Splitter::new(frame);
    while let Some(statement) = splitter.next_statement()? {
        let Some(parts) = split_insert(statement.text)? else {
            return Err(SqlFault::new(statement.offset_bytes, "a statement of rows is no INSERT"));
        };
        let mut tuples = Tuples::new(statement.text, &parts);
        let mut count = 0_u64;
        while let Some(tuple) = tuples.next_tuple()? {
            // The last two values are times: quoted, and without a comma in them.
            let Some(row) = tuple.strip_suffix(&ending[..]) else { continue };
            let Some(cut) = row.iter().rposition(|byte| *byte == b',') else {
                return Err(SqlFault::new(statement.offset_bytes, "a row has no start of its time"));
            };
            let begin: &[u8] = if parts.ignore { b"INSERT IGNORE INTO " } else { b"INSERT INTO " };
            let before = if count == 0 { [begin, &head].concat() } else { b",\n".to_vec() };
            out.extend_from_slice(&[before.as_slice(), b"(", &row[..cut], b")"].concat());
            count += 1;
        }
        if count > 0 {
            out.extend_from_slice(b";\n");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ColumnRecord, LiteralForm};

    #[test]
    fn rows_of_the_past_stay_behind() {
        let column = |name: &str| ColumnRecord {
            name: name.into(),
            literal: LiteralForm::Text,
            type_text: "varchar(9)".into(),
        };
        let record = TableRecord {
            columns: vec![column("a"), column("b")],
            row_count: 4,
            ..TableRecord::empty("t`", "InnoDB")
        };
        let frame = b"INSERT INTO `t``` (`a`,`b`,`row_start`,`row_end`) VALUES\n(1,',@backstock_row_end','2020-01-01 00:00:00.5',\
            '2021-01-01 00:00:00'),\n(2,'x','2020-01-01 00:00:00.5',@backstock_row_end),\n(3,')','2020-01-01 00:00:00',@backstock_row_end);\n\
            INSERT INTO `t``` (`a`,`b`,`row_start`,`row_end`) VALUES\n(4,'y','2020-01-01 00:00:00','2021-01-01 00:00:00');\n";
        let text = String::from_utf8(current(frame, &record).unwrap()).unwrap();
        assert_eq!(text, "INSERT INTO `t``` (`a`,`b`) VALUES\n(2,'x'),\n(3,')');\n");
    }
}
