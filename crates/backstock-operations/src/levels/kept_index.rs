//! The copies of files indexes in the state folder: what changed since a backup is told by its index, and the server may not
//! be able to open the one at the destination.
//!
//! There is one for the newest backup of a set and one for its newest full one, at each place that has backups of it. It is
//! durable before the manifest, and is believed only when its directory has the hash that the signed manifest tells.

use std::collections::{HashMap, HashSet};

use backstock_archive::manifest::Manifest;
use backstock_archive::tree::Rehash;
use backstock_archive::{IndexReader, ReadAt, read_fully};
use backstock_vocabulary::{ArtifactKind, BackupId, Level, SetId, StorageId};

use super::choose::{has_files, holds};
use crate::backup::{BackupPlan, FilesSummary};
use crate::environment::Environment;
use crate::error::{Doing, Result, chain};
use crate::stored::StoredIndex;
use crate::suspicion::{References, references};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// Copies the text of a files index that was just written, durably.
pub(crate) fn keep(
    environment: &Environment,
    set: SetId,
    backup: BackupId,
    index: &dyn ReadAt,
) -> Result<()> {
    let files = &environment.host.files;
    let path = environment.state.files_index(set, backup);
    let folder = environment.state.files_indexes(set);
    let act = || format!("keeping the files index {}", path.display());
    files.create_folder(&folder).doing(act())?;
    let mut target = files.create_new(&path).doing(act())?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        let count = read_fully(index, &mut buffer, offset).doing(act())?;
        if count == 0 {
            break;
        }
        target.write_all(&buffer[..count]).doing(act())?;
        offset += count as u64;
    }
    target.sync().doing(act())?;
    backstock_host::failpoint::reach("backup.index_kept").doing(act())?;
    files.sync_folder(&folder).doing(act())
}

/// Opens the copy of a backup's files index. The error is why it cannot be used.
pub(crate) fn open(
    environment: &Environment,
    manifest: &Manifest,
) -> std::result::Result<StoredIndex, String> {
    let short = manifest.backup.short();
    let path = environment.state.files_index(manifest.set, manifest.backup);
    let file =
        environment.host.files.open(&path).map_err(|_| {
            format!("the copy of the files index of {short} in the state folder is not there")
        })?;
    let source: Box<dyn ReadAt> = Box::new(file);
    let told = manifest.artifact(ArtifactKind::FilesIndex).and_then(|index| index.parts.first());
    let told = told.and_then(|part| part.directory_blake3);
    let index = IndexReader::open_unsigned(source, &path.display().to_string());
    let damaged = |what: String| format!("the copy of the files index of {short} cannot be used: {what}");
    let index = index.map_err(|error| damaged(error.to_string()))?;
    if told != Some(index.directory_blake3()) {
        return Err(damaged("it is not the one that the manifest tells".to_owned()));
    }
    Ok(index)
}

/// Opens the copy of the files index of a backup that has no manifest yet: it was written just now.
pub(crate) fn open_new(environment: &Environment, set: SetId, backup: BackupId) -> Result<StoredIndex> {
    let path = environment.state.files_index(set, backup);
    let act = || format!("reading the new files index {}", path.display());
    let source: Box<dyn ReadAt> = Box::new(environment.host.files.open(&path).doing(act())?);
    IndexReader::open_unsigned(source, &path.display().to_string()).doing(act())
}

/// Removes the copies of a set that no later backup can build on. What cannot be removed now goes after the next backup.
pub(crate) fn forget_others(environment: &Environment, plan: &BackupPlan) {
    let set = plan.set.id;
    let wanted = match wanted(environment, plan) {
        Ok(wanted) => wanted,
        Err(error) => {
            tracing::warn!("old files indexes are left for the next run: {}", chain(&error));
            return;
        }
    };
    let state = &environment.state;
    let both = |backup: &BackupId| [state.files_index(set, *backup), state.table_counts(set, *backup)];
    let wanted: HashSet<_> = wanted.iter().flat_map(both).collect();
    for (path, _) in environment.host.files.list(&environment.state.files_indexes(set)).unwrap_or_default() {
        if wanted.contains(&path) {
            continue;
        }
        if let Err(error) = environment.host.files.remove_file(&path).doing("removing an old files index") {
            tracing::warn!("{}: {}", path.display(), chain(&error));
        }
    }
}

/// The newest backup with tables, the newest with files and the newest full one, at each place that the set has backups at; and those that
/// the next one is held against.
fn wanted(environment: &Environment, plan: &BackupPlan) -> Result<Vec<BackupId>> {
    let act = || format!("looking for the backups of {}", plan.shop.title);
    let catalog = &environment.catalog;
    let mut backups = environment.wait(catalog.list_backups(Some(plan.shop.id))).doing(act())?;
    backups.retain(|backup| backup.set == plan.set.id && super::can_be_a_parent(backup.reason));
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.sequence));
    let References { files, database } = references(environment, plan)?;
    let newest_with_tables = backups.iter().find(|backup| holds(backup, "db/")).cloned();
    let held_against = [files, database, newest_with_tables].into_iter().flatten().map(|backup| backup.id);
    let mut wanted: Vec<BackupId> = held_against.collect();
    backups.retain(has_files);
    let mut places: HashMap<BackupId, Vec<StorageId>> = HashMap::new();
    for replica in environment.wait(catalog.list_replicas()).doing(act())? {
        places.entry(replica.backup).or_default().push(replica.storage);
    }
    let mut seen: HashSet<(StorageId, bool)> = HashSet::new();
    for backup in &backups {
        for storage in places.get(&backup.id).into_iter().flatten() {
            let is_newest = seen.insert((*storage, false));
            let is_newest_full = backup.level == Level::Full && seen.insert((*storage, true));
            if is_newest || is_newest_full {
                wanted.push(backup.id);
            }
        }
    }
    Ok(wanted)
}

/// Which sample comes next, after that of the backup that is built on.
pub(crate) fn sample_begin(index: &StoredIndex, budget_bytes: u64) -> Result<Rehash> {
    let summary: FilesSummary = index.summary().doing("reading the files index of the backup before")?;
    Ok(Rehash { budget_bytes, after: summary.report.sampled_to.map(|path| path.0) })
}
