//! The load aside: everything that can be done before the shop sees anything of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use backstock_host::{Host, failpoint};

use super::super::ddl::Text;
use super::super::sql::{Lexer, Modes, TokenKind};
use super::super::swap::{Worker, select_of, update_of};
use super::super::transfer::CurrentRows;
use super::session::{prepare_to_load, set_row_end};
use super::table::{Loaded, Loading};
use super::{compare, foreign, foreign_keys};
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{FrameSource, LoadPhase, LoadPlan, LoadReport, NewSide, SettingPatch, TablePlan};
use crate::monitor::DatabaseMonitor;
use crate::record::{SequenceRecord, TableRecord};
use crate::settings::ServerSettings;
use crate::{Connection, RawText};

/// How many tables are loaded at the same time.
const CONNECTIONS: usize = 2;

type Names = BTreeMap<Vec<u8>, TableKind>;

/// Loads the plan's tables aside and compares each with the dump. Restartable: a table that an earlier attempt left
/// whole is kept, any other is made anew.
///
/// # Errors
/// The server's, those of the frames, [`Error::NotEqual`] where the server does not hold what it was given. The live
/// tables are as they were; [`super::super::swap::discard_aside`] removes what was made.
pub fn load_aside(
    _host: &Host,
    settings: &ServerSettings,
    plan: &LoadPlan,
    source: &dyn FrameSource,
    monitor: &dyn DatabaseMonitor<LoadPhase>,
) -> Result<LoadReport> {
    let source = CurrentRows::new(plan, source);
    let loading = Loading { plan, source: &source, monitor };
    let mut connection = open(settings, plan)?;
    let mut report = LoadReport { tables: Vec::new(), lines: plan.transfer_lines(), former_setting: None };
    let names = {
        let mut worker = Worker::new(&mut connection, plan, "load")?;
        let names = worker.names()?;
        check_not_swapped(plan, &names)?;
        sequences(&mut worker, &names)?;
        names
    };
    monitor.phase(LoadPhase::Rows);
    let tables: Vec<(&TablePlan, &TableRecord)> = plan.new_tables().collect();
    monitor.expected(
        tables.len() as u64,
        tables.iter().map(|(_, record)| record.row_count).sum(),
        tables.iter().map(|(_, record)| record.estimated_bytes).sum(),
    );
    for loaded in load_tables(&loading, settings, &tables, &names)? {
        report.tables.push(loaded.table);
        report.lines.extend(loaded.lines);
    }
    report.lines.extend(foreign::lines(&tables));
    prepare_to_load(&mut connection)?;
    monitor.phase(LoadPhase::ForeignKeys);
    for (table, record) in &tables {
        loading.check_stop()?;
        reach("load.foreign_keys")?;
        foreign_keys::add(&loading, &mut connection, table, record, &mut report.lines)?;
    }
    report.former_setting = patch(&mut connection, plan)?;
    monitor.phase(LoadPhase::Check);
    Ok(report)
}

pub(super) fn open(settings: &ServerSettings, plan: &LoadPlan) -> Result<Connection> {
    let mut connection = Connection::open(settings, Some(&plan.target.name))?;
    prepare_to_load(&mut connection)?;
    set_row_end(&mut connection)?;
    Ok(connection)
}

pub(super) fn reach(point: &str) -> Result<()> {
    failpoint::reach(point).map_err(|source| Error::System { act: format!("go on at {point}"), source })
}

/// A load must never touch the names aside of a swap that has begun.
fn check_not_swapped(plan: &LoadPlan, names: &Names) -> Result<()> {
    match plan.tables.iter().find(|table| names.contains_key(&plan.old_name(table).0)) {
        None => Ok(()),
        Some(table) => Err(Error::Plan {
            database: plan.target.name.to_string(),
            reason: format!("the old table {} is aside already: this restore's swap has begun", table.name),
        }),
    }
}

fn sequences(worker: &mut Worker<'_>, names: &Names) -> Result<()> {
    let plan = worker.plan;
    for table in &plan.tables {
        if let Some(NewSide::Sequence(record)) = &table.new {
            let name = plan.new_name(table);
            if names.contains_key(&name.0) {
                worker.run(&Text::new("DROP SEQUENCE IF EXISTS ").name(&name).bytes())?;
            }
            make_sequence(worker, record, &name)?;
        }
    }
    Ok(())
}

/// Makes a sequence that goes on where the dumped one stood.
pub(super) fn make_sequence(worker: &mut Worker<'_>, record: &SequenceRecord, name: &RawText) -> Result<()> {
    let definition = &record.definition.0;
    let mut lexer = Lexer::new(definition, Modes::default());
    let mut tokens = Vec::new();
    while let (true, Ok(Some(token))) = (tokens.len() < 3, lexer.next_token()) {
        tokens.push(token);
    }
    let rest = match &tokens[..] {
        [create, sequence, old]
            if create.is_word(definition, "CREATE")
                && sequence.is_word(definition, "SEQUENCE")
                && old.kind == TokenKind::Name =>
        {
            &definition[old.end..]
        }
        _ => {
            let (object, what) = (format!("sequence {}", record.name), "it is no CREATE SEQUENCE".to_owned());
            return Err(Error::Definition { object, what });
        }
    };
    worker.run(&Text::new("CREATE SEQUENCE ").name(name).sql(rest).bytes())?;
    let values = format!(",{},0,{})", record.next_value, record.cycle_count);
    worker.query(&Text::new("SELECT SETVAL(").name(name).sql(values).bytes()).map(drop)
}

/// Loads tables over several connections, the largest first. The first error ends it.
fn load_tables(
    loading: &Loading<'_>,
    settings: &ServerSettings,
    tables: &[(&TablePlan, &TableRecord)],
    names: &Names,
) -> Result<Vec<Loaded>> {
    let mut order: Vec<&(&TablePlan, &TableRecord)> = tables.iter().collect();
    // MERGE tables come after their parts, whatever their size.
    let is_merge = |record: &TableRecord| {
        record.engine.to_ascii_uppercase().contains("MERGE")
            || record.engine.eq_ignore_ascii_case("MRG_MYISAM")
    };
    order.sort_by_key(|(_, record)| (is_merge(record), std::cmp::Reverse(record.estimated_bytes)));
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<Loaded>)>> = Mutex::new(Vec::new());
    let failed = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut connection = open(settings, loading.plan)?;
        while failed.load(Ordering::Relaxed) == 0 {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((table, record)) = order.get(at) else { break };
            let name = loading.plan.new_name(table);
            let present = names.contains_key(&name.0);
            let loaded = loading
                .check_stop()
                .and_then(|()| reach("load.table"))
                .and_then(|()| loading.load(&mut connection, table, record, &name, present));
            if loaded.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, loaded));
        }
        Ok(())
    };
    let workers = CONNECTIONS.min(order.len());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, loaded)| loaded).collect()
}

/// Sets the maintenance flag in the shadow, and gives the value that it had in the backup.
fn patch(connection: &mut Connection, plan: &LoadPlan) -> Result<Option<SettingPatch>> {
    let Some(patch) = &plan.maintenance_value else { return Ok(None) };
    let Some(table) = plan.tables.iter().find(|table| table.name == patch.table && table.new.is_some())
    else {
        return Ok(None);
    };
    let name = plan.new_name(table);
    let found = connection.query(&select_of(&name, patch))?;
    let Some(value) = found.rows.into_iter().next().and_then(|row| row.into_iter().next()) else {
        return Ok(None);
    };
    connection.execute(&update_of(&name, patch))?;
    Ok(Some(SettingPatch { value: value.map(RawText), ..patch.clone() }))
}

/// Whether a table under its real name is equal to the dump.
pub(super) fn is_equal(connection: &mut Connection, table: &TablePlan, record: &TableRecord) -> Result<bool> {
    if table.current_rows_only {
        return Ok(false);
    }
    match compare::rows(connection, table, record, &table.name) {
        // The same number of rows is no proof that they are the same.
        Ok(_) => Ok(record.foreign.is_none()),
        Err(Error::NotEqual { .. } | Error::Statement { .. } | Error::Definition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
