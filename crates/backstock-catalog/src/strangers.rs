//! Backups whose manifests are signed by a key that nobody vouches for: restorable, and counted for nothing.

use backstock_vocabulary::BackupId;

use crate::statements::statements;
use crate::{Catalog, Result, row};

statements! {
    EVERY = "SELECT backup_id FROM strangers ORDER BY backup_id";
    ADD = "INSERT INTO strangers (backup_id) VALUES ($1) ON CONFLICT (backup_id) DO NOTHING";
    REMOVE = "DELETE FROM strangers WHERE backup_id = $1";
}

impl Catalog {
    /// Every backup that a stranger signed.
    pub async fn list_strangers(&self) -> Result<Vec<BackupId>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        let rows = rows.map_err(self.failed("list the backups that strangers signed"))?;
        rows.iter().map(|found| row::parsed(found, "backup_id")).collect()
    }

    /// Records whether a stranger signed a backup.
    pub async fn set_stranger(&self, backup: BackupId, is_stranger: bool) -> Result<()> {
        let query = sqlx::query(if is_stranger { ADD } else { REMOVE }).bind(backup.to_string());
        query.execute(self.pool()).await.map_err(self.failed("record who signed the backup")).map(drop)
    }
}
