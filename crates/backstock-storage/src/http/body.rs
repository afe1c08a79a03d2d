//! Bodies of requests from the spool: slice by slice, each one allowed by the upload before it is sent.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use backstock_host::ReadFile;
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::sync::mpsc;

use super::{Act, Http};
use crate::buffers::Buffers;
use crate::remote_tree::Progress;
use crate::source::{Source, fill};
use crate::{Error, ObjectName, Result, Upload};

/// The longest slice that is sent at once, in bytes.
const SLICE_BYTES: usize = 64 << 10;
/// Bytes that are read from the disk at once.
const READ_BYTES: usize = 1 << 20;
/// Slices that wait between the disk and the connection.
const SLICES_WAITING: usize = 2;

/// A piece of a spooled part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// The object that it becomes, or a part of it.
    pub(crate) name: &'a ObjectName,
    /// The file.
    pub(crate) path: &'a Path,
    /// Where the piece begins in it.
    pub(crate) offset_bytes: u64,
    /// How long it is.
    pub(crate) length_bytes: u64,
}

pub(super) fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(SLICES_WAITING);
    let slices = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async {
        let slice = receiver.recv().await?;
        Some((Ok::<_, io::Error>(slice), receiver))
    });
    (sender, Body::wrap_stream(slices))
}

/// What a body is made of.
#[async_trait]
pub(super) trait Outgoing: Send {
    /// The next block; empty at the end.
    async fn next(&mut self, http: &Http) -> Result<Bytes>;

    /// Returns when so many bytes more may be sent.
    async fn before_sending(&self, bytes: u64) -> Result<()>;
}

/// A piece that is sent as far as `done_bytes`.
pub(super) struct OutgoingPiece<'a> {
    pub(super) piece: Piece<'a>,
    pub(super) upload: &'a dyn Upload,
    pub(super) file: Option<Arc<dyn ReadFile>>,
    pub(super) buffers: Buffers,
    pub(super) done_bytes: u64,
}

#[async_trait]
impl Outgoing for OutgoingPiece<'_> {
    async fn next(&mut self, http: &Http) -> Result<Bytes> {
        let wanted = block_bytes(self.piece.length_bytes - self.done_bytes);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let (files, path, file) = (http.files.clone(), self.piece.path.to_owned(), self.file.take());
        let offset = self.piece.offset_bytes + self.done_bytes;
        let buffers = self.buffers.clone();
        let read = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::from(files.open(&path)?),
            };
            let mut bytes = buffers.take();
            bytes.resize(wanted, 0);
            read_exactly(&*file, offset, &mut bytes)?;
            Ok((file, buffers.lend(bytes)))
        });
        let read = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (file, bytes) = read.map_err(|error| spool_failed(http, self.piece.name, error))?;
        self.file = Some(file);
        self.done_bytes += wanted as u64;
        Ok(bytes)
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        self.upload.before_sending(bytes).await
    }
}

/// A source that is sent to its end.
pub(super) struct OutgoingSource<'a, 'b> {
    pub(super) source: &'a mut Source,
    pub(super) progress: &'a Progress<'b>,
}

#[async_trait]
impl Outgoing for OutgoingSource<'_, '_> {
    async fn next(&mut self, _http: &Http) -> Result<Bytes> {
        self.source.next(READ_BYTES as u64).await
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        self.progress.before_sending(bytes).await
    }
}

impl Http {
    /// Feeds a request until all is sent, or nobody wants more of it.
    pub(super) async fn feed(
        &self,
        act: Act<'_>,
        outgoing: &mut dyn Outgoing,
        sender: mpsc::Sender<Bytes>,
    ) -> Result<()> {
        loop {
            let mut bytes = outgoing.next(self).await?;
            if bytes.is_empty() {
                return Ok(());
            }
            while !bytes.is_empty() {
                let slice = bytes.split_to(SLICE_BYTES.min(bytes.len()));
                outgoing.before_sending(slice.len() as u64).await?;
                match tokio::time::timeout(self.patience.stall, sender.send(slice)).await {
                    Ok(Ok(())) => {}
                    // The request has ended; how, it tells itself.
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(self.stalled(act, "it stopped taking what it is sent")),
                }
            }
        }
    }
}

fn block_bytes(left: u64) -> usize {
    usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES)
}

pub(crate) fn read_exactly(file: &dyn ReadFile, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    let filled = fill(file, bytes, offset)?;
    if filled < bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn spool_failed(http: &Http, name: &ObjectName, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
            Error::PartChanged { name: name.clone(), difference: "it is missing or has another length" }
        }
        _ => http.io(Act { verb: "read the spooled part of", name: name.as_str() }, error),
    }
}

/// Reads a piece through `see`, a buffer at a time, on a thread where that may block. `see` comes back with what it has seen.
pub(crate) async fn read_piece<T: Send + 'static>(
    http: &Http,
    piece: Piece<'_>,
    mut seen: T,
    see: fn(&mut T, &[u8]),
) -> Result<T> {
    let (offset, length) = (piece.offset_bytes, piece.length_bytes);
    let read = with_file(http, piece.name, piece.path, move |file| {
        read_span(file, offset, length, |bytes| see(&mut seen, bytes))?;
        Ok(seen)
    });
    read.await
}

/// Opens a spooled part on a thread where reading may block.
pub(crate) async fn with_file<T: Send + 'static>(
    http: &Http,
    name: &ObjectName,
    path: &Path,
    work: impl FnOnce(&dyn ReadFile) -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let (files, path) = (http.files.clone(), path.to_owned());
    let worked = tokio::task::spawn_blocking(move || work(&*files.open(&path)?));
    let worked = worked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    worked.map_err(|error| spool_failed(http, name, error))
}

/// Reads so many bytes from a position on, a buffer at a time.
///
/// # Errors
///
/// `UnexpectedEof` where the file ends before.
pub(crate) fn read_span(
    file: &dyn ReadFile,
    mut offset: u64,
    mut left: u64,
    mut see: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while left > 0 {
        let wanted = block_bytes(left);
        bytes.resize(wanted, 0);
        read_exactly(file, offset, &mut bytes)?;
        see(&bytes);
        (offset, left) = (offset + wanted as u64, left - wanted as u64);
    }
    Ok(())
}
