//! Room for the database of a set that keeps nothing on this machine: all of it lies in the spool before any of it goes.

use backstock_archive::Digest;
use backstock_catalog::Backup;
use backstock_database::list_tables;

use super::plan::{BackupPlan, DatabasePlan};
use super::spool::RESERVE_BYTES;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Where no backup tells how long the dump becomes: that long, as a part of what the server says that rows and keys take. Packed
/// rows are seldom shorter, and what is longer after all ends the run while the reserve is still free.
const ONE_PART_OF: u64 = 8;

/// Refuses a backup whose database would not fit into the spool, before anything of it is read.
///
/// # Errors
/// [`ErrorKind::Refused`] with what is needed and what there is, in bytes.
pub(super) fn require_room_for_database(environment: &Environment, plan: &BackupPlan) -> Result<()> {
    // What is kept on this machine is put to its place, where the same room is looked for.
    let (Some(database), true) = (&plan.database, plan.home.is_some()) else { return Ok(()) };
    let (needed_bytes, as_told_by) = match last_bytes(environment, plan)? {
        Some(bytes) => (bytes, "as the last one took"),
        None => (estimated_bytes(database)?, "by what the server says of its tables"),
    };
    let spools = environment.state.spools();
    let act = || format!("measuring the free space in {}", spools.display());
    let free_bytes = environment.host.files.free_bytes(environment.state.root()).doing(act())?;
    if free_bytes.saturating_sub(RESERVE_BYTES) >= needed_bytes {
        return Ok(());
    }
    Err(OperationError::hinted(
        ErrorKind::Refused,
        format!(
            "the database would not fit into {}, where all of it lies before it goes: about {needed_bytes} bytes are needed \
             ({as_told_by}), {free_bytes} are free and {RESERVE_BYTES} of them stay in reserve",
            spools.display()
        ),
        "make room there, give a state folder on a larger disk with --state, or keep the backups on this machine with \
         `backstock set local … --on`",
    ))
}

/// How long the database of the newest backup of the same definition is, as it is stored.
fn last_bytes(environment: &Environment, plan: &BackupPlan) -> Result<Option<u64>> {
    let act = format!("looking how long the last backups of {} are", plan.shop.title);
    let backups = environment.wait(environment.catalog.list_backups(Some(plan.shop.id))).doing(act)?;
    let definition = Digest(plan.definition.sha256).to_string();
    let is_alike = |backup: &&Backup| backup.set == plan.set.id && backup.definition_hash == definition;
    let newest = backups.iter().filter(is_alike).max_by_key(|backup| backup.sequence);
    Ok(newest.and_then(|backup| backup.detail["database_bytes"].as_u64()))
}

/// How long the dump becomes at the least, by what the server says of the tables whose rows are taken.
fn estimated_bytes(database: &DatabasePlan) -> Result<u64> {
    if database.imported.is_some() {
        return Ok(0);
    }
    let name = String::from_utf8_lossy(&database.database.name);
    let act = format!("looking how long the tables of {name} are");
    let tables = list_tables(&database.database.server, &database.database.name).doing(act)?;
    let (selection, not_ours) = (&database.selection, &database.not_ours);
    let is_taken = |name: &[u8]| {
        selection.takes(name) && selection.takes_contents(name) && !not_ours.iter().any(|other| other == name)
    };
    let taken = tables.iter().filter(|table| is_taken(table.name.as_bytes()));
    Ok(taken.map(|table| table.estimated_bytes).sum::<u64>() / ONE_PART_OF)
}
