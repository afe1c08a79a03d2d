//! A column's definition for another server.

use super::super::sql::{Modes, SqlFault, TokenKind};
use super::table::{apply, character_set};
use super::words::Words;
use super::{Crossing, Findings, collations, functions};
use crate::transfer::Fidelity;
use crate::{Vendor, Version, readable};

/// Since these versions the servers have a VECTOR.
const MARIADB_VECTOR: Version = Version(11, 7, 0);
const MYSQL_VECTOR: Version = Version(9, 0, 0);
/// Since this version a column of MySQL can be invisible, and its integers have no width.
const MYSQL_INVISIBLE: Version = Version(8, 0, 23);
const MYSQL_NO_WIDTH: Version = Version(8, 0, 19);
/// Since this version a default value of MySQL can be an expression.
const MYSQL_EXPRESSIONS: Version = Version(8, 0, 13);

/// Since this version MySQL takes no longer members of ENUM and SET.
const MYSQL_SHORT_MEMBERS: Version = Version(8, 0, 0);
const MEMBER_LIMIT_CHARACTERS: usize = 255;

/// Types whose text MySQL takes as text only.
const TYPES_OF_MARIADB: &[(&str, &str)] =
    &[("uuid", "char(36)"), ("inet4", "varchar(15)"), ("inet6", "varchar(39)")];

/// Converts a column; nothing where the target has none in its place. Its CHECKs are moved to `checks` where the target
/// wants them behind the columns.
pub(super) fn convert(
    crossing: &Crossing<'_>,
    text: &[u8],
    quoted: &[u8],
    findings: &mut Findings,
    checks: &mut Vec<Vec<u8>>,
) -> Result<Option<Vec<u8>>, SqlFault> {
    let mut words = Words::new(text, Modes::default())?;
    let column = readable(quoted);
    if crossing.to_mysql() {
        let row_time = words.find(&["as", "row", "start"]).or(words.find(&["as", "row", "end"]));
        if row_time.is_some() {
            return Ok(None);
        }
    }
    data_type(crossing, &mut words, &column, findings);
    let mut at = 2;
    while at < words.len() {
        at = attribute(crossing, &mut words, at, &column, findings, checks);
    }
    Ok(Some(words.edited()))
}

/// The type, which is the second token.
fn data_type(crossing: &Crossing<'_>, words: &mut Words<'_>, column: &str, findings: &mut Findings) {
    let name = words.word(1);
    let has_width = words.symbol(2) == Some(b'(');
    let other = TYPES_OF_MARIADB.iter().find(|(known, _)| *known == name).filter(|_| crossing.to_mysql());
    if let Some((_, other)) = other {
        words.replace(1, 1, format!("{other} CHARACTER SET ascii COLLATE ascii_general_ci"));
        findings.changed(format!("column {column}: {name} becomes {other}"));
    }
    if name == "json" && crossing.to_mariadb() {
        findings.changed(format!("column {column}: JSON becomes a text that is checked"));
    }
    if name == "geomcollection" && crossing.target.vendor == Vendor::MariaDb {
        words.replace(1, 1, "geometrycollection");
    }
    let has_vectors = crossing.target_is(Vendor::MariaDb, MARIADB_VECTOR)
        || crossing.target_is(Vendor::MySql, MYSQL_VECTOR);
    if name == "vector" && has_width && !has_vectors {
        let length: u32 = words.word(3).parse().unwrap_or(1);
        words.replace(1, 4, format!("varbinary({})", length.saturating_mul(4)));
        findings.changed(format!("column {column}: VECTOR becomes VARBINARY with the same bytes"));
    }
    if (name == "enum" || name == "set") && crossing.target_is(Vendor::MySql, MYSQL_SHORT_MEMBERS) {
        let is_long = |at: usize| {
            let text = readable(words.bytes(at)).replace("''", "'");
            words.kind(at) == Some(TokenKind::Text) && text.chars().count() > MEMBER_LIMIT_CHARACTERS + 2
        };
        if (2..words.close(2)).any(is_long) {
            let why =
                format!("column {column}: a member is longer than {MEMBER_LIMIT_CHARACTERS} characters");
            findings.add(Fidelity::Refused, why);
        }
    }
    // Widths say nothing about the values; MySQL warns of each.
    let is_number = name.ends_with("int") || name == "year";
    let has_no_width = crossing.target_is(Vendor::MySql, MYSQL_NO_WIDTH);
    let is_flag = name == "tinyint" && words.word(3) == "1";
    let is_filled = (0..words.len()).any(|at| words.is(at, "zerofill"));
    if is_number && has_width && has_no_width && !is_flag && !is_filled {
        words.replace(2, 4, "");
    }
}

/// Looks at what begins at a token; gives the position behind it.
fn attribute(
    crossing: &Crossing<'_>,
    words: &mut Words<'_>,
    at: usize,
    column: &str,
    findings: &mut Findings,
    checks: &mut Vec<Vec<u8>>,
) -> usize {
    if words.kind(at) == Some(TokenKind::Open) {
        return comment(crossing, words, at, column, findings);
    }
    if words.is(at, "collate") {
        if let Some(mapped) = collations::map(crossing.target, &words.word(at + 1)) {
            apply(mapped, words, at + 1, findings);
        }
        return at + 2;
    }
    if words.are(at, &["character", "set"]) {
        let unsaid = if words.is(at + 3, "collate") { None } else { Some(" COLLATE ") };
        character_set(crossing, words, at + 2, unsaid, findings);
        return at + 3;
    }
    if words.is(at, "as") && words.symbol(at + 1) == Some(b'(') {
        let end = words.close(at + 1);
        refuse_missing(crossing, words, at + 1, end, column, findings);
        return end + 1;
    }
    if words.is(at, "default") {
        return default_value(crossing, words, at, column, findings);
    }
    if crossing.to_mysql() {
        return of_mariadb(crossing, words, at, column, findings, checks);
    }
    at + 1
}

/// What only MariaDB writes.
fn of_mariadb(
    crossing: &Crossing<'_>,
    words: &mut Words<'_>,
    at: usize,
    column: &str,
    findings: &mut Findings,
    checks: &mut Vec<Vec<u8>>,
) -> usize {
    if words.is(at, "check") && words.symbol(at + 1) == Some(b'(') {
        let end = words.close(at + 1);
        checks.push(words.span_text(at, end).to_vec());
        words.remove(at, end);
        return end + 1;
    }
    let versioning = words.are(at, &["without", "system", "versioning"])
        || words.are(at, &["with", "system", "versioning"]);
    if versioning {
        words.remove(at, at + 2);
        return at + 3;
    }
    if words.is(at, "ref_system_id") {
        words.remove(at, at + 2);
        findings.changed(format!("column {column}: its reference system is gone"));
        return at + 3;
    }
    if words.is(at, "invisible") && crossing.target.version < MYSQL_INVISIBLE {
        words.remove(at, at);
        findings.changed(format!("column {column} is visible"));
    }
    at + 1
}

/// A versioned comment within a column.
fn comment(
    crossing: &Crossing<'_>,
    words: &mut Words<'_>,
    at: usize,
    column: &str,
    findings: &mut Findings,
) -> usize {
    let end = words.comment_end(at);
    if crossing.source.vendor == crossing.target.vendor {
        return end + 1;
    }
    if words.is(at + 1, "invisible") {
        // MariaDB hides only what has a value of its own when nobody gives one.
        let has_value = ["default", "auto_increment", "as"].iter().any(|word| words.find(&[word]).is_some());
        if has_value || words.find(&["not", "null"]).is_none() {
            words.replace(at, end, "INVISIBLE");
        } else {
            words.remove(at, end);
            findings.changed(format!("column {column} is visible"));
        }
        return end + 1;
    }
    if words.is(at + 1, "srid") {
        findings.changed(format!("column {column}: its reference system {} is gone", words.word(at + 2)));
    } else if !words.is(at + 1, "column_format")
        && !words.is(at + 1, "storage")
        && !words.is(at + 1, "compressed")
    {
        let text = readable(words.span_text(at + 1, end.saturating_sub(1)));
        findings.changed(format!("column {column}: {text} is gone"));
    }
    words.remove(at, end);
    end + 1
}

fn refuse_missing(
    crossing: &Crossing<'_>,
    words: &Words<'_>,
    from: usize,
    to: usize,
    column: &str,
    findings: &mut Findings,
) {
    if let Some(missing) = missing_in(crossing, words, from, to) {
        findings.add(
            Fidelity::Refused,
            format!("column {column} is computed with {missing}, which this server lacks"),
        );
    }
}

fn missing_in(crossing: &Crossing<'_>, words: &Words<'_>, from: usize, to: usize) -> Option<String> {
    let part = Words::new(words.span_text(from, to), Modes::default()).ok()?;
    functions::missing(crossing, &part)
}

/// `DEFAULT …`: MariaDB writes expressions bare, MySQL wants brackets around them, and around every value of a long text.
fn default_value(
    crossing: &Crossing<'_>,
    words: &mut Words<'_>,
    at: usize,
    column: &str,
    findings: &mut Findings,
) -> usize {
    let first = at + 1;
    let is_end = |at: usize| {
        at >= words.len()
            || words.is(at, "comment")
            || words.is(at, "check")
            || words.is(at, "invisible")
            || words.is(at, "ref_system_id")
            || words.are(at, &["without", "system"])
            || words.are(at, &["with", "system"])
            || words.are(at, &["on", "update"])
            || (words.kind(at) == Some(TokenKind::Open))
    };
    let mut end = first;
    while !is_end(end + 1) {
        end = if words.symbol(end) == Some(b'(') { words.close(end).max(end + 1) } else { end + 1 };
    }
    let end = end.min(words.len().saturating_sub(1));
    if let Some(missing) = missing_in(crossing, words, first, end) {
        findings.changed(format!(
            "column {column}: its default value is gone, since this server lacks {missing}"
        ));
        words.remove(at, end);
        return end + 1;
    }
    if !crossing.to_mysql() || words.is(first, "null") || words.symbol(first) == Some(b'(') {
        return end + 1;
    }
    let name = words.word(1);
    let is_time = (name == "timestamp" || name == "datetime") && words.is(first, "current_timestamp");
    let is_long =
        ["text", "blob", "json", "geometry", "point", "polygon"].iter().any(|part| name.ends_with(part));
    let is_literal = !matches!(words.kind(first), Some(TokenKind::Word))
        && (end == first || words.symbol(first) == Some(b'-'));
    if is_time || (is_literal && !is_long) {
        return end + 1;
    }
    if crossing.target.version < MYSQL_EXPRESSIONS {
        findings.changed(format!(
            "column {column}: its default value is gone, since this server takes no expressions"
        ));
        words.remove(at, end);
        return end + 1;
    }
    let value = words.span_text(first, end).to_vec();
    words.replace(first, end, [b"(".as_slice(), &value, b")"].concat());
    end + 1
}
