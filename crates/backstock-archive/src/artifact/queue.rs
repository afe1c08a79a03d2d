//! The order of an artifact's frames, between its callers, its workers and its ordered writer; and its first failure.

use std::io;
use std::sync::Arc;

use super::LARGE_FRAME_BYTES;
use super::frame_room::{FrameRoom, Standing};
use crate::error::{Error, Result};

/// What a frame counts whose plaintext has so many bytes. Of what is longer than usual, text and output are counted: a
/// row that long is of pictures, which do not get shorter.
fn counted_bytes(plaintext_bytes: u64) -> u64 {
    if plaintext_bytes > LARGE_FRAME_BYTES as u64 { 2 * plaintext_bytes } else { plaintext_bytes }
}

/// The first thing that went wrong; everybody who asks gets an equal error.
#[derive(Debug)]
pub(super) enum Failure {
    Error(Error),
    /// A worker or the writer died of a panic.
    Died,
}

/// One artifact's frames on their way into the file, in room that other artifacts may share.
#[derive(Debug)]
pub(super) struct Queue {
    artifact: String,
    pub(super) room: Arc<FrameRoom>,
    place: usize,
}

impl Queue {
    pub(super) fn new(artifact: &str, room: &Arc<FrameRoom>) -> Self {
        Self { artifact: artifact.to_owned(), room: Arc::clone(room), place: room.begin() }
    }

    fn seen<T>(&self, look: impl FnOnce(&Standing) -> T) -> T {
        look(&self.room.lock()[self.place])
    }

    /// The number of the next frame, for one that is given later.
    pub(super) fn reserve(&self) -> Result<u64> {
        self.room.change(self.place, |standing| {
            self.check(standing)?;
            let number = standing.next_number;
            standing.next_number += 1;
            Ok(number)
        })
    }

    /// Waits until there is room for a frame. With no number given, gives the next one.
    ///
    /// The frame that the file lacks next never waits for those behind it, nor for those of other artifacts: they hold
    /// their room until it is written. It does wait for those that are in its file, since they go by themselves. One that
    /// is larger than all of the room waits until other artifacts have nothing on the way, and they make way for it.
    pub(super) fn enter(&self, reserved: Option<u64>, plaintext_bytes: u64) -> Result<u64> {
        let size_bytes = counted_bytes(plaintext_bytes);
        let mut standings = self.room.lock();
        loop {
            self.check(&standings[self.place])?;
            if self.is_let_in(&standings, reserved, size_bytes) {
                break;
            }
            standings[self.place].waits_alone = self.room.is_oversize(size_bytes);
            standings = self.room.wait(standings);
        }
        let standing = &mut standings[self.place];
        if std::mem::take(&mut standing.waits_alone) {
            // Those that had to make way may go on beside it with what their files lack next.
            self.room.wake_all();
        }
        standing.in_flight_frames += 1;
        standing.in_flight_bytes += size_bytes;
        let number = reserved.unwrap_or_else(|| {
            standing.next_number += 1;
            standing.next_number - 1
        });
        drop(standings);
        if self.room.is_oversize(size_bytes) {
            self.room.forget_buffers();
        }
        Ok(number)
    }

    fn is_let_in(&self, standings: &[Standing], reserved: Option<u64>, size_bytes: u64) -> bool {
        let standing = &standings[self.place];
        let is_next = reserved.unwrap_or(standing.next_number) == standing.next_to_write;
        let is_needed = is_next && standing.held_frames == 0;
        let others = || {
            let others = standings.iter().enumerate().filter(|(place, _)| *place != self.place);
            others.map(|(_, other)| other).filter(|other| !other.has_ended)
        };
        if self.room.is_oversize(size_bytes) {
            is_needed && others().all(|other| other.in_flight_frames == 0)
        } else if others().any(|other| other.waits_alone) {
            is_needed && standing.in_flight_frames > 0
        } else {
            is_needed || self.room.fits(standings, size_bytes)
        }
    }

    /// The next frame is in the file. It is held until [`Self::leave`].
    pub(super) fn written(&self) {
        self.room.change(self.place, |standing| {
            standing.next_to_write += 1;
            standing.held_frames += 1;
        });
    }

    /// Nobody holds a frame any more that was given.
    pub(super) fn leave(&self, plaintext_bytes: u64) {
        self.room.change(self.place, |standing| {
            // One that is dropped after a failure was never in the file.
            standing.held_frames = standing.held_frames.saturating_sub(1);
            standing.in_flight_frames -= 1;
            standing.in_flight_bytes -= counted_bytes(plaintext_bytes);
        });
    }

    /// The artifact's threads have ended. After a failure, frames are left that nobody will take: others need their room.
    pub(super) fn end(&self) {
        self.room.change(self.place, |standing| standing.has_ended = true);
    }

    /// Remembers the first failure and wakes whoever waits.
    pub(super) fn fail(&self, failure: Failure) {
        self.room.change(self.place, |standing| {
            standing.failure.get_or_insert(failure);
            standing.waits_alone = false;
        });
    }

    /// Whether all frames that were given are written; else the number of the first that is not.
    pub(super) fn missing(&self) -> Option<u64> {
        self.seen(|standing| {
            (standing.next_to_write != standing.next_number).then_some(standing.next_to_write)
        })
    }

    /// Whether no frame was given or announced.
    pub(super) fn is_untouched(&self) -> bool {
        self.seen(|standing| standing.next_number == 0)
    }

    /// The failure, if there was one.
    pub(super) fn failed(&self) -> Result<()> {
        self.seen(|standing| self.check(standing))
    }

    fn check(&self, standing: &Standing) -> Result<()> {
        match &standing.failure {
            None => Ok(()),
            Some(Failure::Error(error)) => Err(same_error(error)),
            Some(Failure::Died) => {
                Err(Error::FrameLost { artifact: self.artifact.clone(), number: standing.next_to_write })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Long enough for a thread that may go on to do so.
    const A_WHILE: Duration = Duration::from_millis(50);

    fn full(queue: &Queue) -> u64 {
        let frames = queue.room.frames_limit() as u64;
        for number in 0..frames {
            assert_eq!(queue.enter(None, 1).unwrap(), number);
        }
        frames
    }

    /// Where hashing is slower than the disk, what is written must not let more and more in.
    #[test]
    fn frames_that_are_written_and_held_take_room() {
        let queue = Queue::new("files.tar.zst", &FrameRoom::for_workers(1));
        let frames = full(&queue);
        (0..frames).for_each(|_| queue.written());
        std::thread::scope(|scope| {
            let next = scope.spawn(|| queue.enter(None, 1));
            std::thread::sleep(A_WHILE);
            assert!(!next.is_finished());
            queue.leave(1);
            assert_eq!(next.join().unwrap().unwrap(), frames);
        });
    }

    /// Artifacts side by side have the room of one; each goes on with one frame at a time when the other has taken all.
    #[test]
    fn artifacts_share_their_room_and_none_stands_still() {
        let room = FrameRoom::for_workers(1);
        let (files, database) = (Queue::new("files.tar.zst", &room), Queue::new("db.sql.zst", &room));
        full(&files);
        assert_eq!(database.enter(None, 1).unwrap(), 0);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| database.enter(None, 1));
            std::thread::sleep(A_WHILE);
            assert!(!second.is_finished());
            database.written();
            std::thread::sleep(A_WHILE);
            assert!(!second.is_finished());
            database.leave(1);
            assert_eq!(second.join().unwrap().unwrap(), 1);
        });
    }

    /// What is larger than all of the room is beside no other, though others never pause.
    #[test]
    fn a_huge_frame_waits_until_others_have_made_way() {
        let room = FrameRoom::for_workers(1);
        let (files, database) = (Queue::new("files.tar.zst", &room), Queue::new("db.sql.zst", &room));
        let in_files = full(&files);
        std::thread::scope(|scope| {
            let huge = scope.spawn(|| database.enter(None, 100 << 20));
            while !database.seen(|standing| standing.waits_alone) {
                std::thread::yield_now();
            }
            let next = scope.spawn(|| files.enter(None, 1));
            for _ in 0..in_files {
                assert!(!huge.is_finished() && !next.is_finished());
                files.written();
                files.leave(1);
            }
            assert_eq!(huge.join().unwrap().unwrap(), 0);
            assert_eq!(next.join().unwrap().unwrap(), in_files);
        });
    }

    /// Whoever looked while the huge frame still waited is told that it does not wait any more.
    #[test]
    fn a_huge_frame_that_goes_wakes_those_that_made_way() {
        let room = FrameRoom::for_workers(1);
        let (files, database) = (Queue::new("files.tar.zst", &room), Queue::new("db.sql.zst", &room));
        room.change(database.place, |standing| standing.waits_alone = true);
        std::thread::scope(|scope| {
            let next = scope.spawn(|| files.enter(None, 1));
            std::thread::sleep(A_WHILE);
            assert!(!next.is_finished());
            assert_eq!(database.enter(None, 100 << 20).unwrap(), 0);
            assert_eq!(next.join().unwrap().unwrap(), 0);
        });
    }

    /// Frames of an artifact that failed are never written: others would wait for ever.
    #[test]
    fn an_artifact_that_has_ended_takes_no_room() {
        let room = FrameRoom::for_workers(1);
        let (files, database) = (Queue::new("files.tar.zst", &room), Queue::new("db.sql.zst", &room));
        full(&files);
        database.enter(None, 1).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| database.enter(None, 1));
            std::thread::sleep(A_WHILE);
            assert!(!second.is_finished());
            files.fail(Failure::Died);
            files.end();
            assert_eq!(second.join().unwrap().unwrap(), 1);
        });
        assert!(files.failed().is_err() && database.failed().is_ok());
        files.leave(1);
    }
}
