//! `backstock restore --dump`: bring a dump in that another program made.

use std::path::Path;

use backstock_operations::{
    DumpRequest, DumpSummary, Environment, import_dump, plan_dump, plan_restore, transfer_rows,
};
use backstock_vocabulary::Scope;

use super::Result;
use super::restore::{act, agree, request, tell_plan};
use crate::arguments::{Only, RestoreArguments};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{bytes_text, printable};

/// Tables that are listed with their rows.
const SHOWN_TABLES: usize = 20;

pub(super) fn run(
    session: &Session,
    environment: &Environment,
    arguments: &RestoreArguments,
    dump: &Path,
) -> Result {
    if arguments.only == Some(Only::Files) {
        return Err(CommandError::usage("a dump holds no files", "leave --only files out"));
    }
    let shop = arguments.id.clone().or_else(|| arguments.shop.clone());
    let overrides = arguments.by_hand.overrides();
    let by_itself = session.subject_by_itself(shop.as_deref(), overrides.clone())?;
    let subject = match by_itself {
        Some((subject, _)) => subject,
        None => session.known_subject(environment, &shop.unwrap_or_default(), &overrides)?,
    };
    for note in &subject.notes {
        session.terminal.say(&format!("note: {}", printable(note)));
    }
    let part_size = session.part_size(&subject);
    let wanted = DumpRequest {
        path: std::path::absolute(dump).unwrap_or_else(|_| dump.to_owned()),
        is_untrusted: arguments.untrusted,
        from_database: arguments.dump_database.clone(),
        backups: session.backups(arguments.backups.as_deref()),
        part_size,
    };
    let restore = request(session, arguments, Scope::Database, part_size);
    let progress = session.progress();
    let planned = plan_dump(environment, &subject, &wanted, &restore, &progress);
    progress.close();
    let planned = planned?;
    let terminal = &session.terminal;
    tell_plan(session, arguments, "backstock.restore-dump-plan/1", &planned.summary, lines);
    if arguments.dry_run {
        return Ok(Code::Done);
    }
    agree(session, arguments)?;
    let skipped = planned.summary.skipped.iter().map(|skipped| format!("not run: {skipped}")).collect();
    let progress = session.progress();
    let imported = import_dump(environment, planned, &progress);
    progress.close();
    let backup = imported?;
    terminal.say(&format!("the dump is kept as the backup {}", backup.id.short()));
    let progress = session.progress();
    let plan = plan_restore(environment, backup, subject, &restore, &progress);
    progress.close();
    let plan = plan?;
    act(session, environment, plan, arguments, skipped)
}

fn lines(summary: &DumpSummary) -> Vec<String> {
    let mut lines = vec![format!(
        "restore the dump {} into {}",
        printable(&summary.path.to_string_lossy()),
        printable(&summary.shop)
    )];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<18} {}", printable(&value)));
    let server = summary.server.as_ref().map(|server| format!(", of {server}")).unwrap_or_default();
    row("made by", format!("{}{server}", summary.made_by));
    row("database", format!("{} into {}", summary.source, summary.database));
    row(
        "it holds",
        format!(
            "{} tables with {} rows, {} other objects, in {} statements ({})",
            summary.tables.len(),
            summary.rows,
            summary.other_objects,
            summary.statements,
            bytes_text(summary.text_bytes)
        ),
    );
    for table in summary.tables.iter().take(SHOWN_TABLES) {
        row("", format!("{}: {} rows", table.name, table.rows));
    }
    if summary.tables.len() > SHOWN_TABLES {
        row("", format!("and {} more tables", summary.tables.len() - SHOWN_TABLES));
    }
    for (name, names) in [
        ("rows only", &summary.from_live),
        ("tables replaced", &summary.tables_replaced),
        ("tables added", &summary.tables_added),
        ("tables put aside", &summary.tables_removed),
        ("goes with them", &summary.code_removed),
        ("definers", &summary.definers),
    ] {
        if !names.is_empty() {
            row(name, names.join(", "));
        }
    }
    row("tables left alone", summary.tables_left_alone.to_string());
    if let Some(reason) = &summary.in_place {
        row("in place", format!("{reason}: the live tables are changed statement by statement"));
    }
    row("room needed", bytes_text(summary.needed_bytes));
    for (name, text) in transfer_rows(&summary.transfers) {
        row(&name, text);
    }
    for skipped in &summary.skipped {
        row("not run", skipped.to_string());
    }
    for warning in &summary.warnings {
        row("warning", warning.clone());
    }
    row("proof", "rows are counted, not compared: a dump by others has no checksums".to_owned());
    lines
}
