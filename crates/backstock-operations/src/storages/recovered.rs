//! Storages that an export of settings tells of: they come under their own ids and titles, sealed with the key of this instance.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use backstock_catalog::Storage as StorageRecord;
use backstock_storage::{KeptNowhere, LOCAL_KIND, Secret, StorageSettings};
use backstock_vocabulary::StorageId;
use serde::Serialize;
use serde_json::Value;

use super::{find, secrets, storage_kind};
use crate::backup::refuse_place;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::export::StorageContent;

/// What became of a storage that an export tells of.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredStorage {
    /// Its title here.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// Whether it was known here already, and stays as it is.
    pub is_known: bool,
    /// The title that it had, where that is taken here.
    pub former_title: Option<String>,
    /// Secrets that it had and the export does not tell: it cannot be used before they are given.
    pub missing_secrets: Vec<String>,
    /// Why it was not taken in, where it was not.
    pub problem: Option<String>,
}

/// Takes a storage in, unless it is known. Gives its id here.
pub(crate) fn take_in(
    environment: &Environment,
    content: StorageContent,
) -> Result<(Option<StorageId>, RecoveredStorage)> {
    let act = || format!("looking for the storage {}", content.title);
    let catalog = &environment.catalog;
    let mut recovered = RecoveredStorage {
        title: content.title.clone(),
        kind: content.kind.clone(),
        is_known: false,
        former_title: None,
        missing_secrets: Vec::new(),
        problem: None,
    };
    let by_id = environment.wait(catalog.find_storage(content.id)).doing(act())?;
    let by_place = catalog.find_storage_by_place(&content.kind, &content.settings);
    if let Some(known) = by_id.or(environment.wait(by_place).doing(act())?) {
        (recovered.title, recovered.is_known) = (known.title, true);
        return Ok((Some(known.id), recovered));
    }
    let given = content.secrets.map(|given| given.0).unwrap_or_default();
    let is_told = |name: &String| given.contains_key(name);
    recovered.missing_secrets = content.secret_names.iter().filter(|name| !is_told(name)).cloned().collect();
    if let Err(error) = require_possible(environment, &content.kind, &content.settings, &given, &recovered) {
        recovered.problem = Some(chain(&error));
        return Ok((None, recovered));
    }
    if environment.wait(catalog.find_storage_by_title(&content.title)).doing(act())?.is_some() {
        recovered.title = format!("{} ({})", content.title, content.id.short());
        recovered.former_title = Some(content.title.clone());
    }
    let random = environment.host.random.as_ref();
    let record = StorageRecord {
        id: content.id,
        title: recovered.title.clone(),
        kind: content.kind.clone(),
        settings: content.settings.clone(),
        sealed_secrets: secrets::sealed(&environment.key, random, content.id, &given)?,
        created: content.created,
    };
    let act = format!("recording the storage {}", record.title);
    environment.wait(catalog.save_storage(&record)).doing(act)?;
    Ok((Some(record.id), recovered))
}

/// What cannot be used here is not taken in: kinds and settings that are not known, folders that a web server hands out.
fn require_possible(
    environment: &Environment,
    kind: &str,
    settings: &Value,
    given: &BTreeMap<String, Secret>,
    recovered: &RecoveredStorage,
) -> Result<()> {
    storage_kind(kind)?;
    if let Some(folder) = settings.get("folder").and_then(Value::as_str).filter(|_| kind == LOCAL_KIND) {
        refuse_place("backups", "--set folder=…", Path::new(folder), &[], &[])?;
    }
    if !recovered.missing_secrets.is_empty() {
        return Ok(());
    }
    let settings = StorageSettings { kind: kind.to_owned(), settings: with(settings, given) };
    backstock_storage::open(&environment.host, &settings, Arc::new(KeptNowhere))
        .doing(format!("reading the settings of the storage {}", recovered.title))
        .map(drop)
}

fn with(settings: &Value, given: &BTreeMap<String, Secret>) -> Value {
    let mut settings = settings.clone();
    if let Some(settings) = settings.as_object_mut() {
        settings.extend(given.iter().map(|(name, secret)| (name.clone(), secret.expose().into())));
    }
    settings
}

/// The secrets that a storage cannot be without and that are not kept of it.
pub fn missing_secrets(environment: &Environment, title: &str) -> Result<Vec<String>> {
    let record = find(environment, title)?;
    let kept = secrets::opened(&environment.key, &record)?;
    let fields = storage_kind(&record.kind)?.fields().into_iter();
    Ok(fields
        .filter(|field| field.is_secret && field.is_required && !kept.contains_key(&field.name))
        .map(|field| field.name)
        .collect())
}

/// Gives a storage secrets, in the place of those that it has under the same names. Secrets that do not open here any more are gone.
///
/// # Errors
/// [`ErrorKind::Refused`] for what is no secret of its kind, and where its settings then make no sense.
pub fn give_secrets(environment: &Environment, title: &str, given: BTreeMap<String, Secret>) -> Result<()> {
    let record = find(environment, title)?;
    let fields = storage_kind(&record.kind)?.fields();
    let is_secret = |name: &str| fields.iter().any(|field| field.name == name && field.is_secret);
    if let Some(name) = given.keys().find(|name| !is_secret(name)) {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            format!("the storage {title} has no secret called {name}"),
            format!("`backstock storage kinds {}` explains its settings", record.kind),
        ));
    }
    let mut all = secrets::opened(&environment.key, &record).unwrap_or_default();
    all.extend(given);
    let settings = StorageSettings { kind: record.kind.clone(), settings: with(&record.settings, &all) };
    backstock_storage::open(&environment.host, &settings, Arc::new(KeptNowhere))
        .doing(format!("reading the settings of the storage {title}"))?;
    let random = environment.host.random.as_ref();
    let sealed_secrets = secrets::sealed(&environment.key, random, record.id, &all)?;
    let record = StorageRecord { sealed_secrets, ..record };
    environment
        .wait(environment.catalog.save_storage(&record))
        .doing(format!("recording the secrets of the storage {title}"))
}
