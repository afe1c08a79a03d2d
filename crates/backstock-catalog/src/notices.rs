//! Notices: which alert was told to whom, and how telling went.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One alert, as far as one notifier has told it. Times are in whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptNotice {
    /// What it is about: a word and an identifier.
    pub alert: String,
    /// The title of the notifier.
    pub notifier: String,
    /// What it said, in one line.
    pub subject: String,
    /// Since when it was so.
    pub since: Timestamp,
    /// When it was told last; nothing as long as that has failed.
    pub told: Option<Timestamp>,
    /// How often telling has failed since.
    pub tries: u32,
    /// When it was tried last.
    pub tried: Timestamp,
    /// Why it failed, where it did.
    pub problem: Option<String>,
}

statements! {
    EVERY = "SELECT * FROM notices ORDER BY since_ms, alert, notifier";
    SAVE = "INSERT INTO notices (alert, notifier, subject, since_ms, told_ms, tries, tried_ms, problem)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (alert, notifier) DO UPDATE SET subject = excluded.subject, since_ms = excluded.since_ms,
            told_ms = excluded.told_ms, tries = excluded.tries, tried_ms = excluded.tried_ms,
            problem = excluded.problem";
    FORGET = "DELETE FROM notices WHERE alert = $1 AND notifier = $2";
}

fn notice(row: &SqliteRow) -> Result<KeptNotice> {
    Ok(KeptNotice {
        alert: row::text(row, "alert")?,
        notifier: row::text(row, "notifier")?,
        subject: row::text(row, "subject")?,
        since: row::time(row, "since_ms")?,
        told: row::optional_time(row, "told_ms")?,
        tries: u32::try_from(row::number(row, "tries")?).unwrap_or(u32::MAX),
        tried: row::time(row, "tried_ms")?,
        problem: row::optional_text(row, "problem")?,
    })
}

impl Catalog {
    /// Everything that was told and whose end was not, and everything that could not be told; the oldest first.
    pub async fn list_notices(&self) -> Result<Vec<KeptNotice>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the notices"))?.iter().map(notice).collect()
    }

    /// Records how telling went.
    pub async fn save_notice(&self, notice: &KeptNotice) -> Result<()> {
        let query = sqlx::query(SAVE).bind(&notice.alert).bind(&notice.notifier).bind(&notice.subject);
        let query = query.bind(notice.since.as_millisecond());
        let query = query.bind(notice.told.map(Timestamp::as_millisecond)).bind(i64::from(notice.tries));
        let query = query.bind(notice.tried.as_millisecond());
        let query = query.bind(notice.problem.as_deref().map(row::message));
        query.execute(self.pool()).await.map_err(self.failed("record what was told")).map(drop)
    }

    /// Forgets what was told of an alert that is over.
    pub async fn forget_notice(&self, alert: &str, notifier: &str) -> Result<()> {
        let query = sqlx::query(FORGET).bind(alert).bind(notifier);
        query.execute(self.pool()).await.map_err(self.failed("forget what was told")).map(drop)
    }
}
