//! The instance's key: an Ed25519 pair (RFC 8032) that signs manifests and owner files. It never leaves the machine.

use std::fmt;
use std::io;
use std::path::Path;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::{Host, hex};

const SEED_SIZE_BYTES: u64 = 32;

/// Signs in the name of this instance.
pub struct InstanceKey(Ed25519KeyPair);

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({})", self.public_hex())
    }
}

impl InstanceKey {
    /// Reads the key from a file of 32 secret bytes, or makes and stores a new one when there is none.
    pub fn load_or_create(host: &Host, path: &Path) -> io::Result<Self> {
        let seed = if host.files.stat(path)?.is_some() {
            host.files.read(path, SEED_SIZE_BYTES)?
        } else {
            let mut seed = vec![0; 32];
            host.random.fill(&mut seed);
            host.files.write_durably(path, &seed)?;
            seed
        };
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map(Self)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the key file does not hold 32 bytes"))
    }

    /// The 64-byte signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    /// The public half: 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public half as 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(self.public())
    }
}

/// Whether `signature` is `public`'s signature of exactly these bytes.
pub fn is_signed_by(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}
