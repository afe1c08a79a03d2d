//! Checks on a schedule: what is due of a shop's replicas, and doing it. Nobody is asked for anything here.

use std::collections::{BTreeSet, HashMap, HashSet};

use backstock_catalog::{Backup, Check, Replica, Shop};
use backstock_host::lock::{self, Lock};
use backstock_vocabulary::{
    ArtifactKind, BackupId, Content, Outcome, ReplicaState, RunKind, StorageId, VerifyLevel,
};
use serde::Serialize;

use super::schedule::{DueCheck, KnownReplica, VerifyPlan, VerifySchedule, plan_verify};
use super::{VerifyReport, verify_replica};
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::Monitor;
use crate::rebuild::SetIrregularity;
use crate::run::{RunRecord, RunSubject};
use crate::show::sealed_for;
use crate::stored::StoredBackup;

/// What is due of a shop. Holds the lock of its checks, so that nobody does the same meanwhile; a plan that is only looked
/// at holds none.
#[derive(Debug)]
pub struct DuePlan {
    /// The shop.
    pub shop: Shop,
    /// What is due.
    pub plan: VerifyPlan,
    copies: HashMap<(BackupId, StorageId), (Backup, Replica)>,
    _lock: Option<Lock>,
}

/// What came of the checks that were due.
#[derive(Debug, Default, Serialize)]
pub struct DueReport {
    /// The shop.
    pub shop: String,
    /// Each check.
    pub checks: Vec<VerifyReport>,
    /// What could not be looked at.
    pub failures: Vec<DueFailure>,
    /// How many are due and wait for the next run.
    pub waiting: u64,
    /// What does not agree among the backups of the sets that were looked at.
    pub irregularities: Vec<SetIrregularity>,
}

/// A replica that could not be looked at.
#[derive(Debug, Serialize)]
pub struct DueFailure {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// Why.
    pub why: String,
    /// The family of the error.
    #[serde(skip)]
    pub kind: ErrorKind,
}

impl DueReport {
    /// Whether stored bytes are damaged.
    pub fn has_damage(&self) -> bool {
        self.checks.iter().any(|report| !report.damage.is_empty())
    }

    /// Whether everything that was due could be looked at and is right.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
            && self.irregularities.is_empty()
            && self.checks.iter().all(VerifyReport::is_good)
    }
}

/// What is due of a shop's replicas, by their last checks.
///
/// # Errors
/// [`ErrorKind::Busy`] where another process checks this shop's replicas just now.
pub fn plan_due(environment: &Environment, shop: &Shop, schedule: VerifySchedule) -> Result<DuePlan> {
    let path = environment.state.checks_lock(shop.id);
    let lock = match environment.may_write {
        true => Some(
            lock::try_lock(&path).doing(format!("taking the lock {}", path.display()))?.ok_or_else(|| {
                let message = format!("the backups of {} are being checked already", shop.title);
                OperationError::hinted(ErrorKind::Busy, message, "wait for it, or leave it to the next run")
            })?,
        ),
        false => None,
    };
    let act = || format!("looking for what is due of {}", shop.title);
    let backups = environment.wait(environment.catalog.list_backups(Some(shop.id))).doing(act())?;
    let replicas = environment.wait(environment.catalog.list_replicas()).doing(act())?;
    let checks = environment.wait(environment.catalog.list_checks()).doing(act())?;
    let marks = environment.wait(environment.catalog.list_marks()).doing(act())?;
    let strangers = environment.wait(environment.catalog.list_strangers()).doing(act())?;
    let going: HashSet<_> = marks.iter().map(|mark| (mark.backup, mark.storage)).collect();
    let by_id: HashMap<BackupId, &Backup> = backups.iter().map(|backup| (backup.id, backup)).collect();
    let mut done: HashMap<(BackupId, StorageId), Vec<_>> = HashMap::new();
    for Check { backup, storage, level, checked } in checks {
        done.entry((backup, storage)).or_default().push((level, checked));
    }
    let mut known = Vec::new();
    let mut copies = HashMap::new();
    for replica in replicas {
        let Some(backup) = by_id.get(&replica.backup) else { continue };
        let key = (replica.backup, replica.storage);
        let is_worth_it = backup.content != Content::Unusable && !strangers.contains(&backup.id);
        let is_here =
            matches!(replica.state, ReplicaState::Present | ReplicaState::Verified | ReplicaState::Damaged);
        if !is_worth_it || !is_here || going.contains(&key) {
            continue;
        }
        let can_open = sealed_for(backup).is_empty() || environment.keys.is_given();
        known.push(KnownReplica {
            backup: backup.id,
            storage: replica.storage,
            finished: backup.finished,
            stored_bytes: backup.stored_bytes,
            decoded_bytes: can_open.then(|| chain_bytes(&by_id, backup)),
            checks: done.remove(&key).unwrap_or_default(),
        });
        copies.insert(key, ((*backup).clone(), replica));
    }
    let plan = plan_verify(schedule, &known, environment.host.clock.now());
    Ok(DuePlan { shop: shop.clone(), plan, copies, _lock: lock })
}

/// The length of a backup and of all that it builds on.
fn chain_bytes(by_id: &HashMap<BackupId, &Backup>, backup: &Backup) -> u64 {
    let mut seen = HashSet::from([backup.id]);
    let mut total = backup.stored_bytes;
    let mut next = backup.parent;
    while let Some(parent) = next.filter(|parent| seen.insert(*parent)).and_then(|id| by_id.get(&id)) {
        total = total.saturating_add(parent.stored_bytes);
        next = parent.parent;
    }
    total
}

/// Checks what is due. What cannot be looked at does not keep the rest from being.
///
/// # Errors
/// [`ErrorKind::Interrupted`]: what was checked before is on record, and the next run goes on.
pub fn verify_due(environment: &Environment, plan: &DuePlan, monitor: &dyn Monitor) -> Result<DueReport> {
    let mut report = DueReport {
        shop: plan.shop.title.clone(),
        waiting: plan.plan.waiting.len() as u64,
        ..DueReport::default()
    };
    if plan.plan.checks.is_empty() {
        return Ok(report);
    }
    let subject = RunSubject {
        kind: RunKind::Verify,
        shop: plan.shop.id,
        shop_title: plan.shop.title.clone(),
        set: None,
        set_title: String::new(),
    };
    let detail = serde_json::json!({ "due": plan.plan.checks.len(), "waiting": report.waiting });
    let run = RunRecord::start_within(environment, &subject, detail, Vec::new())?;
    match check_all(environment, plan, &mut report, monitor) {
        Ok(()) => {
            let outcome = match (report.has_damage(), report.is_good()) {
                (true, _) => Outcome::Failed,
                (false, true) => Outcome::Success,
                (false, false) => Outcome::Partial,
            };
            run.finish(environment, outcome)?;
            Ok(report)
        }
        Err(error) => {
            run.fail(environment, &error);
            Err(error)
        }
    }
}

fn check_all(
    environment: &Environment,
    plan: &DuePlan,
    report: &mut DueReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut set_folders = BTreeSet::new();
    for due in &plan.plan.checks {
        let Some((backup, replica)) = plan.copies.get(&(due.backup, due.storage)) else { continue };
        backstock_host::failpoint::reach("verify.before_due_check").doing("checking what is due")?;
        match check_one(environment, due, backup, replica, monitor) {
            Ok(checked) => {
                report.checks.push(checked);
                let set_folder = replica.folder.rsplit_once('/').map_or("", |(folder, _)| folder);
                set_folders.insert((replica.storage, set_folder.to_owned()));
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => report.failures.push(failure(due, &error)),
        }
    }
    for (storage, name) in set_folders {
        let set_folder = SetFolder { place: Place::of_record(environment, storage)?, name };
        let found = set_folder.irregularities(environment)?;
        report.irregularities.extend(
            found
                .into_iter()
                .map(|irregularity| SetIrregularity { set_folder: set_folder.name.clone(), irregularity }),
        );
    }
    Ok(())
}

fn failure(due: &DueCheck, error: &OperationError) -> DueFailure {
    DueFailure { backup: due.backup, storage: due.storage, why: chain(error), kind: error.kind() }
}

/// One replica. Where nothing that was given opens it, it is not read for nothing in each run: it is checked as deep as is
/// due without a key, and else not at all.
fn check_one(
    environment: &Environment,
    due: &DueCheck,
    backup: &Backup,
    replica: &Replica,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let mut level = due.level;
    let mut stopped = None;
    if level >= VerifyLevel::Decoded
        && let Err(error) = try_to_open(environment, backup, replica)
    {
        match due.otherwise {
            Some(otherwise) => level = otherwise,
            None => return Err(error),
        }
        stopped = Some(chain(&error));
    }
    let mut checked = verify_replica(environment, backup.clone(), replica.clone(), level, monitor)?;
    checked.wanted = due.level;
    checked.stopped = checked.stopped.or(stopped);
    Ok(checked)
}

/// Fails where no key at hand opens the backup. Any other fault is left to the check.
fn try_to_open(environment: &Environment, backup: &Backup, replica: &Replica) -> Result<()> {
    let tried = StoredBackup::open_replica(environment, backup.clone(), replica.clone()).and_then(|stored| {
        let kinds = [ArtifactKind::DatabaseIndex, ArtifactKind::FilesIndex];
        let kind = kinds.into_iter().find(|kind| stored.has(*kind));
        kind.map_or(Ok(()), |kind| stored.index(environment, kind).map(drop))
    });
    match tried {
        Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::WrongKey) => Err(error),
        _ => Ok(()),
    }
}
