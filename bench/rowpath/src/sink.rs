//! Where a dump goes: into an artifact in a temporary folder, or into memory that is used again at once.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use backstock_archive::artifact::{ArtifactOptions, ArtifactWriter, Storing};
use backstock_database::{DumpSink, DumpTarget};
use backstock_host::Host;
use tempfile::TempDir;

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) text_bytes: u64,
    pub(crate) stored_bytes: u64,
}

/// An artifact, or nothing.
pub(crate) struct Target {
    folder: TempDir,
    options: Option<ArtifactOptions>,
    writer: Mutex<Option<Arc<ArtifactWriter>>>,
    nothing: Arc<Nothing>,
}

/// Takes frames and throws them away; their buffers are used again.
#[derive(Default)]
struct Nothing {
    frames: AtomicU64,
    text_bytes: AtomicU64,
    buffers: Mutex<Vec<Vec<u8>>>,
}

struct Sink(Option<Arc<ArtifactWriter>>, Arc<Nothing>);

impl Target {
    pub(crate) fn new(options: Option<ArtifactOptions>) -> io::Result<Self> {
        Ok(Self { folder: TempDir::new()?, options, writer: Mutex::default(), nothing: Arc::default() })
    }

    fn take(&self) -> Option<ArtifactWriter> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        writer.and_then(Arc::into_inner)
    }

    /// Makes the artifact durable.
    pub(crate) fn finish(&self, rows: u64) -> Result<Totals, Box<dyn Error>> {
        let mut totals =
            Totals { rows, text_bytes: self.nothing.text_bytes.load(Ordering::Relaxed), stored_bytes: 0 };
        if let Some(writer) = self.take() {
            let artifact = writer.finish()?;
            totals.text_bytes = artifact.plaintext_bytes;
            totals.stored_bytes = artifact.stored_bytes;
        }
        Ok(totals)
    }
}

impl DumpTarget for Target {
    fn begin(&self, _attempt: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        if let Some(earlier) = self.take() {
            earlier.discard().map_err(io::Error::other)?;
        }
        let Some(options) = &self.options else {
            return Ok(Box::new(Sink(None, Arc::clone(&self.nothing))));
        };
        let writer = ArtifactWriter::create(&Host::real(), self.folder.path(), "db.sql", options);
        let writer = Arc::new(writer.map_err(io::Error::other)?);
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&writer));
        Ok(Box::new(Sink(Some(writer), Arc::clone(&self.nothing))))
    }
}

impl DumpSink for Sink {
    fn buffer(&self) -> Vec<u8> {
        match &self.0 {
            Some(writer) => writer.buffer(),
            None => self.1.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default(),
        }
    }

    fn frame(&self, mut text: Vec<u8>) -> io::Result<u64> {
        if let Some(writer) = &self.0 {
            return writer.frame(text, Storing::Compress).map_err(io::Error::other);
        }
        self.1.text_bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        text.clear();
        self.1.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        Ok(self.1.frames.fetch_add(1, Ordering::Relaxed))
    }
}
