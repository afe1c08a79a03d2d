//! Reads a dump made by others without any server: what a file is refused for, and what would become of it.

use super::drafts::TableDraft;
use super::fault::Outcome;
use super::live::Live;
use super::walk::RowSink;
use super::write::scan;
use crate::error::{Error, Result};
use crate::foreign::{ForeignPlan, ForeignRequest, ForeignSource};
use crate::{Vendor, Version};

/// Reads a dump to its end as if for a server of this version whose database is empty: rows without a definition are refused.
///
/// # Errors
/// [`Error::ForeignText`] with file and line where the dump is refused, [`Error::ForeignRead`].
pub fn scan_foreign_offline(
    vendor: Vendor,
    version: Version,
    request: &ForeignRequest,
    source: &dyn ForeignSource,
) -> Result<ForeignPlan> {
    scan(&mut Live::empty(vendor, version), request, source, &mut Unseen).map_err(Error::from)
}

/// Rows that nobody takes.
struct Unseen;

impl RowSink for Unseen {
    fn row(&mut self, _: &TableDraft, _: &[Vec<u8>], _: &[u8], _: bool) -> Outcome<()> {
        Ok(())
    }

    fn check_stop(&self) -> Outcome<()> {
        Ok(())
    }
}
