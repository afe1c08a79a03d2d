//! Everything that a rebuild from the storages must bring back, as one value that can be compared.

use backstock_vocabulary::{BackupId, ReplicaState, SetId, ShopId};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Backup, Catalog, Result, Severity, backups, escaped, problems, row};

/// What the storages hold, as the catalog has it. Identifiers of storages, times of checks and history are left out:
/// they do not come from the storages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Export {
    /// The shops that have backups.
    pub shops: Vec<ExportedShop>,
    /// The sets that have backups.
    pub sets: Vec<ExportedSet>,
    /// Every backup, by identifier.
    pub backups: Vec<Backup>,
    /// Every replica that is there.
    pub replicas: Vec<ExportedReplica>,
    /// What is known to be missing from backups, or worth knowing about them.
    pub problems: Vec<ExportedProblem>,
}

/// A shop that has backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedShop {
    /// Its identifier.
    pub id: ShopId,
    /// Its root folder, escaped.
    pub root: Option<String>,
    /// Its platform.
    pub platform: String,
    /// Its title.
    pub title: String,
}

/// A set that has backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedSet {
    /// Its identifier.
    pub id: SetId,
    /// Its shop.
    pub shop: ShopId,
    /// Its title.
    pub title: String,
}

/// A replica that is there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedReplica {
    /// The backup.
    pub backup: BackupId,
    /// The kind of its storage.
    pub storage_kind: String,
    /// The settings of its storage.
    pub storage_settings: serde_json::Value,
    /// Its folder within the storage.
    pub folder: String,
}

/// A problem of a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExportedProblem {
    /// The backup.
    pub backup: BackupId,
    /// What it is.
    pub kind: String,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about, escaped.
    pub subject: String,
    /// What happened.
    pub message: String,
}

statements! {
    SHOPS = "SELECT id, root, platform, title FROM shops
        WHERE EXISTS (SELECT 1 FROM backups WHERE backups.shop_id = shops.id) ORDER BY id";
    SETS = "SELECT id, shop_id, title FROM sets
        WHERE EXISTS (SELECT 1 FROM backups WHERE backups.set_id = sets.id) ORDER BY id";
    BACKUPS = "SELECT * FROM backups ORDER BY id";
    REPLICAS = "SELECT replicas.backup_id, replicas.folder, replicas.state, storages.kind, storages.settings
        FROM replicas JOIN storages ON storages.id = replicas.storage_id
        ORDER BY replicas.backup_id, storages.kind, storages.settings, replicas.folder";
    PROBLEMS = "SELECT * FROM problems WHERE backup_id IS NOT NULL";
}

impl Catalog {
    /// Everything that a rebuild must bring back.
    pub async fn export(&self) -> Result<Export> {
        let act = "export";
        let mut transaction = self.pool().begin().await.map_err(self.failed(act))?;
        let shops = sqlx::query(SHOPS).fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let sets = sqlx::query(SETS).fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let backups = sqlx::query(BACKUPS).fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let replicas = sqlx::query(REPLICAS).fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let problems = sqlx::query(PROBLEMS).fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let mut export = Export {
            shops: Vec::with_capacity(shops.len()),
            sets: Vec::with_capacity(sets.len()),
            backups: backups.iter().map(backups::backup).collect::<Result<_>>()?,
            replicas: Vec::with_capacity(replicas.len()),
            problems: problems
                .iter()
                .filter_map(|row| exported_problem(row).transpose())
                .collect::<Result<_>>()?,
        };
        export.problems.sort_unstable();
        for row in &shops {
            export.shops.push(ExportedShop {
                id: row::parsed(row, "id")?,
                root: row::optional_bytes(row, "root")?.as_deref().map(escaped::encode),
                platform: row::text(row, "platform")?,
                title: row::text(row, "title")?,
            });
        }
        for row in &sets {
            let (id, shop) = (row::parsed(row, "id")?, row::parsed(row, "shop_id")?);
            export.sets.push(ExportedSet { id, shop, title: row::text(row, "title")? });
        }
        for row in &replicas {
            if is_there(row::parsed(row, "state")?) {
                export.replicas.push(ExportedReplica {
                    backup: row::parsed(row, "backup_id")?,
                    storage_kind: row::text(row, "kind")?,
                    storage_settings: row::json(row, "settings")?,
                    folder: row::text(row, "folder")?,
                });
            }
        }
        Ok(export)
    }
}

fn exported_problem(row: &SqliteRow) -> Result<Option<ExportedProblem>> {
    let problem = problems::problem(row)?;
    Ok(problem.backup.map(|backup| ExportedProblem {
        backup,
        kind: problem.kind,
        severity: problem.severity,
        subject: escaped::encode(&problem.subject),
        message: problem.message,
    }))
}

/// Whether a rebuild finds a manifest there.
fn is_there(state: ReplicaState) -> bool {
    matches!(state, ReplicaState::Present | ReplicaState::Verified | ReplicaState::Damaged)
}
