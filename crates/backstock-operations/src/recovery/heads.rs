//! Where each place of a set ends: the newest backup of one may be missing at another, and two may have gone on apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use backstock_archive::Sha256;
use serde::Serialize;

use crate::destination::Inventory;
use crate::keys::Signers;

/// Where the backups of a set end at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceHead {
    /// The storage.
    pub storage: String,
    /// The set's folder there.
    pub folder: String,
    /// The highest number of a backup that counts; none where there is none.
    pub sequence: Option<u64>,
    /// The hash of its manifest.
    pub manifest_sha256: Option<Sha256>,
    /// How many backups that count are there.
    pub backups: u64,
    /// Why nothing is known of the place.
    pub problem: Option<String>,
}

/// What does not agree between two places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum HeadDifference {
    /// One place ends before another.
    Behind {
        /// The one.
        storage: String,
        /// Where it ends; none where it has no backup.
        sequence: Option<u64>,
        /// The other.
        newest_at: String,
        /// Where that ends.
        newest: u64,
        /// How many backups of that are newer.
        newer: u64,
    },
    /// A number belongs to different backups at two places: they went on apart.
    Fork {
        /// The lowest such number.
        sequence: u64,
        /// The places.
        storages: Vec<String>,
    },
}

/// Where the backups of a set end at every place that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetHeads {
    /// The set's folder.
    pub set_folder: String,
    /// The places.
    pub places: Vec<PlaceHead>,
    /// What does not agree.
    pub differences: Vec<HeadDifference>,
}

impl SetHeads {
    /// Whether two places went on apart.
    pub fn is_forked(&self) -> bool {
        self.differences.iter().any(|difference| matches!(difference, HeadDifference::Fork { .. }))
    }
}

impl fmt::Display for HeadDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { storage, sequence, newest_at, newest, newer } => {
                match sequence {
                    Some(sequence) => write!(f, "{storage} ends at number {sequence}")?,
                    None => write!(f, "{storage} has no backup of it")?,
                }
                let (count, are) =
                    if *newer == 1 { ("1 newer backup", "is") } else { ("newer backups", "are") };
                write!(f, ", {newest_at} at {newest}: ")?;
                if *newer != 1 {
                    write!(f, "{newer} ")?;
                }
                write!(f, "{count} {are} not at {storage}")
            }
            Self::Fork { sequence, storages } => write!(
                f,
                "the number {sequence} is another backup at each of {}: two wrote on apart, or an older state was put back and \
                 written on",
                storages.join(" and ")
            ),
        }
    }
}

/// The backups of one place.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) storage: String,
    pub(crate) folder: String,
    /// Hashes of manifests by number.
    pub(crate) manifests: BTreeMap<u64, BTreeSet<Sha256>>,
    pub(crate) problem: Option<String>,
}

impl Head {
    /// What a look at a set's folder brought; what strangers signed does not count.
    pub(crate) fn of(storage: String, folder: String, inventory: &Inventory, signers: &Signers) -> Self {
        let mut manifests: BTreeMap<u64, BTreeSet<Sha256>> = BTreeMap::new();
        for found in inventory.manifests.iter().filter(|found| signers.count(&found.signed.manifest.signer)) {
            manifests.entry(found.signed.manifest.sequence).or_default().insert(found.signed.sha256);
        }
        Self { storage, folder, manifests, problem: None }
    }

    fn place(&self) -> PlaceHead {
        let last = self.manifests.last_key_value();
        PlaceHead {
            storage: self.storage.clone(),
            folder: self.folder.clone(),
            sequence: last.map(|(sequence, _)| *sequence),
            manifest_sha256: last.and_then(|(_, hashes)| hashes.first().copied()),
            backups: self.manifests.values().map(|hashes| hashes.len() as u64).sum(),
            problem: self.problem.clone(),
        }
    }
}

/// Compares where the places of a set end.
pub(crate) fn compare(set_folder: String, heads: &[Head]) -> SetHeads {
    let places: Vec<PlaceHead> = heads.iter().map(Head::place).collect();
    let mut differences = Vec::new();
    let ahead = heads.iter().filter(|head| !head.manifests.is_empty());
    let ahead = ahead.max_by_key(|head| head.manifests.last_key_value().map(|(sequence, _)| *sequence));
    if let Some((ahead, newest)) = ahead.and_then(|head| Some((head, *head.manifests.last_key_value()?.0))) {
        for place in places.iter().filter(|place| place.problem.is_none()) {
            if place.sequence >= Some(newest) {
                continue;
            }
            let after = place.sequence.map_or(0, |sequence| sequence + 1);
            differences.push(HeadDifference::Behind {
                storage: place.storage.clone(),
                sequence: place.sequence,
                newest_at: ahead.storage.clone(),
                newest,
                newer: ahead.manifests.range(after..).map(|(_, hashes)| hashes.len() as u64).sum(),
            });
        }
    }
    differences.extend(fork(heads));
    SetHeads { set_folder, places, differences }
}

/// The lowest number that belongs to different backups at two places.
fn fork(heads: &[Head]) -> Option<HeadDifference> {
    let mut numbers: BTreeMap<u64, Vec<(&Head, &BTreeSet<Sha256>)>> = BTreeMap::new();
    for head in heads {
        for (sequence, hashes) in &head.manifests {
            numbers.entry(*sequence).or_default().push((head, hashes));
        }
    }
    numbers.into_iter().find_map(|(sequence, at)| {
        let (_, first) = at.first()?;
        at.iter().any(|(_, hashes)| hashes != first).then(|| HeadDifference::Fork {
            sequence,
            storages: at.iter().map(|(head, _)| head.storage.clone()).collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use backstock_archive::Digest;
    use proptest::prelude::*;

    use super::*;

    fn head(storage: &str, numbers: impl IntoIterator<Item = (u64, u8)>) -> Head {
        let mut head = Head { storage: storage.to_owned(), ..Head::default() };
        for (sequence, hash) in numbers {
            head.manifests.entry(sequence).or_default().insert(Digest([hash; 32]));
        }
        head
    }

    #[test]
    fn a_place_that_ends_before_another_is_told_with_how_much_it_lacks() {
        let (one, other) =
            (head("offsite2", [(39, 39), (40, 40)]), head("offsite", [(40, 40), (41, 1), (42, 2)]));
        let away = Head { problem: Some("it is away".to_owned()), ..head("away", []) };
        let heads = compare("shop".to_owned(), &[one, other, away]);
        assert_eq!(heads.places[2].problem.as_deref(), Some("it is away"));
        let [difference] = &heads.differences[..] else { panic!("{heads:?}") };
        assert_eq!(
            difference.to_string(),
            "offsite2 ends at number 40, offsite at 42: 2 newer backups are not at offsite2"
        );
        assert!(!heads.is_forked());
        let nothing = compare("shop".to_owned(), &[head("one", []), head("two", [(1, 1)])]);
        assert_eq!(
            nothing.differences[0].to_string(),
            "one has no backup of it, two at 1: 1 newer backup is not at one"
        );
    }

    #[test]
    fn places_that_went_on_apart_are_told_loudly() {
        let heads = compare("shop".to_owned(), &[head("a", [(1, 1), (2, 2)]), head("b", [(1, 1), (2, 3)])]);
        assert!(heads.is_forked());
        assert!(
            heads.differences[0].to_string().starts_with("the number 2 is another backup at each of a and b")
        );
    }

    proptest! {
        /// Places that were copied from one and the same row of backups never look forked, wherever each of them ends.
        #[test]
        fn copies_of_one_row_never_look_forked(lengths in proptest::collection::vec(0_u8..20, 1..5)) {
            let heads: Vec<Head> = lengths
                .iter()
                .enumerate()
                .map(|(at, length)| head(&at.to_string(), (1..=*length).map(|number| (u64::from(number), number))))
                .collect();
            let compared = compare("shop".to_owned(), &heads);
            prop_assert!(!compared.is_forked());
            let longest = *lengths.iter().max().unwrap();
            let behind = lengths.iter().filter(|length| **length < longest).count();
            prop_assert_eq!(compared.differences.len(), behind);
            for difference in &compared.differences {
                let HeadDifference::Behind { sequence, newest, newer, .. } = difference else { panic!() };
                prop_assert_eq!(*newer, newest - sequence.unwrap_or(0));
                prop_assert_eq!(*newest, u64::from(longest));
            }
        }
    }
}
