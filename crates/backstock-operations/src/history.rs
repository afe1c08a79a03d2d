//! The log does not grow for ever: once a day what is old and of no more use is forgotten. Backups are no matter of it.

use std::collections::HashSet;

use backstock_vocabulary::RunId;
use jiff::{SignedDuration, Timestamp};

use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::restore::open_restores;

/// How long runs and their lines are kept, in days, where nothing else keeps them.
const KEPT_DAYS: i64 = 10;
/// The hour of the day (UTC) from which it is due.
const DUE_HOUR: i64 = 3;
/// How many runs are forgotten in one transaction.
const BATCH: u32 = 500;
/// Its name in the catalog.
const CHORE: &str = "forget-old-runs";
/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 3600;

/// Forgets runs of more than ten days ago, once for each day, at 03:00 UTC or as soon as somebody comes by after it. Kept are
/// runs that made a backup which is still known, the last of each kind, and what an open restore needs. Tells how many
/// were forgotten; `None` when it was not due.
pub fn forget_old_history(environment: &Environment) -> Result<Option<u64>> {
    let act = "forgetting old runs";
    let now = environment.host.clock.now();
    let last = environment.wait(environment.catalog.chore_done(CHORE)).doing(act)?;
    if !environment.may_write || !is_due(last, now) {
        return Ok(None);
    }
    let before = now.checked_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).unwrap_or(Timestamp::MIN);
    let needed: HashSet<RunId> = open_restores(environment)?.iter().map(|journal| journal.run).collect();
    let mut forgotten = 0;
    loop {
        let batch =
            environment.wait(environment.catalog.forget_old_runs(before, &needed, BATCH)).doing(act)?;
        forgotten += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    environment.wait(environment.catalog.record_chore(CHORE, now)).doing(act)?;
    Ok(Some(forgotten))
}

/// Whether 03:00 of a day has come since the last time. A clock that was set back makes it due again.
fn is_due(last: Option<Timestamp>, now: Timestamp) -> bool {
    let day = |time: Timestamp| (time.as_second() - DUE_HOUR * 3600).div_euclid(DAY_SECONDS);
    last.is_none_or(|last| day(last) != day(now))
}

#[cfg(test)]
mod tests {
    use backstock_host::{Host, SimulatedHost};
    use backstock_vocabulary::{Outcome, RunKind, ShopId};

    use super::*;
    use crate::run::{RunRecord, RunSubject};

    #[test]
    fn a_run_without_a_backup_is_forgotten_after_ten_days_and_the_last_of_its_kind_is_not() {
        let simulated = SimulatedHost::new(1);
        let host = Host { clock: simulated.host.clock.clone(), ..Host::real() };
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::open(&host, &folder.path().join("state")).unwrap();
        let shop = backstock_catalog::Shop {
            id: host.new_id(ShopId::from_parts),
            root: Some(b"/srv/candles".to_vec()),
            platform: "plain".to_owned(),
            title: "candles".to_owned(),
            created: host.clock.now(),
        };
        environment.wait(environment.catalog.save_shop(&shop)).unwrap();
        let subject = RunSubject {
            kind: RunKind::Verify,
            shop: shop.id,
            shop_title: shop.title.clone(),
            set: None,
            set_title: String::new(),
        };
        let run = || {
            let run = RunRecord::start(&environment, &subject, serde_json::json!({}), Vec::new()).unwrap();
            run.finish(&environment, Outcome::Success).unwrap();
        };
        let runs = || environment.wait(environment.catalog.list_runs(None, 10)).unwrap().len();
        run();
        run();
        assert_eq!(forget_old_history(&environment).unwrap(), Some(0), "none is old");
        simulated.clock.advance(SignedDuration::from_hours(9 * 24));
        assert_eq!((forget_old_history(&environment).unwrap(), runs()), (Some(0), 2));
        assert_eq!(forget_old_history(&environment).unwrap(), None, "once a day");
        simulated.clock.advance(SignedDuration::from_hours(2 * 24));
        assert_eq!((forget_old_history(&environment).unwrap(), runs()), (Some(1), 1));
        simulated.clock.advance(SignedDuration::from_hours(100 * 24));
        assert_eq!((forget_old_history(&environment).unwrap(), runs()), (Some(0), 1), "the last of its kind");
    }

    #[test]
    fn it_is_due_once_for_each_day_from_three_in_the_morning() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let night = at("2026-11-20T02:59:59Z");
        assert!(is_due(None, night));
        assert!(!is_due(Some(at("2026-11-19T03:00:00Z")), night));
        assert!(is_due(Some(night), at("2026-11-20T03:00:00Z")));
        assert!(!is_due(Some(at("2026-11-20T03:00:00Z")), at("2026-11-21T02:00:00Z")));
        assert!(is_due(Some(at("2026-11-20T23:00:00Z")), at("2026-11-21T03:00:00Z")));
        assert!(is_due(Some(at("2099-01-01T12:00:00Z")), night), "the clock was set right again");
        assert!(is_due(Some(at("1969-12-31T02:00:00Z")), at("1969-12-31T03:00:00Z")));
    }
}
