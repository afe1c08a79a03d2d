//! The alerts that stand now, read from the catalog: nobody has to remember to raise or to clear one.

use backstock_catalog::{Run, Shop};
use backstock_notify::Severity;
use backstock_vocabulary::{LinkState, Outcome, RunKind};
use jiff::{SignedDuration, Timestamp};

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::storages::{ListedLink, troubled_links};

/// So long before a link ends by itself its owner hears of it, in hours.
const ENDS_WITHIN_HOURS: i64 = 3 * 24;
/// The most runs of a shop that are looked at.
const RUNS_LIMIT: u32 = 200;

/// Something that people should know as long as it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// What it is about: a word and an identifier, the same as long as it stands.
    pub(crate) key: String,
    pub(crate) severity: Severity,
    /// What it is, in one line.
    pub(crate) subject: String,
    /// What it means and what to do, in sentences.
    pub(crate) lines: Vec<String>,
    pub(crate) since: Timestamp,
}

/// Everything that stands now.
pub(crate) fn standing(environment: &Environment) -> Result<Vec<Alert>> {
    let now = environment.host.clock.now();
    let links = troubled_links(environment)?;
    let mut alerts: Vec<Alert> = links.iter().filter_map(|(title, link)| of_link(title, link, now)).collect();
    let act = "looking for runs that failed";
    for shop in environment.wait(environment.catalog.list_shops()).doing(act)? {
        let runs = environment.wait(environment.catalog.list_runs(Some(shop.id), RUNS_LIMIT)).doing(act)?;
        let mut destinations = Vec::new();
        if let Some(run) = last_backup(&runs).filter(|run| run.outcome != Outcome::Success) {
            destinations = environment.wait(environment.catalog.run_destinations(run.id)).doing(act)?;
        }
        let failed = destinations.iter().filter(|destination| destination.status == Outcome::Failed);
        let failed = failed.map(|destination| format!("{}: {}", destination.title, destination.message));
        alerts.extend(of_backups(&shop, &runs, failed.collect()));
    }
    Ok(alerts)
}

fn of_link(title: &str, link: &ListedLink, now: Timestamp) -> Option<Alert> {
    let relink = format!("`backstock storage link {title}` makes it anew; nothing that is there is lost.");
    match link.state {
        LinkState::Revoked => Some(Alert {
            key: format!("link/{title}"),
            severity: Severity::Problem,
            subject: format!("the link of the storage {title} was taken back"),
            lines: [
                format!("No backup goes to {title}, and none comes from there. Other destinations go on."),
                link.sentence
                    .as_ref()
                    .map_or_else(String::new, |said| format!("What the last call brought: {said}")),
                relink,
            ]
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect(),
            since: link.since,
        }),
        LinkState::Expiring => {
            let ends = link.ends?;
            let since = ends.checked_sub(SignedDuration::from_hours(ENDS_WITHIN_HOURS)).unwrap_or(now);
            (since <= now).then(|| Alert {
                key: format!("link-ends/{title}"),
                severity: Severity::Warning,
                subject: format!(
                    "the link of the storage {title} ends on {}",
                    ends.strftime("%Y-%m-%d %H:%M UTC")
                ),
                lines: vec!["Its provider limits it.".to_owned(), relink],
                since,
            })
        }
        LinkState::Ok => None,
    }
}

fn is_backup(run: &Run) -> bool {
    run.kind == RunKind::Backup && !matches!(run.outcome, Outcome::Pending | Outcome::Running)
}

/// The newest backup that has come to its end.
fn last_backup(runs: &[Run]) -> Option<&Run> {
    runs.iter().find(|run| is_backup(run))
}

/// The alert that the last backup of a shop did not go well, since the first one in a row that did not.
fn of_backups(shop: &Shop, runs: &[Run], destinations: Vec<String>) -> Option<Alert> {
    let last = last_backup(runs)?;
    let (severity, what) = match last.outcome {
        Outcome::Failed => (Severity::Problem, "failed"),
        Outcome::Interrupted => (Severity::Problem, "was interrupted"),
        Outcome::Partial => (Severity::Warning, "is not wholly well"),
        _ => return None,
    };
    let in_a_row = runs.iter().filter(|run| is_backup(run)).take_while(|run| run.outcome != Outcome::Success);
    let since = in_a_row.last().map_or(last.started, |first| first.started);
    let mut lines = vec![format!("It was begun at {}.", last.started.strftime("%Y-%m-%d %H:%M UTC"))];
    lines.extend(last.error.clone());
    lines.extend(destinations);
    lines.push("`backstock list` shows what there is, `backstock show latest` what went wrong.".to_owned());
    Some(Alert {
        key: format!("backup/{}", shop.id),
        severity,
        subject: format!("the last backup of {} {what}", shop.title),
        lines,
        since,
    })
}
