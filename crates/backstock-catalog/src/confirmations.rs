//! Which policy was confirmed for the backups of a set at a storage, and how far it was acted on.

use backstock_vocabulary::{SetId, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// The policy under which backups were last allowed to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// The set.
    pub set: SetId,
    /// The storage.
    pub storage: StorageId,
    /// The policy, as operations read it.
    pub policy: serde_json::Value,
    /// The highest sequence number then.
    pub sequence: u64,
    /// The time of day then (whole milliseconds).
    pub acted: Timestamp,
    /// The boot of the machine then; none in rows of earlier versions.
    pub boot_id: Option<String>,
    /// How long the machine had been up then, in milliseconds, where it tells.
    pub since_boot_ms: Option<u64>,
}

statements! {
    ONE = "SELECT * FROM confirmations WHERE set_id = $1 AND storage_id = $2";
    SAVE = "INSERT INTO confirmations
            (set_id, storage_id, policy, sequence, acted_ms, boot_id, since_boot_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (set_id, storage_id) DO UPDATE
        SET policy = excluded.policy, sequence = excluded.sequence, acted_ms = excluded.acted_ms,
            boot_id = excluded.boot_id, since_boot_ms = excluded.since_boot_ms";
    REMOVE = "DELETE FROM confirmations WHERE storage_id = $1";
}

fn confirmation(row: &SqliteRow) -> Result<Confirmation> {
    Ok(Confirmation {
        set: row::parsed(row, "set_id")?,
        storage: row::parsed(row, "storage_id")?,
        policy: row::json(row, "policy")?,
        sequence: row::number(row, "sequence")?,
        acted: row::time(row, "acted_ms")?,
        boot_id: row::optional_text(row, "boot_id")?,
        since_boot_ms: row::optional_number(row, "since_boot_ms")?,
    })
}

impl Catalog {
    /// What was confirmed for a set at a storage.
    pub async fn confirmation(&self, set: SetId, storage: StorageId) -> Result<Option<Confirmation>> {
        let query = sqlx::query(ONE).bind(set.to_string()).bind(storage.to_string());
        let row = query.fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the confirmed policy"))?.as_ref().map(confirmation).transpose()
    }

    /// Records what was confirmed.
    pub async fn save_confirmation(&self, confirmation: &Confirmation) -> Result<()> {
        let query = sqlx::query(SAVE).bind(confirmation.set.to_string());
        let query = query.bind(confirmation.storage.to_string()).bind(confirmation.policy.to_string());
        let query = query.bind(row::bigint(confirmation.sequence)).bind(confirmation.acted.as_millisecond());
        let query = query.bind(&confirmation.boot_id);
        let query = query.bind(confirmation.since_boot_ms.map(row::bigint));
        query.execute(self.pool()).await.map_err(self.failed("record the confirmed policy")).map(drop)
    }

    /// Forgets what was confirmed for a storage: what the catalog has of it was made anew.
    pub async fn remove_confirmations(&self, storage: StorageId) -> Result<()> {
        let query = sqlx::query(REMOVE).bind(storage.to_string());
        query.execute(self.pool()).await.map_err(self.failed("forget the confirmed policy")).map(drop)
    }
}
