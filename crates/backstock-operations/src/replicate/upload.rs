//! One part on its way to one destination: its journal, by which a later run goes on, and the pace that it keeps.
//!
//! A journal is a small file in the state folder, named after the object. It holds what the kind of the storage needs to go on,
//! and is believed only for the very bytes that it was written for; a kind asks its place whether it is so still.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backstock_archive::Sha256;
use backstock_host::{Host, hex};
use backstock_storage::{Error, ObjectName, ResumeState, Upload};
use backstock_vocabulary::StorageId;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::monitor::Monitor;

/// A journal of more bytes is none of ours.
const JOURNAL_LIMIT_BYTES: u64 = 4 << 20;
/// How often to look, in a wait for the pace, whether somebody wants the run to end.
const LOOK: Duration = Duration::from_millis(200);

/// How far the upload of an object got.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Journal {
    object: String,
    sha256: Sha256,
    state: ResumeState,
}

/// Where the journal of an object lies.
pub(super) fn journal_path(environment: &Environment, storage: StorageId, object: &ObjectName) -> PathBuf {
    let hash = digest(&SHA256, object.as_str().as_bytes());
    let name = hex::encode(hash.as_ref().get(..16).unwrap_or_default());
    environment.state.uploads(storage).join(format!("{name}.json"))
}

/// The object that a journal is about; `None` where it cannot be read.
pub(super) fn journaled_object(environment: &Environment, path: &Path) -> Option<String> {
    let bytes = environment.host.files.read(path, JOURNAL_LIMIT_BYTES).ok()?;
    serde_json::from_slice::<Journal>(&bytes).ok().map(|journal| journal.object)
}

/// Forgets the journal of an object that is there, or is not wanted any more.
pub(super) fn forget_journal(environment: &Environment, path: &Path) -> Result<()> {
    environment.host.files.remove_file(path).doing(format!("removing {}", path.display()))
}

/// The pace of one destination, shared by everything that goes there.
#[derive(Debug)]
pub(super) struct Pace {
    limiter: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    limits: Limits,
    zone: TimeZone,
}

impl Pace {
    pub(super) fn of(limits: Limits) -> Self {
        let limiter = limits.bytes_per_second.map(|limit| {
            let limit =
                NonZeroU32::new(u32::try_from(limit.bytes()).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
            // What may go at once is what a quarter of a second allows: the wait for it is short, too.
            let burst = NonZeroU32::new(limit.get() / 4).unwrap_or(NonZeroU32::MIN);
            (RateLimiter::direct(Quota::per_second(limit).allow_burst(burst)), burst)
        });
        Self { limiter, limits, zone: TimeZone::system() }
    }

    /// Whether anything may be sent now.
    pub(super) fn is_open(&self, host: &Host) -> bool {
        self.limits.hours.is_none_or(|hours| hours.allow(host.clock.now(), &self.zone))
    }
}

/// One part on its way.
pub(super) struct PartUpload<'a> {
    pub(super) host: &'a Host,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) pace: Arc<Pace>,
    pub(super) name: ObjectName,
    pub(super) place: String,
    pub(super) sha256: Sha256,
    pub(super) journal: PathBuf,
    /// What the journal holds since this try.
    pub(super) kept: Mutex<Option<ResumeState>>,
    /// What was let through to be sent, in bytes.
    pub(super) sent: AtomicU64,
    /// What the place has confirmed, in bytes.
    pub(super) confirmed: AtomicU64,
}

impl PartUpload<'_> {
    fn stopped(&self) -> Error {
        Error::Stopped { name: self.name.clone(), place: self.place.clone() }
    }

    fn require_wanted(&self) -> backstock_storage::Result<()> {
        if self.monitor.is_cancelled() || !self.pace.is_open(self.host) {
            Err(self.stopped())
        } else {
            Ok(())
        }
    }

    /// Writes the journal, where it does not hold this already: to make it durable takes as long as to send a MiB.
    fn keep(&self, state: &ResumeState) -> backstock_storage::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref() == Some(state) {
            return Ok(());
        }
        let object = self.name.as_str().to_owned();
        let journal = Journal { object, sha256: self.sha256, state: state.clone() };
        let bytes = serde_json::to_vec(&journal).map_err(|error| self.io(std::io::Error::other(error)))?;
        self.host.files.write_durably(&self.journal, &bytes).map_err(|error| self.io(error))?;
        *kept = Some(state.clone());
        Ok(())
    }

    fn io(&self, source: std::io::Error) -> Error {
        let name = self.journal.display().to_string();
        Error::Io { act: "keep the journal of an upload", name, place: "the state folder".into(), source }
    }
}

#[async_trait]
impl Upload for PartUpload<'_> {
    fn resume(&self) -> Option<ResumeState> {
        // One that cannot be read is as good as none: the upload begins anew.
        let bytes = self.host.files.read(&self.journal, JOURNAL_LIMIT_BYTES).ok()?;
        let journal: Journal = serde_json::from_slice(&bytes).ok()?;
        let is_of_these = journal.object == self.name.as_str() && journal.sha256 == self.sha256;
        is_of_these.then_some(journal.state)
    }

    fn reached(&self, confirmed_bytes: u64, state: &ResumeState) -> backstock_storage::Result<()> {
        self.keep(state)?;
        let before = self.confirmed.fetch_max(confirmed_bytes, Ordering::Relaxed);
        self.monitor.bytes(confirmed_bytes.saturating_sub(before));
        backstock_host::failpoint::reach("replicate.piece_confirmed").map_err(|error| self.io(error))
    }

    async fn before_sending(&self, bytes: u64) -> backstock_storage::Result<()> {
        self.require_wanted()?;
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        let Some((limiter, burst)) = &self.pace.limiter else { return Ok(()) };
        let mut left = bytes;
        while left > 0 {
            let piece = u32::try_from(left).unwrap_or(u32::MAX).min(burst.get());
            let Some(cells) = NonZeroU32::new(piece) else { break };
            let mut waiting = std::pin::pin!(limiter.until_n_ready(cells));
            // A piece is never more than the burst, so it is ready at some time.
            while tokio::time::timeout(LOOK, &mut waiting).await.is_err() {
                self.require_wanted()?;
            }
            left -= u64::from(piece);
        }
        Ok(())
    }
}

impl fmt::Debug for PartUpload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartUpload")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
