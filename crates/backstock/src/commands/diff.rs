//! `backstock diff`: what differs between two backups, or between one and the live shop.

mod document;
mod html;
mod text;

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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
use html::Page;
use text::{Groups, line, summary_lines};

/// What the shop as it is now is called in the place of a backup.
const LIVE: &str = "live";

pub(super) fn run(session: &Session, arguments: &DiffArguments) -> Result {
    let environment = session.open()?.reading_at(arguments.at.replica.as_deref())?;
    let before = meant_backup(&environment, &arguments.before, arguments.shop.as_deref())?;
    let later = later(session, &environment, arguments, &before)?;
    let mut file = arguments.html.as_deref().map(new_file).transpose()?;
    let page = RefCell::new(Page::default());
    let compare = |sink: &mut dyn FnMut(ToldDifference)| {
        let mut sink = |told: ToldDifference| {
            if arguments.html.is_some() {
                page.borrow_mut().add(&told);
            }
            sink(told);
        };
        let sink = &mut sink;
        let progress = session.progress();
        let before = before.clone();
        let result = match &later {
            Later::Backup(after) => diff(&environment, before, (**after).clone(), &progress, sink),
            Later::Live(subject) => diff_with_live(&environment, before, subject, &progress, sink),
        };
        progress.close();
        result.map_err(CommandError::from)
    };
    let summary = tell(session, arguments, &compare)?;
    if let Some((path, file)) = &mut file {
        let written = file.write_all(page.borrow().html(&summary).as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| cannot_write(path, &error))?;
    }
    Ok(Code::Done)
}

type Compared = std::result::Result<DiffSummary, CommandError>;
type Compare<'a> = &'a dyn Fn(&mut dyn FnMut(ToldDifference)) -> Compared;

/// Compares, and shows it in the form that is asked for.
fn tell(session: &Session, arguments: &DiffArguments, compare: Compare<'_>) -> Compared {
    let terminal = &session.terminal;
    if terminal.json() {
        let document = StreamedDocument::new("backstock.diff/1", compare);
        terminal.document(&document);
        return document.result();
    }
    let summary = if arguments.all {
        compare(&mut |told| terminal.data(&line(&told)))?
    } else {
        let mut groups = Groups::default();
        let summary = compare(&mut |told| groups.add(&told))?;
        for line in groups.lines() {
            terminal.data(&line);
        }
        summary
    };
    show(session, &summary);
    Ok(summary)
}

/// A new file that its owner alone can read: a page tells much of a shop.
fn new_file(path: &Path) -> std::result::Result<(PathBuf, File), CommandError> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map(|file| (path.to_owned(), file)).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::usage(
        format!("the page {} cannot be written: {error}", path.display()),
        "give --html the name of a new file in a folder that may be written to",
    )
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
