//! From columns to words, identifiers and times, and back.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Sqlite, Type};

use crate::{Error, Result, escaped};

/// The longest text that is kept of a message, in bytes: the log must not grow without limit.
const MESSAGE_LIMIT_BYTES: usize = 8 << 10;
/// How much of an odd value an error shows, in characters.
const SHOWN_CHARACTERS: usize = 80;

fn odd(column: &'static str, text: &str) -> Error {
    Error::Value { column, text: text.chars().take(SHOWN_CHARACTERS).collect() }
}

fn get<'row, T>(row: &'row SqliteRow, column: &'static str) -> Result<T>
where
    T: Decode<'row, Sqlite> + Type<Sqlite>,
    &'static str: ColumnIndex<SqliteRow>,
{
    row.try_get(column).map_err(|error| odd(column, &error.to_string()))
}

pub(crate) fn text(row: &SqliteRow, column: &'static str) -> Result<String> {
    get(row, column)
}

pub(crate) fn optional_text(row: &SqliteRow, column: &'static str) -> Result<Option<String>> {
    get(row, column)
}

/// A word or an identifier.
pub(crate) fn parsed<T: FromStr>(row: &SqliteRow, column: &'static str) -> Result<T> {
    let text = text(row, column)?;
    text.parse().map_err(|_| odd(column, &text))
}

pub(crate) fn optional_parsed<T: FromStr>(row: &SqliteRow, column: &'static str) -> Result<Option<T>> {
    let text = optional_text(row, column)?;
    text.map(|text| text.parse().map_err(|_| odd(column, &text))).transpose()
}

pub(crate) fn bytes(row: &SqliteRow, column: &'static str) -> Result<Vec<u8>> {
    let text = text(row, column)?;
    escaped::decode(&text).ok_or_else(|| odd(column, &text))
}

pub(crate) fn optional_bytes(row: &SqliteRow, column: &'static str) -> Result<Option<Vec<u8>>> {
    let text = optional_text(row, column)?;
    text.map(|text| escaped::decode(&text).ok_or_else(|| odd(column, &text))).transpose()
}

pub(crate) fn number(row: &SqliteRow, column: &'static str) -> Result<u64> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|_| odd(column, &number.to_string()))
}

pub(crate) fn optional_number(row: &SqliteRow, column: &'static str) -> Result<Option<u64>> {
    let number: Option<i64> = get(row, column)?;
    number.map(|number| u64::try_from(number).map_err(|_| odd(column, &number.to_string()))).transpose()
}

pub(crate) fn time(row: &SqliteRow, column: &'static str) -> Result<Timestamp> {
    let ms: i64 = get(row, column)?;
    Timestamp::from_millisecond(ms).map_err(|_| odd(column, &ms.to_string()))
}

pub(crate) fn optional_time(row: &SqliteRow, column: &'static str) -> Result<Option<Timestamp>> {
    let ms: Option<i64> = get(row, column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| odd(column, &ms.to_string()))).transpose()
}

pub(crate) fn json(row: &SqliteRow, column: &'static str) -> Result<serde_json::Value> {
    let text = text(row, column)?;
    serde_json::from_str(&text).map_err(|_| odd(column, &text))
}

/// A count or size as the database keeps it. Nothing real is above 2^63.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An identifier or word as the database keeps it, if there is one.
pub(crate) fn shown<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// A message as the log keeps it: without NUL, which not every database can store, and of bounded length.
pub(crate) fn message(text: &str) -> String {
    let mut kept = text.replace('\0', "\u{fffd}");
    if kept.len() > MESSAGE_LIMIT_BYTES {
        kept.truncate(kept.floor_char_boundary(MESSAGE_LIMIT_BYTES - 3));
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_within_its_limit_and_stays_text() {
        assert_eq!(message("short\0"), "short\u{fffd}");
        let kept = message(&"é".repeat(10_000));
        assert!(kept.len() <= MESSAGE_LIMIT_BYTES && kept.ends_with("é…"), "{}", kept.len());
    }
}
