//! Making a backup: plan it, spool the artifacts, put them, write the manifest last.
//!
//! Data can be lost here. A backup exists when its manifest does, so the order is: every part durable at the
//! destination, then the manifest, then the catalog ([`commit`]). A kill before the manifest leaves nothing that any
//! list shows; a kill after it leaves a whole backup that the next start adopts.

mod adoption;
mod commit;
mod database_room;
mod definition;
mod home;
mod numbers;
mod part_size;
mod plan;
mod report;
mod room;
mod sealing;
mod spool;
mod tables;

use backstock_vocabulary::{Content, Outcome, Reason, RunKind, ShopId};

pub(crate) use adoption::adopt;
pub use definition::Definition;
pub use numbers::UnreadDestination;
pub use part_size::PartSize;
pub use plan::{
    BackupPlan, BackupRequest, DatabasePlan, FilesPlan, plan_backup, refuse_bad_places,
    refuse_published_state,
};
pub(crate) use plan::{
    DEFAULT_SET, default_set, known_shop, refuse_place, renewable_places, roots_of, set_folder_of,
};
pub(crate) use report::SUSPECT;
pub use report::{BackupReport, ReportedProblem};
pub use sealing::Sealing;
pub(crate) use sealing::sealed_shop_of_unknown_place;
pub(crate) use spool::{
    AskedTables, DatabaseHeader, DatabaseSummary, FilesHeader, FilesSummary, RESERVE_BYTES, RootHeader,
    ShopHeader, add_file_problems, dump_to_folder, object_key,
};

use crate::connection;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels;
use crate::monitor::{Expected, Monitor, Phase};
use crate::replicate::{EarlyCopies, Unmade, Uploads, replicate_after_backup};
use crate::retention::shortage_of;
use crate::run::{RunRecord, RunSubject};
use crate::suspicion::{self, FilesSeen, NewBackup, judge};

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
    let made = room::make_with_room(environment, plan, &mut run, monitor)
        .and_then(|made| elsewhere(environment, plan, &mut run, made, monitor));
    match made {
        Ok(report) => {
            let outcome = match report.content {
                _ if report.shortage.is_some() => Outcome::Failed,
                Content::Whole if report.is_everywhere() => Outcome::Success,
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

/// Brings a backup that is made to the other destinations of its set, and counts its copies.
fn elsewhere(
    environment: &Environment,
    plan: &BackupPlan,
    run: &mut RunRecord,
    Made { report, early }: Made,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    let destinations = replicate_after_backup(environment, plan, early, run, monitor)?;
    let shortage = shortage_of(environment, report.backup, plan.required_copies)?;
    Ok(BackupReport { destinations, shortage, elapsed_ms: run.elapsed_ms(), ..report })
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The shop is read into the spool.
    Reading,
    /// The parts are put to the destination.
    Putting,
}

/// A backup that is made at its first place.
#[derive(Debug)]
struct Made {
    report: BackupReport,
    /// What the other destinations of its set have of it.
    early: EarlyCopies,
}

/// Makes the backup at its first place. The other destinations are sent its parts meanwhile.
fn make(
    environment: &Environment,
    plan: &BackupPlan,
    run: &mut RunRecord,
    step: &mut Step,
    monitor: &dyn Monitor,
) -> Result<Made> {
    *step = Step::Reading;
    monitor.phase(Phase::Preparing, Expected::default());
    database_room::require_room_for_database(environment, plan)?;
    let mut commit = commit::Commit::prepare(environment, plan)?;
    let chosen = levels::choose(environment, plan)?;
    run.detail["level"] = serde_json::json!(chosen.level);
    let seal = commit.seal(environment)?;
    let (target, folder) = (commit.set_folder().clone(), commit.name().to_owned());
    let unmade = Unmade { plan, target: &target, folder: &folder, sequence: commit.sequence() };
    std::thread::scope(|scope| {
        let uploads = Uploads::begin(scope, environment, unmade, monitor)?;
        let made = spool::SpooledBackup {
            run: run.id,
            backup: commit.backup(),
            seal: seal.as_ref(),
            chosen: &chosen,
            uploads: &uploads,
        };
        let report = make_here(environment, plan, &mut commit, &made, run, step, monitor);
        let early = uploads.end(environment, unmade, report.is_ok());
        report.map(|report| Made { report, early })
    })
}

/// Makes the backup at its first place.
fn make_here(
    environment: &Environment,
    plan: &BackupPlan,
    commit: &mut commit::Commit<'_>,
    made: &spool::SpooledBackup<'_>,
    run: &mut RunRecord,
    step: &mut Step,
    monitor: &dyn Monitor,
) -> Result<BackupReport> {
    let spooled = spool::spool(environment, plan, made, monitor);
    let mut spooled = spooled.map_err(|error| made.uploads.failure().unwrap_or(error))?;
    compare(environment, plan, made, &mut spooled, monitor)?;
    if monitor.is_cancelled() {
        return Err(interrupted());
    }
    *step = Step::Putting;
    monitor.phase(Phase::Putting, Expected { bytes: Some(spooled.stored_bytes()), items: None });
    let put = commit.put_all(environment, &spooled, made.uploads, monitor).and_then(|()| {
        let signed = commit.sign(environment, run, &spooled, made.chosen)?;
        commit.read_back(environment, &signed.1, monitor).map(|()| signed)
    });
    let signed = put.inspect_err(|_| commit.abandon(environment))?;
    let report = commit.write_manifest(environment, run, &spooled, made.chosen, &signed)?;
    // Copies that are behind are made from the place later.
    made.uploads.wait_for_all(monitor);
    spooled.remove(environment)?;
    if levels::can_be_a_parent(plan.reason) {
        levels::forget_others(environment, plan);
    }
    if let Some(database) = plan.database.as_ref().filter(|_| plan.reason != Reason::PreRestore) {
        let file = environment.state.shop_connection(plan.shop.id);
        connection::keep(environment, &file, &connection_purpose(plan.shop.id), &database.database)?;
    }
    Ok(report)
}

/// Holds what was read against the last backup that counts, and keeps what the next one will be held against.
fn compare(
    environment: &Environment,
    plan: &BackupPlan,
    made: &spool::SpooledBackup<'_>,
    spooled: &mut spool::Spooled,
    monitor: &dyn Monitor,
) -> Result<()> {
    let gathered = &mut spooled.gathered;
    let files = FilesSeen {
        files: gathered.files,
        unchanged: gathered.unchanged_files,
        missing: gathered.removed_files + gathered.exceptions.notes,
    };
    let parent = made.chosen.parent.as_ref().map(|parent| parent.stored.record.id);
    let tables = gathered.table_counts.as_ref();
    let judged =
        judge(environment, plan, &NewBackup { backup: made.backup, parent, tables, files }, monitor)?;
    if let Some(counts) = tables.filter(|_| levels::can_be_a_parent(plan.reason)) {
        suspicion::keep(environment, plan.set.id, made.backup, counts)?;
        backstock_host::failpoint::reach("backup.tables_kept").doing("keeping the numbers of rows")?;
    }
    gathered.judge(judged);
    Ok(())
}

/// Whose sealed connection it is.
pub(crate) fn connection_purpose(shop: ShopId) -> String {
    format!("the connection to the database of the shop {shop}")
}

pub(crate) fn interrupted() -> OperationError {
    OperationError::plain(ErrorKind::Interrupted, "stopped by a signal; nothing was left behind")
}
