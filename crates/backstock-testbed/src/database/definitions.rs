//! Notes how things are defined: tables, views, triggers, routines, events, the database itself.

use mysql::Conn;

use super::{error_number, first_line, lines, quoted, text};
use crate::snapshot::Snapshot;

/// The defaults of the database; its name is left out, so that copies under other names compare equal.
pub(super) fn defaults(connection: &mut Conn, database: &str, snapshot: &mut Snapshot) -> mysql::Result<()> {
    let create = first_line(connection, &format!("SHOW CREATE DATABASE {}", quoted(database)))?;
    let definition = text(&create[1]).replacen(&quoted(database), "`(name)`", 1);
    snapshot.note("database", "defaults", definition);
    Ok(())
}

/// A table's definition with the counter of AUTO_INCREMENT apart and foreign keys in the order of their names.
pub(super) fn table(connection: &mut Conn, name: &str, snapshot: &mut Snapshot) {
    let thing = format!("table {name}");
    match first_line(connection, &format!("SHOW CREATE TABLE {}", quoted(name))) {
        Ok(row) => {
            let (definition, counter) = split_counter(&row[1]);
            snapshot.note(&thing, "definition", without_implied_charsets(&sort_foreign_keys(&definition)));
            snapshot.note(&thing, "auto_increment", counter);
        }
        Err(error) => snapshot.note(&thing, "definition", error_number(error)),
    }
}

/// Takes ` AUTO_INCREMENT=n` out of the table options; the text is bytes, since defaults may hold any (C97).
fn split_counter(definition: &[u8]) -> (Vec<u8>, Vec<u8>) {
    const MARK: &[u8] = b" AUTO_INCREMENT=";
    // The options stand after the last line that closes the column list; names and comments before it may hold the mark.
    let options = definition.windows(3).rposition(|window| window == b"\n) ").unwrap_or(0);
    let Some(at) = definition[options..].windows(MARK.len()).position(|window| window == MARK) else {
        return (definition.to_vec(), Vec::new());
    };
    let start = options + at;
    let digits = definition[start + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = start + MARK.len() + digits;
    ([&definition[..start], &definition[end..]].concat(), definition[start + MARK.len()..end].to_vec())
}

/// MySQL says `CHARACTER SET x COLLATE x_y` of a column whose collation was written out and `COLLATE x_y` of one that
/// took it from the database; the collation implies the character set, so the columns are equal (C64).
fn without_implied_charsets(definition: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b" CHARACTER SET ";
    const COLLATE: &[u8] = b" COLLATE ";
    let mut rest = definition;
    let mut result = Vec::with_capacity(rest.len());
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        let behind = &rest[at + MARK.len()..];
        let length = behind.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let (charset, after) = behind.split_at(length);
        let implied = after.strip_prefix(COLLATE).is_some_and(|collation| {
            collation.strip_prefix(charset).is_some_and(|suffix| suffix.starts_with(b"_"))
        });
        result.extend_from_slice(&rest[..at]);
        if !implied {
            result.extend_from_slice(&rest[at..at + MARK.len() + length]);
        }
        rest = after;
    }
    result.extend_from_slice(rest);
    result
}

/// MariaDB lists foreign keys in the order in which they were added, which nothing depends on.
fn sort_foreign_keys(definition: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = definition.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let is_key = |line: &Vec<u8>| {
        line.starts_with(b"  CONSTRAINT ") && line.windows(13).any(|part| part == b" FOREIGN KEY ")
    };
    let Some(first) = lines.iter().position(is_key) else { return definition.to_vec() };
    let count = lines[first..].iter().take_while(|line| is_key(line)).count();
    let keys = &mut lines[first..first + count];
    let last_has_comma = keys.last().is_some_and(|line| line.ends_with(b","));
    for line in keys.iter_mut().filter(|line| line.ends_with(b",")) {
        line.pop();
    }
    keys.sort();
    for (number, line) in keys.iter_mut().enumerate() {
        if number + 1 < count || last_has_comma {
            line.push(b',');
        }
    }
    lines.join(&b'\n')
}

/// A view: its text without the database's name, and the character sets it was made under.
pub(super) fn view(connection: &mut Conn, database: &str, name: &str, snapshot: &mut Snapshot) {
    let thing = format!("view {name}");
    match first_line(connection, &format!("SHOW CREATE VIEW {}", quoted(name))) {
        Ok(row) => {
            // Broken views keep the name of the database even inside it.
            let definition = text(&row[1]).replace(&format!("{}.", quoted(database)), "");
            snapshot.note(&thing, "definition", definition);
            snapshot.note(&thing, "character sets", row[2..].join(&b','));
        }
        Err(error) => snapshot.note(&thing, "definition", error_number(error)),
    }
}

/// All triggers with their body, order, mode and character sets.
pub(super) fn triggers(connection: &mut Conn, snapshot: &mut Snapshot) -> mysql::Result<()> {
    let found = lines(
        connection,
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER \
         FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",
    )?;
    for trigger in found {
        let thing = format!("trigger {}", text(&trigger[0]));
        snapshot.note(&thing, "table, time, event, order", trigger[1..].join(&b','));
        match first_line(connection, &format!("SHOW CREATE TRIGGER {}", quoted(&text(&trigger[0])))) {
            Ok(row) => {
                snapshot.note(&thing, "mode", &row[1]);
                snapshot.note(&thing, "definition", &row[2]);
                // The seventh column is the time of creation.
                snapshot.note(&thing, "character sets", row[3..6].join(&b','));
            }
            Err(error) => snapshot.note(&thing, "definition", error_number(error)),
        }
    }
    Ok(())
}

/// All procedures, functions and packages with their body, mode and character sets.
pub(super) fn routines(connection: &mut Conn, snapshot: &mut Snapshot) -> mysql::Result<()> {
    let found = lines(
        connection,
        "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()",
    )?;
    for routine in found {
        let (name, kind) = (text(&routine[0]), text(&routine[1]));
        let thing = format!("{} {name}", kind.to_lowercase());
        match first_line(connection, &format!("SHOW CREATE {kind} {}", quoted(&name))) {
            Ok(row) => {
                snapshot.note(&thing, "mode", &row[1]);
                snapshot.note(&thing, "definition", &row[2]);
                snapshot.note(&thing, "character sets", row[3..6].join(&b','));
            }
            Err(error) => snapshot.note(&thing, "definition", error_number(error)),
        }
    }
    Ok(())
}

/// All events; the status stands apart, because a restore keeps events disabled until it is accepted.
pub(super) fn events(connection: &mut Conn, snapshot: &mut Snapshot) -> mysql::Result<()> {
    let found = lines(
        connection,
        "SELECT EVENT_NAME, STATUS, EVENT_DEFINITION, DEFINER, TIME_ZONE, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, \
         INTERVAL_FIELD, SQL_MODE, STARTS, ENDS, ON_COMPLETION, EVENT_COMMENT, CHARACTER_SET_CLIENT, \
         COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()",
    )?;
    for event in found {
        let thing = format!("event {}", text(&event[0]));
        snapshot.note(&thing, "status", &event[1]);
        snapshot.note(&thing, "definition", event[2..].join(&b'\n'));
    }
    Ok(())
}
