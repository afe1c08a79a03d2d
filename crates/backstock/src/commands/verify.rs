//! `backstock verify`: read a backup back and check it, or those that are due.

mod due;
mod repair;

use std::ffi::OsStr;

use backstock_operations::{VerifyReport, verify, verify_drilled};
use backstock_vocabulary::VerifyLevel;

use super::{Document, Result, WithPhases, meant_backup};
use crate::arguments::{LevelArgument, VerifyArguments};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, contents_text, printable};

pub(super) use due::{after_backup, schedule_after_backup, schedule_of, show_after_backup};

pub(super) fn run(session: &Session, arguments: &VerifyArguments) -> Result {
    if arguments.due {
        return due::run(session, arguments);
    }
    if arguments.dry_run && !arguments.repair {
        return Err(CommandError::usage(
            "a check writes nothing that could be left out",
            "give --dry-run with --due or with --repair",
        ));
    }
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let environment = environment.reading_at(arguments.at.replica.as_deref())?;
    let id = arguments.id.as_deref().map_or_else(|| "latest".into(), OsStr::to_string_lossy);
    let backup = meant_backup(&environment, &id, arguments.shop.as_deref())?;
    if arguments.repair {
        return repair::run(session, &environment, arguments, backup);
    }
    let level = match arguments.level {
        LevelArgument::Present => VerifyLevel::Present,
        LevelArgument::Bytes => VerifyLevel::Bytes,
        LevelArgument::Decoded => VerifyLevel::Decoded,
        LevelArgument::Drilled => VerifyLevel::Drilled,
    };
    let progress = session.progress();
    let result = match level {
        VerifyLevel::Drilled => {
            let request = super::drill::request_of(&arguments.place)?;
            verify_drilled(&environment, &backup, &request, &progress)
        }
        _ => verify(&environment, backup, level, &progress),
    };
    let phases = progress.close();
    let report = result?;
    show(session, &report, &phases);
    let drilled = report.drill.as_deref().map(super::drill::code_of);
    Ok(if !report.damage.is_empty() {
        Code::Damaged
    } else if let Some(code) = drilled.filter(|code| *code != Code::Done) {
        code
    } else if report.is_good() && report.irregularities.is_empty() {
        Code::Done
    } else {
        Code::Partial
    })
}

fn show(session: &Session, report: &VerifyReport, phases: &[PhaseAccount]) {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.verify/1", WithPhases { report, phases }));
        return;
    }
    if let Some(drilled) = &report.drill {
        super::drill::show_lines(session, drilled);
    }
    show_report(session, report);
}

/// What one check found, in lines.
fn show_report(session: &Session, report: &VerifyReport) {
    let terminal = &session.terminal;
    let id = report.backup.short();
    for damage in &report.damage {
        let part = if damage.what.starts_with(&damage.part) { "" } else { &*format!("{}: ", damage.part) };
        terminal.data(&format!("damaged: {}{}", printable(part), printable(&damage.what)));
    }
    match report.reached {
        Some(level) if report.damage.is_empty() => terminal.data(&format!(
            "backup {id} is right down to {level}: {} read, {}",
            bytes_text(report.read_bytes),
            contents_text(report.tables, report.rows, report.files, None)
        )),
        Some(level) => terminal.data(&format!("backup {id} is damaged; it is right only down to {level}")),
        None => terminal.data(&format!("backup {id} is damaged")),
    }
    for irregularity in &report.irregularities {
        terminal.warn(&format!("among the backups of this set: {irregularity}"));
    }
    if let Some(stopped) = &report.stopped {
        terminal.warn(stopped);
    }
}
