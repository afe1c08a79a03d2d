//! By what a server proves who it is, where the settings must name it: shown to the owner, who says whether it is right.

use backstock_host::Host;

use crate::kinds::{ftp, sftp};
use crate::{Result, StorageSettings};

/// What a server has shown of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenIdentity {
    /// The setting that pins it.
    pub setting: &'static str,
    /// Its fingerprint, as that setting takes it.
    pub fingerprint: String,
}

/// Connects to a server only to see who it says it is: nothing is sent, no one signs in, whatever the settings pin. `None` where
/// nothing needs to be pinned: the kind has no such setting, or the certificate is one that everybody trusts.
///
/// # Errors
///
/// The settings do not fit the kind, or the server cannot be reached.
pub async fn seen_identity(host: &Host, settings: &StorageSettings) -> Result<Option<SeenIdentity>> {
    if settings.kind == sftp::KIND.name {
        return sftp::seen_identity(&settings.settings).await.map(Some);
    }
    if settings.kind == ftp::KIND.name {
        return ftp::seen_identity(host, &settings.settings).await;
    }
    Ok(None)
}
