//! Trying again: what the network or a busy server made fail is done once more after a pause, as long as that leads anywhere.

use std::time::Duration;

use backstock_storage::Error;
use backstock_vocabulary::ErrorClass;

use crate::environment::Environment;
use crate::monitor::Monitor;

/// How long to wait before each further try. Progress begins the row anew.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(30),
];
/// A place that wants to be left alone for longer gets the rest with the next run.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often to look whether somebody wants the run to end.
const LOOK: Duration = Duration::from_millis(200);

/// Whoever tries again.
pub(super) struct Patience<'a> {
    environment: &'a Environment,
    monitor: &'a dyn Monitor,
    tries: usize,
}

impl<'a> Patience<'a> {
    pub(super) fn new(environment: &'a Environment, monitor: &'a dyn Monitor) -> Self {
        Self { environment, monitor, tries: 0 }
    }

    /// Something was reached since the last failure.
    pub(super) fn begin_anew(&mut self) {
        self.tries = 0;
    }

    /// Waits before the next try. With `false` there is none: the error is final, or there were tries enough.
    pub(super) fn waits_after(&mut self, error: &Error) -> bool {
        let Some(pause) = pause_after(error, self.tries, self.jitter()) else { return false };
        self.tries += 1;
        tracing::info!(pause_ms = pause.as_millis(), "tried again after a pause: {error}");
        let mut left = pause;
        while !left.is_zero() {
            if self.monitor.is_cancelled() {
                return false;
            }
            let piece = left.min(LOOK);
            std::thread::sleep(piece);
            left -= piece;
        }
        !self.monitor.is_cancelled()
    }

    /// Does one small act, as often as it takes.
    pub(super) fn act<T, F>(mut self, act: impl Fn() -> F) -> backstock_storage::Result<T>
    where
        F: Future<Output = backstock_storage::Result<T>>,
    {
        loop {
            match self.environment.wait(act()) {
                Err(error) if self.waits_after(&error) => {}
                result => return result,
            }
        }
    }

    fn jitter(&self) -> u8 {
        let mut byte = [0];
        self.environment.host.random.fill(&mut byte);
        byte[0]
    }
}

/// The pause before the next try: what the place asks for, or what the row says, up to a quarter longer so that
/// destinations that failed together do not come back together.
fn pause_after(error: &Error, tries: usize, jitter: u8) -> Option<Duration> {
    if error.class() != ErrorClass::Retry {
        return None;
    }
    let pause = *PAUSES.get(tries)?;
    let asked = error.retry_after().unwrap_or_default();
    let pause = pause.max(asked);
    (pause <= LONGEST_PAUSE).then(|| pause + pause * u32::from(jitter) / (4 * u32::from(u8::MAX)))
}

#[cfg(test)]
mod tests {
    use backstock_storage::Cause;

    use super::*;

    fn refused(cause: Cause, retry_after_seconds: Option<u64>) -> Error {
        Error::Refused {
            act: "store",
            name: "x".into(),
            place: "the place".into(),
            cause,
            answer: "no".into(),
            retry_after_seconds,
        }
    }

    #[test]
    fn pauses_grow_honour_what_is_asked_for_and_end() {
        let busy = refused(Cause::Busy, None);
        let row: Vec<_> =
            (0..7).map(|tries| pause_after(&busy, tries, 0).map(|pause| pause.as_secs())).collect();
        assert_eq!(row, [Some(1), Some(2), Some(4), Some(8), Some(16), Some(30), None]);
        assert_eq!(pause_after(&busy, 2, u8::MAX), Some(Duration::from_secs(5)), "a quarter longer at most");
        let asked =
            |seconds| pause_after(&refused(Cause::Busy, Some(seconds)), 0, 0).map(|pause| pause.as_secs());
        assert_eq!([asked(0), asked(90), asked(300), asked(301)], [Some(1), Some(90), Some(300), None]);
        assert_eq!(pause_after(&refused(Cause::Full, Some(1)), 0, 0), None, "a person must do something");
        assert_eq!(pause_after(&refused(Cause::SignIn, None), 0, 0), None);
    }
}
