//! What the new side held right after the swap, and what has changed since: asked before an undo.

use super::super::ddl::Text;
use super::super::dump::checksum_table;
use super::Worker;
use crate::Connection;
use crate::error::Result;
use crate::load::{LoadPlan, LoadReport, LoadedTable, SettingPatch, SwapMarks, TableChange};
use crate::record::Contents;

/// Notes what the new side holds. Only the table of a maintenance flag is read again: of the others the load has
/// compared every row, and the shop was closed since.
///
/// # Errors
/// The server's.
pub fn mark_swap(connection: &mut Connection, plan: &LoadPlan, report: &LoadReport) -> Result<SwapMarks> {
    let worker = Worker::new(connection, plan, "mark")?;
    let mut marks = SwapMarks::default();
    for (table, record) in plan.new_tables() {
        if record.contents != Contents::Included {
            continue;
        }
        let loaded = report.tables.iter().find(|loaded| loaded.name == table.name);
        let patched = plan.maintenance_value.as_ref().is_some_and(|patch| patch.table == table.name);
        let mark = match loaded {
            Some(loaded) if !patched => loaded.clone(),
            _ => {
                let (row_count, checksum) = checksum_table(worker.connection, record, Some(&table.name))?;
                LoadedTable { name: table.name.clone(), row_count, checksum }
            }
        };
        marks.tables.push(mark);
    }
    Ok(marks)
}

/// The tables whose rows are not those of the swap any more. Reads every row.
///
/// # Errors
/// The server's.
pub fn changed_since_swap(
    connection: &mut Connection,
    plan: &LoadPlan,
    at_swap: &SwapMarks,
) -> Result<Vec<TableChange>> {
    let worker = Worker::new(connection, plan, "compare")?;
    let mut changes = Vec::new();
    for (table, record) in plan.new_tables() {
        let Some(mark) = at_swap.tables.iter().find(|mark| mark.name == table.name) else { continue };
        let (row_count, checksum) = checksum_table(worker.connection, record, Some(&table.name))?;
        if (row_count, checksum) != (mark.row_count, mark.checksum) {
            let (rows_then, rows_now) = (mark.row_count, row_count);
            changes.push(TableChange { name: table.name.clone(), rows_then, rows_now });
        }
    }
    Ok(changes)
}

/// Sets one value of one row, such as a maintenance flag.
///
/// # Errors
/// The server's.
pub fn write_setting(connection: &mut Connection, plan: &LoadPlan, patch: &SettingPatch) -> Result<()> {
    let mut worker = Worker::new(connection, plan, "setting")?;
    let statement = update_of(&patch.table, patch);
    worker.run(&statement).map(drop)
}

/// The UPDATE for a patch on a table of any name.
pub(crate) fn update_of(table: &[u8], patch: &SettingPatch) -> Vec<u8> {
    let mut text = Text::new("UPDATE ").name(table).sql(" SET ").name(&patch.column).sql("=");
    text = match &patch.value {
        Some(value) => text.text(value),
        None => text.sql("NULL"),
    };
    condition(text, patch)
}

/// The SELECT for the value that a patch replaces.
pub(crate) fn select_of(table: &[u8], patch: &SettingPatch) -> Vec<u8> {
    condition(Text::new("SELECT ").name(&patch.column).sql(" FROM ").name(table), patch)
}

fn condition(mut text: Text, patch: &SettingPatch) -> Vec<u8> {
    for (at, (column, value)) in patch.key.iter().enumerate() {
        let word = if at == 0 { " WHERE " } else { " AND " };
        text = text.sql(word).name(column).sql("=").text(value);
    }
    text.bytes()
}
