//! After a restore: take it back exactly, or keep it for good.
//!
//! Data can be lost here: whatever the shop wrote since the restore goes with the new side. It is counted, shown,
//! exported when asked, and kept aside so that an undo can itself be undone; acceptance is what lets a side go.

use std::path::{Path, PathBuf};

use backstock_database::TableChange;
use backstock_host::failpoint;
use backstock_vocabulary::{RunId, RunKind, VerifyLevel};
use serde::Serialize;

use super::act::{self, OpenRestore, clear_caches, discard_new, let_staged_go, swap_marks};
use super::after::StepResult;
use super::journal::{Journal, Stage, open_journals};
use super::maintenance::Side;
use super::{database, files};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, close_dead_runs, lock_shop};
use crate::verify::verify_chain;

/// What an undo will do.
pub struct UndoPlan {
    open: OpenRestore,
    lock: backstock_host::lock::Lock,
    /// What changed since the restore, which the undo takes out of the shop.
    pub changed: ChangedSince,
    /// Whether this brings the restored side back once more, since the restore was already undone.
    pub is_redo: bool,
    /// Whether nothing that the shop sees was changed yet.
    pub is_invisible: bool,
}

/// What the shop wrote since a restore.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChangedSince {
    /// Tables whose rows are others now.
    pub tables: Vec<TableChange>,
    /// Files that are others now, the first of them by name.
    pub files: Vec<String>,
    /// How many such files there are.
    pub file_count: u64,
}

impl ChangedSince {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.file_count == 0
    }
}

/// What came of an undo.
#[derive(Debug, Clone, Serialize)]
pub struct UndoReport {
    /// The run.
    pub run: RunId,
    /// The shop.
    pub shop: String,
    /// What was taken out of the shop.
    pub changed: ChangedSince,
    /// Where it was exported to.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub exported: Option<PathBuf>,
    /// What is not exactly as it was.
    pub lines: Vec<String>,
    /// How the platform's own steps went.
    pub afterwards: Vec<StepResult>,
    /// Whether the restored side is live again.
    pub is_redo: bool,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What came of an acceptance.
#[derive(Debug, Clone, Serialize)]
pub struct AcceptReport {
    /// The run.
    pub run: RunId,
    /// The shop.
    pub shop: String,
    /// Whether the restore had been undone: what it had brought went, not what was there before.
    pub was_undone: bool,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// Looks at what an undo would take away. Changes nothing; takes the shop's lock.
pub fn plan_undo(environment: &Environment, journal: Journal, monitor: &dyn Monitor) -> Result<UndoPlan> {
    let lock = lock_shop(environment, journal.shop, &journal.shop_title)?;
    close_dead_runs(environment, Some(journal.shop))?;
    if journal.stage == Stage::Accepting {
        let hint = "`backstock restore --accept` finishes it";
        return Err(OperationError::hinted(ErrorKind::Refused, "this restore is being accepted", hint));
    }
    let open = OpenRestore::load(environment, journal)?;
    let stage = open.journal.stage;
    let changed = if stage == Stage::Restored {
        changed_since(environment, &open, monitor)?
    } else {
        ChangedSince::default()
    };
    Ok(UndoPlan {
        open,
        lock,
        changed,
        is_redo: stage == Stage::Undone,
        is_invisible: matches!(stage, Stage::Planned | Stage::Staging | Stage::Staged),
    })
}

fn changed_since(
    environment: &Environment,
    open: &OpenRestore,
    monitor: &dyn Monitor,
) -> Result<ChangedSince> {
    let mut changed = ChangedSince::default();
    if let Some((target, plan)) = &open.database {
        changed.tables = database::changed(target, plan, &swap_marks(open)?)?;
    }
    if let Some(part) = &open.files {
        let (count, first) = files::changed(environment, part, monitor)?;
        changed.file_count = count;
        changed.files = first;
    }
    Ok(changed)
}

impl UndoPlan {
    /// The shop's name.
    pub fn shop(&self) -> &str {
        &self.open.journal.shop_title
    }
}

/// Takes the restore back, from wherever it is.
pub fn undo(
    environment: &Environment,
    plan: UndoPlan,
    export: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<UndoReport> {
    let UndoPlan { mut open, lock, changed, is_redo, is_invisible } = plan;
    let subject = open.subject(RunKind::Undo);
    let detail = serde_json::json!({ "restore": open.journal.run, "backup": open.journal.backup });
    let run = RunRecord::start_locked(environment, &subject, detail, lock)?;
    let result = (|| {
        if let Some(folder) = export {
            super::elsewhere::export_changed(environment, &open, &changed, folder, monitor)?;
        }
        if is_invisible {
            let_staged_go(environment, &mut open)?;
            return Ok((Vec::new(), Vec::new()));
        }
        if is_redo {
            return redo(environment, &mut open, monitor);
        }
        backward(environment, &mut open, monitor)
    })();
    let (id, elapsed_ms) = (run.id, run.elapsed_ms());
    let (lines, afterwards) = run.close(environment, result)?;
    Ok(UndoReport {
        run: id,
        shop: open.journal.shop_title,
        changed,
        exported: export.map(Path::to_owned),
        lines,
        afterwards,
        is_redo,
        elapsed_ms,
    })
}

/// Every visible step, backward.
fn backward(
    environment: &Environment,
    open: &mut OpenRestore,
    monitor: &dyn Monitor,
) -> Result<(Vec<String>, Vec<StepResult>)> {
    open.folder.advance(&mut open.journal, Stage::Undoing)?;
    monitor.phase(Phase::Swapping, Expected::default());
    open.switch.close(open.switch_database.as_ref())?;
    let mut lines = Vec::new();
    if let Some(part) = &open.files {
        lines = files::backward(environment, part, monitor)?;
    }
    failpoint::reach("undo.between_swaps").doing("swapping the tables back")?;
    if let Some((target, plan)) = &open.database {
        let snapshot = || {
            let id = open.journal.snapshot.ok_or_else(|| {
                OperationError::plain(
                    ErrorKind::NotFound,
                    "no safety snapshot was taken: there is nothing to go back to",
                )
            })?;
            act::backup_of(environment, id)
        };
        lines.extend(database::backward(environment, &snapshot, target, plan, monitor)?);
    }
    monitor.phase(Phase::Finishing, Expected::default());
    let afterwards = clear_caches(open);
    open.switch.give_back(open.switch_database.as_ref(), Side::Old)?;
    failpoint::reach("undo.opened").doing("ending the undo")?;
    open.folder.advance(&mut open.journal, Stage::Undone)?;
    Ok((lines, afterwards))
}

/// The undo of an undo: forward again.
fn redo(
    environment: &Environment,
    open: &mut OpenRestore,
    monitor: &dyn Monitor,
) -> Result<(Vec<String>, Vec<StepResult>)> {
    open.folder.advance(&mut open.journal, Stage::Swapping)?;
    let afterwards = act::swap(environment, open, monitor)?;
    open.journal.restored = Some(environment.host.clock.now());
    open.folder.advance(&mut open.journal, Stage::Restored)?;
    Ok((act::kept_lines(open)?, afterwards))
}

/// Lets the side that is not live go. After it there is no undo.
pub fn accept(environment: &Environment, journal: Journal, monitor: &dyn Monitor) -> Result<AcceptReport> {
    let lock = lock_shop(environment, journal.shop, &journal.shop_title)?;
    close_dead_runs(environment, Some(journal.shop))?;
    if !matches!(journal.stage, Stage::Restored | Stage::Undone | Stage::Accepting) {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            format!("the restore of {} is unfinished and cannot be accepted", journal.shop_title),
            "`backstock restore --resume` finishes it, `backstock undo` takes it back",
        ));
    }
    let was_undone = journal.stage == Stage::Undone || journal.lets_new_side_go;
    let mut open = OpenRestore::load(environment, journal)?;
    let subject = open.subject(RunKind::Accept);
    let run = RunRecord::start_locked(
        environment,
        &subject,
        serde_json::json!({ "restore": open.journal.run }),
        lock,
    )?;
    let result = accept_sides(environment, &mut open, monitor);
    let (id, elapsed_ms) = (run.id, run.elapsed_ms());
    run.close(environment, result)?;
    Ok(AcceptReport { run: id, shop: open.journal.shop_title, was_undone, elapsed_ms })
}

/// Accepts the restores whose undo window is over, each only while its safety snapshot is there and decodes: after
/// acceptance the snapshot is all that is left of the old side. Tells what was done, and why where it was not.
pub fn accept_expired(environment: &Environment, monitor: &dyn Monitor) -> Result<Vec<String>> {
    let now = environment.host.clock.now();
    let mut lines = Vec::new();
    for journal in open_journals(&environment.host, &environment.state)? {
        let is_over =
            journal.stage == Stage::Restored && journal.undo_until().is_some_and(|until| until <= now);
        if !is_over {
            continue;
        }
        let shop = journal.shop_title.clone();
        match snapshot_decodes(environment, &journal, monitor) {
            Ok(true) => {
                accept(environment, journal, monitor)?;
                lines.push(format!("the undo window of the restore of {shop} is over: the old side was removed"));
            }
            Ok(false) => lines.push(format!(
                "the undo window of the restore of {shop} is over, but its safety snapshot does not decode: \
                 the old side is kept until `backstock restore --accept`"
            )),
            Err(error) => lines.push(format!(
                "the undo window of the restore of {shop} is over; its safety snapshot could not be checked: {}",
                chain(&error)
            )),
        }
    }
    Ok(lines)
}

fn snapshot_decodes(environment: &Environment, journal: &Journal, monitor: &dyn Monitor) -> Result<bool> {
    let Some(id) = journal.snapshot else { return Ok(false) };
    let record = environment.wait(environment.catalog.backup(id)).doing("looking for the safety snapshot")?;
    match record {
        Some(record) => Ok(verify_chain(environment, record, VerifyLevel::Decoded, monitor)?.is_good()),
        None => Ok(false),
    }
}

fn accept_sides(environment: &Environment, open: &mut OpenRestore, monitor: &dyn Monitor) -> Result<()> {
    monitor.phase(Phase::Finishing, Expected::default());
    // Before anything is gone the journal says which side goes: nobody may go there any more.
    open.journal.lets_new_side_go |= open.journal.stage == Stage::Undone;
    open.folder.advance(&mut open.journal, Stage::Accepting)?;
    if open.journal.lets_new_side_go {
        discard_new(environment, open)?;
        return open.folder.remove();
    }
    if let Some((target, plan)) = &open.database {
        database::accept(target, plan)?;
    }
    failpoint::reach("accept.between_parts").doing("removing the old files")?;
    if let Some(part) = &open.files {
        files::discard(environment, part)?;
    }
    open.folder.remove()
}
