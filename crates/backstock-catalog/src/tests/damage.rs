//! Files that are no catalog, disks that are full, locks that are held: each a typed error, and the data stays.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use backstock_host::{Host, SimulatedHost};
use backstock_vocabulary::{ErrorClass, Outcome};
use sqlx::Row;

use super::sample::{Sample, Scratch};
use crate::connection::options;
use crate::migrations::MIGRATIONS;
use crate::{Catalog, Error};

#[tokio::test]
async fn the_file_is_private_and_every_commit_is_synced() {
    let scratch = Scratch::new();
    let catalog = scratch.open().await;
    Sample::new(1).settle(&catalog).await;
    for entry in std::fs::read_dir(scratch.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    for (pragma, value) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
        let row = sqlx::query(pragma).fetch_one(catalog.pool()).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), value, "{pragma}");
    }
    let row = sqlx::query("PRAGMA journal_mode").fetch_one(catalog.pool()).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
}

/// F113: a file that is damaged or no database at all is told from one that is busy, full or newer.
#[tokio::test]
async fn f113_a_damaged_catalog_is_told() {
    let scratch = Scratch::new();
    let catalog = scratch.open().await;
    let (_, set, _) = Sample::new(1).settle(&catalog).await;
    let backups: Vec<_> =
        (1..400).map(|sequence| (Sample::new(sequence).backup(&set, sequence), Vec::new())).collect();
    catalog.record_backups(&backups).await.unwrap();
    catalog.close().await;
    let sound = std::fs::read(scratch.path()).unwrap();
    assert!(sound.len() > 100_000);

    let mut no_header = sound.clone();
    no_header[..16].fill(b'x');
    let mut no_pages = sound.clone();
    no_pages[4096..].fill(0xa5);
    let shortened = sound[..sound.len() / 2].to_vec();
    for (bytes, what) in
        [(no_header, "header"), (no_pages, "pages"), (shortened, "length"), (b"hello".repeat(999), "text")]
    {
        std::fs::write(scratch.path(), bytes).unwrap();
        let error = match Catalog::open(&Host::real(), &scratch.path()).await {
            Err(error) => error,
            Ok(catalog) => catalog.export().await.unwrap_err(),
        };
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error:?}");
        assert!(error.to_string().ends_with("is damaged"), "{error}");
        assert_eq!(error.class(), ErrorClass::Ask);
    }
    std::fs::write(scratch.path(), &sound).unwrap();
    assert_eq!(scratch.open().await.list_backups(None).await.unwrap().len(), 399);
}

#[tokio::test]
async fn f113_a_damaged_catalog_is_put_aside_and_never_deleted() {
    let (scratch, host) = (Scratch::new(), SimulatedHost::new(1));
    let host = Host { clock: host.clock, ..Host::real() };
    assert_eq!(Catalog::set_aside(&host, &scratch.path()).unwrap(), None);
    let catalog = scratch.open().await;
    Sample::new(1).settle(&catalog).await;
    // As after a kill: what was recorded is in the log beside the file.
    let log = std::fs::read(scratch.path().with_file_name("catalog.sqlite-wal")).unwrap();
    catalog.close().await;
    std::fs::write(scratch.path().with_file_name("catalog.sqlite-wal"), &log).unwrap();
    let aside = Catalog::set_aside(&host, &scratch.path()).unwrap().unwrap();
    assert_eq!(scratch.open().await.list_shops().await.unwrap(), []);
    let kept = Catalog::open(&host, &aside).await.unwrap();
    assert_eq!(kept.list_shops().await.unwrap().len(), 1);
    let error = Catalog::set_aside(&host, &scratch.path()).unwrap_err();
    assert!(matches!(error, Error::File { act: "put aside", .. }), "the first one was replaced: {error:?}");
}

/// What a lost catalog's write-ahead log still holds does not get into the new one.
#[tokio::test]
async fn f113_the_log_of_a_lost_catalog_is_not_taken_for_the_new_ones() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let lost = scratch.open().await;
    sample.settle(&lost).await;
    let log = scratch.path().with_file_name("catalog.sqlite-wal");
    let kept = std::fs::read(&log).unwrap();
    assert!(kept.len() > 4096);
    lost.close().await;
    std::fs::remove_file(scratch.path()).unwrap();
    std::fs::write(&log, kept).unwrap();
    let new = scratch.open().await;
    assert_eq!(new.list_shops().await.unwrap(), []);
    let row = sqlx::query("PRAGMA integrity_check").fetch_one(new.pool()).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "ok");
    sample.settle(&new).await;
}

#[tokio::test]
async fn a_database_of_someone_else_is_left_alone() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path().parent().unwrap()).unwrap();
    let other = options(&scratch.path()).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(other).await.unwrap();
    sqlx::query("CREATE TABLE customers (name TEXT)").execute(&pool).await.unwrap();
    let error = Catalog::open(&Host::real(), &scratch.path()).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { source: None, .. }), "{error:?}");
    let tables = sqlx::query("SELECT name FROM sqlite_schema").fetch_all(&pool).await.unwrap();
    assert_eq!(tables.len(), 1);
}

/// How many pages more than its tables the small catalog has.
const ROOM_PAGES: i64 = 4;

/// F20: a full disk is told as such; what was recorded stays, and recording goes on when there is room again.
#[tokio::test]
async fn f20_a_full_disk_is_told_and_loses_nothing() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let before = scratch.open().await;
    let (_, set, _) = sample.settle(&before).await;
    let pages = sqlx::query("PRAGMA page_count").fetch_one(before.pool()).await.unwrap().get::<i64, _>(0);
    let small = options(&scratch.path()).pragma("max_page_count", (pages + ROOM_PAGES).to_string());
    let catalog = Catalog::open_with(&Host::real(), &scratch.path(), small, MIGRATIONS).await.unwrap();
    let mut recorded = Vec::new();
    let error = loop {
        let run = sample.run(&set);
        match catalog.start_run(&run, &[]).await {
            Ok(()) => recorded.push(run),
            Err(error) => break error,
        }
        assert!(recorded.len() < 10_000, "the disk never gets full");
    };
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(error.to_string().starts_with("cannot record the start of the run: the disk"), "{error}");
    assert_eq!(error.class(), ErrorClass::Ask);
    // What is on record can still be closed: that needs no new page.
    let run = recorded.last().unwrap();
    catalog.mark_interrupted(run.id, sample.now(), "full").await.unwrap();
    catalog.close().await;
    let catalog = scratch.open().await;
    assert_eq!(catalog.list_runs(None, u32::MAX).await.unwrap().len(), recorded.len());
    catalog.start_run(&sample.run(&set), &[]).await.unwrap();
}

/// F144: readers are not blocked by a writer; another writer waits, and is told when it waited too long.
#[tokio::test]
async fn f144_a_held_lock_stops_writers_only_and_is_told() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let holder = scratch.open().await;
    let (_, set, _) = sample.settle(&holder).await;
    let impatient = options(&scratch.path()).busy_timeout(Duration::from_millis(50));
    let catalog = Catalog::open_with(&Host::real(), &scratch.path(), impatient, MIGRATIONS).await.unwrap();
    let lock = holder.write("hold the lock").await.unwrap();
    let error = catalog.start_run(&sample.run(&set), &[]).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Retry);
    assert_eq!(catalog.list_shops().await.unwrap().len(), 1);
    lock.rollback().await.unwrap();
    catalog.start_run(&sample.run(&set), &[]).await.unwrap();
}

/// A word, number or time that a newer version wrote is an error that shows it, never a guess.
#[tokio::test]
async fn an_unknown_value_is_an_error_that_shows_it() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, _) = sample.settle(&catalog).await;
    for (change, shown) in [
        ("UPDATE runs SET outcome = 'splendid'", "splendid"),
        ("UPDATE runs SET elapsed_ms = -5", "-5"),
        ("UPDATE runs SET started_ms = 9000000000000000000", "9000000000000000000"),
        ("UPDATE runs SET detail = '{'", "{"),
    ] {
        let run = sample.run(&set);
        catalog.start_run(&run, &[]).await.unwrap();
        catalog.finish_run(run.id, &sample.end(Outcome::Success)).await.unwrap();
        sqlx::query(change).execute(catalog.pool()).await.unwrap();
        let error = catalog.find_run(run.id).await.unwrap_err();
        assert!(matches!(&error, Error::Value { text, .. } if text == shown), "{error}");
        sqlx::query("DELETE FROM runs").execute(catalog.pool()).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().parent().unwrap(), "a file").unwrap();
    let error = Catalog::open(&Host::real(), &scratch.path()).await.unwrap_err();
    assert!(matches!(error, Error::File { act: "make", .. }), "{error:?}");
}
