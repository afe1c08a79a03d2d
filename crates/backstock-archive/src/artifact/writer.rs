//! Writing an artifact: callers give plaintext, workers compress frames in parallel, one thread writes them in order.
//!
//! Data can be lost here. Nothing counts before [`ArtifactWriter::finish`] has returned: it waits for every frame and
//! makes the parts and their folder durable. The first failure ends the artifact; each later call tells it again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use backstock_host::Host;
use backstock_vocabulary::Codec;
use crossbeam_channel::{Receiver, Sender};

use super::encode::Encoder;
use super::frame_room::{FRAMES_LIMIT, FrameRoom};
use super::frame_table::FrameRow;
use super::passage::{FrameBytes, Passage};
use super::queue::{Failure, Queue};
use super::{
    Artifact, ArtifactOptions, FRAME_LIMIT_BYTES, FrameTable, Part, PartWriter, STORED_FRAME_LIMIT_BYTES,
    Storing,
};
use crate::digest::FrameHash;
use crate::error::{Error, Result};
use crate::layout;

struct Job {
    number: u64,
    plaintext: Vec<u8>,
    storing: Storing,
}

struct Stored {
    number: u64,
    frame: Passage,
    hash: FrameHash,
}

/// What the ordered writer has made durable.
type Written = (FrameTable, Vec<Part>);

/// Writes one artifact. Several threads may give frames at once.
pub struct ArtifactWriter {
    host: Host,
    folder: PathBuf,
    name: String,
    options: ArtifactOptions,
    queue: Arc<Queue>,
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Option<Written>>>,
}

/// The right and the duty to give the frame with one number. Dropped unused, it ends the artifact.
#[must_use = "a number that is reserved and never given ends the artifact"]
pub struct Ticket<'writer> {
    number: u64,
    queue: &'writer Queue,
    is_used: bool,
}

impl Ticket<'_> {
    /// The number that the frame will have.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.queue.fail(Failure::Died);
        }
    }
}

impl ArtifactWriter {
    /// Creates the first part, which must not exist, in a folder that must, and starts the threads.
    pub fn create(host: &Host, folder: &Path, name: &str, options: &ArtifactOptions) -> Result<Self> {
        Self::create_in(&FrameRoom::for_workers(options.workers), host, folder, name, options)
    }

    /// The same in memory that other artifacts use at the same time.
    pub fn create_in(
        room: &Arc<FrameRoom>,
        host: &Host,
        folder: &Path,
        name: &str,
        options: &ArtifactOptions,
    ) -> Result<Self> {
        let option = |what: String| Error::Option { artifact: name.to_owned(), what };
        if options.part_size_bytes == 0 {
            return Err(option("a part size of 0 bytes".to_owned()));
        }
        // Threads beyond the frames that may be on their way would have nothing to do, and compressors of their own.
        let workers = options.workers.clamp(1, FRAMES_LIMIT);
        let encoders =
            (0..workers).map(|_| Encoder::new(options)).collect::<Result<Vec<_>, _>>().map_err(option)?;
        let seal = options.seal.as_ref();
        let ended = options.ended.clone();
        let parts = PartWriter::long(host, folder, name, options.part_size_bytes, seal, ended)?;
        let parts = parts.with_reserve(options.reserve_bytes);
        let queue = Arc::new(Queue::new(name, room));
        let (jobs, waiting) = crossbeam_channel::unbounded();
        let (done, stored) = crossbeam_channel::unbounded();
        let mut this = Self {
            host: host.clone(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            options: options.clone(),
            queue: Arc::clone(&queue),
            jobs: Some(jobs),
            workers: Vec::with_capacity(workers),
            writer: None,
        };
        let cannot_start = |source| Error::io("start a thread for", &folder.join(name), source);
        for encoder in encoders {
            let (queue, waiting, done) = (Arc::clone(&queue), waiting.clone(), done.clone());
            let thread = std::thread::Builder::new().name("compress".to_owned());
            let (artifact, codec) = (name.to_owned(), options.codec);
            let run = move || compress(&queue, encoder, codec, &waiting, &done, artifact);
            this.workers.push(thread.spawn(run).map_err(cannot_start)?);
        }
        let thread = std::thread::Builder::new().name("write".to_owned());
        let run = move || write(&queue, parts, &stored);
        this.writer = Some(thread.spawn(run).map_err(cannot_start)?);
        Ok(this)
    }

    /// An empty buffer with room for a usual frame. It comes back by itself once given to [`Self::frame`].
    pub fn buffer(&self) -> Vec<u8> {
        self.queue.room.plaintexts.take()
    }

    /// The same for a frame that will be stored, which is shorter. What becomes no frame is to be given back.
    pub fn stored_buffer(&self) -> Vec<u8> {
        self.queue.room.stored.take()
    }

    /// Takes a buffer back whose content is somewhere else now.
    pub fn give_back(&self, buffer: Vec<u8>) {
        self.queue.room.stored.give_back(buffer);
    }

    /// Gives the next frame and returns its number, counted from 0. Waits while the workers are behind.
    ///
    /// # Errors
    /// A frame that is too long; or an earlier failure of this artifact, which is lost then.
    pub fn frame(&self, plaintext: Vec<u8>, storing: Storing) -> Result<u64> {
        self.check_size(&plaintext, storing)?;
        let number = self.queue.enter(None, plaintext.len() as u64)?;
        self.send(Job { number, plaintext, storing })
    }

    /// Takes the next number for a frame that is given later by [`Self::frame_at`], from any thread.
    pub fn reserve(&self) -> Result<Ticket<'_>> {
        Ok(Ticket { number: self.queue.reserve()?, queue: &self.queue, is_used: false })
    }

    /// Gives the frame that a number was reserved for. Waits while the workers are behind.
    ///
    /// # Errors
    /// As [`Self::frame`]; the artifact is lost then.
    pub fn frame_at(&self, mut ticket: Ticket<'_>, plaintext: Vec<u8>, storing: Storing) -> Result<u64> {
        self.check_size(&plaintext, storing)?;
        let number = self.queue.enter(Some(ticket.number), plaintext.len() as u64)?;
        ticket.is_used = true;
        self.send(Job { number, plaintext, storing })
    }

    fn check_size(&self, plaintext: &[u8], storing: Storing) -> Result<()> {
        let size_bytes = plaintext.len() as u64;
        let limit_bytes = match storing {
            Storing::Compress => FRAME_LIMIT_BYTES,
            Storing::Store => STORED_FRAME_LIMIT_BYTES as u64,
        };
        if size_bytes > limit_bytes {
            return Err(Error::FrameTooLong { artifact: self.name.clone(), size_bytes, limit_bytes });
        }
        Ok(())
    }

    fn send(&self, job: Job) -> Result<u64> {
        let number = job.number;
        match &self.jobs {
            Some(jobs) if jobs.send(job).is_ok() => Ok(number),
            _ => {
                self.queue.failed()?;
                Err(Error::FrameLost { artifact: self.name.clone(), number })
            }
        }
    }

    /// Waits for every frame, then makes parts and folder durable. Without any frame, an empty one is written: stock
    /// tools take an empty file for a broken one.
    pub fn finish(mut self) -> Result<Artifact> {
        if self.queue.is_untouched() {
            self.frame(Vec::new(), Storing::Compress)?;
        }
        let written = self.stop();
        self.queue.failed()?;
        let lost = |number| Error::FrameLost { artifact: self.name.clone(), number };
        if let Some(number) = self.queue.missing() {
            return Err(lost(number));
        }
        let (frames, parts) = written.ok_or_else(|| lost(0))?;
        Ok(Artifact {
            name: self.name.clone(),
            codec: self.options.codec,
            parts,
            plaintext_bytes: frames.plaintext_bytes(),
            stored_bytes: frames.stored_bytes(),
            frames,
        })
    }

    /// Gives the artifact up and removes its files.
    pub fn discard(mut self) -> Result<()> {
        self.stop();
        let remove = |path: PathBuf| {
            self.host.files.remove_file(&path).map_err(|source| Error::io("remove", &path, source))
        };
        let is_sealed = self.options.seal.is_some();
        let path = |number| self.folder.join(layout::part_name(&self.name, number, is_sealed));
        remove(path(None))?;
        for number in 1..=super::PART_LIMIT {
            let path = path(Some(number));
            match self.host.files.stat(&path) {
                Ok(Some(_)) => remove(path)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Ends the threads. The writer's answer is there unless something failed.
    fn stop(&mut self) -> Option<Written> {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A worker that died has told the queue.
            let _ = worker.join();
        }
        let written = self.writer.take().and_then(|writer| writer.join().ok().flatten());
        self.queue.end();
        written
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.queue.fail(Failure::Died);
            self.stop();
        }
    }
}

/// Tells the queue when its thread ends by a panic, so that nobody waits for ever.
struct Watch<'shared>(&'shared Queue);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Failure::Died);
        }
    }
}

fn compress(
    queue: &Arc<Queue>,
    mut encoder: Encoder,
    codec: Codec,
    waiting: &Receiver<Job>,
    done: &Sender<Stored>,
    artifact: String,
) {
    let _watch = Watch(queue);
    for Job { number, plaintext, storing } in waiting {
        if queue.failed().is_err() {
            return;
        }
        // The limit of a frame's length keeps it far below 2^32.
        let plaintext_bytes = u32::try_from(plaintext.len()).unwrap_or(u32::MAX);
        let bytes = match storing {
            Storing::Store => FrameBytes::around(codec, plaintext),
            Storing::Compress => {
                let mut bytes = queue.room.outputs.take();
                if let Err(what) = encoder.encode(&plaintext, &mut bytes) {
                    queue.fail(Failure::Error(Error::Compress { artifact, what }));
                    return;
                }
                queue.room.plaintexts.give_back(plaintext);
                FrameBytes::Encoded(bytes)
            }
        };
        let hash = bytes.hash();
        let frame = Passage::new(queue, bytes, plaintext_bytes);
        if done.send(Stored { number, frame, hash }).is_err() {
            return;
        }
    }
}

fn write(queue: &Queue, mut parts: PartWriter, stored: &Receiver<Stored>) -> Option<Written> {
    let _watch = Watch(queue);
    let mut table = FrameTable::default();
    let mut early = BTreeMap::new();
    for frame in stored {
        early.insert(frame.number, frame);
        while let Some(Stored { frame, hash, .. }) = early.remove(&table.len()) {
            let stored_bytes = u32::try_from(frame.bytes.size_bytes()).unwrap_or(u32::MAX);
            let row = FrameRow(stored_bytes, frame.plaintext_bytes, hash);
            let frame = Arc::new(frame);
            if let Err(error) = parts.write_frame(&frame) {
                queue.fail(Failure::Error(error));
                return None;
            }
            table.push(row);
            // Before it is let go of here: it cannot leave before it is in the file.
            queue.written();
        }
    }
    // An artifact that failed, or lacks a frame, is not worth a sync.
    if queue.failed().is_err() || queue.missing().is_some() {
        return None;
    }
    match parts.finish() {
        Ok(parts) => Some((table, parts)),
        Err(error) => {
            queue.fail(Failure::Error(error));
            None
        }
    }
}
