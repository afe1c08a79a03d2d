//! Locks: never shorter than they were, and gone with what they lock.

use jiff::SignedDuration;

use super::sample::{Sample, Scratch};
use crate::ReplicaLock;

#[tokio::test]
async fn a_lock_is_never_made_shorter_and_goes_with_its_replica() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let (backup, now) = (sample.backup(&set, 1), sample.now());
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    let (id, storage) = (backup.id, storage.id);
    let lock = |hours| ReplicaLock { backup: id, storage, until: now + SignedDuration::from_hours(hours) };
    catalog.save_lock(&lock(48)).await.unwrap();
    catalog.save_lock(&lock(24)).await.unwrap();
    assert_eq!(catalog.list_locks().await.unwrap(), [lock(48)]);
    catalog.save_lock(&lock(72)).await.unwrap();
    assert_eq!(catalog.list_locks().await.unwrap(), [lock(72)]);
    catalog.forget_replica(id, storage).await.unwrap();
    assert_eq!(catalog.list_locks().await.unwrap(), []);
    // What is not there is not locked.
    catalog.save_lock(&lock(24)).await.unwrap();
    assert_eq!(catalog.list_locks().await.unwrap(), []);
}
