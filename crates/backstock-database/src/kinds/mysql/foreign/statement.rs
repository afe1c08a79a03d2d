//! One whole statement that is no INSERT: its text and its tokens, with versioned comments settled for a server.

use super::fault::Outcome;
use super::script::Script;
use crate::kinds::mysql::ddl::{Edits, Span};
use crate::kinds::mysql::sql::{Modes, Token, TokenKind, name_bytes};
use crate::{Vendor, Version};

/// A statement that defines something is at most this long, bytes.
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// The numbers of versioned comments that MariaDB never runs: those of MySQL 5.7 to 9.
const NOT_FOR_MARIADB: std::ops::RangeInclusive<u32> = 50_700..=99_999;

/// How a comment starts that MariaDB alone runs.
const MARIADB_MARK: &[u8] = b"/*M!";
/// Brackets within brackets.
const DEPTH_LIMIT: u32 = 1000;

/// A statement.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// Its bytes, without the delimiter.
    pub(super) text: Vec<u8>,
    /// The tokens that a server runs; marks of comments are not among them.
    pub(super) tokens: Vec<Token>,
    /// Parts of the text that a server does not run, and marks of comments that it does.
    dead: Vec<Span>,
    /// The line where it starts.
    pub(super) line: u64,
    /// The modes in which it was read.
    pub(super) modes: Modes,
    /// Whether it starts within a versioned comment, as dump programs wrap what older servers do not know.
    pub(super) is_wrapped: bool,
    /// Whether it ended at a delimiter of its own.
    pub(super) has_own_delimiter: bool,
}

/// Whether a server runs what stands behind a mark such as `/*!50003` or `/*M!100301`. `None` for a mark that servers
/// read in different ways.
pub(super) fn runs(mark: &[u8], vendor: Vendor, version: Version) -> Option<bool> {
    let digits: Vec<u8> = mark.iter().copied().filter(u8::is_ascii_digit).collect();
    let is_mariadb = mark.starts_with(MARIADB_MARK);
    if is_mariadb && vendor == Vendor::MySql {
        return Some(false);
    }
    if digits.is_empty() {
        return Some(true);
    }
    let number: u32 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    if digits.len() < 5 {
        return None;
    }
    let Version(major, minor, patch) = version;
    let own = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch).min(99);
    let is_foreign = vendor == Vendor::MariaDb && !is_mariadb && NOT_FOR_MARIADB.contains(&number);
    Some(number <= own && !is_foreign)
}

impl Statement {
    /// Reads to the end of the statement, from its first token.
    pub(super) fn read(script: &mut Script<'_>, vendor: Vendor, version: Version) -> Outcome<Self> {
        let mut statement = Self {
            text: Vec::new(),
            tokens: Vec::new(),
            dead: Vec::new(),
            line: script.line(),
            modes: script.modes(),
            is_wrapped: false,
            has_own_delimiter: script.has_own_delimiter(),
        };
        let mut end = 0;
        let mut depth = 0_u32;
        let mut is_first = true;
        loop {
            let Some(token) = script.next_token()? else {
                let what =
                    "the file ends within a statement: it was cut off, or its last delimiter is missing";
                return Err(script.fault_at(statement.line, what));
            };
            if token.end > LIMIT_BYTES {
                return Err(script.fault_at(statement.line, "a statement is too long"));
            }
            if token.kind == TokenKind::Delimiter {
                break;
            }
            end = token.end;
            match token.kind {
                TokenKind::Open if statement.opens(script, &token, vendor, version)? => {
                    statement.is_wrapped |= is_first;
                    statement.dead.push(Span { start: token.start, end });
                }
                TokenKind::Open => {
                    // For MySQL, a mark of MariaDB is no more than the start of a plain comment.
                    let nests = !(vendor == Vendor::MySql && script.text(&token).starts_with(MARIADB_MARK));
                    end = script.skip_comment(nests)?;
                    statement.dead.push(Span { start: token.start, end });
                }
                TokenKind::Close => statement.dead.push(Span { start: token.start, end }),
                _ => statement.tokens.push(token),
            }
            match token.kind {
                TokenKind::Symbol(b'(') => depth += 1,
                TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH_LIMIT {
                return Err(script.fault("brackets stand within brackets, deeper than in any dump"));
            }
            is_first = false;
        }
        statement.text = script.taken().get(..end).unwrap_or_default().to_vec();
        Ok(statement)
    }

    fn opens(&self, script: &Script<'_>, token: &Token, vendor: Vendor, version: Version) -> Outcome<bool> {
        let mark = script.text(token);
        let digits = mark.iter().filter(|byte| byte.is_ascii_digit()).count();
        let next = script.next_byte();
        let is_clear = digits < 6 || next.is_none_or(|byte| byte.is_ascii_whitespace());
        match runs(mark, vendor, version) {
            Some(runs) if is_clear => Ok(runs),
            _ => Err(script.fault_at(
                script.line(),
                "a versioned comment begins with a number that servers read in different ways",
            )),
        }
    }

    /// A part of the text as the server runs it: content of versioned comments without their marks, or nothing of them.
    pub(super) fn settled_part(&self, part: Span) -> Vec<u8> {
        let mut edits = Edits::default();
        for span in self.dead.iter().filter(|span| span.start >= part.start && span.end <= part.end) {
            edits.replace(Span { start: span.start - part.start, end: span.end - part.start }, " ");
        }
        edits.apply(part.text(&self.text)).trim_ascii().to_vec()
    }

    /// The settled text from a token to the end.
    pub(super) fn settled_from(&self, at: usize) -> Vec<u8> {
        let start = self.tokens.get(at).map_or(self.text.len(), |token| token.start);
        self.settled_part(Span { start, end: self.text.len() })
    }

    /// The text as it is kept: settled where all of it is wrapped, and without the databases in front of `names`.
    pub(super) fn kept(&self, names: &[&QualifiedName]) -> Vec<u8> {
        let mut edits = Edits::default();
        for name in names.iter().filter(|name| name.database.is_some()) {
            let token = |back: usize| name.end.checked_sub(back).and_then(|at| self.tokens.get(at));
            if let (Some(database), Some(own)) = (token(3), token(1)) {
                edits.replace(Span { start: database.start, end: own.start }, "");
            }
        }
        if self.is_wrapped {
            for span in &self.dead {
                edits.replace(*span, " ");
            }
        }
        edits.apply(&self.text).trim_ascii().to_vec()
    }

    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(&self.text, word))
    }

    /// Whether these words stand at a place, one after the other.
    pub(super) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.is(at + offset, word))
    }

    pub(super) fn is_symbol(&self, at: usize, symbol: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    pub(super) fn text_at(&self, at: usize) -> &[u8] {
        self.tokens.get(at).map(|token| token.text(&self.text)).unwrap_or_default()
    }

    /// The word at a place in small letters; empty where there is another token.
    pub(super) fn word(&self, at: usize) -> String {
        match self.kind(at) {
            Some(TokenKind::Word) => String::from_utf8_lossy(self.text_at(at)).to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    /// The name at a place, quoted or not.
    pub(super) fn name(&self, at: usize) -> Option<Vec<u8>> {
        match self.kind(at)? {
            TokenKind::Name | TokenKind::Word => Some(name_bytes(self.text_at(at))),
            _ => None,
        }
    }

    /// A name with or without its database in front, and where it ends.
    pub(super) fn qualified(&self, at: usize) -> Option<QualifiedName> {
        let first = self.name(at)?;
        if self.is_symbol(at + 1, b'.') {
            let name = self.name(at + 2)?;
            return Some(QualifiedName { database: Some(first), name, end: at + 3 });
        }
        Some(QualifiedName { database: None, name: first, end: at + 1 })
    }

    /// The place behind `IF EXISTS` or `IF NOT EXISTS`.
    pub(super) fn past_if(&self, at: usize) -> usize {
        if self.are(at, &["if", "not", "exists"]) {
            at + 3
        } else if self.are(at, &["if", "exists"]) {
            at + 2
        } else {
            at
        }
    }

    /// The first words, for a message, as they are written.
    pub(super) fn summary(&self) -> String {
        const WORDS: usize = 3;
        let words = self.tokens.iter().take_while(|token| token.kind == TokenKind::Word).take(WORDS);
        let words: Vec<String> =
            words.map(|token| String::from_utf8_lossy(token.text(&self.text)).into_owned()).collect();
        words.join(" ")
    }
}

/// A name, with its database where the text gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QualifiedName {
    pub(super) database: Option<Vec<u8>>,
    pub(super) name: Vec<u8>,
    /// The place of the token behind it.
    pub(super) end: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_comments_run_where_servers_run_them() {
        let on = |mark: &str, vendor, version| runs(mark.as_bytes(), vendor, version);
        let my = |mark: &str| on(mark, Vendor::MySql, Version(9, 7, 0));
        let ma = |mark: &str| on(mark, Vendor::MariaDb, Version(10, 11, 6));
        for mark in ["/*!", "/*!50003", "/*!050003", "/*!50700", "/*!80400", "/*!090000"] {
            assert_eq!(my(mark), Some(true), "{mark}");
        }
        for mark in ["/*!99999", "/*!101100", "/*!110400", "/*!999999", "/*M!", "/*M!50003"] {
            assert_eq!(my(mark), Some(false), "{mark}");
        }
        for mark in ["/*!", "/*!50003", "/*!050003", "/*!50699", "/*!101100", "/*M!", "/*M!100301"] {
            assert_eq!(ma(mark), Some(true), "{mark}");
        }
        for mark in ["/*!50700", "/*!80400", "/*!99999", "/*!110400", "/*!999999", "/*M!110400"] {
            assert_eq!(ma(mark), Some(false), "{mark}");
        }
        assert_eq!(my("/*!5000"), None);
    }
}
