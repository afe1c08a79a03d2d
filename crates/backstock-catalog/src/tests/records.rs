//! What is written comes back, also from another connection; repeating changes nothing.

use backstock_vocabulary::{ArtifactKind, Outcome, ReplicaState, RunId};

use super::sample::{Sample, Scratch};
use crate::{Error, PROBLEMS_PER_RUN_LIMIT, Problem, RunArtifact, RunDestination, Severity};

#[tokio::test]
async fn a_shop_keeps_its_identifier_and_gets_its_news() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let first = catalog.upsert_shop_by_root(&sample.shop(b"/srv/caf\xe9 \\x")).await.unwrap();
    let mut news = sample.shop(b"/srv/caf\xe9 \\x");
    news.title = "Teapots".into();
    let second = catalog.upsert_shop_by_root(&news).await.unwrap();
    assert_eq!((second.id, second.created, second.title.as_str()), (first.id, first.created, "Teapots"));
    let catalog = scratch.open().await;
    assert_eq!(catalog.find_shop_by_root(b"/srv/caf\xe9 \\x").await.unwrap(), Some(second.clone()));
    assert_eq!(catalog.find_shop_by_root(b"/srv/caf").await.unwrap(), None);
    assert_eq!(catalog.find_shop(first.id).await.unwrap(), Some(second));
}

#[tokio::test]
async fn a_shop_may_move_but_not_onto_another() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (mut one, two) = (sample.shop(b"/srv/one"), sample.shop(b"/srv/two"));
    catalog.save_shop(&one).await.unwrap();
    catalog.save_shop(&two).await.unwrap();
    one.root = two.root.clone();
    let error = catalog.save_shop(&one).await.unwrap_err();
    assert!(matches!(&error, Error::RootTaken { owner, .. } if *owner == two.id), "{error}");
    one.root = Some(b"/srv/three".to_vec());
    catalog.save_shop(&one).await.unwrap();
    one.root = None;
    catalog.save_shop(&one).await.unwrap();
    let unknown = crate::Shop { root: None, ..sample.shop(b"") };
    catalog.save_shop(&unknown).await.unwrap();
    assert_eq!(catalog.list_shops().await.unwrap(), [one, two, unknown]);
}

#[tokio::test]
async fn secrets_are_renewed_only_in_the_place_of_those_that_were_seen() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let storage = crate::Storage { sealed_secrets: None, ..sample.storage("/one") };
    let other = crate::Storage { sealed_secrets: None, ..sample.storage("/two") };
    for storage in [&storage, &other] {
        catalog.save_storage(storage).await.unwrap();
    }
    assert!(!catalog.renew_secrets(storage.id, Some("a"), Some("b")).await.unwrap());
    assert!(catalog.renew_secrets(storage.id, None, Some("a")).await.unwrap());
    assert!(!catalog.renew_secrets(storage.id, None, Some("b")).await.unwrap());
    assert!(catalog.renew_secrets(storage.id, Some("a"), Some("b")).await.unwrap());
    let catalog = scratch.open().await;
    let kept = catalog.find_storage(storage.id).await.unwrap().unwrap();
    assert_eq!(kept, crate::Storage { sealed_secrets: Some("b".into()), ..storage });
    assert_eq!(catalog.find_storage(other.id).await.unwrap(), Some(other));
}

#[tokio::test]
async fn sets_and_storages_are_found_before_they_are_added() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (shop, mut set, mut storage) = sample.settle(&catalog).await;
    assert_eq!(catalog.find_or_add_set(&sample.set(&shop, "default")).await.unwrap(), set);
    let other = catalog.find_or_add_set(&sample.set(&shop, "nightly")).await.unwrap();
    assert_ne!(other.id, set.id);
    set.definition = serde_json::json!({"keep": 3});
    catalog.save_set(&set).await.unwrap();
    assert_eq!(catalog.list_sets(shop.id).await.unwrap(), [set.clone(), other]);
    assert_eq!(catalog.find_set(set.id).await.unwrap(), Some(set));

    let same_place = crate::Storage { settings: storage.settings.clone(), ..sample.storage("/x") };
    assert_eq!(catalog.find_or_add_storage(&same_place).await.unwrap(), storage);
    let elsewhere = sample.storage("/elsewhere");
    assert_eq!(catalog.find_or_add_storage(&elsewhere).await.unwrap(), elsewhere);
    let same_title = crate::Storage { title: elsewhere.title.clone(), ..sample.storage("/third") };
    let third = catalog.find_or_add_storage(&same_title).await.unwrap();
    assert_eq!(third.title, format!("Folder /elsewhere ({})", third.id.short()));
    storage.title = "Attic".into();
    catalog.save_storage(&storage).await.unwrap();
    assert_eq!(catalog.find_storage_by_title("Attic").await.unwrap(), Some(storage.clone()));
    assert_eq!(catalog.list_storages().await.unwrap(), [storage, elsewhere, third]);
}

/// The run log as shop owners know it: status, start, end, seconds, files, a row for each destination, the error, and
/// the set's title as it was at the time.
#[tokio::test]
async fn a_run_is_logged_with_all_that_a_log_shows() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (shop, mut set, storage) = sample.settle(&catalog).await;
    let run = sample.run(&set);
    catalog.start_run(&run, &[sample.destination(&storage, Outcome::Pending)]).await.unwrap();
    assert_eq!(catalog.unfinished_runs().await.unwrap(), std::slice::from_ref(&run));
    set.title = "renamed".into();
    catalog.save_set(&set).await.unwrap();

    let mut end = sample.end(Outcome::Partial);
    let gone = RunDestination {
        storage: None,
        title: "Unknown".into(),
        kind: "s3".into(),
        status: Outcome::Failed,
        message: "there is no storage with this identifier".into(),
    };
    end.destinations = vec![sample.destination(&storage, Outcome::Success), gone];
    end.error = Some("one destination failed".into());
    end.artifacts = vec![
        RunArtifact { kind: ArtifactKind::Database, name: "db/db.sql.zst".into(), size_bytes: 7, parts: 1 },
        RunArtifact {
            kind: ArtifactKind::Files,
            name: "files/files.tar.zst".into(),
            size_bytes: 9,
            parts: 2,
        },
    ];
    catalog.finish_run(run.id, &end).await.unwrap();
    catalog.finish_run(run.id, &end).await.unwrap();

    let seen = catalog.find_run(run.id).await.unwrap().unwrap();
    assert!(seen.is_over() && !run.is_over());
    assert_eq!((seen.outcome, seen.set_title.as_str()), (Outcome::Partial, "default"));
    assert_eq!((seen.finished, seen.elapsed_ms), (Some(end.finished), Some(1500)));
    assert_eq!((seen.error, seen.detail), (end.error.clone(), end.detail.clone()));
    assert_eq!(catalog.run_destinations(run.id).await.unwrap(), end.destinations);
    assert_eq!(catalog.run_artifacts(run.id).await.unwrap(), end.artifacts);
    assert_eq!(catalog.unfinished_runs().await.unwrap(), []);
    let later = sample.run(&set);
    catalog.start_run(&later, &[]).await.unwrap();
    let ids = |runs: Vec<crate::Run>| runs.into_iter().map(|run| run.id).collect::<Vec<RunId>>();
    assert_eq!(ids(catalog.list_runs(Some(shop.id), 9).await.unwrap()), [later.id, run.id]);
    assert_eq!(ids(catalog.list_runs(None, 1).await.unwrap()), [later.id]);
    assert_eq!(ids(catalog.list_runs(Some(sample.shop(b"/x").id), 9).await.unwrap()), []);
}

/// F109: a process that was taken for dead and wakes up cannot overwrite the record of its interruption.
#[tokio::test]
async fn f109_a_run_that_was_closed_stays_closed() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let run = sample.run(&set);
    let destinations =
        [sample.destination(&storage, Outcome::Success), sample.destination(&storage, Outcome::Running)];
    catalog.start_run(&run, &destinations).await.unwrap();
    assert!(catalog.mark_interrupted(run.id, sample.now(), "its process died").await.unwrap());
    assert!(!catalog.mark_interrupted(run.id, sample.now(), "again").await.unwrap());
    let error = catalog.finish_run(run.id, &sample.end(Outcome::Success)).await.unwrap_err();
    assert!(matches!(error, Error::RunOver { outcome: Outcome::Interrupted, .. }), "{error}");
    let seen = catalog.find_run(run.id).await.unwrap().unwrap();
    assert_eq!((seen.outcome, seen.error.as_deref()), (Outcome::Interrupted, Some("its process died")));
    let seen = catalog.run_destinations(run.id).await.unwrap();
    assert_eq!([seen[0].status, seen[1].status], [Outcome::Success, Outcome::Interrupted]);
    let unknown = sample.run(&set).id;
    let error = catalog.finish_run(unknown, &sample.end(Outcome::Failed)).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchRun { id } if id == unknown), "{error}");
}

#[tokio::test]
async fn a_backup_is_recorded_once_and_its_replicas_are_kept_up_to_date() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let mut replica = sample.replica(&backup, &storage);
    assert!(catalog.record_backup(&backup, std::slice::from_ref(&replica)).await.unwrap());
    replica.state = ReplicaState::Verified;
    assert!(!catalog.record_backup(&backup, std::slice::from_ref(&replica)).await.unwrap());
    assert_eq!(catalog.replicas(backup.id).await.unwrap(), [replica.clone()]);
    (replica.state, replica.proof, replica.checked) = (ReplicaState::Lost, None, None);
    catalog.save_replica(&replica).await.unwrap();
    assert_eq!(catalog.list_replicas().await.unwrap(), [replica.clone()]);

    let mut forged = backup.clone();
    forged.manifest_hash = "f".repeat(64);
    replica.state = ReplicaState::Present;
    let error = catalog.record_backup(&forged, &[replica]).await.unwrap_err();
    assert!(matches!(error, Error::DifferentBackup { id, .. } if id == backup.id), "{error}");
    assert_eq!(catalog.replicas(backup.id).await.unwrap()[0].state, ReplicaState::Lost);
    assert_eq!(catalog.list_backups(None).await.unwrap(), [backup]);
}

#[tokio::test]
async fn a_backup_of_an_unknown_shop_is_refused_as_a_whole() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, _) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let unknown = sample.replica(&backup, &sample.storage("/unknown"));
    let error = catalog.record_backup(&backup, &[unknown]).await.unwrap_err();
    assert!(matches!(error, Error::Statement { .. }), "{error}");
    assert_eq!(catalog.list_backups(None).await.unwrap(), []);
}

#[tokio::test]
async fn problems_keep_their_order_and_their_limit() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, _) = sample.settle(&catalog).await;
    let (run, backup) = (sample.run(&set), sample.backup(&set, 1));
    catalog.start_run(&run, &[]).await.unwrap();
    let problem = |number: usize, severity| Problem {
        run: run.id,
        backup: Some(backup.id),
        kind: "unreadable".into(),
        severity,
        subject: [b"image/\xff\n".as_slice(), number.to_string().as_bytes()].concat(),
        message: "permission denied".into(),
    };
    let few: Vec<_> = (0..3).map(|number| problem(number, Severity::Note)).collect();
    catalog.record_problems(run.id, &few).await.unwrap();
    assert_eq!(catalog.problems_of_run(run.id).await.unwrap(), few);
    let many: Vec<_> = (3..2000)
        .map(|number| problem(number, if number == 1999 { Severity::Exception } else { Severity::Note }))
        .collect();
    catalog.record_problems(run.id, &many).await.unwrap();
    catalog.record_problems(run.id, &[]).await.unwrap();
    let seen = catalog.problems_of_backup(backup.id).await.unwrap();
    assert_eq!(seen.len(), PROBLEMS_PER_RUN_LIMIT + 1);
    assert!(seen.contains(&many[1996]), "an exception gave way to a note");
    let last = &seen[PROBLEMS_PER_RUN_LIMIT];
    assert_eq!((last.kind.as_str(), last.severity), ("more", Severity::Note));
    assert!(last.message.starts_with("1000 more, 0 of them exceptions"), "{}", last.message);
}
