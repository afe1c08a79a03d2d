//! One upload: aside, compared, renamed; and where it goes on after it was cut off.

use backstock_host::hex;
use backstock_vocabulary::Proof;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{RemoteTree, TreeStorage};
use crate::source::Source;
use crate::{Cause, Error, ObjectName, PutReceipt, Result, ResumeState, Upload, unfinished};

/// Bytes that are read back at a time.
const READ_BACK_BYTES: u64 = 4 << 20;
/// The most bytes that are asked for at once before they are sent.
const ASKED_FOR_BYTES: u64 = 64 << 10;

/// What a later try needs to know.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The file that holds what has arrived.
    temporary: String,
    /// The SHA-256 of the bytes that it is to hold.
    sha256: String,
    /// How many of them need not be read back.
    durable_bytes: u64,
}

/// How an upload goes on, for the kind that sends it.
pub(crate) struct Progress<'a> {
    upload: &'a dyn Upload,
    temporary: &'a str,
    sha256: String,
}

impl Progress<'_> {
    /// Waits until so many bytes more may be sent. They are asked for a few at a time, so that nothing is sent in large gulps, and
    /// who wants to stop is heard soon.
    pub(crate) async fn before_sending(&self, bytes: u64) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let step = left.min(ASKED_FOR_BYTES);
            self.upload.before_sending(step).await?;
            left -= step;
        }
        Ok(())
    }

    /// The server has confirmed the first so many bytes, and so many of them as durable or as near to it as it can.
    pub(crate) fn reached(&self, confirmed_bytes: u64, durable_bytes: u64) -> Result<()> {
        let state = ResumeState(json!(State {
            temporary: self.temporary.to_owned(),
            sha256: self.sha256.clone(),
            durable_bytes,
        }));
        self.upload.reached(confirmed_bytes, &state)
    }
}

impl<T: RemoteTree> TreeStorage<T> {
    /// Stores an object under a name that is free, or holds these very bytes.
    pub(super) async fn store(
        &self,
        name: &ObjectName,
        source: Source,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        let (size_bytes, sha256) = (source.size_bytes(), source.sha256());
        if self.tree.look(name.as_str()).await?.is_some() {
            return self.settle(name, size_bytes, sha256).await;
        }
        let stored = self.upload_and_rename(name, source, upload, false).await;
        match stored {
            // The server refused the name: because it was taken meanwhile?
            Err(Error::Refused { act: "give its name to", .. })
                if self.tree.look(name.as_str()).await?.is_some() =>
            {
                self.settle(name, size_bytes, sha256).await
            }
            other => other,
        }
    }

    /// The name is taken: right if by these very bytes (an earlier try that was not recorded), else a conflict.
    async fn settle(&self, name: &ObjectName, size_bytes: u64, sha256: [u8; 32]) -> Result<PutReceipt> {
        let conflict = || Error::Conflict { name: name.clone(), place: self.tree.place().to_owned() };
        if self.file(name.as_str()).await?.map(|entry| entry.size_bytes) != Some(size_bytes) {
            return Err(conflict());
        }
        let mut hashed = Context::new(&SHA256);
        let mut offset = 0;
        while offset < size_bytes {
            let length = (size_bytes - offset).min(READ_BACK_BYTES);
            let bytes = self.tree.read(name.as_str(), offset, length).await?;
            if bytes.is_empty() {
                return Err(conflict());
            }
            hashed.update(&bytes);
            offset += bytes.len() as u64;
        }
        if hashed.finish().as_ref() == sha256 {
            Ok(PutReceipt::new(Proof::ReadBack))
        } else {
            Err(conflict())
        }
    }

    pub(super) async fn upload_and_rename(
        &self,
        name: &ObjectName,
        mut source: Source,
        upload: &dyn Upload,
        replaces: bool,
    ) -> Result<PutReceipt> {
        let temporary = unfinished::beside(name, &source.sha256());
        let sent = self.send(name, &temporary, &mut source, upload).await;
        let done = match sent {
            Ok(()) => self.finish(name, &temporary, source, replaces).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &done
            && (replaces || is_useless(error))
        {
            // Nobody goes on with what was to replace something. The first error tells more than one from cleaning up; what
            // stays is swept later.
            let _ = self.tree.remove_file(&temporary).await;
        }
        done.map(|()| PutReceipt::new(Proof::Size))
    }

    async fn send(
        &self,
        name: &ObjectName,
        temporary: &str,
        source: &mut Source,
        upload: &dyn Upload,
    ) -> Result<()> {
        let progress = Progress { upload, temporary, sha256: hex::encode(&source.sha256()) };
        let start = self.resume_at(temporary, source, upload).await?;
        if start == 0 {
            self.make_folders(name).await?;
        }
        source.skip_to(start).await?;
        self.tree.write(temporary, source, &progress).await
    }

    /// Where to go on: at the first byte that the server's file does not hold, or holds differently.
    async fn resume_at(&self, temporary: &str, source: &Source, upload: &dyn Upload) -> Result<u64> {
        let state = upload.resume().and_then(|state| State::deserialize(state.0).ok());
        let Some(state) = state
            .filter(|state| state.temporary == temporary && state.sha256 == hex::encode(&source.sha256()))
        else {
            return Ok(0);
        };
        let Some(present) = self.file(temporary).await? else { return Ok(0) };
        if present.size_bytes > source.size_bytes() || !self.tree.can_resume().await? {
            return Ok(0);
        }
        let mut at = state.durable_bytes.min(present.size_bytes);
        while at < present.size_bytes {
            let length = (present.size_bytes - at).min(READ_BACK_BYTES);
            let theirs = self.tree.read(temporary, at, length).await?;
            let ours = source.read_at(at, length).await?;
            let same = theirs.iter().zip(&ours).take_while(|(left, right)| left == right).count();
            at += same as u64;
            if (same as u64) < length {
                break;
            }
        }
        Ok(at)
    }

    /// Everything was sent: compares, and gives the object its name.
    async fn finish(&self, name: &ObjectName, temporary: &str, source: Source, replaces: bool) -> Result<()> {
        let size_bytes = source.size_bytes();
        source.check().await?;
        let stored = self.file(temporary).await?.map(|entry| entry.size_bytes);
        if stored != Some(size_bytes) {
            let stored = stored.map_or_else(|| "nothing".to_owned(), |stored| format!("{stored} bytes"));
            let answer = format!("{size_bytes} bytes were sent and confirmed, and {stored} are there");
            return Err(self.refused("store", name.as_str(), Cause::Garbled, answer));
        }
        self.tree.rename(temporary, name.as_str(), replaces).await
    }
}

/// Whether no later try can go on with what has arrived: the bytes are wrong, or there is no room for them. When the way was
/// cut, someone stopped it, or the owner must sign in again, it stays.
fn is_useless(error: &Error) -> bool {
    match error {
        Error::Refused { cause, .. } => matches!(cause, Cause::Garbled | Cause::Full | Cause::Unexpected),
        Error::PartChanged { .. } => true,
        other => other.is_full(),
    }
}
