//! Locks: until when a storage lets nobody delete a replica.

use backstock_vocabulary::{BackupId, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// A replica that its storage lets nobody delete for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaLock {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// Until when (whole milliseconds).
    pub until: Timestamp,
}

statements! {
    EVERY = "SELECT backup_id, storage_id, until_ms FROM locks ORDER BY backup_id, storage_id";
    /// A lock is never made shorter. What is not on record any more has none.
    SAVE = "INSERT INTO locks (backup_id, storage_id, until_ms)
        SELECT backup_id, storage_id, CAST($3 AS BIGINT) FROM replicas WHERE backup_id = $1 AND storage_id = $2
        ON CONFLICT (backup_id, storage_id) DO UPDATE SET
            until_ms = CASE WHEN locks.until_ms > excluded.until_ms THEN locks.until_ms ELSE excluded.until_ms END";
}

fn lock(row: &SqliteRow) -> Result<ReplicaLock> {
    Ok(ReplicaLock {
        backup: row::parsed(row, "backup_id")?,
        storage: row::parsed(row, "storage_id")?,
        until: row::time(row, "until_ms")?,
    })
}

impl Catalog {
    /// Every lock on record.
    pub async fn list_locks(&self) -> Result<Vec<ReplicaLock>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the locks"))?.iter().map(lock).collect()
    }

    /// Records that a replica is locked. A longer lock that is on record stays.
    pub async fn save_lock(&self, lock: &ReplicaLock) -> Result<()> {
        let query = sqlx::query(SAVE).bind(lock.backup.to_string()).bind(lock.storage.to_string());
        let query = query.bind(lock.until.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record the lock")).map(drop)
    }
}
