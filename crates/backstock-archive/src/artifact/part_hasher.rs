//! The hashes of parts, beside the writing: on the thread that writes they would be what an archive waits for.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use ring::digest::{Context, SHA256};

use super::Part;
use super::block_hashes::BlocksHasher;
use super::passage::Passage;
use crate::digest::Sha256;

/// Who is told of each part once it is whole and on the disk, while later ones are still being written. While it is told, the artifact
/// waits as soon as its memory is full.
#[derive(Clone)]
pub struct PartEnded(Arc<dyn Fn(&Part) + Send + Sync>);

impl PartEnded {
    /// Whoever calls this.
    pub fn new(tell: impl Fn(&Part) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for PartEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartEnded").finish_non_exhaustive()
    }
}

/// Hashes parts one after the other.
struct PartHasher {
    whole: Context,
    blocks: BlocksHasher,
    parts: Vec<Part>,
    ended: Option<PartEnded>,
}

impl PartHasher {
    fn new(ended: Option<PartEnded>) -> Self {
        Self { whole: Context::new(&SHA256), blocks: BlocksHasher::default(), parts: Vec::new(), ended }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.blocks.update(bytes);
    }

    fn frame(&mut self, frame: &Passage) {
        frame.bytes.pieces(|piece| self.update(piece));
    }

    fn end_part(&mut self, name: String, size_bytes: u64) {
        let whole = std::mem::replace(&mut self.whole, Context::new(&SHA256));
        let part = Part {
            name,
            size_bytes,
            sha256: Sha256::from_ring(&whole.finish()),
            block_hashes: self.blocks.finish(),
            directory_blake3: None,
        };
        if let Some(PartEnded(tell)) = &self.ended {
            tell(&part);
        }
        self.parts.push(part);
    }
}

/// What the hashing thread is told, in the order of the file.
enum Told {
    Frame(Arc<Passage>),
    Run(Vec<u8>),
    PartEnds { name: String, size_bytes: u64 },
}

/// How many runs of sealed segments may wait for the hashing thread, each of 1 MiB.
const RUNS_LIMIT: usize = 2;

fn hash(told: &Receiver<Told>, given_back: &Sender<Vec<u8>>, ended: Option<PartEnded>) -> Vec<Part> {
    let mut hasher = PartHasher::new(ended);
    for told in told {
        match told {
            Told::Frame(frame) => hasher.frame(&frame),
            Told::Run(run) => {
                hasher.update(&run);
                // Nobody wants it any more behind the last part.
                drop(given_back.send(run));
            }
            Told::PartEnds { name, size_bytes } => hasher.end_part(name, size_bytes),
        }
    }
    hasher.parts
}

/// The hashes of an artifact's parts as they are written.
pub(super) struct Hashing(Place);

enum Place {
    /// On the thread that writes: for what is short.
    Here(Box<PartHasher>),
    /// On a thread beside it, which looks at each frame where it lies.
    Beside {
        told: Sender<Told>,
        thread: JoinHandle<Vec<Part>>,
        given_back: Receiver<Vec<u8>>,
        /// Buffers of runs that were made.
        runs: usize,
    },
}

impl Hashing {
    pub(super) fn here() -> Self {
        Self(Place::Here(Box::new(PartHasher::new(None))))
    }

    /// Starts the thread, which tells of each part that has ended.
    pub(super) fn beside(ended: Option<PartEnded>) -> io::Result<Self> {
        let (told, hears) = crossbeam_channel::unbounded();
        let (gives_back, given_back) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new().name("hash".to_owned());
        let thread = thread.spawn(move || hash(&hears, &gives_back, ended))?;
        Ok(Self(Place::Beside { told, thread, given_back, runs: 0 }))
    }

    /// The next frame of the part.
    pub(super) fn frame(&mut self, frame: &Arc<Passage>) {
        match &mut self.0 {
            Place::Here(hasher) => hasher.frame(frame),
            // A thread that has died shows when it is joined.
            Place::Beside { told, .. } => drop(told.send(Told::Frame(Arc::clone(frame)))),
        }
    }

    /// The next run of segments of a sealed part, in a buffer for whose place another one is given. Waits while the hashing is
    /// behind.
    pub(super) fn run(&mut self, run: Vec<u8>) -> Vec<u8> {
        match &mut self.0 {
            Place::Here(hasher) => {
                hasher.update(&run);
                run
            }
            Place::Beside { told, given_back, runs, .. } => {
                drop(told.send(Told::Run(run)));
                if *runs < RUNS_LIMIT {
                    *runs += 1;
                    return given_back.try_recv().unwrap_or_default();
                }
                // An end of the thread shows when it is joined.
                given_back.recv().unwrap_or_default()
            }
        }
    }

    /// The next bytes of the part, of what is hashed on this thread.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Place::Here(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
    }

    /// The part ends here. It is on the disk.
    pub(super) fn end_part(&mut self, name: String, size_bytes: u64) {
        match &mut self.0 {
            Place::Here(hasher) => hasher.end_part(name, size_bytes),
            Place::Beside { told, .. } => drop(told.send(Told::PartEnds { name, size_bytes })),
        }
    }

    /// All parts that have ended; nothing if the thread has died.
    pub(super) fn finish(self) -> Option<Vec<Part>> {
        match self.0 {
            Place::Here(hasher) => Some(hasher.parts),
            Place::Beside { told, thread, .. } => {
                drop(told);
                thread.join().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::BLOCK_SIZE_BYTES;
    use crate::artifact::block_hashes::BlockHashes;
    use crate::digest::Digest;

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
            hashing.end_part(length.to_string(), length as u64);
        }
        let parts = hashing.finish().unwrap();
        for (length, part) in lengths.into_iter().zip(parts) {
            assert_eq!((part.name, part.size_bytes), (length.to_string(), length as u64));
            assert_eq!(part.sha256, Sha256::of(&bytes[..length]), "{length}");
            let of = |block: &[u8]| Digest(*blake3::hash(block).as_bytes());
            let expected = bytes[..length].chunks(block).map(of).collect();
            assert_eq!(part.block_hashes, BlockHashes::Blake3(expected), "{length}");
        }
    }
}
