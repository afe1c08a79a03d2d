//! What a person has looked at and found right: suspect backups, and exceptions that the backups of a set may have. A catalog
//! that was made anew knows none of it, so that everything is protected again.

use backstock_vocabulary::{BackupId, SetId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, escaped, row};

/// An exception that the backups of a set may have and count all the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AcceptedException {
    /// The set.
    pub set: SetId,
    /// What it is, in one word, as [`crate::Problem`] has it.
    pub kind: String,
    /// What it is about: the bytes of a file's or table's name.
    pub subject: Vec<u8>,
}

statements! {
    CONFIRMED = "SELECT backup_id FROM confirmed_backups ORDER BY backup_id";
    CONFIRM = "INSERT INTO confirmed_backups (backup_id, confirmed_ms) VALUES ($1, $2)
        ON CONFLICT (backup_id) DO NOTHING";
    ACCEPTED = "SELECT set_id, kind, subject FROM accepted_exceptions ORDER BY set_id, kind, subject";
    ACCEPT = "INSERT INTO accepted_exceptions (set_id, kind, subject, accepted_ms) VALUES ($1, $2, $3, $4)
        ON CONFLICT (set_id, kind, subject) DO NOTHING";
}

fn exception(found: &SqliteRow) -> Result<AcceptedException> {
    Ok(AcceptedException {
        set: row::parsed(found, "set_id")?,
        kind: row::text(found, "kind")?,
        subject: row::bytes(found, "subject")?,
    })
}

impl Catalog {
    /// Every suspect backup that somebody has confirmed.
    pub async fn list_confirmed_backups(&self) -> Result<Vec<BackupId>> {
        let rows = sqlx::query(CONFIRMED).fetch_all(self.pool()).await;
        let rows = rows.map_err(self.failed("list the confirmed backups"))?;
        rows.iter().map(|found| row::parsed(found, "backup_id")).collect()
    }

    /// Every exception that somebody has accepted.
    pub async fn list_accepted_exceptions(&self) -> Result<Vec<AcceptedException>> {
        let rows = sqlx::query(ACCEPTED).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the accepted exceptions"))?.iter().map(exception).collect()
    }

    /// Records that a person has confirmed backups and accepted exceptions, all in one transaction.
    pub async fn accept(
        &self,
        backups: &[BackupId],
        exceptions: &[AcceptedException],
        now: Timestamp,
    ) -> Result<()> {
        let act = "record what was confirmed";
        let mut transaction = self.write(act).await?;
        for backup in backups {
            let query = sqlx::query(CONFIRM).bind(backup.to_string()).bind(now.as_millisecond());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        for exception in exceptions {
            let query = sqlx::query(ACCEPT).bind(exception.set.to_string()).bind(&exception.kind);
            let query = query.bind(escaped::encode(&exception.subject)).bind(now.as_millisecond());
            query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))
    }
}
