//! Foreign keys of tables that lie aside: under names of their own, at parents that lie aside too.
//!
//! One that named the real parent would silently follow the old table in the swap. Keys whose parent is outside of the
//! plan are not made before the swap: they would let a shadow hold up the shop's own changes of that parent.

use std::collections::HashMap;

use super::super::ddl::{DERIVED_FOREIGN_KEY, ForeignKey, Text, foreign_keys, temporary_name};
use super::super::schema::table_definition;
use super::super::swap::wanted_foreign_keys;
use super::table::Loading;
use crate::error::{Error, Result};
use crate::load::{LoadPlan, TablePlan};
use crate::record::TableRecord;
use crate::{Connection, RawText, readable};

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
    tell_orphans(connection, plan, table, &asides, &wanted, lines)?;
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

/// Counts rows whose parent is missing. They were so when they were dumped, or the table is restored without its
/// parent; they are kept, and no server complains while keys are not checked.
fn tell_orphans(
    connection: &mut Connection,
    plan: &LoadPlan,
    table: &TablePlan,
    asides: &HashMap<&RawText, RawText>,
    wanted: &[ForeignKey],
    lines: &mut Vec<String>,
) -> Result<()> {
    let name = plan.new_name(table);
    for key in wanted {
        let parent = RawText(key.parent.clone());
        let source = match (&key.schema, asides.get(&parent)) {
            (Some(schema), _) => Text::new("").name(schema).sql(".").name(&parent).bytes(),
            (None, Some(aside)) => Text::new("").name(aside).bytes(),
            (None, None) => Text::new("").name(&parent).bytes(),
        };
        let mut given = Text::new("");
        let mut equal = Text::new("1");
        for (column, referenced) in key.columns.iter().zip(&key.referenced) {
            given = given.sql("c.").name(column).sql(" IS NOT NULL AND ");
            equal = equal.sql(" AND p.").name(referenced).sql("=c.").name(column);
        }
        let statement = Text::new("SELECT COUNT(*) FROM ")
            .name(&name)
            .sql(" c WHERE ")
            .sql(given.bytes())
            .sql("NOT EXISTS (SELECT 1 FROM ")
            .sql(source)
            .sql(" p WHERE ")
            .sql(equal.bytes())
            .sql(")");
        let count = match connection.query(&statement.bytes()) {
            Ok(result) => result.single().map(readable).unwrap_or_default(),
            // A parent that is not there, or that this account may not read: nothing can be said.
            Err(Error::Statement { .. }) => continue,
            Err(error) => return Err(error),
        };
        if count != "0" {
            lines.push(format!(
                "table {}: {count} rows have no parent in {parent} by the foreign key {}; they are kept",
                table.name,
                readable(&key.name)
            ));
        }
    }
    Ok(())
}
