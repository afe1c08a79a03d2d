//! Views, triggers, routines, events and sequences of files by others, as the records of a dump.

use super::session::Session;
use super::statement::{QualifiedName, Statement};
use crate::RawText;
use crate::kinds::mysql::ddl::{Edits, Span, Text};
use crate::kinds::mysql::objects::definer;
use crate::kinds::mysql::sql::{Lexer, Token, TokenKind};
use crate::record::{
    DumpedObject, EventRecord, RoutineKind, RoutineRecord, SequenceRecord, SessionContext, TriggerRecord,
    ViewRecord,
};

/// What a CREATE statement makes that has code in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeKind {
    View,
    Trigger,
    Event,
    Routine(RoutineKind),
}

/// The kind of object that a CREATE makes, and where its name stands. `None` where it makes something else.
pub(super) fn kind(statement: &Statement) -> Option<(CodeKind, usize)> {
    let end = statement.tokens.len();
    for at in 1..end {
        let kind = match statement.word(at).as_str() {
            "view" => CodeKind::View,
            "trigger" => CodeKind::Trigger,
            "event" => CodeKind::Event,
            "procedure" => CodeKind::Routine(RoutineKind::Procedure),
            "function" => CodeKind::Routine(RoutineKind::Function),
            "package" if statement.is(at + 1, "body") => {
                return Some((CodeKind::Routine(RoutineKind::PackageBody), statement.past_if(at + 2)));
            }
            "package" => CodeKind::Routine(RoutineKind::Package),
            "or" | "replace" | "algorithm" | "undefined" | "merge" | "temptable" | "definer" | "sql"
            | "security" | "invoker" | "aggregate" | "current_user" | "current_role" => continue,
            // Names and hosts of a definer, and what stands between.
            _ if is_head(statement, at) => continue,
            _ => return None,
        };
        return Some((kind, statement.past_if(at + 1)));
    }
    None
}

/// A token between CREATE and the kind of an object that is part of a DEFINER clause.
fn is_head(statement: &Statement, at: usize) -> bool {
    let before = statement.word(at.saturating_sub(1));
    match statement.kind(at) {
        Some(TokenKind::Symbol(b'=' | b'(' | b')')) => true,
        Some(TokenKind::Variable | TokenKind::Name | TokenKind::Text) => true,
        Some(TokenKind::Word) => before.is_empty(),
        _ => false,
    }
}

/// What the head of an object says.
pub(super) struct Head {
    pub(super) kind: CodeKind,
    pub(super) name: QualifiedName,
    /// The table of a trigger.
    pub(super) table: Option<QualifiedName>,
}

/// Reads the head.
pub(super) fn head(statement: &Statement, kind: CodeKind, at: usize) -> Result<Head, String> {
    let refuse = || format!("a {} is not understood", statement.summary());
    let name = statement.qualified(at).ok_or_else(refuse)?;
    let table = match kind {
        CodeKind::Trigger => {
            let on =
                (name.end..statement.tokens.len()).find(|at| statement.is(*at, "on")).ok_or_else(refuse)?;
            Some(statement.qualified(on + 1).ok_or_else(refuse)?)
        }
        _ => None,
    };
    if kind == CodeKind::Routine(RoutineKind::Function)
        && (name.end..statement.tokens.len()).any(|at| statement.is(at, "soname"))
    {
        return Err("it makes a function from a library of the server".to_owned());
    }
    Ok(Head { kind, name, table })
}

/// Whether the text behind the head names a database.
pub(super) fn names_database(statement: &Statement, head: &Head, database: &[u8]) -> bool {
    let from = head.table.as_ref().map_or(head.name.end, |table| table.end);
    (from..statement.tokens.len())
        .any(|at| statement.is_symbol(at + 1, b'.') && statement.name(at).as_deref() == Some(database))
}

/// Whether a body was cut at its first semicolon.
pub(super) fn is_cut(statement: &Statement) -> bool {
    let compound = ["begin", "loop", "while", "repeat", "case"];
    !statement.is_wrapped
        && !statement.has_own_delimiter
        && (1..statement.tokens.len()).any(|at| compound.contains(&statement.word(at).as_str()))
        && !statement.is(statement.tokens.len() - 1, "end")
}

/// The record of an object. `order` is a trigger's place among those of the same table, time and event.
pub(super) fn record(statement: &Statement, head: &Head, session: &Session, order: u64) -> DumpedObject {
    let names: Vec<&QualifiedName> = [Some(&head.name), head.table.as_ref()].into_iter().flatten().collect();
    let definition = statement.kept(&names);
    let context = SessionContext {
        sql_mode: Some(session.sql_mode().to_owned()),
        character_set_client: session.client.clone(),
        collation_connection: session.collation(),
        database_collation: session.database_collation.clone(),
        time_zone: None,
        definer: definer(&definition),
    };
    let name = RawText(head.name.name.clone());
    match head.kind {
        CodeKind::View => DumpedObject::View(ViewRecord {
            name,
            definition: definition.into(),
            context: SessionContext { sql_mode: None, database_collation: None, ..context },
            references: Vec::new(),
            broken: false,
        }),
        CodeKind::Trigger => DumpedObject::Trigger(TriggerRecord {
            name,
            table: RawText(head.table.as_ref().map(|table| table.name.clone()).unwrap_or_default()),
            definition: definition.into(),
            context,
            action_order: order,
            timing: statement.word(head.name.end).to_ascii_uppercase(),
            event: statement.word(head.name.end + 1).to_ascii_uppercase(),
        }),
        CodeKind::Routine(routine_kind) => DumpedObject::Routine(RoutineRecord {
            name,
            routine_kind,
            definition: definition.into(),
            context,
        }),
        CodeKind::Event => {
            let (definition, status) = with_status(&definition, session);
            let zone = session.time_zone.clone().unwrap_or_else(|| "SYSTEM".to_owned());
            DumpedObject::Event(EventRecord {
                name,
                definition: definition.into(),
                context: SessionContext { time_zone: Some(zone), ..context },
                status: status.to_owned(),
            })
        }
    }
}

/// The definition of an event with its status in it, and the status: one that says nothing is enabled.
fn with_status(definition: &[u8], session: &Session) -> (Vec<u8>, &'static str) {
    let mut lexer = Lexer::new(definition, session.modes());
    let mut head: Vec<Token> = Vec::new();
    while let Ok(Some(token)) = lexer.next_token() {
        head.push(token);
        if token.is_word(definition, "do") {
            break;
        }
    }
    let find = |word: &str| head.iter().position(|token| token.is_word(definition, word));
    if find("enable").is_some() {
        return (definition.to_vec(), "ENABLED");
    }
    if let Some(at) = find("disable") {
        let elsewhere = head.get(at + 1).is_some_and(|token| token.is_word(definition, "on"));
        return (definition.to_vec(), if elsewhere { "SLAVESIDE_DISABLED" } else { "DISABLED" });
    }
    let mut edits = Edits::default();
    if let Some(at) = find("comment").or_else(|| find("do")) {
        let start = head[at].start;
        edits.replace(Span { start, end: start }, "ENABLE ");
    }
    (edits.apply(definition), "ENABLED")
}

/// A sequence.
pub(super) fn sequence(statement: &Statement) -> Result<(QualifiedName, SequenceRecord), String> {
    let refuse = || "a CREATE SEQUENCE is not understood".to_owned();
    let at = if statement.are(1, &["or", "replace"]) { 3 } else { 1 };
    let at = statement.past_if(at + 1);
    let name = statement.qualified(at).ok_or_else(refuse)?;
    let rest = statement.settled_from(name.end);
    let start = (name.end..statement.tokens.len()).find(|at| statement.is(*at, "start"));
    let number = start.map(|at| {
        let at = at + 1;
        let at = if statement.is(at, "with") || statement.is_symbol(at, b'=') { at + 1 } else { at };
        signed(statement, at)
    });
    let definition = Text::new("CREATE SEQUENCE ").name(&name.name).sql(" ").sql(rest).bytes();
    let record = SequenceRecord {
        name: RawText(name.name.clone()),
        definition: definition.into(),
        next_value: number.flatten().unwrap_or(1).to_string(),
        cycle_count: 0,
    };
    Ok((name, record))
}

fn signed(statement: &Statement, at: usize) -> Option<i64> {
    let (sign, at) = if statement.is_symbol(at, b'-') { ("-", at + 1) } else { ("", at) };
    format!("{sign}{}", String::from_utf8_lossy(statement.text_at(at))).parse().ok()
}

/// `DO SETVAL(sequence, value, is_used, round)`: the sequence, the value that it gives out next as long as it counts by
/// one, and how often it started anew.
pub(super) fn sequence_value(statement: &Statement) -> Option<(QualifiedName, i64, u64)> {
    if !statement.is(1, "setval") || !statement.is_symbol(2, b'(') {
        return None;
    }
    let name = statement.qualified(3)?;
    let value = signed(statement, name.end + 1)?;
    let after = if statement.is_symbol(name.end + 1, b'-') { name.end + 3 } else { name.end + 2 };
    let flag = statement.text_at(after + 1);
    let is_used = !(flag == b"0" || flag.eq_ignore_ascii_case(b"false"));
    let round = String::from_utf8_lossy(statement.text_at(after + 3)).parse().unwrap_or(0);
    Some((name, value.saturating_add(i64::from(is_used)), round))
}
