//! Builds statements from words, names and texts, all as bytes.

use super::super::sql::{quote_name, quote_text};

/// A statement under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Starts with these words.
    pub(crate) fn new(sql: impl AsRef<[u8]>) -> Self {
        Self(sql.as_ref().to_vec())
    }

    /// Adds SQL as it is.
    #[must_use]
    pub(crate) fn sql(mut self, sql: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(sql.as_ref());
        self
    }

    /// Adds a quoted name.
    #[must_use]
    pub(crate) fn name(mut self, name: &[u8]) -> Self {
        self.0.extend(quote_name(name));
        self
    }

    /// Adds a text literal.
    #[must_use]
    pub(crate) fn text(mut self, text: &[u8]) -> Self {
        self.0.extend(quote_text(text));
        self
    }

    /// The statement.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Names, quoted and with commas between them.
pub(crate) fn joined_names<'a>(names: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let quoted: Vec<Vec<u8>> = names.into_iter().map(|name| quote_name(name)).collect();
    quoted.join(&b","[..])
}
