//! Destinations: where else the backups of a set go, and which of them are still to be brought there.

use backstock_vocabulary::{BackupId, DestinationId, SetId, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Replica, Result, row};

/// One row of a set: a storage to which its backups are copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its identifier.
    pub id: DestinationId,
    /// The set.
    pub set: SetId,
    /// The storage. A set has no two rows with the same.
    pub storage: StorageId,
    /// The folder in that storage below which the set has its own; empty: at the top.
    pub path: String,
    /// How many backups are kept there, if not what the policy of the set says.
    pub copies: Option<u32>,
    /// Whether new backups go there.
    pub is_on: bool,
    /// What else it says (limits, hours), as operations read it.
    pub settings: serde_json::Value,
    /// When this instance began an empty folder there (whole milliseconds).
    pub begun: Option<Timestamp>,
    /// When it was made (whole milliseconds).
    pub created: Timestamp,
}

statements! {
    OF_SET = "SELECT id, set_id, storage_id, path, copies, is_on, settings, begun_ms, created_ms FROM destinations
        WHERE set_id = $1 ORDER BY created_ms, id";
    SAVE = "INSERT INTO destinations (id, set_id, storage_id, path, copies, is_on, settings, begun_ms, created_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (id) DO UPDATE SET path = excluded.path, copies = excluded.copies, is_on = excluded.is_on,
            settings = excluded.settings";
    BEGIN = "UPDATE destinations SET begun_ms = $2 WHERE id = $1 AND begun_ms IS NULL";
    REMOVE = "DELETE FROM destinations WHERE id = $1";
    FORGET_DEBTS = "DELETE FROM replicas WHERE storage_id = $2
        AND state IN ('absent', 'uploading', 'waiting-for-parent')
        AND backup_id IN (SELECT id FROM backups WHERE set_id = $1)";
    FORGET_DEBT = "DELETE FROM replicas WHERE backup_id = $1 AND storage_id = $2
        AND state IN ('absent', 'uploading', 'waiting-for-parent')";
    /// What is there already owes nothing.
    OWE = "INSERT INTO replicas (backup_id, storage_id, folder, state, proof, checked_ms)
        VALUES ($1, $2, $3, $4, NULL, NULL)
        ON CONFLICT (backup_id, storage_id) DO UPDATE SET folder = excluded.folder, state = excluded.state,
            proof = NULL, checked_ms = NULL
        WHERE replicas.state IN ('absent', 'uploading', 'waiting-for-parent', 'lost')";
}

fn destination(row: &SqliteRow) -> Result<Destination> {
    Ok(Destination {
        id: row::parsed(row, "id")?,
        set: row::parsed(row, "set_id")?,
        storage: row::parsed(row, "storage_id")?,
        path: row::text(row, "path")?,
        copies: row::optional_number(row, "copies")?.map(|copies| u32::try_from(copies).unwrap_or(u32::MAX)),
        is_on: row::number(row, "is_on")? != 0,
        settings: row::json(row, "settings")?,
        begun: row::optional_time(row, "begun_ms")?,
        created: row::time(row, "created_ms")?,
    })
}

impl Catalog {
    /// The destinations of a set, the oldest first.
    pub async fn destinations(&self, set: SetId) -> Result<Vec<Destination>> {
        let rows = sqlx::query(OF_SET).bind(set.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the destinations"))?.iter().map(destination).collect()
    }

    /// Records a destination under its identifier, or what is new about it.
    pub async fn save_destination(&self, destination: &Destination) -> Result<()> {
        let query = sqlx::query(SAVE).bind(destination.id.to_string()).bind(destination.set.to_string());
        let query = query.bind(destination.storage.to_string()).bind(&destination.path);
        let query = query.bind(destination.copies.map(i64::from)).bind(i64::from(destination.is_on));
        let query = query.bind(destination.settings.to_string());
        let query = query.bind(destination.begun.map(Timestamp::as_millisecond));
        let query = query.bind(destination.created.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record the destination")).map(drop)
    }

    /// Records that this instance began an empty folder at a destination. The first time stays.
    pub async fn begin_destination(&self, id: DestinationId, now: Timestamp) -> Result<()> {
        let query = sqlx::query(BEGIN).bind(id.to_string()).bind(now.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record the destination")).map(drop)
    }

    /// Forgets a destination and what was still to be brought there. What lies there stays on record.
    pub async fn remove_destination(&self, destination: &Destination) -> Result<()> {
        let act = "forget the destination";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(FORGET_DEBTS).bind(destination.set.to_string());
        let query = query.bind(destination.storage.to_string());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        let query = sqlx::query(REMOVE).bind(destination.id.to_string());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// Records that a replica is still to be made, or how far that is. One that is there stays as it is.
    pub async fn owe_replica(&self, replica: &Replica) -> Result<()> {
        let query = sqlx::query(OWE).bind(replica.backup.to_string()).bind(replica.storage.to_string());
        let query = query.bind(&replica.folder).bind(replica.state.as_str());
        query.execute(self.pool()).await.map_err(self.failed("record what is to be copied")).map(drop)
    }

    /// Forgets that a replica was still to be made. One that is there stays.
    pub async fn forget_debt(&self, backup: BackupId, storage: StorageId) -> Result<()> {
        let query = sqlx::query(FORGET_DEBT).bind(backup.to_string()).bind(storage.to_string());
        query.execute(self.pool()).await.map_err(self.failed("forget what was to be copied")).map(drop)
    }
}
