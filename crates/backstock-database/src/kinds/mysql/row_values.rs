//! The values of a row, taken back out of its text in our own dumps: the inverse of the literal forms.

use super::ddl::{ItemKind, spans};
use super::rows::CURRENT_ROW_END;
use super::sql::{Lexer, Modes, Splitter, SqlFault, TokenKind, Tuples, name_bytes, split_insert};
use crate::raw_text::RawText;
use crate::record::{ColumnRecord, LiteralForm, TableRecord};

/// The values of one row in the order of its columns; `None` is NULL. ENUM values are the text of their label.
pub type RowValues = Vec<Option<Vec<u8>>>;

/// Hands over each row of a frame: its text without brackets, and its values.
///
/// # Errors
/// [`SqlFault`] where the frame holds rows in another form than our own dumps have.
pub fn each_row_of_frame(
    frame: &[u8],
    columns: &[ColumnRecord],
    each: &mut dyn FnMut(&[u8], RowValues),
) -> Result<(), SqlFault> {
    let decoder = RowDecoder::new(columns);
    let mut splitter = Splitter::new(frame);
    while let Some(statement) = splitter.next_statement()? {
        let Some(parts) = split_insert(statement.text)? else { continue };
        let mut tuples = Tuples::new(statement.text, &parts);
        while let Some(tuple) = tuples.next_tuple()? {
            each(tuple, decoder.values(tuple)?);
        }
    }
    Ok(())
}

/// The literals of a row, given its text without brackets.
///
/// # Errors
/// [`SqlFault`] where the text has another form than our own dumps have.
pub fn literals_of_row<'a>(text: &'a [u8], columns: &[ColumnRecord]) -> Result<Vec<&'a [u8]>, SqlFault> {
    let mut literals = Vec::with_capacity(columns.len());
    RowDecoder::new(columns).each_value(text, |_, _, literal| literals.push(literal))?;
    Ok(literals)
}

impl TableRecord {
    /// The columns of its primary key, in their order; none where it has none.
    pub fn primary_key(&self) -> Vec<RawText> {
        let Ok(found) = spans(&self.definition) else { return Vec::new() };
        let Some(item) = found.items.iter().find(|item| item.kind == ItemKind::PrimaryKey) else {
            return Vec::new();
        };
        let text = item.span.text(&self.definition);
        let mut lexer = Lexer::new(text, Modes::default());
        let mut columns = Vec::new();
        while let Ok(Some(token)) = lexer.next_token() {
            if token.kind == TokenKind::Name {
                columns.push(RawText(name_bytes(token.text(text))));
            }
        }
        columns
    }
}

/// Reads the text of rows of one table.
#[derive(Debug)]
pub(crate) struct RowDecoder {
    columns: Vec<(LiteralForm, Vec<Vec<u8>>)>,
}

impl RowDecoder {
    pub(crate) fn new(columns: &[ColumnRecord]) -> Self {
        let column = |column: &ColumnRecord| (column.literal, enum_labels(&column.type_text));
        Self { columns: columns.iter().map(column).collect() }
    }

    /// The values of a row, given its text without brackets.
    pub(crate) fn values(&self, tuple: &[u8]) -> Result<RowValues, SqlFault> {
        let mut values = RowValues::with_capacity(self.columns.len());
        self.each_value(tuple, |column, value, _| {
            let (form, labels) = &self.columns[column];
            values.push(match value {
                Some(text) if *form == LiteralForm::Ordinal => Some(label(labels, text)),
                value => value,
            });
        })?;
        Ok(values)
    }

    /// Hands over the number of each column, its value and the literal that it was taken from.
    fn each_value<'a>(
        &self,
        tuple: &'a [u8],
        mut each: impl FnMut(usize, Option<Vec<u8>>, &'a [u8]),
    ) -> Result<(), SqlFault> {
        let mut at = 0;
        for column in 0..self.columns.len() {
            if column > 0 {
                if tuple.get(at) != Some(&b',') {
                    return Err(SqlFault::new(at, "a row has fewer values than its table has columns"));
                }
                at += 1;
            }
            let (value, end) = value_at(tuple, at)?;
            each(column, value, &tuple[at..end]);
            at = end;
        }
        // A table of generated columns alone has rows without a value.
        if at != tuple.len() && !self.columns.is_empty() {
            return Err(SqlFault::new(at, "a row has more values than its table has columns"));
        }
        Ok(())
    }
}

/// The label of an ENUM's number. A SET, and a number that has no label, stays a number.
fn label(labels: &[Vec<u8>], number: Vec<u8>) -> Vec<u8> {
    let place = std::str::from_utf8(&number).ok().and_then(|text| text.parse::<usize>().ok());
    place.and_then(|place| labels.get(place.checked_sub(1)?).cloned()).unwrap_or(number)
}

/// The labels of a type `enum('a','b')`; none of any other.
fn enum_labels(type_text: &[u8]) -> Vec<Vec<u8>> {
    let inner = type_text.strip_prefix(b"enum(").and_then(|rest| rest.strip_suffix(b")"));
    let Some(inner) = inner else { return Vec::new() };
    let mut labels = Vec::new();
    let mut at = 0;
    while let Ok((Some(label), end)) = value_at(inner, at) {
        labels.push(label);
        at = end + 1;
        if inner.get(end) != Some(&b',') {
            break;
        }
    }
    labels
}

/// One value and where it ends.
fn value_at(text: &[u8], at: usize) -> Result<(Option<Vec<u8>>, usize), SqlFault> {
    let rest = text.get(at..).unwrap_or_default();
    let quote = if rest.starts_with(b"_binary'") { b"_binary".len() } else { 0 };
    if rest.get(quote) == Some(&b'\'') {
        let (value, length) =
            unquote(&rest[quote..]).ok_or_else(|| SqlFault::new(at, "a quote does not end"))?;
        return Ok((Some(value), at + quote + length));
    }
    let length = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
    let bare = &rest[..length];
    let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let value = match bare {
        b"NULL" => None,
        _ if bare == CURRENT_ROW_END.as_bytes() => Some(Vec::new()),
        _ if !bare.is_empty() && bare.iter().all(is_number) => Some(bare.to_vec()),
        _ => return Err(SqlFault::new(at, "a value has a form that our dumps do not have")),
    };
    Ok((value, at + length))
}

/// What a literal in quotes stands for, and how long the literal is.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        let run = text.get(at..)?.iter().position(|byte| matches!(byte, b'\'' | b'\\'))?;
        value.extend_from_slice(&text[at..at + run]);
        at += run;
        match (text[at], text.get(at + 1)) {
            (b'\'', Some(b'\'')) => value.push(b'\''),
            (b'\'', _) => return Some((value, at + 1)),
            (_, Some(escaped)) => match escaped {
                b'0' => value.push(0),
                b'n' => value.push(b'\n'),
                b'r' => value.push(b'\r'),
                b't' => value.push(b'\t'),
                b'b' => value.push(8),
                b'Z' => value.push(0x1a),
                // These two keep their backslash (MySQL 9 manual, section 11.1.1).
                b'%' | b'_' => value.extend_from_slice(&[b'\\', *escaped]),
                other => value.push(*other),
            },
            (_, None) => return None,
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::connection::{Row, put_value};
    use super::super::rows::RowCoder;
    use super::*;

    fn column(literal: LiteralForm, type_text: &str) -> ColumnRecord {
        ColumnRecord { name: "c".into(), literal, type_text: type_text.into() }
    }

    fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            "[a',)(\\\\\n\r%_é0]{0,12}".prop_map(String::into_bytes),
        ])
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(rows in prop::collection::vec((value(), value(), prop::option::of(any::<i64>())), 1..6)) {
            let columns = [
                column(LiteralForm::Text, "text"),
                column(LiteralForm::Bytes, "blob"),
                column(LiteralForm::Number, "bigint"),
            ];
            let coder = RowCoder::new(&columns, b"");
            let mut frame = b"INSERT INTO `t` (`a`,`b`,`c`) VALUES\n(".to_vec();
            let mut wanted: Vec<RowValues> = Vec::new();
            for (number, (one, two, three)) in rows.into_iter().enumerate() {
                let row: RowValues = vec![one, two, three.map(|number| number.to_string().into_bytes())];
                let mut message = Vec::new();
                row.iter().for_each(|value| put_value(&mut message, value.as_deref()));
                if number > 0 {
                    frame.extend_from_slice(b"),\n(");
                }
                coder.encode(Row::new((&message, message.len())), &mut frame).unwrap();
                wanted.push(row);
            }
            frame.extend_from_slice(b");\n");
            let mut found: Vec<RowValues> = Vec::new();
            each_row_of_frame(&frame, &columns, &mut |text, row| {
                let literals = literals_of_row(text, &columns).unwrap();
                assert_eq!(literals.join(&b','), text);
                found.push(row);
            })
            .unwrap();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn no_text_of_a_row_ends_the_reader(text in prop::collection::vec(prop_oneof![Just(b'\''), Just(b','), Just(b'\\'), any::<u8>()], 0..20)) {
            let decoder = RowDecoder::new(&[column(LiteralForm::Text, "text"), column(LiteralForm::Number, "int")]);
            let _ = decoder.values(&text);
            let _ = enum_labels(&text);
        }
    }

    #[test]
    fn a_primary_key_is_found() {
        let key = |definition: &str| {
            let record = TableRecord { definition: definition.into(), ..TableRecord::empty("t", "InnoDB") };
            record.primary_key().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let columns =
            "CREATE TABLE `t` (`a` int NOT NULL COMMENT 'PRIMARY KEY (`x`)', `b` text, KEY `k` (`b`(9))";
        assert_eq!(
            key(&format!("{columns}, PRIMARY KEY (`b`(3) DESC,`a`) USING BTREE) ENGINE=InnoDB")),
            ["b", "a"]
        );
        assert!(key(&format!("{columns}) ENGINE=InnoDB")).is_empty() && key("nothing").is_empty());
    }

    #[test]
    fn an_enum_is_its_label() {
        let decoder = RowDecoder::new(&[column(LiteralForm::Ordinal, "enum('a','it''s','c,d')")]);
        let read = |text: &str| {
            String::from_utf8(decoder.values(text.as_bytes()).unwrap().remove(0).unwrap()).unwrap()
        };
        assert_eq!([read("1"), read("2"), read("3"), read("0"), read("9")], ["a", "it's", "c,d", "0", "9"]);
        let set = RowDecoder::new(&[column(LiteralForm::Ordinal, "set('a','b')")]);
        assert_eq!(set.values(b"3").unwrap(), [Some(b"3".to_vec())]);
    }

    #[test]
    fn a_row_of_another_shape_is_refused() {
        let decoder =
            RowDecoder::new(&[column(LiteralForm::Text, "text"), column(LiteralForm::Number, "int")]);
        for text in ["", "1", "1,2,3", "'a',", "'a',NOW()", "'a',0x41", "'a", "'a'2", "'a', 2", "\"a\",1"] {
            assert!(decoder.values(text.as_bytes()).is_err(), "{text}");
        }
        let statement = |text: &str| each_row_of_frame(text.as_bytes(), &[], &mut |_, _| {});
        assert!(statement("INSERT INTO `t` () VALUES\n(1),\n(1);\n").is_ok());
        assert!(statement("INSERT INTO `t` () VALUES\n(1").is_err());
    }
}
