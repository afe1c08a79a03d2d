//! `backstock prune`: what the policy keeps, and what goes.

mod finish;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use backstock_catalog::Shop;
use backstock_operations::{
    DestinationPlan, Environment, LockReport, PrunePlan, PruneReport, Pruned, RetentionPlan, RetentionPolicy,
    RetentionSettings, Verdict, find_shop, lock_kept, plan_prune, prune, recovered_rules, shops,
};
use backstock_vocabulary::BackupId;
use serde::Serialize;

use super::{Document, Result, forget_history};
use crate::arguments::PruneArguments;
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{bytes_text, count_text, printable, table_text};

/// One set at one destination, as JSON tells it.
#[derive(Serialize)]
struct Planned<'a> {
    shop: &'a str,
    set: &'a str,
    storage: &'a str,
    #[serde(flatten)]
    plan: &'a RetentionPlan,
    strangers: &'a [BackupId],
}

pub(super) fn run(session: &Session, arguments: &PruneArguments) -> Result {
    if let Some(storage) = &arguments.finish {
        return finish::run(session, arguments, storage);
    }
    let environment = if arguments.dry_run { session.open_to_look()? } else { session.open()? };
    let shops = match &arguments.shop {
        Some(given) => vec![shop_of_set(session, &environment, given)?],
        None => shops(&environment)?,
    };
    if !arguments.dry_run {
        forget_history(session, &environment);
    }
    let terminal = &session.terminal;
    let mut plans = Vec::new();
    let mut reports = Vec::new();
    let mut locks = Vec::new();
    let mut is_unanswered = false;
    for shop in &shops {
        let policy = policy_of(session, &environment, shop)?;
        let plan = plan_prune(&environment, shop, policy)?;
        if arguments.dry_run {
            plans.push(plan);
            continue;
        }
        if !terminal.json() {
            show_plan(session, &plan);
        }
        let is_confirmed = arguments.yes || answer(session, &plan, &mut is_unanswered);
        let progress = session.progress();
        let result = prune(&environment, plan, is_confirmed, arguments.now, &progress);
        progress.close();
        let report = result?;
        if !terminal.json() {
            show_report(session, &report);
        }
        reports.push(report);
        locks.extend(lock_kept(&environment, shop, policy)?);
    }
    let is_locked = show_locks(session, &locks);
    if arguments.dry_run {
        show_plans(session, &plans);
    } else if terminal.json() {
        #[derive(Serialize)]
        struct Reports {
            shops: Vec<PruneReport>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            locks: Vec<LockReport>,
        }
        terminal.document(&Document::new("backstock.prune/1", Reports { shops: reports, locks }));
    }
    if is_unanswered {
        return Err(CommandError::usage(
            "there is nobody to ask, and a person must confirm what goes: nothing was marked or deleted there",
            "look at `backstock prune --dry-run`, then give --yes once",
        ));
    }
    Ok(if is_locked { Code::Done } else { Code::Partial })
}

/// A set of the configuration file by its title, or a shop.
pub(super) fn shop_of_set(
    session: &Session,
    environment: &Environment,
    given: &OsStr,
) -> std::result::Result<Shop, CommandError> {
    let set = session.configuration.set(&given.to_string_lossy());
    let folder = set.and_then(|set| set.folder);
    Ok(find_shop(environment, folder.as_ref().map_or(given, |folder| folder.as_os_str()))?)
}

/// The policy for a shop: what its set in the configuration file says, else what the file says for all, else what was brought back
/// with its settings, else the default.
pub(super) fn policy_of(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
) -> std::result::Result<RetentionPolicy, CommandError> {
    Ok(settings_of(session, environment, shop)?.policy()?)
}

/// What is written down of a shop's retention.
pub(super) fn settings_of(
    session: &Session,
    environment: &Environment,
    shop: &Shop,
) -> std::result::Result<RetentionSettings, CommandError> {
    let folder = shop.root.as_deref().map(|root| Path::new(OsStr::from_bytes(root)));
    let written = session.configuration.retention(folder, &shop.title);
    Ok(written.or_recovered(recovered_rules(environment, shop)?.policy))
}

/// Whether a person confirms what the brakes ask.
fn answer(session: &Session, plan: &PrunePlan, is_unanswered: &mut bool) -> bool {
    let mut questions = plan.destinations.iter().flat_map(|destination| &destination.plan.brakes).peekable();
    if questions.peek().is_none() {
        return false;
    }
    let why: Vec<String> = questions.map(ToString::to_string).collect();
    let going: usize = plan.destinations.iter().map(|destination| destination.plan.going().count()).sum();
    let question = format!("{}; let {} go?", why.join("; "), count_text(going as u64, "backup"));
    let answer = session.terminal.ask(&question);
    *is_unanswered |= answer.is_none();
    answer == Some(true)
}

fn show_plans(session: &Session, plans: &[PrunePlan]) {
    let terminal = &session.terminal;
    if !terminal.json() {
        for plan in plans {
            show_plan(session, plan);
        }
        return;
    }
    #[derive(Serialize)]
    struct Plans<'a> {
        destinations: Vec<Planned<'a>>,
    }
    let mut destinations = Vec::new();
    for plan in plans {
        destinations.extend(plan.destinations.iter().map(|destination| planned(plan, destination)));
    }
    terminal.document(&Document::new("backstock.prune-plan/1", Plans { destinations }));
}

fn planned<'a>(plan: &'a PrunePlan, destination: &'a DestinationPlan) -> Planned<'a> {
    Planned {
        shop: &plan.shop.title,
        set: &destination.set.title,
        storage: &destination.storage.title,
        plan: &destination.plan,
        strangers: &destination.strangers,
    }
}

fn show_plan(session: &Session, plan: &PrunePlan) {
    let terminal = &session.terminal;
    for destination in &plan.destinations {
        let policy = destination.plan.policy;
        let word = if policy == RetentionPolicy::default() { " (the default)" } else { "" };
        terminal.data(&format!(
            "{} (set {}) at {}: {policy}{word}",
            printable(&plan.shop.title),
            printable(&destination.set.title),
            printable(&destination.storage.title)
        ));
        let rows: Vec<Vec<String>> = destination.plan.backups.iter().rev().map(row).collect();
        for line in
            table_text(&["id", "made", "level", "reason", "content", "state", "verdict", "why"], &rows)
        {
            terminal.data(&format!("  {line}"));
        }
        for backup in &destination.strangers {
            let id = backup.short();
            terminal
                .say(&format!("{id} stays: it is signed by a key that nobody vouches for; it goes by hand"));
        }
        if destination.plan.floor.is_none() {
            terminal.say(
                "nothing goes: no backup here is wholly verified; `backstock verify latest` changes that",
            );
        }
        if let Some(shortage) = destination.plan.shortage {
            terminal.say(&format!("nothing goes: {shortage}"));
        }
        for brake in &destination.plan.brakes {
            terminal.say(&format!("to be confirmed: {brake}"));
        }
    }
}

fn row(verdict: &Verdict) -> Vec<String> {
    let mark = if verdict.mark.is_some() { " (marked)" } else { "" };
    vec![
        verdict.backup.short(),
        verdict.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        verdict.level.to_string(),
        verdict.reason.to_string(),
        verdict.content.to_string(),
        format!("{}{mark}", verdict.state),
        if verdict.decision.is_keep() { "keep" } else { "go" }.to_owned(),
        verdict.decision.texts().join("; "),
    ]
}

/// Says what was locked; tells whether all that should be is.
pub(super) fn show_locks(session: &Session, locks: &[LockReport]) -> bool {
    for report in locks {
        let storage = printable(&report.storage);
        if let Some(until) = report.until.filter(|_| !report.locked.is_empty()) {
            let count = count_text(report.locked.len() as u64, "backup");
            let until = until.strftime("%Y-%m-%d");
            session.terminal.say(&format!("{count} locked at {storage}, the longest until {until}"));
        }
        if let Some(problem) = &report.problem {
            session.terminal.warn(&format!("not everything is locked at {storage}: {}", printable(problem)));
        }
    }
    locks.iter().all(|report| report.problem.is_none())
}

/// What was done, a line for each destination.
pub(super) fn show_report(session: &Session, report: &PruneReport) {
    for pruned in &report.destinations {
        let line = format!(
            "{} at {}: {}",
            printable(&report.shop),
            printable(&pruned.storage),
            what_was_done(pruned).join(", ")
        );
        session.terminal.data(&line);
    }
}

pub(super) fn what_was_done(pruned: &Pruned) -> Vec<String> {
    let mut done = Vec::new();
    for (ids, word) in [
        (&pruned.marked, "marked"),
        (&pruned.kept_again, "kept again"),
        (&pruned.given_back, "given back: nothing verified is left"),
        (&pruned.waiting, "within their grace"),
        (&pruned.retained, "retained by the storage"),
    ] {
        if !ids.is_empty() {
            done.push(format!("{} {word}", ids.len()));
        }
    }
    if !pruned.deleted.is_empty() {
        done.push(format!("{} deleted ({})", pruned.deleted.len(), bytes_text(pruned.freed_bytes)));
    }
    if !pruned.held_by.is_empty() {
        done.push("held until a person confirms".to_owned());
    }
    if done.is_empty() {
        done.push("nothing to do".to_owned());
    }
    done
}
