//! The tables of one attempt: a queue that the readers empty, and what they bring back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::connection::Connection;
use super::super::row_writer::{RowWriter, add_frames};
use super::super::rows::Oddity;
use super::super::schema;
use super::super::writer::{self, FrameWriter};
use super::super::{ddl, definition};
use super::plan::{TablePlan, unreadable_problem};
use super::reader::{Range, RowSource, RowTaker, current_row_end, each_row};
use super::trouble::Trouble;
use super::turn::Turn;
use crate::dump::{DumpPhase, DumpProblem, DumpSink};
use crate::error::{Error, Result};
use crate::monitor::DatabaseMonitor;
use crate::raw_text::{RawText, readable};
use crate::record::{Contents, FrameRecord, TableRecord};

/// How often progress is told and a wish to stop is looked at, in rows.
const ROWS_BETWEEN_LOOKS: u64 = 2048;

/// Tables without transactions above this are not set aside by the server, bytes: its temporary space may be small.
const BUFFERED_BYTES: u64 = 1024 * 1024 * 1024;

/// A table, or a range of one, to be read.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) table: usize,
    pub(super) part: usize,
    pub(super) range: Option<Range>,
}

/// What reading brought.
#[derive(Debug, Default)]
struct Brought {
    /// Frames by table and part.
    frames: BTreeMap<(usize, usize), Vec<FrameRecord>>,
    auto_increment: BTreeMap<usize, u64>,
    invalid_text: BTreeMap<usize, u64>,
    not_finite: BTreeMap<usize, u64>,
    unreadable: BTreeMap<usize, String>,
    /// Tables that were read in a transaction of a later moment.
    later: BTreeSet<usize>,
}

pub(super) struct Tables {
    pub(super) plans: Vec<TablePlan>,
    database: Vec<u8>,
    queue: Mutex<VecDeque<Job>>,
    brought: Mutex<Brought>,
    /// How long a reader's transaction may last; `None`: until the end.
    pub(super) transaction_limit: Option<Duration>,
    /// Tables copied under the lock: their frames wait here until the lock is gone.
    copies: Vec<(usize, Collected)>,
}

/// Frames in memory.
#[derive(Debug, Default)]
struct Collected(Mutex<Vec<Vec<u8>>>, Vec<FrameRecord>);

impl DumpSink for Collected {
    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut frames = lock(&self.0);
        frames.push(text);
        Ok(frames.len() as u64 - 1)
    }
}

/// Hands rows on to frames, and counts.
struct Looking<'a> {
    out: RowWriter<'a>,
    look: &'a mut dyn FnMut(u64, u64) -> Result<()>,
    rows: u64,
    bytes: u64,
    invalid_text: u64,
    not_finite: u64,
}

impl RowTaker for Looking<'_> {
    #[inline]
    fn begin(&mut self, size_bytes: usize) -> Result<&mut Vec<u8>> {
        self.out.begin_row(size_bytes)
    }

    #[inline]
    fn end(&mut self, oddity: Oddity) -> Result<()> {
        self.bytes += self.out.end_row(oddity)? as u64;
        self.rows += 1;
        self.invalid_text += u64::from(oddity.invalid_text);
        self.not_finite += u64::from(oddity.not_finite);
        if self.rows.is_multiple_of(ROWS_BETWEEN_LOOKS) { (self.look)(self.rows, self.bytes) } else { Ok(()) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tables {
    pub(super) fn new(plans: Vec<TablePlan>, database: &[u8]) -> Self {
        Self {
            plans,
            database: database.to_vec(),
            queue: Mutex::default(),
            brought: Mutex::default(),
            transaction_limit: None,
            copies: Vec::new(),
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &TableRecord> {
        self.plans.iter().map(|table| &table.record)
    }

    /// How many connections could read at the same time.
    pub(super) fn parallel_limit(&self) -> usize {
        let ranges = |table: &TablePlan| if table.range_key().is_some() { table.range_count() } else { 1 };
        let parts: u64 = self.plans.iter().filter(|table| table.is_read()).map(ranges).sum();
        usize::try_from(parts).unwrap_or(usize::MAX).max(1)
    }

    /// Tables to be locked for a common point in time: all whose rows are read.
    pub(super) fn lockable(&self) -> Vec<RawText> {
        self.plans.iter().filter(|table| table.is_read()).map(|table| table.record.name.clone()).collect()
    }

    /// Tables that are read and that no snapshot covers.
    pub(super) fn outside_snapshot(&self) -> Vec<usize> {
        let outside = |table: &TablePlan| table.is_read() && !table.transactional;
        (0..self.plans.len()).filter(|at| outside(&self.plans[*at])).collect()
    }

    pub(super) fn bytes_of(&self, tables: &[usize]) -> u64 {
        tables.iter().map(|at| self.plans[*at].record.estimated_bytes).sum()
    }

    /// Copies tables into memory while the caller holds them locked.
    pub(super) fn copy_locked(&mut self, control: &mut Connection, tables: &[usize]) -> Result<()> {
        self.copies.clear();
        for at in tables {
            let mut copy = Collected::default();
            let job = Job { table: *at, part: 0, range: None };
            let read = self.read(control, &copy, &job, &mut |_, _| Ok(()));
            match read {
                Ok(frames) => copy.1 = frames,
                // It is tried again later, outside the lock, and named then.
                Err(Trouble::Stop(_)) => continue,
                Err(Trouble::Again { error: Some(error), .. }) => return Err(*error),
                Err(Trouble::Again { .. }) => continue,
            }
            self.copies.push((*at, copy));
        }
        Ok(())
    }

    pub(super) fn forget_locked_copies(&mut self) {
        self.copies.clear();
    }

    /// Hands the copies on. Their rows belong to the point in time.
    pub(super) fn flush_locked_copies(&mut self, sink: &dyn DumpSink) -> Result<()> {
        for (at, copy) in std::mem::take(&mut self.copies) {
            let texts = copy.0.into_inner().unwrap_or_else(PoisonError::into_inner);
            let mut frames = copy.1;
            for (frame, text) in frames.iter_mut().zip(texts) {
                frame.frame =
                    sink.frame(text).map_err(|source| writer::sink_error(&self.database, source))?;
            }
            self.plans[at].record.in_snapshot = true;
            lock(&self.brought).frames.insert((at, 0), frames);
        }
        Ok(())
    }

    /// The tables that still have to be read. Those under a snapshot are marked so.
    pub(super) fn mark_and_list(&mut self) -> Vec<usize> {
        for table in &mut self.plans {
            table.record.in_snapshot |= table.is_read() && table.transactional;
        }
        let brought = lock(&self.brought);
        let missing = |at: &usize| self.plans[*at].is_read() && !brought.frames.contains_key(&(*at, 0));
        (0..self.plans.len()).filter(missing).collect()
    }

    pub(super) fn set_queue(&mut self, queue: VecDeque<Job>) {
        self.queue = Mutex::new(queue);
    }

    /// Tables that the server could not give although the connection is whole.
    pub(super) fn unreadable(&self) -> BTreeMap<RawText, String> {
        let name = |at: usize| self.plans[at].record.name.clone();
        lock(&self.brought).unreadable.iter().map(|(at, reason)| (name(*at), reason.clone())).collect()
    }

    /// Reads queued tables until there are none or someone failed.
    pub(super) fn work(
        &self,
        connection: &mut Connection,
        sink: &dyn DumpSink,
        monitor: &dyn DatabaseMonitor<DumpPhase>,
        stopping: &AtomicBool,
        failed: &Mutex<Option<Trouble>>,
    ) {
        if let Err(trouble) = self.all_jobs(connection, sink, monitor, stopping) {
            // The first trouble is the cause; what the others then meet follows from it.
            lock(failed).get_or_insert(trouble);
            stopping.store(true, Ordering::Relaxed);
        }
    }

    fn all_jobs(
        &self,
        connection: &mut Connection,
        sink: &dyn DumpSink,
        monitor: &dyn DatabaseMonitor<DumpPhase>,
        stopping: &AtomicBool,
    ) -> std::result::Result<(), Trouble> {
        let mut turn = Turn::first(connection, self.transaction_limit)?;
        while !stopping.load(Ordering::Relaxed) {
            let Some(job) = lock(&self.queue).pop_front() else { break };
            turn.renew(connection)?;
            if turn.is_later {
                lock(&self.brought).later.insert(job.table);
            }
            self.one_job(connection, sink, monitor, stopping, &job)?;
        }
        Ok(turn.end(connection)?)
    }

    fn one_job(
        &self,
        connection: &mut Connection,
        sink: &dyn DumpSink,
        monitor: &dyn DatabaseMonitor<DumpPhase>,
        stopping: &AtomicBool,
        job: &Job,
    ) -> std::result::Result<(), Trouble> {
        let table = &self.plans[job.table];
        let name = &table.record.name;
        if job.part == 0 {
            monitor.table_started(name, table.estimated_rows);
        }
        let cancelled = || Error::Cancelled { database: readable(&self.database) };
        let mut told = (0, 0);
        connection.execute(b"SAVEPOINT backstock")?;
        let read = self.read(connection, sink, job, &mut |rows, bytes| {
            monitor.rows(name, rows - told.0, bytes - told.1);
            told = (rows, bytes);
            if monitor.is_cancelled() || stopping.load(Ordering::Relaxed) {
                return Err(cancelled());
            }
            Ok(())
        });
        let frames = match read {
            Ok(frames) => frames,
            Err(Trouble::Stop(error)) if error.code().is_some() => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                return self.give_up(connection, job, &why);
            }
            Err(trouble) => return Err(trouble),
        };
        connection.execute(b"ROLLBACK TO SAVEPOINT backstock")?;
        let rows: u64 = frames.iter().map(|frame| frame.row_count).sum();
        if job.range.as_ref().is_none_or(|range| range.up_to.is_none()) {
            monitor.table_finished(name, rows);
        }
        lock(&self.brought).frames.insert((job.table, job.part), frames);
        Ok(())
    }

    /// A table that the server cannot read: the next attempt goes without its rows, since some of them may already
    /// stand in this one.
    fn give_up(&self, connection: &Connection, job: &Job, reason: &str) -> std::result::Result<(), Trouble> {
        let name = &self.plans[job.table].record.name;
        if connection.is_broken() {
            return Err(Trouble::again(format!("the connection broke while table {name} was read")));
        }
        lock(&self.brought).unreadable.insert(job.table, reason.to_owned());
        Err(Trouble::again(format!("the server cannot read table {name}: {reason}")))
    }

    /// Reads the rows of a job and then looks at the table's definition again, under the same lock on it. Calls `look`
    /// now and then, and after the last row, with the rows and the bytes of their text so far.
    fn read(
        &self,
        connection: &mut Connection,
        sink: &dyn DumpSink,
        job: &Job,
        look: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> std::result::Result<Vec<FrameRecord>, Trouble> {
        let table = &self.plans[job.table];
        let record = &table.record;
        let mut source = RowSource::whole(record, &record.name);
        source.buffered = !table.transactional && record.estimated_bytes <= BUFFERED_BYTES;
        source.in_binary_form = true;
        if table.transactional && !record.partitioned {
            source.key = &table.shape.key;
        }
        source.range = job.range.clone();
        let row_end = current_row_end(connection, record)?;
        let out = RowWriter::new(sink, &self.database, &record.name, &record.columns);
        let mut taker = Looking { out, look, rows: 0, bytes: 0, invalid_text: 0, not_finite: 0 };
        each_row(connection, &source, &row_end, &mut taker)?;
        (taker.look)(taker.rows, taker.bytes)?;
        let Looking { out, invalid_text, not_finite, .. } = taker;
        let next = self.check_definition(connection, table)?;
        let mut brought = lock(&self.brought);
        if let Some(next) = next {
            let known = brought.auto_increment.entry(job.table).or_default();
            *known = next.max(*known);
        }
        *brought.invalid_text.entry(job.table).or_default() += invalid_text;
        *brought.not_finite.entry(job.table).or_default() += not_finite;
        drop(brought);
        Ok(out.finish()?)
    }

    fn check_definition(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
    ) -> std::result::Result<Option<u64>, Trouble> {
        let name = &table.record.name;
        let text = schema::table_definition(connection, name)?;
        let spans = ddl::spans(&text).map_err(|fault| schema::not_understood(name, &fault.to_string()))?;
        if blake3::hash(&definition::without_auto_increment(&spans, &text)) != table.definition_hash {
            return Err(Trouble::again(format!("the definition of table {name} was changed")));
        }
        Ok(definition::auto_increment(&spans, &text))
    }

    /// Puts frames and numbers into the records, and writes the AUTO_INCREMENT numbers that moved meanwhile.
    pub(super) fn finish(
        self,
        frames: &mut FrameWriter<'_>,
        problems: &mut Vec<DumpProblem>,
    ) -> Result<(Vec<TableRecord>, Vec<String>)> {
        let mut brought = self.brought.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        let mut notes = Vec::new();
        for (at, plan) in self.plans.into_iter().enumerate() {
            let mut record = plan.record;
            let parts: Vec<(usize, usize)> =
                brought.frames.range((at, 0)..(at + 1, 0)).map(|(key, _)| *key).collect();
            for part in parts {
                add_frames(&mut record, brought.frames.remove(&part).unwrap_or_default());
            }
            if let Some(next) = brought.auto_increment.get(&at).copied()
                && record.auto_increment.is_none_or(|known| next > known)
                && record.contents == Contents::Included
                && !record.engine.eq_ignore_ascii_case("ARCHIVE")
            {
                frames.put(&writer::auto_increment(&record.name, next))?;
                record.auto_increment = Some(next);
            }
            record.in_snapshot &= !brought.later.contains(&at);
            let name = &record.name;
            if let Some(count) = brought.invalid_text.get(&at).filter(|count| **count > 0) {
                notes.push(format!(
                    "table {name}: {count} rows hold text that is not valid in its character set; the dump has the \
                     bytes, and a server may refuse or replace them"
                ));
            }
            if let Some(count) = brought.not_finite.get(&at).filter(|count| **count > 0) {
                let reason = format!("{count} rows hold a number that is not finite; it is dumped as NULL");
                let mut problem = unreadable_problem(name, &reason);
                problem.cost = "a restore has NULL in its place".to_owned();
                problems.push(problem);
            }
            records.push(record);
        }
        Ok((records, notes))
    }
}
