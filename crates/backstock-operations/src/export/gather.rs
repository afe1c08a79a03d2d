//! From the catalog to what an export says of a set.

use std::collections::BTreeSet;

use backstock_catalog::{Backup, Storage as StorageRecord};
use backstock_vocabulary::{BackupId, RawText, StorageId};

use super::SetRules;
use super::content::{
    DestinationContent, ExceptionContent, PinContent, RunContent, Secrets, SetContent, SetTitle, ShopContent,
    StorageContent,
};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::show::shop_of;
use crate::storages;

/// So much history is told at most, in bytes of JSON: the newest runs.
const HISTORY_LIMIT_BYTES: usize = 1 << 20;
/// So many runs are looked at for it.
const HISTORY_LIMIT_RUNS: u32 = 2_000;

/// Everything but the history of the set that a backup belongs to.
pub(super) fn gather(
    environment: &Environment,
    newest: &Backup,
    rules: SetRules,
    is_sealed: bool,
) -> Result<SetContent> {
    let act = || format!("reading the settings of the set {}", newest.set);
    let catalog = &environment.catalog;
    let shop = shop_of(environment, newest.shop)?;
    let set = environment.wait(catalog.find_set(newest.set)).doing(act())?;
    let set =
        set.ok_or_else(|| OperationError::plain(ErrorKind::NotFound, format!("{}: it is gone", act())))?;
    let backups = environment.wait(catalog.list_backups(Some(shop.id))).doing(act())?;
    let of_set: BTreeSet<BackupId> =
        backups.iter().filter(|backup| backup.set == set.id).map(|backup| backup.id).collect();
    let destinations = environment.wait(catalog.destinations(set.id)).doing(act())?;
    let mut places: BTreeSet<StorageId> =
        destinations.iter().map(|destination| destination.storage).collect();
    let replicas = environment.wait(catalog.list_replicas()).doing(act())?;
    let held = replicas.iter().filter(|replica| of_set.contains(&replica.backup));
    places.extend(held.map(|replica| replica.storage));
    let records = environment.wait(catalog.list_storages()).doing(act())?;
    let storages = records.into_iter().filter(|record| places.contains(&record.id));
    let pins = environment.wait(catalog.list_pins()).doing(act())?;
    let confirmed = environment.wait(catalog.list_confirmed_backups()).doing(act())?;
    let accepted = environment.wait(catalog.list_accepted_exceptions()).doing(act())?;
    Ok(SetContent {
        shop: ShopContent {
            id: shop.id,
            root: shop.root.map(RawText),
            platform: shop.platform,
            title: shop.title,
            created: shop.created,
        },
        storages: storages.map(|record| storage(environment, record, is_sealed)).collect(),
        destinations: destinations.into_iter().map(DestinationContent::of).collect(),
        policy: rules.policy,
        schedule: rules.schedule,
        pins: pins
            .into_iter()
            .filter(|pin| of_set.contains(&pin.backup))
            .map(|pin| PinContent { backup: pin.backup, note: pin.note, created: pin.created })
            .collect(),
        confirmed: confirmed.into_iter().filter(|backup| of_set.contains(backup)).collect(),
        accepted: accepted
            .into_iter()
            .filter(|exception| exception.set == set.id)
            .map(|exception| ExceptionContent { kind: exception.kind, subject: RawText(exception.subject) })
            .collect(),
        runs: Vec::new(),
        set: SetTitle { id: set.id, title: set.title, created: set.created },
    })
}

fn storage(environment: &Environment, record: StorageRecord, is_sealed: bool) -> StorageContent {
    // One that was sealed by another instance and never given anew holds the others up no more than it can be used.
    let secrets = storages::secrets_of(environment, &record).unwrap_or_else(|error| {
        tracing::warn!("the secrets of a storage are left out: {}", chain(&error));
        Secrets::default()
    });
    StorageContent {
        id: record.id,
        title: record.title,
        kind: record.kind,
        settings: record.settings,
        secret_names: secrets.0.keys().cloned().collect(),
        secrets: is_sealed.then_some(secrets),
        created: record.created,
    }
}

/// Adds the newest runs of the set, as many as there is room for.
pub(super) fn add_history(
    environment: &Environment,
    newest: &Backup,
    content: &mut SetContent,
) -> Result<()> {
    let act = "reading the history of the set";
    let runs = environment.wait(environment.catalog.list_runs(Some(newest.shop), HISTORY_LIMIT_RUNS));
    let mut room_bytes = HISTORY_LIMIT_BYTES;
    for run in runs.doing(act)?.into_iter().filter(|run| run.set == Some(newest.set) && run.is_over()) {
        let destinations = environment.wait(environment.catalog.run_destinations(run.id)).doing(act)?;
        let told = RunContent::of(run, destinations);
        let size_bytes = serde_json::to_vec(&told).doing(act)?.len();
        let Some(left) = room_bytes.checked_sub(size_bytes) else { break };
        room_bytes = left;
        content.runs.push(told);
    }
    Ok(())
}
