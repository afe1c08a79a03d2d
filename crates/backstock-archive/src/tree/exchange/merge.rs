//! The live tree and the index side by side, both in the same order. What stands at each path goes to the planner one
//! after the other; the content of files is compared ahead of it by several threads.
//!
//! Bounded: only so many paths wait for their comparison, and each of them keeps at most one folder open.

use std::collections::VecDeque;
use std::iter::Peekable;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::entry::FileKind;
use super::super::order::compare_paths;
use super::super::selection::ChosenEntry;
use super::super::walk::{Found, Walk, WalkSink};
use super::compare::{Comparer, Difference};
use crate::{Error, Result};

/// Paths that may wait for the planner.
const WAITING_LIMIT: usize = 128;
/// Threads that compare: reading and hashing keep about as many busy as there are processors, and a disk is not
/// helped by more.
const THREADS_LIMIT: usize = 4;

/// What stands at one path.
pub(crate) enum Side {
    /// In the backup alone.
    Backup(ChosenEntry),
    /// In the live tree alone.
    Live(Found),
    /// In both.
    Both(Box<Pair>),
}

/// An entry of the backup and what is live at its path.
pub(crate) struct Pair {
    pub(crate) chosen: ChosenEntry,
    pub(crate) found: Found,
    /// How two files differ.
    pub(crate) difference: Option<Difference>,
}

/// Receives the sides in order.
pub(crate) trait SideSink {
    fn side(&mut self, side: Side) -> Result<()>;
}

enum Waiting {
    Ready(Box<Side>),
    Comparing(Receiver<Box<Pair>>),
}

struct Job {
    pair: Box<Pair>,
    reply: Sender<Box<Pair>>,
}

/// Walks both and gives each path to the sink.
pub(crate) fn merge(
    walk: Walk<'_>,
    entries: impl Iterator<Item = Result<ChosenEntry>>,
    comparer: &Comparer<'_>,
    sink: &mut dyn SideSink,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (jobs, queue) = bounded::<Job>(WAITING_LIMIT);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_LIMIT);
        for _ in 0..threads {
            let queue = queue.clone();
            scope.spawn(move || work(&queue, comparer));
        }
        drop(queue);
        let mut merge = Merge { entries: entries.peekable(), jobs, waiting: VecDeque::new(), comparer, sink };
        walk.run(&mut merge)?;
        merge.rest()
    })
}

fn work(queue: &Receiver<Job>, comparer: &Comparer<'_>) {
    for Job { mut pair, reply } in queue {
        if let Some(facts) = pair.found.facts
            && !comparer.monitor.is_cancelled()
        {
            pair.difference = Some(comparer.compare(&pair.chosen.entry, &mut pair.found, &facts));
        }
        // Nobody waits for it any more when the walk has ended with an error.
        let _ = reply.send(pair);
    }
}

struct Merge<'a, I: Iterator<Item = Result<ChosenEntry>>> {
    entries: Peekable<I>,
    jobs: Sender<Job>,
    waiting: VecDeque<Waiting>,
    comparer: &'a Comparer<'a>,
    sink: &'a mut dyn SideSink,
}

impl<I: Iterator<Item = Result<ChosenEntry>>> WalkSink for Merge<'_, I> {
    fn found(&mut self, found: Found) -> Result<()> {
        // Everything in the index before this path is not there.
        while let Some(chosen) = self.next_if(|path| compare_paths(path, &found.path).is_lt())? {
            self.wait(Waiting::Ready(Box::new(Side::Backup(chosen))))?;
        }
        match self.next_if(|path| path == found.path)? {
            Some(chosen) => self.both(Box::new(Pair { chosen, found, difference: None })),
            None => self.wait(Waiting::Ready(Box::new(Side::Live(found)))),
        }
    }

    fn excluded(&mut self) {}
}

impl<I: Iterator<Item = Result<ChosenEntry>>> Merge<'_, I> {
    fn next_if(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<ChosenEntry>> {
        let is_wanted = match self.entries.peek() {
            Some(Ok(chosen)) => wanted(&chosen.entry.path),
            Some(Err(_)) => true,
            None => false,
        };
        if is_wanted { self.entries.next().transpose() } else { Ok(None) }
    }

    fn both(&mut self, pair: Box<Pair>) -> Result<()> {
        let is_file = |kind: Option<FileKind>| kind == Some(FileKind::File);
        let entry = &pair.chosen.entry;
        let are_files = is_file(Some(entry.kind)) && is_file(pair.found.facts.map(|facts| facts.kind));
        if !are_files || !entry.is_stored() {
            return self.wait(Waiting::Ready(Box::new(Side::Both(pair))));
        }
        let (reply, compared) = bounded(1);
        self.jobs.send(Job { pair, reply }).map_err(|_| died())?;
        self.wait(Waiting::Comparing(compared))
    }

    fn wait(&mut self, waiting: Waiting) -> Result<()> {
        self.waiting.push_back(waiting);
        if self.waiting.len() > WAITING_LIMIT { self.pass_on() } else { Ok(()) }
    }

    /// Gives the first that waits to the sink, as soon as it is compared.
    fn pass_on(&mut self) -> Result<()> {
        if self.comparer.monitor.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match self.waiting.pop_front() {
            Some(Waiting::Ready(side)) => self.sink.side(*side),
            Some(Waiting::Comparing(compared)) => {
                let pair = compared.recv().map_err(|_| died())?;
                self.comparer.monitor.file(&pair.chosen.entry.path, pair.chosen.entry.size_bytes);
                self.sink.side(Side::Both(pair))
            }
            None => Ok(()),
        }
    }

    /// After the walk: what waits, and what is left of the index, which is not there.
    fn rest(mut self) -> Result<()> {
        while let Some(chosen) = self.entries.next().transpose()? {
            self.wait(Waiting::Ready(Box::new(Side::Backup(chosen))))?;
        }
        while !self.waiting.is_empty() {
            self.pass_on()?;
        }
        if self.comparer.monitor.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

fn died() -> Error {
    Error::Tree { act: "compare the files", what: "a thread that compares died".to_owned() }
}
