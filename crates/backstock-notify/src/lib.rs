//! Who is told, and how: one small seam, one driver for each kind of way.
//!
//! A notifier takes a [`Notice`] and knows nothing of backups, catalogs or schedules. Kinds are listed in [`KINDS`]; every
//! kind passes the checks in [`contract`].

pub mod contract;
mod error;
mod kinds;
mod notice;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backstock_host::Host;

pub use error::{Cause, Error, Result};
pub use kinds::{KINDS, Kind, NotifierSettings};
pub use notice::{Notice, Severity};

/// How long one try to tell somebody may take, all of it together. What hangs, or answers for ever, is given up then (F141).
pub const SEND_LIMIT: Duration = Duration::from_secs(10);

/// What came of telling somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Who of several was refused for good, with the reason; the others were told.
    pub refused: Vec<String>,
}

/// A way to tell people.
#[async_trait]
pub trait Notifier: Send + Sync + Debug {
    /// Hands a notice over. Whoever calls it limits its time: see [`tell`].
    ///
    /// After `Ok` somebody else is answerable for it. After an error it may have gone out all the same, where only the answer
    /// was lost.
    async fn send(&self, notice: &Notice) -> Result<Receipt>;

    /// Where it goes, without secrets, as errors name it.
    fn place(&self) -> &str;
}

/// Tells, within a limit: [`SEND_LIMIT`] but for tests.
///
/// # Errors
///
/// [`Error::Late`] at the limit, else what the kind says.
pub async fn tell(notifier: &dyn Notifier, notice: &Notice, limit: Duration) -> Result<Receipt> {
    let late = || Error::Late { place: notifier.place().to_owned(), limit_seconds: limit.as_secs() };
    tokio::time::timeout(limit, notifier.send(notice)).await.map_err(|_| late())?
}

/// Opens a notifier. The first use of it makes the connection, not this call.
///
/// # Errors
///
/// [`Error::UnknownKind`] with the list of known kinds; [`Error::Settings`] when the settings do not fit the kind.
pub fn open(host: &Host, settings: &NotifierSettings) -> Result<Arc<dyn Notifier>> {
    let kind = KINDS.iter().find(|kind| kind.name == settings.kind);
    let kind = kind.ok_or_else(|| Error::UnknownKind { kind: settings.kind.clone() })?;
    (kind.open)(host, &settings.settings)
}
