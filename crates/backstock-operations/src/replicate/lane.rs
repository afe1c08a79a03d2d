//! One place that is sent parts while the backup is still being made, on a thread of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use backstock_archive::Part;
use backstock_host::failpoint;
use backstock_storage::KINDS;

use super::copy::{Copier, Failure};
use super::early::EarlyParts;
use super::limits;
use super::passing::{HOME, Passing};
use super::plan::DestinationPlan;
use super::prepare::{Coming, Preparation, Prepared, forget_strange_journals};
use super::upload::Pace;
use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::{Expected, Monitor, Phase};

/// A part that is whole.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// With the path below the backup's folder as its name.
    pub(super) part: Part,
    /// Where it lies until it is put to the first place, or goes.
    pub(super) path: PathBuf,
}

/// What a place is to the backup.
pub(super) enum Way {
    /// It is made there; this is the set's folder, which is ready.
    Home(SetFolder),
    /// It gets a copy.
    Away { destination: Box<DestinationPlan>, coming: Vec<Coming>, made_at: SetFolder, take_over: bool },
}

/// One place that is sent parts.
pub(super) struct Lane<'env> {
    pub(super) environment: &'env Environment,
    /// What its row says: limits, hours.
    pub(super) settings: serde_json::Value,
    pub(super) way: Way,
    /// The folder of the backup in that of its set.
    pub(super) folder: String,
    /// The set's folder at the first place, if that is one of this machine: there parts lie once they are put.
    pub(super) home: Option<PathBuf>,
    pub(super) monitor: &'env dyn Monitor,
    pub(super) is_over: Arc<AtomicBool>,
    /// [`HOME`] where the backup is made by a lane.
    pub(super) number: usize,
    /// Where parts leave the spool when all are done with them.
    pub(super) passing: Option<Arc<Passing>>,
}

impl Lane<'_> {
    pub(super) fn run(self, offered: &Receiver<Whole>) -> EarlyParts {
        let mut parts = EarlyParts::default();
        let _leaves = Leaves(self.passing.as_deref().map(|passing| (passing, self.number)));
        let monitor = UntilMade {
            monitor: self.monitor,
            is_over: &self.is_over,
            may_be_cut: self.goes_on_after_a_cut(),
            passing: self
                .passing
                .as_deref()
                .filter(|_| !self.is_home())
                .map(|passing| (passing, self.number)),
        };
        let result = self.copy(offered, &monitor, &mut parts);
        let failure = match result {
            Err(error) if self.is_home() => Some(error),
            Err(error) => {
                if !self.is_over.load(Ordering::Relaxed) {
                    tracing::info!(
                        "copies to {} wait until the backup is made: {}",
                        self.title(),
                        chain(&error)
                    );
                }
                None
            }
            Ok(()) => None,
        };
        // Told before it leaves: nobody shall take what it lacks for done.
        if let (Some(passing), Some(_)) = (&self.passing, &failure) {
            passing.leave(self.number, failure);
        }
        parts
    }

    fn is_home(&self) -> bool {
        matches!(self.way, Way::Home(_))
    }

    fn title(&self) -> &str {
        match &self.way {
            Way::Home(target) => &target.place.record.title,
            Way::Away { destination, .. } => &destination.storage.title,
        }
    }

    /// Whether an upload there that was cut off goes on where it stopped.
    fn goes_on_after_a_cut(&self) -> bool {
        let kind = match &self.way {
            Way::Home(target) => &target.place.record.kind,
            Way::Away { destination, .. } => &destination.storage.kind,
        };
        KINDS.iter().any(|known| known.name == kind && known.resumes)
    }

    fn copy(&self, offered: &Receiver<Whole>, monitor: &dyn Monitor, parts: &mut EarlyParts) -> Result<()> {
        let environment = self.environment;
        let pace = Arc::new(Pace::of(limits::read(&self.settings)?));
        if !pace.is_open(&environment.host) {
            return Err(OperationError::plain(ErrorKind::Refused, "it may not be sent to at this hour"));
        }
        let copier = Copier {
            environment,
            prepared: self.prepare(monitor)?,
            early: HashMap::new(),
            pace,
            // Everything lies on this machine.
            spool: PathBuf::new(),
            monitor,
            sent: AtomicU64::new(0),
        };
        let mut result = Ok(());
        for Whole { part, path } in offered {
            let is_over = self.is_over.load(Ordering::Relaxed);
            if is_over || monitor.is_cancelled() {
                break;
            }
            let reached =
                failpoint::reach(&format!("replicate.part_of_lane_{}", self.number)).doing("sending a part");
            let put = reached.map_err(Failure::Other);
            match put.and_then(|()| self.put(&copier, &part, &path)) {
                Ok(proof) => {
                    parts.proofs.insert(format!("{}/{}", self.folder, part.name), proof);
                    if let Some(passing) = &self.passing {
                        passing.done(self.number, &path);
                    }
                }
                Err(Failure::Source(error) | Failure::Other(error)) => {
                    result = Err(error);
                    break;
                }
            }
        }
        parts.sent_bytes = copier.sent.load(Ordering::Relaxed);
        parts.prepared = Some(copier.prepared);
        result
    }

    /// Puts a part. When it is moved to the first place meanwhile, an upload that reads it piece by piece finds it no more, and goes
    /// on with it there.
    fn put(
        &self,
        copier: &Copier<'_>,
        part: &Part,
        path: &Path,
    ) -> std::result::Result<backstock_vocabulary::Proof, Failure> {
        loop {
            let present = self.present(part, path);
            match copier.put(&self.folder, part, &present) {
                Err(_) if self.present(part, path) != present => {}
                result => return result,
            }
        }
    }

    fn prepare(&self, monitor: &dyn Monitor) -> Result<Prepared> {
        let environment = self.environment;
        match &self.way {
            Way::Home(target) => {
                forget_strange_journals(environment, target, &[])?;
                Ok(Prepared { target: target.clone(), tombstones: Vec::new() })
            }
            Way::Away { destination, coming, made_at, take_over } => {
                let take_over = *take_over;
                let made_at = Some(made_at);
                Preparation { environment, destination, coming, made_at, take_over, monitor }.prepare()
            }
        }
    }

    /// Where a part lies now: at the first place, once it was moved there.
    fn present(&self, part: &Part, path: &Path) -> PathBuf {
        match &self.home {
            Some(home) if !path.exists() => home.join(&self.folder).join(&part.name),
            _ => path.to_owned(),
        }
    }
}

/// Leaves the run when its thread ends, even by a panic: nobody waits for ever for a lane that is gone.
struct Leaves<'a>(Option<(&'a Passing, usize)>);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if let Some((passing, number)) = self.0 {
            // A place that the backup is made at and that is gone has not all of it.
            let is_lost = number == HOME && std::thread::panicking();
            let lost = || {
                let words = "storing the backup at its first place ended by a fault in the program";
                OperationError::plain(ErrorKind::Failed, words)
            };
            passing.leave(number, is_lost.then(lost));
        }
    }
}

/// Shows nothing, and asks to stop when the backup is made: what then remains is shown by the usual way.
struct UntilMade<'a> {
    monitor: &'a dyn Monitor,
    is_over: &'a AtomicBool,
    /// Whether an upload goes on where it was stopped.
    may_be_cut: bool,
    /// Where a lane that lags is put out of the run, and which it is.
    passing: Option<(&'a Passing, usize)>,
}

impl Monitor for UntilMade<'_> {
    fn phase(&self, _phase: Phase, _expected: Expected) {}
    fn bytes(&self, _count: u64) {}
    fn table(&self, _name: &str, _more_rows: u64) {}
    fn item(&self, _name: &str) {}
    fn note(&self, _text: &str) {}
    fn problem(&self, _text: &str) {}

    fn beside(&self) -> Box<dyn Monitor + '_> {
        Box::new(Self { ..*self })
    }

    fn is_cancelled(&self) -> bool {
        (self.may_be_cut && self.is_over.load(Ordering::Relaxed))
            || self.passing.is_some_and(|(passing, number)| !passing.has(number))
            || self.monitor.is_cancelled()
    }
}
