//! Views, triggers, routines and events for another server. Their texts stay as their authors wrote them but for names of
//! collations; one that needs what the target lacks is left out.

use super::super::sql::Modes;
use super::words::Words;
use super::{Crossing, Findings, collations, functions};
use crate::record::{DumpedObject, RoutineKind, SessionContext};
use crate::transfer::Fidelity;
use crate::{RawText, Vendor, Version};

/// Modes that say how definitions are shown or who may make accounts, or that stand beside the modes which they mean:
/// code does the same without them, and MySQL has them no more.
const MODES_WITHOUT_MEANING: [&str; 10] = [
    "DB2",
    "MAXDB",
    "MSSQL",
    "MYSQL323",
    "MYSQL40",
    "NO_AUTO_CREATE_USER",
    "NO_FIELD_OPTIONS",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
    "POSTGRESQL",
];
const MYSQL_WITHOUT_THEM: Version = Version(8, 0, 0);
const MODES_OF_MARIADB: [&str; 4] =
    ["EMPTY_STRING_IS_NULL", "IGNORE_BAD_TABLE_OPTIONS", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL"];
const MODES_OF_MYSQL: [&str; 1] = ["TIME_TRUNCATE_FRACTIONAL"];

/// Converts an object with a body in its place.
pub(super) fn convert(crossing: &Crossing<'_>, object: &mut DumpedObject, findings: &mut Findings) {
    if let DumpedObject::Routine(record) = object
        && matches!(record.routine_kind, RoutineKind::Package | RoutineKind::PackageBody)
        && crossing.target.vendor == Vendor::MySql
    {
        findings.add(Fidelity::Dropped, "MySQL has no packages");
        return;
    }
    let (definition, context) = match object {
        DumpedObject::Routine(record) => (&mut record.definition, &mut record.context),
        DumpedObject::Trigger(record) => (&mut record.definition, &mut record.context),
        DumpedObject::View(record) => (&mut record.definition, &mut record.context),
        DumpedObject::Event(record) => (&mut record.definition, &mut record.context),
        DumpedObject::Table(_) | DumpedObject::Sequence(_) => return,
    };
    let mode = context.sql_mode.as_deref().unwrap_or_default().to_uppercase();
    if crossing.to_mysql() && mode.split(',').any(|mode| mode.trim() == "ORACLE") {
        findings.add(Fidelity::Dropped, "it is written in Oracle's dialect, which MySQL does not read");
        return;
    }
    modes(crossing, context, findings);
    self::context(crossing, context, findings);
    text(crossing, definition, Modes::from_list(mode.as_bytes()), findings);
}

fn text(crossing: &Crossing<'_>, definition: &mut RawText, modes: Modes, findings: &mut Findings) {
    let Ok(mut words) = Words::new(definition, modes) else {
        findings.add(Fidelity::Dropped, "its text cannot be read");
        return;
    };
    if let Some(missing) = functions::missing(crossing, &words) {
        findings.add(Fidelity::Dropped, format!("it uses {missing}, which this server lacks"));
        return;
    }
    for at in 0..words.len() {
        if !words.is(at, "collate") {
            continue;
        }
        let Some(mapped) = collations::map(crossing.target, &words.word(at + 1)) else { continue };
        let Some(name) = mapped.name else {
            findings.add(Fidelity::Dropped, mapped.reason);
            return;
        };
        words.replace(at + 1, at + 1, name);
        if !mapped.reason.is_empty() {
            findings.changed(mapped.reason);
        }
    }
    *definition = words.edited().into();
}

/// The modes under which it is made, without those that the target does not know.
fn modes(crossing: &Crossing<'_>, context: &mut SessionContext, findings: &mut Findings) {
    let Some(list) = &mut context.sql_mode else { return };
    let of_source: &[&str] = if crossing.to_mysql() {
        &MODES_OF_MARIADB
    } else if crossing.to_mariadb() {
        &MODES_OF_MYSQL
    } else {
        &[]
    };
    let without_old = crossing.target_is(Vendor::MySql, MYSQL_WITHOUT_THEM);
    let mut kept = Vec::new();
    for mode in list.split(',') {
        let name = mode.trim().to_uppercase();
        if of_source.contains(&name.as_str()) {
            findings.changed(format!("it was made in the mode {name}, which this server has not"));
        } else if !(without_old && MODES_WITHOUT_MEANING.contains(&name.as_str())) {
            kept.push(mode);
        }
    }
    *list = kept.join(",");
}

/// The session in which it is made.
fn context(crossing: &Crossing<'_>, context: &mut SessionContext, findings: &mut Findings) {
    let mut put = |value: &mut String, what: &str| {
        let Some(mapped) = collations::map(crossing.target, value) else { return };
        if !mapped.reason.is_empty() {
            findings.changed(format!("{what}: {}", mapped.reason));
        }
        // Nothing is said where nothing fits; the server's own default holds.
        *value = mapped.name.unwrap_or_default();
    };
    put(&mut context.collation_connection, "texts in it");
    if let Some(collation) = &mut context.database_collation {
        put(collation, "texts without a collation of their own");
    }
    let set = &mut context.character_set_client;
    let other = if set == "utf8mb3" { "utf8" } else { "utf8mb3" };
    if set.starts_with("utf8")
        && !crossing.target.character_sets.contains(set.as_str())
        && crossing.target.character_sets.contains(other)
    {
        other.clone_into(set);
    }
}
