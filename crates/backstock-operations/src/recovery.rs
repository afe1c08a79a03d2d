//! Settings brought back: the newest export beside a set's backups that somebody vouches for, taken into this catalog.
//!
//! Data can be lost here where an export is believed that is not the owner's: it says where backups go, and what may be let go. So
//! it counts by its signature alone, and by what vouches for that: an identity that a passphrase, a key file or a fingerprint proved.
//! Where nothing does, a person is asked. Nothing in it lifts the hold on deletions that follows a rebuild.

mod found;
mod heads;
mod rules;
mod take;

use backstock_vocabulary::SetId;

use self::found::choose;
pub use self::found::{FoundSettings, PassedOver};
use self::heads::{Head, compare};
pub use self::heads::{HeadDifference, PlaceHead, SetHeads};
pub use self::rules::{RecoveredRules, recovered_rules, recovered_rules_of};
pub use self::take::ImportedSettings;
use self::take::{TakenIn, take_in, take_in_rest};
use crate::destination::{Inventory, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Result, chain};
use crate::keys::Signers;
use crate::rebuild::{RebuildReport, record_copy};

/// Who decides about settings that nobody vouches for.
pub enum SettingsWish<'a> {
    /// Settings are not brought back.
    Skip,
    /// They are; of some that nobody vouches for this is asked first.
    Ask(&'a dyn Fn(&FoundSettings) -> bool),
}

/// A set's folder that a rebuild has looked through.
pub(crate) struct SeenFolder {
    folder: SetFolder,
    sets: Vec<SetId>,
    head: Head,
}

impl SeenFolder {
    pub(crate) fn of(environment: &Environment, folder: &SetFolder, inventory: &Inventory) -> Result<Self> {
        let mut sets: Vec<SetId> =
            inventory.manifests.iter().map(|found| found.signed.manifest.set).collect();
        sets.sort_unstable();
        sets.dedup();
        let signers = Signers::of(environment, folder)?;
        let title = folder.place.record.title.clone();
        let head = Head::of(title, folder.name.clone(), inventory, &signers);
        Ok(Self { folder: folder.clone(), sets, head })
    }
}

/// Brings back the settings of sets whose backups are on record, and looks at the other places that they name.
pub(crate) fn bring_back(
    environment: &Environment,
    seen: Vec<SeenFolder>,
    wish: &SettingsWish<'_>,
    report: &mut RebuildReport,
) -> Result<()> {
    let SettingsWish::Ask(is_right) = wish else { return Ok(()) };
    for SeenFolder { folder, sets, head } in seen {
        let Some(chosen) = choose(environment, &folder, &sets, &mut report.passed_over)? else { continue };
        if !chosen.found.is_vouched && !is_right(&chosen.found) {
            let FoundSettings { set_folder, path, .. } = chosen.found;
            let why = "nothing vouches for who signed it".to_owned();
            report.passed_over.push(PassedOver { set_folder, path, why });
            continue;
        }
        let taken = take_in(environment, &folder, chosen)?;
        let mut heads = vec![head];
        heads.extend(look_elsewhere(environment, &taken, report));
        if heads.len() > 1 {
            report.heads.push(compare(folder.name.clone(), &heads));
        }
        report.settings.push(take_in_rest(environment, taken)?);
    }
    Ok(())
}

/// Looks at every other place of a set. What lies there goes on record; a place that cannot be read is told as such.
fn look_elsewhere(environment: &Environment, taken: &TakenIn, report: &mut RebuildReport) -> Vec<Head> {
    let mut heads = Vec::new();
    for (storage, name) in &taken.elsewhere {
        let mut head = Head { folder: name.clone(), ..Head::default() };
        let looked = Place::of_record(environment, *storage).and_then(|place| {
            head.storage.clone_from(&place.record.title);
            let folder = SetFolder { place, name: name.clone() };
            let inventory = folder.inventory(environment)?;
            let signers = Signers::of(environment, &folder)?;
            for found in &inventory.manifests {
                let is_stranger = !signers.count(&found.signed.manifest.signer);
                if let Err(error) = record_copy(environment, &folder, found, is_stranger) {
                    report.unreadable.push(format!("{}: {}", found.folder, chain(&error)));
                }
            }
            Ok(Head::of(head.storage.clone(), name.clone(), &inventory, &signers))
        });
        match looked {
            Ok(looked) => heads.push(looked),
            Err(error) => {
                head.problem = Some(chain(&error));
                if head.storage.is_empty() {
                    head.storage = title_of(taken, *storage, environment);
                }
                heads.push(head);
            }
        }
    }
    heads
}

fn title_of(taken: &TakenIn, storage: backstock_vocabulary::StorageId, environment: &Environment) -> String {
    let record = environment.wait(environment.catalog.find_storage(storage));
    let title = record.ok().flatten().map(|record| record.title);
    title.unwrap_or_else(|| format!("{} of {}", storage.short(), taken.imported.set_folder))
}
