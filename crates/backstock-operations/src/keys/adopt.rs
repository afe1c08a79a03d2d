//! Taking over identities that lie beside backups: on a machine that knew nothing, they are what tells whose backups those are.
//!
//! Whoever writes into a storage can put an identity of his own there. One is taken over only when something that did not come from the
//! storage vouches for it: a passphrase that opens its slot, its private half in a file, or its fingerprint from the recovery kit.

use backstock_archive::seal::{Identity, PrivateIdentity};
use backstock_host::hex;
use backstock_vocabulary::IdentityId;

use super::manage::{ListedIdentity, listed, meant, require_no_recipient};
use super::objects::documents_at;
use super::signers::{certificate, own};
use super::store::{IdentityStore, readable};
use crate::backup::sealed_shop_of_unknown_place;
use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// The fingerprint of an identity, as a recovery kit shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads 64 hexadecimal digits; blanks and colons between them do not count. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|sign| !sign.is_whitespace() && *sign != ':').collect();
        hex::decode_array(&digits).ok().map(Self)
    }

    fn is_of(&self, identity: &Identity) -> bool {
        identity.fingerprint().0 == self.0
    }
}

/// What the identities beside a set's backups came to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those that something vouches for.
    pub(crate) vouched: Vec<IdentityId>,
    /// How many nobody vouched for.
    pub(crate) unknown: usize,
    /// Whether a key was given that opens none of them.
    pub(crate) is_refused: bool,
}

/// Takes the identities beside a set's backups that something vouches for into the state folder, with the certificates that they gave.
pub(crate) fn take_over(
    environment: &Environment,
    folder: &SetFolder,
    fingerprint: Option<&Fingerprint>,
) -> Result<Found> {
    let store = IdentityStore::of(environment);
    let own = store.identities()?;
    let documents = documents_at(environment, folder)?;
    let mut found = Found::default();
    for (identity, versions) in readable(&documents) {
        if is_vouched_for(environment, &own, &identity, fingerprint, &mut found)? {
            for (name, bytes) in versions {
                store.keep_once(name, bytes)?;
            }
            let given = documents.iter().filter(|(name, bytes)| {
                certificate(name, bytes).is_some_and(|certificate| {
                    certificate.identity == identity.identity && certificate.signer == identity.signer
                })
            });
            for (name, bytes) in given {
                store.keep_once(name, bytes)?;
            }
            found.vouched.push(identity.identity);
        } else {
            found.unknown += 1;
        }
    }
    Ok(found)
}

fn is_vouched_for(
    environment: &Environment,
    own: &[Identity],
    identity: &Identity,
    fingerprint: Option<&Fingerprint>,
    found: &mut Found,
) -> Result<bool> {
    if let Some(known) = own.iter().find(|known| known.identity == identity.identity) {
        return Ok(known.fingerprint() == identity.fingerprint());
    }
    if let Some(fingerprint) = fingerprint {
        return Ok(fingerprint.is_of(identity));
    }
    match environment.keys.private(identity) {
        Ok(private) => {
            environment.keys.admit(private);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::Locked => Ok(false),
        Err(error) if error.kind() == ErrorKind::WrongKey => {
            found.is_refused = true;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Goes on sealing for an identity that was taken over, and certifies this instance with it.
///
/// # Errors
/// [`ErrorKind::Refused`] when backups are sealed for one already; those of opening it.
pub fn adopt_identity(environment: &Environment, text: Option<&str>) -> Result<ListedIdentity> {
    let store = IdentityStore::of(environment);
    require_no_recipient(&store)?;
    let identity = match text {
        Some(_) => meant(environment, text)?,
        None => only(store.identities()?)?,
    };
    let private = environment.keys.private(&identity)?;
    certify_own(environment, &store, &private)?;
    backstock_host::failpoint::reach("key.before_recipients").doing("taking over an identity")?;
    store.set_recipients(vec![identity.identity])?;
    if let Some(title) = sealed_shop_of_unknown_place(environment)? {
        tracing::warn!(
            "of the shop {title} only the name of its folder is known: run `backstock catalog rebuild` once more with the \
             key, and its next backup goes on with its set; else a new one begins"
        );
    }
    Ok(listed(&identity, &[identity.identity]))
}

fn only(mut known: Vec<Identity>) -> Result<Identity> {
    let hint = "`backstock catalog rebuild <folder of backups>` brings the identities that lie beside backups, with a \
                passphrase, a key file or a fingerprint that vouches for them";
    match (known.pop(), known.is_empty()) {
        (Some(identity), true) => Ok(identity),
        (Some(_), false) => Err(OperationError::hinted(
            ErrorKind::Declined,
            "several identities are known here",
            "say which: `backstock key list` shows them",
        )),
        (None, _) => Err(OperationError::hinted(ErrorKind::NotFound, "no identity is known here", hint)),
    }
}

fn certify_own(
    environment: &Environment,
    store: &IdentityStore<'_>,
    private: &PrivateIdentity,
) -> Result<()> {
    let own = own(environment);
    if store.certified()?.contains(&own) {
        return Ok(());
    }
    store.certify(private, own)
}
