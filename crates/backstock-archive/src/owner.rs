//! The owner file: which one instance and set write in a folder. The highest valid generation counts.

use backstock_host::InstanceKey;
use backstock_vocabulary::{InstanceId, SetId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::error::Result;
use crate::layout;
use crate::signed::{self, Format, PublicKey};

/// What the document is called in its format.
pub const DOCUMENT: &str = "backstock.owner";

/// Who writes in a set's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Kind and version of the document.
    pub format: Format,
    /// The key of the instance, which signs it.
    pub signer: PublicKey,
    /// The instance.
    pub instance: InstanceId,
    /// The machine it runs on, as the machine tells it or as it was set.
    pub machine: String,
    /// The set.
    pub set: SetId,
    /// Grows by one each time that another instance or machine takes over.
    pub generation: u64,
    /// The newest backup that its writer knew of.
    pub head: Option<Head>,
    /// The number of the first backup that is copied here, where the folder was begun for copies: what is older stays elsewhere, and
    /// only what it builds on comes along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies_from: Option<u64>,
    /// When it was written.
    pub written: Timestamp,
}

/// The newest backup of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its sequence number.
    pub sequence: u64,
    /// Hash of its manifest.
    pub manifest_sha256: Sha256,
}

impl Owner {
    /// The kind and version that this program writes.
    pub fn format() -> Format {
        Format::of(DOCUMENT)
    }

    /// The file name that its generation asks for.
    pub fn name(&self) -> String {
        layout::owner_name(self.generation)
    }

    /// The exact bytes of the file. Sets the signer.
    pub fn sign(&self, key: &InstanceKey) -> Result<Vec<u8>> {
        let mut signed = self.clone();
        signed.signer.0.copy_from_slice(key.public());
        signed::sign(&signed, &self.name(), key)
    }

    /// Reads the exact bytes of a file with this name, which must tell the same generation.
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] when a byte is wrong or missing; [`crate::Error::NewerFormat`] for what this version
    /// cannot know.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let owner: Self = signed::open(bytes, DOCUMENT, name)?;
        if owner.name() != name {
            return Err(crate::Error::Damaged {
                part: name.to_owned(),
                offset: 0,
                size_bytes: bytes.len() as u64,
                what: format!("it is of generation {}", owner.generation),
            });
        }
        Ok(owner)
    }
}
