//! The numbers that the destinations of a set tell: a new backup's is one more than the highest that is signed anywhere.
//!
//! A destination may hold what neither the catalog nor the first place knows: another machine went on there, or the catalog was made
//! anew from an older copy. One that cannot be read in time holds no backup up; but nothing older goes in such a run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backstock_archive::Tombstone;
use backstock_archive::layout::{self, BackupFolder, MANIFEST_NAME};
use backstock_archive::manifest::SignedManifest;
use backstock_archive::owner::Head;
use backstock_archive::signed::PublicKey;
use backstock_catalog::Replica;
use backstock_storage::{ObjectName, SMALL_LIMIT_BYTES, Storage};
use backstock_vocabulary::{BackupId, SetId, StorageId};
use serde::Serialize;

use super::plan::BackupPlan;
use crate::destination::{MANIFEST_LIMIT_BYTES, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::keys::Signers;
use crate::replicate::set_folder_at;

/// So long is waited for what a destination tells. All are asked side by side.
const WAIT: Duration = Duration::from_secs(10);

/// A destination whose numbers could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct UnreadDestination {
    /// The storage.
    pub storage: String,
    /// Why.
    pub problem: String,
}

/// What the destinations tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The highest number above the one that is known already.
    pub(super) head: Option<Head>,
    /// Destinations that told nothing.
    pub(super) unread: Vec<UnreadDestination>,
}

/// A number that a destination tells, and who signed that.
struct Number {
    head: Head,
    signer: PublicKey,
}

/// What a look at one destination brought.
struct Seen {
    numbers: Vec<Number>,
    /// Whether nothing at all is there.
    is_empty: bool,
}

/// Asks every destination of the set that is on for numbers above the highest that is known.
pub(super) fn told_elsewhere(environment: &Environment, plan: &BackupPlan, above: u64) -> Result<Told> {
    let act = "listing the destinations of the set";
    let rows = environment.wait(environment.catalog.destinations(plan.set.id)).doing(act)?;
    let known = environment.wait(environment.catalog.list_backups(Some(plan.shop.id))).doing(act)?;
    let replicas = environment.wait(environment.catalog.list_replicas()).doing(act)?;
    let ids: HashSet<BackupId> =
        known.iter().filter(|backup| backup.set == plan.set.id).map(|backup| backup.id).collect();
    let is_there = |replica: &&Replica| replica.state.is_there() && ids.contains(&replica.backup);
    let held: Vec<StorageId> = replicas.iter().filter(is_there).map(|replica| replica.storage).collect();
    let known: Arc<HashSet<String>> = Arc::new(known.into_iter().map(|backup| backup.folder).collect());
    let mut told = Told::default();
    let mut asked = Vec::new();
    for row in rows.into_iter().filter(|row| row.is_on && row.storage != plan.place.record.id) {
        let record = environment.wait(environment.catalog.find_storage(row.storage)).doing(act)?;
        let title = record.map(|record| record.title).unwrap_or_default();
        let opened = Place::of_record(environment, row.storage).and_then(|place| {
            let folder = SetFolder { place, name: set_folder_at(&row, &plan.set_folder) };
            let root = ObjectName::new(&folder.name).map_err(|error| {
                OperationError::plain(ErrorKind::Failed, format!("naming the folder of the set: {error}"))
            })?;
            Ok((folder, root))
        });
        match opened {
            Ok((folder, root)) => {
                let look = numbers_at(folder.place.storage.clone(), root, plan.set.id, known.clone(), above);
                let looking =
                    environment.handle().spawn(async move { tokio::time::timeout(WAIT, look).await });
                asked.push((title, folder, looking));
            }
            Err(error) => told.unread.push(UnreadDestination { storage: title, problem: chain(&error) }),
        }
    }
    for (title, folder, looking) in asked {
        match environment.wait(looking) {
            // An empty mount point, most likely.
            Ok(Ok(Ok(seen))) if seen.is_empty && held.contains(&folder.place.record.id) => {
                let problem = "nothing is there, where backups of the set were".to_owned();
                told.unread.push(UnreadDestination { storage: title, problem });
            }
            Ok(Ok(Ok(seen))) => take(environment, &folder, title, seen.numbers, &mut told),
            Ok(Ok(Err(error))) => {
                told.unread.push(UnreadDestination { storage: title, problem: chain(&error) });
            }
            Ok(Err(_)) => {
                let problem = format!("it has not answered within {} seconds", WAIT.as_secs());
                told.unread.push(UnreadDestination { storage: title, problem });
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    Ok(told)
}

/// Keeps the highest number whose signer counts there.
fn take(environment: &Environment, folder: &SetFolder, title: String, numbers: Vec<Number>, told: &mut Told) {
    if numbers.is_empty() {
        return;
    }
    match Signers::of(environment, folder) {
        Ok(signers) => {
            let counted = numbers.into_iter().filter(|number| signers.count(&number.signer));
            let heads = counted.map(|number| number.head).chain(told.head.take());
            told.head = heads.max_by_key(|head| head.sequence);
        }
        Err(error) => told.unread.push(UnreadDestination { storage: title, problem: chain(&error) }),
    }
}

/// The numbers above a known one that manifests and tombstones in a folder tell. What the catalog knows is not read again.
async fn numbers_at(
    storage: Arc<dyn Storage>,
    root: ObjectName,
    set: SetId,
    known: Arc<HashSet<String>>,
    above: u64,
) -> backstock_storage::Result<Seen> {
    let mut numbers = Vec::new();
    let objects = storage.list(Some(&root)).await?;
    let is_empty = objects.is_empty();
    for object in objects {
        let path = object.name.as_str().strip_prefix(root.as_str()).and_then(|path| path.strip_prefix('/'));
        let Some(path) = path else { continue };
        let number = if layout::parse_tombstone_path(path).is_some_and(|sequence| sequence > above) {
            let bytes = storage.read_small(&object.name, SMALL_LIMIT_BYTES).await?;
            bytes.and_then(|bytes| Tombstone::parse(&bytes, path).ok()).map(|tombstone| {
                (
                    tombstone.set,
                    Number {
                        head: Head {
                            sequence: tombstone.sequence,
                            manifest_sha256: tombstone.manifest_sha256,
                        },
                        signer: tombstone.signer,
                    },
                )
            })
        } else if is_unknown_manifest(path, &known) {
            let bytes = storage.read_small(&object.name, MANIFEST_LIMIT_BYTES).await?;
            bytes.and_then(|bytes| SignedManifest::parse(&bytes).ok()).map(|signed| {
                (
                    signed.manifest.set,
                    Number {
                        head: Head { sequence: signed.manifest.sequence, manifest_sha256: signed.sha256 },
                        signer: signed.manifest.signer,
                    },
                )
            })
        } else {
            None
        };
        numbers.extend(
            number
                .filter(|(of, number)| *of == set && number.head.sequence > above)
                .map(|(_, number)| number),
        );
    }
    Ok(Seen { numbers, is_empty })
}

fn is_unknown_manifest(path: &str, known: &HashSet<String>) -> bool {
    path.split_once('/').is_some_and(|(folder, file)| {
        file == MANIFEST_NAME && folder.parse::<BackupFolder>().is_ok() && !known.contains(folder)
    })
}
