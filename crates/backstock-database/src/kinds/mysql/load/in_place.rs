//! The fallback: live tables changed statement by statement, where rights do not allow tables aside.
//!
//! Data can be lost here: between the first statement and the last the database is neither old nor new. The caller has
//! a verified safety snapshot, has stopped the writers, and runs this again after a kill: a table that is equal to the
//! dump is left, any other is done again from the start. The undo is the same load of the safety snapshot's objects.

use super::super::ddl::{Concessions, Text};
use super::super::swap::{Worker, in_place_code};
use super::super::transfer::CurrentRows;
use super::aside::make_sequence;
use super::table::{Loading, Target};
use super::tables::{load_one, reach};
use super::{compare, foreign};
use crate::Connection;
use crate::error::{Error, Result};
use crate::load::{FrameSource, LoadPhase, LoadPlan, LoadReport, LoadedTable, NewSide};
use crate::monitor::DatabaseMonitor;
use crate::record::Contents;
use crate::settings::ServerSettings;

/// The account may not do this, in the server's numbers.
const ERRORS_NO_RIGHT: [u16; 4] = [1044, 1142, 1143, 1227];

/// Loads the plan into the live tables. Repeatable.
///
/// # Errors
/// [`Error::Plan`] for a plan that works aside; the server's; [`Error::NotEqual`] for a table that cannot be given
/// the backup's rows.
pub fn load_in_place(
    settings: &ServerSettings,
    plan: &LoadPlan,
    source: &dyn FrameSource,
    monitor: &dyn DatabaseMonitor<LoadPhase>,
) -> Result<LoadReport> {
    if plan.in_place.is_none() {
        let reason = "it is a plan for tables aside".to_owned();
        return Err(Error::Plan { database: plan.target.name.to_string(), reason });
    }
    let source = CurrentRows::new(plan, source);
    let loading = Loading::new(settings, plan, &source, monitor);
    let mut connection = loading.open()?;
    let mut report = LoadReport { lines: plan.transfer_lines(), ..LoadReport::default() };
    let mut worker = Worker::new(&mut connection, plan, "in_place")?;
    // Triggers and events would act on the rows.
    in_place_code::remove_watchers(&mut worker)?;
    sequences(&mut worker)?;
    report.lines.append(&mut worker.notes);
    super::session::set_row_end(&mut connection)?;
    let tables = loading.begin_rows();
    for &(table, record) in &tables {
        loading.check_stop()?;
        reach("load.in_place_table")?;
        let target = Target { table, record, name: table.name.clone(), present: false };
        let loaded = one_table(&loading, &mut connection, &target, &mut report.lines)?;
        report.tables.extend(loaded);
    }
    report.lines.extend(foreign::lines(&tables));
    monitor.phase(LoadPhase::ForeignKeys);
    let mut worker = Worker::new(&mut connection, plan, "in_place")?;
    in_place_code::finish(&mut worker)?;
    report.lines.append(&mut worker.notes);
    report.dropped.append(&mut worker.dropped);
    monitor.phase(LoadPhase::Check);
    Ok(report)
}

fn is_refused(error: &Error) -> bool {
    error.code().is_some_and(|code| ERRORS_NO_RIGHT.contains(&code))
}

fn sequences(worker: &mut Worker<'_>) -> Result<()> {
    for table in &worker.plan.tables {
        let Some(NewSide::Sequence(record)) = &table.new else { continue };
        let dropped = worker.run(&Text::new("DROP SEQUENCE IF EXISTS ").name(&table.name).bytes());
        match dropped.and_then(|_| make_sequence(worker, record, &table.name)) {
            Err(error) if is_refused(&error) => {
                worker.notes.push(format!("sequence {}: this account cannot make it anew", table.name));
            }
            other => other?,
        }
    }
    Ok(())
}

fn one_table(
    loading: &Loading<'_>,
    connection: &mut Connection,
    target: &Target<'_>,
    lines: &mut Vec<String>,
) -> Result<Option<LoadedTable>> {
    let (table, record) = (target.table, target.record);
    let statements = loading.statements(connection, target, Concessions::default())?;
    let same_definition = table.old.is_some()
        && compare::definition(connection, loading.plan, table, &table.name, &statements)
            .is_ok_and(|lines| lines.is_empty());
    if !same_definition {
        let copy = Target { table, record, name: target.name.clone(), present: target.present };
        match load_one(loading, connection, copy) {
            Err(error) if is_refused(&error) => {
                lines.push(
                    target
                        .line("its definition differs from the backup's, and this account cannot change it"),
                );
            }
            Err(error) => return Err(error),
            Ok(mut loaded) => {
                lines.extend(loaded.lines());
                return Ok(loaded.table);
            }
        }
    } else {
        loading.monitor.table_started(&table.name, record.row_count);
    }
    if !(table.old.is_some() && is_equal(connection, target)?) {
        connection.execute(&Text::new("DELETE FROM ").name(&table.name).bytes())?;
        if record.contents == Contents::Included {
            loading.fill(connection, target, 0..record.frames.len(), true, lines)?;
        }
    }
    if let Some(number) = record.auto_increment {
        let statement =
            Text::new("ALTER TABLE ").name(&table.name).sql(format!(" AUTO_INCREMENT={number}")).bytes();
        match loading.run(connection, table, &statement, lines) {
            Err(error) if is_refused(&error) => {
                lines.push(target.line("this account cannot set its next number"));
            }
            other => other?,
        }
    }
    let found = compare::rows(connection, table, record, &table.name)?;
    loading.monitor.table_finished(&table.name, found.row_count);
    Ok(Some(found))
}

/// Whether a table under its real name is equal to the dump.
fn is_equal(connection: &mut Connection, target: &Target<'_>) -> Result<bool> {
    if target.table.current_rows_only {
        return Ok(false);
    }
    match compare::rows(connection, target.table, target.record, &target.table.name) {
        // The same number of rows is no proof that they are the same.
        Ok(_) => Ok(target.record.foreign.is_none()),
        Err(Error::NotEqual { .. } | Error::Statement { .. } | Error::Definition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
