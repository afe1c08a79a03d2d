//! Drills: which backup was restored into a scratch place, from where, with what result and in what time.

use backstock_vocabulary::{BackupId, Outcome, RunId, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One drill that came to a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// Its run.
    pub run: RunId,
    /// The backup.
    pub backup: BackupId,
    /// The storage that it was read from.
    pub storage: StorageId,
    /// `success`: proven restorable; `partial`: proven but for named things; `failed`: not restorable as it is.
    pub outcome: Outcome,
    /// Whether only what the backup's own archives hold was restored, since nothing opened those that it builds on.
    pub is_in_part: bool,
    /// When it ended (whole milliseconds).
    pub finished: Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

statements! {
    EVERY = "SELECT * FROM drills ORDER BY finished_ms, run_id";
    ADD = "INSERT INTO drills (run_id, backup_id, storage_id, outcome, finished_ms, elapsed_ms, in_part)
        SELECT $1, $2, $3, $4, CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS BIGINT)
        WHERE EXISTS (SELECT 1 FROM backups WHERE id = $2)";
}

fn drill(row: &SqliteRow) -> Result<Drill> {
    Ok(Drill {
        run: row::parsed(row, "run_id")?,
        backup: row::parsed(row, "backup_id")?,
        storage: row::parsed(row, "storage_id")?,
        outcome: row::parsed(row, "outcome")?,
        is_in_part: row::number(row, "in_part")? != 0,
        finished: row::time(row, "finished_ms")?,
        elapsed_ms: row::number(row, "elapsed_ms")?,
    })
}

impl Catalog {
    /// Records a drill. One of a backup that is not on record any more is not kept.
    pub async fn add_drill(&self, drill: &Drill) -> Result<()> {
        let query = sqlx::query(ADD).bind(drill.run.to_string()).bind(drill.backup.to_string());
        let query = query.bind(drill.storage.to_string()).bind(drill.outcome.as_str());
        let query = query.bind(drill.finished.as_millisecond()).bind(row::bigint(drill.elapsed_ms));
        let query = query.bind(i64::from(drill.is_in_part));
        query.execute(self.pool()).await.map_err(self.failed("record the drill")).map(drop)
    }

    /// Every drill, oldest first.
    pub async fn list_drills(&self) -> Result<Vec<Drill>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the drills"))?.iter().map(drill).collect()
    }
}
