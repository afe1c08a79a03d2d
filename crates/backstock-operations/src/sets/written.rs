//! Destinations that a configuration file writes down: the file is what counts, and the catalog follows it.

use backstock_catalog::{Destination, Set};
use backstock_vocabulary::StorageId;

use super::{NewDestination, add_destination, require_copies};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::storages;

/// Makes the destinations of a set those that are written down: new rows come, changed ones change, others go. What lies at a place
/// stays there. Gives the storages that are not known here: nothing goes there until they are.
///
/// # Errors
/// [`ErrorKind::Refused`] for two rows with one storage, for another path than the one that the set has there, and as
/// [`add_destination`].
pub fn follow_written(
    environment: &Environment,
    set: &Set,
    written: &[NewDestination],
) -> Result<Vec<String>> {
    for (number, row) in written.iter().enumerate() {
        if written[..number].iter().any(|other| other.storage == row.storage) {
            let message = format!("{} is written twice among the destinations of the set", row.storage);
            return Err(OperationError::plain(ErrorKind::Refused, message));
        }
    }
    let act = || "following what is written of the destinations of the set";
    let known = environment.wait(environment.catalog.destinations(set.id)).doing(act())?;
    let (mut unknown, mut kept): (Vec<String>, Vec<StorageId>) = (Vec::new(), Vec::new());
    for row in written {
        let storage = match storages::find(environment, &row.storage) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                unknown.push(row.storage.clone());
                continue;
            }
            found => found?.id,
        };
        kept.push(storage);
        match known.iter().find(|destination| destination.storage == storage) {
            None => add_destination(environment, set, row)?,
            Some(present) => follow(environment, present, row)?,
        }
    }
    for gone in known.iter().filter(|destination| !kept.contains(&destination.storage)) {
        environment.wait(environment.catalog.remove_destination(gone)).doing(act())?;
    }
    Ok(unknown)
}

fn follow(environment: &Environment, present: &Destination, row: &NewDestination) -> Result<()> {
    let act = || format!("following what is written of the destination {}", row.storage);
    if present.path != row.path.trim_matches('/') {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            format!(
                "the backups of the set lie in \"{}\" at {}, and \"{}\" is written: a chain does not lie in two places",
                present.path, row.storage, row.path
            ),
            "write the path as it was, or define the storage a second time for the new one",
        ));
    }
    require_copies(row.copies)?;
    let settings = serde_json::to_value(row.limits).doing(act())?;
    let wanted = Destination { copies: row.copies, is_on: true, settings, ..present.clone() };
    if wanted == *present {
        return Ok(());
    }
    environment.wait(environment.catalog.save_destination(&wanted)).doing(act())
}

/// The answer to whoever would change by a command what the file says.
pub fn written_elsewhere(shop: &str) -> OperationError {
    OperationError::hinted(
        ErrorKind::Refused,
        format!("where the backups of {shop} go is written in the configuration file"),
        "change its [[set.destination]] there; `backstock set show` shows what came of it",
    )
}
