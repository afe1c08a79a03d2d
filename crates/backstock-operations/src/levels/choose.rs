//! Which level a backup gets, and on which other one it builds. Where it was to build on one and cannot, it becomes a full one, and
//! the reason is told.

use backstock_catalog::Backup;
use backstock_vocabulary::{BackupId, Content, Level, Reason};
use jiff::Timestamp;
use serde::Serialize;

use super::chain::{ChainLink, ancestors_at, require_whole};
use super::kept_index;
use super::settings::LevelChoice;
use crate::accepted::Accepted;
use crate::backup::{BackupPlan, FilesHeader};
use crate::environment::Environment;
use crate::error::{Doing, Result, chain};
use crate::stored::{StoredBackup, StoredIndex};

/// What a backup will be.
pub(crate) struct ChosenLevel {
    pub(crate) level: Level,
    /// What it builds on, unless it is full.
    pub(crate) parent: Option<ParentBackup>,
    /// Why it is full although something else was asked for.
    pub(crate) why_full: Option<String>,
}

/// The backup that another one builds on.
pub(crate) struct ParentBackup {
    pub(crate) stored: StoredBackup,
    /// The chain down to it, the full one first and itself last.
    pub(crate) chain: Vec<ChainLink>,
    /// Its files index, from the state folder.
    pub(crate) index: StoredIndex,
    /// How much of the untouched files is read all the same, in bytes.
    pub(crate) rehash_bytes: u64,
}

impl ChosenLevel {
    fn full() -> Self {
        Self { level: Level::Full, parent: None, why_full: None }
    }

    fn full_because(why: String) -> Self {
        Self { why_full: Some(why), ..Self::full() }
    }
}

/// Decides. Under the lock of the shop, after the catalog knows every backup that is at the destination.
pub(crate) fn choose(environment: &Environment, plan: &BackupPlan) -> Result<ChosenLevel> {
    if plan.files.is_none() || !can_be_a_parent(plan.reason) || plan.unusable.is_some() {
        return Ok(ChosenLevel::full());
    }
    let now = environment.host.clock.now();
    let choice = plan.level.unwrap_or_else(|| plan.levels.usual());
    if choice == LevelChoice::Full {
        return Ok(ChosenLevel::full());
    }
    let candidates = candidates(environment, plan)?;
    let last_full = candidates.iter().find(|backup| backup.level == Level::Full);
    let level = match choice {
        LevelChoice::Full => Level::Full,
        LevelChoice::Differential => Level::Differential,
        LevelChoice::Incremental => Level::Incremental,
        LevelChoice::Auto => match last_full {
            Some(last) if !plan.levels.is_full_due(last.started, now) => plan.levels.otherwise,
            // It is what the plan says.
            Some(_) => return Ok(ChosenLevel::full()),
            None => plan.levels.otherwise,
        },
    };
    let candidate = if level == Level::Differential { last_full } else { candidates.first() };
    let Some(candidate) = candidate else {
        return Ok(ChosenLevel::full_because("there is no backup that it could build on".to_owned()));
    };
    match parent(environment, plan, candidate, now)? {
        Ok(parent) => Ok(ChosenLevel { level, parent: Some(parent), why_full: None }),
        Err(why) => Ok(ChosenLevel::full_because(why)),
    }
}

/// Whether a backup made for this reason stands among those that others build on.
pub(crate) fn can_be_a_parent(reason: Reason) -> bool {
    matches!(reason, Reason::Manual | Reason::Scheduled)
}

/// The backups of the set with files that are whole at the destination, the newest first.
fn candidates(environment: &Environment, plan: &BackupPlan) -> Result<Vec<Backup>> {
    let act = || format!("looking for the backups of {}", plan.shop.title);
    let catalog = &environment.catalog;
    let backups = environment.wait(catalog.list_backups(Some(plan.shop.id))).doing(act())?;
    let replicas = environment.wait(catalog.list_replicas()).doing(act())?;
    let marks = environment.wait(catalog.list_marks()).doing(act())?;
    let strangers = environment.wait(catalog.list_strangers()).doing(act())?;
    let accepted = Accepted::read(environment)?;
    let storage = plan.place.record.id;
    let is_here = |backup: &Backup| {
        let mut of_it =
            replicas.iter().filter(|replica| replica.backup == backup.id && replica.storage == storage);
        of_it.any(|replica| replica.state.is_there())
            && !marks.iter().any(|mark| mark.backup == backup.id)
            && !strangers.contains(&backup.id)
    };
    let mut found: Vec<Backup> = backups
        .into_iter()
        .filter(|backup| backup.set == plan.set.id && can_be_a_parent(backup.reason))
        .filter(|backup| match backup.content {
            Content::Whole | Content::WholeExcept => true,
            Content::Suspect => accepted.is_confirmed(backup.id),
            Content::Unusable => false,
        })
        .filter(|backup| has_files(backup) && is_here(backup))
        .collect();
    found.sort_by_key(|backup| std::cmp::Reverse(backup.sequence));
    Ok(found)
}

/// Which inputs of the definition differ, as far as the copy of the index tells.
fn what_differs(environment: &Environment, plan: &BackupPlan, candidate: &Backup) -> String {
    let stored = StoredBackup::open(environment, candidate.clone()).ok();
    let index = stored.and_then(|stored| kept_index::open(environment, &stored.signed.manifest).ok());
    let header: Option<FilesHeader> = index.and_then(|index| index.header().ok());
    let then = header.map(|header| header.definition).unwrap_or_default();
    let differs =
        |(label, now): &&(String, String)| then.iter().any(|(known, before)| known == label && before != now);
    let labels: Vec<String> =
        plan.definition.inputs.iter().filter(differs).map(|(label, _)| label.replace('_', " ")).collect();
    if labels.is_empty() { String::new() } else { format!(": other {}", labels.join(", ")) }
}

/// What a backup would be, for a plan that is only shown.
pub fn foresee_level(environment: &Environment, plan: &BackupPlan) -> Result<ForeseenLevel> {
    let ChosenLevel { level, parent, why_full } = choose(environment, plan)?;
    Ok(ForeseenLevel { level, parent: parent.map(|parent| parent.stored.record.id), why_full })
}

/// What a backup would be.
#[derive(Debug, Clone, Serialize)]
pub struct ForeseenLevel {
    /// How much of the files it would take itself.
    pub level: Level,
    /// The backup that it would build on.
    pub parent: Option<BackupId>,
    /// Why it would be full although something else was asked for.
    pub why_full: Option<String>,
}

/// Whether its manifest tells an archive of files.
pub(super) fn has_files(backup: &Backup) -> bool {
    holds(backup, "files/")
}

/// Whether its manifest tells artifacts in a folder: `files/`, `db/`.
pub(crate) fn holds(backup: &Backup, folder: &str) -> bool {
    let artifacts = backup.detail["artifacts"].as_array();
    artifacts.is_some_and(|paths| {
        paths.iter().any(|path| path.as_str().is_some_and(|path| path.starts_with(folder)))
    })
}

/// Opens a backup to build on, or says why that cannot be.
fn parent(
    environment: &Environment,
    plan: &BackupPlan,
    candidate: &Backup,
    now: Timestamp,
) -> Result<std::result::Result<ParentBackup, String>> {
    let short = candidate.id.short();
    let definition = backstock_archive::Digest(plan.definition.sha256).to_string();
    if candidate.definition_hash != definition {
        let what = what_differs(environment, plan, candidate);
        return Ok(Err(format!("what is to be taken is not what the backup {short} took{what}")));
    }
    if candidate.started > now {
        return Ok(Err(format!("the backup {short} is dated in the future")));
    }
    let not_whole =
        |error| format!("the backup {short}, which it would build on, is not whole: {}", chain(&error));
    // Others may have it too, and be nearer or better proven: what it builds on must lie beside it.
    let place = Some(plan.place.record.id);
    let stored = match StoredBackup::open_at(environment, candidate.clone(), place) {
        Ok(stored) => stored,
        Err(error) => return Ok(Err(not_whole(error))),
    };
    let others = match ancestors_at(environment, &stored, place) {
        Ok(others) => others,
        Err(error) => return Ok(Err(not_whole(error))),
    };
    let length = others.len() as u64 + 2;
    if length > u64::from(plan.levels.max_chain_length) {
        let max = plan.levels.max_chain_length;
        return Ok(Err(format!("a chain may have {max} backups, and that of {short} has {}", length - 1)));
    }
    let members: Vec<&StoredBackup> = others.iter().chain([&stored]).collect();
    if let Some(elsewhere) = members.iter().find(|member| member.replica.storage != plan.place.record.id) {
        let other = elsewhere.record.id.short();
        return Ok(Err(format!(
            "the backup {other}, which it would build on, is not at {}",
            plan.place.record.title
        )));
    }
    if let Err(error) = require_whole(environment, &members) {
        return Ok(Err(not_whole(error)));
    }
    let chain = members.iter().map(|member| ChainLink::of(member)).collect();
    let index = match kept_index::open(environment, &stored.signed.manifest) {
        Ok(index) => index,
        Err(why) => return Ok(Err(why)),
    };
    let rehash_bytes = plan.levels.rehash_bytes;
    Ok(Ok(ParentBackup { stored, chain, index, rehash_bytes }))
}
