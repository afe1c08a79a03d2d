//! What the server tells about a database and its tables: lists, columns, definitions.

use super::connection::{Connection, ResultSet, Vendor};
use super::rows::{ColumnType, literal_form};
use super::session::ERROR_UNKNOWN_VARIABLE;
use super::sql::{quote_name, quote_text};
use super::{ddl, definition};
use crate::dump::{TableFacts, TableKind};
use crate::error::{Error, Result};
use crate::raw_text::{RawText, readable};
use crate::record::{ColumnRecord, DatabaseFacts, DefinitionSpans, LiteralForm, ServerFacts, Versioning};

/// One line of the list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableLine {
    pub(crate) facts: TableFacts,
    /// Bytes of the rows alone, as the server estimates them.
    pub(crate) data_bytes: u64,
    /// When the table was created or last rebuilt, in the session's time zone.
    pub(crate) create_time: Vec<u8>,
    pub(crate) collation: String,
    pub(crate) partitioned: bool,
}

fn text(result: &ResultSet, row: usize, name: &str) -> String {
    result.get(row, name).map(readable).unwrap_or_default()
}

fn number(result: &ResultSet, row: usize, name: &str) -> u64 {
    text(result, row, name).parse().unwrap_or(0)
}

/// Keeps rows whose schema is exactly ours: the server compares names without regard to case or accents.
fn is_ours(found: Option<&[u8]>, database: &[u8]) -> bool {
    found == Some(database)
}

/// Every table, view and sequence of the database, in the order of their names' bytes.
pub(crate) fn list(connection: &mut Connection, database: &[u8]) -> Result<Vec<TableLine>> {
    let sql = [
        b"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH, CREATE_TIME, \
          TABLE_COLLATION, CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA="
            .as_slice(),
        &quote_text(database),
    ]
    .concat();
    let result = connection.query(&sql)?;
    let mut lines = Vec::new();
    for row in 0..result.rows.len() {
        if !is_ours(result.get(row, "TABLE_SCHEMA"), database) {
            continue;
        }
        let table_kind = match text(&result, row, "TABLE_TYPE").as_str() {
            "BASE TABLE" => TableKind::Table,
            "SYSTEM VERSIONED" => TableKind::VersionedTable,
            "VIEW" => TableKind::View,
            "SEQUENCE" => TableKind::Sequence,
            // Temporary tables of our own session, which has none, and the server's own views.
            _ => continue,
        };
        let data_bytes = number(&result, row, "DATA_LENGTH");
        lines.push(TableLine {
            facts: TableFacts {
                name: result.get(row, "TABLE_NAME").unwrap_or_default().into(),
                table_kind,
                engine: text(&result, row, "ENGINE"),
                estimated_rows: number(&result, row, "TABLE_ROWS"),
                estimated_bytes: data_bytes.saturating_add(number(&result, row, "INDEX_LENGTH")),
            },
            data_bytes,
            create_time: result.get(row, "CREATE_TIME").unwrap_or_default().to_vec(),
            collation: text(&result, row, "TABLE_COLLATION"),
            partitioned: text(&result, row, "CREATE_OPTIONS").contains("partitioned"),
        });
    }
    lines.sort_by(|one, other| one.facts.name.cmp(&other.facts.name));
    Ok(lines)
}

/// `SHOW CREATE TABLE` (or another kind of object's), the definition only.
pub(crate) fn show_create(connection: &mut Connection, what: &str, name: &[u8]) -> Result<ResultSet> {
    connection.query(&[b"SHOW CREATE ", what.as_bytes(), b" ", &quote_name(name)].concat())
}

/// A table's definition.
pub(crate) fn table_definition(connection: &mut Connection, name: &[u8]) -> Result<Vec<u8>> {
    let result = show_create(connection, "TABLE", name)?;
    let found = result.rows.first().and_then(|row| row.get(1)).and_then(Option::as_deref);
    found.map(<[u8]>::to_vec).ok_or_else(|| not_understood(name, "the server shows none"))
}

/// A sequence's definition.
pub(crate) fn sequence_definition(connection: &mut Connection, name: &[u8]) -> Result<Vec<u8>> {
    let result = show_create(connection, "SEQUENCE", name)?;
    let found = result.rows.first().and_then(|row| row.get(1)).and_then(Option::as_deref);
    found.map(<[u8]>::to_vec).ok_or_else(|| not_understood(name, "the server shows none"))
}

pub(crate) fn not_understood(table: &[u8], what: &str) -> Error {
    Error::Definition { object: format!("table {}", readable(table)), what: what.to_owned() }
}

/// What must be known to read a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableShape {
    pub(crate) columns: Vec<ColumnRecord>,
    /// The columns of the primary key with `DESC` where it runs that way; empty where rows cannot be read in its order.
    pub(crate) key: Vec<(RawText, bool)>,
    /// The first column of the primary key, if it is an integer and runs upwards: rows can be read in its ranges.
    pub(crate) integer_key: Option<RawText>,
    pub(crate) versioning: Option<Versioning>,
    /// Columns whose type is not known here.
    pub(crate) unknown_types: Vec<String>,
    /// The definition with every collation written out.
    pub(crate) full_definition: Vec<u8>,
    pub(crate) spans: DefinitionSpans,
}

/// Reads a table's columns and compares them with its definition.
pub(crate) fn shape(
    connection: &mut Connection,
    database: &[u8],
    name: &[u8],
    engine: &str,
    table_collation: &str,
    definition_text: &[u8],
) -> Result<TableShape> {
    let condition = [
        b" WHERE TABLE_SCHEMA=".as_slice(),
        &quote_text(database),
        b" AND TABLE_NAME=",
        &quote_text(name),
        b" ORDER BY ORDINAL_POSITION",
    ]
    .concat();
    let sql = [
        b"SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, \
          GENERATION_EXPRESSION FROM information_schema.COLUMNS"
            .as_slice(),
        &condition,
    ]
    .concat();
    let result = connection.query(&sql)?;
    let rows: Vec<usize> = (0..result.rows.len())
        .filter(|row| {
            is_ours(result.get(*row, "TABLE_SCHEMA"), database)
                && result.get(*row, "TABLE_NAME") == Some(name)
        })
        .collect();
    let names: Vec<&[u8]> = rows.iter().filter_map(|row| result.get(*row, "COLUMN_NAME")).collect();
    let spans = ddl::spans(definition_text).map_err(|fault| not_understood(name, &fault.to_string()))?;
    if names
        != definition::column_names(&spans, definition_text).iter().map(Vec::as_slice).collect::<Vec<_>>()
    {
        return Err(Error::Definition {
            object: format!("table {}", readable(name)),
            what: "the list of its columns and its definition differ".to_owned(),
        });
    }
    let collations: Vec<(Vec<u8>, String)> = rows
        .iter()
        .filter_map(|row| {
            let collation = result.get(*row, "COLLATION_NAME").map(readable)?;
            Some((result.get(*row, "COLUMN_NAME")?.to_vec(), collation))
        })
        .collect();
    let complete = definition::with_collations(&spans, definition_text, table_collation, &collations);
    let (full_definition, full_spans) = loadable_definition(name, engine, complete)?;
    let mut shape = TableShape {
        columns: Vec::new(),
        key: Vec::new(),
        integer_key: None,
        versioning: None,
        unknown_types: Vec::new(),
        full_definition,
        spans: full_spans.deferrable(),
    };
    for row in rows {
        take_column(&mut shape, connection.vendor(), &result, row, &spans, definition_text);
    }
    add_versioning(connection, name, &spans, definition_text, &mut shape)?;
    read_key(connection, name, &mut shape)?;
    Ok(shape)
}

/// The definition in the form that a server takes together with its rows.
fn loadable_definition(
    name: &[u8],
    engine: &str,
    definition_text: Vec<u8>,
) -> Result<(Vec<u8>, ddl::DdlSpans)> {
    let read = |text: &[u8]| ddl::spans(text).map_err(|fault| not_understood(name, &fault.to_string()));
    let spans = read(&definition_text)?;
    if !engine.eq_ignore_ascii_case("ARCHIVE") {
        return Ok((definition_text, spans));
    }
    // It refuses rows below its next number, and sets that number from the rows by itself.
    let without = definition::without_auto_increment(&spans, &definition_text);
    let spans = read(&without)?;
    Ok((without, spans))
}

fn take_column(
    shape: &mut TableShape,
    vendor: Vendor,
    result: &ResultSet,
    row: usize,
    spans: &ddl::DdlSpans,
    definition_text: &[u8],
) {
    let name = result.get(row, "COLUMN_NAME").unwrap_or_default();
    let extra = text(result, row, "EXTRA").to_ascii_uppercase();
    let generated = result.get(row, "GENERATION_EXPRESSION").is_some_and(|expression| !expression.is_empty())
        || (extra.contains("GENERATED") && !extra.contains("DEFAULT_GENERATED"));
    // The declared columns of a row's time are "generated" in the list; `add_versioning` adds them where it can.
    if generated
        || definition::row_time_columns(spans, definition_text)
            .is_some_and(|(start, end)| name == start || name == end)
    {
        return;
    }
    let data_type = text(result, row, "DATA_TYPE").to_ascii_lowercase();
    let full = text(result, row, "COLUMN_TYPE").to_ascii_lowercase();
    let character_set = result.get(row, "CHARACTER_SET_NAME").map(readable);
    let column_type =
        ColumnType { data_type: &data_type, full: &full, character_set: character_set.as_deref() };
    let literal = literal_form(vendor, column_type).unwrap_or_else(|| {
        shape.unknown_types.push(format!("{} ({data_type})", readable(name)));
        LiteralForm::Bytes
    });
    let type_text = result.get(row, "COLUMN_TYPE").unwrap_or_default().into();
    shape.columns.push(ColumnRecord { name: name.into(), literal, type_text });
}

/// Adds the two columns of a row's time to a versioned table whose history can be loaded again.
fn add_versioning(
    connection: &mut Connection,
    name: &[u8],
    spans: &ddl::DdlSpans,
    definition_text: &[u8],
    shape: &mut TableShape,
) -> Result<()> {
    if !spans.versioned {
        return Ok(());
    }
    let declared = definition::row_time_columns(spans, definition_text);
    let (row_start, row_end) = declared.unwrap_or((b"row_start".to_vec(), b"row_end".to_vec()));
    // Rows that are numbered by transactions cannot be written again with their history.
    let probe = [
        b"SELECT ".as_slice(),
        &quote_name(&row_start),
        b" FROM ",
        &quote_name(name),
        b" FOR SYSTEM_TIME ALL LIMIT 0",
    ]
    .concat();
    let type_number = connection.query(&probe)?.columns.first().map_or(0, |column| column.type_number);
    let with_history = type_number == TYPE_TIMESTAMP;
    if with_history {
        for (column, literal) in [(&row_start, LiteralForm::Quoted), (&row_end, LiteralForm::RowEnd)] {
            let name = RawText::from(column.as_slice());
            shape.columns.push(ColumnRecord { name, literal, type_text: "timestamp(6)".into() });
        }
    }
    shape.versioning =
        Some(Versioning { row_start: row_start.into(), row_end: row_end.into(), with_history });
    Ok(())
}

/// `MYSQL_TYPE_TIMESTAMP`.
const TYPE_TIMESTAMP: u8 = 7;

fn read_key(connection: &mut Connection, name: &[u8], shape: &mut TableShape) -> Result<()> {
    let sql = [b"SHOW KEYS FROM ".as_slice(), &quote_name(name), b" WHERE Key_name='PRIMARY'"].concat();
    let result = connection.query(&sql)?;
    let mut key = Vec::new();
    for row in 0..result.rows.len() {
        let Some(column) = result.get(row, "Column_name") else { return Ok(()) };
        if result.get(row, "Sub_part").is_some() {
            return Ok(());
        }
        key.push((RawText::from(column), result.get(row, "Collation") == Some(b"D")));
    }
    if let [(column, false), ..] = key.as_slice() {
        let found = shape.columns.iter().find(|candidate| candidate.name == *column);
        let is_integer = found.is_some_and(|found| {
            found.literal == LiteralForm::Number
                && found.type_text.windows(3).any(|window| window.eq_ignore_ascii_case(b"int"))
        });
        shape.integer_key = is_integer.then(|| column.clone());
    }
    shape.key = key;
    Ok(())
}

/// The database and its defaults.
pub(crate) fn database_facts(connection: &mut Connection) -> Result<Option<DatabaseFacts>> {
    let name = connection.query(b"SELECT DATABASE()")?.single().unwrap_or_default().to_vec();
    let comment: &[u8] = if connection.vendor() == Vendor::MariaDb && connection.version().0 >= 11
        || (connection.version() >= super::connection::Version(10, 5, 0)
            && connection.vendor() == Vendor::MariaDb)
    {
        b"SCHEMA_COMMENT"
    } else {
        b"''"
    };
    let sql = [
        b"SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, ".as_slice(),
        comment,
        b" AS SCHEMA_COMMENT FROM information_schema.SCHEMATA WHERE SCHEMA_NAME=",
        &quote_text(&name),
    ]
    .concat();
    let result = connection.query(&sql)?;
    let ours = (0..result.rows.len()).find(|row| is_ours(result.get(*row, "SCHEMA_NAME"), &name));
    Ok(ours.map(|row| DatabaseFacts {
        name: name.clone().into(),
        character_set: text(&result, row, "DEFAULT_CHARACTER_SET_NAME"),
        collation: text(&result, row, "DEFAULT_COLLATION_NAME"),
        comment: result.get(row, "SCHEMA_COMMENT").unwrap_or_default().into(),
    }))
}

/// The value of a server variable, or nothing where the server does not know it.
pub(crate) fn variable(connection: &mut Connection, name: &str) -> Result<Option<String>> {
    match connection.query(format!("SELECT @@{name}").as_bytes()) {
        Ok(result) => Ok(result.single().map(readable)),
        Err(error) if error.code() == Some(ERROR_UNKNOWN_VARIABLE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The server.
pub(crate) fn server_facts(connection: &mut Connection) -> Result<ServerFacts> {
    let mut identity = variable(connection, "server_uuid")?;
    if identity.is_none() {
        identity = variable(connection, "server_uid")?;
    }
    let identity = match identity {
        Some(identity) => identity,
        None => {
            let host = variable(connection, "hostname")?.unwrap_or_default();
            let port = variable(connection, "port")?.unwrap_or_default();
            format!("{host}:{port}")
        }
    };
    let case = variable(connection, "lower_case_table_names")?;
    Ok(ServerFacts {
        vendor: connection.vendor(),
        version: connection.version(),
        version_text: connection.version_text().to_owned(),
        identity,
        lower_case_table_names: case.and_then(|text| text.parse().ok()).unwrap_or(0),
        transport: connection.transport().to_owned(),
    })
}

/// The engines that keep no rows of their own: they are elsewhere, in other tables, or nowhere.
pub(crate) fn keeps_rows(engine: &str) -> bool {
    const ELSEWHERE: &[&str] = &[
        "MRG_MYISAM",
        "MERGE",
        "FEDERATED",
        "CONNECT",
        "SPIDER",
        "S3",
        "BLACKHOLE",
        "OQGRAPH",
        "SEQUENCE",
        "PERFORMANCE_SCHEMA",
        "SPHINX",
    ];
    !ELSEWHERE.iter().any(|name| engine.eq_ignore_ascii_case(name))
}

/// The engines whose rows a consistent snapshot covers.
pub(crate) fn transactional_engines(connection: &mut Connection) -> Result<Vec<String>> {
    let result =
        connection.query(b"SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS='YES'")?;
    Ok((0..result.rows.len()).map(|row| text(&result, row, "ENGINE")).collect())
}
