//! Where the members of a backup's files lie: in its own archive, and in those of the backups that it builds on.

use std::sync::{Mutex, OnceLock, PoisonError};

use crate::artifact::ArtifactReader;
use crate::{Error, Result};

/// Opens the archive of a backup that another one builds on, by its number in the chain, 0 being the full one.
type OpenArchive<'a> = Box<dyn Fn(u32) -> Result<ArtifactReader> + Send + Sync + 'a>;

/// The archives that a backup's files lie in. Those of the backups that it builds on are opened when the first member of them is
/// wanted.
pub struct FilesSource<'a> {
    /// In the order of the chain; the backup's own is the last.
    archives: Vec<OnceLock<ArtifactReader>>,
    open: OpenArchive<'a>,
    opening: Mutex<()>,
}

impl<'a> FilesSource<'a> {
    /// The only archive of a full backup.
    pub fn alone(own: ArtifactReader) -> Self {
        Self::building_on(0, own, |_| {
            Err(Error::Tree { act: "read the files", what: "a full backup has one archive".to_owned() })
        })
    }

    /// The archive of a backup that builds on so many others.
    pub fn building_on(
        others: usize,
        own: ArtifactReader,
        open: impl Fn(u32) -> Result<ArtifactReader> + Send + Sync + 'a,
    ) -> Self {
        let mut archives: Vec<OnceLock<ArtifactReader>> =
            std::iter::repeat_with(OnceLock::new).take(others).collect();
        archives.push(OnceLock::from(own));
        Self { archives, open: Box::new(open), opening: Mutex::new(()) }
    }

    /// The number of the backup itself within its chain.
    pub fn own_number(&self) -> u32 {
        u32::try_from(self.archives.len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// Makes sure that the chain has a backup of this number.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it has none.
    pub(crate) fn has(&self, number: u32) -> Result<&OnceLock<ArtifactReader>> {
        let slot = usize::try_from(number).ok().and_then(|number| self.archives.get(number));
        slot.ok_or_else(|| {
            let what = format!("it names the backup {number} of a chain of {}", self.archives.len());
            Error::Damaged { part: "files/index.zst".to_owned(), offset: 0, size_bytes: 0, what }
        })
    }

    /// The archive of one backup of the chain.
    ///
    /// # Errors
    /// When there is none of that number, or when it cannot be opened.
    pub(crate) fn archive(&self, number: u32) -> Result<&ArtifactReader> {
        let slot = self.has(number)?;
        if let Some(archive) = slot.get() {
            return Ok(archive);
        }
        let _opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.get() {
            Some(archive) => Ok(archive),
            None => {
                let archive = (self.open)(number)?;
                Ok(slot.get_or_init(|| archive))
            }
        }
    }
}
