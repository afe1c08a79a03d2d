//! The database part of a drill: loaded aside and swapped in by the code of a restore, into an empty database; then every
//! definition is read back and compared with the index. Rows and checksums the load itself has read back.

use std::collections::BTreeMap;

use backstock_database::{
    Checksum, Connection, Contents, DumpedObject, Error, InPlace, LoadPlan, LoadReport, LoadRequest,
    LoadSelection, PrivateServer, RawText, ServerFacts, ServerPrograms, ServerSettings, Vendor, load_aside,
    look_at_database, plan_load, quote_name, readable, step_forward, swap_steps,
};
use backstock_host::failpoint;
use backstock_vocabulary::{ArtifactKind, Reason};

use super::report::{DrillReport, DrilledDatabase, DrilledTable};
use super::scratch::Scratch;
use super::{DrillServer, Drilling, sanity};
use crate::backup::{DatabaseSummary, object_key};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{DatabaseWatch, Expected, Phase};
use crate::stored::{StoredBackup, StoredFrames};

/// What an empty private server takes: system tables, logs, its temporary files, bytes.
const SERVER_BYTES: u64 = 400 << 20;
/// Keys take about as much room again as the rows.
const ESTIMATE_FACTOR: u64 = 2;
/// Names that a server keeps for itself, or that we would not like to be asked about.
const TAKEN_NAMES: [&str; 5] = ["mysql", "sys", "performance_schema", "information_schema", "test"];
/// So many names stand in a line that tells a number.
const NAMED: usize = 5;
/// What the name of a scratch schema on a given server begins with.
const SCHEMA_BEGINNING: &str = "backstock_drill_";

/// How much room a private server with the tables needs. A given server's disk is not ours to look at.
pub(super) fn needed_bytes(
    environment: &Environment,
    stored: &StoredBackup,
    server: &DrillServer,
) -> Result<u64> {
    if !stored.has(ArtifactKind::Database) || matches!(server, DrillServer::Given(_)) {
        return Ok(0);
    }
    let (objects, _) = stored.database(environment)?;
    let sizes = || {
        objects.iter().filter_map(|object| match object {
            DumpedObject::Table(table) => Some(table.estimated_bytes),
            _ => None,
        })
    };
    Ok(sizes().sum::<u64>() * ESTIMATE_FACTOR + sizes().max().unwrap_or(0) + SERVER_BYTES)
}

/// A database that was made for the drill.
struct Target {
    settings: ServerSettings,
    name: Vec<u8>,
    is_private: bool,
}

/// Restores the database into a scratch one, compares it, and looks whether it is a shop's.
pub(super) fn drill(drilling: &mut Drilling<'_>, stored: &StoredBackup, scratch: &mut Scratch) -> Result<()> {
    let (objects, summary) = stored.database(drilling.environment)?;
    for problem in summary.problems.iter().filter(|problem| problem.is_exception) {
        drilling.report.exception(format!("{}: {}", problem.subject, problem.message));
    }
    let target = drilling.timed("scratch database made", |drilling| {
        let target = make(drilling, scratch, &objects, &summary)?;
        failpoint::reach("drill.server_started").doing("making the scratch database")?;
        Ok(target)
    })?;
    let (plan, loaded) = drilling.timed("database restored", |drilling| {
        let restored = restore(drilling, stored, &target, objects.clone(), &summary)?;
        failpoint::reach("drill.loaded").doing("restoring the database")?;
        Ok(restored)
    })?;
    tell_server(&mut drilling.report, &plan, target.is_private);
    drilling.timed("database compared", |drilling| {
        compare(drilling, stored, &target, &objects, &plan, &loaded)
    })?;
    let layout = stored.layout(drilling.environment)?;
    if let Some(layout) = layout {
        drilling.timed("shop looked at", |drilling| {
            let mut connection = connect(&target)?;
            drilling.report.checks = sanity::look(&mut connection, &target.name, &layout, &objects)
                .doing("looking at the restored shop")?;
            Ok(())
        })?;
    }
    Ok(())
}

fn make(
    drilling: &Drilling<'_>,
    scratch: &mut Scratch,
    objects: &[DumpedObject],
    summary: &DatabaseSummary,
) -> Result<Target> {
    let monitor = drilling.monitor;
    match &drilling.request.server {
        DrillServer::Private { programs } => {
            let source = &summary.server;
            let programs = ServerPrograms::find(programs.as_deref(), source.vendor, source.version)
                .doing("looking for the programs of a private database server")?;
            let folder = scratch.server();
            let case = source.lower_case_table_names.min(1);
            let is_cancelled = || monitor.is_cancelled();
            let socket_folder = scratch.socket_folder();
            let server = PrivateServer::start(programs, &folder, &socket_folder, case, &is_cancelled)
                .doing("starting a private database server")?;
            server.make_known(objects).doing("making accounts and time zones known to the private server")?;
            let name = name_of(&summary.database.name);
            let target = Target { settings: server.settings(), name, is_private: true };
            scratch.keep_server(server);
            create(&target)?;
            Ok(target)
        }
        DrillServer::Given(settings) => {
            let name = format!("{SCHEMA_BEGINNING}{}", drilling.run.short()).into_bytes();
            let target = Target { settings: settings.clone(), name, is_private: false };
            refuse_what_is_there(&target)?;
            scratch.note_schema(drilling.environment, settings, &target.name)?;
            create(&target)?;
            Ok(target)
        }
    }
}

/// The name that the database had: what names it in full then finds it.
fn name_of(source: &RawText) -> Vec<u8> {
    let is_taken = TAKEN_NAMES.iter().any(|name| source.eq_ignore_ascii_case(name.as_bytes()));
    if source.is_empty() || is_taken { b"backstock_drill".to_vec() } else { source.to_vec() }
}

fn connect(target: &Target) -> Result<Connection> {
    Connection::open(&target.settings, None).doing("connecting to the scratch database's server")
}

fn create(target: &Target) -> Result<()> {
    let statement = [b"CREATE DATABASE ".as_slice(), &quote_name(&target.name)].concat();
    let done = connect(target)?.execute(&statement);
    done.map(drop).doing(format!("making the scratch database {}", readable(&target.name)))
}

/// A schema that is there already is never dropped, so it is never used.
fn refuse_what_is_there(target: &Target) -> Result<()> {
    let found =
        is_there(&mut connect(target)?, &target.name).doing("looking for the scratch schema's name")?;
    if !found {
        return Ok(());
    }
    let message = format!("the schema {} is there already", readable(&target.name));
    Err(OperationError::plain(ErrorKind::Refused, message))
}

/// Whether the account sees a schema of this name, which is of letters, digits and underscores.
fn is_there(connection: &mut Connection, name: &[u8]) -> std::result::Result<bool, Error> {
    let statement = format!("SHOW DATABASES LIKE '{}'", readable(name).replace('_', "\\_"));
    Ok(!connection.query(statement.as_bytes())?.rows.is_empty())
}

fn restore(
    drilling: &Drilling<'_>,
    stored: &StoredBackup,
    target: &Target,
    objects: Vec<DumpedObject>,
    summary: &DatabaseSummary,
) -> Result<(LoadPlan, LoadReport)> {
    let request = LoadRequest {
        database: target.name.clone(),
        objects,
        source: summary.database.clone(),
        source_server: summary.server.clone(),
        selection: LoadSelection::Everything,
        tag: drilling.run.short()[2..].to_owned(),
        exact: false,
        in_place: InPlace::Never,
        invisible_keys: false,
        maintenance_value: None,
    };
    let plan = plan_load(&target.settings, &request)
        .doing(format!("planning the load into {}", readable(&target.name)))?;
    let (reader, _) = stored.artifact(drilling.environment, ArtifactKind::Database)?;
    let frames = StoredFrames(reader);
    drilling.monitor.phase(Phase::Loading, Expected::default());
    let watch = DatabaseWatch { monitor: drilling.monitor, phase: Phase::Loading };
    let host = &drilling.environment.host;
    let mut loaded =
        load_aside(host, &target.settings, &plan, &frames, &watch).doing("loading the tables")?;
    drilling.monitor.phase(Phase::Swapping, Expected::default());
    let mut connection = connect(target)?;
    for step in swap_steps(&plan) {
        if drilling.monitor.is_cancelled() {
            return Err(crate::backup::interrupted());
        }
        let told = step_forward(&mut connection, &plan, step)
            .doing(format!("the step {} of the swap", step.name()))?;
        loaded.lines.extend(told.lines);
        loaded.dropped.extend(told.dropped);
    }
    if target.is_private {
        // Events get their recorded status; on a private server none ever runs.
        backstock_database::accept(&mut connection, &plan).doing("giving events their status")?;
    }
    Ok((plan, loaded))
}

fn tell_server(report: &mut DrillReport, plan: &LoadPlan, is_private: bool) {
    let shown = |facts: &ServerFacts| {
        let vendor = match facts.vendor {
            Vendor::MySql => "MySQL",
            Vendor::MariaDb => "MariaDB",
        };
        format!("{vendor} {}", facts.version_text)
    };
    let way = if is_private { "private" } else { "given" };
    report.database = Some(DrilledDatabase {
        server: format!("{} ({way})", shown(&plan.server)),
        source_server: shown(&plan.source_server),
        ..DrilledDatabase::default()
    });
    if !plan.is_same_vendor() {
        report.exception("the scratch server is another vendor's than the one that was dumped".to_owned());
    }
}

fn compare(
    drilling: &mut Drilling<'_>,
    stored: &StoredBackup,
    target: &Target,
    objects: &[DumpedObject],
    plan: &LoadPlan,
    loaded: &LoadReport,
) -> Result<()> {
    drilling.monitor.phase(Phase::Checking, Expected::default());
    let live =
        look_at_database(&target.settings, &target.name, &[], 0).doing("reading the definitions back")?;
    let (reason, report) = (stored.record.reason, &mut drilling.report);
    for line in plan.transfer_lines().into_iter().chain(loaded.dropped.iter().cloned()) {
        report.exception(line);
    }
    let told = plan.transfer_lines();
    loaded.lines.iter().filter(|line| !told.contains(line)).for_each(|line| report.note(line.clone()));
    plan.warnings.iter().for_each(|line| report.note(line.clone()));
    rows(report, objects, loaded);
    let mut found: BTreeMap<Vec<u8>, DumpedObject> =
        live.objects.into_iter().map(|object| (object_key(&object), object)).collect();
    let case = (plan.server.lower_case_table_names, plan.source_server.lower_case_table_names);
    // What others wrote is spelled in their way; the load has compared it part by part.
    let is_imported = reason == Reason::Imported;
    let is_exact = plan.is_same_version() && (case.0 == 0) == (case.1 == 0) && !is_imported;
    let mut otherwise = Vec::new();
    for object in objects {
        let key = object_key(object);
        match found.remove(&key) {
            Some(other) if definition(report, object, &other, target.is_private) => {}
            Some(_) => otherwise.push(readable(&key)),
            // What another vendor's server drops is told by the plan of the load, too.
            None if !plan.is_same_vendor() || case.0 != case.1 => {
                report.exception(format!("{} is not there under that name", readable(&key)));
            }
            None => report.fault(format!("{} is not there after the restore", readable(&key))),
        }
    }
    if is_exact {
        otherwise
            .iter()
            .for_each(|name| report.fault(format!("{name} is defined otherwise after the restore")));
    } else if is_imported {
        report.note(format!("{} definitions are spelled otherwise than in the dump", otherwise.len()));
    } else if !otherwise.is_empty() {
        let (count, first) = (otherwise.len(), otherwise[..otherwise.len().min(NAMED)].join(", "));
        report
            .exception(format!("{count} definitions read otherwise on this version of the server: {first}"));
    }
    for key in found.keys().filter(|_| is_exact) {
        report.fault(format!("{} was made, and the backup does not have it", readable(key)));
    }
    Ok(())
}

/// What the load has read back, against the index once more.
fn rows(report: &mut DrillReport, objects: &[DumpedObject], loaded: &LoadReport) {
    let read_back: BTreeMap<&RawText, (u64, Checksum)> =
        loaded.tables.iter().map(|table| (&table.name, (table.row_count, table.checksum))).collect();
    let mut tables = Vec::new();
    for object in objects {
        let DumpedObject::Table(record) = object else { continue };
        if record.contents != Contents::Included {
            report.note(format!("the rows of {} are not in the backup", record.name));
            continue;
        }
        match read_back.get(&record.name) {
            None => report.fault(format!("the rows of {} were not read back", record.name)),
            Some((count, _)) if *count != record.row_count => {
                report.fault(format!("{} has {count} rows instead of {}", record.name, record.row_count));
            }
            Some((_, checksum)) if *checksum != record.checksum && record.foreign.is_none() => {
                report.fault(format!("{} has as many rows as it should, but not the same ones", record.name));
            }
            Some((count, checksum)) => tables.push(DrilledTable {
                name: record.name.to_string(),
                rows: *count,
                checksum: checksum.to_string(),
            }),
        }
    }
    if let Some(database) = &mut report.database {
        database.rows = tables.iter().map(|table| table.rows).sum();
        database.tables = tables;
    }
}

/// Whether an object is defined as it was, as far as that can be told on this server.
fn definition(
    report: &mut DrillReport,
    wanted: &DumpedObject,
    found: &DumpedObject,
    is_private: bool,
) -> bool {
    let ((wanted, was_broken), (found, is_broken)) = (known_to_work(wanted), known_to_work(found));
    let name = readable(&object_key(&wanted));
    if wanted.comparable_text() == found.comparable_text() {
        if let Some(database) = &mut report.database {
            database.definitions += 1;
        }
        let line = format!("{name} does not work on the scratch server");
        match (is_broken && !was_broken, is_private) {
            (false, _) => {}
            (true, true) => report.fault(line),
            // The account that defines it has no rights in a scratch schema there.
            (true, false) => report.note(line),
        }
        return true;
    }
    let is_disabled = !is_private && matches!(wanted, DumpedObject::Event(_));
    if is_disabled {
        report.note(format!(
            "{name} is made disabled on a given server, so that it never runs, and not compared"
        ));
    }
    is_disabled
}

/// An object as if it worked, and whether the server said that it does not.
fn known_to_work(object: &DumpedObject) -> (DumpedObject, bool) {
    let mut object = object.clone();
    let mut is_broken = false;
    if let DumpedObject::View(view) = &mut object {
        is_broken = std::mem::take(&mut view.broken);
    }
    (object, is_broken)
}

/// Drops a scratch schema; one that is not there is no error.
pub(super) fn drop_schema(settings: &ServerSettings, name: &[u8]) -> std::result::Result<(), Error> {
    // Only what a drill has named is ever dropped.
    if !name.starts_with(SCHEMA_BEGINNING.as_bytes()) {
        return Ok(());
    }
    let mut connection = Connection::open(settings, None)?;
    // An account that may not make one is not allowed to drop what is not there, either.
    if !is_there(&mut connection, name)? {
        return Ok(());
    }
    connection.execute(&[b"DROP DATABASE IF EXISTS ".as_slice(), &quote_name(name)].concat()).map(drop)
}
