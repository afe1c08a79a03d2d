//! The parts of an in-place load that concern code and names, with the functions of the swap.

use super::{Worker, code, constraints};
use crate::error::{Error, Result};

/// The account may not do this, in the server's numbers.
const ERRORS_NO_RIGHT: [u16; 6] = [1044, 1142, 1143, 1227, 1370, 1419];

/// A refused right becomes a line of the report: an in-place load does what the account may do.
fn tolerate(worker: &mut Worker<'_>, what: &str, outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error @ Error::Statement { .. })
            if error.code().is_some_and(|code| ERRORS_NO_RIGHT.contains(&code)) =>
        {
            worker.leave()?;
            worker.notes.push(format!("{what} stay as they are: {error}"));
            Ok(())
        }
        other => other,
    }
}

/// Before the rows: triggers and events that would act on them go.
pub(crate) fn remove_watchers(worker: &mut Worker<'_>) -> Result<()> {
    let outcome = code::remove_old(worker, code::is_event);
    tolerate(worker, "events", outcome)?;
    let outcome = code::remove_old(worker, code::is_trigger);
    tolerate(worker, "triggers", outcome)
}

/// After the rows: names, routines, triggers, views, and events with their recorded status.
pub(crate) fn finish(worker: &mut Worker<'_>) -> Result<()> {
    let outcome = constraints::name_new(worker);
    tolerate(worker, "foreign keys", outcome)?;
    let outcome = constraints::point_children(worker);
    tolerate(worker, "foreign keys of other tables", outcome)?;
    let kinds: [(&str, code::Takes); 4] = [
        ("routines", code::is_routine),
        ("triggers", code::is_trigger),
        ("views", code::is_view),
        ("events", code::is_event),
    ];
    for (what, takes) in kinds {
        let outcome = code::replace(worker, code::Side::New, takes);
        tolerate(worker, what, outcome)?;
    }
    let outcome = code::enable_events(worker);
    tolerate(worker, "events", outcome)
}
