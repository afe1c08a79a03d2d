//! The manifest: what a backup is and what it consists of. Written last; a backup exists when its manifest does.
//!
//! Data can be lost here: a manifest that tells wrong sizes or hashes makes a good backup unreadable. It is public, so
//! it holds no name of a table or file and no count of rows.

use backstock_host::InstanceKey;
use backstock_vocabulary::{
    ArtifactKind, BackupId, Codec, Content, IdentityId, InstanceId, Level, Reason, RunId, SetId, ShopId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, PART_LIMIT, Part};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::layout::{self, MANIFEST_NAME};
use crate::signed::{self, Format, PublicKey};

/// What the document is called in its format.
pub const DOCUMENT: &str = "backstock.manifest";

/// What a backup is and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Kind and version of the document.
    pub format: Format,
    /// The key that signs it.
    pub signer: PublicKey,
    /// The installation that made it.
    pub instance: InstanceId,
    /// The shop.
    pub shop: ShopId,
    /// The set.
    pub set: SetId,
    /// The backup.
    pub backup: BackupId,
    /// The run that made it.
    pub run: RunId,
    /// Counts the backups of the set from 1, without gaps.
    pub sequence: u64,
    /// Hash of the manifest with the sequence number before, unless this is the first.
    pub previous_manifest_sha256: Option<Sha256>,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// The backup that its level counts from.
    pub parent: Option<Parent>,
    /// Hash of what the set asked for: equal hashes make backups that can depend on each other.
    pub definition_sha256: Sha256,
    /// When it began.
    pub started: Timestamp,
    /// When its data was durable.
    pub finished: Timestamp,
    /// What it is worth.
    pub content: Content,
    /// Why it was made.
    pub reason: Reason,
    /// How many exceptions and notes there are; the indexes name them.
    pub exceptions: ExceptionCounts,
    /// How it is sealed, if it is.
    pub sealed: Option<Sealed>,
    /// What it consists of.
    pub artifacts: Vec<ManifestArtifact>,
}

/// The backup that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The backup.
    pub backup: BackupId,
    /// Hash of its manifest.
    pub manifest_sha256: Sha256,
}

/// How many things are missing or worth knowing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionCounts {
    /// Objects of the database that are not in it.
    pub database: u64,
    /// Files that are not in it.
    pub files: u64,
    /// What is in it and worth knowing: vanished, changed while read.
    pub notes: u64,
}

/// How a backup is sealed: every part of it, indexes included. The manifest calls it critical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The identities that it was sealed for.
    pub recipients: Vec<IdentityId>,
}

/// One artifact and its parts, named by their paths in the backup's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestArtifact {
    /// Which one.
    pub kind: ArtifactKind,
    /// How its frames are compressed.
    pub codec: Codec,
    /// Length of its text in bytes; of an index it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plaintext_bytes: Option<u64>,
    /// Its parts in order.
    pub parts: Vec<Part>,
}

impl ManifestArtifact {
    /// An artifact of data, as its writer left it.
    pub fn data(kind: ArtifactKind, artifact: &Artifact) -> Self {
        Self::with_folder(kind, artifact.codec, Some(artifact.plaintext_bytes), &artifact.parts)
    }

    /// An index, as its writer left it.
    pub fn index(kind: ArtifactKind, part: &Part) -> Self {
        Self::with_folder(kind, Codec::Zstd, None, std::slice::from_ref(part))
    }

    fn with_folder(kind: ArtifactKind, codec: Codec, plaintext_bytes: Option<u64>, parts: &[Part]) -> Self {
        let folder = layout::artifact_folder(kind);
        let parts = parts
            .iter()
            .map(|part| Part { name: format!("{folder}/{}", part.name), ..part.clone() })
            .collect();
        Self { kind, codec, plaintext_bytes, parts }
    }

    /// Its path in the backup's folder, without a part's number.
    pub fn path(&self) -> String {
        layout::artifact_path(self.kind, self.codec)
    }

    /// Length of all its parts in bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }

    /// What is wrong with it, if anything: parts missing, twice, or with other names than they must have.
    fn fault(&self, is_sealed: bool) -> Option<String> {
        let count = self.parts.len();
        if count == 0 || count > PART_LIMIT {
            return Some(format!("{} has {count} parts", self.path()));
        }
        let mut total = 0_u64;
        for (at, part) in self.parts.iter().enumerate() {
            let expected = layout::part_path(self.kind, self.codec, at + 1, count, is_sealed);
            if part.name != expected {
                return Some(format!("there is a part \"{}\" in the place of {expected}", part.name));
            }
            let blocks = part.size_bytes.div_ceil(crate::artifact::BLOCK_SIZE_BYTES);
            total = total.saturating_add(part.size_bytes);
            if part.block_hashes.count() as u64 != blocks || total > u64::MAX / 2 {
                return Some(format!("{expected} has impossible sizes"));
            }
        }
        None
    }
}

impl Manifest {
    /// The kind and version that this program writes.
    pub fn format() -> Format {
        Format::of(DOCUMENT)
    }

    /// The artifact of a kind.
    pub fn artifact(&self, kind: ArtifactKind) -> Option<&ManifestArtifact> {
        self.artifacts.iter().find(|artifact| artifact.kind == kind)
    }

    /// Length of everything but the manifest, in bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.artifacts.iter().map(ManifestArtifact::stored_bytes).sum()
    }

    /// The exact bytes of `manifest.json`. Sets the signer.
    pub fn sign(&self, key: &InstanceKey) -> Result<Vec<u8>> {
        let mut signed = self.clone();
        signed.signer.0.copy_from_slice(key.public());
        signed.format.critical.retain(|name| name != signed::SEALED);
        if signed.sealed.is_some() {
            signed.format.critical.push(signed::SEALED.to_owned());
        }
        if let Some(what) = signed.fault() {
            return Err(Error::Option { artifact: MANIFEST_NAME.to_owned(), what });
        }
        signed::sign(&signed, MANIFEST_NAME, key)
    }

    /// What is wrong with it, if anything.
    fn fault(&self) -> Option<String> {
        let twice =
            |at: usize| self.artifacts[..at].iter().any(|other| other.kind == self.artifacts[at].kind);
        if (0..self.artifacts.len()).any(twice) {
            return Some("it tells an artifact twice".to_owned());
        }
        if (self.level == Level::Full) != self.parent.is_none() {
            return Some("its level and its parent do not fit together".to_owned());
        }
        if self.sequence == 0 || self.sequence == 1 && self.previous_manifest_sha256.is_some() {
            return Some("its sequence number and the manifest before do not fit together".to_owned());
        }
        let is_critical = self.format.critical.iter().any(|name| name == signed::SEALED);
        if self.sealed.is_some() != is_critical {
            return Some("it does not call critical that it is sealed".to_owned());
        }
        if self.sealed.as_ref().is_some_and(|sealed| sealed.recipients.is_empty()) {
            return Some("it is sealed for nobody".to_owned());
        }
        self.artifacts.iter().find_map(|artifact| artifact.fault(self.sealed.is_some()))
    }
}

/// A manifest whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    /// What it says. Its signer is the key whose signature was checked: whether to trust that key is not settled.
    pub manifest: Manifest,
    /// SHA-256 of the exact bytes, which the next manifest tells.
    pub sha256: Sha256,
}

impl SignedManifest {
    /// Reads the exact bytes of a `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a byte is wrong or missing; [`Error::NewerFormat`] for what this version cannot know.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Manifest = signed::open(bytes, DOCUMENT, MANIFEST_NAME)?;
        if let Some(what) = manifest.fault() {
            return Err(Error::Damaged {
                part: MANIFEST_NAME.to_owned(),
                offset: 0,
                size_bytes: bytes.len() as u64,
                what,
            });
        }
        Ok(Self { manifest, sha256: manifest_hash(bytes) })
    }
}

/// SHA-256 of the exact bytes of a manifest: what `sha256sum manifest.json` prints.
pub fn manifest_hash(bytes: &[u8]) -> Sha256 {
    Sha256::of(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
