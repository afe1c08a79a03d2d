//! Pins: what a person wants kept.

use backstock_catalog::{Backup, Pin};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Pins a backup: no policy deletes it, nor does a person without taking the pin back first.
///
/// # Errors
/// [`ErrorKind::Refused`] when it is being deleted already.
pub fn pin(environment: &Environment, backup: &Backup, note: &str) -> Result<()> {
    let pin = Pin { backup: backup.id, note: note.to_owned(), created: environment.host.clock.now() };
    let short = backup.id.short();
    if environment.wait(environment.catalog.add_pin(&pin)).doing(format!("pinning the backup {short}"))? {
        return Ok(());
    }
    let message = format!("the backup {short} is being deleted already");
    Err(OperationError::plain(ErrorKind::Refused, message))
}

/// Takes a pin back; tells whether there was one.
pub fn unpin(environment: &Environment, backup: &Backup) -> Result<bool> {
    let act = format!("unpinning the backup {}", backup.id.short());
    environment.wait(environment.catalog.remove_pin(backup.id)).doing(act)
}
