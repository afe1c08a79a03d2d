//! `backstock replicate`: what is owed to destinations is brought there.

use backstock_operations::{
    DestinationReport, ReplicationReport, SettingsExport, find_set, lock_kept, replicate, shops,
};
use backstock_vocabulary::Outcome;
use serde::Serialize;

use super::prune::{policy_of, shop_of_set, show_locks};
use super::settings::export_after;
use super::{Document, Result, tell_of_links};
use crate::arguments::ReplicateArguments;
use crate::exit::Code;
use crate::session::Session;
use crate::terminal::{bytes_text, count_text, duration_text, printable};

pub(super) fn run(session: &Session, arguments: &ReplicateArguments) -> Result {
    let environment = session.open()?;
    tell_of_links(session, &environment);
    let shops = match &arguments.shop {
        Some(given) => vec![shop_of_set(session, &environment, given)?],
        None => shops(&environment)?,
    };
    let mut reports: Vec<ReplicationReport> = Vec::new();
    let (mut settings, mut locks, mut is_known) = (Vec::new(), Vec::new(), true);
    for shop in &shops {
        let set = find_set(&environment, shop)?;
        is_known &= super::set::follow_file(session, &environment, shop, &set)?;
        let progress = session.progress();
        let result = replicate(&environment, shop, &set, arguments.take_over, &progress);
        progress.close();
        reports.push(result?);
        locks.extend(lock_kept(&environment, shop, policy_of(session, &environment, shop)?)?);
        settings.extend(export_after(session, &environment, shop));
    }
    let is_locked = show_locks(session, &locks);
    // What is owed to a place that nobody knows is not even counted.
    let code = match code_of(&reports) {
        Code::Done if !is_locked => Code::Partial,
        code if is_known => code,
        _ => Code::Partial,
    };
    let terminal = session.terminal;
    if terminal.json() {
        #[derive(Serialize)]
        struct Replicated {
            sets: Vec<ReplicationReport>,
            settings: Vec<SettingsExport>,
        }
        terminal.document(&Document::new("backstock.replicate/1", Replicated { sets: reports, settings }));
        return Ok(code);
    }
    for report in &reports {
        if report.destinations.is_empty() {
            terminal.say(&format!("the backups of {} go nowhere else", printable(&report.shop)));
        }
        for destination in &report.destinations {
            show_destination(session, destination);
        }
    }
    Ok(code)
}

fn code_of(reports: &[ReplicationReport]) -> Code {
    let outcomes: Vec<Outcome> = reports.iter().map(ReplicationReport::outcome).collect();
    let is_all = |wanted: Outcome| outcomes.iter().all(|outcome| *outcome == wanted);
    if !reports.iter().any(ReplicationReport::had_work) {
        Code::NothingDue
    } else if is_all(Outcome::Success) {
        Code::Done
    } else if is_all(Outcome::Failed) {
        Code::Storage
    } else {
        Code::Partial
    }
}

/// What came of one destination.
pub(super) fn show_destination(session: &Session, report: &DestinationReport) {
    let terminal = session.terminal;
    let storage = printable(&report.storage);
    let bytes: u64 = report.copied.iter().map(|copied| copied.stored_bytes).sum();
    if let Some(weakest) = report.copied.iter().map(|copied| copied.proof).min() {
        terminal.data(&format!(
            "  {} ({}) copied to {storage}/{} after {}, proven by {weakest}",
            count_text(report.copied.len() as u64, "backup"),
            bytes_text(bytes),
            printable(&report.folder),
            duration_text(report.elapsed_ms)
        ));
    } else if report.problem.is_none() {
        terminal.say(&format!("{storage} lacks nothing"));
    }
    if let Some(problem) = &report.problem {
        terminal.warn(&format!(
            "{} NOT at {storage}: {}; the next backup, or `backstock replicate`, goes on",
            count_text(report.left.len() as u64, "backup"),
            printable(problem)
        ));
        if let Some(hint) = &report.hint {
            terminal.warn(&format!("hint: {}", printable(hint)));
        }
    }
}
