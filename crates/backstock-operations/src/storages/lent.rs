//! A storage opened once with other credentials than those that are kept of it: for what the server itself may not do there.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstock_catalog::Storage as StorageRecord;
use backstock_storage::{KeepSecrets, KeptNowhere, Secret, Storage, StorageSettings};
use serde_json::Value;

use super::keeper::CatalogKeeper;
use super::{secrets, storage_kind};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// Settings and secrets by name, in the place of those that are kept; empty where there are none.
#[derive(Debug, Clone, Default)]
pub struct LentAccess {
    /// Settings that are no secrets, as they were written, such as the id of a key.
    pub settings: BTreeMap<String, String>,
    /// Secrets.
    pub secrets: BTreeMap<String, Secret>,
}

impl LentAccess {
    fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.secrets.is_empty()
    }
}

/// Opens a storage of the catalog with what was lent. Nothing of that is kept.
pub(crate) fn open_with(
    environment: &Environment,
    record: &StorageRecord,
    access: &LentAccess,
) -> Result<Arc<dyn Storage>> {
    let act = || format!("opening the storage {}", record.title);
    let refused = |problem: String| {
        OperationError::hinted(
            ErrorKind::Refused,
            format!("{}: {problem}", act()),
            format!("`backstock storage kinds {}` explains its settings", record.kind),
        )
    };
    let mut settings = secrets::with_secrets(environment, record)?;
    let fields = storage_kind(&record.kind)?.fields();
    let known = |name: &str, is_secret: bool| {
        let field = fields.iter().find(|field| field.name == name && field.is_secret == is_secret);
        field.ok_or_else(|| refused(format!("there is no such setting: {name}")))
    };
    if let Some(settings) = settings.as_object_mut() {
        for (name, text) in &access.settings {
            let value = known(name, false)?.parse(text).map_err(|problem| refused(problem.to_string()))?;
            settings.insert(name.clone(), value);
        }
        for (name, secret) in &access.secrets {
            known(name, true)?;
            settings.insert(name.clone(), Value::from(secret.expose()));
        }
    }
    // What a provider renews of lent credentials is not what the catalog keeps.
    let keep: Arc<dyn KeepSecrets> = match access.is_empty() {
        true => Arc::new(CatalogKeeper::of(environment, record.id)),
        false => Arc::new(KeptNowhere),
    };
    let settings = StorageSettings { kind: record.kind.clone(), settings };
    backstock_storage::open(&environment.host, &settings, keep).doing(act())
}
