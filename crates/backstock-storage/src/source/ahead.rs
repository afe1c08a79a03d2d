//! A thread that reads a part a little ahead of what is sent, and checks it on the way.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use backstock_host::ReadFile;
use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::buffers::Buffers;
use crate::check::Check;

/// Bytes that are read at a time.
pub(super) const READ_BYTES: u64 = 1 << 20;
/// Reads that wait to be sent.
const AHEAD: usize = 2;

/// What the thread gives.
enum Given {
    Block(Bytes),
    /// The end of the range, and whether everything was right.
    End(bool),
    Failed(io::Error),
}

/// Who reads ahead.
pub(super) struct Ahead {
    given: Receiver<Given>,
    is_right: Option<bool>,
}

impl Ahead {
    /// Begins to read a range.
    pub(super) fn begin(file: Arc<dyn ReadFile>, range: Range<u64>, check: Check) -> io::Result<Self> {
        let (give, given) = channel(AHEAD);
        let thread = std::thread::Builder::new().name("spooled".to_owned());
        // It ends with its receiver.
        thread.spawn(move || read(&*file, range, check, &give))?;
        Ok(Self { given, is_right: None })
    }

    /// The next bytes; nothing at the end of the file.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.given.recv().await {
            Some(Given::Block(block)) => Ok(Some(block)),
            Some(Given::End(is_right)) => {
                self.is_right = Some(is_right);
                Ok(None)
            }
            Some(Given::Failed(error)) => Err(error),
            None => Err(io::Error::other("the thread that reads the part is gone")),
        }
    }

    /// After the last bytes: whether all of them were right.
    pub(super) async fn is_right(&mut self) -> bool {
        if self.is_right.is_none() {
            drop(self.next().await);
        }
        self.is_right == Some(true)
    }
}

fn read(file: &dyn ReadFile, range: Range<u64>, mut check: Check, give: &Sender<Given>) {
    let buffers = Buffers::default();
    let mut position = range.start;
    while position < range.end {
        let wanted = (range.end - position).min(READ_BYTES);
        let mut block = buffers.take();
        block.resize(usize::try_from(wanted).unwrap_or(usize::MAX), 0);
        let filled = match fill(file, &mut block, position) {
            Ok(filled) => filled,
            Err(error) => {
                drop(give.blocking_send(Given::Failed(error)));
                return;
            }
        };
        block.truncate(filled);
        if block.is_empty() {
            break;
        }
        check.see(&block);
        position += filled as u64;
        let block = buffers.lend(block);
        if give.blocking_send(Given::Block(block)).is_err() {
            return;
        }
    }
    drop(give.blocking_send(Given::End(position == range.end && check.end())));
}

/// Reads until the buffer is full or the file ends; how many bytes that are.
pub(crate) fn fill(file: &dyn ReadFile, block: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
