//! `backstock detect`: what a folder holds.

use backstock_operations::detect;
use backstock_platform::{Certainty, DatabaseSettings, Detection, Maintenance};

use super::{Document, Result};
use crate::arguments::DetectArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::printable;

pub(super) fn run(session: &Session, arguments: &DetectArguments) -> Result {
    let detection = detect(&arguments.folder)?;
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.detect/1", &detection));
    } else {
        for line in lines(&detection) {
            session.terminal.data(&printable(&line));
        }
    }
    Ok(if detection.layout.unclear.is_empty() { Code::Done } else { Code::Partial })
}

fn lines(detection: &Detection) -> Vec<String> {
    let layout = &detection.layout;
    let mut lines =
        vec![format!("{} {}", layout.title, layout.version.as_deref().unwrap_or("(version unknown)"))];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<18} {value}"));
    row("root", layout.root.display().to_string());
    if let Some(framework) = &layout.framework {
        row("built on", framework.clone());
    }
    if let Some(database) = &layout.database {
        row("database", database_text(database));
    }
    for further in &layout.further_databases {
        row("further database", database_text(further));
    }
    if let Some(prefix) = &layout.table_prefix {
        row("table prefix", if prefix.is_empty() { "(none)".to_owned() } else { prefix.clone() });
    }
    for url in &layout.base_urls {
        row("address", url.clone());
    }
    for folder in &layout.outside_folders {
        row("outside folder", format!("{} ({}, {})", folder.path.display(), folder.label, folder.why));
    }
    for file in &layout.outside_files {
        row("outside file", format!("{} ({})", file.path.display(), file.why));
    }
    for excluded in &layout.excluded_paths {
        let within = excluded.within.as_ref().map(|label| format!("{label}:")).unwrap_or_default();
        row("left out", format!("{within}{} ({})", excluded.pattern, excluded.why));
    }
    for excluded in &layout.excluded_contents {
        row("rows left out", format!("{} ({})", excluded.pattern, excluded.why));
    }
    row("always complete", format!("{} table patterns", layout.protected_tables.len()));
    row("maintenance", maintenance_text(&layout.maintenance));
    for step in &layout.after_restore {
        row("after a restore", step_text(step));
    }
    for warning in &layout.warnings {
        row("warning", warning.clone());
    }
    for unclear in &layout.unclear {
        row("not clear", format!("{}: {}; give {}", unclear.what, unclear.why, unclear.flags.join(", ")));
    }
    lines.extend(detection.notes.iter().map(|note| format!("  note: {note}")));
    lines
}

fn database_text(database: &DatabaseSettings) -> String {
    let host = match (&database.socket, &database.host, database.port) {
        (Some(socket), _, _) => socket.display().to_string(),
        (None, host, port) => {
            let host = host.as_deref().unwrap_or("localhost");
            port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        }
    };
    let name = String::from_utf8_lossy(&database.name);
    let user = String::from_utf8_lossy(&database.user);
    let assumed = match &database.certainty {
        Certainty::Stated => String::new(),
        Certainty::Assumed(sentences) => format!(", if {}", sentences.join(" and ")),
    };
    format!("{name} at {host} as {user} (from {}{assumed})", database.source.display())
}

fn maintenance_text(maintenance: &Maintenance) -> String {
    match maintenance {
        Maintenance::File { path, .. } => format!("by the file {}", path.path),
        Maintenance::Setting { table, column, on, .. } => format!("by {column} = {on} in {table}"),
        Maintenance::None { why } => format!("none: {why}"),
    }
}

fn step_text(step: &backstock_platform::Step) -> String {
    use backstock_platform::Step;
    match step {
        Step::ClearFolder { path, why, .. } => format!("clear {} ({why})", path.path),
        Step::RemoveFile { path, why } => format!("remove {} ({why})", path.path),
        Step::Run { program, arguments, why, .. } => format!("run {program} {} ({why})", arguments.join(" ")),
        Step::Sql { statement, why } => format!("run {statement} ({why})"),
        Step::Tell(text) => text.clone(),
    }
}
