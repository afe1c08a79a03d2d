//! Making, listing, changing, exporting and rehearsing identities.

use std::path::{Path, PathBuf};

use backstock_archive::seal::{Identity, Passphrase, PrivateIdentity, SlotCost, Suite};
use backstock_catalog::Backup;
use backstock_vocabulary::{ArtifactKind, BackupId, IdentityId};
use serde::Serialize;

use super::signers::to_certify;
use super::store::IdentityStore;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::stored::StoredBackup;

/// Where the private half of a new identity is kept.
pub enum KeptBy {
    /// In a slot that this passphrase opens, beside the backups.
    Passphrase(Passphrase),
    /// In a new file, which its owner takes away from the server. Whoever has it opens every backup.
    File(PathBuf),
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct CreatedIdentity {
    /// The identity.
    pub identity: IdentityId,
    /// What a person compares.
    pub fingerprint: String,
    /// The suite of its key.
    pub suite: &'static str,
    /// The file that holds its private half, where it is kept in one.
    pub file: Option<PathBuf>,
    /// The identities that new backups were sealed for before.
    pub instead_of: Vec<IdentityId>,
}

/// One line of a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedIdentity {
    /// The identity.
    pub identity: IdentityId,
    /// Its short form.
    pub short: String,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// The suite of its key.
    pub suite: &'static str,
    /// How often its slots were changed, from 1.
    pub version: u32,
    /// How many passphrases open it; 0 where its private half is kept elsewhere.
    pub slots: usize,
    /// Whether new backups are sealed for it.
    pub is_recipient: bool,
    /// What a person compares.
    pub fingerprint: String,
}

/// A backup that was opened to show that it can be.
#[derive(Debug, Clone, Serialize)]
pub struct RehearsedBackup {
    /// The identity that opened it.
    pub identity: IdentityId,
    /// The backup.
    pub backup: BackupId,
    /// When it was made.
    pub started: jiff::Timestamp,
    /// Entries of its indexes that were read.
    pub entries: u64,
}

/// Makes the first identity: from now on new backups are sealed for it.
pub fn create_identity(environment: &Environment, suite: Suite, kept_by: &KeptBy) -> Result<CreatedIdentity> {
    let store = IdentityStore::of(environment);
    require_no_recipient(&store)?;
    make(environment, &store, suite, kept_by)
}

/// Refuses a second identity beside the one that backups are sealed for.
pub(super) fn require_no_recipient(store: &IdentityStore<'_>) -> Result<()> {
    let Some(present) = store.recipient_ids()?.first().copied() else { return Ok(()) };
    Err(OperationError::hinted(
        ErrorKind::Refused,
        format!("backups are sealed for the identity {} already", present.short()),
        "`backstock key rotate` makes another in its place",
    ))
}

/// Makes another identity in the place of the present one. What was sealed before stays sealed for that.
pub fn rotate_identity(environment: &Environment, suite: Suite, kept_by: &KeptBy) -> Result<CreatedIdentity> {
    let store = IdentityStore::of(environment);
    if store.recipient_ids()?.is_empty() {
        return Err(OperationError::hinted(
            ErrorKind::NotFound,
            "there is no identity to be replaced",
            "`backstock key create` makes the first",
        ));
    }
    make(environment, &store, suite, kept_by)
}

fn make(
    environment: &Environment,
    store: &IdentityStore<'_>,
    suite: Suite,
    kept_by: &KeptBy,
) -> Result<CreatedIdentity> {
    let host = &environment.host;
    let vouched = to_certify(environment)?;
    let id = host.new_id(IdentityId::from_parts);
    let private = PrivateIdentity::new(host.random.as_ref(), id, suite);
    let act = || "making an identity".to_owned();
    let mut public = private.public(host.clock.now()).doing(act())?;
    let mut file = None;
    match kept_by {
        KeptBy::Passphrase(passphrase) => {
            let cost = SlotCost::default();
            public = public.with_passphrase(host.random.as_ref(), cost, &private, passphrase).doing(act())?;
        }
        KeptBy::File(path) => {
            write_private(environment, &private, path)?;
            file = Some(path.clone());
        }
    }
    let document = public.sign(&private).doing(act())?;
    store.keep(&public.name(), &document)?;
    for signer in vouched {
        store.certify(&private, signer)?;
    }
    let instead_of = store.recipient_ids()?;
    backstock_host::failpoint::reach("key.before_recipients").doing(act())?;
    store.set_recipients(vec![id])?;
    Ok(CreatedIdentity {
        identity: id,
        fingerprint: public.fingerprint().to_string(),
        suite: suite.name(),
        file,
        instead_of,
    })
}

/// Writes a private half into a new file that its owner alone may read.
fn write_private(environment: &Environment, private: &PrivateIdentity, path: &Path) -> Result<()> {
    use std::io::Write;
    let act =
        || format!("writing the private half of the identity {} to {}", private.id().short(), path.display());
    let bytes = private.to_file().doing(act())?;
    let files = &environment.host.files;
    let mut file = files.create_new(path).doing(act())?;
    file.write_all(&bytes).and_then(|()| file.sync()).doing(act())?;
    files.sync_folder(path.parent().unwrap_or(Path::new("/"))).doing(act())
}

/// Every identity that this instance knows.
pub fn identities(environment: &Environment) -> Result<Vec<ListedIdentity>> {
    let store = IdentityStore::of(environment);
    let recipients = store.recipient_ids()?;
    Ok(store.identities()?.iter().map(|identity| listed(identity, &recipients)).collect())
}

/// One identity: that of an id, its end or its beginning; without one, the only recipient.
pub fn identity(environment: &Environment, text: Option<&str>) -> Result<ListedIdentity> {
    let recipients = IdentityStore::of(environment).recipient_ids()?;
    Ok(listed(&meant(environment, text)?, &recipients))
}

pub(super) fn listed(identity: &Identity, recipients: &[IdentityId]) -> ListedIdentity {
    ListedIdentity {
        identity: identity.identity,
        short: identity.identity.short(),
        created: identity.created,
        suite: identity.suite.name(),
        version: identity.version,
        slots: identity.slots.len(),
        is_recipient: recipients.contains(&identity.identity),
        fingerprint: identity.fingerprint().to_string(),
    }
}

/// The identity that a person means: by an id, its end or its beginning; without one, the only recipient.
pub(super) fn meant(environment: &Environment, text: Option<&str>) -> Result<Identity> {
    let store = IdentityStore::of(environment);
    let known = store.identities()?;
    let not_found = |message: String| {
        OperationError::hinted(
            ErrorKind::NotFound,
            message,
            "`backstock key list` shows what there is, `backstock key create` makes one",
        )
    };
    let Some(text) = text else {
        let recipients = store.recipient_ids()?;
        let found = known.into_iter().find(|identity| recipients.contains(&identity.identity));
        return found.ok_or_else(|| not_found("there is no identity".to_owned()));
    };
    let fits = |identity: &Identity| {
        let id = identity.identity.to_string();
        text.len() >= 4 && (id.starts_with(text) || id.ends_with(text))
    };
    let mut found = known.into_iter().filter(|identity| fits(identity));
    match (found.next(), found.next()) {
        (Some(identity), None) => Ok(identity),
        (Some(_), Some(_)) => {
            let message = format!("several identities are called {text}");
            Err(OperationError::plain(ErrorKind::Declined, message))
        }
        _ => Err(not_found(format!("no identity is called {text}"))),
    }
}

/// Gives an identity another passphrase: the same private half in a new slot. Where the old passphrase has leaked, that
/// does not help: the old slot lies at every destination.
pub fn change_passphrase(
    environment: &Environment,
    text: Option<&str>,
    new: &dyn Fn() -> Result<Passphrase>,
) -> Result<ListedIdentity> {
    let identity = meant(environment, text)?;
    let private = environment.keys.private(&identity)?;
    let id = identity.identity.short();
    let act = || format!("changing the passphrase of the identity {id}");
    let host = &environment.host;
    let next = identity
        .next()
        .with_passphrase(host.random.as_ref(), SlotCost::default(), &private, &new()?)
        .doing(act())?;
    let document = next.sign(&private).doing(act())?;
    let store = IdentityStore::of(environment);
    store.keep(&next.name(), &document)?;
    Ok(listed(&next, &store.recipient_ids()?))
}

/// Writes the private half of an identity into a new file, to be kept outside the server.
pub fn export_identity(environment: &Environment, text: Option<&str>, to: &Path) -> Result<IdentityId> {
    let identity = meant(environment, text)?;
    let private = environment.keys.private(&identity)?;
    write_private(environment, &private, to)?;
    Ok(identity.identity)
}

/// Opens the newest backup that is sealed for an identity, by its passphrase or the file that was given.
pub fn rehearse(environment: &Environment, text: Option<&str>) -> Result<RehearsedBackup> {
    let identity = meant(environment, text)?;
    let private = environment.keys.private(&identity)?;
    let backups = environment.wait(environment.catalog.list_backups(None)).doing("listing the backups")?;
    let is_sealed = |backup: &&Backup| crate::show::sealed_for(backup).contains(&identity.identity);
    let Some(backup) =
        backups.into_iter().filter(|backup| is_sealed(&backup)).max_by_key(|backup| backup.started)
    else {
        return Err(OperationError::hinted(
            ErrorKind::NotFound,
            format!(
                "the key opens, but no backup is sealed for the identity {} yet",
                identity.identity.short()
            ),
            "make one with `backstock backup`, then rehearse again",
        ));
    };
    let (id, started) = (backup.id, backup.started);
    environment.keys.admit(private);
    let stored = StoredBackup::open(environment, backup)?;
    let mut entries = 0;
    for kind in [ArtifactKind::DatabaseIndex, ArtifactKind::FilesIndex] {
        if stored.has(kind) {
            let index = stored.index(environment, kind)?;
            for line in index.entries::<serde::de::IgnoredAny>() {
                line.doing(format!("reading an index of {}", stored.folder))?;
                entries += 1;
            }
        }
    }
    Ok(RehearsedBackup { identity: identity.identity, backup: id, started, entries })
}
