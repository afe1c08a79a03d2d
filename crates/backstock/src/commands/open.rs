//! `backstock open`: a backup as plain files for stock tools.

use backstock_operations::open_backup;

use super::{Document, Result, WithPhases, meant_backup};
use crate::arguments::OpenArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{bytes_text, printable};

pub(super) fn run(session: &Session, arguments: &OpenArguments) -> Result {
    let environment = session.open()?.reading_at(arguments.at.replica.as_deref())?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let folder = std::path::absolute(&arguments.to).unwrap_or_else(|_| arguments.to.clone());
    let progress = session.progress();
    let result = open_backup(&environment, backup, &folder, &progress);
    let phases = progress.close();
    let report = result?;
    let terminal = &session.terminal;
    if terminal.json() {
        let body = WithPhases { report: &report, phases: &phases };
        terminal.document(&Document::new("backstock.open/1", body));
        return Ok(Code::Done);
    }
    let id = report.backup.short();
    terminal.data(&format!("backup {id} is open in {}", printable(&folder.display().to_string())));
    for file in &report.files {
        terminal.data(&format!("  {} ({})", file.path, bytes_text(file.size_bytes)));
    }
    terminal.say("what lies there is not sealed: remove it when it is no longer needed");
    Ok(Code::Done)
}
