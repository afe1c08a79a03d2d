//! Cuts SQL text into tokens. A byte scanner for client character sets in which every ASCII byte means itself.

use super::SqlFault;

/// The parts of `sql_mode` that decide where a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// `ANSI_QUOTES`: `"` quotes a name, not a text.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash in a text is an ordinary byte.
    pub no_backslash_escapes: bool,
}

impl Modes {
    /// Reads the modes from a `sql_mode` list such as `ANSI_QUOTES,STRICT_ALL_TABLES`.
    pub fn from_list(list: &[u8]) -> Self {
        let list = list.to_ascii_uppercase();
        let mut modes = Self::default();
        for mode in list.split(|byte| *byte == b',') {
            match mode.trim_ascii() {
                // The combination modes switch ANSI_QUOTES on and stand beside it in the stored value.
                b"ANSI_QUOTES" | b"ANSI" | b"ORACLE" | b"MSSQL" | b"DB2" | b"MAXDB" | b"POSTGRESQL" => {
                    modes.ansi_quotes = true;
                }
                b"NO_BACKSLASH_ESCAPES" => modes.no_backslash_escapes = true,
                _ => {}
            }
        }
        modes
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or an unquoted name.
    Word,
    /// A quoted name, quotes included.
    Name,
    /// A text literal with its introducer, such as `_binary'..'` or `x'..'`.
    Text,
    /// A number, hexadecimal and bit numbers included.
    Number,
    /// `@name` or `@@name`; a quoted part or a dotted rest follows as tokens of their own.
    Variable,
    /// One byte of punctuation.
    Symbol(u8),
    /// The start of a comment whose content runs, such as `/*!50100`.
    Open,
    /// The end of such a comment.
    Close,
    /// The delimiter between statements.
    Delimiter,
}

/// One token: bytes `start..end` of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

impl Token {
    /// The token's bytes.
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        &sql[self.start..self.end]
    }

    /// Whether it is this keyword, in any case.
    pub fn is_word(&self, sql: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(sql).eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Longer delimiters than any tool writes are taken as damage, bytes.
pub(crate) const DELIMITER_LIMIT_BYTES: usize = 16;

/// What ends a statement; empty where `;` is an ordinary symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Delimiter {
    bytes: [u8; DELIMITER_LIMIT_BYTES],
    length: usize,
}

impl Delimiter {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Where a lexer stands and in which state: enough to go on in a text that has grown meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LexerState {
    pub(crate) position: usize,
    pub(crate) modes: Modes,
    delimiter: Delimiter,
    in_versioned: bool,
}

impl LexerState {
    /// Ends statements at these bytes, of which there are at most [`DELIMITER_LIMIT_BYTES`].
    pub(crate) fn set_delimiter(&mut self, delimiter: &[u8]) {
        self.delimiter = Delimiter::default();
        for (slot, byte) in self.delimiter.bytes.iter_mut().zip(delimiter) {
            *slot = *byte;
        }
        self.delimiter.length = delimiter.len().min(DELIMITER_LIMIT_BYTES);
    }

    /// What ends a statement now.
    pub(crate) fn delimiter(&self) -> &[u8] {
        self.delimiter.bytes()
    }

    /// Goes on at `position`, behind a versioned comment whose content was passed over.
    pub(crate) fn leave_comment(&mut self, position: usize) {
        self.position = position;
        self.in_versioned = false;
    }
}

/// Reads tokens from the start of a text to its end.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a [u8],
    position: usize,
    modes: Modes,
    delimiter: Delimiter,
    in_versioned: bool,
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl<'a> Lexer<'a> {
    /// Reads `text`; `;` is an ordinary symbol.
    pub fn new(text: &'a [u8], modes: Modes) -> Self {
        Self::at(text, LexerState { modes, ..LexerState::default() })
    }

    /// Goes on in a text from where another lexer stood.
    pub(crate) fn at(text: &'a [u8], state: LexerState) -> Self {
        let LexerState { position, modes, delimiter, in_versioned } = state;
        Self { text, position, modes, delimiter, in_versioned }
    }

    /// Where it stands and in which state.
    pub(crate) fn state(&self) -> LexerState {
        let Self { position, modes, delimiter, in_versioned, .. } = *self;
        LexerState { position, modes, delimiter, in_versioned }
    }

    /// Where the next token is looked for.
    pub fn position(&self) -> usize {
        self.position
    }

    pub(super) fn set_position(&mut self, position: usize) {
        self.position = position;
    }

    pub(super) fn set_delimiter(&mut self, delimiter: &[u8]) {
        let mut state = self.state();
        state.set_delimiter(delimiter);
        self.delimiter = state.delimiter;
    }

    pub(super) fn set_modes(&mut self, modes: Modes) {
        self.modes = modes;
    }

    pub(super) fn modes(&self) -> Modes {
        self.modes
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.position + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.position..]
    }

    fn at_delimiter(&self, position: usize) -> bool {
        let delimiter = self.delimiter.bytes();
        !delimiter.is_empty() && !self.in_versioned && self.text[position..].starts_with(delimiter)
    }

    /// The next token, or `None` at the end. An open quote or comment at the end is a fault.
    pub fn next_token(&mut self) -> Result<Option<Token>, SqlFault> {
        self.skip_blanks_and_comments()?;
        let start = self.position;
        let Some(first) = self.byte(0) else {
            if self.in_versioned {
                return Err(SqlFault::unfinished(start, "a comment does not end"));
            }
            return Ok(None);
        };
        let kind = if self.at_delimiter(start) {
            self.position += self.delimiter.length;
            TokenKind::Delimiter
        } else {
            self.token(first)?
        };
        Ok(Some(Token { kind, start, end: self.position }))
    }

    fn token(&mut self, first: u8) -> Result<TokenKind, SqlFault> {
        let start = self.position;
        match first {
            b'\'' => self.quoted(first, !self.modes.no_backslash_escapes, TokenKind::Text),
            b'"' if self.modes.ansi_quotes => self.quoted(first, false, TokenKind::Name),
            b'"' => self.quoted(first, !self.modes.no_backslash_escapes, TokenKind::Text),
            b'`' => self.quoted(first, false, TokenKind::Name),
            b'/' if self.rest().starts_with(b"/*") => {
                self.open_versioned();
                Ok(TokenKind::Open)
            }
            b'*' if self.in_versioned && self.byte(1) == Some(b'/') => {
                self.position += 2;
                self.in_versioned = false;
                Ok(TokenKind::Close)
            }
            b'@' => {
                self.position += if self.byte(1) == Some(b'@') { 2 } else { 1 };
                self.skip_word(|byte| is_word_byte(byte) || byte == b'.');
                Ok(TokenKind::Variable)
            }
            b'0'..=b'9' => Ok(self.number()),
            b'.' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => Ok(self.number()),
            // A NULL of MariaDB and older MySQL, in files of theirs.
            b'\\' if self.byte(1) == Some(b'N') && !self.byte(2).is_some_and(is_word_byte) => {
                self.position += 2;
                Ok(TokenKind::Word)
            }
            0 | 0x1a | b'\\' => {
                Err(SqlFault::new(start, format!("byte {first:#04x} stands outside of quotes")))
            }
            _ if is_word_byte(first) => {
                self.skip_word(is_word_byte);
                let word = &self.text[start..self.position];
                let introduces = word[0] == b'_' || matches!(word, b"x" | b"X" | b"b" | b"B" | b"n" | b"N");
                match self.byte(0) {
                    Some(b'\'') if introduces => {
                        self.quoted(b'\'', !self.modes.no_backslash_escapes, TokenKind::Text)
                    }
                    _ => Ok(TokenKind::Word),
                }
            }
            _ => {
                self.position += 1;
                Ok(TokenKind::Symbol(first))
            }
        }
    }

    fn skip_word(&mut self, belongs: impl Fn(u8) -> bool) {
        while let Some(byte) = self.byte(0) {
            if !belongs(byte) || self.at_delimiter(self.position) {
                break;
            }
            self.position += 1;
        }
    }

    fn number(&mut self) -> TokenKind {
        let start = self.position;
        self.skip_word(|byte| is_word_byte(byte) || byte == b'.');
        let so_far = &self.text[start..self.position];
        let mantissa = so_far.strip_suffix(b"e").or_else(|| so_far.strip_suffix(b"E"));
        let is_plain = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        let signed = matches!(self.byte(0), Some(b'+' | b'-'))
            && self.byte(1).is_some_and(|byte| byte.is_ascii_digit());
        if mantissa.is_some_and(is_plain) && signed {
            self.position += 1;
            self.skip_word(|byte| byte.is_ascii_digit());
        }
        let text = &self.text[start..self.position];
        let hexadecimal = text.starts_with(b"0x") || text.starts_with(b"0b");
        let exponent = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        if hexadecimal || text.iter().all(exponent) { TokenKind::Number } else { TokenKind::Word }
    }

    fn quoted(&mut self, quote: u8, escapes: bool, kind: TokenKind) -> Result<TokenKind, SqlFault> {
        let start = self.position;
        self.position += 1;
        loop {
            match self.byte(0) {
                None => return Err(SqlFault::unfinished(start, "a quote does not end")),
                Some(b'\\') if escapes => self.position += 2,
                Some(byte) if byte == quote => {
                    self.position += 1;
                    if self.byte(0) != Some(quote) {
                        return Ok(kind);
                    }
                    self.position += 1;
                }
                Some(_) => self.position += 1,
            }
            if self.position > self.text.len() {
                return Err(SqlFault::unfinished(start, "a quote does not end"));
            }
        }
    }

    fn open_versioned(&mut self) {
        self.position += if self.rest().starts_with(b"/*M!") { 4 } else { 3 };
        for _ in 0..6 {
            if self.byte(0).is_some_and(|byte| byte.is_ascii_digit()) {
                self.position += 1;
            }
        }
        self.in_versioned = true;
    }

    pub(crate) fn skip_blanks_and_comments(&mut self) -> Result<(), SqlFault> {
        while let Some(byte) = self.byte(0) {
            let rest = self.rest();
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.position += 1;
            } else if byte == b'#'
                || (rest.starts_with(b"--") && rest.get(2).is_none_or(|next| *next <= b' '))
            {
                self.position += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if rest.starts_with(b"/*")
                && (self.in_versioned || !(rest.starts_with(b"/*!") || rest.starts_with(b"/*M!")))
            {
                if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") {
                    let what =
                        "a versioned comment stands within another one, which servers read in different ways";
                    return Err(SqlFault::new(self.position, what));
                }
                let end = rest[2..].windows(2).position(|pair| pair == b"*/");
                let Some(end) = end else {
                    return Err(SqlFault::unfinished(self.position, "a comment does not end"));
                };
                self.position += end + 4;
            } else {
                break;
            }
        }
        Ok(())
    }
}

/// The bytes that a quoted or plain name stands for.
pub(crate) fn name_bytes(token: &[u8]) -> Vec<u8> {
    match token {
        [quote @ (b'`' | b'"'), inner @ .., _] => {
            let mut name = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter();
            while let Some(byte) = bytes.next() {
                name.push(*byte);
                if byte == quote {
                    bytes.next();
                }
            }
            name
        }
        plain => plain.to_vec(),
    }
}

/// The name between backticks, its own backticks doubled.
pub fn quote_name(name: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len() + 2);
    quoted.push(b'`');
    for byte in name {
        quoted.push(*byte);
        if *byte == b'`' {
            quoted.push(b'`');
        }
    }
    quoted.push(b'`');
    quoted
}

/// A text literal for sessions without `NO_BACKSLASH_ESCAPES`.
pub fn quote_text(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'\'');
    for byte in text {
        match byte {
            0 => quoted.extend(b"\\0"),
            b'\'' | b'\\' => quoted.extend([b'\\', *byte]),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sql: &[u8], modes: Modes) -> Result<Vec<(TokenKind, Vec<u8>)>, SqlFault> {
        let mut lexer = Lexer::new(sql, modes);
        let mut found = Vec::new();
        while let Some(token) = lexer.next_token()? {
            found.push((token.kind, token.text(sql).to_vec()));
        }
        Ok(found)
    }

    fn texts(sql: &str) -> Vec<String> {
        let found = tokens(sql.as_bytes(), Modes::default()).unwrap();
        found.into_iter().map(|(_, text)| String::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn tokens_end_where_the_server_ends_them() {
        assert_eq!(
            texts("a`b``c`'d''e\\'f'x'00' _binary'g'"),
            ["a", "`b``c`", "'d''e\\'f'", "x'00'", "_binary'g'"]
        );
        assert_eq!(
            texts("1-2e-5,.5 0xFF e1 1a -0e0"),
            ["1", "-", "2e-5", ",", ".5", "0xFF", "e1", "1a", "-", "0e0"]
        );
        assert_eq!(
            texts("a -- b ' c\n--d # '\n/* ' ; */e/*! f */"),
            ["a", "-", "-", "d", "e", "/*!", "f", "*/"]
        );
        assert_eq!(
            texts("/*!50100 a /* b */ '*/' */ c /*M!100301 d*/"),
            ["/*!50100", "a", "'*/'", "*/", "c", "/*M!100301", "d", "*/"]
        );
        assert_eq!(texts("@@session.sql_mode = @a"), ["@@session.sql_mode", "=", "@a"]);
    }

    #[test]
    fn modes_change_what_quotes_mean() {
        let ansi = Modes::from_list(b"real_as_float,ansi_quotes");
        let found = tokens(br#""a\""#, ansi).unwrap();
        assert_eq!(found, [(TokenKind::Name, br#""a\""#.to_vec())]);
        assert!(tokens(br#""a\""#, Modes::default()).is_err());
        let plain = Modes::from_list(b"NO_BACKSLASH_ESCAPES");
        assert_eq!(tokens(br"'a\'", plain).unwrap().len(), 1);
    }

    #[test]
    fn what_does_not_end_is_a_fault() {
        for sql in ["'a", "`a", "/* a", "/*! a", "'a\\", "a\0", "\\g"] {
            assert!(tokens(sql.as_bytes(), Modes::default()).is_err(), "{sql:?}");
        }
    }

    #[test]
    fn a_quoted_name_gives_its_bytes_back() {
        for name in [&b"a`b"[..], b"``", b"", b"*/ -- \n", &[0xff, b'`', 0xfe]] {
            assert_eq!(name_bytes(&quote_name(name)), name);
        }
    }
}
