//! The lines of two texts that are not in both: a longest common subsequence, bounded.

use backstock_vocabulary::RawText;
use serde::Serialize;

/// Texts whose numbers of lines multiply to more are compared by their ends alone: what lies between is then told as
/// gone and come. Two bytes for each.
const CELLS_LIMIT: usize = 4 << 20;

/// A line of one text alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineChange {
    /// It is in the earlier text.
    Removed(RawText),
    /// It is in the later text.
    Added(RawText),
}

/// What differs, in the order of the lines. A comma at a line's end makes no difference: it comes with the next line.
pub(super) fn changed_lines(before: &[u8], after: &[u8]) -> Vec<LineChange> {
    let (before, after) = (split(before), split(after));
    let mut start = 0;
    while start < before.len().min(after.len()) && before[start] == after[start] {
        start += 1;
    }
    let (mut before_end, mut after_end) = (before.len(), after.len());
    while before_end > start && after_end > start && before[before_end - 1] == after[after_end - 1] {
        before_end -= 1;
        after_end -= 1;
    }
    middle(&before[start..before_end], &after[start..after_end])
}

fn split(text: &[u8]) -> Vec<&[u8]> {
    let trim = |line: &'_ [u8]| line.strip_suffix(b"\r").unwrap_or(line).len();
    let lines = text.split(|byte| *byte == b'\n').map(|line| &line[..trim(line)]);
    lines.map(|line| line.strip_suffix(b",").unwrap_or(line)).collect()
}

fn middle(before: &[&[u8]], after: &[&[u8]]) -> Vec<LineChange> {
    let removed = |line: &[u8]| LineChange::Removed(line.into());
    let added = |line: &[u8]| LineChange::Added(line.into());
    let (rows, columns) = (before.len(), after.len());
    let is_small = rows <= usize::from(u16::MAX) && (rows + 1).saturating_mul(columns + 1) <= CELLS_LIMIT;
    if !is_small {
        return before.iter().map(|line| removed(line)).chain(after.iter().map(|line| added(line))).collect();
    }
    // The length of the longest common subsequence of what follows each pair of lines.
    let width = columns + 1;
    let mut lengths = vec![0_u16; (rows + 1) * width];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            lengths[row * width + column] = if before[row] == after[column] {
                lengths[(row + 1) * width + column + 1] + 1
            } else {
                lengths[(row + 1) * width + column].max(lengths[row * width + column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut found = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && before[row] == after[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == columns
            || row < rows && lengths[(row + 1) * width + column] >= lengths[row * width + column + 1]
        {
            found.push(removed(before[row]));
            row += 1;
        } else {
            found.push(added(after[column]));
            column += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let line = |change: LineChange| match change {
            LineChange::Removed(line) => format!("-{line}"),
            LineChange::Added(line) => format!("+{line}"),
        };
        changed_lines(before.as_bytes(), after.as_bytes()).into_iter().map(line).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        assert_eq!(told("a\nb\nc", "a\nb\nc"), Vec::<String>::new());
        assert_eq!(told("a\nb\nc", "a\nx\nc"), ["-b", "+x"]);
        assert_eq!(told("(\n  a,\n  b\n)", "(\n  a,\n  b,\n  c\n)"), ["+  c"]);
        assert_eq!(told("", "a"), ["-", "+a"]);
    }

    #[test]
    fn texts_of_too_many_lines_are_told_whole_between_their_equal_ends() {
        let text = |word: &str| format!("head\n{}end", format!("{word}\n").repeat(3000));
        let told = changed_lines(text("a").as_bytes(), text("b").as_bytes());
        assert_eq!(told.len(), 6000);
        assert!(matches!(told[0], LineChange::Removed(_)) && matches!(told[5999], LineChange::Added(_)));
    }

    proptest! {
        /// What is told turns one text into the other, and no more than the naive answer.
        #[test]
        fn the_changes_make_the_later_text(before in "[abc\n]{0,24}", after in "[abc\n]{0,24}") {
            let mut left = before.split('\n').map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
            let mut right = after.split('\n').map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
            let changes = changed_lines(before.as_bytes(), after.as_bytes());
            prop_assert!(changes.len() <= left.len() + right.len());
            for change in changes {
                let (text, line) = match change {
                    LineChange::Removed(line) => (&mut left, line),
                    LineChange::Added(line) => (&mut right, line),
                };
                let at = text.iter().position(|known| *known == line.0);
                prop_assert!(at.is_some());
                text.remove(at.unwrap());
            }
            left.sort();
            right.sort();
            prop_assert_eq!(left, right);
            prop_assert!(before != after || changed_lines(before.as_bytes(), after.as_bytes()).is_empty());
        }
    }
}
