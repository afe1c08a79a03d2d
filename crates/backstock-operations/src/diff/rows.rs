//! The rows of one table that matters, on two sides: which were added, removed or changed, and how.
//!
//! The earlier side's rows are hashed, the later side's looked up among them, and then the earlier side is read again
//! for what found no equal: only rows that differ are ever kept, and there are limits to both.

mod revert;
mod shown;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use backstock_database::{RowHash, RowValues, TableRecord};
use backstock_platform::MatteringTable;
use backstock_vocabulary::RawText;

pub(crate) use revert::WantedRow;
pub(super) use shown::RowChange;
pub use shown::{NamedValue, RowName, ShownValue, ValueChange};
pub(crate) use source::StoredRows;
pub(super) use source::{LiveRows, RowSource};

use crate::error::Result;
use shown::Shower;

/// Tables with more rows on either side are compared by their checksums alone: each row of one side takes 32 bytes.
const ROWS_LIMIT: u64 = 1_000_000;
/// Rows that differ on one side; where there are more, the table was made anew, and showing them tells nothing.
const DIFFERING_ROWS_LIMIT: usize = 5_000;
/// Rows of a table that matter since another one names them.
const NAMES_LIMIT: usize = 100_000;
/// Text of the rows that differ on one side, bytes.
const DIFFERING_BYTES_LIMIT: usize = 16 << 20;

/// What came of comparing the rows of one table.
#[derive(Debug)]
pub(super) enum RowsFound {
    /// Every difference that is no noise, in the order of the keys.
    All(Vec<RowChange>),
    /// It was not compared row by row, and why.
    TooMuch(String),
}

/// One table on both sides.
pub(crate) struct TablePair<'a> {
    pub(crate) before: &'a TableRecord,
    pub(crate) after: &'a TableRecord,
    pub(crate) rules: &'static MatteringTable,
    /// The tables that name the rows which matter, where not all do.
    pub(crate) named_by: Option<(&'a TableRecord, &'a TableRecord, &'static MatteringTable)>,
}

/// Where each column that is compared stands on each side, and which of them make the key.
struct Shape {
    columns: Vec<RawText>,
    before: Vec<usize>,
    after: Vec<usize>,
    key: Vec<usize>,
    name: Option<usize>,
    /// The column by which other rows name these, and the names that they use.
    named: Option<(usize, BTreeSet<Vec<u8>>)>,
}

impl Shape {
    fn find(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.as_bytes() == column.as_bytes())
    }
}

/// Which values of a column the rows of a table hold that matter.
struct Names {
    rules: &'static MatteringTable,
    column: &'static str,
}

impl Names {
    fn of(&self, record: &TableRecord, source: &dyn RowSource) -> Result<BTreeSet<Vec<u8>>> {
        let place =
            |name: &str| record.columns.iter().position(|column| column.name.as_bytes() == name.as_bytes());
        let mut found = BTreeSet::new();
        let Some(column) = place(self.column) else { return Ok(found) };
        source.each_row(record, &mut |_, row| {
            let value_of = |name: &str| row.get(place(name)?)?.as_deref();
            if !self.rules.is_noise_row(&value_of)
                && let Some(Some(value)) = row.get(column)
                && found.len() < NAMES_LIMIT
            {
                found.insert(value.clone());
            }
        })?;
        Ok(found)
    }
}

/// The values of the columns that are compared.
type Projected = Vec<Option<Vec<u8>>>;

impl TablePair<'_> {
    /// Compares them. `before` is read twice.
    pub(super) fn compare(&self, before: &dyn RowSource, after: &dyn RowSource) -> Result<RowsFound> {
        let most = self.before.row_count.max(self.after.row_count);
        if most > ROWS_LIMIT {
            return Ok(RowsFound::TooMuch(format!("it has {most} rows, more than are compared one by one")));
        }
        let mut shape = self.shape();
        if let Some(named) = self.rules.named_by() {
            let Some((one, other, rules)) = self.named_by else {
                return Ok(RowsFound::TooMuch(format!(
                    "which of its rows matter is told by {}, which is not there",
                    named.table
                )));
            };
            let names = Names { rules, column: named.their_column };
            let mut found = names.of(one, before)?;
            found.extend(names.of(other, after)?);
            shape.named = shape.find(named.column).map(|column| (column, found));
        }
        let mut known = Known::default();
        before.each_row(self.before, &mut |_, row| {
            if let Some(row) = self.take(row, &shape, &shape.before) {
                known.hashes.push((hash(&row), false));
            }
        })?;
        known.hashes.sort_unstable();
        let mut new = Kept::default();
        after.each_row(self.after, &mut |_, row| {
            if let Some(row) = self.take(row, &shape, &shape.after)
                && !known.take_equal(hash(&row))
            {
                new.add(row);
            }
        })?;
        known.hashes.retain(|(_, found)| !found);
        let mut old = Kept::default();
        before.each_row(self.before, &mut |_, row| {
            if let Some(row) = self.take(row, &shape, &shape.before)
                && known.take_equal(hash(&row))
            {
                old.add(row);
            }
        })?;
        if new.is_full || old.is_full {
            return Ok(RowsFound::TooMuch("more of its rows differ than are shown one by one".to_owned()));
        }
        Ok(RowsFound::All(self.pair(&shape, old.rows, new.rows)))
    }

    /// The columns that both sides have and that do not change by themselves.
    fn shape(&self) -> Shape {
        let place = |record: &TableRecord, name: &RawText| {
            record.columns.iter().position(|column| column.name == *name)
        };
        let both = self.before.columns.iter().enumerate().filter_map(|(number, column)| {
            let is_noise = self.rules.is_noise_column(&column.name);
            let other = place(self.after, &column.name).filter(|_| !is_noise)?;
            Some((column.name.clone(), (number, other)))
        });
        let (columns, places): (Vec<RawText>, Vec<(usize, usize)>) = both.unzip();
        let (before, after) = places.into_iter().unzip();
        let find = |name: &[u8]| columns.iter().position(|column| column.as_bytes() == name);
        let listed: Vec<Option<usize>> = self.rules.key_columns().map(|name| find(name.as_bytes())).collect();
        let own: Vec<Option<usize>> = self.after.primary_key().iter().map(|name| find(name)).collect();
        let whole = |key: Vec<Option<usize>>| {
            let key: Option<Vec<usize>> = key.into_iter().collect();
            key.filter(|key| !key.is_empty())
        };
        // Without a key a row is only what it holds.
        let key = whole(listed).or_else(|| whole(own)).unwrap_or_else(|| (0..columns.len()).collect());
        let name = self.rules.name_column().and_then(|name| find(name.as_bytes()));
        Shape { columns, before, after, key, name, named: None }
    }

    /// The values that are compared; nothing of a row that changes by itself.
    fn take(&self, mut row: RowValues, shape: &Shape, places: &[usize]) -> Option<Projected> {
        let values: Projected =
            places.iter().map(|place| row.get_mut(*place).and_then(Option::take)).collect();
        let value_of = |name: &str| values[shape.find(name)?].as_deref();
        let is_named = |(column, names): &(usize, BTreeSet<Vec<u8>>)| {
            values[*column].as_ref().is_some_and(|value| names.contains(value))
        };
        let matters = shape.named.as_ref().is_none_or(is_named) && !self.rules.is_noise_row(&value_of);
        matters.then_some(values)
    }

    /// Puts the rows of both sides that have one key beside each other.
    fn pair(&self, shape: &Shape, old: Vec<Projected>, new: Vec<Projected>) -> Vec<RowChange> {
        let mut keys: BTreeMap<Vec<Option<Vec<u8>>>, [Vec<Projected>; 2]> = BTreeMap::new();
        for (side, rows) in [old, new].into_iter().enumerate() {
            for row in rows {
                let key = shape.key.iter().map(|place| row[*place].clone()).collect();
                keys.entry(key).or_default()[side].push(row);
            }
        }
        let shower = Shower { rules: self.rules, table: &self.after.name, shape };
        let mut changes = Vec::new();
        for [mut old, mut new] in keys.into_values() {
            // Rows that share a key have no order of their own.
            old.sort();
            new.sort();
            let (mut old, mut new) = (old.into_iter(), new.into_iter());
            loop {
                changes.push(match (old.next(), new.next()) {
                    (None, None) => break,
                    (Some(old), None) => shower.removed(&old),
                    (None, Some(new)) => shower.added(&new),
                    (Some(old), Some(new)) => shower.changed(&old, &new),
                });
            }
        }
        changes
    }
}

/// The rows of the earlier side: a hash of each, and whether an equal one was found.
#[derive(Default)]
struct Known {
    hashes: Vec<(u128, bool)>,
}

impl Known {
    /// Takes one row of this hash that was not taken yet.
    fn take_equal(&mut self, hash: u128) -> bool {
        // Of equal rows, those that are free stand before those that were taken: the last free one is taken.
        let end = self.hashes.partition_point(|known| *known < (hash, true));
        let last = end.checked_sub(1).and_then(|last| self.hashes.get_mut(last));
        match last.filter(|known| **known == (hash, false)) {
            Some(known) => {
                known.1 = true;
                true
            }
            None => false,
        }
    }
}

/// Rows that differ, up to the limits.
#[derive(Default)]
struct Kept {
    rows: Vec<Projected>,
    bytes: usize,
    is_full: bool,
}

impl Kept {
    fn add(&mut self, row: Projected) {
        self.bytes += row.iter().flatten().map(Vec::len).sum::<usize>();
        self.is_full |= self.bytes > DIFFERING_BYTES_LIMIT || self.rows.len() >= DIFFERING_ROWS_LIMIT;
        if self.is_full {
            self.rows = Vec::new();
        } else {
            self.rows.push(row);
        }
    }
}

/// A number for the values of a row.
fn hash(row: &Projected) -> u128 {
    RowHash::Xxh3.number(&text_of(row))
}

/// The values of a row, each with its length before it, so that no two rows look alike.
fn text_of(row: &Projected) -> Vec<u8> {
    let mut text = Vec::new();
    for value in row {
        match value {
            None => text.extend_from_slice(&u64::MAX.to_le_bytes()),
            Some(value) => {
                text.extend_from_slice(&(value.len() as u64).to_le_bytes());
                text.extend_from_slice(value);
            }
        }
    }
    text
}
