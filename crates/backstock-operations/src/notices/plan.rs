//! Who is told what now: a pure function of what stands and of what was told.

use backstock_catalog::KeptNotice;
use backstock_notify::Severity;
use jiff::{SignedDuration, Timestamp};

use super::Alert;

/// What stands for so long since it was told is told again, in hours.
const AGAIN_AFTER_HOURS: i64 = 7 * 24;
/// The pause after a message that did not go out, in minutes; it doubles with each further one.
const FIRST_PAUSE_MINUTES: i64 = 1;
/// The longest pause, in minutes.
const LONGEST_PAUSE_MINUTES: i64 = 6 * 60;

/// What is to be said of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It has begun.
    Begun,
    /// It stands still.
    Still,
    /// It is over.
    Over,
}

/// One alert that one notifier is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) alert: String,
    pub(super) change: Change,
    /// The subject of the alert.
    pub(super) of_alert: String,
    severity: Severity,
    text: Vec<String>,
    pub(super) since: Timestamp,
    /// When it was told last.
    pub(super) told: Option<Timestamp>,
    /// How often telling has failed since.
    pub(super) tries: u32,
}

impl Item {
    /// It in one line.
    pub(super) fn subject(&self) -> String {
        match self.change {
            Change::Begun => self.of_alert.clone(),
            Change::Still => format!("still: {}", self.of_alert),
            Change::Over => format!("over: {}", self.of_alert),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        match self.change {
            Change::Over => vec![format!("This was so since {since}, and is over.")],
            _ => self.text.iter().cloned().chain([format!("It is so since {since}.")]).collect(),
        }
    }

    pub(super) fn severity(&self) -> Severity {
        if self.change == Change::Over { Severity::Good } else { self.severity }
    }
}

/// One message to one notifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) notifier: String,
    pub(super) items: Vec<Item>,
}

/// Who is told what, and what is forgotten without a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NoticePlan {
    pub(super) tellings: Vec<Telling>,
    /// Alerts and notifiers: over before anybody heard of it, or told to one who is not told any more.
    pub(super) forgotten: Vec<(String, String)>,
}

impl NoticePlan {
    pub(super) fn of(standing: &[Alert], kept: &[KeptNotice], notifiers: &[&str], now: Timestamp) -> Self {
        let mut plan = Self::default();
        for kept in kept {
            let is_over = !standing.iter().any(|alert| alert.key == kept.alert);
            if !notifiers.contains(&kept.notifier.as_str()) || (is_over && kept.told.is_none()) {
                plan.forgotten.push((kept.alert.clone(), kept.notifier.clone()));
            }
        }
        for notifier in notifiers {
            let of_his =
                |alert: &str| kept.iter().find(|kept| kept.alert == alert && kept.notifier == *notifier);
            let begun = standing.iter().filter_map(|alert| due(alert, of_his(&alert.key), now));
            let over = kept.iter().filter(|kept| kept.notifier == *notifier && kept.told.is_some());
            let over = over.filter(|kept| !standing.iter().any(|alert| alert.key == kept.alert));
            let over = over.filter(|kept| may_try(kept, now)).map(|kept| Item {
                alert: kept.alert.clone(),
                change: Change::Over,
                of_alert: kept.subject.clone(),
                severity: Severity::Good,
                text: Vec::new(),
                since: kept.since,
                told: kept.told,
                tries: kept.tries,
            });
            let items: Vec<Item> = begun.chain(over).collect();
            if !items.is_empty() {
                plan.tellings.push(Telling { notifier: (*notifier).to_owned(), items });
            }
        }
        plan
    }
}

/// What is to be said of an alert that stands, if anything.
fn due(alert: &Alert, kept: Option<&KeptNotice>, now: Timestamp) -> Option<Item> {
    if !kept.is_none_or(|kept| may_try(kept, now)) {
        return None;
    }
    let told = kept.and_then(|kept| kept.told);
    let change = match told {
        None => Change::Begun,
        Some(told) if is_past(told, SignedDuration::from_hours(AGAIN_AFTER_HOURS), now) => Change::Still,
        Some(_) => return None,
    };
    Some(Item {
        alert: alert.key.clone(),
        change,
        of_alert: alert.subject.clone(),
        severity: alert.severity,
        text: alert.lines.clone(),
        since: alert.since,
        told,
        tries: kept.map_or(0, |kept| kept.tries),
    })
}

/// Whether a message that did not go out may be tried again.
fn may_try(kept: &KeptNotice, now: Timestamp) -> bool {
    let doublings = kept.tries.saturating_sub(1).min(16);
    let minutes = (FIRST_PAUSE_MINUTES << doublings).min(LONGEST_PAUSE_MINUTES);
    kept.tries == 0 || is_past(kept.tried, SignedDuration::from_mins(minutes), now)
}

/// Whether so much time has gone by. A clock that was set back makes everything due, not nothing.
fn is_past(then: Timestamp, pause: SignedDuration, now: Timestamp) -> bool {
    then > now || now.duration_since(then) >= pause
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alert(key: &str) -> Alert {
        Alert {
            key: key.to_owned(),
            severity: Severity::Problem,
            subject: format!("the subject of {key}"),
            lines: vec!["what to do".to_owned()],
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn row(key: &str, told: Option<i64>, tries: u32, tried: i64) -> KeptNotice {
        KeptNotice {
            alert: key.to_owned(),
            notifier: "owner".to_owned(),
            subject: format!("the subject of {key}"),
            since: Timestamp::UNIX_EPOCH,
            told: told.map(at),
            tries,
            tried: at(tried),
            problem: None,
        }
    }

    fn said(standing: &[Alert], kept: &[KeptNotice], minutes: i64) -> Vec<String> {
        let plan = NoticePlan::of(standing, kept, &["owner"], at(minutes));
        plan.tellings.iter().flat_map(|telling| &telling.items).map(Item::subject).collect()
    }

    #[test]
    fn an_alert_is_told_once_again_after_a_week_and_when_it_is_over() {
        let (a, week) = ([alert("a")], 7 * 24 * 60);
        let subject = "the subject of a".to_owned();
        assert_eq!(said(&a, &[], 0), vec![subject.clone()]);
        assert_eq!(said(&a, &[row("a", Some(0), 0, 0)], week - 1), Vec::<String>::new());
        assert_eq!(said(&a, &[row("a", Some(0), 0, 0)], week), vec![format!("still: {subject}")]);
        assert_eq!(said(&[], &[row("a", Some(0), 0, 0)], 1), vec![format!("over: {subject}")]);
        assert_eq!(said(&a, &[row("a", Some(100), 0, 100)], 50), vec![format!("still: {subject}")]);
    }

    #[test]
    fn what_did_not_go_out_is_tried_again_after_a_pause_that_grows() {
        let a = [alert("a")];
        for (tries, pause) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 360), (u32::MAX, 360)] {
            assert!(said(&a, &[row("a", None, tries, 1000)], 1000 + pause - 1).is_empty(), "{tries}");
            assert_eq!(said(&a, &[row("a", None, tries, 1000)], 1000 + pause).len(), 1, "{tries}");
            assert!(said(&[], &[row("a", Some(0), tries, 1000)], 1000 + pause - 1).is_empty(), "{tries}");
            assert_eq!(said(&[], &[row("a", Some(0), tries, 1000)], 1000 + pause).len(), 1, "{tries}");
        }
        // Nobody heard that it began: nobody hears that it is over.
        let plan = NoticePlan::of(&[], &[row("a", None, 3, 0)], &["owner"], at(1000));
        assert_eq!((plan.tellings.len(), plan.forgotten.len()), (0, 1));
        // And nobody who is not told any more.
        let plan = NoticePlan::of(&a, &[row("a", Some(0), 0, 0)], &["other"], at(1));
        assert_eq!(plan.forgotten, vec![("a".to_owned(), "owner".to_owned())]);
        assert_eq!(plan.tellings[0].notifier, "other");
    }

    proptest! {
        /// Against a naive model: whoever could be told each time has heard of every beginning and every end in turn.
        #[test]
        fn beginnings_and_ends_alternate(stands in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..60)) {
            let (mut kept, mut heard): (Vec<KeptNotice>, Vec<Change>) = (Vec::new(), Vec::new());
            for (hour, (is_standing, goes_out)) in (0_i64..).zip(stands) {
                let standing = if is_standing { vec![alert("a")] } else { Vec::new() };
                let now = at(hour * LONGEST_PAUSE_MINUTES);
                let plan = NoticePlan::of(&standing, &kept, &["owner"], now);
                kept.retain(|kept| !plan.forgotten.contains(&(kept.alert.clone(), kept.notifier.clone())));
                for item in plan.tellings.iter().flat_map(|telling| &telling.items) {
                    kept.retain(|kept| kept.alert != item.alert);
                    if goes_out {
                        heard.push(item.change);
                    }
                    if !(goes_out && item.change == Change::Over) {
                        let told = if goes_out { Some(now) } else { item.told };
                        let tries = if goes_out { 0 } else { item.tries + 1 };
                        kept.push(KeptNotice { told, tries, tried: now, ..row("a", None, 0, 0) });
                    }
                }
            }
            heard.retain(|change| *change != Change::Still);
            for (position, change) in heard.iter().enumerate() {
                let wanted = if position % 2 == 0 { Change::Begun } else { Change::Over };
                prop_assert_eq!(*change, wanted);
            }
        }
    }
}
