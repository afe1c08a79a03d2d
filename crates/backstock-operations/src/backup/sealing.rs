//! Whether a backup is sealed, and for whom.

use backstock_archive::seal::Recipient;

use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result};
use crate::keys::IdentityStore;

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

/// Whom the backup is to be sealed for.
pub(super) fn recipients_of(environment: &Environment, sealing: Sealing) -> Result<Vec<Recipient>> {
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
    Ok(recipients)
}
