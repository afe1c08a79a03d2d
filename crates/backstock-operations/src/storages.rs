//! Storages: places for replicas, defined once. Their secrets are sealed before the catalog sees them.

mod client;
mod keeper;
mod lent;
mod link;
mod link_request;
mod new;
mod recovered;
mod secrets;

use std::sync::Arc;

use backstock_archive::layout::MANIFEST_NAME;
use backstock_catalog::{Replica, Storage as StorageRecord};
use backstock_storage::{ObjectName, Properties, SeenIdentity, Storage};
use backstock_vocabulary::StorageId;
use serde::Serialize;
use serde_json::Value;

pub use client::{StorageClient, storage_client};
pub(crate) use client::{client_of, nothing_seen};
pub use lent::LentAccess;
pub(crate) use lent::open_with;
pub(crate) use link::find_link;
pub use link::{
    BegunLink, DueLink, ListedLink, MadeLink, StorageLink, link_new_storage, link_of, link_storage,
    troubled_links, try_due_links,
};
pub(crate) use link_request::give_up_taken_links;
pub use link_request::{
    AskedLink, AskedLinkOutcome, LinkEnd, ShownLink, TakenLink, ask_for_link, asked_link, take_asked_link,
};
pub use new::{NewStorage, storage_kind};
pub(crate) use recovered::take_in;
pub use recovered::{RecoveredStorage, give_secrets, missing_secrets};

use self::keeper::MemoryKeeper;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::export::Secrets;
use crate::replicate::is_owed;

/// A storage as lists show it: without secrets.
#[derive(Debug, Clone, Serialize)]
pub struct ListedStorage {
    /// Its identifier.
    pub id: StorageId,
    /// Its title.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// What its kind needs to know, without secrets.
    pub settings: Value,
    /// Whether secrets are kept of it.
    pub has_secrets: bool,
    /// How many backups are known to be there.
    pub replicas: u64,
    /// How its link with an account is, where it has one that was ever tried.
    pub link: Option<ListedLink>,
}

impl ListedStorage {
    fn of(record: StorageRecord, replicas: u64, link: Option<ListedLink>) -> Self {
        Self {
            id: record.id,
            title: record.title,
            kind: record.kind,
            settings: record.settings,
            has_secrets: record.sealed_secrets.is_some(),
            replicas,
            link,
        }
    }
}

/// What the test of a storage brought: it took, kept, listed, gave back, exchanged and let go of a small object.
#[derive(Debug, Clone, Serialize)]
pub struct StorageTest {
    /// Its title.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// Whether what was stored can be exchanged with these credentials: if not, nothing damaged can be mended there.
    pub replaces: bool,
    /// Whether what was stored can be deleted with these credentials: if not, the place is append-only.
    pub deletes: bool,
    /// Whether what is kept there is locked, as its settings ask for.
    pub locks: bool,
    /// Whether an upload that was cut off goes on where it stopped.
    pub resumes: bool,
    /// The largest object that it takes, in bytes, if there is a limit.
    pub largest_object_bytes: Option<u64>,
    /// Bytes that may still be stored there, where the place can tell.
    pub free_bytes: Option<u64>,
    /// How its link with an account is, where it has one.
    pub link: Option<ListedLink>,
    /// That backups are known to be there and none of them is seen: by which application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sees_nothing: Option<StorageClient>,
}

impl StorageTest {
    /// What was done with the small object, and what could not be, as a sentence without its full stop.
    pub fn told(&self) -> &'static str {
        match (self.replaces, self.deletes) {
            (true, true) => "a small object was written, read back, listed, written over and deleted",
            (false, true) => {
                "a small object was written, read back, listed and deleted; it could not be written over, so that nothing damaged can \
                 be mended there"
            }
            (true, false) => {
                "a small object was written, read back, listed and written over; it could not be deleted: append-only for these \
                 credentials, which may still write over what is there"
            }
            (false, false) => {
                "a small object was written, read back and listed; it could be neither written over nor deleted: append-only for these \
                 credentials"
            }
        }
    }
}

/// The secrets of a storage, for an export that is sealed at once.
pub(crate) fn secrets_of(environment: &Environment, record: &StorageRecord) -> Result<Secrets> {
    secrets::opened(&environment.key, record).map(Secrets)
}

/// Opens a storage of the catalog with its secrets.
pub(crate) fn open(environment: &Environment, record: &StorageRecord) -> Result<Arc<dyn Storage>> {
    open_with(environment, record, &LentAccess::default())
}

/// Every storage, the oldest first.
pub fn storages(environment: &Environment) -> Result<Vec<ListedStorage>> {
    let records = environment.wait(environment.catalog.list_storages()).doing("listing the storages")?;
    let replicas = environment.wait(environment.catalog.list_replicas()).doing("counting their backups")?;
    let listed = records.into_iter().map(|record| {
        let is_there = |replica: &&Replica| replica.storage == record.id && !is_owed(replica.state);
        let held = replicas.iter().filter(is_there).count() as u64;
        let link = find_link(environment, record.id)?;
        Ok(ListedStorage::of(record, held, link))
    });
    listed.collect()
}

/// Makes a storage known. Whoever wants it tried first asks [`test_new_storage`].
pub fn add_storage(environment: &Environment, new: NewStorage) -> Result<ListedStorage> {
    let link = new.link;
    let record = new.into_record(environment)?;
    let act = || format!("recording the storage {}", record.title);
    environment.wait(environment.catalog.save_storage(&record)).doing(act())?;
    if let Some(MadeLink { at, ends }) = link {
        environment.wait(environment.catalog.link_was_made(record.id, at, ends)).doing(act())?;
    }
    let link = find_link(environment, record.id)?;
    Ok(ListedStorage::of(record, 0, link))
}

/// What the server of a new storage shows of itself, where the settings must pin that and do not yet.
pub fn identity_to_pin(environment: &Environment, new: &NewStorage) -> Result<Option<SeenIdentity>> {
    let settings = new.settings()?;
    let act = format!("asking the server of the storage {} who it is", new.title);
    let seen = environment.wait(backstock_storage::seen_identity(&environment.host, &settings)).doing(act)?;
    Ok(seen.filter(|seen| !new.settings.contains_key(seen.setting)))
}

/// Tries a storage before it is made known. What its provider renews meanwhile is then among its secrets, however the test
/// ends.
pub fn test_new_storage(environment: &Environment, new: &mut NewStorage) -> Result<StorageTest> {
    let settings = new.settings()?;
    let keep = Arc::new(MemoryKeeper::default());
    let storage = backstock_storage::open(&environment.host, &settings, keep.clone())
        .doing(format!("opening the storage {}", new.title))?;
    let tested = test(environment, &new.title, &settings.kind, storage.as_ref());
    new.secrets.extend(keep.renewed());
    let before = new.link.and_then(|link| link.ends);
    new.link = keep.link().map(|link| MadeLink { ends: link.ends.or(before), ..link });
    tested
}

/// Tries a storage of the catalog.
pub fn test_storage(environment: &Environment, title: &str) -> Result<StorageTest> {
    let record = find(environment, title)?;
    let storage = open(environment, &record)?;
    let tested = test(environment, &record.title, &record.kind, storage.as_ref())?;
    let sees_nothing = match client_of(&record) {
        Some(client) if !sees_anything(environment, &record, storage.as_ref())? => Some(client),
        _ => None,
    };
    Ok(StorageTest { link: find_link(environment, record.id)?, sees_nothing, ..tested })
}

/// Whether anything is seen of the backups that are known to be at a storage, where any are.
fn sees_anything(environment: &Environment, record: &StorageRecord, storage: &dyn Storage) -> Result<bool> {
    let act = || format!("looking for the backups at the storage {}", record.title);
    let replicas = environment.wait(environment.catalog.list_replicas()).doing(act())?;
    let is_there = |replica: &&Replica| replica.storage == record.id && replica.state.is_there();
    let mut known = replicas.iter().filter(is_there).peekable();
    if known.peek().is_none() {
        return Ok(true);
    }
    for replica in known {
        let name = ObjectName::new(&format!("{}/{MANIFEST_NAME}", replica.folder));
        let name = name.map_err(backstock_storage::Error::from).doing(act())?;
        if environment.wait(storage.stat(&name)).doing(act())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn test(environment: &Environment, title: &str, kind: &str, storage: &dyn Storage) -> Result<StorageTest> {
    let act = || format!("testing the storage {title}");
    let Properties { resumes, replaces, deletes, locks, largest_object_bytes, .. } =
        environment.wait(storage.probe(None)).doing(act())?;
    let free_bytes = environment.wait(storage.free_bytes()).doing(act())?;
    let (title, kind) = (title.to_owned(), kind.to_owned());
    Ok(StorageTest {
        title,
        kind,
        replaces,
        deletes,
        locks,
        resumes,
        largest_object_bytes,
        free_bytes,
        link: None,
        sees_nothing: None,
    })
}

/// Forgets a storage that holds no backup that is known. What lies there stays as it is.
pub fn remove_storage(environment: &Environment, title: &str) -> Result<()> {
    let record = find(environment, title)?;
    let act = format!("forgetting the storage {title}");
    if environment.wait(environment.catalog.remove_storage(record.id)).doing(act)? {
        return Ok(());
    }
    Err(OperationError::hinted(
        ErrorKind::Refused,
        format!("the storage {title} holds backups, or is a destination of a set, and is not forgotten"),
        "`backstock list` shows backups, `backstock delete` deletes one; `backstock set list` shows destinations",
    ))
}

pub(crate) fn find(environment: &Environment, title: &str) -> Result<StorageRecord> {
    let found = environment
        .wait(environment.catalog.find_storage_by_title(title))
        .doing(format!("looking for the storage {title}"))?;
    found.ok_or_else(|| {
        OperationError::hinted(
            ErrorKind::NotFound,
            format!("there is no storage called {title}"),
            "`backstock storage list` shows all of them",
        )
    })
}
