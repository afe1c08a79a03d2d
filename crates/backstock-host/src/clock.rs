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

/// The machine's clock, so many seconds ahead or behind: for tests of clocks that jump.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShiftedClock {
    pub(crate) offset_seconds: i64,
}

#[cfg(feature = "failpoints")]
impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = RealClock.now();
        now.checked_add(jiff::SignedDuration::from_secs(self.offset_seconds)).unwrap_or(now)
    }
}
