//! Differences as a person reads them: grouped, the first of each group by name; or each on a line of its own.

use backstock_operations::{
    DatabaseCounts, DiffSide, DiffSummary, Difference, FileChange, FileCounts, FileKind, LineChange,
    NamedValue, ObjectName, OneFile, RowGroup, RowName, ShownValue, Side, ToldDifference, ValueChange,
    printable_path,
};

use crate::terminal::{bytes_text, count_text, printable};

/// Names that a group shows.
const SHOWN_NAMES: u64 = 20;
/// Lines of a definition that are shown.
const SHOWN_LINES: usize = 30;
/// Characters of a line of a definition that are shown.
const SHOWN_CHARACTERS: usize = 300;

/// What a group's heading says, in the order in which the groups are shown.
pub(super) const HEADINGS: [&str; 18] = [
    "PROGRAMS AMONG PICTURES AND UPLOADS",
    "files added",
    "files removed",
    "files changed",
    "objects of the database added",
    "objects of the database removed",
    "definitions changed",
    "administrators",
    "roles",
    "connections from outside",
    "payment",
    "carriers",
    "modules and extensions",
    "hooks",
    "scheduled jobs",
    "settings",
    "tables with other rows",
    "not known",
];

pub(super) fn group_of(difference: &Difference) -> usize {
    match difference {
        Difference::FileAdded(OneFile { is_misplaced_program: true, .. })
        | Difference::FileChanged { is_misplaced_program: true, .. } => 0,
        Difference::FileAdded(_) => 1,
        Difference::FileRemoved(_) => 2,
        Difference::FileChanged { .. } => 3,
        Difference::ObjectAdded(_) => 4,
        Difference::ObjectRemoved(_) => 5,
        Difference::DefinitionChanged { .. } => 6,
        Difference::RowAdded { row, .. }
        | Difference::RowRemoved { row, .. }
        | Difference::RowChanged { row, .. } => 7 + group_of_row(row),
        Difference::RowCountChanged { .. } | Difference::ValuesChanged { .. } => 16,
        Difference::FileUnknown { .. } | Difference::ObjectUnknown { .. } => 17,
    }
}

fn group_of_row(row: &RowName) -> usize {
    match row.group {
        RowGroup::Administrators => 0,
        RowGroup::Roles => 1,
        RowGroup::Connections => 2,
        RowGroup::Payments => 3,
        RowGroup::Carriers => 4,
        RowGroup::Modules => 5,
        RowGroup::Hooks => 6,
        RowGroup::ScheduledJobs => 7,
        RowGroup::Settings => 8,
    }
}

/// The first differences of each group, and how many there are.
#[derive(Default)]
pub(super) struct Groups([(u64, Vec<String>); HEADINGS.len()]);

impl Groups {
    pub(super) fn add(&mut self, told: &ToldDifference) {
        let (count, first) = &mut self.0[group_of(&told.difference)];
        *count += 1;
        if *count <= SHOWN_NAMES {
            first.push(line(told));
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (heading, (count, first)) in HEADINGS.iter().zip(&self.0).filter(|(_, (count, _))| *count > 0) {
            lines.push(format!("{heading}: {count}"));
            for text in first {
                lines.extend(text.lines().map(|line| format!("  {line}")));
            }
            if *count > SHOWN_NAMES {
                lines.push(format!("  … and {} more (--all names them)", count - SHOWN_NAMES));
            }
        }
        lines
    }
}

/// One difference: its name and a line, and below it those of a definition or the values of a row.
pub(super) fn line(told: &ToldDifference) -> String {
    format!("{}  {}", told.item, text_of(&told.difference))
}

pub(super) fn text_of(difference: &Difference) -> String {
    match difference {
        Difference::FileAdded(file) => format!("+ {}", one_file(file)),
        Difference::FileRemoved(file) => format!("- {}", one_file(file)),
        Difference::FileChanged { path, is_misplaced_program, changes } => {
            let sign = if *is_misplaced_program { "!" } else { "~" };
            let changes: Vec<String> = changes.iter().map(change_text).collect();
            format!("{sign} {}: {}", printable_path(path), changes.join(", "))
        }
        Difference::FileUnknown { path, side, reason } => {
            let side = match side {
                Side::Before => "earlier",
                Side::After => "later",
            };
            format!("? {}: not known on the {side} side: {}", printable_path(path), printable(reason))
        }
        Difference::ObjectAdded(object) => format!("+ {}", object_text(object)),
        Difference::ObjectRemoved(object) => format!("- {}", object_text(object)),
        Difference::DefinitionChanged { object, lines } => {
            let mut text = format!("~ {}", object_text(object));
            for line in lines.iter().take(SHOWN_LINES) {
                text.push_str("\n    ");
                text.push_str(&line_text(line));
            }
            if lines.len() > SHOWN_LINES {
                text.push_str(&format!(
                    "\n    … and {} more lines (--json has them)",
                    lines.len() - SHOWN_LINES
                ));
            }
            text
        }
        Difference::RowCountChanged { table, before, after } => {
            format!("~ table {}: {before} -> {after} rows", printable_path(table))
        }
        Difference::ValuesChanged { table, rows } => {
            format!("~ table {}: {}, with other values", printable_path(table), count_text(*rows, "row"))
        }
        Difference::RowAdded { row, values } => row_text('+', row, values.iter().map(named_value)),
        Difference::RowRemoved { row, values } => row_text('-', row, values.iter().map(named_value)),
        Difference::RowChanged { row, changes } => row_text('~', row, changes.iter().map(value_change)),
        Difference::ObjectUnknown { object, reason } => {
            format!("? {}: {}", object_text(object), printable(reason))
        }
    }
}

/// A row: what it is called, where it stands, and a line for each value.
fn row_text(sign: char, row: &RowName, values: impl Iterator<Item = String>) -> String {
    let mut text = format!("{sign} {}", row.called);
    if let Some(label) = &row.label {
        text.push_str(&format!(" {}", printable_path(label)));
    }
    let key: Vec<String> = row.key.iter().map(named_value).collect();
    text.push_str(&format!(" ({}: {})", printable_path(&row.table), key.join(", ")));
    for value in values {
        text.push_str("\n    ");
        text.push_str(&value);
    }
    text
}

fn named_value(value: &NamedValue) -> String {
    format!("{} = {}", printable_path(&value.column), shown_value(&value.value))
}

fn value_change(change: &ValueChange) -> String {
    let (before, after) = (&change.before, &change.after);
    if *before == ShownValue::Masked && *after == ShownValue::Masked {
        return format!("{}: changed (a secret, not shown)", printable_path(&change.column));
    }
    format!("{}: {} -> {}", printable_path(&change.column), shown_value(before), shown_value(after))
}

fn shown_value(value: &ShownValue) -> String {
    match value {
        ShownValue::Null => "NULL".to_owned(),
        ShownValue::Masked => "(a secret, not shown)".to_owned(),
        ShownValue::Text(text) if text.is_empty() => "\"\"".to_owned(),
        ShownValue::Text(text) => format!("\"{}\"", printable_path(text)),
        ShownValue::Part { text, offset_bytes, size_bytes } => {
            let lead = if *offset_bytes > 0 { "… " } else { "" };
            let size = bytes_text(*size_bytes);
            format!("\"{lead}{} …\" (from byte {offset_bytes} of {size})", printable_path(text))
        }
    }
}

fn one_file(file: &OneFile) -> String {
    let sign = if file.is_misplaced_program { "! " } else { "" };
    let path = printable_path(&file.path);
    match file.kind {
        FileKind::File => format!("{sign}{path} ({})", bytes_text(file.size_bytes)),
        kind => format!("{sign}{path} ({})", kind_text(kind)),
    }
}

fn kind_text(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Folder => "folder",
        FileKind::Symlink => "link",
        FileKind::HardLink => "further name of a file",
        FileKind::Fifo => "pipe",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
        FileKind::Unknown => "unknown",
    }
}

fn change_text(change: &FileChange) -> String {
    match change {
        FileChange::Kind { before, after } => format!("{} -> {}", kind_text(*before), kind_text(*after)),
        FileChange::Content { before_bytes, after_bytes } if before_bytes == after_bytes => {
            format!("content ({})", bytes_text(*after_bytes))
        }
        FileChange::Content { before_bytes, after_bytes } => {
            format!("content ({} -> {})", bytes_text(*before_bytes), bytes_text(*after_bytes))
        }
        FileChange::Holes => "its holes, perhaps its content".to_owned(),
        FileChange::Mode { before, after } => format!("mode {before:04o} -> {after:04o}"),
        FileChange::Owner { before, after } => {
            format!("owner {}:{} -> {}:{}", before.0, before.1, after.0, after.1)
        }
        FileChange::Link { before, after } => {
            format!("link {} -> {}", printable_path(before), printable_path(after))
        }
        FileChange::Attributes => "attributes".to_owned(),
    }
}

fn object_text(object: &ObjectName) -> String {
    format!("{} {}", printable(&object.kind.replace('-', " ")), printable_path(&object.name))
}

fn line_text(line: &LineChange) -> String {
    let (sign, line) = match line {
        LineChange::Removed(line) => ('-', line),
        LineChange::Added(line) => ('+', line),
    };
    let text = String::from_utf8_lossy(line);
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let cut = if shown.len() < text.len() { " …" } else { "" };
    format!("{sign} {}{cut}", printable(&shown))
}

/// What it all came to.
pub(super) fn summary_lines(summary: &DiffSummary) -> Vec<String> {
    let side = |side: &DiffSide| {
        let backup = side.backup.map_or_else(|| "the live shop".to_owned(), |backup| backup.short());
        format!("{backup} of {:.0}", side.started)
    };
    let is_equal = summary.files.as_ref().is_none_or(FileCounts::is_equal)
        && summary.database.as_ref().is_none_or(DatabaseCounts::is_equal);
    let verdict = if is_equal { "no difference" } else { "differences" };
    let mut lines = vec![format!(
        "{}: {verdict} between {} and {}",
        printable(&summary.shop),
        side(&summary.before),
        side(&summary.after)
    )];
    if let Some(files) = &summary.files {
        lines.push(format!(
            "  files     {} added, {} removed, {} changed, {} not known, {} equal{}",
            files.added,
            files.removed,
            files.changed,
            files.unknown,
            files.equal,
            if files.touched > 0 {
                format!(" ({} of them with another time)", files.touched)
            } else {
                String::new()
            }
        ));
        lines.extend(left_out(files.renewable, "path", "that can be made anew (caches, sessions …)"));
        lines.extend(left_out(files.not_asked, "path", "that one of the two backups was told to leave out"));
    }
    if let Some(database) = &summary.database {
        lines.push(format!(
            "  database  {} added, {} removed, {} defined otherwise, {} equal; {} with other rows, {} not known",
            database.added,
            database.removed,
            database.definitions,
            database.equal,
            count_text(database.row_counts + database.values, "table"),
            database.unknown
        ));
        let (added, removed, changed) = (database.rows_added, database.rows_removed, database.rows_changed);
        lines.push(format!("  rows that matter  {added} added, {removed} removed, {changed} changed"));
        lines.extend(left_out(
            database.renewable,
            "table",
            "with other rows that can be made anew (caches, sessions, logs …)",
        ));
        lines.extend(left_out(database.not_asked, "object", "that one of the two backups was not asked for"));
    }
    lines
}

fn left_out(count: u64, thing: &str, why: &str) -> Option<String> {
    (count > 0).then(|| format!("  not named {} {why}", count_text(count, thing)))
}
