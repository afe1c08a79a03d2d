//! Problems: what a run met and went on after, named.

use backstock_vocabulary::{BackupId, RunId};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, escaped, row};

/// The most problems that are kept of one run; one more tells how many there were beyond. The index names all.
pub const PROBLEMS_PER_RUN_LIMIT: usize = 1_000;

/// How much a problem weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the content is whole all the same.
    Note,
    /// Something is missing: the content is whole except for it.
    Exception,
}

impl Severity {
    /// The word in text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Exception => "exception",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        [Self::Note, Self::Exception].into_iter().find(|word| word.as_str() == text).ok_or(())
    }
}

/// One thing that a run met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The run. After a rebuild it may be unknown.
    pub run: RunId,
    /// The backup that it is about, if there is one.
    pub backup: Option<BackupId>,
    /// What it is, in one word: `unreadable`, `vanished`, `missing-right`.
    pub kind: String,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: the bytes of a file's or table's name.
    pub subject: Vec<u8>,
    /// What happened.
    pub message: String,
}

statements! {
    NEXT_ORDINAL = "SELECT COALESCE(MAX(ordinal) + 1, 0) AS ordinal FROM problems WHERE run_id = $1";
    ADD = "INSERT INTO problems (run_id, ordinal, backup_id, kind, severity, subject, message)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    OF_RUN = "SELECT * FROM problems WHERE run_id = $1 ORDER BY ordinal";
    OF_BACKUP = "SELECT * FROM problems WHERE backup_id = $1 ORDER BY run_id, ordinal";
}

pub(crate) fn problem(row: &SqliteRow) -> Result<Problem> {
    Ok(Problem {
        run: row::parsed(row, "run_id")?,
        backup: row::optional_parsed(row, "backup_id")?,
        kind: row::text(row, "kind")?,
        severity: row::parsed(row, "severity")?,
        subject: row::bytes(row, "subject")?,
        message: row::text(row, "message")?,
    })
}

impl Catalog {
    /// Records what a run met, after what it has recorded before. Beyond [`PROBLEMS_PER_RUN_LIMIT`] exceptions are kept
    /// before notes, and a last problem of kind `more` counts what is not listed.
    pub async fn record_problems(&self, run: RunId, problems: &[Problem]) -> Result<()> {
        let act = "record the problems";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(NEXT_ORDINAL).bind(run.to_string());
        let row = query.fetch_one(&mut *transaction).await.map_err(self.failed(act))?;
        let first = row::number(&row, "ordinal")?;
        let room = PROBLEMS_PER_RUN_LIMIT.saturating_sub(usize::try_from(first).unwrap_or(usize::MAX));
        for (problem, ordinal) in fitting(run, problems, room).into_iter().zip(first..) {
            let query = sqlx::query(ADD).bind(run.to_string()).bind(row::bigint(ordinal));
            let query = query.bind(row::shown(problem.backup)).bind(problem.kind);
            let query = query.bind(problem.severity.as_str()).bind(escaped::encode(&problem.subject));
            let query = query.bind(row::message(&problem.message));
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }

    /// What a run met.
    pub async fn problems_of_run(&self, run: RunId) -> Result<Vec<Problem>> {
        let rows = sqlx::query(OF_RUN).bind(run.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the problems"))?.iter().map(problem).collect()
    }

    /// What is known about a backup.
    pub async fn problems_of_backup(&self, backup: BackupId) -> Result<Vec<Problem>> {
        let rows = sqlx::query(OF_BACKUP).bind(backup.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the problems"))?.iter().map(problem).collect()
    }
}

/// The problems that find room, in their order, exceptions first where not all do, and one that counts the rest.
fn fitting(run: RunId, problems: &[Problem], room: usize) -> Vec<Problem> {
    if problems.len() <= room {
        return problems.to_vec();
    }
    let (exceptions, notes): (Vec<_>, Vec<_>) =
        problems.iter().cloned().partition(|problem| problem.severity == Severity::Exception);
    let mut all: Vec<Problem> = exceptions.into_iter().chain(notes).collect();
    let beyond = all.split_off(room);
    let missed = beyond.iter().filter(|problem| problem.severity == Severity::Exception).count();
    let severity = if missed > 0 { Severity::Exception } else { Severity::Note };
    let message =
        format!("{} more, {missed} of them exceptions, are in the index of the backup", beyond.len());
    let backup = beyond.first().and_then(|problem| problem.backup);
    all.push(Problem { run, backup, kind: "more".to_owned(), severity, subject: Vec::new(), message });
    all
}
