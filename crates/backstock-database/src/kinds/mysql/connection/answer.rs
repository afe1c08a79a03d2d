//! The server's answers: OK, EOF and ERR packets, column definitions (MySQL Internals, "Generic Response Packets"
//! and "Protocol::ColumnDefinition41").

use super::wire::{Fields, Malformed};
use crate::error::ServerError;

/// `SERVER_STATUS_IN_TRANS`: a transaction is open.
pub(crate) const STATUS_IN_TRANSACTION: u16 = 0x0001;
/// `SERVER_MORE_RESULTS_EXISTS`: another result follows, which we never ask for.
pub(crate) const STATUS_MORE_RESULTS: u16 = 0x0008;

/// What a statement without rows did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Rows that it changed.
    pub affected_rows: u64,
    /// The last number that the server gave out for an AUTO_INCREMENT column.
    pub last_insert_id: u64,
    /// How many warnings `SHOW WARNINGS` would show.
    pub warnings: u16,
    /// Status flags of the protocol.
    pub(crate) status: u16,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name or alias as the statement gave it.
    pub name: Vec<u8>,
    /// The column's own name in its table; empty for an expression.
    pub original_name: Vec<u8>,
    /// Number of the collation; 63 is binary.
    pub collation: u16,
    /// Type number of the protocol ("Protocol::ColumnType").
    pub type_number: u8,
    /// Flags of the protocol ("Column Definition Flags").
    pub flags: u16,
    /// Digits behind the point, of a time or a number; more than 30 where that is not fixed.
    pub decimals: u8,
}

pub(crate) fn parse_ok(message: &[u8]) -> Result<Done, Malformed> {
    let mut fields = Fields(message);
    fields.byte()?;
    Ok(Done {
        affected_rows: fields.length()?.ok_or(Malformed)?,
        last_insert_id: fields.length()?.ok_or(Malformed)?,
        status: fields.short()?,
        warnings: fields.short()?,
    })
}

/// An EOF packet. A row can begin with the same byte, but is then far longer.
pub(crate) fn is_eof(message: &[u8]) -> bool {
    message.len() < 9 && message.first() == Some(&0xfe)
}

pub(crate) fn parse_eof(message: &[u8]) -> Result<Done, Malformed> {
    let mut fields = Fields(message);
    fields.byte()?;
    Ok(Done { warnings: fields.short()?, status: fields.short()?, ..Done::default() })
}

pub(crate) fn parse_error(message: &[u8]) -> ServerError {
    let mut fields = Fields(message);
    let _ = fields.byte();
    let code = fields.short().unwrap_or(0);
    let mut sqlstate = "HY000".to_owned();
    if fields.0.first() == Some(&b'#') && fields.0.len() >= 6 {
        sqlstate = String::from_utf8_lossy(&fields.0[1..6]).into_owned();
        fields.0 = &fields.0[6..];
    }
    let message = String::from_utf8_lossy(fields.0).replace(char::is_control, " ");
    ServerError { code, sqlstate, message }
}

pub(crate) fn parse_column(message: &[u8]) -> Result<Column, Malformed> {
    let mut fields = Fields(message);
    for _ in ["catalog", "schema", "table", "original table"] {
        fields.value()?;
    }
    let name = fields.value()?.ok_or(Malformed)?.to_vec();
    let original_name = fields.value()?.ok_or(Malformed)?.to_vec();
    fields.length()?;
    let collation = fields.short()?;
    fields.bytes(4)?;
    let type_number = fields.byte()?;
    let flags = fields.short()?;
    Ok(Column { name, original_name, collation, type_number, flags, decimals: fields.byte()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_packet_is_read() {
        let error = parse_error(b"\xff\x15\x04#28000Access denied\n");
        assert_eq!((error.code, error.sqlstate.as_str()), (1045, "28000"));
        assert_eq!(error.message, "Access denied ");
        assert_eq!(parse_error(b"\xff").code, 0);
    }

    #[test]
    fn a_row_that_starts_like_an_end_is_none() {
        assert!(is_eof(&[0xfe, 0, 0, 2, 0]));
        assert!(!is_eof(&[0xfe, 0, 0, 0, 1, 0, 0, 0, 0, 9]));
    }
}
