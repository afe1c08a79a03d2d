//! A dump made by others, on its way into a shop: read whole and planned first; then made a backup like any other, which
//! is restored like any other. Nothing of the shop is changed here.

use std::path::{Path, PathBuf};

use backstock_catalog::Backup;
use backstock_database::{
    DumpPhase, DumpedObject, ForeignPlan, ForeignRequest, ForeignTrust, InPlace, LoadPlan, SkippedStatements,
    Transfer,
};
use backstock_vocabulary::{Reason, Scope};
use serde::Serialize;

use super::database::{self, DatabaseWish, Dumped};
use super::maintenance::Switch;
use super::plan::{RestoreRequest, refuse_while_another_is_open, refuse_without_switch, target_of};
use crate::backup::{self, BackupPlan, BackupRequest, PartSize};
use crate::dump_files::{DumpFiles, ImportedDump};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{DatabaseWatch, Expected, Monitor, Phase};
use crate::subject::Subject;

/// Names that a summary shows.
const SHOWN_NAMES: usize = 12;
/// A tag that no restore gets: the preview makes no names.
const NO_TAG: &str = "000000";

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct DumpRequest {
    /// The file or folder.
    pub path: PathBuf,
    /// Whether it came from somebody who is not trusted: whatever a shop's dump does not need refuses it.
    pub is_untrusted: bool,
    /// Of a dump of several databases, the one to take.
    pub from_database: Option<String>,
    /// The folder in which backups are kept.
    pub backups: PathBuf,
    /// How long a part of the backup that it becomes may be.
    pub part_size: PartSize,
}

/// A dump made by others, read whole and found good.
#[derive(Debug)]
pub struct PlannedDump {
    backup: BackupPlan,
    /// What it comes to.
    pub summary: DumpSummary,
}

/// A table of a dump as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct DumpTable {
    /// Its name.
    pub name: String,
    /// Rows in the dump's statements.
    pub rows: u64,
}

/// What a dump holds and what restoring it would do.
#[derive(Debug, Clone, Serialize)]
pub struct DumpSummary {
    /// The file or folder.
    pub path: PathBuf,
    /// The program that made it.
    pub made_by: String,
    /// The server that it was made from, where the dump tells.
    pub server: Option<String>,
    /// The database that was dumped.
    pub source: String,
    /// The shop.
    pub shop: String,
    /// The database that is loaded into.
    pub database: String,
    /// Statements in all files.
    pub statements: u64,
    /// Bytes of SQL text.
    pub text_bytes: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Every table.
    pub tables: Vec<DumpTable>,
    /// Views, triggers, routines, events and sequences.
    pub other_objects: u64,
    /// Tables whose definition is that of the shop's database now.
    pub from_live: Vec<String>,
    /// Tables that get another content.
    pub tables_replaced: Vec<String>,
    /// Tables that are new.
    pub tables_added: Vec<String>,
    /// Tables that go until an undo.
    pub tables_removed: Vec<String>,
    /// Tables that stay as they are.
    pub tables_left_alone: u64,
    /// Triggers and events that are there now and that the dump does not have: they go with the old tables.
    pub code_removed: Vec<String>,
    /// Why live tables are changed statement by statement, if they are.
    pub in_place: Option<String>,
    /// Space that is needed while both sides are there, in bytes.
    pub needed_bytes: u64,
    /// What becomes of each object, where the server is of another vendor or version than the dump's.
    pub transfers: Vec<Transfer>,
    /// Accounts that the dump names as definers.
    pub definers: Vec<String>,
    /// What is not run, and why.
    pub skipped: Vec<SkippedStatements>,
    /// What will differ or may go wrong.
    pub warnings: Vec<String>,
}

/// Reads a dump to its end and says what restoring it would do. Runs nothing of it and changes nothing.
///
/// # Errors
/// Names file and line where the dump is refused.
pub fn plan_dump(
    environment: &Environment,
    subject: &Subject,
    request: &DumpRequest,
    restore: &RestoreRequest,
    monitor: &dyn Monitor,
) -> Result<PlannedDump> {
    let shop = backup::known_shop(environment, subject)?;
    refuse_while_another_is_open(environment, &shop)?;
    let Some(target) = target_of(subject, Scope::Database, restore)? else {
        return Err(OperationError::plain(ErrorKind::Declined, "a dump goes into a database"));
    };
    let files = DumpFiles::open(&request.path, request.from_database.as_deref())?;
    let foreign = ForeignRequest {
        database: target.name.clone(),
        trust: if request.is_untrusted { ForeignTrust::Uploaded } else { ForeignTrust::ChosenByOwner },
        from_database: request.from_database.as_ref().map(|name| name.clone().into_bytes()),
    };
    monitor.phase(Phase::Checking, Expected { bytes: Some(files.stored_bytes), items: None });
    let watch = DatabaseWatch { monitor, phase: Phase::Checking };
    let found = backstock_database::scan_foreign(
        &target.server,
        &foreign,
        &files,
        &watch as &dyn backstock_database::DatabaseMonitor<DumpPhase>,
    )
    .doing(format!("reading the dump {}", request.path.display()))?;
    if found.objects.is_empty() {
        let message = format!("{} holds no table and nothing else", request.path.display());
        return Err(OperationError::plain(ErrorKind::Declined, message));
    }
    let wish = DatabaseWish {
        tables: restore.tables.clone(),
        code: Vec::new(),
        is_named: true,
        exact: restore.exact,
        in_place: InPlace::WhenNeeded,
        add_keys: restore.add_keys,
        tag: NO_TAG.to_owned(),
    };
    let dumped = Dumped {
        objects: found.objects.clone(),
        database: found.database.clone(),
        server: found.server.clone(),
    };
    let switch = match restore.other_database {
        Some(_) => Switch::None,
        None => Switch::find(subject.layout.as_ref(), subject.database.as_ref())?,
    };
    let load = database::plan_objects(dumped, &target, &wish, &Switch::None)?;
    let replaces = !load.replaced().is_empty() || !load.removed().is_empty();
    refuse_without_switch(&switch, &shop, restore, replaces)?;
    let summary = summary(&request.path, &found, &load, &shop.title);
    let mut plan = backup::plan_backup(environment, subject, &backup_request(request))?;
    plan.unusable = None;
    if let Some(database) = &mut plan.database {
        database.imported =
            Some(ImportedDump { files, request: foreign, plan: found, server: target.server });
    }
    Ok(PlannedDump { backup: plan, summary })
}

fn backup_request(request: &DumpRequest) -> BackupRequest {
    BackupRequest {
        scope: Scope::Database,
        default_exclusions: false,
        reason: Reason::Imported,
        part_size: request.part_size,
        ..BackupRequest::everything(&request.backups)
    }
}

/// Makes a backup of a dump that was planned. It is listed, verified and restored like any other.
pub fn import_dump(environment: &Environment, plan: PlannedDump, monitor: &dyn Monitor) -> Result<Backup> {
    let report = backup::backup(environment, plan.backup, monitor)?;
    environment
        .wait(environment.catalog.backup(report.backup))
        .doing("looking for the imported dump")?
        .ok_or_else(|| OperationError::plain(ErrorKind::Failed, "the imported dump was not recorded"))
}

fn summary(path: &Path, found: &ForeignPlan, load: &LoadPlan, shop: &str) -> DumpSummary {
    let texts = |names: Vec<&backstock_database::RawText>| {
        let mut texts: Vec<String> = names.iter().take(SHOWN_NAMES).map(ToString::to_string).collect();
        if names.len() > SHOWN_NAMES {
            texts.push(format!("and {} more", names.len() - SHOWN_NAMES));
        }
        texts
    };
    let tables: Vec<DumpTable> = found
        .objects
        .iter()
        .filter_map(|object| match object {
            DumpedObject::Table(table) => {
                Some(DumpTable { name: table.name.to_string(), rows: table.row_count })
            }
            _ => None,
        })
        .collect();
    let goes = |object: &&DumpedObject| {
        matches!(object, DumpedObject::Trigger(_) | DumpedObject::Event(_))
            && !load.new_code.iter().any(|new| new.name() == object.name())
    };
    let code_removed = load.old_code.iter().filter(goes).map(DumpedObject::name).collect();
    DumpSummary {
        path: path.to_owned(),
        made_by: found.made_by.clone(),
        server: found.server_is_known.then(|| found.server.version_text.clone()),
        source: found.database.name.to_string(),
        shop: shop.to_owned(),
        database: load.target.name.to_string(),
        statements: found.statements,
        text_bytes: found.text_bytes,
        rows: found.rows,
        other_objects: (found.objects.len() - tables.len()) as u64,
        tables,
        from_live: found.from_live.iter().map(ToString::to_string).collect(),
        tables_replaced: texts(load.replaced()),
        tables_added: texts(load.added()),
        tables_removed: texts(load.removed()),
        tables_left_alone: load.left_alone.len() as u64,
        code_removed: texts(code_removed),
        in_place: load.in_place.clone(),
        needed_bytes: load.estimated_bytes,
        transfers: load.transfers.clone(),
        definers: found.definers.clone(),
        skipped: found.skipped.clone(),
        warnings: found.warnings.iter().chain(&load.warnings).chain(&load.missing_rights).cloned().collect(),
    }
}
