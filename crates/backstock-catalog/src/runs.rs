//! Runs: the log of everything that was done, also of what died half-way.

use backstock_vocabulary::{ArtifactKind, Outcome, RunId, RunKind, SetId, ShopId, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use crate::statements::statements;
use crate::{Catalog, Error, Result, row};

/// One execution of anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// What it did.
    pub kind: RunKind,
    /// The shop, if it is still known.
    pub shop: Option<ShopId>,
    /// The set, if it is still known.
    pub set: Option<SetId>,
    /// The set's title at the time; empty where a run has no set.
    pub set_title: String,
    /// How it ended, or that it has not.
    pub outcome: Outcome,
    /// When it started (whole milliseconds).
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How long it took, in milliseconds by a clock that never goes back.
    pub elapsed_ms: Option<u64>,
    /// The error that ended it.
    pub error: Option<String>,
    /// What else its kind wants to remember.
    pub detail: serde_json::Value,
    /// The process that does it.
    pub process_id: u32,
    /// The boot of the machine in which that process identifier means something.
    pub boot_id: String,
}

/// How a run went at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDestination {
    /// The storage, if it is still known.
    pub storage: Option<StorageId>,
    /// Its title at the time.
    pub title: String,
    /// Its kind at the time.
    pub kind: String,
    /// How it went there.
    pub status: Outcome,
    /// What there is to say about it; empty when nothing is.
    pub message: String,
}

/// One file that a run has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunArtifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// Its name: `db/db.sql.zst`.
    pub name: String,
    /// Its length, all parts together.
    pub size_bytes: u64,
    /// How many parts it has.
    pub parts: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// Its outcome: a final one.
    pub outcome: Outcome,
    /// When it ended.
    pub finished: Timestamp,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The error that ended it, causes included.
    pub error: Option<String>,
    /// What else its kind wants to remember.
    pub detail: serde_json::Value,
    /// How it went at each destination. Replaces what was recorded before.
    pub destinations: Vec<RunDestination>,
    /// The files that it has made.
    pub artifacts: Vec<RunArtifact>,
}

statements! {
    START = "INSERT INTO runs (id, kind, shop_id, set_id, set_title, outcome, started_ms, detail, process_id, boot_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    BY_ID = "SELECT * FROM runs WHERE id = $1";
    EVERY = "SELECT * FROM runs WHERE (shop_id = $1 OR $1 IS NULL) ORDER BY started_ms DESC, id DESC LIMIT $2";
    UNFINISHED = "SELECT * FROM runs WHERE outcome IN ('pending', 'running') ORDER BY started_ms, id";
    FINISH = "UPDATE runs SET outcome = $2, finished_ms = $3, elapsed_ms = $4, error = $5, detail = $6
        WHERE id = $1 AND outcome IN ('pending', 'running')";
    INTERRUPT = "UPDATE runs SET outcome = 'interrupted', finished_ms = $2, error = $3
        WHERE id = $1 AND outcome IN ('pending', 'running')";
    INTERRUPT_DESTINATIONS = "UPDATE run_destinations SET status = 'interrupted'
        WHERE run_id = $1 AND status IN ('pending', 'running')";
    FORGET_DESTINATIONS = "DELETE FROM run_destinations WHERE run_id = $1";
    ADD_DESTINATION = "INSERT INTO run_destinations (run_id, ordinal, storage_id, title, kind, status, message)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    DESTINATIONS = "SELECT * FROM run_destinations WHERE run_id = $1 ORDER BY ordinal";
    FORGET_ARTIFACTS = "DELETE FROM run_artifacts WHERE run_id = $1";
    ADD_ARTIFACT = "INSERT INTO run_artifacts (run_id, ordinal, kind, name, size_bytes, parts)
        VALUES ($1, $2, $3, $4, $5, $6)";
    ARTIFACTS = "SELECT * FROM run_artifacts WHERE run_id = $1 ORDER BY ordinal";
}

fn run(row: &SqliteRow) -> Result<Run> {
    Ok(Run {
        id: row::parsed(row, "id")?,
        kind: row::parsed(row, "kind")?,
        shop: row::optional_parsed(row, "shop_id")?,
        set: row::optional_parsed(row, "set_id")?,
        set_title: row::text(row, "set_title")?,
        outcome: row::parsed(row, "outcome")?,
        started: row::time(row, "started_ms")?,
        finished: row::optional_time(row, "finished_ms")?,
        elapsed_ms: row::optional_number(row, "elapsed_ms")?,
        error: row::optional_text(row, "error")?,
        detail: row::json(row, "detail")?,
        process_id: u32::try_from(row::number(row, "process_id")?).unwrap_or(u32::MAX),
        boot_id: row::text(row, "boot_id")?,
    })
}

fn destination(row: &SqliteRow) -> Result<RunDestination> {
    Ok(RunDestination {
        storage: row::optional_parsed(row, "storage_id")?,
        title: row::text(row, "title")?,
        kind: row::text(row, "kind")?,
        status: row::parsed(row, "status")?,
        message: row::text(row, "message")?,
    })
}

fn artifact(row: &SqliteRow) -> Result<RunArtifact> {
    Ok(RunArtifact {
        kind: row::parsed(row, "kind")?,
        name: row::text(row, "name")?,
        size_bytes: row::number(row, "size_bytes")?,
        parts: row::number(row, "parts")?,
    })
}

fn is_over(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Pending | Outcome::Running)
}

impl Catalog {
    /// Records that a run starts: before it does anything. Its outcome is `pending` or `running`.
    pub async fn start_run(&self, run: &Run, destinations: &[RunDestination]) -> Result<()> {
        let act = "record the start of the run";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(START).bind(run.id.to_string()).bind(run.kind.as_str());
        let query = query.bind(row::shown(run.shop)).bind(row::shown(run.set)).bind(&run.set_title);
        let query = query.bind(run.outcome.as_str()).bind(run.started.as_millisecond());
        let query = query.bind(run.detail.to_string()).bind(i64::from(run.process_id)).bind(&run.boot_id);
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        self.write_destinations(&mut transaction, run.id, destinations).await?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// Records how a run ended: before anyone is told. Recording the same outcome again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::RunOver`] when it is already closed with another outcome, [`Error::NoSuchRun`].
    pub async fn finish_run(&self, id: RunId, end: &RunEnd) -> Result<()> {
        let act = "record the end of the run";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(FINISH).bind(id.to_string()).bind(end.outcome.as_str());
        let query = query.bind(end.finished.as_millisecond()).bind(row::bigint(end.elapsed_ms));
        let query = query.bind(end.error.as_deref().map(row::message)).bind(end.detail.to_string());
        let done = query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        if done.rows_affected() == 0 {
            transaction.rollback().await.map_err(self.failed(act))?;
            return match self.find_run(id).await? {
                None => Err(Error::NoSuchRun { id }),
                Some(run) if run.outcome == end.outcome => Ok(()),
                Some(run) => Err(Error::RunOver { id, outcome: run.outcome }),
            };
        }
        self.write_destinations(&mut transaction, id, &end.destinations).await?;
        let forget = sqlx::query(FORGET_ARTIFACTS).bind(id.to_string());
        forget.execute(&mut *transaction).await.map_err(self.failed(act))?;
        for (artifact, ordinal) in end.artifacts.iter().zip(0_i64..) {
            let query = sqlx::query(ADD_ARTIFACT).bind(id.to_string()).bind(ordinal);
            let query = query.bind(artifact.kind.as_str()).bind(&artifact.name);
            let query = query.bind(row::bigint(artifact.size_bytes)).bind(row::bigint(artifact.parts));
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }

    async fn write_destinations(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        id: RunId,
        destinations: &[RunDestination],
    ) -> Result<()> {
        let act = "record the destinations of the run";
        let forget = sqlx::query(FORGET_DESTINATIONS).bind(id.to_string());
        forget.execute(&mut **transaction).await.map_err(self.failed(act))?;
        for (destination, ordinal) in destinations.iter().zip(0_i64..) {
            let query = sqlx::query(ADD_DESTINATION).bind(id.to_string()).bind(ordinal);
            let query = query.bind(row::shown(destination.storage)).bind(&destination.title);
            let query = query.bind(&destination.kind).bind(destination.status.as_str());
            let query = query.bind(row::message(&destination.message));
            query.execute(&mut **transaction).await.map_err(self.failed(act))?;
        }
        Ok(())
    }

    /// The runs that have not ended as far as anyone has recorded. The caller tells the dead from the living: by the
    /// kernel lock of their shop, never by process identifier or age alone (F112).
    pub async fn unfinished_runs(&self) -> Result<Vec<Run>> {
        let rows = sqlx::query(UNFINISHED).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the unfinished runs"))?.iter().map(run).collect()
    }

    /// Closes a run whose process is proven dead. Tells whether it was still open.
    pub async fn mark_interrupted(&self, id: RunId, now: Timestamp, message: &str) -> Result<bool> {
        let act = "close the interrupted run";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(INTERRUPT).bind(id.to_string()).bind(now.as_millisecond());
        let done = query.bind(row::message(message)).execute(&mut *transaction).await;
        let was_open = done.map_err(self.failed(act))?.rows_affected() > 0;
        let query = sqlx::query(INTERRUPT_DESTINATIONS).bind(id.to_string());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(was_open)
    }

    /// One run.
    pub async fn find_run(&self, id: RunId) -> Result<Option<Run>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the run"))?.as_ref().map(run).transpose()
    }

    /// The newest runs (of one shop), the newest first.
    pub async fn list_runs(&self, shop: Option<ShopId>, limit: u32) -> Result<Vec<Run>> {
        let query = sqlx::query(EVERY).bind(row::shown(shop)).bind(i64::from(limit));
        let rows = query.fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the runs"))?.iter().map(run).collect()
    }

    /// How a run went at each destination, in order.
    pub async fn run_destinations(&self, id: RunId) -> Result<Vec<RunDestination>> {
        let rows = sqlx::query(DESTINATIONS).bind(id.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the destinations of the run"))?.iter().map(destination).collect()
    }

    /// The files that a run has made, in order.
    pub async fn run_artifacts(&self, id: RunId) -> Result<Vec<RunArtifact>> {
        let rows = sqlx::query(ARTIFACTS).bind(id.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the artifacts of the run"))?.iter().map(artifact).collect()
    }
}

impl Run {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        is_over(self.outcome)
    }
}
