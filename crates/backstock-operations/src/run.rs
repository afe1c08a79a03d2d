//! The record of one run: started before anything happens, closed before anyone is told; dead ones are found.

use std::time::Instant;

use backstock_catalog::{Run, RunArtifact, RunDestination, RunEnd};
use backstock_host::lock::{self, Lock};
use backstock_vocabulary::{Outcome, RunId, RunKind, SetId, ShopId};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::spool_folder::sweep_forgotten;

/// A run that is going on. Holds the kernel lock of its shop.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub(crate) id: RunId,
    started: Instant,
    pub(crate) detail: serde_json::Value,
    pub(crate) destinations: Vec<RunDestination>,
    pub(crate) artifacts: Vec<RunArtifact>,
    _lock: Option<Lock>,
}

/// What a run is about.
#[derive(Debug, Clone)]
pub(crate) struct RunSubject {
    pub(crate) kind: RunKind,
    pub(crate) shop: ShopId,
    pub(crate) shop_title: String,
    pub(crate) set: Option<SetId>,
    pub(crate) set_title: String,
}

impl RunRecord {
    /// Takes the shop's lock, closes what a dead run left, and records the start.
    pub(crate) fn start(
        environment: &Environment,
        subject: &RunSubject,
        detail: serde_json::Value,
        destinations: Vec<RunDestination>,
    ) -> Result<Self> {
        let lock = lock_shop(environment, subject.shop, &subject.shop_title)?;
        close_dead_runs(environment, Some(subject.shop))?;
        Self::record(environment, subject, detail, destinations, Some(lock))
    }

    /// Records the start of a run whose caller has the shop's lock already.
    pub(crate) fn start_locked(
        environment: &Environment,
        subject: &RunSubject,
        detail: serde_json::Value,
        lock: Lock,
    ) -> Result<Self> {
        Self::record(environment, subject, detail, Vec::new(), Some(lock))
    }

    /// Records the start of a run inside another that holds the shop's lock: the snapshot of a restore.
    pub(crate) fn start_within(
        environment: &Environment,
        subject: &RunSubject,
        detail: serde_json::Value,
        destinations: Vec<RunDestination>,
    ) -> Result<Self> {
        Self::record(environment, subject, detail, destinations, None)
    }

    fn record(
        environment: &Environment,
        subject: &RunSubject,
        detail: serde_json::Value,
        destinations: Vec<RunDestination>,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let id = environment.host.new_id(RunId::from_parts);
        let run = Run {
            id,
            kind: subject.kind,
            shop: Some(subject.shop),
            set: subject.set,
            set_title: subject.set_title.clone(),
            outcome: Outcome::Running,
            started: environment.host.clock.now(),
            finished: None,
            elapsed_ms: None,
            error: None,
            detail: detail.clone(),
            process_id: environment.host.machine.process_id(),
            boot_id: environment.host.machine.boot_id(),
        };
        environment
            .wait(environment.catalog.start_run(&run, &destinations))
            .doing("recording the start of the run")?;
        Ok(Self { id, started: Instant::now(), detail, destinations, artifacts: Vec::new(), _lock: lock })
    }

    /// How long it has been going on, in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Closes the record with what came of the run: success, or why it failed. Gives what it brought.
    pub(crate) fn close<T>(self, environment: &Environment, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => {
                self.finish(environment, Outcome::Success)?;
                Ok(value)
            }
            Err(error) => {
                self.fail(environment, &error);
                Err(error)
            }
        }
    }

    /// Closes the record with an outcome.
    pub(crate) fn finish(self, environment: &Environment, outcome: Outcome) -> Result<()> {
        self.end(environment, outcome, None)
    }

    /// Closes the record of a run that an error ended. A catalog that cannot take it is only a second misfortune: the
    /// next start finds the run dead.
    pub(crate) fn fail(self, environment: &Environment, error: &OperationError) {
        let outcome =
            if error.kind() == ErrorKind::Interrupted { Outcome::Interrupted } else { Outcome::Failed };
        if let Err(second) = self.end(environment, outcome, Some(chain(error))) {
            tracing::warn!(error = chain(&second), "the end of the run could not be recorded");
        }
    }

    fn end(mut self, environment: &Environment, outcome: Outcome, error: Option<String>) -> Result<()> {
        for destination in &mut self.destinations {
            if matches!(destination.status, Outcome::Pending | Outcome::Running) {
                destination.status = outcome;
            }
        }
        let end = RunEnd {
            outcome,
            finished: environment.host.clock.now(),
            elapsed_ms: self.elapsed_ms(),
            error,
            detail: std::mem::take(&mut self.detail),
            destinations: std::mem::take(&mut self.destinations),
            artifacts: std::mem::take(&mut self.artifacts),
        };
        environment.wait(environment.catalog.finish_run(self.id, &end)).doing("recording the end of the run")
    }
}

/// Takes the lock of a shop, or says that another run has it.
pub(crate) fn lock_shop(environment: &Environment, shop: ShopId, title: &str) -> Result<Lock> {
    let path = environment.state.shop_lock(shop);
    let lock = lock::try_lock(&path).doing(format!("taking the lock {}", path.display()))?;
    lock.ok_or_else(|| {
        OperationError::hinted(
            ErrorKind::Busy,
            format!("another backup is already running: a run of {title} has not finished"),
            "wait for it; `backstock list` shows what is there",
        )
    })
}

/// Marks runs whose process is gone as interrupted and removes their spools. With a shop, whose lock the caller holds,
/// every run of that shop that is still open is dead.
pub(crate) fn close_dead_runs(environment: &Environment, locked: Option<ShopId>) -> Result<Vec<RunId>> {
    if !environment.may_write {
        return Ok(Vec::new());
    }
    if let Some(shop) = locked {
        crate::restore::remove_unbegun(&environment.host, &environment.state, shop)?;
    }
    let mut dead = Vec::new();
    let runs = environment.wait(environment.catalog.unfinished_runs()).doing("looking for dead runs")?;
    let going_on: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    sweep_forgotten(environment, &going_on)?;
    for run in runs {
        let is_dead = match run.shop {
            // These only read, beside whoever has the shop's lock.
            Some(_) if matches!(run.kind, RunKind::Drill | RunKind::Verify) => {
                run.boot_id != environment.host.machine.boot_id() || !process_lives(run.process_id)
            }
            Some(shop) if Some(shop) == locked => true,
            Some(shop) => {
                let path = environment.state.shop_lock(shop);
                lock::try_lock(&path).doing(format!("trying the lock {}", path.display()))?.is_some()
            }
            None => run.boot_id != environment.host.machine.boot_id() || !process_lives(run.process_id),
        };
        if is_dead {
            let now = environment.host.clock.now();
            let message = "the process died before the run ended";
            environment
                .wait(environment.catalog.mark_interrupted(run.id, now, message))
                .doing(format!("marking the dead run {}", run.id))?;
            let spool = environment.state.spool(run.id);
            environment
                .host
                .files
                .remove_tree(&spool)
                .doing(format!("removing the spool {}", spool.display()))?;
            dead.push(run.id);
        }
    }
    Ok(dead)
}

fn process_lives(process_id: u32) -> bool {
    std::path::Path::new("/proc").join(process_id.to_string()).exists()
}
