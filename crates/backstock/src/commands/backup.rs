//! `backstock backup`: database and files of a shop.

use backstock_operations::{
    BackupPlan, BackupReport, BackupRequest, SetSettings, Unwatched, accept_expired, backup, plan_backup,
    refuse_bad_places,
};
use backstock_vocabulary::{Codec, Content, Reason, Scope};
use serde::Serialize;

use super::{Document, Result, WithPhases};
use crate::arguments::{BackupArguments, CodecArgument, Only};
use crate::exit::Code;
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, contents_text, duration_text, printable};

pub(super) fn run(session: &Session, arguments: &BackupArguments) -> Result {
    let overrides = arguments.by_hand.overrides();
    let by_itself = session.subject_by_itself(arguments.shop.as_deref(), overrides.clone())?;
    if let Some((subject, set)) = &by_itself {
        // Before the state folder is made: it might be made in the shop.
        refuse_bad_places(session.state(), subject, &request(session, arguments, set.clone()))?;
    }
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    if !arguments.dry_run {
        for line in accept_expired(&environment, &Unwatched)? {
            session.terminal.warn(&printable(&line));
        }
    }
    let (subject, set) = match (by_itself, &arguments.shop) {
        (Some(found), _) => found,
        (None, shop) => {
            let name = shop.clone().unwrap_or_default();
            (session.known_subject(&environment, &name, &overrides)?, SetSettings::default())
        }
    };
    for note in &subject.notes {
        session.terminal.say(&format!("note: {}", printable(note)));
    }
    let plan = plan_backup(&environment, &subject, &request(session, arguments, set))?;
    if arguments.dry_run {
        show_plan(session, &plan);
        return Ok(Code::Done);
    }
    let progress = session.progress();
    let result = backup(&environment, plan, &progress);
    let phases = progress.close();
    let report = result?;
    show(session, &report, &phases);
    Ok(if report.content == Content::Whole { Code::Done } else { Code::Partial })
}

fn request(session: &Session, arguments: &BackupArguments, set: SetSettings) -> BackupRequest {
    let joined = |mut first: Vec<String>, second: &[String]| {
        first.extend_from_slice(second);
        first
    };
    BackupRequest {
        scope: scope_of(arguments.only),
        exclude: joined(set.exclude, &arguments.exclude),
        only_tables: arguments.table.clone(),
        exclude_table: joined(set.exclude_table, &arguments.exclude_table),
        exclude_table_entirely: joined(set.exclude_table_entirely, &arguments.exclude_table_entirely),
        default_exclusions: !arguments.no_default_exclusions,
        codec: match arguments.codec {
            CodecArgument::Zstd => Codec::Zstd,
            CodecArgument::Gzip => Codec::Gzip,
        },
        backups: session.backups(arguments.to.as_deref()),
        reason: Reason::Manual,
        take_over: arguments.take_over,
        web_roots: Vec::new(),
    }
}

pub(super) fn scope_of(only: Option<Only>) -> Scope {
    match only {
        None => Scope::Everything,
        Some(Only::Database) => Scope::Database,
        Some(Only::Files) => Scope::Files,
    }
}

fn show_plan(session: &Session, plan: &BackupPlan) {
    #[derive(Serialize)]
    struct Planned {
        shop: String,
        scope: Scope,
        roots: Vec<String>,
        left_out: Vec<String>,
        rows_left_out: Vec<String>,
        backups: String,
        set_folder: String,
    }
    let files = plan.files.as_ref();
    let planned = Planned {
        shop: plan.shop.title.clone(),
        scope: plan.scope,
        roots: files
            .map(|files| files.roots.iter().map(|root| root.path.display().to_string()).collect())
            .unwrap_or_default(),
        left_out: files
            .map(|files| {
                let places = files.exclusions.renewable.iter().map(|place| place.pattern.clone());
                places.chain(files.exclusions.globs.iter().cloned()).collect()
            })
            .unwrap_or_default(),
        rows_left_out: plan
            .database
            .as_ref()
            .map(|database| {
                database
                    .selection
                    .contents_excluded
                    .iter()
                    .map(|pattern| pattern.as_str().to_owned())
                    .collect()
            })
            .unwrap_or_default(),
        backups: plan.backups.display().to_string(),
        set_folder: plan.set_folder.clone(),
    };
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.backup-plan/1", planned));
        return;
    }
    session.terminal.data(&format!("would back up {} of {}", planned.scope, printable(&planned.shop)));
    for (name, values) in [
        ("folder", &planned.roots),
        ("left out", &planned.left_out),
        ("rows left out", &planned.rows_left_out),
    ] {
        for value in values {
            session.terminal.data(&format!("  {name:<14} {}", printable(value)));
        }
    }
    session.terminal.data(&format!("  {:<14} {}/{}", "into", planned.backups, planned.set_folder));
}

fn show(session: &Session, report: &BackupReport, phases: &[PhaseAccount]) {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.backup/1", WithPhases { report, phases }));
        return;
    }
    for problem in &report.problems {
        let weight = if problem.is_exception { "missing" } else { "note" };
        terminal.say(&format!("{weight}: {}: {}", printable(&problem.subject), printable(&problem.message)));
    }
    terminal.data(&format!(
        "backup {} of {} is {}",
        report.backup.short(),
        printable(&report.shop),
        report.content
    ));
    terminal.data(&format!(
        "  {}",
        contents_text(report.tables, report.rows, report.files, Some(report.content_bytes))
    ));
    terminal.data(&format!(
        "  {} in {}/{} after {}",
        bytes_text(report.stored_bytes),
        report.storage,
        report.folder,
        duration_text(report.elapsed_ms)
    ));
}
