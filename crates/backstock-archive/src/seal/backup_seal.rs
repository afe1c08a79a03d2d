//! How one backup is sealed: a data key of its own, wrapped for every recipient.

use std::fmt;
use std::sync::Arc;

use backstock_host::Random;
use backstock_vocabulary::{ArtifactKind, BackupId, IdentityId};
use ring::hmac;

use super::header::{SealedContent, SealedHeader, WrappedKey, wrap_info};
use super::secret::{Secret, never};
use super::suite::{PublicKeyBytes, Suite};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// What the commitment to a data key is made of besides the key.
const COMMITMENT: &[u8] = b"backstock key commitment 1";

/// The key that all parts of one backup are sealed with.
pub struct DataKey(Secret);

never!(DataKey: Clone, fmt::Debug, fmt::Display, serde::Serialize, PartialEq);

impl DataKey {
    pub(super) fn of(secret: Secret) -> Self {
        Self(secret)
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    /// HMAC-SHA256 of a fixed label: GCM alone would let one ciphertext open under two keys.
    pub(super) fn commitment(&self) -> Digest<32> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.bytes());
        let mut commitment = Digest([0; 32]);
        commitment.0.copy_from_slice(hmac::sign(&key, COMMITMENT).as_ref());
        commitment
    }
}

/// Whom a backup is sealed for: the public half of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The identity.
    pub identity: IdentityId,
    /// The suite of its key.
    pub suite: Suite,
    /// Its public key.
    pub public_key: PublicKeyBytes,
}

/// How one backup is sealed.
pub struct BackupSeal {
    backup: BackupId,
    key: Arc<DataKey>,
    recipients: Vec<WrappedKey>,
}

never!(BackupSeal: Clone, fmt::Debug, serde::Serialize);

impl BackupSeal {
    /// Makes a data key and wraps it for each recipient.
    ///
    /// # Errors
    /// [`Error::Option`] without a recipient, or with a public key that is none of its suite.
    pub fn new(random: &dyn Random, backup: BackupId, recipients: &[Recipient]) -> Result<Self> {
        let refuse = |what: String| Error::Option { artifact: format!("the sealed backup {backup}"), what };
        if recipients.is_empty() {
            return Err(refuse("it has no recipient".to_owned()));
        }
        let key = Arc::new(DataKey(Secret::random(random)));
        let wrap = |recipient: &Recipient| {
            let Recipient { identity, suite, public_key } = recipient;
            let info = wrap_info(backup, *identity);
            let wrapped = suite.wrap(random, public_key, &info, key.secret());
            let wrapped = wrapped
                .ok_or_else(|| refuse(format!("the public key of the identity {identity} is none")))?;
            Ok(WrappedKey {
                identity: *identity,
                suite: suite.name().to_owned(),
                encapsulated: wrapped.encapsulated,
                sealed_key: wrapped.sealed_key,
            })
        };
        let wrapped = recipients.iter().map(wrap).collect::<Result<Vec<_>>>()?;
        Ok(Self { backup, key, recipients: wrapped })
    }

    /// The backup.
    pub fn backup(&self) -> BackupId {
        self.backup
    }

    /// The key, for whoever reads the backup back while it is in memory.
    pub fn key(&self) -> &Arc<DataKey> {
        &self.key
    }

    /// The header of one part; `number` counts from 1.
    pub(super) fn header(&self, artifact: SealedContent, number: u32) -> Result<SealedHeader> {
        let recipients = self.recipients.clone();
        SealedHeader::new(self.backup, artifact, number, self.key.commitment(), recipients)
    }
}

/// How one artifact of a backup is sealed.
#[derive(Clone)]
pub struct ArtifactSeal {
    pub(super) seal: Arc<BackupSeal>,
    pub(super) artifact: SealedContent,
}

impl ArtifactSeal {
    /// That of an artifact.
    pub fn of(seal: &Arc<BackupSeal>, artifact: ArtifactKind) -> Self {
        Self { seal: Arc::clone(seal), artifact: SealedContent::Artifact(artifact) }
    }

    /// That of an export of settings.
    pub(super) fn of_settings(seal: &Arc<BackupSeal>) -> Self {
        Self { seal: Arc::clone(seal), artifact: SealedContent::SETTINGS }
    }
}

impl fmt::Debug for ArtifactSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactSeal({} of {})", self.artifact, self.seal.backup)
    }
}
