//! What an artifact's callers, workers and ordered writer share: room, order, the first failure, recycled buffers.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::FRAME_SIZE_BYTES;
use crate::error::{Error, Result};

/// Room for the last statement or entry that makes a frame a little longer than it should be: one part in so many.
const ROOM_TO_SPARE: usize = 16;

/// The first thing that went wrong; everybody who asks gets an equal error.
#[derive(Debug)]
pub(super) enum Failure {
    Error(Error),
    /// A worker or the writer died of a panic.
    Died,
}

#[derive(Debug, Default)]
struct State {
    /// The number that the next frame gets.
    next_number: u64,
    /// The number that the file lacks next.
    next_to_write: u64,
    in_flight_frames: usize,
    in_flight_bytes: u64,
    /// Those of them that are in the file, and that somebody still looks at.
    held_frames: usize,
    failure: Option<Failure>,
}

/// Bounded room for frames on their way into the file.
#[derive(Debug)]
pub(super) struct Queue {
    artifact: String,
    frames_limit: usize,
    bytes_limit: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(artifact: &str, workers: usize) -> Self {
        let frames = workers * 2 + 1;
        Self {
            artifact: artifact.to_owned(),
            // Stored frames are short and need no time: more of them may wait.
            frames_limit: frames * 2,
            bytes_limit: frames as u64 * FRAME_SIZE_BYTES as u64,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next frame, for one that is given later.
    pub(super) fn reserve(&self) -> Result<u64> {
        let mut state = self.lock();
        self.check(&state)?;
        let number = state.next_number;
        state.next_number += 1;
        Ok(number)
    }

    /// Waits until there is room for a frame. With no number given, gives the next one.
    ///
    /// The frame that the file lacks next never waits for those behind it: they hold their room until it is written. It
    /// does wait for those that are in the file, since they go by themselves.
    pub(super) fn enter(&self, reserved: Option<u64>, size_bytes: u64) -> Result<u64> {
        let mut state = self.lock();
        loop {
            self.check(&state)?;
            let is_next = reserved.unwrap_or(state.next_number) == state.next_to_write;
            let fits = state.in_flight_frames < self.frames_limit
                && state.in_flight_bytes + size_bytes <= self.bytes_limit;
            if fits || is_next && state.held_frames == 0 {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_flight_frames += 1;
        state.in_flight_bytes += size_bytes;
        Ok(reserved.unwrap_or_else(|| {
            state.next_number += 1;
            state.next_number - 1
        }))
    }

    /// The next frame is in the file. It is held until [`Self::leave`].
    pub(super) fn written(&self) {
        let mut state = self.lock();
        state.next_to_write += 1;
        state.held_frames += 1;
        self.changed.notify_all();
    }

    /// Nobody holds a frame any more that was given.
    pub(super) fn leave(&self, size_bytes: u64) {
        let mut state = self.lock();
        // One that is dropped after a failure was never in the file.
        state.held_frames = state.held_frames.saturating_sub(1);
        state.in_flight_frames -= 1;
        state.in_flight_bytes -= size_bytes;
        self.changed.notify_all();
    }

    /// Remembers the first failure and wakes whoever waits.
    pub(super) fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    /// Whether all frames that were given are written; else the number of the first that is not.
    pub(super) fn missing(&self) -> Option<u64> {
        let state = self.lock();
        (state.next_to_write != state.next_number).then_some(state.next_to_write)
    }

    /// Whether no frame was given or announced.
    pub(super) fn is_untouched(&self) -> bool {
        self.lock().next_number == 0
    }

    /// The failure, if there was one.
    pub(super) fn failed(&self) -> Result<()> {
        self.check(&self.lock())
    }

    fn check(&self, state: &State) -> Result<()> {
        match &state.failure {
            None => Ok(()),
            Some(Failure::Error(error)) => Err(same_error(error)),
            Some(Failure::Died) => {
                Err(Error::FrameLost { artifact: self.artifact.clone(), number: state.next_to_write })
            }
        }
    }
}

/// An equal error, since several callers may have to hear of it.
fn same_error(error: &Error) -> Error {
    let again = |source: &io::Error| match source.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(source.kind(), source.to_string()),
    };
    match error {
        Error::Io { act, path, source }
        | Error::DiskFull { act, path, source }
        | Error::FileTooLong { act, path, source } => Error::io(act, path, again(source)),
        Error::SyncFailed { path, source } => Error::sync(path, again(source)),
        Error::TooManyParts { artifact, limit } => {
            Error::TooManyParts { artifact: artifact.clone(), limit: *limit }
        }
        Error::FrameLost { artifact, number } => {
            Error::FrameLost { artifact: artifact.clone(), number: *number }
        }
        other => Error::Compress { artifact: String::new(), what: other.to_string() },
    }
}

/// Buffers that come back: fresh ones cost almost as much as compressing does.
#[derive(Debug)]
pub(super) struct Buffers {
    back: Sender<Vec<u8>>,
    kept: Receiver<Vec<u8>>,
    size_bytes: usize,
}

impl Buffers {
    /// Keeps up to `limit` buffers for content of about so many bytes.
    pub(super) fn new(limit: usize, size_bytes: usize) -> Self {
        let (back, kept) = crossbeam_channel::bounded(limit);
        Self { back, kept, size_bytes }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        let fresh = || Vec::with_capacity(self.size_bytes + self.size_bytes / ROOM_TO_SPARE);
        self.kept.try_recv().unwrap_or_else(|_| fresh())
    }

    /// One that grew to twice the size, or never had it, is not kept.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        if (self.size_bytes..=2 * self.size_bytes).contains(&buffer.capacity()) {
            buffer.clear();
            // A full shelf drops it.
            let _ = self.back.try_send(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Where hashing is slower than the disk, what is written must not let more and more in.
    #[test]
    fn frames_that_are_written_and_held_take_room() {
        let queue = Queue::new("files.tar.zst", 1);
        for number in 0..queue.frames_limit as u64 {
            assert_eq!(queue.enter(None, 1).unwrap(), number);
            queue.written();
        }
        std::thread::scope(|scope| {
            let next = scope.spawn(|| queue.enter(None, 1));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!next.is_finished());
            queue.leave(1);
            assert_eq!(next.join().unwrap().unwrap(), queue.frames_limit as u64);
        });
    }
}
