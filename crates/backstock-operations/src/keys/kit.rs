//! The recovery kit: what somebody needs to know who has nothing but the backups and the key.

use std::collections::BTreeMap;

use backstock_host::hex;
use backstock_vocabulary::{IdentityId, InstanceId};
use serde::Serialize;

use super::manage::{ListedIdentity, identities};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::storages::{StorageClient, client_of};

/// What stands on the page.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveryKit {
    /// When it was written.
    pub written: jiff::Timestamp,
    /// What the machine is known by.
    pub machine: String,
    /// The instance.
    pub instance: InstanceId,
    /// The public key that it signs manifests with.
    pub instance_key: String,
    /// Every identity.
    pub identities: Vec<ListedIdentity>,
    /// Where backups lie.
    pub places: Vec<KitPlace>,
}

/// The backups of one set at one storage.
#[derive(Debug, Clone, Serialize)]
pub struct KitPlace {
    /// The storage.
    pub storage: String,
    /// The folder of the set in it.
    pub set_folder: String,
    /// The shop.
    pub shop: String,
    /// How many backups are there.
    pub backups: u64,
    /// When the newest was made.
    pub newest: jiff::Timestamp,
    /// The identities that open any of them.
    pub sealed_for: Vec<IdentityId>,
    /// The application that sees them, where a cloud shows each application its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<StorageClient>,
}

/// Gathers what stands on the page. Nothing secret does.
///
/// # Errors
/// [`ErrorKind::NotFound`] without an identity: there is nothing to be recovered with.
pub fn recovery_kit(environment: &Environment) -> Result<RecoveryKit> {
    let identities = identities(environment)?;
    if identities.is_empty() {
        return Err(OperationError::hinted(
            ErrorKind::NotFound,
            "there is no identity, and no backup is sealed: tar, zstd and mysql open them",
            "`backstock key create` makes one",
        ));
    }
    let catalog = &environment.catalog;
    let backups = environment.wait(catalog.list_backups(None)).doing("listing the backups")?;
    let replicas = environment.wait(catalog.list_replicas()).doing("listing the replicas")?;
    let storages = environment.wait(catalog.list_storages()).doing("listing the storages")?;
    let shops = environment.wait(catalog.list_shops()).doing("listing the shops")?;
    let mut places: BTreeMap<(String, String), KitPlace> = BTreeMap::new();
    for replica in &replicas {
        let Some(backup) = backups.iter().find(|backup| backup.id == replica.backup) else { continue };
        let storage = storages.iter().find(|storage| storage.id == replica.storage);
        let client = storage.and_then(client_of);
        let storage = storage.map_or_else(|| replica.storage.short(), |storage| storage.title.clone());
        let set_folder = replica.folder.rsplit_once('/').map_or("", |(set_folder, _)| set_folder).to_owned();
        let shop = shops.iter().find(|shop| shop.id == backup.shop);
        let place = places.entry((storage.clone(), set_folder.clone())).or_insert_with(|| KitPlace {
            storage,
            set_folder,
            shop: shop.map_or_else(|| backup.shop.short(), |shop| shop.title.clone()),
            backups: 0,
            newest: backup.started,
            sealed_for: Vec::new(),
            client,
        });
        place.backups += 1;
        place.newest = place.newest.max(backup.started);
        for identity in crate::show::sealed_for(backup) {
            let is_known = identities.iter().any(|known| known.identity == identity);
            if is_known && !place.sealed_for.contains(&identity) {
                place.sealed_for.push(identity);
            }
        }
    }
    Ok(RecoveryKit {
        written: environment.host.clock.now(),
        machine: environment.machine_id(),
        instance: environment.instance,
        instance_key: hex::encode(environment.key.public()),
        identities,
        places: places.into_values().collect(),
    })
}
