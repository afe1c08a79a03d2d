//! Restoring a backup into a scratch place, to know that it can be: load and extract as a restore does, compare everything
//! with the index, look whether it is a working shop, measure the time, and remove everything again.
//!
//! The shop itself is not touched, and its lock is not taken: a drill only reads the backup, which its lease keeps. What
//! it makes lies in a folder of its own and on a server or in a schema of its own; a journal names them before they are
//! made, and the next start removes what a drill that died has left ([`scratch`]).

mod database;
mod files;
mod keys;
mod page;
mod report;
mod sanity;
mod scratch;
mod settings;

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstock_catalog::{Backup, Drill};
use backstock_database::ServerSettings;
use backstock_host::failpoint;
use backstock_vocabulary::{ArtifactKind, Content, Proof, ReplicaState, RunId, RunKind};

pub use page::drill_page;
pub use report::{
    DrillReport, DrillStep, DrillVerdict, DrilledDatabase, DrilledFiles, DrilledTable, SanityResult,
    SanityState,
};
pub use scratch::sweep_dead_drills;
pub use settings::{DrillSettings, is_drill_due};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::{Expected, Monitor, Phase};
use crate::run::{RunRecord, RunSubject};
use crate::show::shop_of;
use crate::stored::StoredBackup;
use scratch::Scratch;

/// Where the scratch database is made.
#[derive(Debug, Clone)]
pub enum DrillServer {
    /// On a private server that is started for it, with the programs in this folder or those of the machine.
    Private {
        /// Where the server programs are.
        programs: Option<PathBuf>,
    },
    /// In a new schema on this server.
    Given(ServerSettings),
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct DrillRequest {
    /// Where the scratch database is made.
    pub server: DrillServer,
    /// The folder below which the scratch folder is made; the state folder when nothing is given.
    pub scratch: Option<PathBuf>,
    /// Folders that web servers publish.
    pub web_roots: Vec<PathBuf>,
    /// Whether the backup was made just now, so that its own key is in memory: what it builds on is restored where something
    /// that was given opens it, nobody is asked, and else the drill is one in part.
    pub is_of_the_new: bool,
}

/// Drills a backup. Damage and differences are no error: they stand in the report, and the backup is then recorded as not
/// restorable.
///
/// # Errors
/// What kept the drill from coming to a result: no server, no room, a signal, a server that died. Nothing is left of it.
pub fn drill(
    environment: &Environment,
    backup: Backup,
    request: &DrillRequest,
    monitor: &dyn Monitor,
) -> Result<DrillReport> {
    if backup.content == Content::Unusable {
        let message = format!("the backup {} is marked unusable", backup.id.short());
        return Err(OperationError::plain(ErrorKind::Refused, message));
    }
    let shop = shop_of(environment, backup.shop)?;
    let subject = RunSubject {
        kind: RunKind::Drill,
        shop: shop.id,
        shop_title: shop.title.clone(),
        set: Some(backup.set),
        set_title: String::new(),
    };
    let detail = serde_json::json!({ "backup": backup.id });
    let mut run = RunRecord::start_within(environment, &subject, detail, Vec::new())?;
    let report = DrillReport::new(run.id, &backup, shop.title.clone(), environment.host.clock.now());
    let drilling = Drilling { environment, request, monitor, run: run.id, started: Instant::now(), report };
    let result = drilling.run(backup).and_then(|(report, stored)| {
        record(environment, &report, stored.as_ref())?;
        Ok(report)
    });
    match result {
        Ok(report) => {
            run.detail = serde_json::json!({ "backup": report.backup, "verdict": report.verdict });
            run.finish(environment, report.verdict.outcome())?;
            Ok(report)
        }
        Err(error) => {
            run.fail(environment, &error);
            Err(error)
        }
    }
}

/// The names of a kept report.
const REPORT_NAMES: [&str; 2] = ["report.html", "report.json"];

/// Refuses a folder that holds a report already: that one is to be kept. Asked before the drill.
pub fn refuse_kept_report(environment: &Environment, folder: &Path) -> Result<()> {
    for name in REPORT_NAMES {
        let file = folder.join(name);
        if environment.host.files.stat(&file).doing(format!("looking for {}", file.display()))?.is_some() {
            let message = format!("{} is there already", file.display());
            return Err(OperationError::hinted(
                ErrorKind::Declined,
                message,
                "give another folder with --report",
            ));
        }
    }
    Ok(())
}

/// Keeps a report as a page and as JSON.
pub fn keep_drill_report(
    environment: &Environment,
    folder: &Path,
    report: &DrillReport,
    json: &[u8],
) -> Result<()> {
    let act = || format!("keeping the report in {}", folder.display());
    let files = &environment.host.files;
    files.create_folder(folder).doing(act())?;
    let page = drill_page(report).into_bytes();
    for (name, bytes) in REPORT_NAMES.into_iter().zip([page.as_slice(), json]) {
        files.write_durably(&folder.join(name), bytes).doing(act())?;
    }
    Ok(())
}

/// One drill under way.
struct Drilling<'a> {
    environment: &'a Environment,
    request: &'a DrillRequest,
    monitor: &'a dyn Monitor,
    run: RunId,
    started: Instant,
    report: DrillReport,
}

impl Drilling<'_> {
    fn run(mut self, backup: Backup) -> Result<(DrillReport, Option<StoredBackup>)> {
        let stored = match StoredBackup::open(self.environment, backup) {
            Ok(stored) => stored,
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.report.damage(chain(&error));
                return Ok((self.ended(), None));
            }
            Err(error) => return Err(error),
        };
        self.report.folder.clone_from(&stored.replica.folder);
        self.report.stored_bytes = stored.signed.manifest.stored_bytes();
        self.monitor.phase(Phase::Preparing, Expected::default());
        if self.request.is_of_the_new && !keys::opens_the_chain(self.environment, &stored)? {
            self.report.unopened_files = Some(0);
        }
        let mut scratch = match self.prepare(&stored) {
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.report.damage(chain(&error));
                return Ok((self.ended(), Some(stored)));
            }
            other => other?,
        };
        let restored = self.restore(&stored, &mut scratch);
        let report = match restored {
            Ok(()) => Ok(self.ended()),
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.report.damage(chain(&error));
                Ok(self.ended())
            }
            Err(error) if is_difference(&error) => {
                self.report.fault(chain(&error));
                Ok(self.ended())
            }
            Err(error) => Err(error),
        };
        self.monitor.phase(Phase::Finishing, Expected::default());
        let removed = failpoint::reach("drill.before_removal").doing("ending the drill");
        let cleared = scratch.remove();
        // What ended the drill matters more than what ended its removal.
        let report = report?;
        cleared?;
        removed?;
        Ok((report, Some(stored)))
    }

    fn prepare(&mut self, stored: &StoredBackup) -> Result<Scratch> {
        let needed_bytes =
            files::needed_bytes(self.environment, stored, self.report.unopened_files.is_some())?
                + database::needed_bytes(self.environment, stored, &self.request.server)?;
        let scratch = Scratch::create(self.environment, self.run, stored, self.request, needed_bytes)?;
        failpoint::reach("drill.prepared").doing("preparing the drill")?;
        Ok(scratch)
    }

    fn restore(&mut self, stored: &StoredBackup, scratch: &mut Scratch) -> Result<()> {
        if stored.has(ArtifactKind::Database) {
            database::drill(self, stored, scratch)?;
        }
        if stored.has(ArtifactKind::Files) {
            files::drill(self, stored, scratch)?;
        }
        if self.monitor.is_cancelled() { Err(crate::backup::interrupted()) } else { Ok(()) }
    }

    /// Does one step and notes how long it took.
    fn timed<T>(&mut self, what: &str, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = act(self);
        self.report.steps.push(DrillStep { what: what.to_owned(), elapsed_ms: milliseconds(began) });
        result
    }

    /// The report with its end; what takes place afterwards is the removal alone.
    fn ended(&self) -> DrillReport {
        let mut report = self.report.clone();
        report.finished = self.environment.host.clock.now();
        report.elapsed_ms = milliseconds(self.started);
        report.judge();
        report
    }
}

fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Whether the scratch server holds something else than the backup says, or will not take it: that is a result.
fn is_difference(error: &OperationError) -> bool {
    use backstock_database::Error::{Definition, NotEqual, NotTaken, Sql};
    let OperationError::Database { source, .. } = error else { return false };
    matches!(**source, NotEqual { .. } | NotTaken { .. } | Definition { .. } | Sql { .. })
}

/// What the drill found goes to the catalog: a proven replica counts as verified, a damaged one never as a copy. A fault of
/// the scratch server says nothing about the stored bytes.
fn record(environment: &Environment, report: &DrillReport, stored: Option<&StoredBackup>) -> Result<()> {
    let act = "recording what the drill found";
    let replicas = match stored {
        Some(stored) => vec![stored.replica.clone()],
        None => environment.wait(environment.catalog.replicas(report.backup)).doing(act)?,
    };
    // One in part proves nothing of the replica: it cannot be restored from its own archives alone.
    let is_proven = matches!(report.verdict, DrillVerdict::Proven | DrillVerdict::ProvenExcept);
    if let Some(replica) = replicas.first() {
        let drill = Drill {
            run: report.run,
            backup: report.backup,
            storage: replica.storage,
            outcome: report.verdict.outcome(),
            is_in_part: report.verdict == DrillVerdict::ProvenInPart,
            finished: report.finished,
            elapsed_ms: report.elapsed_ms,
        };
        environment.wait(environment.catalog.add_drill(&drill)).doing(act)?;
    }
    for mut replica in replicas.into_iter().filter(|_| is_proven || report.is_damaged) {
        replica.checked = Some(report.finished);
        if is_proven {
            (replica.state, replica.proof) = (ReplicaState::Verified, Some(Proof::Drilled));
        } else {
            replica.state = ReplicaState::Damaged;
        }
        environment.wait(environment.catalog.record_check(&replica)).doing(act)?;
    }
    Ok(())
}
