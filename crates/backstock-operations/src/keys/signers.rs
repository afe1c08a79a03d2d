//! Whose signatures count in a set's folder.
//!
//! A signature says who, and anybody who may write into a storage can sign with a key of his own. What counts is signed by this
//! instance, or by one that an identity of this machine certifies. Where no such signature is to be found, the folder's owner files
//! vouch for their writers, as on a first look at a place that nothing is known of.

use std::collections::BTreeSet;

use backstock_archive::Owner;
use backstock_archive::seal::{Certificate, Identity, parse_certificate_name};
use backstock_archive::signed::PublicKey;
use backstock_vocabulary::InstanceId;

use super::objects::documents_at;
use super::store::{IdentityStore, newest, parsed};
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, Result, chain};

/// An instance and the key that it signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signer {
    pub(crate) instance: InstanceId,
    pub(crate) key: PublicKey,
}

/// The keys whose signatures count in one set's folder.
#[derive(Debug)]
pub(crate) struct Signers {
    own: PublicKey,
    others: Vec<PublicKey>,
}

impl Signers {
    pub(crate) fn of(environment: &Environment, folder: &SetFolder) -> Result<Self> {
        let own = own(environment).key;
        let certified: Vec<PublicKey> =
            IdentityStore::of(environment).certified()?.iter().map(|signer| signer.key).collect();
        let owners: Vec<PublicKey> = folder.owners(environment)?.iter().map(|owner| owner.signer).collect();
        // Once a key that is certain wrote here, an owner file alone proves nothing: somebody else may have put it there.
        let is_certain = !certified.is_empty()
            && (owners.iter().any(|owner| *owner == own || certified.contains(owner))
                || has_known_identity(environment, folder)?);
        let others = if is_certain { certified } else { [certified, owners].concat() };
        Ok(Self { own, others })
    }

    pub(crate) fn count(&self, signer: &PublicKey) -> bool {
        *signer == self.own || self.others.contains(signer)
    }
}

/// Whether an identity of this machine lies beside the backups.
fn has_known_identity(environment: &Environment, folder: &SetFolder) -> Result<bool> {
    let known = IdentityStore::of(environment).identities()?;
    let beside = documents_at(environment, folder)?;
    let is_known = |identity: Identity| known.iter().any(|own| own.fingerprint() == identity.fingerprint());
    Ok(beside.iter().filter_map(parsed).any(is_known))
}

/// This instance.
pub(crate) fn own(environment: &Environment) -> Signer {
    let mut key = backstock_archive::Digest([0; 32]);
    key.0.copy_from_slice(environment.key.public());
    Signer { instance: environment.instance, key }
}

/// Who is to be certified by a new identity: this instance, and whoever counted until now at the places that can be read.
pub(crate) fn to_certify(environment: &Environment) -> Result<Vec<Signer>> {
    let mut signers = vec![own(environment)];
    let store = IdentityStore::of(environment);
    let mut others = store.certified()?;
    if store.identities()?.is_empty() {
        others.extend(owners_on_record(environment)?);
    }
    for signer in others {
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    Ok(signers)
}

/// The writers of every set's folder that the catalog knows.
fn owners_on_record(environment: &Environment) -> Result<Vec<Signer>> {
    let replicas = environment.wait(environment.catalog.list_replicas()).doing("listing the replicas")?;
    let folders: BTreeSet<_> = replicas
        .iter()
        .filter_map(|replica| Some((replica.storage, replica.folder.rsplit_once('/')?.0)))
        .collect();
    let mut signers = Vec::new();
    for (storage, name) in folders {
        let owners = Place::of_record(environment, storage)
            .and_then(|place| SetFolder { place, name: name.to_owned() }.owners(environment));
        match owners {
            Ok(owners) => {
                let signer = |owner: Owner| Signer { instance: owner.instance, key: owner.signer };
                signers.extend(owners.into_iter().map(signer));
            }
            Err(error) => tracing::warn!(
                folder = name,
                error = chain(&error),
                "who else wrote into a folder cannot be told now, and is not certified"
            ),
        }
    }
    Ok(signers)
}

impl IdentityStore<'_> {
    /// The instances that an identity of this machine certifies.
    pub(crate) fn certified(&self) -> Result<Vec<Signer>> {
        let documents = self.documents()?;
        let identities = newest(&documents)?;
        let certificates = documents.iter().filter_map(|(name, bytes)| certificate(name, bytes));
        Ok(certificates
            .filter(|certificate| {
                identities.iter().any(|identity| {
                    identity.identity == certificate.identity && identity.signer == certificate.signer
                })
            })
            .map(|certificate| Signer { instance: certificate.instance, key: certificate.instance_key })
            .collect())
    }
}

/// A document that is a certificate, has the name that it tells, and is signed by whom it names.
pub(super) fn certificate(name: &str, bytes: &[u8]) -> Option<Certificate> {
    parse_certificate_name(name)?;
    Certificate::parse(bytes, name).ok().filter(|certificate| certificate.name() == name)
}
