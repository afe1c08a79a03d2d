//! A table's definition for another server, put together again from its converted elements.

use super::super::ddl::{self, DdlSpans, ItemKind, Span};
use super::super::sql::{Modes, SqlFault, TokenKind, quote_name};
use super::words::Words;
use super::{Crossing, Findings, collations, columns, items};
use crate::record::{LiteralForm, TableRecord};
use crate::transfer::Fidelity;
use crate::{RawText, Vendor, Version};

/// Options that only one of the vendors knows, and that say nothing about what the rows mean.
const OPTIONS_OF_MARIADB: &[&str] = &[
    "page_checksum",
    "transactional",
    "page_compressed",
    "page_compression_level",
    "encrypted",
    "encryption_key_id",
    "ietf_quotes",
];
const OPTIONS_OF_MYSQL: &[&str] = &[
    "compression",
    "encryption",
    "autoextend_size",
    "secondary_engine",
    "engine_attribute",
    "secondary_engine_attribute",
];

/// Since these versions the character sets of Unicode have other default collations.
const MYSQL_OTHER_COLLATION: Version = Version(8, 0, 1);
const MARIADB_OTHER_COLLATION: Version = Version(11, 5, 0);

/// A table for the target.
pub(super) struct Converted {
    pub(super) record: TableRecord,
    pub(super) current_rows_only: bool,
}

/// Converts a table.
pub(super) fn convert(
    crossing: &mut Crossing<'_>,
    record: &TableRecord,
    findings: &mut Findings,
) -> Result<Converted, SqlFault> {
    let definition = &record.definition.0;
    let found = ddl::spans(definition)?;
    let mut new = record.clone();
    let drops_history = crossing.to_mysql() && found.versioned;
    let gone: Vec<Vec<u8>> = record
        .versioning
        .iter()
        .filter(|_| drops_history)
        .flat_map(|times| [times.row_start.0.clone(), times.row_end.0.clone()])
        .collect();
    let mut elements: Vec<Vec<u8>> = Vec::new();
    let mut checks: Vec<Vec<u8>> = Vec::new();
    for item in &found.items {
        let text = item.span.text(definition);
        let made = match &item.kind {
            ItemKind::Column { name, .. } => {
                columns::convert(crossing, text, name.text(definition), findings, &mut checks)?
            }
            ItemKind::Check { .. } => items::check(crossing, record, text, findings)?,
            ItemKind::Period if crossing.to_mysql() => {
                if !drops_history {
                    findings.changed("the period of time is gone: MySQL has none");
                }
                None
            }
            _ => items::key(crossing, record, text, &gone, findings)?,
        };
        elements.extend(made);
    }
    for check in checks {
        elements.extend(items::column_check(crossing, record, &check, findings)?);
    }
    let tail = tail(crossing, record, definition, &found, findings)?;
    let head = &definition[..found.items.first().map_or(0, |item| item.span.start)];
    new.definition = [head, &elements.join(&b",\n  "[..]), b"\n", &tail].concat().into();
    new.spans = ddl::spans(&new.definition)?.deferrable();
    if drops_history {
        findings.changed("its history stays behind: MySQL keeps none; the current rows go over");
        let row_times = record.versioning.as_ref().filter(|versioning| versioning.with_history);
        new.columns.retain(|column| {
            row_times.is_none_or(|times| column.name != times.row_start && column.name != times.row_end)
        });
        new.versioning = None;
    }
    engine(crossing, &mut new, findings);
    let current_rows_only =
        drops_history && record.columns.iter().any(|column| column.literal == LiteralForm::RowEnd);
    Ok(Converted { record: new, current_rows_only })
}

/// The engine that a table gets; refused where there is none for it.
fn engine_for(crossing: &Crossing<'_>, name: &str, partitioned: bool) -> Option<&'static str> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let is_mysql = crossing.target_is(Vendor::MySql, Version(8, 0, 0));
    // Servers of this version make partitions of InnoDB alone.
    let no_partitions = is("MyISAM") && partitioned && is_mysql;
    let is_known = crossing.target.engines.contains(&name.to_lowercase()) || is("MRG_MyISAM") || is("MERGE");
    if no_partitions || (is("Aria") && !is_known) { Some("InnoDB") } else { None }.or(if is_known {
        Some("")
    } else {
        None
    })
}

fn engine(crossing: &Crossing<'_>, record: &mut TableRecord, findings: &mut Findings) {
    match engine_for(crossing, &record.engine, record.partitioned) {
        None => findings.add(Fidelity::Refused, format!("this server has no engine {}", record.engine)),
        Some("") => {}
        Some(other) => {
            findings.changed(format!("the engine {} becomes {other}", record.engine));
            record.engine = other.to_owned();
        }
    }
}

/// What stands behind the list: options and partitions.
fn tail(
    crossing: &Crossing<'_>,
    record: &TableRecord,
    definition: &[u8],
    found: &DdlSpans,
    findings: &mut Findings,
) -> Result<Vec<u8>, SqlFault> {
    let start = found.items.last().map_or(0, |item| item.span.end);
    let by_time = b"SYSTEM_TIME";
    let mut end = definition.len();
    if let Some(partition) = found.partition.filter(|_| crossing.to_mysql() && found.versioned)
        && partition
            .text(definition)
            .windows(by_time.len())
            .any(|window| window.eq_ignore_ascii_case(by_time))
    {
        end = partition.start;
    }
    let text = Span { start, end }.text(definition).trim_ascii_start();
    let mut words = Words::new(text, Modes::default())?;
    let has_collation = words.find(&["collate"]).is_some();
    let mut at = 0;
    while at < words.len() {
        at = option(crossing, record, &mut words, at, has_collation, findings);
    }
    Ok(words.edited())
}

/// Looks at what begins at a token; gives the position behind it.
fn option(
    crossing: &Crossing<'_>,
    record: &TableRecord,
    words: &mut Words<'_>,
    at: usize,
    has_collation: bool,
    findings: &mut Findings,
) -> usize {
    if words.kind(at) == Some(TokenKind::Open) {
        return comment(crossing, words, at, findings);
    }
    let is_set = words.are(at, &["character", "set"]);
    let at = at + usize::from(is_set);
    let value = at + 1 + usize::from(words.symbol(at + 1) == Some(b'='));
    if words.is(at, "engine") {
        let name = words.word(value);
        if let Some(other) = engine_for(crossing, &name, record.partitioned).filter(|other| !other.is_empty())
        {
            words.replace(value, value, other);
        }
    } else if words.is(at, "collate") {
        if let Some(mapped) = collations::map(crossing.target, &words.word(value)) {
            apply(mapped, words, value, findings);
        }
    } else if words.is(at, "charset") || is_set {
        let unsaid = if has_collation { None } else { Some(" COLLATE=") };
        character_set(crossing, words, value, unsaid, findings);
    } else if words.is(at, "row_format") && words.is(value, "page") {
        words.remove(at, value);
    } else if crossing.to_mysql() && words.are(at, &["with", "system", "versioning"]) {
        words.remove(at, at + 2);
        return at + 3;
    } else if words.is(at, "tablespace") && words.symbol(at + 1) == Some(b'=') {
        // Of a partition: newer servers keep each in a file of its own. A table's own is left out with every place.
        findings.changed(format!("a partition lay in the tablespace {}", words.word(value)));
        words.remove(at, value);
    } else if words.symbol(at + 1) == Some(b'=') {
        let known = if crossing.to_mysql() { OPTIONS_OF_MARIADB } else { OPTIONS_OF_MYSQL };
        let name = words.word(at);
        if crossing.source.vendor != crossing.target.vendor && known.contains(&name.as_str()) {
            let is_told = name.contains("compress")
                || (name.starts_with("encrypt") && !words.word(value).contains('n'));
            if is_told {
                findings.changed(format!(
                    "it was stored with {}={}, and is not here",
                    name.to_uppercase(),
                    words.word(value)
                ));
            }
            words.remove(at, value);
        }
    } else {
        return at + 1;
    }
    value + 1
}

/// A versioned comment: what the target would pass over silently is taken out, and told where it meant something.
fn comment(crossing: &Crossing<'_>, words: &mut Words<'_>, at: usize, findings: &mut Findings) -> usize {
    let end = words.comment_end(at);
    let is_kept = ["partition", "tablespace", "storage"].iter().any(|word| words.is(at + 1, word));
    if crossing.source.vendor == crossing.target.vendor || is_kept {
        return at + 1;
    }
    let text = crate::readable(words.span_text(at + 1, end.saturating_sub(1)));
    if text.contains("'Y'") || text.to_uppercase().contains("COMPRESS") {
        findings.changed(format!("it was stored with {text}, and is not here"));
    }
    words.remove(at, end);
    end + 1
}

/// Writes a mapped collation in the place of a token, or refuses the table.
pub(super) fn apply(mapped: collations::Mapped, words: &mut Words<'_>, at: usize, findings: &mut Findings) {
    match mapped.name {
        Some(name) => {
            words.replace(at, at, name);
            if !mapped.reason.is_empty() && !findings.reasons.contains(&mapped.reason) {
                findings.changed(mapped.reason);
            }
        }
        None => findings.add(Fidelity::Refused, mapped.reason),
    }
}

/// A character set's name, which some servers know by another one. `unsaid` are the words for a collation where none is
/// named: older servers leave their default out, and newer ones have another.
pub(super) fn character_set(
    crossing: &Crossing<'_>,
    words: &mut Words<'_>,
    at: usize,
    unsaid: Option<&str>,
    findings: &mut Findings,
) {
    let name = words.word(at);
    let other = match name.as_str() {
        "utf8" => "utf8mb3",
        "utf8mb3" => "utf8",
        _ => "",
    };
    let known = |name: &str| crossing.target.character_sets.contains(name) || name == "binary";
    let here = if known(&name) { name.as_str() } else { other };
    if !known(here) {
        findings.add(Fidelity::Refused, format!("this server has no character set {name}"));
        return;
    }
    let collation = unsaid.and_then(|words| Some((words, implied_collation(crossing, &name)?)));
    match collation {
        Some((words_for_it, collation)) => {
            words.replace(at, at, format!("{here}{words_for_it}{collation}"));
        }
        None if here != name => words.replace(at, at, here),
        None => {}
    }
}

/// The collation that the source means by a character set alone, where the target means another.
fn implied_collation(crossing: &Crossing<'_>, set: &str) -> Option<String> {
    let source = crossing.source;
    let is_old = match source.vendor {
        Vendor::MySql => source.version < MYSQL_OTHER_COLLATION,
        Vendor::MariaDb => source.version < MARIADB_OTHER_COLLATION,
    };
    let is_unicode = ["utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"].contains(&set);
    let name = format!("{set}_general_ci");
    if !is_old || !is_unicode {
        return None;
    }
    match collations::map(crossing.target, &name) {
        None => Some(name),
        Some(mapped) => mapped.name,
    }
}

/// A table's own name with an ending, within the length of a name.
pub(super) fn name_with(record: &TableRecord, ending: &str) -> RawText {
    const LIMIT: usize = 64;
    let mut name = record.name.to_string();
    while name.chars().count() + ending.chars().count() > LIMIT {
        name.pop();
    }
    RawText(format!("{name}{ending}").into_bytes())
}

/// `CONSTRAINT name` of an element.
pub(super) fn constraint(name: &[u8]) -> Vec<u8> {
    [b"CONSTRAINT ".as_slice(), &quote_name(name)].concat()
}
