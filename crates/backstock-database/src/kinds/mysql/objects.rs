//! Everything that is not a table: sequences, routines, triggers, views, events, each with the session that it was
//! made in. A failure concerns one object, which is then named as missing.

use std::collections::BTreeSet;

use super::connection::{Connection, ResultSet};
use super::ddl::{Edits, Span};
use super::schema::show_create;
use super::sql::{Lexer, Modes, TokenKind, name_bytes, quote_text};
use crate::dump::DumpProblem;
use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{
    EventRecord, RoutineKind, RoutineRecord, SequenceRecord, SessionContext, TriggerRecord, ViewRecord,
};

/// Objects and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) routines: Vec<RoutineRecord>,
    pub(crate) triggers: Vec<TriggerRecord>,
    pub(crate) views: Vec<ViewRecord>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) problems: Vec<DumpProblem>,
}

/// The outcome of one object: an error of the server about it alone is a problem, anything else ends the dump.
fn one<T>(
    problems: &mut Vec<DumpProblem>,
    kind: &str,
    name: &[u8],
    found: Result<Option<T>>,
) -> Result<Option<T>> {
    let reason = match found {
        Ok(Some(object)) => return Ok(Some(object)),
        Ok(None) => "the server shows its name only, not its text".to_owned(),
        Err(Error::Statement { source, .. }) if is_about_one_object(source.code) => source.to_string(),
        Err(error) => return Err(error),
    };
    problems.push(DumpProblem {
        object: format!("{kind} {}", readable(name)),
        right: right_for(kind).map(str::to_owned),
        reason,
        cost: format!("a restore lacks this {kind}"),
    });
    Ok(None)
}

/// Access denied in its forms, and an object whose text the server cannot show.
fn is_about_one_object(code: u16) -> bool {
    !matches!(code, 1053 | 1146 | 1205 | 1213 | 1317 | 1412 | 1927 | 3024 | 1969)
}

fn right_for(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "view" => "SHOW VIEW",
        "trigger" => "TRIGGER",
        "event" => "EVENT",
        "sequence" => "SELECT",
        _ => "SHOW ROUTINE (MariaDB: SHOW CREATE ROUTINE, or SELECT on mysql.proc)",
    })
}

fn get(result: &ResultSet, name: &str) -> Option<String> {
    result.get(0, name).map(readable)
}

/// `SHOW CREATE` of an object with a body. The text is fetched in the character set that the object was made in:
/// only those bytes mean the same when they are sent again.
fn show_code(
    connection: &mut Connection,
    what: &str,
    name: &[u8],
    column: &str,
) -> Result<Option<(Vec<u8>, SessionContext, ResultSet)>> {
    let mut result = show_create(connection, what, name)?;
    let client = get(&result, "character_set_client").unwrap_or_else(|| "utf8mb4".to_owned());
    if !matches!(client.as_str(), "utf8mb4" | "utf8mb3" | "utf8" | "ascii") {
        let name_only = client.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !name_only {
            let (object, what) =
                (format!("{what} {}", readable(name)), "its character set has no name".into());
            return Err(Error::Definition { object, what });
        }
        connection.execute(format!("SET character_set_results={client}").as_bytes())?;
        let shown = show_create(connection, what, name);
        connection.execute(b"SET character_set_results=NULL")?;
        result = shown?;
    }
    let Some(definition) = result.get(0, column).map(<[u8]>::to_vec) else { return Ok(None) };
    let context = SessionContext {
        sql_mode: get(&result, "sql_mode"),
        character_set_client: client,
        collation_connection: get(&result, "collation_connection")
            .unwrap_or_else(|| "utf8mb4_general_ci".to_owned()),
        database_collation: get(&result, "Database Collation"),
        time_zone: get(&result, "time_zone"),
        definer: definer(&definition),
    };
    Ok(Some((definition, context, result)))
}

/// The account after `DEFINER=`.
pub(crate) fn definer(definition: &[u8]) -> Option<RawText> {
    let at = definition.windows(8).position(|window| window == b"DEFINER=")? + 8;
    let mut lexer = Lexer::new(&definition[at..], Modes::default());
    let mut end = 0;
    for _ in 0..3 {
        let token = lexer.next_token().ok()??;
        end = token.end;
        // `CURRENT_ROLE` and a role without a host are one token.
        let more = definition[at..].get(token.end) == Some(&b'@') || token.kind == TokenKind::Variable;
        if !more {
            break;
        }
    }
    Some(definition[at..at + end].into())
}

/// Runs a query of the system tables about this database and gives the rows that are exactly ours.
fn ours(
    connection: &mut Connection,
    database: &[u8],
    select: &str,
    schema: &str,
    order: &str,
) -> Result<ResultSet> {
    let sql = [
        select.as_bytes(),
        b" WHERE ",
        schema.as_bytes(),
        b"=",
        &quote_text(database),
        b" ORDER BY ",
        order.as_bytes(),
    ]
    .concat();
    let mut result = connection.query(&sql)?;
    let at = result.position(schema);
    result.rows.retain(|row| at.is_some_and(|at| row[at].as_deref() == Some(database)));
    Ok(result)
}

/// Reads routines, packages heads first.
pub(crate) fn routines(connection: &mut Connection, database: &[u8], objects: &mut Objects) -> Result<()> {
    let select = "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES";
    let list = ours(
        connection,
        database,
        select,
        "ROUTINE_SCHEMA",
        "ROUTINE_TYPE='PACKAGE BODY', ROUTINE_TYPE, ROUTINE_NAME",
    )?;
    for row in 0..list.rows.len() {
        let name = list.get(row, "ROUTINE_NAME").unwrap_or_default().to_vec();
        let (kind, column) = match list.get(row, "ROUTINE_TYPE") {
            Some(b"PROCEDURE") => (RoutineKind::Procedure, "Create Procedure"),
            Some(b"FUNCTION") => (RoutineKind::Function, "Create Function"),
            Some(b"PACKAGE") => (RoutineKind::Package, "Create Package"),
            Some(b"PACKAGE BODY") => (RoutineKind::PackageBody, "Create Package Body"),
            other => {
                let kind = other.map(readable).unwrap_or_default().to_lowercase();
                one::<()>(&mut objects.problems, &kind, &name, Ok(None))?;
                continue;
            }
        };
        let shown = show_code(connection, kind.sql(), &name, column);
        let readable_kind = kind.sql().to_lowercase();
        if let Some((definition, context, _)) = one(&mut objects.problems, &readable_kind, &name, shown)? {
            objects.routines.push(RoutineRecord {
                name: name.into(),
                routine_kind: kind,
                definition: definition.into(),
                context,
            });
        }
    }
    Ok(())
}

/// Reads the triggers of tables that the dump takes, in the order in which they must be created.
pub(crate) fn triggers(
    connection: &mut Connection,
    database: &[u8],
    takes: &dyn Fn(&[u8]) -> bool,
    objects: &mut Objects,
) -> Result<()> {
    let select = "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, \
                  ACTION_ORDER FROM information_schema.TRIGGERS";
    let order = "EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER";
    let list = ours(connection, database, select, "TRIGGER_SCHEMA", order)?;
    for row in 0..list.rows.len() {
        let table = list.get(row, "EVENT_OBJECT_TABLE").unwrap_or_default();
        if !takes(table) {
            continue;
        }
        let name = list.get(row, "TRIGGER_NAME").unwrap_or_default().to_vec();
        let shown = show_code(connection, "TRIGGER", &name, "SQL Original Statement");
        if let Some((definition, context, _)) = one(&mut objects.problems, "trigger", &name, shown)? {
            let text = |column| list.get(row, column).map(readable).unwrap_or_default();
            objects.triggers.push(TriggerRecord {
                name: name.into(),
                table: table.into(),
                definition: definition.into(),
                context,
                action_order: text("ACTION_ORDER").parse().unwrap_or(1),
                timing: text("ACTION_TIMING"),
                event: text("EVENT_MANIPULATION"),
            });
        }
    }
    Ok(())
}

/// Reads events.
pub(crate) fn events(connection: &mut Connection, database: &[u8], objects: &mut Objects) -> Result<()> {
    let select = "SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS";
    let list = ours(connection, database, select, "EVENT_SCHEMA", "EVENT_NAME")?;
    for row in 0..list.rows.len() {
        let name = list.get(row, "EVENT_NAME").unwrap_or_default().to_vec();
        let shown = show_code(connection, "EVENT", &name, "Create Event");
        if let Some((definition, context, _)) = one(&mut objects.problems, "event", &name, shown)? {
            let status = list.get(row, "STATUS").map(readable).unwrap_or_default();
            objects.events.push(EventRecord {
                name: name.into(),
                definition: definition.into(),
                context,
                status,
            });
        }
    }
    Ok(())
}

/// Reads views. `known` are the names of all tables, views and sequences of the database.
pub(crate) fn views(
    connection: &mut Connection,
    database: &[u8],
    names: &[RawText],
    known: &BTreeSet<RawText>,
    objects: &mut Objects,
) -> Result<()> {
    let mut found = Vec::new();
    for name in names {
        let shown = show_code(connection, "VIEW", name, "Create View");
        if let Some((definition, mut context, result)) = one(&mut objects.problems, "view", name, shown)? {
            context.sql_mode = None;
            let definition = without_own_database(&definition, database);
            let references = references(&definition, name, known, &objects.routines);
            found.push(ViewRecord {
                name: name.clone(),
                definition: definition.into(),
                context,
                references,
                // The server warns of a view whose tables, columns or definer are gone.
                broken: result.warnings > 0,
            });
        }
    }
    objects.views = in_order(found);
    Ok(())
}

/// A view's text without the name of its own database in front of `table.column`. MariaDB leaves it there in a view
/// that is broken or whose definer is gone, and the view could then be made in a database of that name only.
fn without_own_database(definition: &[u8], database: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(definition, Modes::default());
    let tokens: Vec<_> = std::iter::from_fn(|| lexer.next_token().ok().flatten()).collect();
    let mut edits = Edits::default();
    let mut at = 0;
    while let Some([name, dot, table, second, column]) = tokens.get(at..at + 5) {
        let [is_dot, is_second] = [dot, second].map(|token| token.kind == TokenKind::Symbol(b'.'));
        let names = [name, table, column].iter().all(|token| token.kind == TokenKind::Name);
        if names && is_dot && is_second && name_bytes(name.text(definition)) == database {
            edits.replace(Span { start: name.start, end: table.start }, "");
            at += 5;
        } else {
            at += 1;
        }
    }
    edits.apply(definition)
}

/// The names of this database that a definition mentions between backticks.
pub(crate) fn references(
    definition: &[u8],
    own: &RawText,
    known: &BTreeSet<RawText>,
    routines: &[RoutineRecord],
) -> Vec<RawText> {
    let mut lexer = Lexer::new(definition, Modes::default());
    let mut found = BTreeSet::new();
    while let Ok(Some(token)) = lexer.next_token() {
        if token.kind == TokenKind::Name {
            let name = RawText(name_bytes(token.text(definition)));
            let is_routine = || routines.iter().any(|routine| routine.name == name);
            if name != *own && (known.contains(&name) || is_routine()) {
                found.insert(name);
            }
        }
    }
    found.into_iter().collect()
}

/// Views after the views that they use; broken ones at the end, since they may fail to load.
pub(crate) fn in_order(mut views: Vec<ViewRecord>) -> Vec<ViewRecord> {
    let mut ordered: Vec<ViewRecord> = Vec::with_capacity(views.len());
    while !views.is_empty() {
        let waits = |view: &ViewRecord| {
            views.iter().any(|other| other.name != view.name && view.references.contains(&other.name))
        };
        // A circle of names (a column named like a view) is broken at the first of them.
        let at = views.iter().position(|view| !waits(view)).unwrap_or(0);
        ordered.push(views.remove(at));
    }
    ordered.sort_by_key(|view| view.broken);
    ordered
}

/// Reads where a sequence stands. Its definition was read before the tables'.
pub(crate) fn sequence(
    connection: &mut Connection,
    name: &RawText,
    definition: Vec<u8>,
) -> Result<SequenceRecord> {
    let sql = [b"SELECT next_not_cached_value, cycle_count FROM ".as_slice(), &super::sql::quote_name(name)]
        .concat();
    let result = connection.query(&sql)?;
    Ok(SequenceRecord {
        name: name.clone(),
        definition: definition.into(),
        next_value: get(&result, "next_not_cached_value").unwrap_or_else(|| "1".to_owned()),
        cycle_count: get(&result, "cycle_count").and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, references: &[&str], broken: bool) -> ViewRecord {
        ViewRecord {
            name: name.into(),
            definition: RawText::default(),
            context: SessionContext::default(),
            references: references.iter().map(|name| RawText::from(*name)).collect(),
            broken,
        }
    }

    #[test]
    fn views_stand_after_what_they_use() {
        let views = in_order(vec![view("a", &["c"], false), view("b", &[], true), view("c", &["t"], false)]);
        let names: Vec<String> = views.iter().map(|view| view.name.to_string()).collect();
        assert_eq!(names, ["c", "a", "b"]);
        assert_eq!(in_order(vec![view("a", &["b"], false), view("b", &["a"], false)]).len(), 2);
    }

    #[test]
    fn a_view_loses_the_name_of_its_own_database_only() {
        let text = b"select `d`.`t`.`c`,`e`.`t`.`c`,`d`.`f`(1) from `t` `d`";
        let text = without_own_database(text, b"d");
        assert_eq!(String::from_utf8(text).unwrap(), "select `t`.`c`,`e`.`t`.`c`,`d`.`f`(1) from `t` `d`");
    }

    #[test]
    fn a_definer_is_found() {
        let of = |text: &str| definer(text.as_bytes()).map(|definer| definer.to_string());
        assert_eq!(of("CREATE DEFINER=`a b`@`%` PROCEDURE `p`()").as_deref(), Some("`a b`@`%`"));
        assert_eq!(of("CREATE DEFINER=`role` VIEW v").as_deref(), Some("`role`"));
        assert_eq!(of("CREATE PROCEDURE p()"), None);
    }

    #[test]
    fn references_are_names_of_this_database() {
        let known = BTreeSet::from(["t".into(), "v".into(), "u`x".into()]);
        let found =
            references(b"CREATE VIEW `v` AS SELECT `t`.`c` FROM `t` JOIN `u``x`", &"v".into(), &known, &[]);
        assert_eq!(found, ["t".into(), "u`x".into()] as [RawText; 2]);
    }
}
