//! The export of settings: what manifests cannot tell, put beside the backups of a set, signed, and sealed where they are.
//!
//! What it says stands in `content` and is a matter of who reads it; this is the envelope. It names its own place and time: an older one
//! that somebody puts back under a newer name is known by that.

use backstock_host::InstanceKey;
use backstock_vocabulary::{BackupId, InstanceId, SetId, StorageId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout;
use crate::signed::{self, Format, PublicKey};

/// What the document is called in its format.
pub const DOCUMENT: &str = "backstock.settings";

/// What the path of an export tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingsName {
    /// When it was made, in whole seconds.
    pub made: Timestamp,
    /// Eight digits that are others when the settings are.
    pub stamp: String,
    /// Whether it is sealed.
    pub is_sealed: bool,
}

impl SettingsName {
    /// What a path in a set's folder tells; `None` where it is none of an export.
    pub fn parse(path: &str) -> Option<Self> {
        let (made, stamp, is_sealed) = layout::parse_settings_path(path)?;
        Some(Self { made, stamp: stamp.to_owned(), is_sealed })
    }

    /// The path in the set's folder.
    pub fn path(&self) -> String {
        layout::settings_path(self.made, &self.stamp, self.is_sealed)
    }
}

/// Settings of one set as they lie at one storage.
#[derive(Serialize, Deserialize)]
pub struct ExportedSettings<C> {
    /// Kind and version of the document.
    pub format: Format,
    /// The key of the instance, which signs this.
    pub signer: PublicKey,
    /// The instance.
    pub instance: InstanceId,
    /// The machine it runs on.
    pub machine: String,
    /// The set.
    pub set: SetId,
    /// Its own id: a sealed one tells it in its header.
    pub export: BackupId,
    /// The storage that it was put to.
    pub storage: StorageId,
    /// When it was made, in whole seconds.
    pub made: Timestamp,
    /// Eight digits that are others when the settings are.
    pub stamp: String,
    /// Whether it was sealed: only then secrets stand in it.
    pub is_sealed: bool,
    /// What it says.
    pub content: C,
}

impl<C> ExportedSettings<C> {
    /// The kind and version that this program writes.
    pub fn format() -> Format {
        Format::of(DOCUMENT)
    }

    /// What its path tells.
    pub fn name(&self) -> SettingsName {
        SettingsName { made: self.made, stamp: self.stamp.clone(), is_sealed: self.is_sealed }
    }
}

impl<C: Serialize> ExportedSettings<C> {
    /// The exact bytes of the document. Sets the signer.
    pub fn sign(mut self, key: &InstanceKey) -> Result<Zeroizing<Vec<u8>>> {
        self.signer = Digest([0; 32]);
        self.signer.0.copy_from_slice(key.public());
        signed::sign(&self, &self.name().path(), key).map(Zeroizing::new)
    }
}

impl<C: DeserializeOwned> ExportedSettings<C> {
    /// Reads the exact bytes of a document that lies at this path, opened where it was sealed.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a byte is wrong or missing, or another path is told in it; [`Error::NewerFormat`] for what this
    /// version cannot know.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Self> {
        let settings: Self = signed::open(bytes, DOCUMENT, path)?;
        let own = settings.name().path();
        if own == path {
            return Ok(settings);
        }
        Err(Error::Damaged {
            part: path.to_owned(),
            offset: 0,
            size_bytes: bytes.len() as u64,
            what: format!("it was put here as {own}: somebody gave it another name"),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use backstock_host::Host;
    use backstock_vocabulary::IdentityId;
    use proptest::prelude::*;

    use super::*;
    use crate::read_at::ReadAt;
    use crate::seal::{PrivateIdentity, Recipient, SealedHeader, Suite, open_settings, seal_settings};

    pub(crate) fn settings(is_sealed: bool, content: String) -> ExportedSettings<String> {
        ExportedSettings {
            format: ExportedSettings::<String>::format(),
            signer: Digest([0; 32]),
            instance: InstanceId::from_parts(1, [1; 10]),
            machine: "elsewhere".to_owned(),
            set: SetId::from_parts(1, [2; 10]),
            export: BackupId::from_parts(1, [3; 10]),
            storage: StorageId::from_parts(1, [4; 10]),
            made: "2026-11-20T03:00:00Z".parse().unwrap(),
            stamp: "0badcafe".to_owned(),
            is_sealed,
            content,
        }
    }

    fn key() -> InstanceKey {
        let folder = tempfile::tempdir().unwrap();
        InstanceKey::load_or_create(&Host::real(), &folder.path().join("key")).unwrap()
    }

    fn identity() -> (PrivateIdentity, Recipient) {
        let id = IdentityId::from_parts(1, [9; 10]);
        let private = PrivateIdentity::new(Host::real().random.as_ref(), id, Suite::X25519);
        let recipient = private.public(Timestamp::UNIX_EPOCH).unwrap().recipient();
        (private, recipient)
    }

    fn opened(bytes: &[u8], path: &str, identity: &PrivateIdentity) -> Result<Zeroizing<Vec<u8>>> {
        let header = SealedHeader::read(&bytes.to_vec() as &dyn ReadAt, path)?;
        let key = header.open_key(identity, path)?.unwrap();
        open_settings(bytes.to_vec(), path, &header, &Arc::new(key))
    }

    #[test]
    fn it_reads_back_under_its_own_name_alone_and_no_byte_may_change() {
        let (key, settings) = (key(), settings(false, "daily".to_owned()));
        let path = settings.name().path();
        assert_eq!(path, "catalog/settings-2026-11-20T03.00.00Z-0badcafe.json");
        let bytes = settings.sign(&key).unwrap();
        let read = ExportedSettings::<String>::parse(&bytes, &path).unwrap();
        assert_eq!((read.signer.0.as_slice(), read.content.as_str()), (key.public() as &[u8], "daily"));
        for other in ["2026-11-21T03.00.00Z-0badcafe.json", "2026-11-20T03.00.00Z-0badcafe.json.bks"] {
            let other = format!("catalog/settings-{other}");
            let error = ExportedSettings::<String>::parse(&bytes, &other).err().unwrap();
            assert!(error.to_string().contains("another name"), "{error}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(ExportedSettings::<String>::parse(&changed, &path).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(ExportedSettings::<String>::parse(&bytes[..length], &path).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_sealed_one_opens_with_its_identity_alone_and_shows_every_change() {
        let (key, (private, recipient)) = (key(), identity());
        let settings = settings(true, "hunter2 ".repeat(9000));
        let (path, export) = (settings.name().path(), settings.export);
        let text = settings.sign(&key).unwrap();
        let random = Host::real().random;
        let bytes = seal_settings(random.as_ref(), export, &[recipient], &text).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(*opened(&bytes, &path, &private).unwrap(), *text);
        let stranger = identity().0;
        let header = SealedHeader::read(&bytes, &path).unwrap();
        assert_eq!(header.backup(), export);
        assert!(header.open_key(&stranger, &path).is_err(), "another key of the same id");
        // Past its header and its JSON are zeros that the header's own hash covers.
        for at in (0..bytes.len()).step_by(97) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(opened(&changed, &path, &private).is_err(), "byte {at}");
        }
        assert!(opened(&bytes[..bytes.len() - 1], &path, &private).is_err());
    }

    /// A part of a backup is no export, and an export is no part, whoever puts one in the place of the other.
    #[test]
    fn a_part_of_a_backup_is_not_taken_for_an_export() {
        use crate::artifact::{ArtifactOptions, ArtifactWriter};
        use crate::seal::{ArtifactSeal, BackupSeal};
        let (private, recipient) = identity();
        let folder = tempfile::tempdir().unwrap();
        let host = Host::real();
        let seal = BackupSeal::new(host.random.as_ref(), BackupId::from_parts(1, [3; 10]), &[recipient]);
        let seal = ArtifactSeal::of(&Arc::new(seal.unwrap()), backstock_vocabulary::ArtifactKind::Files);
        let options =
            ArtifactOptions { seal: Some(seal), ..ArtifactOptions::of(backstock_vocabulary::Codec::Zstd, 1) };
        let writer = ArtifactWriter::create(&host, folder.path(), "files.tar.zst", &options).unwrap();
        let artifact = writer.finish().unwrap();
        let bytes = std::fs::read(folder.path().join(&artifact.parts[0].name)).unwrap();
        let error = opened(&bytes, "x", &private).unwrap_err();
        assert!(error.to_string().contains("part 1 of the files, and no settings"), "{error}");
    }

    proptest! {
        #[test]
        fn any_content_goes_both_ways(content in ".*", is_sealed: bool) {
            let (key, settings) = (key(), settings(is_sealed, content.clone()));
            let path = settings.name().path();
            let bytes = settings.sign(&key).unwrap();
            let read = ExportedSettings::<String>::parse(&bytes, &path).unwrap();
            prop_assert_eq!(read.content, content);
            prop_assert_eq!(SettingsName::parse(&path), Some(SettingsName {
                made: read.made, stamp: read.stamp, is_sealed,
            }));
        }
    }
}
