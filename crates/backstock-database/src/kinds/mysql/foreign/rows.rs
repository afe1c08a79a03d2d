//! The INSERT statements of a file, one row at a time: what stands in a row is checked value by value, and kept as it is
//! but for its quotes and the name of its character set.

use super::Trust;
use super::fault::Outcome;
use super::script::Script;
use super::spelling;
use crate::kinds::mysql::sql::{Token, TokenKind, name_bytes};

/// Functions over literals that dump programs write for values which have no literal of their own.
const FUNCTIONS: &[&str] = &[
    "convert",
    "cast",
    "from_base64",
    "unhex",
    "conv",
    "st_geomfromtext",
    "st_geomfromwkb",
    "geomfromtext",
    "geomfromwkb",
    "vec_fromtext",
    "string_to_vector",
];
/// Functions that people write by hand: harmless, and not for files of strangers.
const FUNCTIONS_OF_PEOPLE: &[&str] =
    &["now", "curdate", "curtime", "current_timestamp", "unix_timestamp", "uuid", "md5", "sha1", "concat"];
/// Words within the brackets of such functions.
const FUNCTION_WORDS: &[&str] = &[
    "using",
    "as",
    "char",
    "json",
    "binary",
    "signed",
    "unsigned",
    "date",
    "time",
    "datetime",
    "utf8mb4",
    "utf8mb3",
    "utf8",
    "latin1",
    "null",
    "character",
    "set",
];
/// Brackets within brackets of a value.
const DEPTH_LIMIT: u32 = 16;

/// The head of an INSERT statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InsertHead {
    pub(super) database: Option<Vec<u8>>,
    pub(super) table: Vec<u8>,
    /// The columns that it names.
    pub(super) columns: Option<Vec<Vec<u8>>>,
    /// Whether rows that do not fit are left out.
    pub(super) ignore: bool,
}

/// What is needed to read a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValueRules<'a> {
    pub(super) trust: Trust,
    /// The client's character set at this point.
    pub(super) character_set: &'a str,
}

/// What a value of a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueFor {
    /// A column of text, numbers and the like.
    Text,
    /// A column of bytes.
    Bytes,
    /// A column that the server fills: some programs write its values, and servers ignore or refuse them.
    Nothing,
}

/// Whether a statement that begins with this token is read row by row.
pub(super) fn is_insert(script: &Script<'_>, token: &Token) -> bool {
    script.is_word(token, "insert") || script.is_word(token, "replace")
}

fn next(script: &mut Script<'_>) -> Outcome<Token> {
    match script.next_token()? {
        Some(token) => Ok(token),
        None => {
            Err(script
                .fault("the file ends within an INSERT: it was cut off, or its last delimiter is missing"))
        }
    }
}

fn is_symbol(token: &Token, symbol: u8) -> bool {
    token.kind == TokenKind::Symbol(symbol)
}

/// Reads from behind the word INSERT or REPLACE to behind the word VALUES.
pub(super) fn head(script: &mut Script<'_>) -> Outcome<InsertHead> {
    let mut ignore = false;
    let mut token = next(script)?;
    for word in ["low_priority", "delayed", "high_priority", "ignore", "into"] {
        if script.is_word(&token, word) {
            ignore |= word == "ignore";
            token = next(script)?;
        }
    }
    let mut names = vec![name(script, &token)?];
    token = next(script)?;
    if is_symbol(&token, b'.') {
        token = next(script)?;
        names.push(name(script, &token)?);
        token = next(script)?;
    }
    let mut columns = None;
    if is_symbol(&token, b'(') {
        let mut list = Vec::new();
        loop {
            token = next(script)?;
            if is_symbol(&token, b')') && list.is_empty() {
                break;
            }
            list.push(name(script, &token)?);
            token = next(script)?;
            if is_symbol(&token, b')') {
                break;
            }
            if !is_symbol(&token, b',') {
                return Err(script.fault("the column list of an INSERT is not understood"));
            }
        }
        columns = Some(list);
        token = next(script)?;
    }
    if !script.is_word(&token, "values") && !script.is_word(&token, "value") {
        let word = String::from_utf8_lossy(script.text(&token)).to_ascii_uppercase();
        let what = format!("an INSERT without plain rows is not run ({word} stands where VALUES should)");
        return Err(script.fault(what));
    }
    let table = names.pop().unwrap_or_default();
    Ok(InsertHead { database: names.pop(), table, columns, ignore })
}

fn name(script: &Script<'_>, token: &Token) -> Outcome<Vec<u8>> {
    match token.kind {
        TokenKind::Name | TokenKind::Word => Ok(name_bytes(script.text(token))),
        _ => Err(script.fault("a name is expected in an INSERT")),
    }
}

/// Reads the next row into `row`, without brackets, and gives the number of its values. `None` behind the last one.
pub(super) fn next_row(
    script: &mut Script<'_>,
    is_first: bool,
    rules: ValueRules<'_>,
    column: &dyn Fn(usize) -> ValueFor,
    row: &mut Vec<u8>,
) -> Outcome<Option<usize>> {
    script.release();
    let mut token = next(script)?;
    if !is_first {
        match token.kind {
            TokenKind::Delimiter => return Ok(None),
            TokenKind::Symbol(b',') => token = next(script)?,
            _ => {
                let word = String::from_utf8_lossy(script.text(&token)).to_ascii_uppercase();
                return Err(
                    script.fault(format!("{word} stands behind the rows of an INSERT, which is not run"))
                );
            }
        }
    }
    if !is_symbol(&token, b'(') {
        return Err(script.fault("a row does not start with a bracket"));
    }
    row.clear();
    let mut count = 0;
    loop {
        let (before, wanted) = (row.len(), column(count));
        if before > 0 {
            row.push(b',');
        }
        let end = value(script, rules, wanted == ValueFor::Bytes, row, count == 0)?;
        let Some(end) = end else { return Ok(Some(0)) };
        if wanted == ValueFor::Nothing {
            row.truncate(before);
        }
        count += 1;
        if is_symbol(&end, b')') {
            return Ok(Some(count));
        }
    }
}

/// Reads one value and gives the comma or the bracket behind it; `None` for a row without values.
fn value(
    script: &mut Script<'_>,
    rules: ValueRules<'_>,
    is_binary: bool,
    row: &mut Vec<u8>,
    may_be_empty: bool,
) -> Outcome<Option<Token>> {
    let mut depth = 0;
    let mut is_empty = true;
    let mut introduced = false;
    // Whether the value is a sequence of texts, or one token: a second token would make it an expression.
    let mut is_text = false;
    loop {
        let token = next(script)?;
        match token.kind {
            TokenKind::Symbol(b',' | b')') if depth == 0 => {
                return match token.kind {
                    _ if !is_empty => Ok(Some(token)),
                    TokenKind::Symbol(b')') if may_be_empty => Ok(None),
                    _ => Err(script.fault("a value is missing")),
                };
            }
            TokenKind::Symbol(b'(') if depth > 0 && depth < DEPTH_LIMIT => {
                depth += 1;
                row.push(b'(');
            }
            TokenKind::Symbol(b')') => {
                depth -= 1;
                row.push(b')');
            }
            TokenKind::Symbol(b',') => row.push(b','),
            // Adminer makes numbers of bits so.
            TokenKind::Symbol(b'+') if depth == 0 && row.ends_with(b")") => add_zero(script, row)?,
            TokenKind::Word if depth > 0 && row.ends_with(b",") && is_srid(script, &token) => {
                skip_srid(script, row)?;
            }
            TokenKind::Symbol(b'-' | b'+') if is_empty || depth > 0 => row.extend(script.text(&token)),
            TokenKind::Number
                if is_empty || depth > 0 || introduced || row.ends_with(b"-") || row.ends_with(b"+") =>
            {
                row.extend(script.text(&token));
                introduced = false;
                is_text = false;
            }
            TokenKind::Text if is_empty || is_text || depth > 0 || introduced => {
                if is_text {
                    row.push(b' ');
                }
                text(script, &token, rules, is_binary, introduced, row);
                introduced = false;
                is_text = true;
            }
            TokenKind::Word if is_empty || depth > 0 => {
                match word(script, &token, rules, depth, row)? {
                    Word::Introducer => introduced = true,
                    Word::Function => depth += 1,
                    Word::Whole => {}
                }
                is_text = false;
            }
            TokenKind::Open | TokenKind::Close => {
                return Err(script.fault("a versioned comment stands within a row"));
            }
            _ => return Err(not_allowed(script, &token)),
        }
        is_empty = false;
    }
}

/// What stands behind the plus of `CONV('101', 2, 10) + 0`.
fn add_zero(script: &mut Script<'_>, row: &mut Vec<u8>) -> Outcome<()> {
    let token = next(script)?;
    if script.text(&token) != b"0" {
        return Err(not_allowed(script, &token));
    }
    row.extend_from_slice(b"+0");
    Ok(())
}

fn is_srid(script: &Script<'_>, token: &Token) -> bool {
    script.is_word(token, "srid") || script.is_word(token, "st_srid")
}

/// Adminer gives a geometry the reference system of the column itself, which has none while the row is made: the same as
/// to name none.
fn skip_srid(script: &mut Script<'_>, row: &mut Vec<u8>) -> Outcome<()> {
    for at in 0..3 {
        let token = next(script)?;
        let is_expected = match at {
            0 => is_symbol(&token, b'('),
            1 => matches!(token.kind, TokenKind::Word | TokenKind::Name),
            _ => is_symbol(&token, b')'),
        };
        if !is_expected {
            return Err(not_allowed(script, &token));
        }
    }
    row.pop();
    Ok(())
}

fn not_allowed(script: &Script<'_>, token: &Token) -> super::fault::Fault {
    let shown = match token.kind {
        // A value of a row is nobody's business.
        TokenKind::Text | TokenKind::Number => "a value".to_owned(),
        _ => String::from_utf8_lossy(script.text(token)).into_owned(),
    };
    script.fault(format!("{shown} stands in a row where only plain values are allowed"))
}

enum Word {
    Introducer,
    Function,
    Whole,
}

/// NULL and its like, an introducer, or the name of a function with its bracket.
fn word(
    script: &mut Script<'_>,
    token: &Token,
    rules: ValueRules<'_>,
    depth: u32,
    row: &mut Vec<u8>,
) -> Outcome<Word> {
    let text = script.text(token).to_ascii_lowercase();
    let text = String::from_utf8_lossy(&text).into_owned();
    let may_be = |list: &[&str]| list.contains(&text.as_str());
    if text == "\\n" {
        row.extend_from_slice(b"NULL");
    } else if may_be(&["null", "default", "true", "false"]) {
        row.extend_from_slice(text.to_ascii_uppercase().as_bytes());
    } else if text.starts_with('_') {
        row.extend_from_slice(text.as_bytes());
        row.push(b' ');
        return Ok(Word::Introducer);
    } else if may_be(FUNCTIONS) || (may_be(FUNCTIONS_OF_PEOPLE) && rules.trust == Trust::ChosenByOwner) {
        row.extend_from_slice(text.as_bytes());
        // CURRENT_TIMESTAMP may stand alone.
        if text == "current_timestamp" && script.next_byte() != Some(b'(') {
            return Ok(Word::Whole);
        }
        let open = next(script)?;
        if !is_symbol(&open, b'(') {
            return Err(not_allowed(script, token));
        }
        row.push(b'(');
        return Ok(Word::Function);
    } else if depth > 0 && may_be(FUNCTION_WORDS) {
        row.push(b' ');
        row.extend_from_slice(text.as_bytes());
        row.push(b' ');
    } else {
        return Err(not_allowed(script, token));
    }
    Ok(Word::Whole)
}

/// A text in single quotes, with its character set in front where it is not that of the load.
fn text(
    script: &Script<'_>,
    token: &Token,
    rules: ValueRules<'_>,
    is_binary: bool,
    introduced: bool,
    row: &mut Vec<u8>,
) {
    let bytes = script.text(token);
    let is_bare = matches!(bytes.first(), Some(b'\'' | b'"'));
    if is_bare && !introduced && !bytes.is_ascii() {
        if is_binary {
            row.extend_from_slice(b"_binary");
        } else if !spelling::is_utf8(rules.character_set) || rules.character_set == "binary" {
            row.push(b'_');
            row.extend_from_slice(rules.character_set.as_bytes());
        }
    }
    row.extend(spelling::text_literal(bytes, script.modes()));
}
