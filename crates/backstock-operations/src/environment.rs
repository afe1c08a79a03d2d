//! What every operation stands on: the machine, the state folder, the catalog, this instance's key.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use backstock_catalog::{Catalog, Storage as StorageRecord};
use backstock_host::{Host, InstanceKey, KeyError};
use backstock_vocabulary::InstanceId;
use ring::digest::{SHA256, digest};
use tokio::runtime::{Builder, Runtime};

use crate::daemon;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::folders::StateFolder;
use crate::keys::{KeyRing, NobodyToAsk, Unlocker};
use crate::notices::NamedNotifier;
use crate::read_count::ReadCount;
use crate::storages;

/// Threads that wait for storages and the catalog; the work itself is done by threads of its own.
const WAITING_THREADS: usize = 1;

/// What the state folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// For everything; a damaged catalog is refused.
    Work,
    /// To make the catalog anew: a damaged one is set aside.
    Rebuild,
    /// To say what would be done, and to write nothing.
    Look,
}

/// What every operation stands on.
#[derive(Debug)]
pub struct Environment {
    /// The machine.
    pub host: Host,
    /// The state folder.
    pub state: StateFolder,
    /// What we remember.
    pub catalog: Catalog,
    /// This instance's key.
    pub key: Arc<InstanceKey>,
    /// This instance.
    pub instance: InstanceId,
    /// Who is told of what goes wrong.
    pub notifiers: Vec<NamedNotifier>,
    /// Keys that open sealed backups, as far as they are at hand.
    pub(crate) keys: KeyRing,
    /// Bytes read from storages.
    pub(crate) reads: ReadCount,
    /// The storage whose replicas are read, where a person named one.
    pub(crate) read_at: Option<StorageRecord>,
    /// Whether the state folder and the catalog may be changed.
    pub(crate) may_write: bool,
    runtime: Runtime,
}

impl Environment {
    /// Opens the state folder, making what is missing.
    pub fn open(host: &Host, state: &Path) -> Result<Self> {
        Self::open_for(host, state, Purpose::Work)
    }

    /// Opens the state folder to make the catalog anew: a damaged one is kept under another name.
    pub fn open_for_rebuild(host: &Host, state: &Path) -> Result<Self> {
        Self::open_for(host, state, Purpose::Rebuild)
    }

    /// Opens the state folder for a plan that is only shown: what is missing is not made, and the catalog refuses every
    /// change.
    pub fn open_to_look(host: &Host, state: &Path) -> Result<Self> {
        Self::open_for(host, state, Purpose::Look)
    }

    fn open_for(host: &Host, state: &Path, purpose: Purpose) -> Result<Self> {
        let state = StateFolder::at(state);
        let may_write = purpose != Purpose::Look;
        for folder in state.folders().iter().filter(|_| may_write) {
            host.files.create_folder(folder).doing(format!("making the folder {}", folder.display()))?;
        }
        let key = key_of(host, &state, may_write)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(WAITING_THREADS)
            .thread_name("backstock-wait")
            .enable_all()
            .build()
            .doing("starting the threads that wait for storages")?;
        let mut catalog = match purpose {
            Purpose::Look => runtime.block_on(Catalog::open_to_look(host, &state.catalog())),
            _ => runtime.block_on(Catalog::open(host, &state.catalog())),
        };
        if purpose == Purpose::Rebuild && matches!(catalog, Err(backstock_catalog::Error::Damaged { .. })) {
            // A daemon would go on with the one that was set aside, and what it writes would be lost.
            let _no_daemon = daemon::lock(&state, "stop it while the catalog is made anew")?;
            Catalog::set_aside(host, &state.catalog())
                .doing(format!("setting the damaged catalog {} aside", state.catalog().display()))?;
            catalog = runtime.block_on(Catalog::open(host, &state.catalog()));
        }
        let catalog = catalog.doing(format!("opening the catalog {}", state.catalog().display()))?;
        let instance = instance_of(&key);
        Ok(Self {
            host: host.clone(),
            state,
            catalog,
            key,
            instance,
            notifiers: Vec::new(),
            keys: KeyRing::new(Box::new(NobodyToAsk)),
            reads: ReadCount::default(),
            read_at: None,
            may_write,
            runtime,
        })
    }

    /// The same, with those who are told of what goes wrong.
    #[must_use]
    pub fn with_notifiers(mut self, notifiers: Vec<NamedNotifier>) -> Self {
        self.notifiers = notifiers;
        self
    }

    /// The same, with somebody who can be asked for keys.
    #[must_use]
    pub fn with_unlocker(mut self, unlocker: Box<dyn Unlocker>) -> Self {
        self.keys = KeyRing::new(unlocker);
        self
    }

    /// The same, reading what is asked for at the storage of this title and nowhere else.
    ///
    /// # Errors
    ///
    /// When there is no such storage.
    pub fn reading_at(mut self, title: Option<&str>) -> Result<Self> {
        self.read_at = title.map(|title| storages::find(&self, title)).transpose()?;
        Ok(self)
    }

    /// Waits for something that happens elsewhere: the one bridge from our threads to the waiting ones.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What this machine is known by.
    pub(crate) fn machine_id(&self) -> String {
        self.host.machine.machine_id().unwrap_or_else(|| "unknown".to_owned())
    }

    /// A handle for code that waits on other threads.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }
}

impl Drop for Environment {
    /// Closes the catalog in order: a log left beside it would be found and read by the next run all the same, but a
    /// file that is copied alone should be whole.
    fn drop(&mut self) {
        self.runtime.block_on(self.catalog.close());
    }
}

fn key_of(host: &Host, state: &StateFolder, may_write: bool) -> Result<Arc<InstanceKey>> {
    let act = format!("reading the instance key {}", state.key().display());
    let error = match InstanceKey::of_instance(host, &state.key(), may_write) {
        Ok(key) => return Ok(key),
        Err(KeyError::File(error)) => return Err(error).doing(act),
        Err(error) => error,
    };
    let hint = match &error {
        KeyError::File(_) | KeyError::NoKey => {
            "bring the file back from a copy of the state folder; or move it away: the next backup then makes a new one and \
             needs --take-over"
        }
        KeyError::NotGiven { .. } => {
            "give it as the service gets it: by BACKSTOCK_INSTANCE_KEY, or as the systemd credential backstock.instance-key"
        }
        KeyError::Another { .. } => {
            "nothing was changed: give the key that this state folder was used with, or another state folder with --state"
        }
    };
    Err(OperationError::hinted(ErrorKind::Failed, format!("{act}: {error}"), hint))
}

/// An instance is what its key is: its identifier follows from the public half.
fn instance_of(key: &InstanceKey) -> InstanceId {
    let hash = digest(&SHA256, key.public());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.as_ref()[..10]);
    InstanceId::from_parts(0, bytes)
}
