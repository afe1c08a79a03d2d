//! The schema's versions. Data can be lost here: a copy is kept, and all steps are one transaction (F16).

use std::path::Path;

use backstock_host::{Host, failpoint};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, SqliteConnection};

use crate::connection::beside;
use crate::statements::statements;
use crate::{Error, Result};

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) sql: &'static str,
}

/// Every step, oldest first. A step that has been released is never edited.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../migrations/0001_first.sql") },
    Migration { version: 2, sql: include_str!("../migrations/0002_retention.sql") },
    Migration { version: 3, sql: include_str!("../migrations/0003_history.sql") },
    Migration { version: 4, sql: include_str!("../migrations/0004_drills.sql") },
    Migration { version: 5, sql: include_str!("../migrations/0005_checks.sql") },
    Migration { version: 6, sql: include_str!("../migrations/0006_acceptances.sql") },
    Migration { version: 7, sql: include_str!("../migrations/0007_drills_in_part.sql") },
    Migration { version: 8, sql: include_str!("../migrations/0008_boots.sql") },
    Migration { version: 9, sql: include_str!("../migrations/0009_storage_secrets.sql") },
    Migration { version: 10, sql: include_str!("../migrations/0010_destinations.sql") },
    Migration { version: 11, sql: include_str!("../migrations/0011_links.sql") },
    Migration { version: 12, sql: include_str!("../migrations/0012_locks.sql") },
    Migration { version: 13, sql: include_str!("../migrations/0013_link_requests.sql") },
    Migration { version: 14, sql: include_str!("../migrations/0014_notices.sql") },
];

/// The schema that this version of the program writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

statements! {
    CREATE_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_versions
        (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)";
    NEWEST_VERSION = "SELECT COALESCE(MAX(version), 0) AS version FROM schema_versions";
    RECORD_VERSION = "INSERT INTO schema_versions (version, applied_ms) VALUES ($1, $2)";
}

/// Brings the schema to the newest of `migrations`, or refuses a file that is newer than that.
pub(crate) async fn migrate(
    host: &Host,
    pool: &SqlitePool,
    path: &Path,
    migrations: &[Migration],
) -> Result<()> {
    let shown = path.display().to_string();
    let fail = |act| {
        let shown = shown.clone();
        move |source| Error::from_database(act, &shown, source)
    };
    let known = migrations.last().map_or(0, |migration| migration.version);
    let found = {
        let mut connection = pool.acquire().await.map_err(fail("open"))?;
        if is_foreign(&mut connection).await.map_err(fail("read the schema"))? {
            return Err(Error::Damaged { path: shown, source: None });
        }
        sqlx::query(CREATE_VERSIONS).execute(&mut *connection).await.map_err(fail("prepare the schema"))?;
        newest(&mut connection).await.map_err(fail("read the schema"))?
    };
    if found > known {
        return Err(Error::Newer { path: shown, found, known });
    }
    if found == known {
        return Ok(());
    }
    if found > 0 {
        keep_a_copy(host, pool, path, found).await?;
    }
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(fail("change the schema"))?;
    // Another process may have done it in the meantime.
    let found = newest(&mut transaction).await.map_err(fail("read the schema"))?;
    for migration in migrations.iter().filter(|migration| migration.version > found) {
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.map_err(fail("change the schema"))?;
        sqlx::query(RECORD_VERSION)
            .bind(migration.version)
            .bind(host.clock.now().as_millisecond())
            .execute(&mut *transaction)
            .await
            .map_err(fail("record the schema"))?;
    }
    failpoint::reach("catalog.migrate.before_commit").map_err(|source| Error::File {
        act: "change the schema of",
        path: shown.clone(),
        source,
    })?;
    transaction.commit().await.map_err(fail("change the schema"))
}

async fn newest(connection: &mut SqliteConnection) -> std::result::Result<i64, sqlx::Error> {
    sqlx::query(NEWEST_VERSION).fetch_one(connection).await?.try_get("version")
}

/// Whether the file is a database of someone else, which we had better not add tables to. SQLite's own table.
async fn is_foreign(connection: &mut SqliteConnection) -> std::result::Result<bool, sqlx::Error> {
    let tables = "SELECT COUNT(*) AS tables, COALESCE(SUM(name = 'schema_versions'), 0) AS ours
        FROM sqlite_schema WHERE type = 'table'";
    let row = sqlx::query(tables).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>("tables")? > 0 && row.try_get::<i64, _>("ours")? == 0)
}

/// Keeps the catalog as it was, beside itself: `catalog.sqlite.schema-1`.
async fn keep_a_copy(host: &Host, pool: &SqlitePool, path: &Path, version: i64) -> Result<()> {
    let shown = path.display().to_string();
    let copy = beside(path, &format!(".schema-{version}"));
    let fail = |source| Error::File { act: "keep a copy of", path: shown.clone(), source };
    // An empty file of ours is there first, so that the copy is never readable by others.
    host.files.remove_file(&copy).map_err(fail)?;
    let mut file = host.files.create_new(&copy).map_err(fail)?;
    sqlx::query(sqlx::AssertSqlSafe("VACUUM INTO $1"))
        .bind(copy.to_str().ok_or_else(|| fail(std::io::Error::other("its path is not UTF-8")))?)
        .execute(pool)
        .await
        .map_err(|source| Error::from_database("keep a copy", &shown, source))?;
    file.sync().map_err(fail)?;
    host.files.sync_folder(copy.parent().unwrap_or(Path::new("/"))).map_err(fail)
}
