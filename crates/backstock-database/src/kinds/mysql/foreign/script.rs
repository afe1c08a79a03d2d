//! Reads a script of any size token by token, with no more of it in memory than the statement, or the row, at hand.

use std::io::Read;

use super::fault::{Fault, Outcome, Place};
use crate::kinds::mysql::sql::{
    DELIMITER_WORD, Lexer, LexerState, Modes, SqlFault, Token, TokenKind, delimiter_of,
};

/// How much is read at a time, bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// A token may change its end when this much follows it: the longest delimiter and the number of a comment.
const LOOKAHEAD_BYTES: usize = 32;
/// A statement that is no INSERT, or one row of an INSERT, is at most this long, bytes: the largest packet of any
/// server.
const LIMIT_BYTES: usize = 1024 * 1024 * 1024;
/// How the sandbox line of MariaDB's dumps starts: a comment whose content nobody must run.
const SANDBOX_MARKS: [&[u8]; 2] = [b"/*M!999999\\-", b"/*!999999\\-"];
/// The byte order marks of UTF-8 and of UTF-16.
const MARK_UTF8: &[u8] = &[0xef, 0xbb, 0xbf];
const MARKS_UTF16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// A script. Spans of tokens count from the last [`Script::release`].
pub(super) struct Script<'a> {
    place: &'a str,
    input: Box<dyn Read + 'a>,
    window: Vec<u8>,
    /// Where in the window the bytes start that are still needed.
    start: usize,
    state: LexerState,
    /// Lines before `start`.
    lines: u64,
    is_ended: bool,
    line_endings: LineEndings,
    /// The byte before `start`.
    previous: u8,
    read_bytes: u64,
}

/// What the lines outside of statements end with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEndings {
    pub(super) plain: u64,
    pub(super) with_return: u64,
}

impl<'a> Script<'a> {
    /// Reads `input`, called `place` in messages, with `;` as the delimiter.
    pub(super) fn open(place: &'a str, input: Box<dyn Read + 'a>, modes: Modes) -> Outcome<Self> {
        let mut state = LexerState::default();
        state.modes = modes;
        state.set_delimiter(b";");
        let mut script = Self {
            place,
            input,
            window: Vec::new(),
            start: 0,
            state,
            lines: 0,
            is_ended: false,
            line_endings: LineEndings::default(),
            previous: b'\n',
            read_bytes: 0,
        };
        script.read_more()?;
        if MARKS_UTF16.iter().any(|mark| script.window.starts_with(mark))
            || nul_bytes(&script.window) * 4 > script.window.len()
        {
            return Err(script.fault("it is UTF-16: save the dump as UTF-8, or as plain bytes"));
        }
        if script.window.starts_with(MARK_UTF8) {
            script.state.position = MARK_UTF8.len();
            script.start = MARK_UTF8.len();
        }
        Ok(script)
    }

    /// What it is called in messages.
    pub(super) fn place(&self) -> &str {
        self.place
    }

    /// How many bytes were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The first bytes, for recognising who wrote them.
    pub(super) fn head(&self) -> &[u8] {
        &self.window
    }

    /// The last bytes, once the end is reached.
    pub(super) fn tail(&self, length: usize) -> &[u8] {
        &self.window[self.window.len().saturating_sub(length)..]
    }

    pub(super) fn modes(&self) -> Modes {
        self.state.modes
    }

    pub(super) fn set_modes(&mut self, modes: Modes) {
        self.state.modes = modes;
    }

    /// Ends statements at other bytes than `;`.
    pub(super) fn end_statements_with(&mut self, delimiter: &[u8]) {
        self.state.set_delimiter(delimiter);
    }

    /// Whether statements end with something else than `;`.
    pub(super) fn has_own_delimiter(&self) -> bool {
        self.state.delimiter() != b";"
    }

    pub(super) fn line_endings(&self) -> LineEndings {
        self.line_endings
    }

    /// The number of the line where the next token is looked for, from 1.
    pub(super) fn line(&self) -> u64 {
        let passed = self.window.get(self.start..self.state.position).unwrap_or_default();
        1 + self.lines + line_breaks(passed)
    }

    /// A fault here.
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        self.fault_at(self.line(), what)
    }

    /// A fault at a line.
    pub(super) fn fault_at(&self, line: u64, what: impl Into<String>) -> Fault {
        Fault::Text(Place { file: self.place.to_owned(), line, what: what.into() })
    }

    /// The bytes since the last release, up to where the next token is looked for.
    pub(super) fn text(&self, token: &Token) -> &[u8] {
        self.window.get(self.start + token.start..self.start + token.end).unwrap_or_default()
    }

    /// All bytes since the last release.
    pub(super) fn taken(&self) -> &[u8] {
        self.window.get(self.start..self.state.position).unwrap_or_default()
    }

    /// The byte behind the last token.
    pub(super) fn next_byte(&self) -> Option<u8> {
        self.window.get(self.state.position).copied()
    }

    pub(super) fn is_word(&self, token: &Token, word: &str) -> bool {
        token.kind == TokenKind::Word && self.text(token).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Forgets what was read so far.
    pub(super) fn release(&mut self) {
        let passed = self.window.get(self.start..self.state.position).unwrap_or_default();
        self.lines += line_breaks(passed);
        self.previous = passed.last().copied().unwrap_or(self.previous);
        self.start = self.state.position;
    }

    fn read_more(&mut self) -> Outcome<()> {
        if self.start > 0 {
            self.window.drain(..self.start);
            self.state.position -= self.start;
            self.start = 0;
        }
        if self.window.len() > LIMIT_BYTES {
            return Err(self.fault("a statement or a row is longer than any server takes"));
        }
        let wanted = CHUNK_BYTES.max(self.window.len());
        let before = self.window.len();
        self.window.reserve(wanted);
        let read = (&mut self.input).take(wanted as u64).read_to_end(&mut self.window);
        read.map_err(|source| Fault::Read { file: self.place.to_owned(), source })?;
        let added = self.window.len() - before;
        self.read_bytes += added as u64;
        self.is_ended = added < wanted;
        Ok(())
    }

    /// The next token; `None` at the end of the script.
    pub(super) fn next_token(&mut self) -> Outcome<Option<Token>> {
        loop {
            let mut lexer = Lexer::at(&self.window, self.state);
            let found = lexer.next_token();
            let is_safe = |end: usize| self.is_ended || end + LOOKAHEAD_BYTES <= self.window.len();
            match found {
                Ok(Some(token)) if is_safe(token.end) => {
                    self.state = lexer.state();
                    let (start, end) = (token.start - self.start, token.end - self.start);
                    return Ok(Some(Token { start, end, ..token }));
                }
                Ok(None) if self.is_ended => {
                    self.state = lexer.state();
                    return Ok(None);
                }
                Err(fault) if self.is_ended || !fault.is_unfinished => return Err(self.sql_fault(&fault)),
                Ok(_) | Err(_) => self.read_more()?,
            }
        }
    }

    /// The next token, which is read again afterwards. Right after [`Script::find_statement`] only.
    pub(super) fn peek_token(&mut self) -> Outcome<Option<Token>> {
        let before = self.state;
        let token = self.next_token()?;
        self.state = before;
        // The window may have moved meanwhile.
        self.state.position = self.start;
        Ok(token)
    }

    /// To the end of a versioned comment that the server does not run, from behind its mark: there are no quotes in it,
    /// and where it `nests`, one comment may stand within it. Gives the end, counted as those of tokens.
    pub(super) fn skip_comment(&mut self, nests: bool) -> Outcome<usize> {
        loop {
            let rest = self.window.get(self.state.position..).unwrap_or_default();
            if let Some(length) = comment_length(rest, nests) {
                self.state.leave_comment(self.state.position + length);
                return Ok(self.state.position - self.start);
            }
            if self.is_ended {
                return Err(self.fault("a comment does not end: the file was cut off"));
            }
            self.read_more()?;
        }
    }

    fn sql_fault(&self, fault: &SqlFault) -> Fault {
        let offset = usize::try_from(fault.offset_bytes).unwrap_or(usize::MAX).max(self.start);
        let passed = self.window.get(self.start..offset).unwrap_or_default();
        let line = 1 + self.lines + line_breaks(passed);
        let what = if fault.is_unfinished {
            format!("{}: the file was cut off", fault.what)
        } else {
            fault.what.clone()
        };
        self.fault_at(line, what)
    }

    /// Goes to the first token of the next statement, past comments, empty statements and DELIMITER lines. `false` at
    /// the end of the script.
    pub(super) fn find_statement(&mut self) -> Outcome<bool> {
        loop {
            self.skip_blanks()?;
            self.release();
            let rest = self.window.get(self.start..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(false);
            }
            if SANDBOX_MARKS.iter().any(|mark| rest.starts_with(mark)) {
                let end = rest.windows(2).position(|pair| pair == b"*/");
                let end = end.ok_or_else(|| self.fault("a comment does not end: the file was cut off"))?;
                self.state.position = self.start + end + 2;
            } else if self.is_delimiter_line() {
                self.take_delimiter_line()?;
            } else if rest.starts_with(self.state.delimiter()) {
                self.state.position += self.state.delimiter().len();
            } else {
                return Ok(true);
            }
        }
    }

    /// Past blanks and comments, so far that what follows is in the window.
    fn skip_blanks(&mut self) -> Outcome<()> {
        loop {
            let before = self.state.position;
            let mut lexer = Lexer::at(&self.window, self.state);
            let skipped = lexer.skip_blanks_and_comments();
            match skipped {
                Ok(()) if self.is_ended || lexer.position() + CHUNK_BYTES / 4 <= self.window.len() => {
                    self.state = lexer.state();
                    let passed = self.window.get(before..self.state.position).unwrap_or_default();
                    let with_return = passed.windows(2).filter(|pair| pair == b"\r\n").count() as u64;
                    self.line_endings.with_return += with_return;
                    self.line_endings.plain += line_breaks(passed) - with_return;
                    return Ok(());
                }
                Err(fault) if self.is_ended => return Err(self.sql_fault(&fault)),
                Ok(()) | Err(_) => self.read_more()?,
            }
        }
    }

    fn is_delimiter_line(&self) -> bool {
        let rest = self.window.get(self.start..).unwrap_or_default();
        let word = rest.get(..DELIMITER_WORD.len()).unwrap_or_default();
        let blank_follows = matches!(rest.get(DELIMITER_WORD.len()), Some(b' ' | b'\t'));
        self.previous == b'\n' && word.eq_ignore_ascii_case(DELIMITER_WORD) && blank_follows
    }

    fn take_delimiter_line(&mut self) -> Outcome<()> {
        let rest = self.window.get(self.start..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let Some(delimiter) = delimiter_of(&rest[..length]).map(<[u8]>::to_vec) else {
            return Err(self.fault("a DELIMITER line names no usable delimiter"));
        };
        self.state.set_delimiter(&delimiter);
        self.state.position = self.start + length;
        Ok(())
    }
}

/// How far it is to behind the end of a comment.
fn comment_length(text: &[u8], nests: bool) -> Option<usize> {
    let mut is_inner = false;
    let mut at = 0;
    while let Some(pair) = text.get(at..at + 2) {
        match pair {
            b"*/" if !is_inner => return Some(at + 2),
            b"*/" => is_inner = false,
            b"/*" if nests && !is_inner => is_inner = true,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    None
}

fn line_breaks(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn nul_bytes(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == 0).count()
}
