//! Replicas: which backup is where, in which state, and what that statement rests on.

use backstock_vocabulary::{BackupId, Proof, ReplicaState, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One backup at one storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// The name of its folder within the storage: the destination's path, the set's folder, the backup's folder.
    pub folder: String,
    /// Its state.
    pub state: ReplicaState,
    /// What the state rests on.
    pub proof: Option<Proof>,
    /// When it was last looked at (whole milliseconds).
    pub checked: Option<Timestamp>,
}

statements! {
    SAVE = "INSERT INTO replicas (backup_id, storage_id, folder, state, proof, checked_ms)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (backup_id, storage_id) DO UPDATE SET folder = excluded.folder, state = excluded.state,
            proof = excluded.proof, checked_ms = excluded.checked_ms";
    /// A manifest proves that it is there, and nothing more: what is known beyond that stays.
    ADOPT = "INSERT INTO replicas (backup_id, storage_id, folder, state, proof, checked_ms)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (backup_id, storage_id) DO UPDATE SET folder = excluded.folder, state = excluded.state,
            proof = excluded.proof, checked_ms = excluded.checked_ms
        WHERE excluded.state <> 'present'
            OR replicas.state NOT IN ('present', 'verified', 'damaged', 'retained-by-storage', 'deleting')
            OR replicas.folder <> excluded.folder";
    OWE = "INSERT INTO replicas (backup_id, storage_id, folder, state, proof, checked_ms)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (backup_id, storage_id) DO NOTHING";
    /// What is being deleted, or gone, stays so.
    CHECKED = "UPDATE replicas SET state = $3, proof = $4, checked_ms = $5
        WHERE backup_id = $1 AND storage_id = $2 AND state <> 'deleting'";
    OF_BACKUP = "SELECT * FROM replicas WHERE backup_id = $1 ORDER BY storage_id";
    EVERY = "SELECT * FROM replicas ORDER BY backup_id, storage_id";
}

fn replica(row: &SqliteRow) -> Result<Replica> {
    Ok(Replica {
        backup: row::parsed(row, "backup_id")?,
        storage: row::parsed(row, "storage_id")?,
        folder: row::text(row, "folder")?,
        state: row::parsed(row, "state")?,
        proof: row::optional_parsed(row, "proof")?,
        checked: row::optional_time(row, "checked_ms")?,
    })
}

impl Catalog {
    /// Records the state of a replica.
    pub async fn save_replica(&self, replica: &Replica) -> Result<()> {
        let act = "record the replica";
        let mut transaction = self.write(act).await?;
        self.write_replica(&mut transaction, SAVE, replica).await?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// Records what a look at a replica found: its state and proof. Tells with `false` that it is not on record any more, or
    /// is being deleted: then nothing is recorded.
    pub async fn record_check(&self, replica: &Replica) -> Result<bool> {
        let query = sqlx::query(CHECKED).bind(replica.backup.to_string()).bind(replica.storage.to_string());
        let query = query.bind(replica.state.as_str()).bind(replica.proof.map(Proof::as_str));
        let query = query.bind(replica.checked.map(Timestamp::as_millisecond));
        let done = query.execute(self.pool()).await.map_err(self.failed("record what the check found"))?;
        Ok(done.rows_affected() > 0)
    }

    /// Records a replica that a manifest proves. One that is known to be there keeps what is known of it: that it was
    /// verified, that it is damaged, that it is being deleted. One that is owed proves nothing: what is known stays.
    pub(crate) async fn adopt_replica(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        replica: &Replica,
    ) -> Result<()> {
        let is_owed = matches!(
            replica.state,
            ReplicaState::Absent | ReplicaState::Uploading | ReplicaState::WaitingForParent
        );
        self.write_replica(transaction, if is_owed { OWE } else { ADOPT }, replica).await
    }

    async fn write_replica(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        sql: &'static str,
        replica: &Replica,
    ) -> Result<()> {
        let query = sqlx::query(sql).bind(replica.backup.to_string()).bind(replica.storage.to_string());
        let query = query.bind(&replica.folder).bind(replica.state.as_str());
        let query = query.bind(replica.proof.map(Proof::as_str));
        let query = query.bind(replica.checked.map(Timestamp::as_millisecond));
        query.execute(&mut **transaction).await.map_err(self.failed("record the replica")).map(drop)
    }

    /// The replicas of a backup.
    pub async fn replicas(&self, backup: BackupId) -> Result<Vec<Replica>> {
        let rows = sqlx::query(OF_BACKUP).bind(backup.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the replicas"))?.iter().map(replica).collect()
    }

    /// Every replica on record.
    pub async fn list_replicas(&self) -> Result<Vec<Replica>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the replicas"))?.iter().map(replica).collect()
    }
}
