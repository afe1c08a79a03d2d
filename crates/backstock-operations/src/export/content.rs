//! What an export of settings says of a set: a form of its own, apart from how the catalog keeps it.

use std::collections::BTreeMap;

use backstock_catalog::{Destination, Run, RunDestination};
use backstock_storage::Secret;
use backstock_vocabulary::{
    BackupId, DestinationId, Outcome, RawText, RunId, RunKind, SetId, ShopId, StorageId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::retention::RetentionPolicy;
use crate::verify::VerifySchedule;

/// All of it.
#[derive(Serialize, Deserialize)]
pub(crate) struct SetContent {
    /// The shop.
    pub(crate) shop: ShopContent,
    /// The set.
    pub(crate) set: SetTitle,
    /// The storages that hold its backups or are to.
    pub(crate) storages: Vec<StorageContent>,
    /// Where its backups are copied to.
    pub(crate) destinations: Vec<DestinationContent>,
    /// Which backups are kept.
    pub(crate) policy: RetentionPolicy,
    /// How often they are checked.
    pub(crate) schedule: VerifySchedule,
    /// Backups that a person wants kept.
    pub(crate) pins: Vec<PinContent>,
    /// Suspect backups that a person has confirmed.
    pub(crate) confirmed: Vec<BackupId>,
    /// Exceptions that a person has accepted.
    pub(crate) accepted: Vec<ExceptionContent>,
    /// The newest runs first, as far as there is room.
    pub(crate) runs: Vec<RunContent>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ShopContent {
    pub(crate) id: ShopId,
    pub(crate) root: Option<RawText>,
    pub(crate) platform: String,
    pub(crate) title: String,
    pub(crate) created: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SetTitle {
    pub(crate) id: SetId,
    pub(crate) title: String,
    pub(crate) created: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StorageContent {
    pub(crate) id: StorageId,
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) settings: Value,
    /// The names of its secrets, also where they are not told.
    pub(crate) secret_names: Vec<String>,
    /// Its secrets: in a sealed export alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secrets: Option<Secrets>,
    pub(crate) created: Timestamp,
}

/// Secrets by the names of their settings, written out for what is sealed at once.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secrets(pub(crate) BTreeMap<String, Secret>);

impl Serialize for Secrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, secret)| (name, secret.expose())))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DestinationContent {
    pub(crate) id: DestinationId,
    pub(crate) storage: StorageId,
    pub(crate) path: String,
    pub(crate) copies: Option<u32>,
    pub(crate) is_on: bool,
    pub(crate) settings: Value,
    pub(crate) created: Timestamp,
}

impl DestinationContent {
    pub(super) fn of(row: Destination) -> Self {
        let Destination { id, storage, path, copies, is_on, settings, created, .. } = row;
        Self { id, storage, path, copies, is_on, settings, created }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PinContent {
    pub(crate) backup: BackupId,
    pub(crate) note: String,
    pub(crate) created: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ExceptionContent {
    pub(crate) kind: String,
    pub(crate) subject: RawText,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RunContent {
    pub(crate) id: RunId,
    pub(crate) kind: RunKind,
    pub(crate) outcome: Outcome,
    pub(crate) started: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) elapsed_ms: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) detail: Value,
    pub(crate) destinations: Vec<RunDestinationContent>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RunDestinationContent {
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) status: Outcome,
    pub(crate) message: String,
}

impl RunContent {
    pub(super) fn of(run: Run, destinations: Vec<RunDestination>) -> Self {
        let Run { id, kind, outcome, started, finished, elapsed_ms, error, detail, .. } = run;
        let destinations = destinations
            .into_iter()
            .map(|RunDestination { title, kind, status, message, .. }| RunDestinationContent {
                title,
                kind,
                status,
                message,
            })
            .collect();
        Self { id, kind, outcome, started, finished, elapsed_ms, error, detail, destinations }
    }

    /// As the catalog keeps it.
    pub(crate) fn into_run(self, shop: ShopId, set: &SetTitle) -> (Run, Vec<RunDestination>) {
        let Self { id, kind, outcome, started, finished, elapsed_ms, error, detail, destinations } = self;
        let destinations = destinations
            .into_iter()
            .map(|RunDestinationContent { title, kind, status, message }| RunDestination {
                storage: None,
                title,
                kind,
                status,
                message,
            })
            .collect();
        let run = Run {
            id,
            kind,
            shop: Some(shop),
            set: Some(set.id),
            set_title: set.title.clone(),
            outcome,
            started,
            finished,
            elapsed_ms,
            error,
            detail,
            process_id: 0,
            boot_id: String::new(),
        };
        (run, destinations)
    }
}
