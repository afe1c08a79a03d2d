//! SHA-256 of parts as wholes and by blocks, beside the writing: on one thread they would be what an archive waits for.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use ring::digest::{Context, SHA256};

use super::BLOCK_SIZE_BYTES;
use super::passage::Passage;
use crate::digest::Sha256;

/// The hash of a part, and those of its blocks.
pub(super) type PartHashes = (Sha256, Vec<Sha256>);

fn finish(context: Context) -> Sha256 {
    Sha256::from_ring(&context.finish())
}

/// Hashes something of each part.
trait PartHasher: Send + 'static {
    type Hash: Send;

    fn update(&mut self, bytes: &[u8]);

    /// Ends a part, and begins the next.
    fn end_part(&mut self) -> Self::Hash;
}

/// Hashes a part as a whole, and its first block on the way: until its end both hashes are one.
struct Wholes {
    context: Context,
    size_bytes: u64,
    first_block: Option<Sha256>,
}

impl Wholes {
    fn new() -> Self {
        Self { context: Context::new(&SHA256), size_bytes: 0, first_block: None }
    }
}

impl PartHasher for Wholes {
    /// The whole, and its first block if there is one.
    type Hash = (Sha256, Option<Sha256>);

    fn update(&mut self, bytes: &[u8]) {
        let room = BLOCK_SIZE_BYTES.saturating_sub(self.size_bytes);
        let (first, later) = bytes.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
        self.context.update(first);
        self.size_bytes += bytes.len() as u64;
        if self.size_bytes >= BLOCK_SIZE_BYTES && self.first_block.is_none() {
            self.first_block = Some(finish(self.context.clone()));
        }
        self.context.update(later);
    }

    fn end_part(&mut self) -> Self::Hash {
        let ended = std::mem::replace(self, Self::new());
        let whole = finish(ended.context);
        let is_short = ended.size_bytes > 0 && ended.first_block.is_none();
        (whole, if is_short { Some(whole) } else { ended.first_block })
    }
}

/// Hashes every block of a part but its first.
struct LaterBlocks {
    context: Context,
    size_bytes: u64,
    blocks: Vec<Sha256>,
}

impl LaterBlocks {
    fn new() -> Self {
        Self { context: Context::new(&SHA256), size_bytes: 0, blocks: Vec::new() }
    }

    fn is_in_block(&self) -> bool {
        !self.size_bytes.is_multiple_of(BLOCK_SIZE_BYTES) && self.size_bytes > BLOCK_SIZE_BYTES
    }

    fn end_block(&mut self) {
        let block = std::mem::replace(&mut self.context, Context::new(&SHA256));
        self.blocks.push(finish(block));
    }
}

impl PartHasher for LaterBlocks {
    type Hash = Vec<Sha256>;

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_SIZE_BYTES - self.size_bytes % BLOCK_SIZE_BYTES;
            let (now, later) = bytes.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            let is_later = self.size_bytes >= BLOCK_SIZE_BYTES;
            if is_later {
                self.context.update(now);
            }
            self.size_bytes += now.len() as u64;
            if is_later && self.size_bytes.is_multiple_of(BLOCK_SIZE_BYTES) {
                self.end_block();
            }
            bytes = later;
        }
    }

    fn end_part(&mut self) -> Self::Hash {
        if self.is_in_block() {
            self.end_block();
        }
        std::mem::replace(self, Self::new()).blocks
    }
}

fn join_hashes((whole, first): (Sha256, Option<Sha256>), later: Vec<Sha256>) -> PartHashes {
    (whole, first.into_iter().chain(later).collect())
}

/// What a hashing thread is told, in the order of the file.
enum Told {
    Frame(Arc<Passage>),
    PartEnds,
}

struct HashingThread<H: PartHasher> {
    told: Sender<Told>,
    thread: JoinHandle<Vec<H::Hash>>,
}

impl<H: PartHasher> HashingThread<H> {
    fn start(name: &str, hasher: H) -> io::Result<Self> {
        let (told, hears) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new().name(name.to_owned());
        Ok(Self { told, thread: thread.spawn(move || hash(hasher, &hears))? })
    }

    /// A thread that has died shows when it is joined.
    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }

    fn join(self) -> Option<Vec<H::Hash>> {
        drop(self.told);
        self.thread.join().ok()
    }
}

fn hash<H: PartHasher>(mut hasher: H, told: &Receiver<Told>) -> Vec<H::Hash> {
    let mut parts = Vec::new();
    for told in told {
        match told {
            Told::Frame(frame) => frame.bytes.pieces(|piece| hasher.update(piece)),
            Told::PartEnds => parts.push(hasher.end_part()),
        }
    }
    parts
}

/// The hashes of an artifact's parts as they are written.
pub(super) struct Hashing(Place);

enum Place {
    /// On the thread that writes: for what is short.
    Here { wholes: Box<Wholes>, later: Box<LaterBlocks>, parts: Vec<PartHashes> },
    /// On two threads beside it, which look at each frame where it lies.
    Beside { wholes: HashingThread<Wholes>, later: HashingThread<LaterBlocks> },
}

impl Hashing {
    pub(super) fn here() -> Self {
        Self(Place::Here {
            wholes: Box::new(Wholes::new()),
            later: Box::new(LaterBlocks::new()),
            parts: Vec::new(),
        })
    }

    /// Starts the threads.
    pub(super) fn beside() -> io::Result<Self> {
        Ok(Self(Place::Beside {
            wholes: HashingThread::start("hash", Wholes::new())?,
            later: HashingThread::start("hash blocks", LaterBlocks::new())?,
        }))
    }

    /// The next frame of the part.
    pub(super) fn frame(&mut self, frame: &Arc<Passage>) {
        match &mut self.0 {
            Place::Here { wholes, later, .. } => frame.bytes.pieces(|piece| {
                wholes.update(piece);
                later.update(piece);
            }),
            Place::Beside { wholes, later } => {
                wholes.tell(Told::Frame(Arc::clone(frame)));
                later.tell(Told::Frame(Arc::clone(frame)));
            }
        }
    }

    /// The next bytes of the part, of what is hashed on this thread.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Place::Here { wholes, later, .. } = &mut self.0 {
            wholes.update(bytes);
            later.update(bytes);
        }
    }

    /// The part ends here.
    pub(super) fn end_part(&mut self) {
        match &mut self.0 {
            Place::Here { wholes, later, parts } => {
                parts.push(join_hashes(wholes.end_part(), later.end_part()));
            }
            Place::Beside { wholes, later } => {
                wholes.tell(Told::PartEnds);
                later.tell(Told::PartEnds);
            }
        }
    }

    /// The hashes of all parts that have ended; nothing if a thread has died.
    pub(super) fn finish(self) -> Option<Vec<PartHashes>> {
        match self.0 {
            Place::Here { parts, .. } => Some(parts),
            Place::Beside { wholes, later } => {
                let (wholes, later) = (wholes.join()?, later.join()?);
                Some(wholes.into_iter().zip(later).map(|(whole, later)| join_hashes(whole, later)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks are 64 MiB, so few lengths are tried: around the ends of the first and of the second.
    #[test]
    fn wholes_and_blocks_are_those_of_the_bytes() {
        let block = usize::try_from(BLOCK_SIZE_BYTES).unwrap();
        let bytes: Vec<u8> = (0..2 * block + 1).map(|at| (at >> 9).to_le_bytes()[0]).collect();
        let mut hashing = Hashing::here();
        let lengths = [0, 1, block - 1, block, block + 1, 2 * block, 2 * block + 1];
        for length in lengths {
            for piece in bytes[..length].chunks(10_000_019) {
                hashing.bytes(piece);
            }
            hashing.end_part();
        }
        let parts = hashing.finish().unwrap();
        for (length, (whole, blocks)) in lengths.into_iter().zip(parts) {
            assert_eq!(whole, Sha256::of(&bytes[..length]), "{length}");
            let expected: Vec<Sha256> = bytes[..length].chunks(block).map(Sha256::of).collect();
            assert_eq!(blocks, expected, "{length}");
        }
    }
}
