//! The secrets of a storage in the catalog: one sealed text, opened only to open the storage.

use std::collections::BTreeMap;

use backstock_catalog::Storage as StorageRecord;
use backstock_host::{InstanceKey, Random, hex, seal};
use backstock_storage::Secret;
use backstock_vocabulary::StorageId;
use serde_json::Value;

use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Secrets by the names of their settings.
pub(super) type Secrets = BTreeMap<String, Secret>;

/// Whose secrets they are: they open for that storage alone.
fn purpose(storage: StorageId) -> String {
    format!("the secrets of the storage {storage}")
}

/// Seals secrets by their names; nothing where there are none.
pub(super) fn sealed(
    key: &InstanceKey,
    random: &dyn Random,
    storage: StorageId,
    secrets: &Secrets,
) -> Result<Option<String>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let exposed: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
    let act = || format!("sealing {}", purpose(storage));
    let bytes = serde_json::to_vec(&exposed).doing(act())?;
    let sealed = seal::seal(key, random, &purpose(storage), &bytes).doing(act())?;
    Ok(Some(hex::encode(&sealed)))
}

/// The secrets of a storage.
pub(super) fn opened(key: &InstanceKey, record: &StorageRecord) -> Result<Secrets> {
    let Some(text) = &record.sealed_secrets else { return Ok(Secrets::new()) };
    let act = || format!("opening {}", purpose(record.id));
    let sealed = hex::decode(text).map_err(std::io::Error::other);
    let opened = sealed.and_then(|sealed| seal::open(key, &purpose(record.id), &sealed));
    let opened = opened.map_err(|_| {
        OperationError::hinted(
            ErrorKind::Storage,
            format!("the secrets of the storage {} do not open with the key of this instance", record.title),
            "they were sealed by another instance; define the storage anew",
        )
    })?;
    serde_json::from_slice(&opened).doing(act())
}

/// The settings of a storage with its secrets among them.
pub(super) fn with_secrets(environment: &Environment, record: &StorageRecord) -> Result<Value> {
    let mut settings = record.settings.clone();
    let secrets = opened(&environment.key, record)?;
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(secrets.into_iter().map(|(name, secret)| (name, secret.expose().into())));
    }
    Ok(settings)
}
