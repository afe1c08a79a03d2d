//! One backup on its way to one destination: every part, then, when what it builds on is seen there, its manifest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use backstock_archive::artifact::{BLOCK_SIZE_BYTES, BlockHashes};
use backstock_archive::layout::{MANIFEST_NAME, tombstone_path};
use backstock_archive::manifest::{SignedManifest, manifest_hash};
use backstock_archive::{Part, ReadAt, check_block, read_fully};
use backstock_catalog::Replica;
use backstock_storage::{Error, SpooledPart};
use backstock_vocabulary::{Proof, ReplicaState};

use super::patience::Patience;
use super::pick::picked;
use super::plan::LackingBackup;
use super::prepare::Prepared;
use super::upload::{Pace, PartUpload, forget_journal, journal_path};
use crate::backup::RESERVE_BYTES;
use crate::destination::MANIFEST_LIMIT_BYTES;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::monitor::Monitor;
use crate::stored::StoredBackup;

/// Bytes that are fetched from another storage at a time.
const FETCH_BYTES: usize = 8 << 20;

/// Blocks of parts are what places are asked to give back, and what is sent is checked by.
const _: () = assert!(BLOCK_SIZE_BYTES == backstock_storage::BLOCK_BYTES);
/// Why a copy was not made: what was to be copied is not what it should be, or anything else. Another source helps
/// with the first alone.
pub(super) enum Failure {
    Source(OperationError),
    Other(OperationError),
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        Self::Other(error)
    }
}

/// What comes of a step of a copy.
pub(super) type Step<T> = std::result::Result<T, Failure>;

/// Whoever copies to one destination.
pub(super) struct Copier<'a> {
    pub(super) environment: &'a Environment,
    pub(super) prepared: Prepared,
    /// Parts that are there since the backup was made, by their paths below the set's folder, with what that rests on.
    pub(super) early: HashMap<String, Proof>,
    pub(super) pace: Arc<Pace>,
    /// Where parts wait that no folder of this machine holds.
    pub(super) spool: PathBuf,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) sent: AtomicU64,
}

impl Copier<'_> {
    /// Copies a backup from the first source that has it whole. After `Ok` it is there, and on record so.
    pub(super) fn copy(&self, lacking: &LackingBackup) -> Result<Proof> {
        let short = lacking.backup.id.short();
        let mut last = None;
        for source in &lacking.sources {
            let opened = StoredBackup::open_replica(self.environment, lacking.backup.clone(), source.clone());
            match opened.map_err(Failure::Source).and_then(|stored| self.copy_from(lacking, &stored)) {
                Ok(proof) => return Ok(proof),
                // Another source may have what this one has not.
                Err(Failure::Source(error)) => {
                    tracing::warn!(
                        "the backup {short} could not be taken from one of its places: {}",
                        chain(&error)
                    );
                    last = Some(error);
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            OperationError::hinted(
                ErrorKind::NotFound,
                format!("no storage holds the backup {short} any more, from which it could be copied"),
                "the next full backup goes there all the same, and what is made after it",
            )
        }))
    }

    fn copy_from(&self, lacking: &LackingBackup, stored: &StoredBackup) -> Step<Proof> {
        let (storage, environment) = (self.prepared.target.place.record.id, self.environment);
        let on_record = |state, proof| Replica {
            backup: lacking.backup.id,
            storage,
            folder: lacking.folder.clone(),
            state,
            proof,
            checked: None,
        };
        let act = || format!("recording the copy of {}", lacking.backup.id.short());
        let owe =
            |state| environment.wait(environment.catalog.owe_replica(&on_record(state, None))).doing(act());
        owe(ReplicaState::Uploading)?;
        let mut proof = Proof::ReadBack;
        let parts: Vec<&Part> =
            stored.signed.manifest.artifacts.iter().flat_map(|artifact| &artifact.parts).collect();
        let picked = picked(&parts, &*environment.host.random);
        for (part, is_picked) in parts.into_iter().zip(picked) {
            let put = match self.put_part(stored, part)? {
                Proof::Size if is_picked => self.read_a_block(&stored.folder, part)?,
                // A block of a part beside it stands for it.
                Proof::Size => Proof::ReadBack,
                proof => proof,
            };
            proof = proof.min(put);
        }
        owe(ReplicaState::WaitingForParent)?;
        self.require_parent(&stored.signed)?;
        let tombstone = tombstone_path(lacking.backup.sequence, &lacking.backup.id.short());
        if self.prepared.tombstones.contains(&tombstone) {
            // It was not to be expected there, and now it is.
            self.prepared.target.unbury(environment, &lacking.backup)?;
        }
        backstock_host::failpoint::reach("replicate.before_manifest").doing(act())?;
        self.put_manifest(stored)?;
        backstock_host::failpoint::reach("replicate.after_manifest").doing(act())?;
        // What somebody else hashed, or was read back, is more than a size.
        let state = if proof == Proof::Size { ReplicaState::Present } else { ReplicaState::Verified };
        let checked = Some(environment.host.clock.now());
        let replica = Replica { checked, ..on_record(state, Some(proof)) };
        environment.wait(environment.catalog.save_replica(&replica)).doing(act())?;
        Ok(proof)
    }

    fn put_part(&self, stored: &StoredBackup, part: &Part) -> Step<Proof> {
        if self.monitor.is_cancelled() {
            return Err(crate::backup::interrupted().into());
        }
        backstock_host::failpoint::reach("replicate.before_part").doing("copying a part")?;
        if let Some(proof) = self.early.get(&format!("{}/{}", stored.folder, part.name)) {
            self.monitor.bytes(part.size_bytes);
            self.monitor.item(&part.name);
            return Ok(*proof);
        }
        let from = &stored.set_folder;
        let name = from.object(&format!("{}/{}", stored.folder, part.name))?;
        if let Some(path) = from.place.storage.local_path(&name) {
            return self.put(&stored.folder, part, &path);
        }
        let fetched = self.fetch(stored, part)?;
        let result = self.put(&stored.folder, part, &fetched);
        self.environment.host.files.remove_file(&fetched).doing("clearing the spool")?;
        result
    }

    /// Brings a part of another storage into the spool.
    fn fetch(&self, stored: &StoredBackup, part: &Part) -> Step<PathBuf> {
        let files = &self.environment.host.files;
        let act = || format!("fetching {} from {}", part.name, stored.set_folder.place.record.title);
        files.create_folder(&self.spool).doing(act())?;
        files.require_space(&self.spool, part.size_bytes, RESERVE_BYTES).doing(act())?;
        let source =
            stored.set_folder.open_part(self.environment, &stored.folder, part).map_err(Failure::Source)?;
        let path = self.spool.join("part");
        files.remove_file(&path).doing(act())?;
        let mut file = files.create_new(&path).doing(act())?;
        let mut buffer = vec![0; FETCH_BYTES];
        let mut position = 0;
        while position < part.size_bytes {
            if self.monitor.is_cancelled() {
                return Err(crate::backup::interrupted().into());
            }
            let count = read_fully(&*source, &mut buffer, position).doing(act()).map_err(Failure::Source)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).doing(act())?;
            position += count as u64;
        }
        file.sync().doing(act())?;
        Ok(path)
    }

    /// Puts one part, which lies in a file, into the folder of its backup. An upload that was cut off goes on.
    pub(super) fn put(&self, folder: &str, part: &Part, path: &Path) -> Step<Proof> {
        let (environment, place) = (self.environment, &self.prepared.target.place);
        let name = self.prepared.target.object(&format!("{folder}/{}", part.name))?;
        let journal = journal_path(environment, place.record.id, &name);
        let blocks = match &part.block_hashes {
            BlockHashes::Blake3(blocks) => blocks.iter().map(|block| block.0).collect(),
            BlockHashes::Sha256(_) => Vec::new(),
        };
        let (size_bytes, sha256) = (part.size_bytes, part.sha256.0);
        let spooled = SpooledPart { path, size_bytes, sha256, blocks: &blocks, may_consume: false };
        let upload = PartUpload {
            host: &environment.host,
            monitor: self.monitor,
            pace: Arc::clone(&self.pace),
            name: name.clone(),
            place: place.record.title.clone(),
            sha256: part.sha256,
            journal: journal.clone(),
            kept: Mutex::default(),
            sent: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
        };
        let mut patience = Patience::new(environment, self.monitor);
        let mut reached = 0;
        let act = || format!("storing {} at {}", part.name, place.record.title);
        let put = loop {
            let result = environment.wait(place.storage.put(&name, &spooled, &upload));
            let now = upload.confirmed.load(Ordering::Relaxed);
            if now > reached {
                reached = now;
                patience.begin_anew();
            }
            match result {
                Err(error) if patience.waits_after(&error) => {}
                other => break other,
            }
        };
        self.sent.fetch_add(upload.sent.load(Ordering::Relaxed), Ordering::Relaxed);
        let receipt = match put {
            Err(error @ Error::PartChanged { .. }) => {
                Err(Failure::Source(OperationError::Storage { act: act(), source: Box::new(error) }))
            }
            other => other.doing(act()).map_err(Failure::Other),
        }?;
        self.monitor.bytes(part.size_bytes.saturating_sub(upload.confirmed.load(Ordering::Relaxed)));
        self.monitor.item(&part.name);
        forget_journal(environment, &journal)?;
        Ok(receipt.proof)
    }

    /// Reads one block of a part back, anyone of them.
    fn read_a_block(&self, folder: &str, part: &Part) -> Result<Proof> {
        if part.block_count() == 0 {
            return Ok(Proof::Size);
        }
        let act = || {
            format!("reading a block of {} back from {}", part.name, self.prepared.target.place.record.title)
        };
        let mut random = [0; size_of::<usize>()];
        self.environment.host.random.fill(&mut random);
        let block = usize::from_le_bytes(random) % part.block_count();
        let source: Box<dyn ReadAt> = self.prepared.target.open_part(self.environment, folder, part)?;
        let mut progress = |_: u64| match self.monitor.is_cancelled() {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        };
        match check_block(&*source, part, block, &mut progress).doing(act())? {
            None => Ok(Proof::ReadBack),
            Some(what) => Err(OperationError::hinted(
                ErrorKind::Storage,
                format!("{}: block {block} is not what was sent: {what}", act()),
                "the place does not keep what it is given; `backstock storage test` tries it",
            )),
        }
    }

    /// The manifest goes only where that of what it builds on is.
    fn require_parent(&self, signed: &SignedManifest) -> Result<()> {
        let Some(parent) = &signed.manifest.parent else { return Ok(()) };
        let environment = self.environment;
        let act = || format!("looking for the backup {} that it builds on", parent.backup.short());
        let known = environment.wait(environment.catalog.backup(parent.backup)).doing(act())?;
        let seen = known.and_then(|known| self.prepared.target.manifest(environment, &known.folder).ok());
        if seen.is_some_and(|seen| seen.sha256 == parent.manifest_sha256) {
            return Ok(());
        }
        Err(OperationError::plain(
            ErrorKind::Storage,
            format!(
                "the backup {} waits there for {}, on which it builds",
                signed.manifest.backup.short(),
                parent.backup.short()
            ),
        ))
    }

    fn put_manifest(&self, stored: &StoredBackup) -> Step<()> {
        let (environment, from) = (self.environment, &stored.set_folder);
        let act = || format!("copying the manifest of {}", stored.folder);
        let source = from.object(&format!("{}/{MANIFEST_NAME}", stored.folder))?;
        let read = from.place.storage.read_small(&source, MANIFEST_LIMIT_BYTES);
        let bytes = environment.wait(read).doing(act()).map_err(Failure::Source)?.unwrap_or_default();
        // Exactly what was opened: the source may have been changed meanwhile.
        if manifest_hash(&bytes) != stored.signed.sha256 {
            let message = format!("{}: it is another one than a moment ago", act());
            return Err(Failure::Source(OperationError::plain(ErrorKind::Damaged, message)));
        }
        let name = self.prepared.target.object(&format!("{}/{MANIFEST_NAME}", stored.folder))?;
        let storage = &self.prepared.target.place.storage;
        let put = Patience::new(environment, self.monitor).act(|| storage.put_small(&name, &bytes));
        Ok(put.doing(format!(
            "storing the manifest of {} at {}",
            stored.folder, self.prepared.target.place.record.title
        ))?)
    }
}
