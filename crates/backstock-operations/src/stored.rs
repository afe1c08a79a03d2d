//! One stored backup, opened for reading: its manifest, its indexes, its artifacts.

use std::io;
use std::sync::Arc;

use backstock_archive::manifest::{ManifestArtifact, SignedManifest};
use backstock_archive::{ArtifactReader, IndexReader, ReadAt};
use backstock_catalog::{Backup, Replica};
use backstock_database::{DumpedObject, FrameSource};
use backstock_platform::ShopLayout;
use backstock_storage::LOCAL_KIND;
use backstock_vocabulary::{ArtifactKind, Content, ReplicaState, ShopId, StorageId};

use crate::accepted::Accepted;
use crate::backup::{DatabaseHeader, DatabaseSummary, FilesHeader};
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::lease::Lease;

/// The index of an artifact, read from wherever it is stored.
pub(crate) type StoredIndex = IndexReader<Box<dyn ReadAt>>;

/// One replica of one backup, opened.
pub(crate) struct StoredBackup {
    pub(crate) record: Backup,
    pub(crate) replica: Replica,
    pub(crate) set_folder: SetFolder,
    pub(crate) folder: String,
    pub(crate) signed: SignedManifest,
    /// It is not deleted while this is here.
    _lease: Option<Lease>,
}

/// Finds the backup that a person means.
pub fn find_backup(environment: &Environment, text: &str, shop: Option<ShopId>) -> Result<Backup> {
    let act = || format!("looking for the backup {text}");
    let found = environment.wait(environment.catalog.find_backup(text, shop)).doing(act())?;
    // Whoever restores it should know.
    let short = found.id.short();
    if environment.wait(environment.catalog.list_strangers()).doing(act())?.contains(&found.id) {
        tracing::warn!("the backup {short} is signed by a key that nobody vouches for");
    }
    if found.content == Content::Suspect && !Accepted::read(environment)?.is_confirmed(found.id) {
        tracing::warn!(
            "the backup {short} is suspect: implausibly much was gone or rewritten when it was made; `backstock show \
             {short}` tells what, `backstock list` shows earlier ones"
        );
    }
    let replicas = environment.wait(environment.catalog.replicas(found.id)).doing(act())?;
    if let Some(storage) = &environment.read_at
        && !replicas.iter().any(|replica| replica.storage == storage.id && is_readable(replica))
    {
        return Err(OperationError::hinted(
            ErrorKind::NotFound,
            format!("the storage {} does not hold the backup {short}", storage.title),
            format!("`backstock show {short}` tells where it lies"),
        ));
    }
    if !replicas.is_empty() && replicas.iter().all(|replica| replica.state == ReplicaState::Damaged) {
        tracing::warn!("the backup {short} was found damaged; `backstock list` shows earlier ones");
    }
    Ok(found)
}

fn is_readable(replica: &Replica) -> bool {
    replica.state.is_there()
        || matches!(replica.state, ReplicaState::Damaged | ReplicaState::RetainedByStorage)
}

impl StoredBackup {
    /// Opens the best replica of a backup that can be opened now: a place that is away holds nothing up while another has it.
    pub(crate) fn open(environment: &Environment, record: Backup) -> Result<Self> {
        Self::open_at(environment, record, None)
    }

    /// The same, from a storage before all others.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "whoever opens a backup has no more use for its record"
    )]
    pub(crate) fn open_at(
        environment: &Environment,
        record: Backup,
        storage: Option<StorageId>,
    ) -> Result<Self> {
        let mut replicas = Self::readable_replicas(environment, &record)?;
        let is_good = |replica: &Replica| replica.state != ReplicaState::Damaged;
        replicas.sort_by_key(|replica| !(is_good(replica) && Some(replica.storage) == storage));
        let mut replicas = replicas.into_iter();
        let Some(best) = replicas.next() else {
            let message = format!("no storage holds the backup {}", record.id.short());
            return Err(OperationError::plain(ErrorKind::NotFound, message));
        };
        let first = match Self::open_replica(environment, record.clone(), best) {
            Err(error) if matches!(error.kind(), ErrorKind::Storage | ErrorKind::Damaged) => error,
            result => return result,
        };
        for replica in replicas {
            if let Ok(stored) = Self::open_replica(environment, record.clone(), replica) {
                let title = &stored.set_folder.place.record.title;
                tracing::warn!("{}; it is read from {title} instead", chain(&first));
                return Ok(stored);
            }
        }
        Err(first)
    }

    /// Opens one replica of a backup.
    pub(crate) fn open_replica(environment: &Environment, record: Backup, replica: Replica) -> Result<Self> {
        let lease = Lease::take(environment, record.id)?;
        Self::open_leased(environment, record, replica, lease)
    }

    /// A backup whose parts were put, and whose manifest nobody can see yet.
    pub(crate) fn unseen(
        (record, replica): (Backup, Replica),
        set_folder: SetFolder,
        signed: SignedManifest,
    ) -> Self {
        let folder = record.folder.clone();
        Self { record, replica, set_folder, folder, signed, _lease: None }
    }

    /// Where a backup may be read: what is good before what is damaged, this machine's folders before what is far, what was
    /// verified before what was not.
    fn readable_replicas(environment: &Environment, record: &Backup) -> Result<Vec<Replica>> {
        let act = || format!("looking for the replicas of backup {}", record.id.short());
        let mut replicas = environment.wait(environment.catalog.replicas(record.id)).doing(act())?;
        replicas.retain(is_readable);
        // What is not there (the snapshot of a restore) is not what was meant.
        let is_meant =
            |replica: &Replica| environment.read_at.as_ref().is_some_and(|at| at.id == replica.storage);
        if replicas.iter().any(is_meant) {
            replicas.retain(is_meant);
        }
        let storages = environment.wait(environment.catalog.list_storages()).doing(act())?;
        let is_far =
            |id: StorageId| storages.iter().any(|storage| storage.id == id && storage.kind != LOCAL_KIND);
        replicas.sort_by_key(|replica| {
            let is_damaged = replica.state == ReplicaState::Damaged;
            // What should be gone is read where nothing else is left.
            let is_retained = replica.state == ReplicaState::RetainedByStorage;
            (is_damaged, is_retained, is_far(replica.storage), replica.state != ReplicaState::Verified)
        });
        Ok(replicas)
    }

    fn open_leased(
        environment: &Environment,
        record: Backup,
        replica: Replica,
        lease: Option<Lease>,
    ) -> Result<Self> {
        let place = Place::of_record(environment, replica.storage)?;
        let (set_folder, folder) = SetFolder::of_replica(&place, &replica)?;
        let folder = folder.to_owned();
        let signed = set_folder.manifest(environment, &folder)?;
        if signed.manifest.backup != record.id || signed.sha256.to_string() != record.manifest_hash {
            let message =
                format!("the manifest in {folder} is not the one that was recorded for this backup");
            return Err(OperationError::plain(ErrorKind::Damaged, message));
        }
        Ok(Self { record, replica, set_folder, folder, signed, _lease: lease })
    }

    /// An artifact of the manifest, or the error that it has none of that kind.
    pub(crate) fn require(&self, kind: ArtifactKind) -> Result<&ManifestArtifact> {
        self.signed.manifest.artifact(kind).ok_or_else(|| {
            let what = match kind {
                ArtifactKind::Database | ArtifactKind::DatabaseIndex => "no database",
                ArtifactKind::Files | ArtifactKind::FilesIndex => "no files",
            };
            OperationError::plain(
                ErrorKind::NotFound,
                format!("the backup {} has {what}", self.record.id.short()),
            )
        })
    }

    /// Folders of this machine that are never part of a shop: the state, and where the backup itself lies.
    pub(crate) fn never_of_a_shop(&self, environment: &Environment) -> Vec<std::path::PathBuf> {
        [environment.state.root().to_owned()].into_iter().chain(self.place_folder().ok()).collect()
    }

    /// The folder that holds it, where it is a folder of this machine.
    pub(crate) fn place_folder(&self) -> Result<std::path::PathBuf> {
        self.set_folder.place.folder()
    }

    /// Whether it has an artifact of this kind.
    pub(crate) fn has(&self, kind: ArtifactKind) -> bool {
        self.signed.manifest.artifact(kind).is_some()
    }

    /// Every part of an artifact in order, opened for reading its text.
    pub(crate) fn parts(
        &self,
        environment: &Environment,
        artifact: &ManifestArtifact,
    ) -> Result<Vec<Box<dyn ReadAt>>> {
        let cache = Arc::default();
        let open = |number| {
            self.set_folder.open_text(environment, &self.folder, &self.signed, artifact, number, &cache)
        };
        (1..=artifact.parts.len()).map(open).collect()
    }

    /// Opens the index of the database or of the files.
    pub(crate) fn index(&self, environment: &Environment, kind: ArtifactKind) -> Result<StoredIndex> {
        open_index(environment, &self.set_folder, &self.folder, &self.signed, self.require(kind)?)
    }

    /// Opens the database's or the files' artifact with its index.
    pub(crate) fn artifact(
        &self,
        environment: &Environment,
        kind: ArtifactKind,
    ) -> Result<(ArtifactReader, StoredIndex)> {
        let index_kind = match kind {
            ArtifactKind::Database | ArtifactKind::DatabaseIndex => ArtifactKind::DatabaseIndex,
            ArtifactKind::Files | ArtifactKind::FilesIndex => ArtifactKind::FilesIndex,
        };
        let artifact = self.require(kind)?;
        let index = self.index(environment, index_kind)?;
        let act = || format!("opening {} of {}", artifact.path(), self.folder);
        let frames = index.frame_table().doing(act())?;
        let parts = self.parts(environment, artifact)?;
        let reader = ArtifactReader::open(artifact, parts, frames).doing(act())?;
        Ok((reader, index))
    }

    /// Every object of the database, and what the dump had to say.
    pub(crate) fn database(&self, environment: &Environment) -> Result<(Vec<DumpedObject>, DatabaseSummary)> {
        let index = self.index(environment, ArtifactKind::DatabaseIndex)?;
        let act = || format!("reading the database index of {}", self.folder);
        let objects = index
            .entries::<DumpedObject>()
            .map(|line| line.map(|line| line.entry))
            .collect::<std::result::Result<Vec<_>, _>>()
            .doing(act())?;
        let summary = index.summary().doing(act())?;
        Ok((objects, summary))
    }

    /// What the platform said of the shop when the backup was made.
    pub(crate) fn layout(&self, environment: &Environment) -> Result<Option<ShopLayout>> {
        let kind = if self.has(ArtifactKind::FilesIndex) {
            ArtifactKind::FilesIndex
        } else {
            ArtifactKind::DatabaseIndex
        };
        let index = self.index(environment, kind)?;
        let act = || format!("reading an index of {}", self.folder);
        // Both headers tell the shop in the same place.
        let header: DatabaseHeader = index.header().doing(act())?;
        header.shop.layout.map(serde_json::from_value).transpose().doing(act())
    }

    /// Which folder each root of the files stood for.
    pub(crate) fn files_header(&self, index: &StoredIndex) -> Result<FilesHeader> {
        index.header().doing(format!("reading the files index of {}", self.folder))
    }
}

/// Opens one index of one backup.
pub(crate) fn open_index(
    environment: &Environment,
    set_folder: &SetFolder,
    folder: &str,
    signed: &SignedManifest,
    artifact: &ManifestArtifact,
) -> Result<StoredIndex> {
    let part = artifact.parts.first().ok_or_else(|| {
        OperationError::plain(ErrorKind::Damaged, format!("{} has no part", artifact.path()))
    })?;
    let source = set_folder.open_text(environment, folder, signed, artifact, 1, &Arc::default())?;
    IndexReader::open(source, part).doing(format!("opening {} of {folder}", part.name))
}

/// Frames of a stored dump, for loading.
pub(crate) struct StoredFrames(pub(crate) ArtifactReader);

impl FrameSource for StoredFrames {
    fn frame(&self, number: u64) -> io::Result<Vec<u8>> {
        self.0.read_frame(number).map_err(io::Error::other)
    }

    fn frame_bytes(&self, number: u64) -> u64 {
        self.0.frames().get(number).map_or(0, |frame| u64::from(frame.plaintext_bytes))
    }
}
