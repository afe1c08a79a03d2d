//! Bringing the backups of a set to its other destinations: the same bytes, parents first, the manifest last.
//!
//! Data can be lost here only where a copy is believed that is none: a replica goes on record as present when every part was
//! confirmed by its place, the manifest of what it builds on was seen there, and its own was put. What is owed to a
//! destination stands in the catalog from the moment the backup does; whatever stops a run, the next one goes on.

mod act;
mod copy;
mod debts;
mod limits;
mod numbers;
mod patience;
mod plan;
mod report;
mod upload;

use backstock_catalog::{RunDestination, Set, Shop};
use backstock_vocabulary::{Outcome, Reason, RunKind};

use crate::backup::BackupPlan;
use crate::environment::Environment;
use crate::error::Result;
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, RunSubject};
use crate::spool_folder::SpoolFolder;

pub(crate) use debts::debts_of;
pub(crate) use limits::read as read_limits;
pub use limits::{ByteRate, Hours, Limits};
pub(crate) use plan::{ReplicationPlan, is_owed, plan_replication, set_folder_at};
pub use report::{CopiedBackup, DestinationReport, ReplicationReport};

/// Copies what a set's destinations lack, as a run of its own; with `take_over` also to folders that another instance wrote to.
///
/// # Errors
/// Another run has the shop, or the catalog cannot be read. What goes wrong at a destination stands in the report.
pub fn replicate(
    environment: &Environment,
    shop: &Shop,
    set: &Set,
    take_over: bool,
    monitor: &dyn Monitor,
) -> Result<ReplicationReport> {
    let subject = RunSubject {
        kind: RunKind::Replicate,
        shop: shop.id,
        shop_title: shop.title.clone(),
        set: Some(set.id),
        set_title: set.title.clone(),
    };
    let mut run = RunRecord::start(environment, &subject, serde_json::json!({}), Vec::new())?;
    let done = plan_replication(environment, shop, set, take_over)
        .and_then(|plan| replicate_within(environment, &plan, &mut run, monitor));
    match done {
        Ok(destinations) => {
            let report = ReplicationReport { shop: shop.title.clone(), set: set.title.clone(), destinations };
            run.finish(environment, report.outcome())?;
            Ok(report)
        }
        Err(error) => {
            run.fail(environment, &error);
            Err(error)
        }
    }
}

/// Copies after a backup, in its run. A safety snapshot stays where it is made.
pub(crate) fn replicate_after_backup(
    environment: &Environment,
    backup: &BackupPlan,
    run: &mut RunRecord,
    monitor: &dyn Monitor,
) -> Result<Vec<DestinationReport>> {
    if backup.reason == Reason::PreRestore {
        return Ok(Vec::new());
    }
    let plan = plan_replication(environment, &backup.shop, &backup.set, backup.take_over)?;
    replicate_within(environment, &plan, run, monitor)
}

fn replicate_within(
    environment: &Environment,
    plan: &ReplicationPlan,
    run: &mut RunRecord,
    monitor: &dyn Monitor,
) -> Result<Vec<DestinationReport>> {
    if plan.destinations.is_empty() {
        return Ok(Vec::new());
    }
    monitor.phase(Phase::Replicating, Expected { bytes: Some(plan.stored_bytes()), items: None });
    let spool = SpoolFolder::create(environment, run.id)?;
    let reports = act::replicate(environment, plan, spool.path(), monitor);
    for (destination, report) in plan.destinations.iter().zip(&reports) {
        run.destinations.push(RunDestination {
            storage: Some(destination.storage.id),
            title: destination.storage.title.clone(),
            kind: destination.storage.kind.clone(),
            status: report.outcome,
            message: report.message(),
        });
    }
    let path = spool.path().to_owned();
    drop(spool);
    environment.host.files.remove_tree(&path).map_err(|source| crate::error::OperationError::Machine {
        act: format!("removing the spool {}", path.display()),
        source,
    })?;
    Ok(reports)
}

/// What several destinations together came to: a backup that some of them have is usable.
pub(crate) fn outcome_of(reports: &[DestinationReport]) -> Outcome {
    let is_done = |report: &DestinationReport| report.outcome == Outcome::Success;
    if reports.iter().all(is_done) {
        Outcome::Success
    } else if reports.iter().all(|report| report.outcome == Outcome::Failed) {
        Outcome::Failed
    } else {
        Outcome::Partial
    }
}
