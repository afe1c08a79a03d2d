//! When replicas were last looked at: kept as long as the replica, and taken over from catalogs that did not know it.

use backstock_host::Host;
use backstock_vocabulary::{Proof, ReplicaState, VerifyLevel};
use jiff::SignedDuration;

use super::sample::{Sample, Scratch};
use crate::connection::options;
use crate::migrations::MIGRATIONS;
use crate::{Catalog, Check};

#[tokio::test]
async fn a_check_is_kept_as_long_as_its_replica_and_the_later_one_counts() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let now = sample.now();
    let check = |level, hours| Check {
        backup: backup.id,
        storage: storage.id,
        level,
        checked: now + SignedDuration::from_hours(hours),
    };
    catalog.save_checks(&[check(VerifyLevel::Bytes, 0)]).await.unwrap();
    assert_eq!(catalog.list_checks().await.unwrap(), [], "nothing is known of a replica that is not there");
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    catalog.save_checks(&[check(VerifyLevel::Bytes, 0), check(VerifyLevel::Present, 0)]).await.unwrap();
    catalog.save_checks(&[check(VerifyLevel::Present, 5)]).await.unwrap();
    let expected = [check(VerifyLevel::Bytes, 0), check(VerifyLevel::Present, 5)];
    assert_eq!(catalog.list_checks().await.unwrap(), expected);
    catalog.forget_replica(backup.id, storage.id).await.unwrap();
    assert_eq!(catalog.list_checks().await.unwrap(), []);
}

#[tokio::test]
async fn what_an_older_catalog_knew_of_checks_is_taken_over() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let older = &MIGRATIONS[..4];
    let options = options(&scratch.path());
    let old = Catalog::open_with(&Host::real(), &scratch.path(), options, older).await.unwrap();
    let shop = sample.shop(b"/srv/candles");
    let (set, storage) = (sample.set(&shop, "default"), sample.storage("/backups"));
    old.save_shop(&shop).await.unwrap();
    old.save_set(&set).await.unwrap();
    // As it was recorded then.
    let query = "INSERT INTO storages (id, title, kind, settings, created_ms) VALUES ($1, $2, $3, $4, $5)";
    let query = sqlx::query(query).bind(storage.id.to_string()).bind(&storage.title).bind(&storage.kind);
    let query = query.bind(storage.settings.to_string()).bind(storage.created.as_millisecond());
    query.execute(old.pool()).await.unwrap();
    let (read, seen) = (sample.backup(&set, 1), sample.backup(&set, 2));
    for (backup, state, proof) in [
        (&read, ReplicaState::Verified, Some(Proof::ReadBack)),
        (&seen, ReplicaState::Present, Some(Proof::Size)),
    ] {
        let replica =
            crate::Replica { state, proof, checked: Some(sample.now()), ..sample.replica(backup, &storage) };
        old.record_backup(backup, &[replica]).await.unwrap();
    }
    old.close().await;
    let known = scratch.open().await.list_checks().await.unwrap();
    let mut known: Vec<_> = known.iter().map(|check| (check.backup, check.level)).collect();
    known.sort();
    let mut expected =
        [(read.id, VerifyLevel::Present), (read.id, VerifyLevel::Bytes), (seen.id, VerifyLevel::Present)];
    expected.sort();
    assert_eq!(known, expected);
}
