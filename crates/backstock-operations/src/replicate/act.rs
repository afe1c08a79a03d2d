//! Acting on a replication plan: every destination on a thread of its own, each backup after what it builds on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use backstock_catalog::{Backup, Replica};
use backstock_storage::ObjectName;
use backstock_vocabulary::{BackupId, LinkState, Outcome, ReplicaState};

use super::copy::Copier;
use super::limits;
use super::numbers::explain;
use super::patience::Patience;
use super::plan::{DestinationPlan, LackingBackup, ReplicationPlan};
use super::report::{CopiedBackup, DestinationReport};
use super::upload::{Pace, forget_journal, journaled_object};
use crate::destination::{Claim, Listing, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::keys::put_keys;
use crate::monitor::Monitor;
use crate::storages::{client_of, nothing_seen};

/// Copies to every destination of the plan side by side; one that fails holds no other up.
pub(super) fn replicate(
    environment: &Environment,
    plan: &ReplicationPlan,
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
                let spawned = builder.spawn_scoped(scope, move || act.run(&spool));
                (destination, spawned)
            })
            .collect();
        threads
            .into_iter()
            .map(|(destination, spawned)| match spawned.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(report)) => report,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
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
    fn run(&self, spool: &Path) -> DestinationReport {
        let started = Instant::now();
        let mut report = begun(self.destination);
        if !self.destination.lacking.is_empty()
            && let Err(error) = self.copy_all(spool, &mut report)
        {
            report = failed(report, self.destination, &error);
        }
        report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.close()
    }

    fn copy_all(&self, spool: &Path, report: &mut DestinationReport) -> Result<()> {
        let limits = limits::read(&self.destination.destination.settings)?;
        let pace = Arc::new(Pace::of(limits));
        if !pace.is_open(&self.environment.host) {
            return Err(outside_hours(limits));
        }
        let place = Place::of_record(self.environment, self.destination.storage.id)?;
        let target = SetFolder { place, name: self.set_folder()? };
        let listing = self.prepare(&target)?;
        let sent = AtomicU64::new(0);
        let copier = Copier {
            environment: self.environment,
            target,
            tombstones: listing.tombstones,
            pace: Arc::clone(&pace),
            spool: spool.to_owned(),
            monitor: self.monitor,
            sent,
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

    /// The set's folder there: all backups of a set lie in one.
    fn set_folder(&self) -> Result<String> {
        let folder = self.destination.lacking.first().and_then(|lacking| lacking.folder.rsplit_once('/'));
        folder.map(|(set, _)| set.to_owned()).ok_or_else(|| {
            OperationError::plain(ErrorKind::Failed, "a copy without a folder of its set cannot be made")
        })
    }

    /// Becomes the writer there, brings the keys, and removes what dead runs left.
    fn prepare(&self, target: &SetFolder) -> Result<Listing> {
        let environment = self.environment;
        let title = &target.place.record.title;
        // The first call shows whether the place answers at all.
        let root = ObjectName::new(&target.name).map_err(|error| {
            OperationError::plain(ErrorKind::Failed, format!("naming the folder of the set: {error}"))
        })?;
        let listed = Patience::new(environment, self.monitor).act(|| target.place.storage.list(Some(&root)));
        let listed = listed.doing(format!("listing {} at {title}", target.name))?;
        if listed.is_empty() && !self.take_over {
            self.require_same_account(target)?;
        }
        let (set, take_over) = (self.destination.destination.set, self.take_over);
        let first = self.destination.lacking.iter().find(|lacking| lacking.is_owed);
        let copies_from = first.map(|lacking| lacking.backup.sequence);
        let is_new = target.claim(environment, Claim { set, head: None, copies_from, take_over })?;
        if is_new {
            let now = environment.host.clock.now();
            environment
                .wait(environment.catalog.begin_destination(self.destination.destination.id, now))
                .doing(format!("recording that {title} was begun"))?;
        }
        if self.destination.lacking.iter().any(|lacking| is_sealed(&lacking.backup)) {
            put_keys(environment, target)?;
        }
        self.forget_strange_journals(target)?;
        let listing = target.listing(environment)?;
        explain(environment, self.destination, target, &listing)?;
        self.sweep(target, &listing)?;
        Ok(listing)
    }

    /// Where an account shows nothing of the set although backups of it are known to be there, perhaps another one was linked, or
    /// another client: nothing is begun anew there unless somebody says so.
    fn require_same_account(&self, target: &SetFolder) -> Result<()> {
        let (environment, record) = (self.environment, &target.place.record);
        if client_of(record).is_none() {
            return Ok(());
        }
        let act = || format!("listing what is known to be at {}", record.title);
        let known = environment.wait(environment.catalog.list_replicas()).doing(act())?;
        let begin = format!("{}/", target.name);
        let is_there = |replica: &Replica| {
            replica.storage == record.id
                && replica.folder.starts_with(&begin)
                && matches!(replica.state, ReplicaState::Present | ReplicaState::Verified)
        };
        if known.iter().any(is_there) {
            return Err(nothing_seen(record, &format!("of the set {}", target.name)));
        }
        Ok(())
    }

    /// Journals of uploads that nobody wants any more.
    fn forget_strange_journals(&self, target: &SetFolder) -> Result<()> {
        let environment = self.environment;
        let folder = environment.state.uploads(target.place.record.id);
        let act = || format!("looking through {}", folder.display());
        environment.host.files.create_folder(&folder).doing(act())?;
        for (path, _) in environment.host.files.list(&folder).doing(act())? {
            let object = journaled_object(environment, &path);
            // Other sets may send to the same storage.
            let is_ours =
                object.as_ref().is_none_or(|object| object.starts_with(&format!("{}/", target.name)));
            let is_wanted = object.is_some_and(|object| {
                let is_of = |lacking: &LackingBackup| object.starts_with(&format!("{}/", lacking.folder));
                self.destination.lacking.iter().any(is_of)
            });
            if is_ours && !is_wanted {
                forget_journal(environment, &path)?;
            }
        }
        Ok(())
    }

    /// Removes what dead runs left of backups that are not to go there any more. What is still to go there is gone on with.
    fn sweep(&self, target: &SetFolder, listing: &Listing) -> Result<()> {
        let environment = self.environment;
        let act = || format!("listing what is known to be at {}", target.place.record.title);
        let known = environment.wait(environment.catalog.list_replicas()).doing(act())?;
        for folder in &listing.without_manifest {
            let path = format!("{}/{folder}", target.name);
            let is_known = known
                .iter()
                .any(|replica| replica.storage == target.place.record.id && replica.folder == path);
            if !is_known {
                target.sweep(environment, folder)?;
            }
        }
        Ok(())
    }
}

fn is_sealed(backup: &Backup) -> bool {
    !backup.detail["sealed_for"].is_null()
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
