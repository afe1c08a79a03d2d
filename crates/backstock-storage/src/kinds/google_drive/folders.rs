//! The way from our names to ids: chains of folders, remembered; all folders of one name are one. Data can be lost here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::GoogleDrive;
use super::client::quoted;
use super::file::{FOLDER_TYPE, File};
use crate::http::Act;
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectName, Result, probe};

/// What is known about folders.
#[derive(Debug)]
pub(super) struct Folders {
    /// The folder in which everything is kept.
    base: ObjectName,
    /// The ids of folders by their path, the oldest first. What is not here may be there all the same.
    known: Mutex<HashMap<ObjectName, Vec<String>>>,
    /// Whoever makes folders holds this, so that we do not make twins ourselves.
    making: tokio::sync::Mutex<()>,
}

/// Where folders were looked for.
struct Located {
    /// The oldest first; none where there is no such folder.
    ids: Vec<String>,
    /// Whether that is remembered, and not seen just now.
    is_remembered: bool,
}

/// What a walk has found.
#[derive(Default)]
pub(super) struct Found {
    /// All files of each name.
    pub(super) objects: BTreeMap<ObjectName, Vec<File>>,
    /// Folders below the one that was walked, outer ones first.
    folders: Vec<(ObjectName, String)>,
}

impl Folders {
    pub(super) fn new(base: ObjectName) -> Self {
        Self { base, known: Mutex::default(), making: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ObjectName, Vec<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a folder from the top of the drive.
    fn path(&self, folder: Option<&ObjectName>) -> Result<ObjectName> {
        Ok(folder.map_or_else(|| Ok(self.base.clone()), |folder| self.base.join(folder.as_str()))?)
    }

    /// Forgets everything: something is not where it was.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// Forgets one folder, by its path, and what is below it.
    fn forget_one(&self, path: &ObjectName) {
        self.known().retain(|known, _| known != path && !known.is_below(path));
    }
}

/// The paths of the folders on the way to one, outermost first, itself last.
fn way_to(path: &ObjectName) -> Vec<ObjectName> {
    let mut way: Vec<_> = std::iter::successors(Some(path.clone()), ObjectName::folder).collect();
    way.reverse();
    way
}

impl GoogleDrive {
    /// The ids of a folder. With `afresh` nothing is believed that was seen before.
    async fn locate(&self, act: Act<'_>, folder: Option<&ObjectName>, afresh: bool) -> Result<Located> {
        let path = self.folders.path(folder)?;
        let known = if afresh { None } else { self.folders.known().get(&path).cloned() };
        if let Some(ids) = known {
            return Ok(Located { ids, is_remembered: true });
        }
        let mut ids = vec![self.drive.root().to_owned()];
        for step in way_to(&path) {
            ids = self.folders_named(act, &ids, &step).await?;
            if ids.is_empty() {
                break;
            }
        }
        Ok(Located { ids, is_remembered: false })
    }

    /// The ids of the folders of one path in these folders, the oldest first; they are remembered.
    async fn folders_named(&self, act: Act<'_>, above: &[String], path: &ObjectName) -> Result<Vec<String>> {
        let step = path.last_step();
        let is_folder = format!("mimeType = '{FOLDER_TYPE}'");
        let query = format!(" and name = {} and {is_folder} and trashed = false", quoted(step));
        let mut found = self.drive.search(act, above, &query).await?.ok_or_else(|| self.moved(act))?;
        // Drive does not tell capital letters from small ones.
        found.retain(|file| file.name == step && file.is_folder() && !file.trashed);
        found.sort_by(|one, other| one.age().cmp(&other.age()));
        let ids: Vec<_> = found.into_iter().map(|file| file.id).collect();
        if ids.is_empty() {
            self.folders.forget_one(path);
        } else {
            self.folders.known().insert(path.clone(), ids.clone());
        }
        Ok(ids)
    }

    /// The id of the folder to write an object to, the oldest of its name. Folders that are missing are made.
    pub(super) async fn folder_for(&self, act: Act<'_>, name: &ObjectName) -> Result<String> {
        let path = self.folders.path(name.folder().as_ref())?;
        let oldest = |ids: &[String]| ids.first().cloned();
        let known = self.folders.known().get(&path).and_then(|ids| oldest(ids));
        if let Some(id) = known {
            return Ok(id);
        }
        let _making = self.folders.making.lock().await;
        let mut ids = vec![self.drive.root().to_owned()];
        for step in way_to(&path) {
            let known = self.folders.known().get(&step).cloned();
            let here = match known {
                Some(known) => known,
                None => self.folders_named(act, &ids, &step).await?,
            };
            ids = if here.is_empty() { self.make_folder(act, &ids, &step).await? } else { here };
        }
        oldest(&ids).ok_or_else(|| self.moved(act))
    }

    async fn make_folder(&self, act: Act<'_>, above: &[String], path: &ObjectName) -> Result<Vec<String>> {
        let oldest = above.first().ok_or_else(|| self.moved(act))?;
        let made = self.drive.make_folder(act, path.last_step(), oldest).await?;
        let made = made.ok_or_else(|| self.moved(act))?;
        // Somebody else may have made one at the same time: both then take the older one.
        let seen = self.folders_named(act, above, path).await?;
        Ok(if seen.is_empty() { vec![made] } else { seen })
    }

    /// A folder went away while it was used: nothing of what was seen before is believed any more.
    pub(super) fn moved(&self, act: Act<'_>) -> Error {
        self.folders.forget();
        self.drive.http().refused(act, Cause::Garbled, "a folder went away meanwhile", None)
    }

    /// All files of a name, the oldest first. What is not where it was is looked for once more from the top.
    pub(super) async fn find_all(&self, act: Act<'_>, name: &ObjectName) -> Result<Vec<File>> {
        let folder = name.folder();
        let located = self.locate(act, folder.as_ref(), false).await?;
        match self.files_named(act, &located.ids, name).await? {
            Some(found) if !found.is_empty() || !located.is_remembered => return Ok(found),
            _ => {}
        }
        let located = self.locate(act, folder.as_ref(), true).await?;
        self.files_named(act, &located.ids, name).await?.ok_or_else(|| self.moved(act))
    }

    /// All files of a name in these folders. None where one of the folders is no more.
    async fn files_named(
        &self,
        act: Act<'_>,
        folders: &[String],
        name: &ObjectName,
    ) -> Result<Option<Vec<File>>> {
        let step = name.last_step();
        let is_file = format!("mimeType != '{FOLDER_TYPE}'");
        let query = format!(" and name = {} and {is_file} and trashed = false", quoted(step));
        let Some(mut found) = self.drive.search(act, folders, &query).await? else { return Ok(None) };
        found.retain(|file| file.name == step && file.is_object() && !file.trashed);
        found.sort_by(|one, other| one.age().cmp(&other.age()));
        Ok(Some(found))
    }

    /// The file of a name, if there is one.
    pub(super) async fn find(&self, act: Act<'_>, name: &ObjectName) -> Result<Option<File>> {
        let found = self.find_all(act, name).await?;
        self.the_one(name, found)
    }

    /// Of several files with the same bytes the oldest; with different ones nobody knows which is meant.
    pub(super) fn the_one(&self, name: &ObjectName, files: Vec<File>) -> Result<Option<File>> {
        let mut files = files.into_iter();
        let Some(first) = files.next() else { return Ok(None) };
        if files.all(|file| file.has_bytes_of(&first)) {
            return Ok(Some(first));
        }
        Err(self.conflict(name))
    }

    pub(super) fn conflict(&self, name: &ObjectName) -> Error {
        Error::Conflict { name: name.clone(), place: self.drive.http().place().to_owned() }
    }

    /// Everything below a folder, level by level, seen afresh.
    pub(super) async fn walk(&self, verb: &'static str, below: Option<&ObjectName>) -> Result<Found> {
        let act = Act { verb, name: below.map_or("", ObjectName::as_str) };
        let ids = self.locate(act, below, true).await?.ids;
        let mut level: HashMap<String, Option<ObjectName>> =
            ids.into_iter().map(|id| (id, below.cloned())).collect();
        let (mut found, mut count) = (Found::default(), 0);
        while !level.is_empty() {
            let folders: Vec<_> = level.keys().cloned().collect();
            let files = self.drive.search(act, &folders, " and trashed = false").await?;
            let mut next = HashMap::new();
            // A folder that went away between two looks: what was in the others must not be missing for that.
            for file in files.ok_or_else(|| self.moved(act))? {
                count += 1;
                self.add(act, &mut found, &level, &mut next, file)?;
            }
            if count > LIST_LIMIT_OBJECTS {
                let place = self.drive.http().place().to_owned();
                return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
            level = next;
        }
        for files in found.objects.values_mut() {
            files.sort_by(|one, other| one.age().cmp(&other.age()));
        }
        Ok(found)
    }

    fn add(
        &self,
        act: Act<'_>,
        found: &mut Found,
        level: &HashMap<String, Option<ObjectName>>,
        next: &mut HashMap<String, Option<ObjectName>>,
        file: File,
    ) -> Result<()> {
        let Some(folder) = file.parents.iter().find_map(|id| level.get(id)) else {
            let problem = "it lists a file of a folder that it was not asked about";
            return Err(self.drive.http().refused(act, Cause::Unexpected, problem, None));
        };
        // To Drive a slash is a letter like others: such a name is none of ours, nor is one that we could not have made.
        if file.trashed || file.name.contains('/') {
            return Ok(());
        }
        let name = match folder {
            Some(folder) => folder.join(&file.name),
            None => ObjectName::new(&file.name),
        };
        let Ok(name) = name else { return Ok(()) };
        if file.is_folder() {
            next.insert(file.id.clone(), Some(name.clone()));
            found.folders.push((name, file.id));
        } else if file.is_object() {
            found.objects.entry(name).or_default().push(file);
        }
        Ok(())
    }

    /// Removes tests that died and folders that hold nothing; tells how many of the former there were. Uploads that were not
    /// finished cannot be seen, use no room up, and end by themselves after a week.
    pub(super) async fn sweep(&self, below: Option<&ObjectName>) -> Result<u64> {
        let found = self.walk("look for leftovers in", below).await?;
        let mut count = 0;
        for (name, files) in found.objects.iter().filter(|(name, _)| probe::is_probe(name)) {
            let act = Act { verb: "delete", name: name.as_str() };
            for file in files {
                match self.drive.delete(act, &file.id).await {
                    Err(Error::Refused { cause: Cause::Denied, .. }) => {}
                    other => {
                        other?;
                        count += 1;
                    }
                }
            }
        }
        let holds_something = |folder: &ObjectName| {
            found.objects.keys().any(|name| name.is_below(folder) && !probe::is_probe(name))
        };
        for (folder, id) in found.folders.iter().rev().filter(|(folder, _)| !holds_something(folder)) {
            self.remove_folder(folder, id).await?;
        }
        Ok(count)
    }

    /// Removes the folders above an object that was deleted, as far as they hold nothing.
    pub(super) async fn remove_empty_folders_above(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let mut above = name.folder();
        while let Some(folder) = above {
            for id in self.locate(act, Some(&folder), false).await?.ids {
                if !self.remove_folder(&folder, &id).await? {
                    return Ok(());
                }
            }
            above = folder.folder();
        }
        Ok(())
    }

    /// Removes an empty folder, and tells whether it did. Drive deletes a folder with all that is in it, so it goes to the trash
    /// first: what somebody put there between our look and that is seen then, and comes back with it.
    async fn remove_folder(&self, folder: &ObjectName, id: &str) -> Result<bool> {
        let act = Act { verb: "remove the folder", name: folder.as_str() };
        let ids = [id.to_owned()];
        // One that cannot be looked at, or holds something, stays: no harm is done.
        if !matches!(self.drive.search(act, &ids, "").await, Ok(Some(files)) if files.is_empty()) {
            return Ok(false);
        }
        self.folders.forget_one(&self.folders.path(Some(folder))?);
        let trashed = self.drive.set_trashed(act, id, true).await;
        if let Err(Error::Refused { cause: Cause::Denied | Cause::NoPlace, .. }) = &trashed {
            return Ok(false);
        }
        let is_empty = matches!(self.drive.search(act, &ids, "").await, Ok(Some(files)) if files.is_empty());
        if trashed.is_ok() && is_empty {
            return self.drive.delete(act, id).await.map(|()| true);
        }
        self.drive.set_trashed(act, id, false).await.map(|()| false)
    }
}
