//! Where replicas are put and fetched: one small seam, one driver for each kind of place.
//!
//! A storage knows objects: names and bytes. It knows nothing of backups, keys or retention. An object appears under
//! its name only when it is complete; a name is never used twice for different bytes. Kinds are listed in
//! [`KINDS`]; every kind passes the checks in [`contract`].

mod account;
mod buffers;
mod check;
mod content;
pub mod contract;
mod error;
pub mod faulty;
mod http;
mod keep;
mod kinds;
mod oauth;
mod object;
mod part;
mod patience;
pub mod placement;
mod probe;
mod remote_tree;
mod session;
mod source;
mod trust;
mod unfinished;
mod upload;
mod xml;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::Host;
pub use backstock_host::{Field, Secret};
use jiff::Timestamp;

pub use error::{Cause, Error, Result};
pub use keep::{KeepSecrets, KeptNowhere, LinkNews};
pub use kinds::local::LocalSettings;
pub use kinds::{KINDS, Kind, StorageSettings};
pub use oauth::{Link, LinkManner, Linked, PENDING_LIMIT_SECONDS, Pending, Returned};
pub use object::{ObjectFacts, ObjectName, ParseNameError};
pub use part::{BLOCK_BYTES, Properties, PutReceipt, SpooledPart};
pub use trust::{SeenIdentity, seen_identity};
pub use upload::{InOneGo, ResumeState, Upload};

/// The name of the kind whose objects are files of this machine.
pub const LOCAL_KIND: &str = kinds::local::KIND.name;
/// The longest piece that one [`Storage::read_range`] gives, in bytes: one block of sampled read-back.
pub const RANGE_LIMIT_BYTES: u64 = 64 << 20;
/// The longest object that [`Storage::put_small`] takes, in bytes. Manifests and owner files are far shorter.
pub const SMALL_LIMIT_BYTES: u64 = 16 << 20;
/// The most objects that one [`Storage::list`] gives; more is an error, never a shortened list.
pub const LIST_LIMIT_OBJECTS: usize = 1_000_000;

/// A place for replicas.
///
/// Every method may be called by several tasks at once. None holds a whole part in memory.
#[async_trait]
pub trait Storage: Send + Sync + Debug {
    /// Stores a complete part. After `Ok` it is durable there; after any error nothing is visible under the name.
    ///
    /// When the name already holds these very bytes, that is success. Other bytes there are [`Error::Conflict`].
    async fn put(&self, name: &ObjectName, part: &SpooledPart<'_>, upload: &dyn Upload)
    -> Result<PutReceipt>;

    /// Stores a small object (a manifest, an owner file) under the same promises as [`Storage::put`].
    async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()>;

    /// Stores a complete part in the place of whatever the name holds: what is mended takes the place of what is damaged. At
    /// every moment the name holds what it held before or these bytes, whole; after `Ok` they are durable there. The
    /// caller is the only one who writes under that name.
    async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt>;

    /// Stores a small object in the place of whatever the name holds, under the same promises as [`Storage::replace`].
    async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()>;

    /// What is under a name, if anything.
    async fn stat(&self, name: &ObjectName) -> Result<Option<ObjectFacts>>;

    /// Every object whose name starts with this folder (`None`: every object), sorted by name. Unfinished uploads are
    /// never among them. A folder that is not there holds nothing.
    async fn list(&self, folder: Option<&ObjectName>) -> Result<Vec<ObjectFacts>>;

    /// Reads from `offset_bytes` on. Gives fewer than `length_bytes` only where the object ends; at most
    /// [`RANGE_LIMIT_BYTES`] may be asked for.
    async fn read_range(&self, name: &ObjectName, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>>;

    /// Deletes an object. One that is not there is no error. What the place refuses to delete stays as it is, and is listed and
    /// read as before: [`Cause::Denied`] where the credentials may not, [`Cause::Locked`] where nobody may.
    async fn delete(&self, name: &ObjectName) -> Result<()>;

    /// Removes what unfinished uploads have left below a folder (`None`: everywhere), and folders that hold nothing;
    /// tells how many uploads there were.
    /// Only for a folder in which no one else is writing.
    async fn delete_leftovers(&self, folder: Option<&ObjectName>) -> Result<u64>;

    /// Writes, reads back, lists and deletes a small object in a folder (`None`: at the top), and tells what the place
    /// can do. What a test that died has left is swept by [`Storage::delete_leftovers`] of that folder.
    async fn probe(&self, folder: Option<&ObjectName>) -> Result<Properties>;

    /// Bytes that may still be stored, where the place can tell.
    async fn free_bytes(&self) -> Result<Option<u64>>;

    /// Whether the settings ask for objects to be locked. It asks nobody; [`Properties::locks`] tells whether the place can.
    fn locks(&self) -> bool {
        false
    }

    /// Lets nobody delete or change what a name holds before `until`. A lock that is longer already stays as it is, and is
    /// success. Only for a storage that [`Storage::locks`].
    async fn lock(&self, name: &ObjectName, _until: Timestamp) -> Result<()> {
        Err(Error::Io {
            act: "lock",
            name: name.as_str().to_owned(),
            place: "a storage that knows no locks".to_owned(),
            source: ErrorKind::Unsupported.into(),
        })
    }

    /// Until when the place lets nobody delete or change what a name holds; none where nothing is locked.
    async fn locked_until(&self, _name: &ObjectName) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Where an object lies as a file of this machine, for kinds that keep it so. It may not exist.
    fn local_path(&self, _name: &ObjectName) -> Option<PathBuf> {
        None
    }
}

impl dyn Storage + '_ {
    /// Reads a whole object of at most `limit_bytes` (itself at most [`RANGE_LIMIT_BYTES`]); `None` when there is none.
    pub async fn read_small(&self, name: &ObjectName, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
        let Some(facts) = self.stat(name).await? else { return Ok(None) };
        if facts.size_bytes > limit_bytes {
            return Err(Error::TooLarge { name: name.clone(), size_bytes: facts.size_bytes, limit_bytes });
        }
        let bytes = self.read_range(name, 0, limit_bytes.min(RANGE_LIMIT_BYTES)).await?;
        Ok(Some(bytes))
    }
}

/// Opens a storage. The first use of it makes the connection, not this call. What its provider renews goes to `keep`.
///
/// # Errors
///
/// [`Error::UnknownKind`] with the list of known kinds; [`Error::Settings`] when the settings do not fit the kind.
pub fn open(host: &Host, settings: &StorageSettings, keep: Arc<dyn KeepSecrets>) -> Result<Arc<dyn Storage>> {
    kind_of(settings).and_then(|kind| (kind.open)(host, &settings.settings, keep))
}

/// The way to link a storage with an account; none where its kind has nothing to link.
///
/// # Errors
///
/// Those of [`open`].
pub fn link(host: &Host, settings: &StorageSettings) -> Result<Option<Link>> {
    let link = kind_of(settings)?.link;
    link.map(|link| link(host, &settings.settings)).transpose()
}

fn kind_of(settings: &StorageSettings) -> Result<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.name == settings.kind)
        .ok_or_else(|| Error::UnknownKind { kind: settings.kind.clone() })
}
