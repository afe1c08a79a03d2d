//! Exports of settings in a set's folder: `catalog/settings-…` beside the tombstones.

use backstock_archive::layout::CATALOG_FOLDER;
use backstock_archive::{SettingsName, signed};

use super::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, Result};

impl SetFolder {
    /// The exports that a listing shows.
    pub(crate) fn settings_names(&self, environment: &Environment) -> Result<Vec<SettingsName>> {
        let folder = self.object(CATALOG_FOLDER)?;
        let act = format!("listing {CATALOG_FOLDER}/ of {}", self.name);
        let objects = environment.wait(self.place.storage.list(Some(&folder))).doing(act)?;
        let paths = objects.iter().filter_map(|object| self.path_of(&object.name));
        Ok(paths.filter_map(SettingsName::parse).collect())
    }

    /// The stored bytes of an export; `None` when it is not there.
    pub(crate) fn settings(&self, environment: &Environment, name: &SettingsName) -> Result<Option<Vec<u8>>> {
        let object = self.object(&name.path())?;
        let act = format!("reading {} of {}", name.path(), self.name);
        // A sealed one is a little longer than the document in it.
        let limit_bytes = 2 * signed::DOCUMENT_LIMIT_BYTES;
        environment.wait(self.place.storage.read_small(&object, limit_bytes)).doing(act)
    }

    /// Puts an export.
    pub(crate) fn put_settings(
        &self,
        environment: &Environment,
        name: &SettingsName,
        bytes: &[u8],
    ) -> Result<()> {
        let object = self.object(&name.path())?;
        let act = format!("storing {} of {} at {}", name.path(), self.name, self.place.record.title);
        environment.wait(self.place.storage.put_small(&object, bytes)).doing(act)
    }

    /// Deletes an export.
    pub(crate) fn delete_settings(&self, environment: &Environment, name: &SettingsName) -> Result<()> {
        let object = self.object(&name.path())?;
        let act = format!("deleting {} of {}", name.path(), self.name);
        environment.wait(self.place.storage.delete(&object)).doing(act)
    }
}
