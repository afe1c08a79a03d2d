//! The INSERT statements of our own dumps: their parts, and the row hashes recomputed from their text alone.

use std::ops::Range;

use super::lexer::{Lexer, Modes, TokenKind, name_bytes};
use super::{Splitter, SqlFault};
use crate::record::{Checksum, RowHash};

/// What the rows of one frame add up to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowsFacts {
    /// The one table of the frame; its bytes as they are named in the text.
    pub table: Vec<u8>,
    /// How many rows.
    pub row_count: u64,
    /// Their checksum.
    pub checksum: Checksum,
    /// How many statements, INSERT or other.
    pub statements: u64,
}

/// Where the parts of an INSERT statement lie in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InsertParts {
    /// Whether it is an INSERT IGNORE.
    pub(crate) ignore: bool,
    /// The table's name, unquoted.
    pub(crate) table: Vec<u8>,
    /// The name as it stands in the text.
    pub(crate) table_span: Range<usize>,
    /// Behind the word VALUES.
    pub(crate) head_end: usize,
}

/// Finds the parts of a statement of the form ``INSERT [IGNORE] INTO `t` (…) VALUES …``. `None` for any other.
pub(crate) fn split_insert(statement: &[u8]) -> Result<Option<InsertParts>, SqlFault> {
    let mut lexer = Lexer::new(statement, Modes::default());
    let mut next = || lexer.next_token();
    match next()? {
        Some(token) if token.is_word(statement, "insert") => {}
        _ => return Ok(None),
    }
    let mut token = next()?;
    let ignore = token.is_some_and(|token| token.is_word(statement, "ignore"));
    if ignore {
        token = next()?;
    }
    if token.is_some_and(|token| token.is_word(statement, "into")) {
        token = next()?;
    }
    let name = token.filter(|token| matches!(token.kind, TokenKind::Name | TokenKind::Word));
    let Some(name) = name else {
        return Err(SqlFault::new(0, "an INSERT statement names no table"));
    };
    while let Some(token) = next()? {
        if token.is_word(statement, "values") {
            return Ok(Some(InsertParts {
                ignore,
                table: name_bytes(name.text(statement)),
                table_span: name.start..name.end,
                head_end: token.end,
            }));
        }
    }
    Err(SqlFault::new(statement.len(), "an INSERT statement has no rows"))
}

/// Walks over the bracketed rows of an INSERT statement.
#[derive(Debug)]
pub(crate) struct Tuples<'a> {
    text: &'a [u8],
    position: usize,
    started: bool,
}

impl<'a> Tuples<'a> {
    pub(crate) fn new(statement: &'a [u8], parts: &InsertParts) -> Self {
        Self { text: statement, position: parts.head_end, started: false }
    }

    fn skip_blanks(&mut self) {
        while self.text.get(self.position).is_some_and(u8::is_ascii_whitespace) {
            self.position += 1;
        }
    }

    /// The next row's text without its brackets, or `None` behind the last.
    pub(crate) fn next_tuple(&mut self) -> Result<Option<&'a [u8]>, SqlFault> {
        self.skip_blanks();
        match self.text.get(self.position) {
            None if self.started => return Ok(None),
            Some(b',') if self.started => {
                self.position += 1;
                self.skip_blanks();
            }
            _ if self.started => return Err(SqlFault::new(self.position, "two rows stand without a comma")),
            _ => {}
        }
        self.started = true;
        if self.text.get(self.position) != Some(&b'(') {
            return Err(SqlFault::new(self.position, "a row does not start with a bracket"));
        }
        let start = self.position + 1;
        let end = self.tuple_end(start)?;
        self.position = end + 1;
        Ok(Some(&self.text[start..end]))
    }

    fn tuple_end(&self, start: usize) -> Result<usize, SqlFault> {
        let mut depth = 0_u32;
        let mut at = start;
        loop {
            let stop = |byte: &u8| matches!(byte, b'\'' | b'(' | b')');
            let Some(skipped) = self.text[at..].iter().position(stop) else {
                return Err(SqlFault::new(start, "a row does not end"));
            };
            at += skipped;
            match self.text[at] {
                b'\'' => match quote_end(self.text, at) {
                    Some(end) => at = end,
                    None => return Err(SqlFault::new(at, "a quote does not end")),
                },
                b'(' => {
                    depth += 1;
                    at += 1;
                }
                _ if depth == 0 => return Ok(at),
                _ => {
                    depth -= 1;
                    at += 1;
                }
            }
        }
    }
}

/// Where the `;` of an INSERT stands, given where its rows start. `None` where something stands outside of quotes that
/// is no part of our literals and could hide an end: then tokens must be cut.
pub(crate) fn insert_end(text: &[u8], head_end: usize) -> Option<usize> {
    let mut at = head_end;
    loop {
        match text.get(at)? {
            b';' => return Some(at),
            b'\'' => at = quote_end(text, at)?,
            b'-' if text.get(at + 1) == Some(&b'-') => return None,
            b'0'..=b'9'
            | b'a'..=b'z'
            | b'A'..=b'Z'
            | b'_'
            | b'@'
            | b'.'
            | b'+'
            | b'-'
            | b'('
            | b')'
            | b',' => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
}

/// Behind the quote that opens at `start`. A doubled quote reads as two texts in a row, with the same end.
fn quote_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        let stop = |byte: &u8| matches!(byte, b'\'' | b'\\');
        let skipped = text.get(at..)?.iter().position(stop)?;
        if text[at + skipped] == b'\'' {
            return Some(at + skipped + 1);
        }
        at += skipped + 2;
    }
}

/// Reads a frame of rows and recomputes what its table's record says of it, with the record's way to hash a row. Only
/// INSERT statements into one table and SET statements may stand in it.
pub fn check_rows_frame(frame: &[u8], row_hash: RowHash) -> Result<RowsFacts, SqlFault> {
    let mut facts = RowsFacts { checksum: Checksum::of_none(row_hash), ..RowsFacts::default() };
    let mut splitter = Splitter::new(frame);
    let mut table: Option<Vec<u8>> = None;
    while let Some(statement) = splitter.next_statement()? {
        facts.statements += 1;
        let shift = |fault: SqlFault| SqlFault {
            offset_bytes: fault.offset_bytes + statement.offset_bytes as u64,
            ..fault
        };
        let Some(parts) = split_insert(statement.text).map_err(shift)? else {
            if is_set(statement.text).map_err(shift)? {
                continue;
            }
            return Err(SqlFault::new(statement.offset_bytes, "a frame of rows holds another statement"));
        };
        if table.get_or_insert_with(|| parts.table.clone()) != &parts.table {
            return Err(SqlFault::new(statement.offset_bytes, "a frame of rows holds a second table"));
        }
        let mut tuples = Tuples::new(statement.text, &parts);
        while let Some(tuple) = tuples.next_tuple().map_err(shift)? {
            facts.row_count += 1;
            facts.checksum.add_row(tuple);
        }
    }
    let Some(table) = table else {
        return Err(SqlFault::new(0, "a frame of rows holds no INSERT statement"));
    };
    facts.table = table;
    Ok(facts)
}

fn is_set(statement: &[u8]) -> Result<bool, SqlFault> {
    let mut lexer = Lexer::new(statement, Modes::default());
    let mut first = lexer.next_token()?;
    if first.is_some_and(|token| token.kind == TokenKind::Open) {
        first = lexer.next_token()?;
    }
    Ok(first.is_some_and(|token| token.is_word(statement, "set")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: &[u8] = b"INSERT INTO `t``x` (`a`,`b`) VALUES\n(1,'a\\'),(2'),\n(-2e-5,_binary'\\0;(');\n\
        INSERT IGNORE INTO `t``x` (`a`,`b`) VALUES\n(0,NULL);\n";

    #[test]
    fn a_frame_adds_up() {
        let facts = check_rows_frame(SMALL, RowHash::Xxh3).unwrap();
        let rows: [&[u8]; 3] = [b"1,'a\\'),(2'", b"-2e-5,_binary'\\0;('", b"0,NULL"];
        let mut checksum = Checksum::default();
        rows.iter().for_each(|row| checksum.add_row(row));
        assert_eq!(facts, RowsFacts { table: b"t`x".to_vec(), row_count: 3, checksum, statements: 2 });
    }

    #[test]
    fn a_frame_cut_at_any_byte_never_passes_as_whole() {
        let whole = check_rows_frame(SMALL, RowHash::Xxh3).unwrap();
        for end in 0..SMALL.len() - 1 {
            if let Ok(facts) = check_rows_frame(&SMALL[..end], RowHash::Xxh3) {
                assert_ne!(facts.row_count, whole.row_count, "cut at {end}");
            }
        }
    }

    #[test]
    fn the_end_of_an_insert_is_found_without_tokens() {
        let head = SMALL.windows(6).position(|window| window == b"VALUES").unwrap() + 6;
        let end = insert_end(SMALL, head).unwrap();
        assert!(SMALL[..end].ends_with(b"_binary'\\0;(')") && SMALL[end] == b';');
        for hidden in ["(1) -- ;\n;", "(1) /* ; */;", "(\"';\");", "(`;`);", "(1) # ;\n;", "(1)", "('a"] {
            assert_eq!(insert_end(hidden.as_bytes(), 0), None, "{hidden}");
        }
    }

    #[test]
    fn other_content_is_refused() {
        for sql in [
            "",
            "SET a=1;",
            "DROP TABLE `t`;",
            "INSERT INTO `a` (`a`) VALUES (1);INSERT INTO `b` (`a`) VALUES (1);",
            "INSERT INTO `a` (`a`) VALUES (1) (2);",
            "INSERT INTO `a` (`a`) VALUES (1),;",
            "INSERT INTO `a` (`a`) VALUES 1;",
            "INSERT INTO `a` (`a`) VALUES (1) ON DUPLICATE KEY UPDATE a=1;",
            "INSERT INTO `a` (`a`) SELECT 1;",
        ] {
            assert!(check_rows_frame(sql.as_bytes(), RowHash::Xxh3).is_err(), "{sql}");
        }
    }

    /// A row as the naive model writes it: the values and nothing else.
    fn row() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            Just(b"NULL".to_vec()),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| {
                let mut text = b"_binary".to_vec();
                text.extend(super::super::quote_text(&bytes));
                text
            }),
        ];
        proptest::collection::vec(value, 1..4).prop_map(|values| values.join(&b','))
    }

    proptest! {
        #[test]
        fn rows_that_were_written_are_found(batches in proptest::collection::vec(proptest::collection::vec(row(), 1..5), 1..4)) {
            let mut frame = Vec::new();
            let mut expected = RowsFacts { table: b"t".to_vec(), ..RowsFacts::default() };
            for batch in &batches {
                frame.extend(b"INSERT INTO `t` (`a`) VALUES\n(");
                frame.extend(batch.join(&b"),\n("[..]));
                frame.extend(b");\n");
                expected.statements += 1;
                for row in batch {
                    expected.row_count += 1;
                    expected.checksum.add_row(row);
                }
            }
            prop_assert_eq!(check_rows_frame(&frame, RowHash::Xxh3).unwrap(), expected);
        }
    }
}
