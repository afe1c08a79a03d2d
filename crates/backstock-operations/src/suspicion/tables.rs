//! The tables of a new backup against those of the last one that counts: rows all together, and each table without which
//! it is not this shop. What one of the two was told to leave out, or could not read, is not held against either.

use std::collections::{HashMap, HashSet};

use backstock_database::TableSelection;

use super::table_counts::{TableCount, TableCounts};
use super::{FEWEST_ROWS, Suspicion, SuspicionKind, is_implausible};
use crate::backup::BackupPlan;

/// What is implausible about a plan's new backup.
pub(super) fn judge(before: &TableCounts, after: &TableCounts, plan: &BackupPlan) -> Vec<Suspicion> {
    plan.database.as_ref().map_or_else(Vec::new, |database| compare(before, after, &database.selection))
}

/// Compares; the selection is what the later one was asked for.
pub(super) fn compare(
    before: &TableCounts,
    after: &TableCounts,
    selection: &TableSelection,
) -> Vec<Suspicion> {
    let now: HashMap<&[u8], &TableCount> =
        after.tables.iter().map(|table| (table.name.as_bytes(), table)).collect();
    let then: HashSet<&[u8]> = before.tables.iter().map(|table| table.name.as_bytes()).collect();
    let mut suspicions = Vec::new();
    let (mut rows_then, mut rows_now) = (0_u64, 0_u64);
    for table in &before.tables {
        let Some(rows) = table.rows else { continue };
        let name = table.name.as_bytes();
        let later = match now.get(name) {
            // It was not asked for, or could not be read.
            Some(later) if later.rows.is_none() => continue,
            None if was_not_taken(after, selection, table) => continue,
            Some(later) => later.rows,
            None => None,
        };
        if table.is_core && rows > 0 && later.unwrap_or(0) == 0 {
            let kind = if later.is_none() { SuspicionKind::TableGone } else { SuspicionKind::TableEmpty };
            suspicions.push(Suspicion { kind, subject: format!("table {}", table.name), was: rows, left: 0 });
        }
        if !table.is_noise {
            rows_then = rows_then.saturating_add(rows);
            rows_now = rows_now.saturating_add(later.unwrap_or(0));
        }
    }
    // A table that was given another name, or cut in two, has its rows still.
    for table in after.tables.iter().filter(|table| !then.contains(table.name.as_bytes()) && !table.is_noise)
    {
        if before.asked.takes_table(table.name.as_bytes()) {
            rows_now = rows_now.saturating_add(table.rows.unwrap_or(0));
        }
    }
    if is_implausible(rows_then, rows_now, FEWEST_ROWS) {
        suspicions.push(Suspicion {
            kind: SuspicionKind::RowsGone,
            subject: "rows".to_owned(),
            was: rows_then,
            left: rows_now,
        });
    }
    suspicions
}

/// Whether a table that the later backup lacks may be there all the same.
fn was_not_taken(after: &TableCounts, selection: &TableSelection, table: &TableCount) -> bool {
    let name = table.name.as_bytes();
    let exact = format!("table {}", table.name);
    !selection.takes(name)
        || !selection.takes_contents(name)
        || after.not_dumped.iter().any(|subject| *subject == exact || subject == "tables")
}
