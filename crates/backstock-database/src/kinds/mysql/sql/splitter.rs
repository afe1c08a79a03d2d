//! Cuts a script into statements, with the `DELIMITER` lines of the stock clients and the modes that it sets itself.

use super::lexer::{DELIMITER_LIMIT_BYTES, Lexer, Modes, TokenKind, name_bytes};
use super::{SqlFault, Token};

/// The word that starts a line which sets the delimiter.
pub(crate) const DELIMITER_WORD: &[u8] = b"delimiter";
/// Tokens of a SET statement that are looked through for `sql_mode`.
const SET_TOKENS_LIMIT: usize = 4096;

/// One statement of a script, without its delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Where it starts in the script.
    pub offset_bytes: usize,
    /// Its bytes, without surrounding blanks and leading comments.
    pub text: &'a [u8],
}

/// Reads a script statement by statement.
#[derive(Debug, Clone)]
pub struct Splitter<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
}

impl<'a> Splitter<'a> {
    /// Starts with the delimiter `;` and the modes of our own files.
    pub fn new(text: &'a [u8]) -> Self {
        Self::with_modes(text, Modes::default())
    }

    /// Starts with the delimiter `;` and these modes.
    pub fn with_modes(text: &'a [u8], modes: Modes) -> Self {
        let mut lexer = Lexer::new(text, modes);
        lexer.set_delimiter(b";");
        Self { text, lexer }
    }

    /// The modes that hold where the splitter stands.
    pub fn modes(&self) -> Modes {
        self.lexer.modes()
    }

    /// The next statement, or `None` when the script ends behind a complete one. A statement without its delimiter
    /// at the end is a fault: the script was cut.
    pub fn next_statement(&mut self) -> Result<Option<Statement<'a>>, SqlFault> {
        loop {
            self.lexer.skip_blanks_and_comments()?;
            let start = self.lexer.position();
            if start >= self.text.len() {
                return Ok(None);
            }
            if self.take_delimiter_line(start)? {
                continue;
            }
            let Some((end, is_set)) = self.take_tokens(start)? else { continue };
            let text = &self.text[start..end];
            if is_set {
                self.follow_set(text)?;
            }
            return Ok(Some(Statement { offset_bytes: start, text }));
        }
    }

    /// Reads to the delimiter. Gives the end of the last token and whether the statement starts with SET; `None`
    /// for an empty statement.
    fn take_tokens(&mut self, start: usize) -> Result<Option<(usize, bool)>, SqlFault> {
        let mut end = start;
        let mut is_set = None;
        while let Some(token) = self.lexer.next_token()? {
            if token.kind == TokenKind::Delimiter {
                return Ok((end > start).then_some((end, is_set == Some(true))));
            }
            if token.kind != TokenKind::Open && is_set.is_none() {
                is_set = Some(token.is_word(self.text, "set"));
            }
            end = token.end;
        }
        Err(SqlFault::new(start, "the text ends within a statement"))
    }

    fn take_delimiter_line(&mut self, start: usize) -> Result<bool, SqlFault> {
        let rest = &self.text[start..];
        let Some(word) = rest.get(..DELIMITER_WORD.len()) else { return Ok(false) };
        let is_line_start = start == 0 || self.text[start - 1] == b'\n';
        let blank_follows = rest.get(DELIMITER_WORD.len()).is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if !word.eq_ignore_ascii_case(DELIMITER_WORD) || !is_line_start || !blank_follows {
            return Ok(false);
        }
        let Some(line_end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(SqlFault::new(start, "the text ends within a DELIMITER line"));
        };
        let Some(delimiter) = delimiter_of(&rest[..line_end]) else {
            return Err(SqlFault::new(start, "a DELIMITER line names no usable delimiter"));
        };
        self.lexer.set_delimiter(delimiter);
        self.lexer.set_position(start + line_end + 1);
        Ok(true)
    }

    /// Follows what a SET statement says about `sql_mode`.
    fn follow_set(&mut self, statement: &[u8]) -> Result<(), SqlFault> {
        let mut lexer = Lexer::new(statement, self.modes());
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token()? {
            tokens.push(token);
            if tokens.len() > SET_TOKENS_LIMIT {
                break;
            }
        }
        for window in tokens.windows(3) {
            if names_sql_mode(&window[0], statement) && window[1].text(statement).ends_with(b"=") {
                if window[2].kind == TokenKind::Text {
                    let list = name_bytes_of_text(window[2].text(statement));
                    self.lexer.set_modes(Modes::from_list(&list));
                } else {
                    return Err(SqlFault::new(
                        window[2].start,
                        "sql_mode is set to something that is no text",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The delimiter that a line sets which starts with the word DELIMITER and a blank.
pub(crate) fn delimiter_of(line: &[u8]) -> Option<&[u8]> {
    let text = line.get(DELIMITER_WORD.len()..)?.trim_ascii();
    let text = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let delimiter = match text {
        [open @ (b'\'' | b'"' | b'`'), inner @ .., close] if open == close => inner,
        other => other,
    };
    let is_usable =
        !delimiter.is_empty() && !delimiter.contains(&b'\\') && delimiter.len() <= DELIMITER_LIMIT_BYTES;
    is_usable.then_some(delimiter)
}

fn names_sql_mode(token: &Token, sql: &[u8]) -> bool {
    let text = token.text(sql).to_ascii_lowercase();
    match token.kind {
        TokenKind::Word => text == b"sql_mode",
        TokenKind::Variable => {
            matches!(&text[..], b"@@sql_mode" | b"@@session.sql_mode" | b"@@local.sql_mode")
        }
        TokenKind::Name => name_bytes(&text) == b"sql_mode",
        _ => false,
    }
}

fn name_bytes_of_text(text: &[u8]) -> Vec<u8> {
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(sql: &[u8]) -> Result<Vec<Vec<u8>>, SqlFault> {
        let mut splitter = Splitter::new(sql);
        let mut statements = Vec::new();
        while let Some(statement) = splitter.next_statement()? {
            statements.push(statement.text.to_vec());
        }
        Ok(statements)
    }

    #[test]
    fn statements_end_at_the_delimiter_of_the_moment() {
        let sql = b"-- head;\nSELECT 1;\n;\nDELIMITER ;;\nCREATE TRIGGER a BEGIN b; 'c;;'; END;;\nDELIMITER ;\nSELECT ';';\n";
        let found = split(sql).unwrap();
        assert_eq!(found, [&b"SELECT 1"[..], b"CREATE TRIGGER a BEGIN b; 'c;;'; END", b"SELECT ';'"]);
        assert_eq!(split(b"DELIMITER $$\nBEGIN END$$\n").unwrap(), [b"BEGIN END"]);
        assert_eq!(split(b"/*!50003 a; b */;").unwrap(), [b"/*!50003 a; b */"]);
    }

    #[test]
    fn a_script_that_sets_its_modes_is_read_in_them() {
        let sql = br"SET sql_mode='NO_BACKSLASH_ESCAPES';SELECT 'a\';SET sql_mode='';SELECT 'a\';';";
        assert_eq!(split(sql).unwrap().len(), 4);
        let versioned = br#"/*!40101 SET @@session.sql_mode='ANSI_QUOTES' */;SELECT "a\";"#;
        assert_eq!(split(versioned).unwrap().len(), 2);
        assert!(split(b"SET sql_mode=@old;").is_err());
    }

    #[test]
    fn a_cut_script_is_never_whole() {
        for sql in
            ["SELECT 1", "SELECT 'a;", "DELIMITER ;;\nSELECT 1;", "DELIMITER", "SELECT 1; /* a", "/*! a;"]
        {
            assert!(split(sql.as_bytes()).is_err(), "{sql:?}");
        }
    }

    /// One statement as pieces that the naive model knows to be closed.
    fn statement() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[a-z]{1,4}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| super::super::quote_text(&bytes)),
            proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| super::super::quote_name(&bytes)),
            Just(b"/* ; ' */".to_vec()),
            Just(b"-- ; '\n".to_vec()),
            Just(b"(1,-2e-5)".to_vec()),
        ];
        proptest::collection::vec(piece, 1..6).prop_map(|pieces| {
            let mut text = b"x ".to_vec();
            text.extend(pieces.join(&b' '));
            text
        })
    }

    proptest! {
        #[test]
        fn what_was_joined_comes_apart_again(statements in proptest::collection::vec(statement(), 0..5)) {
            let mut script = Vec::new();
            for statement in &statements {
                script.extend(statement);
                script.extend(b"\n;\n");
            }
            let found = split(&script).unwrap();
            prop_assert_eq!(found.len(), statements.len());
            for (found, written) in found.iter().zip(&statements) {
                prop_assert!(written.starts_with(found));
            }
        }

        #[test]
        fn any_bytes_end_in_statements_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&bytes);
        }
    }
}
