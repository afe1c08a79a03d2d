//! Making a backup: plan it, spool the artifacts, put them, write the manifest last.
//!
//! Data can be lost here. A backup exists when its manifest does, so the order is: every part durable at the
//! destination, then the manifest, then the catalog ([`commit`]). A kill before the manifest leaves nothing that any
//! list shows; a kill after it leaves a whole backup that the next start adopts.

mod commit;
mod definition;
mod plan;
mod report;
mod sealing;
mod spool;
mod tables;

use backstock_vocabulary::{Content, Outcome, Reason, RunKind, ShopId};

pub(crate) use commit::adopt;
pub use definition::Definition;
pub use plan::{
    BackupPlan, BackupRequest, DatabasePlan, FilesPlan, plan_backup, refuse_bad_places,
    refuse_published_state,
};
pub(crate) use plan::{DEFAULT_SET, known_shop, refuse_place, renewable_places, roots_of};
pub use report::{BackupReport, ReportedProblem};
pub use sealing::Sealing;
pub(crate) use spool::{
    AskedTables, DatabaseHeader, DatabaseSummary, FilesHeader, FilesSummary, RESERVE_BYTES, RootHeader,
    ShopHeader, add_file_problems, dump_to_folder, object_key,
};

use crate::connection;
use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result};
use crate::levels;
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, RunSubject};

/// Makes the backup that the plan describes.
pub fn backup(
    environment: &Environment,
    mut plan: BackupPlan,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    plan.record(environment)?;
    let subject = plan.run_subject(RunKind::Backup);
    let destinations = vec![plan.run_destination()];
    let run = RunRecord::start(environment, &subject, plan.detail(), destinations)?;
    finish(environment, &plan, run, monitor)
}

/// Makes the safety snapshot of a restore, whose run holds the shop's lock.
pub(crate) fn backup_within(
    environment: &Environment,
    mut plan: BackupPlan,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    plan.record(environment)?;
    let subject = RunSubject { kind: RunKind::Backup, ..plan.run_subject(RunKind::Backup) };
    let run = RunRecord::start_within(environment, &subject, plan.detail(), vec![plan.run_destination()])?;
    finish(environment, &plan, run, monitor)
}

fn finish(
    environment: &Environment,
    plan: &BackupPlan,
    mut run: RunRecord,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    match make(environment, plan, &mut run, monitor) {
        Ok(report) => {
            let outcome = match report.content {
                Content::Whole => Outcome::Success,
                _ => Outcome::Partial,
            };
            run.finish(environment, outcome)?;
            Ok(report)
        }
        Err(error) => {
            let spool = environment.state.spool(run.id);
            if let Err(second) = environment.host.files.remove_tree(&spool) {
                tracing::warn!(error = %second, spool = %spool.display(), "the spool could not be removed");
            }
            run.fail(environment, &error);
            Err(error)
        }
    }
}

fn make(
    environment: &Environment,
    plan: &BackupPlan,
    run: &mut RunRecord,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    monitor.phase(Phase::Preparing, Expected::default());
    let mut commit = commit::Commit::prepare(environment, plan)?;
    let chosen = levels::choose(environment, plan)?;
    run.detail["level"] = serde_json::json!(chosen.level);
    let seal = commit.seal(environment)?;
    let made =
        spool::SpooledBackup { run: run.id, backup: commit.backup(), seal: seal.as_ref(), chosen: &chosen };
    let spooled = spool::spool(environment, plan, &made, monitor)?;
    if monitor.is_cancelled() {
        return Err(interrupted());
    }
    monitor.phase(Phase::Putting, Expected { bytes: Some(spooled.stored_bytes()), items: None });
    if let Err(error) = commit.put_all(environment, &spooled, monitor) {
        commit.abandon(environment);
        return Err(error);
    }
    let report = commit.write_manifest(environment, run, &spooled, &chosen)?;
    spooled.remove(environment)?;
    if plan.files.is_some() && levels::can_be_a_parent(plan.reason) {
        levels::forget_others(environment, plan);
    }
    if let Some(database) = plan.database.as_ref().filter(|_| plan.reason != Reason::PreRestore) {
        let file = environment.state.shop_connection(plan.shop.id);
        connection::keep(environment, &file, &connection_purpose(plan.shop.id), &database.database)?;
    }
    Ok(report)
}

/// Whose sealed connection it is.
pub(crate) fn connection_purpose(shop: ShopId) -> String {
    format!("the connection to the database of the shop {shop}")
}

pub(crate) fn interrupted() -> OperationError {
    OperationError::plain(ErrorKind::Interrupted, "stopped by a signal; nothing was left behind")
}
