//! The time of day: the only file that reads the clock.

use std::fmt;

use jiff::Timestamp;

/// Tells the time of day. Ages and orders that matter never rest on it alone.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The machine's clock, set ahead or back: with failpoints a test may ask for it by `BACKSTOCK_CLOCK_HOURS`.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShiftedClock(i64);

#[cfg(feature = "failpoints")]
impl ShiftedClock {
    /// The clock that the environment asks for, if it does.
    pub(crate) fn wanted() -> Option<Self> {
        std::env::var("BACKSTOCK_CLOCK_HOURS").ok()?.parse().ok().map(Self)
    }
}

#[cfg(feature = "failpoints")]
impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = RealClock.now();
        now.checked_add(jiff::SignedDuration::from_hours(self.0)).unwrap_or(now)
    }
}
