//! The header of a sealed part: what the part is, and the backup's data key wrapped for each recipient.
//!
//! ```text
//!  0-7    BKSEALED
//!  8-11   major version 1            numbers are little-endian
//! 12-15   length of the header: a multiple of 4096, at most 65536
//! 16-19   length of the JSON that begins at byte 32
//! 20-31   zero; behind the JSON too
//! last 32 SHA-256 of everything before them: damage is told apart from a key that is not the right one
//! ```

use std::fmt;

use backstock_vocabulary::{ArtifactKind, BackupId, IdentityId};
use serde::{Deserialize, Serialize};

use super::backup_seal::DataKey;
use super::identity::PrivateIdentity;
use super::suite::Suite;
use crate::digest::{Digest, Sha256};
use crate::error::{Error, Result};
use crate::manifest::ManifestArtifact;
use crate::read_at::{ReadAt, read_fully};

/// A longer header is refused, in bytes.
pub const HEADER_LIMIT_BYTES: usize = 64 << 10;
/// More recipients are refused.
pub const RECIPIENTS_LIMIT: usize = 16;
/// What a header's length is a multiple of, in bytes: streams begin where pages of memory and blocks of disks do.
const HEADER_UNIT_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"BKSEALED";
const MAJOR: u32 = 1;
const JSON_BEGINS: usize = 32;
const HASH_BYTES: usize = 32;
/// The stream behind the header, in the manner in which Tink names its own (of which none has segments of this length).
const STREAM: &str = "AES256_GCM_HKDF_64KB";
/// What the associated data of the stream begins with.
const LABEL: &[u8] = b"backstock sealed part 1\n";

/// The data key as one recipient can open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The recipient's identity.
    pub identity: IdentityId,
    /// How it is wrapped. A suite that is not known here is passed over: another recipient may be.
    pub suite: String,
    /// HPKE's encapsulated key.
    #[serde(with = "base64_bytes")]
    pub encapsulated: Vec<u8>,
    /// HPKE's ciphertext of the 32 bytes, with its tag.
    #[serde(with = "base64_bytes")]
    pub sealed_key: Vec<u8>,
}

/// What a sealed file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SealedContent {
    /// A part of an artifact of a backup.
    Artifact(ArtifactKind),
    /// An export of settings, which is one part; in the place of the backup's id is its own.
    Settings(SettingsWord),
}

/// The word for an export of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SettingsWord {
    /// The only one.
    #[serde(rename = "settings")]
    Settings,
}

impl SealedContent {
    /// An export of settings.
    pub(super) const SETTINGS: Self = Self::Settings(SettingsWord::Settings);
}

impl fmt::Display for SealedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(artifact) => artifact.fmt(f),
            Self::Settings(_) => f.write_str("settings"),
        }
    }
}

/// What the JSON of a header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Words {
    /// What a reader must know besides; it refuses names that it does not know.
    critical: Vec<String>,
    backup: BackupId,
    artifact: SealedContent,
    part: u32,
    stream: String,
    key_commitment: Digest<32>,
    recipients: Vec<WrappedKey>,
}

/// The header of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeader {
    words: Words,
    bytes: Vec<u8>,
}

impl SealedHeader {
    /// Makes the header of a part.
    pub(super) fn new(
        backup: BackupId,
        artifact: SealedContent,
        part: u32,
        key_commitment: Digest<32>,
        recipients: Vec<WrappedKey>,
    ) -> Result<Self> {
        let stream = STREAM.to_owned();
        let words =
            Words { critical: Vec::new(), backup, artifact, part, stream, key_commitment, recipients };
        let json = serde_json::to_vec(&words).map_err(|source| Error::Json {
            act: "write",
            thing: "the header of a sealed part".to_owned(),
            source,
        })?;
        let size_bytes = (JSON_BEGINS + json.len() + HASH_BYTES).next_multiple_of(HEADER_UNIT_BYTES);
        if size_bytes > HEADER_LIMIT_BYTES || words.recipients.len() > RECIPIENTS_LIMIT {
            let what = format!("it has more than {RECIPIENTS_LIMIT} recipients");
            return Err(Error::Option { artifact: "a sealed part".to_owned(), what });
        }
        let mut bytes = vec![0; size_bytes];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&MAJOR.to_le_bytes());
        bytes[12..16].copy_from_slice(&to_u32(size_bytes).to_le_bytes());
        bytes[16..20].copy_from_slice(&to_u32(json.len()).to_le_bytes());
        bytes[JSON_BEGINS..JSON_BEGINS + json.len()].copy_from_slice(&json);
        let hash = Sha256::of(&bytes[..size_bytes - HASH_BYTES]);
        bytes[size_bytes - HASH_BYTES..].copy_from_slice(&hash.0);
        Ok(Self { words, bytes })
    }

    /// Reads the header at the beginning of a part, which errors call `part`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a byte of it is wrong or missing; [`Error::NewerFormat`] for what is not known here.
    pub fn read(source: &dyn ReadAt, part: &str) -> Result<Self> {
        let unreadable = |source| Error::Read { part: part.to_owned(), offset: 0, source };
        let damaged = |size_bytes: usize, what: String| Error::Damaged {
            part: part.to_owned(),
            offset: 0,
            size_bytes: size_bytes as u64,
            what,
        };
        let mut bytes = vec![0; HEADER_UNIT_BYTES];
        let count = read_fully(source, &mut bytes, 0).map_err(unreadable)?;
        if count < HEADER_UNIT_BYTES {
            return Err(damaged(HEADER_UNIT_BYTES, "the file ends in the header of its seal".to_owned()));
        }
        if bytes[..8] != *MAGIC {
            return Err(damaged(HEADER_UNIT_BYTES, "it does not begin as a sealed part does".to_owned()));
        }
        let major = u32_at(&bytes, 8);
        let size_bytes = u32_at(&bytes, 12) as usize;
        let is_possible = size_bytes.is_multiple_of(HEADER_UNIT_BYTES)
            && (HEADER_UNIT_BYTES..=HEADER_LIMIT_BYTES).contains(&size_bytes);
        if !is_possible {
            let what = format!("the header of its seal tells an impossible length of {size_bytes} bytes");
            return Err(damaged(HEADER_UNIT_BYTES, what));
        }
        bytes.resize(size_bytes, 0);
        let rest = HEADER_UNIT_BYTES..size_bytes;
        let count = read_fully(source, &mut bytes[rest.clone()], rest.start as u64).map_err(unreadable)?;
        if count < rest.len() {
            return Err(damaged(size_bytes, "the file ends in the header of its seal".to_owned()));
        }
        let (said, hash) = bytes.split_at(size_bytes - HASH_BYTES);
        if Sha256::of(said).0 != *hash {
            return Err(damaged(size_bytes, "the header of its seal does not have its hash".to_owned()));
        }
        if major != MAJOR {
            let what = format!("version {major} of sealing, this program reads {MAJOR}");
            return Err(Error::NewerFormat { thing: part.to_owned(), what });
        }
        Self::understand(&bytes, part).map_err(|what| damaged(size_bytes, what))?
    }

    /// The inner result is what was understood; the outer error, why the bytes mean nothing.
    fn understand(bytes: &[u8], part: &str) -> Result<Result<Self>, String> {
        let json_bytes = u32_at(bytes, 16) as usize;
        let json_ends = JSON_BEGINS.saturating_add(json_bytes);
        let json = bytes
            .get(JSON_BEGINS..json_ends)
            .filter(|_| json_ends <= bytes.len() - HASH_BYTES)
            .ok_or("the header of its seal tells impossible lengths")?;
        let words: Words =
            serde_json::from_slice(json).map_err(|error| format!("the header of its seal: {error}"))?;
        if words.recipients.is_empty() || words.recipients.len() > RECIPIENTS_LIMIT {
            return Err(format!("the header of its seal names {} recipients", words.recipients.len()));
        }
        let newer = |what| Ok(Err(Error::NewerFormat { thing: part.to_owned(), what }));
        if !words.critical.is_empty() {
            return newer(format!("its seal needs {}, unknown here", words.critical.join(", ")));
        }
        if words.stream != STREAM {
            return newer(format!("it is sealed as {}, this program opens {STREAM}", words.stream));
        }
        Ok(Ok(Self { words, bytes: bytes.to_vec() }))
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The backup that the part says it belongs to.
    pub fn backup(&self) -> BackupId {
        self.words.backup
    }

    /// Who can open it.
    pub fn recipients(&self) -> &[WrappedKey] {
        &self.words.recipients
    }

    /// Makes sure that it is the part that a manifest tells, and no other one of the same or of another backup.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not.
    pub fn require(&self, backup: BackupId, artifact: &ManifestArtifact, number: usize) -> Result<()> {
        let words = &self.words;
        let content = SealedContent::Artifact(artifact.kind);
        if words.backup == backup && words.artifact == content && words.part as usize == number {
            return Ok(());
        }
        let what = format!(
            "it is part {} of the {} of the backup {}, lying in the place of another",
            words.part, words.artifact, words.backup
        );
        let part = artifact.parts.get(number.saturating_sub(1)).map(|part| part.name.clone());
        Err(self.damaged(&part.unwrap_or_else(|| artifact.path()), what))
    }

    /// Makes sure that it is the header of an export of settings, which errors call `name`.
    pub(super) fn require_settings(&self, name: &str) -> Result<()> {
        if self.words.artifact == SealedContent::SETTINGS && self.words.part == 1 {
            return Ok(());
        }
        let what = format!("it is part {} of the {}, and no settings", self.words.part, self.words.artifact);
        Err(self.damaged(name, what))
    }

    /// What the stream's key is derived with besides the data key.
    pub(super) fn associated_data(&self) -> Vec<u8> {
        let mut data = LABEL.to_vec();
        data.extend_from_slice(&Sha256::of(&self.bytes).0);
        data
    }

    /// Opens the data key with an identity. `None`: the part was not sealed for it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it was, and the key does not open or is another one than the header is bound to;
    /// [`Error::NewerFormat`] for a suite that is not known here.
    pub fn open_key(&self, identity: &PrivateIdentity, part: &str) -> Result<Option<DataKey>> {
        let Some(wrapped) = self.words.recipients.iter().find(|key| key.identity == identity.id()) else {
            return Ok(None);
        };
        let Some(suite) = Suite::of_name(&wrapped.suite) else {
            let what = format!("its key is wrapped by {}, unknown here", wrapped.suite);
            return Err(Error::NewerFormat { thing: part.to_owned(), what });
        };
        if suite != identity.suite() {
            return Err(
                self.damaged(part, "its key is wrapped by another suite than the identity's".to_owned())
            );
        }
        let info = wrap_info(self.words.backup, wrapped.identity);
        let key = identity.unwrap_key(&wrapped.encapsulated, &info, &wrapped.sealed_key);
        let key = key.ok_or_else(|| {
            self.damaged(part, "its key does not open with the identity that it was wrapped for".to_owned())
        })?;
        let key = DataKey::of(key);
        self.require_key(&key, part)?;
        Ok(Some(key))
    }

    /// Makes sure that a data key is the one that this header is bound to.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is another.
    pub fn require_key(&self, key: &DataKey, part: &str) -> Result<()> {
        if key.commitment() == self.words.key_commitment {
            return Ok(());
        }
        Err(self.damaged(part, "its key is not the one that its header is bound to".to_owned()))
    }

    fn damaged(&self, part: &str, what: String) -> Error {
        Error::Damaged { part: part.to_owned(), offset: 0, size_bytes: self.bytes.len() as u64, what }
    }
}

/// What HPKE binds a wrapped key to.
pub(super) fn wrap_info(backup: BackupId, identity: IdentityId) -> Vec<u8> {
    format!("backstock data key 1\n{backup}\n{identity}").into_bytes()
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

/// Bytes as base64 with padding (RFC 4648 section 4).
pub(super) mod base64_bytes {
    use std::borrow::Cow;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::seal) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::seal) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}
