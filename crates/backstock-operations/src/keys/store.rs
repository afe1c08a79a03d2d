//! The identities of this instance in its state folder.
//!
//! Data can be lost here: a backup may only be sealed for an identity whose slots are durable.

use std::path::PathBuf;

use backstock_archive::seal::{
    Identity, PrivateIdentity, Recipient, certificate_name, parse_certificate_name, parse_identity_name,
};
use backstock_vocabulary::IdentityId;
use serde::{Deserialize, Serialize};

use super::signers::Signer;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// A longer document of an identity or a certificate is none, in bytes.
pub(crate) const DOCUMENT_LIMIT_BYTES: u64 = 256 << 10;
/// The file that names the identities which new backups are sealed for.
const RECIPIENTS: &str = "recipients.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Recipients {
    recipients: Vec<IdentityId>,
}

/// A document of an identity or a certificate: its name and its exact bytes.
pub(crate) type KeyDocument = (String, Vec<u8>);

/// The identities of this instance.
pub(crate) struct IdentityStore<'a> {
    environment: &'a Environment,
    folder: PathBuf,
}

impl<'a> IdentityStore<'a> {
    pub(crate) fn of(environment: &'a Environment) -> Self {
        Self { environment, folder: environment.state.identities() }
    }

    /// Every document, sorted by name: what lies at every destination too.
    pub(crate) fn documents(&self) -> Result<Vec<KeyDocument>> {
        let files = &self.environment.host.files;
        let act = || format!("reading the identities in {}", self.folder.display());
        if files.stat(&self.folder).doing(act())?.is_none() {
            return Ok(Vec::new());
        }
        let mut documents = Vec::new();
        for (path, _) in files.list(&self.folder).doing(act())? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if parse_identity_name(&name).is_none() && parse_certificate_name(&name).is_none() {
                continue;
            }
            let bytes = files.read(&path, DOCUMENT_LIMIT_BYTES);
            documents.push((name, bytes.doing(format!("reading {}", path.display()))?));
        }
        Ok(documents)
    }

    /// Every identity in its newest version, the oldest first.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>> {
        newest(&self.documents()?)
    }

    /// The identities that new backups are sealed for.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] when one of them is not there: nothing may be sealed for a key that is not known.
    pub(crate) fn recipients(&self) -> Result<Vec<Recipient>> {
        let wanted = self.recipient_ids()?;
        let known = self.identities()?;
        let recipient = |id: &IdentityId| {
            let identity = known.iter().find(|identity| identity.identity == *id);
            identity.map(Identity::recipient).ok_or_else(|| {
                OperationError::hinted(
                    ErrorKind::Failed,
                    format!("backups are to be sealed for the identity {id}, which is not in {}", self.folder.display()),
                    "bring its file back from keys/ beside the backups, or make another with `backstock key rotate`",
                )
            })
        };
        wanted.iter().map(recipient).collect()
    }

    /// The ids of those.
    pub(crate) fn recipient_ids(&self) -> Result<Vec<IdentityId>> {
        let path = self.folder.join(RECIPIENTS);
        let files = &self.environment.host.files;
        let act = || format!("reading {}", path.display());
        if files.stat(&path).doing(act())?.is_none() {
            return Ok(Vec::new());
        }
        let bytes = files.read(&path, DOCUMENT_LIMIT_BYTES).doing(act())?;
        let recipients: Recipients = serde_json::from_slice(&bytes).doing(act())?;
        Ok(recipients.recipients)
    }

    /// Makes a document durable. One that is there already stays as it is.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let files = &self.environment.host.files;
        let path = self.folder.join(name);
        let act = || format!("writing {}", path.display());
        files.create_folder(&self.folder).doing(act())?;
        if files.stat(&path).doing(act())?.is_some() {
            let message = format!("{} is there already", path.display());
            return Err(OperationError::plain(ErrorKind::Failed, message));
        }
        files.write_durably(&path, bytes).doing(act())
    }

    /// Makes a document durable, unless the same is there. Another one of that name stays as it is.
    pub(crate) fn keep_once(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        if self.environment.host.files.stat(&path).doing(format!("looking for {}", path.display()))?.is_some()
        {
            return Ok(());
        }
        self.keep(name, bytes)
    }

    /// Says with an identity's root that an instance's signatures are those of the owner.
    pub(crate) fn certify(&self, private: &PrivateIdentity, signer: Signer) -> Result<()> {
        let act = || format!("certifying the instance {}", signer.instance.short());
        let issued = self.environment.host.clock.now();
        let bytes = private.certify(signer.instance, signer.key, issued).doing(act())?;
        self.keep(&certificate_name(private.id(), signer.instance), &bytes)
    }

    /// Says whom new backups are sealed for from now on.
    pub(crate) fn set_recipients(&self, recipients: Vec<IdentityId>) -> Result<()> {
        let path = self.folder.join(RECIPIENTS);
        let act = || format!("writing {}", path.display());
        let bytes = serde_json::to_vec(&Recipients { recipients }).doing(act())?;
        self.environment.host.files.write_durably(&path, &bytes).doing(act())
    }
}

/// The identities among documents, each in its newest version, the oldest first.
pub(crate) fn newest(documents: &[KeyDocument]) -> Result<Vec<Identity>> {
    let mut identities: Vec<Identity> = Vec::new();
    for (name, bytes) in documents.iter().filter(|(name, _)| parse_identity_name(name).is_some()) {
        let found = Identity::parse(bytes, name).doing(format!("reading the identity {name}"))?;
        match identities.iter_mut().find(|known| known.identity == found.identity) {
            Some(known) if known.version < found.version => *known = found,
            Some(_) => {}
            None => identities.push(found),
        }
    }
    identities.sort_by_key(|identity| (identity.created, identity.identity));
    Ok(identities)
}

/// A document that is an identity; one that is damaged is told and passed over.
pub(crate) fn parsed((name, bytes): &KeyDocument) -> Option<Identity> {
    parse_identity_name(name)?;
    match Identity::parse(bytes, name) {
        Ok(identity) => Some(identity),
        Err(error) => {
            tracing::warn!(name, error = crate::error::chain(&error), "an identity cannot be read");
            None
        }
    }
}

/// The identities among documents, each in its newest version with all of its versions. What cannot be read is told and passed over:
/// another one may be whole.
pub(crate) fn readable(documents: &[KeyDocument]) -> Vec<(Identity, Vec<&KeyDocument>)> {
    let mut found: Vec<(Identity, Vec<&KeyDocument>)> = Vec::new();
    for document in documents {
        let Some(identity) = parsed(document) else { continue };
        let same = found.iter_mut().find(|(known, _)| known.fingerprint() == identity.fingerprint());
        match same {
            Some((known, versions)) => {
                versions.push(document);
                if known.version < identity.version {
                    *known = identity;
                }
            }
            None => found.push((identity, vec![document])),
        }
    }
    found
}
