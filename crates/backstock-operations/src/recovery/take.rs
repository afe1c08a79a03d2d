//! Taking an export into the catalog: storages and destinations first; pins and history once the backups are on record.

use std::collections::{BTreeMap, BTreeSet};

use backstock_catalog::{AcceptedException, Destination, Pin};
use backstock_vocabulary::{BackupId, StorageId};
use jiff::Timestamp;
use serde::Serialize;

use super::found::Chosen;
use super::rules::{RETENTION, VERIFY};
use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, Result};
use crate::export::SetContent;
use crate::storages::{self, RecoveredStorage};

/// What came of the settings of one set.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedSettings {
    /// The set's folder.
    pub set_folder: String,
    /// The export that they are from.
    pub path: String,
    /// When it was made.
    pub made: Timestamp,
    /// Whether an identity vouches for it; else a person said that it is right.
    pub is_vouched: bool,
    /// The storages that it tells of, beside the one that it was read from.
    pub storages: Vec<RecoveredStorage>,
    /// Destinations that are on record now.
    pub destinations: u64,
    /// Pins that are on record now.
    pub pins: u64,
    /// Pins of backups that are not on record here.
    pub pins_of_others: u64,
    /// Suspect backups that a person had confirmed, and exceptions that one had accepted.
    pub confirmations: u64,
    /// Runs that are on record now and were not before.
    pub runs: u64,
}

/// An export whose storages and destinations are taken in.
pub(crate) struct TakenIn {
    pub(crate) imported: ImportedSettings,
    pub(crate) content: SetContent,
    /// Where the set's folder is at each other storage: its name there.
    pub(crate) elsewhere: Vec<(StorageId, String)>,
}

/// Takes storages, destinations and rules in. The set is on record already.
pub(crate) fn take_in(environment: &Environment, folder: &SetFolder, chosen: Chosen) -> Result<TakenIn> {
    let act = "recording the settings of the set";
    let Chosen { found, settings } = chosen;
    let mut content = settings.content;
    let mut imported = ImportedSettings {
        set_folder: found.set_folder,
        path: found.path,
        made: found.made,
        is_vouched: found.is_vouched,
        storages: Vec::new(),
        destinations: 0,
        pins: 0,
        pins_of_others: 0,
        confirmations: 0,
        runs: 0,
    };
    // The storage that it was read from is the one that was put to, whatever it is called and reached by here.
    let mut ids: BTreeMap<StorageId, StorageId> =
        BTreeMap::from([(settings.storage, folder.place.record.id)]);
    for storage in std::mem::take(&mut content.storages) {
        let former = storage.id;
        if former == settings.storage {
            continue;
        }
        let (id, recovered) = storages::take_in(environment, storage)?;
        ids.extend(id.map(|id| (former, id)));
        imported.storages.push(recovered);
    }
    let known = environment.wait(environment.catalog.destinations(content.set.id)).doing(act)?;
    for row in &content.destinations {
        let Some(storage) = ids.get(&row.storage).copied() else { continue };
        if known.iter().any(|known| known.storage == storage || known.id == row.id) {
            continue;
        }
        let destination = Destination {
            id: row.id,
            set: content.set.id,
            storage,
            path: row.path.clone(),
            copies: row.copies,
            is_on: row.is_on,
            settings: row.settings.clone(),
            // Only what this very catalog has seen begin may be pruned without a question.
            begun: None,
            created: row.created,
        };
        environment.wait(environment.catalog.save_destination(&destination)).doing(act)?;
        imported.destinations += 1;
    }
    keep_rules(environment, &content)?;
    let here = folder.place.record.id;
    let elsewhere = places(&content, folder.last_step(), &ids).into_iter().filter(|(id, _)| *id != here);
    let elsewhere = elsewhere.collect();
    Ok(TakenIn { imported, content, elsewhere })
}

/// The set's folder at each storage: below the path of a destination, else at the top.
fn places(
    content: &SetContent,
    name: &str,
    ids: &BTreeMap<StorageId, StorageId>,
) -> BTreeMap<StorageId, String> {
    ids.iter()
        .map(|(former, id)| {
            let row = content.destinations.iter().find(|row| row.storage == *former);
            let path = row.map_or("", |row| row.path.as_str());
            let folder = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            (*id, folder)
        })
        .collect()
}

/// Policy and schedule stand with the set: they hold where the configuration here says nothing.
fn keep_rules(environment: &Environment, content: &SetContent) -> Result<()> {
    let act = "recording the rules of the set";
    let Some(mut set) = environment.wait(environment.catalog.find_set(content.set.id)).doing(act)? else {
        return Ok(());
    };
    set.definition[RETENTION] = serde_json::to_value(content.policy).doing(act)?;
    set.definition[VERIFY] = serde_json::to_value(content.schedule).doing(act)?;
    environment.wait(environment.catalog.save_set(&set)).doing(act)
}

/// Takes in what is about backups, once those of every place that can be read are on record.
pub(crate) fn take_in_rest(environment: &Environment, taken: TakenIn) -> Result<ImportedSettings> {
    let act = "recording pins and history of before";
    let TakenIn { mut imported, content, .. } = taken;
    let backups = environment.wait(environment.catalog.list_backups(Some(content.shop.id))).doing(act)?;
    let known: BTreeSet<BackupId> = backups.into_iter().map(|backup| backup.id).collect();
    let present: BTreeSet<BackupId> = environment
        .wait(environment.catalog.list_pins())
        .doing(act)?
        .into_iter()
        .map(|pin| pin.backup)
        .collect();
    for pin in content.pins {
        if !known.contains(&pin.backup) {
            imported.pins_of_others += 1;
        } else if !present.contains(&pin.backup) {
            let pin = Pin { backup: pin.backup, note: pin.note, created: pin.created };
            environment.wait(environment.catalog.add_pin(&pin)).doing(act)?;
            imported.pins += 1;
        }
    }
    let confirmed: Vec<BackupId> = content.confirmed.into_iter().filter(|id| known.contains(id)).collect();
    let set = content.set.id;
    let accepted: Vec<AcceptedException> = content
        .accepted
        .into_iter()
        .map(|exception| AcceptedException { set, kind: exception.kind, subject: exception.subject.0 })
        .collect();
    imported.confirmations = (confirmed.len() + accepted.len()) as u64;
    let now = environment.host.clock.now();
    environment.wait(environment.catalog.accept(&confirmed, &accepted, now)).doing(act)?;
    let runs: Vec<_> =
        content.runs.into_iter().map(|run| run.into_run(content.shop.id, &content.set)).collect();
    imported.runs = environment.wait(environment.catalog.import_runs(&runs)).doing(act)?;
    Ok(imported)
}
