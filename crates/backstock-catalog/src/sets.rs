//! Backup sets: what to take of a shop, when, where to.

use backstock_vocabulary::{SetId, ShopId};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Result, row};

/// One backup set of a shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Set {
    /// Its identifier.
    pub id: SetId,
    /// The shop that it belongs to.
    pub shop: ShopId,
    /// What people call it: `default` for the implicit one. Unique within the shop.
    pub title: String,
    /// What it says, as operations read it.
    pub definition: serde_json::Value,
    /// When it was made (whole milliseconds).
    pub created: Timestamp,
}

statements! {
    BY_ID = "SELECT id, shop_id, title, definition, created_ms FROM sets WHERE id = $1";
    BY_TITLE = "SELECT id, shop_id, title, definition, created_ms FROM sets WHERE shop_id = $1 AND title = $2";
    OF_SHOP = "SELECT id, shop_id, title, definition, created_ms FROM sets WHERE shop_id = $1 ORDER BY created_ms, id";
    SAVE = "INSERT INTO sets (id, shop_id, title, definition, created_ms) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET title = excluded.title, definition = excluded.definition";
    ADD_BY_TITLE = "INSERT INTO sets (id, shop_id, title, definition, created_ms) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (shop_id, title) DO NOTHING";
}

fn set(row: &SqliteRow) -> Result<Set> {
    Ok(Set {
        id: row::parsed(row, "id")?,
        shop: row::parsed(row, "shop_id")?,
        title: row::text(row, "title")?,
        definition: row::json(row, "definition")?,
        created: row::time(row, "created_ms")?,
    })
}

impl Catalog {
    /// The set with this identifier.
    pub async fn find_set(&self, id: SetId) -> Result<Option<Set>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the set"))?.as_ref().map(set).transpose()
    }

    /// The shop's set with this title.
    pub async fn find_set_by_title(&self, shop: ShopId, title: &str) -> Result<Option<Set>> {
        let query = sqlx::query(BY_TITLE).bind(shop.to_string()).bind(title);
        let row = query.fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the set"))?.as_ref().map(set).transpose()
    }

    /// Every set of a shop, the oldest first.
    pub async fn list_sets(&self, shop: ShopId) -> Result<Vec<Set>> {
        let rows = sqlx::query(OF_SHOP).bind(shop.to_string()).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the sets"))?.iter().map(set).collect()
    }

    /// Records a set under its identifier, or its new title and definition.
    pub async fn save_set(&self, set: &Set) -> Result<()> {
        self.write_set(SAVE, set).await
    }

    /// The shop's set with the title of `set`; `set` as given if there is none yet.
    pub async fn find_or_add_set(&self, set: &Set) -> Result<Set> {
        self.write_set(ADD_BY_TITLE, set).await?;
        let found = self.find_set_by_title(set.shop, &set.title).await?;
        Ok(found.unwrap_or_else(|| set.clone()))
    }

    async fn write_set(&self, sql: &'static str, set: &Set) -> Result<()> {
        let query = sqlx::query(sql).bind(set.id.to_string()).bind(set.shop.to_string()).bind(&set.title);
        let query = query.bind(set.definition.to_string()).bind(set.created.as_millisecond());
        query.execute(self.pool()).await.map_err(self.failed("record the set")).map(drop)
    }
}
