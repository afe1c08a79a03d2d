//! Foreign keys of tables that lie aside: under names of their own, at parents that lie aside too.
//!
//! One that named the real parent would silently follow the old table in the swap. Keys whose parent is outside of the
//! plan are not made before the swap: they would let a shadow hold up the shop's own changes of that parent.

use std::collections::HashMap;

use super::super::ddl::{DERIVED_FOREIGN_KEY, Text, foreign_keys, temporary_name};
use super::super::schema::table_definition;
use super::super::swap::wanted_foreign_keys;
use super::table::Loading;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, TablePlan};
use crate::record::TableRecord;
use crate::{Connection, RawText};

fn asides(plan: &LoadPlan) -> HashMap<&RawText, RawText> {
    plan.new_tables().map(|(table, _)| (&table.name, plan.new_name(table))).collect()
}

/// Adds the keys of one table that are not there yet.
pub(super) fn add(
    loading: &Loading<'_>,
    connection: &mut Connection,
    table: &TablePlan,
    record: &TableRecord,
    lines: &mut Vec<String>,
) -> Result<()> {
    let plan = loading.plan;
    let asides = asides(plan);
    let name = plan.new_name(table);
    let wanted = wanted_foreign_keys(plan, &table.name, &record.definition)?;
    if wanted.is_empty() {
        return Ok(());
    }
    let definition = table_definition(connection, &name)?;
    let present = foreign_keys(&definition, &plan.target.name)
        .map_err(|source| Error::Sql { object: format!("the definition of table {}", table.name), source })?;
    let mut parts = Vec::new();
    for (at, key) in wanted.into_iter().enumerate() {
        let parent = RawText(key.parent.clone());
        let Some(parent) = asides.get(&parent).filter(|_| key.schema.is_none()) else { continue };
        let temporary = temporary_name(&table.name, &name, &key.name, DERIVED_FOREIGN_KEY, at + 1);
        let key = key.named(temporary).pointed_at(parent.0.clone());
        if !present.iter().any(|other| other.means(&key)) {
            parts.push([&b"ADD "[..], &key.sql()].concat());
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    let statement = Text::new("ALTER TABLE ").name(&name).sql(" ").sql(parts.join(&b", "[..])).bytes();
    loading.run(connection, table, &statement, lines)
}
