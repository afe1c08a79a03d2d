//! One set's folder at one storage: its owner file, its backups, reading and writing them in the order that is safe.

mod listing;
mod object;
mod refusal;
mod sealed;
mod settings;

use std::path::Path;
use std::sync::Arc;

use backstock_archive::layout::{self, BackupFolder, MANIFEST_NAME};
use backstock_archive::manifest::{Manifest, SignedManifest};
use backstock_archive::owner::{Head, Owner};
use backstock_archive::{Digest, Part, ReadAt, Sha256};
use backstock_catalog::{Replica, Storage as StorageRecord};
use backstock_storage::{
    InOneGo, KeptNowhere, ObjectName, Properties, SpooledPart, Storage, StorageSettings,
};
use backstock_vocabulary::{BackupId, SetId, StorageId};

pub(crate) use self::listing::{Inventory, Listing};
pub use self::refusal::Refusal;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::storages;

/// A manifest of more bytes is none: 999 parts with their block hashes stay far below.
pub(crate) const MANIFEST_LIMIT_BYTES: u64 = 16 * 1024 * 1024;
/// An owner file of more bytes is none.
const OWNER_LIMIT_BYTES: u64 = 64 * 1024;

/// A storage and what the catalog calls it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) record: StorageRecord,
    pub(crate) storage: Arc<dyn Storage>,
}

impl Place {
    /// A folder of this machine, as the catalog knows it; a new one is not recorded yet.
    pub(crate) fn local(environment: &Environment, folder: &Path) -> Result<Self> {
        let settings = StorageSettings::local(folder);
        let storage = backstock_storage::open(&environment.host, &settings, Arc::new(KeptNowhere))
            .doing(format!("opening the backups folder {}", folder.display()))?;
        let known = environment
            .wait(environment.catalog.find_storage_by_place(&settings.kind, &settings.settings))
            .doing("looking for the backups folder in the catalog")?;
        let record = known.unwrap_or_else(|| StorageRecord {
            id: environment.host.new_id(StorageId::from_parts),
            title: folder.display().to_string(),
            kind: settings.kind,
            settings: settings.settings,
            sealed_secrets: None,
            created: environment.host.clock.now(),
        });
        Ok(Self { record, storage })
    }

    /// Makes the place known to the catalog, unless another run was faster.
    pub(crate) fn recorded(mut self, environment: &Environment) -> Result<Self> {
        self.record = environment
            .wait(environment.catalog.find_or_add_storage(&self.record))
            .doing("recording the backups folder")?;
        Ok(self)
    }

    /// The storage that the catalog has under this identifier.
    pub(crate) fn of_record(environment: &Environment, id: StorageId) -> Result<Self> {
        let record = environment
            .wait(environment.catalog.find_storage(id))
            .doing("looking for the storage")?
            .ok_or_else(|| OperationError::plain(ErrorKind::NotFound, format!("there is no storage {id}")))?;
        let storage = storages::open(environment, &record)?;
        Ok(Self { record, storage })
    }

    /// The folder itself, for a local storage.
    pub(crate) fn folder(&self) -> Result<std::path::PathBuf> {
        let name = ObjectName::new("x").ok();
        let path = name.and_then(|name| self.storage.local_path(&name));
        path.and_then(|path| path.parent().map(Path::to_owned)).ok_or_else(|| {
            OperationError::plain(
                ErrorKind::Failed,
                format!("{} is no folder of this machine", self.record.title),
            )
        })
    }

    /// The names of set folders here, with the path before them: those that hold an owner file or a manifest.
    pub(crate) fn set_folders(&self, environment: &Environment) -> Result<Vec<String>> {
        let objects = environment
            .wait(self.storage.list(None))
            .doing(format!("listing the storage {}", self.record.title))?;
        let mut folders: Vec<String> =
            objects.iter().filter_map(|object| set_folder_of(&object.name)).collect();
        folders.sort();
        folders.dedup();
        Ok(folders)
    }
}

/// One set's folder at one place.
#[derive(Debug, Clone)]
pub(crate) struct SetFolder {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// A manifest and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundManifest {
    pub(crate) folder: String,
    pub(crate) signed: SignedManifest,
}

/// The folder of the set that an object belongs to, if it is one that tells: an owner file, or a manifest.
fn set_folder_of(object: &ObjectName) -> Option<String> {
    let (folder, file) = object.as_str().rsplit_once('/')?;
    if layout::parse_owner_name(file).is_some() {
        return Some(folder.to_owned());
    }
    let (set, backup) = folder.rsplit_once('/')?;
    (file == MANIFEST_NAME && backup.parse::<BackupFolder>().is_ok()).then(|| set.to_owned())
}

impl SetFolder {
    /// The set's folder that a replica at a place lies in, and the name of the replica's own in it.
    pub(crate) fn of_replica<'a>(place: &Place, replica: &'a Replica) -> Result<(Self, &'a str)> {
        let (set, folder) = replica.folder.rsplit_once('/').ok_or_else(|| {
            let message = format!("\"{}\" is no folder of a backup", replica.folder);
            OperationError::plain(ErrorKind::Failed, message)
        })?;
        Ok((Self { place: place.clone(), name: set.to_owned() }, folder))
    }

    pub(crate) fn object(&self, path: &str) -> Result<ObjectName> {
        ObjectName::new(&format!("{}/{path}", self.name)).map_err(|error| {
            OperationError::plain(
                ErrorKind::Failed,
                format!("naming an object of the set {}: {error}", self.name),
            )
        })
    }

    /// The folder's own name, without the path before it.
    pub(crate) fn last_step(&self) -> &str {
        self.name.rsplit_once('/').map_or(self.name.as_str(), |(_, last)| last)
    }

    /// Tries the place: writes, reads back, deletes; in the set's own folder, where nobody else writes.
    pub(crate) fn probe(&self, environment: &Environment) -> Result<Properties> {
        let root = self.root()?;
        let act = format!("trying the storage {}", self.place.record.title);
        environment.wait(self.place.storage.probe(Some(&root))).doing(act)
    }

    /// Removes what unfinished uploads and tests of runs that died have left. The caller is the only writer here.
    pub(crate) fn sweep_unfinished(&self, environment: &Environment) -> Result<()> {
        let root = self.root()?;
        let act = format!("sweeping unfinished uploads in {}", self.name);
        environment.wait(self.place.storage.delete_leftovers(Some(&root))).doing(act).map(drop)
    }

    /// The name of the folder itself.
    pub(crate) fn root(&self) -> Result<ObjectName> {
        ObjectName::new(&self.name).map_err(|error| {
            OperationError::plain(ErrorKind::Failed, format!("naming the folder of the set: {error}"))
        })
    }

    /// The manifest in one backup's folder.
    pub(crate) fn manifest(&self, environment: &Environment, folder: &str) -> Result<SignedManifest> {
        let name = self.object(&format!("{folder}/{MANIFEST_NAME}"))?;
        let act = || format!("reading the manifest of {folder}");
        let bytes =
            environment.wait(self.place.storage.read_small(&name, MANIFEST_LIMIT_BYTES)).doing(act())?;
        let Some(bytes) = bytes else { return Err(self.absence(environment, folder)) };
        environment.reads.add(bytes.len() as u64);
        SignedManifest::parse(&bytes).doing(act())
    }

    /// Why a manifest is not there: a place that holds nothing of the set at all is away, and tells nothing of a backup.
    fn absence(&self, environment: &Environment, folder: &str) -> OperationError {
        let listed = self
            .root()
            .and_then(|root| environment.wait(self.place.storage.list(Some(&root))).doing("looking around"));
        match listed {
            Ok(objects) if objects.is_empty() => {
                storages::nothing_seen(&self.place.record, &format!("of the set {}", self.name))
            }
            Ok(_) => {
                OperationError::plain(ErrorKind::Damaged, format!("the manifest of {folder} is not there"))
            }
            Err(error) => error,
        }
    }

    /// Puts one part. Safe to repeat.
    pub(crate) fn put(
        &self,
        environment: &Environment,
        folder: &str,
        part: &Part,
        spooled: &Path,
    ) -> Result<()> {
        let name = self.object(&format!("{folder}/{}", part.name))?;
        let spooled = SpooledPart {
            path: spooled,
            size_bytes: part.size_bytes,
            sha256: part.sha256.0,
            blocks: &[],
            may_consume: true,
        };
        let act = format!("storing {} at {}", part.name, self.place.record.title);
        environment.wait(self.place.storage.put(&name, &spooled, &InOneGo)).doing(act)?;
        Ok(())
    }

    /// Puts a small object into a backup's folder.
    pub(crate) fn put_small(
        &self,
        environment: &Environment,
        folder: &str,
        file: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let name = self.object(&format!("{folder}/{file}"))?;
        let act = format!("storing {file} of {folder} at {}", self.place.record.title);
        environment.wait(self.place.storage.put_small(&name, bytes)).doing(act)
    }

    /// Puts a copy of a file of any length into a backup's folder.
    pub(crate) fn put_copy(
        &self,
        environment: &Environment,
        folder: &str,
        file: &str,
        path: &Path,
    ) -> Result<()> {
        let name = self.object(&format!("{folder}/{file}"))?;
        let hashed = environment.host.files.open(path).and_then(|mut source| Sha256::of_rest(&mut *source));
        let (sha256, size_bytes) = hashed.doing(format!("reading {}", path.display()))?;
        let copied = SpooledPart { path, size_bytes, sha256: sha256.0, blocks: &[], may_consume: false };
        let act = format!("storing {file} of {folder} at {}", self.place.record.title);
        environment.wait(self.place.storage.put(&name, &copied, &InOneGo)).doing(act)?;
        Ok(())
    }

    /// Deletes every object of a folder that has no manifest: the leftovers of a run that is proven dead. What the storage does not let
    /// go of stays, and is no backup all the same.
    pub(crate) fn sweep(&self, environment: &Environment, folder: &str) -> Result<()> {
        let root = self.object(folder)?;
        let act = || format!("sweeping the leftovers in {folder}");
        environment.wait(self.place.storage.delete_leftovers(Some(&root))).doing(act())?;
        let objects = environment.wait(self.place.storage.list(Some(&root))).doing(act())?;
        if objects.iter().any(|object| object.name.last_step() == MANIFEST_NAME) {
            let message = format!("{folder} has a manifest: it is a backup, not a leftover");
            return Err(OperationError::plain(ErrorKind::Refused, message));
        }
        for object in objects {
            backstock_host::failpoint::reach("destination.before_sweep").doing(act())?;
            if let Err(error) = environment.wait(self.place.storage.delete(&object.name)).doing(act()) {
                let Some(_) = Refusal::of(&error) else { return Err(error) };
                tracing::info!(folder, error = chain(&error), "leftovers stay where they are");
                return Ok(());
            }
        }
        Ok(())
    }

    /// Deletes the manifest of a backup, if it is there: from here on the backup does not exist. A manifest that is of
    /// another backup is left alone.
    pub(crate) fn delete_manifest(
        &self,
        environment: &Environment,
        folder: &str,
        backup: BackupId,
    ) -> Result<()> {
        let name = self.object(&format!("{folder}/{MANIFEST_NAME}"))?;
        let act = || format!("deleting the manifest of {folder}");
        let bytes =
            environment.wait(self.place.storage.read_small(&name, MANIFEST_LIMIT_BYTES)).doing(act())?;
        let Some(bytes) = bytes else { return Ok(()) };
        if let Ok(signed) = SignedManifest::parse(&bytes)
            && signed.manifest.backup != backup
        {
            let message =
                format!("the manifest in {folder} is that of another backup: nothing of it is deleted");
            return Err(OperationError::plain(ErrorKind::Refused, message));
        }
        environment.wait(self.place.storage.delete(&name)).doing(act())
    }

    /// Opens one stored part for reading at any position.
    pub(crate) fn open_part(
        &self,
        environment: &Environment,
        folder: &str,
        part: &Part,
    ) -> Result<Box<dyn ReadAt>> {
        let name = self.object(&format!("{folder}/{}", part.name))?;
        let opened = self.place.open_object(environment, &name)?;
        opened.ok_or_else(|| absent(part, folder))
    }

    /// The first part of a backup that is not there in its length.
    pub(crate) fn lacking_part<'a>(
        &self,
        environment: &Environment,
        folder: &str,
        manifest: &'a Manifest,
    ) -> Result<Option<&'a Part>> {
        for part in manifest.artifacts.iter().flat_map(|artifact| &artifact.parts) {
            if self.part_size(environment, folder, part)? != Some(part.size_bytes) {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// The size of a stored part; `None` when it is not there.
    pub(crate) fn part_size(
        &self,
        environment: &Environment,
        folder: &str,
        part: &Part,
    ) -> Result<Option<u64>> {
        let name = self.object(&format!("{folder}/{}", part.name))?;
        let act = format!("looking at {} of {folder}", part.name);
        let facts = environment.wait(self.place.storage.stat(&name)).doing(act)?;
        Ok(facts.map(|facts| facts.size_bytes))
    }

    /// The owner file of the highest generation that is valid.
    pub(crate) fn owner(&self, environment: &Environment) -> Result<Option<Owner>> {
        Ok(self.owners(environment)?.pop())
    }

    /// Every owner file that is valid, by generation.
    pub(crate) fn owners(&self, environment: &Environment) -> Result<Vec<Owner>> {
        self.owners_in(environment, &self.listing(environment)?)
    }

    /// The same, of those that were listed.
    pub(crate) fn owners_in(&self, environment: &Environment, listing: &Listing) -> Result<Vec<Owner>> {
        let act = || format!("reading the owners of {}", self.name);
        let mut owners = Vec::new();
        for file in &listing.owners {
            let name = self.object(file)?;
            let read = self.place.storage.read_small(&name, OWNER_LIMIT_BYTES);
            let bytes = environment.wait(read).doing(act())?;
            owners.extend(bytes.and_then(|bytes| Owner::parse(&bytes, file).ok()));
        }
        owners.sort_by_key(|owner| owner.generation);
        Ok(owners)
    }

    fn foreign(&self, environment: &Environment, owner: &Owner) -> OperationError {
        let who = if owner.signer.0 == environment.key.public() {
            "a copy of this instance"
        } else {
            "another instance"
        };
        OperationError::hinted(
            ErrorKind::Refused,
            format!(
                "{who} on the machine {} writes to {} (since {})",
                owner.machine, self.name, owner.written
            ),
            "if that machine is gone or this one replaces it, run `backstock backup` with --take-over; a container gets \
             another identifier at every start: give it one that stays with --machine-id",
        )
    }

    /// Makes sure that this instance on this machine wrote here last, and changes nothing.
    pub(crate) fn require_own(&self, environment: &Environment) -> Result<()> {
        match self.owner(environment)? {
            Some(owner)
                if owner.signer.0 == environment.key.public()
                    && owner.machine == environment.machine_id() =>
            {
                Ok(())
            }
            Some(owner) => Err(self.foreign(environment, &owner)),
            None => Err(storages::nothing_seen(&self.place.record, &format!("of the set {}", self.name))),
        }
    }

    /// Makes sure that this instance on this machine is the one that writes here.
    pub(crate) fn claim(&self, environment: &Environment, claim: Claim) -> Result<()> {
        self.claim_of(environment, self.owner(environment)?.as_ref(), claim).map(drop)
    }

    /// The same where it was looked who writes here. Gives the owner file that was written, if one had to be.
    pub(crate) fn claim_of(
        &self,
        environment: &Environment,
        present: Option<&Owner>,
        claim: Claim,
    ) -> Result<Option<Owner>> {
        let Claim { set, head, copies_from, take_over } = claim;
        let machine = environment.machine_id();
        let generation = match present {
            None => 1,
            Some(owner) if owner.signer.0 == environment.key.public() && owner.machine == machine => {
                return Ok(None);
            }
            Some(owner) if take_over => owner.generation + 1,
            Some(owner) => return Err(self.foreign(environment, owner)),
        };
        let owner = Owner {
            format: Owner::format(),
            signer: Digest([0; 32]),
            instance: environment.instance,
            machine,
            set,
            generation,
            head,
            copies_from: copies_from.filter(|_| generation == 1),
            written: environment.host.clock.now(),
        };
        let act = || format!("becoming the owner of {}", self.name);
        let bytes = owner.sign(&environment.key).doing(act())?;
        let name = self.object(&owner.name())?;
        environment.wait(self.place.storage.put_small(&name, &bytes)).doing(act())?;
        Ok(Some(owner))
    }
}

/// What becomes known of a folder when this instance becomes its writer.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The set.
    pub(crate) set: SetId,
    /// The newest backup that is known.
    pub(crate) head: Option<Head>,
    /// Of a folder that is begun for copies the number of the first one.
    pub(crate) copies_from: Option<u64>,
    /// Whether another instance may have written here.
    pub(crate) take_over: bool,
}

fn absent(part: &Part, folder: &str) -> OperationError {
    OperationError::plain(ErrorKind::Damaged, format!("the part {} of {folder} is not there", part.name))
}
