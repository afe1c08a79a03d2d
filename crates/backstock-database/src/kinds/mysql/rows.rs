//! The literal form of each column type, and a row's text made of them (evidence for each form: no single form is
//! right for all types on any server).

use super::connection::{Row, Vendor};
use super::literals::{Value, put_bytes, put_plain, put_quoted, put_text};
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
    #[inline]
    pub(crate) fn encode(&self, row: Row<'_>, out: &mut Vec<u8>) -> Option<Oddity> {
        let mut oddity = Oddity::default();
        let mut values = row.values();
        let mut is_first = true;
        for (form, is_enum) in &self.columns {
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            let Some(value) = values.take_padded()? else {
                out.extend_from_slice(b"NULL");
                continue;
            };
            oddity.enum_error |= *is_enum && value.bytes() == b"0";
            self.encode_value(*form, value, out, &mut oddity);
        }
        values.is_at_end().then_some(oddity)
    }

    /// The form of each column, and whether it is an ENUM.
    pub(crate) fn columns(&self) -> &[(LiteralForm, bool)] {
        &self.columns
    }

    /// Appends the text of one value that is not NULL.
    #[inline]
    pub(crate) fn encode_value(
        &self,
        form: LiteralForm,
        value: Value<'_>,
        out: &mut Vec<u8>,
        oddity: &mut Oddity,
    ) {
        match form {
            LiteralForm::Number | LiteralForm::Ordinal => put_plain(value, out),
            LiteralForm::Approximate | LiteralForm::Double => put_approximate(value, out, oddity),
            LiteralForm::RowEnd if value.bytes() == self.current_row_end => {
                out.extend_from_slice(CURRENT_ROW_END.as_bytes());
            }
            LiteralForm::Quoted | LiteralForm::RowEnd => {
                put_quoted(value, out);
            }
            LiteralForm::Text | LiteralForm::NarrowText => {
                oddity.invalid_text |= !put_text(form, value, out);
            }
            LiteralForm::AsciiText => {
                put_text(form, value, out);
            }
            LiteralForm::Bytes => put_bytes(value, out),
        }
    }
}

/// The variable that stands for "no end" in the rows of a versioned table.
pub(crate) const CURRENT_ROW_END: &str = "@backstock_row_end";

/// `-0` would be an integer, and `-0.0` a decimal, neither of which has a negative zero.
fn put_approximate(value: Value<'_>, out: &mut Vec<u8>, oddity: &mut Oddity) {
    let bytes = value.bytes();
    if bytes.first() == Some(&b'-') && bytes[1..].iter().all(|byte| matches!(byte, b'0' | b'.')) {
        out.extend_from_slice(b"-0e0");
    } else if bytes.iter().any(|byte| byte.is_ascii_alphabetic() && *byte != b'e' && *byte != b'E') {
        oddity.not_finite = true;
        out.extend_from_slice(b"NULL");
    } else {
        put_plain(value, out);
    }
}

#[cfg(test)]
mod tests {
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
        let oddity = coder.encode(Row::new((&message, message.len())), &mut out).unwrap();
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
        // What stands behind a row is no part of it.
        for (message, size_bytes) in [
            (b"\x011\x012".as_slice(), 4),
            (b"", 0),
            (b"\x011", 0),
            (b"\x051", 2),
            (b"\x0212", 2),
            (b"\xfc\x01\x001", 2),
            (b"\xfc\x01\x001", 3),
            (b"\xfc\x01\x00123", 5),
            (b"\xff1", 2),
            (b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff1", 10),
        ] {
            let row = Row::new((message, size_bytes));
            assert!(coder.encode(row, &mut Vec::new()).is_none(), "{message:?} {size_bytes}");
        }
        for (message, size_bytes) in [(b"\x0112".as_slice(), 2), (b"\xfc\x01\x0012", 4), (b"\xfb1", 1)] {
            let row = Row::new((message, size_bytes));
            assert!(coder.encode(row, &mut Vec::new()).is_some(), "{message:?} {size_bytes}");
        }
    }
}
