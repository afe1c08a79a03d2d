//! Identities: a random key pair that opens sealed backups, and a signing root that certifies who may write them.
//!
//! The public half is a document that the root signs; it lies in the state folder and in `keys/` at every destination,
//! each change as a new version. The private half is in the slots of that document, or in a file that is kept
//! elsewhere. Data can be lost here: without the private half nobody opens the backups.

use std::fmt;

use backstock_host::Random;
use backstock_vocabulary::{IdentityId, InstanceId};
use jiff::Timestamp;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::backup_seal::Recipient;
use super::header::base64_bytes;
use super::secret::{Passphrase, Secret, never};
use super::slot::{Slot, SlotCost};
use super::suite::{PublicKeyBytes, Suite};
use crate::digest::{Digest, Sha256};
use crate::error::{Error, Result};
use crate::signed::{self, Format, PublicKey, Signer};

const IDENTITY_DOCUMENT: &str = "backstock.identity";
const PRIVATE_DOCUMENT: &str = "backstock.private-identity";
const CERTIFICATE_DOCUMENT: &str = "backstock.certificate";
/// More slots are refused.
const SLOTS_LIMIT: usize = 16;

/// The private half of an identity.
pub struct PrivateIdentity {
    id: IdentityId,
    suite: Suite,
    private: Secret,
    root: Secret,
}

never!(PrivateIdentity: Clone, fmt::Debug, fmt::Display, Serialize, PartialEq);

/// The signing root of an identity.
struct Root(Ed25519KeyPair);

impl Signer for Root {
    fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    fn public_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

/// The private half as a file that is kept outside the server.
#[derive(Serialize, Deserialize)]
struct PrivateWords<'a> {
    format: Format,
    identity: IdentityId,
    suite: Suite,
    #[serde(borrow)]
    private_key: &'a str,
    #[serde(borrow)]
    signing_root: &'a str,
}

impl PrivateIdentity {
    /// Makes a new one.
    pub fn new(random: &dyn Random, id: IdentityId, suite: Suite) -> Self {
        Self { id, suite, private: Secret::random(random), root: Secret::random(random) }
    }

    /// Which one it is.
    pub fn id(&self) -> IdentityId {
        self.id
    }

    /// The suite of its key.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    fn public_key(&self) -> Result<PublicKeyBytes> {
        self.suite.public_key(&self.private).ok_or_else(|| self.unusable())
    }

    fn root(&self) -> Result<Root> {
        Ed25519KeyPair::from_seed_unchecked(self.root.bytes()).map(Root).map_err(|_| self.unusable())
    }

    fn unusable(&self) -> Error {
        let what = "its key is none".to_owned();
        Error::Damaged { part: format!("the identity {}", self.id), offset: 0, size_bytes: 0, what }
    }

    pub(super) fn unwrap_key(&self, encapsulated: &[u8], info: &[u8], sealed_key: &[u8]) -> Option<Secret> {
        self.suite.unwrap(&self.private, encapsulated, info, sealed_key)
    }

    /// The exact bytes of the file that holds it, for keeping outside the server. Whoever has them opens every backup.
    pub fn to_file(&self) -> Result<Zeroizing<Vec<u8>>> {
        let [private_key, signing_root] = [&self.private, &self.root]
            .map(|secret| Zeroizing::new(backstock_host::hex::encode(secret.bytes())));
        let words = PrivateWords {
            format: Format::of(PRIVATE_DOCUMENT),
            identity: self.id,
            suite: self.suite,
            private_key: &private_key,
            signing_root: &signing_root,
        };
        // Long enough from the start: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *bytes, &words).map_err(|source| Error::Json {
            act: "write",
            thing: "the private half of an identity".to_owned(),
            source,
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads such a file, which errors call `name`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is no such file; [`Error::NewerFormat`] for what is not known here.
    pub fn of_file(bytes: &[u8], name: &str) -> Result<Self> {
        let damaged = |what: String| Error::Damaged {
            part: name.to_owned(),
            offset: 0,
            size_bytes: bytes.len() as u64,
            what,
        };
        let words: PrivateWords<'_> = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("it is not the private half of an identity: {error}")))?;
        signed::require_known(&words.format, PRIVATE_DOCUMENT, name)?;
        let secret = |digits: &str| {
            let mut bytes = Zeroizing::new(backstock_host::hex::decode(digits).ok()?);
            Secret::take(&mut bytes)
        };
        let (private, root) = secret(words.private_key)
            .zip(secret(words.signing_root))
            .ok_or_else(|| damaged("its keys are not 64 hexadecimal digits each".to_owned()))?;
        Ok(Self { id: words.identity, suite: words.suite, private, root })
    }

    /// The public half, in its first version and without slots.
    pub fn public(&self, created: Timestamp) -> Result<Identity> {
        let mut signer = Digest([0; 32]);
        signer.0.copy_from_slice(self.root()?.public_bytes());
        Ok(Identity {
            format: Format::of(IDENTITY_DOCUMENT),
            signer,
            identity: self.id,
            version: 1,
            created,
            suite: self.suite,
            public_key: self.public_key()?,
            slots: Vec::new(),
        })
    }

    /// Certifies the key that an instance signs its manifests with: the exact bytes of the document.
    pub fn certify(&self, instance: InstanceId, key: PublicKey, issued: Timestamp) -> Result<Vec<u8>> {
        let root = self.root()?;
        let mut signer = Digest([0; 32]);
        signer.0.copy_from_slice(root.public_bytes());
        let format = Format::of(CERTIFICATE_DOCUMENT);
        let certificate =
            Certificate { format, signer, identity: self.id, instance, instance_key: key, issued };
        signed::sign(&certificate, CERTIFICATE_DOCUMENT, &root)
    }
}

/// The public half of an identity: what a server knows, and with slots what a passphrase opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    format: Format,
    /// The signing root's public key, which signs this document.
    pub signer: PublicKey,
    /// Which one it is.
    pub identity: IdentityId,
    /// Grows by one with each change of the slots; the highest one counts.
    pub version: u32,
    /// When it was made.
    pub created: Timestamp,
    /// The suite of its key.
    pub suite: Suite,
    /// The public key.
    #[serde(with = "base64_bytes")]
    pub public_key: PublicKeyBytes,
    /// The private half, once for each passphrase; none where it is kept elsewhere.
    pub slots: Vec<Slot>,
}

impl Identity {
    /// Whom backups are sealed for.
    pub fn recipient(&self) -> Recipient {
        Recipient { identity: self.identity, suite: self.suite, public_key: self.public_key.clone() }
    }

    /// What a person compares: it binds both public keys to the id.
    pub fn fingerprint(&self) -> Digest<32> {
        let mut text =
            format!("backstock identity 1\n{}\n{}\n", self.identity, self.suite.name()).into_bytes();
        text.extend_from_slice(&self.signer.0);
        text.extend_from_slice(&self.public_key);
        Sha256::of(&text)
    }

    /// The file name of this version.
    pub fn name(&self) -> String {
        identity_name(self.identity, self.version)
    }

    /// The version that is to be written next: documents never change.
    #[must_use]
    pub fn next(mut self) -> Self {
        self.version += 1;
        self
    }

    /// The same with one slot, for this passphrase alone.
    ///
    /// # Errors
    /// [`Error::Passphrase`] when it may not protect an identity.
    pub fn with_passphrase(
        &self,
        random: &dyn Random,
        cost: SlotCost,
        private: &PrivateIdentity,
        passphrase: &Passphrase,
    ) -> Result<Self> {
        let secrets = [&private.private, &private.root];
        let slot = Slot::seal(random, cost, passphrase, &self.fingerprint(), secrets)?;
        Ok(Self { slots: vec![slot], ..self.clone() })
    }

    /// The exact bytes of the document, signed by the root.
    pub fn sign(&self, private: &PrivateIdentity) -> Result<Vec<u8>> {
        signed::sign(self, &self.name(), &private.root()?)
    }

    /// Reads the exact bytes of a file with this name.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a byte is wrong or missing, or a slot asks for what is refused; [`Error::NewerFormat`]
    /// for what is not known here.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let identity: Self = signed::open(bytes, IDENTITY_DOCUMENT, name)?;
        let damaged = |what: String| Error::Damaged {
            part: name.to_owned(),
            offset: 0,
            size_bytes: bytes.len() as u64,
            what,
        };
        if identity.name() != name {
            return Err(damaged(format!("it is version {} of {}", identity.version, identity.identity)));
        }
        if identity.slots.len() > SLOTS_LIMIT {
            return Err(damaged(format!("it has {} slots", identity.slots.len())));
        }
        identity.slots.iter().try_for_each(|slot| slot.require_possible(name))?;
        Ok(identity)
    }

    /// Opens the private half with a passphrase. `None`: it opens no slot.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a slot holds another identity, or asks for what is refused.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Option<PrivateIdentity>> {
        let name = self.name();
        for slot in &self.slots {
            if let Some([private, root]) = slot.open(passphrase, &self.fingerprint(), &name)? {
                let private = PrivateIdentity { id: self.identity, suite: self.suite, private, root };
                self.require_half(&private)?;
                return Ok(Some(private));
            }
        }
        Ok(None)
    }

    /// Makes sure that a private half is this one's.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is another's.
    pub fn require_half(&self, private: &PrivateIdentity) -> Result<()> {
        let is_half = private.id == self.identity
            && private.public_key()? == self.public_key
            && private.root()?.public_bytes() == self.signer.0;
        if is_half {
            return Ok(());
        }
        let what = "its private half belongs to another".to_owned();
        Err(Error::Damaged { part: self.name(), offset: 0, size_bytes: 0, what })
    }
}

/// What an identity's root says of an instance: that its signatures are those of the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    format: Format,
    /// The signing root's public key.
    pub signer: PublicKey,
    /// The identity.
    pub identity: IdentityId,
    /// The instance.
    pub instance: InstanceId,
    /// The key that it signs with.
    pub instance_key: PublicKey,
    /// When it was certified.
    pub issued: Timestamp,
}

impl Certificate {
    /// Reads the exact bytes of a file with this name.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a byte is wrong or missing; [`Error::NewerFormat`] for what is not known here.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        signed::open(bytes, CERTIFICATE_DOCUMENT, name)
    }

    /// The file name.
    pub fn name(&self) -> String {
        certificate_name(self.identity, self.instance)
    }
}

/// The file name of a certificate: `certificate-1a2b3c4d-5e6f7a8b.json`, the identity and the instance.
pub fn certificate_name(identity: IdentityId, instance: InstanceId) -> String {
    format!("certificate-{}-{}.json", identity.short(), instance.short())
}

/// The file name of one version of an identity: `identity-1a2b3c4d-1.json`.
pub fn identity_name(identity: IdentityId, version: u32) -> String {
    format!("identity-{}-{version}.json", identity.short())
}

/// The short id and the version that such a name tells.
pub fn parse_identity_name(name: &str) -> Option<(&str, u32)> {
    let (short, version) = name.strip_prefix("identity-")?.strip_suffix(".json")?.split_once('-')?;
    let number: u32 = version.parse().ok()?;
    (short.len() == 8 && number.to_string() == version).then_some((short, number))
}

/// Whether this is the name of a certificate.
pub fn parse_certificate_name(name: &str) -> Option<(&str, &str)> {
    let (identity, instance) = name.strip_prefix("certificate-")?.strip_suffix(".json")?.split_once('-')?;
    (identity.len() == 8 && instance.len() == 8).then_some((identity, instance))
}
