//! `backstock drill`: restore a backup into a scratch place and compare it.

use std::path::Path;

use backstock_operations::{
    DrillReport, DrillRequest, DrillServer, DrillVerdict, SanityState, drill, keep_drill_report,
    refuse_kept_report, server_by_hand,
};

use super::{Document, Result, WithPhases, meant_backup};
use crate::arguments::{DrillArguments, ScratchArguments};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::{Session, absolute};
use crate::terminal::{contents_text, count_text, duration_text, printable};

mod after_backup;

pub(super) use after_backup::{drill_after_backup, show_after_backup};

const SCHEMA: &str = "backstock.drill/1";

pub(super) fn run(session: &Session, arguments: &DrillArguments) -> Result {
    let request = request_of(&arguments.place)?;
    let environment = session.open()?.reading_at(arguments.at.replica.as_deref())?;
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let kept = arguments.report.as_deref().map(absolute);
    if let Some(folder) = &kept {
        refuse_kept_report(&environment, folder)?;
    }
    let progress = session.progress();
    let result = drill(&environment, backup, &request, &progress);
    let phases = progress.close();
    let report = result?;
    if let Some(folder) = &kept {
        let document = Document::new(SCHEMA, WithPhases { report: &report, phases: &phases });
        let json = serde_json::to_vec_pretty(&document).map_err(|error| {
            CommandError::usage(
                format!("the report cannot be written as JSON: {error}"),
                "this should not happen",
            )
        })?;
        keep_drill_report(&environment, folder, &report, &json)?;
    }
    show(session, &report, &phases, kept.as_deref());
    Ok(code_of(&report))
}

/// Where the arguments say that a backup is drilled.
pub(super) fn request_of(arguments: &ScratchArguments) -> std::result::Result<DrillRequest, CommandError> {
    let server = match arguments.given_server() {
        Some(overrides) => DrillServer::Given(server_by_hand(&overrides)?),
        None => DrillServer::Private { programs: arguments.server_programs.as_deref().map(absolute) },
    };
    let scratch = arguments.scratch.as_deref().map(absolute);
    Ok(DrillRequest { server, scratch, web_roots: Vec::new(), is_of_the_new: false })
}

/// What a drill comes to as an exit code.
pub(super) fn code_of(report: &DrillReport) -> Code {
    match report.verdict {
        DrillVerdict::Proven => Code::Done,
        DrillVerdict::ProvenInPart if report.exceptions.is_empty() => Code::Done,
        DrillVerdict::ProvenExcept | DrillVerdict::ProvenInPart => Code::Partial,
        DrillVerdict::NotRestorable if report.is_damaged => Code::Damaged,
        DrillVerdict::NotRestorable => Code::Failed,
    }
}

fn show(session: &Session, report: &DrillReport, phases: &[PhaseAccount], kept: Option<&Path>) {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new(SCHEMA, WithPhases { report, phases }));
        return;
    }
    show_lines(session, report);
    if let Some(folder) = kept {
        terminal.say(&format!("the report is in {}", folder.display()));
    }
}

/// What a drill found, in lines.
pub(super) fn show_lines(session: &Session, report: &DrillReport) {
    let terminal = &session.terminal;
    let (short, took) = (&report.short, duration_text(report.elapsed_ms));
    for (lines, what) in
        [(&report.faults, "wrong"), (&report.exceptions, "exception"), (&report.notes, "note")]
    {
        for line in lines {
            terminal.data(&format!("{what}: {}", printable(line)));
        }
    }
    for check in &report.checks {
        let state = match check.state {
            SanityState::Found => "",
            SanityState::None => "none: ",
            SanityState::Missing => "missing: ",
            SanityState::NotAsked => "not known: ",
        };
        terminal.data(&format!("{:<21}  {state}{}", check.what, printable(&check.found)));
    }
    let tables = report.database.as_ref().map_or(0, |database| database.tables.len() as u64);
    let rows = report.database.as_ref().map_or(0, |database| database.rows);
    let files = report.files.as_ref().map_or(0, |files| files.files);
    let contents = contents_text(tables, rows, files, None);
    terminal.data(&match report.verdict {
        DrillVerdict::Proven => {
            format!("backup {short} is proven restorable on {:.0}, took {took}: {contents}", report.finished)
        }
        DrillVerdict::ProvenExcept => format!(
            "backup {short} is restorable but for the exceptions, drilled on {:.0}, took {took}: {contents}",
            report.finished
        ),
        DrillVerdict::ProvenInPart => format!(
            "the database and the own files of backup {short} are restorable, drilled on {:.0}, took {took}: {contents}; {} \
             lie in backups that nothing here opens",
            report.finished,
            count_text(report.unopened_files.unwrap_or(0), "file"),
        ),
        DrillVerdict::NotRestorable => format!("backup {short} is not restorable as it is"),
    });
}
