//! Bringing files into another folder, and writing out what an undo would take away: the shop itself is not touched.

use std::path::{Path, PathBuf};

use backstock_archive::tree::{self, ExtractOptions, ExtractReport, Rights, Selection};
use backstock_catalog::Backup;
use backstock_database::{Pattern, TableSelection};
use backstock_vocabulary::{ArtifactKind, BackupId};
use serde::Serialize;

use super::act::OpenRestore;
use super::files;
use super::undo::ChangedSince;
use crate::backup::dump_to_folder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
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
    if environment.host.files.list(folder).is_ok_and(|entries| !entries.is_empty()) {
        let message = format!("{} is not empty", folder.display());
        return Err(OperationError::hinted(ErrorKind::Declined, message, "give a new or an empty folder"));
    }
    let stored = StoredBackup::open(environment, backup)?;
    let (reader, index) = stored.artifact(environment, ArtifactKind::Files)?;
    monitor.phase(Phase::Staging, Expected::default());
    let selection = if files.is_empty() { Selection::Everything } else { Selection::Globs(files.to_vec()) };
    let rights = Rights { setuid, ..Rights::usual() };
    let options = ExtractOptions { rights, ..ExtractOptions::default() };
    let extracted = tree::extract(&reader, &index, &selection, folder, &options, &TreeWatch(monitor))
        .doing(format!("extracting the backup {} into {}", id.short(), folder.display()))?;
    if monitor.is_cancelled() {
        return Err(crate::backup::interrupted());
    }
    let count = extracted.files + extracted.symlinks + extracted.hard_links + extracted.folders;
    if !files.is_empty() && count == 0 {
        let message = format!("the backup {} has no file like {}", id.short(), files.join(", "));
        return Err(OperationError::plain(ErrorKind::NotFound, message));
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
