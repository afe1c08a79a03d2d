//! Copies that begin while their backup is still being made: each part goes to the destinations as soon as it is whole.
//!
//! Nothing of it can be seen there: the manifest goes last, when the backup is on record, by the usual way, which does not send again what
//! was confirmed here. Whatever stops such a copy, the usual one goes on where it stopped and tells what is wrong. What a backup that
//! came to nothing leaves at a destination has no manifest and is known to no catalog: it is removed at once, or by the next run.
//!
//! A set that keeps nothing on this machine is made at one of its destinations, by a lane like the others, and its parts leave the spool
//! when every lane is done with them ([`super::passing`]).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};

use backstock_archive::Part;
use backstock_catalog::Destination;
use backstock_vocabulary::{DestinationId, Proof, Reason};

use super::lane::{Lane, Way, Whole};
use super::passing::{Passing, SPOOL_LIMIT_BYTES};
use super::plan::{DestinationPlan, plan_replication, set_folder_at};
use super::prepare::{Coming, Prepared};
use crate::backup::BackupPlan;
use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, OperationError, Result, chain};
use crate::monitor::Monitor;

/// What each destination got while the backup was made.
pub(crate) type EarlyCopies = HashMap<DestinationId, EarlyParts>;

/// What one destination got while the backup was made.
#[derive(Debug, Default)]
pub(crate) struct EarlyParts {
    /// The destination, where it was made ready.
    pub(super) prepared: Option<Prepared>,
    /// Parts that are there, by their paths below the set's folder, with what that rests on.
    pub(super) proofs: HashMap<String, Proof>,
    /// What was sent, in bytes.
    pub(super) sent_bytes: u64,
}

/// A backup that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unmade<'a> {
    pub(crate) plan: &'a BackupPlan,
    /// The set's folder at the place that it is made at.
    pub(crate) target: &'a SetFolder,
    /// The folder that it will have in that.
    pub(crate) folder: &'a str,
    /// The number that it will have.
    pub(crate) sequence: u64,
}

/// Whoever tells the destinations of parts that are whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    lanes: Vec<Sender<Whole>>,
    passing: Option<Arc<Passing>>,
}

impl Offers {
    /// Whether anybody wants to hear of parts.
    pub(crate) fn are_wanted(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// Tells of a part, whose name is its path below the folder of the backup, that lies whole in a file.
    pub(crate) fn offer(&self, part: &Part, path: &Path) {
        if let Some(passing) = &self.passing {
            passing.add(path, part.size_bytes);
        }
        for lane in &self.lanes {
            // One that has ended hears of it by the usual way.
            drop(lane.send(Whole { part: part.clone(), path: path.to_owned() }));
        }
    }

    /// Waits until there is room for one more part, where the spool has a limit.
    pub(crate) fn wait_for_room(&self) {
        if let Some(passing) = &self.passing {
            passing.wait_for_room();
        }
    }

    /// Whether nothing can come of the backup any more, because the place that it is made at has failed.
    pub(crate) fn have_failed(&self) -> bool {
        self.passing.as_ref().is_some_and(|passing| passing.has_failed())
    }
}

/// The copies that are being made of a backup that is being made.
pub(crate) struct Uploads<'scope> {
    offers: Offers,
    is_over: Arc<AtomicBool>,
    threads: Vec<(Option<DestinationId>, ScopedJoinHandle<'scope, EarlyParts>)>,
}

impl<'scope> Uploads<'scope> {
    /// Begins with the destinations of the set; a safety snapshot stays where it is made.
    pub(crate) fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        environment: &'env Environment,
        unmade: Unmade<'_>,
        monitor: &'env dyn Monitor,
    ) -> Result<Self> {
        let mut uploads = Self { offers: Offers::default(), is_over: Arc::default(), threads: Vec::new() };
        let plan = unmade.plan;
        if plan.reason == Reason::PreRestore {
            return Ok(uploads);
        }
        let lane = |destination: &Destination, way| Lane {
            environment,
            settings: destination.settings.clone(),
            way,
            folder: unmade.folder.to_owned(),
            home: plan.place.folder().ok().map(|folder| folder.join(&plan.set_folder)),
            monitor,
            is_over: Arc::clone(&uploads.is_over),
            number: 0,
            passing: None,
        };
        let mut lanes = Vec::new();
        if let Some(home) = &plan.home {
            uploads.offers.passing = Some(Arc::new(Passing::new(&environment.host, SPOOL_LIMIT_BYTES)));
            lanes.push((None, lane(home, Way::Home(unmade.target.clone()))));
        }
        let replication = plan_replication(environment, &plan.shop, &plan.set, plan.take_over)?;
        for destination in replication.destinations {
            if destination.storage.id != plan.place.record.id {
                let (id, row) = (destination.destination.id, destination.destination.clone());
                let coming = coming(&destination, unmade);
                let made_at = unmade.target.clone();
                let destination = Box::new(destination);
                let way = Way::Away { destination, coming, made_at, take_over: plan.take_over };
                lanes.push((Some(id), lane(&row, way)));
            }
        }
        for (number, (id, lane)) in lanes.into_iter().enumerate() {
            uploads.start(scope, id, Lane { number, passing: uploads.offers.passing.clone(), ..lane })?;
        }
        Ok(uploads)
    }

    fn start<'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        destination: Option<DestinationId>,
        lane: Lane<'env>,
    ) -> Result<()> {
        let (offers, offered) = channel();
        if let Some(passing) = &self.offers.passing {
            passing.join(lane.number);
        }
        let builder = std::thread::Builder::new().name("backstock-copy".to_owned());
        let thread =
            builder.spawn_scoped(scope, move || lane.run(&offered)).doing("starting a thread that copies")?;
        self.offers.lanes.push(offers);
        self.threads.push((destination, thread));
        Ok(())
    }

    /// Whoever tells the destinations of parts.
    pub(crate) fn offers(&self) -> Offers {
        self.offers.clone()
    }

    /// Why nothing can come of the backup, where that is the fault of the place that it is made at.
    pub(crate) fn failure(&self) -> Option<OperationError> {
        self.offers.passing.as_ref().and_then(|passing| passing.take_failure())
    }

    /// Waits until the place that the backup is made at has every part, where parts go there by a lane.
    pub(crate) fn wait_for_home(&self, monitor: &dyn Monitor) -> Result<()> {
        let Some(passing) = &self.offers.passing else { return Ok(()) };
        passing.wait_for_home(&|| monitor.is_cancelled(), &|bytes| monitor.bytes(bytes))
    }

    /// Waits until no part is wanted from the spool any more, where it keeps none.
    pub(crate) fn wait_for_all(&self, monitor: &dyn Monitor) {
        if let Some(passing) = &self.offers.passing {
            passing.wait_for_all(&|| monitor.is_cancelled());
        }
    }

    /// Ends what can go on later, and gives what is there. What is there of a backup that was not made is removed.
    pub(crate) fn end(self, environment: &Environment, unmade: Unmade<'_>, is_made: bool) -> EarlyCopies {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.offers);
        let mut copies = EarlyCopies::new();
        for (destination, thread) in self.threads {
            let parts = thread.join().unwrap_or_else(|panic| {
                // The usual way begins anew there, once the backup is made.
                let error = OperationError::panicked("a copy that was made with the backup", &*panic);
                tracing::warn!("{error}");
                EarlyParts::default()
            });
            // What the place has that it is made at is the backup itself.
            copies.extend(destination.map(|destination| (destination, parts)));
        }
        if !is_made {
            for Prepared { target, .. } in copies.values().filter_map(|parts| parts.prepared.as_ref()) {
                if let Err(error) = target.sweep(environment, unmade.folder) {
                    let title = &target.place.record.title;
                    tracing::warn!(
                        "what {title} has of the backup is left for the next run: {}",
                        chain(&error)
                    );
                }
            }
        }
        copies
    }
}

/// What is to go to a destination: what it lacks, and the backup that is about to be made.
fn coming(destination: &DestinationPlan, unmade: Unmade<'_>) -> Vec<Coming> {
    let mut coming = Coming::all(destination);
    let folder = format!("{}/{}", unmade.plan.set_folder, unmade.folder);
    coming.push(Coming {
        folder: set_folder_at(&destination.destination, &folder),
        sequence: unmade.sequence,
        is_owed: true,
        is_sealed: !unmade.plan.recipients.is_empty(),
    });
    coming
}
