//! One attempt: definitions, one point in time, rows, the other objects, and the check that nothing changed meanwhile.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backstock_host::Host;
use backstock_host::memory::Room;
use crossbeam_channel::bounded;

use super::super::connection::{Breaker, Connection};
use super::super::drift::{Counters, list_changed};
use super::super::guard::{self, Waiter};
use super::super::objects::{self, Objects};
use super::super::rights::{Rights, read_rights};
use super::super::schema;
use super::super::session::{check_session, prepare_to_read};
use super::super::snapshot::{self, Point};
use super::super::sql::quote_name;
use super::super::writer::{self, FrameWriter};
use super::plan::{self, Plan};
use super::tables::{Job, Tables};
use super::trouble::Trouble;
use super::{Memory, no_database, open, turn};
use crate::dump::{DumpPhase, DumpProblem, DumpReport, DumpRequest, DumpSink, TableKind};
use crate::error::{Error, Result};
use crate::monitor::DatabaseMonitor;
use crate::raw_text::{RawText, readable};
use crate::record::{Contents, DatabaseFacts, DumpedObject, ServerFacts};
use crate::settings::ServerSettings;

/// From this attempt on, tables that could be exchanged without a trace are pinned inside the snapshot, and a change
/// that the counters show counts only if a table of ours looks different. Others' temporary tables move the counters.
const PINNED_FROM: u32 = 3;

/// Tables whose engine knows no transactions are copied while the tables are locked if they hold no more than this
/// together, bytes: about 0.2 s.
const LOCKED_COPY_BYTES: u64 = 20 * 1024 * 1024;

/// Large rows of so many bytes are read at the same time, each counted with its text.
const LARGE_ROWS_BYTES: u64 = 20 * 1024 * 1024;

/// How long to wait at most until the server's clock has passed the second in which a table was made.
const CLOCK_TRIES: u32 = 30;

pub(super) struct Attempt<'a> {
    pub(super) host: &'a Host,
    pub(super) settings: &'a ServerSettings,
    pub(super) request: &'a DumpRequest,
    pub(super) sink: &'a dyn DumpSink,
    pub(super) monitor: &'a dyn DatabaseMonitor<DumpPhase>,
    pub(super) number: u32,
}

/// What is known before the rows are read.
struct Start {
    server: ServerFacts,
    database: DatabaseFacts,
    rights: Rights,
    counters: Counters,
    plan: Plan,
    objects: Objects,
    notes: Vec<String>,
}

/// How the readers came to their snapshot.
struct Readers {
    connections: Vec<Connection>,
    notes: Vec<String>,
}

impl Attempt<'_> {
    pub(super) fn run(&self, memory: &mut Memory) -> std::result::Result<DumpReport, Trouble> {
        self.monitor.phase(DumpPhase::Prepare);
        let mut control = open(self.settings, &self.request.database)?;
        let mut start = self.prepare(&mut control, memory)?;
        self.wait_for_the_clock(&mut control, &start.plan)?;
        flush_out_changes(&mut control, &start.plan)?;
        self.monitor.phase(DumpPhase::Snapshot);
        let mut tables = Tables::new(std::mem::take(&mut start.plan.tables), &start.database.name);
        let mut readers = self.snapshot(&mut control, &start, &mut tables)?;
        self.monitor.phase(DumpPhase::Rows);
        self.write_head(&start, &mut tables)?;
        tables.flush_locked_copies(self.sink)?;
        tables.transaction_limit = self.transaction_limit(&mut control, &start)?;
        self.queue(&mut readers.connections[0], &mut tables)?;
        self.read_rows(&mut readers, &start, &tables, memory)?;
        self.monitor.phase(DumpPhase::Objects);
        let report = self.write_tail(&mut control, start, tables, &mut readers)?;
        Ok(report)
    }

    fn prepare(&self, control: &mut Connection, memory: &Memory) -> std::result::Result<Start, Trouble> {
        let mut notes = prepare_to_read(control)?;
        let database = schema::database_facts(control)?.ok_or_else(|| no_database(&self.request.database))?;
        let server = schema::server_facts(control)?;
        let rights = read_rights(control, &database.name)?;
        let counters = Counters::read(control)?;
        let mut plan = plan::make(control, &database.name, self.request, &memory.unreadable)?;
        notes.append(&mut plan.notes);
        let objects = self.objects(control, &database, &plan)?;
        let estimate = |of: fn(&plan::TablePlan) -> u64| {
            plan.tables.iter().filter(|table| table.is_read()).map(of).sum::<u64>()
        };
        let count = plan.tables.iter().filter(|table| table.is_read()).count() as u64;
        self.monitor.expected(
            count,
            estimate(|table| table.estimated_rows),
            estimate(|table| table.record.estimated_bytes),
        );
        Ok(Start { server, database, rights, counters, plan, objects, notes })
    }

    fn objects(&self, control: &mut Connection, database: &DatabaseFacts, plan: &Plan) -> Result<Objects> {
        let mut found = Objects::default();
        if self.request.selection.only.is_empty() {
            objects::routines(control, &database.name, &mut found)?;
            objects::events(control, &database.name, &mut found)?;
        }
        let takes = |name: &[u8]| plan::takes(self.request, name);
        objects::triggers(control, &database.name, &takes, &mut found)?;
        let known: BTreeSet<RawText> = plan.lines.iter().map(|line| line.facts.name.clone()).collect();
        objects::views(control, &database.name, &plan.views, &known, &mut found)?;
        Ok(found)
    }

    /// Waits until a table that is made from now on gets another time of creation than those that are there.
    fn wait_for_the_clock(&self, control: &mut Connection, plan: &Plan) -> std::result::Result<(), Trouble> {
        let newest = plan.lines.iter().map(|line| line.create_time.clone()).max().unwrap_or_default();
        for _ in 0..CLOCK_TRIES {
            let now = control.query(b"SELECT CAST(NOW() AS CHAR)")?.single().unwrap_or_default().to_vec();
            if now > newest {
                return Ok(());
            }
            self.stop_if_cancelled()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        // A table from the future: its time tells nothing. The counters still do.
        Ok(())
    }

    fn stop_if_cancelled(&self) -> std::result::Result<(), Trouble> {
        if self.monitor.is_cancelled() {
            let database = readable(&self.request.database);
            return Err(Error::Cancelled { database }.into());
        }
        Ok(())
    }

    /// Opens the readers and begins their snapshots at one moment; with one reader if that cannot be had.
    fn snapshot(
        &self,
        control: &mut Connection,
        start: &Start,
        tables: &mut Tables,
    ) -> std::result::Result<Readers, Trouble> {
        let wanted = self.request.connections.max(1).min(tables.parallel_limit());
        let pins: &[RawText] = if self.number >= PINNED_FROM { &start.plan.untraceable } else { &[] };
        let plain = tables.outside_snapshot();
        let copy_locked = !plain.is_empty() && tables.bytes_of(&plain) <= LOCKED_COPY_BYTES;
        let mut notes = Vec::new();
        let mut connections = self.open_readers(wanted, &mut notes)?;
        if connections.len() > 1 || copy_locked {
            let names = tables.lockable();
            let point = snapshot::share(control, &mut connections, &names, |control, readers| {
                pin(&mut readers[0], pins)?;
                if copy_locked { tables.copy_locked(control, &plain) } else { Ok(()) }
            })?;
            match point {
                Point::Shared => return Ok(Readers { connections, notes }),
                Point::NotAllowed => notes.push(
                    "the account lacks the right LOCK TABLES: one connection reads, instead of several"
                        .to_owned(),
                ),
                Point::NotReached(why) => notes.push(format!(
                    "several connections could not be brought to one point in time ({why}): one reads"
                )),
            }
            tables.forget_locked_copies();
            connections.truncate(1);
        }
        self.begin_alone(control, &mut connections[0], pins)?;
        Ok(Readers { connections, notes })
    }

    fn open_readers(&self, wanted: usize, notes: &mut Vec<String>) -> Result<Vec<Connection>> {
        let mut connections: Vec<Connection> = Vec::new();
        let room = Arc::new(Room::new(LARGE_ROWS_BYTES));
        for _ in 0..wanted {
            match open(self.settings, &self.request.database) {
                Ok(mut connection) => {
                    prepare_to_read(&mut connection)?;
                    connection.share_room(Arc::clone(&room));
                    connections.push(connection);
                }
                // Too many connections, of the server or of this account: make do with those that we have.
                Err(error) if matches!(error.code(), Some(1040 | 1203 | 1226)) && !connections.is_empty() => {
                    notes.push("the server has no room for more connections".to_owned());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(connections)
    }

    /// One connection needs no lock. With pins, nothing may have changed between its snapshot and them.
    fn begin_alone(
        &self,
        control: &mut Connection,
        reader: &mut Connection,
        pins: &[RawText],
    ) -> std::result::Result<(), Trouble> {
        const TRIES: u32 = 20;
        for _ in 0..TRIES {
            let before = if pins.is_empty() { None } else { Some(Counters::read(control)?) };
            reader.execute(snapshot::BEGIN)?;
            pin(reader, pins)?;
            let Some(before) = before else { return Ok(()) };
            if before.moved(&Counters::read(control)?).is_none() {
                return Ok(());
            }
            reader.execute(b"ROLLBACK")?;
        }
        Err(Trouble::again("definitions are changed on the server all the time"))
    }

    /// How long a reader's transaction may last: any time where everyone who waits for it is seen, or where it holds
    /// nothing for long. Tables that are pinned stay so until the end.
    fn transaction_limit(&self, control: &mut Connection, start: &Start) -> Result<Option<Duration>> {
        let is_pinned = self.number >= PINNED_FROM && !start.plan.untraceable.is_empty();
        if start.rights.sees_all_threads() || is_pinned || !turn::keeps_locks(control)? {
            return Ok(None);
        }
        Ok(Some(self.request.unguarded_transaction))
    }

    fn write_head(&self, start: &Start, tables: &mut Tables) -> Result<()> {
        let records: Vec<DumpedObject> = tables.records().cloned().map(DumpedObject::Table).collect();
        let mut frames = FrameWriter::new(self.sink, &self.request.database);
        let taken_at = self.host.clock.now().to_string();
        let mut sequences = start.plan.sequences.iter().map(|(_, definition)| &definition[..]);
        writer::put_head(&mut frames, &start.server, &start.database, taken_at, &mut sequences, &records)
    }

    /// Puts tables that leave no trace first, then the largest; large ones in ranges of their key.
    fn queue(&self, reader: &mut Connection, tables: &mut Tables) -> Result<()> {
        let mut jobs = Vec::new();
        // Ranges of one table must be of one moment.
        let several = self.request.connections > 1 && tables.transaction_limit.is_none();
        for at in tables.mark_and_list() {
            let table = &tables.plans[at];
            let Some(column) = table.range_key().filter(|_| several).cloned() else {
                jobs.push((table.record.estimated_bytes, Job { table: at, part: 0, range: None }));
                continue;
            };
            let rows = (table.estimated_rows / table.range_count()).max(10_000);
            reader.execute(b"SAVEPOINT backstock")?;
            let ranges = super::reader::ranges(reader, &table.record.name, &column, rows)?;
            reader.execute(b"ROLLBACK TO SAVEPOINT backstock")?;
            for (part, range) in ranges.into_iter().enumerate() {
                jobs.push((plan::RANGE_BYTES, Job { table: at, part, range: Some(range) }));
            }
        }
        jobs.sort_by_key(|(bytes, job)| (std::cmp::Reverse(*bytes), job.table, job.part));
        let queue: VecDeque<Job> = jobs.into_iter().map(|(_, job)| job).collect();
        tables.set_queue(queue);
        Ok(())
    }

    /// Reads all queued tables with all readers while the guard watches.
    fn read_rows(
        &self,
        readers: &mut Readers,
        start: &Start,
        tables: &Tables,
        memory: &mut Memory,
    ) -> std::result::Result<(), Trouble> {
        let mut watcher = open(self.settings, &self.request.database)?;
        let breakers: Vec<Breaker> = readers.connections.iter().map(Connection::breaker).collect();
        let (stop_sender, stop) = bounded::<()>(0);
        let failed: Mutex<Option<Trouble>> = Mutex::new(None);
        let stopping = AtomicBool::new(false);
        let ignored = memory.ignored_waiters.clone();
        let waiter = std::thread::scope(|scope| {
            let database = &start.database.name;
            let guard = scope.spawn(|| guard::watch(&mut watcher, database, &breakers, &ignored, &stop));
            let workers: Vec<_> = readers
                .connections
                .iter_mut()
                .map(|connection| {
                    scope.spawn(|| tables.work(connection, self.sink, self.monitor, &stopping, &failed))
                })
                .collect();
            for worker in workers {
                // A panic in a reader is carried on by the scope.
                let _ = worker.join();
            }
            drop(stop_sender);
            guard.join().unwrap_or(Ok(None))
        })?;
        let trouble = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(waiter) = waiter {
            readers.connections.clear();
            return Err(self.give_way(&waiter, &mut watcher, start, memory));
        }
        match trouble {
            Some(trouble) => {
                memory.unreadable.extend(tables.unreadable());
                Err(trouble)
            }
            None => Ok(()),
        }
    }

    /// After the readers are gone: whoever still waits does not wait for us, and is no reason to give way again.
    fn give_way(
        &self,
        waiter: &Waiter,
        watcher: &mut Connection,
        start: &Start,
        memory: &mut Memory,
    ) -> Trouble {
        std::thread::sleep(Duration::from_millis(500));
        if let Ok(waiters) = guard::waiters(watcher, &start.database.name) {
            memory.ignored_waiters.extend(waiters.iter().map(|waiter| waiter.thread));
        }
        Trouble::again(format!("gave way to a statement that waited for it: {}", waiter.statement))
    }

    fn write_tail(
        &self,
        control: &mut Connection,
        start: Start,
        tables: Tables,
        readers: &mut Readers,
    ) -> std::result::Result<DumpReport, Trouble> {
        let Start { server, database, rights, counters, plan, objects, mut notes } = start;
        notes.append(&mut readers.notes);
        let mut problems = plan.problems;
        let names: Vec<RawText> = tables.records().map(|record| record.name.clone()).collect();
        problems.extend(rights.problems(&names, self.request.selection.only.is_empty()));
        let mut frames = FrameWriter::new(self.sink, &self.request.database);
        let (records, odd_notes) = tables.finish(&mut frames, &mut problems)?;
        notes.extend(odd_notes);
        let mut dumped = Vec::new();
        for (name, definition) in plan.sequences {
            let record = objects::sequence(control, &name, definition)?;
            frames.put(&writer::sequence_value(&name, &record.next_value, record.cycle_count))?;
            dumped.push(DumpedObject::Sequence(record));
        }
        dumped.extend(records.into_iter().map(DumpedObject::Table));
        problems.extend(objects.problems.iter().cloned());
        dumped.extend(write_objects(&mut frames, objects, &database)?);
        self.monitor.phase(DumpPhase::Check);
        for reader in &mut readers.connections {
            check_session(reader)?;
            reader.execute(b"ROLLBACK")?;
        }
        notes.extend(self.check(control, &database, &counters, &plan.lines)?);
        let mut report = self.report(server, database, &rights, dumped, problems, notes);
        report.notes.extend(turn::unguarded_note(&report));
        frames.put(&writer::end(&report))?;
        frames.flush()?;
        report.attempts = self.number;
        Ok(report)
    }

    /// Whether the definitions are still those from before the snapshot.
    fn check(
        &self,
        control: &mut Connection,
        database: &DatabaseFacts,
        before: &Counters,
        lines: &[schema::TableLine],
    ) -> std::result::Result<Vec<String>, Trouble> {
        let now = plan::selected_lines(control, &database.name, self.request)?;
        if let Some(reason) = list_changed(lines, &now) {
            return Err(Trouble::again(reason));
        }
        check_session(control)?;
        let after = Counters::read(control)?;
        match before.moved(&after) {
            None => Ok(Vec::new()),
            Some(reason) if self.number < PINNED_FROM || before.restarted(&after) => {
                Err(Trouble::again(reason))
            }
            Some(reason) => Ok(vec![format!("{reason}, but every table of this database stayed as it was")]),
        }
    }

    fn report(
        &self,
        server: ServerFacts,
        database: DatabaseFacts,
        rights: &Rights,
        objects: Vec<DumpedObject>,
        problems: Vec<DumpProblem>,
        notes: Vec<String>,
    ) -> DumpReport {
        let tables = || {
            objects.iter().filter_map(|object| match object {
                DumpedObject::Table(table) if table.contents == Contents::Included => Some(table),
                _ => None,
            })
        };
        let rows = tables().map(|table| table.row_count).sum();
        let not_in_snapshot: Vec<RawText> =
            tables().filter(|table| !table.in_snapshot).map(|table| table.name.clone()).collect();
        DumpReport {
            server,
            database,
            rows,
            attempts: self.number,
            guarded: rights.sees_all_threads(),
            one_point_in_time: not_in_snapshot.is_empty(),
            not_in_snapshot,
            objects,
            problems,
            notes,
        }
    }
}

/// Holds the definitions of these tables as they are until the snapshot ends.
fn pin(reader: &mut Connection, tables: &[RawText]) -> Result<()> {
    for table in tables {
        reader.query(&[b"SELECT 1 FROM ".as_slice(), &quote_name(table), b" LIMIT 0"].concat())?;
    }
    Ok(())
}

/// Touches every table, so that a change of its definition that began before and waits for a lock has to come out now.
fn flush_out_changes(control: &mut Connection, plan: &Plan) -> Result<()> {
    control.execute(b"SET lock_wait_timeout=1")?;
    for line in &plan.lines {
        let is_table = matches!(line.facts.table_kind, TableKind::Table | TableKind::VersionedTable);
        let planned = plan.tables.iter().any(|table| table.record.name == line.facts.name && table.is_read());
        if is_table && planned {
            pin(control, std::slice::from_ref(&line.facts.name))?;
        }
    }
    control.execute(b"SET lock_wait_timeout=10")?;
    Ok(())
}

/// Writes the definition of an object with code, in the session that it was made in.
pub(crate) fn write_code(
    frames: &mut FrameWriter<'_>,
    object: &DumpedObject,
    database: &DatabaseFacts,
) -> Result<()> {
    let (definition, context) = match object {
        DumpedObject::Routine(record) => (&record.definition, &record.context),
        DumpedObject::Trigger(record) => (&record.definition, &record.context),
        DumpedObject::View(record) => (&record.definition, &record.context),
        DumpedObject::Event(record) => (&record.definition, &record.context),
        DumpedObject::Table(_) | DumpedObject::Sequence(_) => return Ok(()),
    };
    frames.put(&writer::code_definition(definition, context, &database.collation))
}

fn write_objects(
    frames: &mut FrameWriter<'_>,
    objects: Objects,
    database: &DatabaseFacts,
) -> Result<Vec<DumpedObject>> {
    let mut dumped = Vec::new();
    let mut put = |frames: &mut FrameWriter<'_>, object: DumpedObject| -> Result<()> {
        write_code(frames, &object, database)?;
        dumped.push(object);
        Ok(())
    };
    for record in objects.routines {
        put(frames, DumpedObject::Routine(record))?;
    }
    for record in objects.triggers {
        put(frames, DumpedObject::Trigger(record))?;
    }
    let (broken, whole): (Vec<_>, Vec<_>) = objects.views.into_iter().partition(|view| view.broken);
    for record in whole {
        put(frames, DumpedObject::View(record))?;
    }
    for record in objects.events {
        put(frames, DumpedObject::Event(record))?;
    }
    for record in broken {
        put(frames, DumpedObject::View(record))?;
    }
    Ok(dumped)
}
