//! What lies in the tree: listings, what unfinished uploads have left, folders.

use super::{Entry, EntryKind, RemoteTree, TreeStorage};
use crate::unfinished::is_unfinished;
use crate::{Error, LIST_LIMIT_OBJECTS, ObjectFacts, ObjectName, Result, probe};

/// What a walk has found.
#[derive(Default)]
struct Found {
    objects: Vec<ObjectFacts>,
    /// Paths of uploads that were not finished.
    unfinished: Vec<String>,
    /// Folders below the one that was walked, outer ones first.
    folders: Vec<ObjectName>,
}

impl Found {
    /// Takes one entry of a folder up. Names that cannot be ours are passed over; `\u{fffd}` stands for bytes that are not UTF-8.
    fn add(&mut self, folder: Option<&ObjectName>, entry: &Entry) {
        if entry.step.contains('\u{fffd}') {
            return;
        }
        if entry.kind == EntryKind::File && is_unfinished(&entry.step) {
            self.unfinished.push(join(folder, &entry.step));
            return;
        }
        let Ok(name) = ObjectName::new(&join(folder, &entry.step)) else { return };
        match entry.kind {
            EntryKind::File => self.objects.push(ObjectFacts { name, size_bytes: entry.size_bytes }),
            EntryKind::Folder => self.folders.push(name),
            EntryKind::Other => {}
        }
    }
}

fn join(folder: Option<&ObjectName>, step: &str) -> String {
    folder.map_or_else(|| step.to_owned(), |folder| format!("{folder}/{step}"))
}

impl<T: RemoteTree> TreeStorage<T> {
    async fn walk(&self, below: Option<&ObjectName>) -> Result<Found> {
        let mut found = Found::default();
        if let Some(below) = below {
            let is_folder =
                self.tree.look(below.as_str()).await?.is_some_and(|entry| entry.kind == EntryKind::Folder);
            if !is_folder {
                return Ok(found);
            }
        }
        let mut next = 0;
        let mut folder = below.cloned();
        loop {
            for entry in self.tree.entries(folder.as_ref().map_or("", ObjectName::as_str)).await? {
                found.add(folder.as_ref(), &entry);
            }
            if found.objects.len() + found.folders.len() > LIST_LIMIT_OBJECTS {
                let place = self.tree.place().to_owned();
                return Err(Error::TooMany { place, limit: LIST_LIMIT_OBJECTS });
            }
            let Some(unseen) = found.folders.get(next) else { return Ok(found) };
            folder = Some(unseen.clone());
            next += 1;
        }
    }

    pub(super) async fn list_objects(&self, below: Option<&ObjectName>) -> Result<Vec<ObjectFacts>> {
        let mut objects = self.walk(below).await?.objects;
        objects.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(objects)
    }

    /// Removes unfinished uploads, tests that died, and folders that hold nothing; tells how many of the first two there were.
    pub(super) async fn sweep(&self, below: Option<&ObjectName>) -> Result<u64> {
        let found = self.walk(below).await?;
        let probes = found.objects.iter().filter(|facts| probe::is_probe(&facts.name));
        let leftovers: Vec<&str> = found
            .unfinished
            .iter()
            .map(String::as_str)
            .chain(probes.map(|facts| facts.name.as_str()))
            .collect();
        for path in &leftovers {
            self.tree.remove_file(path).await?;
        }
        let holds_something = |folder: &ObjectName| {
            found.objects.iter().any(|facts| facts.name.is_below(folder) && !probe::is_probe(&facts.name))
        };
        for folder in found.folders.iter().rev().filter(|folder| !holds_something(folder)) {
            // Something that is no object lies in it: it stays.
            let _ = self.tree.remove_folder(folder.as_str()).await;
        }
        Ok(leftovers.len() as u64)
    }

    /// Makes the folders of an object that are missing.
    pub(super) async fn make_folders(&self, name: &ObjectName) -> Result<()> {
        let mut missing = Vec::new();
        let mut folder = name.folder();
        loop {
            let path = folder.as_ref().map_or("", ObjectName::as_str);
            if self.tree.look(path).await?.is_some() {
                break;
            }
            missing.push(path.to_owned());
            match folder {
                Some(below) => folder = below.folder(),
                None => break,
            }
        }
        for path in missing.iter().rev() {
            self.tree.make_folder(path).await?;
        }
        Ok(())
    }
}
