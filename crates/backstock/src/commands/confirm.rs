//! `backstock confirm`: a person has looked at a suspect backup, or accepts what a backup lacks.

use backstock_operations::{ConfirmPlan, ConfirmWish, confirm as record, plan_confirm};
use serde::Serialize;

use super::{Document, Result, confirm, meant_backup};
use crate::arguments::ConfirmArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{count_text, printable};

/// What would be confirmed, or was.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a ConfirmPlan,
    is_recorded: bool,
}

pub(super) fn run(session: &Session, arguments: &ConfirmArguments) -> Result {
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let backup = meant_backup(&environment, &arguments.id, arguments.shop.as_deref())?;
    let wish = ConfirmWish {
        only_suspicion: arguments.only_suspicion,
        exceptions: arguments.exception.clone(),
        with_earlier: arguments.earlier,
    };
    let plan = plan_confirm(&environment, &backup, &wish)?;
    let terminal = &session.terminal;
    if !terminal.json() {
        show(session, &plan);
    }
    let is_recorded = !arguments.dry_run && plan.has_work();
    if is_recorded {
        if !arguments.yes {
            confirm(session, &question(&plan))?;
        }
        record(&environment, &plan)?;
    }
    if terminal.json() {
        terminal.document(&Document::new("backstock.confirm/1", Shown { plan: &plan, is_recorded }));
    } else if !plan.has_work() {
        terminal.data(&format!("there is nothing to confirm about the backup {}", plan.backup.short()));
    } else {
        let would = if is_recorded { "" } else { "would be " };
        let counts = if plan.counts_then { "counts" } else { "still does not count" };
        terminal.data(&format!("{would}confirmed; the backup {} {counts} then", plan.backup.short()));
    }
    if !plan.still_suspect.is_empty() {
        let ids: Vec<String> = plan.still_suspect.iter().map(backstock_vocabulary::BackupId::short).collect();
        terminal.say(&format!(
            "still suspect, and protecting what is older: {}; --earlier confirms those before this one too",
            ids.join(", ")
        ));
    }
    Ok(Code::Done)
}

fn show(session: &Session, plan: &ConfirmPlan) {
    let terminal = &session.terminal;
    terminal.data(&format!(
        "backup {} of {} is {}",
        plan.backup.short(),
        printable(&plan.shop),
        plan.content
    ));
    for reason in &plan.suspicions {
        terminal.data(&format!("  suspect: {}", printable(reason)));
    }
    for exception in &plan.exceptions {
        let word = if exception.is_accepted { "accepted" } else { "new" };
        let text = format!("{}: {}", exception.subject, exception.message);
        terminal.data(&format!("  missing ({word}): {}", printable(&text)));
    }
}

fn question(plan: &ConfirmPlan) -> String {
    let mut parts = Vec::new();
    if !plan.confirms.is_empty() {
        let backups = count_text(plan.confirms.len() as u64, "suspect backup");
        parts.push(format!("{backups} from now on as it should be, so that older ones may go"));
    }
    let chosen = plan.exceptions.iter().filter(|exception| exception.is_chosen).count();
    if chosen > 0 {
        let exceptions = count_text(chosen as u64, "exception");
        parts.push(format!("{exceptions} accepted, in later backups of the set too"));
    }
    format!("{}?", parts.join("; "))
}
