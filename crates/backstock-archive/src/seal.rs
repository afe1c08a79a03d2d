//! Sealing: each part of a sealed backup opens itself with an identity's private half, and shows every change of a bit.
//!
//! A part is a [header](SealedHeader) and a stream. The header holds the backup's data key, wrapped for each recipient
//! by HPKE (RFC 9180); the stream is Tink's AES-GCM-HKDF streaming AEAD with segments of 64 KiB, with the header's hash as
//! associated data. Whoever seals needs public keys only. The bytes are described in `docs/format.md`.
//!
//! Data can be lost here: what was sealed wrongly nobody can open. The vectors in the tests are fixed for good.

mod backup_seal;
mod header;
mod identity;
mod opened;
mod sealer;
mod secret;
mod settings;
mod slot;
mod stream;
mod suite;

pub use backup_seal::{ArtifactSeal, BackupSeal, DataKey, Recipient};
pub use header::{HEADER_LIMIT_BYTES, RECIPIENTS_LIMIT, SealedHeader, WrappedKey};
pub use identity::{
    Certificate, Identity, PrivateIdentity, certificate_name, identity_name, parse_certificate_name,
    parse_identity_name,
};
pub use opened::{OpenedPart, SegmentCache};
pub(crate) use sealer::PartSealer;
pub use secret::{Passphrase, Secret};
pub use settings::{open_settings, seal_settings};
pub use slot::{Slot, SlotCost};
pub use suite::{PublicKeyBytes, Suite};

#[cfg(test)]
mod tests;
