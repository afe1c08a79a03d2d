//! Writing the artifacts and indexes of one backup into the spool: the local folder that stands between reading a
//! shop and storing its backup, so that no read ever waits for an upload.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use backstock_archive::manifest::{ExceptionCounts, ManifestArtifact};
use backstock_archive::tree::{
    self, DEFAULT_READERS, Exclusions, TreeMonitor, TreeNote, TreeReport, TreeRequest,
};
use backstock_archive::{Artifact, ArtifactOptions, ArtifactWriter, IndexWriter, Storing, layout};
use backstock_database::{
    DatabaseFacts, DumpReport, DumpRequest, DumpSink, DumpTarget, DumpedObject, Pattern, RawText,
    RoutineKind, ServerFacts, TableSelection,
};
use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec, Reason, RunId};
use serde::{Deserialize, Serialize};

use super::interrupted;
use super::plan::{BackupPlan, DatabasePlan, FilesPlan};
use super::report::ReportedProblem;
use crate::dump_files::ImportedDump;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{DatabaseWatch, Expected, Monitor, Phase, TreeWatch};
use crate::spool_folder::SpoolFolder;
use crate::subject::ShopDatabase;

/// Connections that read at the same time: one for each processor within these limits. Each keeps a processor of the
/// server busy, and the server has to have some left for the shop.
const DUMP_CONNECTIONS: std::ops::RangeInclusive<usize> = 2..=4;
/// Space that a backup never touches on the spool's disk, in bytes.
pub(crate) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// What the index of a database artifact says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DatabaseHeader {
    pub(crate) shop: ShopHeader,
}

/// What the index of a files artifact says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FilesHeader {
    pub(crate) shop: ShopHeader,
    /// Which folder each prefix stood for.
    pub(crate) roots: Vec<RootHeader>,
    /// What was left out: a restore neither compares it nor takes it for extra.
    pub(crate) exclusions: Exclusions,
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

/// Everything of one backup but its manifest, durable in the spool.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) folder: PathBuf,
    _in_use: SpoolFolder,
    pub(super) artifacts: Vec<ManifestArtifact>,
    pub(super) exceptions: ExceptionCounts,
    pub(super) problems: Vec<ReportedProblem>,
    pub(super) tables: u64,
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) content_bytes: u64,
}

impl Spooled {
    pub(super) fn stored_bytes(&self) -> u64 {
        self.artifacts.iter().map(ManifestArtifact::stored_bytes).sum()
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

/// Reads the shop into the spool.
pub(super) fn spool(
    environment: &Environment,
    plan: &BackupPlan,
    run: RunId,
    monitor: &dyn Monitor,
) -> Result<Spooled> {
    let in_use = SpoolFolder::create(environment, run)?;
    let mut spooled = Spooled {
        folder: in_use.path().to_owned(),
        _in_use: in_use,
        artifacts: Vec::new(),
        exceptions: ExceptionCounts::default(),
        problems: Vec::new(),
        tables: 0,
        rows: 0,
        files: 0,
        content_bytes: 0,
    };
    if let Some(why) = &plan.unusable {
        spooled.problems.push(ReportedProblem::exception("unfinished-restore", plan.shop.title.clone(), why));
    }
    if let Some(database) = &plan.database {
        spool_database(environment, plan, database, &mut spooled, monitor)?;
    }
    if monitor.is_cancelled() {
        return Err(interrupted());
    }
    if let Some(files) = &plan.files {
        spool_files(environment, plan, files, &mut spooled, monitor)?;
    }
    backstock_host::failpoint::reach("backup.spooled").doing("ending the spool")?;
    Ok(spooled)
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

fn options(plan: &BackupPlan, usual: fn(Codec, usize) -> ArtifactOptions) -> ArtifactOptions {
    ArtifactOptions { reserve_bytes: RESERVE_BYTES, ..usual(plan.codec, processors()) }
}

/// How many processors we may use.
fn processors() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

fn artifact_place(folder: &Path, kind: ArtifactKind, codec: Codec) -> (PathBuf, &'static str) {
    (folder.join(layout::artifact_folder(kind)), layout::artifact_name(kind, codec))
}

fn spool_database(
    environment: &Environment,
    plan: &BackupPlan,
    database: &DatabasePlan,
    spooled: &mut Spooled,
    monitor: &dyn Monitor,
) -> Result<()> {
    monitor.phase(Phase::Dumping, Expected::default());
    refuse_pickers_of_nothing(database)?;
    let name = String::from_utf8_lossy(&database.database.name).into_owned();
    let (folder, file) = artifact_place(&spooled.folder, ArtifactKind::Database, plan.codec);
    environment.host.files.create_folder(&folder).doing(format!("making the folder {}", folder.display()))?;
    let target = SpoolTarget {
        host: &environment.host,
        folder: &folder,
        file,
        options: options(plan, ArtifactOptions::for_rows),
        writer: Mutex::default(),
    };
    let watch = DatabaseWatch { monitor, phase: Phase::Dumping };
    let host = &environment.host;
    let report = match &database.imported {
        Some(dump) => {
            let act = format!("importing the dump {}", dump.files.given.display());
            let ImportedDump { files, request, plan, server } = dump;
            backstock_database::dump_foreign(host, server, request, files, plan, &target, &watch)
                .doing(act)?
        }
        None => {
            let request = DumpRequest {
                selection: database.selection.clone(),
                connections: processors().clamp(*DUMP_CONNECTIONS.start(), *DUMP_CONNECTIONS.end()),
                not_ours: database.not_ours.clone(),
                ..DumpRequest::whole(database.database.name.clone())
            };
            let act = format!("dumping the database {name}");
            backstock_database::dump(host, &database.database.server, &request, &target, &watch).doing(act)?
        }
    };
    let artifact = target.finish()?;
    write_database_index(environment, plan, &folder, &artifact, &report, spooled)?;
    spooled.artifacts.insert(0, ManifestArtifact::data(ArtifactKind::Database, &artifact));
    Ok(())
}

/// A picker that fits no table is a slip of the pen, and what it meant would be missing.
fn refuse_pickers_of_nothing(database: &DatabasePlan) -> Result<()> {
    let ShopDatabase { server, name } = &database.database;
    let readable = String::from_utf8_lossy(name);
    if database.selection.only.is_empty() {
        return Ok(());
    }
    let act = format!("looking for the tables of {readable}");
    let tables = backstock_database::list_tables(server, name).doing(act)?;
    let fits_none = |pattern: &&Pattern| !tables.iter().any(|table| pattern.matches(&table.name.0));
    match database.selection.only.iter().find(fits_none) {
        None => Ok(()),
        Some(pattern) => Err(OperationError::plain(
            ErrorKind::NotFound,
            format!("no table of {readable} is called {}", pattern.as_str()),
        )),
    }
}

/// Dumps some tables into a file of a folder, outside of any backup.
pub(crate) fn dump_to_folder(
    environment: &Environment,
    database: &ShopDatabase,
    selection: TableSelection,
    folder: &Path,
    file: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    let options = ArtifactOptions::for_rows(Codec::Zstd, 1);
    let target = SpoolTarget { host: &environment.host, folder, file, options, writer: Mutex::default() };
    let request = DumpRequest { selection, ..DumpRequest::whole(database.name.clone()) };
    let act = format!("dumping into {}", folder.join(file).display());
    backstock_database::dump(
        &environment.host,
        &database.server,
        &request,
        &target,
        &DatabaseWatch { monitor, phase: Phase::Dumping },
    )
    .doing(act)?;
    target.finish().map(drop)
}

/// Where a dump goes: a fresh artifact for each attempt.
struct SpoolTarget<'a> {
    host: &'a Host,
    folder: &'a Path,
    file: &'a str,
    options: ArtifactOptions,
    writer: Mutex<Option<Arc<ArtifactWriter>>>,
}

struct SpoolSink(Arc<ArtifactWriter>);

impl DumpSink for SpoolSink {
    fn buffer(&self) -> Vec<u8> {
        self.0.buffer()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        backstock_host::failpoint::reach("backup.frame")?;
        self.0.frame(text, Storing::Compress).map_err(io::Error::other)
    }
}

impl SpoolTarget<'_> {
    fn take(&self) -> Option<ArtifactWriter> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        writer.and_then(Arc::into_inner)
    }

    fn finish(&self) -> Result<Artifact> {
        let writer = self.take().ok_or_else(|| {
            OperationError::plain(ErrorKind::Failed, "the dump kept hold of its artifact after its end")
        })?;
        writer.finish().doing(format!("finishing {}", self.file))
    }
}

impl DumpTarget for SpoolTarget<'_> {
    fn begin(&self, _attempt: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        if let Some(earlier) = self.take() {
            earlier.discard().map_err(io::Error::other)?;
        }
        let writer = ArtifactWriter::create(self.host, self.folder, self.file, &self.options);
        let writer = Arc::new(writer.map_err(io::Error::other)?);
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer.clone());
        Ok(Box::new(SpoolSink(writer)))
    }
}

fn write_database_index(
    environment: &Environment,
    plan: &BackupPlan,
    folder: &Path,
    artifact: &Artifact,
    report: &DumpReport,
    spooled: &mut Spooled,
) -> Result<()> {
    let act = || "writing the index of the database".to_owned();
    let header = DatabaseHeader { shop: shop_header(plan) };
    let mut index = IndexWriter::create(&environment.host, folder, &header).doing(act())?;
    let mut lines: Vec<(Vec<u8>, &DumpedObject)> =
        report.objects.iter().map(|object| (object_key(object), object)).collect();
    lines.sort_by(|left, right| backstock_archive::index::compare_keys(&left.0, &right.0));
    for (key, object) in &lines {
        index.add(key, object).doing(act())?;
    }
    let mut problems = database_problems(report);
    let is_of_shop = !matches!(plan.reason, Reason::PreRestore | Reason::Imported);
    for name in plan.further_databases.iter().filter(|_| is_of_shop) {
        let message = "the shop keeps data in this database too, and a backup takes one database: back it up by its name";
        problems.push(ReportedProblem::exception("not-dumped", format!("database {name}"), message));
    }
    let summary = DatabaseSummary {
        server: report.server.clone(),
        database: report.database.clone(),
        rows: report.rows,
        attempts: report.attempts,
        guarded: report.guarded,
        one_point_in_time: report.one_point_in_time,
        not_in_snapshot: report.not_in_snapshot.clone(),
        problems: problems.clone(),
    };
    let part = index.finish(&artifact.frames, &summary).doing(act())?;
    spooled.artifacts.push(ManifestArtifact::index(ArtifactKind::DatabaseIndex, &part));
    spooled.exceptions.database = problems.iter().filter(|problem| problem.is_exception).count() as u64;
    spooled.exceptions.notes += problems.iter().filter(|problem| !problem.is_exception).count() as u64;
    spooled.problems.extend(problems);
    spooled.rows = report.rows;
    spooled.tables =
        report.objects.iter().filter(|object| matches!(object, DumpedObject::Table(_))).count() as u64;
    Ok(())
}

/// The key of an object in the index: what it is, then its name.
fn object_key(object: &DumpedObject) -> Vec<u8> {
    let kind = match object {
        DumpedObject::Table(_) => "table",
        DumpedObject::Sequence(_) => "sequence",
        DumpedObject::Routine(routine) => match routine.routine_kind {
            RoutineKind::Procedure => "procedure",
            RoutineKind::Function => "function",
            RoutineKind::Package => "package",
            RoutineKind::PackageBody => "package-body",
        },
        DumpedObject::Trigger(_) => "trigger",
        DumpedObject::View(_) => "view",
        DumpedObject::Event(_) => "event",
    };
    let mut key = format!("{kind}/").into_bytes();
    key.extend_from_slice(object.name().as_bytes());
    key
}

fn database_problems(report: &DumpReport) -> Vec<ReportedProblem> {
    let mut problems: Vec<ReportedProblem> = report
        .problems
        .iter()
        .map(|problem| {
            let right = problem.right.as_ref().map(|right| format!(" (the account lacks {right})"));
            let message = format!("{}{}; {}", problem.reason, right.unwrap_or_default(), problem.cost);
            let kind = if problem.right.is_some() { "missing-right" } else { "not-dumped" };
            ReportedProblem::exception(kind, problem.object.clone(), message)
        })
        .collect();
    for name in &report.not_in_snapshot {
        let message = "its rows are not of the same moment as the others: its engine knows no transactions, or the account lacks \
                       PROCESS and the dump kept its transactions short";
        problems.push(ReportedProblem::note("not-in-snapshot", name.to_string(), message));
    }
    let database = report.database.name.to_string();
    if report.objects.is_empty() && report.problems.is_empty() {
        let message = "it holds nothing at all: neither table nor view nor routine";
        problems.push(ReportedProblem::exception("empty", database.clone(), message));
    }
    problems.extend(report.notes.iter().map(|note| ReportedProblem::note("note", database.clone(), note)));
    problems
}

fn spool_files(
    environment: &Environment,
    plan: &BackupPlan,
    files: &FilesPlan,
    spooled: &mut Spooled,
    monitor: &dyn Monitor,
) -> Result<()> {
    let (folder, file) = artifact_place(&spooled.folder, ArtifactKind::Files, plan.codec);
    environment.host.files.create_folder(&folder).doing(format!("making the folder {}", folder.display()))?;
    let request = TreeRequest {
        roots: files.roots.clone(),
        exclusions: files.exclusions.clone(),
        never: files.never.clone(),
        started: environment.host.clock.now(),
        readers: DEFAULT_READERS,
    };
    monitor.phase(Phase::Archiving, Expected::default());
    let act = || format!("archiving the files of {}", plan.shop.title);
    let artifact =
        ArtifactWriter::create(&environment.host, &folder, file, &options(plan, ArtifactOptions::of))
            .doing(act())?;
    let roots = files.roots.iter().map(|root| RootHeader {
        prefix: RawText(root.prefix.clone()),
        folder: RawText(root.path.as_os_str().as_encoded_bytes().to_vec()),
    });
    let header =
        FilesHeader { shop: shop_header(plan), roots: roots.collect(), exclusions: files.exclusions.clone() };
    let mut index = IndexWriter::create(&environment.host, &folder, &header).doing(act())?;
    let report = thread::scope(|scope| {
        if monitor.wants_totals() {
            scope.spawn(|| tell_totals(&request, monitor));
        }
        tree::archive_tree(&request, &artifact, &mut index, &TreeWatch(monitor)).doing(act())
    })?;
    let artifact = artifact.finish().doing(act())?;
    let part = index.finish(&artifact.frames, &FilesSummary { report: report.clone() }).doing(act())?;
    spooled.artifacts.push(ManifestArtifact::data(ArtifactKind::Files, &artifact));
    spooled.artifacts.push(ManifestArtifact::index(ArtifactKind::FilesIndex, &part));
    spooled.exceptions.files = report.unreadable.count;
    spooled.exceptions.notes += report.vanished.count + report.changed.count;
    spooled.files = report.files;
    spooled.content_bytes = report.content_bytes;
    add_file_problems(&report, &mut spooled.problems);
    Ok(())
}

/// Counts what there is while it is already being read. The names that this walk warms up are read soon after.
fn tell_totals(request: &TreeRequest, monitor: &dyn Monitor) {
    if let Ok(count) = tree::count_tree(request, &Counting(monitor)) {
        monitor.phase(Phase::Archiving, Expected { bytes: Some(count.bytes), items: Some(count.files) });
    }
}

/// Lets a count be stopped, and tells nothing of it.
struct Counting<'a>(&'a dyn Monitor);

impl TreeMonitor for Counting<'_> {
    fn file(&self, _path: &[u8], _bytes: u64) {}

    fn note(&self, _note: &TreeNote) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

pub(crate) fn add_file_problems(report: &TreeReport, problems: &mut Vec<ReportedProblem>) {
    let lists = [
        ("unreadable", true, &report.unreadable, "could not be read"),
        ("vanished", false, &report.vanished, "was gone before it could be read"),
        ("changed", false, &report.changed, "was written to while it was read"),
        ("skipped", false, &report.skipped, "is of a kind that is not kept"),
    ];
    for (kind, is_exception, list, what) in lists {
        for named in &list.first {
            let message = named.reason.clone().unwrap_or_else(|| what.to_owned());
            let problem = ReportedProblem::note(kind, named.path.clone(), message);
            problems.push(ReportedProblem { is_exception, ..problem });
        }
        let beyond = list.count - list.first.len() as u64;
        if beyond > 0 {
            let problem = ReportedProblem::note(
                kind,
                format!("{beyond} more"),
                format!("{what}; the index names them"),
            );
            problems.push(ReportedProblem { is_exception, ..problem });
        }
    }
}
