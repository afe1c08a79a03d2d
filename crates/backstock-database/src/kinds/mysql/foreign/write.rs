//! A dump by others as a dump of our own: the first reading gives the plan, the second one writes definitions, rows and
//! the rest into frames, and proves that the file was the same both times.

use std::collections::BTreeMap;

use backstock_host::Host;

use super::drafts::TableDraft;
use super::fault::{Fault, Outcome};
use super::live::Live;
use super::walk::{RowSink, Walk};
use crate::dump::{DumpPhase, DumpReport, DumpSink, DumpTarget};
use crate::error::{Error, Result};
use crate::foreign::{ForeignPlan, ForeignRequest, ForeignSource, SkippedStatements};
use crate::kinds::mysql::dump::write_code;
use crate::kinds::mysql::row_writer::{RowWriter, add_frames};
use crate::kinds::mysql::rows::Oddity;
use crate::kinds::mysql::writer::{self, FrameWriter};
use crate::monitor::DatabaseMonitor;
use crate::record::{
    ColumnRecord, DatabaseFacts, DumpedObject, FrameRecord, LiteralForm, ServerFacts, SessionContext,
};
use crate::settings::ServerSettings;
use crate::{RawText, readable};

/// Rows that are told at once to whoever watches.
const ROWS_PER_NOTE: u64 = 4096;

/// Reads a dump made by others to its end. Runs nothing of it; the server is asked for its version and, where the dump
/// has rows without definitions, for those.
///
/// # Errors
/// [`Error::ForeignText`] with file and line where the dump is refused, [`Error::ForeignRead`]; the server's.
pub fn scan_foreign(
    settings: &ServerSettings,
    request: &ForeignRequest,
    source: &dyn ForeignSource,
    monitor: &dyn DatabaseMonitor<DumpPhase>,
) -> Result<ForeignPlan> {
    let mut live = Live::open(settings, &request.database)?;
    let mut counting = Counting { monitor, database: &request.database };
    scan(&mut live, request, source, &mut counting).map_err(Error::from)
}

pub(super) fn scan(
    live: &mut Live,
    request: &ForeignRequest,
    source: &dyn ForeignSource,
    sink: &mut dyn RowSink,
) -> Outcome<ForeignPlan> {
    let mut walk = Walk::new(live, request, sink);
    let text_bytes = walk.read(source)?;
    let (objects, left_out) = walk.drafts.objects().map_err(|what| {
        let file = source.files().into_iter().next().unwrap_or_default();
        Fault::Text(super::fault::Place { file, line: 1, what })
    })?;
    let mut warnings = std::mem::take(&mut walk.warnings);
    warnings.extend(left_out);
    warnings.extend(warnings_of(&walk, &objects));
    let definers = definers(&objects);
    let from_live = walk.drafts.tables.iter().filter(|table| table.is_live);
    let from_live: Vec<RawText> = from_live.map(|table| table.name.clone()).collect();
    let database = walk.database.clone().or_else(|| walk.origin.database.clone());
    let (rows, statements) = (walk.rows, walk.statements);
    let skipped: Vec<SkippedStatements> = std::mem::take(&mut walk.skipped);
    let origin = walk.origin.clone();
    let server_is_known = origin.server.is_some();
    let server = match origin.server {
        Some((vendor, version, version_text)) => {
            ServerFacts { vendor, version, version_text, identity: String::new(), ..live.server.clone() }
        }
        None => live.server.clone(),
    };
    let name = database.map_or_else(|| live.database.name.clone(), RawText);
    // The defaults of the database stay: an empty character set says so.
    let database = DatabaseFacts {
        name,
        character_set: String::new(),
        collation: live.database.collation.clone(),
        comment: live.database.comment.clone(),
    };
    let made_by = if origin.made_by.is_empty() { "an unknown program".to_owned() } else { origin.made_by };
    Ok(ForeignPlan {
        made_by,
        server,
        server_is_known,
        database,
        objects,
        from_live,
        rows,
        statements,
        text_bytes,
        skipped,
        definers,
        warnings,
    })
}

fn warnings_of(walk: &Walk<'_>, objects: &[DumpedObject]) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_tables = objects.iter().any(|object| matches!(object, DumpedObject::Table(_)));
    if has_tables && walk.rows == 0 {
        warnings.push("the dump has definitions and no rows: its tables would be empty".to_owned());
    }
    let added: Vec<String> = walk
        .drafts
        .tables
        .iter()
        .filter(|table| table.is_live && !table.is_emptied)
        .map(|table| table.name.to_string())
        .collect();
    if !added.is_empty() {
        warnings.push(format!(
            "the dump has rows of these tables, and neither their definition nor a TRUNCATE: they take the place of all \
             rows that are there: {}",
            added.join(", ")
        ));
    }
    let without_key = objects.iter().filter_map(|object| match object {
        DumpedObject::Table(table) => {
            let text = table.definition.to_ascii_uppercase();
            let has_key = text.windows(4).any(|window| window == b" KEY");
            (!has_key).then(|| table.name.to_string())
        }
        _ => None,
    });
    let without_key: Vec<String> = without_key.collect();
    if !without_key.is_empty() && walk.origin.made_by == "phpMyAdmin" {
        warnings.push(format!(
            "these tables have no keys in the dump; it may be a part of an export: {}",
            without_key.join(", ")
        ));
    }
    let no_zone =
        walk.drafts.tables.iter().any(|table| {
            table.time_zone == Some(None) && table.columns.iter().any(|column| column.is_timestamp)
        });
    if no_zone {
        warnings.push(
            "the dump names no time zone: its TIMESTAMP values are read in the time zone of the server"
                .to_owned(),
        );
    }
    if walk.without_mode > 0 {
        warnings.push(format!(
            "the dump does not tell the sql_mode of {} triggers, routines and events: they get that of the server",
            walk.without_mode
        ));
    }
    let narrow: Vec<&str> = walk.character_sets().filter(|set| matches!(*set, "utf8" | "utf8mb3")).collect();
    if !narrow.is_empty() {
        warnings.push(
            "the dump is written in utf8mb3: characters of four bytes (emoji) were lost when it was made"
                .to_owned(),
        );
    }
    warnings
}

fn context(object: &DumpedObject) -> Option<&SessionContext> {
    match object {
        DumpedObject::Routine(record) => Some(&record.context),
        DumpedObject::Trigger(record) => Some(&record.context),
        DumpedObject::View(record) => Some(&record.context),
        DumpedObject::Event(record) => Some(&record.context),
        DumpedObject::Table(_) | DumpedObject::Sequence(_) => None,
    }
}

fn definers(objects: &[DumpedObject]) -> Vec<String> {
    let definers = objects.iter().filter_map(|object| context(object)?.definer.as_ref());
    let mut names: Vec<String> = definers.map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

struct Counting<'a> {
    monitor: &'a dyn DatabaseMonitor<DumpPhase>,
    database: &'a [u8],
}

impl RowSink for Counting<'_> {
    fn row(&mut self, _: &TableDraft, _: &[Vec<u8>], _: &[u8], _: bool) -> Outcome<()> {
        Ok(())
    }

    fn check_stop(&self) -> Outcome<()> {
        check_stop(self.monitor, self.database)
    }
}

fn check_stop(monitor: &dyn DatabaseMonitor<DumpPhase>, database: &[u8]) -> Outcome<()> {
    if monitor.is_cancelled() {
        return Err(Fault::Other(Error::Cancelled { database: readable(database) }));
    }
    Ok(())
}

/// Writes a dump made by others as a dump of our own. `plan` is what [`scan_foreign`] found in it.
///
/// # Errors
/// As [`scan_foreign`]; [`Error::ForeignChanged`] when the dump is not the one that was planned; those of the target.
pub fn dump_foreign(
    host: &Host,
    settings: &ServerSettings,
    request: &ForeignRequest,
    source: &dyn ForeignSource,
    plan: &ForeignPlan,
    target: &dyn DumpTarget,
    monitor: &dyn DatabaseMonitor<DumpPhase>,
) -> Result<DumpReport> {
    let sink = target.begin(1).map_err(|source| writer::sink_error(&request.database, source))?;
    let mut live = Live::open(settings, &request.database)?;
    let tables = plan.objects.iter().filter(|object| matches!(object, DumpedObject::Table(_)));
    monitor.phase(DumpPhase::Rows);
    monitor.expected(tables.count() as u64, plan.rows, plan.text_bytes);
    let mut frames = FrameWriter::new(sink.as_ref(), &request.database);
    let taken_at = host.clock.now().to_string();
    let sequences = plan.objects.iter().filter_map(|object| match object {
        DumpedObject::Sequence(record) => Some(&record.definition[..]),
        _ => None,
    });
    writer::put_head(
        &mut frames,
        &plan.server,
        &plan.database,
        taken_at,
        &mut sequences.into_iter(),
        &plan.objects,
    )?;
    let mut writing = Writing {
        sink: sink.as_ref(),
        monitor,
        database: &request.database,
        open: None,
        found: BTreeMap::new(),
        untold: 0,
    };
    let mut walk = Walk::new(&mut live, request, &mut writing);
    let text_bytes = walk.read(source).map_err(Error::from)?;
    let rows = walk.rows;
    writing.close()?;
    let changed = || Error::ForeignChanged { files: source.files().join(", ") };
    if (rows, text_bytes) != (plan.rows, plan.text_bytes) {
        return Err(changed());
    }
    let mut objects = plan.objects.clone();
    for object in &mut objects {
        if let DumpedObject::Table(table) = object {
            let found = writing.found.remove(&table.name).unwrap_or_default();
            let planned = std::mem::take(&mut table.row_count);
            add_frames(table, found);
            if table.row_count != planned {
                return Err(changed());
            }
        }
    }
    if !writing.found.is_empty() {
        return Err(changed());
    }
    write_tail(&mut frames, &objects, &plan.database)?;
    let report = report(plan, objects);
    frames.put(&writer::end(&report))?;
    frames.flush()?;
    Ok(report)
}

fn write_tail(
    frames: &mut FrameWriter<'_>,
    objects: &[DumpedObject],
    database: &DatabaseFacts,
) -> Result<()> {
    for object in objects {
        match object {
            DumpedObject::Table(table) => {
                if let Some(number) = table.auto_increment {
                    frames.put(&writer::auto_increment(&table.name, number))?;
                }
            }
            DumpedObject::Sequence(record) => {
                frames.put(&writer::sequence_value(&record.name, &record.next_value, record.cycle_count))?;
            }
            code => write_code(frames, code, database)?,
        }
    }
    Ok(())
}

fn report(plan: &ForeignPlan, objects: Vec<DumpedObject>) -> DumpReport {
    let mut notes = vec![format!(
        "imported from a dump that {} made: its rows are as that program wrote them, and are compared by their number",
        plan.made_by
    )];
    notes.extend(plan.skipped.iter().map(|skipped| format!("not run: {skipped}")));
    notes.extend(plan.warnings.iter().cloned());
    DumpReport {
        server: plan.server.clone(),
        database: plan.database.clone(),
        objects,
        problems: Vec::new(),
        notes,
        rows: plan.rows,
        attempts: 1,
        guarded: true,
        one_point_in_time: true,
        not_in_snapshot: Vec::new(),
    }
}

/// The table whose rows come at the moment.
struct OpenTable<'a> {
    name: RawText,
    columns: Vec<Vec<u8>>,
    writer: RowWriter<'a>,
}

struct Writing<'a> {
    sink: &'a dyn DumpSink,
    monitor: &'a dyn DatabaseMonitor<DumpPhase>,
    database: &'a [u8],
    open: Option<OpenTable<'a>>,
    found: BTreeMap<RawText, Vec<FrameRecord>>,
    /// Rows and bytes that nobody was told of.
    untold: u64,
}

impl Writing<'_> {
    fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            let frames = open.writer.finish()?;
            self.found.entry(open.name).or_default().extend(frames);
        }
        Ok(())
    }
}

impl RowSink for Writing<'_> {
    fn row(&mut self, table: &TableDraft, columns: &[Vec<u8>], row: &[u8], ignore: bool) -> Outcome<()> {
        let goes_on = |open: &OpenTable<'_>| open.name == table.name && open.columns == columns;
        if !self.open.as_ref().is_some_and(goes_on) {
            self.close()?;
            let records: Vec<ColumnRecord> = columns
                .iter()
                .map(|name| ColumnRecord {
                    name: RawText(name.clone()),
                    literal: LiteralForm::Bytes,
                    type_text: RawText::default(),
                })
                .collect();
            let writer = RowWriter::new(self.sink, self.database, &table.name, &records);
            self.monitor.table_started(&table.name, 0);
            self.open = Some(OpenTable { name: table.name.clone(), columns: columns.to_vec(), writer });
        }
        if let Some(open) = &mut self.open {
            open.writer.begin_row(row.len())?.extend_from_slice(row);
            open.writer.end_row(Oddity { enum_error: ignore, ..Oddity::default() })?;
        }
        self.untold += 1;
        if self.untold >= ROWS_PER_NOTE {
            self.monitor.rows(&table.name, self.untold, 0);
            self.untold = 0;
        }
        Ok(())
    }

    fn check_stop(&self) -> Outcome<()> {
        check_stop(self.monitor, self.database)
    }
}
