//! The literal form of each column type, and a row's text made of them (evidence for each form: no single form is
//! right for all types on any server).

use super::connection::{Row, Vendor};
use super::sql::quote_name;
use crate::record::{ColumnRecord, LiteralForm};

/// Character sets of MySQL and MariaDB whose first 128 characters are ASCII, byte for byte, and in which no byte below
/// 128 is part of a longer character.
const ASCII_CHARACTER_SETS: &[&str] = &[
    "ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "greek",
    "hebrew", "koi8r", "koi8u", "cp850", "cp852", "cp866", "macroman", "macce", "ujis", "euckr", "gb2312",
    "eucjpms",
];

/// What the system tables tell about a column, as far as its literal depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnType<'a> {
    /// `DATA_TYPE`, in small letters.
    pub(crate) data_type: &'a str,
    /// `COLUMN_TYPE`.
    pub(crate) full: &'a str,
    /// `CHARACTER_SET_NAME`.
    pub(crate) character_set: Option<&'a str>,
}

/// The literal form for a column; `None` for a type that is not known here, which is then written as bytes.
pub(crate) fn literal_form(vendor: Vendor, column: ColumnType<'_>) -> Option<LiteralForm> {
    Some(match column.data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric"
        | "year" => LiteralForm::Number,
        "float" => LiteralForm::Approximate,
        "double" | "real" if column.full.contains('(') => LiteralForm::Approximate,
        "double" | "real" => LiteralForm::Double,
        "enum" | "set" => LiteralForm::Ordinal,
        "date" | "time" | "datetime" | "timestamp" | "uuid" | "inet4" | "inet6" => LiteralForm::Quoted,
        "json" if vendor == Vendor::MySql => LiteralForm::Quoted,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "json" | "xmltype" => {
            match column.character_set {
                Some("utf8mb4") => LiteralForm::Text,
                Some("utf8mb3" | "utf8") => LiteralForm::NarrowText,
                Some(name) if ASCII_CHARACTER_SETS.contains(&name) => LiteralForm::AsciiText,
                _ => LiteralForm::Bytes,
            }
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" | "vector"
        | "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geomcollection" | "geometrycollection" => LiteralForm::Bytes,
        _ => return None,
    })
}

/// The expression that reads a column so that its text is the literal's.
pub(crate) fn select_expression(column: &ColumnRecord) -> Vec<u8> {
    let name = quote_name(&column.name);
    match column.literal {
        // The text of a FLOAT has six digits; that of the product is exact, and keeps the sign of zero.
        LiteralForm::Approximate => [name.as_slice(), b"*1e0"].concat(),
        // A sum or product would be a DOUBLE, which cannot hold a SET of 64 members.
        LiteralForm::Ordinal => [b"CAST(".as_slice(), &name, b" AS UNSIGNED)"].concat(),
        _ => name,
    }
}

/// What is odd about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Oddity {
    /// An ENUM holds the error value, which a strict server takes by `INSERT IGNORE` only.
    pub(crate) enum_error: bool,
    /// A text holds bytes that its character set does not know.
    pub(crate) invalid_text: bool,
    /// A number is not finite. It is written as NULL.
    pub(crate) not_finite: bool,
}

/// Writes rows of one table as text.
#[derive(Debug, Clone)]
pub(crate) struct RowCoder {
    columns: Vec<(LiteralForm, bool)>,
    current_row_end: Vec<u8>,
}

impl RowCoder {
    /// For these columns. `current_row_end` is the server's time for "no end" in a versioned table.
    pub(crate) fn new(columns: &[ColumnRecord], current_row_end: &[u8]) -> Self {
        let is_enum = |column: &ColumnRecord| column.type_text.starts_with(b"enum");
        Self {
            columns: columns.iter().map(|column| (column.literal, is_enum(column))).collect(),
            current_row_end: current_row_end.to_vec(),
        }
    }

    /// Appends the row's text, without brackets. `None` where the row does not fit the columns.
    pub(crate) fn encode(&self, row: Row<'_>, out: &mut Vec<u8>) -> Option<Oddity> {
        let mut oddity = Oddity::default();
        let mut values = row.values();
        for (at, (form, is_enum)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let Some(value) = values.take()? else {
                out.extend_from_slice(b"NULL");
                continue;
            };
            oddity.enum_error |= *is_enum && value == b"0";
            self.encode_value(*form, value, out, &mut oddity);
        }
        values.is_at_end().then_some(oddity)
    }

    fn encode_value(&self, form: LiteralForm, value: &[u8], out: &mut Vec<u8>, oddity: &mut Oddity) {
        match form {
            LiteralForm::Number | LiteralForm::Ordinal => out.extend_from_slice(value),
            LiteralForm::Approximate | LiteralForm::Double => put_approximate(value, out, oddity),
            LiteralForm::RowEnd if value == self.current_row_end => {
                out.extend_from_slice(CURRENT_ROW_END.as_bytes());
            }
            LiteralForm::Quoted | LiteralForm::RowEnd => put_quoted(value, out),
            LiteralForm::Text | LiteralForm::NarrowText | LiteralForm::AsciiText => {
                if is_plain(form, value) {
                    put_quoted(value, out);
                } else {
                    oddity.invalid_text |= form != LiteralForm::AsciiText;
                    put_bytes(value, out);
                }
            }
            LiteralForm::Bytes => put_bytes(value, out),
        }
    }
}

/// The variable that stands for "no end" in the rows of a versioned table.
pub(crate) const CURRENT_ROW_END: &str = "@backstock_row_end";

fn is_plain(form: LiteralForm, value: &[u8]) -> bool {
    match form {
        _ if value.is_ascii() => true,
        LiteralForm::Text => std::str::from_utf8(value).is_ok(),
        // Three bytes are the longest character of this set.
        LiteralForm::NarrowText => {
            std::str::from_utf8(value).is_ok() && value.iter().all(|byte| *byte < 0xf0)
        }
        _ => false,
    }
}

/// `-0` would be an integer, and `-0.0` a decimal, neither of which has a negative zero.
fn put_approximate(value: &[u8], out: &mut Vec<u8>, oddity: &mut Oddity) {
    if value.first() == Some(&b'-') && value[1..].iter().all(|byte| matches!(byte, b'0' | b'.')) {
        out.extend_from_slice(b"-0e0");
    } else if value.iter().any(|byte| byte.is_ascii_alphabetic() && *byte != b'e' && *byte != b'E') {
        oddity.not_finite = true;
        out.extend_from_slice(b"NULL");
    } else {
        out.extend_from_slice(value);
    }
}

fn put_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"_binary");
    put_quoted(value, out);
}

/// What a byte is written as inside quotes, behind a backslash; 0 for itself. Stock clients change raw CR LF, and
/// stop at NUL and 0x1A.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = b'0';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[0x1a] = b'Z';
    table[b'\'' as usize] = b'\'';
    table[b'\\' as usize] = b'\\';
    table
};

/// Appends `'…'`.
pub(crate) fn put_quoted(value: &[u8], out: &mut Vec<u8>) {
    out.reserve(value.len() + 2);
    out.push(b'\'');
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', ESCAPES[usize::from(rest[at])]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::connection::put_value;
    use super::*;

    fn column(literal: LiteralForm, type_text: &str) -> ColumnRecord {
        ColumnRecord { name: "c".into(), literal, type_text: type_text.into() }
    }

    fn encode(literal: LiteralForm, type_text: &str, value: Option<&[u8]>) -> (String, Oddity) {
        let mut message = Vec::new();
        put_value(&mut message, value);
        let mut out = Vec::new();
        let coder = RowCoder::new(&[column(literal, type_text)], b"2038-01-19 03:14:07.999999");
        let oddity = coder.encode(Row::new(&message), &mut out).unwrap();
        (String::from_utf8_lossy(&out).into_owned(), oddity)
    }

    #[test]
    fn values_have_their_forms() {
        let text = |form, value: &[u8]| encode(form, "x", Some(value)).0;
        assert_eq!(text(LiteralForm::Number, b"-12.50"), "-12.50");
        assert_eq!(text(LiteralForm::Double, b"-0"), "-0e0");
        assert_eq!(text(LiteralForm::Approximate, b"-0.000"), "-0e0");
        assert_eq!(text(LiteralForm::Approximate, b"-1e-45"), "-1e-45");
        assert_eq!(text(LiteralForm::Quoted, b"2024-00-00"), "'2024-00-00'");
        assert_eq!(text(LiteralForm::Text, "a'\\\n\r\0\u{1a}é".as_bytes()), "'a\\'\\\\\\n\\r\\0\\Zé'");
        assert_eq!(text(LiteralForm::AsciiText, b"a\"b"), "'a\"b'");
        assert_eq!(text(LiteralForm::Bytes, b""), "_binary''");
        assert_eq!(text(LiteralForm::RowEnd, b"2038-01-19 03:14:07.999999"), "@backstock_row_end");
        assert_eq!(encode(LiteralForm::Text, "x", None).0, "NULL");
    }

    #[test]
    fn odd_values_are_told() {
        assert!(encode(LiteralForm::Ordinal, "enum('a')", Some(b"0")).1.enum_error);
        assert!(!encode(LiteralForm::Ordinal, "set('a')", Some(b"0")).1.enum_error);
        assert!(encode(LiteralForm::Text, "text", Some(b"a\xff")).1.invalid_text);
        assert!(encode(LiteralForm::NarrowText, "text", Some("😀".as_bytes())).1.invalid_text);
        let (text, oddity) = encode(LiteralForm::Double, "double", Some(b"inf"));
        assert!(oddity.not_finite && text == "NULL");
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused() {
        let coder = RowCoder::new(&[column(LiteralForm::Number, "int")], b"");
        assert!(coder.encode(Row::new(b"\x011\x012"), &mut Vec::new()).is_none());
        assert!(coder.encode(Row::new(b""), &mut Vec::new()).is_none());
        assert!(coder.encode(Row::new(b"\x051"), &mut Vec::new()).is_none());
    }

    proptest! {
        #[test]
        fn quoting_can_be_undone(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            put_quoted(&value, &mut out);
            // The naive model: what a server does with a quoted text.
            let mut back = Vec::new();
            let mut bytes = out[1..out.len() - 1].iter();
            while let Some(byte) = bytes.next() {
                back.push(match byte {
                    b'\\' => match bytes.next().unwrap() {
                        b'0' => 0,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b'Z' => 0x1a,
                        other => *other,
                    },
                    b'\'' => panic!("a quote ends the text too early"),
                    other => *other,
                });
            }
            prop_assert_eq!(back, value);
            prop_assert!(!out.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r' | 0x1a)));
        }
    }
}
