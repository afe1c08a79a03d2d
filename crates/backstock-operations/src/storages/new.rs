//! A storage that somebody is defining: its settings are checked against what its kind says of itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use backstock_catalog::Storage as StorageRecord;
use backstock_storage::{Field, KINDS, KeptNowhere, Kind, LOCAL_KIND, Secret, StorageSettings};
use backstock_vocabulary::StorageId;
use serde_json::{Map, Value};

use super::{MadeLink, secrets};
use crate::backup::refuse_place;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};

/// The longest title, in characters: it stands in tables and messages.
const TITLE_LIMIT_CHARACTERS: usize = 64;

/// A storage as somebody defines it.
#[derive(Debug, Clone)]
pub struct NewStorage {
    /// What people will call it.
    pub title: String,
    /// The name of its kind.
    pub kind: String,
    /// Settings by name, as they were written.
    pub settings: BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// That it was linked with an account, or that its link was seen to be good.
    pub link: Option<MadeLink>,
}

/// The kind of storage with a name.
///
/// # Errors
/// There is none of that name; the text lists those that there are.
pub fn storage_kind(name: &str) -> Result<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        OperationError::hinted(
            ErrorKind::NotFound,
            format!("there is no kind of storage called {name}"),
            format!("known are {}; `backstock storage kinds` explains them", names.join(", ")),
        )
    })
}

impl NewStorage {
    /// The secrets that it needs and lacks, but for the one that linking it gives.
    pub fn missing_secrets(&self) -> Result<Vec<Field>> {
        let kind = storage_kind(&self.kind)?;
        let is_asked_for = |field: &Field| {
            let is_linked = Some(field.name.as_str()) == kind.linked_secret();
            field.is_secret && field.is_required && !is_linked && !self.secrets.contains_key(&field.name)
        };
        Ok(kind.fields().into_iter().filter(is_asked_for).collect())
    }

    /// Whether it is of a kind that is linked with an account, and is not yet.
    pub fn lacks_link(&self) -> Result<bool> {
        let linked = storage_kind(&self.kind)?.linked_secret();
        Ok(linked.is_some_and(|linked| !self.secrets.contains_key(linked)))
    }

    /// Its settings with the secrets among them, for memory alone.
    pub(super) fn settings(&self) -> Result<StorageSettings> {
        self.settings_but_for(None)
    }

    /// As [`Self::settings`], where one secret need not be there yet.
    pub(super) fn settings_but_for(&self, lacking: Option<&str>) -> Result<StorageSettings> {
        let mut settings = self.plain_settings(lacking)?;
        let exposed = self.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().into()));
        settings.extend(exposed);
        Ok(StorageSettings { kind: self.kind.clone(), settings: settings.into() })
    }

    fn refused(&self, problem: impl std::fmt::Display) -> OperationError {
        OperationError::hinted(
            ErrorKind::Refused,
            format!("the storage {} is not defined: {problem}", self.title),
            format!("`backstock storage kinds {}` explains its settings", self.kind),
        )
    }

    /// Settings that are no secrets, each read as its kind wants it.
    fn plain_settings(&self, lacking: Option<&str>) -> Result<Map<String, Value>> {
        let fields = storage_kind(&self.kind)?.fields();
        let known = |name: &str| fields.iter().find(|field| field.name == name);
        let mut settings = Map::new();
        for (name, text) in &self.settings {
            let field =
                known(name).ok_or_else(|| self.refused(format!("there is no setting called {name}")))?;
            if field.is_secret {
                return Err(self.refused(format!("{name} is a secret and is not given with the settings")));
            }
            settings.insert(name.clone(), field.parse(text).map_err(|problem| self.refused(problem))?);
        }
        for name in self.secrets.keys() {
            if !known(name).is_some_and(|field| field.is_secret) {
                return Err(self.refused(format!("there is no secret called {name}")));
            }
        }
        let is_given = |name: &str| {
            settings.contains_key(name) || self.secrets.contains_key(name) || lacking == Some(name)
        };
        match fields.iter().find(|field| field.is_required && !is_given(&field.name)) {
            Some(lacking) => Err(self.refused(format!("{} is missing", lacking.name))),
            None => Ok(settings),
        }
    }

    /// Makes sure that it can be defined once it is linked: nobody says yes in a browser for nothing.
    pub(super) fn require_definable(&self, environment: &Environment, lacking: Option<&str>) -> Result<()> {
        let title = self.title.trim();
        if title.is_empty()
            || title.chars().count() > TITLE_LIMIT_CHARACTERS
            || title.contains(char::is_control)
        {
            return Err(self.refused(format!(
                "a title has 1 to {TITLE_LIMIT_CHARACTERS} characters that can be printed"
            )));
        }
        let act = || format!("looking for the storage {title}");
        if environment.wait(environment.catalog.find_storage_by_title(title)).doing(act())?.is_some() {
            return Err(self.refused("another storage has this title"));
        }
        let settings = Value::from(self.plain_settings(lacking)?);
        let known =
            environment.wait(environment.catalog.find_storage_by_place(&self.kind, &settings)).doing(act())?;
        if let Some(known) = known {
            return Err(self.refused(format!("it is the storage {} once more", known.title)));
        }
        if let Some(folder) =
            settings.get("folder").and_then(Value::as_str).filter(|_| self.kind == LOCAL_KIND)
        {
            refuse_place("backups", "--set folder=…", Path::new(folder), &[], &[])?;
        }
        Ok(())
    }

    /// The record of it, once everything about it is in order.
    pub(super) fn into_record(self, environment: &Environment) -> Result<StorageRecord> {
        self.require_definable(environment, None)?;
        let title = self.title.trim().to_owned();
        let settings = Value::from(self.plain_settings(None)?);
        backstock_storage::open(&environment.host, &self.settings()?, Arc::new(KeptNowhere))
            .doing(format!("reading the settings of the storage {title}"))?;
        let id = environment.host.new_id(StorageId::from_parts);
        let sealed_secrets = secrets::sealed(&environment.key, &*environment.host.random, id, &self.secrets)?;
        let created = environment.host.clock.now();
        Ok(StorageRecord { id, title, kind: self.kind, settings, sealed_secrets, created })
    }
}
