//! Grows the made-up shop to the size of a large real one: text and numbers in tables, code and photographs in files.
//!
//! Text is drawn from made-up languages whose words are met as often as those of real ones, and code from statements
//! with made-up names, so that both compress about as real text and code do (measured: 3 to 5 times, zstd's level 3).

use std::fs;
use std::path::Path;

use super::{Choices, DemoShop};
use crate::error::TestbedError;

mod code;
mod files;
mod rows;
mod tables;
mod text;

/// How large a shop is to become; what is there already counts. Zero leaves that side as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    /// Bytes that are added to the tables, counted as they stand in `INSERT` statements.
    pub sql_bytes: u64,
    /// Number of files in the shop's folder and its storage.
    pub files: u64,
    /// Bytes in those files.
    pub file_bytes: u64,
}

impl DemoShop {
    /// Adds rows of all the shapes that shops hold, over two connections; the shop must have been made.
    ///
    /// # Errors
    /// [`TestbedError`] of the database.
    pub fn grow_database(&self, growth: &Growth) -> Result<(), TestbedError> {
        if growth.sql_bytes == 0 {
            return Ok(());
        }
        rows::grow(self, growth.sql_bytes)
    }

    /// Adds code, thumbnails and photographs until the tree has the wanted number of files and bytes. Needs no database
    /// and no shop: an empty folder will do.
    ///
    /// # Errors
    /// [`TestbedError`] of the file system.
    pub fn grow_files(&self, growth: &Growth) -> Result<(), TestbedError> {
        let mut present = (0, 0);
        for folder in [self.root(), self.storage()] {
            let found = size_of(&folder)?;
            present = (present.0 + found.0, present.1 + found.1);
        }
        let files = growth.files.saturating_sub(present.0);
        let bytes = growth.file_bytes.saturating_sub(present.1);
        if files == 0 {
            return Ok(());
        }
        files::grow(self, files, bytes, &mut Choices(self.seed ^ 2))
    }
}

/// Regular files below a folder and the sum of their lengths in bytes; nothing where there is no folder.
///
/// # Errors
/// [`TestbedError`] of the file system.
pub fn size_of(folder: &Path) -> Result<(u64, u64), TestbedError> {
    let told = |error| TestbedError::file("look through", folder, error);
    let mut sum = (0, 0);
    if !folder.exists() {
        return Ok(sum);
    }
    for entry in fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let metadata = entry.metadata().map_err(told)?;
        if metadata.is_dir() {
            let below = size_of(&entry.path())?;
            sum = (sum.0 + below.0, sum.1 + below.1);
        } else if metadata.is_file() {
            sum = (sum.0 + 1, sum.1 + metadata.len());
        }
    }
    Ok(sum)
}
