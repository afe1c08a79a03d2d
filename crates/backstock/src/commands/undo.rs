//! `backstock undo`: take the last restore back.

use std::ffi::OsStr;

use backstock_operations::{ChangedSince, Environment, Journal, find_shop, open_restores, plan_undo, undo};

use super::{Document, Result, confirm};
use crate::arguments::UndoArguments;
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{duration_text, printable};

/// Names that a question shows.
const SHOWN_NAMES: usize = 10;

pub(super) fn run(session: &Session, arguments: &UndoArguments) -> Result {
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open_silently()? };
    let journal = open_restore(&environment, arguments.shop.as_deref())?;
    let progress = session.progress();
    let planned = plan_undo(&environment, journal, &progress);
    progress.close();
    let plan = planned?;
    let terminal = &session.terminal;
    for line in changed_lines(&plan.changed) {
        terminal.say(&line);
    }
    let what = if plan.is_redo { "bring the restored state back once more" } else { "take the restore back" };
    if arguments.dry_run {
        terminal.data(&format!("would {what} for {}", printable(plan.shop())));
        return Ok(Code::Done);
    }
    if !arguments.yes {
        let loses =
            if plan.changed.is_empty() { "" } else { " (what changed since is kept aside until you accept)" };
        let question = format!("{what} for {}{loses}?", printable(plan.shop()));
        confirm(session, &question)?;
    }
    let progress = session.progress();
    let result = undo(&environment, plan, arguments.export.as_deref(), &progress);
    progress.close();
    let report = result?;
    if terminal.json() {
        terminal.document(&Document::new("backstock.undo/1", &report));
        return Ok(Code::Done);
    }
    let live = if report.is_redo {
        "the restored state is live again"
    } else {
        "the state before the restore is live again"
    };
    terminal.data(&format!("{}: {live} after {}", printable(&report.shop), duration_text(report.elapsed_ms)));
    for line in &report.lines {
        terminal.data(&format!("  report: {}", printable(line)));
    }
    if let Some(folder) = &report.exported {
        terminal.data(&format!("what had changed since the restore is in {}", folder.display()));
    }
    Ok(Code::Done)
}

/// The one restore that is open, of this shop or of any.
pub(super) fn open_restore(
    environment: &Environment,
    shop: Option<&OsStr>,
) -> std::result::Result<Journal, CommandError> {
    let shop = shop.map(|text| find_shop(environment, text)).transpose()?;
    let mut journals = open_restores(environment)?;
    journals.retain(|journal| shop.as_ref().is_none_or(|shop| shop.id == journal.shop));
    match journals.len() {
        0 => {
            Err(CommandError::not_found("there is no restore that could be taken back, resumed or accepted"))
        }
        1 => Ok(journals.remove(0)),
        _ => {
            let names: Vec<&str> = journals.iter().map(|journal| journal.shop_title.as_str()).collect();
            Err(CommandError::usage(
                format!("there are open restores of {}", names.join(", ")),
                "name the shop",
            ))
        }
    }
}

fn changed_lines(changed: &ChangedSince) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &changed.tables {
        lines.push(format!(
            "changed since the restore: table {} ({} rows then, {} now)",
            printable(&table.name.to_string()),
            table.rows_then,
            table.rows_now
        ));
    }
    for file in changed.files.iter().take(SHOWN_NAMES) {
        lines.push(format!("changed since the restore: file {}", printable(file)));
    }
    if changed.file_count > SHOWN_NAMES as u64 {
        lines.push(format!("… and {} more files", changed.file_count - SHOWN_NAMES as u64));
    }
    lines
}
