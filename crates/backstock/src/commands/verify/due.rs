//! `backstock verify --due`, and the same after a backup: what the schedule asks for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstock_catalog::Shop;
use backstock_operations::{
    DueCheck, DuePlan, DueReport, Environment, ErrorKind, Monitor, OperationError, VerifyPlan,
    VerifySchedule, VerifySettings, chain, plan_due, recovered_rules, shops, verify_due,
};
use serde::Serialize;

use super::super::prune::shop_of_set;
use super::super::{Document, Result, forget_history};
use super::show_report;
use crate::arguments::VerifyArguments;
use crate::exit::{Code, CommandError};
use crate::progress::PhaseAccount;
use crate::session::Session;
use crate::terminal::{bytes_text, count_text, printable};

/// What the configuration says of the checks of a shop, else what was brought back with its settings.
fn settings_of(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
) -> std::result::Result<VerifySettings, OperationError> {
    let folder = shop.root.as_deref().map(|root| Path::new(OsStr::from_bytes(root)));
    let written = session.configuration.verify(folder, &shop.title);
    Ok(written.or_recovered(recovered_rules(environment, shop)?.schedule))
}

/// How often the backups of a shop are checked.
pub(in super::super) fn schedule_of(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
) -> std::result::Result<VerifySchedule, CommandError> {
    Ok(settings_of(session, environment, shop)?.schedule()?)
}

pub(super) fn run(session: &Session, arguments: &VerifyArguments) -> Result {
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let shops = match &arguments.id {
        Some(given) => vec![shop_of_set(session, &environment, given)?],
        None => shops(&environment)?,
    };
    if !arguments.dry_run {
        forget_history(session, &environment);
    }
    // A schedule that makes no sense is told before anything is done.
    let schedules: Vec<VerifySchedule> = shops
        .iter()
        .map(|shop| settings_of(session, &environment, shop)?.schedule())
        .collect::<std::result::Result<_, OperationError>>()?;
    let mut plans = Vec::new();
    for (shop, schedule) in shops.iter().zip(schedules) {
        if schedule.is_off() {
            let title = printable(&shop.title);
            session.terminal.say(&format!("no check of {title} is ever due: the schedule is off"));
        }
        plans.push(plan_due(&environment, shop, schedule)?);
    }
    if arguments.dry_run {
        show_plans(session, &plans);
        let is_due = plans.iter().any(|plan| !plan.plan.checks.is_empty());
        return Ok(if is_due { Code::Done } else { Code::NothingDue });
    }
    let progress = session.progress();
    let result: std::result::Result<Vec<DueReport>, _> =
        plans.iter().map(|plan| verify_due(&environment, plan, &progress)).collect();
    let phases = progress.close();
    let reports = result?;
    show_reports(session, &reports, &phases);
    Ok(code_of(&reports))
}

/// Damage weighs most, then what could not be looked at.
fn code_of(reports: &[DueReport]) -> Code {
    if reports.iter().any(DueReport::has_damage) {
        return Code::Damaged;
    }
    if let Some(failure) = reports.iter().flat_map(|report| &report.failures).next() {
        return failure.kind.into();
    }
    if !reports.iter().all(DueReport::is_good) {
        Code::Partial
    } else if reports.iter().all(|report| report.checks.is_empty()) {
        Code::NothingDue
    } else {
        Code::Done
    }
}

/// What is checked after a backup, read before it: a contradiction is told at once.
pub(in super::super) fn schedule_after_backup(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
) -> std::result::Result<Option<VerifySchedule>, CommandError> {
    let settings = settings_of(session, environment, shop)?;
    let schedule = settings.schedule()?;
    Ok(settings.acts_after_backup().then_some(schedule))
}

/// Checks what is due of a shop after a backup of it. Nobody else's check makes the backup wait: then it is left to the next
/// run, as what a signal leaves.
pub(in super::super) fn after_backup(
    environment: &Environment,
    shop: &Shop,
    schedule: VerifySchedule,
    monitor: &dyn Monitor,
) -> std::result::Result<Option<DueReport>, OperationError> {
    let done = plan_due(environment, shop, schedule).and_then(|plan| verify_due(environment, &plan, monitor));
    match done {
        Ok(report) => Ok(Some(report)),
        Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was found after a backup, and whether that makes its end another one.
pub(in super::super) fn show_after_backup(
    session: &Session,
    done: &std::result::Result<Option<DueReport>, OperationError>,
) -> Option<Code> {
    let report = match done {
        Ok(report) => report.as_ref()?,
        Err(error) => {
            session.terminal.warn(&format!("what is due was not checked: {}", printable(&chain(error))));
            return Some(Code::Partial);
        }
    };
    if !session.terminal.json() {
        show_lines(session, report);
    }
    let code = code_of(std::slice::from_ref(report));
    match code {
        Code::Done | Code::NothingDue => None,
        Code::Damaged => Some(code),
        // The backup itself is what it is.
        _ => Some(Code::Partial),
    }
}

#[derive(Serialize)]
struct Planned<'a> {
    shop: &'a str,
    #[serde(flatten)]
    plan: &'a VerifyPlan,
}

fn show_plans(session: &Session, plans: &[DuePlan]) {
    let terminal = &session.terminal;
    if terminal.json() {
        #[derive(Serialize)]
        struct Plans<'a> {
            shops: Vec<Planned<'a>>,
        }
        let shops = plans.iter().map(|due| Planned { shop: &due.shop.title, plan: &due.plan }).collect();
        terminal.document(&Document::new("backstock.verify-plan/1", Plans { shops }));
        return;
    }
    for due in plans {
        let shop = printable(&due.shop.title);
        let tell = |check: &DueCheck, word: &str| {
            let why = check.why(due.plan.now);
            let reads = bytes_text(check.read_bytes);
            let id = check.backup.short();
            terminal.data(&format!("{shop}: {id} down to {}, {reads}: {word}{why}", check.level));
        };
        due.plan.checks.iter().for_each(|check| tell(check, ""));
        due.plan.waiting.iter().for_each(|check| tell(check, "waits for the next run; "));
        if due.plan.checks.is_empty() {
            terminal.data(&format!("{shop}: nothing is due"));
        }
    }
}

fn show_reports(session: &Session, reports: &[DueReport], phases: &[PhaseAccount]) {
    let terminal = &session.terminal;
    if terminal.json() {
        #[derive(Serialize)]
        struct Reports<'a> {
            shops: &'a [DueReport],
            phases: &'a [PhaseAccount],
        }
        terminal.document(&Document::new("backstock.verify-due/1", Reports { shops: reports, phases }));
        return;
    }
    for report in reports {
        if report.checks.is_empty() && report.failures.is_empty() {
            terminal.data(&format!("{}: nothing is due", printable(&report.shop)));
        }
        show_lines(session, report);
    }
}

fn show_lines(session: &Session, report: &DueReport) {
    let terminal = &session.terminal;
    for checked in &report.checks {
        show_report(session, checked);
    }
    for failure in &report.failures {
        let id = failure.backup.short();
        terminal.warn(&format!("the backup {id} could not be checked: {}", printable(&failure.why)));
    }
    for told in &report.irregularities {
        terminal.warn(&format!(
            "among the backups in {}: {}",
            printable(&told.set_folder),
            told.irregularity
        ));
    }
    if report.waiting > 0 {
        let waiting = count_text(report.waiting, "check");
        terminal.say(&format!("{waiting} more of {} for the next run", printable(&report.shop)));
    }
    if report.has_damage() {
        terminal.warn("what is damaged is no copy any more; `backstock list` shows the others");
    }
}
