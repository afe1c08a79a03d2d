//! Whether a backup that was made just now can be restored whole here: its own key is in memory, those of what it builds on may
//! not be.

use backstock_vocabulary::ArtifactKind;

use crate::environment::Environment;
use crate::error::{ErrorKind, Result};
use crate::levels::ancestors;
use crate::stored::StoredBackup;

/// Whether everything that the files of a backup build on can be opened without anybody being asked.
pub(super) fn opens_the_chain(environment: &Environment, stored: &StoredBackup) -> Result<bool> {
    if !stored.has(ArtifactKind::Files) {
        return Ok(true);
    }
    for other in ancestors(environment, stored)? {
        if other.signed.manifest.sealed.is_none() {
            continue;
        }
        if !environment.keys.is_given() {
            return Ok(false);
        }
        match other.index(environment, ArtifactKind::FilesIndex) {
            Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::WrongKey) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(true)
}
