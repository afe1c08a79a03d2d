//! Sealed parts of a set's folder, opened for reading, and the folder `keys/` beside them.

use std::sync::Arc;

use backstock_archive::ReadAt;
use backstock_archive::manifest::{ManifestArtifact, SignedManifest};
use backstock_archive::seal::{OpenedPart, SealedHeader, SegmentCache};
use backstock_storage::ObjectName;

use super::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// The folder beside a set's backups that holds what is needed to open them.
const KEYS_FOLDER: &str = "keys";
/// A document in that folder of more bytes is none of ours.
const KEY_DOCUMENT_LIMIT_BYTES: u64 = 1024 * 1024;

impl SetFolder {
    /// Opens one stored part for reading its text, whether it is sealed or not. `number` counts the parts from 1; all of
    /// one artifact share a cache.
    pub(crate) fn open_text(
        &self,
        environment: &Environment,
        folder: &str,
        signed: &SignedManifest,
        artifact: &ManifestArtifact,
        number: usize,
        cache: &Arc<SegmentCache>,
    ) -> Result<Box<dyn ReadAt>> {
        let part = artifact.parts.get(number - 1).ok_or_else(|| {
            OperationError::plain(ErrorKind::Damaged, format!("{} has no part {number}", artifact.path()))
        })?;
        let stored = self.open_part(environment, folder, part)?;
        if signed.manifest.sealed.is_none() {
            return Ok(stored);
        }
        let act = || format!("opening {} of {folder}", part.name);
        let header = SealedHeader::read(&stored, &part.name).doing(act())?;
        header.require(signed.manifest.backup, artifact, number).doing(act())?;
        let key = environment.keys.data_key(environment, self, &header, &part.name)?;
        let opened = OpenedPart::open(stored, &part.name, &header, &key, number, cache).doing(act())?;
        Ok(Box::new(opened))
    }

    fn key_object(&self, file: &str) -> Result<ObjectName> {
        self.object(&format!("{KEYS_FOLDER}/{file}"))
    }

    /// The names of the documents in `keys/`.
    pub(crate) fn key_documents(&self, environment: &Environment) -> Result<Vec<String>> {
        let objects = self.key_objects(environment)?;
        Ok(objects.iter().map(|name| name.last_step().to_owned()).collect())
    }

    /// The objects in `keys/`.
    pub(crate) fn key_objects(&self, environment: &Environment) -> Result<Vec<ObjectName>> {
        let folder = self.object(KEYS_FOLDER)?;
        let act = format!("listing {KEYS_FOLDER}/ of {}", self.name);
        let objects = environment.wait(self.place.storage.list(Some(&folder))).doing(act)?;
        Ok(objects.into_iter().map(|object| object.name).collect())
    }

    /// A document in `keys/`; `None` when it is not there.
    pub(crate) fn key_document(&self, environment: &Environment, file: &str) -> Result<Option<Vec<u8>>> {
        let name = self.key_object(file)?;
        let act = format!("reading {KEYS_FOLDER}/{file} of {}", self.name);
        environment.wait(self.place.storage.read_small(&name, KEY_DOCUMENT_LIMIT_BYTES)).doing(act)
    }

    /// Puts a document into `keys/`.
    pub(crate) fn put_key_document(&self, environment: &Environment, file: &str, bytes: &[u8]) -> Result<()> {
        let name = self.key_object(file)?;
        let act = format!("storing {KEYS_FOLDER}/{file} of {}", self.name);
        environment.wait(self.place.storage.put_small(&name, bytes)).doing(act)
    }

    /// Puts a document into `keys/` in the place of another one.
    pub(crate) fn replace_key_document(
        &self,
        environment: &Environment,
        file: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let name = self.key_object(file)?;
        let act = format!("removing the older {KEYS_FOLDER}/{file} of {}", self.name);
        environment.wait(self.place.storage.delete(&name)).doing(act)?;
        self.put_key_document(environment, file, bytes)
    }
}
