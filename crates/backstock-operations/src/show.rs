//! What is there: lists of backups, and one backup in detail.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use backstock_archive::tree::{FileEntry, FileKind, FileState, printable};
use backstock_catalog::{Backup, Drill, Problem, Replica, Run, Severity, Shop};
use backstock_database::DumpedObject;
use backstock_vocabulary::{
    ArtifactKind, BackupId, Content, IdentityId, Level, Outcome, Reason, ReplicaState, ShopId, StorageId,
    VerifyLevel,
};
use serde::Serialize;

use crate::accepted::Accepted;
use crate::backup::ReportedProblem;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::stored::StoredBackup;

/// One line of a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedBackup {
    /// The backup.
    pub backup: BackupId,
    /// Its short form.
    pub short: String,
    /// The shop.
    pub shop: String,
    /// Its number within the set.
    pub sequence: u64,
    /// When it was started.
    pub started: jiff::Timestamp,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// The backup that it builds on.
    pub parent: Option<BackupId>,
    /// Why it was made.
    pub reason: Reason,
    /// What it is worth.
    pub content: Content,
    /// Whether somebody has looked at it, where it is suspect.
    pub is_confirmed: bool,
    /// The identities that it is sealed for; nobody: it is not sealed.
    pub sealed_for: Vec<IdentityId>,
    /// Length of all artifacts in bytes.
    pub stored_bytes: u64,
    /// Named things that are missing.
    pub exceptions: u64,
    /// Why a person wants it kept (may be empty), where somebody does.
    pub pin: Option<String>,
    /// Whether it is signed by a key that nobody vouches for.
    pub is_strangers: bool,
    /// Its last drill.
    pub drill: Option<ListedDrill>,
    /// Its replicas.
    pub replicas: Vec<ListedReplica>,
}

/// What the last drill of a backup came to.
#[derive(Debug, Clone, Serialize)]
pub struct ListedDrill {
    /// `success`: proven restorable; `partial`: but for named things; `failed`: not restorable as it is.
    pub outcome: Outcome,
    /// Whether only the database and the files in its own archive were restored: it is not proven restorable.
    pub is_in_part: bool,
    /// When it ended.
    pub finished: jiff::Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// One replica of a listed backup.
#[derive(Debug, Clone, Serialize)]
pub struct ListedReplica {
    /// The storage.
    pub storage: String,
    /// The folder in it.
    pub folder: String,
    /// Its state.
    pub state: ReplicaState,
    /// When it was last looked at.
    pub checked: Option<jiff::Timestamp>,
    /// When it was last looked at down to each level, whatever was found; the deepest last.
    pub checks: Vec<ListedCheck>,
    /// Since when it is marked for deletion, where it is.
    pub marked: Option<jiff::Timestamp>,
    /// Until when the storage lets nobody delete it, where that was asked of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<jiff::Timestamp>,
}

/// The last look at a replica down to one level.
#[derive(Debug, Clone, Serialize)]
pub struct ListedCheck {
    /// How deep it went.
    pub level: VerifyLevel,
    /// When it ended.
    pub checked: jiff::Timestamp,
}

/// One backup in detail.
#[derive(Debug, Clone, Serialize)]
pub struct ShownBackup {
    /// What a list says of it.
    #[serde(flatten)]
    pub listed: ListedBackup,
    /// When it was finished.
    pub finished: jiff::Timestamp,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// Its artifacts.
    pub artifacts: Vec<ShownArtifact>,
    /// What is missing, and what is worth knowing.
    pub problems: Vec<ReportedProblem>,
    /// Every table, when asked for.
    pub tables: Option<Vec<ShownTable>>,
    /// Every file, when asked for.
    pub files: Option<Vec<ShownFile>>,
}

/// One artifact.
#[derive(Debug, Clone, Serialize)]
pub struct ShownArtifact {
    /// Its path in the backup's folder.
    pub path: String,
    /// Length in bytes.
    pub stored_bytes: u64,
    /// How many parts it has.
    pub parts: u64,
}

/// One table or other object of a database.
#[derive(Debug, Clone, Serialize)]
pub struct ShownTable {
    /// What it is.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its rows, for a table.
    pub rows: Option<u64>,
}

/// One file.
#[derive(Debug, Clone, Serialize)]
pub struct ShownFile {
    /// Its path in the backup; unprintable bytes are escaped.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What became of it.
    pub state: FileState,
}

/// Every backup of one shop or of all, the newest first.
pub fn list(environment: &Environment, shop: Option<ShopId>) -> Result<Vec<ListedBackup>> {
    let backups = environment.wait(environment.catalog.list_backups(shop)).doing("listing the backups")?;
    let kept = Kept::read(environment)?;
    backups.into_iter().map(|backup| listed(environment, &kept, &backup)).collect()
}

/// What is pinned, what is marked, what strangers signed, and what was drilled.
struct Kept {
    strangers: HashSet<BackupId>,
    pins: HashMap<BackupId, String>,
    marks: HashMap<(BackupId, StorageId), jiff::Timestamp>,
    locks: HashMap<(BackupId, StorageId), jiff::Timestamp>,
    drills: HashMap<BackupId, ListedDrill>,
    checks: HashMap<(BackupId, StorageId), Vec<ListedCheck>>,
    accepted: Accepted,
}

impl Kept {
    fn read(environment: &Environment) -> Result<Self> {
        let act = "looking for pins, marks and drills";
        let pins = environment.wait(environment.catalog.list_pins()).doing(act)?;
        let marks = environment.wait(environment.catalog.list_marks()).doing(act)?;
        let strangers = environment.wait(environment.catalog.list_strangers()).doing(act)?;
        let locks = environment.wait(environment.catalog.list_locks()).doing(act)?;
        let drills = environment.wait(environment.catalog.list_drills()).doing(act)?;
        let mut checks: HashMap<_, Vec<ListedCheck>> = HashMap::new();
        for check in environment.wait(environment.catalog.list_checks()).doing(act)? {
            let listed = ListedCheck { level: check.level, checked: check.checked };
            checks.entry((check.backup, check.storage)).or_default().push(listed);
        }
        checks.values_mut().for_each(|checks| checks.sort_by_key(|check| check.level));
        Ok(Self {
            locks: locks.into_iter().map(|lock| ((lock.backup, lock.storage), lock.until)).collect(),
            checks,
            accepted: Accepted::read(environment)?,
            strangers: strangers.into_iter().collect(),
            pins: pins.into_iter().map(|pin| (pin.backup, pin.note)).collect(),
            marks: marks.into_iter().map(|mark| ((mark.backup, mark.storage), mark.marked)).collect(),
            // The later one wins.
            drills: drills.into_iter().map(|drill| (drill.backup, listed_drill(&drill))).collect(),
        })
    }
}

fn listed(environment: &Environment, kept: &Kept, backup: &Backup) -> Result<ListedBackup> {
    let act = || format!("looking at backup {}", backup.id.short());
    let shop = environment.wait(environment.catalog.find_shop(backup.shop)).doing(act())?;
    let replicas = environment.wait(environment.catalog.replicas(backup.id)).doing(act())?;
    let replicas =
        replicas.iter().map(|replica| listed_replica(environment, kept, replica)).collect::<Result<_>>()?;
    Ok(ListedBackup {
        backup: backup.id,
        short: backup.id.short(),
        shop: shop.map_or_else(|| backup.shop.short(), |shop| shop.title),
        sequence: backup.sequence,
        started: backup.started,
        level: backup.level,
        parent: backup.parent,
        reason: backup.reason,
        content: backup.content,
        is_confirmed: kept.accepted.is_confirmed(backup.id),
        sealed_for: sealed_for(backup),
        stored_bytes: backup.stored_bytes,
        exceptions: backup.exceptions,
        pin: kept.pins.get(&backup.id).cloned(),
        is_strangers: kept.strangers.contains(&backup.id),
        drill: kept.drills.get(&backup.id).cloned(),
        replicas,
    })
}

fn listed_drill(drill: &Drill) -> ListedDrill {
    ListedDrill {
        outcome: drill.outcome,
        is_in_part: drill.is_in_part,
        finished: drill.finished,
        elapsed_ms: drill.elapsed_ms,
    }
}

/// Whom a backup is sealed for, as the catalog has it from the manifest.
pub(crate) fn sealed_for(backup: &Backup) -> Vec<IdentityId> {
    backup
        .detail
        .get("sealed_for")
        .and_then(|ids| serde_json::from_value(ids.clone()).ok())
        .unwrap_or_default()
}

fn listed_replica(environment: &Environment, kept: &Kept, replica: &Replica) -> Result<ListedReplica> {
    let storage = environment
        .wait(environment.catalog.find_storage(replica.storage))
        .doing("looking for the storage of a replica")?;
    Ok(ListedReplica {
        storage: storage.map_or_else(|| replica.storage.short(), |storage| storage.title),
        folder: replica.folder.clone(),
        state: replica.state,
        checked: replica.checked,
        checks: kept.checks.get(&(replica.backup, replica.storage)).cloned().unwrap_or_default(),
        marked: kept.marks.get(&(replica.backup, replica.storage)).copied(),
        locked_until: kept.locks.get(&(replica.backup, replica.storage)).copied(),
    })
}

/// One backup, with every table and file when `contents` are asked for.
pub fn show(environment: &Environment, backup: Backup, contents: bool) -> Result<ShownBackup> {
    let listed = listed(environment, &Kept::read(environment)?, &backup)?;
    let act = format!("reading what is known of backup {}", backup.id.short());
    let problems = environment.wait(environment.catalog.problems_of_backup(backup.id)).doing(act)?;
    let stored = StoredBackup::open(environment, backup)?;
    let manifest = &stored.signed.manifest;
    let artifacts = manifest.artifacts.iter().map(|artifact| ShownArtifact {
        path: artifact.path(),
        stored_bytes: artifact.stored_bytes(),
        parts: artifact.parts.len() as u64,
    });
    Ok(ShownBackup {
        listed,
        finished: manifest.finished,
        manifest_sha256: stored.signed.sha256.to_string(),
        artifacts: artifacts.collect(),
        problems: problems.iter().map(reported).collect(),
        tables: if contents && stored.has(ArtifactKind::Database) {
            Some(tables(environment, &stored)?)
        } else {
            None
        },
        files: if contents && stored.has(ArtifactKind::Files) {
            Some(files(environment, &stored)?)
        } else {
            None
        },
    })
}

fn reported(problem: &Problem) -> ReportedProblem {
    ReportedProblem {
        kind: problem.kind.clone(),
        is_exception: problem.severity == Severity::Exception,
        subject: printable(&problem.subject),
        message: problem.message.clone(),
    }
}

fn tables(environment: &Environment, stored: &StoredBackup) -> Result<Vec<ShownTable>> {
    let (objects, _) = stored.database(environment)?;
    Ok(objects
        .iter()
        .map(|object| {
            let (kind, rows) = match object {
                DumpedObject::Table(table) => ("table", Some(table.row_count)),
                DumpedObject::Sequence(_) => ("sequence", None),
                DumpedObject::Routine(_) => ("routine", None),
                DumpedObject::Trigger(_) => ("trigger", None),
                DumpedObject::View(_) => ("view", None),
                DumpedObject::Event(_) => ("event", None),
            };
            ShownTable { kind, name: object.name().to_string(), rows }
        })
        .collect())
}

fn files(environment: &Environment, stored: &StoredBackup) -> Result<Vec<ShownFile>> {
    let index = stored.index(environment, ArtifactKind::FilesIndex)?;
    index
        .entries::<FileEntry>()
        .map(|line| {
            let entry = line.doing(format!("reading the files index of {}", stored.folder))?.entry;
            Ok(ShownFile {
                path: printable(&entry.path),
                kind: entry.kind,
                size_bytes: entry.size_bytes,
                state: entry.state,
            })
        })
        .collect()
}

/// The shop that a person means: a folder, a title, an identifier or the beginning or end of one.
pub fn find_shop(environment: &Environment, given: &OsStr) -> Result<Shop> {
    let shops = environment.wait(environment.catalog.list_shops()).doing("listing the shops")?;
    let folder = std::fs::canonicalize(given).ok();
    let folder = folder.as_ref().map(|folder| folder.as_os_str().as_bytes());
    if let Some(shop) = shops.iter().find(|shop| folder.is_some() && shop.root.as_deref() == folder) {
        return Ok(shop.clone());
    }
    // The name of a folder need not be text; a title is.
    let text = &*given.to_string_lossy();
    let is_meant = |shop: &&Shop| {
        let id = shop.id.to_string();
        shop.title == text
            || (text.len() >= 4 && (id.starts_with(text) || id.ends_with(text)))
            || shop.root.as_deref() == Some(given.as_bytes())
    };
    let found: Vec<&Shop> = shops.iter().filter(is_meant).collect();
    match found.as_slice() {
        [shop] => Ok((*shop).clone()),
        [] => Err(OperationError::hinted(
            ErrorKind::NotFound,
            format!("no shop is known as {text}"),
            format!("known are: {}", titles(&shops)),
        )),
        several => Err(OperationError::hinted(
            ErrorKind::Declined,
            format!("{} shops are known as {text}", several.len()),
            "give the shop's folder instead",
        )),
    }
}

fn titles(shops: &[Shop]) -> String {
    if shops.is_empty() {
        return "none; `backstock backup <folder>` makes the first one known".to_owned();
    }
    shops.iter().map(|shop| shop.title.as_str()).collect::<Vec<_>>().join(", ")
}

/// The shop of a backup.
pub fn shop_of(environment: &Environment, id: ShopId) -> Result<Shop> {
    environment
        .wait(environment.catalog.find_shop(id))
        .doing("looking for the shop of the backup")?
        .ok_or_else(|| {
            OperationError::plain(ErrorKind::NotFound, "the shop of the backup is not known any more")
        })
}

/// Every shop that is known.
pub fn shops(environment: &Environment) -> Result<Vec<Shop>> {
    environment.wait(environment.catalog.list_shops()).doing("listing the shops")
}

/// The newest runs.
pub fn runs(environment: &Environment, shop: Option<ShopId>, limit: u32) -> Result<Vec<Run>> {
    environment.wait(environment.catalog.list_runs(shop, limit)).doing("listing the runs")
}
