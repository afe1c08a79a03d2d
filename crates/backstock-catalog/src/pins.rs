//! Pins: backups that a person wants kept, whatever the policy says.

use backstock_vocabulary::BackupId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One backup that a person wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The backup.
    pub backup: BackupId,
    /// Why, in the person's own words; may be empty.
    pub note: String,
    /// Since when (whole milliseconds).
    pub created: Timestamp,
}

statements! {
    EVERY = "SELECT backup_id, note, created_ms FROM pins ORDER BY backup_id";
    ADD = "INSERT INTO pins (backup_id, note, created_ms) SELECT $1, $2, CAST($3 AS BIGINT)
        WHERE NOT EXISTS (SELECT 1 FROM replicas WHERE backup_id = $1 AND state = 'deleting')
        ON CONFLICT (backup_id) DO UPDATE SET note = excluded.note";
    UNMARK = "DELETE FROM marks WHERE backup_id = $1";
    REMOVE = "DELETE FROM pins WHERE backup_id = $1";
}

fn pin(row: &SqliteRow) -> Result<Pin> {
    Ok(Pin {
        backup: row::parsed(row, "backup_id")?,
        note: row::text(row, "note")?,
        created: row::time(row, "created_ms")?,
    })
}

impl Catalog {
    /// Every pin.
    pub async fn list_pins(&self) -> Result<Vec<Pin>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the pins"))?.iter().map(pin).collect()
    }

    /// Pins a backup and takes its marks back. Tells with `false` that it is being deleted already.
    pub async fn add_pin(&self, pin: &Pin) -> Result<bool> {
        let act = "pin the backup";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(ADD).bind(pin.backup.to_string()).bind(row::message(&pin.note));
        let query = query.bind(pin.created.as_millisecond());
        let done = query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let query = sqlx::query(UNMARK).bind(pin.backup.to_string());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(true)
    }

    /// Takes a pin back. Tells with `false` that there was none.
    pub async fn remove_pin(&self, backup: BackupId) -> Result<bool> {
        let query = sqlx::query(REMOVE).bind(backup.to_string());
        let done = query.execute(self.pool()).await.map_err(self.failed("unpin the backup"))?;
        Ok(done.rows_affected() > 0)
    }
}
