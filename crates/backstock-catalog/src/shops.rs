//! Shops: where each is, and the identifier that it keeps when it moves.

use backstock_vocabulary::ShopId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::statements::statements;
use crate::{Catalog, Error, Result, escaped, row};

/// One installed online shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Its identifier.
    pub id: ShopId,
    /// The bytes of its root folder's path; `None` after a rebuild from backups that do not tell.
    pub root: Option<Vec<u8>>,
    /// The name of its platform's kind.
    pub platform: String,
    /// What people call it.
    pub title: String,
    /// When it was first seen (whole milliseconds).
    pub created: Timestamp,
}

statements! {
    BY_ID = "SELECT id, root, platform, title, created_ms FROM shops WHERE id = $1";
    BY_ROOT = "SELECT id, root, platform, title, created_ms FROM shops WHERE root = $1";
    EVERY = "SELECT id, root, platform, title, created_ms FROM shops ORDER BY created_ms, id";
    SAVE = "INSERT INTO shops (id, root, platform, title, created_ms) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET root = excluded.root, platform = excluded.platform, title = excluded.title";
}

fn shop(row: &SqliteRow) -> Result<Shop> {
    Ok(Shop {
        id: row::parsed(row, "id")?,
        root: row::optional_bytes(row, "root")?,
        platform: row::text(row, "platform")?,
        title: row::text(row, "title")?,
        created: row::time(row, "created_ms")?,
    })
}

impl Catalog {
    /// The shop with this identifier.
    pub async fn find_shop(&self, id: ShopId) -> Result<Option<Shop>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the shop"))?.as_ref().map(shop).transpose()
    }

    /// The shop in this folder.
    pub async fn find_shop_by_root(&self, root: &[u8]) -> Result<Option<Shop>> {
        let row = sqlx::query(BY_ROOT).bind(escaped::encode(root)).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the shop"))?.as_ref().map(shop).transpose()
    }

    /// Every shop, the first seen first.
    pub async fn list_shops(&self) -> Result<Vec<Shop>> {
        let rows = sqlx::query(EVERY).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the shops"))?.iter().map(shop).collect()
    }

    /// Records a shop under its identifier, or records what is new about it. `created` is set once.
    ///
    /// # Errors
    ///
    /// [`Error::RootTaken`] when another shop is recorded in that folder.
    pub async fn save_shop(&self, shop: &Shop) -> Result<()> {
        let act = "record the shop";
        let mut transaction = self.write(act).await?;
        let root = shop.root.as_deref().map(escaped::encode);
        if let Some(root) = &root {
            let owner = sqlx::query(BY_ROOT).bind(root).fetch_optional(&mut *transaction).await;
            if let Some(owner) = owner.map_err(self.failed(act))? {
                let owner = row::parsed(&owner, "id")?;
                if owner != shop.id {
                    return Err(Error::RootTaken { root: root.clone(), owner });
                }
            }
        }
        let query = sqlx::query(SAVE).bind(shop.id.to_string()).bind(root);
        let query = query.bind(&shop.platform).bind(&shop.title).bind(shop.created.as_millisecond());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))
    }

    /// The shop in `shop.root`, with its own identifier and what is new about it; `shop` as given if there is none yet.
    pub async fn upsert_shop_by_root(&self, shop: &Shop) -> Result<Shop> {
        let act = "record the shop";
        let mut transaction = self.write(act).await?;
        let root = shop.root.as_deref().map(escaped::encode);
        let known = sqlx::query(BY_ROOT).bind(&root).fetch_optional(&mut *transaction).await;
        let known = known.map_err(self.failed(act))?.as_ref().map(self::shop).transpose()?;
        let mut shop = shop.clone();
        if let Some(known) = known {
            (shop.id, shop.created) = (known.id, known.created);
        }
        let query = sqlx::query(SAVE).bind(shop.id.to_string()).bind(root);
        let query = query.bind(&shop.platform).bind(&shop.title).bind(shop.created.as_millisecond());
        query.execute(&mut *transaction).await.map_err(self.failed(act))?;
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(shop)
    }
}
