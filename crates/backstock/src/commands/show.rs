//! `backstock show`: one backup in detail.

use backstock_operations::show;

use backstock_vocabulary::IdentityId;

use super::{Document, Result, meant_backup};
use crate::arguments::ShowArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{bytes_text, drill_text, printable, replica_text};

pub(super) fn run(session: &Session, arguments: &ShowArguments) -> Result {
    let environment = session.open()?.reading_at(arguments.at.replica.as_deref())?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let shown = show(&environment, backup, arguments.contents)?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.show/1", &shown));
        return Ok(Code::Done);
    }
    let listed = &shown.listed;
    let row = |name: &str, value: String| terminal.data(&format!("{name:<12} {}", printable(&value)));
    row("backup", listed.backup.to_string());
    row("shop", listed.shop.clone());
    row("made", format!("{:.0} to {:.0}", listed.started, shown.finished));
    row("what", format!("{}, {}, number {} of its set", listed.level, listed.reason, listed.sequence));
    if let Some(parent) = listed.parent {
        row("builds on", parent.to_string());
    }
    let confirmed = if listed.is_confirmed { ", confirmed" } else { "" };
    row("content", format!("{}{confirmed}", listed.content));
    let recipients: Vec<String> = listed.sealed_for.iter().map(IdentityId::short).collect();
    row(
        "sealed",
        match recipients.as_slice() {
            [] => "no".to_owned(),
            _ => format!("for the identity {}", recipients.join(" and ")),
        },
    );
    row("manifest", format!("sha256 {}", shown.manifest_sha256));
    for artifact in &shown.artifacts {
        row("artifact", format!("{} ({})", artifact.path, bytes_text(artifact.stored_bytes)));
    }
    for replica in &listed.replicas {
        row("replica", format!("{} in {}/{}", replica_text(replica), replica.storage, replica.folder));
    }
    if let Some(drill) = &listed.drill {
        row("drill", drill_text(drill));
    }
    for problem in &shown.problems {
        let weight = match problem.is_exception {
            _ if problem.is_suspicion() => "suspect",
            true => "missing",
            false => "note",
        };
        row(weight, format!("{}: {}", problem.subject, problem.message));
    }
    for table in shown.tables.iter().flatten() {
        let rows = table.rows.map(|rows| format!(" ({rows} rows)")).unwrap_or_default();
        row(table.kind, format!("{}{rows}", table.name));
    }
    for file in shown.files.iter().flatten() {
        row("file", format!("{} ({})", file.path, bytes_text(file.size_bytes)));
    }
    Ok(Code::Done)
}
