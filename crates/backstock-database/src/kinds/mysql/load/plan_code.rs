//! The part of a plan about routines, triggers, views and events, and the warnings that a person should read first.

use std::collections::BTreeSet;

use super::super::objects::{self, Objects};
use super::super::session::prepare_to_read;
use super::plan::Live;
use crate::RawText;
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, LoadRequest, LoadSelection, NewSide};
use crate::record::{DumpedObject, ServerFacts};

/// At most this many names in one warning.
const NAMES_LIMIT: usize = 5;

/// Adds what the backup has and what is there now.
pub(super) fn add(
    plan: &mut LoadPlan,
    live: &mut Live,
    selected: &[DumpedObject],
    request: &LoadRequest,
) -> Result<()> {
    let (exact, selection) = (request.exact, &request.selection);
    let everything = matches!(selection, LoadSelection::Everything);
    let old = read_old(plan, live, selection)?;
    let same_name = plan.source.name == plan.target.name;
    let is_code =
        |object: &&DumpedObject| !matches!(object, DumpedObject::Table(_) | DumpedObject::Sequence(_));
    let new: Vec<&DumpedObject> = selected.iter().filter(is_code).collect();
    // What is equal on both sides is not touched, where it does not hang on a table that changes sides.
    let stays = |object: &DumpedObject| {
        matches!(object, DumpedObject::View(_) | DumpedObject::Routine(_)) && same_name && {
            new.iter().any(|other| is_equal(other, object)) && old.iter().any(|other| is_equal(other, object))
        }
    };
    let meets = |object: &DumpedObject| new.iter().any(|other| is_same_thing(other, object));
    plan.new_code = new.iter().filter(|object| !stays(object)).map(|object| (*object).clone()).collect();
    plan.old_code = old
        .iter()
        .filter(|object| match object {
            object if selection.names(object) => !stays(object),
            DumpedObject::Trigger(record) => plan.tables.iter().any(|side| side.name == record.table),
            DumpedObject::View(record) => {
                let moves = plan.tables.iter().any(|table| table.name == record.name);
                !moves && !stays(object) && (meets(object) || (exact && everything))
            }
            object => everything && !stays(object) && (meets(object) || exact),
        })
        .cloned()
        .collect();
    let kept = live.names.iter().filter(|(name, kind)| {
        **kind == TableKind::View
            && !plan.tables.iter().any(|table| table.name == **name)
            && !plan
                .old_code
                .iter()
                .any(|object| matches!(object, DumpedObject::View(_)) && object.name() == *name)
    });
    plan.left_alone.extend(kept.map(|(name, _)| name.clone()).collect::<Vec<_>>());
    Ok(())
}

/// Whether two objects are one and the same definition. A view may be broken on one side only, since what it selects
/// from is gone there: it is left where it is, since no server would make it anew, and works again with its tables.
fn is_equal(one: &DumpedObject, other: &DumpedObject) -> bool {
    match (one, other) {
        (DumpedObject::View(one), DumpedObject::View(other)) => {
            (&one.name, &one.definition, &one.context) == (&other.name, &other.definition, &other.context)
        }
        _ => one == other,
    }
}

/// Whether two objects of code bear one name in one name space.
fn is_same_thing(one: &DumpedObject, other: &DumpedObject) -> bool {
    use DumpedObject::{Event, Routine, Trigger, View};
    let kind = match (one, other) {
        (Routine(one), Routine(other)) => one.routine_kind == other.routine_kind,
        (Trigger(_), Trigger(_)) | (View(_), View(_)) | (Event(_), Event(_)) => true,
        _ => false,
    };
    // Servers compare these names without regard to case, but for views and triggers on most systems.
    kind && one.name().eq_ignore_ascii_case(other.name())
}

/// Everything of code that is there now; triggers of the plan's tables only, but where code is picked by name.
fn read_old(plan: &LoadPlan, live: &mut Live, selection: &LoadSelection) -> Result<Vec<DumpedObject>> {
    let mut found = Objects::default();
    let connection = &mut live.connection;
    let is_picked = matches!(selection, LoadSelection::Parts { .. });
    let takes = |table: &[u8]| is_picked || plan.tables.iter().any(|side| side.name.0 == table);
    objects::routines(connection, &plan.target.name, &mut found)?;
    objects::triggers(connection, &plan.target.name, &takes, &mut found)?;
    let known: BTreeSet<RawText> = live.names.keys().cloned().collect();
    let views: Vec<RawText> = live
        .names
        .iter()
        .filter(|(_, kind)| **kind == TableKind::View)
        .map(|(name, _)| name.clone())
        .collect();
    objects::views(connection, &plan.target.name, &views, &known, &mut found)?;
    if live.rights.has("EVENT") {
        objects::events(connection, &plan.target.name, &mut found)?;
    }
    prepare_to_read(connection)?;
    let routines = found.routines.into_iter().map(DumpedObject::Routine);
    let triggers = found.triggers.into_iter().map(DumpedObject::Trigger);
    let views = found.views.into_iter().map(DumpedObject::View);
    let events = found.events.into_iter().map(DumpedObject::Event);
    Ok(routines.chain(triggers).chain(views).chain(events).collect())
}

/// Refuses what would stop in the middle: a server with a binary log lets no plain account make triggers and functions,
/// unless it is told to trust them (its error 1419). Those of now count too: an undo makes them again.
pub(super) fn check_binary_log(plan: &LoadPlan, live: &mut Live) -> Result<()> {
    let is_guarded = |object: &&DumpedObject| match object {
        DumpedObject::Trigger(_) => true,
        DumpedObject::Routine(record) => record.routine_kind.sql() == "FUNCTION",
        _ => false,
    };
    let guarded: BTreeSet<String> = plan
        .new_code
        .iter()
        .chain(&plan.old_code)
        .filter(is_guarded)
        .map(|object| object.name().to_string())
        .collect();
    let may = ["SUPER", "BINLOG ADMIN"].iter().any(|right| live.rights.has_global(right));
    if guarded.is_empty() || may {
        return Ok(());
    }
    let sql = b"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'log_bin_trust_function_creators')";
    let shown = live.connection.query(sql)?;
    let is = |name: &[u8], value: &[u8]| {
        shown.rows.iter().any(|row| matches!(&row[..], [Some(is), Some(has)] if is == name && has == value))
    };
    if !is(b"log_bin", b"ON") || !is(b"log_bin_trust_function_creators", b"OFF") {
        return Ok(());
    }
    let reason = format!(
        "the server writes a binary log and lets this account make no triggers and functions ({}): it lacks SUPER; \
         let an administrator SET GLOBAL log_bin_trust_function_creators=1 until the restore is accepted",
        some(guarded.iter().map(String::as_str))
    );
    Err(Error::Plan { database: plan.target.name.to_string(), reason })
}

/// Adds what a person should know before the load.
pub(super) fn warn(plan: &mut LoadPlan, live: &mut Live) -> Result<()> {
    let mut warnings = Vec::new();
    let shown = live.connection.query(b"SELECT CURRENT_USER()")?;
    let own = String::from_utf8_lossy(shown.single().unwrap_or_default()).into_owned();
    if !plan.is_same_version() {
        warnings.push(format!(
            "the backup is of {}, this server is {}: definitions may change their meaning",
            plan.source_server.version_text, plan.server.version_text
        ));
    }
    let super_right = ["SUPER", "SET USER", "SET_ANY_DEFINER", "SET_USER_ID"];
    let names_others = super_right.iter().any(|right| live.rights.has_global(right));
    // Those of now too: an undo makes them again.
    let definers: BTreeSet<String> = plan
        .new_code
        .iter()
        .chain(&plan.old_code)
        .filter_map(|object| object.code()?.1.definer.as_ref().map(ToString::to_string))
        .filter(|definer| definer.replace('`', "") != own)
        .collect();
    if !names_others && !definers.is_empty() {
        warnings.push(format!(
            "objects of other accounts become this account's: {}",
            some(definers.iter().map(String::as_str))
        ));
    }
    if plan.source.name != plan.target.name {
        let quoted = super::super::sql::quote_name(&plan.source.name);
        let mentions = |text: &[u8]| text.windows(quoted.len()).any(|window| window == quoted);
        let names: Vec<String> = plan
            .new_code
            .iter()
            .filter(|object| object.code().is_some_and(|(definition, _)| mentions(definition)))
            .map(|object| object.name().to_string())
            .collect();
        if !names.is_empty() {
            warnings.push(format!(
                "these objects mention the database {} by name, and are changed only where that is certain: {}",
                plan.source.name,
                some(names.iter().map(String::as_str))
            ));
        }
    }
    for table in &plan.tables {
        if let Some(NewSide::Table(record)) = &table.new {
            let elsewhere = ["FEDERATED", "CONNECT", "SPIDER", "S3", "BLACKHOLE", "OQGRAPH"];
            if elsewhere.iter().any(|engine| record.engine.eq_ignore_ascii_case(engine)) {
                warnings.push(format!(
                    "table {}: its engine {} keeps its rows elsewhere",
                    table.name, record.engine
                ));
            }
        }
    }
    warnings.extend(case_warning(plan));
    plan.warnings.extend(warnings);
    Ok(())
}

/// What changes between servers that keep names as they are written and such that fold them.
fn case_warning(plan: &LoadPlan) -> Option<String> {
    let folds = |facts: &ServerFacts| facts.lower_case_table_names != 0;
    match (folds(&plan.source_server), folds(&plan.server)) {
        (false, true) => {
            let names: Vec<String> = plan
                .new_tables()
                .filter(|(table, record)| table.name != record.name)
                .map(|(_, record)| record.name.to_string())
                .collect();
            (!names.is_empty()).then(|| {
                let names = some(names.iter().map(String::as_str));
                format!("this server keeps names of tables in small letters, and so these change: {names}")
            })
        }
        (true, false) => Some(
            "the backup is of a server that folds the case of names, this one does not: queries that write a table's name in \
             another case than the table has will not find it"
                .to_owned(),
        ),
        _ => None,
    }
}

pub(super) fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = names.len();
    let mut text = names.take(NAMES_LIMIT).collect::<Vec<_>>().join(", ");
    if count > NAMES_LIMIT {
        text.push_str(&format!(" and {} more", count - NAMES_LIMIT));
    }
    text
}
