//! Old history: which runs may be forgotten, with their lines; and the chores that are due once a day.

use std::collections::HashSet;

use backstock_vocabulary::RunId;
use jiff::Timestamp;

use crate::statements::statements;
use crate::{Catalog, Result, row};

statements! {
    /// Runs that have ended, of which no backup is left, and that are not the last of their kind and outcome.
    OLD_RUNS = "SELECT id FROM runs WHERE started_ms < $1 AND outcome NOT IN ('pending', 'running')
        AND NOT EXISTS (SELECT 1 FROM backups WHERE backups.run_id = runs.id)
        AND EXISTS (SELECT 1 FROM runs later
            WHERE later.kind = runs.kind AND later.outcome = runs.outcome
                AND COALESCE(later.shop_id, '') = COALESCE(runs.shop_id, '')
                AND COALESCE(later.set_id, '') = COALESCE(runs.set_id, '')
                AND (later.started_ms > runs.started_ms
                    OR (later.started_ms = runs.started_ms AND later.id > runs.id)))
        ORDER BY started_ms, id LIMIT $2";
    FORGET_LINES = "DELETE FROM problems WHERE run_id = $1
        AND (backup_id IS NULL OR NOT EXISTS (SELECT 1 FROM backups WHERE backups.id = problems.backup_id))";
    FORGET_RUN = "DELETE FROM runs WHERE id = $1";
    CHORE = "SELECT done_ms FROM chores WHERE name = $1";
    DID_CHORE = "INSERT INTO chores (name, done_ms) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET done_ms = excluded.done_ms";
}

impl Catalog {
    /// Forgets up to `limit` of the oldest runs that were started before a time, in one transaction. Kept are runs that
    /// have not ended, whose backup is still known, that are the last of their kind, shop, set and outcome, and those in
    /// `needed`. Gives their number: 0 when none is left.
    pub async fn forget_old_runs(
        &self,
        before: Timestamp,
        needed: &HashSet<RunId>,
        limit: u32,
    ) -> Result<u64> {
        let act = "forget old runs";
        let mut transaction = self.write(act).await?;
        let wanted = i64::from(limit).saturating_add(i64::try_from(needed.len()).unwrap_or(i64::MAX));
        let query = sqlx::query(OLD_RUNS).bind(before.as_millisecond()).bind(wanted);
        let rows = query.fetch_all(&mut *transaction).await.map_err(self.failed(act))?;
        let mut forgotten = 0;
        for found in &rows {
            let id: RunId = row::parsed(found, "id")?;
            if needed.contains(&id) || forgotten == u64::from(limit) {
                continue;
            }
            for sql in [FORGET_LINES, FORGET_RUN] {
                let query = sqlx::query(sql).bind(id.to_string());
                query.execute(&mut *transaction).await.map_err(self.failed(act))?;
            }
            forgotten += 1;
        }
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(forgotten)
    }

    /// When a chore was done last.
    pub async fn chore_done(&self, name: &str) -> Result<Option<Timestamp>> {
        let found = sqlx::query(CHORE).bind(name).fetch_optional(self.pool()).await;
        let found = found.map_err(self.failed("look for the last time of a chore"))?;
        found.as_ref().map(|found| row::time(found, "done_ms")).transpose()
    }

    /// Records that a chore was done.
    pub async fn record_chore(&self, name: &str, done: Timestamp) -> Result<()> {
        let query = sqlx::query(DID_CHORE).bind(name).bind(done.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record that a chore was done")).map(drop)
    }
}
