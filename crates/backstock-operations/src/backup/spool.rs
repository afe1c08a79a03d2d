//! Writing the artifacts and indexes of one backup into the spool: the local folder that stands between reading a
//! shop and storing its backup, so that no read ever waits for an upload.
//!
//! Database and files are read side by side: each leaves a part of the machine idle, and the files are those of a time
//! nearer to the rows'. They share the memory for their frames. The first failure of one ends the other.

mod asked;
mod database;
mod files;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread;

use backstock_archive::manifest::{ExceptionCounts, ManifestArtifact};
use backstock_archive::seal::{ArtifactSeal, BackupSeal, OpenedPart, SealedHeader};
use backstock_archive::tree::{Exclusions, TreeReport};
use backstock_archive::{ArtifactOptions, FrameRoom, Part, PartEnded, ReadAt, layout};
use backstock_database::{DatabaseFacts, RawText, ServerFacts};
use backstock_vocabulary::{ArtifactKind, BackupId, Codec, Content, RunId};
use serde::{Deserialize, Serialize};

use super::interrupted;
use super::plan::BackupPlan;
use super::report::{ReportedProblem, SUSPECT};
pub(crate) use asked::AskedTables;

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels::{ChainLink, ChosenLevel};
use crate::monitor::{Expected, Monitor, Phase};
use crate::replicate::{Offers, Uploads};
use crate::spool_folder::SpoolFolder;
use crate::suspicion::{Judged, Suspicion, TableCounts};

pub(crate) use database::{dump_to_folder, object_key};
pub(crate) use files::add_file_problems;

/// Space that a backup never touches on the spool's disk, in bytes.
pub(crate) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// What the index of a database artifact says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DatabaseHeader {
    pub(crate) shop: ShopHeader,
    /// Which tables were asked for; not told by the first backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selection: Option<AskedTables>,
}

/// What the index of a files artifact says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FilesHeader {
    pub(crate) shop: ShopHeader,
    /// Which folder each prefix stood for.
    pub(crate) roots: Vec<RootHeader>,
    /// What was left out: a restore neither compares it nor takes it for extra.
    pub(crate) exclusions: Exclusions,
    /// What the definition hash is made of, each input by its label, so that it can be told what differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) definition: Vec<(String, String)>,
    /// The backups that it builds on, the full one first: `held_by` counts in this list, and its length means the backup itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) chain: Vec<ChainLink>,
}

/// The shop, so that a rebuilt catalog knows it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShopHeader {
    pub(crate) title: String,
    pub(crate) platform: String,
    pub(crate) root: RawText,
    pub(crate) set_title: String,
    /// When shop and set were first known, so that a rebuilt catalog equals the lost one.
    pub(crate) shop_created: jiff::Timestamp,
    pub(crate) set_created: jiff::Timestamp,
    /// What the platform said of the shop, for a restore into one that cannot be recognised any more. No password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layout: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RootHeader {
    pub(crate) prefix: RawText,
    pub(crate) folder: RawText,
}

/// What the index of a database artifact says last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DatabaseSummary {
    pub(crate) server: ServerFacts,
    pub(crate) database: DatabaseFacts,
    pub(crate) rows: u64,
    pub(crate) attempts: u32,
    pub(crate) guarded: bool,
    pub(crate) one_point_in_time: bool,
    pub(crate) not_in_snapshot: Vec<RawText>,
    pub(crate) problems: Vec<ReportedProblem>,
}

/// What the index of a files artifact says last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FilesSummary {
    pub(crate) report: TreeReport,
}

/// What was made of the database, of the files, or of both.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) artifacts: Vec<ManifestArtifact>,
    pub(super) exceptions: ExceptionCounts,
    pub(super) problems: Vec<ReportedProblem>,
    pub(super) tables: u64,
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) content_bytes: u64,
    pub(super) unchanged_files: u64,
    pub(super) removed_files: u64,
    /// The rows of each table.
    pub(super) table_counts: Option<TableCounts>,
    /// Why it is suspect, where it is.
    pub(super) suspicions: Vec<Suspicion>,
}

impl Gathered {
    /// What the backup is worth.
    pub(super) fn content(&self, plan: &BackupPlan) -> Content {
        if plan.unusable.is_some() {
            Content::Unusable
        } else if !self.suspicions.is_empty() {
            Content::Suspect
        } else if self.exceptions.database + self.exceptions.files > 0 {
            Content::WholeExcept
        } else {
            Content::Whole
        }
    }

    /// Takes in what a comparison with the last backup that counts came to.
    pub(super) fn judge(&mut self, judged: Judged) {
        let reasons = judged.suspicions.iter();
        let reasons = reasons.map(|one| ReportedProblem::note(SUSPECT, one.subject.clone(), one.message()));
        self.problems.extend(reasons);
        self.exceptions.notes += judged.notes.len() as u64;
        self.problems.extend(judged.notes);
        self.suspicions = judged.suspicions;
    }

    fn add(&mut self, other: Self) {
        self.artifacts.extend(other.artifacts);
        self.exceptions.database += other.exceptions.database;
        self.exceptions.files += other.exceptions.files;
        self.exceptions.notes += other.exceptions.notes;
        self.problems.extend(other.problems);
        self.tables += other.tables;
        self.rows += other.rows;
        self.files += other.files;
        self.content_bytes += other.content_bytes;
        self.unchanged_files += other.unchanged_files;
        self.removed_files += other.removed_files;
        self.table_counts = self.table_counts.take().or(other.table_counts);
        self.suspicions.extend(other.suspicions);
    }
}

/// Everything of one backup but its manifest, durable in the spool.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) folder: PathBuf,
    _in_use: SpoolFolder,
    pub(super) gathered: Gathered,
}

impl Spooled {
    pub(super) fn stored_bytes(&self) -> u64 {
        self.gathered.artifacts.iter().map(ManifestArtifact::stored_bytes).sum()
    }

    pub(super) fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }

    pub(super) fn remove(&self, environment: &Environment) -> Result<()> {
        environment
            .host
            .files
            .remove_tree(&self.folder)
            .doing(format!("removing the spool {}", self.folder.display()))
    }
}

/// What both halves work with.
struct Spooling<'a> {
    environment: &'a Environment,
    plan: &'a BackupPlan,
    folder: &'a Path,
    backup: BackupId,
    chosen: &'a ChosenLevel,
    room: Arc<FrameRoom>,
    seal: Option<&'a Arc<BackupSeal>>,
    offers: &'a Offers,
}

impl Spooling<'_> {
    /// How an artifact is sealed, if the backup is.
    fn seal(&self, artifact: ArtifactKind) -> Option<ArtifactSeal> {
        self.seal.map(|seal| ArtifactSeal::of(seal, artifact))
    }

    /// The text of an only part that was just written, whether it is sealed or not.
    fn written_text(&self, folder: &Path, part: &Part) -> Result<Box<dyn ReadAt>> {
        let path = folder.join(&part.name);
        let act = || format!("reading back {}", path.display());
        let stored: Box<dyn ReadAt> = Box::new(self.environment.host.files.open(&path).doing(act())?);
        let Some(seal) = self.seal else { return Ok(stored) };
        let header = SealedHeader::read(&stored, &part.name).doing(act())?;
        let opened = OpenedPart::open(stored, &part.name, &header, seal.key(), 1, &Arc::default());
        Ok(Box::new(opened.doing(act())?))
    }

    fn options(&self, artifact: ArtifactKind, usual: fn(Codec, usize) -> ArtifactOptions) -> ArtifactOptions {
        let seal = self.seal(artifact);
        let part_size_bytes = self.plan.part_size.bytes();
        let usual = usual(self.plan.codec, processors());
        ArtifactOptions { reserve_bytes: RESERVE_BYTES, part_size_bytes, seal, ..usual }
    }

    /// Who is told of parts of an artifact while later ones are still being written.
    fn ended(&self, artifact: ArtifactKind) -> Option<PartEnded> {
        let (offers, spool) = (self.offers.clone(), self.folder.to_owned());
        let tell = move |part: &Part| {
            offer(&offers, &spool, artifact, part);
            offers.wait_for_room();
        };
        self.offers.are_wanted().then(|| PartEnded::new(tell))
    }

    /// Tells the destinations of parts that are whole.
    fn offer(&self, artifact: ArtifactKind, parts: &[Part]) {
        for part in parts {
            offer(self.offers, self.folder, artifact, part);
        }
    }
}

fn offer(offers: &Offers, spool: &Path, artifact: ArtifactKind, part: &Part) {
    let name = format!("{}/{}", layout::artifact_folder(artifact), part.name);
    let path = spool.join(&name);
    offers.offer(&Part { name, ..part.clone() }, &path);
}

/// Which backup is spooled, and how.
pub(super) struct SpooledBackup<'a> {
    pub(super) run: RunId,
    pub(super) backup: BackupId,
    pub(super) seal: Option<&'a Arc<BackupSeal>>,
    pub(super) chosen: &'a ChosenLevel,
    /// Who wants to hear of parts that are whole.
    pub(super) uploads: &'a Uploads<'a>,
}

/// Reads the shop into the spool.
pub(super) fn spool(
    environment: &Environment,
    plan: &BackupPlan,
    made: &SpooledBackup<'_>,
    monitor: &dyn Monitor,
) -> Result<Spooled> {
    let in_use = SpoolFolder::create(environment, made.run)?;
    let folder = in_use.path().to_owned();
    let mut gathered = Gathered::default();
    if let Some(why) = &plan.unusable {
        gathered.problems.push(ReportedProblem::exception(
            "unfinished-restore",
            plan.shop.title.clone(),
            why,
        ));
    }
    let room = FrameRoom::for_workers(processors());
    let SpooledBackup { backup, seal, chosen, uploads, .. } = *made;
    let offers = &uploads.offers();
    let spooling = Spooling { environment, plan, folder: &folder, backup, chosen, room, seal, offers };
    for half in side_by_side(&spooling, monitor)? {
        gathered.add(half);
    }
    if monitor.is_cancelled() {
        return Err(interrupted());
    }
    backstock_host::failpoint::reach("backup.spooled").doing("ending the spool")?;
    Ok(Spooled { folder, _in_use: in_use, gathered })
}

/// Both halves at the same time, as far as the plan wants them; the database first in what is returned.
fn side_by_side(spooling: &Spooling<'_>, monitor: &dyn Monitor) -> Result<Vec<Gathered>> {
    let failure = OnceLock::new();
    let lane = |phase: Phase| {
        let lane = Lane { monitor: monitor.beside(), failure: &failure, offers: spooling.offers };
        lane.phase(phase, Expected::default());
        lane
    };
    let halves = thread::scope(|scope| {
        let database = spooling.plan.database.as_ref().map(|database| {
            let lane = lane(Phase::Dumping);
            scope.spawn(move || lane.settle(database::spool(spooling, database, &lane)))
        });
        let files = spooling.plan.files.as_ref().map(|files| {
            let lane = lane(Phase::Archiving);
            lane.settle(files::spool(spooling, files, &lane))
        });
        let died = |_| {
            let what = "the dump of the database died";
            failure.get_or_init(|| OperationError::plain(ErrorKind::Failed, what));
            None
        };
        [database.and_then(|thread| thread.join().unwrap_or_else(died)), files.flatten()]
    });
    match failure.into_inner() {
        None => Ok(halves.into_iter().flatten().collect()),
        Some(error) => Err(error),
    }
}

/// What watches one half, and ends it when the other has failed.
struct Lane<'a> {
    monitor: Box<dyn Monitor + 'a>,
    /// The first failure of either: what comes after it is the end that it brought about.
    failure: &'a OnceLock<OperationError>,
    /// Nothing can come of either when these have failed.
    offers: &'a Offers,
}

impl Lane<'_> {
    fn settle(&self, result: Result<Gathered>) -> Option<Gathered> {
        result.map_err(|error| self.failure.get_or_init(|| error)).ok()
    }
}

impl Monitor for Lane<'_> {
    fn phase(&self, phase: Phase, expected: Expected) {
        self.monitor.phase(phase, expected);
    }

    fn bytes(&self, count: u64) {
        self.monitor.bytes(count);
    }

    fn table(&self, name: &str, more_rows: u64) {
        self.monitor.table(name, more_rows);
    }

    fn item(&self, name: &str) {
        self.monitor.item(name);
    }

    fn note(&self, text: &str) {
        self.monitor.note(text);
    }

    fn problem(&self, text: &str) {
        self.monitor.problem(text);
    }

    fn wants_totals(&self) -> bool {
        self.monitor.wants_totals()
    }

    fn beside(&self) -> Box<dyn Monitor + '_> {
        Box::new(Lane { monitor: self.monitor.beside(), ..*self })
    }

    fn is_cancelled(&self) -> bool {
        self.failure.get().is_some() || self.offers.have_failed() || self.monitor.is_cancelled()
    }
}

fn shop_header(plan: &BackupPlan) -> ShopHeader {
    ShopHeader {
        title: plan.shop.title.clone(),
        platform: plan.shop.platform.clone(),
        root: RawText(plan.shop.root.clone().unwrap_or_default()),
        set_title: plan.set.title.clone(),
        shop_created: plan.shop.created,
        set_created: plan.set.created,
        layout: plan.layout.clone(),
    }
}

/// How many processors we may use.
fn processors() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

fn artifact_place(folder: &Path, kind: ArtifactKind, codec: Codec) -> (PathBuf, &'static str) {
    (folder.join(layout::artifact_folder(kind)), layout::artifact_name(kind, codec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Unwatched;

    fn failed(text: &str) -> Result<Gathered> {
        Err(OperationError::plain(ErrorKind::Failed, text))
    }

    /// Whoever comes second failed because it was ended, and its error is not the reason.
    #[test]
    fn the_first_failure_ends_the_other_half_and_is_the_one_that_is_told() {
        let (failure, offers) = (OnceLock::new(), Offers::default());
        let lane = || Lane { monitor: Box::new(Unwatched), failure: &failure, offers: &offers };
        let (database, files) = (lane(), lane());
        assert!(!database.is_cancelled());
        assert!(files.settle(failed("the files")).is_none());
        assert!(database.is_cancelled() && database.beside().is_cancelled());
        assert!(database.settle(failed("ended")).is_none());
        assert!(lane().settle(Ok(Gathered::default())).is_some());
        assert_eq!(failure.get().map(ToString::to_string).as_deref(), Some("the files"));
    }
}
