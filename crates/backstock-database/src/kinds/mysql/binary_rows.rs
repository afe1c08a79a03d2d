//! A row of the binary protocol as the text that the text protocol would have led to, byte for byte. Only for types
//! whose two forms are known to say the same; a table with any other column is read as text.

use super::connection::{Column, Row, Values};
use super::literals::Value;
use super::rows::{Oddity, RowCoder};
use crate::record::{ColumnRecord, LiteralForm};

/// "Column Definition Flags": the number has no sign; its text is filled up with zeros.
const FLAG_UNSIGNED: u16 = 0x0020;
const FLAG_ZEROFILL: u16 = 0x0040;

/// The most digits that a second has.
const DECIMALS_LIMIT: u8 = 6;

/// How the value of a column comes ("Binary Protocol Value").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BinaryForm {
    Signed(Width),
    Unsigned(Width),
    Date,
    /// With so many digits of a second.
    DateTime(u8),
    /// A string with its length, as in the text protocol.
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    One,
    Two,
    Four,
    Eight,
}

/// Whether the binary form is worth preparing a statement: at least half of the columns are cheaper in it.
pub(crate) fn pays(columns: &[ColumnRecord]) -> bool {
    let is_cheaper = |column: &ColumnRecord| {
        let kind = column.type_text.to_ascii_lowercase();
        match column.literal {
            LiteralForm::Number => kind.windows(3).any(|part| part == b"int"),
            LiteralForm::Ordinal => true,
            LiteralForm::Quoted => kind.starts_with(b"date") || kind.starts_with(b"timestamp"),
            _ => false,
        }
    };
    !columns.is_empty() && columns.iter().filter(|column| is_cheaper(column)).count() * 2 >= columns.len()
}

/// Writes rows of the binary protocol as text.
#[derive(Debug)]
pub(crate) struct BinaryCoder {
    text: RowCoder,
    forms: Vec<BinaryForm>,
}

impl BinaryCoder {
    /// For these columns, which the server describes like this. Nothing where one of them has to be read as text.
    pub(crate) fn new(columns: &[ColumnRecord], described: &[Column]) -> Option<Self> {
        if columns.len() != described.len() {
            return None;
        }
        let forms: Option<Vec<BinaryForm>> = columns
            .iter()
            .zip(described)
            .map(|(column, described)| form(column.literal, described))
            .collect();
        // A row end is never among them, so that its time is not needed.
        Some(Self { text: RowCoder::new(columns, b""), forms: forms? })
    }

    /// Appends the row's text, without brackets. `None` where the row does not fit the columns.
    #[inline]
    pub(crate) fn encode(&self, row: Row<'_>, out: &mut Vec<u8>) -> Option<Oddity> {
        let mut oddity = Oddity::default();
        let mut values = row.values();
        let [0] = values.take_fixed::<1>()? else { return None };
        // Two bits are reserved at the beginning of the list of NULLs.
        let nulls = values.take_bytes((self.forms.len() + 2).div_ceil(8))?;
        for (at, (binary, (form, is_enum))) in self.forms.iter().zip(self.text.columns()).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if nulls[(at + 2) / 8] & (1 << ((at + 2) % 8)) != 0 {
                out.extend_from_slice(b"NULL");
                continue;
            }
            match binary {
                BinaryForm::Signed(width) => put_signed(*width, &mut values, out)?,
                BinaryForm::Unsigned(width) => {
                    let number = take_unsigned(*width, &mut values)?;
                    oddity.enum_error |= *is_enum && number == 0;
                    put_number(number, out);
                }
                BinaryForm::Date => put_date(&mut values, out)?,
                BinaryForm::DateTime(decimals) => put_date_time(*decimals, &mut values, out)?,
                BinaryForm::Bytes => {
                    self.text.encode_value(*form, take_value(&mut values)?, out, &mut oddity);
                }
            }
        }
        values.is_at_end().then_some(oddity)
    }
}

/// How a column comes ("Protocol::ColumnType").
fn form(literal: LiteralForm, described: &Column) -> Option<BinaryForm> {
    let is_number = matches!(literal, LiteralForm::Number | LiteralForm::Ordinal);
    let integer = |width| {
        let wanted = is_number && described.flags & FLAG_ZEROFILL == 0;
        let is_unsigned = described.flags & FLAG_UNSIGNED != 0;
        wanted.then_some(if is_unsigned { BinaryForm::Unsigned(width) } else { BinaryForm::Signed(width) })
    };
    let is_time = literal == LiteralForm::Quoted;
    match described.type_number {
        1 => integer(Width::One),
        2 => integer(Width::Two),
        3 | 9 => integer(Width::Four),
        8 => integer(Width::Eight),
        10 => is_time.then_some(BinaryForm::Date),
        7 | 12 if described.decimals <= DECIMALS_LIMIT => {
            is_time.then_some(BinaryForm::DateTime(described.decimals))
        }
        // DECIMAL, VARCHAR, BIT, JSON, NEWDECIMAL, ENUM to GEOMETRY.
        0 | 15 | 16 | 245..=255 => {
            let has_own_form = matches!(
                literal,
                LiteralForm::Approximate | LiteralForm::Double | LiteralForm::Ordinal | LiteralForm::RowEnd
            );
            (!has_own_form).then_some(BinaryForm::Bytes)
        }
        // FLOAT, DOUBLE, YEAR, TIME and what nobody knows yet.
        _ => None,
    }
}

#[inline]
fn take_value<'a>(values: &mut Values<'a>) -> Option<Value<'a>> {
    // NULLs stand in the list at the beginning and nowhere else.
    values.take_padded()?
}

#[inline]
fn take_unsigned(width: Width, values: &mut Values<'_>) -> Option<u64> {
    Some(match width {
        Width::One => u64::from(u8::from_le_bytes(values.take_fixed()?)),
        Width::Two => u64::from(u16::from_le_bytes(values.take_fixed()?)),
        Width::Four => u64::from(u32::from_le_bytes(values.take_fixed()?)),
        Width::Eight => u64::from_le_bytes(values.take_fixed()?),
    })
}

#[inline]
fn put_signed(width: Width, values: &mut Values<'_>, out: &mut Vec<u8>) -> Option<()> {
    let number = match width {
        Width::One => i64::from(i8::from_le_bytes(values.take_fixed()?)),
        Width::Two => i64::from(i16::from_le_bytes(values.take_fixed()?)),
        Width::Four => i64::from(i32::from_le_bytes(values.take_fixed()?)),
        Width::Eight => i64::from_le_bytes(values.take_fixed()?),
    };
    if number < 0 {
        out.push(b'-');
    }
    put_number(number.unsigned_abs(), out);
    Some(())
}

#[inline]
fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The two digits of a number below 100.
#[inline]
fn two_digits(number: u8) -> Option<[u8; 2]> {
    (number < 100).then(|| [b'0' + number / 10, b'0' + number % 10])
}

/// `YYYY-MM-DD` of the first four bytes of a date, or of none.
#[inline]
fn date_text(bytes: Option<[u8; 4]>) -> Option<[u8; 10]> {
    let [year_low, year_high, month, day] = bytes.unwrap_or_default();
    let year = u16::from_le_bytes([year_low, year_high]);
    let century = two_digits(u8::try_from(year / 100).ok()?)?;
    let year = two_digits(u8::try_from(year % 100).ok()?)?;
    let (month, day) = (two_digits(month)?, two_digits(day)?);
    Some([century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0], day[1]])
}

/// "ProtocolBinary::MYSQL_TYPE_DATE": zeros at its end are left out.
#[inline]
fn put_date(values: &mut Values<'_>, out: &mut Vec<u8>) -> Option<()> {
    let date = match values.take_fixed::<1>()? {
        [0] => None,
        [4] => Some(values.take_fixed::<4>()?),
        _ => return None,
    };
    out.push(b'\'');
    out.extend_from_slice(&date_text(date)?);
    out.push(b'\'');
    Some(())
}

/// "ProtocolBinary::MYSQL_TYPE_DATETIME": zeros at its end are left out.
#[inline]
fn put_date_time(decimals: u8, values: &mut Values<'_>, out: &mut Vec<u8>) -> Option<()> {
    let [length] = values.take_fixed::<1>()?;
    let date = match length {
        0 => None,
        4 | 7 | 11 => Some(values.take_fixed::<4>()?),
        _ => return None,
    };
    let [hour, minute, second] = if length >= 7 { values.take_fixed::<3>()? } else { [0; 3] };
    let micros = if length == 11 { u32::from_le_bytes(values.take_fixed()?) } else { 0 };
    let (hour, minute, second) = (two_digits(hour)?, two_digits(minute)?, two_digits(second)?);
    out.push(b'\'');
    out.extend_from_slice(&date_text(date)?);
    out.extend_from_slice(&[b' ', hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1]]);
    if micros > 999_999 {
        return None;
    }
    if decimals > 0 {
        let digits = format!(".{micros:06}");
        out.extend_from_slice(digits.as_bytes().get(..=usize::from(decimals))?);
    }
    out.push(b'\'');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(type_number: u8, flags: u16, decimals: u8) -> Column {
        let name = b"c".to_vec();
        Column { name: name.clone(), original_name: name, collation: 63, type_number, flags, decimals }
    }

    fn record(literal: LiteralForm, type_text: &str) -> ColumnRecord {
        ColumnRecord { name: "c".into(), literal, type_text: type_text.into() }
    }

    /// The text of a row with one value, or nothing if the row is refused.
    fn text(literal: LiteralForm, column: Column, value: &[u8]) -> Option<(String, Oddity)> {
        let coder = BinaryCoder::new(&[record(literal, "enum('a')")], &[column]).unwrap();
        let message = [b"\0\0".as_slice(), value].concat();
        let mut out = Vec::new();
        let oddity = coder.encode(Row::new((&message, message.len())), &mut out)?;
        Some((String::from_utf8(out).unwrap(), oddity))
    }

    #[test]
    fn numbers_and_times_have_the_text_of_the_server() {
        let number = |type_number, flags, bytes: &[u8]| {
            text(LiteralForm::Number, described(type_number, flags, 0), bytes).unwrap().0
        };
        assert_eq!(number(1, 0, &[0x80]), "-128");
        assert_eq!(number(1, FLAG_UNSIGNED, &[0x80]), "128");
        assert_eq!(number(2, 0, &[0xff, 0xff]), "-1");
        assert_eq!(number(9, 0, &[0, 0, 0x80, 0xff]), "-8388608");
        assert_eq!(number(3, FLAG_UNSIGNED, &[0xff; 4]), "4294967295");
        assert_eq!(number(8, 0, &i64::MIN.to_le_bytes()), "-9223372036854775808");
        assert_eq!(number(8, FLAG_UNSIGNED, &[0xff; 8]), "18446744073709551615");
        assert_eq!(number(246, 0, b"\x05-1.50"), "-1.50");
        let time = |type_number, decimals, bytes: &[u8]| {
            text(LiteralForm::Quoted, described(type_number, 0, decimals), bytes).map(|(text, _)| text)
        };
        assert_eq!(time(10, 0, b"\0").unwrap(), "'0000-00-00'");
        assert_eq!(time(10, 0, b"\x04\xe8\x07\0\0").unwrap(), "'2024-00-00'");
        assert_eq!(time(12, 0, b"\0").unwrap(), "'0000-00-00 00:00:00'");
        assert_eq!(time(12, 3, b"\0").unwrap(), "'0000-00-00 00:00:00.000'");
        assert_eq!(time(12, 0, b"\x04\x0f\x27\x0c\x1f").unwrap(), "'9999-12-31 00:00:00'");
        assert_eq!(time(7, 2, b"\x07\xe8\x07\x01\x02\x03\x04\x05").unwrap(), "'2024-01-02 03:04:05.00'");
        assert_eq!(
            time(7, 6, b"\x0b\xe8\x07\x01\x02\x03\x04\x05\x01\0\0\0").unwrap(),
            "'2024-01-02 03:04:05.000001'"
        );
        for damaged in [
            &b"\x05\xe8\x07\x01\x02\x03"[..],
            b"\x04\xe8\x07",
            b"\x04\xff\xff\x01\x01",
            b"\x04\xe8\x07\xc8\x01",
        ] {
            assert_eq!(time(12, 0, damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn what_has_no_equal_binary_form_is_read_as_text() {
        let takes = |literal, column| BinaryCoder::new(&[record(literal, "x")], &[column]).is_some();
        for type_number in [4, 5, 6, 11, 13, 14, 17, 242] {
            for literal in [LiteralForm::Number, LiteralForm::Double, LiteralForm::Quoted, LiteralForm::Bytes]
            {
                assert!(!takes(literal, described(type_number, 0, 0)), "{type_number}");
            }
        }
        assert!(!takes(LiteralForm::Number, described(3, FLAG_ZEROFILL, 0)));
        assert!(!takes(LiteralForm::Double, described(253, 0, 0)));
        assert!(!takes(LiteralForm::Quoted, described(12, 0, 39)));
        assert!(takes(LiteralForm::Text, described(252, 0, 0)));
        assert!(BinaryCoder::new(&[record(LiteralForm::Number, "int")], &[]).is_none());
    }

    #[test]
    fn nulls_oddities_and_damage_are_seen() {
        let columns: Vec<ColumnRecord> = (0..9).map(|_| record(LiteralForm::Number, "int")).collect();
        let described: Vec<Column> = (0..9).map(|_| described(1, 0, 0)).collect();
        let coder = BinaryCoder::new(&columns, &described).unwrap();
        let encode = |message: &[u8]| {
            let mut out = Vec::new();
            coder
                .encode(Row::new((message, message.len())), &mut out)
                .map(|_| String::from_utf8(out).unwrap())
        };
        // The first and the ninth are NULL: bits 2 and 10.
        assert_eq!(encode(&[0, 4, 4, 1, 2, 3, 4, 5, 6, 7]).unwrap(), "NULL,1,2,3,4,5,6,7,NULL");
        assert_eq!(encode(&[0, 4, 4, 1, 2, 3, 4, 5, 6]), None);
        assert_eq!(encode(&[0, 4, 4, 1, 2, 3, 4, 5, 6, 7, 8]), None);
        assert_eq!(encode(&[1, 4, 4, 1, 2, 3, 4, 5, 6, 7]), None);
        assert_eq!(encode(&[0, 4]), None);
    }

    #[test]
    fn the_error_value_of_an_enum_is_told() {
        let found = text(LiteralForm::Ordinal, described(8, FLAG_UNSIGNED, 0), &[0; 8]).unwrap();
        assert!(found.0 == "0" && found.1.enum_error);
    }

    #[test]
    fn tables_of_numbers_are_read_in_binary_form() {
        let int = record(LiteralForm::Number, "int(11)");
        let decimal = record(LiteralForm::Number, "decimal(5,2)");
        let name = record(LiteralForm::Text, "varchar(20)");
        let time = record(LiteralForm::Quoted, "timestamp(3)");
        assert!(pays(&[int.clone(), time, name.clone(), decimal.clone()]));
        assert!(!pays(&[int, name, decimal]));
        assert!(!pays(&[]));
    }
}
