//! Which backup a new one is held against: the last of its set that counts.

use std::collections::HashSet;

use backstock_catalog::Backup;
use backstock_vocabulary::{BackupId, Content};

use crate::accepted::Accepted;
use crate::backup::BackupPlan;
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::levels::{can_be_a_parent, holds};

/// The last backups of a set that count: with files, and with the database.
#[derive(Debug, Default)]
pub(crate) struct References {
    pub(crate) files: Option<Backup>,
    pub(crate) database: Option<Backup>,
}

/// Looks for them. Where none counts, since each lacks something that nobody has accepted, the newest that lacks
/// something is the one: better than none.
pub(crate) fn references(environment: &Environment, plan: &BackupPlan) -> Result<References> {
    let act = || format!("looking for the last backup of {} that counts", plan.shop.title);
    let catalog = &environment.catalog;
    let mut backups = environment.wait(catalog.list_backups(Some(plan.shop.id))).doing(act())?;
    let strangers: HashSet<BackupId> =
        environment.wait(catalog.list_strangers()).doing(act())?.into_iter().collect();
    let replicas = environment.wait(catalog.list_replicas()).doing(act())?;
    let here: HashSet<BackupId> =
        replicas.iter().filter(|replica| replica.state.is_there()).map(|replica| replica.backup).collect();
    backups.retain(|backup| {
        backup.set == plan.set.id
            && can_be_a_parent(backup.reason)
            && !strangers.contains(&backup.id)
            && here.contains(&backup.id)
    });
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.sequence));
    let accepted = Accepted::read(environment)?;
    let mut found = References::default();
    for (folder, reference) in [("files/", &mut found.files), ("db/", &mut found.database)] {
        for backup in backups.iter().filter(|backup| holds(backup, folder)) {
            if accepted.counts(environment, backup, plan.count_exceptions)? {
                *reference = Some(backup.clone());
                break;
            }
            if reference.is_none() && backup.content == Content::WholeExcept {
                *reference = Some(backup.clone());
            }
        }
    }
    Ok(found)
}
