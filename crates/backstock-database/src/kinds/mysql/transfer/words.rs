//! A piece of a definition as tokens, looked at by position and edited in place.

use super::super::ddl::{Edits, Span};
use super::super::sql::{Lexer, Modes, SqlFault, Token, TokenKind, name_bytes};
use crate::raw_text::readable;

/// The tokens of a text, with the edits that are to be made to it.
pub(super) struct Words<'a> {
    pub(super) text: &'a [u8],
    pub(super) tokens: Vec<Token>,
    edits: Edits,
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8], modes: Modes) -> Result<Self, SqlFault> {
        let mut lexer = Lexer::new(text, modes);
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token()? {
            tokens.push(token);
        }
        Ok(Self { text, tokens, edits: Edits::default() })
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.text, word))
    }

    /// Whether these words stand one after the other.
    pub(super) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.is(at + offset, word))
    }

    pub(super) fn find(&self, words: &[&str]) -> Option<usize> {
        (0..self.len()).find(|at| self.are(*at, words))
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    pub(super) fn symbol(&self, at: usize) -> Option<u8> {
        match self.kind(at) {
            Some(TokenKind::Symbol(byte)) => Some(byte),
            _ => None,
        }
    }

    /// The bytes of a token.
    pub(super) fn bytes(&self, at: usize) -> &'a [u8] {
        self.tokens.get(at).map_or(&[], |token| token.text(self.text))
    }

    /// A token in small letters, without quotes of a name.
    pub(super) fn word(&self, at: usize) -> String {
        let bytes = self.bytes(at);
        match self.kind(at) {
            Some(TokenKind::Name) => readable(&name_bytes(bytes)).to_lowercase(),
            _ => readable(bytes).to_lowercase(),
        }
    }

    /// The position of the bracket that closes the one at `open`, or the last token.
    pub(super) fn close(&self, open: usize) -> usize {
        let mut depth = 0_u32;
        for at in open..self.len() {
            match self.symbol(at) {
                Some(b'(') => depth += 1,
                Some(b')') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.len().saturating_sub(1)
    }

    /// The end of the versioned comment that opens at `open`.
    pub(super) fn comment_end(&self, open: usize) -> usize {
        (open..self.len())
            .find(|at| self.kind(*at) == Some(TokenKind::Close))
            .unwrap_or_else(|| self.len().saturating_sub(1))
    }

    /// The text from one token to another, both included.
    pub(super) fn span_text(&self, from: usize, to: usize) -> &'a [u8] {
        match (self.tokens.get(from), self.tokens.get(to)) {
            (Some(from), Some(to)) => self.text.get(from.start..to.end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Puts a text in the place of tokens `from` to `to`, both included.
    pub(super) fn replace(&mut self, from: usize, to: usize, text: impl Into<Vec<u8>>) {
        if let (Some(from), Some(to)) = (self.tokens.get(from), self.tokens.get(to)) {
            self.edits.replace(Span { start: from.start, end: to.end }, text);
        }
    }

    /// Takes tokens `from` to `to` out, with one blank before them.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        if let (Some(from), Some(to)) = (self.tokens.get(from), self.tokens.get(to)) {
            let blank = usize::from(from.start > 0 && self.text[from.start - 1] == b' ');
            self.edits.replace(Span { start: from.start - blank, end: to.end }, "");
        }
    }

    /// The text with its edits made.
    pub(super) fn edited(self) -> Vec<u8> {
        self.edits.apply(self.text)
    }
}
