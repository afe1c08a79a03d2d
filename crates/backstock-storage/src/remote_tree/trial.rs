//! What tests of storages on servers share: a spooled part, an upload that remembers how far it got.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use backstock_host::Host;
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

    fn part<'a>(&self, path: &'a std::path::Path) -> SpooledPart<'a> {
        let sha256 = digest(&SHA256, &self.bytes).as_ref().try_into().unwrap();
        SpooledPart { path, size_bytes: self.bytes.len() as u64, sha256, may_consume: false }
    }

    /// Puts it.
    pub(crate) async fn put(&self, storage: &dyn Storage, name: &str, upload: &dyn Upload) -> Result<()> {
        storage.put(&name.parse().unwrap(), &self.part(&self.path()), upload).await.map(|_| ())
    }

    /// Puts it in the place of what is there.
    pub(crate) async fn replace(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        storage.replace(&name.parse().unwrap(), &self.part(&self.path())).await.map(|_| ())
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
