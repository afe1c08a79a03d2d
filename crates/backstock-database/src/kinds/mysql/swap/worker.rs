//! A connection set up for one step, with the plan and what the report will say.

use std::collections::BTreeMap;

use backstock_host::failpoint;

use super::super::ddl::Text;
use super::super::load::session;
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::load::LoadPlan;
use crate::{Connection, Done, ResultSet, Vendor, readable};

/// At most this many warnings of one statement are told.
const WARNINGS_LIMIT: usize = 5;

/// Warnings of MySQL that say nothing about what was loaded: that a full-text key makes it rebuild the table (124), that a
/// spatial key without SRID is not used by queries (3674), and that some later version may not know a word, a width of
/// numbers, a name of a character set or a collation any more (1287, 1681, 3719, 3778).
const EXPECTED_WARNINGS: [&str; 6] = ["124", "1287", "1681", "3674", "3719", "3778"];

/// Runs the statements of one step.
pub(crate) struct Worker<'a> {
    pub(crate) connection: &'a mut Connection,
    pub(crate) plan: &'a LoadPlan,
    pub(crate) notes: Vec<String>,
    /// Objects of the backup that this server does not read.
    pub(crate) dropped: Vec<String>,
    point: String,
}

impl<'a> Worker<'a> {
    /// Sets the session up and makes the plan's database the default one.
    pub(crate) fn new(connection: &'a mut Connection, plan: &'a LoadPlan, step: &str) -> Result<Self> {
        session::prepare_to_load(connection)?;
        let point = format!("swap.{step}");
        let worker = Self { connection, plan, notes: Vec::new(), dropped: Vec::new(), point };
        let statement = Text::new("USE ").name(&plan.target.name).bytes();
        worker.connection.execute(&statement)?;
        Ok(worker)
    }

    /// Whether names of CHECKs are unique in a schema and so must be handed over.
    pub(crate) fn checks_share_names(&self) -> bool {
        self.connection.vendor() == Vendor::MySql
    }

    /// The plan's database.
    pub(crate) fn database(&self) -> &'a [u8] {
        &self.plan.target.name
    }

    /// Runs a statement that changes something. Tests can kill the process before each.
    pub(crate) fn run(&mut self, sql: &[u8]) -> Result<Done> {
        let act = || format!("go on with {}", self.point);
        failpoint::reach(&self.point).map_err(|source| Error::System { act: act(), source })?;
        #[cfg(test)]
        budget::spend().map_err(|source| Error::System { act: act(), source })?;
        let done = self.connection.execute(sql)?;
        if done.warnings > 0 {
            let about = crate::error::readable_statement(sql);
            let told = warnings(self.connection)?;
            self.notes.extend(told.into_iter().map(|text| format!("{about}: {text}")));
        }
        Ok(done)
    }

    /// Runs a statement that only reads or only sets up the session.
    pub(crate) fn query(&mut self, sql: &[u8]) -> Result<ResultSet> {
        self.connection.query(sql)
    }

    /// Every name in the plan's database, with what it stands for.
    pub(crate) fn names(&mut self) -> Result<BTreeMap<Vec<u8>, TableKind>> {
        let statement = Text::new("SHOW FULL TABLES FROM ").name(self.database()).bytes();
        let result = self.query(&statement)?;
        let mut names = BTreeMap::new();
        for row in result.rows {
            let mut values = row.into_iter();
            let (Some(Some(name)), Some(Some(kind))) = (values.next(), values.next()) else { continue };
            let kind = match &kind[..] {
                b"VIEW" | b"SYSTEM VIEW" => TableKind::View,
                b"SEQUENCE" => TableKind::Sequence,
                b"SYSTEM VERSIONED" => TableKind::VersionedTable,
                _ => TableKind::Table,
            };
            names.insert(name, kind);
        }
        Ok(names)
    }

    /// A table's definition as it is now.
    pub(crate) fn definition(&mut self, schema: &[u8], table: &[u8]) -> Result<Vec<u8>> {
        let statement = Text::new("SHOW CREATE TABLE ").name(schema).sql(".").name(table).bytes();
        let result = self.query(&statement)?;
        let definition = result.rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten());
        definition.ok_or_else(|| Error::Definition {
            object: format!("table {}", readable(table)),
            what: "the server gives none".to_owned(),
        })
    }
}

/// The server's warnings about the last statement, readable. Notes, such as those of DROP IF EXISTS, are none.
pub(crate) fn warnings(connection: &mut Connection) -> Result<Vec<String>> {
    let result = connection.query(b"SHOW WARNINGS")?;
    let mut told = Vec::new();
    for row in &result.rows {
        let [Some(level), Some(code), Some(text)] = &row[..] else { continue };
        if EXPECTED_WARNINGS.iter().any(|expected| expected.as_bytes() == code) {
            continue;
        }
        // That the event scheduler is off (MariaDB) concerns the whole server, not the event that was just made.
        let scheduler = code == b"1105" && text.starts_with(b"Event scheduler");
        if (level != b"Note" && !scheduler) || code == b"1588" || code == b"1544" {
            told.push(format!("{} (warning {})", readable(text), readable(code)));
        }
    }
    let more = told.len().saturating_sub(WARNINGS_LIMIT);
    told.truncate(WARNINGS_LIMIT);
    if more > 0 {
        told.push(format!("and {more} more warnings"));
    }
    Ok(told)
}

/// Stands in for a kill: after so many statements, every further one fails.
#[cfg(test)]
pub(crate) mod budget {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Allows so many statements in this thread, or any number.
    pub(crate) fn allow(statements: Option<u64>) {
        LEFT.set(statements);
    }

    pub(super) fn spend() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("killed")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
