//! What a check found goes to the catalog: states of replicas, and when they were looked at.

use backstock_catalog::{Backup, Check, Replica};
use backstock_vocabulary::{Proof, ReplicaState, VerifyLevel};

use crate::environment::Environment;
use crate::error::{Doing, Result};

/// What a check says of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Something of it is not what was written.
    Damaged,
    /// It was read back and is right, with all that it builds on.
    ReadBack,
    /// It is there, but what it builds on is not right.
    Unproven,
}

/// What was found goes to the catalog: a damaged replica never counts as a copy.
pub(crate) fn mark(
    environment: &Environment,
    backup: &Backup,
    replica: Option<&Replica>,
    finding: Finding,
) -> Result<()> {
    let replicas = match replica {
        Some(replica) => vec![replica.clone()],
        None => environment
            .wait(environment.catalog.replicas(backup.id))
            .doing(format!("looking for the replicas of backup {}", backup.id.short()))?,
    };
    for mut replica in replicas {
        match finding {
            Finding::Damaged => replica.state = ReplicaState::Damaged,
            Finding::ReadBack => {
                if replica.state != ReplicaState::RetainedByStorage {
                    replica.state = ReplicaState::Verified;
                }
                replica.proof = Some(Proof::ReadBack);
            }
            Finding::Unproven if replica.state == ReplicaState::Verified => {
                replica.state = ReplicaState::Present;
                replica.proof = Some(Proof::Size);
            }
            Finding::Unproven => {}
        }
        replica.checked = Some(environment.host.clock.now());
        environment
            .wait(environment.catalog.record_check(&replica))
            .doing("recording what the check found")?;
    }
    Ok(())
}

/// Records that a replica (none: each of the backup's) was looked at down to a level, whatever was found.
pub(crate) fn record_levels(
    environment: &Environment,
    backup: &Backup,
    replica: Option<&Replica>,
    level: VerifyLevel,
) -> Result<()> {
    let act = "recording when the backup was looked at";
    let replicas = match replica {
        Some(replica) => vec![replica.clone()],
        None => environment.wait(environment.catalog.replicas(backup.id)).doing(act)?,
    };
    let checked = environment.host.clock.now();
    let levels = || VerifyLevel::ALL.iter().copied().filter(|one| *one <= level);
    let of = |replica: &Replica| {
        let (backup, storage) = (replica.backup, replica.storage);
        levels().map(move |level| Check { backup, storage, level, checked })
    };
    let checks: Vec<Check> = replicas.iter().flat_map(of).collect();
    environment.wait(environment.catalog.save_checks(&checks)).doing(act)
}
