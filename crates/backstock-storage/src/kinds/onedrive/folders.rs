//! The tree of folders: walked, made, swept. Data can be lost here.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use backstock_host::hex;

use super::OneDrive;
use super::graph::Item;
use crate::http::Act;
use crate::{Cause, Error, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Result, probe};

/// The longest path that OneDrive takes, in characters.
const PATH_LIMIT_CHARACTERS: usize = 400;

/// Folders, by their path from the top, that were seen or made.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashSet<ObjectName>>);

impl Seen {
    fn paths(&self) -> MutexGuard<'_, HashSet<ObjectName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, path: &ObjectName) {
        self.paths().retain(|seen| seen != path && !seen.is_below(path));
    }

    pub(super) fn forget_all(&self) {
        self.paths().clear();
    }
}

/// What a walk has found.
#[derive(Default)]
struct Found {
    objects: Vec<ObjectFacts>,
    /// Folders below the one that was walked, outer ones first.
    folders: Vec<(ObjectName, String)>,
}

/// Why OneDrive takes no such name, if it does not: page "Restrictions and limitations in OneDrive and SharePoint".
pub(super) fn fault_of(path: &ObjectName) -> Option<&'static str> {
    const RESERVED: &[&str] = &["con", "prn", "aux", "nul", "desktop.ini"];
    if path.as_str().chars().count() > PATH_LIMIT_CHARACTERS {
        return Some("OneDrive takes no path of more than 400 characters");
    }
    path.steps().find_map(|step| {
        let small = step.to_lowercase();
        let is_port = ["com", "lpt"].iter().any(|port| {
            small
                .strip_prefix(port)
                .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
        });
        if step.starts_with(['~', ' ']) {
            Some("OneDrive takes no name that begins with a tilde or a blank")
        } else if is_port || RESERVED.contains(&small.as_str()) || small.contains("_vti_") {
            Some("OneDrive keeps that name for itself")
        } else {
            None
        }
    })
}

impl OneDrive {
    /// The path of an object or folder from the top.
    pub(super) fn path(&self, name: Option<&ObjectName>) -> Result<ObjectName> {
        Ok(name.map_or_else(|| Ok(self.base.clone()), |name| self.base.join(name.as_str()))?)
    }

    /// What has a name. OneDrive does not tell capital letters from small ones, so that may be another name.
    pub(super) async fn look(&self, act: Act<'_>, path: &ObjectName) -> Result<Option<Item>> {
        if fault_of(path).is_some() {
            return Ok(None);
        }
        self.graph.at_path(act, path).await
    }

    /// The file of exactly this name.
    pub(super) async fn file(&self, act: Act<'_>, name: &ObjectName) -> Result<Option<Item>> {
        let found = self.look(act, &self.path(Some(name))?).await?;
        Ok(found.filter(|item| item.is_file() && item.name == name.last_step()))
    }

    /// Makes the folder of a path, and those above it, as far as they are missing.
    pub(super) async fn make_folders(&self, act: Act<'_>, path: &ObjectName) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = path.folder();
        while let Some(folder) = next {
            if self.seen.paths().contains(&folder) {
                break;
            }
            if self.look(act, &folder).await?.is_some() {
                self.seen.paths().insert(folder);
                break;
            }
            next = folder.folder();
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            if !self.graph.make_folder(act, &folder).await? {
                return Err(self.moved(act));
            }
            self.seen.paths().insert(folder);
        }
        Ok(())
    }

    /// A folder went away while it was used: nothing of what was seen before is believed any more.
    pub(super) fn moved(&self, act: Act<'_>) -> Error {
        self.seen.forget_all();
        self.graph.http().refused(act, Cause::Garbled, "a folder went away meanwhile", None)
    }

    /// Everything below a folder, one folder after the other.
    async fn walk(&self, verb: &'static str, below: Option<&ObjectName>) -> Result<Found> {
        let act = Act { verb, name: below.map_or("", ObjectName::as_str) };
        let (mut found, mut count) = (Found::default(), 0);
        let top = self.look(act, &self.path(below)?).await?;
        let Some(top) = top.filter(Item::is_folder) else { return Ok(found) };
        let (mut folder, mut id, mut next) = (below.cloned(), top.id, 0);
        loop {
            let children = self.graph.children(act, &id).await?;
            // What was in a folder that went away between two looks must not be missing for that.
            for item in children.ok_or_else(|| self.moved(act))? {
                count += 1;
                found.add(folder.as_ref(), item);
            }
            if count > LIST_LIMIT_OBJECTS {
                let place = self.graph.http().place().to_owned();
                return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
            let Some((path, unseen)) = found.folders.get(next).cloned() else { return Ok(found) };
            (folder, id) = (Some(path), unseen);
            next += 1;
        }
    }

    pub(super) async fn list_objects(&self, below: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        let mut objects = self.walk("list", below).await?.objects;
        objects.sort_by(|one, other| one.name.cmp(&other.name));
        objects.dedup();
        Ok(objects)
    }

    /// Removes tests that died and folders that hold nothing; tells how many of the former there were. Uploads that were not
    /// finished cannot be seen, and end by themselves within days.
    pub(super) async fn sweep(&self, below: Option<&ObjectName>) -> Result<u64> {
        let found = self.walk("look for leftovers in", below).await?;
        let mut count = 0;
        for facts in found.objects.iter().filter(|facts| probe::is_probe(&facts.name)) {
            let act = Act { verb: "delete", name: facts.name.as_str() };
            let Some(item) = self.file(act, &facts.name).await? else { continue };
            match self.graph.delete(act, &item.id).await {
                Err(Error::Refused { cause: Cause::Denied, .. }) => {}
                other => {
                    other?;
                    count += 1;
                }
            }
        }
        let holds_something = |folder: &ObjectName| {
            found.objects.iter().any(|facts| facts.name.is_below(folder) && !probe::is_probe(&facts.name))
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
            let item = self.look(act, &self.path(Some(&folder))?).await?.filter(Item::is_folder);
            let Some(item) = item else { return Ok(()) };
            if !self.remove_folder(&folder, &item.id).await? {
                return Ok(());
            }
            above = folder.folder();
        }
        Ok(())
    }

    /// Removes an empty folder, and tells whether it did. OneDrive deletes a folder with all that is in it, so it is moved aside
    /// first: what somebody put there between our look and that is seen then, and comes back with it.
    async fn remove_folder(&self, folder: &ObjectName, id: &str) -> Result<bool> {
        let act = Act { verb: "remove the folder", name: folder.as_str() };
        // One that cannot be looked at, or holds something, stays: no harm is done.
        if !matches!(self.graph.children(act, id).await, Ok(Some(items)) if items.is_empty()) {
            return Ok(false);
        }
        self.seen.forget(&self.path(Some(folder))?);
        let mut mark = [0; 4];
        self.random.fill(&mut mark);
        let step = folder.last_step();
        let aside = format!(".{}.{}.empty", step.chars().take(100).collect::<String>(), hex::encode(&mark));
        let renamed = self.graph.rename(act, id, &aside).await;
        if let Err(Error::Refused { cause: Cause::Denied | Cause::NoPlace, .. }) = &renamed {
            return Ok(false);
        }
        let is_empty = matches!(self.graph.children(act, id).await, Ok(Some(items)) if items.is_empty());
        if renamed.is_ok() && is_empty {
            return self.graph.delete(act, id).await.map(|()| true);
        }
        self.graph.rename(act, id, step).await.map(|()| false)
    }
}

impl Found {
    /// Takes an item of a folder up. Names that cannot be ours are passed over.
    fn add(&mut self, folder: Option<&ObjectName>, item: Item) {
        if item.name.contains('/') {
            return;
        }
        let name = match folder {
            Some(folder) => folder.join(&item.name),
            None => ObjectName::new(&item.name),
        };
        let Ok(name) = name else { return };
        if item.is_folder() {
            self.folders.push((name, item.id));
        } else if item.is_file() {
            let size_bytes = item.size_bytes();
            self.objects.push(ObjectFacts { name, size_bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_onedrive_keeps_for_itself_are_known() {
        let long = format!("{}/{}/bc", "a".repeat(200), "a".repeat(197));
        for (name, is_taken) in [
            ("shop/db.sql.zst", true),
            ("shop/com", true),
            ("shop/com10", true),
            ("shop/console", true),
            ("shop/COM1", false),
            ("Nul/x", false),
            ("shop/desktop.ini", false),
            ("shop/a_vti_b", false),
            ("~a", false),
            (" a", false),
            (&long[..400], true),
            (&long, false),
        ] {
            assert_eq!(fault_of(&ObjectName::new(name).unwrap()).is_none(), is_taken, "{name}");
        }
    }
}
