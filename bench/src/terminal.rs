//! What the benchmark prints: the table or JSON on standard output, talk on standard error.

use std::io::{self, Write};

use crate::row::Row;

/// A line of talk.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line of data.
pub(crate) fn data(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The rows as aligned columns: ratios, then medians of ours and of the peer with a stroke between.
pub(crate) fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<28} {:<40} {:>6} {:>6} {:>6}  {:>15} {:>15} {:>13} {:>13} {:>9}  {:<4} goal",
        "work",
        "peer",
        "wall",
        "cpu",
        "size",
        "wall s",
        "client cpu s",
        "server cpu s",
        "size MiB",
        "memory",
        "met"
    )];
    lines.extend(rows.iter().map(line));
    lines
}

/// A row as aligned columns.
pub(crate) fn line(row: &Row) -> String {
    if let Some(reason) = &row.missing {
        return format!("{:<28} {:<40} NOT MEASURED: {reason} (goal {})", row.work, row.peer, row.goal);
    }
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    let both = |ours: f64, peers: f64| format!("{ours:.2}/{peers:.2}");
    let met = match row.met {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    format!(
        "{:<28} {:<40} {:>6} {:>6} {:>6}  {:>15} {:>15} {:>13} {:>13} {:>5} MiB  {:<4} {}",
        row.work,
        row.peer,
        ratio(row.wall_ratio),
        ratio(row.cpu_ratio),
        ratio(row.size_ratio),
        both(row.wall_s, row.peer_wall_s),
        both(row.client_cpu_s, row.peer_client_cpu_s),
        both(row.server_cpu_s, row.peer_server_cpu_s),
        format!("{}/{}", row.size_bytes >> 20, row.peer_size_bytes >> 20),
        row.peak_memory_bytes >> 20,
        met,
        row.goal
    )
}
