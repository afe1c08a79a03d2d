//! The memory that frames take on their way into files: artifacts that are written side by side share it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use backstock_host::memory::GIVEN_BACK_BYTES;
use crossbeam_channel::{Receiver, Sender};

use super::queue::Failure;
use super::{FRAME_SIZE_BYTES, STORED_FRAME_LIMIT_BYTES};

/// Room for the last statement or entry that makes a frame a little longer than it should be: one part in so many.
const ROOM_TO_SPARE: usize = 16;

/// So many frames may be on their way at the least: one is read, one compressed, one written.
const LEAST_FRAMES: usize = 3;

/// So many frames are on their way at the most, however many threads could compress: more would be more memory than is
/// promised.
pub(super) const FRAMES_LIMIT: usize = 6;

/// Where the frames of one artifact stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The number that the next frame gets.
    pub(super) next_number: u64,
    /// The number that the file lacks next.
    pub(super) next_to_write: u64,
    pub(super) in_flight_frames: usize,
    pub(super) in_flight_bytes: u64,
    /// Those of them that are in the file, and that somebody still looks at.
    pub(super) held_frames: usize,
    /// A frame of it is larger than all of the room and waits to be the only one.
    pub(super) waits_alone: bool,
    pub(super) failure: Option<Failure>,
    /// The artifact's threads have ended: what is still held takes no room of others.
    pub(super) has_ended: bool,
}

/// Bounded memory for frames on their way, and the buffers that they are in.
#[derive(Debug)]
pub struct FrameRoom {
    frames_limit: usize,
    bytes_limit: u64,
    /// One entry for each artifact that was begun here.
    standings: Mutex<Vec<Standing>>,
    changed: Condvar,
    pub(super) plaintexts: Buffers,
    pub(super) stored: Buffers,
    pub(super) outputs: Buffers,
}

impl FrameRoom {
    /// As much as so many compressing threads need to be busy, within a limit.
    pub fn for_workers(workers: usize) -> Arc<Self> {
        let frames = (workers.min(FRAMES_LIMIT) * 2).clamp(LEAST_FRAMES, FRAMES_LIMIT);
        // Some are being filled meanwhile.
        let shelf = frames + 3;
        Arc::new(Self {
            // Stored frames are short and need no time: more of them may wait.
            frames_limit: frames * 2,
            bytes_limit: frames as u64 * FRAME_SIZE_BYTES as u64,
            standings: Mutex::default(),
            changed: Condvar::new(),
            plaintexts: Buffers::given_back(shelf, FRAME_SIZE_BYTES),
            // Stored frames are short and may be twice as many; readers fill theirs long before.
            stored: Buffers::new(3 * shelf, STORED_FRAME_LIMIT_BYTES),
            outputs: Buffers::given_back(shelf, FRAME_SIZE_BYTES),
        })
    }

    /// Begins an artifact: its place among the others.
    pub(super) fn begin(&self) -> usize {
        let mut standings = self.lock();
        standings.push(Standing::default());
        standings.len() - 1
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed.
    pub(super) fn wait<'a>(&self, held: MutexGuard<'a, Vec<Standing>>) -> MutexGuard<'a, Vec<Standing>> {
        self.changed.wait(held).unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes where an artifact stands, and wakes everybody who waits.
    pub(super) fn change<T>(&self, place: usize, act: impl FnOnce(&mut Standing) -> T) -> T {
        let result = act(&mut self.lock()[place]);
        self.wake_all();
        result
    }

    /// Lets everybody who waits look again.
    pub(super) fn wake_all(&self) {
        self.changed.notify_all();
    }

    /// Whether a frame that counts so many bytes never fits beside another.
    pub(super) fn is_oversize(&self, size_bytes: u64) -> bool {
        size_bytes > self.bytes_limit
    }

    /// Whether one more frame of so many bytes has room beside what all artifacts have on the way.
    pub(super) fn fits(&self, standings: &[Standing], size_bytes: u64) -> bool {
        let present = || standings.iter().filter(|standing| !standing.has_ended);
        let frames: usize = present().map(|standing| standing.in_flight_frames).sum();
        let bytes: u64 = present().map(|standing| standing.in_flight_bytes).sum();
        frames < self.frames_limit && bytes + size_bytes <= self.bytes_limit
    }

    /// Gives the memory of all buffers back that nobody uses: something large comes.
    pub(super) fn forget_buffers(&self) {
        for buffers in [&self.plaintexts, &self.stored, &self.outputs] {
            buffers.kept.try_iter().for_each(drop);
        }
    }

    #[cfg(test)]
    pub(super) fn frames_limit(&self) -> usize {
        self.frames_limit
    }
}

/// Buffers that come back: fresh ones cost almost as much as compressing does.
#[derive(Debug)]
pub(super) struct Buffers {
    back: Sender<Vec<u8>>,
    kept: Receiver<Vec<u8>>,
    size_bytes: usize,
    /// What a fresh one has room for.
    capacity_bytes: usize,
}

impl Buffers {
    /// Keeps up to `limit` buffers for content of about so many bytes.
    fn new(limit: usize, size_bytes: usize) -> Self {
        let (back, kept) = crossbeam_channel::bounded(limit);
        Self { back, kept, size_bytes, capacity_bytes: size_bytes + size_bytes / ROOM_TO_SPARE }
    }

    /// The same for long ones, whose memory is to be the system's again when they are dropped.
    fn given_back(limit: usize, size_bytes: usize) -> Self {
        Self { capacity_bytes: GIVEN_BACK_BYTES, ..Self::new(limit, size_bytes) }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.kept.try_recv().unwrap_or_else(|_| Vec::with_capacity(self.capacity_bytes))
    }

    /// One that held twice as much, or never had the room, is not kept.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        let most_bytes = self.capacity_bytes.max(2 * self.size_bytes);
        if buffer.len() <= 2 * self.size_bytes && (self.size_bytes..=most_bytes).contains(&buffer.capacity())
        {
            buffer.clear();
            // A full shelf drops it.
            let _ = self.back.try_send(buffer);
        }
    }
}
