//! `backstock prune --finish`: deletions that the writer of a storage decided and may not carry out.

use backstock_operations::{
    Buried, BuriedInSet, FinishPlan, FinishReport, LentAccess, Refusal, finish, plan_finish,
};
use serde::Serialize;

use super::super::storage::{given_secrets, given_settings};
use super::super::{Document, Result, confirm};
use crate::arguments::PruneArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{bytes_text, count_text, printable, table_text};

#[derive(Serialize)]
struct Finished<'a> {
    plan: &'a FinishPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a FinishReport>,
}

pub(super) fn run(session: &Session, arguments: &PruneArguments, storage: &str) -> Result {
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let access = LentAccess {
        settings: given_settings(&arguments.settings)?,
        secrets: given_secrets(&arguments.secret_files)?,
    };
    let plan = plan_finish(&environment, storage, &access)?;
    let terminal = session.terminal;
    let show = |report: Option<&FinishReport>| {
        if terminal.json() {
            terminal.document(&Document::new("backstock.prune-finish/1", Finished { plan: &plan, report }));
        }
    };
    if !terminal.json() {
        show_plan(session, &plan);
    }
    let count = plan.going().count();
    if arguments.dry_run || count == 0 {
        show(None);
        return Ok(Code::Done);
    }
    if !arguments.yes {
        let what = format!("delete {} at {}?", count_text(count as u64, "backup"), printable(&plan.storage));
        confirm(session, &what)?;
    }
    let progress = session.progress();
    let result = finish(&environment, &plan, &progress);
    progress.close();
    let report = result?;
    show(Some(&report));
    if !terminal.json() {
        let deleted = count_text(report.deleted.len() as u64, "backup");
        let freed = bytes_text(report.freed_bytes);
        terminal.data(&format!("{deleted} deleted at {} ({freed})", printable(&report.storage)));
    }
    Ok(retained(session, &report))
}

fn show_plan(session: &Session, plan: &FinishPlan) {
    let terminal = session.terminal;
    for set in &plan.sets {
        let BuriedInSet { set_folder, machine, buried, kept, held, .. } = set;
        let machine = machine.as_deref().map(|machine| format!(", written by {}", printable(machine)));
        terminal.data(&format!(
            "{} at {}{}: {} let go, {kept} kept",
            printable(set_folder),
            printable(&plan.storage),
            machine.unwrap_or_default(),
            buried.len(),
        ));
        let rows: Vec<Vec<String>> = buried.iter().map(row).collect();
        for line in table_text(&["id", "number", "made", "level", "let go", "size", "verdict"], &rows) {
            terminal.data(&format!("  {line}"));
        }
        if let Some(held) = held {
            terminal.warn(&format!("nothing of {} is deleted: {}", printable(set_folder), printable(held)));
        }
    }
}

fn row(buried: &Buried) -> Vec<String> {
    const MINUTE: &str = "%Y-%m-%d %H:%M UTC";
    vec![
        buried.backup.short(),
        buried.sequence.to_string(),
        buried.started.strftime(MINUTE).to_string(),
        buried.level.to_string(),
        buried.decided.strftime(MINUTE).to_string(),
        bytes_text(buried.stored_bytes),
        buried.stays.as_ref().map_or_else(|| "go".to_owned(), |why| format!("stays: {why}")),
    ]
}

/// Says what stays although it was let go; the code of the command.
fn retained(session: &Session, report: &FinishReport) -> Code {
    let Some(refusal) = report.refusal else { return Code::Done };
    let count = count_text(report.retained.len() as u64, "backup");
    let (why, hint) = match refusal {
        Refusal::Denied => (
            "these credentials may not delete there",
            "give others with --set and --secret-file, or run this where the storage is defined with them",
        ),
        Refusal::Locked => ("what is there is locked still", "run this again when the lock is over"),
    };
    session.terminal.warn(&format!("retained at {}: {count}: {why}", printable(&report.storage)));
    session.terminal.warn(&format!("hint: {hint}"));
    Code::Partial
}
