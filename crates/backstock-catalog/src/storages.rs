//! Storages: address and settings of each place, defined once and shared by sets.

use backstock_vocabulary::StorageId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One place for replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// Its identifier.
    pub id: StorageId,
    /// What people call it. Unique.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// What its kind needs to know, without secrets.
    pub settings: serde_json::Value,
    /// Its secrets, sealed before they get here, as text.
    pub sealed_secrets: Option<String>,
    /// When it was defined (whole milliseconds).
    pub created: Timestamp,
}

statements! {
    BY_ID = "SELECT id, title, kind, settings, sealed_secrets, created_ms FROM storages WHERE id = $1";
    BY_TITLE = "SELECT id, title, kind, settings, sealed_secrets, created_ms FROM storages WHERE title = $1";
    BY_PLACE = "SELECT id, title, kind, settings, sealed_secrets, created_ms FROM storages
        WHERE kind = $1 AND settings = $2 ORDER BY created_ms, id LIMIT 1";
    EVERY = "SELECT id, title, kind, settings, sealed_secrets, created_ms FROM storages ORDER BY created_ms, id";
    SAVE = "INSERT INTO storages (id, title, kind, settings, sealed_secrets, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO UPDATE SET title = excluded.title, kind = excluded.kind, settings = excluded.settings,
            sealed_secrets = excluded.sealed_secrets";
    RENEW = "UPDATE storages SET sealed_secrets = $3 WHERE id = $1
        AND (sealed_secrets = $2 OR (sealed_secrets IS NULL AND $2 IS NULL))";
    HELD = "SELECT 1 FROM replicas WHERE storage_id = $1 LIMIT 1";
    DESTINED = "SELECT 1 FROM destinations WHERE storage_id = $1 LIMIT 1";
    FORGET_CONFIRMATIONS = "DELETE FROM confirmations WHERE storage_id = $1";
    FORGET_DRILLS = "DELETE FROM drills WHERE storage_id = $1";
    FORGET_CHECKS = "DELETE FROM checks WHERE storage_id = $1";
    FORGET_LINK = "DELETE FROM links WHERE storage_id = $1";
    FORGET_LINK_REQUESTS = "DELETE FROM link_requests WHERE storage_id = $1";
    REMOVE = "DELETE FROM storages WHERE id = $1";
}

fn storage(row: &SqliteRow) -> Result<Storage> {
    Ok(Storage {
        id: row::parsed(row, "id")?,
        title: row::text(row, "title")?,
        kind: row::text(row, "kind")?,
        settings: row::json(row, "settings")?,
        sealed_secrets: row::optional_text(row, "sealed_secrets")?,
        created: row::time(row, "created_ms")?,
    })
}

impl Catalog {
    /// The storage with this identifier.
    pub async fn find_storage(&self, id: StorageId) -> Result<Option<Storage>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the storage"))?.as_ref().map(storage).transpose()
    }

    /// The storage with this title.
    pub async fn find_storage_by_title(&self, title: &str) -> Result<Option<Storage>> {
        let row = sqlx::query(BY_TITLE).bind(title).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the storage"))?.as_ref().map(storage).transpose()
    }

    /// The storage of this kind with these very settings.
    pub async fn find_storage_by_place(
        &self,
        kind: &str,
        settings: &serde_json::Value,
    ) -> Result<Option<Storage>> {
        let query = sqlx::query(BY_PLACE).bind(kind).bind(settings.to_string());
        let row = query.fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the storage"))?.as_ref().map(storage).transpose()
    }

    /// Every storage, the oldest first.
    pub async fn list_storages(&self) -> Result<Vec<Storage>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the storages"))?.iter().map(storage).collect()
    }

    /// Records a storage under its identifier, or what is new about it.
    pub async fn save_storage(&self, storage: &Storage) -> Result<()> {
        let query = sqlx::query(SAVE).bind(storage.id.to_string()).bind(&storage.title).bind(&storage.kind);
        let query = query.bind(storage.settings.to_string()).bind(&storage.sealed_secrets);
        let query = query.bind(storage.created.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record the storage")).map(drop)
    }

    /// Puts sealed secrets in the place of others, if those are what is recorded still; tells whether they were. So nobody
    /// takes back what another process has renewed meanwhile.
    pub async fn renew_secrets(&self, id: StorageId, from: Option<&str>, to: Option<&str>) -> Result<bool> {
        let query = sqlx::query(RENEW).bind(id.to_string()).bind(from).bind(to);
        let done =
            query.execute(self.pool()).await.map_err(self.failed("renew the secrets of the storage"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets a storage and what was noted of it, unless replicas are known there or a set sends its backups there: then it
    /// stays, and this tells `false`.
    pub async fn remove_storage(&self, id: StorageId) -> Result<bool> {
        let act = "forget the storage";
        let mut transaction = self.write(act).await?;
        for sql in [HELD, DESTINED] {
            let held = sqlx::query(sql).bind(id.to_string()).fetch_optional(&mut *transaction).await;
            if held.map_err(self.failed(act))?.is_some() {
                return Ok(false);
            }
        }
        for statement in
            [FORGET_CONFIRMATIONS, FORGET_DRILLS, FORGET_CHECKS, FORGET_LINK, FORGET_LINK_REQUESTS, REMOVE]
        {
            let forgotten = sqlx::query(statement).bind(id.to_string()).execute(&mut *transaction).await;
            forgotten.map_err(self.failed(act))?;
        }
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(true)
    }

    /// The storage of this kind with these very settings; `storage` as given if there is none yet. A title that another
    /// storage has gets the end of the identifier added.
    pub async fn find_or_add_storage(&self, storage: &Storage) -> Result<Storage> {
        let act = "record the storage";
        let settings = storage.settings.to_string();
        let mut transaction = self.write(act).await?;
        let query = sqlx::query(BY_PLACE).bind(&storage.kind).bind(&settings);
        let known = query.fetch_optional(&mut *transaction).await.map_err(self.failed(act))?;
        if let Some(known) = known {
            return self::storage(&known);
        }
        let mut storage = storage.clone();
        let query = sqlx::query(BY_TITLE).bind(&storage.title);
        if query.fetch_optional(&mut *transaction).await.map_err(self.failed(act))?.is_some() {
            storage.title = format!("{} ({})", storage.title, storage.id.short());
        }
        let query = sqlx::query(SAVE).bind(storage.id.to_string()).bind(&storage.title).bind(&storage.kind);
        let query = query.bind(settings).bind(&storage.sealed_secrets).bind(storage.created.as_millisecond());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(storage)
    }
}
