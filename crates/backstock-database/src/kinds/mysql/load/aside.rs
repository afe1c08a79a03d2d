//! The load aside: everything that can be done before the shop sees anything of it.

use std::collections::BTreeMap;

use backstock_host::Host;

use super::super::ddl::Text;
use super::super::sql::{Lexer, Modes, TokenKind};
use super::super::swap::{Worker, select_of, update_of};
use super::super::transfer::CurrentRows;
use super::session::{prepare_to_load, set_row_end};
use super::table::{Loading, Target};
use super::tables::{load_all, reach};
use super::{foreign, foreign_keys, not_taken};
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::{FrameSource, LoadPhase, LoadPlan, LoadReport, NewSide, SettingPatch};
use crate::monitor::DatabaseMonitor;
use crate::record::SequenceRecord;
use crate::settings::ServerSettings;
use crate::{Connection, RawText};

type Names = BTreeMap<Vec<u8>, TableKind>;

/// Loads the plan's tables aside and compares each with the dump. Restartable: a table that an earlier attempt left
/// whole is kept, any other is made anew.
///
/// # Errors
/// The server's, those of the frames, [`Error::NotTaken`] of a server of another kind, [`Error::NotEqual`] where the server does not hold what it was given. The live
/// tables are as they were; [`super::super::swap::discard_aside`] removes what was made.
pub fn load_aside(
    _host: &Host,
    settings: &ServerSettings,
    plan: &LoadPlan,
    source: &dyn FrameSource,
    monitor: &dyn DatabaseMonitor<LoadPhase>,
) -> Result<LoadReport> {
    let source = CurrentRows::new(plan, source);
    let loading = Loading::new(settings, plan, &source, monitor);
    load(&loading).map_err(|error| not_taken::explain(&loading, error))
}

fn load(loading: &Loading<'_>) -> Result<LoadReport> {
    let (plan, monitor) = (loading.plan, loading.monitor);
    let mut connection = loading.open()?;
    let mut report = LoadReport { lines: plan.transfer_lines(), ..LoadReport::default() };
    let names = {
        let mut worker = Worker::new(&mut connection, plan, "load")?;
        let names = worker.names()?;
        check_not_swapped(plan, &names)?;
        sequences(&mut worker, &names)?;
        names
    };
    set_row_end(&mut connection)?;
    let tables = loading.begin_rows();
    let targets = tables.iter().map(|(table, record)| {
        let name = plan.new_name(table);
        let present = names.contains_key(&name.0);
        Target { table, record, name, present }
    });
    for mut loaded in load_all(loading, &mut connection, targets.collect())? {
        report.lines.extend(loaded.lines());
        report.tables.extend(loaded.table);
    }
    report.lines.extend(foreign::lines(&tables));
    prepare_to_load(&mut connection)?;
    monitor.phase(LoadPhase::ForeignKeys);
    for (table, record) in &tables {
        loading.check_stop()?;
        reach("load.foreign_keys")?;
        foreign_keys::add(loading, &mut connection, table, record, &mut report.lines)?;
    }
    report.former_setting = patch(&mut connection, plan)?;
    monitor.phase(LoadPhase::Check);
    Ok(report)
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
