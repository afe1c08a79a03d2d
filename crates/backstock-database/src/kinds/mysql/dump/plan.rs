//! What an attempt is going to read: the tables with their definitions and columns, before the snapshot.

use std::collections::BTreeMap;

use super::super::connection::Connection;
use super::super::drift::untraceable;
use super::super::schema::{self, TableLine, TableShape};
use super::super::{ddl, definition};
use super::trouble::passes;
use crate::dump::{DumpProblem, DumpRequest, TableKind};
use crate::error::{Error, Result};
use crate::raw_text::RawText;
use crate::record::{Checksum, Contents, TableRecord};

/// A table of the dump.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) record: TableRecord,
    pub(crate) shape: TableShape,
    pub(crate) estimated_rows: u64,
    /// Of the definition without its AUTO_INCREMENT number.
    pub(crate) definition_hash: blake3::Hash,
    /// Whether a snapshot covers its rows.
    pub(crate) transactional: bool,
}

impl TablePlan {
    /// Whether its rows are to be read.
    pub(crate) fn is_read(&self) -> bool {
        self.record.contents == Contents::Included
    }

    /// The column in whose ranges the table is read, if it is large and has such a key.
    pub(crate) fn range_key(&self) -> Option<&RawText> {
        let in_ranges = self.transactional
            && self.record.versioning.is_none()
            && self.record.estimated_bytes > RANGE_TABLE_BYTES;
        self.shape.integer_key.as_ref().filter(|_| in_ranges)
    }

    /// How many ranges there should be.
    pub(crate) fn range_count(&self) -> u64 {
        self.record.estimated_bytes.div_ceil(RANGE_BYTES).max(1)
    }
}

/// Tables above this are read in ranges of their key, bytes.
const RANGE_TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// What one range should hold, bytes.
pub(crate) const RANGE_BYTES: u64 = 32 * 1024 * 1024;

/// Everything that belongs to the dump and has a place in the list of tables.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The list as the server gave it, without what does not belong to the dump.
    pub(crate) lines: Vec<TableLine>,
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) sequences: Vec<(RawText, Vec<u8>)>,
    pub(crate) views: Vec<RawText>,
    /// Tables that could be exchanged without a trace.
    pub(crate) untraceable: Vec<RawText>,
    pub(crate) problems: Vec<DumpProblem>,
    pub(crate) notes: Vec<String>,
}

/// The list of tables without those that the selection or a restore's journal leaves out.
pub(crate) fn selected_lines(
    connection: &mut Connection,
    database: &[u8],
    request: &DumpRequest,
) -> Result<Vec<TableLine>> {
    let mut lines = schema::list(connection, database)?;
    lines.retain(|line| takes(request, &line.facts.name));
    Ok(lines)
}

/// Whether a table, view or sequence belongs to the dump.
pub(crate) fn takes(request: &DumpRequest, name: &[u8]) -> bool {
    request.selection.takes(name) && !request.not_ours.iter().any(|other| other == name)
}

/// Reads definitions and columns.
pub(crate) fn make(
    connection: &mut Connection,
    database: &[u8],
    request: &DumpRequest,
    unreadable: &BTreeMap<RawText, String>,
) -> Result<Plan> {
    let mut plan = Plan { lines: selected_lines(connection, database, request)?, ..Plan::default() };
    let engines = schema::transactional_engines(connection)?;
    let mut stable = Vec::new();
    for line in plan.lines.clone() {
        let name = line.facts.name.clone();
        match line.facts.table_kind {
            TableKind::View => plan.views.push(name),
            TableKind::Sequence => {
                let shown = schema::sequence_definition(connection, &name);
                if let Some(text) = or_problem(&mut plan.problems, "sequence", &name, shown)? {
                    plan.sequences.push((name, text));
                }
            }
            TableKind::Table | TableKind::VersionedTable => {
                let found = table(connection, database, &line, request, &engines);
                if let Some((table, text)) = or_problem(&mut plan.problems, "table", &name, found)? {
                    stable.push((line, text));
                    plan.tables.push(table);
                }
            }
        }
    }
    for table in &mut plan.tables {
        if let Some(reason) = unreadable.get(&table.record.name) {
            table.record.contents = Contents::Unreadable;
            plan.problems.push(unreadable_problem(&table.record.name, reason));
        }
        warn(table, &mut plan.notes, &mut plan.problems);
    }
    let pairs: Vec<_> = stable.iter().map(|(line, text)| (line, text.clone())).collect();
    plan.untraceable = untraceable(&pairs);
    let names: Vec<RawText> =
        schema::list(connection, database)?.into_iter().map(|line| line.facts.name).collect();
    for pattern in request.selection.unused(&names) {
        plan.notes.push(format!("the pattern \"{pattern}\" fits no table"));
    }
    Ok(plan)
}

/// An error of the server about one object alone is a problem; anything else ends the attempt.
fn or_problem<T>(
    problems: &mut Vec<DumpProblem>,
    kind: &str,
    name: &RawText,
    found: Result<T>,
) -> Result<Option<T>> {
    let source = match found {
        Ok(found) => return Ok(Some(found)),
        Err(Error::Statement { source, .. }) if !passes(&source) => source,
        Err(error) => return Err(error),
    };
    let denied = matches!(source.code, 1142 | 1143 | 1044);
    problems.push(DumpProblem {
        object: format!("{kind} {name}"),
        right: denied.then(|| "SELECT on the whole table".to_owned()),
        reason: source.to_string(),
        cost: format!("a restore lacks this {kind} and its rows"),
    });
    Ok(None)
}

pub(crate) fn unreadable_problem(name: &RawText, reason: &str) -> DumpProblem {
    DumpProblem {
        object: format!("table {name}"),
        right: None,
        reason: reason.to_owned(),
        cost: "a restore has this table without its rows".to_owned(),
    }
}

fn table(
    connection: &mut Connection,
    database: &[u8],
    line: &TableLine,
    request: &DumpRequest,
    engines: &[String],
) -> Result<(TablePlan, Vec<u8>)> {
    let name = &line.facts.name;
    let text = schema::table_definition(connection, name)?;
    let shape = schema::shape(connection, database, name, &line.facts.engine, &line.collation, &text)?;
    let spans = ddl::spans(&text).map_err(|fault| schema::not_understood(name, &fault.to_string()))?;
    let stable = definition::without_auto_increment(&spans, &text);
    let definition_hash = blake3::hash(&stable);
    // What tells twins apart is all but the name.
    let nameless = [&stable[..spans.name.start], &stable[spans.name.end..]].concat();
    let engine = line.facts.engine.clone();
    let contents = if !schema::keeps_rows(&engine) {
        Contents::NotKeptByEngine
    } else if request.selection.takes_contents(name) {
        Contents::Included
    } else {
        Contents::Excluded
    };
    let transactional = engines.iter().any(|known| known.eq_ignore_ascii_case(&engine));
    let record = TableRecord {
        name: name.clone(),
        definition: shape.full_definition.clone().into(),
        spans: shape.spans.clone(),
        engine,
        collation: line.collation.clone(),
        columns: shape.columns.clone(),
        contents,
        row_count: 0,
        checksum: Checksum::default(),
        frames: Vec::new(),
        in_snapshot: false,
        partitioned: line.partitioned,
        auto_increment: definition::auto_increment(&spans, &text),
        versioning: shape.versioning.clone(),
        estimated_bytes: line.data_bytes,
        foreign: None,
    };
    let estimated_rows = line.facts.estimated_rows;
    Ok((TablePlan { record, shape, estimated_rows, definition_hash, transactional }, nameless))
}

/// Tells what is special about a table.
fn warn(table: &mut TablePlan, notes: &mut Vec<String>, problems: &mut Vec<DumpProblem>) {
    let name = &table.record.name;
    for column in &table.shape.unknown_types {
        notes.push(format!(
            "table {name}: the type of column {column} is not known here; dumped as raw bytes"
        ));
    }
    if table.record.contents == Contents::NotKeptByEngine {
        notes.push(format!(
            "table {name}: the engine {} keeps no rows of its own; only the definition is dumped",
            table.record.engine
        ));
    }
    if table.record.versioning.as_ref().is_some_and(|versioning| !versioning.with_history) && table.is_read()
    {
        problems.push(DumpProblem {
            object: format!("history of table {name}"),
            right: None,
            reason: "its history is numbered by transactions, which no server accepts again".to_owned(),
            cost: "a restore has the current rows only".to_owned(),
        });
    }
    let upper = table.record.definition.to_ascii_uppercase();
    if [b"ENCRYPTED=".as_slice(), b"ENCRYPTION='Y'"]
        .iter()
        .any(|mark| upper.windows(mark.len()).any(|window| window == *mark))
    {
        notes.push(format!("table {name} is encrypted on the server; in the dump it is not"));
    }
}
