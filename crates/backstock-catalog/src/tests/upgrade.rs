//! F16: the schema moves forward in one transaction with a copy kept, and never backward.

use std::time::Duration;

use backstock_host::Host;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use super::sample::{Sample, Scratch};
use crate::connection::options;
use crate::migrations::{MIGRATIONS, Migration};
use crate::{Catalog, Error, Result, SCHEMA_VERSION};

const NEXT: i64 = SCHEMA_VERSION + 1;

/// One that is refused and does not ask again has ended by then.
const LONG_ENOUGH_TO_BE_REFUSED: Duration = Duration::from_millis(200);

async fn open_with(scratch: &Scratch, migrations: &[Migration]) -> Result<Catalog> {
    Catalog::open_with(&Host::real(), &scratch.path(), options(&scratch.path()), migrations).await
}

fn with_next(sql: &'static str) -> Vec<Migration> {
    MIGRATIONS.iter().copied().chain([Migration { version: NEXT, sql }]).collect()
}

#[tokio::test]
async fn f16_a_newer_catalog_is_not_touched() {
    let scratch = Scratch::new();
    let newer = open_with(&scratch, &with_next("CREATE TABLE news (id TEXT)")).await.unwrap();
    newer.close().await;
    let before = std::fs::read(scratch.path()).unwrap();
    let error = Catalog::open(&Host::real(), &scratch.path()).await.unwrap_err();
    assert!(matches!(error, Error::Newer { found: NEXT, known: SCHEMA_VERSION, .. }), "{error}");
    assert!(std::fs::read(scratch.path()).unwrap() == before, "the file has changed");
}

#[tokio::test]
async fn f16_an_upgrade_keeps_a_copy_and_everything_in_it() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let old = scratch.open().await;
    let (shop, set, _) = sample.settle(&old).await;
    // Not closed: what is still in the write-ahead log must be in the copy as well.
    let upgraded = open_with(&scratch, &with_next("ALTER TABLE shops ADD COLUMN note TEXT")).await.unwrap();
    assert_eq!(upgraded.find_shop(shop.id).await.unwrap(), Some(shop.clone()));
    sqlx::query("SELECT note FROM shops").fetch_all(upgraded.pool()).await.unwrap();
    old.close().await;
    upgraded.close().await;

    let copy = scratch.path().with_file_name(format!("catalog.sqlite.schema-{SCHEMA_VERSION}"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let kept = Catalog::open(&Host::real(), &copy).await.unwrap();
    assert_eq!(kept.find_shop(shop.id).await.unwrap(), Some(shop));
    assert_eq!(kept.find_set(set.id).await.unwrap(), Some(set));
}

/// A migration that dies after any of its statements leaves the old catalog, which still works, and can be repeated.
#[tokio::test]
async fn f16_an_upgrade_that_dies_half_way_has_not_happened() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    sample.settle(&scratch.open().await).await;
    let broken = [
        "CREATE TABLE",
        "CREATE TABLE news (id TEXT); INSERT INTO nowhere VALUES (1)",
        "CREATE TABLE news (id TEXT); DELETE FROM sets; ALTER TABLE shops ADD COLUMN note TEXT; DROP TABLE nowhere",
    ];
    for sql in broken {
        let error = open_with(&scratch, &with_next(sql)).await.unwrap_err();
        assert!(matches!(error, Error::Statement { act: "change the schema", .. }), "{error}");
        let catalog = scratch.open().await;
        let shops = catalog.list_shops().await.unwrap();
        assert_eq!(catalog.list_sets(shops[0].id).await.unwrap().len(), 1);
        assert!(sqlx::query("SELECT * FROM news").fetch_all(catalog.pool()).await.is_err());
        catalog.close().await;
    }
    let good = with_next("CREATE TABLE news (id TEXT); ALTER TABLE shops ADD COLUMN note TEXT");
    open_with(&scratch, &good).await.unwrap();
}

#[tokio::test]
async fn several_may_open_a_new_catalog_at_once() {
    let scratch = Scratch::new();
    let path = scratch.path();
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { Catalog::open(&Host::real(), &path).await })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap().list_shops().await.unwrap();
    }
}

/// Another process is making the new file its own: SQLite does not wait for that by itself.
#[tokio::test]
async fn a_new_catalog_that_another_opens_at_this_moment_is_waited_for() {
    let scratch = Scratch::new();
    let path = scratch.path();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "").unwrap();
    let mut other =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let opening = tokio::spawn(async move { Catalog::open(&Host::real(), &path).await });
    tokio::time::sleep(LONG_ENOUGH_TO_BE_REFUSED).await;
    assert!(!opening.is_finished(), "{:?}", opening.await);
    other.execute("ROLLBACK").await.unwrap();
    opening.await.unwrap().unwrap().list_shops().await.unwrap();
}

#[test]
fn versions_count_up_from_one() {
    for (migration, version) in MIGRATIONS.iter().zip(1..) {
        assert_eq!(migration.version, version);
    }
}
