//! Mending a damaged replica from good copies, block by block.
//!
//! Data can be lost here: stored parts are replaced. What makes that safe:
//!
//! - The manifest decides, and nothing else: it is the signed one whose hash is on record, wherever it is found. Every block
//!   that is taken has the hash which that manifest tells, whoever holds it: a source need not be trusted.
//! - A part is put together in the spool, read back and hashed whole, and only then takes the place of the damaged one
//!   ([`Storage::replace`](backstock_storage::Storage::replace)). At every moment the name holds the old part or the whole
//!   good one; a part of which one block is nowhere good stays as it is, since a later source may have that block.
//! - The manifest goes last, as in a backup: what has none is none.
//! - The shop's lock is held, and the folder must be one that this instance writes to.
//!
//! A replica stays `damaged`, and is no copy, until all of it was mended and read back.

mod act;
mod copies;
mod scan;

use std::path::PathBuf;

use backstock_archive::manifest::SignedManifest;
use backstock_catalog::{Backup, Replica};
use backstock_host::lock::Lock;
use backstock_vocabulary::{BackupId, ReplicaState};
use serde::Serialize;

pub use act::repair;
use copies::{Copy, copies_of};
use scan::scan;

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::lease::Lease;
use crate::monitor::Monitor;
use crate::run::{close_dead_runs, lock_shop};
use crate::show::shop_of;

/// What is to be mended, as far as looking at it tells. Holds the shop's lock; a plan that is only looked at holds none.
pub struct RepairPlan {
    /// The shop.
    pub shop: String,
    /// Each replica that was looked at.
    pub replicas: Vec<ReplicaPlan>,
    backup: Backup,
    lock: Option<Lock>,
    _lease: Option<Lease>,
}

/// What of one replica is not what was written.
#[derive(Serialize)]
pub struct ReplicaPlan {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: String,
    /// The folder in it.
    pub folder: String,
    /// What is wrong with the manifest, if anything.
    pub manifest: Option<String>,
    /// The parts that are not right.
    pub parts: Vec<BrokenPart>,
    /// The copies from which blocks may be taken.
    pub sources: Vec<String>,
    /// Copies from which nothing is taken, and why.
    pub refused: Vec<RefusedSource>,
    /// Bytes read.
    pub read_bytes: u64,
    #[serde(skip)]
    replica: Replica,
    #[serde(skip)]
    target: Copy,
    #[serde(skip)]
    copies: Vec<Copy>,
    #[serde(skip)]
    signed: SignedManifest,
    #[serde(skip)]
    manifest_bytes: Vec<u8>,
}

/// A part that is not right.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenPart {
    /// Its name.
    pub part: String,
    /// Its length as it should be, in bytes.
    pub size_bytes: u64,
    /// What is wrong with the file itself, where its length is.
    pub what: Option<String>,
    /// Its blocks that are not right.
    pub blocks: Vec<BrokenBlock>,
}

/// A block that is not right.
#[derive(Debug, Clone, Serialize)]
pub struct BrokenBlock {
    /// Its number in the part, from 0.
    pub block: usize,
    /// Where it begins, in bytes.
    pub offset_bytes: u64,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// What is wrong with it.
    pub what: String,
}

/// A copy, or one block of it, that was not taken.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedSource {
    /// The copy.
    pub source: String,
    /// The part, where only something of it is refused.
    pub part: Option<String>,
    /// Where the block begins, in bytes.
    pub offset_bytes: Option<u64>,
    /// Why.
    pub why: String,
}

/// What became of one replica.
#[derive(Debug, Clone, Serialize)]
pub struct RepairReport {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: String,
    /// The folder in it.
    pub folder: String,
    /// Parts that are whole again.
    pub mended: Vec<MendedPart>,
    /// Whether the manifest was put back.
    pub is_manifest_mended: bool,
    /// Parts that stay damaged, since no copy has all their blocks.
    pub left: Vec<BrokenPart>,
    /// What was not taken, and why.
    pub refused: Vec<RefusedSource>,
    /// Bytes that were taken from other copies.
    pub fetched_bytes: u64,
    /// What the replica is from now on.
    pub state: ReplicaState,
}

/// A part that is whole again.
#[derive(Debug, Clone, Serialize)]
pub struct MendedPart {
    /// Its name.
    pub part: String,
    /// Each block that was taken, and the copy that had it.
    pub blocks: Vec<TakenBlock>,
}

/// A block that was taken from another copy.
#[derive(Debug, Clone, Serialize)]
pub struct TakenBlock {
    /// Where it begins, in bytes.
    pub offset_bytes: u64,
    /// How long it is, in bytes.
    pub size_bytes: u64,
    /// The copy.
    pub source: String,
}

impl ReplicaPlan {
    /// Whether there is anything to mend.
    pub fn is_whole(&self) -> bool {
        self.manifest.is_none() && self.parts.is_empty()
    }
}

impl RepairPlan {
    /// Whether there is anything to do: to mend, or to record that what was damaged is right again.
    pub fn has_work(&self) -> bool {
        let is_to_do = |plan: &ReplicaPlan| !plan.is_whole() || plan.replica.state == ReplicaState::Damaged;
        self.replicas.iter().any(is_to_do)
    }

    /// The same for whoever only looks at it: the shop is free for others.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.lock = None;
        self
    }
}

/// The backups that a backup builds on, by the catalog, and itself last: what may have to be mended before it can be restored.
pub fn chain_to_repair(environment: &Environment, backup: Backup) -> Result<Vec<Backup>> {
    let mut chain: Vec<Backup> = vec![backup];
    while let Some(parent) = chain.last().and_then(|last| last.parent) {
        if chain.iter().any(|known| known.id == parent) {
            break;
        }
        let found = environment.wait(environment.catalog.backup(parent));
        let Some(found) = found.doing(format!("looking for the backup {}", parent.short()))? else { break };
        chain.push(found);
    }
    chain.reverse();
    Ok(chain)
}

/// Reads the replicas of a backup, and finds what is to be mended, and from where. `from` names folders that hold other
/// copies: of the folder of backups, of the set's folder in it, or of the backup's own.
///
/// # Errors
/// [`ErrorKind::Busy`] while another run has the shop; [`ErrorKind::Refused`] where another instance writes to the folder;
/// [`ErrorKind::NotFound`] where a folder that was given holds no copy of this backup; [`ErrorKind::Damaged`] where no copy
/// has its manifest.
pub fn plan_repair(
    environment: &Environment,
    backup: Backup,
    from: &[PathBuf],
    monitor: &dyn Monitor,
) -> Result<RepairPlan> {
    let shop = shop_of(environment, backup.shop)?;
    let lock = if environment.may_write { Some(lock_shop(environment, shop.id, &shop.title)?) } else { None };
    close_dead_runs(environment, lock.as_ref().map(|_| shop.id))?;
    let lease = Lease::take(environment, backup.id)?;
    let act = format!("looking for the replicas of backup {}", backup.id.short());
    let mut here = environment.wait(environment.catalog.replicas(backup.id)).doing(act)?;
    here.retain(|replica| {
        matches!(replica.state, ReplicaState::Present | ReplicaState::Verified | ReplicaState::Damaged)
    });
    if here.is_empty() {
        let message = format!("no storage holds the backup {}", backup.id.short());
        return Err(OperationError::plain(ErrorKind::NotFound, message));
    }
    // Where damage is known, only that is mended; else all of it is looked at.
    let is_known = here.iter().any(|replica| replica.state == ReplicaState::Damaged);
    let mut replicas = Vec::new();
    for replica in here.iter().filter(|replica| !is_known || replica.state == ReplicaState::Damaged) {
        let target = Copy::of_replica(environment, replica)?;
        if environment.may_write {
            target.require_own(environment)?;
        }
        let (copies, refused) = copies_of(environment, &backup, &here, replica, from)?;
        replicas.push(scan(environment, (&backup, replica.clone()), target, (copies, refused), monitor)?);
    }
    Ok(RepairPlan { shop: shop.title, replicas, backup, lock, _lease: lease })
}
