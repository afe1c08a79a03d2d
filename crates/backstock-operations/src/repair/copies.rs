//! Copies of one backup: its replicas, and folders that a person names. What is no copy of it is refused by name.

use std::path::{Path, PathBuf};

use backstock_archive::layout::MANIFEST_NAME;
use backstock_archive::manifest::SignedManifest;
use backstock_archive::{Part, ReadAt};
use backstock_catalog::{Backup, Replica};
use backstock_storage::ObjectName;
use backstock_vocabulary::ReplicaState;

use super::RefusedSource;
use crate::destination::{MANIFEST_LIMIT_BYTES, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// One copy of a backup: a place, and where in it the backup's folder lies.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    /// What people call it.
    pub(super) title: String,
    pub(super) place: Place,
    /// The backup's folder within the place; empty where the place is that folder.
    folder: String,
}

/// What lies where a manifest should.
pub(super) enum FoundManifest {
    /// The one on record, and its exact bytes.
    Right(Box<SignedManifest>, Vec<u8>),
    /// Nothing of use: damaged, or not there.
    Wrong(String),
    /// It is signed, and not the one of this backup.
    Foreign(String),
}

impl Copy {
    pub(super) fn of_replica(environment: &Environment, replica: &Replica) -> Result<Self> {
        let place = Place::of_record(environment, replica.storage)?;
        Ok(Self { title: place.record.title.clone(), place, folder: replica.folder.clone() })
    }

    /// The copy that a folder of this machine holds, whichever of the three kinds it is.
    fn of_folder(environment: &Environment, folder: &Path, replica: &Replica) -> Result<Option<Self>> {
        let place = Place::local(environment, folder)?;
        let own = replica.folder.rsplit_once('/').map_or(replica.folder.as_str(), |(_, own)| own);
        for inside in [replica.folder.as_str(), own, ""] {
            let title = folder.display().to_string();
            let copy = Self { title, place: place.clone(), folder: inside.to_owned() };
            let looked = [
                "manifest.json",
                "db/index.zst",
                "files/index.zst",
                "db/index.zst.bks",
                "files/index.zst.bks",
            ];
            for name in looked {
                let there = environment.wait(copy.place.storage.stat(&copy.object(name)?));
                if there.doing(format!("looking at {}", folder.display()))?.is_some() {
                    return Ok(Some(copy));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn object(&self, path: &str) -> Result<ObjectName> {
        let name = if self.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", self.folder) };
        ObjectName::new(&name).map_err(|error| {
            OperationError::plain(ErrorKind::Failed, format!("naming an object at {}: {error}", self.title))
        })
    }

    /// Makes sure that this instance writes here.
    pub(super) fn require_own(&self, environment: &Environment) -> Result<()> {
        let name = self.folder.rsplit_once('/').map_or("", |(set_folder, _)| set_folder).to_owned();
        SetFolder { place: self.place.clone(), name }.require_own(environment)
    }

    /// Opens a part; `None` when it is not there.
    pub(super) fn open(&self, environment: &Environment, part: &Part) -> Result<Option<Box<dyn ReadAt>>> {
        self.place.open_object(environment, &self.object(&part.name)?)
    }

    /// Reads the manifest, and compares it with the one on record.
    pub(super) fn manifest(&self, environment: &Environment, backup: &Backup) -> Result<FoundManifest> {
        let name = self.object(MANIFEST_NAME)?;
        let read = environment.wait(self.place.storage.read_small(&name, MANIFEST_LIMIT_BYTES));
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(FoundManifest::Wrong("it is not there".to_owned())),
            Err(error) => return Ok(FoundManifest::Wrong(chain(&error))),
        };
        environment.reads.add(bytes.len() as u64);
        Ok(match SignedManifest::parse(&bytes) {
            Err(error) => FoundManifest::Wrong(chain(&error)),
            Ok(signed) if signed.manifest.backup != backup.id => {
                let other = signed.manifest.backup.short();
                FoundManifest::Foreign(format!("it is the backup {other}, not {}", backup.id.short()))
            }
            Ok(signed) if signed.sha256.to_string() != backup.manifest_hash => {
                FoundManifest::Foreign(format!(
                    "its manifest is signed, and not the one on record for {}: somebody has made another one",
                    backup.id.short()
                ))
            }
            Ok(signed) => FoundManifest::Right(Box::new(signed), bytes),
        })
    }
}

/// The other copies of a backup, the good ones first, and what is refused.
pub(super) fn copies_of(
    environment: &Environment,
    backup: &Backup,
    replicas: &[Replica],
    target: &Replica,
    from: &[PathBuf],
) -> Result<(Vec<Copy>, Vec<RefusedSource>)> {
    let mut others: Vec<&Replica> =
        replicas.iter().filter(|replica| replica.storage != target.storage).collect();
    others.sort_by_key(|replica| match replica.state {
        ReplicaState::Verified => 0,
        ReplicaState::Present => 1,
        _ => 2,
    });
    let mut found = Vec::new();
    for folder in from {
        found.push(Copy::of_folder(environment, folder, target)?.ok_or_else(|| {
            let (short, folder) = (backup.id.short(), folder.display());
            OperationError::hinted(
                ErrorKind::NotFound,
                format!("there is no copy of the backup {short} in {folder}"),
                "give a copy of the folder of backups, of the set's folder in it, or of the backup's own",
            )
        })?);
    }
    for replica in others {
        found.push(Copy::of_replica(environment, replica)?);
    }
    let (mut copies, mut refused) = (Vec::new(), Vec::new());
    for copy in found {
        let (source, part) = (copy.title.clone(), None);
        match copy.manifest(environment, backup)? {
            FoundManifest::Foreign(why) => {
                refused.push(RefusedSource { source, part, offset_bytes: None, why });
            }
            FoundManifest::Wrong(why) => {
                // Its blocks may be good all the same: each of them proves itself.
                let part = Some(MANIFEST_NAME.to_owned());
                refused.push(RefusedSource { source, part, offset_bytes: None, why });
                copies.push(copy);
            }
            FoundManifest::Right(..) => copies.push(copy),
        }
    }
    Ok((copies, refused))
}
