//! The durable journal of a restore: what it is doing, to what, and how far it has come.
//!
//! Data can be lost here. From the first visible step on, the shop is between two states, and this journal is the
//! only thing that knows both. The rules:
//!
//! - The journal is one small file, replaced as a whole ([`write_durably`](backstock_host::Files)), so that after a
//!   crash there is the old one or the new one.
//! - It names a stage, not a position: every visible step looks at the database and at the files to find out what is
//!   still missing, so *resume* runs all of them forward and *undo* runs all of them backward, from wherever a kill
//!   left them.
//! - The plans it refers to are written and synced before the stage that needs them, and never changed afterwards.
//! - Before the first visible step a copy of all this is put beside the safety snapshot.

use std::path::{Path, PathBuf};

use backstock_archive::seal::{PrivateIdentity, Recipient, Suite};
use backstock_host::lock::{self, Lock};
use backstock_host::{Host, failpoint};
use backstock_vocabulary::{BackupId, IdentityId, RunId, Scope, ShopId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};
use crate::folders::StateFolder;
use crate::keys::ONE_RESTORE_KEY;

/// A journal of more bytes is none.
const JOURNAL_LIMIT_BYTES: u64 = 1024 * 1024;
/// A plan of more bytes is none. 10,000 tables with their definitions stay far below.
const PLAN_LIMIT_BYTES: u64 = 512 * 1024 * 1024;
const JOURNAL_FILE: &str = "journal.json";
/// Names the shop while there is no journal yet.
const SHOP_FILE: &str = "shop.json";
/// How long a finished restore waits for its acceptance.
pub(crate) const UNDO_WINDOW_HOURS: i64 = 7 * 24;

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Planned; nothing was written but the journal.
    Planned,
    /// Tables are being loaded and files written aside; the shop is untouched.
    Staging,
    /// Everything lies ready aside; the shop is untouched.
    Staged,
    /// Visible steps run forward: the shop is between the old side and the new one.
    Swapping,
    /// The new side is live; the old side is kept until the restore is accepted.
    Restored,
    /// Visible steps run backward.
    Undoing,
    /// The old side is live again; the new side is kept.
    Undone,
    /// Accepted: the old side is being removed.
    Accepting,
    /// The end: nothing is kept.
    Closed,
}

impl Stage {
    /// Whether a person must decide before anything else happens to the shop.
    pub fn is_unfinished(self) -> bool {
        matches!(
            self,
            Self::Planned | Self::Staging | Self::Staged | Self::Swapping | Self::Undoing | Self::Accepting
        )
    }

    /// Whether the shop may be a mixture of both sides right now.
    pub fn is_between(self) -> bool {
        matches!(self, Self::Swapping | Self::Undoing)
    }
}

/// What a restore remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Journal {
    /// Version of this form.
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// The shop.
    pub shop: ShopId,
    /// The shop's name for people.
    pub shop_title: String,
    /// The backup that is brought back.
    pub backup: BackupId,
    /// What is brought back.
    pub scope: Scope,
    /// What the aside names carry.
    pub tag: String,
    /// When it was planned.
    pub started: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// When the new side went live.
    pub restored: Option<Timestamp>,
    /// The safety snapshot, once it is there and verified.
    pub snapshot: Option<BackupId>,
    /// Whether there is a database part (`database.json`, `connection.sealed`).
    pub has_database: bool,
    /// Whether there is a files part (`files.json`).
    pub has_files: bool,
    /// Whether acceptance lets the new side go, since the restore was undone; else the old one.
    #[serde(default)]
    pub lets_new_side_go: bool,
}

impl Journal {
    /// When the undo window ends by itself.
    pub fn undo_until(&self) -> Option<Timestamp> {
        self.restored?.checked_add(jiff::SignedDuration::from_hours(UNDO_WINDOW_HOURS)).ok()
    }
}

/// The folder of one restore: its journal and its plans.
#[derive(Debug, Clone)]
pub(crate) struct JournalFolder {
    host: Host,
    folder: PathBuf,
}

impl JournalFolder {
    /// The folder of a run.
    pub(crate) fn of(host: &Host, state: &StateFolder, run: RunId) -> Self {
        Self { host: host.clone(), folder: state.journal(run) }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder, for a restore of this shop.
    pub(crate) fn create(&self, shop: ShopId) -> Result<()> {
        let (files, all) = (&self.host.files, self.all());
        files.create_folder(all).doing(format!("making the folder {}", all.display()))?;
        let _gate = self.gate()?;
        files.create_folder(&self.folder).doing(format!("making the folder {}", self.folder.display()))?;
        failpoint::reach("restore.folder_made").doing("planning the restore")?;
        self.write(SHOP_FILE, &shop)
    }

    /// Writes the journal.
    pub(crate) fn save(&self, journal: &Journal) -> Result<()> {
        self.write(JOURNAL_FILE, journal)
    }

    /// Moves the journal to a stage.
    pub(crate) fn advance(&self, journal: &mut Journal, stage: Stage) -> Result<()> {
        journal.stage = stage;
        self.save(journal)?;
        failpoint::reach(&format!("restore.{}", stage_word(stage)))
            .doing(format!("entering the stage {}", stage_word(stage)))
    }

    /// Writes a plan beside the journal.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.folder.join(name);
        let bytes = serde_json::to_vec(value).doing(format!("writing {} as JSON", path.display()))?;
        self.host.files.write_durably(&path, &bytes).doing(format!("writing {}", path.display()))
    }

    /// Reads a plan.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.folder.join(name);
        let limit = if name == JOURNAL_FILE { JOURNAL_LIMIT_BYTES } else { PLAN_LIMIT_BYTES };
        let bytes = self.host.files.read(&path, limit).doing(format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).doing(format!("understanding {}", path.display()))
    }

    /// Makes the key that the safety snapshot is sealed for too, so that undo needs no passphrase. It goes with the folder,
    /// when the restore is accepted.
    pub(crate) fn one_restore_recipient(&self) -> Result<Recipient> {
        let path = self.folder.join(ONE_RESTORE_KEY);
        let act = || format!("writing {}", path.display());
        let id = self.host.new_id(IdentityId::from_parts);
        let private = PrivateIdentity::new(self.host.random.as_ref(), id, Suite::XWing);
        let recipient = private.public(self.host.clock.now()).doing(act())?.recipient();
        let bytes = private.to_file().doing(act())?;
        self.host.files.write_durably(&path, &bytes).doing(act())?;
        Ok(recipient)
    }

    /// Where the sealed connection lies.
    pub(crate) fn connection(&self) -> PathBuf {
        self.folder.join("connection.sealed")
    }

    /// Where all of them lie.
    fn all(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new("/"))
    }

    /// Held while this folder is there and does not tell whose it is.
    fn gate(&self) -> Result<Lock> {
        let all = self.all();
        lock::wait_for_folder(all).doing(format!("locking the folder {}", all.display()))
    }

    /// The names in the folder.
    pub(crate) fn names(&self) -> Result<Vec<PathBuf>> {
        let list = self.host.files.list(&self.folder).doing(format!("listing {}", self.folder.display()))?;
        Ok(list.into_iter().map(|(path, _)| path).collect())
    }

    /// Removes the folder if its restore died before it told whose it is, or while it was removed.
    fn remove_nobodys(&self) -> Result<()> {
        let is_run = |name: &str| name.parse::<RunId>().is_ok();
        if !self.folder.file_name().and_then(|name| name.to_str()).is_some_and(is_run) {
            return Ok(());
        }
        let _gate = self.gate()?;
        if has(&self.host, &self.folder, SHOP_FILE)? || has(&self.host, &self.folder, JOURNAL_FILE)? {
            return Ok(());
        }
        self.host.files.remove_tree(&self.folder).doing(format!("removing {}", self.folder.display()))
    }

    /// Removes the folder: the restore is over. The journal goes first, so that none is ever there without what it refers
    /// to; whose it was goes last, so that the rest is recognised ([`remove_unbegun`]).
    pub(crate) fn remove(&self) -> Result<()> {
        let act = || format!("removing {}", self.folder.display());
        let files = &self.host.files;
        if files.stat(&self.folder).doing(act())?.is_none() {
            return Ok(());
        }
        files.remove_file(&self.folder.join(JOURNAL_FILE)).doing(act())?;
        files.sync_folder(&self.folder).doing(act())?;
        for name in self.names()? {
            if name.file_name() != Some(SHOP_FILE.as_ref()) {
                files.remove_file(&name).doing(act())?;
            }
        }
        let _gate = self.gate()?;
        files.remove_tree(&self.folder).doing(act())
    }
}

fn stage_word(stage: Stage) -> String {
    serde_json::to_value(stage).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Every journal of this instance that is not closed, oldest first.
pub(crate) fn open_journals(host: &Host, state: &StateFolder) -> Result<Vec<Journal>> {
    let folder = state.journals();
    if host.files.stat(&folder).doing(format!("looking for {}", folder.display()))?.is_none() {
        return Ok(Vec::new());
    }
    let mut journals: Vec<Journal> = Vec::new();
    for (path, stat) in host.files.list(&folder).doing(format!("listing {}", folder.display()))? {
        if stat.is_folder && has(host, &path, JOURNAL_FILE)? {
            let place = JournalFolder { host: host.clone(), folder: path };
            let journal: Journal = place.read(JOURNAL_FILE)?;
            if journal.stage != Stage::Closed {
                journals.push(journal);
            }
        }
    }
    journals.sort_by_key(|journal| journal.run);
    Ok(journals)
}

/// Removes what restores of a shop left that died before they had a journal: nothing was changed then. The caller holds
/// the shop's lock. What does not even tell whose it is belongs to nobody any more.
pub(crate) fn remove_unbegun(host: &Host, state: &StateFolder, shop: ShopId) -> Result<()> {
    let folder = state.journals();
    if host.files.stat(&folder).doing(format!("looking for {}", folder.display()))?.is_none() {
        return Ok(());
    }
    for (path, stat) in host.files.list(&folder).doing(format!("listing {}", folder.display()))? {
        if stat.is_folder && !has(host, &path, JOURNAL_FILE)? {
            let place = JournalFolder { host: host.clone(), folder: path };
            // Another shop's restore may be planned right now.
            if place.read::<ShopId>(SHOP_FILE).is_ok_and(|of| of == shop) {
                place.remove()?;
            } else {
                place.remove_nobodys()?;
            }
        }
    }
    Ok(())
}

fn has(host: &Host, folder: &Path, name: &str) -> Result<bool> {
    let path = folder.join(name);
    let stat = host.files.stat(&path).doing(format!("looking for {}", path.display()))?;
    Ok(stat.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    /// A kill may come between any two steps of making the folder and of removing it.
    #[test]
    fn what_does_not_tell_whose_it_is_goes_and_what_belongs_to_another_shop_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let environment = Environment::open(&Host::real(), &scratch.path().join("state")).unwrap();
        let (host, state) = (&environment.host, &environment.state);
        let [own, other] = [(); 2].map(|()| host.new_id(ShopId::from_parts));
        let folders = [(); 4].map(|()| JournalFolder::of(host, state, host.new_id(RunId::from_parts)));
        let [planned, elsewhere, empty, begun] = &folders;
        planned.create(own).unwrap();
        elsewhere.create(other).unwrap();
        std::fs::create_dir(empty.path()).unwrap();
        begun.create(own).unwrap();
        std::fs::write(begun.path().join(JOURNAL_FILE), "{}").unwrap();
        let strange = state.journals().join("notes of the owner");
        std::fs::create_dir(&strange).unwrap();
        remove_unbegun(host, state, own).unwrap();
        assert_eq!(folders.each_ref().map(|folder| folder.path().exists()), [false, true, false, true]);
        assert!(strange.exists());
    }

    #[test]
    fn only_stages_in_the_middle_are_unfinished() {
        assert!(Stage::Swapping.is_unfinished() && Stage::Swapping.is_between());
        assert!(Stage::Staged.is_unfinished() && !Stage::Staged.is_between());
        assert!(!Stage::Restored.is_unfinished());
        assert!(!Stage::Undone.is_unfinished());
        assert_eq!(stage_word(Stage::Undoing), "undoing");
    }
}
