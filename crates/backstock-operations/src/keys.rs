//! Keys: the identities that backups are sealed for, where they lie, and who opens what with them.
//!
//! The state folder holds public halves, their passphrase slots and certificates (`identities/`), and the list of those
//! that new backups are sealed for. The same files are put into `keys/` beside every set's backups, before the first
//! manifest of a sealed backup. A private half is in memory only while somebody who typed its passphrase is served.

mod adopt;
mod given;
mod kit;
mod manage;
mod objects;
mod ring;
mod signers;
mod store;

pub use adopt::{Fingerprint, adopt_identity};
pub(crate) use adopt::{Found, take_over};
pub use given::{read_passphrase_file, read_private_identity};
pub use kit::{KitPlace, RecoveryKit, recovery_kit};
pub use manage::{
    CreatedIdentity, KeptBy, ListedIdentity, RehearsedBackup, change_passphrase, create_identity,
    export_identity, identities, identity, rehearse, rotate_identity,
};
pub(crate) use objects::put_keys;
pub(crate) use ring::{KeyRing, ONE_RESTORE_KEY};
pub use ring::{NobodyToAsk, Unlocker};
pub(crate) use signers::{Signers, own};
pub(crate) use store::IdentityStore;

/// What a person is told wherever a key is made.
pub const LOST_IS_LOST: &str = "nobody can open a sealed backup without its key: whoever loses the passphrase (or the \
                                file, if it is kept in one) has lost every backup that was sealed for it";
