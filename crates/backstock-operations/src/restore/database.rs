//! The database part of a restore: load aside, compare, swap step by step, undo, accept.

use backstock_database::{
    CodeName, Connection, DatabaseFacts, DumpedObject, FrameSource, InPlace, LoadPlan, LoadReport,
    LoadRequest, LoadSelection, Pattern, RawText, ServerFacts, SettingPatch, StepReport, SwapMarks,
    TableChange,
};
use backstock_host::failpoint;
use backstock_vocabulary::{ArtifactKind, Reason};

use super::from_diff::FolderFrames;
use super::journal::JournalFolder;
use super::maintenance::{Setting, Switch};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{DatabaseWatch, Expected, Monitor, Phase};
use crate::stored::{StoredBackup, StoredFrames};
use crate::subject::ShopDatabase;

/// What a person asks of the database part.
#[derive(Debug, Clone)]
pub(super) struct DatabaseWish {
    pub(super) tables: Vec<String>,
    /// Single objects of code, besides these tables and nothing else.
    pub(super) code: Vec<CodeName>,
    /// Whether the person named the database.
    pub(super) is_named: bool,
    pub(super) exact: bool,
    pub(super) in_place: InPlace,
    pub(super) add_keys: bool,
    pub(super) tag: String,
}

/// Reads the live schema and says what would be done. Changes nothing.
pub(super) fn plan(
    environment: &Environment,
    stored: &StoredBackup,
    target: &ShopDatabase,
    wish: &DatabaseWish,
    switch: &Switch,
) -> Result<LoadPlan> {
    let (objects, summary) = stored.database(environment)?;
    let source = &summary.database.name;
    let is_moved = !source.eq_ignore_ascii_case(&target.name);
    if stored.record.reason == Reason::PreRestore && is_moved && !wish.is_named {
        // A restore into another database takes its snapshot of that one.
        let message = format!("this safety snapshot is of the database {source}, not of the shop's own");
        let hint = format!("give --database {source} to bring it back there");
        return Err(OperationError::hinted(ErrorKind::Declined, message, hint));
    }
    let dumped = Dumped { objects, database: summary.database, server: summary.server };
    plan_objects(dumped, target, wish, switch)
}

/// What a dump holds, whoever made it.
pub(super) struct Dumped {
    pub(super) objects: Vec<DumpedObject>,
    pub(super) database: DatabaseFacts,
    pub(super) server: ServerFacts,
}

/// Reads the live schema and says what loading these objects would do. Changes nothing.
pub(super) fn plan_objects(
    dumped: Dumped,
    target: &ShopDatabase,
    wish: &DatabaseWish,
    switch: &Switch,
) -> Result<LoadPlan> {
    let Dumped { objects, database, server } = dumped;
    let selection = if wish.tables.is_empty() && wish.code.is_empty() {
        LoadSelection::Everything
    } else {
        let patterns =
            wish.tables.iter().map(|text| Pattern::new(text).doing(format!("reading the pattern {text}")));
        let patterns = patterns.collect::<Result<Vec<_>>>()?;
        for (pattern, text) in patterns.iter().zip(&wish.tables) {
            if !objects.iter().any(|object| is_table_like(object) && pattern.matches(object.name())) {
                let message = format!("the backup has no table like {text}");
                return Err(OperationError::plain(ErrorKind::NotFound, message));
            }
        }
        match wish.code.is_empty() {
            true => LoadSelection::Tables(patterns),
            false => LoadSelection::Parts { tables: patterns, code: wish.code.clone() },
        }
    };
    let request = LoadRequest {
        database: target.name.clone(),
        objects,
        source: database,
        source_server: server,
        selection,
        tag: wish.tag.clone(),
        exact: wish.exact,
        in_place: wish.in_place,
        invisible_keys: wish.add_keys,
        maintenance_value: patch_of(switch),
    };
    let act = format!("planning the load into the database {}", String::from_utf8_lossy(&target.name));
    backstock_database::plan_load(&target.server, &request).doing(act)
}

/// Whether a pattern for tables can mean an object.
fn is_table_like(object: &DumpedObject) -> bool {
    matches!(object, DumpedObject::Table(_) | DumpedObject::View(_) | DumpedObject::Sequence(_))
}

/// A switch in the database is set in the shadow too, so that the shop stays closed across the swap.
fn patch_of(switch: &Switch) -> Option<SettingPatch> {
    let Switch::Setting(Setting { table, matching, column, on, .. }) = switch else { return None };
    let raw = |text: &String| RawText(text.clone().into_bytes());
    Some(SettingPatch {
        table: raw(table),
        key: matching.iter().map(|(name, value)| (raw(name), raw(value))).collect(),
        column: raw(column),
        value: Some(raw(on)),
    })
}

/// Loads everything aside, from the backup or from rows that lie beside the journal, and compares it. The shop sees nothing of it. May be repeated. A plan that works in place has
/// nothing to stage.
pub(super) fn stage(
    environment: &Environment,
    stored: &StoredBackup,
    target: &ShopDatabase,
    plan: &LoadPlan,
    own_rows: Option<&JournalFolder>,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    if plan.in_place.is_some() {
        return Ok(LoadReport::default());
    }
    let frames: Box<dyn FrameSource> = match own_rows {
        Some(folder) => Box::new(FolderFrames { host: &environment.host, folder: folder.path() }),
        None => Box::new(frames_of(environment, stored)?),
    };
    monitor.phase(Phase::Loading, Expected::default());
    backstock_database::load_aside(&environment.host, &target.server, plan, &*frames, &watch(monitor))
        .doing("loading the tables aside")
}

fn frames_of(environment: &Environment, stored: &StoredBackup) -> Result<StoredFrames> {
    let (reader, _) = stored.artifact(environment, ArtifactKind::Database)?;
    Ok(StoredFrames(reader))
}

/// Every step forward, from wherever a kill left it; for a plan that works in place, the load itself. Tells what the
/// report should say, and the load's own report where it happens only now.
pub(super) fn forward(
    environment: &Environment,
    stored: &dyn Fn() -> Result<StoredBackup>,
    target: &ShopDatabase,
    plan: &LoadPlan,
    monitor: &dyn Monitor,
) -> Result<(StepReport, Option<LoadReport>)> {
    if plan.in_place.is_some() {
        let report = in_place(environment, &stored()?, target, plan, monitor)?;
        let told = StepReport { lines: report.lines.clone(), dropped: report.dropped.clone() };
        return Ok((told, Some(report)));
    }
    let mut connection = connect(target, plan)?;
    let mut told = StepReport::default();
    for step in backstock_database::swap_steps(plan) {
        let act = format!("the step {} of the swap", step.name());
        failpoint::reach(&format!("restore.database.{}", step.name())).doing(act.clone())?;
        let step = backstock_database::step_forward(&mut connection, plan, step).doing(act)?;
        told.lines.extend(step.lines);
        told.dropped.extend(step.dropped);
    }
    Ok((told, None))
}

/// Every step backward; for a plan that works in place, the load of the safety snapshot.
pub(super) fn backward(
    environment: &Environment,
    snapshot: &dyn Fn() -> Result<StoredBackup>,
    target: &ShopDatabase,
    plan: &LoadPlan,
    monitor: &dyn Monitor,
) -> Result<Vec<String>> {
    if plan.in_place.is_some() {
        let snapshot = snapshot()?;
        let wish = DatabaseWish {
            tables: Vec::new(),
            code: Vec::new(),
            is_named: true,
            exact: false,
            in_place: InPlace::Always,
            add_keys: false,
            tag: plan.tag.clone(),
        };
        let back = self::plan(environment, &snapshot, target, &wish, &Switch::None)?;
        return Ok(in_place(environment, &snapshot, target, &back, monitor)?.lines);
    }
    let mut connection = connect(target, plan)?;
    let mut steps = backstock_database::swap_steps(plan);
    steps.reverse();
    let mut lines = Vec::new();
    for step in steps {
        let act = format!("taking back the step {} of the swap", step.name());
        failpoint::reach(&format!("undo.database.{}", step.name())).doing(act.clone())?;
        lines.extend(backstock_database::step_backward(&mut connection, plan, step).doing(act)?);
    }
    Ok(lines)
}

fn in_place(
    environment: &Environment,
    stored: &StoredBackup,
    target: &ShopDatabase,
    plan: &LoadPlan,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let frames = frames_of(environment, stored)?;
    monitor.phase(Phase::Loading, Expected::default());
    backstock_database::load_in_place(&target.server, plan, &frames, &watch(monitor))
        .doing("loading the tables in place")
}

fn connect(target: &ShopDatabase, plan: &LoadPlan) -> Result<Connection> {
    let act = format!("connecting to the database {}", plan.target.name);
    Connection::open(&target.server, None).doing(act)
}

/// What the new side holds now, for telling later whether an undo would lose anything.
pub(super) fn marks(target: &ShopDatabase, plan: &LoadPlan, report: &LoadReport) -> Result<SwapMarks> {
    let mut connection = connect(target, plan)?;
    backstock_database::mark_swap(&mut connection, plan, report).doing("noting what the new tables hold")
}

/// Tables whose rows changed since the swap.
pub(super) fn changed(target: &ShopDatabase, plan: &LoadPlan, marks: &SwapMarks) -> Result<Vec<TableChange>> {
    let mut connection = connect(target, plan)?;
    backstock_database::changed_since_swap(&mut connection, plan, marks)
        .doing("counting what changed since the restore")
}

/// Drops the old side and gives events the status that the backup recorded.
pub(super) fn accept(target: &ShopDatabase, plan: &LoadPlan) -> Result<Vec<String>> {
    let mut connection = connect(target, plan)?;
    backstock_database::accept(&mut connection, plan).doing("removing the old tables")
}

/// Drops the new side, which is not live.
pub(super) fn discard(target: &ShopDatabase, plan: &LoadPlan) -> Result<()> {
    backstock_database::discard_aside(&target.server, plan)
        .doing("removing the tables that were loaded aside")
}

fn watch(monitor: &dyn Monitor) -> DatabaseWatch<'_> {
    DatabaseWatch { monitor, phase: Phase::Loading }
}
