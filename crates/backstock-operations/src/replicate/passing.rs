//! Parts on their way through the spool, of a set that keeps nothing on this machine: each goes when every destination is done with it.
//!
//! The spool is bounded. While it is full the shop is read no further, unless the place that the backup is made at has the oldest part
//! already: then those that still lack it leave the run, and get the backup from there later.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backstock_host::Host;

use crate::error::{OperationError, Result};

/// What parts of files may take in the spool, in bytes.
pub(super) const SPOOL_LIMIT_BYTES: u64 = 1 << 30;
/// How often to look, in a wait, whether somebody wants the run to end.
const LOOK: Duration = Duration::from_millis(200);

/// The lane of the place that the backup is made at.
pub(super) const HOME: usize = 0;

/// Parts on their way.
#[derive(Debug)]
pub(super) struct Passing {
    host: Host,
    limit_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Held>,
    /// Lanes that are still there.
    lanes: BTreeSet<usize>,
    /// What the place that the backup is made at has of it.
    home_bytes: u64,
    failure: Option<OperationError>,
}

/// A part in the spool.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    size_bytes: u64,
    /// The lanes that are not done with it.
    waiting: BTreeSet<usize>,
}

impl Passing {
    pub(super) fn new(host: &Host, limit_bytes: u64) -> Self {
        Self { host: host.clone(), limit_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more lane wants every part.
    pub(super) fn join(&self, lane: usize) {
        self.lock().lanes.insert(lane);
    }

    /// Whether a lane is still there.
    pub(super) fn has(&self, lane: usize) -> bool {
        self.lock().lanes.contains(&lane)
    }

    /// One more part lies in the spool.
    pub(super) fn add(&self, path: &Path, size_bytes: u64) {
        let mut state = self.lock();
        let waiting = state.lanes.clone();
        state.parts.push_back(Held { path: path.to_owned(), size_bytes, waiting });
    }

    /// A lane is done with a part.
    pub(super) fn done(&self, lane: usize, path: &Path) {
        let mut state = self.lock();
        for part in state.parts.iter_mut().filter(|part| part.path == path) {
            part.waiting.remove(&lane);
        }
        if let (HOME, Some(part)) = (lane, state.parts.iter().find(|part| part.path == path)) {
            state.home_bytes += part.size_bytes;
        }
        self.let_go(state);
    }

    /// A lane takes no further part.
    pub(super) fn leave(&self, lane: usize, failure: Option<OperationError>) {
        let mut state = self.lock();
        state.leave(lane);
        if state.failure.is_none() {
            state.failure = failure;
        }
        self.let_go(state);
    }

    /// Removes what nobody waits for. A file that cannot be removed goes with the spool.
    fn let_go(&self, mut state: MutexGuard<'_, State>) {
        let (gone, kept) =
            std::mem::take(&mut state.parts).into_iter().partition(|part| part.waiting.is_empty());
        state.parts = kept;
        drop(state);
        let gone: VecDeque<Held> = gone;
        for part in gone {
            if let Err(error) = self.host.files.remove_file(&part.path) {
                tracing::warn!("the part {} stays in the spool for now: {error}", part.path.display());
            }
        }
        self.changed.notify_all();
    }

    /// Waits until the spool has room for more, or the run cannot go on.
    pub(super) fn wait_for_room(&self) {
        let mut state = self.lock();
        while state.held_bytes() > self.limit_bytes && state.failure.is_none() {
            let late = state.parts.front().map(|part| part.waiting.clone()).unwrap_or_default();
            if !late.is_empty() && !late.contains(&HOME) {
                late.into_iter().for_each(|lane| state.leave(lane));
                self.let_go(state);
                state = self.lock();
                continue;
            }
            state = self
                .changed
                .wait_timeout(state, LOOK)
                .map_or_else(|error| error.into_inner().0, |held| held.0);
        }
    }

    /// Waits until the place that the backup is made at has every part; tells what it has got since it was told last, in bytes.
    pub(super) fn wait_for_home(&self, is_cancelled: &dyn Fn() -> bool, got: &dyn Fn(u64)) -> Result<()> {
        let mut told = 0;
        self.wait_until(is_cancelled, |state| {
            got(state.home_bytes - told);
            told = state.home_bytes;
            !state.parts.iter().any(|part| part.waiting.contains(&HOME))
        })
    }

    /// Waits until nobody waits for any part, or somebody wants the run to end.
    pub(super) fn wait_for_all(&self, is_cancelled: &dyn Fn() -> bool) {
        // The backup is made: what fails from now on is made good later.
        drop(self.wait_until(is_cancelled, |state| state.parts.is_empty()));
    }

    fn wait_until(
        &self,
        is_cancelled: &dyn Fn() -> bool,
        mut is_so: impl FnMut(&State) -> bool,
    ) -> Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            if is_so(&state) {
                return Ok(());
            }
            if is_cancelled() {
                return Err(crate::backup::interrupted());
            }
            state = self
                .changed
                .wait_timeout(state, LOOK)
                .map_or_else(|error| error.into_inner().0, |held| held.0);
        }
    }

    /// Whether the place that the backup is made at has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// Why it has, if so.
    pub(super) fn take_failure(&self) -> Option<OperationError> {
        self.lock().failure.take()
    }
}

impl State {
    fn held_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }

    fn leave(&mut self, lane: usize) {
        self.lanes.remove(&lane);
        for part in &mut self.parts {
            part.waiting.remove(&lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::error::ErrorKind;

    const OTHER: usize = 1;
    const BYTES: u64 = 100;

    struct Spool {
        folder: tempfile::TempDir,
        passing: Arc<Passing>,
    }

    impl Spool {
        /// Room for two parts, on their way to the first place and to another one.
        fn new() -> Self {
            let passing = Passing::new(&Host::real(), 2 * BYTES);
            passing.join(HOME);
            passing.join(OTHER);
            Self { folder: tempfile::tempdir().unwrap(), passing: Arc::new(passing) }
        }

        fn path(&self, part: u32) -> PathBuf {
            self.folder.path().join(part.to_string())
        }

        fn add(&self, part: u32) {
            std::fs::write(self.path(part), "a part").unwrap();
            self.passing.add(&self.path(part), BYTES);
        }

        fn parts(&self) -> usize {
            self.folder.path().read_dir().unwrap().count()
        }

        /// Waits for room on a thread of its own; whether it has it is told.
        fn wait_beside(&self) -> (std::thread::JoinHandle<()>, Arc<AtomicBool>) {
            let (passing, has_room) = (Arc::clone(&self.passing), Arc::new(AtomicBool::new(false)));
            let tell = Arc::clone(&has_room);
            let thread = std::thread::spawn(move || {
                passing.wait_for_room();
                tell.store(true, Ordering::SeqCst);
            });
            (thread, has_room)
        }
    }

    #[test]
    fn a_part_goes_when_everybody_is_done_with_it() {
        let spool = Spool::new();
        spool.add(1);
        spool.passing.done(HOME, &spool.path(1));
        assert_eq!(spool.parts(), 1);
        spool.passing.done(OTHER, &spool.path(1));
        assert_eq!(spool.parts(), 0);
        spool.passing.wait_for_room();
        spool.passing.wait_for_all(&|| false);
    }

    #[test]
    fn a_full_spool_waits_for_the_place_that_the_backup_is_made_at() {
        let spool = Spool::new();
        (1..=3).for_each(|part| spool.add(part));
        let (thread, has_room) = spool.wait_beside();
        std::thread::sleep(3 * LOOK);
        assert!(!has_room.load(Ordering::SeqCst), "nobody has the oldest part yet");
        spool.passing.done(OTHER, &spool.path(1));
        spool.passing.done(HOME, &spool.path(1));
        thread.join().unwrap();
        assert!(spool.passing.has(OTHER) && spool.parts() == 2);
    }

    #[test]
    fn who_is_behind_by_the_whole_spool_leaves() {
        let spool = Spool::new();
        (1..=3).for_each(|part| spool.add(part));
        spool.passing.done(HOME, &spool.path(1));
        spool.passing.wait_for_room();
        assert!(!spool.passing.has(OTHER));
        assert_eq!(spool.parts(), 2, "what the first place has goes, and nothing else");
        spool.passing.done(HOME, &spool.path(2));
        spool.passing.done(HOME, &spool.path(3));
        let got = std::sync::atomic::AtomicU64::new(0);
        let tell = |bytes| {
            got.fetch_add(bytes, Ordering::SeqCst);
        };
        spool.passing.wait_for_home(&|| false, &tell).unwrap();
        assert_eq!((got.into_inner(), spool.parts()), (3 * BYTES, 0));
    }

    #[test]
    fn when_the_first_place_fails_nobody_waits_for_ever() {
        let spool = Spool::new();
        (1..=3).for_each(|part| spool.add(part));
        let (thread, _) = spool.wait_beside();
        spool.passing.leave(HOME, Some(OperationError::plain(ErrorKind::Storage, "it is full")));
        thread.join().unwrap();
        assert!(spool.passing.has_failed());
        let failed = spool.passing.wait_for_home(&|| false, &|_| ()).unwrap_err();
        assert_eq!(failed.to_string(), "it is full");
        let spool = Spool::new();
        spool.add(1);
        let stopped = spool.passing.wait_for_home(&|| true, &|_| ()).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    }
}
