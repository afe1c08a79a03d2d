//! What was loaded against what was dumped: every row by its checksum, and the definition part by part.

use super::super::ddl::{INVISIBLE_KEY, Item, ItemKind, OptionKind, ShadowTable, Span, spans};
use super::super::schema::table_definition;
use super::table::read_back;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, LoadedTable, TablePlan};
use crate::record::{Checksum, Contents, TableRecord};
use crate::transfer::Fidelity;
use crate::{Connection, RawText, readable};

/// Reads a table back and compares it with the record of the dump.
pub(super) fn rows(
    connection: &mut Connection,
    table: &TablePlan,
    record: &TableRecord,
    name: &RawText,
) -> Result<LoadedTable> {
    let mut found = read_back(connection, record, name)?;
    found.name = table.name.clone();
    let wanted = match record.contents {
        Contents::Included => (record.row_count, record.checksum),
        _ => (0, Checksum::default()),
    };
    // What others wrote has no checksum that a server's rows could have, and how many of a history's rows are current is
    // not recorded.
    let is_equal = match &record.foreign {
        _ if table.current_rows_only => true,
        Some(_) => found.row_count == wanted.0,
        None => (found.row_count, found.checksum) == wanted,
    };
    if is_equal {
        return Ok(found);
    }
    let what = if found.row_count == wanted.0 {
        format!("it has {} rows, as it should, but not the same ones", wanted.0)
    } else {
        format!("it has {} rows instead of {}", found.row_count, wanted.0)
    };
    Err(Error::NotEqual { table: table.name.to_string(), what })
}

/// The parts of a table's definition that the server keeps in another form than it was told: each one a line of the
/// report. Some servers shorten keys or change options without an error.
pub(super) fn definition(
    connection: &mut Connection,
    plan: &LoadPlan,
    table: &TablePlan,
    name: &RawText,
    wanted: &ShadowTable,
) -> Result<Vec<String>> {
    let present = table_definition(connection, name)?;
    // Each vendor writes definitions in its own way; what is converted is told part by part already.
    let parts = if plan.is_same_vendor() && table.fidelity == Fidelity::Exact { parts } else { names };
    let mut expected: Vec<Vec<u8>> = parts(&wanted.create, table)?;
    for keys in &wanted.keys {
        // A batch of keys is a list like that of a definition.
        let list = [b"CREATE TABLE `x` (", &keys[4..], b")"].concat();
        let list = replace_all(&list, b", ADD ", b", ");
        expected.extend(parts(&list, table)?);
    }
    let mut found = parts(&present, table)?;
    let mut told = Vec::new();
    if take_invisible_key(&mut found, &mut expected) {
        told.push(format!("table {}: this server gives it the invisible key {INVISIBLE_KEY}", table.name));
    }
    let missing = expected.iter().filter(|part| !found.contains(part));
    let extra = found.iter().filter(|part| !expected.contains(part));
    let name = &table.name;
    let lines = missing
        .map(|part| format!("table {name}: the server does not keep this as it was: {}", readable(part)))
        .chain(
            extra.map(|part| format!("table {name}: the server has this in its place: {}", readable(part))),
        );
    told.extend(lines);
    Ok(told)
}

/// Removes a key that the dump did not have: one that we added, whose form each server prints in its own way, or one
/// that a MySQL server made by itself (`sql_generate_invisible_primary_key`, which a plain account cannot switch off).
/// Tells whether it is the server's.
fn take_invisible_key(found: &mut Vec<Vec<u8>>, expected: &mut Vec<Vec<u8>>) -> bool {
    let column = format!("`{INVISIBLE_KEY}` ").into_bytes();
    let key = format!("PRIMARY KEY (`{INVISIBLE_KEY}`)").into_bytes();
    let is_part = |part: &Vec<u8>| *part == key || part.starts_with(&column);
    let is_ours = expected.iter().any(|part| part.starts_with(&column) && part.ends_with(b" INVISIBLE"));
    let is_dumped = !is_ours && expected.iter().any(is_part);
    if is_dumped || !found.contains(&key) {
        return false;
    }
    found.retain(|part| !is_part(part));
    expected.retain(|part| !is_part(part));
    !is_ours
}

fn replace_all(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(from) {
            result.extend_from_slice(to);
            at += from.len();
        } else {
            result.push(text[at]);
            at += 1;
        }
    }
    result
}

/// The columns, keys, checks and the options that must not change, each in one spelling.
fn parts(definition: &[u8], table: &TablePlan) -> Result<Vec<Vec<u8>>> {
    let found = spans(definition)
        .map_err(|source| Error::Sql { object: format!("the definition of table {}", table.name), source })?;
    let items = found.items.iter().filter(|item| !matches!(item.kind, ItemKind::ForeignKey { .. }));
    let items = items.map(|item| item.span);
    let options = [OptionKind::Engine, OptionKind::Charset, OptionKind::RowFormat, OptionKind::Union];
    let options = options.iter().filter_map(|kind| found.options.iter().find(|option| option.kind == *kind));
    let options = options.map(|option| option.span);
    Ok(items.chain(options).chain(found.partition).map(|span: Span| spelled(span.text(definition))).collect())
}

/// The names of columns and keys, and the engine.
fn names(definition: &[u8], table: &TablePlan) -> Result<Vec<Vec<u8>>> {
    let found = spans(definition)
        .map_err(|source| Error::Sql { object: format!("the definition of table {}", table.name), source })?;
    let is_named = |item: &&Item| !matches!(item.kind, ItemKind::ForeignKey { .. } | ItemKind::Check { .. });
    let name_of = |item: &Item| match &item.kind {
        ItemKind::Column { name, .. } => name.text(definition).to_vec(),
        _ => {
            let text = item.span.text(definition);
            let open = text.windows(2).position(|pair| pair == b" (").unwrap_or(text.len());
            text[..open].to_vec()
        }
    };
    let engine = found.options.iter().find(|option| option.kind == OptionKind::Engine);
    let engine = engine.map(|option| option.value.text(definition).to_ascii_lowercase());
    Ok(found.items.iter().filter(is_named).map(name_of).chain(engine).collect())
}

/// Without collations, which the dump writes out and the server leaves out where they are the default.
fn spelled(part: &[u8]) -> Vec<u8> {
    let text: Vec<&[u8]> = part.split(|byte| *byte == b' ').collect();
    let mut words = Vec::new();
    let mut skip = 0;
    for (at, word) in text.iter().enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let next = text.get(at + 1).copied().unwrap_or_default();
        if *word == b"COLLATE"
            || (*word == b"SET" && words.last() == Some(&&b"CHARACTER"[..]) && !next.is_empty())
        {
            if *word == b"SET" {
                words.pop();
            }
            skip = 1;
            continue;
        }
        words.push(*word);
    }
    words.join(&b" "[..])
}
