//! Table definitions by others, brought into the form in which a server shows them: one definition that holds the keys
//! which the file adds later.

use super::spelling;
use super::statement::{QualifiedName, Statement};
use crate::RawText;
use crate::kinds::mysql::ddl::{
    DdlSpans, Edits, Item, ItemKind, OptionKind, Span, Text, sequence_references, spans,
};
use crate::kinds::mysql::sql::{Lexer, Modes, Token, TokenKind, name_bytes, quote_name};

/// Words that begin an element of a definition which is no column.
const ELEMENT_WORDS: &[&str] = &[
    "primary",
    "unique",
    "key",
    "index",
    "fulltext",
    "spatial",
    "vector",
    "constraint",
    "foreign",
    "check",
    "period",
];

/// Why a definition is not taken.
pub(super) type Refused = String;

/// Reads a CREATE TABLE: its name and its definition.
pub(super) fn create(
    statement: &Statement,
    character_set: &str,
) -> Result<(QualifiedName, Vec<u8>), Refused> {
    let at = if statement.are(1, &["or", "replace"]) { 3 } else { 1 };
    let at = statement.past_if(at + 1);
    let name = statement.qualified(at).ok_or("a CREATE TABLE names no table")?;
    if !statement.is_symbol(name.end, b'(') {
        return Err("a table made like another one or from a query has no definition".to_owned());
    }
    if statement.is(name.end + 1, "like") || statement.is(name.end + 1, "select") {
        return Err("a table made like another one or from a query has no definition".to_owned());
    }
    let list = statement.settled_from(name.end);
    let list = spelling::to_utf8(&list, character_set)
        .ok_or_else(|| format!("its definition is written in the character set {character_set}"))?;
    let list = spelling::definition(&list, statement.modes).map_err(|fault| fault.to_string())?;
    let head = Text::new("CREATE TABLE ").name(&name.name).sql(" ").bytes();
    let definition = [head.as_slice(), &list].concat();
    let definition = if spans(&definition).is_ok() { definition } else { with_quoted_names(&definition) };
    let found = spans(&definition).map_err(|fault| fault.to_string())?;
    refuse_queries(&definition, &found)?;
    Ok((name, with_named_foreign_keys(&definition, &found)))
}

/// A SELECT behind the list would run a query of the file's choice.
fn refuse_queries(definition: &[u8], found: &DdlSpans) -> Result<(), Refused> {
    let end = found.items.last().map_or(0, |item| item.span.end);
    let tail = &definition[end..];
    let mut lexer = Lexer::new(tail, Modes::default());
    while let Ok(Some(token)) = lexer.next_token() {
        if ["select", "table", "with"].iter().any(|word| token.is_word(tail, word)) {
            let is_versioning = token.is_word(tail, "with") && found.versioned;
            if !is_versioning {
                return Err("a table made from a query has no definition".to_owned());
            }
        }
    }
    Ok(())
}

/// People write names without quotes; servers show them with.
fn with_quoted_names(definition: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(definition, Modes::default());
    let tokens: Vec<Token> = std::iter::from_fn(|| lexer.next_token().ok().flatten()).collect();
    let mut edits = Edits::default();
    let mut depth = 0_u32;
    let mut is_element_start = false;
    let mut in_key = false;
    let mut after_references = false;
    for (at, token) in tokens.iter().enumerate() {
        let is_element = ELEMENT_WORDS.iter().any(|word| token.is_word(definition, word));
        let opens = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Symbol(b'('));
        match token.kind {
            TokenKind::Symbol(b'(') => {
                depth += 1;
                is_element_start = depth == 1;
            }
            TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
            TokenKind::Symbol(b',') if depth == 1 => {
                is_element_start = true;
                after_references = false;
            }
            TokenKind::Word => {
                let is_name = (depth == 1
                    && !is_element
                    && (is_element_start || follows_constraint(&tokens, at, definition)))
                    || (depth == 1 && after_references)
                    || (depth == 2
                        && in_key
                        && !opens_expression(&tokens, at, definition)
                        && !token.is_word(definition, "asc")
                        && !token.is_word(definition, "desc"))
                    || (depth == 1
                        && in_key
                        && opens
                        && !is_element
                        && !token.is_word(definition, "references"));
                if is_name {
                    let span = Span { start: token.start, end: token.end };
                    edits.replace(span, quote_name(token.text(definition)));
                }
                if depth == 1 && is_element_start {
                    in_key = is_element;
                }
                // What stands in its brackets is an expression.
                in_key &= depth != 1 || !token.is_word(definition, "check");
                after_references = token.is_word(definition, "references");
                in_key |= after_references;
                is_element_start = false;
            }
            _ => {
                if depth == 1 && is_element_start {
                    in_key = false;
                }
                is_element_start = false;
                after_references = false;
            }
        }
    }
    edits.apply(definition)
}

/// The name of a constraint.
fn follows_constraint(tokens: &[Token], at: usize, definition: &[u8]) -> bool {
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    before.is_some_and(|token| token.is_word(definition, "constraint"))
}

/// A function's name within a key over an expression.
fn opens_expression(tokens: &[Token], at: usize, definition: &[u8]) -> bool {
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    !before.is_some_and(|token| matches!(token.kind, TokenKind::Symbol(b'(' | b','))) || definition.is_empty()
}

/// A server names a foreign key by itself where nobody does: the names that it would give.
fn with_named_foreign_keys(definition: &[u8], found: &DdlSpans) -> Vec<u8> {
    let table = name_bytes(found.name.text(definition));
    let mut edits = Edits::default();
    let mut number = 0;
    for item in &found.items {
        if let ItemKind::ForeignKey { name: None, .. } = &item.kind {
            number += 1;
            let name = [table.as_slice(), format!("_ibfk_{number}").as_bytes()].concat();
            let text = item.span.text(definition);
            let without = text.len().min(b"CONSTRAINT ".len());
            let bare = match text.get(..without) {
                Some(start) if start.eq_ignore_ascii_case(b"CONSTRAINT ") => &text[without..],
                _ => text,
            };
            edits.replace(item.span, Text::new("CONSTRAINT ").name(&name).sql(" ").sql(bare).bytes());
        }
    }
    edits.apply(definition)
}

/// The databases that a definition names: of parents, of sequences, and of the parts of a table that unites others.
pub(super) fn databases(definition: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
    let found = spans(definition).map_err(|fault| fault.to_string())?;
    let mut named: Vec<Vec<u8>> = Vec::new();
    for item in &found.items {
        if let ItemKind::ForeignKey { schema: Some(schema), .. } = &item.kind {
            named.push(name_bytes(schema.text(definition)));
        }
    }
    let sequences = sequence_references(definition).map_err(|fault| fault.to_string())?;
    named.extend(sequences.into_iter().filter_map(|sequence| sequence.schema));
    for option in found.options.iter().filter(|option| option.kind == OptionKind::Union) {
        let text = option.value.text(definition);
        let mut lexer = Lexer::new(text, Modes::default());
        let mut before = None;
        while let Ok(Some(token)) = lexer.next_token() {
            if token.kind == TokenKind::Symbol(b'.') {
                named.extend(before.take().map(name_bytes));
            }
            before = Some(token.text(text));
        }
    }
    Ok(named)
}

/// What an ALTER TABLE or a CREATE INDEX does to a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// One more element.
    Add(Vec<u8>),
    /// A column's definition, in place of the one by its name.
    Column { name: Vec<u8>, definition: Vec<u8> },
    /// The next number.
    AutoIncrement(u64),
}

/// Reads an ALTER TABLE: the table and the changes that can be folded into its definition.
pub(super) fn alter(
    statement: &Statement,
    character_set: &str,
) -> Result<(QualifiedName, Vec<Change>), Refused> {
    let at = statement.past_if(if statement.is(1, "table") { 2 } else { 3 });
    let name = statement.qualified(at).ok_or("an ALTER TABLE names no table")?;
    let mut changes = Vec::new();
    for (from, to) in specifications(statement, name.end) {
        if statement.are(from, &["disable", "keys"]) || statement.are(from, &["enable", "keys"]) {
            continue;
        }
        changes.push(change(statement, from, to, character_set)?);
    }
    Ok((name, changes))
}

fn change(statement: &Statement, from: usize, to: usize, character_set: &str) -> Result<Change, Refused> {
    let spelled = |from: usize| -> Result<Vec<u8>, Refused> {
        let (Some(first), Some(last)) = (statement.tokens.get(from), statement.tokens.get(to - 1)) else {
            return Err("an ALTER TABLE is not understood".to_owned());
        };
        let text = statement.settled_part(Span { start: first.start, end: last.end });
        let text = spelling::to_utf8(&text, character_set)
            .ok_or_else(|| format!("it is written in the character set {character_set}"))?;
        spelling::definition(&text, statement.modes).map_err(|fault| fault.to_string())
    };
    let is_moved = (from..to).any(|at| statement.is(at, "first") || statement.is(at, "after"));
    match statement.word(from).as_str() {
        "add" if ELEMENT_WORDS.contains(&statement.word(from + 1).as_str()) => {
            Ok(Change::Add(spelled(from + 1)?))
        }
        "modify" | "change" if !is_moved => {
            let is_change = statement.is(from, "change");
            let at = if statement.is(from + 1, "column") { from + 2 } else { from + 1 };
            let name = statement.name(at).ok_or("a column has no name")?;
            let at = if is_change { at + 1 } else { at };
            if statement.name(at).as_ref() != Some(&name) {
                return Err(format!("an ALTER TABLE renames the column {}", RawText(name)));
            }
            Ok(Change::Column { name, definition: spelled(at)? })
        }
        "auto_increment" => {
            let at = if statement.is_symbol(from + 1, b'=') { from + 2 } else { from + 1 };
            let number = String::from_utf8_lossy(statement.text_at(at)).parse();
            number.map(Change::AutoIncrement).map_err(|_| "AUTO_INCREMENT is no number".to_owned())
        }
        _ => Err(format!(
            "an ALTER TABLE does more than add keys and number rows ({})",
            statement.word(from).to_ascii_uppercase()
        )),
    }
}

/// The parts between commas outside of brackets.
fn specifications(statement: &Statement, from: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut start, mut depth) = (from, 0_i32);
    for at in from..=statement.tokens.len() {
        match statement.kind(at) {
            Some(TokenKind::Symbol(b'(')) => depth += 1,
            Some(TokenKind::Symbol(b')')) => depth -= 1,
            Some(TokenKind::Symbol(b',')) if depth == 0 => {
                found.push((start, at));
                start = at + 1;
            }
            None if at > start => found.push((start, at)),
            _ => {}
        }
    }
    found
}

/// Reads a CREATE INDEX as the element that it adds.
pub(super) fn create_index(statement: &Statement) -> Result<(QualifiedName, Vec<Change>), Refused> {
    let refuse = || "a CREATE INDEX is not understood".to_owned();
    let at = if statement.are(1, &["or", "replace"]) { 3 } else { 1 };
    let kind = statement.word(at);
    let is_kind = matches!(kind.as_str(), "unique" | "fulltext" | "spatial" | "vector");
    let at = statement.past_if(at + 1 + usize::from(is_kind));
    let index = statement.name(at).ok_or_else(refuse)?;
    let on = (at..statement.tokens.len()).find(|at| statement.is(*at, "on")).ok_or_else(refuse)?;
    let table = statement.qualified(on + 1).ok_or_else(refuse)?;
    if !statement.is_symbol(table.end, b'(') {
        return Err(refuse());
    }
    let columns = spelling::definition(&statement.settled_from(table.end), statement.modes);
    let columns = columns.map_err(|fault| fault.to_string())?;
    let head = if is_kind { format!("{} KEY ", kind.to_ascii_uppercase()) } else { "KEY ".to_owned() };
    let element = Text::new(head).name(&index).sql(" ").sql(columns).bytes();
    Ok((table, vec![Change::Add(element)]))
}

/// Folds changes into a definition.
pub(super) fn fold(definition: &[u8], changes: &[Change]) -> Result<Vec<u8>, Refused> {
    let found = spans(definition).map_err(|fault| fault.to_string())?;
    let mut edits = Edits::default();
    let last = found.items.last().map_or(0, |item| item.span.end);
    let mut added = Vec::new();
    for change in changes {
        match change {
            Change::Add(element) => {
                added.extend_from_slice(b",\n  ");
                added.extend_from_slice(element);
            }
            Change::Column { name, definition: column } => {
                let item = found.items.iter().find(|item| is_column(item, definition, name));
                let item = item.ok_or_else(|| format!("there is no column {}", RawText(name.clone())))?;
                edits.replace(item.span, column.clone());
            }
            Change::AutoIncrement(number) => number_rows(definition, &found, *number, &mut edits),
        }
    }
    edits.replace(Span { start: last, end: last }, added);
    let folded = edits.apply(definition);
    let folded = if spans(&folded).is_ok() { folded } else { with_quoted_names(&folded) };
    let found = spans(&folded).map_err(|fault| fault.to_string())?;
    Ok(with_named_foreign_keys(&folded, &found))
}

fn is_column(item: &Item, definition: &[u8], wanted: &[u8]) -> bool {
    match &item.kind {
        ItemKind::Column { name, .. } => name_bytes(name.text(definition)).eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

fn number_rows(definition: &[u8], found: &DdlSpans, number: u64, edits: &mut Edits) {
    let of = |kind| found.options.iter().find(|option| option.kind == kind);
    if let Some(option) = of(OptionKind::AutoIncrement) {
        edits.replace(option.value, number.to_string());
    } else if let Some(engine) = of(OptionKind::Engine) {
        let end = Span { start: engine.span.end, end: engine.span.end };
        edits.replace(end, format!(" AUTO_INCREMENT={number}"));
    } else {
        let last = found.items.last().map_or(0, |item| item.span.end);
        let close = definition[last..]
            .iter()
            .position(|byte| *byte == b')')
            .map_or(definition.len(), |at| last + at + 1);
        edits.replace(Span { start: close, end: close }, format!(" AUTO_INCREMENT={number}"));
    }
}
