//! `backstock verify`: read a backup back and check it.

use backstock_operations::{VerifyReport, verify};
use backstock_vocabulary::VerifyLevel;

use super::{Document, Result, WithPhases, meant_backup};
use crate::arguments::{LevelArgument, VerifyArguments};
use crate::exit::Code;
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, contents_text, printable};

pub(super) fn run(session: &Session, arguments: &VerifyArguments) -> Result {
    let environment = session.open()?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let level = match arguments.level {
        LevelArgument::Present => VerifyLevel::Present,
        LevelArgument::Bytes => VerifyLevel::Bytes,
        LevelArgument::Decoded => VerifyLevel::Decoded,
        LevelArgument::Drilled => VerifyLevel::Drilled,
    };
    let progress = session.progress();
    let result = verify(&environment, backup, level, &progress);
    let phases = progress.close();
    let report = result?;
    show(session, &report, &phases);
    Ok(if !report.damage.is_empty() {
        Code::Damaged
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
