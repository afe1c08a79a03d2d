//! History that another catalog kept: runs of before, as an export of settings tells them. What is known already stays as it is.

use crate::statements::statements;
use crate::{Catalog, Result, Run, RunDestination, row};

statements! {
    ADD_RUN = "INSERT INTO runs (id, kind, shop_id, set_id, set_title, outcome, started_ms, finished_ms, elapsed_ms, error,
            detail, process_id, boot_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '') ON CONFLICT (id) DO NOTHING";
    ADD_DESTINATION = "INSERT INTO run_destinations (run_id, ordinal, storage_id, title, kind, status, message)
        VALUES ($1, $2, NULL, $3, $4, $5, $6)";
}

impl Catalog {
    /// Records runs that have ended and are not known yet, all in one transaction; tells how many. Of their destinations title and
    /// kind stay, not the storage.
    pub async fn import_runs(&self, runs: &[(Run, Vec<RunDestination>)]) -> Result<u64> {
        let act = "record the history of before";
        let mut transaction = self.write(act).await?;
        let mut added = 0;
        for (run, destinations) in runs.iter().filter(|(run, _)| run.is_over()) {
            let query = sqlx::query(ADD_RUN).bind(run.id.to_string()).bind(run.kind.as_str());
            let query = query.bind(row::shown(run.shop)).bind(row::shown(run.set)).bind(&run.set_title);
            let query = query.bind(run.outcome.as_str()).bind(run.started.as_millisecond());
            let query = query.bind(run.finished.map(jiff::Timestamp::as_millisecond));
            let query = query.bind(run.elapsed_ms.map(row::bigint));
            let query = query.bind(run.error.as_deref().map(row::message)).bind(run.detail.to_string());
            let done = query.execute(&mut *transaction).await.map_err(self.failed(act))?;
            if done.rows_affected() == 0 {
                continue;
            }
            added += 1;
            for (destination, ordinal) in destinations.iter().zip(0_i64..) {
                let query = sqlx::query(ADD_DESTINATION).bind(run.id.to_string()).bind(ordinal);
                let query = query.bind(&destination.title).bind(&destination.kind);
                let query = query.bind(destination.status.as_str()).bind(row::message(&destination.message));
                query.execute(&mut *transaction).await.map_err(self.failed(act))?;
            }
        }
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(added)
    }
}
