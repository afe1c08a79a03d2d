//! The tombstone of a backup that was deleted on purpose: its number in the set is not missing, and is never used again.

use backstock_host::InstanceKey;
use backstock_vocabulary::{BackupId, InstanceId, SetId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::error::Result;
use crate::layout;
use crate::signed::{self, Format, PublicKey};

/// What the document is called in its format.
pub const DOCUMENT: &str = "backstock.tombstone";

/// Which backup was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Kind and version of the document.
    pub format: Format,
    /// The key of the instance that deleted it, which signs this.
    pub signer: PublicKey,
    /// That instance.
    pub instance: InstanceId,
    /// The set.
    pub set: SetId,
    /// The backup.
    pub backup: BackupId,
    /// Its number within the set.
    pub sequence: u64,
    /// Hash of its manifest.
    pub manifest_sha256: Sha256,
    /// What its manifest told of the one before; none where it could not be read any more, and of the first.
    pub previous_manifest_sha256: Option<Sha256>,
    /// When its deletion began.
    pub deleted: Timestamp,
}

impl Tombstone {
    /// The kind and version that this program writes.
    pub fn format() -> Format {
        Format::of(DOCUMENT)
    }

    /// Its path in the set's folder, as its number and backup ask for.
    pub fn path(&self) -> String {
        layout::tombstone_path(self.sequence, &self.backup.short())
    }

    /// The exact bytes of the file. Sets the signer.
    pub fn sign(&self, key: &InstanceKey) -> Result<Vec<u8>> {
        let mut signed = self.clone();
        signed.signer.0.copy_from_slice(key.public());
        signed::sign(&signed, &self.path(), key)
    }

    /// Reads the exact bytes of a file at this path, which must tell the same number and backup.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] when a byte is wrong or missing; [`crate::Error::NewerFormat`] for what this version
    /// cannot know.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Self> {
        let tombstone: Self = signed::open(bytes, DOCUMENT, path)?;
        if tombstone.path() != path {
            return Err(crate::Error::Damaged {
                part: path.to_owned(),
                offset: 0,
                size_bytes: bytes.len() as u64,
                what: format!("it is that of backup {}, number {}", tombstone.backup, tombstone.sequence),
            });
        }
        Ok(tombstone)
    }
}

#[cfg(test)]
mod tests {
    use backstock_host::Host;

    use super::*;
    use crate::digest::Digest;

    fn tombstone() -> Tombstone {
        Tombstone {
            format: Tombstone::format(),
            signer: Digest([0; 32]),
            instance: InstanceId::from_parts(1, [1; 10]),
            set: SetId::from_parts(1, [2; 10]),
            backup: BackupId::from_parts(1, [0xab; 10]),
            sequence: 7,
            manifest_sha256: Digest([7; 32]),
            previous_manifest_sha256: Some(Digest([6; 32])),
            deleted: "2026-11-20T03:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn it_reads_back_under_its_own_name_alone_and_no_byte_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let key = InstanceKey::load_or_create(&Host::real(), &folder.path().join("key")).unwrap();
        let tombstone = tombstone();
        let path = tombstone.path();
        assert_eq!(path, "catalog/tombstone-000000007-abababab.json");
        let bytes = tombstone.sign(&key).unwrap();
        let read = Tombstone::parse(&bytes, &path).unwrap();
        assert_eq!((read.signer.0.as_slice(), read.sequence), (key.public() as &[u8], 7));
        assert!(Tombstone::parse(&bytes, &layout::tombstone_path(8, "abababab")).is_err());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Tombstone::parse(&changed, &path).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(Tombstone::parse(&bytes[..length], &path).is_err(), "{length} bytes");
        }
    }
}
