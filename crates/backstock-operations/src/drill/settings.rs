//! Which new backups are drilled right after they were made, and where.

use std::path::PathBuf;

use backstock_vocabulary::{Outcome, ShopId};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::verify::Every;

/// What may be written in a configuration file. Nothing is drilled where nothing is said: it needs the programs of a database
/// server, and room for the whole shop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillSettings {
    /// Whether each new backup is drilled.
    pub after_backup: Option<bool>,
    /// How often a new backup is drilled, where not each of them is.
    pub every_days: Option<Every>,
    /// The folder with the programs of a database server; those of the machine where nothing is said.
    pub server_programs: Option<PathBuf>,
    /// The folder below which the scratch folder is made; the state folder where nothing is said.
    pub scratch: Option<PathBuf>,
}

/// Whether the new backup of a shop is to be drilled: each is, or so many days have passed since the last drill. A drill whose
/// time lies that far ahead of now says nothing.
pub fn is_drill_due(environment: &Environment, settings: &DrillSettings, shop: ShopId) -> Result<bool> {
    if settings.after_backup == Some(true) {
        return Ok(true);
    }
    let Some(Every::Days(days)) = settings.every_days else { return Ok(false) };
    let act = "looking for the last drill";
    let drills = environment.wait(environment.catalog.list_drills()).doing(act)?;
    let backups = environment.wait(environment.catalog.list_backups(Some(shop))).doing(act)?;
    let now = environment.host.clock.now();
    let span = SignedDuration::from_hours(24 * i64::from(days));
    let is_recent = drills.iter().any(|drill| {
        drill.outcome != Outcome::Failed
            && backups.iter().any(|backup| backup.id == drill.backup)
            && now.duration_since(drill.finished).abs() < span
    });
    Ok(!is_recent)
}
