//! Foreign keys and checks over a swap: a rename carries them along, so that they end on the wrong table or under the
//! wrong name. Each function compares what a definition wants with what the table has, and changes the difference.

use std::collections::HashSet;

use super::super::ddl::{CheckConstraint, ForeignKey, Text, checks, folded, foreign_keys};
use super::super::sql::SqlFault;
use super::{Worker, rename};
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, TablePlan};
use crate::{RawText, readable};

/// Characters of a constraint's name, at most.
const NAME_LIMIT: usize = 64;
/// MySQL's error for rows that break a CHECK.
const ERROR_CHECK_VIOLATED: u16 = 3819;

fn fault(table: &[u8]) -> impl Fn(SqlFault) -> Error + '_ {
    move |source| Error::Sql { object: format!("the definition of table {}", readable(table)), source }
}

/// The foreign keys that a table of the backup has in the target database.
pub(crate) fn wanted_foreign_keys(
    plan: &LoadPlan,
    table: &[u8],
    definition: &[u8],
) -> Result<Vec<ForeignKey>> {
    let mut keys = foreign_keys(definition, &plan.source.name).map_err(fault(table))?;
    for key in &mut keys {
        key.name = free_name(plan, &key.name);
        if key.schema.as_deref() == Some(&plan.target.name[..]) {
            key.schema = None;
        }
    }
    Ok(keys)
}

/// The checks that a table of the backup has in the target database.
fn wanted_checks(plan: &LoadPlan, table: &[u8], definition: &[u8]) -> Result<Vec<CheckConstraint>> {
    let mut found = checks(definition).map_err(fault(table))?;
    for check in &mut found {
        check.name = free_name(plan, &check.name);
    }
    Ok(found)
}

/// The name itself, or one that no table which stays has.
fn free_name(plan: &LoadPlan, name: &[u8]) -> Vec<u8> {
    if !plan.taken_constraints.contains(&RawText(folded(name))) {
        return name.to_vec();
    }
    let mut short = String::from_utf8_lossy(name).into_owned();
    while short.chars().count() + plan.tag.len() + 1 > NAME_LIMIT {
        short.pop();
    }
    format!("{short}_{}", plan.tag).into_bytes()
}

/// The tables of the old side that have constraints of their own.
fn old_tables(plan: &LoadPlan) -> Vec<(&TablePlan, &RawText)> {
    let is_table = |kind| matches!(kind, TableKind::Table | TableKind::VersionedTable);
    let sides = plan.tables.iter().filter_map(|table| table.old.as_ref().map(|old| (table, old)));
    sides.filter(|(_, old)| is_table(old.kind)).map(|(table, old)| (table, &old.definition)).collect()
}

/// Forward, after the rename: takes from the old tables what the new ones need or what would act on live tables:
/// names of constraints, foreign keys to tables outside of the plan, triggers.
pub(super) fn free_names(worker: &mut Worker<'_>) -> Result<()> {
    let plan = worker.plan;
    let names = worker.names()?;
    let mut taken = HashSet::new();
    for (table, record) in plan.new_tables() {
        let keys = wanted_foreign_keys(plan, &table.name, &record.definition)?;
        taken.extend(keys.iter().map(|key| folded(&key.name)));
        let checks = wanted_checks(plan, &table.name, &record.definition)?;
        taken.extend(checks.iter().map(|check| folded(&check.name)));
    }
    let asides: HashSet<RawText> = plan.tables.iter().map(|table| plan.old_name(table)).collect();
    for (table, _) in old_tables(plan) {
        let aside = plan.old_name(table);
        if !names.contains_key(&aside.0) {
            continue;
        }
        let definition = worker.definition(worker.database(), &aside)?;
        let mut keys = foreign_keys(&definition, worker.database()).map_err(fault(&table.name))?;
        keys.retain(|key| {
            let inside = key.schema.is_none() && asides.contains(&RawText(key.parent.clone()));
            !inside || taken.contains(&folded(&key.name))
        });
        let mut old_checks = checks(&definition).map_err(fault(&table.name))?;
        old_checks.retain(|check| worker.checks_share_names() && taken.contains(&folded(&check.name)));
        drop_constraints(worker, worker.database(), &aside, &keys, &old_checks)?;
    }
    drop_triggers_of(worker, &asides)
}

fn drop_triggers_of(worker: &mut Worker<'_>, tables: &HashSet<RawText>) -> Result<()> {
    let result = worker.query(b"SHOW TRIGGERS")?;
    let rows = 0..result.rows.len();
    for row in rows {
        let (name, table) = (result.get(row, "Trigger"), result.get(row, "Table"));
        if let (Some(name), Some(table)) = (name, table)
            && tables.contains(&RawText(table.to_vec()))
        {
            worker.run(&Text::new("DROP TRIGGER IF EXISTS ").name(name).bytes())?;
        }
    }
    Ok(())
}

fn drop_constraints(
    worker: &mut Worker<'_>,
    schema: &[u8],
    table: &[u8],
    keys: &[ForeignKey],
    checks: &[CheckConstraint],
) -> Result<()> {
    let mut parts: Vec<Vec<u8>> =
        keys.iter().map(|key| Text::new("DROP FOREIGN KEY ").name(&key.name).bytes()).collect();
    parts.extend(checks.iter().map(|check| Text::new("DROP CHECK ").name(&check.name).bytes()));
    alter(worker, schema, table, &parts)
}

fn alter(worker: &mut Worker<'_>, schema: &[u8], table: &[u8], parts: &[Vec<u8>]) -> Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let head = Text::new("ALTER TABLE ").name(schema).sql(".").name(table).sql(" ");
    worker.run(&head.sql(parts.join(&b", "[..])).bytes()).map(drop)
}

/// Forward: the new tables, now under their own names, get the constraints of the backup by name.
pub(super) fn name_new(worker: &mut Worker<'_>) -> Result<()> {
    let plan = worker.plan;
    for (table, record) in plan.new_tables() {
        let keys = wanted_foreign_keys(plan, &table.name, &record.definition)?;
        let checks = wanted_checks(plan, &table.name, &record.definition)?;
        converge(worker, worker.database(), &table.name, &keys, Some(&checks))?;
    }
    Ok(())
}

/// Backward, before the rename: the new tables give up their names and no longer watch tables outside.
pub(super) fn unname_new(worker: &mut Worker<'_>) -> Result<()> {
    let plan = worker.plan;
    let names = worker.names()?;
    let mut taken = HashSet::new();
    for (table, definition) in old_tables(plan) {
        let checks = checks(definition).map_err(fault(&table.name))?;
        taken.extend(checks.iter().map(|check| folded(&check.name)));
    }
    for (table, _) in plan.new_tables() {
        let Some(name) = rename::new_side_name(plan, &names, table) else { continue };
        let definition = worker.definition(worker.database(), &name)?;
        let keys = foreign_keys(&definition, worker.database()).map_err(fault(&table.name))?;
        let mut own = checks(&definition).map_err(fault(&table.name))?;
        // A name that the server derives from the table's goes aside with the table.
        let derived = [&table.name[..], b"_chk_"].concat();
        own.retain(|check| {
            worker.checks_share_names()
                && taken.contains(&folded(&check.name))
                && !check.name.to_ascii_lowercase().starts_with(&derived.to_ascii_lowercase())
        });
        drop_constraints(worker, worker.database(), &name, &keys, &own)?;
    }
    Ok(())
}

/// Backward, after the rename: the old tables get back what `free_names` took.
pub(super) fn name_old(worker: &mut Worker<'_>) -> Result<()> {
    for (table, definition) in old_tables(worker.plan) {
        let keys = foreign_keys(definition, worker.database()).map_err(fault(&table.name))?;
        let checks = checks(definition).map_err(fault(&table.name))?;
        converge(worker, worker.database(), &table.name, &keys, Some(&checks))?;
    }
    Ok(())
}

/// Either direction, after the rename: foreign keys of tables outside followed the tables that went aside; they are
/// made as they were, which now means the tables that are in place.
pub(super) fn point_children(worker: &mut Worker<'_>) -> Result<()> {
    for child in &worker.plan.outside_children {
        let keys = foreign_keys(&child.definition, &child.schema).map_err(fault(&child.name))?;
        converge(worker, &child.schema, &child.name, &keys, None)?;
    }
    Ok(())
}

/// Gives a table exactly these foreign keys and, where names of checks are shared, exactly these checks.
fn converge(
    worker: &mut Worker<'_>,
    schema: &[u8],
    table: &[u8],
    wanted: &[ForeignKey],
    wanted_checks: Option<&[CheckConstraint]>,
) -> Result<()> {
    let definition = worker.definition(schema, table)?;
    let present = foreign_keys(&definition, schema).map_err(fault(table))?;
    let superfluous: Vec<&ForeignKey> =
        present.iter().filter(|key| !wanted.iter().any(|other| other.equals(key))).collect();
    let missing: Vec<&ForeignKey> =
        wanted.iter().filter(|key| !present.iter().any(|other| other.equals(key))).collect();
    let drops: Vec<Vec<u8>> =
        superfluous.iter().map(|key| Text::new("DROP FOREIGN KEY ").name(&key.name).bytes()).collect();
    let adds: Vec<Vec<u8>> = missing.iter().map(|key| [&b"ADD "[..], &key.sql()].concat()).collect();
    let same_name =
        missing.iter().any(|key| superfluous.iter().any(|other| folded(&other.name) == folded(&key.name)));
    // Dropping and adding one name in a single statement is refused by both vendors.
    if same_name {
        alter(worker, schema, table, &drops)?;
        alter(worker, schema, table, &adds)?;
    } else {
        alter(worker, schema, table, &[drops, adds].concat())?;
    }
    match wanted_checks {
        Some(wanted) if worker.checks_share_names() => {
            let present = checks(&definition).map_err(fault(table))?;
            converge_checks(worker, schema, table, &present, wanted)
        }
        _ => Ok(()),
    }
}

fn converge_checks(
    worker: &mut Worker<'_>,
    schema: &[u8],
    table: &[u8],
    present: &[CheckConstraint],
    wanted: &[CheckConstraint],
) -> Result<()> {
    let has =
        |list: &[CheckConstraint], name: &[u8]| list.iter().any(|check| folded(&check.name) == folded(name));
    let superfluous: Vec<&CheckConstraint> =
        present.iter().filter(|check| !has(wanted, &check.name)).collect();
    let mut missing: Vec<CheckConstraint> =
        wanted.iter().filter(|check| !has(present, &check.name)).cloned().collect();
    // A check that the rows break was loaded without being enforced, and stays so.
    for check in &mut missing {
        let twin = superfluous.iter().find(|other| other.expression == check.expression);
        check.enforced &= twin.is_none_or(|twin| twin.enforced);
    }
    let parts = |enforced: bool| -> Vec<Vec<u8>> {
        let drops = superfluous.iter().map(|check| Text::new("DROP CHECK ").name(&check.name).bytes());
        let adds = missing.iter().map(|check| {
            let check = CheckConstraint { enforced: enforced && check.enforced, ..check.clone() };
            [&b"ADD "[..], &check.sql(&check.name)].concat()
        });
        drops.chain(adds).collect()
    };
    match alter(worker, schema, table, &parts(true)) {
        Err(error) if error.code() == Some(ERROR_CHECK_VIOLATED) => {
            worker
                .notes
                .push(format!("table {}: its rows break a CHECK, which is not enforced", readable(table)));
            alter(worker, schema, table, &parts(false))
        }
        other => other,
    }
}
