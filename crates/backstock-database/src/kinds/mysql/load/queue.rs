//! Who does what next: the tables of a load as steps that several connections take, the largest table first, so that
//! the longest chain of steps never waits for a shorter one.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::super::ddl::Concessions;

/// How many frames of one table a connection takes at a time, while several load it: neighbours in key order.
const FRAMES_AT_A_TIME: usize = 4;

/// What is known of a table beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Job {
    /// Its frames of rows.
    pub(super) frames: usize,
    /// Whether several connections may fill it at the same time.
    pub(super) shared: bool,
    /// Whether all other tables come before it.
    pub(super) last: bool,
    /// What its definition gives up before anything was tried.
    pub(super) concessions: Concessions,
}

/// How a table is made; changed when a first try shows that it cannot be made so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Way {
    /// Rows go in by INSERT only.
    pub(super) by_inserts: bool,
    /// What its definition gives up.
    pub(super) concessions: Concessions,
    /// Whether what an earlier attempt left may be kept.
    pub(super) anew: bool,
}

/// A piece of work on the table of this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the empty table, or prove that it is whole.
    Make,
    /// Load these of its frames.
    Rows(Range<usize>),
    /// Add its keys.
    Keys,
    /// Read it back and compare it.
    Check,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done; the next step follows.
    Done,
    /// The table is whole.
    Whole,
    /// The table is to be made again from the start, in this way.
    Again(Way),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Make,
    Rows,
    Keys,
    Check,
    Whole,
}

#[derive(Debug)]
struct State {
    job: Job,
    stage: Stage,
    way: Way,
    again: bool,
    /// Connections that work on it.
    busy: usize,
    /// Frames that were handed out.
    handed_out: usize,
}

#[derive(Debug)]
struct Inner {
    tables: Vec<State>,
    stopped: bool,
}

/// The steps of all tables, in the order of the tables that it was given.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let state = |job: Job| State {
            job,
            stage: Stage::Make,
            way: Way { concessions: job.concessions, ..Way::default() },
            again: false,
            busy: 0,
            handed_out: 0,
        };
        let tables = jobs.into_iter().map(state).collect();
        Self { inner: Mutex::new(Inner { tables, stopped: false }), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step, with its table and how that is made. Waits while all that is left depends on steps that others
    /// do. `None` when everything is done, or somebody stopped.
    pub(super) fn take(&self) -> Option<(usize, Step, Way)> {
        let mut inner = self.lock();
        loop {
            if inner.stopped || inner.tables.iter().all(|table| table.stage == Stage::Whole) {
                return None;
            }
            let early = inner.tables.iter().any(|table| !table.job.last && table.stage != Stage::Whole);
            let found = (0..inner.tables.len()).find_map(|at| {
                let table = &mut inner.tables[at];
                (!table.job.last || !early).then(|| table.step()).flatten().map(|step| (at, step, table.way))
            });
            if found.is_some() {
                return found;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says what came of a step. For [`Outcome::Again`], others end what they do on the table first.
    pub(super) fn done(&self, at: usize, outcome: Outcome) {
        self.lock().tables[at].done(outcome);
        self.changed.notify_all();
    }

    /// From now on rows of this table go in by INSERT.
    pub(super) fn no_bulk(&self, at: usize) {
        self.lock().tables[at].way.by_inserts = true;
    }

    /// Nobody gets a further step.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

impl State {
    fn step(&mut self) -> Option<Step> {
        let step = match self.stage {
            Stage::Rows if self.again || (self.busy > 0 && !self.job.shared) => return None,
            Stage::Rows if self.handed_out < self.job.frames => {
                let end = self.job.frames.min(self.handed_out + FRAMES_AT_A_TIME);
                let frames = self.handed_out..end;
                self.handed_out = end;
                Step::Rows(frames)
            }
            _ if self.busy > 0 => return None,
            Stage::Make => Step::Make,
            Stage::Keys => Step::Keys,
            Stage::Check => Step::Check,
            Stage::Rows | Stage::Whole => return None,
        };
        self.busy += 1;
        Some(step)
    }

    fn done(&mut self, outcome: Outcome) {
        self.busy -= 1;
        match outcome {
            Outcome::Whole => self.stage = Stage::Whole,
            Outcome::Again(way) => {
                // Two connections may each have found a reason.
                let known = self.way;
                self.way = Way {
                    by_inserts: known.by_inserts || way.by_inserts,
                    concessions: known.concessions.and(way.concessions),
                    anew: true,
                };
                self.again = true;
            }
            Outcome::Done => {}
        }
        if self.busy > 0 {
            return;
        }
        if std::mem::take(&mut self.again) {
            (self.stage, self.handed_out) = (Stage::Make, 0);
            return;
        }
        self.stage = match self.stage {
            Stage::Make if outcome == Outcome::Done && self.job.frames > 0 => Stage::Rows,
            Stage::Make if outcome == Outcome::Done => Stage::Keys,
            Stage::Rows if self.handed_out == self.job.frames => Stage::Keys,
            Stage::Keys => Stage::Check,
            stage => stage,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(frames: usize) -> Job {
        Job { frames, shared: true, ..Job::default() }
    }

    fn take(queue: &Queue) -> (usize, Step) {
        let (at, step, _) = queue.take().unwrap();
        (at, step)
    }

    #[test]
    fn a_table_goes_through_its_steps() {
        let queue = Queue::new([job(5)]);
        for step in [Step::Make, Step::Rows(0..4), Step::Rows(4..5), Step::Keys] {
            assert_eq!(take(&queue), (0, step));
            queue.done(0, Outcome::Done);
        }
        assert_eq!(take(&queue), (0, Step::Check));
        queue.done(0, Outcome::Whole);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn two_connections_share_the_largest_table_and_then_part() {
        let queue = Queue::new([job(8), Job { shared: false, ..job(8) }, job(0)]);
        assert_eq!(take(&queue), (0, Step::Make));
        assert_eq!(take(&queue), (1, Step::Make));
        queue.done(0, Outcome::Done);
        assert_eq!(take(&queue), (0, Step::Rows(0..4)));
        queue.done(1, Outcome::Done);
        assert_eq!(take(&queue), (0, Step::Rows(4..8)));
        queue.done(0, Outcome::Done);
        // The keys wait for the other half of the rows; the second table has one connection at a time.
        assert_eq!(take(&queue), (1, Step::Rows(0..4)));
        assert_eq!(take(&queue), (2, Step::Make));
        queue.done(0, Outcome::Done);
        assert_eq!(take(&queue), (0, Step::Keys));
    }

    #[test]
    fn a_table_that_is_begun_again_waits_for_the_others_on_it() {
        let queue = Queue::new([job(12)]);
        assert_eq!(take(&queue), (0, Step::Make));
        queue.done(0, Outcome::Done);
        assert_eq!(take(&queue), (0, Step::Rows(0..4)));
        assert_eq!(take(&queue), (0, Step::Rows(4..8)));
        let concessions = Concessions { checks_off: true, ..Concessions::default() };
        queue.done(0, Outcome::Again(Way { concessions, ..Way::default() }));
        queue.no_bulk(0);
        queue.done(0, Outcome::Done);
        let way = Way { by_inserts: true, concessions, anew: true };
        assert_eq!(queue.take(), Some((0, Step::Make, way)));
        queue.done(0, Outcome::Done);
        assert_eq!(queue.take(), Some((0, Step::Rows(0..4), way)));
    }

    #[test]
    fn a_stop_ends_the_waiting() {
        let queue = Queue::new([job(0)]);
        assert_eq!(take(&queue), (0, Step::Make));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.take());
            queue.stop();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }

    proptest! {
        /// Several connections that end their steps in any order: each frame once, each table whole once, last ones last.
        #[test]
        fn everything_is_done_once(
            frames in proptest::collection::vec((0..12_usize, any::<bool>(), any::<bool>()), 1..6),
            order in proptest::collection::vec(any::<usize>(), 400),
            connections in 1..5_usize,
        ) {
            let jobs: Vec<Job> =
                frames.iter().map(|(frames, shared, last)| Job { frames: *frames, shared: *shared, last: *last, ..Job::default() }).collect();
            let queue = Queue::new(jobs.clone());
            let mut running: Vec<(usize, Step)> = Vec::new();
            let mut rows = vec![Vec::new(); jobs.len()];
            let mut whole = vec![false; jobs.len()];
            for pick in order {
                let free = || {
                    let mut inner = queue.lock();
                    let early = inner.tables.iter().any(|table| !table.job.last && table.stage != Stage::Whole);
                    inner.tables.iter_mut().any(|table| (!table.job.last || !early) && {
                        let (busy, handed_out) = (table.busy, table.handed_out);
                        let found = table.step().is_some();
                        (table.busy, table.handed_out) = (busy, handed_out);
                        found
                    })
                };
                if running.len() < connections && free() {
                    running.push(take(&queue));
                    let (at, _) = running.last().unwrap();
                    prop_assert!(!jobs[*at].last || jobs.iter().zip(&whole).all(|(job, whole)| job.last || *whole));
                    prop_assert!(jobs[*at].shared || running.iter().filter(|(other, _)| other == at).count() == 1);
                } else if !running.is_empty() {
                    let (at, step) = running.swap_remove(pick % running.len());
                    match step {
                        Step::Rows(frames) => rows[at].extend(frames),
                        Step::Check => {
                            prop_assert!(!std::mem::replace(&mut whole[at], true));
                            queue.done(at, Outcome::Whole);
                            continue;
                        }
                        Step::Make | Step::Keys => {}
                    }
                    queue.done(at, Outcome::Done);
                }
            }
            prop_assert!(whole.iter().all(|whole| *whole));
            prop_assert_eq!(queue.take(), None);
            for (mut rows, job) in rows.into_iter().zip(jobs) {
                rows.sort_unstable();
                prop_assert_eq!(rows, (0..job.frames).collect::<Vec<_>>());
            }
        }
    }
}
