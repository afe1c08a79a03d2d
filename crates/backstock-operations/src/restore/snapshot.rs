//! The safety snapshot: a backup of what a restore will replace, verified before anything else happens, and a copy of
//! the restore's journal beside it.

use backstock_archive::tree::Exclusions;
use backstock_database::Pattern;
use backstock_vocabulary::{BackupId, Content, Reason, Scope, VerifyLevel};

use super::from_diff::is_frame_of_rows;
use super::journal::{Journal, JournalFolder};
use super::plan::RestorePlan;
use crate::backup::{self, BackupRequest};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::keys::ONE_RESTORE_KEY;
use crate::monitor::{Expected, Monitor, Phase};
use crate::stored::StoredBackup;
use crate::verify::verify_chain;

/// Asks a person a question; `None` when there is nobody to ask.
pub type Ask<'a> = &'a dyn Fn(&str) -> Option<bool>;

/// Takes the snapshot and verifies it down to every row and file.
pub(super) fn take(
    environment: &Environment,
    plan: &RestorePlan,
    ask: Ask<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<BackupId>> {
    if !plan.replaces_something() {
        return Ok(None);
    }
    monitor.phase(Phase::Snapshot, Expected::default());
    let backup_plan = snapshot_plan(environment, plan)?;
    let report = backup::backup_within(environment, backup_plan, monitor)?;
    if report.content != Content::Whole {
        let lacking: Vec<String> = report
            .problems
            .iter()
            .filter(|problem| problem.is_exception)
            .map(|problem| format!("{}: {}", problem.subject, problem.message))
            .collect();
        let question = format!("the safety snapshot lacks {}. Go on all the same?", lacking.join("; "));
        if ask(&question) != Some(true) {
            let message = format!("the safety snapshot lacks {}", lacking.join("; "));
            return Err(OperationError::hinted(
                ErrorKind::Declined,
                message,
                "answer the question, or give --yes",
            ));
        }
    }
    let record = environment
        .wait(environment.catalog.backup(report.backup))
        .doing("looking for the safety snapshot")?
        .ok_or_else(|| OperationError::plain(ErrorKind::Failed, "the safety snapshot was not recorded"))?;
    let checked = verify_chain(environment, record, VerifyLevel::Decoded, monitor)?;
    if !checked.is_good() {
        let what: Vec<String> =
            checked.damage.iter().map(|damage| format!("{}: {}", damage.part, damage.what)).collect();
        let message = format!("the safety snapshot does not verify: {}", what.join("; "));
        return Err(OperationError::plain(ErrorKind::Damaged, message));
    }
    Ok(Some(report.backup))
}

fn snapshot_plan(environment: &Environment, plan: &RestorePlan) -> Result<backup::BackupPlan> {
    let has_database =
        plan.database.as_ref().is_some_and(|load| !load.replaced().is_empty() || !load.removed().is_empty());
    let has_files = plan.files.as_ref().is_some_and(super::files::FilesPart::replaces_something);
    let scope = match (has_database, has_files) {
        (true, true) => Scope::Everything,
        (false, true) => Scope::Files,
        _ => Scope::Database,
    };
    let stored = StoredBackup::open(environment, plan.backup.clone())?;
    let mut subject = plan.subject.clone();
    subject.title.clone_from(&plan.shop.title);
    if has_database {
        subject.database.clone_from(&plan.target);
    }
    // Beside the backup; where that is far away, in a folder of this machine.
    let beside = match (stored.place_folder(), &plan.options.snapshots) {
        (Err(_), Some(folder)) => folder.clone(),
        (beside, _) => beside?,
    };
    let request = BackupRequest {
        scope,
        default_exclusions: false,
        reason: Reason::PreRestore,
        part_size: plan.options.part_size,
        ..BackupRequest::everything(beside)
    };
    let mut snapshot = backup::plan_backup(environment, &subject, &request)?;
    snapshot.unusable = None;
    if !snapshot.recipients.is_empty() {
        snapshot.recipients.push(plan.folder.one_restore_recipient()?);
    }
    if let (Some(database), Some(load)) = (&mut snapshot.database, &plan.database) {
        let is_part = load.left_alone.iter().any(|name| !name.as_bytes().is_empty());
        if is_part {
            let names = load.replaced().into_iter().chain(load.removed());
            let patterns = names.map(|name| Pattern::exact(name.as_bytes()));
            database.selection.only = patterns.collect();
        }
    }
    if let (Some(files), Some(part)) = (&mut snapshot.files, &plan.files) {
        files.exclusions = Exclusions { all_but: part.replaced_paths(environment)?, ..Exclusions::default() };
        files.roots = part.roots();
    }
    Ok(snapshot)
}

/// Puts the journal and its plans (never the connection) beside the snapshot, so that a lost state folder does not
/// lose the knowledge of what was being done.
pub(super) fn copy_journal(
    environment: &Environment,
    journal: &Journal,
    folder: &JournalFolder,
) -> Result<()> {
    let Some(snapshot) = journal.snapshot else { return Ok(()) };
    let record = environment
        .wait(environment.catalog.backup(snapshot))
        .doing("looking for the safety snapshot")?
        .ok_or_else(|| {
            OperationError::plain(ErrorKind::NotFound, "the safety snapshot is not in the catalog")
        })?;
    let stored = StoredBackup::open(environment, record)?;
    for path in folder.names()? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_secret = name.ends_with(".sealed") || name == ONE_RESTORE_KEY;
        // Rows that were written aside are loaded by now: from here on nobody needs them.
        if is_secret || name.ends_with(".new") || is_frame_of_rows(&name) {
            continue;
        }
        let object = format!("restore-{}/{name}", journal.run.short());
        stored.set_folder.put_copy(environment, &stored.folder, &object, &path)?;
    }
    Ok(())
}
