//! Slots: an identity's private half, sealed with a key that only its passphrase gives (Argon2id, RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use backstock_host::Random;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::header::base64_bytes;
use super::secret::{Passphrase, Secret};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The only way of stretching that exists.
const KIND: &str = "argon2id";
/// Less memory is refused when a slot is made, in KiB: RFC 9106 counts on it, and so does everybody who steals a slot.
const WRITE_MEMORY_FLOOR_KIB: u32 = 256 << 10;
/// What a slot from outside may ask for: more would be an attack on this machine, less is no slot of ours.
const READ_MEMORY_KIB: std::ops::RangeInclusive<u32> = 8 << 10..=1 << 20;
/// The same of the passes over it.
const READ_PASSES: std::ops::RangeInclusive<u32> = 1..=16;
/// The same of the lanes.
const READ_LANES: std::ops::RangeInclusive<u32> = 1..=8;
/// The two secrets of an identity.
const SECRETS_BYTES: usize = 64;
const TAG_BYTES: usize = 16;

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCost {
    memory_kib: u32,
    passes: u32,
}

impl Default for SlotCost {
    /// 256 MiB and three passes: about a second.
    fn default() -> Self {
        Self { memory_kib: WRITE_MEMORY_FLOOR_KIB, passes: 3 }
    }
}

impl SlotCost {
    /// A cost that protects nothing, for tests that make many slots.
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Self { memory_kib: *READ_MEMORY_KIB.start(), passes: 1 }
    }
}

/// A private half, sealed by a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    kind: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Digest<16>,
    nonce: Digest<12>,
    #[serde(with = "base64_bytes")]
    sealed: Vec<u8>,
}

impl Slot {
    /// Seals two secrets; `bound_to` is what the slot belongs to.
    pub(super) fn seal(
        random: &dyn Random,
        cost: SlotCost,
        passphrase: &Passphrase,
        bound_to: &Digest<32>,
        secrets: [&Secret; 2],
    ) -> Result<Self> {
        passphrase.require_good()?;
        let mut slot = Self {
            kind: KIND.to_owned(),
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: 1,
            salt: Digest([0; 16]),
            nonce: Digest([0; NONCE_LEN]),
            sealed: Vec::with_capacity(SECRETS_BYTES + TAG_BYTES),
        };
        random.fill(&mut slot.salt.0);
        random.fill(&mut slot.nonce.0);
        let key = slot.key(passphrase)?;
        // Sealed where it lies: with the room for the tag there already, no copy of the secrets is left behind.
        slot.sealed.extend_from_slice(secrets[0].bytes());
        slot.sealed.extend_from_slice(secrets[1].bytes());
        let nonce = Nonce::assume_unique_for_key(slot.nonce.0);
        key.seal_in_place_append_tag(nonce, Aad::from(bound_to.0), &mut slot.sealed)
            .map_err(|_| Error::Passphrase { what: "its slot cannot be sealed".to_owned() })?;
        Ok(slot)
    }

    /// Opens the two secrets. `None`: the passphrase is not the one.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that asks for what no slot of ours does; nothing is computed for it.
    pub(super) fn open(
        &self,
        passphrase: &Passphrase,
        bound_to: &Digest<32>,
        document: &str,
    ) -> Result<Option<[Secret; 2]>> {
        self.require_possible(document)?;
        let key = self.key(passphrase)?;
        let mut bytes = Zeroizing::new(self.sealed.clone());
        let nonce = Nonce::assume_unique_for_key(self.nonce.0);
        let Ok(opened) = key.open_in_place(nonce, Aad::from(bound_to.0), &mut bytes) else {
            return Ok(None);
        };
        let (first, second) = opened.split_at_mut(SECRETS_BYTES / 2);
        Ok(Secret::take(first).zip(Secret::take(second)).map(|(first, second)| [first, second]))
    }

    /// Asked before any memory is taken for it.
    pub(super) fn require_possible(&self, document: &str) -> Result<()> {
        let is_known = self.kind == KIND;
        if !is_known {
            let what = format!("a passphrase is stretched by {} there, unknown here", self.kind);
            return Err(Error::NewerFormat { thing: document.to_owned(), what });
        }
        let is_possible = READ_MEMORY_KIB.contains(&self.memory_kib)
            && READ_PASSES.contains(&self.passes)
            && READ_LANES.contains(&self.lanes)
            && self.sealed.len() == SECRETS_BYTES + TAG_BYTES;
        if is_possible {
            return Ok(());
        }
        let what = format!(
            "a slot asks for {} KiB of memory, {} passes and {} lanes: that is refused",
            self.memory_kib, self.passes, self.lanes
        );
        Err(Error::Damaged { part: document.to_owned(), offset: 0, size_bytes: 0, what })
    }

    fn key(&self, passphrase: &Passphrase) -> Result<LessSafeKey> {
        let refuse = |what: String| Error::Passphrase { what };
        let cost = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let cost = cost.map_err(|error| refuse(error.to_string()))?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
            .hash_password_into(passphrase.bytes(), &self.salt.0, &mut *key)
            .map_err(|error| refuse(error.to_string()))?;
        let key =
            UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| refuse("no key comes of it".to_owned()))?;
        Ok(LessSafeKey::new(key))
    }
}
