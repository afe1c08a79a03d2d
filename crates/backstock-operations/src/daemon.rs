//! The one daemon of a state folder: a kernel lock says that it lives, a file says where it is found.

use backstock_host::lock::{self, Lock};

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::folders::StateFolder;
use crate::storages::give_up_taken_links;

/// The longest address of a daemon, in bytes.
const ADDRESS_LIMIT_BYTES: u64 = 4096;

/// That this process is the daemon of its state folder, until it is dropped.
#[derive(Debug)]
pub struct Daemon<'a> {
    environment: &'a Environment,
    _lock: Lock,
}

impl<'a> Daemon<'a> {
    /// Becomes the daemon; what one before it has left half done is ended.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] where there is one.
    pub fn become_it(environment: &'a Environment) -> Result<Self> {
        let lock = lock(&environment.state, "stop it first, or give --state")?;
        give_up_taken_links(environment)?;
        Ok(Self { environment, _lock: lock })
    }

    /// Lets other commands know where browsers find it.
    pub fn tell_address(&self, address: &str) -> Result<()> {
        let path = self.environment.state.daemon_address();
        let written = self.environment.host.files.write_durably(&path, address.as_bytes());
        written.doing(format!("writing the daemon's address {}", path.display()))
    }

    /// Ends in order.
    pub fn end(self) -> Result<()> {
        let path = self.environment.state.daemon_address();
        let removed = self.environment.host.files.remove_file(&path);
        removed.doing(format!("removing the daemon's address {}", path.display()))?;
        give_up_taken_links(self.environment)
    }
}

/// Keeps daemons away from a state folder until it is dropped.
///
/// # Errors
/// [`ErrorKind::Busy`] where there is one.
pub(crate) fn lock(state: &StateFolder, hint: &str) -> Result<Lock> {
    let path = state.daemon_lock();
    let lock = lock::try_lock(&path).doing(format!("taking the lock {}", path.display()))?;
    lock.ok_or_else(|| {
        let message = format!("a daemon runs on the state folder {}", state.root().display());
        OperationError::hinted(ErrorKind::Busy, message, hint)
    })
}

/// Where browsers find the daemon of this state folder.
///
/// # Errors
/// [`ErrorKind::NotFound`] where none runs.
pub fn daemon_address(environment: &Environment) -> Result<String> {
    let none = || {
        let folder = environment.state.root().display();
        let message = format!("no daemon runs on the state folder {folder}");
        OperationError::hinted(
            ErrorKind::NotFound,
            message,
            "start `backstock serve`, as a service of the system",
        )
    };
    let path = environment.state.daemon_address();
    let act = || format!("reading the daemon's address {}", path.display());
    if environment.host.files.stat(&path).doing(act())?.is_none() {
        return Err(none());
    }
    // One that was killed has left its address.
    let lock = environment.state.daemon_lock();
    if lock::try_lock(&lock).doing(format!("trying the lock {}", lock.display()))?.is_some() {
        return Err(none());
    }
    let bytes = environment.host.files.read(&path, ADDRESS_LIMIT_BYTES).doing(act())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
