//! A lease on a backup that is being read, so that nobody deletes it meanwhile.
//!
//! Data can be lost here: what nobody holds may be deleted. The catalog has the lease, in the same transactions that begin
//! deletions; whether its holder still lives is told by a kernel lock on a file of the lease's own, which ends with the
//! process however that ends. The lock is there before the row and goes after it, so a row without a lock is a dead one's.

use std::path::PathBuf;

use backstock_catalog::Catalog;
use backstock_host::lock::{self, Lock};
use backstock_host::{Host, failpoint};
use backstock_vocabulary::{BackupId, LeaseId};
use tokio::runtime::Handle;

use crate::environment::Environment;
use crate::error::{Doing, Result};

/// What the name of a lease's lock ends with.
const ENDING: &str = ".lock";

/// A backup, and what it builds on, that stays until this is dropped.
pub(crate) struct Lease {
    id: LeaseId,
    catalog: Catalog,
    host: Host,
    runtime: Handle,
    path: PathBuf,
    _lock: Lock,
}

impl Lease {
    /// Leases a backup. `None` where nothing of it can be read any more, and for whoever may change nothing.
    pub(crate) fn take(environment: &Environment, backup: BackupId) -> Result<Option<Self>> {
        if !environment.may_write {
            return Ok(None);
        }
        let act = || format!("leasing the backup {}", backup.short());
        loop {
            let id = environment.host.new_id(LeaseId::from_parts);
            let path = environment.state.leases().join(format!("{id}{ENDING}"));
            // Who sweeps may have taken it in the moment before it was locked: then another one is made.
            let Some(lock) = lock::try_lock(&path).doing(act())? else { continue };
            let lease = Self {
                id,
                catalog: environment.catalog.clone(),
                host: environment.host.clone(),
                runtime: environment.handle(),
                path,
                _lock: lock,
            };
            let now = environment.host.clock.now();
            let is_there = environment.wait(environment.catalog.take_lease(id, backup, now)).doing(act())?;
            failpoint::reach("lease.taken").doing(act())?;
            return Ok(is_there.then_some(lease));
        }
    }
}

impl Drop for Lease {
    /// What cannot be given back is a dead one's as soon as the lock is gone.
    fn drop(&mut self) {
        let given_back = self.runtime.block_on(self.catalog.release_lease(self.id));
        if given_back.is_ok() {
            let _ = self.host.files.remove_file(&self.path);
        }
    }
}

/// Forgets the leases of dead processes, and gives the backups that living ones hold.
pub(crate) fn leased(environment: &Environment) -> Result<Vec<BackupId>> {
    let act = "looking for backups that are being read";
    let leases = environment.wait(environment.catalog.list_leases()).doing(act)?;
    if !environment.may_write {
        return Ok(leases.into_iter().map(|lease| lease.backup).collect());
    }
    let mut dead = Vec::new();
    let files = &environment.host.files;
    let locks = files.list(&environment.state.leases()).doing(act)?;
    let mut living = Vec::new();
    for (path, _) in locks {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
        let Some(id) = name.and_then(|name| name.parse::<LeaseId>().ok()) else { continue };
        match lock::try_lock(&path).doing(act)? {
            Some(lock) => dead.push((id, path, lock)),
            None => living.push(id),
        }
    }
    // A row was written after its lock was there, and these were read before the locks were looked at.
    let lost = leases.iter().filter(|lease| !living.contains(&lease.id)).map(|lease| lease.id);
    for id in dead.iter().map(|(id, ..)| *id).chain(lost) {
        environment.wait(environment.catalog.release_lease(id)).doing(act)?;
    }
    for (_, path, _lock) in &dead {
        files.remove_file(path).doing(act)?;
    }
    Ok(leases.into_iter().filter(|lease| living.contains(&lease.id)).map(|lease| lease.backup).collect())
}
