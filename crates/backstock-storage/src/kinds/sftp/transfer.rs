//! Bytes to and from an SFTP server, with several requests under way at once: one at a time would wait for the way there and
//! back for each of them.

use std::pin::Pin;

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};

use super::FILE_MODE;
use super::connection::Session;
use crate::Result;
use crate::remote_tree::Progress;
use crate::source::Source;

/// Bytes under way at once.
pub(super) const IN_FLIGHT_BYTES: u64 = 2 << 20;
/// After so many bytes it is recorded how far an upload is.
const RECORDED_BYTES: u64 = 8 << 20;
/// After so many bytes they are made durable there, while the next ones are sent. Twice as many at most are read back when an
/// upload goes on.
const DURABLE_BYTES: u64 = 32 << 20;

/// How far a file being written is.
#[derive(Clone, Copy)]
struct Written {
    confirmed: u64,
    recorded: u64,
    durable: u64,
    /// What is durable when the sync that is under way has come to its end.
    syncing: u64,
}

/// A sync that is under way; gives how many bytes are durable then.
type Syncing<'a> = Pin<Box<dyn Future<Output = Result<u64>> + Send + 'a>>;

/// Writes the rest of a source to a file.
pub(super) async fn write(
    session: &Session,
    path: &str,
    source: &mut Source,
    progress: &Progress<'_>,
) -> Result<()> {
    let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
    if source.position() == 0 {
        flags |= OpenFlags::TRUNCATE;
    }
    let attributes = FileAttributes { permissions: Some(FILE_MODE), ..FileAttributes::empty() };
    let opened = session.ask("create", path, session.sftp.open(path, flags, attributes)).await;
    let handle = opened?.handle;
    let written = write_all(session, &handle, path, source, progress).await;
    session.close(&handle).await;
    written
}

async fn write_all(
    session: &Session,
    handle: &str,
    path: &str,
    source: &mut Source,
    progress: &Progress<'_>,
) -> Result<()> {
    let start = source.position();
    let mut written = Written { confirmed: start, recorded: start, durable: start, syncing: start };
    let mut in_flight = FuturesOrdered::new();
    let mut syncing: Option<Syncing<'_>> = None;
    let slice_bytes = session.slices.write_bytes;
    progress.reached(start, start)?;
    loop {
        let mut at = source.position();
        let block = source.next(u64::MAX).await?;
        for slice in block.chunks(slice_bytes) {
            progress.before_sending(slice.len() as u64).await?;
            let (data, length) = (slice.to_vec(), slice.len() as u64);
            in_flight.push_back(async move { session.sftp.write(handle, at, data).await.map(|_| length) });
            at += length;
            // A request is sent when it is polled first: now, not when the window is full.
            while let Some(Some(done)) = in_flight.next().now_or_never() {
                written.confirmed += session.ask("write", path, async { done }).await?;
            }
            while in_flight.len() >= at_once(slice_bytes) {
                written.confirmed += confirmed(session, path, &mut in_flight).await?;
            }
        }
        if block.is_empty() {
            break;
        }
        if let Some(done) = syncing.as_mut().and_then(FutureExt::now_or_never) {
            (written.durable, syncing) = (done?, None);
        }
        if written.confirmed - written.syncing >= DURABLE_BYTES {
            // No more than one at a time: a disk that is slower than the line is waited for.
            if let Some(earlier) = syncing.take() {
                written.durable = earlier.await?;
            }
            written.syncing = written.confirmed;
            syncing = Some(Box::pin(sync_beside(session, handle, path, written.confirmed)));
        }
        if written.confirmed - written.recorded >= RECORDED_BYTES {
            progress.reached(written.confirmed, written.durable)?;
            written.recorded = written.confirmed;
        }
    }
    while !in_flight.is_empty() {
        written.confirmed += confirmed(session, path, &mut in_flight).await?;
    }
    if let Some(last) = syncing {
        last.await?;
    }
    sync(session, &session.sftp, handle, path).await?;
    progress.reached(written.confirmed, written.confirmed)
}

/// Makes what was written so far durable, over a second channel where there is one: otherwise the server writes nothing
/// meanwhile.
pub(super) async fn sync_beside(session: &Session, handle: &str, path: &str, confirmed: u64) -> Result<u64> {
    let beside = if session.extensions.fsync { session.beside().await } else { None };
    let Some(beside) = beside else {
        sync(session, &session.sftp, handle, path).await?;
        return Ok(confirmed);
    };
    let opened = beside.open(path, OpenFlags::WRITE, FileAttributes::empty());
    let handle = match session.ask("open", path, opened).await {
        Ok(opened) => opened.handle,
        Err(failure) if failure.is_of_the_way() => return Err(failure.into()),
        // A server that opens no file twice makes it durable where it is written.
        Err(_) => return sync(session, &session.sftp, handle, path).await.map(|()| confirmed),
    };
    let synced = sync(session, beside, &handle, path).await;
    // What was asked for is done; whether the file was closed too does not matter.
    let _ = session.ask("close", path, beside.close(&handle)).await;
    synced.map(|()| confirmed)
}

/// Makes a file durable, where the server can.
async fn sync(session: &Session, channel: &RawSftpSession, handle: &str, path: &str) -> Result<()> {
    if session.extensions.fsync {
        session.ask("make durable", path, channel.fsync(handle)).await?;
    }
    Ok(())
}

/// How many requests of such a length are under way at once.
fn at_once(slice_bytes: usize) -> usize {
    usize::try_from(IN_FLIGHT_BYTES).unwrap_or(usize::MAX) / slice_bytes
}

/// Waits for the oldest request; how many bytes it has written.
async fn confirmed<F: Future<Output = std::result::Result<u64, SftpError>>>(
    session: &Session,
    path: &str,
    in_flight: &mut FuturesOrdered<F>,
) -> Result<u64> {
    let done = session.ask("write", path, async { in_flight.next().await.unwrap_or(Ok(0)) }).await?;
    Ok(done)
}

/// Reads from a file; fewer bytes only where it ends.
pub(super) async fn read(
    session: &Session,
    path: &str,
    offset_bytes: u64,
    length_bytes: u64,
) -> Result<Vec<u8>> {
    let opened = session.sftp.open(path, OpenFlags::READ, FileAttributes::empty());
    let handle = session.ask("open", path, opened).await?.handle;
    let read = read_all(session, &handle, path, offset_bytes, length_bytes).await;
    session.close(&handle).await;
    read
}

async fn read_all(
    session: &Session,
    handle: &str,
    path: &str,
    offset_bytes: u64,
    length_bytes: u64,
) -> Result<Vec<u8>> {
    let end = offset_bytes.saturating_add(length_bytes);
    let mut next = offset_bytes;
    let mut bytes = Vec::with_capacity(usize::try_from(length_bytes).unwrap_or(0));
    let mut in_flight = FuturesOrdered::new();
    let slice_bytes = session.slices.read_bytes;
    loop {
        while in_flight.len() < at_once(slice_bytes) && next < end {
            let length = (end - next).min(slice_bytes as u64);
            in_flight.push_back(read_slice(session, handle, next, length));
            next += length;
        }
        if in_flight.is_empty() {
            return Ok(bytes);
        }
        let wait = async { in_flight.next().await.unwrap_or_else(|| Ok((Vec::new(), true))) };
        let (slice, is_end) = session.ask("read", path, wait).await?;
        bytes.extend(slice);
        if is_end {
            return Ok(bytes);
        }
    }
}

/// Reads one slice, asking again where the server gives less than was asked for; and whether the file ends in it.
async fn read_slice(
    session: &Session,
    handle: &str,
    offset: u64,
    length: u64,
) -> std::result::Result<(Vec<u8>, bool), SftpError> {
    let mut slice = Vec::new();
    while (slice.len() as u64) < length {
        let rest = u32::try_from(length - slice.len() as u64).unwrap_or(u32::MAX);
        match session.sftp.read(handle, offset + slice.len() as u64, rest).await {
            Ok(data) if data.data.is_empty() => return Ok((slice, true)),
            Ok(data) if data.data.len() as u64 > u64::from(rest) => return Err(SftpError::UnexpectedPacket),
            Ok(data) => slice.extend(data.data),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                return Ok((slice, true));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((slice, false))
}
