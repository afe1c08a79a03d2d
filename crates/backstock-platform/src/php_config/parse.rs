//! From bytes to a syntax tree, guarded: size, number of tokens and nesting are bounded before the parser sees them.

use std::borrow::Cow;

use bumpalo::Bump;
use mago_database::file::{File, FileId};
use mago_span::HasSpan;
use mago_syntax::ast::Program;
use mago_syntax::lexer::Lexer;
use mago_syntax::parser::parse_file;
use mago_syntax::settings::LexerSettings;
use mago_syntax::token::TokenKind;
use mago_syntax_core::input::Input;

use super::Unread;
use crate::folder::CONFIG_LIMIT_BYTES;
use crate::layout::Obstacle;

/// Most tokens of one file; a byte of configuration rarely makes more than a quarter of one.
const TOKENS_LIMIT: usize = 400_000;
/// Deepest nesting of brackets.
const NESTING_LIMIT: usize = 128;
/// Longest run of tokens without a bracket, comma or semicolon that may each open a level of recursion (`$$$$x`, `!!!!x`,
/// `A|B|C`); also bounds chains such as `a . b . c`.
const RUN_LIMIT: usize = 20_000;
/// Most `{$` and `${` of one file.
const EMBEDDED_LIMIT: usize = 1_000;
/// Longest run of `$` or `?` signs, which the parser follows by recursion without a limit of its own.
const SIGN_RUN_LIMIT: usize = 64;

/// Parses a file.
///
/// # Errors
/// When it is beyond the limits, or is not valid PHP: PHP would not run it either.
pub(super) fn parse<'arena>(arena: &'arena Bump, source: &[u8]) -> Result<&'arena Program<'arena>, Unread> {
    if source.len() as u64 > CONFIG_LIMIT_BYTES {
        return Err(Unread::new(Obstacle::BeyondLimits, "the file is larger than any configuration"));
    }
    guard(source)?;
    let file = File::ephemeral(Cow::Borrowed(b"configuration.php"), Cow::Owned(source.to_vec()));
    let program = parse_file(arena, &file);
    if let Some(error) = program.errors.first() {
        return Err(not_php(source, error.span().start.offset));
    }
    Ok(program)
}

fn not_php(source: &[u8], offset: u32) -> Unread {
    let line = Lines::of(source).line(offset);
    let why = format!("line {line} is not valid PHP, so PHP would not run this file either");
    Unread::new(Obstacle::Malformed, why)
}

/// Where the lines of a file begin.
#[derive(Debug)]
pub(super) struct Lines(Vec<u32>);

impl Lines {
    pub(super) fn of(source: &[u8]) -> Self {
        let ends = source.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self(ends.filter_map(|(at, _)| u32::try_from(at).ok()).collect())
    }

    /// The line, from 1, of a position.
    pub(super) fn line(&self, offset: u32) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

/// Refuses what could make the recursive parser deep or slow.
fn guard(source: &[u8]) -> Result<(), Unread> {
    let too_much = |what: &str| Unread::new(Obstacle::BeyondLimits, format!("the file {what}"));
    // The lexer follows expressions inside texts by recursion and looks for the end of each: 1 MiB of `"{$a[` took it
    // two minutes.
    let embedded = source.windows(2).filter(|pair| matches!(pair, [b'{', b'$'] | [b'$', b'{'])).count();
    if embedded > EMBEDDED_LIMIT {
        return Err(too_much("has more expressions inside texts than any configuration"));
    }
    let mut lexer =
        Lexer::new(Input::new(FileId::new(b"configuration.php"), source), LexerSettings::default());
    let (mut tokens, mut nesting, mut run, mut sign_run) = (0, 0_usize, 0, 0);
    while let Some(token) = lexer.advance() {
        let token = token.map_err(|error| not_php(source, error.span().start.offset))?;
        tokens += 1;
        if token.kind.is_trivia() {
            continue;
        }
        run += 1;
        sign_run =
            if matches!(token.kind, TokenKind::Dollar | TokenKind::Question) { sign_run + 1 } else { 0 };
        match token.kind {
            TokenKind::LeftParenthesis
            | TokenKind::LeftBracket
            | TokenKind::LeftBrace
            | TokenKind::DollarLeftBrace
            | TokenKind::HashLeftBracket => nesting += 1,
            TokenKind::RightParenthesis | TokenKind::RightBracket | TokenKind::RightBrace => {
                nesting = nesting.saturating_sub(1);
            }
            TokenKind::Semicolon | TokenKind::Comma => run = 0,
            _ => {}
        }
        if tokens > TOKENS_LIMIT {
            return Err(too_much("has more tokens than any configuration"));
        }
        if nesting > NESTING_LIMIT || sign_run > SIGN_RUN_LIMIT {
            return Err(too_much("nests deeper than any configuration"));
        }
        if run > RUN_LIMIT {
            return Err(too_much("has a statement longer than any configuration"));
        }
    }
    Ok(())
}
