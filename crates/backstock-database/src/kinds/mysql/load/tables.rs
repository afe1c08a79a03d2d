//! The tables of a load over several connections: each takes the next step that is free, until every table is whole.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use backstock_host::failpoint;

use super::super::ddl::{self, ItemKind};
use super::concession;
use super::presence::CONNECTIONS;
use super::queue::{Job, Outcome, Queue, Step, Way};
use super::table::{Loading, Target};
use crate::Connection;
use crate::error::{Error, Result};
use crate::load::LoadedTable;
use crate::record::Contents;

/// The account or the server has no connection to spare.
const ERRORS_NO_CONNECTION: [u16; 3] = [1040, 1203, 1226];

/// `innodb_autoinc_lock_mode` in which no statement keeps a table's numbers to itself.
const NUMBERS_INTERLEAVED: &[u8] = b"2";

/// A loaded table and what the report says of it.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) table: Option<LoadedTable>,
    /// What its definition gave up.
    conceded: Vec<String>,
    lines: Vec<String>,
}

impl Loaded {
    /// The lines of the report.
    pub(super) fn lines(&mut self) -> impl Iterator<Item = String> {
        self.conceded.drain(..).chain(self.lines.drain(..))
    }
}

/// What the connections share.
struct Crew<'a> {
    loading: &'a Loading<'a>,
    targets: &'a [Target<'a>],
    queue: Queue,
    loaded: Vec<Mutex<Loaded>>,
    failed: Mutex<Option<Error>>,
}

/// Makes one table over one connection.
pub(super) fn load_one(
    loading: &Loading<'_>,
    connection: &mut Connection,
    target: Target<'_>,
) -> Result<Loaded> {
    let targets = [target];
    let crew = Crew::new(loading, connection, &targets)?;
    crew.work(connection);
    Ok(crew.finish()?.pop().unwrap_or_default())
}

/// Makes all tables, the largest first. The first error ends it. The results stand in the order of the targets, which
/// are put into that of the work.
pub(super) fn load_all(
    loading: &Loading<'_>,
    connection: &mut Connection,
    mut targets: Vec<Target<'_>>,
) -> Result<Vec<Loaded>> {
    targets.sort_by_key(|target| std::cmp::Reverse(target.record.estimated_bytes));
    let crew = Crew::new(loading, connection, &targets)?;
    let others = CONNECTIONS.min(targets.len()).saturating_sub(1);
    thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|| match loading.open() {
                Ok(mut connection) => crew.work(&mut connection),
                // With fewer it takes longer.
                Err(error) if error.code().is_some_and(|code| ERRORS_NO_CONNECTION.contains(&code)) => {}
                Err(error) => crew.fail(error),
            });
        }
        crew.work(connection);
    });
    crew.finish()
}

impl<'a> Crew<'a> {
    fn new(loading: &'a Loading<'a>, connection: &mut Connection, targets: &'a [Target<'a>]) -> Result<Self> {
        let numbers = connection.query(b"SELECT @@innodb_autoinc_lock_mode, @@local_infile")?;
        let [mode, local] = [0, 1].map(|at| numbers.rows.first().and_then(|row| row.get(at)?.as_deref()));
        // A LOAD DATA would wait for the other's whole statement.
        let numbers_alone = mode != Some(NUMBERS_INTERLEAVED) && local == Some(b"1");
        let jobs = targets.iter().map(|target| Job {
            concessions: concession::agreed(loading.plan, target.table),
            ..job_of(target, numbers_alone)
        });
        let loaded = |target: &Target<'_>| {
            let agreed = concession::agreed_line(concession::agreed(loading.plan, target.table));
            let conceded = agreed.map(|line| target.line(line)).into_iter().collect();
            Mutex::new(Loaded { conceded, ..Loaded::default() })
        };
        Ok(Self {
            loading,
            targets,
            queue: Queue::new(jobs),
            loaded: targets.iter().map(loaded).collect(),
            failed: Mutex::default(),
        })
    }

    fn fail(&self, error: Error) {
        lock(&self.failed).get_or_insert(error);
        self.queue.stop();
    }

    fn finish(self) -> Result<Vec<Loaded>> {
        let inner = |mutex: Mutex<Loaded>| mutex.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.loaded.into_iter().map(inner).collect()),
        }
    }

    /// Takes steps until there are none.
    fn work(&self, connection: &mut Connection) {
        // A panic must not leave the others waiting.
        let _stop = StopAtEnd(&self.queue);
        while let Some((at, step, way)) = self.queue.take() {
            let done = self.loading.check_stop().and_then(|()| self.step(connection, at, &step, way));
            match done {
                Ok(outcome) => self.queue.done(at, outcome),
                Err(error) => return self.fail(error),
            }
        }
    }

    /// One step of one table.
    fn step(&self, connection: &mut Connection, at: usize, step: &Step, way: Way) -> Result<Outcome> {
        let (loading, target) = (self.loading, &self.targets[at]);
        let mut lines = Vec::new();
        let outcome = match step {
            Step::Make => reach("load.table").and_then(|()| self.make(connection, at, way, &mut lines)),
            Step::Rows(frames) => reach("load.rows").and_then(|()| {
                let exact = loading.fill(connection, target, frames.clone(), way.by_inserts, &mut lines)?;
                if !exact {
                    self.queue.no_bulk(at);
                    loading
                        .monitor
                        .note(&target.line("rows go in by INSERT, since LOAD DATA takes not all of them"));
                }
                Ok(Outcome::Done)
            }),
            Step::Keys => reach("load.keys").and_then(|()| {
                loading.add_keys(connection, target, way.concessions, &mut lines).map(|()| Outcome::Done)
            }),
            Step::Check => reach("load.check").and_then(|()| self.check(connection, at, way, &mut lines)),
        };
        if *step != Step::Check
            && let Some(way) = self.concede(at, way, &outcome, &lines)
        {
            return Ok(Outcome::Again(way));
        }
        lock(&self.loaded[at]).lines.append(&mut lines);
        outcome
    }

    /// How to make a table once more, where the server does not take it as it is.
    fn concede(&self, at: usize, way: Way, outcome: &Result<Outcome>, told: &[String]) -> Option<Way> {
        let target = &self.targets[at];
        let (concessions, why) =
            concession::next(way.concessions, outcome.as_ref().err(), told, target.record)?;
        let line = target.line(why);
        let mut loaded = lock(&self.loaded[at]);
        if !loaded.conceded.contains(&line) {
            loaded.conceded.push(line);
        }
        Some(Way { concessions, ..way })
    }

    fn make(
        &self,
        connection: &mut Connection,
        at: usize,
        way: Way,
        lines: &mut Vec<String>,
    ) -> Result<Outcome> {
        let target = &self.targets[at];
        if !way.anew {
            self.loading.monitor.table_started(&target.table.name, target.record.row_count);
            let found = if target.present { self.loading.verified(connection, target)? } else { None };
            if let Some(found) = found {
                return Ok(self.whole(at, found));
            }
        }
        // Those of an attempt that came to nothing.
        lock(&self.loaded[at]).lines.clear();
        self.loading.make(connection, target, way, lines).map(|()| Outcome::Done)
    }

    fn check(
        &self,
        connection: &mut Connection,
        at: usize,
        way: Way,
        lines: &mut Vec<String>,
    ) -> Result<Outcome> {
        let target = &self.targets[at];
        match self.loading.check(connection, target, way.concessions, lines) {
            Ok(found) => Ok(self.whole(at, found)),
            Err(Error::NotEqual { what, .. }) if !way.by_inserts && self.loading.takes_bulk(target) => {
                let what = format!("{what}: once more, by INSERT");
                self.loading.monitor.note(&target.line(what));
                Ok(Outcome::Again(Way { by_inserts: true, ..way }))
            }
            Err(error) => Err(error),
        }
    }

    fn whole(&self, at: usize, found: LoadedTable) -> Outcome {
        self.loading.monitor.table_finished(&found.name, found.row_count);
        lock(&self.loaded[at]).table = Some(found);
        Outcome::Whole
    }
}

/// What the queue has to know of a table.
fn job_of(target: &Target<'_>, numbers_alone: bool) -> Job {
    let record = target.record;
    let engine = record.engine.to_ascii_uppercase();
    let items = ddl::spans(&record.definition).map(|spans| spans.items).unwrap_or_default();
    let has_key = items.iter().any(|item| item.kind == ItemKind::PrimaryKey);
    let numbers = items.iter().any(|item| matches!(item.kind, ItemKind::Column { auto_increment: true, .. }));
    Job {
        frames: if record.contents == Contents::Included { record.frames.len() } else { 0 },
        // Without a key, rows keep the order in which they come; what others wrote may leave it to the server to
        // number them.
        shared: target.record.is_transactional()
            && has_key
            && record.foreign.is_none()
            && !(numbers && numbers_alone),
        // MERGE tables come after their parts.
        last: engine.contains("MERGE") || engine == "MRG_MYISAM",
        ..Job::default()
    }
}

struct StopAtEnd<'a>(&'a Queue);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place where tests can kill the process.
pub(super) fn reach(point: &str) -> Result<()> {
    failpoint::reach(point).map_err(|source| Error::System { act: format!("go on at {point}"), source })
}
