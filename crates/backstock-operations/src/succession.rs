//! The succession of a set's backups: every number is that of a manifest or of a tombstone, and each manifest names the one
//! before it. What does not agree was lost, put back from an older copy, or made by somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use backstock_archive::layout;
use backstock_archive::manifest::Manifest;
use backstock_archive::{Digest, Owner, Sha256, Tombstone};
use backstock_vocabulary::{BackupId, SetId};
use serde::Serialize;

use crate::destination::{Inventory, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};

/// A tombstone of more bytes is none.
const TOMBSTONE_LIMIT_BYTES: u64 = 64 * 1024;
/// So many things that do not agree are told; behind them are more of the same.
const TOLD_LIMIT: usize = 100;

/// One backup of the set: what its manifest or its tombstone tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) sequence: u64,
    pub(crate) backup: BackupId,
    pub(crate) manifest_sha256: Sha256,
    /// Of the number before, where that is told.
    pub(crate) previous: Option<Sha256>,
    /// Whether its manifest is there; else it was deleted on purpose, or is known to lie elsewhere.
    pub(crate) is_there: bool,
}

/// What does not agree among the backups of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "irregularity", rename_all = "kebab-case")]
pub enum Irregularity {
    /// Numbers that no manifest and no tombstone has.
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// Several backups have one number: two instances wrote, or a state was put back and written on.
    Fork {
        /// The number.
        sequence: u64,
        /// The backups.
        backups: Vec<BackupId>,
    },
    /// A manifest names another one before it than the one that is there.
    Broken {
        /// Its number.
        sequence: u64,
        /// The backup.
        backup: BackupId,
    },
    /// The catalog has it here, and it is neither here nor deleted: somebody removed it, or put an older state back.
    Lost {
        /// Its number.
        sequence: u64,
        /// The backup.
        backup: BackupId,
    },
    /// Its manifest is not the one that is on record.
    Replaced {
        /// Its number.
        sequence: u64,
        /// The backup.
        backup: BackupId,
    },
    /// A tombstone, or a manifest, that cannot be read.
    Unreadable {
        /// Where, and why.
        what: String,
    },
}

impl fmt::Display for Irregularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { from, to } if from == to => {
                write!(
                    f,
                    "the backup number {from} is not here and was not deleted: it lies at another place, or was lost"
                )
            }
            Self::Gap { from, to } => write!(
                f,
                "the backups number {from} to {to} are not here and were not deleted: they lie at another place, or \
                 were lost"
            ),
            Self::Fork { sequence, backups } => {
                let ids: Vec<String> = backups.iter().map(BackupId::short).collect();
                write!(
                    f,
                    "the number {sequence} belongs to {}: two wrote here, or an older state was put back and written on",
                    ids.join(" and ")
                )
            }
            Self::Broken { sequence, backup } => write!(
                f,
                "the backup {} (number {sequence}) follows another one than the one that is there",
                backup.short()
            ),
            Self::Lost { sequence, backup } => write!(
                f,
                "the backup {} (number {sequence}) is on record and not there any more, and nobody deleted it",
                backup.short()
            ),
            Self::Replaced { sequence, backup } => {
                write!(
                    f,
                    "the backup {} (number {sequence}) has another manifest than the one on record",
                    backup.short()
                )
            }
            Self::Unreadable { what } => write!(f, "cannot be read: {what}"),
        }
    }
}

/// The number of the first backup that is to be expected where these are the owners.
pub(crate) fn first_number(owners: &[Owner]) -> u64 {
    let first = owners.iter().find(|owner| owner.generation == 1);
    first.and_then(|owner| owner.copies_from).unwrap_or(1)
}

/// What does not agree. `links` are those of the place, `known` what the catalog has of the set wherever it lies, with
/// whether it should be at this place; before the number `first` nothing was to be expected there.
pub(crate) fn irregularities(links: &[Link], known: &[(Link, bool)], first: u64) -> Vec<Irregularity> {
    let mut found = Vec::new();
    let mut numbers: BTreeMap<u64, BTreeMap<BackupId, &Link>> = BTreeMap::new();
    for link in links {
        // A tombstone of a backup whose manifest is still there: its deletion has begun.
        let at = numbers.entry(link.sequence).or_default();
        if !at.contains_key(&link.backup) || link.is_there {
            at.insert(link.backup, link);
        }
    }
    for (expected, is_here) in known {
        let here = links.iter().find(|link| link.backup == expected.backup);
        let (sequence, backup) = (expected.sequence, expected.backup);
        match here {
            Some(link) if link.is_there && link.manifest_sha256 != expected.manifest_sha256 => {
                found.push(Irregularity::Replaced { sequence, backup });
            }
            None if *is_here => found.push(Irregularity::Lost { sequence, backup }),
            _ => {}
        }
        numbers.entry(sequence).or_default().entry(backup).or_insert(expected);
    }
    let mut next = first;
    for (&sequence, at) in &numbers {
        if sequence > next {
            found.push(Irregularity::Gap { from: next, to: sequence - 1 });
        }
        next = next.max(sequence.saturating_add(1));
        if at.len() > 1 {
            found.push(Irregularity::Fork { sequence, backups: at.keys().copied().collect() });
        }
        let before: BTreeSet<Sha256> = sequence
            .checked_sub(1)
            .and_then(|before| numbers.get(&before))
            .map(|before| before.values().map(|link| link.manifest_sha256).collect())
            .unwrap_or_default();
        for link in at.values().filter(|link| link.is_there) {
            let is_broken = match link.previous {
                Some(previous) => !before.is_empty() && !before.contains(&previous),
                None => sequence != 1,
            };
            if is_broken {
                found.push(Irregularity::Broken { sequence, backup: link.backup });
            }
        }
    }
    found.truncate(TOLD_LIMIT);
    found
}

impl SetFolder {
    /// What does not agree among the backups of the folder, beside what the catalog knows. A backup or a deletion that is
    /// going on may be seen half: what does not agree is looked at twice.
    pub(crate) fn irregularities(&self, environment: &Environment) -> Result<Vec<Irregularity>> {
        let found = self.irregularities_seen(environment, &self.inventory(environment)?)?;
        if found.is_empty() {
            return Ok(found);
        }
        self.irregularities_seen(environment, &self.inventory(environment)?)
    }

    fn irregularities_seen(
        &self,
        environment: &Environment,
        inventory: &Inventory,
    ) -> Result<Vec<Irregularity>> {
        let mut links: Vec<Link> = inventory
            .manifests
            .iter()
            .map(|found| {
                let manifest = &found.signed.manifest;
                Link {
                    sequence: manifest.sequence,
                    backup: manifest.backup,
                    manifest_sha256: found.signed.sha256,
                    previous: manifest.previous_manifest_sha256,
                    is_there: true,
                }
            })
            .collect();
        let mut unreadable: Vec<Irregularity> = Vec::new();
        for path in &inventory.tombstones {
            match self.tombstone(environment, path) {
                Ok(Some(tombstone)) => links.push(link_of(&tombstone)),
                Ok(None) => {}
                Err(error) => {
                    unreadable.push(Irregularity::Unreadable { what: format!("{path}: {}", chain(&error)) });
                }
            }
        }
        let set = inventory.manifests.first().map(|found| found.signed.manifest.set);
        let known = set.map(|set| self.known(environment, set)).transpose()?.unwrap_or_default();
        let mut found = irregularities(&links, &known, self.copies_from(environment)?);
        found.append(&mut unreadable);
        Ok(found)
    }

    /// The number of the first backup that is to be expected here: 1, unless the folder was begun for copies.
    pub(crate) fn copies_from(&self, environment: &Environment) -> Result<u64> {
        Ok(first_number(&self.owners(environment)?))
    }

    /// What the catalog has of a set, and whether it is at this place.
    fn known(&self, environment: &Environment, set: SetId) -> Result<Vec<(Link, bool)>> {
        use backstock_vocabulary::ReplicaState::{Damaged, Present, Verified};
        let act = "reading what is known of the set";
        let backups = environment.wait(environment.catalog.list_backups(None)).doing(act)?;
        let replicas = environment.wait(environment.catalog.list_replicas()).doing(act)?;
        let begin = format!("{}/", self.name);
        let here: BTreeSet<BackupId> = replicas
            .iter()
            .filter(|replica| replica.storage == self.place.record.id && replica.folder.starts_with(&begin))
            .filter(|replica| matches!(replica.state, Present | Verified | Damaged))
            .map(|replica| replica.backup)
            .collect();
        let of_set = backups.iter().filter(|backup| backup.set == set);
        Ok(of_set
            .filter_map(|backup| {
                let link = Link {
                    sequence: backup.sequence,
                    backup: backup.id,
                    manifest_sha256: backup.manifest_hash.parse().ok()?,
                    previous: None,
                    is_there: false,
                };
                Some((link, here.contains(&backup.id)))
            })
            .collect())
    }

    /// A tombstone of this folder.
    pub(crate) fn tombstone(&self, environment: &Environment, path: &str) -> Result<Option<Tombstone>> {
        let name = self.object(path)?;
        let act = || format!("reading {path} of {}", self.name);
        let read = self.place.storage.read_small(&name, TOMBSTONE_LIMIT_BYTES);
        let bytes = environment.wait(read).doing(act())?;
        bytes.map(|bytes| Tombstone::parse(&bytes, path).doing(act())).transpose()
    }

    /// The highest number that a readable tombstone tells, where it is above `above`.
    pub(crate) fn buried(
        &self,
        environment: &Environment,
        inventory: &Inventory,
        above: u64,
    ) -> Result<Option<Tombstone>> {
        let mut paths: Vec<(u64, &str)> = inventory
            .tombstones
            .iter()
            .filter_map(|path| Some((layout::parse_tombstone_path(path)?, path.as_str())))
            .filter(|(sequence, _)| *sequence > above)
            .collect();
        paths.sort_unstable();
        while let Some((_, path)) = paths.pop() {
            match self.tombstone(environment, path) {
                Ok(Some(tombstone)) => return Ok(Some(tombstone)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    tracing::warn!(path, "a tombstone cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Writes the tombstone of a backup whose deletion begins, unless it is there already. One that cannot be read makes
    /// way for a new one.
    pub(crate) fn bury(
        &self,
        environment: &Environment,
        manifest: Option<&Manifest>,
        backup: &backstock_catalog::Backup,
    ) -> Result<()> {
        let act = || format!("writing the tombstone of the backup {}", backup.id.short());
        let manifest_sha256: Sha256 = backup.manifest_hash.parse().map_err(|_| {
            let message = format!("the backup {} is on record with no hash", backup.id.short());
            OperationError::plain(ErrorKind::Failed, message)
        })?;
        let tombstone = Tombstone {
            format: Tombstone::format(),
            signer: Digest([0; 32]),
            instance: environment.instance,
            set: backup.set,
            backup: backup.id,
            sequence: backup.sequence,
            manifest_sha256,
            previous_manifest_sha256: manifest.and_then(|manifest| manifest.previous_manifest_sha256),
            deleted: environment.host.clock.now(),
        };
        let name = self.object(&tombstone.path())?;
        match self.tombstone(environment, &tombstone.path()) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Damaged => {
                environment.wait(self.place.storage.delete(&name)).doing(act())?;
            }
            Err(error) => return Err(error),
        }
        let bytes = tombstone.sign(&environment.key).doing(act())?;
        environment.wait(self.place.storage.put_small(&name, &bytes)).doing(act())
    }
}

impl SetFolder {
    /// Removes the tombstone of a backup that is given back, if there is one.
    pub(crate) fn unbury(&self, environment: &Environment, backup: &backstock_catalog::Backup) -> Result<()> {
        let name = self.object(&layout::tombstone_path(backup.sequence, &backup.id.short()))?;
        environment
            .wait(self.place.storage.delete(&name))
            .doing(format!("removing the tombstone of the backup {}", backup.id.short()))
    }

    /// Whether the manifest of a backup is there, readable or not.
    pub(crate) fn has_manifest(&self, environment: &Environment, folder: &str) -> Result<bool> {
        let name = self.object(&format!("{folder}/{}", layout::MANIFEST_NAME))?;
        let act = format!("looking for the manifest of {folder}");
        Ok(environment.wait(self.place.storage.stat(&name)).doing(act)?.is_some())
    }
}

fn link_of(tombstone: &Tombstone) -> Link {
    Link {
        sequence: tombstone.sequence,
        backup: tombstone.backup,
        manifest_sha256: tombstone.manifest_sha256,
        previous: tombstone.previous_manifest_sha256,
        is_there: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(sequence: u64, of: u8, previous: u8) -> Link {
        Link {
            sequence,
            backup: BackupId::from_parts(u64::from(of), [of; 10]),
            manifest_sha256: Digest([of; 32]),
            previous: (previous > 0).then_some(Digest([previous; 32])),
            is_there: true,
        }
    }

    fn gone(link: Link) -> Link {
        Link { is_there: false, ..link }
    }

    fn id(of: u8) -> BackupId {
        link(1, of, 0).backup
    }

    #[test]
    fn a_row_without_gaps_is_right_whatever_was_deleted_on_purpose() {
        let links = [link(3, 3, 2), gone(link(2, 2, 1)), link(1, 1, 0), link(4, 4, 3)];
        assert_eq!(irregularities(&links, &[], 1), []);
        let begun = [link(1, 1, 0), gone(link(1, 1, 0)), link(2, 2, 1)];
        assert_eq!(irregularities(&begun, &[], 1), [], "a deletion that has begun");
        let elsewhere = [(link(2, 2, 1), false)];
        assert_eq!(irregularities(&[link(1, 1, 0), link(3, 3, 2)], &elsewhere, 1), [], "2 lies elsewhere");
        assert_eq!(irregularities(&[], &[], 1), []);
        // Begun for copies with 5, and what that builds on.
        assert_eq!(irregularities(&[link(2, 2, 1), link(5, 5, 4), link(6, 6, 5)], &[], 5), []);
        let gap = [Irregularity::Gap { from: 6, to: 6 }];
        assert_eq!(irregularities(&[link(5, 5, 4), link(7, 7, 6)], &[], 5), gap);
    }

    #[test]
    fn gaps_forks_and_rollbacks_are_named() {
        let found = irregularities(&[link(3, 3, 2), link(6, 6, 5)], &[], 1);
        let gap = |from, to| Irregularity::Gap { from, to };
        assert_eq!(found, [gap(1, 2), gap(4, 5)]);
        let fork = irregularities(&[link(1, 1, 0), link(2, 2, 1), link(2, 9, 1)], &[], 1);
        assert_eq!(fork, [Irregularity::Fork { sequence: 2, backups: vec![id(2), id(9)] }]);
        let broken = irregularities(&[link(1, 1, 0), link(2, 2, 7)], &[], 1);
        assert_eq!(broken, [Irregularity::Broken { sequence: 2, backup: id(2) }]);
        let first = irregularities(&[link(1, 1, 0), link(2, 2, 0)], &[], 1);
        assert_eq!(first, [Irregularity::Broken { sequence: 2, backup: id(2) }], "it names none at all");
        // The folder was put back as it was before number 2, which this machine still knows.
        let known = [(link(1, 1, 0), true), (link(2, 2, 1), true)];
        let back = irregularities(&[link(1, 1, 0)], &known, 1);
        assert_eq!(back, [Irregularity::Lost { sequence: 2, backup: id(2) }]);
        // And somebody wrote on from there.
        let on = irregularities(&[link(1, 1, 0), link(2, 9, 1)], &known, 1);
        assert_eq!(on[0], Irregularity::Lost { sequence: 2, backup: id(2) });
        assert_eq!(on[1], Irregularity::Fork { sequence: 2, backups: vec![id(2), id(9)] });
        let other = Link { manifest_sha256: Digest([8; 32]), ..link(1, 1, 0) };
        let replaced = irregularities(&[other], &known[..1], 1);
        assert_eq!(replaced, [Irregularity::Replaced { sequence: 1, backup: id(1) }]);
        let endless = irregularities(&[link(u64::MAX, 1, 2)], &[], 1);
        assert_eq!(endless, [gap(1, u64::MAX - 1)]);
    }

    #[test]
    fn what_is_told_has_an_end() {
        let links: Vec<Link> = (1..=250_u8).map(|of| link(u64::from(of) * 2, of, 1)).collect();
        assert_eq!(irregularities(&links, &[], 1).len(), TOLD_LIMIT);
    }
}
