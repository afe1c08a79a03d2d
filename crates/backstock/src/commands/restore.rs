//! `backstock restore`: bring a shop, some tables or some files back; finish or accept a restore.

use std::ffi::OsStr;
use std::path::Path;

use backstock_catalog::Backup;
use backstock_operations::{
    Environment, PartSize, RestorePlan, RestoreReport, RestoreRequest, RestoreSummary, StepResult, Subject,
    accept, plan_files_elsewhere, plan_from_diff, plan_restore, restore, restore_files_elsewhere, resume,
    shop_of, transfer_rows,
};
use backstock_vocabulary::Scope;
use serde::Serialize;

use super::backup::scope_of;
use super::undo::open_restore;
use super::{Document, Result, WithPhases, meant_backup};
use crate::arguments::{Only, RestoreArguments};
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, contents_text, count_text, duration_text, printable};

pub(super) fn run(session: &Session, arguments: &RestoreArguments) -> Result {
    let environment = if arguments.accept || arguments.resume {
        session.open_silently()?
    } else if arguments.dry_run {
        session.open_to_look()?
    } else {
        session.open()?
    };
    if arguments.accept {
        return accept_last(session, &environment, arguments);
    }
    if arguments.resume {
        return resume_last(session, &environment, arguments);
    }
    if let Some(dump) = &arguments.dump {
        return super::restore_dump::run(session, &environment, arguments, dump);
    }
    let environment = environment.reading_at(arguments.at.replica.as_deref())?;
    let id = arguments.id.as_deref().unwrap_or(OsStr::new("latest"));
    let backup = meant_backup(&environment, &id.to_string_lossy(), arguments.shop.as_deref())?;
    if let Some(folder) = &arguments.to {
        let code = elsewhere(session, &environment, backup.clone(), arguments, folder)?;
        if arguments.other_database.is_none() {
            return Ok(code);
        }
    }
    into_the_shop(session, &environment, backup, arguments)
}

fn elsewhere(
    session: &Session,
    environment: &Environment,
    backup: Backup,
    arguments: &RestoreArguments,
    folder: &Path,
) -> Result {
    if arguments.only == Some(Only::Database) || !arguments.table.is_empty() {
        return Err(CommandError::usage(
            "--to takes files into a folder; tables go into a database",
            "give --database <name> to load the tables elsewhere",
        ));
    }
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if arguments.dry_run {
        return elsewhere_planned(session, environment, backup, &arguments.file, &folder);
    }
    let progress = session.progress();
    let result =
        restore_files_elsewhere(environment, backup, &arguments.file, &folder, arguments.setuid, &progress);
    progress.close();
    let report = result?;
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.restore-files/1", &report));
    } else {
        let extracted = &report.extracted;
        for (list, what) in [
            (&extracted.refused, "refused"),
            (&extracted.damaged, "damaged"),
            (&extracted.absent, "not in the backup"),
        ] {
            for named in &list.first {
                terminal.data(&format!("{what}: {}: {}", named.path, named.reason.as_deref().unwrap_or("")));
            }
        }
        terminal.data(&format!(
            "{}, {} and {} with {} are in {}",
            count_text(extracted.files, "file"),
            count_text(extracted.folders, "folder"),
            count_text(extracted.symlinks + extracted.hard_links, "link"),
            bytes_text(extracted.bytes),
            report.folder.display()
        ));
    }
    Ok(if report.extracted.damaged.count > 0 {
        Code::Damaged
    } else if report.is_whole() {
        Code::Done
    } else {
        Code::Partial
    })
}

fn elsewhere_planned(
    session: &Session,
    environment: &Environment,
    backup: Backup,
    files: &[String],
    folder: &Path,
) -> Result {
    let plan = plan_files_elsewhere(environment, backup, files, folder)?;
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.restore-files-plan/1", &plan));
    } else {
        session.terminal.data(&format!(
            "would write {} with {} into {}",
            count_text(plan.files, "file"),
            bytes_text(plan.bytes),
            plan.folder.display()
        ));
    }
    Ok(Code::Done)
}

fn into_the_shop(
    session: &Session,
    environment: &Environment,
    backup: Backup,
    arguments: &RestoreArguments,
) -> Result {
    let shop = shop_of(environment, backup.shop)?;
    let overrides = arguments.by_hand.overrides().or(configured(session, &shop));
    let subject = Subject::of_backup(environment, &backup, &overrides)?;
    for note in &subject.notes {
        session.terminal.say(&format!("note: {}", printable(note)));
    }
    let request = request(session, arguments, scope_of(arguments.only), session.part_size(&subject));
    let progress = session.progress();
    let items = &arguments.from_diff;
    let planned = match items.is_empty() {
        true => plan_restore(environment, backup, subject, &request, &progress),
        false => plan_from_diff(environment, backup, subject, items, &request, &progress),
    };
    progress.close();
    let plan = planned?;
    let terminal = &session.terminal;
    tell_plan(session, arguments, "backstock.restore-plan/1", &plan.summary, summary_lines);
    if arguments.dry_run {
        plan.abandon()?;
        return Ok(Code::Done);
    }
    if plan.is_nothing() {
        if terminal.json() {
            terminal.document(&Document::new("backstock.restore-plan/1", &plan.summary));
        } else {
            terminal.data("everything is as the backup has it: there is nothing to restore");
        }
        plan.abandon()?;
        return Ok(Code::Done);
    }
    if let Err(declined) = agree(session, arguments) {
        plan.abandon()?;
        return Err(declined);
    }
    act(session, environment, plan, arguments, Vec::new())
}

/// Tells what would be done: of a dry run that is the result.
pub(super) fn tell_plan<S: Serialize>(
    session: &Session,
    arguments: &RestoreArguments,
    kind: &'static str,
    summary: &S,
    lines: fn(&S) -> Vec<String>,
) {
    let terminal = &session.terminal;
    if arguments.dry_run && terminal.json() {
        terminal.document(&Document::new(kind, summary));
        return;
    }
    for line in lines(summary) {
        if arguments.dry_run { terminal.data(&line) } else { terminal.say(&line) }
    }
}

/// Asks whether to go on.
pub(super) fn agree(
    session: &Session,
    arguments: &RestoreArguments,
) -> std::result::Result<(), CommandError> {
    if arguments.yes {
        return Ok(());
    }
    super::confirm(session, "Go on?")
}

/// Does what the plan says, and shows what came of it, with `also_report` in front of the report's lines.
pub(super) fn act(
    session: &Session,
    environment: &Environment,
    plan: RestorePlan,
    arguments: &RestoreArguments,
    also_report: Vec<String>,
) -> Result {
    let progress = session.progress();
    let ask =
        |question: &str| if arguments.yes { Some(true) } else { session.terminal.ask(&printable(question)) };
    let result = restore(environment, plan, &ask, &progress);
    let phases = progress.close();
    let mut report = result?;
    report.lines.splice(0..0, also_report);
    show(session, &report, &phases)
}

/// What is asked for, as the operations take it.
pub(super) fn request(
    session: &Session,
    arguments: &RestoreArguments,
    scope: Scope,
    part_size: PartSize,
) -> RestoreRequest {
    RestoreRequest {
        scope,
        tables: arguments.table.clone(),
        files: arguments.file.clone(),
        other_database: arguments.other_database.clone(),
        exact: arguments.exact,
        add_keys: arguments.add_keys,
        setuid: arguments.setuid,
        snapshot: !arguments.without_snapshot,
        snapshots: session.backups(None),
        part_size,
        without_maintenance: arguments.without_maintenance,
        picked: None,
    }
}

pub(super) fn configured(
    session: &Session,
    shop: &backstock_catalog::Shop,
) -> backstock_operations::ShopOverrides {
    use std::os::unix::ffi::OsStrExt;
    let root = shop.root.as_deref().map(|root| Path::new(OsStr::from_bytes(root)));
    let set = session.configuration.set(&shop.title);
    let set = set.or_else(|| root.and_then(|root| session.configuration.set_of_folder(root)));
    set.map(|set| set.by_hand).unwrap_or_default()
}

fn summary_lines(summary: &RestoreSummary) -> Vec<String> {
    let mut lines = vec![format!(
        "restore {} of {} ({}, made {:.0})",
        summary.backup,
        printable(&summary.shop),
        summary.content,
        summary.made
    )];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<18} {}", printable(&value)));
    if let Some(database) = &summary.database {
        row("database", database.clone());
        for (name, tables) in [
            ("tables replaced", &summary.tables_replaced),
            ("tables added", &summary.tables_added),
            ("tables put aside", &summary.tables_removed),
        ] {
            if !tables.is_empty() {
                row(name, tables.join(", "));
            }
        }
        row("tables left alone", summary.tables_left_alone.to_string());
    }
    for (name, text) in transfer_rows(&summary.transfers) {
        row(&name, text);
    }
    if let Some(reason) = &summary.in_place {
        row("in place", format!("{reason}: the live tables are changed statement by statement"));
    }
    if let Some(files) = &summary.files {
        row(
            "files",
            format!(
                "{} unchanged, {} replaced, {} added, {} only get their mode, owner or time back, {} extra",
                files.unchanged,
                files.replaced.count,
                files.added.count,
                files.metadata.count,
                files.extra.count
            ),
        );
        for blocked in &files.blocked.first {
            row(
                "cannot be exchanged",
                format!("{}: {}", blocked.path, blocked.reason.as_deref().unwrap_or("")),
            );
        }
    }
    row("room needed", bytes_text(summary.needed_bytes));
    row("snapshot first", if summary.takes_snapshot { "yes, verified" } else { "no" }.to_owned());
    row(
        "maintenance mode",
        if summary.has_maintenance_switch { "on meanwhile" } else { "there is no switch" }.to_owned(),
    );
    for step in &summary.afterwards {
        row("afterwards", step.clone());
    }
    for warning in &summary.warnings {
        row("warning", warning.clone());
    }
    lines
}

fn resume_last(session: &Session, environment: &Environment, arguments: &RestoreArguments) -> Result {
    let journal = open_restore(environment, arguments.shop.as_deref())?;
    let progress = session.progress();
    let result = resume(environment, journal, &progress);
    let phases = progress.close();
    show(session, &result?, &phases)
}

fn accept_last(session: &Session, environment: &Environment, arguments: &RestoreArguments) -> Result {
    let journal = open_restore(environment, arguments.shop.as_deref())?;
    let progress = session.progress();
    let result = accept(environment, journal, &progress);
    progress.close();
    let report = result?;
    if session.terminal.json() {
        session.terminal.document(&Document::new("backstock.accept/1", &report));
    } else {
        let over = if report.was_undone { "what it had brought is removed" } else { "undo is over" };
        session.terminal.data(&format!("the restore of {} is accepted; {over}", printable(&report.shop)));
    }
    Ok(Code::Done)
}

fn show(session: &Session, report: &RestoreReport, phases: &[PhaseAccount]) -> Result {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new("backstock.restore/1", WithPhases { report, phases }));
    } else {
        terminal.data(&format!(
            "{} is restored: {}, after {}",
            printable(&report.shop),
            contents_text(report.tables, report.rows, report.files, None),
            duration_text(report.elapsed_ms)
        ));
        if report.tables_changed > 0 || report.dropped > 0 {
            terminal.data(&format!(
                "  this server is another: {} tables are changed in meaning and not verified, {} objects are dropped",
                report.tables_changed, report.dropped
            ));
        }
        for line in &report.lines {
            terminal.data(&format!("  report: {}", printable(line)));
        }
        for result in &report.afterwards {
            match result {
                StepResult::Done { what } => terminal.say(&format!("  done: {}", printable(what))),
                StepResult::Told { what } => terminal.say(&format!("  to know: {}", printable(what))),
                StepResult::Left { what, why } => {
                    terminal.data(&format!("  left to you: {} ({})", printable(what), printable(why)));
                }
            }
        }
        if let Some(until) = report.undo_until {
            terminal.say(&format!(
                "look at the shop; `backstock restore --accept` keeps it, `backstock undo` takes it back (until {until:.0})"
            ));
        }
    }
    Ok(if report.is_partial() { Code::Partial } else { Code::Done })
}
