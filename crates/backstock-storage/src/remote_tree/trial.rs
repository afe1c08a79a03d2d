//! What tests of storages on servers share: a spooled part, an upload that remembers how far it got.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use backstock_host::Host;
use backstock_vocabulary::Proof;
use ring::digest::{SHA256, digest};

use crate::{Cause, Error, Result, ResumeState, SpooledPart, Storage, Upload, contract};

/// A part in a spool folder of its own.
pub(crate) struct Spooled {
    folder: tempfile::TempDir,
    pub(crate) bytes: Vec<u8>,
}

impl Spooled {
    /// A part with random content.
    pub(crate) fn new(length_bytes: usize) -> Self {
        let mut bytes = vec![0; length_bytes];
        Host::real().random.fill(&mut bytes);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("part"), &bytes).unwrap();
        Self { folder, bytes }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("part")
    }

    fn part<'a>(&self, path: &'a Path) -> SpooledPart<'a> {
        let sha256 = digest(&SHA256, &self.bytes).as_ref().try_into().unwrap();
        SpooledPart { path, size_bytes: self.bytes.len() as u64, sha256, blocks: &[], may_consume: false }
    }

    /// Puts it.
    pub(crate) async fn put(&self, storage: &dyn Storage, name: &str, upload: &dyn Upload) -> Result<()> {
        self.prove(storage, name, upload).await.map(drop)
    }

    /// Puts it, and tells by what it is proven to be there.
    pub(crate) async fn prove(
        &self,
        storage: &dyn Storage,
        name: &str,
        upload: &dyn Upload,
    ) -> Result<Proof> {
        let path = self.path();
        let receipt = storage.put(&name.parse().unwrap(), &self.part(&path), upload).await?;
        Ok(receipt.proof)
    }

    /// Lets it take the place of what the name holds.
    pub(crate) async fn replace(&self, storage: &dyn Storage, name: &str) -> Result<Proof> {
        let path = self.path();
        Ok(storage.replace(&name.parse().unwrap(), &self.part(&path)).await?.proof)
    }
}

/// An upload that keeps its state, counts what is sent, and stops where a test says so.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    state: Mutex<Option<ResumeState>>,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) confirmed_bytes: AtomicU64,
}

#[async_trait::async_trait]
impl Upload for Remembered {
    fn resume(&self) -> Option<ResumeState> {
        self.state.lock().unwrap().clone()
    }

    fn reached(&self, confirmed_bytes: u64, state: &ResumeState) -> Result<()> {
        self.confirmed_bytes.store(confirmed_bytes, Ordering::Relaxed);
        *self.state.lock().unwrap() = Some(state.clone());
        Ok(())
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        assert!(bytes <= 64 << 10, "a slice of {bytes} bytes");
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// An upload in the middle of which something happens, once.
pub(crate) struct Hook {
    at_bytes: u64,
    sent_bytes: AtomicU64,
    happening: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Hook {
    /// It happens when so many bytes have been sent.
    pub(crate) fn at(at_bytes: u64, happening: impl FnOnce() + Send + 'static) -> Self {
        let happening = Mutex::new(Some(Box::new(happening) as _));
        Self { at_bytes, sent_bytes: AtomicU64::new(0), happening }
    }
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("at_bytes", &self.at_bytes).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Upload for Hook {
    fn resume(&self) -> Option<ResumeState> {
        None
    }

    fn reached(&self, _confirmed_bytes: u64, _state: &ResumeState) -> Result<()> {
        Ok(())
    }

    async fn before_sending(&self, bytes: u64) -> Result<()> {
        let before = self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before >= self.at_bytes
            && let Some(happening) = self.happening.lock().unwrap().take()
        {
            happening();
        }
        Ok(())
    }
}

/// What a refusal means.
pub(crate) fn cause(error: &Error) -> Option<Cause> {
    match error {
        Error::Refused { cause, .. } => Some(*cause),
        _ => None,
    }
}

/// Checks the contract.
pub(crate) async fn keeps_the_contract(storage: &dyn Storage, what: &str) {
    let spool = tempfile::tempdir().unwrap();
    if let Err(violation) = contract::check(&Host::real(), storage, spool.path()).await {
        let source = std::error::Error::source(&violation).map(ToString::to_string);
        panic!("{what}: {violation}: {source:?}");
    }
}
