//! How much memory the threads of one piece of work hold at the same time: what is large may come to all of them at once.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A buffer that has room for so many bytes is the system's again as soon as it is dropped, and takes no more of it than was
/// written to: GNU's allocator keeps no block above 32 MiB for later (`DEFAULT_MMAP_THRESHOLD_MAX` of `mallopt(3)`).
pub const GIVEN_BACK_BYTES: usize = 33 << 20;

/// An empty buffer for so many bytes, which is large and is not kept: the system has it again as soon as it is dropped.
pub fn buffer_to_give_back(size_bytes: usize) -> Vec<u8> {
    Vec::with_capacity(size_bytes.max(GIVEN_BACK_BYTES))
}

/// So much of what is freed the allocator keeps for later, once a block of half that length was freed.
const KEPT_BYTES: usize = 8 << 20;

/// Lets buffers of some hundred KiB be made and dropped all the time at little cost. As it begins, GNU's allocator gives freed
/// memory back at once and takes it anew, a fault for each page: a fifth of the processor time of an upload by SFTP. What it
/// keeps grows with the longest block that it was ever given back (`M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` of `mallopt(3)`).
/// Elsewhere this does nothing.
pub fn keep_freed_buffers() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_BYTES / 2)));
}

/// Room for so many bytes, shared by those who hold it.
#[derive(Debug)]
pub struct Room {
    limit_bytes: u64,
    /// Held by the one who waits, so that none overtakes a large one for ever.
    turn: Mutex<()>,
    taken_bytes: Mutex<u64>,
    left: Condvar,
}

/// Room that is given back when this is dropped.
#[derive(Debug)]
pub struct Taken<R: Deref<Target = Room>> {
    room: R,
    bytes: u64,
}

impl Room {
    /// For so many bytes at once.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, turn: Mutex::default(), taken_bytes: Mutex::default(), left: Condvar::new() }
    }

    /// Waits until so many bytes find room. What is larger than all of it is let in alone.
    pub fn take(&self, bytes: u64) -> Taken<&Self> {
        self.wait(bytes);
        Taken { room: self, bytes }
    }

    /// The same for one who holds the room by himself.
    pub fn take_shared(self: &Arc<Self>, bytes: u64) -> Taken<Arc<Self>> {
        self.wait(bytes);
        Taken { room: Arc::clone(self), bytes }
    }

    /// All of it, for one who does not know yet how much he needs.
    pub fn take_all_shared(self: &Arc<Self>) -> Taken<Arc<Self>> {
        self.take_shared(self.limit_bytes)
    }

    /// How much is taken now.
    pub fn taken_bytes(&self) -> u64 {
        *lock(&self.taken_bytes)
    }

    fn wait(&self, bytes: u64) {
        let _turn = lock(&self.turn);
        let mut taken = lock(&self.taken_bytes);
        while *taken > 0 && *taken + bytes > self.limit_bytes {
            taken = self.left.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
    }
}

impl<R: Deref<Target = Room>> Taken<R> {
    /// Goes on with so many bytes, without waiting: those who hold room never wait for more.
    pub fn hold(&mut self, bytes: u64) {
        let mut taken = lock(&self.room.taken_bytes);
        *taken = *taken - self.bytes + bytes;
        self.bytes = bytes;
        self.room.left.notify_all();
    }
}

impl<R: Deref<Target = Room>> Drop for Taken<R> {
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
    const LIMIT_BYTES: u64 = 20 * MIB;

    #[test]
    fn all_that_is_held_at_once_has_room_or_is_alone() {
        let room = Room::new(LIMIT_BYTES);
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
        let room = Arc::new(Room::new(LIMIT_BYTES));
        let _four = [(); 4].map(|()| room.take_shared(5 * MIB));
        assert_eq!(*lock(&room.taken_bytes), LIMIT_BYTES);
    }

    #[test]
    fn one_who_needed_less_lets_others_in_and_one_who_needs_more_does_not_wait() {
        let room = Arc::new(Room::new(LIMIT_BYTES));
        let mut all = room.take_all_shared();
        assert_eq!(*lock(&room.taken_bytes), LIMIT_BYTES);
        all.hold(6 * MIB);
        let other = room.take_shared(14 * MIB);
        all.hold(50 * MIB);
        assert_eq!(*lock(&room.taken_bytes), 64 * MIB);
        drop((all, other));
        assert_eq!(*lock(&room.taken_bytes), 0);
    }
}
