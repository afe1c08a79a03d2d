//! The numbers of a set at a destination: which backups are not to be expected there is said there, so that whoever recovers from it
//! alone can tell a gap that means a loss from one that does not.
//!
//! The owner file that begins a destination names the first backup that goes there. From it on every number is that of a manifest or of a tombstone: of what was deleted, and of what stays elsewhere (safety snapshots, what was made while the
//! destination was off).

use backstock_archive::layout::{parse_tombstone_path, tombstone_path};
use backstock_catalog::Backup;

use super::plan::{DestinationPlan, LackingBackup};
use crate::destination::{Listing, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// Says at a destination which numbers are not to be expected there; the number `begins` is the first that is, and what was deleted is told
/// by the tombstones of the nearest place.
pub(super) fn explain(
    environment: &Environment,
    destination: &DestinationPlan,
    target: &SetFolder,
    listing: &Listing,
    (begins, nearest): (u64, Option<SetFolder>),
) -> Result<()> {
    let is_told = |path: &str| listing.tombstones.iter().any(|told| told == path);
    // What this catalog has not seen there may be there all the same: after a recovery from another place.
    let is_there = |backup: &&Backup| listing.with_manifest.contains(&backup.folder);
    let elsewhere = destination.elsewhere.iter().filter(|backup| backup.sequence >= begins);
    for backup in elsewhere.filter(|backup| !is_there(backup)) {
        if !is_told(&tombstone_path(backup.sequence, &backup.id.short())) {
            target.bury(environment, None, backup)?;
        }
    }
    let Some(nearest) = nearest else { return Ok(()) };
    let tombstones = match nearest.listing(environment) {
        Ok(listing) => listing.tombstones,
        // What was deleted is said by the next run then.
        Err(error) => {
            tracing::warn!(
                "what was deleted is not told at {}: {}",
                target.place.record.title,
                chain(&error)
            );
            return Ok(());
        }
    };
    for path in tombstones {
        let is_behind = parse_tombstone_path(&path).is_some_and(|sequence| sequence >= begins);
        // Deleted there, and kept here for longer: it is not to be missed yet.
        let is_kept = listing.with_manifest.iter().any(|folder| path.contains(short_of(folder)));
        if is_behind && !is_kept && !is_told(&path) {
            copy_tombstone(environment, &nearest, target, &path)?;
        }
    }
    Ok(())
}

/// The set's folder on this machine, as far as what is lacking lies there.
pub(super) fn nearest(environment: &Environment, lacking: &LackingBackup) -> Option<SetFolder> {
    let source = lacking.sources.first()?;
    let place = Place::of_record(environment, source.storage).ok().filter(|place| place.folder().is_ok())?;
    let name = source.folder.rsplit_once('/')?.0.to_owned();
    Some(SetFolder { place, name })
}

/// The end of a backup's folder: the last digits of its identifier.
fn short_of(folder: &str) -> &str {
    folder.rsplit_once('-').map_or(folder, |(_, short)| short)
}

fn copy_tombstone(environment: &Environment, from: &SetFolder, target: &SetFolder, path: &str) -> Result<()> {
    let act = || format!("copying {path} to {}", target.place.record.title);
    // Read as what it is first: one that cannot be read says nothing.
    let tombstone = match from.tombstone(environment, path) {
        Ok(Some(_)) => from.object(path)?,
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::Damaged => return Ok(()),
        Err(error) => return Err(error),
    };
    let read = from.place.storage.read_small(&tombstone, backstock_storage::SMALL_LIMIT_BYTES);
    let bytes = environment.wait(read).doing(act())?;
    let bytes = bytes.ok_or_else(|| {
        OperationError::plain(ErrorKind::Failed, format!("{}: it is gone since a moment ago", act()))
    })?;
    environment.wait(target.place.storage.put_small(&target.object(path)?, &bytes)).doing(act())
}
