//! Leases: backups that somebody reads just now. No deletion of a leased backup begins, and none that has begun can be
//! leased; both are decided within one transaction.

use std::collections::HashSet;

use backstock_vocabulary::{BackupId, LeaseId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// A chain of more backups than this is a loop.
const CHAIN_LIMIT: usize = 10_000;

/// One backup that somebody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose lease it is: one holder may need several backups.
    pub id: LeaseId,
    /// The backup.
    pub backup: BackupId,
    /// Since when (whole milliseconds).
    pub taken: Timestamp,
}

statements! {
    EVERY = "SELECT id, backup_id, taken_ms FROM leases ORDER BY id, backup_id";
    ADD = "INSERT INTO leases (id, backup_id, taken_ms) SELECT $1, $2, CAST($3 AS BIGINT)
        WHERE EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $2
            AND replicas.state NOT IN ('deleting', 'absent', 'uploading', 'waiting-for-parent'))
        ON CONFLICT (id, backup_id) DO NOTHING";
    PARENT = "SELECT parent_id FROM backups WHERE id = $1";
    RELEASE = "DELETE FROM leases WHERE id = $1";
}

fn lease(row: &SqliteRow) -> Result<Lease> {
    Ok(Lease {
        id: row::parsed(row, "id")?,
        backup: row::parsed(row, "backup_id")?,
        taken: row::time(row, "taken_ms")?,
    })
}

impl Catalog {
    /// Leases a backup and everything that it builds on. Tells with `false` that there is none to be read: every
    /// replica is being deleted, or none is known.
    pub async fn take_lease(&self, id: LeaseId, backup: BackupId, taken: Timestamp) -> Result<bool> {
        let act = "lease the backup";
        let mut transaction = self.write(act).await?;
        let mut seen = HashSet::new();
        let mut next = Some(backup);
        while let Some(backup) = next.filter(|backup| seen.len() < CHAIN_LIMIT && seen.insert(*backup)) {
            let query = sqlx::query(ADD).bind(id.to_string()).bind(backup.to_string());
            let query = query.bind(taken.as_millisecond());
            let done = query.execute(&mut *transaction).await.map_err(self.failed(act))?;
            if done.rows_affected() == 0 && seen.len() == 1 {
                return Ok(false);
            }
            let query = sqlx::query(PARENT).bind(backup.to_string());
            let found = query.fetch_optional(&mut *transaction).await.map_err(self.failed(act))?;
            next = match found {
                Some(found) => row::optional_parsed(&found, "parent_id")?,
                None => None,
            };
        }
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(true)
    }

    /// Gives a lease back. One that is not on record is no error.
    pub async fn release_lease(&self, id: LeaseId) -> Result<()> {
        let query = sqlx::query(RELEASE).bind(id.to_string());
        query.execute(self.pool()).await.map_err(self.failed("give the lease back")).map(drop)
    }

    /// Every lease, also those whose holder has died.
    pub async fn list_leases(&self) -> Result<Vec<Lease>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the leases"))?.iter().map(lease).collect()
    }
}
