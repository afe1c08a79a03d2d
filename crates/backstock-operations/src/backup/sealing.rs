//! Whether a backup is sealed, and for whom.

use backstock_archive::seal::Recipient;
use backstock_vocabulary::{Reason, SetId};

use super::plan::BackupRequest;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::keys::IdentityStore;
use crate::show::sealed_for;

/// Whether a backup is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sealing {
    /// Where there is an identity to seal for.
    #[default]
    WithAnIdentity,
    /// Always: without an identity no backup is made.
    Always,
    /// Never.
    Never,
}

/// Whom the backup is to be sealed for. A set whose newest backup is sealed does not fall back to plain files by itself: on a new
/// machine nobody would notice.
pub(super) fn recipients_of(
    environment: &Environment,
    request: &BackupRequest,
    set: SetId,
) -> Result<Vec<Recipient>> {
    let sealing = request.sealing;
    if sealing == Sealing::Never {
        return Ok(Vec::new());
    }
    let recipients = IdentityStore::of(environment).recipients()?;
    if recipients.is_empty() && sealing == Sealing::Always {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            "the backup is to be sealed, and there is no identity to seal it for",
            "`backstock key create` makes one",
        ));
    }
    if recipients.is_empty() && request.reason != Reason::PreRestore {
        let last = environment.wait(environment.catalog.last_backup_of_set(set));
        let last = last.doing("looking for the last backup of the set")?;
        if let Some(last) = last.filter(|last| !sealed_for(last).is_empty()) {
            return Err(OperationError::hinted(
                ErrorKind::Refused,
                format!(
                    "the last backup of this set, {}, is sealed, and there is no identity here to seal another one for",
                    last.id.short()
                ),
                "`backstock key create` makes one; --unsealed leaves new backups readable for everybody who has them",
            ));
        }
    }
    Ok(recipients)
}
