//! Bringing files into another folder, and writing out what an undo would take away: the shop itself is not touched.

use std::path::{Path, PathBuf};

use backstock_archive::tree::{self, ExtractOptions, ExtractReport, FileKind, FileState, Rights, Selection};
use backstock_catalog::Backup;
use backstock_database::{Pattern, TableSelection};
use backstock_vocabulary::BackupId;
use serde::Serialize;

use super::act::OpenRestore;
use super::files;
use super::undo::ChangedSince;
use crate::backup::dump_to_folder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::levels::files_of;
use crate::monitor::{Expected, Monitor, Phase, TreeWatch};
use crate::stored::StoredBackup;

/// What came of bringing files elsewhere.
#[derive(Debug, Clone, Serialize)]
pub struct ElsewhereReport {
    /// The backup.
    pub backup: BackupId,
    /// The folder.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub folder: PathBuf,
    /// Bytes read from where backups are stored, index and manifest included.
    pub read_bytes: u64,
    /// What was written.
    pub extracted: ExtractReport,
}

impl ElsewhereReport {
    /// Whether everything that the backup holds is there.
    pub fn is_whole(&self) -> bool {
        self.extracted.refused.count == 0 && self.extracted.damaged.count == 0
    }
}

/// What bringing files elsewhere would write.
#[derive(Debug, Clone, Serialize)]
pub struct ElsewherePlan {
    /// The backup.
    pub backup: BackupId,
    /// The folder.
    #[serde(with = "backstock_vocabulary::path_bytes")]
    pub folder: PathBuf,
    /// Files, further names of one file each counted.
    pub files: u64,
    /// Bytes of their content, holes included.
    pub bytes: u64,
}

/// Says what [`restore_files_elsewhere`] would write, and writes nothing.
pub fn plan_files_elsewhere(
    environment: &Environment,
    backup: Backup,
    files: &[String],
    folder: &Path,
) -> Result<ElsewherePlan> {
    let id = backup.id;
    expect_empty(environment, folder)?;
    let stored = StoredBackup::open(environment, backup)?;
    let (_, index) = files_of(environment, &stored)?;
    let mut plan = ElsewherePlan { backup: id, folder: folder.to_owned(), files: 0, bytes: 0 };
    let mut count = 0_u64;
    let act = || format!("reading what the backup {} holds", id.short());
    for entry in tree::selected_entries(&index, &selection_of(files)).doing(act())? {
        let entry = entry.doing(act())?;
        if matches!(entry.state, FileState::Unreadable | FileState::Vanished) {
            continue;
        }
        count += 1;
        if entry.kind == FileKind::File {
            plan.files += 1;
            plan.bytes += entry.size_bytes;
        }
    }
    if !files.is_empty() && count == 0 { Err(nothing_like(id, files)) } else { Ok(plan) }
}

fn expect_empty(environment: &Environment, folder: &Path) -> Result<()> {
    if environment.host.files.list(folder).is_ok_and(|entries| !entries.is_empty()) {
        let message = format!("{} is not empty", folder.display());
        return Err(OperationError::hinted(ErrorKind::Declined, message, "give a new or an empty folder"));
    }
    Ok(())
}

fn selection_of(files: &[String]) -> Selection {
    if files.is_empty() { Selection::Everything } else { Selection::Globs(files.to_vec()) }
}

fn nothing_like(id: BackupId, files: &[String]) -> OperationError {
    let message = format!("the backup {} has no file like {}", id.short(), files.join(", "));
    OperationError::plain(ErrorKind::NotFound, message)
}

/// Extracts files into a new or empty folder.
pub fn restore_files_elsewhere(
    environment: &Environment,
    backup: Backup,
    files: &[String],
    folder: &Path,
    setuid: bool,
    monitor: &dyn Monitor,
) -> Result<ElsewhereReport> {
    let id = backup.id;
    expect_empty(environment, folder)?;
    let stored = StoredBackup::open(environment, backup)?;
    let (reader, index) = files_of(environment, &stored)?;
    monitor.phase(Phase::Staging, Expected::default());
    let selection = selection_of(files);
    let rights = Rights { setuid, ..Rights::usual() };
    let options = ExtractOptions { rights, ..ExtractOptions::default() };
    let extracted = tree::extract(&reader, &index, &selection, folder, &options, &TreeWatch(monitor))
        .doing(format!("extracting the backup {} into {}", id.short(), folder.display()))?;
    if monitor.is_cancelled() {
        return Err(crate::backup::interrupted());
    }
    let count = extracted.files + extracted.symlinks + extracted.hard_links + extracted.folders;
    if !files.is_empty() && count == 0 {
        return Err(nothing_like(id, files));
    }
    let read_bytes = environment.reads.bytes();
    Ok(ElsewhereReport { backup: id, folder: folder.to_owned(), read_bytes, extracted })
}

/// Writes the tables and files that changed since a restore into a new folder: `changed.sql.zst` and `files/`.
pub(super) fn export_changed(
    environment: &Environment,
    open: &OpenRestore,
    changed: &ChangedSince,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    let act = || format!("exporting what changed into {}", folder.display());
    if environment.host.files.stat(folder).doing(act())?.is_some() {
        let message = format!("{} is already there", folder.display());
        return Err(OperationError::hinted(
            ErrorKind::Declined,
            message,
            "give a folder that does not exist",
        ));
    }
    environment.host.files.create_folder(folder).doing(act())?;
    if let Some((target, _)) = open.database.as_ref().filter(|_| !changed.tables.is_empty()) {
        let only = changed.tables.iter().map(|table| Pattern::exact(table.name.as_bytes())).collect();
        let selection = TableSelection { only, ..TableSelection::default() };
        dump_to_folder(environment, target, selection, folder, "changed.sql.zst", monitor)?;
    }
    if let Some(part) = open.files.as_ref().filter(|_| changed.file_count > 0) {
        files::export_changed(environment, part, &folder.join("files"), monitor)?;
    }
    Ok(())
}
