//! The keys that are at hand: those of backups just made, and the identities that somebody has unlocked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use backstock_archive::seal::{BackupSeal, DataKey, Identity, Passphrase, PrivateIdentity, SealedHeader};
use backstock_vocabulary::{BackupId, IdentityId};

use super::objects::documents_at;
use super::store::{DOCUMENT_LIMIT_BYTES, IdentityStore, readable};
use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// How often a person may mistype.
const ATTEMPTS: u32 = 3;
/// The key of one restore, in its journal's folder.
pub(crate) const ONE_RESTORE_KEY: &str = "one-restore.key";

/// Who is asked for keys.
pub trait Unlocker: Send + Sync {
    /// Private halves that were given as files.
    ///
    /// # Errors
    /// When a file that was named cannot be read.
    fn private_identities(&self) -> Result<Vec<PrivateIdentity>>;

    /// The passphrase of an identity; `attempt` counts from 1. `None` when there is nobody to ask, or nothing else to say.
    ///
    /// # Errors
    /// When a file that was named cannot be read.
    fn passphrase(&self, identity: &Identity, attempt: u32) -> Result<Option<Passphrase>>;

    /// Whether something was given that may open sealed backups without anybody being asked.
    fn is_given(&self) -> bool {
        false
    }
}

/// Nobody: what is not open stays so.
pub struct NobodyToAsk;

impl Unlocker for NobodyToAsk {
    fn private_identities(&self) -> Result<Vec<PrivateIdentity>> {
        Ok(Vec::new())
    }

    fn passphrase(&self, _identity: &Identity, _attempt: u32) -> Result<Option<Passphrase>> {
        Ok(None)
    }
}

#[derive(Default)]
struct Unlocked {
    data: HashMap<BackupId, Arc<DataKey>>,
    identities: Vec<PrivateIdentity>,
    has_asked_for_files: bool,
    /// Whose passphrase was asked for and not known.
    refused: Vec<IdentityId>,
}

/// The keys at hand.
pub(crate) struct KeyRing {
    unlocker: Box<dyn Unlocker>,
    unlocked: Mutex<Unlocked>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")
    }
}

impl KeyRing {
    pub(crate) fn new(unlocker: Box<dyn Unlocker>) -> Self {
        Self { unlocker, unlocked: Mutex::default() }
    }

    /// Keeps the key of a backup that is being made, for reading it back.
    pub(crate) fn remember(&self, seal: &BackupSeal) {
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        unlocked.data.insert(seal.backup(), Arc::clone(seal.key()));
    }

    /// Whether sealed backups may be opened without anybody being asked.
    pub(crate) fn is_given(&self) -> bool {
        self.unlocker.is_given()
            || !self.unlocked.lock().unwrap_or_else(PoisonError::into_inner).identities.is_empty()
    }

    /// Keeps an identity that somebody has unlocked.
    pub(crate) fn admit(&self, identity: PrivateIdentity) {
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner).identities.push(identity);
    }

    /// The data key of a part that errors call `part`, by what is at hand, and else by asking.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] when nothing opens it and nobody is there to ask, [`ErrorKind::WrongKey`] when what was given
    /// does not open it.
    pub(crate) fn data_key(
        &self,
        environment: &Environment,
        folder: &SetFolder,
        header: &SealedHeader,
        part: &str,
    ) -> Result<Arc<DataKey>> {
        let act = || format!("opening the seal of {part}");
        let mut unlocked = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = unlocked.data.get(&header.backup()) {
            header.require_key(key, part).doing(act())?;
            return Ok(Arc::clone(key));
        }
        if !unlocked.has_asked_for_files {
            unlocked.has_asked_for_files = true;
            let given = self.unlocker.private_identities()?;
            unlocked.identities.extend(given);
            unlocked.identities.extend(keys_of_open_restores(environment)?);
        }
        let mut key = None;
        for identity in &unlocked.identities {
            key = header.open_key(identity, part).doing(act())?;
            if key.is_some() {
                break;
            }
        }
        if key.is_none()
            && let Some(identity) = self.ask(environment, folder, header, &mut unlocked)?
        {
            key = header.open_key(&identity, part).doing(act())?;
            unlocked.identities.push(identity);
        }
        let Some(key) = key else {
            let has_given =
                unlocked.identities.iter().any(|identity| !is_of_a_restore(environment, identity));
            return Err(not_opened(header, part, has_given || !unlocked.refused.is_empty()));
        };
        let key = Arc::new(key);
        unlocked.data.insert(header.backup(), Arc::clone(&key));
        Ok(key)
    }

    /// Asks for the passphrase of one recipient after the other.
    fn ask(
        &self,
        environment: &Environment,
        folder: &SetFolder,
        header: &SealedHeader,
        unlocked: &mut Unlocked,
    ) -> Result<Option<PrivateIdentity>> {
        let mut known = IdentityStore::of(environment).identities()?;
        let is_known = |known: &[Identity]| {
            header
                .recipients()
                .iter()
                .any(|key| known.iter().any(|identity| identity.identity == key.identity))
        };
        if !is_known(&known) {
            let documents = documents_at(environment, folder)?;
            known = readable(&documents).into_iter().map(|(identity, _)| identity).collect();
        }
        let is_recipient =
            |identity: &&Identity| header.recipients().iter().any(|key| key.identity == identity.identity);
        for identity in known.iter().filter(is_recipient) {
            if unlocked.refused.contains(&identity.identity) {
                continue;
            }
            match self.unlock(identity)? {
                Asked::Opened(private) => return Ok(Some(private)),
                Asked::Wrong => unlocked.refused.push(identity.identity),
                Asked::Nobody => {}
            }
        }
        Ok(None)
    }

    /// Asks for the passphrase of one identity, as often as a person may mistype.
    fn unlock(&self, identity: &Identity) -> Result<Asked> {
        if identity.slots.is_empty() {
            return Ok(Asked::Nobody);
        }
        let mut asked = Asked::Nobody;
        for attempt in 1..=ATTEMPTS {
            let Some(passphrase) = self.unlocker.passphrase(identity, attempt)? else { break };
            let act = format!("opening the identity {}", identity.identity.short());
            if let Some(private) = identity.unlock(&passphrase).doing(act)? {
                return Ok(Asked::Opened(private));
            }
            asked = Asked::Wrong;
        }
        Ok(asked)
    }

    /// The private half of one identity, by a file that was given, or by its passphrase.
    ///
    /// # Errors
    /// As [`Self::data_key`].
    pub(crate) fn private(&self, identity: &Identity) -> Result<PrivateIdentity> {
        let mut given = self.unlocker.private_identities()?;
        if let Some(at) = given.iter().position(|private| private.id() == identity.identity) {
            let private = given.swap_remove(at);
            identity.require_half(&private).doing(format!("reading the identity {}", identity.identity))?;
            return Ok(private);
        }
        let id = identity.identity.short();
        match self.unlock(identity)? {
            Asked::Opened(private) => Ok(private),
            Asked::Wrong => Err(wrong_passphrase(&id)),
            Asked::Nobody if given.is_empty() => Err(OperationError::hinted(
                ErrorKind::Locked,
                format!("the identity {id} is locked, and nothing that opens it was given"),
                HINT,
            )),
            Asked::Nobody => Err(OperationError::plain(
                ErrorKind::WrongKey,
                format!("the file that was given is not the private half of the identity {id}"),
            )),
        }
    }
}

enum Asked {
    Opened(PrivateIdentity),
    Wrong,
    Nobody,
}

const HINT: &str = "type the passphrase at a terminal, or give --passphrase-file or --identity-file (or set \
                    BACKSTOCK_PASSPHRASE)";

fn wrong_passphrase(id: &str) -> OperationError {
    OperationError::plain(ErrorKind::WrongKey, format!("the passphrase does not open the identity {id}"))
}

fn not_opened(header: &SealedHeader, part: &str, has_given: bool) -> OperationError {
    let recipients: Vec<String> = header.recipients().iter().map(|key| key.identity.short()).collect();
    let recipients = recipients.join(" or ");
    if has_given {
        let message =
            format!("{part} is sealed for the identity {recipients}, and what was given does not open it");
        return OperationError::hinted(
            ErrorKind::WrongKey,
            message,
            "the backup is not damaged: try another key",
        );
    }
    let message =
        format!("{part} is sealed for the identity {recipients}, and nothing that opens it was given");
    OperationError::hinted(ErrorKind::Locked, message, HINT)
}

fn is_of_a_restore(environment: &Environment, identity: &PrivateIdentity) -> bool {
    // Each open restore has a key of its own, which nobody gave.
    keys_of_open_restores(environment).is_ok_and(|keys| keys.iter().any(|key| key.id() == identity.id()))
}

/// The keys of restores that are not accepted yet: their snapshots open without a passphrase.
fn keys_of_open_restores(environment: &Environment) -> Result<Vec<PrivateIdentity>> {
    let files = &environment.host.files;
    let folder = environment.state.journals();
    let act = || format!("looking for keys in {}", folder.display());
    if files.stat(&folder).doing(act())?.is_none() {
        return Ok(Vec::new());
    }
    let mut keys = Vec::new();
    for (path, stat) in files.list(&folder).doing(act())? {
        let path = path.join(ONE_RESTORE_KEY);
        if stat.is_folder && files.stat(&path).doing(act())?.is_some() {
            let bytes = files.read(&path, DOCUMENT_LIMIT_BYTES).doing(act())?;
            let name = path.display().to_string();
            keys.push(PrivateIdentity::of_file(&bytes, &name).doing(act())?);
        }
    }
    Ok(keys)
}
