//! The backups that one builds on, found from manifest to manifest: each tells the hash of the one before, so that nothing else
//! can take its place.

use std::io;

use backstock_archive::ArtifactReader;
use backstock_archive::tree::FilesSource;
use backstock_vocabulary::{ArtifactKind, BackupId, Level, StorageId};
use serde::{Deserialize, Serialize};

use super::settings::CHAIN_LENGTH_LIMIT;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::stored::{StoredBackup, StoredIndex};

/// One of the backups that a backup builds on, as its index names them: the full one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChainLink {
    pub(crate) backup: BackupId,
    /// The name of its folder, beside that of the backup itself.
    pub(crate) folder: String,
}

impl ChainLink {
    pub(crate) fn of(stored: &StoredBackup) -> Self {
        Self { backup: stored.record.id, folder: stored.folder.clone() }
    }
}

fn broken(of: &StoredBackup, what: &str) -> OperationError {
    OperationError::hinted(
        ErrorKind::Damaged,
        format!("the chain of the backup {} is broken: {what}", of.record.id.short()),
        "`backstock list` shows other backups; `backstock catalog rebuild` looks for those that the catalog does not know",
    )
}

/// Opens the backups that a backup builds on, the full one first.
///
/// # Errors
/// [`ErrorKind::Damaged`] with the name of the link that is missing, another one, or itself.
pub(crate) fn ancestors(environment: &Environment, stored: &StoredBackup) -> Result<Vec<StoredBackup>> {
    ancestors_at(environment, stored, None)
}

/// The same, from a storage before all others.
pub(super) fn ancestors_at(
    environment: &Environment,
    stored: &StoredBackup,
    storage: Option<StorageId>,
) -> Result<Vec<StoredBackup>> {
    let mut found: Vec<StoredBackup> = Vec::new();
    loop {
        let last = found.last().unwrap_or(stored);
        let manifest = &last.signed.manifest;
        let Some(parent) = manifest.parent.clone() else { break };
        let (child, short) = (last.record.id.short(), parent.backup.short());
        let is_known =
            parent.backup == stored.record.id || found.iter().any(|one| one.record.id == parent.backup);
        if is_known {
            return Err(broken(stored, &format!("{child} builds on {short}, which builds on {child}")));
        }
        if found.len() as u64 >= u64::from(CHAIN_LENGTH_LIMIT) {
            let what = format!("it has more than {CHAIN_LENGTH_LIMIT} backups");
            return Err(broken(stored, &what));
        }
        let record = environment
            .wait(environment.catalog.backup(parent.backup))
            .doing(format!("looking for the backup {short}"))?
            .ok_or_else(|| {
                broken(stored, &format!("the backup {short}, on which {child} builds, is not there"))
            })?;
        let next =
            StoredBackup::open_at(environment, record, storage).map_err(|error| match error.kind() {
                ErrorKind::Damaged | ErrorKind::NotFound => {
                    broken(stored, &format!("the backup {short}, on which {child} builds: {}", chain(&error)))
                }
                _ => error,
            })?;
        if next.signed.sha256 != parent.manifest_sha256 {
            let what = format!("the manifest of {short} is not the one that {child} builds on");
            return Err(broken(stored, &what));
        }
        if next.signed.manifest.set != manifest.set {
            return Err(broken(stored, &format!("{short} is a backup of another set than {child}")));
        }
        found.push(next);
    }
    found.reverse();
    let first = found.first().unwrap_or(stored);
    if first.signed.manifest.level != Level::Full {
        return Err(broken(stored, &format!("{} is no full backup", first.record.id.short())));
    }
    Ok(found)
}

/// Makes sure that the files of a backup and of all that it builds on lie at its destination, each part with its length.
pub(crate) fn require_whole(environment: &Environment, chain: &[&StoredBackup]) -> Result<()> {
    for stored in chain {
        for kind in [ArtifactKind::Files, ArtifactKind::FilesIndex] {
            for part in &stored.require(kind)?.parts {
                let seen = stored.set_folder.part_size(environment, &stored.folder, part)?;
                if seen != Some(part.size_bytes) {
                    let message =
                        format!("{} of the backup {} is not whole", part.name, stored.record.id.short());
                    return Err(OperationError::plain(ErrorKind::Damaged, message));
                }
            }
        }
    }
    Ok(())
}

/// Opens a backup's files: its index, its archive, and on demand the archives of those that it builds on.
pub(crate) fn files_of<'a>(
    environment: &'a Environment,
    stored: &StoredBackup,
) -> Result<(FilesSource<'a>, StoredIndex)> {
    let (own, index) = stored.artifact(environment, ArtifactKind::Files)?;
    if stored.signed.manifest.parent.is_none() {
        return Ok((FilesSource::alone(own), index));
    }
    let others = ancestors(environment, stored)?;
    let header = stored.files_header(&index)?;
    if !header.chain.iter().map(|link| link.backup).eq(others.iter().map(|other| other.record.id)) {
        return Err(broken(stored, "its index and its manifest tell other backups"));
    }
    let open = move |number: u32| {
        let other = usize::try_from(number).ok().and_then(|number| others.get(number));
        let other = other.ok_or(backstock_archive::Error::Cancelled)?;
        open_archive(environment, other)
    };
    Ok((FilesSource::building_on(header.chain.len(), own, open), index))
}

/// The error of one of the others keeps its kind: damage stays damage.
fn open_archive(
    environment: &Environment,
    other: &StoredBackup,
) -> backstock_archive::Result<ArtifactReader> {
    let opened = other.artifact(environment, ArtifactKind::Files);
    opened.map(|(reader, _)| reader).map_err(|error| {
        let part = format!("the files' archive of {}", other.folder);
        match error.kind() {
            ErrorKind::Damaged => {
                backstock_archive::Error::Damaged { part, offset: 0, size_bytes: 0, what: chain(&error) }
            }
            _ => backstock_archive::Error::Read { part, offset: 0, source: io::Error::other(error) },
        }
    })
}
