//! Did a definition change while the rows were read? Today's servers say so for some changes only: after an instant
//! `DROP COLUMN`, a swap of names or an exchange of a partition a snapshot silently reads other rows.
//!
//! Witnesses: the server's counters of statements that change definitions, the list of tables with their times of
//! creation, and each definition before and after its rows.

use std::collections::BTreeMap;

use super::connection::Connection;
use super::schema::TableLine;
use crate::dump::TableKind;
use crate::error::Result;
use crate::raw_text::{RawText, readable};

/// Statements that change what a dump reads, as `SHOW GLOBAL STATUS` names them behind `Com_`. A server counts them
/// for all databases: another's change is a false alarm, never a miss.
const COUNTED: &[&str] = &[
    "alter_db",
    "alter_db_upgrade",
    "alter_event",
    "alter_function",
    "alter_procedure",
    "alter_sequence",
    "alter_table",
    "alter_tablespace",
    "create_db",
    "create_event",
    "create_function",
    "create_index",
    "create_package",
    "create_package_body",
    "create_procedure",
    "create_sequence",
    "create_table",
    "create_trigger",
    "create_view",
    "drop_db",
    "drop_event",
    "drop_function",
    "drop_index",
    "drop_package",
    "drop_package_body",
    "drop_procedure",
    "drop_sequence",
    "drop_table",
    "drop_trigger",
    "drop_view",
    "import",
    "import_table",
    "optimize",
    "rename_table",
    "repair",
    "truncate",
];

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counters {
    counts: BTreeMap<String, u64>,
    uptime_seconds: u64,
}

impl Counters {
    pub(crate) fn read(connection: &mut Connection) -> Result<Self> {
        let result = connection
            .query(b"SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Com\\_%' OR Variable_name='Uptime'")?;
        let mut found = Self { counts: BTreeMap::new(), uptime_seconds: 0 };
        for row in &result.rows {
            let [Some(name), Some(value)] = row.as_slice() else { continue };
            let (name, value) = (readable(name), readable(value).parse().unwrap_or(0));
            if name == "Uptime" {
                found.uptime_seconds = value;
            } else if let Some(name) = name.strip_prefix("Com_").filter(|name| COUNTED.contains(name)) {
                found.counts.insert(name.to_owned(), value);
            }
        }
        Ok(found)
    }

    /// What moved between two moments, in words.
    pub(crate) fn moved(&self, later: &Self) -> Option<String> {
        if later.uptime_seconds < self.uptime_seconds {
            return Some("the server was restarted".to_owned());
        }
        let moved: Vec<&str> = self
            .counts
            .iter()
            .filter(|(name, count)| later.counts.get(*name) != Some(count))
            .map(|(name, _)| name.as_str())
            .collect();
        if moved.is_empty() {
            return None;
        }
        Some(format!("definitions were changed on the server ({})", moved.join(", ")))
    }

    /// Whether the server was started anew in between.
    pub(crate) fn restarted(&self, later: &Self) -> bool {
        later.uptime_seconds < self.uptime_seconds
    }
}

/// Compares the lists of tables before and after, as far as the dump depends on them.
pub(crate) fn list_changed(before: &[TableLine], after: &[TableLine]) -> Option<String> {
    let key = |line: &TableLine| {
        // A view has no time of creation, and a sequence gets a new one when it is altered.
        (line.facts.name.clone(), line.facts.table_kind, line.create_time.clone())
    };
    let (before, after): (Vec<_>, Vec<_>) =
        (before.iter().map(key).collect(), after.iter().map(key).collect());
    if before == after {
        return None;
    }
    let gone = before.iter().find(|line| !after.contains(line));
    let name = gone.or_else(|| after.iter().find(|line| !before.contains(line))).map(|(name, ..)| name);
    Some(format!(
        "the table {} was created, changed or dropped",
        name.map(ToString::to_string).unwrap_or_default()
    ))
}

/// Tables that could trade places without a trace: equal definitions, made in the same second. Partitioned tables
/// belong to them, since a partition can be exchanged without a trace.
pub(crate) fn untraceable(tables: &[(&TableLine, Vec<u8>)]) -> Vec<RawText> {
    let mut groups: BTreeMap<(&[u8], &[u8]), Vec<&TableLine>> = BTreeMap::new();
    for (line, definition) in tables {
        groups.entry((&line.create_time, definition)).or_default().push(line);
    }
    let mut found: Vec<RawText> = groups
        .into_values()
        .filter(|group| group.len() > 1)
        .flatten()
        .chain(tables.iter().map(|(line, _)| *line).filter(|line| line.partitioned))
        .filter(|line| matches!(line.facts.table_kind, TableKind::Table | TableKind::VersionedTable))
        .map(|line| line.facts.name.clone())
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::TableFacts;

    fn line(name: &str, create_time: &str, partitioned: bool) -> TableLine {
        TableLine {
            facts: TableFacts {
                name: name.into(),
                table_kind: TableKind::Table,
                engine: "InnoDB".to_owned(),
                estimated_rows: 0,
                estimated_bytes: 0,
            },
            data_bytes: 0,
            create_time: create_time.as_bytes().to_vec(),
            collation: String::new(),
            partitioned,
        }
    }

    #[test]
    fn counters_show_what_moved() {
        let counters = |count, uptime_seconds| Counters {
            counts: BTreeMap::from([("rename_table".to_owned(), count), ("truncate".to_owned(), 3)]),
            uptime_seconds,
        };
        assert_eq!(counters(1, 5).moved(&counters(1, 6)), None);
        assert!(counters(1, 5).moved(&counters(2, 6)).unwrap().contains("rename_table"));
        assert!(counters(1, 5).moved(&counters(1, 1)).unwrap().contains("restarted"));
    }

    #[test]
    fn a_list_that_differs_names_the_table() {
        let before = [line("a", "1", false), line("b", "1", false)];
        assert_eq!(list_changed(&before, &before), None);
        assert!(list_changed(&before, &before[..1]).unwrap().contains("table b"));
        assert!(list_changed(&before[..1], &before).unwrap().contains("table b"));
        assert!(list_changed(&before, &[line("a", "2", false), line("b", "1", false)]).is_some());
    }

    #[test]
    fn twins_and_partitioned_tables_leave_no_trace() {
        let lines =
            [line("a", "1", false), line("b", "1", false), line("c", "2", false), line("d", "3", true)];
        let tables: Vec<_> = lines.iter().map(|line| (line, b"x".to_vec())).collect();
        assert_eq!(untraceable(&tables), ["a".into(), "b".into(), "d".into()] as [RawText; 3]);
    }
}
