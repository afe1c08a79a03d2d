//! F113: a lost catalog is made again from what the storages hold, and the export shows that nothing is missing.

use backstock_vocabulary::{Outcome, ReplicaState};

use super::sample::{Sample, Scratch};
use crate::{Backup, Replica, Storage};

#[tokio::test]
async fn f113_a_rebuilt_catalog_exports_the_same() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (shop, set, storage) = sample.settle(&catalog).await;
    let second = sample.storage("/mnt/second");
    catalog.save_storage(&second).await.unwrap();
    let recorded: Vec<(Backup, Vec<Replica>)> = (1..=2_000)
        .map(|sequence| {
            let backup = sample.backup(&set, sequence);
            let replicas = vec![sample.replica(&backup, &storage), sample.replica(&backup, &second)];
            (backup, replicas)
        })
        .collect();
    assert_eq!(catalog.record_backups(&recorded).await.unwrap(), 2_000);
    let problem = crate::Problem {
        run: recorded[3].0.run,
        backup: Some(recorded[3].0.id),
        kind: "unreadable".into(),
        severity: crate::Severity::Exception,
        subject: b"image/\xff.jpg".to_vec(),
        message: "permission denied".into(),
    };
    // The run that met it is not on record: so it is after a rebuild.
    catalog.record_problems(problem.run, std::slice::from_ref(&problem)).await.unwrap();
    // History and what is known beyond the storages: not part of what a rebuild must bring back.
    let run = sample.run(&set);
    catalog.start_run(&run, &[]).await.unwrap();
    catalog.finish_run(run.id, &sample.end(Outcome::Success)).await.unwrap();
    let mut looked_at = recorded[0].1[0].clone();
    looked_at.state = ReplicaState::Verified;
    catalog.save_replica(&looked_at).await.unwrap();
    let before = catalog.export().await.unwrap();
    catalog.close().await;
    std::fs::remove_file(scratch.path()).unwrap();

    let rebuilt = scratch.open().await;
    assert_eq!(rebuilt.list_backups(None).await.unwrap(), []);
    rebuilt.save_shop(&crate::Shop { created: sample.now(), ..shop }).await.unwrap();
    rebuilt.save_set(&crate::Set { definition: serde_json::json!({}), ..set }).await.unwrap();
    let fresh = [(&storage, "first"), (&second, "second")].map(|(known, title)| Storage {
        settings: known.settings.clone(),
        title: title.into(),
        ..sample.storage("/new")
    });
    for storage in &fresh {
        rebuilt.save_storage(storage).await.unwrap();
    }
    let found: Vec<(Backup, Vec<Replica>)> = recorded
        .iter()
        .rev()
        .map(|(backup, _)| {
            (backup.clone(), fresh.iter().map(|storage| sample.replica(backup, storage)).collect())
        })
        .collect();
    assert_eq!(rebuilt.record_backups(&found).await.unwrap(), 2_000);
    assert_eq!(rebuilt.record_backups(&found).await.unwrap(), 0, "a second rebuild finds nothing new");
    rebuilt.record_problems(problem.run, std::slice::from_ref(&problem)).await.unwrap();
    assert_eq!(rebuilt.export().await.unwrap(), before);
    assert_eq!(before.problems.len(), 1);

    // The comparison can fail: one replica less, or one field of one backup, is seen.
    let mut lost = found[7].1[1].clone();
    lost.state = ReplicaState::Lost;
    rebuilt.save_replica(&lost).await.unwrap();
    let after = rebuilt.export().await.unwrap();
    assert_eq!(after.backups, before.backups);
    assert_eq!(after.replicas.len(), before.replicas.len() - 1);
}
