//! A backup for which there is no room: what is marked at the destination goes before its grace is over, and it is made once
//! more.

use std::os::unix::fs::MetadataExt;

use super::plan::BackupPlan;
use super::report::BackupReport;
use super::{Made, Step, make};
use crate::environment::Environment;
use crate::error::{Doing, OperationError, Result, chain};
use crate::monitor::Monitor;
use crate::retention::{GraceCut, cut_grace};
use crate::run::RunRecord;

/// Makes a backup, a second time where the first found no room and some could be made.
pub(super) fn make_with_room(
    environment: &Environment,
    plan: &BackupPlan,
    run: &mut RunRecord,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let mut step = Step::Reading;
    let error = match make(environment, plan, run, &mut step, monitor) {
        Err(error) if error.is_for_want_of_room() && !monitor.is_cancelled() => error,
        result => return result,
    };
    if step == Step::Reading && !is_one_disk(environment, plan) {
        // The spool's disk is full, and nothing of it lies at the destination.
        return Err(error);
    }
    let Some(cut) = make_room(environment, plan, &error, monitor) else { return Err(error) };
    run.detail["grace_cut"] = serde_json::json!(cut);
    let spool = environment.state.spool(run.id);
    environment.host.files.remove_tree(&spool).doing("removing the spool of the first try")?;
    let Made { report, early } = make(environment, plan, run, &mut step, monitor)?;
    Ok(Made { report: BackupReport { grace_cut: Some(cut), ..report }, early })
}

/// Lets go what is marked. What goes wrong with that is told, and is not why the backup failed.
fn make_room(
    environment: &Environment,
    plan: &BackupPlan,
    error: &OperationError,
    monitor: &dyn Monitor,
) -> Option<GraceCut> {
    match cut_grace(environment, &plan.shop, &plan.set, plan.place.record.id, monitor) {
        Ok(cut) => {
            let count = cut.as_ref().map_or(0, |cut| cut.deleted.len());
            if count > 0 {
                monitor.note(&format!(
                    "{}: {count} marked backups went before their grace was over, and the backup is made once more",
                    chain(error)
                ));
            }
            cut
        }
        Err(second) => {
            tracing::warn!("no room could be made at {}: {}", plan.place.record.title, chain(&second));
            None
        }
    }
}

/// Whether the spool and the destination lie on one disk.
fn is_one_disk(environment: &Environment, plan: &BackupPlan) -> bool {
    let device = |path: &std::path::Path| std::fs::metadata(path).map(|facts| facts.dev()).ok();
    let destination = plan.place.folder().ok().and_then(|folder| device(&folder));
    destination.is_some() && destination == device(environment.state.root())
}
