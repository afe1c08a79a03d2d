//! The drill of the backup that was made just now, while its key is in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstock_catalog::Shop;
use backstock_operations::{
    DrillReport, DrillRequest, DrillServer, Environment, Monitor, OperationError, chain, drill, find_backup,
    is_drill_due,
};
use backstock_vocabulary::{BackupId, Content};

use super::{code_of, show_lines};
use crate::exit::Code;
use crate::session::{Session, absolute};
use crate::terminal::printable;

/// Drills the new backup, where that was asked for or is due. `None` where it was not.
pub(in super::super) fn drill_after_backup(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
    (backup, content, is_asked): (BackupId, Content, bool),
    monitor: &dyn Monitor,
) -> Result<Option<DrillReport>, OperationError> {
    let folder = shop.root.as_deref().map(|root| Path::new(OsStr::from_bytes(root)));
    let settings = session.configuration.drill(folder, &shop.title);
    let is_due = is_asked || is_drill_due(environment, settings, shop.id)?;
    if !is_due || content == Content::Unusable || monitor.is_cancelled() {
        return Ok(None);
    }
    let request = DrillRequest {
        server: DrillServer::Private { programs: settings.server_programs.as_deref().map(absolute) },
        scratch: settings.scratch.as_deref().map(absolute),
        web_roots: Vec::new(),
        is_of_the_new: true,
    };
    let backup = find_backup(environment, &backup.to_string(), Some(shop.id))?;
    drill(environment, backup, &request, monitor).map(Some)
}

/// What the drill came to, and whether that makes the end of the backup another one.
pub(in super::super) fn show_after_backup(
    session: &Session,
    done: &Result<Option<DrillReport>, OperationError>,
) -> Option<Code> {
    match done {
        Ok(None) => None,
        Ok(Some(report)) => {
            if !session.terminal.json() {
                show_lines(session, report);
            }
            Some(code_of(report)).filter(|code| *code != Code::Done)
        }
        Err(error) => {
            let why = printable(&chain(error));
            session.terminal.warn(&format!("the backup stands, and was not drilled: {why}"));
            if let Some(hint) = error.hint() {
                session.terminal.warn(&format!("hint: {hint}"));
            }
            Some(Code::Partial)
        }
    }
}
