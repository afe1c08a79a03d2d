//! Quotes, comments and delimiters in any order, cut by us and read by the servers: whatever a server takes as one
//! statement is one for us, and where we can tell what it gives, the server gives it.

use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::super::script::Script;
use super::super::spelling::text_bytes;
use super::super::statement::Statement;
use super::servers::connect;
use super::*;
use crate::Connection;
use crate::kinds::mysql::sql::{Modes, TokenKind};

const TEXTS_PER_SERVER: usize = 4000;
const PIECES_LIMIT: u64 = 9;
/// What a refusal says of a text that servers read in different ways.
const DIFFERENT: &str = "in different ways";

const OF_COMMENTS: &[&str] = &[
    "/*",
    "*/",
    "*/",
    "/*!50003",
    "/*!99999",
    "/*!101100",
    "/*M!100100",
    "/*!",
    "--",
    "#",
    " ",
    " ",
    "\n",
    "+1",
    "+1",
    "'",
    "`",
    "\"",
    ";",
    "1",
    "-",
    "*",
    "/",
];
const OF_QUOTES: &[&str] =
    &["'", "'", "\"", "\\", "\\", "`", "a", ";", "%", "_", "n", "Z", "0", " ", "\n", "-- ", "#", "/*", "*/"];
const MODES: &[&str] = &["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"];

/// The same numbers at every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit).unwrap()
    }

    fn soup(&mut self, pieces: &[&str]) -> String {
        let count = 1 + self.below(PIECES_LIMIT);
        (0..count).map(|_| pieces[self.below(pieces.len() as u64)]).collect()
    }
}

/// The statements that we cut off, or why we take none of it.
fn cut(text: &str, connection: &Connection, modes: Modes) -> Result<Vec<Statement>, String> {
    let text = format!("{text}\n;");
    let shown = |fault| Error::from(fault).to_string();
    let mut script = Script::open("script", Box::new(text.as_bytes()), modes).map_err(shown)?;
    let mut found = Vec::new();
    while script.find_statement().map_err(shown)? {
        let read = Statement::read(&mut script, connection.vendor(), connection.version());
        found.push(read.map_err(shown)?);
    }
    Ok(found)
}

/// What a statement gives, where its form is simple enough to tell: SELECT with a sum of ones, or with texts.
fn told(statement: &Statement, modes: Modes) -> Option<Vec<u8>> {
    let rest = statement.tokens.get(1..).filter(|rest| !rest.is_empty())?;
    let texts = || rest.iter().map(|token| token.text(&statement.text));
    if rest.iter().all(|token| token.kind == TokenKind::Text) {
        let bytes: Option<Vec<_>> =
            texts().map(|text| text_bytes(text, !modes.no_backslash_escapes)).collect();
        return Some(bytes?.concat());
    }
    let is_sum = texts().enumerate().all(|(at, text)| text == if at % 2 == 0 { b"1" } else { b"+" });
    (is_sum && rest.len() % 2 == 1).then(|| (rest.len() / 2 + 1).to_string().into_bytes())
}

/// Compares. Gives whether what the statement gives could be told.
fn compare(text: &str, connection: &mut Connection, modes: Modes) -> bool {
    let ours = cut(text, connection, modes);
    let theirs = connection.query(text.as_bytes()).ok();
    match (&ours, &theirs) {
        (Err(why), Some(_)) => assert!(why.contains(DIFFERENT), "{text:?}: {why}"),
        (Ok(statements), Some(_)) => assert_eq!(statements.len(), 1, "{text:?}"),
        (_, None) => {}
    }
    let Ok([statement]) = ours.as_deref() else { return false };
    let Some(told) = told(statement, modes) else { return false };
    let given = connection.query(&statement.text);
    let given = given.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(given.single().map(shown), Some(shown(&told)), "{text:?}");
    true
}

fn compare_all(seed: u64, head: &str, pieces: &[&str], modes: &[&str]) {
    for kind in [ServerKind::MariaDb, ServerKind::MariaDb118, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let mut connection = connect(&server);
        let mut numbers = Numbers(seed);
        let mut told = 0;
        for mode in modes {
            connection.execute(format!("SET sql_mode='{mode}'").as_bytes()).unwrap();
            for _ in 0..TEXTS_PER_SERVER / modes.len() {
                let text = [head, &numbers.soup(pieces)].concat();
                told += usize::from(compare(&text, &mut connection, Modes::from_list(mode.as_bytes())));
            }
        }
        assert!(told > TEXTS_PER_SERVER / 50, "{kind:?}: only {told} could be told");
    }
}

#[test]
fn comments_in_any_order_mean_what_the_servers_say() {
    compare_all(1, "SELECT 1 ", OF_COMMENTS, &MODES[..1]);
}

#[test]
fn quotes_in_any_order_end_where_the_servers_end_them() {
    compare_all(2, "SELECT '", OF_QUOTES, MODES);
}
