//! Views, triggers, routines and events for another server. Their texts stay as their authors wrote them but for names of
//! collations; one that needs what the target lacks is left out.

use super::super::sql::Modes;
use super::words::Words;
use super::{Crossing, Findings, collations, functions};
use crate::record::{DumpedObject, RoutineKind, SessionContext};
use crate::transfer::Fidelity;
use crate::{RawText, Vendor};

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
