//! Telling people: what stands now is compared with what was told, and the difference goes out. No work fails or waits long for it.

mod plan;
mod standing;

use std::time::Duration;

use backstock_catalog::KeptNotice;
use backstock_host::failpoint;
use backstock_host::lock::{self, Lock};
use backstock_notify::{Notice, NotifierSettings, SEND_LIMIT, Severity, open, tell};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use self::plan::{Change, NoticePlan, Telling};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

pub(crate) use self::standing::{Alert, standing};

/// How long another process that tells people is waited for: some of them after one another.
const TURN_LIMIT: Duration = Duration::from_secs(3 * SEND_LIMIT.as_secs());
const TURN_LOOK_EVERY: Duration = Duration::from_millis(100);

/// Somebody who is told, as the configuration file names him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNotifier {
    /// The title.
    pub title: String,
    /// The way to him.
    pub settings: NotifierSettings,
}

/// What came of telling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToldNotices {
    /// The messages that went out.
    pub told: Vec<ToldNotice>,
    /// The messages that did not, and will be tried again.
    pub failed: Vec<FailedNotice>,
}

/// A message that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldNotice {
    /// The title of the notifier.
    pub notifier: String,
    /// What it was about, in one line each.
    pub subjects: Vec<String>,
    /// Who of several was refused for good, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// A message that did not go out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedNotice {
    /// The title of the notifier.
    pub notifier: String,
    /// Why.
    pub problem: String,
}

/// One who is told, and what he has not been told yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedNotifier {
    /// The title.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// Alerts that stand, as far as they were told, in one line each.
    pub told: Vec<String>,
    /// Why the last message did not go out, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Tells everybody what is due to be told: what has begun, what still stands after a week, and what is over.
///
/// Everybody is told at the same time, each within [`SEND_LIMIT`]. Who cannot be told now is told later. Of several processes one
/// tells at a time: what one has told, no other tells again.
pub fn tell_due(environment: &Environment) -> Result<ToldNotices> {
    if environment.notifiers.is_empty() || !environment.may_write {
        return Ok(ToldNotices::default());
    }
    let Some(_turn) = take_turn(environment)? else {
        tracing::warn!("another process tells people and has not come to an end: the rest is told later");
        return Ok(ToldNotices::default());
    };
    let now = environment.host.clock.now();
    let kept = kept_notices(environment)?;
    let titles: Vec<&str> = environment.notifiers.iter().map(|notifier| notifier.title.as_str()).collect();
    let plan = NoticePlan::of(&standing(environment)?, &kept, &titles, now);
    failpoint::reach("notices.planned").doing("telling people")?;
    for (alert, notifier) in &plan.forgotten {
        let forgetting = environment.catalog.forget_notice(alert, notifier);
        environment.wait(forgetting).doing("forgetting what was told")?;
    }
    let sent =
        environment.wait(join_all(plan.tellings.iter().map(|telling| send(environment, telling, now))));
    let mut told = ToldNotices::default();
    for (telling, sent) in plan.tellings.iter().zip(sent) {
        record(environment, telling, sent.as_ref().err(), now)?;
        match sent {
            Ok(refused) => told.told.push(ToldNotice {
                notifier: telling.notifier.clone(),
                subjects: telling.items.iter().map(plan::Item::subject).collect(),
                refused,
            }),
            Err(problem) => told.failed.push(FailedNotice { notifier: telling.notifier.clone(), problem }),
        }
    }
    Ok(told)
}

/// Waits for whoever tells people at the moment; not for ever.
fn take_turn(environment: &Environment) -> Result<Option<Lock>> {
    let path = environment.state.notices_lock();
    let turn = environment.wait(async {
        let free = async {
            loop {
                match lock::try_lock(&path).transpose() {
                    Some(taken) => return taken,
                    None => sleep(TURN_LOOK_EVERY).await,
                }
            }
        };
        timeout(TURN_LIMIT, free).await
    });
    turn.ok().transpose().doing(format!("taking the lock {}", path.display()))
}

/// Sends a message that says only that it arrives.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] where there is no notifier of that title; [`ErrorKind::Failed`] where it did not go out.
pub fn test_notifier(environment: &Environment, title: &str) -> Result<ToldNotice> {
    let notifier = environment.notifiers.iter().find(|notifier| notifier.title == title);
    let notifier = notifier.ok_or_else(|| {
        OperationError::hinted(
            ErrorKind::NotFound,
            format!("there is no notifier called {title}"),
            "notifiers stand in the configuration file: see docs/notices.md",
        )
    })?;
    let notice = Notice::test(title, environment.host.clock.now());
    let sent = environment.wait(hand_over(environment, notifier, &notice));
    let failed = |problem| {
        OperationError::plain(
            ErrorKind::Failed,
            format!("the test message of {title} did not go out: {problem}"),
        )
    };
    let refused = sent.map_err(failed)?;
    Ok(ToldNotice { notifier: title.to_owned(), subjects: vec![notice.subject().to_owned()], refused })
}

/// Everybody who is told, and how far.
pub fn list_notifiers(environment: &Environment) -> Result<Vec<ListedNotifier>> {
    let kept = kept_notices(environment)?;
    let listed = environment.notifiers.iter().map(|notifier| {
        let of_his: Vec<&KeptNotice> = kept.iter().filter(|kept| kept.notifier == notifier.title).collect();
        ListedNotifier {
            title: notifier.title.clone(),
            kind: notifier.settings.kind.clone(),
            told: of_his.iter().filter(|kept| kept.told.is_some()).map(|kept| kept.subject.clone()).collect(),
            problem: of_his.iter().find_map(|kept| kept.problem.clone()),
        }
    });
    Ok(listed.collect())
}

fn kept_notices(environment: &Environment) -> Result<Vec<KeptNotice>> {
    environment.wait(environment.catalog.list_notices()).doing("looking for what was told")
}

async fn send(
    environment: &Environment,
    telling: &Telling,
    now: Timestamp,
) -> std::result::Result<Vec<String>, String> {
    let notifier = environment.notifiers.iter().find(|notifier| notifier.title == telling.notifier);
    let notifier = notifier.ok_or_else(|| "there is no such notifier any more".to_owned())?;
    hand_over(environment, notifier, &message(telling, now)).await
}

async fn hand_over(
    environment: &Environment,
    notifier: &NamedNotifier,
    notice: &Notice,
) -> std::result::Result<Vec<String>, String> {
    let opened = open(&environment.host, &notifier.settings).map_err(|error| chain(&error))?;
    let receipt = tell(&*opened, notice, SEND_LIMIT).await.map_err(|error| chain(&error))?;
    Ok(receipt.refused)
}

/// One message of all that one is to be told.
fn message(telling: &Telling, now: Timestamp) -> Notice {
    let subject = match telling.items.as_slice() {
        [only] => only.subject(),
        several => format!("{} things to know", several.len()),
    };
    let mut lines = Vec::new();
    for item in &telling.items {
        if telling.items.len() > 1 {
            lines.extend([item.subject(), String::new()]);
        }
        lines.extend(item.lines());
        lines.push(String::new());
    }
    lines.push("Sent by Backstock. `backstock notifier list` tells what was told.".to_owned());
    let severity = telling.items.iter().map(plan::Item::severity).max().unwrap_or(Severity::Good);
    let since = telling.items.iter().map(|item| item.since).min().unwrap_or(now);
    let about = telling.items.first().map(|item| item.alert.clone()).unwrap_or_default();
    Notice::new(severity, &format!("Backstock: {subject}"), &lines, &about, since)
}

fn record(
    environment: &Environment,
    telling: &Telling,
    problem: Option<&String>,
    now: Timestamp,
) -> Result<()> {
    for item in &telling.items {
        let notifier = telling.notifier.as_str();
        if item.change == Change::Over && problem.is_none() {
            let forgetting = environment.catalog.forget_notice(&item.alert, notifier);
            environment.wait(forgetting).doing("forgetting what was told")?;
            continue;
        }
        let kept = KeptNotice {
            alert: item.alert.clone(),
            notifier: notifier.to_owned(),
            subject: item.of_alert.clone(),
            since: item.since,
            told: if problem.is_none() { Some(now) } else { item.told },
            tries: if problem.is_none() { 0 } else { item.tries.saturating_add(1) },
            tried: now,
            problem: problem.cloned(),
        };
        environment.wait(environment.catalog.save_notice(&kept)).doing("recording what was told")?;
    }
    Ok(())
}
