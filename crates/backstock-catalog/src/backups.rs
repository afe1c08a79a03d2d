//! Backups: what their manifests say, so that lists and choices need no storage.

use backstock_vocabulary::{BackupId, Content, InstanceId, Level, Reason, RunId, SetId, ShopId};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use crate::statements::statements;
use crate::{Catalog, Error, Replica, Result, row};

/// The word that stands for the newest backup wherever an identifier goes.
const LATEST: &str = "latest";
/// The most candidates that an ambiguous identifier is answered with.
const CANDIDATES_LIMIT: i64 = 20;

/// One saved state of a shop. Everything here stands in its manifest, or follows from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backup {
    /// Its identifier.
    pub id: BackupId,
    /// The shop.
    pub shop: ShopId,
    /// The set.
    pub set: SetId,
    /// The run that made it. After a rebuild the run itself may be unknown.
    pub run: RunId,
    /// The instance that made and signed it.
    pub instance: InstanceId,
    /// Its number within the set's folder: the order that counts.
    pub sequence: u64,
    /// How much of the files it holds by itself.
    pub level: Level,
    /// Why it was made.
    pub reason: Reason,
    /// What it is worth.
    pub content: Content,
    /// When it was started (whole milliseconds).
    pub started: Timestamp,
    /// When it was finished (whole milliseconds).
    pub finished: Timestamp,
    /// The backup that it builds on.
    pub parent: Option<BackupId>,
    /// The name of its folder: `2026-11-20T03.00.00Z-0a1b2c3d`.
    pub folder: String,
    /// The hash of what was to be taken; differs from the parent's only in a full backup.
    pub definition_hash: String,
    /// SHA-256 of its manifest, in hexadecimal digits.
    pub manifest_hash: String,
    /// Length of all its artifacts.
    pub stored_bytes: u64,
    /// How many named things are missing from it.
    pub exceptions: u64,
    /// How many notes its index holds.
    pub notes: u64,
    /// What else follows from the manifest and is worth listing.
    pub detail: serde_json::Value,
}

statements! {
    ADD = "INSERT INTO backups (id, shop_id, set_id, run_id, instance_id, sequence, level, reason, content, started_ms,
            finished_ms, parent_id, folder, definition_hash, manifest_hash, stored_bytes, exceptions, notes, detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        ON CONFLICT (id) DO NOTHING";
    BY_ID = "SELECT * FROM backups WHERE id = $1";
    EVERY = "SELECT * FROM backups WHERE (shop_id = $1 OR $1 IS NULL) ORDER BY started_ms DESC, sequence DESC, id DESC";
    BY_PREFIX = "SELECT * FROM backups
        WHERE (shop_id = $1 OR $1 IS NULL)
            AND (id LIKE $2 OR REPLACE(id, '-', '') LIKE $2 OR SUBSTR(id, 29) LIKE $2 OR folder = $3)
        ORDER BY started_ms DESC, id DESC LIMIT $4";
    /// The newest of each set that is neither unusable nor a safety snapshot nor about to be deleted nor a stranger's.
    NEWEST_OF_SETS = "SELECT * FROM backups
        WHERE (shop_id = $1 OR $1 IS NULL) AND (set_id = $2 OR $2 IS NULL)
            AND content <> 'unusable' AND reason NOT IN ('pre-restore', 'pre-upgrade', 'imported')
            AND id NOT IN (SELECT id FROM going_backups) AND id NOT IN (SELECT backup_id FROM strangers)
            AND NOT EXISTS (SELECT 1 FROM backups AS later
                WHERE later.set_id = backups.set_id AND later.sequence > backups.sequence
                    AND later.content <> 'unusable' AND later.reason NOT IN ('pre-restore', 'pre-upgrade', 'imported')
                    AND later.id NOT IN (SELECT id FROM going_backups)
                    AND later.id NOT IN (SELECT backup_id FROM strangers))
        ORDER BY started_ms DESC, id DESC";
    LAST_OF_SET = "SELECT * FROM backups WHERE set_id = $1 ORDER BY sequence DESC, id DESC LIMIT 1";
}

pub(crate) fn backup(row: &SqliteRow) -> Result<Backup> {
    Ok(Backup {
        id: row::parsed(row, "id")?,
        shop: row::parsed(row, "shop_id")?,
        set: row::parsed(row, "set_id")?,
        run: row::parsed(row, "run_id")?,
        instance: row::parsed(row, "instance_id")?,
        sequence: row::number(row, "sequence")?,
        level: row::parsed(row, "level")?,
        reason: row::parsed(row, "reason")?,
        content: row::parsed(row, "content")?,
        started: row::time(row, "started_ms")?,
        finished: row::time(row, "finished_ms")?,
        parent: row::optional_parsed(row, "parent_id")?,
        folder: row::text(row, "folder")?,
        definition_hash: row::text(row, "definition_hash")?,
        manifest_hash: row::text(row, "manifest_hash")?,
        stored_bytes: row::number(row, "stored_bytes")?,
        exceptions: row::number(row, "exceptions")?,
        notes: row::number(row, "notes")?,
        detail: row::json(row, "detail")?,
    })
}

impl Catalog {
    /// Records a backup whose manifest is durable, and where its replicas are, in one transaction. The shop, the set
    /// and the storages must be on record. A backup that is already known stays as it is, and so does what is known of
    /// its replicas beyond their being there, so that a rebuild and the adoption of an unrecorded manifest (F05) are
    /// the same call. Tells whether it is new.
    ///
    /// # Errors
    ///
    /// [`Error::DifferentBackup`] when the identifier is known with another manifest.
    pub async fn record_backup(&self, backup: &Backup, replicas: &[Replica]) -> Result<bool> {
        let act = "record the backup";
        let mut transaction = self.write(act).await?;
        let is_new = self.write_backup(&mut transaction, backup, replicas).await?;
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(is_new)
    }

    /// Records many backups as [`Catalog::record_backup`] does, all in one transaction; tells how many are new.
    pub async fn record_backups(&self, backups: &[(Backup, Vec<Replica>)]) -> Result<u64> {
        let act = "record the backups";
        let mut transaction = self.write(act).await?;
        let mut new = 0;
        for (backup, replicas) in backups {
            new += u64::from(self.write_backup(&mut transaction, backup, replicas).await?);
        }
        transaction.commit().await.map_err(self.failed(act))?;
        Ok(new)
    }

    async fn write_backup(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        backup: &Backup,
        replicas: &[Replica],
    ) -> Result<bool> {
        let act = "record the backup";
        let query = sqlx::query(ADD).bind(backup.id.to_string()).bind(backup.shop.to_string());
        let query = query.bind(backup.set.to_string()).bind(backup.run.to_string());
        let query = query.bind(backup.instance.to_string()).bind(row::bigint(backup.sequence));
        let query = query.bind(backup.level.as_str()).bind(backup.reason.as_str());
        let query = query.bind(backup.content.as_str()).bind(backup.started.as_millisecond());
        let query = query.bind(backup.finished.as_millisecond()).bind(row::shown(backup.parent));
        let query = query.bind(&backup.folder).bind(&backup.definition_hash).bind(&backup.manifest_hash);
        let query = query.bind(row::bigint(backup.stored_bytes)).bind(row::bigint(backup.exceptions));
        let query = query.bind(row::bigint(backup.notes)).bind(backup.detail.to_string());
        let done = query.execute(&mut **transaction).await.map_err(self.failed(act))?;
        let is_new = done.rows_affected() > 0;
        if !is_new {
            let query = sqlx::query(BY_ID).bind(backup.id.to_string());
            let known = query.fetch_one(&mut **transaction).await.map_err(self.failed(act))?;
            let recorded = row::text(&known, "manifest_hash")?;
            if recorded != backup.manifest_hash {
                let given = backup.manifest_hash.clone();
                return Err(Error::DifferentBackup { id: backup.id, recorded, given });
            }
        }
        for replica in replicas {
            self.adopt_replica(transaction, replica).await?;
        }
        Ok(is_new)
    }

    /// Every backup (of one shop), the newest first.
    pub async fn list_backups(&self, shop: Option<ShopId>) -> Result<Vec<Backup>> {
        let rows = sqlx::query(EVERY).bind(row::shown(shop)).fetch_all(self.pool()).await;
        rows.map_err(self.failed("list the backups"))?.iter().map(backup).collect()
    }

    /// The backup with this identifier.
    pub async fn backup(&self, id: BackupId) -> Result<Option<Backup>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the backup"))?.as_ref().map(backup).transpose()
    }

    /// The backup that a person means: `latest`, the beginning of an identifier or of its last eight digits, or the
    /// name of its folder.
    ///
    /// `latest` is the newest that is neither unusable nor a safety snapshot nor an imported dump nor about to be deleted: by sequence within a set, by time between
    /// the sets of a shop. Without a shop it is ambiguous once several shops have backups.
    ///
    /// # Errors
    ///
    /// [`Error::NoBackups`], [`Error::NoSuchBackup`], [`Error::AmbiguousBackup`] with the candidates.
    pub async fn find_backup(&self, text: &str, shop: Option<ShopId>) -> Result<Backup> {
        if text == LATEST {
            return self.latest_backup(shop, None).await;
        }
        let no_such = || Error::NoSuchBackup { text: text.to_owned() };
        let pattern = text.to_ascii_lowercase();
        let is_prefix =
            !pattern.is_empty() && pattern.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        // What is no prefix may still be the name of a folder; the pattern then is one that nothing matches.
        let pattern = if is_prefix { format!("{pattern}%") } else { "-".to_owned() };
        let query = sqlx::query(BY_PREFIX).bind(row::shown(shop)).bind(pattern).bind(text);
        let rows = query.bind(CANDIDATES_LIMIT).fetch_all(self.pool()).await;
        let rows = rows.map_err(self.failed("look for the backup"))?;
        let mut candidates = rows.iter().map(backup).collect::<Result<Vec<_>>>()?;
        match candidates.len() {
            0 => Err(no_such()),
            1 => candidates.pop().ok_or_else(no_such),
            _ => Err(Error::AmbiguousBackup { text: text.to_owned(), candidates }),
        }
    }

    /// The newest backup that is neither unusable nor a safety snapshot nor an imported dump (of a shop, of a set).
    pub async fn latest_backup(&self, shop: Option<ShopId>, set: Option<SetId>) -> Result<Backup> {
        let query = sqlx::query(NEWEST_OF_SETS).bind(row::shown(shop)).bind(row::shown(set));
        let rows = query.fetch_all(self.pool()).await.map_err(self.failed("look for the newest backup"))?;
        let mut newest: Vec<Backup> = Vec::new();
        for row in &rows {
            let candidate = backup(row)?;
            if newest.iter().all(|known| known.shop != candidate.shop) {
                newest.push(candidate);
            }
        }
        match newest.len() {
            0 => Err(Error::NoBackups),
            1 => newest.pop().ok_or(Error::NoBackups),
            _ => Err(Error::AmbiguousBackup { text: LATEST.to_owned(), candidates: newest }),
        }
    }

    /// The backup with the highest sequence number of a set, whatever it is worth: the head of its chain of manifests.
    pub async fn last_backup_of_set(&self, set: SetId) -> Result<Option<Backup>> {
        let row = sqlx::query(LAST_OF_SET).bind(set.to_string()).fetch_optional(self.pool()).await;
        row.map_err(self.failed("look for the last backup"))?.as_ref().map(backup).transpose()
    }

    /// The highest sequence number of a set on record; 0 when it has no backup.
    pub async fn last_sequence(&self, set: SetId) -> Result<u64> {
        Ok(self.last_backup_of_set(set).await?.map_or(0, |backup| backup.sequence))
    }
}
