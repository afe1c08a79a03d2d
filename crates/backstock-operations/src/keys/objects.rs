//! The folder `keys/` beside a set's backups: what is needed to open them when the server is gone.

use backstock_archive::seal::{parse_certificate_name, parse_identity_name};

use crate::destination::{Refusal, SetFolder};
use crate::environment::Environment;
use crate::error::{ErrorKind, OperationError, Result};
use crate::keys::IdentityStore;
use crate::keys::store::KeyDocument;

/// What a person without this program needs besides a key: the form, in words and as a script.
const PAGES: [(&str, &[u8]); 2] = [
    ("format.md", include_bytes!("../../../../docs/format.md")),
    ("open-backup.py", include_bytes!("../../../../docs/open-backup.py")),
];

/// Puts identities, certificates and the pages that explain them to a place, unless they are there.
///
/// # Errors
/// [`ErrorKind::Refused`] when another document lies under the name of one: what was sealed could not be opened with it.
pub(crate) fn put_keys(environment: &Environment, folder: &SetFolder) -> Result<()> {
    let documents = IdentityStore::of(environment).documents()?;
    for (name, bytes) in &documents {
        match folder.key_document(environment, name)? {
            None => folder.put_key_document(environment, name, bytes)?,
            Some(found) if found == *bytes => {}
            Some(_) => {
                return Err(OperationError::hinted(
                    ErrorKind::Refused,
                    format!("keys/{name} of {} is not the one of this instance", folder.name),
                    "somebody changed it: look at it, then move it away",
                ));
            }
        }
    }
    for (name, bytes) in PAGES {
        match folder.key_document(environment, name)? {
            Some(found) if found == bytes => {}
            // A page of an older version of this program. Where nothing can be deleted it stays: it tells how to open what was
            // there then, and what is there now tells its own form.
            Some(_) => match folder.replace_key_document(environment, name, bytes) {
                Err(error) if Refusal::of(&error).is_some() => {}
                other => other?,
            },
            None => folder.put_key_document(environment, name, bytes)?,
        }
    }
    Ok(())
}

/// The identities and certificates that lie at a place, for a machine that has none.
pub(crate) fn documents_at(environment: &Environment, folder: &SetFolder) -> Result<Vec<KeyDocument>> {
    let mut documents = Vec::new();
    for name in folder.key_documents(environment)? {
        if (parse_identity_name(&name).is_some() || parse_certificate_name(&name).is_some())
            && let Some(bytes) = folder.key_document(environment, &name)?
        {
            documents.push((name, bytes));
        }
    }
    Ok(documents)
}
