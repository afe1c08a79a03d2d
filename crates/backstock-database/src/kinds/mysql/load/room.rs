//! How much of a dump a load holds in memory at the same time, over all of its connections: rows may be large, and four
//! of them at once would be four times the memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The text of so many bytes is held at the same time: that of four usual frames, each of which takes as much again and
/// more while it is decoded and sent.
const LIMIT_BYTES: u64 = 20 * 1024 * 1024;

/// What the connections of a load share.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Held by the one who waits, so that none overtakes a large one for ever.
    turn: Mutex<()>,
    taken_bytes: Mutex<u64>,
    left: Condvar,
}

/// Room that is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    /// Waits until so many bytes find room. What is larger than all of it is let in alone.
    pub(super) fn take(&self, bytes: u64) -> Taken<'_> {
        let _turn = lock(&self.turn);
        let mut taken = lock(&self.taken_bytes);
        while *taken > 0 && *taken + bytes > LIMIT_BYTES {
            taken = self.left.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Taken { room: self, bytes }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.room.taken_bytes) -= self.bytes;
        self.room.left.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn all_that_is_held_at_once_has_room_or_is_alone() {
        let room = Room::default();
        let (held, largest) = (AtomicU64::new(0), AtomicU64::new(0));
        let sizes = [4 * MIB, 9 * MIB, 40 * MIB, 0, 19 * MIB];
        thread::scope(|scope| {
            for at in 0..4 {
                let (room, held, largest) = (&room, &held, &largest);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let bytes = sizes[(at * 3 + turn) % sizes.len()];
                        let taken = room.take(bytes);
                        let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        largest.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        // What is nothing takes no room, and may be held beside one that is let in alone.
                        assert!(now <= LIMIT_BYTES || now == bytes || bytes == 0, "{now}");
                        held.fetch_sub(bytes, Ordering::SeqCst);
                        drop(taken);
                    }
                });
            }
        });
        assert_eq!((*lock(&room.taken_bytes), largest.into_inner()), (0, 40 * MIB));
    }

    #[test]
    fn usual_frames_are_held_four_at_a_time() {
        let room = Room::default();
        let _four = [(); 4].map(|()| room.take(5 * MIB));
        assert_eq!(*lock(&room.taken_bytes), LIMIT_BYTES);
    }
}
