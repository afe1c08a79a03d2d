//! Which runs are forgotten, and which are not.

use std::collections::HashSet;

use backstock_vocabulary::{Outcome, RunKind};
use jiff::SignedDuration;

use super::sample::{Sample, Scratch};
use crate::{Catalog, Problem, Run, Set, Severity};

async fn ended(catalog: &Catalog, sample: &Sample, set: &Set, kind: RunKind, outcome: Outcome) -> Run {
    let run = Run { kind, ..sample.run(set) };
    catalog.start_run(&run, &[]).await.unwrap();
    catalog.finish_run(run.id, &sample.end(outcome)).await.unwrap();
    run
}

#[tokio::test]
async fn old_runs_go_in_batches_unless_something_needs_them() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let made = ended(&catalog, &sample, &set, RunKind::Backup, Outcome::Success).await;
    let backup = crate::Backup { run: made.id, ..sample.backup(&set, 1) };
    catalog.record_backup(&backup, &[sample.replica(&backup, &storage)]).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..7 {
        idle.push(ended(&catalog, &sample, &set, RunKind::Verify, Outcome::Success).await);
    }
    let failed = ended(&catalog, &sample, &set, RunKind::Backup, Outcome::Failed).await;
    let open = sample.run(&set);
    catalog.start_run(&open, &[]).await.unwrap();
    let last = ended(&catalog, &sample, &set, RunKind::Backup, Outcome::Success).await;
    let line = |run: &Run, backup| Problem {
        run: run.id,
        backup,
        kind: "vanished".into(),
        severity: Severity::Note,
        subject: b"page".to_vec(),
        message: "it went away".into(),
    };
    catalog.record_problems(made.id, &[line(&made, Some(backup.id))]).await.unwrap();
    catalog.record_problems(idle[0].id, &[line(&idle[0], None)]).await.unwrap();
    let needed = HashSet::from([idle[1].id]);
    let begin = idle[0].started;
    assert_eq!(catalog.forget_old_runs(begin, &needed, 500).await.unwrap(), 0, "nothing is that old");
    let later = sample.now().checked_add(SignedDuration::from_hours(24)).unwrap();
    assert_eq!(catalog.forget_old_runs(later, &needed, 2).await.unwrap(), 2);
    assert_eq!(catalog.forget_old_runs(later, &needed, 500).await.unwrap(), 3);
    assert_eq!(catalog.forget_old_runs(later, &needed, 500).await.unwrap(), 0);
    let kept: Vec<_> = catalog.list_runs(None, 100).await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(kept, [last.id, open.id, failed.id, idle[6].id, idle[1].id, made.id]);
    assert_eq!(catalog.problems_of_run(idle[0].id).await.unwrap(), []);
    assert_eq!(catalog.problems_of_run(made.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_chore_remembers_when_it_was_done() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    assert_eq!(catalog.chore_done("sweep").await.unwrap(), None);
    for _ in 0..2 {
        let now = sample.now();
        catalog.record_chore("sweep", now).await.unwrap();
        assert_eq!(catalog.chore_done("sweep").await.unwrap(), Some(now));
    }
    assert_eq!(catalog.chore_done("wash").await.unwrap(), None);
}

/// What an export tells of another catalog's runs is recorded once, and never takes the place of what is known.
#[tokio::test]
async fn history_of_before_is_recorded_once() {
    let (scratch, sample) = (Scratch::new(), Sample::new(2));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let known = ended(&catalog, &sample, &set, RunKind::Verify, Outcome::Success).await;
    let of_before = Run { outcome: Outcome::Failed, error: Some("away".to_owned()), ..sample.run(&set) };
    let told = crate::RunDestination {
        storage: Some(storage.id),
        title: "disk".to_owned(),
        kind: "local".to_owned(),
        status: Outcome::Failed,
        message: "away".to_owned(),
    };
    let going_on = sample.run(&set);
    let changed = Run { outcome: Outcome::Failed, ..known.clone() };
    let runs = [(of_before.clone(), vec![told]), (going_on.clone(), vec![]), (changed, vec![])];
    assert_eq!(catalog.import_runs(&runs).await.unwrap(), 1);
    assert_eq!(catalog.import_runs(&runs).await.unwrap(), 0, "once");
    let found = catalog.find_run(of_before.id).await.unwrap().unwrap();
    assert_eq!(
        (found.outcome, found.error.as_deref(), found.set),
        (Outcome::Failed, Some("away"), Some(set.id))
    );
    let destinations = catalog.run_destinations(of_before.id).await.unwrap();
    assert_eq!((destinations.len(), destinations[0].storage), (1, None), "that storage is another's");
    assert_eq!(catalog.find_run(known.id).await.unwrap().unwrap().outcome, Outcome::Success);
    assert!(catalog.find_run(going_on.id).await.unwrap().is_none(), "one that had not ended");
}
