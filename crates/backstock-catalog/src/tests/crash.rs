//! Processes that are killed, and processes that write at once: real ones, each this test program again.

use std::future::poll_fn;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use backstock_vocabulary::{Outcome, RunId};

use super::sample::{Sample, Scratch};
use crate::{Catalog, RunArtifact};

const CHILD_PATH: &str = "BACKSTOCK_CATALOG_TEST_PATH";
const CHILD_SEED: &str = "BACKSTOCK_CATALOG_TEST_SEED";
const CHILD_RUNS: &str = "BACKSTOCK_CATALOG_TEST_RUNS";
/// Each run has so many destinations and artifacts, before its end and after it.
const ROWS: [usize; 2] = [2, 3];

/// Starts a process that records runs and names each on its output once it is recorded.
fn start_writer(test: &str, path: &Path, seed: u64, runs: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tests::crash::{test}"), "--nocapture", "--quiet"])
        .env(CHILD_PATH, path)
        .env(CHILD_SEED, seed.to_string())
        .env(CHILD_RUNS, runs.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The writer's work, in the process that was started for it; `false` in any other.
async fn wrote_as_child() -> bool {
    let Some(path) = std::env::var_os(CHILD_PATH) else { return false };
    let number = |name| std::env::var(name).unwrap().parse().unwrap();
    let catalog = Catalog::open(&backstock_host::Host::real(), Path::new(&path)).await.unwrap();
    let sample = Sample::new(number(CHILD_SEED));
    let shop = catalog.upsert_shop_by_root(&sample.shop(b"/srv/candles")).await.unwrap();
    let set = catalog.find_or_add_set(&sample.set(&shop, "default")).await.unwrap();
    let storage = catalog.find_or_add_storage(&sample.storage("/backups")).await.unwrap();
    for _ in 0..number(CHILD_RUNS) {
        let run = sample.run(&set);
        let destination = sample.destination(&storage, Outcome::Running);
        catalog.start_run(&run, &vec![destination.clone(); ROWS[0]]).await.unwrap();
        println!("\nstarted {}", run.id);
        let mut end = sample.end(Outcome::Success);
        end.destinations = vec![destination; ROWS[1]];
        let kind = backstock_vocabulary::ArtifactKind::Database;
        end.artifacts = vec![RunArtifact { kind, name: "db".into(), size_bytes: 1, parts: 1 }; ROWS[1]];
        catalog.finish_run(run.id, &end).await.unwrap();
        println!("\nfinished {}", run.id);
    }
    true
}

/// The runs that a writer said it has recorded, and how far, until it was killed after `lines` of them.
fn heard(mut child: Child, kill_after: Option<(usize, Duration)>) -> Vec<(bool, RunId)> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = Vec::new();
    let parse = |line: &str| {
        let (word, id) = line.split_once(' ')?;
        Some((word == "finished", id.parse::<RunId>().ok()?))
    };
    while let Some(Ok(line)) = lines.next() {
        heard.extend(parse(&line));
        if let Some((count, delay)) = kill_after
            && heard.len() == count
        {
            std::thread::sleep(delay);
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    match kill_after {
        None => assert!(status.success(), "{status}"),
        Some((count, _)) => {
            assert!(heard.len() >= count && !status.success(), "{} heard, {status}", heard.len());
        }
    }
    heard
}

async fn check(catalog: &Catalog, heard: &[(bool, RunId)]) {
    let sound = sqlx::query("PRAGMA integrity_check").fetch_one(catalog.pool()).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&sound, 0), "ok");
    for (is_finished, id) in heard {
        let run = catalog.find_run(*id).await.unwrap().expect("a run that was recorded is gone");
        assert!(run.is_over() || !is_finished, "the end of a run is gone");
    }
    for run in catalog.list_runs(None, u32::MAX).await.unwrap() {
        let destinations = catalog.run_destinations(run.id).await.unwrap().len();
        let artifacts = catalog.run_artifacts(run.id).await.unwrap().len();
        let whole = if run.is_over() { (ROWS[1], ROWS[1]) } else { (ROWS[0], 0) };
        assert_eq!((destinations, artifacts), whole, "half a transaction is there");
    }
}

/// F01, F14: kill -9 at moments spread over the work: nothing that was recorded is lost, nothing is there by halves,
/// the next process writes at once.
#[tokio::test]
async fn f01_f14_a_killed_writer_loses_nothing_and_blocks_no_one() {
    if wrote_as_child().await {
        return;
    }
    let scratch = Scratch::new();
    let mut heard_in_all = Vec::new();
    for round in 0..12_u32 {
        let test = "f01_f14_a_killed_writer_loses_nothing_and_blocks_no_one";
        let child = start_writer(test, &scratch.path(), u64::from(round), 100_000);
        let kill_after = (1 + round as usize * 3, Duration::from_micros(u64::from(round) * 700));
        heard_in_all.extend(heard(child, Some(kill_after)));
        let catalog = scratch.open().await;
        check(&catalog, &heard_in_all).await;
        for run in catalog.unfinished_runs().await.unwrap() {
            let now = Sample::new(0).now();
            assert!(catalog.mark_interrupted(run.id, now, "killed").await.unwrap());
            let end = Sample::new(0).end(Outcome::Success);
            assert!(catalog.finish_run(run.id, &end).await.is_err());
            sqlx::query("DELETE FROM runs").execute(catalog.pool()).await.unwrap();
            heard_in_all.clear();
        }
        catalog.close().await;
    }
}

#[tokio::test]
async fn several_processes_write_at_once_and_none_loses_a_run() {
    if wrote_as_child().await {
        return;
    }
    let scratch = Scratch::new();
    let test = "several_processes_write_at_once_and_none_loses_a_run";
    let children = [1, 2, 3].map(|seed| start_writer(test, &scratch.path(), seed, 60));
    let all: Vec<_> = children.into_iter().flat_map(|child| heard(child, None)).collect();
    let catalog = scratch.open().await;
    check(&catalog, &all).await;
    let runs = catalog.list_runs(None, u32::MAX).await.unwrap();
    assert_eq!((runs.len(), all.len()), (180, 360));
    assert!(runs.iter().all(crate::Run::is_over));
    assert_eq!(
        (catalog.list_shops().await.unwrap().len(), catalog.list_storages().await.unwrap().len()),
        (1, 1)
    );
}

/// What a call comes to that is dropped if it has not ended after being polled so many times.
async fn polled<F: Future>(call: F, polls: u32) -> Option<F::Output> {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn what_is_dropped_before_its_end_has_not_happened() {
    let (scratch, sample) = (Scratch::new(), Sample::new(1));
    let catalog = scratch.open().await;
    let (_, set, storage) = sample.settle(&catalog).await;
    let backup = sample.backup(&set, 1);
    let replica = sample.replica(&backup, &storage);
    let (mut done, mut dropped) = (0, 0);
    for round in 0..100 {
        let call = catalog.record_backup(&backup, std::slice::from_ref(&replica));
        match polled(call, 1 + round % 8).await {
            Some(result) => done += usize::from(result.is_ok()),
            None => dropped += 1,
        }
        // Both in one look: a commit that was under way when the call was dropped may still arrive.
        let seen = catalog.export().await.unwrap();
        assert_eq!(seen.backups.len(), seen.replicas.len());
        let mut transaction = catalog.write("clean up").await.unwrap();
        sqlx::query("DELETE FROM replicas").execute(&mut *transaction).await.unwrap();
        sqlx::query("DELETE FROM backups").execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    assert!(done + dropped == 100 && dropped > 0, "{done} done, {dropped} dropped");
}
