//! Doing a restore: from any stage forward to the new side, whoever began it and wherever a kill left it.
//!
//! Data can be lost here. Before [`Stage::Swapping`] nothing that the shop sees was changed, and an error takes
//! everything back by itself. From then on an error leaves the journal open: `restore --resume` and `undo` both work.

use backstock_database::{Fidelity, LoadPlan, LoadReport, SwapMarks};
use backstock_host::failpoint;
use backstock_host::lock::Lock;
use backstock_vocabulary::{BackupId, Outcome, RunId, RunKind};
use serde::{Deserialize, Serialize};

use super::after::{self, StepResult};
use super::journal::{Journal, JournalFolder, Stage};
use super::maintenance::{Side, Switch};
use super::plan::{ActOptions, DATABASE_PLAN, FILES_PLAN, OPTIONS, RestorePlan, SWITCH};
use super::snapshot::{self, Ask};
use super::{database, files};
use crate::connection;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, RunSubject, close_dead_runs, lock_shop};
use crate::stored::StoredBackup;
use crate::subject::{ShopDatabase, detect};

/// What the load and the steps after it had to say, beside the journal.
const REPORT: &str = "report.json";
/// What the new side held right after the swap, beside the journal.
pub(super) const MARKS: &str = "marks.json";

/// What came of a restore.
#[derive(Debug, Clone, Serialize)]
pub struct RestoreReport {
    /// The run.
    pub run: RunId,
    /// The backup that was brought back.
    pub backup: BackupId,
    /// The shop.
    pub shop: String,
    /// The safety snapshot, if one was needed.
    pub snapshot: Option<BackupId>,
    /// Tables that were loaded, compared and swapped in.
    pub tables: u64,
    /// How many of them mean something else on this server than they did: these are not called verified.
    pub tables_changed: u64,
    /// Objects of the backup that this server cannot hold.
    pub dropped: u64,
    /// Rows of these tables.
    pub rows: u64,
    /// Files that were exchanged or added.
    pub files: u64,
    /// Bytes read from where backups are stored, indexes and manifests included; not those of the safety snapshot.
    pub read_bytes: u64,
    /// What is not exactly as in the backup, and what the server warned of.
    pub lines: Vec<String>,
    /// How the steps afterwards went.
    pub afterwards: Vec<StepResult>,
    /// Until when `undo` works.
    pub undo_until: Option<jiff::Timestamp>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

impl RestoreReport {
    /// Whether something is left to a person.
    pub fn is_partial(&self) -> bool {
        self.dropped > 0 || self.afterwards.iter().any(|result| matches!(result, StepResult::Left { .. }))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptReport {
    load: Option<LoadReport>,
    files: u64,
    /// What staging had to say: it was done once, the swap may be done again.
    #[serde(default)]
    staging: Vec<String>,
    lines: Vec<String>,
    /// Code of the backup that the server did not read.
    #[serde(default)]
    dropped: Vec<String>,
}

/// An open restore with everything that its journal refers to.
pub(super) struct OpenRestore {
    pub(super) journal: Journal,
    pub(super) folder: JournalFolder,
    pub(super) options: ActOptions,
    pub(super) database: Option<(ShopDatabase, LoadPlan)>,
    pub(super) files: Option<files::FilesPart>,
    pub(super) switch: Switch,
    pub(super) switch_database: Option<ShopDatabase>,
}

impl OpenRestore {
    /// Reads what a journal refers to.
    pub(super) fn load(environment: &Environment, journal: Journal) -> Result<Self> {
        let folder = JournalFolder::of(&environment.host, &environment.state, journal.run);
        let options: ActOptions = folder.read(OPTIONS)?;
        let switch: Switch = folder.read(SWITCH)?;
        let kept = connection::recall(environment, &folder.connection(), &purpose(&journal))?;
        let database = match (journal.has_database, &kept) {
            (true, Some(database)) => Some((database.clone(), folder.read(DATABASE_PLAN)?)),
            _ => None,
        };
        let files = if journal.has_files { Some(folder.read(FILES_PLAN)?) } else { None };
        Ok(Self { journal, folder, options, database, files, switch, switch_database: kept })
    }

    fn advance(&mut self, stage: Stage) -> Result<()> {
        self.folder.advance(&mut self.journal, stage)
    }

    pub(super) fn subject(&self, kind: RunKind) -> RunSubject {
        RunSubject {
            kind,
            shop: self.journal.shop,
            shop_title: self.journal.shop_title.clone(),
            set: None,
            set_title: String::new(),
        }
    }
}

fn purpose(journal: &Journal) -> String {
    format!("the connection of the restore {}", journal.run)
}

/// Does what the plan says.
pub fn restore(
    environment: &Environment,
    mut plan: RestorePlan,
    ask: Ask<'_>,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    plan.options.after.clone_from(&plan.summary.afterwards);
    let mut open = match begin(environment, &plan, ask, monitor) {
        Ok(open) => open,
        Err(error) => {
            plan.abandon()?;
            return Err(error);
        }
    };
    let lock = plan.lock;
    run_forward(environment, &mut open, lock, monitor)
}

/// Writes the journal and what it refers to, and takes the snapshot.
fn begin(
    environment: &Environment,
    plan: &RestorePlan,
    ask: Ask<'_>,
    monitor: &dyn Monitor,
) -> Result<OpenRestore> {
    let mut journal = plan.journal(environment);
    let folder = &plan.folder;
    folder.write(OPTIONS, &plan.options)?;
    folder.write(SWITCH, &plan.switch)?;
    if let Some(database) = &plan.database {
        folder.write(DATABASE_PLAN, database)?;
    }
    if let Some(files) = &plan.files {
        folder.write(FILES_PLAN, files)?;
    }
    if let Some(database) = &plan.target {
        connection::keep(environment, &folder.connection(), &purpose(&journal), database)?;
    }
    folder.save(&journal)?;
    if plan.options.snapshot {
        journal.snapshot = environment.reads.without(|| snapshot::take(environment, plan, ask, monitor))?;
        folder.save(&journal)?;
    }
    failpoint::reach("restore.after_snapshot").doing("beginning to stage")?;
    OpenRestore::load(environment, journal)
}

/// Finishes a restore that was interrupted, or whose undo was: forward to the new side, from wherever it is.
pub fn resume(environment: &Environment, journal: Journal, monitor: &dyn Monitor) -> Result<RestoreReport> {
    let lock = lock_shop(environment, journal.shop, &journal.shop_title)?;
    close_dead_runs(environment, Some(journal.shop))?;
    let mut open = OpenRestore::load(environment, journal)?;
    if open.journal.stage == Stage::Planned && open.options.snapshot && open.journal.snapshot.is_none() {
        open.folder.remove()?;
        return Err(OperationError::hinted(
            ErrorKind::Failed,
            "the restore had not begun: its safety snapshot was not finished, and nothing was changed",
            "run the restore again",
        ));
    }
    run_forward(environment, &mut open, lock, monitor)
}

fn run_forward(
    environment: &Environment,
    open: &mut OpenRestore,
    lock: Lock,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let subject = open.subject(RunKind::Restore);
    let detail = serde_json::json!({ "backup": open.journal.backup, "scope": open.journal.scope });
    let mut run = RunRecord::start_locked(environment, &subject, detail, lock)?;
    match forward(environment, open, &run, monitor) {
        Ok(report) => {
            run.detail["snapshot"] = serde_json::json!(report.snapshot);
            let outcome = if report.is_partial() { Outcome::Partial } else { Outcome::Success };
            run.finish(environment, outcome)?;
            Ok(report)
        }
        Err(error) => {
            let error = after_failure(environment, open, error);
            run.fail(environment, &error);
            Err(error)
        }
    }
}

/// Before the first visible step an error takes everything back; afterwards it says how to go on.
fn after_failure(environment: &Environment, open: &mut OpenRestore, error: OperationError) -> OperationError {
    if open.journal.stage.is_between() {
        return OperationError::Unfinished {
            message: format!("the restore of {} is unfinished", open.journal.shop_title),
            source: Box::new(error),
        };
    }
    if matches!(open.journal.stage, Stage::Planned | Stage::Staging | Stage::Staged) {
        match let_staged_go(environment, open) {
            Ok(()) if error.kind() == ErrorKind::Interrupted => return crate::backup::interrupted(),
            Ok(()) => {}
            Err(second) => tracing::warn!(
                "what was made aside could not be removed ({}); `backstock undo` removes it",
                chain(&second)
            ),
        }
    }
    error
}

/// The stages, one after the other.
fn forward(
    environment: &Environment,
    open: &mut OpenRestore,
    run: &RunRecord,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    if matches!(open.journal.stage, Stage::Planned | Stage::Staging) {
        open.advance(Stage::Staging)?;
        stage_both(environment, open, monitor)?;
        open.advance(Stage::Staged)?;
    }
    if open.journal.stage == Stage::Staged {
        if monitor.is_cancelled() {
            return Err(crate::backup::interrupted());
        }
        snapshot::copy_journal(environment, &open.journal, &open.folder)?;
        open.advance(Stage::Swapping)?;
    }
    if matches!(open.journal.stage, Stage::Undoing | Stage::Undone) {
        open.advance(Stage::Swapping)?;
    }
    if open.journal.stage != Stage::Swapping {
        return Err(nothing_to_finish(&open.journal));
    }
    let afterwards = swap(environment, open, monitor)?;
    open.journal.restored = Some(environment.host.clock.now());
    open.advance(Stage::Restored)?;
    report(environment, open, run, afterwards)
}

fn nothing_to_finish(journal: &Journal) -> OperationError {
    let shop = &journal.shop_title;
    let (message, hint) = match journal.stage {
        Stage::Accepting => (
            format!("the restore of {shop} is being accepted: there is nothing to resume"),
            "`backstock restore --accept` finishes that",
        ),
        _ => (
            format!("the restore of {shop} is finished: there is nothing to resume"),
            "look at the shop; then `backstock restore --accept` keeps it, or `backstock undo` takes it back",
        ),
    };
    OperationError::hinted(ErrorKind::Declined, message, hint)
}

fn stage_both(environment: &Environment, open: &OpenRestore, monitor: &dyn Monitor) -> Result<()> {
    let stored = backup_of(environment, open.journal.backup)?;
    let mut kept = KeptReport::default();
    if let Some((target, plan)) = &open.database {
        let own_rows = open.options.own_rows.then_some(&open.folder);
        kept.load = Some(database::stage(environment, &stored, target, plan, own_rows, monitor)?);
    }
    failpoint::reach("restore.between_parts").doing("staging the files")?;
    if let Some(part) = &open.files {
        (kept.files, kept.staging) = files::stage(environment, &stored, part, monitor)?;
    }
    open.folder.write(REPORT, &kept)
}

/// Every visible step, forward.
pub(super) fn swap(
    environment: &Environment,
    open: &OpenRestore,
    monitor: &dyn Monitor,
) -> Result<Vec<StepResult>> {
    monitor.phase(Phase::Swapping, Expected::default());
    let mut kept: KeptReport = open.folder.read(REPORT)?;
    open.switch.close(open.switch_database.as_ref())?;
    failpoint::reach("restore.closed").doing("swapping")?;
    if let Some((target, plan)) = &open.database {
        let stored = || backup_of(environment, open.journal.backup);
        let (told, loaded) = database::forward(environment, &stored, target, plan, monitor)?;
        kept.lines = told.lines;
        kept.dropped = told.dropped;
        kept.load = loaded.or(kept.load);
    }
    failpoint::reach("restore.between_swaps").doing("exchanging the files")?;
    if let Some(part) = &open.files {
        kept.lines.extend(files::forward(environment, part, monitor)?);
    }
    monitor.phase(Phase::Finishing, Expected::default());
    let afterwards = clean_up(open);
    open.switch.give_back(open.switch_database.as_ref(), Side::New)?;
    failpoint::reach("restore.opened").doing("ending the swap")?;
    if let (Some((target, plan)), Some(report)) = (&open.database, &kept.load) {
        open.folder.write(MARKS, &database::marks(target, plan, report)?)?;
    }
    open.folder.write(REPORT, &kept)?;
    Ok(afterwards)
}

/// What the last swap had to say.
pub(super) fn kept_lines(open: &OpenRestore) -> Result<Vec<String>> {
    let kept: KeptReport = open.folder.read(REPORT)?;
    Ok(kept.staging.into_iter().chain(kept.lines).collect())
}

/// The backup that a journal names.
pub(super) fn backup_of(environment: &Environment, id: BackupId) -> Result<StoredBackup> {
    let record =
        environment.wait(environment.catalog.backup(id)).doing("looking for the backup")?.ok_or_else(
            || OperationError::plain(ErrorKind::NotFound, "the backup is not in the catalog any more"),
        )?;
    StoredBackup::open(environment, record)
}

/// Clears the shop's caches after an undo: they hold the side that went away.
pub(super) fn clear_caches(open: &OpenRestore) -> Vec<StepResult> {
    let root = open.options.root.as_ref().filter(|_| !open.options.is_elsewhere);
    root.and_then(|root| detect(root).ok())
        .map(|found| after::clear_caches(&found.layout))
        .unwrap_or_default()
}

/// The platform's own steps.
fn clean_up(open: &OpenRestore) -> Vec<StepResult> {
    let Some(root) = open.options.root.as_ref().filter(|_| !open.options.is_elsewhere) else {
        return Vec::new();
    };
    match detect(root) {
        Ok(detection) => after::perform(&detection.layout, open.switch_database.as_ref()),
        Err(error) => open
            .options
            .after
            .iter()
            .map(|what| StepResult::Left { what: what.clone(), why: chain(&error) })
            .collect(),
    }
}

fn report(
    environment: &Environment,
    open: &OpenRestore,
    run: &RunRecord,
    afterwards: Vec<StepResult>,
) -> Result<RestoreReport> {
    let kept: KeptReport = open.folder.read(REPORT)?;
    let load = kept.load.unwrap_or_default();
    let plan = open.database.as_ref().map(|(_, plan)| plan);
    let dropped = |plan: &LoadPlan| {
        plan.transfers.iter().filter(|transfer| transfer.fidelity == Fidelity::Dropped).count() as u64
    };
    let changed = |plan: &LoadPlan| {
        plan.new_tables().filter(|(table, _)| table.fidelity == Fidelity::Changed).count() as u64
    };
    Ok(RestoreReport {
        run: run.id,
        backup: open.journal.backup,
        shop: open.journal.shop_title.clone(),
        snapshot: open.journal.snapshot,
        tables: load.tables.len() as u64,
        tables_changed: plan.map_or(0, changed),
        dropped: plan.map_or(0, dropped) + kept.dropped.len() as u64,
        rows: load.tables.iter().map(|table| table.row_count).sum(),
        files: kept.files,
        read_bytes: environment.reads.bytes(),
        lines: load.lines.into_iter().chain(kept.staging).chain(kept.lines).collect(),
        afterwards,
        undo_until: open.journal.undo_until(),
        elapsed_ms: run.elapsed_ms(),
    })
}

/// Removes the new side while it is not live.
pub(super) fn discard_new(environment: &Environment, open: &OpenRestore) -> Result<()> {
    if let Some((target, plan)) = &open.database {
        database::discard(target, plan)?;
    }
    failpoint::reach("restore.between_discards").doing("removing what lies aside")?;
    if let Some(part) = &open.files {
        files::discard(environment, part)?;
    }
    Ok(())
}

/// Ends a restore before its first visible step. First the journal says that staging is not done: one that told of a whole
/// side while parts of it are gone already would lead into a swap that cannot be finished.
pub(super) fn let_staged_go(environment: &Environment, open: &mut OpenRestore) -> Result<()> {
    if open.journal.stage == Stage::Staged {
        open.advance(Stage::Staging)?;
    }
    discard_new(environment, open)?;
    open.folder.remove()
}

/// What the new side held right after the swap.
pub(super) fn swap_marks(open: &OpenRestore) -> Result<SwapMarks> {
    open.folder.read(MARKS)
}
