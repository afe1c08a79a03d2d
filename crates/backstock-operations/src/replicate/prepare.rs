//! Before anything goes to a destination: this instance is the writer there, keys and numbers are told, leftovers of dead runs are gone.

use backstock_catalog::Replica;

use super::numbers::{explain, nearest};
use super::patience::Patience;
use super::plan::{DestinationPlan, LackingBackup};
use super::upload::{forget_journal, journaled_object};
use crate::destination::{Claim, Listing, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::keys::put_keys;
use crate::monitor::Monitor;
use crate::storages::{client_of, nothing_seen};
use crate::succession::first_number;

/// A backup that is to go to a destination.
#[derive(Debug, Clone)]
pub(super) struct Coming {
    /// The set's folder and its own there.
    pub(super) folder: String,
    /// Its number.
    pub(super) sequence: u64,
    /// Whether it is owed itself, and not only what that builds on.
    pub(super) is_owed: bool,
    /// Whether it is sealed.
    pub(super) is_sealed: bool,
}

impl Coming {
    /// What is to come of what is lacking.
    pub(super) fn all(destination: &DestinationPlan) -> Vec<Self> {
        let one = |lacking: &LackingBackup| Self {
            folder: lacking.folder.clone(),
            sequence: lacking.backup.sequence,
            is_owed: lacking.is_owed,
            is_sealed: !lacking.backup.detail["sealed_for"].is_null(),
        };
        destination.lacking.iter().map(one).collect()
    }
}

/// A destination that may be sent to.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The set's folder there.
    pub(super) target: SetFolder,
    /// Paths of the tombstones there.
    pub(super) tombstones: Vec<String>,
}

/// Who makes a destination ready.
pub(super) struct Preparation<'a> {
    pub(super) environment: &'a Environment,
    pub(super) destination: &'a DestinationPlan,
    /// What is to go there, the oldest first.
    pub(super) coming: &'a [Coming],
    /// The set's folder at the place that a backup is being made at, if one is.
    pub(super) made_at: Option<&'a SetFolder>,
    /// Whether another instance may have written there.
    pub(super) take_over: bool,
    pub(super) monitor: &'a dyn Monitor,
}

impl Preparation<'_> {
    /// Becomes the writer there, brings the keys, tells the numbers, and removes what dead runs left.
    pub(super) fn prepare(&self) -> Result<Prepared> {
        let environment = self.environment;
        let place = Place::of_record(environment, self.destination.storage.id)?;
        let target = SetFolder { place, name: self.set_folder()? };
        let listing = self.look(&target)?;
        let mut owners = target.owners_in(environment, &listing)?;
        let first = self.coming.iter().find(|coming| coming.is_owed);
        let claim = Claim {
            set: self.destination.destination.set,
            head: None,
            copies_from: first.map(|coming| coming.sequence),
            take_over: self.take_over,
        };
        if let Some(owner) = target.claim_of(environment, owners.last(), claim)? {
            if owners.is_empty() {
                let now = environment.host.clock.now();
                environment
                    .wait(environment.catalog.begin_destination(self.destination.destination.id, now))
                    .doing(format!("recording that {} was begun", target.place.record.title))?;
            }
            owners.push(owner);
        }
        if self.coming.iter().any(|coming| coming.is_sealed) {
            put_keys(environment, &target)?;
        }
        forget_strange_journals(environment, &target, self.coming)?;
        let lacking = || self.destination.lacking.iter().find_map(|lacking| nearest(environment, lacking));
        let nearest = self.made_at.cloned().or_else(lacking);
        explain(environment, self.destination, &target, &listing, (first_number(&owners), nearest))?;
        self.sweep(&target, &listing)?;
        Ok(Prepared { target, tombstones: listing.tombstones })
    }

    /// The set's folder there: all backups of a set lie in one.
    fn set_folder(&self) -> Result<String> {
        let folder = self.coming.first().and_then(|coming| coming.folder.rsplit_once('/'));
        folder.map(|(set, _)| set.to_owned()).ok_or_else(|| {
            OperationError::plain(ErrorKind::Failed, "a copy without a folder of its set cannot be made")
        })
    }

    /// The first call, which shows whether the place answers at all.
    fn look(&self, target: &SetFolder) -> Result<Listing> {
        let root = target.root()?;
        let storage = &target.place.storage;
        let listed = Patience::new(self.environment, self.monitor).act(|| storage.list(Some(&root)));
        let objects = listed.doing(format!("listing {} at {}", target.name, target.place.record.title))?;
        if objects.is_empty() && !self.take_over {
            self.require_same_account(target)?;
        }
        Ok(target.listing_of(&objects))
    }

    /// Where an account shows nothing of the set although backups of it are known to be there, perhaps another one was linked, or
    /// another client: nothing is begun anew there unless somebody says so.
    fn require_same_account(&self, target: &SetFolder) -> Result<()> {
        let (environment, record) = (self.environment, &target.place.record);
        if client_of(record).is_none() {
            return Ok(());
        }
        let act = || format!("listing what is known to be at {}", record.title);
        let known = environment.wait(environment.catalog.list_replicas()).doing(act())?;
        let begin = format!("{}/", target.name);
        let is_there = |replica: &Replica| {
            replica.storage == record.id && replica.folder.starts_with(&begin) && replica.state.is_there()
        };
        if known.iter().any(is_there) {
            return Err(nothing_seen(record, &format!("of the set {}", target.name)));
        }
        Ok(())
    }

    /// Removes what dead runs left of backups that are not to go there any more. What is still to go there is gone on with.
    fn sweep(&self, target: &SetFolder, listing: &Listing) -> Result<()> {
        let environment = self.environment;
        let act = || format!("listing what is known to be at {}", target.place.record.title);
        let known = environment.wait(environment.catalog.list_replicas()).doing(act())?;
        for folder in &listing.without_manifest {
            let path = format!("{}/{folder}", target.name);
            let is_known = known
                .iter()
                .any(|replica| replica.storage == target.place.record.id && replica.folder == path);
            if !is_known {
                target.sweep(environment, folder)?;
            }
        }
        Ok(())
    }
}

/// Forgets the journals of uploads to a set's folder that nobody wants any more.
pub(super) fn forget_strange_journals(
    environment: &Environment,
    target: &SetFolder,
    coming: &[Coming],
) -> Result<()> {
    let folder = environment.state.uploads(target.place.record.id);
    let act = || format!("looking through {}", folder.display());
    environment.host.files.create_folder(&folder).doing(act())?;
    for (path, _) in environment.host.files.list(&folder).doing(act())? {
        let object = journaled_object(environment, &path);
        // Other sets may send to the same storage.
        let is_ours = object.as_ref().is_none_or(|object| object.starts_with(&format!("{}/", target.name)));
        let is_wanted = object.is_some_and(|object| {
            coming.iter().any(|coming| object.starts_with(&format!("{}/", coming.folder)))
        });
        if is_ours && !is_wanted {
            forget_journal(environment, &path)?;
        }
    }
    Ok(())
}
