//! Differences as a person reads them: grouped, the first of each group by name; or each on a line of its own.

use backstock_operations::{
    DatabaseCounts, DiffSide, DiffSummary, Difference, FileChange, FileCounts, FileKind, LineChange,
    ObjectName, OneFile, Side, printable_path,
};

use crate::terminal::{bytes_text, count_text, printable};

/// Names that a group shows.
const SHOWN_NAMES: u64 = 20;
/// Lines of a definition that are shown.
const SHOWN_LINES: usize = 30;
/// Characters of a line of a definition that are shown.
const SHOWN_CHARACTERS: usize = 300;

/// What a group's heading says, in the order in which the groups are shown.
const HEADINGS: [&str; 9] = [
    "PROGRAMS AMONG PICTURES AND UPLOADS",
    "files added",
    "files removed",
    "files changed",
    "objects of the database added",
    "objects of the database removed",
    "definitions changed",
    "tables with other rows",
    "not known",
];

fn group_of(difference: &Difference) -> usize {
    match difference {
        Difference::FileAdded(OneFile { is_misplaced_program: true, .. })
        | Difference::FileChanged { is_misplaced_program: true, .. } => 0,
        Difference::FileAdded(_) => 1,
        Difference::FileRemoved(_) => 2,
        Difference::FileChanged { .. } => 3,
        Difference::ObjectAdded(_) => 4,
        Difference::ObjectRemoved(_) => 5,
        Difference::DefinitionChanged { .. } => 6,
        Difference::RowCountChanged { .. } | Difference::ValuesChanged { .. } => 7,
        Difference::FileUnknown { .. } | Difference::ObjectUnknown { .. } => 8,
    }
}

/// The first differences of each group, and how many there are.
#[derive(Default)]
pub(super) struct Groups([(u64, Vec<String>); HEADINGS.len()]);

impl Groups {
    pub(super) fn add(&mut self, difference: &Difference) {
        let (count, first) = &mut self.0[group_of(difference)];
        *count += 1;
        if *count <= SHOWN_NAMES {
            first.push(line(difference));
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

/// One difference: a line, and below it those of a definition.
pub(super) fn line(difference: &Difference) -> String {
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
        Difference::ObjectUnknown { object, reason } => {
            format!("? {}: {}", object_text(object), printable(reason))
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
        lines.extend(left_out(
            database.renewable,
            "table",
            "with other rows that can be made anew (caches, sessions, logs …)",
        ));
    }
    lines
}

fn left_out(count: u64, thing: &str, why: &str) -> Option<String> {
    (count > 0).then(|| format!("  not named {} {why}", count_text(count, thing)))
}
