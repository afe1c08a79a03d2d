//! What a look at a set's folder tells: its backups by their manifests, what has none, its tombstones and owners.

use backstock_archive::layout::{self, BackupFolder, MANIFEST_NAME};
use backstock_storage::{ObjectFacts, ObjectName};

use super::{FoundManifest, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, OperationError, Result};

/// What a listing of a set's folder tells.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Folders of backups with a manifest.
    pub(crate) with_manifest: Vec<String>,
    /// Folders of backups without one.
    pub(crate) without_manifest: Vec<String>,
    /// Paths of tombstones in the set's folder.
    pub(crate) tombstones: Vec<String>,
    /// Names of owner files.
    pub(crate) owners: Vec<String>,
}

/// What a look at a set's folder brought.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Manifests that could be read, by sequence.
    pub(crate) manifests: Vec<FoundManifest>,
    /// Folders of backups without a manifest: leftovers of runs that died, or of runs that are going on.
    pub(crate) without_manifest: Vec<String>,
    /// Manifests that could not be read, and why.
    pub(crate) unreadable: Vec<(String, OperationError)>,
    /// Paths of tombstones in the set's folder.
    pub(crate) tombstones: Vec<String>,
}

impl SetFolder {
    /// What a listing of the folder tells. Only exact names count; a listing is never proof of absence.
    pub(crate) fn listing(&self, environment: &Environment) -> Result<Listing> {
        let root = self.root()?;
        let act = format!("listing the backups of {} at {}", self.name, self.place.record.title);
        let objects = environment.wait(self.place.storage.list(Some(&root))).doing(act)?;
        Ok(self.listing_of(&objects))
    }

    /// The same of what was listed.
    pub(crate) fn listing_of(&self, objects: &[ObjectFacts]) -> Listing {
        let mut listing = Listing::default();
        let mut folders: Vec<(String, bool)> = Vec::new();
        for object in objects {
            let Some(path) = self.path_of(&object.name) else { continue };
            if layout::parse_tombstone_path(path).is_some() {
                listing.tombstones.push(path.to_owned());
                continue;
            }
            if layout::parse_owner_name(path).is_some() {
                listing.owners.push(path.to_owned());
                continue;
            }
            let mut steps = path.split('/');
            let Some(folder) = steps.next().filter(|step| step.parse::<BackupFolder>().is_ok()) else {
                continue;
            };
            let is_manifest = steps.next() == Some(MANIFEST_NAME) && steps.next().is_none();
            match folders.last_mut() {
                Some((last, has_manifest)) if last == folder => *has_manifest |= is_manifest,
                _ => folders.push((folder.to_owned(), is_manifest)),
            }
        }
        for (folder, has_manifest) in folders {
            if has_manifest {
                listing.with_manifest.push(folder);
            } else {
                listing.without_manifest.push(folder);
            }
        }
        listing
    }

    /// What is in the folder, with every manifest of it.
    pub(crate) fn inventory(&self, environment: &Environment) -> Result<Inventory> {
        let Listing { with_manifest, without_manifest, tombstones, .. } = self.listing(environment)?;
        let mut inventory = Inventory { without_manifest, tombstones, ..Inventory::default() };
        for folder in with_manifest {
            match self.manifest(environment, &folder) {
                Ok(signed) => inventory.manifests.push(FoundManifest { folder, signed }),
                Err(error) => inventory.unreadable.push((folder, error)),
            }
        }
        inventory.manifests.sort_by_key(|found| found.signed.manifest.sequence);
        Ok(inventory)
    }

    /// The path of an object within this folder.
    pub(super) fn path_of<'a>(&self, object: &'a ObjectName) -> Option<&'a str> {
        object.as_str().strip_prefix(self.name.as_str())?.strip_prefix('/')
    }
}
