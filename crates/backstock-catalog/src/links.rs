//! Links: how the link of each storage with its account is, as the last call told.

use backstock_vocabulary::{LinkState, StorageId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// How the link of one storage is. Times are in whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The storage.
    pub storage: StorageId,
    /// How it is.
    pub state: LinkState,
    /// Since when it is good, or since when it is not.
    pub since: Timestamp,
    /// What the provider said, where it took the link back.
    pub sentence: Option<String>,
    /// When the provider was last asked.
    pub tried: Timestamp,
    /// When that last went well.
    pub good: Option<Timestamp>,
    /// When it ends by itself, where the provider has told.
    pub ends: Option<Timestamp>,
}

statements! {
    EVERY = "SELECT * FROM links ORDER BY storage_id";
    OF_STORAGE = "SELECT * FROM links WHERE storage_id = $1";
    /// A call that tells no end takes none back.
    GOOD = "INSERT INTO links (storage_id, is_revoked, since_ms, sentence, tried_ms, good_ms, ends_ms)
        SELECT id, 0, CAST($2 AS BIGINT), NULL, CAST($2 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT)
        FROM storages WHERE id = $1
        ON CONFLICT (storage_id) DO UPDATE SET
            since_ms = CASE WHEN links.is_revoked = 0 THEN links.since_ms ELSE excluded.since_ms END,
            is_revoked = 0, sentence = NULL, tried_ms = excluded.tried_ms, good_ms = excluded.good_ms,
            ends_ms = COALESCE(excluded.ends_ms, links.ends_ms)";
    ENDED = "INSERT INTO links (storage_id, is_revoked, since_ms, sentence, tried_ms, good_ms, ends_ms)
        SELECT id, 1, CAST($2 AS BIGINT), $3, CAST($2 AS BIGINT), NULL, NULL FROM storages WHERE id = $1
        ON CONFLICT (storage_id) DO UPDATE SET
            since_ms = CASE WHEN links.is_revoked = 1 THEN links.since_ms ELSE excluded.since_ms END,
            is_revoked = 1, sentence = excluded.sentence, tried_ms = excluded.tried_ms";
    MADE = "INSERT INTO links (storage_id, is_revoked, since_ms, sentence, tried_ms, good_ms, ends_ms)
        SELECT id, 0, CAST($2 AS BIGINT), NULL, CAST($2 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT)
        FROM storages WHERE id = $1
        ON CONFLICT (storage_id) DO UPDATE SET
            since_ms = excluded.since_ms, is_revoked = 0, sentence = NULL, tried_ms = excluded.tried_ms,
            good_ms = excluded.good_ms, ends_ms = excluded.ends_ms";
}

fn link(row: &SqliteRow) -> Result<Link> {
    let ends = row::optional_time(row, "ends_ms")?;
    Ok(Link {
        storage: row::parsed(row, "storage_id")?,
        state: match (row::number(row, "is_revoked")?, ends) {
            (0, None) => LinkState::Ok,
            (0, Some(_)) => LinkState::Expiring,
            _ => LinkState::Revoked,
        },
        since: row::time(row, "since_ms")?,
        sentence: row::optional_text(row, "sentence")?,
        tried: row::time(row, "tried_ms")?,
        good: row::optional_time(row, "good_ms")?,
        ends,
    })
}

impl Catalog {
    /// How every link is that was ever tried.
    pub async fn list_links(&self) -> Result<Vec<Link>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the links with accounts"))?.iter().map(link).collect()
    }

    /// How the link of a storage is, if it was ever tried.
    pub async fn find_link(&self, storage: StorageId) -> Result<Option<Link>> {
        let row = sqlx::query(OF_STORAGE).bind(storage.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the link with the account"))?.as_ref().map(link).transpose()
    }

    /// Records that a call by a link went well, and when the link ends, where that was told. Of a storage that is not on
    /// record nothing is kept.
    pub async fn link_is_good(
        &self,
        storage: StorageId,
        at: Timestamp,
        ends: Option<Timestamp>,
    ) -> Result<()> {
        let query = sqlx::query(GOOD).bind(storage.to_string()).bind(at.as_millisecond());
        let query = query.bind(ends.map(Timestamp::as_millisecond));
        query.execute(self.pool()).await.map_err(self.failed("record that the link is good")).map(drop)
    }

    /// Records that a link was taken back, in the provider's words.
    pub async fn link_has_ended(&self, storage: StorageId, at: Timestamp, sentence: &str) -> Result<()> {
        let query = sqlx::query(ENDED).bind(storage.to_string()).bind(at.as_millisecond());
        let query = query.bind(row::message(sentence));
        query.execute(self.pool()).await.map_err(self.failed("record that the link has ended")).map(drop)
    }

    /// Records that a link was made anew, and when it ends, where that was told.
    pub async fn link_was_made(
        &self,
        storage: StorageId,
        at: Timestamp,
        ends: Option<Timestamp>,
    ) -> Result<()> {
        let query = sqlx::query(MADE).bind(storage.to_string()).bind(at.as_millisecond());
        let query = query.bind(ends.map(Timestamp::as_millisecond));
        query.execute(self.pool()).await.map_err(self.failed("record that the link was made")).map(drop)
    }
}
