//! Reads a whole database into a picture, through the binary protocol and an unrelated client library.
//!
//! Rows are raw column bytes (`character_set_results=NULL`), floats are their bits, ENUM and SET are numbers; each row
//! is hashed with lengths, and a table is the sum of its rows' hashes: free of order, but duplicates count.

use mysql::prelude::Queryable;
use mysql::{Conn, Row, Value};

use crate::error::TestbedError;
use crate::snapshot::Snapshot;

mod definitions;

/// How many rows of a table are kept in readable form for the words of a difference.
const SAMPLED_ROWS: u64 = 200;
/// How much of one kept row is shown, in bytes.
const SAMPLED_ROW_BYTES: usize = 400;

/// Session settings of the reader; those that a server does not know are skipped.
const SESSION: &[&str] = &[
    "SET NAMES utf8mb4",
    "SET character_set_results=NULL",
    "SET sql_mode=''",
    "SET time_zone='+00:00'",
    "SET sql_select_limit=18446744073709551615",
    "SET max_join_size=18446744073709551615",
    "SET sql_quote_show_create=1",
    "SET show_gipk_in_create_table_and_information_schema=1",
    "SET information_schema_stats_expiry=0",
    "SET system_versioning_asof=DEFAULT",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
];

/// Reads everything in one database: tables with rows and history, sequences, views, triggers, routines, events and
/// the database's own defaults.
///
/// # Errors
/// [`TestbedError::Database`]. What the server itself cannot read (a broken view, a table without its engine) is no
/// error: its aspect holds the server's error number, so that both sides must be broken alike.
pub fn read(connection: &mut Conn, database: &str) -> Result<Snapshot, TestbedError> {
    for statement in SESSION {
        let _ = connection.query_drop(statement);
    }
    let act = || format!("read database `{database}`");
    let mut snapshot = Snapshot::default();
    connection
        .query_drop(format!("USE {}", quoted(database)))
        .map_err(|error| TestbedError::database(act(), error))?;
    connection
        .query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        .map_err(|error| TestbedError::database(act(), error))?;
    read_all(connection, database, &mut snapshot).map_err(|error| TestbedError::database(act(), error))?;
    let _ = connection.query_drop("COMMIT");
    Ok(snapshot)
}

fn read_all(connection: &mut Conn, database: &str, snapshot: &mut Snapshot) -> mysql::Result<()> {
    definitions::defaults(connection, database, snapshot)?;
    let tables = lines(
        connection,
        "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1",
    )?;
    for table in &tables {
        let (name, table_type) = (text(&table[0]), text(&table[1]));
        match table_type.as_str() {
            "VIEW" | "SYSTEM VIEW" => definitions::view(connection, database, &name, snapshot),
            "SEQUENCE" => sequence(connection, &name, snapshot),
            _ => {
                definitions::table(connection, &name, snapshot);
                rows(connection, &name, snapshot)?;
            }
        }
    }
    definitions::triggers(connection, snapshot)?;
    definitions::routines(connection, snapshot)?;
    definitions::events(connection, snapshot)
}

fn sequence(connection: &mut Conn, name: &str, snapshot: &mut Snapshot) {
    let thing = format!("sequence {name}");
    let create = first_line(connection, &format!("SHOW CREATE SEQUENCE {}", quoted(name)));
    snapshot.note(&thing, "definition", create.map_or_else(error_number, |row| row[1].clone()));
    let state = first_line(connection, &format!("SELECT * FROM {}", quoted(name)));
    snapshot.note(&thing, "state", state.map_or_else(error_number, |row| row.join(&b',')));
}

/// A column as it is read: its expression in the SELECT, and whether it says when a row version ended or began.
struct Column {
    expression: String,
    is_row_start: bool,
    is_row_end: bool,
}

fn columns(connection: &mut Conn, table: &str) -> mysql::Result<Vec<Column>> {
    let found: Vec<Row> = connection.exec(
        "SELECT COLUMN_NAME, DATA_TYPE, GENERATION_EXPRESSION FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
        (table,),
    )?;
    Ok(found
        .into_iter()
        .map(|row| {
            let row = bytes_of(row);
            let name = quoted(&text(&row[0]));
            let is_number_inside = matches!(text(&row[1]).as_str(), "enum" | "set");
            let generation = text(&row[2]);
            Column {
                // A SET of 64 members needs all bits: no way round through a double, as `+0` would be.
                expression: if is_number_inside { format!("CAST({name} AS UNSIGNED)") } else { name },
                is_row_start: generation.eq_ignore_ascii_case("ROW START"),
                is_row_end: generation.eq_ignore_ascii_case("ROW END"),
            }
        })
        .collect())
}

/// Notes the rows of a table, and for a versioned one its history apart.
fn rows(connection: &mut Conn, table: &str, snapshot: &mut Snapshot) -> mysql::Result<()> {
    let thing = format!("table {table}");
    let definition = snapshot.things.get(&thing).and_then(|aspects| aspects.get("definition"));
    let is_versioned = definition.is_some_and(|text| text.contains("SYSTEM VERSIONING"));
    let mut columns = columns(connection, table)?;
    if is_versioned && !columns.iter().any(|column| column.is_row_end) {
        columns.push(Column { expression: "row_start".into(), is_row_start: true, is_row_end: false });
        columns.push(Column { expression: "row_end".into(), is_row_start: false, is_row_end: true });
    }
    let list: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
    let period = if is_versioned { " FOR SYSTEM_TIME ALL" } else { "" };
    let query = format!("SELECT {} FROM {}{period}", list.join(", "), quoted(table));
    let mut sums = [Sum::default(), Sum::default()];
    let outcome = sum_rows(connection, &query, &columns, &thing, snapshot, &mut sums);
    let [current, history] = sums;
    match outcome {
        Ok(()) => snapshot.note(&thing, "rows", current.to_string()),
        Err(error @ mysql::Error::MySqlError(_)) => snapshot.note(&thing, "rows", error_number(error)),
        Err(error) => return Err(error),
    }
    if is_versioned {
        snapshot.note(&thing, "rows of history", history.to_string());
    }
    Ok(())
}

#[derive(Default)]
struct Sum {
    rows: u64,
    hash: u128,
}

impl std::fmt::Display for Sum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} rows, {:032x}", self.rows, self.hash)
    }
}

fn sum_rows(
    connection: &mut Conn,
    query: &str,
    columns: &[Column],
    thing: &str,
    snapshot: &mut Snapshot,
    [current, history]: &mut [Sum; 2],
) -> mysql::Result<()> {
    let statement = connection.prep(query)?;
    let mut encoded = Vec::new();
    for row in connection.exec_iter(&statement, ())? {
        encoded.clear();
        let mut is_current = true;
        for (value, column) in row?.unwrap().iter().zip(columns) {
            // Numbers of transactions are those of one server's life: only that a row is current can be compared.
            let is_transaction = matches!(value, Value::UInt(_) | Value::Int(_));
            if column.is_row_end {
                is_current = ends_never(value);
            }
            if (column.is_row_end && is_current) || (column.is_row_start && is_transaction) {
                encode(&Value::Bytes(b"current".to_vec()), &mut encoded);
            } else if column.is_row_end && is_transaction {
                encode(&Value::Bytes(b"ended".to_vec()), &mut encoded);
            } else {
                encode(value, &mut encoded);
            }
        }
        let digest = blake3::hash(&encoded);
        let mut low = [0; 16];
        low.copy_from_slice(&digest.as_bytes()[..16]);
        let hash = u128::from_le_bytes(low);
        let sum = if is_current { &mut *current } else { &mut *history };
        sum.rows += 1;
        sum.hash = sum.hash.wrapping_add(hash);
        if sum.rows <= SAMPLED_ROWS {
            let shown = &encoded[..encoded.len().min(SAMPLED_ROW_BYTES)];
            snapshot.sample(thing, hash, shown.escape_ascii().to_string());
        }
    }
    Ok(())
}

/// Whether a row version is the current one: the largest TIMESTAMP of this server (2038 or 2106), or the largest
/// transaction number.
fn ends_never(value: &Value) -> bool {
    match value {
        Value::Date(2038, 1, 19, 3, 14, 7, 999_999) | Value::Date(2106, 2, 7, 6, 28, 15, 999_999) => true,
        Value::UInt(number) => *number == u64::MAX,
        Value::Int(number) => *number == -1,
        _ => false,
    }
}

/// One value with its type and length, so that no two different rows have the same bytes.
fn encode(value: &Value, into: &mut Vec<u8>) {
    let (tag, bytes) = match value {
        Value::NULL => (b'N', Vec::new()),
        Value::Bytes(bytes) => (b'B', bytes.clone()),
        Value::Int(number) => (b'I', number.to_string().into_bytes()),
        // Signed and unsigned readings of one value must not differ.
        Value::UInt(number) => (b'I', number.to_string().into_bytes()),
        Value::Float(number) => (b'F', format!("{number:?}/{:08x}", number.to_bits()).into_bytes()),
        Value::Double(number) => (b'D', format!("{number:?}/{:016x}", number.to_bits()).into_bytes()),
        Value::Date(year, month, day, hour, minute, second, micro) => (
            b'T',
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06}")
                .into_bytes(),
        ),
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if *negative { '-' } else { '+' };
            (b't', format!("{sign}{days} {hours}:{minutes}:{seconds}.{micros:06}").into_bytes())
        }
    };
    into.push(tag);
    into.extend_from_slice(bytes.len().to_string().as_bytes());
    into.push(b':');
    into.extend_from_slice(&bytes);
}

/// Whether a thing is a table that a restore has set aside (`_bo` or `_bn`, the restore's hexadecimal tag, a number): kept until
/// the restore is accepted, no part of the shop.
pub fn is_set_aside(thing: &str) -> bool {
    let Some(rest) = thing.strip_prefix("table _bo").or_else(|| thing.strip_prefix("table _bn")) else {
        return false;
    };
    let Some((run, number)) = rest.split_once('_') else { return false };
    !run.is_empty()
        && run.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name in backticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn bytes_of(row: Row) -> Vec<Vec<u8>> {
    row.unwrap()
        .into_iter()
        .map(|value| match value {
            Value::Bytes(bytes) => bytes,
            Value::NULL => b"NULL".to_vec(),
            other => other.as_sql(true).into_bytes(),
        })
        .collect()
}

pub(crate) fn lines(connection: &mut Conn, query: &str) -> mysql::Result<Vec<Vec<Vec<u8>>>> {
    let rows: Vec<Row> = connection.query(query)?;
    Ok(rows.into_iter().map(bytes_of).collect())
}

pub(crate) fn first_line(connection: &mut Conn, query: &str) -> mysql::Result<Vec<Vec<u8>>> {
    let row: Option<Row> = connection.query_first(query)?;
    row.map(bytes_of).ok_or_else(|| std::io::Error::other(format!("no row from {query}")).into())
}

/// The text that stands for something the server itself cannot read.
pub(crate) fn error_number(error: mysql::Error) -> Vec<u8> {
    match error {
        mysql::Error::MySqlError(error) => format!("error {}", error.code).into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests;
