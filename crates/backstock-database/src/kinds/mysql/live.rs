//! A look at a live database as a dump would describe it, without a dump: every definition, and the number of rows of
//! tables that are small enough to be counted. Nothing is locked for longer than one such statement.

use std::collections::{BTreeMap, BTreeSet};

use super::connection::Connection;
use super::dump::reader::{RowSource, RowTaker, current_row_end, each_row};
use super::dump::{no_database, open, plan};
use super::objects::{self, Objects};
use super::rights::read_rights;
use super::row_values::{RowDecoder, RowValues};
use super::row_writer::{RowWriter, add_frames};
use super::rows::Oddity;
use super::schema;
use super::session::prepare_to_read;
use super::sql::quote_name;
use crate::dump::{DumpProblem, DumpRequest, DumpSink};
use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{
    Checksum, Contents, DatabaseFacts, DumpedObject, SequenceRecord, ServerFacts, TableRecord,
};
use crate::settings::ServerSettings;

/// What a look at a live database found.
#[derive(Debug)]
pub struct LiveDatabase {
    /// The server.
    pub server: ServerFacts,
    /// The database.
    pub database: DatabaseFacts,
    /// Every object, as a dump would record it. A table's rows are counted, or called excluded where they are not; their
    /// checksums are not known.
    pub objects: Vec<DumpedObject>,
    /// What the account cannot see.
    pub problems: Vec<DumpProblem>,
    /// Tables that are too large to be counted.
    pub uncounted: u64,
}

/// Looks at a live database. `not_ours` are tables that a restore made; tables of up to `counted_bytes` (as the server
/// estimates their rows) are counted.
///
/// # Errors
/// Those of [`Connection::open`] and of the queries; [`Error::NoDatabase`].
pub fn look_at_database(
    settings: &ServerSettings,
    database: &[u8],
    not_ours: &[Vec<u8>],
    counted_bytes: u64,
) -> Result<LiveDatabase> {
    let request = DumpRequest { not_ours: not_ours.to_vec(), ..DumpRequest::whole(database) };
    let mut connection = open(settings, database)?;
    prepare_to_read(&mut connection)?;
    let facts = schema::database_facts(&mut connection)?.ok_or_else(|| no_database(database))?;
    let server = schema::server_facts(&mut connection)?;
    let rights = read_rights(&mut connection, &facts.name)?;
    let plan = plan::make(&mut connection, &facts.name, &request, &BTreeMap::new())?;
    let mut found = Objects::default();
    objects::routines(&mut connection, &facts.name, &mut found)?;
    objects::events(&mut connection, &facts.name, &mut found)?;
    let takes = |name: &[u8]| plan::takes(&request, name);
    objects::triggers(&mut connection, &facts.name, &takes, &mut found)?;
    let known: BTreeSet<RawText> = plan.lines.iter().map(|line| line.facts.name.clone()).collect();
    objects::views(&mut connection, &facts.name, &plan.views, &known, &mut found)?;
    prepare_to_read(&mut connection)?;
    let names: Vec<RawText> = plan.tables.iter().map(|table| table.record.name.clone()).collect();
    let mut live = LiveDatabase {
        server,
        database: facts,
        objects: Vec::new(),
        problems: rights.problems(&names, true),
        uncounted: 0,
    };
    live.problems.extend(plan.problems);
    live.problems.append(&mut found.problems);
    for table in plan.tables {
        let mut record = table.record;
        if record.contents == Contents::Included {
            match count(&mut connection, &record.name, record.estimated_bytes, counted_bytes)? {
                Some(rows) => record.row_count = rows,
                None => {
                    record.contents = Contents::Excluded;
                    live.uncounted += 1;
                }
            }
        }
        live.objects.push(DumpedObject::Table(record));
    }
    for (name, definition) in plan.sequences {
        let (definition, next_value) = (definition.into(), String::new());
        let record = SequenceRecord { name, definition, next_value, cycle_count: 0 };
        live.objects.push(DumpedObject::Sequence(record));
    }
    live.objects.extend(found.routines.into_iter().map(DumpedObject::Routine));
    live.objects.extend(found.triggers.into_iter().map(DumpedObject::Trigger));
    live.objects.extend(found.views.into_iter().map(DumpedObject::View));
    live.objects.extend(found.events.into_iter().map(DumpedObject::Event));
    Ok(live)
}

/// Reads the rows of live tables, each table with one statement and in a session of its own: nothing is locked for longer.
#[derive(Debug)]
pub struct LiveReader {
    connection: Connection,
}

impl LiveReader {
    /// Connects.
    ///
    /// # Errors
    /// Those of [`Connection::open`], and where the session cannot be set up for reading.
    pub fn open(settings: &ServerSettings, database: &[u8]) -> Result<Self> {
        let mut connection = open(settings, database)?;
        prepare_to_read(&mut connection)?;
        Ok(Self { connection })
    }

    /// Hands over each row of a table that [`look_at_database`] described.
    ///
    /// # Errors
    /// The server's, and where the table changed since.
    pub fn each_row(&mut self, table: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()> {
        let current_row_end = current_row_end(&mut self.connection, table)?;
        let source = RowSource::whole(table, &table.name);
        let take = |text: &[u8], values: RowValues, _: Oddity| {
            each(text, values);
            Ok(())
        };
        let mut taker = ValueTaker { text: Vec::new(), decoder: RowDecoder::new(&table.columns), take };
        each_row(&mut self.connection, &source, &current_row_end, &mut taker)
    }

    /// Writes the rows of a table that [`look_at_database`] described into frames, but for what `edit` says of each, and
    /// `added` behind them. Gives the record of the table with these rows.
    ///
    /// # Errors
    /// As for [`Self::each_row`], and the sink's.
    pub fn write_edited(
        &mut self,
        database: &[u8],
        table: &TableRecord,
        sink: &dyn DumpSink,
        edit: &mut dyn FnMut(&[u8], RowValues) -> RowEdit,
        added: &[Vec<u8>],
    ) -> Result<TableRecord> {
        let current_row_end = current_row_end(&mut self.connection, table)?;
        let source = RowSource::whole(table, &table.name);
        let mut writer = RowWriter::new(sink, database, &table.name, &table.columns);
        let mut put = |text: &[u8], oddity: Oddity| -> Result<()> {
            writer.begin_row(text.len())?.extend_from_slice(text);
            writer.end_row(oddity).map(drop)
        };
        let take = |text: &[u8], values: RowValues, oddity: Oddity| match edit(text, values) {
            RowEdit::Keep => put(text, oddity),
            RowEdit::Replace(text) => put(&text, Oddity::default()),
            RowEdit::Remove => Ok(()),
        };
        let mut taker = ValueTaker { text: Vec::new(), decoder: RowDecoder::new(&table.columns), take };
        each_row(&mut self.connection, &source, &current_row_end, &mut taker)?;
        drop(taker);
        added.iter().try_for_each(|text| put(text, Oddity::default()))?;
        let mut record = TableRecord {
            row_count: 0,
            checksum: Checksum::default(),
            frames: Vec::new(),
            contents: Contents::Included,
            ..table.clone()
        };
        add_frames(&mut record, writer.finish()?);
        Ok(record)
    }
}

/// What becomes of a row that is written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowEdit {
    /// It stays as it is.
    Keep,
    /// Another one, given as text without brackets, takes its place.
    Replace(Vec<u8>),
    /// It goes.
    Remove,
}

/// Takes the text of each row apart.
struct ValueTaker<F> {
    text: Vec<u8>,
    decoder: RowDecoder,
    take: F,
}

impl<F: FnMut(&[u8], RowValues, Oddity) -> Result<()>> RowTaker for ValueTaker<F> {
    fn begin(&mut self, _size_bytes: usize) -> Result<&mut Vec<u8>> {
        self.text.clear();
        Ok(&mut self.text)
    }

    fn end(&mut self, oddity: Oddity) -> Result<()> {
        let values = self.decoder.values(&self.text);
        let values = values.map_err(|source| Error::Sql { object: "a row".to_owned(), source })?;
        (self.take)(&self.text, values, oddity)
    }
}

/// The number of a table's rows; `None` where it is too large, or the server does not give it.
fn count(
    connection: &mut Connection,
    name: &RawText,
    estimated_bytes: u64,
    counted_bytes: u64,
) -> Result<Option<u64>> {
    if estimated_bytes > counted_bytes {
        return Ok(None);
    }
    match connection.query(&[b"SELECT COUNT(*) FROM ".as_slice(), &quote_name(name)].concat()) {
        Ok(result) => Ok(result.single().and_then(|count| readable(count).parse().ok())),
        Err(Error::Statement { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
