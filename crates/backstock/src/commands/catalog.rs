//! `backstock catalog`: look after the catalog.

use backstock_operations::rebuild_catalog;

use super::{Document, Result};
use crate::arguments::RebuildArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::printable;

pub(super) fn rebuild(session: &Session, arguments: &RebuildArguments) -> Result {
    let environment = session.open_for_rebuild()?;
    let progress = session.progress();
    let folder = std::path::absolute(&arguments.folder).unwrap_or_else(|_| arguments.folder.clone());
    let result = rebuild_catalog(&environment, &folder, &progress);
    progress.close();
    let report = result?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.catalog-rebuild/1", &report));
    } else {
        terminal.data(&format!("{} backups in {} sets are on record", report.backups, report.set_folders));
        for line in &report.unreadable {
            terminal.data(&format!("cannot be read: {}", printable(line)));
        }
        for found in &report.irregularities {
            let (folder, what) = (printable(&found.set_folder), printable(&found.irregularity.to_string()));
            terminal.warn(&format!("{folder}: {what}"));
        }
        for folder in &report.without_manifest {
            terminal.say(&format!("note: {} has no manifest: it is no backup", printable(folder)));
        }
    }
    let is_right = report.unreadable.is_empty() && report.irregularities.is_empty();
    Ok(if is_right { Code::Done } else { Code::Partial })
}
