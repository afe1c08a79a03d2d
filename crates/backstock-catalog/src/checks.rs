//! Checks: when each replica was last looked at, and how deep. What is due follows from it, and nothing else does.

use backstock_vocabulary::{BackupId, StorageId, VerifyLevel};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// The last look at one replica down to one level, whatever it found: the replica's state tells that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The backup.
    pub backup: BackupId,
    /// The storage.
    pub storage: StorageId,
    /// How deep it went.
    pub level: VerifyLevel,
    /// When it ended (whole milliseconds).
    pub checked: Timestamp,
}

statements! {
    EVERY = "SELECT * FROM checks ORDER BY backup_id, storage_id, level";
    /// Of what is not on record any more nothing is kept.
    SAVE = "INSERT INTO checks (backup_id, storage_id, level, checked_ms)
        SELECT $1, $2, $3, CAST($4 AS BIGINT)
        WHERE EXISTS (SELECT 1 FROM replicas WHERE backup_id = $1 AND storage_id = $2)
        ON CONFLICT (backup_id, storage_id, level) DO UPDATE SET checked_ms = excluded.checked_ms";
}

fn check(row: &SqliteRow) -> Result<Check> {
    Ok(Check {
        backup: row::parsed(row, "backup_id")?,
        storage: row::parsed(row, "storage_id")?,
        level: row::parsed(row, "level")?,
        checked: row::time(row, "checked_ms")?,
    })
}

impl Catalog {
    /// Records looks at replicas, all in one transaction; the later one counts.
    pub async fn save_checks(&self, checks: &[Check]) -> Result<()> {
        let act = "record when replicas were looked at";
        let mut transaction = self.write(act).await?;
        for check in checks {
            let query = sqlx::query(SAVE).bind(check.backup.to_string()).bind(check.storage.to_string());
            let query = query.bind(check.level.as_str()).bind(check.checked.as_millisecond());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }

    /// The last look at every replica, for each level.
    pub async fn list_checks(&self) -> Result<Vec<Check>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list when replicas were looked at"))?.iter().map(check).collect()
    }
}
