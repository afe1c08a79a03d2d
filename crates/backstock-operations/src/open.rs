//! Opening a backup into a folder of plain files, for stock tools.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use backstock_archive::{ReadAt, check_part, layout, read_fully};
use backstock_catalog::Backup;
use backstock_vocabulary::BackupId;
use serde::Serialize;

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::monitor::{Expected, Monitor, Phase};
use crate::stored::StoredBackup;

/// How much is read at a time, in bytes.
const READ_SIZE_BYTES: usize = 1 << 20;

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct OpenReport {
    /// The backup.
    pub backup: BackupId,
    /// The folder.
    pub folder: PathBuf,
    /// The files in it, as stock tools know them.
    pub files: Vec<OpenedFile>,
}

/// One file that was written.
#[derive(Debug, Clone, Serialize)]
pub struct OpenedFile {
    /// Its path in the folder.
    pub path: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Writes every part of a backup into a new or empty folder, as it would lie there if it had not been sealed.
///
/// # Errors
/// [`ErrorKind::Refused`] when something is in the folder; [`ErrorKind::Damaged`] with the name of a part that is not there, or
/// not the right one, before the folder is made. Of a sealed part nothing is left there that was not proven.
pub fn open_backup(
    environment: &Environment,
    backup: Backup,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<OpenReport> {
    let files = &environment.host.files;
    let act = || format!("making the folder {}", folder.display());
    let id = backup.id;
    let stored = StoredBackup::open(environment, backup)?;
    if files.list(folder).is_ok_and(|entries| !entries.is_empty()) {
        let message = format!("{} is not empty", folder.display());
        return Err(OperationError::hinted(ErrorKind::Refused, message, "give a new folder with --to"));
    }
    let manifest = &stored.signed.manifest;
    monitor.phase(Phase::Checking, Expected { bytes: Some(manifest.stored_bytes()), items: None });
    require_parts(environment, &stored, monitor)?;
    files.create_folder(folder).doing(act())?;
    let mut report = OpenReport { backup: id, folder: folder.to_owned(), files: Vec::new() };
    for artifact in &manifest.artifacts {
        let place = folder.join(layout::artifact_folder(artifact.kind));
        files.create_folder(&place).doing(format!("making the folder {}", place.display()))?;
        for (part, text) in artifact.parts.iter().zip(stored.parts(environment, artifact)?) {
            let path = part.name.strip_suffix(layout::SEALED_SUFFIX).unwrap_or(&part.name).to_owned();
            let target = folder.join(&path);
            let written = write_text(environment, &*text, &target, monitor);
            if written.is_err()
                && let Err(second) = files.remove_file(&target)
            {
                tracing::warn!(file = %target.display(), error = %second, "the unfinished file could not be removed");
            }
            let size_bytes = written.map_err(|error| named(error, &part.name, &stored.folder))?;
            monitor.item(&path);
            report.files.push(OpenedFile { path, size_bytes });
        }
    }
    Ok(report)
}

/// Makes sure that every part is there and the one that it should be: a sealed one says so itself and is proven while it is
/// opened, of others every byte is read.
fn require_parts(environment: &Environment, stored: &StoredBackup, monitor: &dyn Monitor) -> Result<()> {
    let is_sealed = stored.signed.manifest.sealed.is_some();
    for artifact in &stored.signed.manifest.artifacts {
        for part in &artifact.parts {
            let seen = stored.set_folder.part_size(environment, &stored.folder, part)?;
            let what = match seen {
                Some(size_bytes) if size_bytes == part.size_bytes => continue,
                Some(size_bytes) => format!("it has {size_bytes} bytes, {} were written", part.size_bytes),
                None => "it is not there".to_owned(),
            };
            let message = format!("{} of {}: {what}", part.name, stored.folder);
            return Err(OperationError::plain(ErrorKind::Damaged, message));
        }
        if is_sealed {
            stored.parts(environment, artifact)?;
            continue;
        }
        for part in &artifact.parts {
            let source = stored.set_folder.open_part(environment, &stored.folder, part)?;
            let mut progress = |_| match monitor.is_cancelled() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let checked = check_part(&source, part, &mut progress);
            if monitor.is_cancelled() {
                return Err(crate::backup::interrupted());
            }
            let act = || format!("reading {} of {}", part.name, stored.folder);
            if let Some(damage) = checked.doing(act())?.into_iter().next() {
                return Err(OperationError::Archive { act: act(), source: Box::new(damage) });
            }
        }
    }
    Ok(())
}

/// Damage is told as what it is, whatever carried it here.
fn named(error: io::Error, part: &str, folder: &str) -> OperationError {
    let act = format!("opening {part} of {folder}");
    if error.kind() == io::ErrorKind::Interrupted {
        return crate::backup::interrupted();
    }
    match backstock_archive::Error::of_stream(error) {
        Ok(source) => OperationError::Archive { act, source: Box::new(source) },
        Err(source) => OperationError::Machine { act, source },
    }
}

fn write_text(
    environment: &Environment,
    text: &dyn ReadAt,
    target: &Path,
    monitor: &dyn Monitor,
) -> io::Result<u64> {
    let mut file = environment.host.files.create_new(target)?;
    let size_bytes = text.size_bytes()?;
    let mut buffer = vec![0; READ_SIZE_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        if monitor.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = read_fully(text, &mut buffer, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all(&buffer[..count])?;
        offset += count as u64;
        monitor.bytes(count as u64);
    }
    file.flush()?;
    file.sync()?;
    Ok(size_bytes)
}
