//! One table aside: made, filled, given its keys, read back and compared. Done again from the start unless all of it
//! is proven to be there.

use super::super::ddl::{Concessions, ShadowRequest, ShadowTable, Text, shadow_table};
use super::super::dump::checksum_table;
use super::super::sql::quote_name;
use super::super::swap::warnings;
use super::rows::RowTarget;
use super::{compare, concession, foreign, session};
use crate::error::{Error, Result};
use crate::load::{FrameSource, LoadPhase, LoadPlan, LoadedTable, NewSide, TablePlan};
use crate::monitor::DatabaseMonitor;
use crate::record::{Contents, TableRecord};
use crate::{Connection, RawText, Vendor, readable};

/// A table with several partitions for its history and no rule when to go on to the next (MariaDB): only a warning,
/// which a strict session turns into an error.
const ERROR_HISTORY_PARTITIONS: u16 = 4115;

/// What is needed to load any table of a plan.
#[derive(Clone, Copy)]
pub(super) struct Loading<'a> {
    pub(super) plan: &'a LoadPlan,
    pub(super) source: &'a dyn FrameSource,
    pub(super) monitor: &'a dyn DatabaseMonitor<LoadPhase>,
}

/// A loaded table and what the report says of it.
pub(super) struct Loaded {
    pub(super) table: LoadedTable,
    pub(super) lines: Vec<String>,
}

impl Loading<'_> {
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
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
        concessions: Concessions,
    ) -> Result<ShadowTable> {
        let plan = self.plan;
        let aside = *name != table.name;
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
            shadow: name,
            checks_share_names: aside && connection.vendor() == Vendor::MySql,
            implied_collations: connection.vendor() == Vendor::MySql,
            concessions,
            sequences: &sequences,
        };
        shadow_table(&request).map_err(|source| Error::Sql {
            object: format!("the definition of table {}", table.name),
            source,
        })
    }

    /// Makes and fills a table under a name, unless it is there and proven equal.
    pub(super) fn load(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
        present: bool,
    ) -> Result<Loaded> {
        self.monitor.table_started(&table.name, record.row_count);
        let mut lines = Vec::new();
        if present && let Some(found) = self.verified(connection, table, record, name)? {
            self.monitor.table_finished(&table.name, found.row_count);
            return Ok(Loaded { table: found, lines });
        }
        let concessions = self.make_somehow(connection, table, record, name, &mut lines)?;
        let found = compare::rows(connection, table, record, name)?;
        // A CHECK that is not enforced is told part by part, too.
        let wanted = Concessions { checks_off: false, ..concessions };
        let statements = self.statements(connection, table, record, name, wanted)?;
        lines.extend(compare::definition(connection, self.plan, table, name, &statements)?);
        self.monitor.table_finished(&table.name, found.row_count);
        Ok(Loaded { table: found, lines })
    }

    /// An earlier attempt's table, if it is whole.
    fn verified(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
    ) -> Result<Option<LoadedTable>> {
        if table.current_rows_only {
            // How many rows it should have is not recorded.
            return Ok(None);
        }
        let statements =
            self.statements(connection, table, record, name, concession::agreed(self.plan, table))?;
        if !compare::definition(connection, self.plan, table, name, &statements)?.is_empty() {
            return Ok(None);
        }
        match compare::rows(connection, table, record, name) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotEqual { .. } | Error::Statement { .. } | Error::Definition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a table as it was or, where the server does not take it so, with as little conceded as possible.
    fn make_somehow(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
        lines: &mut Vec<String>,
    ) -> Result<Concessions> {
        let tell = |line: String| format!("table {}: {line}", table.name);
        let mut concessions = concession::agreed(self.plan, table);
        lines.extend(concession::agreed_line(concessions).map(tell));
        loop {
            let told = lines.len();
            let outcome = self.make(connection, table, record, name, concessions, lines);
            match concession::next(concessions, &outcome, &lines[told..], record) {
                None => return outcome.map(|()| concessions),
                Some((next, line)) => {
                    lines.truncate(told);
                    lines.push(tell(line));
                    concessions = next;
                }
            }
        }
    }

    fn make(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
        concessions: Concessions,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let statements = self.statements(connection, table, record, name, concessions)?;
        connection.execute(&Text::new("DROP TABLE IF EXISTS ").name(name).bytes())?;
        match self.run(connection, table, &statements.create, lines) {
            Err(error) if error.code() == Some(ERROR_HISTORY_PARTITIONS) => {
                session::set_lenient_mode(connection)?;
                let made = self.run(connection, table, &statements.create, &mut Vec::new());
                session::reset_context(connection)?;
                made?;
            }
            other => other?,
        }
        let left_out = statements.left_out.iter();
        lines.extend(left_out.map(|text| format!("table {}: left out: {text}", table.name)));
        if record.contents == Contents::Included {
            self.fill(connection, table, record, name, lines)?;
        }
        let head = Text::new("ALTER TABLE ").name(name).sql(" ");
        for keys in &statements.keys {
            self.check_stop()?;
            self.run(connection, table, &head.clone().sql(keys).bytes(), lines)?;
        }
        if let Some(number) = record.auto_increment {
            let statement = head.sql(format!("AUTO_INCREMENT={number}")).bytes();
            self.run(connection, table, &statement, lines)?;
        }
        Ok(())
    }

    /// Sends all rows of a table to the table of this name.
    pub(super) fn fill(
        &self,
        connection: &mut Connection,
        table: &TablePlan,
        record: &TableRecord,
        name: &RawText,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        let packet = connection.query(b"SELECT @@max_allowed_packet")?;
        let packet_bytes =
            packet.single().map(readable).and_then(|text| text.parse().ok()).unwrap_or(1 << 20);
        foreign::enter(connection, record)?;
        let mut target = RowTarget { connection, name, record, packet_bytes, lines: Vec::new() };
        for frame in &record.frames {
            self.check_stop()?;
            let bytes = target.load_frame(self.source, frame.frame)?;
            self.monitor.rows(&table.name, frame.row_count, bytes);
        }
        lines.append(&mut target.lines);
        foreign::leave(target.connection, record)?;
        Ok(())
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
