//! The deletion of one replica: *being deleted* in the catalog → tombstone → manifest → data → forgotten. Data is lost here.
//!
//! Killed anywhere it is safe to begin again: what is being deleted is finished by the next prune, and what the catalog
//! has lost meanwhile is either whole (its manifest is there) or a leftover that the next backup sweeps.
//!
//! A storage may refuse: what was put there cannot be deleted with these credentials, or is locked. Then the backup is
//! *retained by storage*: whole, with a tombstone that says what was decided, and each later prune tries again. Whoever may
//! delete there can do so by these tombstones (`prune --finish`).

use backstock_catalog::{Backup, Replica};
use backstock_vocabulary::ReplicaState;

use crate::destination::{Place, Refusal, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    /// Nothing of it is left.
    Gone,
    /// It may not be deleted any more: it was pinned, somebody reads it, or its mark was taken back.
    NotAny,
    /// The storage does not let go of it.
    Retained(Refusal),
}

/// One backup at one destination, where it lies.
pub(super) struct Target<'a> {
    backup: &'a Backup,
    replica: &'a Replica,
    set_folder: SetFolder,
    folder: &'a str,
}

impl<'a> Target<'a> {
    /// Where a replica lies.
    pub(super) fn of(place: &Place, (backup, replica): &'a (Backup, Replica)) -> Result<Self> {
        let (set_folder, folder) = SetFolder::of_replica(place, replica)?;
        Ok(Self { backup, replica, set_folder, folder })
    }

    /// The folder of the set.
    pub(super) fn set_folder(&self) -> &SetFolder {
        &self.set_folder
    }

    /// Makes sure, at the place itself, that manifest and parts are there with their sizes.
    pub(super) fn require_present(&self, environment: &Environment) -> Result<()> {
        let short = self.backup.id.short();
        let failed = |what: String| {
            OperationError::hinted(
                ErrorKind::Damaged,
                format!("the backup {short}, on which the rest is deleted, {what}; nothing was deleted"),
                "`backstock verify` tells what is wrong with it",
            )
        };
        let signed = self.set_folder.manifest(environment, self.folder)?;
        if signed.sha256.to_string() != self.backup.manifest_hash {
            return Err(failed("has another manifest than the one on record".to_owned()));
        }
        match self.set_folder.lacking_part(environment, self.folder, &signed.manifest)? {
            None => Ok(()),
            Some(part) => Err(failed(format!("lacks {} of {} bytes", part.name, part.size_bytes))),
        }
    }

    /// Whether its manifest is there.
    pub(super) fn has_manifest(&self, environment: &Environment) -> Result<bool> {
        self.set_folder.has_manifest(environment, self.folder)
    }

    /// Whether the storage keeps it, as far as is known.
    fn is_retained(&self) -> bool {
        self.replica.state == ReplicaState::RetainedByStorage
    }

    /// Deletes it.
    pub(super) fn delete(&self, environment: &Environment) -> Result<Deleted> {
        let act = || format!("deleting the backup {}", self.backup.id.short());
        let (backup, storage) = (self.replica.backup, self.replica.storage);
        if self.replica.state != ReplicaState::Deleting {
            backstock_host::failpoint::reach("prune.before_begin").doing(act())?;
            if !environment.wait(environment.catalog.begin_deletion(backup, storage)).doing(act())? {
                return Ok(Deleted::NotAny);
            }
        }
        backstock_host::failpoint::reach("prune.before_tombstone").doing(act())?;
        let signed = self.set_folder.manifest(environment, self.folder).ok();
        self.set_folder.bury(environment, signed.as_ref().map(|signed| &signed.manifest), self.backup)?;
        backstock_host::failpoint::reach("prune.before_manifest").doing(act())?;
        if let Err(error) = self.set_folder.delete_manifest(environment, self.folder, backup) {
            let Some(refusal) = Refusal::of(&error) else { return Err(error) };
            environment.wait(environment.catalog.retain_replica(backup, storage)).doing(act())?;
            return Ok(Deleted::Retained(refusal));
        }
        backstock_host::failpoint::reach("prune.before_data").doing(act())?;
        self.set_folder.sweep(environment, self.folder)?;
        backstock_host::failpoint::reach("prune.before_forget").doing(act())?;
        environment.wait(environment.catalog.forget_replica(backup, storage)).doing(act())?;
        Ok(Deleted::Gone)
    }

    /// Deletes it where these credentials have just been refused another deletion: what a person or another machine has deleted
    /// meanwhile is forgotten, the rest is buried and stays.
    pub(super) fn delete_unless_refused(
        &self,
        environment: &Environment,
        refusal: Option<Refusal>,
    ) -> Result<Deleted> {
        match refusal {
            Some(Refusal::Denied) if self.is_retained() && self.has_manifest(environment)? => {
                Ok(Deleted::Retained(Refusal::Denied))
            }
            _ => self.delete(environment),
        }
    }
}
