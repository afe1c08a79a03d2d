//! How a data key is wrapped for a recipient: HPKE (RFC 9180) in base mode, with one of two key encapsulations.

use backstock_host::Random;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::secret::Secret;

/// The bytes of a public key of a suite.
pub type PublicKeyBytes = Vec<u8>;

/// The suites that a data key can be wrapped with. Both derive keys by HKDF-SHA256 (id 1) and wrap by AES-256-GCM (id 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// X-Wing: ML-KEM-768 and X25519 together (HPKE id 0x647A, draft-ietf-hpke-pq), safe while one of the two is.
    #[serde(rename = "x-wing")]
    XWing,
    /// DHKEM(X25519, HKDF-SHA256) (HPKE id 0x0020).
    #[serde(rename = "x25519")]
    X25519,
}

/// What a suite made of a data key for one recipient.
pub(super) struct Wrapped {
    pub(super) encapsulated: Vec<u8>,
    pub(super) sealed_key: Vec<u8>,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 2] = [Self::XWing, Self::X25519];

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::XWing => "x-wing",
            Self::X25519 => "x25519",
        }
    }

    /// The suite of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// The public half that belongs to a private one.
    pub(super) fn public_key(self, private: &Secret) -> Option<PublicKeyBytes> {
        match self {
            Self::XWing => public_key::<XWing>(private),
            Self::X25519 => public_key::<X25519HkdfSha256>(private),
        }
    }

    /// Wraps a key. `None`: the public key is none of this suite.
    pub(super) fn wrap(
        self,
        random: &dyn Random,
        public_key: &[u8],
        info: &[u8],
        key: &Secret,
    ) -> Option<Wrapped> {
        match self {
            Self::XWing => wrap::<XWing>(random, public_key, info, key),
            Self::X25519 => wrap::<X25519HkdfSha256>(random, public_key, info, key),
        }
    }

    /// Opens what was wrapped. `None`: it was not wrapped for this private key, or it was changed.
    pub(super) fn unwrap(
        self,
        private: &Secret,
        encapsulated: &[u8],
        info: &[u8],
        sealed_key: &[u8],
    ) -> Option<Secret> {
        match self {
            Self::XWing => unwrap::<XWing>(private, encapsulated, info, sealed_key),
            Self::X25519 => unwrap::<X25519HkdfSha256>(private, encapsulated, info, sealed_key),
        }
    }
}

fn public_key<K: Kem>(private: &Secret) -> Option<PublicKeyBytes> {
    let private = K::PrivateKey::from_bytes(private.bytes()).ok()?;
    Some(K::sk_to_pk(&private).to_bytes().to_vec())
}

fn wrap<K: Kem>(random: &dyn Random, public_key: &[u8], info: &[u8], key: &Secret) -> Option<Wrapped> {
    let public_key = K::PublicKey::from_bytes(public_key).ok()?;
    let (encapsulated, sealed_key) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, K>(
        &OpModeS::Base,
        &public_key,
        info,
        key.bytes(),
        b"",
        &mut HostRandom(random),
    )
    .ok()?;
    Some(Wrapped { encapsulated: encapsulated.to_bytes().to_vec(), sealed_key })
}

fn unwrap<K: Kem>(private: &Secret, encapsulated: &[u8], info: &[u8], sealed_key: &[u8]) -> Option<Secret> {
    let private = K::PrivateKey::from_bytes(private.bytes()).ok()?;
    let encapsulated = K::EncappedKey::from_bytes(encapsulated).ok()?;
    let opened = single_shot_open::<AesGcm256, HkdfSha256, K>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        info,
        sealed_key,
        b"",
    );
    Secret::take(&mut Zeroizing::new(opened.ok()?))
}

/// The machine's randomness, as HPKE asks for it.
struct HostRandom<'a>(&'a dyn Random);

impl TryRng for HostRandom<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for HostRandom<'_> {}
