//! Keys and checks for another server.

use super::super::ddl::{DERIVED_CHECK, DERIVED_FOREIGN_KEY, folded};
use super::super::sql::{Modes, SqlFault, TokenKind, name_bytes, quote_name};
use super::table::{constraint, name_with};
use super::words::Words;
use super::{Crossing, Findings, functions};
use crate::record::TableRecord;
use crate::{Vendor, Version, readable};

/// Since this version MariaDB keeps keys that queries ignore, and since that one descending ones.
const MARIADB_IGNORED: Version = Version(10, 6, 0);
const MARIADB_DESCENDING: Version = Version(10, 8, 0);
/// Servers take no longer names of foreign keys; MySQL before 8.0 made some by itself.
const NAME_LIMIT_CHARACTERS: usize = 64;
/// Since this version MySQL has invisible keys.
const MYSQL_INVISIBLE_KEYS: Version = Version(8, 0, 0);

/// A key without the columns that are gone, which a server adds to every unique key of a table with history.
fn without_columns(text: &[u8], gone: &[Vec<u8>]) -> Result<Option<Vec<u8>>, SqlFault> {
    let mut words = Words::new(text, Modes::default())?;
    let is_gone = |words: &Words<'_>, at: usize| {
        words.kind(at) == Some(TokenKind::Name) && gone.contains(&name_bytes(words.bytes(at)))
    };
    let Some(open) = (0..words.len()).find(|at| words.symbol(*at) == Some(b'(')) else {
        return Ok(Some(text.to_vec()));
    };
    for at in open..words.len() {
        if !is_gone(&words, at) {
            continue;
        }
        match (words.symbol(at - 1), words.symbol(at + 1)) {
            (Some(b','), _) => words.remove(at - 1, at),
            (_, Some(b',')) => words.remove(at, at + 1),
            // There was nothing else in it.
            _ => return Ok(None),
        }
    }
    Ok(Some(words.edited()))
}

/// Converts a key or a foreign key; nothing where it is left out. `gone` are columns that the table has no more.
pub(super) fn key(
    crossing: &mut Crossing<'_>,
    record: &TableRecord,
    text: &[u8],
    gone: &[Vec<u8>],
    findings: &mut Findings,
) -> Result<Option<Vec<u8>>, SqlFault> {
    let without = without_columns(text, gone)?;
    let Some(text) = without.as_deref() else { return Ok(None) };
    let mut words = Words::new(text, Modes::default())?;
    let shown = readable(text);
    if words.is(0, "constraint") {
        let long = readable(&name_bytes(words.bytes(1)));
        if long.chars().count() > NAME_LIMIT_CHARACTERS {
            let name = free_name(crossing, record, DERIVED_FOREIGN_KEY);
            findings.changed(format!(
                "the name of the foreign key {long} is too long; it is {}",
                readable(&name)
            ));
            words.replace(1, 1, quote_name(&name));
        }
    }
    if crossing.to_mariadb() {
        let expression = (0..words.len())
            .any(|at| words.symbol(at) == Some(b'(') && words.symbol(at + 1) == Some(b'('))
            || (0..words.len())
                .any(|at| words.symbol(at) == Some(b',') && words.symbol(at + 1) == Some(b'('));
        if expression {
            findings.changed(format!("a key over an expression is left out: {shown}"));
            return Ok(None);
        }
    }
    if crossing.to_mysql() {
        if words.is(0, "vector") {
            findings.changed(format!("a key of vectors is left out: {shown}"));
            return Ok(None);
        }
        // A unique key over whole texts, which only MariaDB can make (by a hidden hash).
        if words.is(0, "unique") && words.find(&["using", "hash"]).is_some() {
            findings.changed(format!("a unique key over whole texts is left out: {shown}"));
            return Ok(None);
        }
        if let Some(at) = words.find(&["without", "overlaps"]) {
            findings.changed(format!("times may overlap: {shown}"));
            return Ok(Some(without_overlaps(&words, at)));
        }
    }
    for at in 0..words.len() {
        attribute(crossing, &mut words, at, findings);
    }
    Ok(Some(words.edited()))
}

/// A key whose rows were told apart by their times is no unique one without them.
fn without_overlaps(words: &Words<'_>, at: usize) -> Vec<u8> {
    let open = (0..words.len()).find(|at| words.symbol(*at) == Some(b'(')).unwrap_or(0);
    // `, period WITHOUT OVERLAPS`
    let columns = words.span_text(open, at.saturating_sub(3));
    let name = if words.is(0, "unique") { [words.bytes(2), b" "].concat() } else { Vec::new() };
    [b"KEY ".as_slice(), &name, columns, b")"].concat()
}

fn attribute(crossing: &Crossing<'_>, words: &mut Words<'_>, at: usize, findings: &mut Findings) {
    let shown = readable(words.text);
    let is_old_mariadb =
        |since: Version| crossing.target.vendor == Vendor::MariaDb && crossing.target.version < since;
    if words.is(at, "desc") && is_old_mariadb(MARIADB_DESCENDING) {
        findings.changed(format!("a key runs upwards: {shown}"));
    } else if words.is(at, "ignored") && crossing.target.vendor == Vendor::MySql {
        if crossing.target.version >= MYSQL_INVISIBLE_KEYS {
            words.replace(at, at, "INVISIBLE");
        } else {
            words.remove(at, at);
            findings.changed(format!("a key is used again: {shown}"));
        }
    } else if words.kind(at) == Some(TokenKind::Open) && crossing.to_mariadb() {
        let end = words.comment_end(at);
        if words.is(at + 1, "invisible") && !is_old_mariadb(MARIADB_IGNORED) {
            words.replace(at, end, "IGNORED");
            return;
        }
        let text = readable(words.span_text(at + 1, end.saturating_sub(1)));
        findings.changed(format!("{text} is gone from a key: {shown}"));
        words.remove(at, end);
    }
}

/// Whether a CHECK calls what the server lacks, which is told.
fn is_beyond(crossing: &Crossing<'_>, words: &Words<'_>, text: &[u8], findings: &mut Findings) -> bool {
    let missing = functions::missing(crossing, words);
    if let Some(missing) = &missing {
        let shown = readable(text);
        findings.changed(format!("a CHECK is left out, since this server lacks {missing}: {shown}"));
    }
    missing.is_some()
}

/// Converts a table's CHECK.
pub(super) fn check(
    crossing: &mut Crossing<'_>,
    record: &TableRecord,
    text: &[u8],
    findings: &mut Findings,
) -> Result<Option<Vec<u8>>, SqlFault> {
    let words = Words::new(text, Modes::default())?;
    if is_beyond(crossing, &words, text, findings) {
        return Ok(None);
    }
    if crossing.to_mariadb() && words.find(&["not", "enforced"]).is_some() {
        findings.changed(format!("a CHECK that was not enforced is left out: {}", readable(text)));
        return Ok(None);
    }
    if !crossing.to_mysql() || !words.is(0, "constraint") {
        return Ok(Some(text.to_vec()));
    }
    let name = name_bytes(words.bytes(1));
    // MariaDB names them anew in each table; MySQL wants names that no other table has.
    let is_derived = name.to_ascii_lowercase().starts_with(b"constraint_");
    if !is_derived && crossing.constraints.insert(folded(&name)) {
        return Ok(Some(text.to_vec()));
    }
    let body = text.get(words.tokens[2].start..).unwrap_or_default();
    Ok(Some([constraint(&free_name(crossing, record, DERIVED_CHECK)).as_slice(), b" ", body].concat()))
}

/// A column's CHECK as one of the table.
pub(super) fn column_check(
    crossing: &mut Crossing<'_>,
    record: &TableRecord,
    text: &[u8],
    findings: &mut Findings,
) -> Result<Option<Vec<u8>>, SqlFault> {
    let words = Words::new(text, Modes::default())?;
    if is_beyond(crossing, &words, text, findings) {
        return Ok(None);
    }
    Ok(Some([constraint(&free_name(crossing, record, DERIVED_CHECK)).as_slice(), b" ", text].concat()))
}

/// A name for a CHECK or a foreign key as MySQL would give it.
fn free_name(crossing: &mut Crossing<'_>, record: &TableRecord, derived: &str) -> Vec<u8> {
    let mut number = 1_u32;
    loop {
        let name = name_with(record, &format!("{derived}{number}"));
        if crossing.constraints.insert(folded(&name)) {
            return name.0;
        }
        number += 1;
    }
}
