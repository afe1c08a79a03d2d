//! The form of `db.sql`. Data can be lost here: what this writes is all that a restore has.
//!
//! The file is SQL text for a stock client (`zstd -dc db.sql.zst | mariadb --comments --binary-mode shop`), made of
//! frames that each hold whole statements:
//!
//! 1. The head: one comment line with facts in JSON (names only there, so that no name can end a comment), the
//!    session's settings, the default character set of the database (`ALTER DATABASE` without a name: the one that the
//!    client has chosen), sequences, then every table's `CREATE`. Settings that only one vendor knows stand in its
//!    versioned comments. There is no `CREATE DATABASE`, no `USE`, no `DROP`, no `LOCK TABLES`.
//! 2. The rows: `INSERT INTO` with a column list, at most about 1 MiB a statement and about 4 MiB a frame; a frame
//!    holds rows of one table. Rows with the error value of an ENUM stand in an `INSERT IGNORE` of their own, since a
//!    strict server takes them in no other way.
//! 3. The tail: AUTO_INCREMENT numbers and sequences as they were after the rows, then routines, triggers, views (in
//!    the order of their references), events with their status, and at the very end the views that the server says
//!    are broken. Each sets the session that it was made in, and is followed by the file's own.
//! 4. One comment line that proves that the file is whole.

use serde::Serialize;

use super::rows::CURRENT_ROW_END;
use super::sql::{quote_name, quote_text};
use crate::dump::{DumpReport, DumpSink};
use crate::error::{Error, Result};
use crate::raw_text::readable;
use crate::record::{Checksum, DatabaseFacts, DumpedObject, ServerFacts, SessionContext, TableRecord};

/// A frame ends at the first end of a statement above this, bytes.
pub(crate) const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// The mode in which definitions and rows load: strict, so that no value is changed silently, and permissive for
/// dates, which are stored as they were.
pub(crate) const LOAD_MODE: &str =
    "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES,STRICT_ALL_TABLES";

/// How the head's comment line starts; JSON follows.
pub const HEAD_MARK: &str = "-- Backstock database dump ";

/// How the last line starts; JSON follows.
pub const END_MARK: &str = "-- Backstock database dump is complete ";

/// What the head's comment line says.
#[derive(Debug, Serialize)]
struct Head<'a> {
    schema: &'static str,
    server: &'a ServerFacts,
    database: &'a DatabaseFacts,
    taken_at: String,
    load_with: &'static str,
}

/// What the last line says.
#[derive(Debug, Serialize)]
struct End {
    objects: usize,
    rows: u64,
    checksum: Checksum,
}

/// Collects statements and hands them to the sink in frames.
pub(crate) struct FrameWriter<'a> {
    sink: &'a dyn DumpSink,
    database: &'a [u8],
    text: Vec<u8>,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(sink: &'a dyn DumpSink, database: &'a [u8]) -> Self {
        Self { sink, database, text: sink.buffer() }
    }

    /// Adds whole statements. They share a frame with what came before if there is room.
    pub(crate) fn put(&mut self, statements: &[u8]) -> Result<()> {
        if self.text.len() + statements.len() > FRAME_BYTES && !self.text.is_empty() {
            self.flush()?;
        }
        self.text.extend_from_slice(statements);
        Ok(())
    }

    /// Ends the frame. Nothing happens when it is empty.
    pub(crate) fn flush(&mut self) -> Result<Option<u64>> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let text = std::mem::replace(&mut self.text, self.sink.buffer());
        self.sink.frame(text).map(Some).map_err(|source| sink_error(self.database, source))
    }
}

pub(crate) fn sink_error(database: &[u8], source: std::io::Error) -> Error {
    Error::Sink { database: readable(database), source }
}

/// The head without the definitions.
pub(crate) fn head(
    server: &ServerFacts,
    database: &DatabaseFacts,
    taken_at: String,
    objects: &[DumpedObject],
) -> Vec<u8> {
    let facts = Head {
        schema: "backstock.database/1",
        server,
        database,
        taken_at,
        load_with: "mariadb --comments --binary-mode <database>, or mysql with the same",
    };
    let mut out = HEAD_MARK.as_bytes().to_vec();
    out.extend_from_slice(&json_line(&facts));
    let tables = || {
        objects.iter().filter_map(|object| match object {
            DumpedObject::Table(table) => Some(table),
            _ => None,
        })
    };
    let mut session = session_settings();
    if tables().any(|table| table.engine.eq_ignore_ascii_case("MEMORY")) {
        session.push_str("SET max_heap_table_size=1073741824;\n");
    }
    if tables().any(|table| table.versioning.as_ref().is_some_and(|versioning| versioning.with_history)) {
        session.push_str("/*M!101100 SET system_versioning_insert_history=1 */;\n");
        session.push_str(&format!("/*M!100300 SET {CURRENT_ROW_END}={CURRENT_ROW_END_OF_SERVER} */;\n"));
    }
    if !database.character_set.is_empty() {
        session.push_str(&alter_database(&database.collation));
    }
    out.extend_from_slice(session.as_bytes());
    if !database.comment.is_empty() {
        let comment = String::from_utf8_lossy(&quote_text(&database.comment)).replace("*/", "*\\/");
        out.extend_from_slice(format!("/*M!100500 ALTER DATABASE COMMENT {comment} */;\n").as_bytes());
    }
    out
}

/// Writes the head with all definitions, as frames of their own.
pub(crate) fn put_head(
    frames: &mut FrameWriter<'_>,
    server: &ServerFacts,
    database: &DatabaseFacts,
    taken_at: String,
    sequences: &mut dyn Iterator<Item = &[u8]>,
    objects: &[DumpedObject],
) -> Result<()> {
    frames.put(&head(server, database, taken_at, objects))?;
    for definition in sequences {
        frames.put(&plain_definition(definition))?;
    }
    // A table that unites others needs them first.
    let unites = |engine: &str| engine.to_ascii_uppercase().starts_with("MRG");
    for late in [false, true] {
        for object in objects {
            if let DumpedObject::Table(record) = object
                && unites(&record.engine) == late
            {
                frames.put(&table_definition(record))?;
            }
        }
    }
    frames.flush().map(drop)
}

/// The time that stands for "no end" in a versioned table: the largest of the server. Servers since 11.5 reach 2106.
pub(crate) const CURRENT_ROW_END_OF_SERVER: &str =
    "COALESCE(FROM_UNIXTIME(4294967295.999999),FROM_UNIXTIME(2147483647.999999))";

fn session_settings() -> String {
    format!(
        "SET NAMES utf8mb4;\n\
         SET sql_mode='{LOAD_MODE}';\n\
         SET time_zone='+00:00';\n\
         SET foreign_key_checks=0;\n\
         SET unique_checks=1;\n\
         SET sql_safe_updates=0;\n\
         /*M!100201 SET check_constraint_checks=0 */;\n\
         /*M!110200 SET character_set_collations='' */;\n\
         /*!80400 SET restrict_fk_on_non_standard_key=0 */;\n"
    )
}

/// Changes the default of the database that the client has chosen. The character set follows from the collation.
fn alter_database(collation: &str) -> String {
    format!("ALTER DATABASE COLLATE {collation};\n")
}

/// A definition that stands for itself: a table or a sequence.
pub(crate) fn plain_definition(definition: &[u8]) -> Vec<u8> {
    [definition, b";\n"].concat()
}

/// A table's definition, in the mode that it needs.
pub(crate) fn table_definition(record: &TableRecord) -> Vec<u8> {
    let mode = definition_mode(record);
    let plain = plain_definition(&record.definition);
    if mode == LOAD_MODE {
        return plain;
    }
    let (set, back) = (format!("SET sql_mode='{mode}';\n"), format!("SET sql_mode='{LOAD_MODE}';\n"));
    [set.as_bytes(), &plain, back.as_bytes()].concat()
}

/// The mode in which a table's definition runs: [`LOAD_MODE`], but for tables with several partitions of history
/// and no rule to fill them, which MariaDB makes with a warning and, in a strict mode, not at all.
pub(crate) fn definition_mode(record: &TableRecord) -> &'static str {
    let by_time = b"PARTITION BY SYSTEM_TIME";
    if record.versioning.is_some() && record.definition.windows(by_time.len()).any(|window| window == by_time)
    {
        "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
    } else {
        LOAD_MODE
    }
}

/// The number that a table gives out next.
pub(crate) fn auto_increment(table: &[u8], number: u64) -> Vec<u8> {
    [b"ALTER TABLE ".as_slice(), &quote_name(table), format!(" AUTO_INCREMENT={number};\n").as_bytes()]
        .concat()
}

/// The value that a sequence gives out next.
pub(crate) fn sequence_value(name: &[u8], next_value: &str, cycle_count: u64) -> Vec<u8> {
    let values = format!(",{next_value},0,{cycle_count});\n");
    [b"DO SETVAL(".as_slice(), &quote_name(name), values.as_bytes()].concat()
}

/// A definition with a body, in the session that it was made in.
pub(crate) fn code_definition(
    definition: &[u8],
    context: &SessionContext,
    database_collation: &str,
) -> Vec<u8> {
    let mut out = Vec::new();
    let then =
        context.database_collation.as_deref().filter(|then| *then != database_collation && !then.is_empty());
    if let Some(then) = then {
        out.extend_from_slice(alter_database(then).as_bytes());
    }
    out.extend_from_slice(format!("SET collation_connection={};\n", context.collation_connection).as_bytes());
    if let Some(mode) = &context.sql_mode {
        out.extend_from_slice(format!("SET sql_mode='{mode}';\n").as_bytes());
    }
    if let Some(zone) = &context.time_zone {
        out.extend_from_slice(&[b"SET time_zone=".as_slice(), &quote_text(zone.as_bytes()), b";\n"].concat());
    }
    let delimiter = free_delimiter(definition);
    out.extend_from_slice(format!("DELIMITER {delimiter}\n").as_bytes());
    // Last, since the bytes that follow are in this character set.
    let client = &context.character_set_client;
    out.extend_from_slice(format!("SET character_set_client={client}{delimiter}\n").as_bytes());
    out.extend_from_slice(definition);
    out.extend_from_slice(format!("\n{delimiter}\nDELIMITER ;\n").as_bytes());
    out.extend_from_slice(
        format!("SET NAMES utf8mb4;\nSET sql_mode='{LOAD_MODE}';\nSET time_zone='+00:00';\n").as_bytes(),
    );
    if then.is_some() {
        out.extend_from_slice(alter_database(database_collation).as_bytes());
    }
    out
}

/// A delimiter that does not occur in the text.
fn free_delimiter(text: &[u8]) -> String {
    let occurs = |delimiter: &str| text.windows(delimiter.len()).any(|window| window == delimiter.as_bytes());
    let mut delimiter = ";;".to_owned();
    while occurs(&delimiter) {
        delimiter.push_str("|;");
    }
    delimiter
}

/// The last line.
pub(crate) fn end(report: &DumpReport) -> Vec<u8> {
    let mut checksum = Checksum::default();
    for object in &report.objects {
        if let DumpedObject::Table(table) = object {
            checksum.add(table.checksum);
        }
    }
    let facts = End { objects: report.objects.len(), rows: report.rows, checksum };
    [END_MARK.as_bytes(), &json_line(&facts)].concat()
}

fn json_line(facts: &impl Serialize) -> Vec<u8> {
    // These structures hold strings and numbers only, which always serialise.
    let mut line = serde_json::to_vec(facts).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_never_occurs_in_the_body() {
        assert_eq!(free_delimiter(b"BEGIN SELECT 1; END"), ";;");
        let body = b"BEGIN SELECT ';;', ';;|;'; END";
        let delimiter = free_delimiter(body);
        assert!(!body.windows(delimiter.len()).any(|window| window == delimiter.as_bytes()));
    }
}
