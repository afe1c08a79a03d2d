//! Bytes to and from an FTP server, over a connection for data of their own for each piece.

use std::io;

use bytes::Buf;
use suppaftp::tokio::AsyncRustlsStream;
use suppaftp::{FtpError, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::Lease;
use super::fault::Failure;
use crate::Result;
use crate::patience::Patience;
use crate::remote_tree::Progress;
use crate::source::Source;

/// After so many bytes the server is asked to confirm what it has.
pub(super) const PIECE_BYTES: u64 = 64 << 20;
/// Bytes that are sent or received at a time.
const SLICE_BYTES: usize = 64 << 10;
/// How long a server that has cut an upload may take to say why, in seconds.
const REASON_LIMIT_SECONDS: u64 = 5;

type Transfer = suppaftp::tokio::TransferStream<AsyncRustlsStream>;

enum Direction {
    Up,
    Down,
}

async fn open(
    lease: &mut Lease<'_>,
    act: &'static str,
    path: &str,
    offset_bytes: u64,
    direction: &Direction,
) -> std::result::Result<Transfer, Failure> {
    loop {
        let offset = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        let patience = lease.patience();
        let ftp = lease.ftp();
        let opened = patience.answer(async {
            ftp.resume_transfer(offset).await?;
            match direction {
                Direction::Up => ftp.put_with_stream(path).await,
                Direction::Down => ftp.retr_as_stream(path).await,
            }
        });
        let opened = opened.await;
        match lease.note(act, path, opened) {
            Err(failure) if failure.is_unknown_command() && lease.use_older_passive_mode() => {}
            other => return other,
        }
    }
}

/// Sends the next bytes of a source to a file that holds what comes before, at most `limit_bytes` of them; at position 0 whatever the
/// file held is thrown away.
pub(super) async fn write_piece(
    lease: &mut Lease<'_>,
    path: &str,
    source: &mut Source,
    limit_bytes: u64,
    progress: &Progress<'_>,
) -> Result<()> {
    let end = source.position().saturating_add(limit_bytes).min(source.size_bytes());
    let mut transfer = open(lease, "store", path, source.position(), &Direction::Up).await?;
    let patience = lease.patience();
    // Until the server's answer to the whole is here, the connection counts as lost: an upload that ends before is not waited for.
    lease.ftp();
    while source.position() < end {
        let mut block = source.next(end - source.position()).await?;
        while !block.is_empty() {
            let length = block.len().min(SLICE_BYTES);
            progress.before_sending(length as u64).await?;
            let sent = patience.answer(transfer.write_all(&block[..length])).await;
            if let Err(error) = sent.and_then(|sent| sent) {
                return Err(reason(lease, path, transfer, error).await.into());
            }
            block.advance(length);
        }
    }
    let finished = patience.answer(transfer.finish()).await;
    Ok(lease.note("store", path, finished)?)
}

/// Why a server has cut an upload: what it says on the other connection, if it says anything.
async fn reason(lease: &mut Lease<'_>, path: &str, transfer: Transfer, error: io::Error) -> Failure {
    let stall = std::time::Duration::from_secs(REASON_LIMIT_SECONDS).min(lease.patience().stall);
    let short = Patience { stall, ..lease.patience() };
    let done = [Status::ClosingDataConnection, Status::RequestedFileActionOk];
    let told = if error.kind() == io::ErrorKind::TimedOut {
        Err(error)
    } else {
        match short.answer(lease.ftp().read_response_in(&done)).await {
            Ok(Err(FtpError::UnexpectedResponse(response))) => {
                Ok(Err(FtpError::UnexpectedResponse(response)))
            }
            _ => Err(error),
        }
    };
    let failure = lease.note::<()>("store", path, told).err();
    // The answer was read: the transfer would wait for one more.
    lease.ftp();
    drop(transfer);
    failure.unwrap_or_else(|| Failure::way("store", path, "", io::ErrorKind::ConnectionAborted.into()))
}

/// Reads from a file; fewer bytes only where it ends.
pub(super) async fn read(
    lease: &mut Lease<'_>,
    path: &str,
    offset_bytes: u64,
    length_bytes: u64,
) -> Result<Vec<u8>> {
    let mut transfer = open(lease, "read", path, offset_bytes, &Direction::Down).await?;
    let patience = lease.patience();
    lease.ftp();
    let length = usize::try_from(length_bytes).unwrap_or(usize::MAX);
    let received = receive(&patience, &mut transfer, length).await;
    let (bytes, is_end) = match received {
        Ok(received) => received,
        Err(error) => {
            return Err(lease.note::<()>("read", path, Err(error)).map_or_else(Into::into, |()| lost()));
        }
    };
    if is_end {
        let finished = patience.answer(transfer.finish()).await;
        lease.note("read", path, finished)?;
        return Ok(bytes);
    }
    // There is more than was asked for: closing the connection for data ends it. Servers answer that in several ways, and some
    // with the end of the connection; one that does not work on then is not used again.
    drop(transfer);
    let told = patience.answer(lease.ftp().noop()).await;
    if lease.note("read", path, told).is_err() {
        lease.ftp();
    }
    Ok(bytes)
}

fn lost() -> crate::Error {
    let source = io::ErrorKind::ConnectionAborted.into();
    crate::Error::Io { act: "read", name: String::new(), place: String::new(), source }
}

/// Receives so many bytes; and whether nothing comes after them.
async fn receive(patience: &Patience, transfer: &mut Transfer, length: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::with_capacity(length);
    let mut slice = vec![0; SLICE_BYTES];
    loop {
        // One byte more than wanted tells whether the file ends here.
        let wanted = (length - bytes.len()).clamp(1, SLICE_BYTES);
        let count = patience.answer(transfer.read(&mut slice[..wanted])).await??;
        if count == 0 {
            return Ok((bytes, true));
        }
        if bytes.len() == length {
            return Ok((bytes, false));
        }
        bytes.extend(&slice[..count]);
    }
}
