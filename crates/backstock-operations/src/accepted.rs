//! What persons have looked at and found right, and what follows from it for a backup: whether it counts.

use std::collections::HashSet;

use backstock_catalog::{AcceptedException, Backup, Problem, Severity};
use backstock_vocabulary::{BackupId, Content};

use crate::environment::Environment;
use crate::error::{Doing, Result};

/// What persons have accepted, of all sets.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    confirmed: HashSet<BackupId>,
    exceptions: HashSet<AcceptedException>,
}

impl Accepted {
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        let act = "looking for what was confirmed";
        let confirmed = environment.wait(environment.catalog.list_confirmed_backups()).doing(act)?;
        let exceptions = environment.wait(environment.catalog.list_accepted_exceptions()).doing(act)?;
        Ok(Self { confirmed: confirmed.into_iter().collect(), exceptions: exceptions.into_iter().collect() })
    }

    /// Whether somebody has looked at a suspect backup.
    pub(crate) fn is_confirmed(&self, backup: BackupId) -> bool {
        self.confirmed.contains(&backup)
    }

    /// Whether the backups of a set may have an exception.
    pub(crate) fn is_accepted(&self, exception: &AcceptedException) -> bool {
        self.exceptions.contains(exception)
    }

    /// Whether a backup lacks something that nobody has accepted. Where the names of what it lacks are not known (after
    /// a rebuild without the key), nothing of it is.
    pub(crate) fn has_open_exceptions(&self, environment: &Environment, backup: &Backup) -> Result<bool> {
        if backup.exceptions == 0 {
            return Ok(false);
        }
        if !self.exceptions.iter().any(|accepted| accepted.set == backup.set) {
            return Ok(true);
        }
        let found = exceptions_of(environment, backup)?;
        Ok(found.is_empty() || found.iter().any(|one| !self.is_accepted(&key_of(backup, one))))
    }

    /// Whether a backup is what a restore should be able to rest on; of its replicas nothing is said.
    pub(crate) fn counts(
        &self,
        environment: &Environment,
        backup: &Backup,
        count_exceptions: bool,
    ) -> Result<bool> {
        let is_plausible = match backup.content {
            Content::Whole | Content::WholeExcept => true,
            Content::Suspect => self.is_confirmed(backup.id),
            Content::Unusable => false,
        };
        Ok(is_plausible && (count_exceptions || !self.has_open_exceptions(environment, backup)?))
    }
}

/// What a backup lacks, as far as the catalog has the names.
pub(crate) fn exceptions_of(environment: &Environment, backup: &Backup) -> Result<Vec<Problem>> {
    let act = || format!("looking for what is missing from the backup {}", backup.id.short());
    let mut problems = environment.wait(environment.catalog.problems_of_backup(backup.id)).doing(act())?;
    problems.retain(|problem| problem.severity == Severity::Exception);
    Ok(problems)
}

/// By what an exception is known again in the next backup of the set.
pub(crate) fn key_of(backup: &Backup, problem: &Problem) -> AcceptedException {
    AcceptedException { set: backup.set, kind: problem.kind.clone(), subject: problem.subject.clone() }
}
