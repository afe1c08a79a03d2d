//! Acting on a replication plan: every destination on a thread of its own, each backup after what it builds on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use backstock_vocabulary::{BackupId, LinkState, Outcome};

use super::copy::Copier;
use super::early::{EarlyCopies, EarlyParts};
use super::limits;
use super::plan::{DestinationPlan, ReplicationPlan};
use super::prepare::{Coming, Preparation, Prepared};
use super::report::{CopiedBackup, DestinationReport};
use super::upload::Pace;
use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result, chain};
use crate::monitor::Monitor;

/// Copies to every destination of the plan side by side; one that fails holds no other up.
pub(super) fn replicate(
    environment: &Environment,
    plan: &ReplicationPlan,
    mut early: EarlyCopies,
    spool: &Path,
    monitor: &dyn Monitor,
) -> Vec<DestinationReport> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = plan
            .destinations
            .iter()
            .map(|destination| {
                let spool = spool.join(destination.destination.id.to_string());
                let act = Act { environment, destination, take_over: plan.take_over, monitor };
                let builder = std::thread::Builder::new().name("backstock-copy".to_owned());
                let early = early.remove(&destination.destination.id).unwrap_or_default();
                let spawned = builder.spawn_scoped(scope, move || act.run(early, &spool));
                (destination, spawned)
            })
            .collect();
        threads
            .into_iter()
            .map(|(destination, spawned)| match spawned.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(report)) => report,
                Ok(Err(panic)) => {
                    let act = format!("copying to {}", destination.storage.title);
                    failed(begun(destination), destination, &OperationError::panicked(&act, &*panic)).close()
                }
                Err(error) => {
                    let act = "starting a thread that copies".to_owned();
                    let error = OperationError::Machine { act, source: error };
                    failed(begun(destination), destination, &error).close()
                }
            })
            .collect()
    })
}

/// One destination, being copied to.
#[derive(Clone, Copy)]
struct Act<'a> {
    environment: &'a Environment,
    destination: &'a DestinationPlan,
    take_over: bool,
    monitor: &'a dyn Monitor,
}

impl Act<'_> {
    fn run(&self, early: EarlyParts, spool: &Path) -> DestinationReport {
        let started = Instant::now();
        let mut report = begun(self.destination);
        if !self.destination.lacking.is_empty()
            && let Err(error) = self.copy_all(early, spool, &mut report)
        {
            report = failed(report, self.destination, &error);
        }
        report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.close()
    }

    fn copy_all(&self, early: EarlyParts, spool: &Path, report: &mut DestinationReport) -> Result<()> {
        let limits = limits::read(&self.destination.destination.settings)?;
        let pace = Arc::new(Pace::of(limits));
        if !pace.is_open(&self.environment.host) {
            return Err(outside_hours(limits));
        }
        let EarlyParts { prepared, proofs, sent_bytes } = early;
        let prepared = match prepared {
            Some(prepared) => prepared,
            None => self.prepare()?,
        };
        let copier = Copier {
            environment: self.environment,
            prepared,
            early: proofs,
            pace: Arc::clone(&pace),
            spool: spool.to_owned(),
            monitor: self.monitor,
            sent: AtomicU64::new(sent_bytes),
        };
        let mut result = Ok(());
        for lacking in &self.destination.lacking {
            match copier.copy(lacking) {
                Ok(proof) => report.copied.push(CopiedBackup {
                    backup: lacking.backup.id,
                    stored_bytes: lacking.backup.stored_bytes,
                    proof,
                }),
                // What builds on it could not go there either; the rest can wait for the next run.
                Err(error) => {
                    let is_shut = !pace.is_open(&self.environment.host);
                    result = Err(if is_shut { outside_hours(limits) } else { error });
                    break;
                }
            }
        }
        report.sent_bytes = copier.sent.load(Ordering::Relaxed);
        result
    }

    fn prepare(&self) -> Result<Prepared> {
        let coming = Coming::all(self.destination);
        let Self { environment, destination, take_over, monitor } = *self;
        Preparation { environment, destination, coming: &coming, made_at: None, take_over, monitor }.prepare()
    }
}

fn begun(destination: &DestinationPlan) -> DestinationReport {
    let first = destination.lacking.first().and_then(|lacking| lacking.folder.rsplit_once('/'));
    DestinationReport {
        storage: destination.storage.title.clone(),
        folder: first.map_or_else(|| destination.destination.path.clone(), |(set, _)| set.to_owned()),
        outcome: Outcome::Running,
        copied: Vec::new(),
        left: Vec::new(),
        sent_bytes: 0,
        elapsed_ms: 0,
        link: None,
        problem: None,
        hint: None,
    }
}

fn failed(
    mut report: DestinationReport,
    destination: &DestinationPlan,
    error: &OperationError,
) -> DestinationReport {
    let is_there = |backup: BackupId| report.copied.iter().any(|copied| copied.backup == backup);
    report.left =
        destination.lacking.iter().map(|lacking| lacking.backup.id).filter(|id| !is_there(*id)).collect();
    (report.problem, report.hint) = (Some(chain(error)), error.hint());
    if error.is_unlinked() {
        let title = &destination.storage.title;
        report.link = Some(LinkState::Revoked);
        report.problem = Some(format!("its link is {}: {}", LinkState::Revoked, chain(error)));
        report.hint = Some(format!("`backstock storage link {title}` makes it anew; what lies there stays"));
    }
    report
}

fn outside_hours(limits: limits::Limits) -> OperationError {
    let hours = limits.hours.map(|hours| hours.to_string()).unwrap_or_default();
    OperationError::hinted(
        ErrorKind::Refused,
        format!("it may be sent to at {hours} only"),
        "a run within these hours goes on; `backstock replicate` does nothing else",
    )
}
