//! A difference of rows as it may be shown: secrets masked, long values cut to where they differ.

use backstock_platform::{MatteringTable, RowGroup};
use backstock_vocabulary::RawText;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::super::difference::Difference;
use super::{Projected, Shape, text_of};

/// Bytes of a value that are shown.
const SHOWN_BYTES: usize = 240;
/// Of these, bytes before the first one that differs.
const LEAD_BYTES: usize = 40;

/// A difference of one row, and what the row holds on each side: nothing of it is masked there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::diff) struct RowChange {
    pub(in crate::diff) states: [Vec<u8>; 2],
    pub(in crate::diff) difference: Difference,
}

/// Which row of which table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowName {
    /// The table.
    pub table: RawText,
    /// What the row is about.
    pub group: RowGroup,
    /// What a row of the table is called.
    pub called: &'static str,
    /// By what a person knows it, where a column tells that.
    pub label: Option<RawText>,
    /// The columns that tell it from others, with their values.
    pub key: Vec<NamedValue>,
}

/// A column of a row and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedValue {
    /// The column.
    pub column: RawText,
    /// Its value.
    pub value: ShownValue,
}

/// One value that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// The column.
    pub column: RawText,
    /// The value before.
    pub before: ShownValue,
    /// The value after.
    pub after: ShownValue,
}

/// A value as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownValue {
    /// NULL.
    Null,
    /// All of it.
    Text(RawText),
    /// The part of it where it differs.
    Part {
        /// The part.
        text: RawText,
        /// Where the part begins in the value, in bytes.
        offset_bytes: u64,
        /// How long the value is, in bytes.
        size_bytes: u64,
    },
    /// A secret.
    Masked,
}

/// NULL is `null`, a whole value a string, anything else an object.
impl Serialize for ShownValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => text.serialize(serializer),
            Self::Part { text, offset_bytes, size_bytes } => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("part", text)?;
                map.serialize_entry("offset_bytes", offset_bytes)?;
                map.serialize_entry("size_bytes", size_bytes)?;
                map.end()
            }
            Self::Masked => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("masked", &true)?;
                map.end()
            }
        }
    }
}

/// Makes what may be shown of a table's rows.
pub(super) struct Shower<'a> {
    pub(super) rules: &'static MatteringTable,
    pub(super) table: &'a RawText,
    pub(super) shape: &'a Shape,
}

impl Shower<'_> {
    pub(super) fn added(&self, row: &Projected) -> RowChange {
        let difference = Difference::RowAdded { row: self.name(row), values: self.values(row) };
        RowChange { states: [Vec::new(), text_of(row)], difference }
    }

    pub(super) fn removed(&self, row: &Projected) -> RowChange {
        let difference = Difference::RowRemoved { row: self.name(row), values: self.values(row) };
        RowChange { states: [text_of(row), Vec::new()], difference }
    }

    pub(super) fn changed(&self, old: &Projected, new: &Projected) -> RowChange {
        let differing = (0..self.shape.columns.len()).filter(|column| old[*column] != new[*column]);
        let changes = differing.map(|column| {
            let (before, after) = self.both(column, old, new);
            ValueChange { column: self.shape.columns[column].clone(), before, after }
        });
        let difference = Difference::RowChanged { row: self.name(new), changes: changes.collect() };
        RowChange { states: [text_of(old), text_of(new)], difference }
    }

    fn name(&self, row: &Projected) -> RowName {
        let labels = self.rules.label_columns().filter_map(|label| {
            let column =
                self.shape.columns.iter().position(|column| column.as_bytes() == label.as_bytes())?;
            row[column].as_deref().filter(|value| !value.is_empty() && !self.is_secret(column, row))
        });
        let label = labels.map(|value| RawText(value[..value.len().min(SHOWN_BYTES)].to_vec())).next();
        let key = self.shape.key.iter().map(|column| self.shown(*column, row)).collect();
        let group = self.rules.group_of(self.setting(row));
        RowName { table: self.table.clone(), group, called: self.rules.called, label, key }
    }

    /// All values of a row that one side has alone, without those that say nothing.
    fn values(&self, row: &Projected) -> Vec<NamedValue> {
        let said = (0..row.len()).filter(|column| {
            !self.shape.key.contains(column) && row[*column].as_ref().is_some_and(|value| !value.is_empty())
        });
        said.map(|column| self.shown(column, row)).collect()
    }

    fn shown(&self, column: usize, row: &Projected) -> NamedValue {
        let value = match &row[column] {
            None => ShownValue::Null,
            Some(_) if self.is_secret(column, row) => ShownValue::Masked,
            Some(value) => part(value, 0),
        };
        NamedValue { column: self.shape.columns[column].clone(), value }
    }

    fn both(&self, column: usize, old: &Projected, new: &Projected) -> (ShownValue, ShownValue) {
        let (before, after) = (&old[column], &new[column]);
        // A value that was a secret may be half the new one.
        let is_secret = self.is_secret(column, old) || self.is_secret(column, new);
        let common = match (before, after) {
            (Some(before), Some(after)) => {
                before.iter().zip(after).take_while(|(one, other)| one == other).count()
            }
            _ => 0,
        };
        let shown = |value: &Option<Vec<u8>>| match value {
            None => ShownValue::Null,
            Some(value) if is_secret && !value.is_empty() => ShownValue::Masked,
            Some(value) => part(value, common),
        };
        (shown(before), shown(after))
    }

    fn is_secret(&self, column: usize, row: &Projected) -> bool {
        let value = row[column].as_deref().unwrap_or_default();
        self.rules.is_secret(&self.shape.columns[column], self.setting(row), value)
    }

    fn setting<'a>(&self, row: &'a Projected) -> Option<&'a [u8]> {
        self.shape.name.and_then(|name| row[name].as_deref())
    }
}

/// The value, or of a long one what stands around the first byte that differs.
fn part(value: &[u8], differs_at: usize) -> ShownValue {
    if value.len() <= SHOWN_BYTES {
        return ShownValue::Text(RawText(value.to_vec()));
    }
    let is_inside = |at: usize| value.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let mut start = differs_at.saturating_sub(LEAD_BYTES).min(value.len() - SHOWN_BYTES);
    // A character is not cut in two.
    while start > 0 && is_inside(start) {
        start -= 1;
    }
    let mut end = (start + SHOWN_BYTES).min(value.len());
    while end > start && is_inside(end) {
        end -= 1;
    }
    ShownValue::Part {
        text: RawText(value[start..end].to_vec()),
        offset_bytes: start as u64,
        size_bytes: value.len() as u64,
    }
}
