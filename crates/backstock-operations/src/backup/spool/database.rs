//! The database of a shop, dumped into the spool.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use backstock_archive::index::IndexOptions;
use backstock_archive::manifest::ManifestArtifact;
use backstock_archive::{Artifact, ArtifactOptions, ArtifactWriter, FrameRoom, IndexWriter, Storing};
use backstock_database::{
    DumpReport, DumpRequest, DumpSink, DumpTarget, DumpedObject, Pattern, TableSelection,
};
use backstock_host::Host;
use backstock_vocabulary::{ArtifactKind, Codec, Reason};

use super::super::plan::DatabasePlan;
use super::super::report::ReportedProblem;
use super::{
    AskedTables, DatabaseHeader, DatabaseSummary, Gathered, Spooling, artifact_place, processors, shop_header,
};
use crate::dump_files::ImportedDump;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{DatabaseWatch, Monitor, Phase};
use crate::subject::ShopDatabase;
use crate::suspicion::TableCounts;

/// Connections that read at the same time: one for each processor within these limits. Each keeps a processor of the
/// server busy, and the server has to have some left for the shop.
const DUMP_CONNECTIONS: std::ops::RangeInclusive<usize> = 2..=4;

/// Dumps the database into an artifact, with its index.
pub(super) fn spool(
    spooling: &Spooling<'_>,
    database: &DatabasePlan,
    monitor: &dyn Monitor,
) -> Result<Gathered> {
    let Spooling { environment, plan, .. } = spooling;
    refuse_pickers_of_nothing(database)?;
    let name = String::from_utf8_lossy(&database.database.name).into_owned();
    let (folder, file) = artifact_place(spooling.folder, ArtifactKind::Database, plan.codec);
    environment.host.files.create_folder(&folder).doing(format!("making the folder {}", folder.display()))?;
    let target = SpoolTarget {
        host: &environment.host,
        folder: &folder,
        file,
        room: Arc::clone(&spooling.room),
        options: spooling.options(ArtifactKind::Database, ArtifactOptions::for_rows),
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
    // Not before: an attempt that is begun anew takes its parts with it.
    spooling.offer(ArtifactKind::Database, &artifact.parts);
    write_index(spooling, &folder, &artifact, &report)
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
    let room = FrameRoom::for_workers(options.workers);
    let target =
        SpoolTarget { host: &environment.host, folder, file, options, room, writer: Mutex::default() };
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
    room: Arc<FrameRoom>,
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
        let writer = ArtifactWriter::create_in(&self.room, self.host, self.folder, self.file, &self.options);
        let writer = Arc::new(writer.map_err(io::Error::other)?);
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer.clone());
        Ok(Box::new(SpoolSink(writer)))
    }
}

fn write_index(
    spooling: &Spooling<'_>,
    folder: &Path,
    artifact: &Artifact,
    report: &DumpReport,
) -> Result<Gathered> {
    let Spooling { environment, plan, .. } = spooling;
    let act = || "writing the index of the database".to_owned();
    let asked = plan.database.as_ref().map(|database| AskedTables::of(&database.selection));
    let header = DatabaseHeader { shop: shop_header(plan), selection: asked };
    let seal = spooling.seal(ArtifactKind::DatabaseIndex);
    let options = IndexOptions { seal: seal.as_ref(), ..IndexOptions::default() };
    let index = IndexWriter::create_with(&environment.host, folder, &options, &header);
    let mut index = index.doing(act())?;
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
    spooling.offer(ArtifactKind::DatabaseIndex, std::slice::from_ref(&part));
    let is_table = |object: &&DumpedObject| matches!(object, DumpedObject::Table(_));
    let layout = plan.layout.clone().and_then(|layout| serde_json::from_value(layout).ok());
    let asked = plan.database.as_ref().map(|database| AskedTables::of(&database.selection));
    let counts = TableCounts::of(report, asked.unwrap_or_default(), &problems, layout.as_ref());
    let mut gathered = Gathered {
        artifacts: vec![
            ManifestArtifact::data(ArtifactKind::Database, artifact),
            ManifestArtifact::index(ArtifactKind::DatabaseIndex, &part),
        ],
        tables: report.objects.iter().filter(is_table).count() as u64,
        rows: report.rows,
        table_counts: Some(counts),
        ..Gathered::default()
    };
    gathered.exceptions.database = problems.iter().filter(|problem| problem.is_exception).count() as u64;
    gathered.exceptions.notes = problems.iter().filter(|problem| !problem.is_exception).count() as u64;
    gathered.problems = problems;
    Ok(gathered)
}

/// The key of an object in the index: what it is, then its name.
pub(crate) fn object_key(object: &DumpedObject) -> Vec<u8> {
    let mut key = format!("{}/", object.kind_word()).into_bytes();
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
