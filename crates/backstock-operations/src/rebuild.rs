//! Making the catalog anew from a folder of backups: manifests tell what there is, indexes tell which shop it was.

use std::path::Path;

use backstock_archive::manifest::Manifest;
use backstock_catalog::{Problem, Set, Severity, Shop};
use backstock_vocabulary::{ArtifactKind, IdentityId};
use serde::Serialize;

use crate::backup::{
    DEFAULT_SET, DatabaseHeader, DatabaseSummary, FilesHeader, FilesSummary, ReportedProblem, ShopHeader,
    adopt,
};
use crate::destination::{FoundManifest, Inventory, Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::keys::{Fingerprint, Found, Signers, take_over};
use crate::monitor::{Expected, Monitor, Phase};
use crate::recovery::{ImportedSettings, PassedOver, SeenFolder, SetHeads, SettingsWish, bring_back};
use crate::storages;
use crate::stored::open_index;
use crate::succession::Irregularity;

/// The platform of a shop that nobody has told anything of.
pub(crate) const UNKNOWN_PLATFORM: &str = "unknown";

/// What a rebuild came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RebuildReport {
    /// Folders of sets that were looked through.
    pub set_folders: u64,
    /// Backups that are on record now.
    pub backups: u64,
    /// Manifests that could not be read, and why.
    pub unreadable: Vec<String>,
    /// Folders without a manifest: no backups.
    pub without_manifest: Vec<String>,
    /// What does not agree among the backups of each set.
    pub irregularities: Vec<SetIrregularity>,
    /// Sets with identities beside their backups: which of them something vouches for.
    pub sealed_sets: Vec<SealedSet>,
    /// Backups that somebody signed whom nobody vouches for; they count for nothing.
    pub strangers: u64,
    /// Settings that were brought back.
    pub settings: Vec<ImportedSettings>,
    /// Exports of settings that were not used, and why.
    pub passed_over: Vec<PassedOver>,
    /// Where the backups of each set end, at this place and the others that its settings name.
    pub heads: Vec<SetHeads>,
}

/// A set whose folder holds identities.
#[derive(Debug, Clone, Serialize)]
pub struct SealedSet {
    /// The set's folder.
    pub set_folder: String,
    /// The identities that a passphrase, a key file, a fingerprint or this machine vouches for. None: whose backups these are was
    /// not shown.
    pub vouched: Vec<IdentityId>,
}

/// What does not agree among the backups of one set.
#[derive(Debug, Clone, Serialize)]
pub struct SetIrregularity {
    /// The set's folder.
    pub set_folder: String,
    /// What it is.
    #[serde(flatten)]
    pub irregularity: Irregularity,
}

/// Reads every manifest below a folder of backups and records what it proves. May be repeated. With a key, or the fingerprint of
/// an identity, it first makes sure whose backups they are.
///
/// # Errors
/// [`ErrorKind::WrongKey`] when a key or a fingerprint was given and fits nothing there; nothing is recorded then.
pub fn rebuild_catalog(
    environment: &Environment,
    folder: &Path,
    fingerprint: Option<&Fingerprint>,
    monitor: &dyn Monitor,
) -> Result<RebuildReport> {
    if !folder.is_dir() {
        let message = format!("there is no folder {}", folder.display());
        return Err(OperationError::plain(ErrorKind::NotFound, message));
    }
    let place = Place::local(environment, folder)?.recorded(environment)?;
    rebuild(environment, &place, fingerprint, &SettingsWish::Skip, monitor)
}

/// The same from a storage of the catalog, wherever it is; with the settings that were exported there, and a look at the other places
/// that they name.
///
/// # Errors
/// As [`rebuild_catalog`]; [`ErrorKind::Storage`] where it cannot be reached.
pub fn recover_from(
    environment: &Environment,
    storage: &str,
    fingerprint: Option<&Fingerprint>,
    wish: &SettingsWish<'_>,
    monitor: &dyn Monitor,
) -> Result<RebuildReport> {
    let record = storages::find(environment, storage)?;
    let place = Place::of_record(environment, record.id)?;
    rebuild(environment, &place, fingerprint, wish, monitor)
}

fn rebuild(
    environment: &Environment,
    place: &Place,
    fingerprint: Option<&Fingerprint>,
    wish: &SettingsWish<'_>,
    monitor: &dyn Monitor,
) -> Result<RebuildReport> {
    monitor.phase(Phase::Preparing, Expected::default());
    // Pins and marks may be among what was lost: nothing is deleted here until a person has confirmed the policy.
    environment
        .wait(environment.catalog.remove_confirmations(place.record.id))
        .doing("holding the deletion of backups")?;
    let mut set_folders = Vec::new();
    for name in place.set_folders(environment)? {
        let set_folder = SetFolder { place: place.clone(), name };
        let inventory = set_folder.inventory(environment)?;
        if !inventory.manifests.is_empty() || !inventory.unreadable.is_empty() {
            set_folders.push((set_folder, inventory));
        }
    }
    let mut report = RebuildReport {
        set_folders: set_folders.len() as u64,
        sealed_sets: vouched_sets(environment, &set_folders, fingerprint)?,
        ..RebuildReport::default()
    };
    let mut seen = Vec::new();
    for (set_folder, inventory) in set_folders {
        seen.push(SeenFolder::of(environment, &set_folder, &inventory)?);
        record_set(environment, &set_folder, inventory, &mut report, monitor)?;
    }
    bring_back(environment, seen, wish, &mut report)?;
    Ok(report)
}

/// Finds out whose backups they are, before any of them is on record.
fn vouched_sets(
    environment: &Environment,
    set_folders: &[(SetFolder, Inventory)],
    fingerprint: Option<&Fingerprint>,
) -> Result<Vec<SealedSet>> {
    let mut sets = Vec::new();
    let mut is_refused = fingerprint.is_some();
    for (set_folder, _) in set_folders {
        let Found { vouched, unknown, is_refused: is_refused_here } =
            take_over(environment, set_folder, fingerprint)?;
        is_refused |= is_refused_here;
        if unknown > 0 || !vouched.is_empty() {
            sets.push(SealedSet { set_folder: set_folder.name.clone(), vouched });
        }
    }
    if is_refused && sets.iter().all(|set| set.vouched.is_empty()) {
        let what = if fingerprint.is_some() {
            "no identity has that fingerprint"
        } else {
            "what was given opens no identity"
        };
        return Err(OperationError::hinted(
            ErrorKind::WrongKey,
            format!("making sure whose backups these are: {what} beside them"),
            "nothing was recorded; without a key or a fingerprint the list of what is there can be made all the same",
        ));
    }
    Ok(sets)
}

fn record_set(
    environment: &Environment,
    set_folder: &SetFolder,
    inventory: Inventory,
    report: &mut RebuildReport,
    monitor: &dyn Monitor,
) -> Result<()> {
    let signers = Signers::of(environment, set_folder)?;
    report.without_manifest.extend(inventory.without_manifest);
    let unreadable = inventory.unreadable.iter();
    report.unreadable.extend(unreadable.map(|(folder, error)| format!("{folder}: {}", chain(error))));
    for found in &inventory.manifests {
        let is_stranger = !signers.count(&found.signed.manifest.signer);
        match record(environment, set_folder, found, is_stranger) {
            Ok(()) => {
                report.backups += 1;
                report.strangers += u64::from(is_stranger);
                monitor.item(&found.folder);
            }
            Err(error) => report.unreadable.push(format!("{}: {}", found.folder, chain(&error))),
        }
    }
    for irregularity in set_folder.irregularities(environment)? {
        report.irregularities.push(SetIrregularity { set_folder: set_folder.name.clone(), irregularity });
    }
    Ok(())
}

fn record(
    environment: &Environment,
    set_folder: &SetFolder,
    found: &FoundManifest,
    is_stranger: bool,
) -> Result<()> {
    let manifest = &found.signed.manifest;
    let (header, problems) = match told_by_indexes(environment, set_folder, found) {
        // Nobody needs a key to have the list of what there is.
        Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::WrongKey) => {
            (Some(told_without_a_key(environment, set_folder, manifest)?), Vec::new())
        }
        told => told?,
    };
    if let Some(header) = &header {
        let shop = Shop {
            id: manifest.shop,
            root: Some(header.root.0.clone()).filter(|root| !root.is_empty()),
            platform: header.platform.clone(),
            title: header.title.clone(),
            created: header.shop_created,
        };
        match environment.wait(environment.catalog.save_shop(&shop)) {
            // Another shop lay in a folder of that name, on another server: both are found, and this one has no place here.
            Err(backstock_catalog::Error::RootTaken { .. }) => {
                let nowhere = Shop { root: None, ..shop };
                environment.wait(environment.catalog.save_shop(&nowhere)).doing("recording the shop")?;
            }
            saved => saved.doing("recording the shop")?,
        }
        let known =
            environment.wait(environment.catalog.find_set(manifest.set)).doing("looking for the set")?;
        let set = Set {
            id: manifest.set,
            shop: manifest.shop,
            title: header.set_title.clone(),
            definition: known.map_or_else(|| serde_json::json!({}), |known| known.definition),
            created: header.set_created,
        };
        environment.wait(environment.catalog.save_set(&set)).doing("recording the set")?;
    }
    adopt(environment, set_folder, found, is_stranger)?;
    record_problems(environment, manifest, &problems)
}

/// Records a backup at one more place; of one that is known already nothing more is read.
pub(crate) fn record_copy(
    environment: &Environment,
    set_folder: &SetFolder,
    found: &FoundManifest,
    is_stranger: bool,
) -> Result<()> {
    let known = environment.wait(environment.catalog.backup(found.signed.manifest.backup));
    if known.doing("looking for the backup")?.is_some() {
        return adopt(environment, set_folder, found, is_stranger);
    }
    record(environment, set_folder, found, is_stranger)
}

/// What the names of the folders say of the shop of a sealed backup, unless more is known of it already.
fn told_without_a_key(
    environment: &Environment,
    set_folder: &SetFolder,
    manifest: &Manifest,
) -> Result<ShopHeader> {
    let known =
        environment.wait(environment.catalog.find_shop(manifest.shop)).doing("looking for the shop")?;
    let title = set_folder.name.rsplit_once('-').map_or(set_folder.name.as_str(), |(title, _)| title);
    Ok(ShopHeader {
        title: known.as_ref().map_or_else(|| title.to_owned(), |shop| shop.title.clone()),
        platform: known.as_ref().map_or_else(|| UNKNOWN_PLATFORM.to_owned(), |shop| shop.platform.clone()),
        root: backstock_vocabulary::RawText(
            known.as_ref().and_then(|shop| shop.root.clone()).unwrap_or_default(),
        ),
        set_title: DEFAULT_SET.to_owned(),
        shop_created: known.map_or(manifest.started, |shop| shop.created),
        set_created: manifest.started,
        layout: None,
    })
}

/// What the indexes say of the shop and of what is missing. A damaged index does not hide the backup from the catalog.
fn told_by_indexes(
    environment: &Environment,
    set_folder: &SetFolder,
    found: &FoundManifest,
) -> Result<(Option<ShopHeader>, Vec<ReportedProblem>)> {
    let manifest = &found.signed.manifest;
    let act = || format!("reading an index of {}", found.folder);
    let mut header = None;
    let mut problems = Vec::new();
    if let Some(artifact) = manifest.artifact(ArtifactKind::DatabaseIndex) {
        let index = open_index(environment, set_folder, &found.folder, &found.signed, artifact)?;
        header = Some(index.header::<DatabaseHeader>().doing(act())?.shop);
        let summary: DatabaseSummary = index.summary().doing(act())?;
        problems.extend(summary.problems);
    }
    if let Some(artifact) = manifest.artifact(ArtifactKind::FilesIndex) {
        let index = open_index(environment, set_folder, &found.folder, &found.signed, artifact)?;
        header = Some(index.header::<FilesHeader>().doing(act())?.shop);
        let summary: FilesSummary = index.summary().doing(act())?;
        crate::backup::add_file_problems(&summary.report, &mut problems);
    }
    Ok((header, problems))
}

fn record_problems(
    environment: &Environment,
    manifest: &Manifest,
    problems: &[ReportedProblem],
) -> Result<()> {
    let known = environment
        .wait(environment.catalog.problems_of_backup(manifest.backup))
        .doing("looking for what is known to be missing")?;
    if !known.is_empty() {
        return Ok(());
    }
    let problems: Vec<Problem> = problems
        .iter()
        .map(|problem| Problem {
            run: manifest.run,
            backup: Some(manifest.backup),
            kind: problem.kind.clone(),
            severity: if problem.is_exception { Severity::Exception } else { Severity::Note },
            subject: problem.subject.clone().into_bytes(),
            message: problem.message.clone(),
        })
        .collect();
    environment
        .wait(environment.catalog.record_problems(manifest.run, &problems))
        .doing("recording what is missing from the backup")
}
