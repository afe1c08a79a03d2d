//! Archiving a tree: one walker, several readers, one assembler, and bounded channels between them.
//!
//! Memory is bounded by the number of jobs in flight, each of which holds at most one batch or two frames of a long file,
//! and by the content that all of them hold.

use std::sync::Arc;

use backstock_host::memory::{Room, Taken, buffer_to_give_back};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::assemble::{Assembler, Output, stream_long};
use super::entry::FileKind;
use super::jobs::{Planner, Walked};
use super::owners::Owners;
use super::read_item::{Item, ItemReader, Outcome, Piece, STORE_FROM_BYTES};
use super::ready::ReadyBatch;
use super::report::{TreeMonitor, TreeReport};
use super::request::{Excluder, TreeRequest};
use super::since::{Baseline, Since};
use super::walk::{Found, Walk, WalkSink};
use crate::artifact::{ArtifactWriter, STORED_FRAME_LIMIT_BYTES};
use crate::index::IndexWriter;
use crate::{Error, Result};

/// A batch ends at so many bytes of content: with its headers it can be a stored frame …
pub(super) const BATCH_BYTES: u64 = STORED_FRAME_LIMIT_BYTES as u64 - (128 << 10);
/// … or so many entries …
pub(super) const BATCH_ENTRIES: usize = 128;
/// … or so many folders, since each keeps a handle open.
pub(super) const BATCH_FOLDERS: usize = 16;
/// Jobs that may be ahead of the readers.
const JOBS_AHEAD: usize = 4;
/// So much content may have been read, or be about to be, that is not in a frame yet: photographs are read whole, and one
/// for each reader and one ahead of it would be most of the memory that we may take.
pub(super) const READ_AHEAD_BYTES: u64 = 4 << 20;
/// More readers than this only cost memory.
const READERS_LIMIT: usize = 32;

/// What comes next in the index.
pub(super) enum Promised {
    /// What a job comes to, and the room that it takes until all of that is in frames.
    Job(Receiver<Output>, Taken<Arc<Room>>),
    /// What needs no reader.
    Ready(ReadyBatch),
}

pub(super) struct Job {
    pub(super) items: Vec<Item>,
    /// How much content the walk saw.
    pub(super) planned_bytes: u64,
    pub(super) outputs: Sender<Output>,
}

/// Takes the files of all roots into an artifact, and one line for each into its index. With a baseline, what is as it was there
/// gets its line alone.
///
/// # Errors
/// When a root cannot be read, an exclusion cannot be understood, the artifact cannot be written, or the monitor says
/// so. What happens to single files is no error: it stands in the index and the report.
pub fn archive_tree(
    request: &TreeRequest,
    baseline: Option<Baseline<'_>>,
    artifact: &ArtifactWriter,
    index: &mut IndexWriter,
    monitor: &dyn TreeMonitor,
) -> Result<TreeReport> {
    let excluder = compile(request)?;
    let own_number = baseline.as_ref().map_or(0, |baseline| baseline.own_number);
    let since = baseline.map(|baseline| Since::new(baseline, request.started));
    let walk = Walk::new(request, &excluder)?;
    let walk = if since.is_some() { walk.with_lists() } else { walk };
    let owners = Owners::of_this_machine();
    let reader = ItemReader { owners: &owners, monitor };
    let readers = request.readers.clamp(1, READERS_LIMIT);
    let (job_sender, job_receiver) = bounded::<Job>(JOBS_AHEAD);
    let (order_sender, order_receiver) = bounded::<Promised>(readers + JOBS_AHEAD);
    std::thread::scope(|scope| {
        let shared = &reader;
        let walker = scope.spawn(move || -> Result<Walked> {
            let mut planner = Planner::new(shared, job_sender, order_sender, since);
            walk.run(&mut planner)?;
            planner.finish()
        });
        for _ in 0..readers {
            let (jobs, reader) = (job_receiver.clone(), &reader);
            scope.spawn(move || {
                for job in jobs {
                    // An error means that the assembler has gone, and knows why.
                    if work(reader, job, artifact).is_err() {
                        return;
                    }
                }
            });
        }
        drop(job_receiver);
        let mut assembler = Assembler::new(own_number, artifact, index, &reader, monitor);
        let assembled = assemble(&mut assembler, &order_receiver, monitor);
        // After an error, readers wait for whoever takes what they have read, and the walker for the readers: they learn
        // that nobody does when their receivers go, and those lie in this queue.
        order_receiver.into_iter().for_each(drop);
        let walked = join(walker);
        // What the assembler met comes first: the walker only learns that it has gone.
        assembled?;
        assembler.finish(walked?)
    })
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle
        .join()
        .unwrap_or_else(|_| Err(Error::Tree { act: "walk the files", what: "the walker died".to_owned() }))
}

pub(crate) fn compile(request: &TreeRequest) -> Result<Excluder> {
    Excluder::new(&request.exclusions).map_err(|(glob, source)| Error::Glob { glob, source })
}

fn assemble(
    assembler: &mut Assembler<'_>,
    order: &Receiver<Promised>,
    monitor: &dyn TreeMonitor,
) -> Result<()> {
    for promised in order {
        let (outputs, _taken) = match promised {
            Promised::Job(outputs, taken) => (outputs, taken),
            Promised::Ready(batch) => {
                assembler.take_ready(batch)?;
                continue;
            }
        };
        for output in outputs {
            if monitor.is_cancelled() {
                return Err(Error::Cancelled);
            }
            assembler.take(output)?;
        }
    }
    Ok(())
}

/// Does a job: every item into a batch, long files as frames of their own between batches. Small files are read in the order
/// of their inodes, which on most file systems is that of their places on the disk, and handed over in that of the index.
pub(super) fn work(reader: &ItemReader<'_>, job: Job, artifact: &ArtifactWriter) -> Result<()> {
    let send = |output| job.outputs.send(output).map_err(|_| Error::Cancelled);
    // What is read whole and longer must not make all buffers as long as the longest.
    let mut bytes = match job.planned_bytes {
        ..=BATCH_BYTES => artifact.stored_buffer(),
        _ => buffer_to_give_back(STORED_FRAME_LIMIT_BYTES),
    };
    let mut outcomes: Vec<(usize, Outcome)> = in_order_of_disk(job.items, job.planned_bytes)
        .into_iter()
        .map(|(place, item)| (place, reader.read(item, &mut bytes)))
        .collect();
    outcomes.sort_unstable_by_key(|(place, _)| *place);
    let mut pieces = Vec::with_capacity(outcomes.len());
    for (_, outcome) in outcomes {
        match outcome {
            Outcome::Done(piece) => pieces.push(*piece),
            Outcome::Long(long) => {
                // A long file has a job of its own, unless it has grown since the walk saw it.
                send(batch_of(std::mem::take(&mut pieces), &bytes))?;
                stream_long(reader, &long, artifact, &mut |output| send(output))?;
            }
        }
    }
    send(Output::Batch { bytes, pieces })
}

/// Each item with its place in the job. Where a disk reads for longer than it seeks, the order of the index stays: what lies
/// in it can become a frame as it is.
fn in_order_of_disk(items: Vec<Item>, planned_bytes: u64) -> Vec<(usize, Item)> {
    let are_small = planned_bytes < items.len() as u64 * STORE_FROM_BYTES;
    let mut items: Vec<(usize, Item)> = items.into_iter().enumerate().collect();
    if are_small {
        items.sort_by_key(|(_, item)| item.found.facts.map(|facts| facts.identity()));
    }
    items
}

/// Some pieces of a buffer that others still need.
fn batch_of(mut pieces: Vec<Piece>, bytes: &[u8]) -> Output {
    let mut own = Vec::new();
    for piece in &mut pieces {
        let start = own.len();
        own.extend_from_slice(&bytes[piece.bytes.clone()]);
        piece.bytes = start..own.len();
    }
    Output::Batch { bytes: own, pieces }
}

/// What a tree would come to, for plans and progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TreeCount {
    /// Files, further names counted too.
    pub files: u64,
    /// Everything, folders and links included.
    pub entries: u64,
    /// Bytes of content, holes left out.
    pub bytes: u64,
}

/// Counts what [`archive_tree`] would take, reading no content.
///
/// # Errors
/// When a root cannot be read, an exclusion cannot be understood, or the monitor says so.
pub fn count_tree(request: &TreeRequest, monitor: &dyn TreeMonitor) -> Result<TreeCount> {
    struct Counter<'a>(TreeCount, &'a dyn TreeMonitor);
    impl WalkSink for Counter<'_> {
        fn found(&mut self, found: Found) -> Result<()> {
            self.0.entries += 1;
            if let Some(facts) = found.facts
                && facts.kind == FileKind::File
            {
                self.0.files += 1;
                self.0.bytes += facts.size_bytes.min(facts.allocated_bytes.max(4096));
            }
            if self.1.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
        }

        fn excluded(&mut self) {}
    }
    let excluder = compile(request)?;
    let mut counter = Counter(TreeCount::default(), monitor);
    Walk::new(request, &excluder)?.run(&mut counter)?;
    Ok(counter.0)
}
