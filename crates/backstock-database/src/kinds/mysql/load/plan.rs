//! The plan of a load: what is there now, what will be there, and everything that an undo must be able to bring back.
//! Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ddl::{self, Text};
use super::super::rights::{Rights, read_rights};
use super::super::schema;
use super::super::session::prepare_to_read;
use super::super::sql::{Modes, quote_name};
use super::{plan_code, plan_keys, plan_transfer};
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{InPlace, LoadPlan, LoadRequest, LoadSelection, NewSide, OldSide, OutsideChild, TablePlan};
use crate::record::{DatabaseFacts, DumpedObject, TriggerRecord};
use crate::settings::ServerSettings;
use crate::transfer::Fidelity;
use crate::{Connection, RawText, readable};

/// Rights without which no table can be made aside and exchanged.
const RIGHTS_ASIDE: [&str; 6] = ["SELECT", "INSERT", "CREATE", "ALTER", "DROP", "INDEX"];
/// Rights without which rows cannot be replaced at all.
const RIGHTS_ROWS: [&str; 3] = ["SELECT", "INSERT", "DELETE"];
/// Keys take about as much room again as the rows, and an ALTER sorts the largest table once more.
const ESTIMATE_FACTOR: u64 = 2;
/// Hexadecimal digits of a tag.
const TAG_LENGTH: usize = 6;

/// What is read from the live database while planning.
pub(super) struct Live {
    pub(super) connection: Connection,
    pub(super) facts: DatabaseFacts,
    pub(super) names: BTreeMap<RawText, TableKind>,
    pub(super) rights: Rights,
}

/// Plans a load.
///
/// # Errors
/// [`Error::Plan`] where it cannot be done as asked, with the reason; those of the connection and of the server.
pub fn plan_load(settings: &ServerSettings, request: &LoadRequest) -> Result<LoadPlan> {
    let refuse = |reason: String| Error::Plan { database: readable(&request.database), reason };
    if request.tag.len() != TAG_LENGTH
        || !request.tag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(refuse(format!("its tag is not {TAG_LENGTH} hexadecimal digits")));
    }
    let mut live = read_live(settings, &request.database)?;
    let server = schema::server_facts(&mut live.connection)?;
    let mut plan = LoadPlan {
        target: live.facts.clone(),
        source: request.source.clone(),
        source_server: request.source_server.clone(),
        tag: request.tag.clone(),
        tables: Vec::new(),
        new_code: Vec::new(),
        old_code: Vec::new(),
        outside_children: Vec::new(),
        left_alone: Vec::new(),
        taken_constraints: Vec::new(),
        added_keys: Vec::new(),
        transfers: Vec::new(),
        in_place: None,
        maintenance_value: request.maintenance_value.clone(),
        changes_defaults: false,
        estimated_bytes: 0,
        missing_rights: Vec::new(),
        warnings: Vec::new(),
        server,
    };
    let everything = matches!(request.selection, LoadSelection::Everything);
    let selected = select(request, plan.server.lower_case_table_names != 0).map_err(|names| {
        refuse(format!("names that differ only in case are one name on this server: {names}"))
    })?;
    let selected = plan_transfer::convert(&mut plan, &mut live, selected)?;
    add_tables(&mut plan, &mut live, &selected, request.exact && everything)?;
    plan_transfer::mark(&mut plan);
    plan_code::add(&mut plan, &mut live, &selected, request)?;
    add_outside_children(&mut plan, &mut live)?;
    add_taken_constraints(&mut plan, &mut live)?;
    plan.changes_defaults = everything
        && !plan.source.character_set.is_empty()
        && (plan.source.collation != plan.target.collation || plan.source.comment != plan.target.comment);
    let tables = || plan.new_tables().map(|(_, record)| record.estimated_bytes);
    plan.estimated_bytes = tables().sum::<u64>() * ESTIMATE_FACTOR + tables().max().unwrap_or(0);
    check_rights(&mut plan, &live.rights, request.in_place).map_err(refuse)?;
    plan_keys::add(&mut plan, &mut live, request.invisible_keys)?;
    plan_code::check_binary_log(&plan, &mut live)?;
    plan_code::warn(&mut plan, &mut live)?;
    Ok(plan)
}

fn read_live(settings: &ServerSettings, database: &[u8]) -> Result<Live> {
    let mut connection = Connection::open(settings, Some(database)).map_err(|error| match error {
        Error::LogIn { source, .. } if matches!(source.code, 1044 | 1049) => {
            Error::NoDatabase { database: readable(database) }
        }
        other => other,
    })?;
    prepare_to_read(&mut connection)?;
    let facts = schema::database_facts(&mut connection)?;
    let facts = facts.ok_or_else(|| Error::NoDatabase { database: readable(database) })?;
    let rights = read_rights(&mut connection, &facts.name)?;
    let lines = schema::list(&mut connection, &facts.name)?;
    let names = lines.into_iter().map(|line| (line.facts.name, line.facts.table_kind)).collect();
    Ok(Live { connection, facts, names, rights })
}

/// The objects that are asked for, under the names that they get.
fn select(request: &LoadRequest, fold: bool) -> std::result::Result<Vec<DumpedObject>, String> {
    let takes = |name: &[u8]| match &request.selection {
        LoadSelection::Everything => true,
        LoadSelection::Tables(patterns) | LoadSelection::Parts { tables: patterns, .. } => {
            patterns.iter().any(|pattern| pattern.matches(name))
        }
    };
    let everything = matches!(request.selection, LoadSelection::Everything);
    let mut taken = BTreeSet::new();
    let mut collisions = Vec::new();
    let mut selected = Vec::new();
    for object in &request.objects {
        let (decides, shares) = match object {
            DumpedObject::Trigger(record) => (&record.table, false),
            DumpedObject::Routine(record) => (&record.name, false),
            DumpedObject::Event(record) => (&record.name, false),
            object => (object.name(), true),
        };
        let is_code = matches!(object, DumpedObject::Routine(_) | DumpedObject::Event(_));
        let is_named = request.selection.names(object);
        if !is_named && (!takes(decides) || (is_code && !everything)) {
            continue;
        }
        let mut object = object.clone();
        if fold {
            fold_names(&mut object);
        }
        if let (DumpedObject::Trigger(record), false) = (&mut object, fold) {
            name_table_of(record, &request.objects);
        }
        // A table's record keeps its name, whatever the server makes of it.
        let name = if fold { RawText(ddl::folded(object.name())) } else { object.name().clone() };
        if shares && !taken.insert(name) {
            collisions.push(object.name().to_string());
        }
        selected.push(object);
    }
    // An index lists objects by name, but the triggers of a table act in the order in which they were made.
    selected.sort_by_key(|object| match object {
        DumpedObject::Trigger(record) => record.action_order,
        _ => 0,
    });
    if collisions.is_empty() { Ok(selected) } else { Err(collisions.join(", ")) }
}

/// Gives the names of tables in small letters, as a server with `lower_case_table_names` keeps them. The names inside
/// the rows' statements are left: the loader compares them with the record of the dump.
fn fold_names(object: &mut DumpedObject) {
    let fold = |name: &mut RawText| *name = ddl::folded(name).into();
    match object {
        DumpedObject::Table(record) => {
            // A definition that cannot be read is refused later, with its reason.
            if let Ok(definition) = ddl::with_folded_parents(&record.definition) {
                record.definition = definition.into();
            }
        }
        DumpedObject::Sequence(record) => fold(&mut record.name),
        DumpedObject::View(record) => fold(&mut record.name),
        DumpedObject::Trigger(record) => fold(&mut record.table),
        // A table's record keeps its name: its frames name it.
        DumpedObject::Routine(_) | DumpedObject::Event(_) => {}
    }
}

/// A server that folds names shows a trigger as it was written, whatever the case of its table's name.
fn name_table_of(record: &mut TriggerRecord, objects: &[DumpedObject]) {
    let is_there =
        |object: &DumpedObject| matches!(object, DumpedObject::Table(table) if table.name == record.table);
    if objects.iter().any(is_there) {
        let modes = Modes::from_list(record.context.sql_mode.as_deref().unwrap_or_default().as_bytes());
        record.definition = ddl::trigger_on(&record.definition, modes, &record.table).into();
    }
}

fn old_side(live: &mut Live, name: &RawText, kind: TableKind) -> Result<OldSide> {
    let what = match kind {
        TableKind::View => "VIEW",
        TableKind::Sequence => "SEQUENCE",
        TableKind::Table | TableKind::VersionedTable => "TABLE",
    };
    let shown = schema::show_create(&mut live.connection, what, name)?;
    let definition = shown.rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten());
    Ok(OldSide { kind, definition: definition.unwrap_or_default().into() })
}

fn add_tables(plan: &mut LoadPlan, live: &mut Live, selected: &[DumpedObject], exact: bool) -> Result<()> {
    let fold = plan.server.lower_case_table_names != 0;
    let folded = |name: &RawText| match fold {
        true => RawText(ddl::folded(name)),
        false => name.clone(),
    };
    let mut new: BTreeMap<RawText, Option<NewSide>> = BTreeMap::new();
    for object in selected {
        match object {
            DumpedObject::Table(record) => {
                new.insert(folded(&record.name), Some(NewSide::Table(Box::new(record.clone()))));
            }
            DumpedObject::Sequence(record) => {
                new.insert(record.name.clone(), Some(NewSide::Sequence(record.clone())));
            }
            // A view takes the place of a table of its name.
            DumpedObject::View(record)
                if live.names.get(&record.name).is_some_and(|kind| *kind != TableKind::View) =>
            {
                new.insert(record.name.clone(), None);
            }
            _ => {}
        }
    }
    for (name, kind) in &live.names {
        let is_view = *kind == TableKind::View;
        if !new.contains_key(name) && !is_view {
            if exact {
                new.insert(name.clone(), None);
            } else {
                plan.left_alone.push(name.clone());
            }
        }
    }
    for (number, (name, new)) in new.into_iter().enumerate() {
        let kind = live.names.get(&name).copied();
        let old = kind.map(|kind| old_side(live, &name, kind)).transpose()?;
        // Names aside are short and numbered: no real name, however long, can make them too long.
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let fidelity = Fidelity::default();
        plan.tables.push(TablePlan { name, number, new, old, fidelity, current_rows_only: false });
    }
    let taken = plan.aside_names().into_iter().find(|name| live.names.contains_key(name));
    match taken {
        None => Ok(()),
        Some(name) => Err(Error::Plan {
            database: plan.target.name.to_string(),
            reason: format!("the name {name} is in use: another restore has the same tag"),
        }),
    }
}

/// Finds tables outside of the plan whose foreign keys point into it, in any schema that the account can see.
fn add_outside_children(plan: &mut LoadPlan, live: &mut Live) -> Result<()> {
    let inside: BTreeSet<&RawText> = plan.tables.iter().map(|table| &table.name).collect();
    let sql = Text::new(
        "SELECT DISTINCT CONSTRAINT_SCHEMA, TABLE_NAME, REFERENCED_TABLE_NAME FROM \
         information_schema.REFERENTIAL_CONSTRAINTS WHERE UNIQUE_CONSTRAINT_SCHEMA=",
    );
    let result = live.connection.query(&sql.text(&plan.target.name).bytes())?;
    let mut found = BTreeSet::new();
    for row in result.rows {
        let mut values = row.into_iter().flatten().map(RawText);
        let (Some(schema), Some(table), Some(parent)) = (values.next(), values.next(), values.next()) else {
            continue;
        };
        let is_inside = schema == plan.target.name && inside.contains(&table);
        if inside.contains(&parent) && !is_inside {
            found.insert((schema, table));
        }
    }
    for (schema, name) in found {
        let sql = [b"SHOW CREATE TABLE ".as_slice(), &quote_name(&schema), b".", &quote_name(&name)].concat();
        let shown = live.connection.query(&sql)?;
        let definition = shown.rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten());
        let definition = definition.unwrap_or_default().into();
        plan.outside_children.push(OutsideChild { schema, name, definition });
    }
    Ok(())
}

/// Finds the names of constraints that tables which stay have and the backup wants too.
fn add_taken_constraints(plan: &mut LoadPlan, live: &mut Live) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for (table, record) in plan.new_tables() {
        wanted.extend(constraint_names(&table.name, &record.definition)?);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let is_table =
        |kind: Option<&TableKind>| matches!(kind, Some(TableKind::Table | TableKind::VersionedTable));
    let staying: Vec<RawText> =
        plan.left_alone.iter().filter(|name| is_table(live.names.get(*name))).cloned().collect();
    for name in staying {
        // One that cannot be shown can still be in the way; the server then says so.
        let Ok(definition) = schema::table_definition(&mut live.connection, &name) else { continue };
        for taken in constraint_names(&name, &definition)? {
            if wanted.contains(&taken) {
                plan.warnings.push(format!(
                    "table {name}, which stays, has the constraint name {taken}: the backup's gets another name"
                ));
                plan.taken_constraints.push(taken);
            }
        }
    }
    Ok(())
}

/// The names of a table's foreign keys and checks, in small letters.
fn constraint_names(table: &RawText, definition: &[u8]) -> Result<Vec<RawText>> {
    let fault = |source| Error::Sql { object: format!("the definition of table {table}"), source };
    let keys = ddl::foreign_keys(definition, b"").map_err(fault)?.into_iter().map(|key| key.name);
    let checks = ddl::checks(definition).map_err(fault)?.into_iter().map(|check| check.name);
    Ok(keys.chain(checks).map(|name| RawText(ddl::folded(&name))).collect())
}

/// Decides between aside and in place.
fn check_rights(plan: &mut LoadPlan, rights: &Rights, in_place: InPlace) -> std::result::Result<(), String> {
    let lacks = |right: &&&str| rights.conclusive && !rights.has(right);
    let missing: Vec<&str> = RIGHTS_ASIDE.iter().filter(lacks).copied().collect();
    for right in &missing {
        plan.missing_rights.push(format!("{right}: no table can be made aside and exchanged"));
    }
    let rest = [
        (
            "TRIGGER",
            "triggers cannot be made",
            plan.new_code.iter().any(|object| matches!(object, DumpedObject::Trigger(_))),
        ),
        (
            "CREATE VIEW",
            "views cannot be made",
            plan.new_code.iter().any(|object| matches!(object, DumpedObject::View(_))),
        ),
        (
            "CREATE ROUTINE",
            "routines cannot be made",
            plan.new_code.iter().any(|object| matches!(object, DumpedObject::Routine(_))),
        ),
        (
            "EVENT",
            "events cannot be made",
            plan.new_code.iter().any(|object| matches!(object, DumpedObject::Event(_))),
        ),
        (
            "REFERENCES",
            "foreign keys cannot be made",
            plan.new_tables().any(|(_, record)| !record.spans.foreign_keys.is_empty()),
        ),
    ];
    let mut code_missing = Vec::new();
    for (right, cost, needed) in rest {
        if needed && rights.conclusive && !rights.has(right) {
            plan.missing_rights.push(format!("{right}: {cost}"));
            code_missing.push(right);
        }
    }
    let all: Vec<&str> = missing.iter().copied().chain(code_missing).collect();
    let list = all.join(", ");
    match in_place {
        InPlace::Always => plan.in_place = Some("it was asked for".to_owned()),
        InPlace::Never if !all.is_empty() => {
            return Err(format!("the account lacks these rights on the database: {list}"));
        }
        InPlace::WhenNeeded if !all.is_empty() => {
            plan.in_place = Some(format!("the account lacks these rights on the database: {list}"));
        }
        InPlace::Never | InPlace::WhenNeeded => {}
    }
    let rows: Vec<&str> = RIGHTS_ROWS.iter().filter(lacks).copied().collect();
    if plan.in_place.is_some() && !rows.is_empty() {
        return Err(format!("the account cannot even replace rows: it lacks {}", rows.join(", ")));
    }
    Ok(())
}
