//! `backstock diff`: what differs between two backups.

mod document;
mod text;

use backstock_operations::{DiffSummary, Difference, diff, find_backup, find_shop};

use super::Result;
use crate::arguments::DiffArguments;
use crate::exit::{Code, CommandError};
use crate::session::Session;
use document::StreamedDocument;
use text::{Groups, line, summary_lines};

pub(super) fn run(session: &Session, arguments: &DiffArguments) -> Result {
    let environment = session.open()?;
    let shop = arguments.shop.as_deref().map(|text| find_shop(&environment, text)).transpose()?;
    let before = find_backup(&environment, &arguments.before, shop.map(|shop| shop.id))?;
    // The newest backup is that of the shop that the first one is of.
    let after = find_backup(&environment, &arguments.after, Some(before.shop)).or_else(|_| {
        // One of another shop is said to be that, and not to be missing.
        find_backup(&environment, &arguments.after, None)
    })?;
    let compare = |sink: &mut dyn FnMut(Difference)| {
        let progress = session.progress();
        let result = diff(&environment, before.clone(), after.clone(), &progress, sink);
        progress.close();
        result.map_err(CommandError::from)
    };
    let terminal = &session.terminal;
    if terminal.json() {
        let document = StreamedDocument::new("backstock.diff/1", &compare);
        terminal.document(&document);
        return document.result().map(|_| Code::Done);
    }
    if arguments.all {
        let summary = compare(&mut |difference| terminal.data(&line(&difference)))?;
        show(session, &summary);
    } else {
        let mut groups = Groups::default();
        let summary = compare(&mut |difference| groups.add(&difference))?;
        for line in groups.lines() {
            terminal.data(&line);
        }
        show(session, &summary);
    }
    Ok(Code::Done)
}

fn show(session: &Session, summary: &DiffSummary) {
    for note in &summary.notes {
        session.terminal.warn(note);
    }
    for line in summary_lines(summary) {
        session.terminal.data(&line);
    }
}
