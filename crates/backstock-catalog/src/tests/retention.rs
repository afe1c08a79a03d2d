//! Pins, marks and the steps of a deletion: what stops them, and what is left of a backup at each.

use backstock_vocabulary::{LeaseId, MarkCause, Outcome, Proof, ReplicaState, RunId};

use super::sample::{Sample, Scratch};
use crate::{AcceptedException, Confirmation, Drill, Lease, Mark, Pin};

#[tokio::test]
async fn latest_is_never_one_that_is_about_to_go() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let second = sample.storage("/mnt/second");
    catalog.save_storage(&second).await.unwrap();
    let (old, new) = (sample.backup(&set, 1), sample.backup(&set, 2));
    let replicas = [sample.replica(&new, &storage), sample.replica(&new, &second)];
    catalog.record_backup(&old, &[sample.replica(&old, &storage)]).await.unwrap();
    catalog.record_backup(&new, &replicas).await.unwrap();
    let mark = |storage| Mark { backup: new.id, storage, cause: MarkCause::Policy, marked: sample.now() };
    catalog.change_marks(&[mark(storage.id)], &[]).await.unwrap();
    assert_eq!(catalog.find_backup("latest", None).await.unwrap(), new, "it stays at the second storage");
    catalog.change_marks(&[mark(second.id)], &[]).await.unwrap();
    assert_eq!(catalog.find_backup("latest", None).await.unwrap(), old);
    assert_eq!(catalog.last_sequence(set.id).await.unwrap(), 2, "the numbers go on");
    catalog.change_marks(&[], &[(new.id, second.id)]).await.unwrap();
    assert_eq!(catalog.find_backup("latest", None).await.unwrap(), new);
    catalog.change_marks(&[mark(second.id)], &[]).await.unwrap();
    for storage in [storage.id, second.id] {
        assert!(catalog.begin_deletion(new.id, storage).await.unwrap());
    }
    assert_eq!(catalog.find_backup("latest", None).await.unwrap(), old);
}

#[tokio::test]
async fn a_pin_stops_a_deletion_until_it_has_begun() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    let mark =
        Mark { backup: backup.id, storage: storage.id, cause: MarkCause::ByHand, marked: sample.now() };
    let pin = Pin { backup: backup.id, note: "why".into(), created: sample.now() };
    assert!(!catalog.begin_deletion(backup.id, storage.id).await.unwrap(), "nobody has marked it");
    catalog.change_marks(std::slice::from_ref(&mark), &[]).await.unwrap();
    assert!(catalog.add_pin(&pin).await.unwrap());
    assert_eq!(catalog.list_marks().await.unwrap(), [], "a pin takes the mark back");
    catalog.change_marks(std::slice::from_ref(&mark), &[]).await.unwrap();
    assert_eq!(catalog.list_marks().await.unwrap(), [], "and lets no other be made");
    assert!(!catalog.begin_deletion(backup.id, storage.id).await.unwrap());
    assert_eq!(catalog.list_pins().await.unwrap(), vec![pin.clone()]);
    assert!(catalog.remove_pin(backup.id).await.unwrap());
    assert!(!catalog.remove_pin(backup.id).await.unwrap());
    catalog.change_marks(std::slice::from_ref(&mark), &[]).await.unwrap();
    let later = Mark { cause: MarkCause::Policy, marked: sample.now(), ..mark.clone() };
    catalog.change_marks(&[later], &[]).await.unwrap();
    let marks = catalog.list_marks().await.unwrap();
    assert_eq!((marks[0].marked, marks[0].cause), (mark.marked, MarkCause::Policy), "the first time counts");
    assert!(catalog.begin_deletion(backup.id, storage.id).await.unwrap());
    assert!(!catalog.add_pin(&pin).await.unwrap(), "too late");
}

#[tokio::test]
async fn with_its_last_replica_a_backup_is_forgotten() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let second = sample.storage("/mnt/second");
    catalog.save_storage(&second).await.unwrap();
    let (gone, kept) = (sample.backup(&set, 1), sample.backup(&set, 2));
    for backup in [&gone, &kept] {
        let replicas = [sample.replica(backup, &storage), sample.replica(backup, &second)];
        catalog.record_backup(backup, &replicas).await.unwrap();
    }
    catalog.accept(&[gone.id, kept.id], &[], sample.now()).await.unwrap();
    catalog.forget_replica(gone.id, storage.id).await.unwrap();
    assert_eq!(catalog.list_backups(None).await.unwrap().len(), 2);
    assert_eq!(catalog.list_confirmed_backups().await.unwrap().len(), 2);
    catalog.forget_replica(gone.id, second.id).await.unwrap();
    assert_eq!(catalog.list_backups(None).await.unwrap(), vec![kept.clone()]);
    assert_eq!(catalog.list_replicas().await.unwrap().len(), 2);
    assert_eq!(catalog.replicas(kept.id).await.unwrap().len(), 2);
    assert_eq!(catalog.list_confirmed_backups().await.unwrap(), [kept.id]);
}

#[tokio::test]
async fn what_was_accepted_is_accepted_once_and_of_one_set_alone() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, _) = sample.settle(&catalog).await;
    let exception =
        AcceptedException { set: set.id, kind: "unreadable".to_owned(), subject: b"odd\xff\\name".to_vec() };
    for _ in 0..2 {
        catalog.accept(&[], std::slice::from_ref(&exception), sample.now()).await.unwrap();
    }
    assert_eq!(catalog.list_accepted_exceptions().await.unwrap(), [exception]);
    assert_eq!(catalog.list_confirmed_backups().await.unwrap(), []);
}

#[tokio::test]
async fn a_deletion_that_has_begun_can_be_taken_back() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let here = (backup.id, storage.id);
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    let mark = Mark { backup: here.0, storage: here.1, cause: MarkCause::Policy, marked: sample.now() };
    catalog.change_marks(&[mark], &[]).await.unwrap();
    assert!(catalog.begin_deletion(here.0, here.1).await.unwrap());
    catalog.take_back_deletion(here, ReplicaState::Damaged).await.unwrap();
    assert_eq!(catalog.replicas(backup.id).await.unwrap()[0].state, ReplicaState::Damaged);
    assert_eq!(catalog.list_marks().await.unwrap(), []);
    // One that was not begun stays as it is.
    catalog.take_back_deletion(here, ReplicaState::Present).await.unwrap();
    assert_eq!(catalog.replicas(backup.id).await.unwrap()[0].state, ReplicaState::Damaged);
}

/// Every backup run finds all manifests again: what is known of them beyond that is not forgotten.
#[tokio::test]
async fn a_manifest_that_is_found_again_changes_nothing_that_is_known() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let found = sample.replica(&backup, &storage);
    catalog.record_backup(&backup, std::slice::from_ref(&found)).await.unwrap();
    for (state, stays) in [
        (ReplicaState::Verified, true),
        (ReplicaState::Damaged, true),
        (ReplicaState::Deleting, true),
        (ReplicaState::Lost, false),
        (ReplicaState::Absent, false),
    ] {
        let mut known = found.clone();
        (known.state, known.proof) = (state, Some(Proof::ReadBack));
        catalog.save_replica(&known).await.unwrap();
        catalog.record_backup(&backup, std::slice::from_ref(&found)).await.unwrap();
        let now = catalog.replicas(backup.id).await.unwrap();
        assert_eq!(now, [if stays { known } else { found.clone() }], "{state}");
    }
}

#[tokio::test]
async fn what_was_confirmed_is_forgotten_with_a_rebuild_of_its_storage() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let mut confirmation = Confirmation {
        set: set.id,
        storage: storage.id,
        policy: serde_json::json!({"daily": 7}),
        sequence: 3,
        acted: sample.now(),
        boot_id: None,
        since_boot_ms: None,
    };
    assert_eq!(catalog.confirmation(set.id, storage.id).await.unwrap(), None);
    catalog.save_confirmation(&confirmation).await.unwrap();
    confirmation.sequence = 4;
    (confirmation.boot_id, confirmation.since_boot_ms) = (Some("a boot".to_owned()), Some(77));
    catalog.save_confirmation(&confirmation).await.unwrap();
    assert_eq!(catalog.confirmation(set.id, storage.id).await.unwrap(), Some(confirmation));
    catalog.remove_confirmations(storage.id).await.unwrap();
    assert_eq!(catalog.confirmation(set.id, storage.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_stops_a_deletion_of_the_whole_chain_and_comes_too_late_for_one_that_has_begun() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let parent = sample.backup(&set, 1);
    let mut child = sample.backup(&set, 2);
    child.parent = Some(parent.id);
    for backup in [&parent, &child] {
        catalog.record_backup(backup, &[sample.replica(backup, &storage)]).await.unwrap();
    }
    let marks = [&parent, &child].map(|backup| Mark {
        backup: backup.id,
        storage: storage.id,
        cause: MarkCause::Policy,
        marked: sample.now(),
    });
    catalog.change_marks(&marks, &[]).await.unwrap();
    let (first, second) = (LeaseId::from_parts(1, [1; 10]), LeaseId::from_parts(2, [2; 10]));
    assert!(catalog.take_lease(first, child.id, sample.now()).await.unwrap());
    assert!(catalog.take_lease(second, parent.id, sample.now()).await.unwrap());
    let held: Vec<_> =
        catalog.list_leases().await.unwrap().iter().map(|lease| (lease.id, lease.backup)).collect();
    assert_eq!(held, [(first, parent.id), (first, child.id), (second, parent.id)]);
    for backup in [&parent, &child] {
        assert!(!catalog.begin_deletion(backup.id, storage.id).await.unwrap());
    }
    catalog.release_lease(first).await.unwrap();
    assert!(catalog.begin_deletion(child.id, storage.id).await.unwrap());
    assert!(!catalog.begin_deletion(parent.id, storage.id).await.unwrap(), "the second one still holds it");
    assert!(!catalog.take_lease(first, child.id, sample.now()).await.unwrap(), "too late");
    let left: Vec<Lease> = catalog.list_leases().await.unwrap();
    assert_eq!(left.iter().map(|lease| lease.id).collect::<Vec<_>>(), [second]);
}

/// A check that ends after the deletion brought the row of what is gone back.
#[tokio::test]
async fn a_check_says_nothing_about_what_is_being_deleted_or_gone() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let mut replica = sample.replica(&backup, &storage);
    catalog.record_backup(&backup, std::slice::from_ref(&replica)).await.unwrap();
    (replica.state, replica.proof) = (ReplicaState::Verified, Some(Proof::Drilled));
    assert!(catalog.record_check(&replica).await.unwrap());
    assert_eq!(catalog.replicas(backup.id).await.unwrap(), [replica.clone()]);
    let deleting = crate::Replica { state: ReplicaState::Deleting, ..replica.clone() };
    catalog.save_replica(&deleting).await.unwrap();
    assert!(!catalog.record_check(&replica).await.unwrap());
    assert_eq!(catalog.replicas(backup.id).await.unwrap(), [deleting]);
    catalog.forget_replica(backup.id, storage.id).await.unwrap();
    assert!(!catalog.record_check(&replica).await.unwrap());
    assert_eq!(catalog.list_replicas().await.unwrap(), []);
}

#[tokio::test]
async fn drills_are_kept_as_long_as_their_backup() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    let drill = |number: u8, outcome| Drill {
        run: RunId::from_parts(u64::from(number), [number; 10]),
        backup: backup.id,
        storage: storage.id,
        outcome,
        is_in_part: number == 1,
        finished: sample.now(),
        elapsed_ms: 400_000,
    };
    let drills = [drill(1, Outcome::Failed), drill(2, Outcome::Success)];
    for drill in &drills {
        catalog.add_drill(drill).await.unwrap();
    }
    assert_eq!(catalog.list_drills().await.unwrap(), drills);
    catalog.forget_replica(backup.id, storage.id).await.unwrap();
    assert_eq!(catalog.list_drills().await.unwrap(), []);
    catalog.add_drill(&drills[0]).await.unwrap();
    assert_eq!(catalog.list_drills().await.unwrap(), [], "a drill of a backup that is gone is not kept");
}
