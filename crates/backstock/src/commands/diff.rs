//! `backstock diff`: what differs between two backups, or between one and the live shop.

mod document;
mod text;

use backstock_catalog::Backup;
use backstock_operations::{
    DiffSummary, Environment, Subject, ToldDifference, diff, diff_with_live, find_backup, shop_of,
};

use super::restore::configured;
use super::{Result, meant_backup};
use crate::arguments::DiffArguments;
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::printable;
use document::StreamedDocument;
use text::{Groups, line, summary_lines};

/// What the shop as it is now is called in the place of a backup.
const LIVE: &str = "live";

pub(super) fn run(session: &Session, arguments: &DiffArguments) -> Result {
    let environment = session.open()?;
    let before = meant_backup(&environment, &arguments.before, arguments.shop.as_deref())?;
    let later = later(session, &environment, arguments, &before)?;
    let compare = |sink: &mut dyn FnMut(ToldDifference)| {
        let progress = session.progress();
        let before = before.clone();
        let result = match &later {
            Later::Backup(after) => diff(&environment, before, (**after).clone(), &progress, sink),
            Later::Live(subject) => diff_with_live(&environment, before, subject, &progress, sink),
        };
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

/// What the earlier backup is held against.
enum Later {
    Backup(Box<Backup>),
    Live(Box<Subject>),
}

fn later(
    session: &Session,
    environment: &Environment,
    arguments: &DiffArguments,
    before: &Backup,
) -> std::result::Result<Later, CommandError> {
    if arguments.after == LIVE {
        let shop = shop_of(environment, before.shop)?;
        let overrides = arguments.by_hand.overrides().or(configured(session, &shop));
        let subject = Subject::of_backup(environment, before, &overrides)?;
        for note in &subject.notes {
            session.terminal.say(&format!("note: {}", printable(note)));
        }
        return Ok(Later::Live(Box::new(subject)));
    }
    // The newest backup is that of the shop that the first one is of.
    let after = find_backup(environment, &arguments.after, Some(before.shop)).or_else(|_| {
        // One of another shop is said to be that, and not to be missing.
        find_backup(environment, &arguments.after, None)
    })?;
    Ok(Later::Backup(Box::new(after)))
}

fn show(session: &Session, summary: &DiffSummary) {
    for note in &summary.notes {
        session.terminal.say(&format!("note: {}", printable(note)));
    }
    for line in summary_lines(summary) {
        session.terminal.data(&line);
    }
}
