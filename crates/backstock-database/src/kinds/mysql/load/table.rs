//! The steps of one table: made, filled, given its keys, read back and compared. Done again from the start unless all
//! of it is proven to be there.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstock_host::memory::{Room, Taken};

use super::super::ddl::{self, Concessions, ShadowRequest, ShadowTable, Text, shadow_table};
use super::super::definition;
use super::super::dump::checksum_table;
use super::super::sql::quote_name;
use super::super::swap::warnings;
use super::queue::Way;
use super::rows::RowTarget;
use super::{bulk, compare, concession, foreign, presence, session};
use crate::error::{Error, Result};
use crate::load::{FrameSource, LoadPhase, LoadPlan, LoadedTable, NewSide, TablePlan};
use crate::monitor::DatabaseMonitor;
use crate::record::TableRecord;
use crate::settings::ServerSettings;
use crate::{Connection, RawText, Vendor, readable};

/// A table with several partitions for its history and no rule when to go on to the next (MariaDB): only a warning,
/// which a strict session turns into an error.
const ERROR_HISTORY_PARTITIONS: u16 = 4115;

/// Tables of up to so many rows, and so many bytes as the server estimates, have their keys from the start: a further
/// ALTER TABLE takes longer than the rows.
const KEYS_FIRST_ROWS: u64 = 1000;
const KEYS_FIRST_BYTES: u64 = 1024 * 1024;

/// The text of so many bytes is held at the same time: that of four usual frames, each of which takes as much again and
/// more while it is decoded and sent.
const HELD_LIMIT_BYTES: u64 = 20 * 1024 * 1024;

/// What is needed to load any table of a plan.
pub(super) struct Loading<'a> {
    pub(super) settings: &'a ServerSettings,
    pub(super) plan: &'a LoadPlan,
    pub(super) source: &'a dyn FrameSource,
    pub(super) monitor: &'a dyn DatabaseMonitor<LoadPhase>,
    /// Whether the server takes rows in bulk; found out with the first table.
    pub(super) bulk: OnceLock<bool>,
    /// What all connections together hold in memory.
    room: Room,
    /// How many connections were opened.
    opened: AtomicUsize,
}

/// A table and the name under which it is loaded.
pub(super) struct Target<'a> {
    pub(super) table: &'a TablePlan,
    pub(super) record: &'a TableRecord,
    pub(super) name: RawText,
    /// Whether something of this name may be kept if it is whole.
    pub(super) present: bool,
}

impl Target<'_> {
    /// A line of the report about this table.
    pub(super) fn line(&self, text: impl std::fmt::Display) -> String {
        format!("table {}: {text}", self.table.name)
    }
}

impl<'a> Loading<'a> {
    pub(super) fn new(
        settings: &'a ServerSettings,
        plan: &'a LoadPlan,
        source: &'a dyn FrameSource,
        monitor: &'a dyn DatabaseMonitor<LoadPhase>,
    ) -> Self {
        Self {
            settings,
            plan,
            source,
            monitor,
            bulk: OnceLock::new(),
            room: Room::new(HELD_LIMIT_BYTES),
            opened: AtomicUsize::new(0),
        }
    }

    /// A connection set up for the load.
    pub(super) fn open(&self) -> Result<Connection> {
        let mut connection = Connection::open(self.settings, Some(&self.plan.target.name))?;
        session::prepare_to_load(&mut connection)?;
        session::set_row_end(&mut connection)?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            presence::wait_for_the_dead(&mut connection, self.plan);
        }
        if number < presence::CONNECTIONS {
            presence::enter(&mut connection, self.plan, number);
        }
        Ok(connection)
    }

    /// Tells what there is to load, and gives the tables.
    pub(super) fn begin_rows(&self) -> Vec<(&'a TablePlan, &'a TableRecord)> {
        self.monitor.phase(LoadPhase::Rows);
        let tables: Vec<(&TablePlan, &TableRecord)> = self.plan.new_tables().collect();
        self.monitor.expected(
            tables.len() as u64,
            tables.iter().map(|(_, record)| record.row_count).sum(),
            tables.iter().map(|(_, record)| record.estimated_bytes).sum(),
        );
        tables
    }

    /// Whether somebody asked to stop.
    pub(super) fn check_stop(&self) -> Result<()> {
        if self.monitor.is_cancelled() {
            return Err(Error::LoadStopped { database: self.plan.target.name.to_string() });
        }
        Ok(())
    }

    /// The statements that make a table under another name.
    pub(super) fn statements(
        &self,
        connection: &Connection,
        target: &Target<'_>,
        concessions: Concessions,
    ) -> Result<ShadowTable> {
        let (plan, table, record) = (self.plan, target.table, target.record);
        let aside = target.name != table.name;
        let sequences = |schema: Option<&[u8]>, sequence: &[u8]| {
            let ours = schema.is_none_or(|schema| schema == &plan.source.name[..]);
            let found = plan
                .tables
                .iter()
                .find(|table| table.name.0 == sequence && matches!(table.new, Some(NewSide::Sequence(_))));
            // One that exists now can be named already: default values follow the name.
            let name = match found {
                Some(found) if found.old.is_none() && aside => plan.new_name(found).0,
                _ => sequence.to_vec(),
            };
            ours.then(|| [quote_name(&plan.target.name), quote_name(&name)].join(&b"."[..]))
        };
        let request = ShadowRequest {
            definition: &record.definition,
            table: &table.name,
            shadow: &target.name,
            checks_share_names: aside && connection.vendor() == Vendor::MySql,
            implied_collations: connection.vendor() == Vendor::MySql,
            concessions,
            keys_first: record.row_count <= KEYS_FIRST_ROWS && record.estimated_bytes <= KEYS_FIRST_BYTES,
            sequences: &sequences,
        };
        shadow_table(&request).map_err(|source| Error::Sql {
            object: format!("the definition of table {}", table.name),
            source,
        })
    }

    /// An earlier attempt's table, if it is whole.
    pub(super) fn verified(
        &self,
        connection: &mut Connection,
        target: &Target<'_>,
    ) -> Result<Option<LoadedTable>> {
        if target.table.current_rows_only {
            // How many rows it should have is not recorded.
            return Ok(None);
        }
        let agreed = concession::agreed(self.plan, target.table);
        let statements = self.statements(connection, target, agreed)?;
        if !compare::definition(connection, self.plan, target.table, &target.name, &statements)?.is_empty() {
            return Ok(None);
        }
        let _taken = self.room_for_rows(target);
        match compare::rows(connection, target.table, target.record, &target.name) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotEqual { .. } | Error::Statement { .. } | Error::Definition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the empty table, in the place of whatever has its name.
    pub(super) fn make(
        &self,
        connection: &mut Connection,
        target: &Target<'_>,
        way: Way,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let statements = self.statements(connection, target, way.concessions)?;
        connection.execute(&Text::new("DROP TABLE IF EXISTS ").name(&target.name).bytes())?;
        match self.run(connection, target.table, &statements.create, lines) {
            Err(error) if error.code() == Some(ERROR_HISTORY_PARTITIONS) => {
                session::set_lenient_mode(connection)?;
                let made = self.run(connection, target.table, &statements.create, &mut Vec::new());
                session::reset_context(connection)?;
                made?;
            }
            other => other?,
        }
        let left_out = statements.left_out.iter();
        lines.extend(left_out.map(|text| target.line(format_args!("left out: {text}"))));
        Ok(())
    }

    /// Adds what the table was made without.
    pub(super) fn add_keys(
        &self,
        connection: &mut Connection,
        target: &Target<'_>,
        concessions: Concessions,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let statements = self.statements(connection, target, concessions)?;
        let head = Text::new("ALTER TABLE ").name(&target.name).sql(" ");
        for keys in &statements.keys {
            self.check_stop()?;
            self.run(connection, target.table, &head.clone().sql(keys).bytes(), lines)?;
        }
        let definition = &target.record.definition;
        let made_with =
            ddl::spans(definition).ok().and_then(|spans| definition::auto_increment(&spans, definition));
        match target.record.auto_increment {
            Some(number) if made_with != Some(number) => {
                let statement = head.sql(format!("AUTO_INCREMENT={number}")).bytes();
                self.run(connection, target.table, &statement, lines)
            }
            _ => Ok(()),
        }
    }

    /// Compares the whole table with the dump.
    pub(super) fn check(
        &self,
        connection: &mut Connection,
        target: &Target<'_>,
        concessions: Concessions,
        lines: &mut Vec<String>,
    ) -> Result<LoadedTable> {
        let _taken = self.room_for_rows(target);
        let found = compare::rows(connection, target.table, target.record, &target.name)?;
        // A CHECK that is not enforced is told part by part, too.
        let wanted = Concessions { checks_off: false, ..concessions };
        let statements = self.statements(connection, target, wanted)?;
        lines.extend(compare::definition(connection, self.plan, target.table, &target.name, &statements)?);
        Ok(found)
    }

    /// Sends the rows of some of a table's frames. `false` where bulk was allowed and not all of them went in so.
    pub(super) fn fill(
        &self,
        connection: &mut Connection,
        target: &Target<'_>,
        frames: Range<usize>,
        by_inserts: bool,
        lines: &mut Vec<String>,
    ) -> Result<bool> {
        let packet = connection.query(b"SELECT @@max_allowed_packet")?;
        let packet_bytes =
            packet.single().map(readable).and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
        let (record, name) = (target.record, &target.name);
        let in_bulk = !by_inserts && self.takes_bulk(target);
        foreign::enter(connection, record)?;
        let mut rows = RowTarget { connection, name, record, packet_bytes, in_bulk, lines: Vec::new() };
        let sent = record.frames.get(frames).unwrap_or_default().iter().try_for_each(|frame| {
            self.check_stop()?;
            let _taken = self.room.take(self.source.frame_bytes(frame.frame));
            let bytes = rows.load_frame(self.source, frame.frame)?;
            self.monitor.rows(&target.table.name, frame.row_count, bytes);
            Ok(())
        });
        let exact = rows.in_bulk == in_bulk;
        lines.append(&mut rows.lines);
        let left = foreign::leave(rows.connection, record);
        sent.and(left).map(|()| exact)
    }

    /// Room to read a table back: no row of it is larger than its largest frame.
    fn room_for_rows(&self, target: &Target<'_>) -> Taken<&Room> {
        let frames = target.record.frames.iter();
        self.room.take(frames.map(|frame| self.source.frame_bytes(frame.frame)).max().unwrap_or(0))
    }

    /// Whether a table's rows may go in by `LOAD DATA LOCAL`: only where a transaction takes a bad step back, and only
    /// rows in our own literals, whose bytes are those of the column and are compared with the dump in the end.
    pub(super) fn takes_bulk(&self, target: &Target<'_>) -> bool {
        let (database, record) = (&self.plan.target.name, target.record);
        let is_allowed = || bulk::is_allowed(self.settings, database, record, &target.name);
        target.record.is_transactional()
            && record.foreign.is_none()
            && !target.table.current_rows_only
            && !record.columns.is_empty()
            && *self.bulk.get_or_init(is_allowed)
    }

    pub(super) fn run(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        sql: &[u8],
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let done = connection.execute(sql)?;
        if done.warnings > 0 {
            let told = warnings(connection)?;
            lines.extend(told.into_iter().map(|warning| format!("table {}: {warning}", table.name)));
        }
        Ok(())
    }
}

/// Rows and checksum of a table under some name.
pub(super) fn read_back(
    connection: &mut Connection,
    record: &TableRecord,
    name: &RawText,
) -> Result<LoadedTable> {
    let (row_count, checksum) = checksum_table(connection, record, Some(name))?;
    Ok(LoadedTable { name: record.name.clone(), row_count, checksum })
}
