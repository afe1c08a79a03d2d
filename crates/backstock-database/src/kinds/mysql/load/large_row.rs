//! A row that is larger than a packet of the server: sent as the content of a `LOAD DATA LOCAL`, which has no such limit.

use super::super::ddl::Text;
use super::super::rows::CURRENT_ROW_END;
use super::super::sql::{Lexer, Modes, SqlFault, TokenKind};
use super::rows::{RowTarget, SendError};
use crate::error::Error;
use crate::record::LiteralForm;

/// One value of a row, read from its literal.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Null,
    Bytes(Vec<u8>),
    CurrentRowEnd,
}

/// Loads one row, given its text without brackets.
pub(super) fn load(target: &mut RowTarget<'_>, tuple: &[u8], ignore: bool) -> Result<(), SendError> {
    let values = values(tuple)?;
    let columns = &target.record.columns;
    if values.len() != columns.len() {
        return Err(SqlFault::new(0, "a row has not as many values as the table has columns").into());
    }
    // A name that no other statement could announce: the connection answers no request for any other.
    let token = format!("backstock-{}-{}", target.connection.connection_id(), tuple.len());
    let mut statement = Text::new("LOAD DATA LOCAL INFILE ").text(token.as_bytes());
    statement = statement.sql(if ignore { " IGNORE" } else { "" }).sql(" INTO TABLE ").name(target.name);
    statement = statement.sql(" CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' (");
    let mut set = Text::default();
    let mut any = false;
    let mut content = Vec::with_capacity(tuple.len());
    for (at, (column, value)) in columns.iter().zip(&values).enumerate() {
        if at > 0 {
            statement = statement.sql(",");
            content.push(b'\t');
        }
        let variable = format!("@backstock_{at}");
        let expression = match (column.literal, value) {
            (_, Value::CurrentRowEnd) => Some(CURRENT_ROW_END.to_owned()),
            (LiteralForm::Quoted | LiteralForm::RowEnd, _) => {
                Some(format!("CONVERT({variable} USING utf8mb4)"))
            }
            (LiteralForm::Ordinal, _) => Some(format!("{variable}+0")),
            _ => None,
        };
        statement = match expression {
            Some(expression) => {
                set = set.sql(if any { "," } else { " SET " }).name(&column.name).sql("=").sql(expression);
                any = true;
                statement.sql(variable)
            }
            None => statement.name(&column.name),
        };
        put(value, &mut content);
    }
    content.push(b'\n');
    let statement = statement.sql(")").sql(set.bytes()).bytes();
    let done = target
        .connection
        .execute_with_local_infile(&statement, token.as_bytes(), &mut &content[..])
        .map_err(explained)?;
    if done.warnings > 0 {
        target.tell_warnings(ignore)?;
    }
    Ok(())
}

/// `local_infile` is off on the server, in the words of either vendor.
fn explained(error: Error) -> SendError {
    match error.code() {
        Some(1148 | 3948 | 4166) => SendError::Other(Error::NotEqual {
            table: "with a row larger than max_allowed_packet".to_owned(),
            what: "raise max_allowed_packet or allow local_infile on the server".to_owned(),
        }),
        _ => SendError::Other(error),
    }
}

fn put(value: &Value, content: &mut Vec<u8>) {
    let Value::Bytes(bytes) = value else {
        content.extend_from_slice(b"\\N");
        return;
    };
    for byte in bytes {
        match byte {
            0 => content.extend_from_slice(b"\\0"),
            b'\t' => content.extend_from_slice(b"\\t"),
            b'\n' => content.extend_from_slice(b"\\n"),
            b'\\' => content.extend_from_slice(b"\\\\"),
            byte => content.push(*byte),
        }
    }
}

/// Reads the literals of a row.
fn values(tuple: &[u8]) -> Result<Vec<Value>, SqlFault> {
    let mut lexer = Lexer::new(tuple, Modes::default());
    let mut values = Vec::new();
    let mut sign = false;
    while let Some(token) = lexer.next_token()? {
        let text = token.text(tuple);
        match token.kind {
            TokenKind::Symbol(b',') => {}
            TokenKind::Symbol(b'-') => sign = true,
            TokenKind::Number => {
                let number = if sign { [b"-", text].concat() } else { text.to_vec() };
                sign = false;
                values.push(Value::Bytes(number));
            }
            TokenKind::Text => values.push(Value::Bytes(unquoted(text))),
            TokenKind::Word if text.eq_ignore_ascii_case(b"null") => values.push(Value::Null),
            TokenKind::Variable if text == CURRENT_ROW_END.as_bytes() => values.push(Value::CurrentRowEnd),
            _ => return Err(SqlFault::new(token.start, "a value is no literal of ours")),
        }
    }
    Ok(values)
}

/// The bytes that a text literal stands for, whatever its introducer.
fn unquoted(literal: &[u8]) -> Vec<u8> {
    let start = literal.iter().position(|byte| *byte == b'\'').map_or(literal.len(), |at| at + 1);
    let mut bytes = Vec::with_capacity(literal.len());
    let mut rest = literal[start..literal.len().max(start + 1) - 1].iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => match rest.next() {
                Some(b'0') => bytes.push(0),
                Some(b'n') => bytes.push(b'\n'),
                Some(b'r') => bytes.push(b'\r'),
                Some(b't') => bytes.push(b'\t'),
                Some(b'b') => bytes.push(8),
                Some(b'Z') => bytes.push(0x1a),
                Some(other) => bytes.push(*other),
                None => {}
            },
            b'\'' => {
                bytes.push(b'\'');
                rest.next();
            }
            byte => bytes.push(*byte),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::literals;
    use super::*;

    #[test]
    fn literals_become_values() {
        let found = values(b"NULL,-2e-5,'a\\'\\n''b',_binary'\\0\\\\',@backstock_row_end").unwrap();
        let bytes = |text: &[u8]| Value::Bytes(text.to_vec());
        assert_eq!(
            found,
            [Value::Null, bytes(b"-2e-5"), bytes(b"a'\n'b"), bytes(b"\0\\"), Value::CurrentRowEnd]
        );
        assert!(values(b"sleep(1)").is_err());
    }

    proptest! {
        #[test]
        fn what_the_dump_quotes_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut literal = Vec::new();
            literals::put_quoted(literals::Value::new(&bytes, bytes.len()), &mut literal);
            prop_assert_eq!(values(&literal).unwrap(), [Value::Bytes(bytes)]);
        }
    }
}
