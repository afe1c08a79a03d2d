//! Replaces parts of a text by their spans.

use super::Span;

/// Replacements that are collected first and made in one pass.
#[derive(Debug, Default)]
pub(crate) struct Edits(Vec<(usize, usize, Vec<u8>)>);

impl Edits {
    /// Puts `text` in the place of `span`. Spans may touch and must not overlap.
    pub(crate) fn replace(&mut self, span: Span, text: impl Into<Vec<u8>>) {
        self.0.push((span.start, span.end, text.into()));
    }

    /// The text with all replacements made.
    pub(crate) fn apply(mut self, text: &[u8]) -> Vec<u8> {
        self.0.sort_by_key(|(start, ..)| *start);
        let mut result = Vec::with_capacity(text.len());
        let mut done = 0;
        for (start, end, replacement) in self.0 {
            if start < done {
                continue;
            }
            result.extend_from_slice(&text[done..start]);
            result.extend_from_slice(&replacement);
            done = end;
        }
        result.extend_from_slice(&text[done..]);
        result
    }
}
