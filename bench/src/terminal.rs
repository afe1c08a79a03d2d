//! What the benchmark prints: the table or JSON on standard output, talk on standard error.

use std::io::{self, Write};

use crate::Row;

/// A line of talk.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line of data.
pub(crate) fn data(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The rows as aligned columns.
pub(crate) fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<16} {:<34} {:>7} {:>7} {:>6} {:>9} {:>9} {:>9} {:>10}",
        "work", "peer", "wall", "cpu", "size", "ours s", "peer s", "memory", "goal"
    )];
    for row in rows {
        lines.push(format!(
            "{:<16} {:<34} {:>6.2}x {:>6.2}x {:>5.2}x {:>9.2} {:>9.2} {:>5} MiB {:>10}",
            row.work,
            row.peer,
            row.wall_ratio,
            row.cpu_ratio,
            row.size_ratio,
            row.wall_s,
            row.peer_wall_s,
            row.peak_memory_bytes / (1 << 20),
            row.goal
        ));
    }
    lines
}
