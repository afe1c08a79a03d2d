//! Link requests: links that were asked for at the command line, and that a browser makes at the daemon's page.

use std::str::FromStr;

use backstock_vocabulary::StorageId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// How far a link request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRequestState {
    /// Nobody has opened its address and said go on.
    Waiting,
    /// A browser has it, and is at the provider's pages or on its way back.
    Taken,
    /// The storage is linked.
    Linked,
    /// The owner of the account, or its provider, said no.
    Declined,
    /// It came to nothing.
    Failed,
}

/// Every state and its word.
const WORDS: [(LinkRequestState, &str); 5] = [
    (LinkRequestState::Waiting, "waiting"),
    (LinkRequestState::Taken, "taken"),
    (LinkRequestState::Linked, "linked"),
    (LinkRequestState::Declined, "declined"),
    (LinkRequestState::Failed, "failed"),
];

impl LinkRequestState {
    /// Whether nothing more will come of it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Taken)
    }

    fn word(self) -> &'static str {
        WORDS.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for LinkRequestState {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        WORDS.iter().find(|(_, word)| *word == text).map(|(state, _)| *state).ok_or(())
    }
}

/// A link request. Times are in whole milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// The SHA-256 of the token in its address, in hexadecimal digits.
    pub token_hash: String,
    /// The storage that is to be linked.
    pub storage: StorageId,
    /// How far it is.
    pub state: LinkRequestState,
    /// When it was asked for.
    pub begun: Timestamp,
    /// When a browser took it.
    pub taken: Option<Timestamp>,
    /// Why nothing came of it, where that is so.
    pub sentence: Option<String>,
}

statements! {
    OF_TOKEN = "SELECT * FROM link_requests WHERE token_hash = $1";
    ADD = "INSERT INTO link_requests (token_hash, storage_id, state, begun_ms)
        SELECT $2, id, 'waiting', CAST($3 AS BIGINT) FROM storages WHERE id = $1";
    FORGET = "DELETE FROM link_requests WHERE begun_ms < CAST($1 AS BIGINT)";
    /// The first one wins. A clock that was set back makes nothing good again.
    TAKE = "UPDATE link_requests SET state = 'taken', taken_ms = CAST($2 AS BIGINT)
        WHERE token_hash = $1 AND state = 'waiting'
            AND begun_ms >= CAST($3 AS BIGINT) AND begun_ms <= CAST($2 AS BIGINT)";
    END = "UPDATE link_requests SET state = $2, sentence = $3 WHERE token_hash = $1 AND state IN ('waiting', 'taken')";
    END_TAKEN = "UPDATE link_requests SET state = 'failed', sentence = $1 WHERE state = 'taken'";
}

fn link_request(row: &SqliteRow) -> Result<LinkRequest> {
    Ok(LinkRequest {
        token_hash: row::text(row, "token_hash")?,
        storage: row::parsed(row, "storage_id")?,
        state: row::parsed(row, "state")?,
        begun: row::time(row, "begun_ms")?,
        taken: row::optional_time(row, "taken_ms")?,
        sentence: row::optional_text(row, "sentence")?,
    })
}

impl Catalog {
    /// Records that a link is asked for, and forgets requests from before `forgotten_before`.
    pub async fn add_link_request(
        &self,
        storage: StorageId,
        token_hash: &str,
        begun: Timestamp,
        forgotten_before: Timestamp,
    ) -> Result<()> {
        let act = "record that a link is asked for";
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(FORGET).bind(forgotten_before.as_millisecond());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        let query = sqlx::query(ADD).bind(storage.to_string()).bind(token_hash).bind(begun.as_millisecond());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// The link request whose token has this hash.
    pub async fn find_link_request(&self, token_hash: &str) -> Result<Option<LinkRequest>> {
        let row = sqlx::query(OF_TOKEN).bind(token_hash).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the link request"))?.as_ref().map(link_request).transpose()
    }

    /// Takes a link request that still waits and was begun at `oldest` or later. Tells with `false` that somebody else has
    /// it, that it is too old, or that there is none.
    pub async fn take_link_request(
        &self,
        token_hash: &str,
        taken: Timestamp,
        oldest: Timestamp,
    ) -> Result<bool> {
        let query = sqlx::query(TAKE).bind(token_hash).bind(taken.as_millisecond());
        let query = query.bind(oldest.as_millisecond());
        let done = query.execute(self.pool()).await.map_err(self.failed("take the link request"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Records what came of a link request; the first end stays.
    pub async fn end_link_request(
        &self,
        token_hash: &str,
        state: LinkRequestState,
        sentence: Option<&str>,
    ) -> Result<()> {
        let query = sqlx::query(END).bind(token_hash).bind(state.word()).bind(sentence.map(row::message));
        query
            .execute(self.pool())
            .await
            .map_err(self.failed("record what came of the link request"))
            .map(drop)
    }

    /// Ends every link request that a browser has: whoever held the other half of it is gone.
    pub async fn end_taken_link_requests(&self, sentence: &str) -> Result<()> {
        let query = sqlx::query(END_TAKEN).bind(row::message(sentence));
        query.execute(self.pool()).await.map_err(self.failed("end the link requests under way")).map(drop)
    }
}
