//! What a file does not tell and the database that it is for does: definitions of tables whose rows alone it has, and
//! what a session has there by default.

use std::collections::HashMap;

use super::session::Defaults;
use crate::dump::TableKind;
use crate::error::{Error, Result};
use crate::kinds::mysql::ddl::spans;
use crate::kinds::mysql::objects::{self, Objects};
use crate::kinds::mysql::schema::{self, TableLine};
use crate::kinds::mysql::session::prepare_to_read;
use crate::record::{DatabaseFacts, ServerFacts, TriggerRecord};
use crate::settings::ServerSettings;
use crate::{Connection, RawText, readable};

/// The database that a file is for.
pub(super) struct Live {
    /// `None` where only the text of a file is looked at.
    connection: Option<Connection>,
    pub(super) server: ServerFacts,
    pub(super) database: DatabaseFacts,
    pub(super) defaults: Defaults,
    lines: Vec<TableLine>,
}

/// A table as it is there now.
#[derive(Debug, Clone)]
pub(super) struct LiveTable {
    pub(super) name: RawText,
    pub(super) definition: Vec<u8>,
    pub(super) triggers: Vec<TriggerRecord>,
}

impl Live {
    /// Logs in and looks.
    pub(super) fn open(settings: &ServerSettings, database: &[u8]) -> Result<Self> {
        let no_database = || Error::NoDatabase { database: readable(database) };
        let mut connection = Connection::open(settings, Some(database)).map_err(|error| match error {
            Error::LogIn { source, .. } if matches!(source.code, 1044 | 1049) => no_database(),
            other => other,
        })?;
        let sql_mode = connection.query(b"SELECT @@global.sql_mode")?.single().map(readable);
        prepare_to_read(&mut connection)?;
        let facts = schema::database_facts(&mut connection)?.ok_or_else(no_database)?;
        let server = schema::server_facts(&mut connection)?;
        let lines = schema::list(&mut connection, &facts.name)?;
        let shown = connection.query(b"SHOW CHARACTER SET")?;
        let mut collations = HashMap::new();
        for row in 0..shown.rows.len() {
            let text = |name| shown.get(row, name).map(readable);
            if let (Some(name), Some(collation)) = (text("Charset"), text("Default collation")) {
                collations.insert(name, collation);
            }
        }
        let defaults = Defaults { sql_mode: sql_mode.unwrap_or_default(), collations };
        Ok(Self { connection: Some(connection), server, database: facts, defaults, lines })
    }

    /// A server of this version without any tables.
    pub(super) fn empty(vendor: crate::Vendor, version: crate::Version) -> Self {
        let server = ServerFacts {
            vendor,
            version,
            version_text: String::new(),
            identity: String::new(),
            lower_case_table_names: 0,
            transport: String::new(),
        };
        let database = DatabaseFacts {
            name: "shop".into(),
            character_set: String::new(),
            collation: String::new(),
            comment: RawText::default(),
        };
        Self { connection: None, server, database, defaults: Defaults::default(), lines: Vec::new() }
    }

    /// A table of the database by its name; on a server where the case of names does not matter, by any case.
    pub(super) fn table(&mut self, name: &[u8]) -> Result<Option<LiveTable>> {
        let folds = self.server.lower_case_table_names != 0;
        let line = self
            .lines
            .iter()
            .find(|line| line.facts.name.0 == name || (folds && line.facts.name.eq_ignore_ascii_case(name)));
        let Some(line) =
            line.filter(|line| matches!(line.facts.table_kind, TableKind::Table | TableKind::VersionedTable))
        else {
            return Ok(None);
        };
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let (name, engine, collation) = (&line.facts.name, &line.facts.engine, &line.collation);
        let definition = schema::table_definition(connection, name)?;
        let shape = schema::shape(connection, &self.database.name, name, engine, collation, &definition)?;
        let mut found = Objects::default();
        let takes = |table: &[u8]| table == &name[..];
        objects::triggers(connection, &self.database.name, &takes, &mut found)?;
        spans(&shape.full_definition)
            .map_err(|source| Error::Sql { object: format!("the definition of table {name}"), source })?;
        Ok(Some(LiveTable {
            name: name.clone(),
            definition: shape.full_definition,
            triggers: found.triggers,
        }))
    }
}
