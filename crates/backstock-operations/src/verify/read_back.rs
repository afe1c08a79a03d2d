//! Reading a backup back right after its parts were put, while its data key is in memory: later this machine cannot open what it
//! sealed for somebody else. It happens before the manifest is written, so that what does not read back never counts.

use backstock_vocabulary::VerifyLevel;

use super::record::{Finding, mark, record_levels};
use super::{Member, VerifyReport, check_levels};
use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result};
use crate::monitor::Monitor;
use crate::stored::StoredBackup;

/// Which backups are decoded right after they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadBack {
    /// Those that are sealed and on this machine: others can be decoded at any time.
    #[default]
    Sealed,
    /// All.
    Always,
    /// None.
    Never,
}

impl ReadBack {
    /// Whether one is, by whether it is sealed, and made on this machine: from afar all of it would have to come back.
    pub(crate) fn of(self, is_sealed: bool, is_here: bool) -> bool {
        match self {
            Self::Sealed => is_sealed && is_here,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Reads every part of a backup from its destination and decodes it down to rows and files. What it builds on is left alone: that
/// was decoded when it was made, and may be sealed for somebody else.
///
/// # Errors
/// [`ErrorKind::Damaged`] with the part, where it is not what was written.
pub(crate) fn require_decoded(
    environment: &Environment,
    stored: &StoredBackup,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut report = VerifyReport::begun(stored.record.id, VerifyLevel::Decoded);
    let mut members = [Member { stored, is_other: false, is_damaged: false }];
    check_levels(environment, &mut members, VerifyLevel::Decoded, &mut report, monitor)?;
    let refused = |kind, what: &str| {
        OperationError::hinted(
            kind,
            format!("the backup does not read back as it was written, and does not count: {what}"),
            "look at that disk; nothing of the backup is kept there",
        )
    };
    if let Some(damage) = report.damage.first() {
        return Err(refused(ErrorKind::Damaged, &format!("{}: {}", damage.part, damage.what)));
    }
    match report.stopped {
        Some(why) => Err(refused(ErrorKind::Failed, &why)),
        None => Ok(()),
    }
}

/// Records that a backup, which is on record by now, was decoded.
pub(crate) fn record_decoded(environment: &Environment, stored: &StoredBackup) -> Result<()> {
    mark(environment, &stored.record, Some(&stored.replica), Finding::ReadBack)?;
    record_levels(environment, &stored.record, Some(&stored.replica), VerifyLevel::Decoded)
}
