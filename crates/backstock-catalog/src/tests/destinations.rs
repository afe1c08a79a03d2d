//! Destinations: what is owed to them, what a debt holds, and what forgets it.

use backstock_vocabulary::{DestinationId, LeaseId, MarkCause, Proof, ReplicaState};

use super::sample::{Sample, Scratch};
use crate::{Destination, Mark, Replica, Set, Storage};

fn destination(sample: &Sample, set: &Set, storage: &Storage) -> Destination {
    Destination {
        id: DestinationId::from_parts(7, [7; 10]),
        set: set.id,
        storage: storage.id,
        path: "shops/acme".into(),
        copies: Some(14),
        is_on: true,
        settings: serde_json::json!({ "hours": "22:00-06:00" }),
        begun: None,
        created: sample.now(),
    }
}

#[tokio::test]
async fn a_destination_is_kept_changed_and_forgotten_with_what_was_owed_to_it() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let second = sample.storage("/mnt/second");
    catalog.save_storage(&second).await.unwrap();
    let mut row = destination(&sample, &set, &second);
    catalog.save_destination(&row).await.unwrap();
    assert_eq!(catalog.destinations(set.id).await.unwrap(), vec![row.clone()]);
    let twin = Destination { id: DestinationId::from_parts(8, [8; 10]), ..row.clone() };
    assert!(catalog.save_destination(&twin).await.is_err(), "a set has one row for each storage");

    // The clock of the sample goes on with each look.
    let begun = sample.now();
    catalog.begin_destination(row.id, begun).await.unwrap();
    (row.is_on, row.copies, row.begun) = (false, None, Some(begun));
    catalog.begin_destination(row.id, sample.now()).await.unwrap();
    catalog.save_destination(&row).await.unwrap();
    assert_eq!(catalog.destinations(set.id).await.unwrap(), vec![row.clone()], "the first time stays");
    assert!(!catalog.remove_storage(second.id).await.unwrap(), "a set sends its backups there");

    let (there, owed) = (sample.backup(&set, 1), sample.backup(&set, 2));
    catalog.record_backup(&there, &[sample.replica(&there, &second)]).await.unwrap();
    catalog.record_backup(&owed, &[sample.replica(&owed, &storage)]).await.unwrap();
    catalog.owe_replica(&debt(&sample, &owed, &second, ReplicaState::Absent)).await.unwrap();
    catalog.owe_replica(&debt(&sample, &owed, &second, ReplicaState::Uploading)).await.unwrap();
    let states = |replicas: Vec<Replica>| replicas.iter().map(|replica| replica.state).collect::<Vec<_>>();
    let mut of_owed = states(catalog.replicas(owed.id).await.unwrap());
    of_owed.sort();
    assert_eq!(of_owed, [ReplicaState::Uploading, ReplicaState::Present]);
    catalog.owe_replica(&debt(&sample, &there, &second, ReplicaState::Absent)).await.unwrap();
    assert_eq!(states(catalog.replicas(there.id).await.unwrap()), [ReplicaState::Present], "it is there");

    catalog.remove_destination(&row).await.unwrap();
    assert_eq!(catalog.destinations(set.id).await.unwrap(), []);
    assert_eq!(states(catalog.replicas(owed.id).await.unwrap()), [ReplicaState::Present]);
    assert_eq!(
        states(catalog.replicas(there.id).await.unwrap()),
        [ReplicaState::Present],
        "what is there stays"
    );
}

/// A copy that is still to be made holds nothing: neither is the backup there, nor does it stay for its sake.
#[tokio::test]
async fn a_debt_is_no_replica() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let second = sample.storage("/mnt/second");
    catalog.save_storage(&second).await.unwrap();
    let (old, new) = (sample.backup(&set, 1), sample.backup(&set, 2));
    for backup in [&old, &new] {
        catalog.record_backup(backup, &[sample.replica(backup, &storage)]).await.unwrap();
    }
    catalog.owe_replica(&debt(&sample, &new, &second, ReplicaState::WaitingForParent)).await.unwrap();
    let mark = Mark { backup: new.id, storage: storage.id, cause: MarkCause::ByHand, marked: sample.now() };
    catalog.change_marks(&[mark], &[]).await.unwrap();
    assert_eq!(catalog.find_backup("latest", None).await.unwrap(), old, "the new one is on its way out");
    assert!(catalog.begin_deletion(new.id, storage.id).await.unwrap());
    let lease = LeaseId::from_parts(1, [1; 10]);
    assert!(!catalog.take_lease(lease, new.id, sample.now()).await.unwrap(), "nothing of it can be read");
    catalog.forget_replica(new.id, storage.id).await.unwrap();
    assert_eq!(catalog.backup(new.id).await.unwrap(), None, "and with it the debt");

    catalog.owe_replica(&debt(&sample, &old, &second, ReplicaState::Absent)).await.unwrap();
    catalog.forget_debt(old.id, storage.id).await.unwrap();
    catalog.forget_debt(old.id, second.id).await.unwrap();
    let left = catalog.replicas(old.id).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((left[0].storage, left[0].proof), (storage.id, Some(Proof::Size)));
}

fn debt(sample: &Sample, backup: &crate::Backup, storage: &Storage, state: ReplicaState) -> Replica {
    Replica { state, proof: None, checked: None, ..sample.replica(backup, storage) }
}
