//! Turns a table's definition into that of its shadow: another name, and the costly keys left for later.

use super::super::sql::{Lexer, Modes, SqlFault, Token, TokenKind, name_bytes, quote_name};
use super::{DdlSpans, Edits, Item, ItemKind, OptionKind, Span, Text, checks, spans};

/// What to write for a sequence, given its schema and name; `None` leaves it as it stands.
pub(crate) type SequenceNames<'a> = dyn Fn(Option<&[u8]>, &[u8]) -> Option<Vec<u8>> + 'a;

/// What a shadow is made from.
pub(crate) struct ShadowRequest<'a> {
    /// The definition of the backup.
    pub(crate) definition: &'a [u8],
    /// The table's real name.
    pub(crate) table: &'a [u8],
    /// The shadow's name.
    pub(crate) shadow: &'a [u8],
    /// Whether names of CHECKs are unique within a schema (MySQL) and so must not be the real ones.
    pub(crate) checks_share_names: bool,
    /// Whether a column's collation that is the table's is left unsaid: MySQL prints such a column in another form once
    /// its collation was given, and would never again show the definition of the backup.
    pub(crate) implied_collations: bool,
    /// What differs from the definition, since the server would not take it otherwise.
    pub(crate) concessions: Concessions,
    /// Whether the keys are made with the table, foreign ones aside.
    pub(crate) keys_first: bool,
    /// The names that sequences in default values get.
    pub(crate) sequences: &'a SequenceNames<'a>,
}

/// What a table's definition gives up so that a server takes the table at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Concessions {
    /// CHECKs are made without being enforced: for rows that break them.
    pub(crate) checks_off: bool,
    /// Rows are stored in the format DYNAMIC.
    pub(crate) dynamic_rows: bool,
    /// The table gets a primary key: an invisible column that numbers the rows.
    pub(crate) invisible_key: bool,
}

impl Concessions {
    /// What either of two gives up.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            checks_off: self.checks_off || other.checks_off,
            dynamic_rows: self.dynamic_rows || other.dynamic_rows,
            invisible_key: self.invisible_key || other.invisible_key,
        }
    }
}

/// The column of an invisible key, named and typed as MySQL does where it makes one by itself
/// (`sql_generate_invisible_primary_key`).
pub(crate) const INVISIBLE_KEY: &str = "my_row_id";

/// The statements that make a shadow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShadowTable {
    /// Makes the table.
    pub(crate) create: Vec<u8>,
    /// Elements to add when the rows are in: one ALTER TABLE each, in order.
    pub(crate) keys: Vec<Vec<u8>>,
    /// What was left out of the definition, readable.
    pub(crate) left_out: Vec<String>,
}

/// The name that a constraint has while its table is a shadow. Where the real name is one that the server derived
/// from the table's name, the shadow's is derived likewise: the server then renames it together with the table.
pub(crate) fn temporary_name(
    table: &[u8],
    shadow: &[u8],
    real: &[u8],
    derived: &str,
    number: usize,
) -> Vec<u8> {
    let prefix = [table, derived.as_bytes()].concat();
    let rest = real.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(&prefix));
    match rest {
        Some(_) => [shadow, derived.as_bytes(), &real[prefix.len()..]].concat(),
        None => [shadow, b"_n", number.to_string().as_bytes(), derived.as_bytes()].concat(),
    }
}

/// What the server puts between a table's name and a number to name a foreign key.
pub(crate) const DERIVED_FOREIGN_KEY: &str = "_ibfk_";
/// The same for a CHECK (MySQL).
pub(crate) const DERIVED_CHECK: &str = "_chk_";

/// Builds the statements.
pub(crate) fn shadow_table(request: &ShadowRequest<'_>) -> Result<ShadowTable, SqlFault> {
    let definition = request.definition;
    let found = spans(definition)?;
    let mut edits = Edits::default();
    edits.replace(found.name, quote_name(request.shadow));
    let kept = kept_items(&found, definition, request.keys_first);
    remove_items(&found, &kept, &mut edits);
    if request.checks_share_names {
        rename_checks(request, &found, &mut edits)?;
    }
    if request.implied_collations {
        leave_collations_unsaid(definition, &found, &mut edits)?;
    }
    let mut left_out = Vec::new();
    for option in &found.options {
        let is_place = matches!(
            option.kind,
            OptionKind::DataDirectory | OptionKind::IndexDirectory | OptionKind::Tablespace
        );
        if is_place {
            left_out.push(String::from_utf8_lossy(option.span.text(definition)).into_owned());
            edits.replace(option.span, "");
        }
    }
    rewrite_sequences(request, &mut edits)?;
    if request.concessions.dynamic_rows {
        store_dynamic_rows(&found, &mut edits);
    }
    if let Some(first) = found.items.first().filter(|_| request.concessions.invisible_key) {
        let key = format!(
            "`{INVISIBLE_KEY}` bigint unsigned NOT NULL AUTO_INCREMENT INVISIBLE,\n  PRIMARY KEY (`{INVISIBLE_KEY}`),\n  "
        );
        edits.replace(Span { start: first.span.start, end: first.span.start }, key);
    }
    Ok(ShadowTable {
        create: edits.apply(definition),
        keys: key_batches(&found, &kept, definition),
        left_out,
    })
}

/// Names the format DYNAMIC, whatever the definition says, and takes out what belongs to another.
fn store_dynamic_rows(found: &DdlSpans, edits: &mut Edits) {
    let of = |kind: OptionKind| found.options.iter().find(|option| option.kind == kind);
    match (of(OptionKind::RowFormat), of(OptionKind::Engine)) {
        (Some(format), _) => edits.replace(format.value, "DYNAMIC"),
        (None, Some(engine)) => {
            let behind = Span { start: engine.span.end, end: engine.span.end };
            edits.replace(behind, " ROW_FORMAT=DYNAMIC");
        }
        (None, None) => {}
    }
    if let Some(size) = of(OptionKind::KeyBlockSize) {
        edits.replace(size.span, "");
    }
}

/// Removes `COLLATE x` from columns that name no character set, where `x` is the table's own.
fn leave_collations_unsaid(definition: &[u8], found: &DdlSpans, edits: &mut Edits) -> Result<(), SqlFault> {
    let own = found.options.iter().find(|option| option.kind == OptionKind::Collate);
    let Some(own) = own.map(|option| option.value.text(definition)) else { return Ok(()) };
    for item in found.items.iter().filter(|item| matches!(item.kind, ItemKind::Column { .. })) {
        let text = item.span.text(definition);
        let mut lexer = Lexer::new(text, Modes::default());
        let mut tokens = Vec::new();
        while let Some(token) = lexer.next_token()? {
            tokens.push(token);
        }
        let names_charset =
            |pair: &[Token]| pair[0].is_word(text, "CHARACTER") && pair[1].is_word(text, "SET");
        if tokens.windows(2).any(names_charset) {
            continue;
        }
        let pair = tokens
            .windows(2)
            .find(|pair| pair[0].is_word(text, "COLLATE") && pair[1].text(text).eq_ignore_ascii_case(own));
        if let Some(pair) = pair {
            let start = item.span.start;
            edits.replace(Span { start: start + pair[0].start - 1, end: start + pair[1].end }, "");
        }
    }
    Ok(())
}

fn is_deferrable(kind: &ItemKind) -> bool {
    matches!(kind, ItemKind::Key { .. } | ItemKind::Fulltext | ItemKind::Spatial | ItemKind::Vector)
}

/// Which items stay in the CREATE TABLE. The order of keys must come out as it was, so whatever stands before a key
/// that must stay does so too.
fn kept_items(found: &DdlSpans, definition: &[u8], keys_first: bool) -> Vec<bool> {
    let engine = found.options.iter().find(|option| option.kind == OptionKind::Engine);
    let engine = engine.map(|option| option.value.text(definition).to_ascii_lowercase());
    let defers = matches!(engine.as_deref(), Some(b"innodb" | b"myisam" | b"aria"));
    let has_primary = found.items.iter().any(|item| item.kind == ItemKind::PrimaryKey);
    let number = found.items.iter().find_map(|item| match &item.kind {
        ItemKind::Column { name, auto_increment: true, .. } => Some(name.text(definition)),
        _ => None,
    });
    let primary_numbers = found.items.iter().any(|item| {
        item.kind == ItemKind::PrimaryKey
            && number.is_some_and(|name| contains(item.span.text(definition), name))
    });
    let must_stay = |item: &Item| match &item.kind {
        ItemKind::Key { unique, columns } => {
            let text = item.span.text(definition);
            let numbers = number.is_some_and(|name| contains(columns.text(definition), name));
            !defers
                || (numbers && !primary_numbers)
                || (*unique && (!has_primary || found.partition.is_some()))
                || contains(&text.to_ascii_lowercase(), b"without overlaps")
        }
        kind => !defers && is_deferrable(kind),
    };
    let last = found.items.iter().rposition(must_stay);
    let is_kept = |(at, item): (usize, &Item)| match &item.kind {
        ItemKind::ForeignKey { .. } => false,
        kind => keys_first || !is_deferrable(kind) || last.is_some_and(|last| at <= last),
    };
    found.items.iter().enumerate().map(is_kept).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// Removes the items that are not kept, each with the comma before it. The first item is a column and stays.
fn remove_items(found: &DdlSpans, kept: &[bool], edits: &mut Edits) {
    for (at, item) in found.items.iter().enumerate().skip(1) {
        if !kept[at] {
            edits.replace(Span { start: found.items[at - 1].span.end, end: item.span.end }, "");
        }
    }
}

fn rename_checks(request: &ShadowRequest<'_>, found: &DdlSpans, edits: &mut Edits) -> Result<(), SqlFault> {
    let mut number = 0;
    let mut values = checks(request.definition)?.into_iter();
    for item in &found.items {
        if let ItemKind::Check { name: Some(_), .. } = &item.kind
            && let Some(mut check) = values.next()
        {
            number += 1;
            let name = temporary_name(request.table, request.shadow, &check.name, DERIVED_CHECK, number);
            check.enforced &= !request.concessions.checks_off;
            edits.replace(item.span, check.sql(&name));
        }
    }
    Ok(())
}

/// One batch of ordinary keys as long as they stand together; full-text, spatial and vector keys each alone.
fn key_batches(found: &DdlSpans, kept: &[bool], definition: &[u8]) -> Vec<Vec<u8>> {
    let mut batches: Vec<Vec<u8>> = Vec::new();
    let mut last_is_plain = false;
    for (item, kept) in found.items.iter().zip(kept) {
        if *kept || !is_deferrable(&item.kind) {
            continue;
        }
        let text = Text::new("ADD ").sql(item.span.text(definition)).bytes();
        let is_plain = matches!(item.kind, ItemKind::Key { .. });
        match batches.last_mut() {
            Some(batch) if is_plain && last_is_plain => {
                batch.extend(b", ");
                batch.extend(text);
            }
            _ => batches.push(text),
        }
        last_is_plain = is_plain;
    }
    batches
}

/// A place in a definition that names a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SequenceReference {
    pub(crate) span: Span,
    pub(crate) schema: Option<Vec<u8>>,
    pub(crate) name: Vec<u8>,
}

/// Every `nextval(…)`, `lastval(…)` and `setval(…)` in a definition.
pub(crate) fn sequence_references(definition: &[u8]) -> Result<Vec<SequenceReference>, SqlFault> {
    let mut lexer = Lexer::new(definition, Modes::default());
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let is = |word| tokens[at].is_word(definition, word);
        let opens = tokens.get(at + 1).is_some_and(|token| token.kind == TokenKind::Symbol(b'('));
        if !opens || !(is("nextval") || is("lastval") || is("setval")) {
            continue;
        }
        let name = |at: usize| {
            let token = tokens.get(at).filter(|token| token.kind == TokenKind::Name)?;
            Some(name_bytes(token.text(definition)))
        };
        let dotted = tokens.get(at + 3).is_some_and(|token| token.kind == TokenKind::Symbol(b'.'));
        let last = if dotted { at + 4 } else { at + 2 };
        if let Some(sequence) = name(last) {
            let (start, end) = (tokens[at + 2].start, tokens[last].end);
            let schema = if dotted { name(at + 2) } else { None };
            found.push(SequenceReference { span: Span { start, end }, schema, name: sequence });
        }
    }
    Ok(found)
}

fn rewrite_sequences(request: &ShadowRequest<'_>, edits: &mut Edits) -> Result<(), SqlFault> {
    for reference in sequence_references(request.definition)? {
        if let Some(text) = (request.sequences)(reference.schema.as_deref(), &reference.name) {
            edits.replace(reference.span, text);
        }
    }
    Ok(())
}
