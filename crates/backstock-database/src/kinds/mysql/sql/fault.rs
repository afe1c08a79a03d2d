//! What is wrong with a piece of SQL text, and where.

/// Why a text is not the SQL that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, at byte {offset_bytes}")]
pub struct SqlFault {
    /// Where, counted in bytes from the start of the text that was given.
    pub offset_bytes: u64,
    /// What is wrong there.
    pub what: String,
    /// Whether it is only that the text ends too early.
    pub is_unfinished: bool,
}

impl SqlFault {
    pub(crate) fn new(offset: usize, what: impl Into<String>) -> Self {
        Self { offset_bytes: offset as u64, what: what.into(), is_unfinished: false }
    }

    pub(crate) fn unfinished(offset: usize, what: impl Into<String>) -> Self {
        Self { is_unfinished: true, ..Self::new(offset, what) }
    }
}
