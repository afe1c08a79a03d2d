//! The folder that one run spools into, and what becomes of it when the run dies.
//!
//! Data can be lost here: what is swept is gone. A spool is its run's alone. The run holds a kernel lock on a file in it,
//! which ends with the process however that ends, so a spool whose lock can be had is a dead run's, whatever became of
//! the catalog. What such a spool holds is at no destination as a backup, or is there as a whole one: parts are durable
//! at the destination before the manifest makes them a backup, and nothing is ever read from a spool again.

use std::path::{Path, PathBuf};

use backstock_host::lock::{self, Lock};
use backstock_vocabulary::RunId;

use crate::environment::Environment;
use crate::error::{Doing, Result};

/// The file in a spool that its run has locked.
const LOCK_FILE: &str = "lock";

/// A spool that is in use.
#[derive(Debug)]
pub(crate) struct SpoolFolder {
    path: PathBuf,
    _lock: Option<Lock>,
}

impl SpoolFolder {
    /// Makes the spool of a run.
    pub(crate) fn create(environment: &Environment, run: RunId) -> Result<Self> {
        let path = environment.state.spool(run);
        let act = || format!("making the spool {}", path.display());
        // Nobody may look at a spool that is made and not locked yet.
        let _gate = gate(environment)?;
        environment.host.files.create_folder(&path).doing(act())?;
        let lock = lock::try_lock(&path.join(LOCK_FILE)).doing(act())?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn gate(environment: &Environment) -> Result<Lock> {
    let path = environment.state.spools_lock();
    lock::wait_for_lock(&path).doing(format!("taking the lock {}", path.display()))
}

/// Removes the spools of dead runs that nobody remembers: those of runs that the catalog has as going on are closed with
/// their record.
pub(crate) fn sweep_forgotten(environment: &Environment, going_on: &[RunId]) -> Result<()> {
    let spools = environment.state.spools();
    let files = &environment.host.files;
    let _gate = gate(environment)?;
    for (path, stat) in files.list(&spools).doing(format!("listing {}", spools.display()))? {
        let name = path.file_name().and_then(|name| name.to_str());
        let run = name.and_then(|name| name.parse::<RunId>().ok());
        let Some(run) = run.filter(|run| stat.is_folder && !going_on.contains(run)) else { continue };
        let act = || format!("removing the spool {}", path.display());
        let Some(_dead) = lock::try_lock(&path.join(LOCK_FILE)).doing(act())? else { continue };
        tracing::info!(%run, "the spool of a dead run that no catalog remembers is removed");
        files.remove_tree(&path).doing(act())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use backstock_host::Host;

    use super::*;

    #[test]
    fn a_spool_in_use_is_left_and_a_dead_one_is_swept_without_any_record() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::open(&Host::real(), &folder.path().join("state")).unwrap();
        let [used, dead, remembered] = [(); 3].map(|()| environment.host.new_id(RunId::from_parts));
        let spool = SpoolFolder::create(&environment, used).unwrap();
        drop(SpoolFolder::create(&environment, dead).unwrap());
        drop(SpoolFolder::create(&environment, remembered).unwrap());
        let strange = environment.state.spools().join("notes of the owner");
        std::fs::create_dir(&strange).unwrap();
        std::fs::write(environment.state.spool(dead).join("db.sql.zst"), "half").unwrap();
        sweep_forgotten(&environment, &[remembered]).unwrap();
        assert!(!environment.state.spool(dead).exists());
        assert!(spool.path().exists() && strange.exists() && environment.state.spool(remembered).exists());
        drop(spool);
        sweep_forgotten(&environment, &[]).unwrap();
        assert!(!environment.state.spool(used).exists());
    }
}
