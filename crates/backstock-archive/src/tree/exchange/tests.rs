//! Tests of the exchange: against a naive model, and stopped at every point.

mod cases;
mod fixture;
mod kills;

use std::cell::Cell;
use std::io;

thread_local! {
    static POINTS_LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Stops the exchange at the given point from now, as a kill would: what was done stays done.
fn stop_at(points: Option<u64>) {
    POINTS_LEFT.set(points);
}

/// Called at every point between two acts.
pub(super) fn reach() -> io::Result<()> {
    match POINTS_LEFT.get() {
        Some(0) => Err(io::Error::other("stopped by the test")),
        Some(left) => {
            POINTS_LEFT.set(Some(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}
