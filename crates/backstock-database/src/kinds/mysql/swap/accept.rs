//! The ends of a restore: the old side is dropped for good, or what lies aside is.

use super::super::ddl::Text;
use super::super::load::presence;
use super::{Worker, code, rename};
use crate::Connection;
use crate::dump::TableKind;
use crate::error::Result;
use crate::load::LoadPlan;
use crate::settings::ServerSettings;

fn drop_name(worker: &mut Worker<'_>, name: &[u8], kind: TableKind) -> Result<()> {
    let kind = match kind {
        TableKind::View => "DROP VIEW IF EXISTS ",
        TableKind::Sequence => "DROP SEQUENCE IF EXISTS ",
        TableKind::Table | TableKind::VersionedTable => "DROP TABLE IF EXISTS ",
    };
    worker.run(&Text::new(kind).name(name).bytes()).map(drop)
}

/// Ends the undo window: enables the events with their recorded status, then drops the old side. Repeatable. Returns
/// what the report should say.
///
/// # Errors
/// The server's. [`crate::Error::Plan`] where the new tables are not in place.
pub fn accept(connection: &mut Connection, plan: &LoadPlan) -> Result<Vec<String>> {
    let mut worker = Worker::new(connection, plan, "accept")?;
    if plan.in_place.is_some() {
        return Ok(worker.notes);
    }
    let names = worker.names()?;
    rename::expect_none_aside(&worker, &names)?;
    let had_old = plan.tables.iter().any(|table| table.old.is_some());
    let has_old = plan.tables.iter().any(|table| names.contains_key(&plan.old_name(table).0));
    if had_old && !has_old {
        // The events come first: once the old side is gone, all is done.
        return Ok(worker.notes);
    }
    code::enable_events(&mut worker)?;
    for table in &plan.tables {
        let aside = plan.old_name(table);
        if let Some(kind) = names.get(&aside.0) {
            drop_name(&mut worker, &aside, *kind)?;
        }
    }
    Ok(worker.notes)
}

/// Drops the new side while it lies aside: after a load that is given up, or when an undo is final. Only names that
/// the plan made are dropped. Repeatable.
///
/// # Errors
/// The server's. [`crate::Error::Plan`] where the old tables are not in place.
pub fn discard_aside(settings: &ServerSettings, plan: &LoadPlan) -> Result<()> {
    if plan.in_place.is_some() {
        return Ok(());
    }
    let mut connection = Connection::open(settings, None)?;
    let mut worker = Worker::new(&mut connection, plan, "discard")?;
    presence::wait_for_the_dead(worker.connection, plan);
    let names = worker.names()?;
    for table in &plan.tables {
        let aside = plan.new_name(table);
        if let Some(kind) = names.get(&aside.0) {
            drop_name(&mut worker, &aside, *kind)?;
        }
    }
    Ok(())
}
