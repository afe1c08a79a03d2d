//! Marks and the steps of a deletion. Data can be lost here: a replica is marked, then said to be being deleted, and
//! forgotten only when nothing of it is left; each step is one transaction. A pin stops the first two, and a lease the second.

use backstock_vocabulary::{BackupId, MarkCause, ReplicaState, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One replica that is about to be deleted. Nothing of it was touched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// Why.
    pub cause: MarkCause,
    /// Since when (whole milliseconds).
    pub marked: Timestamp,
}

statements! {
    EVERY = "SELECT backup_id, storage_id, cause, marked_ms FROM marks ORDER BY backup_id, storage_id";
    /// The time of the first mark stays.
    ADD = "INSERT INTO marks (backup_id, storage_id, cause, marked_ms) SELECT $1, $2, $3, CAST($4 AS BIGINT)
        WHERE NOT EXISTS (SELECT 1 FROM pins WHERE backup_id = $1)
        ON CONFLICT (backup_id, storage_id) DO UPDATE SET cause = excluded.cause";
    REMOVE = "DELETE FROM marks WHERE backup_id = $1 AND storage_id = $2";
    BEGIN = "UPDATE replicas SET state = 'deleting' WHERE backup_id = $1 AND storage_id = $2
        AND NOT EXISTS (SELECT 1 FROM pins WHERE pins.backup_id = replicas.backup_id)
        AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.backup_id = replicas.backup_id)
        AND EXISTS (SELECT 1 FROM marks
            WHERE marks.backup_id = replicas.backup_id AND marks.storage_id = replicas.storage_id)";
    FORGET_CHECKS = "DELETE FROM checks WHERE backup_id = $1 AND storage_id = $2";
    TAKE_BACK = "UPDATE replicas SET state = $3 WHERE backup_id = $1 AND storage_id = $2
        AND state IN ('deleting', 'retained-by-storage')";
    RETAIN = "UPDATE replicas SET state = 'retained-by-storage'
        WHERE backup_id = $1 AND storage_id = $2 AND state = 'deleting'";
    FORGET_LOCK = "DELETE FROM locks WHERE backup_id = $1 AND storage_id = $2";
    FORGET_REPLICA = "DELETE FROM replicas WHERE backup_id = $1 AND storage_id = $2";
    /// With the last replica that is there nothing is left to be copied.
    FORGET_DEBTS = "DELETE FROM replicas WHERE backup_id = $1 AND NOT EXISTS (SELECT 1 FROM replicas there
        WHERE there.backup_id = $1 AND there.state NOT IN ('absent', 'uploading', 'waiting-for-parent'))";
    FORGET_PROBLEMS = "DELETE FROM problems
        WHERE backup_id = $1 AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $1)";
    FORGET_PIN = "DELETE FROM pins
        WHERE backup_id = $1 AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $1)";
    FORGET_CONFIRMED = "DELETE FROM confirmed_backups
        WHERE backup_id = $1 AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $1)";
    FORGET_DRILLS = "DELETE FROM drills
        WHERE backup_id = $1 AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $1)";
    FORGET_BACKUP = "DELETE FROM backups
        WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.backup_id = $1)";
}

fn mark(row: &SqliteRow) -> Result<Mark> {
    Ok(Mark {
        backup: row::parsed(row, "backup_id")?,
        storage: row::parsed(row, "storage_id")?,
        cause: row::parsed(row, "cause")?,
        marked: row::time(row, "marked_ms")?,
    })
}

impl Catalog {
    /// Every mark.
    pub async fn list_marks(&self) -> Result<Vec<Mark>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the marks"))?.iter().map(mark).collect()
    }

    /// Marks replicas for deletion and takes other marks back, all in one transaction. What is pinned is not marked;
    /// who is marked already keeps the time of that.
    pub async fn change_marks(&self, marks: &[Mark], taken_back: &[(BackupId, StorageId)]) -> Result<()> {
        let act = "mark what is to be deleted";
        let mut transaction = self.write(act).await?;
        for (backup, storage) in taken_back {
            let query = sqlx::query(REMOVE).bind(backup.to_string()).bind(storage.to_string());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        for mark in marks {
            let query = sqlx::query(ADD).bind(mark.backup.to_string()).bind(mark.storage.to_string());
            let query = query.bind(mark.cause.as_str()).bind(mark.marked.as_millisecond());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }

    /// Says that a marked replica is being deleted from now on. Tells with `false` that it may not be: it is pinned,
    /// somebody reads it, or its mark was taken back.
    pub async fn begin_deletion(&self, backup: BackupId, storage: StorageId) -> Result<bool> {
        let query = sqlx::query(BEGIN).bind(backup.to_string()).bind(storage.to_string());
        let done = query.execute(self.pool()).await.map_err(self.failed("begin the deletion"))?;
        Ok(done.rows_affected() > 0)
    }

    /// Says that a replica whose deletion had begun is there after all, and takes its mark back.
    pub async fn take_back_deletion(
        &self,
        (backup, storage): (BackupId, StorageId),
        state: ReplicaState,
    ) -> Result<()> {
        let act = "give back the backup";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(TAKE_BACK).bind(backup.to_string()).bind(storage.to_string());
        query.bind(state.as_str()).execute(&mut *transaction).await.map_err(self.failed(act))?;
        let query = sqlx::query(REMOVE).bind(backup.to_string()).bind(storage.to_string());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// Says that a storage keeps a replica whose deletion had begun, whole. Its mark stays: the next prune tries again.
    pub async fn retain_replica(&self, backup: BackupId, storage: StorageId) -> Result<()> {
        let query = sqlx::query(RETAIN).bind(backup.to_string()).bind(storage.to_string());
        let done = query.execute(self.pool()).await;
        done.map_err(self.failed("record what the storage keeps")).map(drop)
    }

    /// Forgets a replica of which nothing is left, and with the last one the backup.
    pub async fn forget_replica(&self, backup: BackupId, storage: StorageId) -> Result<()> {
        let act = "forget the deleted backup";
        let mut transaction = self.write(act).await?;
        for sql in [REMOVE, FORGET_CHECKS, FORGET_LOCK, FORGET_REPLICA] {
            let query = sqlx::query(sql).bind(backup.to_string()).bind(storage.to_string());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        for sql in [FORGET_DEBTS, FORGET_PROBLEMS, FORGET_PIN, FORGET_CONFIRMED, FORGET_DRILLS, FORGET_BACKUP]
        {
            let query = sqlx::query(sql).bind(backup.to_string());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }
}
