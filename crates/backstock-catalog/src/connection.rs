//! The connection: an SQLite file in WAL mode, every commit synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backstock_host::Host;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

use crate::migrations::{MIGRATIONS, Migration, migrate};
use crate::{Error, Result};

/// How long a writer waits for another process.
const BUSY_LIMIT: Duration = Duration::from_secs(15);
/// How long one who was refused at once lets pass before he asks again.
const PAUSE: Duration = Duration::from_millis(20);
/// Connections of one process. SQLite has one writer at a time in any case.
const CONNECTIONS: u32 = 4;

/// What we remember. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
    path: Arc<str>,
}

impl Catalog {
    /// Opens the catalog in this file, makes it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// [`Error::Newer`] for a file of a newer version, [`Error::Damaged`] for a file that is no sound catalog.
    pub async fn open(host: &Host, path: &Path) -> Result<Self> {
        Self::open_with(host, path, options(path), MIGRATIONS).await
    }

    /// Opens the catalog to read only: what would change it is an error. Without a file an empty catalog in memory takes
    /// its place, and no file is made. A file of an older version gets its present form first, as with [`Catalog::open`].
    ///
    /// # Errors
    ///
    /// As [`Catalog::open`].
    pub async fn open_to_look(host: &Host, path: &Path) -> Result<Self> {
        let shown: Arc<str> = path.display().to_string().into();
        let fail = |source| Error::File { act: "look for", path: shown.to_string(), source };
        let is_there = host.files.stat(path).map_err(fail)?.is_some();
        let (options, connections) = if is_there {
            Self::open(host, path).await?.close().await;
            (options(path).pragma("query_only", "ON"), CONNECTIONS)
        } else {
            // Each connection to a database in memory is another database.
            (SqliteConnectOptions::new().in_memory(true), 1)
        };
        let pool = connect(options, connections, &shown).await?;
        if !is_there {
            migrate(host, &pool, path, MIGRATIONS).await?;
        }
        Ok(Self { pool, path: shown })
    }

    pub(crate) async fn open_with(
        host: &Host,
        path: &Path,
        options: SqliteConnectOptions,
        migrations: &[Migration],
    ) -> Result<Self> {
        let shown: Arc<str> = path.display().to_string().into();
        create_private(host, path).map_err(|source| Error::File {
            act: "make",
            path: shown.to_string(),
            source,
        })?;
        let pool = connect(options, CONNECTIONS, &shown).await?;
        migrate(host, &pool, path, migrations).await?;
        Ok(Self { pool, path: shown })
    }

    /// Puts the catalog's files aside, so that the next [`Catalog::open`] makes a new one: what a rebuild does with a
    /// damaged catalog. Nothing is deleted. Tells where the file lies now; `None` when there was none. No process may
    /// have it open.
    pub fn set_aside(host: &Host, path: &Path) -> Result<Option<PathBuf>> {
        let fail = |source| Error::File { act: "put aside", path: path.display().to_string(), source };
        if host.files.stat(path).map_err(fail)?.is_none() {
            return Ok(None);
        }
        let mark = format!(".damaged-{}", host.clock.now().as_millisecond());
        let aside = beside(path, &mark);
        // The file itself first: SQLite throws away a log without one (a test shows it), never the other way round.
        host.files.rename_new(path, &aside).map_err(fail)?;
        for ending in ["-wal", "-shm"] {
            match host.files.rename(&beside(path, ending), &beside(&aside, ending)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(fail)?,
            }
        }
        host.files.sync_folder(path.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
        Ok(Some(aside))
    }

    /// Closes the connections. Dropping the catalog is as safe; closing first also tidies the write-ahead log.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins a transaction that holds the write lock from its start, so that it cannot fail half-way on it.
    pub(crate) async fn write(&self, act: &'static str) -> Result<Transaction<'static, Sqlite>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.failed(act))
    }

    pub(crate) fn failed(&self, act: &'static str) -> impl Fn(sqlx::Error) -> Error + Clone + '_ {
        move |source| Error::from_database(act, &self.path, source)
    }
}

/// Connects, and waits for others: a new file becomes one with a write-ahead log at its first connection, and there SQLite
/// refuses without the wait that it was told (a read lock is held, so waiting could be for each other).
async fn connect(options: SqliteConnectOptions, connections: u32, shown: &str) -> Result<SqlitePool> {
    let began = Instant::now();
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(BUSY_LIMIT);
    loop {
        let connected = pool.clone().connect_with(options.clone()).await;
        match connected.map_err(|source| Error::from_database("open", shown, source)) {
            Err(Error::Busy { .. }) if began.elapsed() < BUSY_LIMIT => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_LIMIT)
}

/// The path with something added to its last step.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Makes the file, readable by its owner only; SQLite gives the files beside it the same mode.
fn create_private(host: &Host, path: &Path) -> std::io::Result<()> {
    if host.files.stat(path)?.is_some() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    host.files.create_folder(folder)?;
    match host.files.create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?.sync()?,
    }
    host.files.sync_folder(folder)
}
